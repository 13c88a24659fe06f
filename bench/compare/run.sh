#!/usr/bin/env bash
# Times vitals against PyTorch, ONNX Runtime, OpenVINO, numpy and faiss: the same work with the same weights, in rounds
# that take turns.
#
#   bench/compare/run.sh [options]
#
#   --quick            few rounds and small slices: does everything work? Its figures are rough
#   --cells LIST       models: S224, B224, L224, S518, B518 (batch 1), S224x8, B224x8 (batch 8); default all
#   --precisions LIST  float32, bfloat16, int8; default those that vitals has
#   --peers LIST       torch, torch-compiled, onnxruntime, onnxruntime-fused, openvino, numpy, faiss; default all
#   --parts LIST       features (times), memory, threads (one against all, ViT-B), knn, auroc, training (steps of the
#                      cells of batch 8 beside PyTorch + PEFT), training-memory; default all these. Only when named:
#                      decoder (steps of the segmentation decoders, segmentation.py), volume (masks of NIfTI volumes
#                      beside PyTorch + MONAI, file in, file out, volume.py; trains a decoder on ../shared first)
#   --methods LIST     what is trained: full, lora, bitfit, head; default all
#   --prepare          only make and keep the models that the peers load (a run makes those that are missing)
#   --threads N        threads of every side (default 2)
#   --rounds N         rounds of each row (default 9; 2 with --quick)
#   --patience S       seconds that each row may wait for rounds in which nothing else runs (default 180; 0 with --quick)
#   --venv FOLDER      the Python environment of the peers; made and filled where it is missing (default build-bench/venv)
#   --pip "ARGS"       more arguments for pip install, such as another package index. PyTorch's usual Linux package
#                      brings GPU libraries of some gigabytes; an index of CPU-only packages spares them
#   --out FOLDER       where results.md, results.json and the models go (default build-bench/compare; about 9 GB)
#   --build FOLDER     where our side is built (default build-bench, the preset `bench`)
#   --verbose          show everything that the compiler and pip print
#   --help             this text
#
# Versions of the peers: bench/compare/requirements.txt. ViT-S runs with the published weights where they are in
# ../shared, the others with random numbers. Prints the tables; exit 0 when all sides agree, 1 when outputs disagree or
# something failed, 2 when the command line is wrong. Rounds disturbed by other programs do not count; a row with too few
# others is marked.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/common.sh
. "$here/../../tools/common.sh"

command="bench/compare/run.sh"
build=$root/build-bench venv='' out='' peers='' parts='' pip_arguments='' options=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick | --prepare) options+=("$1"); command+=" $1" ;;
    --cells | --precisions | --peers | --parts | --methods)
      [[ ${2:-} =~ ^[A-Za-z0-9,-]+$ ]] || usage_error "$1 needs a list"
      if [ "$1" = --peers ]; then peers=$2; fi
      if [ "$1" = --parts ]; then parts=$2; fi
      options+=("$1" "$2"); command+=" $1 $2"; shift ;;
    --threads | --rounds | --patience)
      [[ ${2:-} =~ ^[0-9]+$ && ( $1 = --patience || $2 -gt 0 ) ]] || usage_error "$1 needs a number"
      options+=("$1" "$2"); command+=" $1 $2"; shift ;;
    --venv | --pip | --out | --build)
      [ -n "${2:-}" ] || usage_error "$1 needs a value"
      case $1 in
        --venv) venv=$2 ;;
        --pip) pip_arguments=$2 ;;
        --out) out=$2 ;;
        --build) build=$2 ;;
      esac
      shift ;;
    --verbose) verbose=1 ;;
    --help | -h) help_text; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
venv=${venv:-$build/venv} out=${out:-$build/compare}

# Parts with a script of their own.
own_parts=()
for part in decoder volume; do
  if [[ ,$parts, == *,$part,* ]]; then
    own_parts+=("$part")
    parts=$(tr , '\n' <<<"$parts" | grep -vx "$part" | paste -sd , || true)
  fi
done
if [ ${#own_parts[@]} -gt 0 ]; then
  for ((i = 0; i < ${#options[@]}; i++)); do
    if [ "${options[i]}" = --parts ]; then options[i + 1]=$parts; fi
  done
fi
shared=${VITALS_SHARED:-$root/../shared}
hippocampus=$shared/data/msd_hippocampus
published=$shared/weights/dinov2_vits14/dinov2_vits14_pretrain.pth
if [[ " ${own_parts[*]} " == *" volume "* ]]; then
  [ -f "$published" ] && [ -f "$hippocampus/manifest.csv" ] || die "the part volume needs weights and data in $shared"
fi

stage "peers ($venv)"
wanted=(numpy safetensors threadpoolctl)
# PyTorch holds the model that the others are converted from.
[[ $peers =~ ^(numpy|faiss|,)+$ ]] || wanted+=(torch)
[[ -z $peers || $peers == *onnxruntime* ]] && wanted+=(onnx onnxruntime)
[[ -z $peers || $peers == *openvino* ]] && wanted+=(openvino nncf)
[[ (-z $peers || $peers == *torch*) && (-z $parts || $parts == *training*) ]] && wanted+=(peft)
[[ -z $peers || $peers == *faiss* ]] && wanted+=(faiss-cpu)
[ ${#own_parts[@]} -gt 0 ] && [ -z "$parts" ] && wanted=(numpy torch)
[[ " ${own_parts[*]} " == *" volume "* ]] && wanted+=(monai nibabel)
if [ ! -x "$venv/bin/python" ]; then
  # A virtual environment that is only half filled has no mark and is filled again.
  logged "$build/logs/venv.log" python3 -m venv "$venv" || die "no virtual environment (Debian: apt-get install python3-venv)"
fi
if ! "$venv/bin/python" -c "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(m) is None for m in sys.argv[1:]))" "${wanted[@]/faiss-cpu/faiss}"; then
  requirements=()
  for package in "${wanted[@]}"; do requirements+=("$(grep "^$package==" "$here/requirements.txt")"); done
  note "installing ${requirements[*]}"
  # shellcheck disable=SC2086  # several arguments in one option
  logged "$build/logs/pip.log" "$venv/bin/python" -m pip install --disable-pip-version-check $pip_arguments "${requirements[@]}" ||
    die "pip install failed; see $build/logs/pip.log"
fi

stage "our side ($build)"
launcher=()
if command -v ccache >/dev/null; then launcher+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
(cd "$root" && logged "$build/logs/configure.log" cmake --preset bench -B "$build" "${launcher[@]}") || die "configuration failed"
targets=(compare_worker)
[[ " ${own_parts[*]} " == *" decoder "* ]] && targets+=(segmentation_worker)
[[ " ${own_parts[*]} " == *" volume "* ]] && targets+=(segment segment_volume)
logged "$build/logs/build.log" cmake --build "$build" -j "$(compile_jobs)" --target "${targets[@]}" || die "the build failed"

stage "rounds (load average now: $(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null || echo unknown))"
# What the scripts of their own take of the options.
own_options=()
for ((i = 0; i < ${#options[@]}; i++)); do
  case ${options[i]} in
    --threads | --rounds | --patience) own_options+=("${options[i]}" "${options[i + 1]}") ;;
    --quick) own_options+=(--rounds 2 --patience 0) ;;
  esac
done
mkdir -p "$out"
for part in "${own_parts[@]}"; do
  case $part in
    decoder)
      "$venv/bin/python" "$here/segmentation.py" --worker "$build/bench/segmentation_worker" --out "$out/decoder.json" \
        "${own_options[@]}" | tee "$out/decoder.md" ;;
    volume)
      # A decoder of some use: twelve of the training volumes, three epochs; volumes of the test split are timed.
      mapfile -t volumes < <(awk -F, -v from="$hippocampus" '$3 == "test" && n++ < 4 { print from "/" $1 }' \
        "$hippocampus/manifest.csv")
      awk -F, -v from="$hippocampus" 'BEGIN { OFS = ","; left["train"] = 12; left["val"] = 2; left["test"] = 2 }
        NR == 1 { print; next } left[$3]-- > 0 { print from "/" $1, from "/" $2, $3, $4 }' "$hippocampus/manifest.csv" >"$out/volumes.csv"
      logged "$build/logs/decoder.log" "$build/examples/segment" --weights "$published" --data "$out/volumes.csv" \
        --mask-values 0,1,2 --intensity p5p95 --loss combined --lrs 0.01 --epochs 3 --bootstrap 0 --quiet \
        --report "$out/volume_decoder.json" --save-decoder "$out/volume_decoder.safetensors" ||
        die "no decoder; see $build/logs/decoder.log"
      "$venv/bin/python" "$here/volume.py" --program "$build/examples/segment_volume" --weights "$published" \
        --decoder "$out/volume_decoder.safetensors" --out "$out/volume.json" "${own_options[@]}" "${volumes[@]}" |
        tee "$out/volume.md" ;;
  esac
done
if [ ${#own_parts[@]} -gt 0 ] && [ -z "$parts" ]; then exit 0; fi

[ -f "$published" ] && options+=(--published "$published")
"$venv/bin/python" "$here/compare.py" --worker "$build/bench/compare_worker" --out "$out" --command "$command" "${options[@]}"

#!/usr/bin/env bash
# How good is a DINOv2 backbone on medical images? Builds the programs, runs kNN and linear probing, prints a table of
# AUROC with 95 % intervals and draws pictures: the README's first command. Installs the Debian packages that are missing.
#
#   tools/demo.sh [options]
#
#   --data FILE      a manifest of your own images: CSV with path,label,split[,patient] (README.md says more)
#   --weights FILE   DINOv2 weights, .pth or .safetensors (tools/fetch_weights gets them)
#   --model NAME     the preset that the weights are for (default: what the programs take, dinov2_vits14)
#   --phantoms       drawn chest films even where real ones are at hand
#   --out DIR        where tables, reports and pictures go (default: build/demo)
#   --no-install     install no packages
#   --verbose        show everything that the compiler prints
#   --help           this text
#
# Without --data and --weights: real chest X-rays and the real DINOv2 ViT-S/14 where ../shared holds them. Where it does
# not, drawn chest films ("phantoms") and the small model that the programs carry in themselves, which has learnt from
# drawn pictures; every table says so. Exit 0 when all is done.
set -euo pipefail
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

data='' weights='' model='' phantoms=0 out='' install=1
while [ $# -gt 0 ]; do
  case $1 in
    --data | --weights | --model | --out)
      [ $# -gt 1 ] || usage_error "$1 needs a value"
      case $1 in
        --data) data=$(realpath "$2") ;;
        --weights) weights=$(realpath "$2") ;;
        --model) model=$2 ;;
        --out) out=$(realpath -m "$2") ;;
      esac
      shift ;;
    --phantoms) phantoms=1 ;;
    --no-install) install=0 ;;
    --verbose) verbose=1 ;;
    --help | -h) help_text; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
[ -z "$data" ] || [ -r "$data" ] || die "cannot read $data (--data)"
[ -z "$weights" ] || [ -r "$weights" ] || die "cannot read $weights (--weights)"
cd "$root"
build=$root/build
out=${out:-$build/demo}
begin=$SECONDS

stage "packages"
if [ "$install" = 1 ]; then tools/install_packages.sh build; else note "none installed (--no-install)"; fi

stage "build the programs ($(compile_jobs) at once; the long part of the first run)"
since=$SECONDS
options=(-DVITALS_BUILD_TESTS=OFF)
# A build that already has the tests keeps them.
[ -e "$build/CMakeCache.txt" ] && options=()
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
logged "$build/logs/configure.log" cmake --preset release "${options[@]}" || die "configuration failed"
logged "$build/logs/build.log" cmake --build "$build" -j "$(compile_jobs)" --target vitals_programs || die "the build failed"
note "built in $(took "$since")"

stage "data and weights"
mkdir -p "$out"
shared=${VITALS_SHARED:-$root/../shared}
real_data=$shared/data/cxr_pneumonia_kermany/manifest_patient_disjoint.csv
real_weights=$shared/weights/dinov2_vits14/dinov2_vits14_pretrain.pth
case $model in
  '' | dinov2_vits14) if [ -z "$weights" ] && [ -r "$real_weights" ]; then weights=$(realpath "$real_weights"); fi ;;
esac
if [ -n "$data" ]; then
  what="your images"
elif [ "$phantoms" = 0 ] && [ -r "$real_data" ]; then
  data=$(realpath "$real_data")
  what="real chest X-rays of children, normal or pneumonia (Kermany et al., CC BY 4.0)"
else
  what="phantoms: drawn chest films, nobody's pictures"
  "$build/examples/phantoms" --quiet "$out/phantoms"
  data=$out/phantoms/manifest.csv
fi
with=()
if [ -n "$model" ]; then with=(--model "$model"); fi
if [ -n "$weights" ]; then
  with+=(--weights "$weights")
  backbone="${model:+$model, }$(basename "$weights")"
elif [ -z "$model" ] || [ "$model" = vitals_demo ]; then
  backbone="vitals_demo, the small model that the programs carry, trained on drawn pictures (tools/fetch_weights dinov2_vits14 gets a real one)"
else
  backbone="$model with RANDOM weights (no weights were found: tools/fetch_weights $model gets the real ones)"
fi
note "images:   $what"
note "          $data, $(($(wc -l <"$data") - 1)) images"
note "backbone: $backbone"

run() {  # run PROGRAM ARGUMENTS...: its table goes to $out/PROGRAM.txt too
  local name=$1
  shift
  "$build/examples/$name" "${with[@]}" "$@"
}
evaluation=(--data "$data" --cache "$out/cache")

stage "kNN (the features are computed now and kept in $out/cache)"
since=$SECONDS
run knn "${evaluation[@]}" --k 5,10,20 --report "$out/knn.json" --predictions "$out/knn.csv" --plot "$out/knn_roc.svg" \
  --table "$out/knn.svg" >"$out/knn.txt"
note "took $(took "$since")"

stage "linear probe"
since=$SECONDS
run linear_probe "${evaluation[@]}" --augment none --epochs 50 --report "$out/linear_probe.json" \
  --predictions "$out/linear_probe.csv" --plot "$out/linear_probe_roc.svg" --table "$out/linear_probe.svg" \
  >"$out/linear_probe.txt"
note "took $(took "$since")"

stage "a look inside: the principal components of one image's patches"
first=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; ++i) { if ($i == "path") p = i; if ($i == "split") s = i } next }
                 $s ~ /^test/ { print $p; exit }' "$data")
run features --quiet --size 448 --output "$out/features.safetensors" --pca "$out/patches_pca.png" "$(dirname "$data")/$first" >/dev/null

stage "result: $what"
note "backbone: $backbone"
echo
cat "$out/knn.txt"
echo
cat "$out/linear_probe.txt"
echo
note "pictures: $out/linear_probe_roc.svg, linear_probe.svg, knn_roc.svg, knn.svg, patches_pca.png"
note "reports:  $out/knn.json, linear_probe.json; scores of every test image: knn.csv, linear_probe.csv"
note "everything took $(took "$begin")"

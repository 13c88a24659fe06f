#!/usr/bin/env bash
# What it costs to include vitals: the seconds g++ spends and the sizes of what it makes (-std=c++20 -O2).
#
#   tools/header_cost.sh [options]
#
#   --check    compare with tools/header_cost.baseline and fail (exit 1) where a figure has doubled
#   --record   write tools/header_cost.baseline anew
#   --quick    one run of each instead of the median of three, and no list of headers
#   --cxx C    the compiler (default: g++)
#   --help     this text
#
# Seconds are processor time of the compiler, so another program that runs meanwhile changes little. Machines differ:
# what is recorded and compared is the ratio to a fixed file (Eigen/Core, map, filesystem) compiled in the same run.
#
#   umbrella                 #include <vitals/vitals.hpp> and nothing else              limit 4 s
#   evaluation umbrella      #include <vitals/evaluation.hpp> and nothing else
#   features, header-only    the ten-line program of README.md, everything in it        limit 15 s
#   features, compiled       the same against vitals::compiled                          limit 5 s
#   second preset            what a second model adds to the header-only program        limit 20 %
#
# The limits are for the machine that the project is developed on; they are printed, --check does not use them.
set -euo pipefail
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

check=0 record=0 runs=3 list=1 cxx=g++
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=1 ;;
    --record) record=1 ;;
    --quick) runs=1 list=0 ;;
    --cxx) [ $# -gt 1 ] || usage_error "--cxx needs a compiler"; cxx=$2; shift ;;
    --help | -h) help_text; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
command -v "$cxx" >/dev/null || die "no compiler '$cxx'; tools/install_packages.sh installs g++"
baseline=$root/tools/header_cost.baseline
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
flags=(-std=c++20 -O2 -I "$root/include" -isystem /usr/include/eigen3)

cat >"$folder/calibration.cpp" <<'END'
#include <filesystem>
#include <map>
#include <string>
#include <Eigen/Core>
double sum(const std::map<std::string, double>& values) {
  Eigen::MatrixXd m(8, 8);
  for (const auto& [name, value] : values) m.array() += value + static_cast<double>(name.size());
  return (m * m.transpose()).sum() + static_cast<double>(std::filesystem::path("a/b").native().size());
}
END
echo '#include <vitals/vitals.hpp>' >"$folder/umbrella.cpp"
echo '#include <vitals/evaluation.hpp>' >"$folder/evaluation.cpp"
program_text() {  # program_text PRESET...: the ten-line program, once for each preset
  echo '#include <vitals/vitals.hpp>'
  echo 'namespace vt = vitals;'
  local preset
  for preset in "$@"; do
    cat <<END
void use_$preset() {
  using Model = vt::ViT<vt::dinov2::$preset, vt::Cpu<float>>;
  const Model model = vt::load<Model>("dinov2_${preset}_pretrain.pth");
  const auto image = vt::io::read_image("chest.png");
  const auto pixels = vt::transforms::dinov2(224)(image);
  const auto out = model(pixels);
}
END
  done
  echo 'int main() {'
  for preset in "$@"; do echo "  use_$preset();"; done
  echo '}'
}
program_text vits14 >"$folder/features.cpp"
program_text vits14 vitb14 >"$folder/two_presets.cpp"

# seconds SOURCE [FLAGS...]: processor seconds of one compilation.
seconds() {
  local source=$1 TIMEFORMAT='%U %S' spent
  shift
  spent=$({ time "$cxx" "${flags[@]}" "$@" -c "$folder/$source.cpp" -o "$folder/$source.o" 2>"$folder/errors" >/dev/null; } 2>&1) ||
    { cat "$folder/errors" >&2; die "$source does not compile"; }
  awk '{ printf "%.3f", $1 + $2 }' <<<"$spent"
}
median() { local i; for ((i = 0; i < runs; i++)); do seconds "$@"; echo; done | sort -n | sed -n "$(((runs + 1) / 2))p"; }
size_of() { stat -c %s "$folder/$1.o"; }
divide() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

# The fixed file is always compiled three times: every ratio hangs on it.
saved=$runs runs=3
calibration=$(median calibration)
runs=$saved

names=() values=() ratios=() shown=()
# row NAME RATIO VALUE LIMIT SIZE
row() { names+=("$1"); ratios+=("$2"); values+=("$3"); shown+=("$(printf '%-26s %10s %10s %12s %8s' "$1" "$3" "$4" "$5" "$2")"); }
timed() {  # timed NAME LIMIT SOURCE [FLAGS...]
  local name=$1 limit=$2 source=$3 t
  shift 2
  t=$(median "$@")
  row "$name" "$(divide "$t" "$calibration")" "$t s" "$limit" "$(awk -v b="$(size_of "$source")" 'BEGIN { printf "%.0f kB", b / 1000 }')"
  last=$t
}
last=0
timed "umbrella" "4 s" umbrella
timed "umbrella, compiled" "" umbrella -DVITALS_COMPILED
timed "evaluation umbrella" "" evaluation
timed "features, header-only" "15 s" features
one=$last
timed "features, compiled" "5 s" features -DVITALS_COMPILED
timed "two presets, header-only" "" two_presets
row "second preset" "$(divide "$last" "$one")" "$(awk -v a="$last" -v b="$one" 'BEGIN { printf "+%.0f %%", 100 * (a / b - 1) }')" "+20 %" ""

printf '%-26s %10s %10s %12s %8s\n' what time limit object ratio
printf '%s\n' "${shown[@]}"
printf '(%s; ratio: to the fixed file, %s s; of the second preset: both to one)\n' "$("$cxx" --version | head -n 1)" "$calibration"

if [ "$list" = 1 ]; then
  echo
  echo "The ten headers that cost most when they are included alone, header-only, -O2:"
  (cd "$root/include" && find vitals -name '*.hpp' ! -name vitals.hpp ! -name evaluation.hpp | sort) | while read -r header; do
    echo "#include <$header>" >"$folder/one.cpp"
    printf '%6.2f s  %s\n' "$(seconds one)" "$header"
  done | sort -rn | head -n 10
fi

if [ "$record" = 1 ]; then
  {
    echo "# Written by tools/header_cost.sh --record: compile time as a ratio to the fixed file of the same run."
    for i in "${!names[@]}"; do printf '%s\t%s\n' "${ratios[$i]}" "${names[$i]}"; done
  } >"$baseline"
  note "recorded in tools/header_cost.baseline"
fi

if [ "$check" = 1 ]; then
  [ -e "$baseline" ] || die "no $baseline; make it with --record"
  doubled=0
  for i in "${!names[@]}"; do
    recorded=$(awk -F'\t' -v name="${names[$i]}" '$2 == name { print $1 }' "$baseline")
    [ -n "$recorded" ] || die "tools/header_cost.baseline has no '${names[$i]}'; make it anew with --record"
    if awk -v now="${ratios[$i]}" -v then="$recorded" 'BEGIN { exit !(now > 2 * then) }'; then
      printf 'error: %s has doubled: ratio %s, recorded %s\n' "${names[$i]}" "${ratios[$i]}" "$recorded"
      doubled=1
    fi
  done
  [ "$doubled" = 0 ] || exit 1
  echo "umbrella ${values[0]}, features ${values[3]} header-only, ${values[4]} compiled; nothing has doubled"
fi

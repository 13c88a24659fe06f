#!/usr/bin/env bash
# Every header of include/vitals compiles alone, as the first and only include of a file, twice in a row, without a
# warning, with declarations only and header-only; the umbrellas reach all of them, and only those of medical files and
# of segmentation reach headers of nifti_clib, GDCM or HDF5. A second compiler reads every implementation once, through
# the umbrellas (--umbrella), which is quicker.
#   alone.sh [--umbrella] [--declared HEADER]... INCLUDE_FOLDER COMPILER [FLAGS...]
# --declared: a header whose library is not installed, compiled with declarations only.
set -euo pipefail
only_umbrella=0
declared=()
while [[ $1 == --* ]]; do
  case $1 in
    --umbrella) only_umbrella=1; shift ;;
    --declared) declared+=("$2"); shift 2 ;;
    *) echo "unknown option $1"; exit 2 ;;
  esac
done
include=$1 compiler=$2
shift 2
umbrellas=()
for name in evaluation training medical segmentation; do
  if [ -e "$include/vitals/$name.hpp" ]; then umbrellas+=("vitals/$name.hpp"); fi
done
flags=(-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I "$include" "$@")

# The two modes differ only in the .ipp that a header includes at its end: a header without one is checked once.
one() {
  local header=$1
  local text="#include <$header>
#include <$header>
int main() {}"
  "${compiler_and_flags[@]}" -DVITALS_COMPILED -x c++ - <<<"$text" || { echo "FAIL $header (declarations only)"; return 1; }
  if [[ " ${declared[*]} " == *" $header "* ]]; then return 0; fi
  if [[ " ${umbrellas[*]} " != *" $header "* ]]; then
    if [ "$only_umbrella" = 1 ] || ! grep -q VITALS_HEADER_ONLY "$include/$header"; then return 0; fi
  fi
  "${compiler_and_flags[@]}" -x c++ - <<<"$text" || { echo "FAIL $header (header-only)"; return 1; }
}

compiler_and_flags=("$compiler" "${flags[@]}")
failed=0 running=0
mapfile -t headers < <(cd "$include" && find vitals -name '*.hpp' | sort)
[ ${#headers[@]} -gt 0 ] || { echo "no headers in $include"; exit 1; }
jobs=$(nproc)
for header in "${headers[@]}"; do
  if [ "$running" -ge "$jobs" ]; then wait -n || failed=1; else running=$((running + 1)); fi
  one "$header" &
done
while [ "$running" -gt 0 ]; do wait -n || failed=1; running=$((running - 1)); done

# What a umbrella reaches, by its own includes and those of what it includes; text alone, for a library may be missing.
reached_by() {
  local todo=("$@") seen=" " file included
  while [ ${#todo[@]} -gt 0 ]; do
    file=${todo[0]}
    todo=("${todo[@]:1}")
    if [[ $seen == *" $file "* ]]; then continue; fi
    seen+="$file "
    [[ $file == vitals/* ]] || continue
    while read -r included; do todo+=("$included"); done < <(sed -nE 's/^#include <((vitals\/|nifti|znz|gdcm|hdf5|H5)[^>]*)>.*/\1/p' "$include/$file")
  done
  tr ' ' '\n' <<<"$seen"
}
reached=$(reached_by "${umbrellas[@]}")
for header in "${headers[@]}"; do
  grep -qxF "$header" <<<"$reached" || { echo "FAIL $header is in none of ${umbrellas[*]}"; failed=1; }
done
foreign=$(reached_by vitals/evaluation.hpp vitals/training.hpp | grep -v '^vitals/' | grep . || true)
[ -z "$foreign" ] || { echo "FAIL vitals/evaluation.hpp or vitals/training.hpp reaches $foreign"; failed=1; }
echo "${#headers[@]} headers, $("$compiler" --version | head -n 1)"
exit "$failed"

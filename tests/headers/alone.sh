#!/usr/bin/env bash
# Every header of include/vitals compiles alone, as the first and only include of a file, twice in a row, without a
# warning, with declarations only and header-only; the two umbrellas reach all of them. A second compiler reads every
# implementation once, through the umbrella (--umbrella), which is quicker.
#   alone.sh [--umbrella] INCLUDE_FOLDER COMPILER [FLAGS...]
set -euo pipefail
only_umbrella=0
if [ "$1" = --umbrella ]; then only_umbrella=1; shift; fi
include=$1 compiler=$2
shift 2
flags=(-std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I "$include" "$@")

# The two modes differ only in the .ipp that a header includes at its end: a header without one is checked once.
one() {
  local header=$1
  local text="#include <$header>
#include <$header>
int main() {}"
  "${compiler_and_flags[@]}" -DVITALS_COMPILED -x c++ - <<<"$text" || { echo "FAIL $header (declarations only)"; return 1; }
  if [ "$header" != vitals/evaluation.hpp ] && [ "$header" != vitals/training.hpp ]; then
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

# The umbrellas of evaluation and of training reach every one of them.
reached=$(printf '#include <vitals/%s.hpp>\n' evaluation training | "$compiler" -std=c++20 -I "$include" "$@" -M -x c++ - | tr ' ' '\n' |
  sed -n "s|^$include/||p")
for header in "${headers[@]}"; do
  grep -qxF "$header" <<<"$reached" || { echo "FAIL $header is in neither vitals/evaluation.hpp nor vitals/training.hpp"; failed=1; }
done
echo "${#headers[@]} headers, $("$compiler" --version | head -n 1)"
exit "$failed"

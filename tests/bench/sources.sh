#!/usr/bin/env bash
# What bench/ holds stays whole though no test run times anything: its C++ compiles without a warning (what needs Google
# Benchmark only where that is installed), its scripts parse, the roofline is drawn from a benchmark's file.
#   sources.sh PROJECT COMPILER [FLAGS...]
set -euo pipefail
project=$1 compiler=$2
shift 2
bench=$project/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

sources=("$bench"/compare/worker.cpp "$bench"/compare/segmentation_worker.cpp "$bench"/support/memory_child.cpp)
if echo '#include <benchmark/benchmark.h>' | "$compiler" -std=c++20 -E -x c++ - >/dev/null 2>&1; then
  sources+=("$bench"/*_bench.cpp "$bench"/support/main.cpp)
else
  echo "Google Benchmark is not installed: ${#sources[@]} files without it"
fi
running=0
for source in "${sources[@]}"; do
  if [ "$running" -ge "$(nproc)" ]; then wait -n || failed=1; else running=$((running + 1)); fi
  "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -DVITALS_COMPILED \
    -DVITALS_MEMORY_CHILD='""' -I "$bench/support" "$@" "$source" || { echo "FAIL $source"; exit 1; } &
done
while [ "$running" -gt 0 ]; do wait -n || failed=1; running=$((running - 1)); done
echo "${#sources[@]} C++ files compiled"

bash -n "$bench/compare/run.sh" || failed=1
if bash "$bench/compare/run.sh" --nonsense >/dev/null 2>&1; then echo "FAIL run.sh takes any option"; failed=1; fi
if ! command -v python3 >/dev/null; then
  echo "python3 is not installed: its scripts were not looked at"
  exit "$failed"
fi
for script in "$bench"/compare/*.py; do
  python3 -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$script" || failed=1
done
# A product of S at 4 tokens: 2 x 4 x 384 x 1152 operations, 4 x 4 x (384 + 1152) + 4 x 384 x 1152 bytes: 1.97 a byte.
cat >"$work/operations.json" <<'EOF'
{"context": {"float32 peak, 1 thread": "100 GFLOP/s", "L2 bandwidth, 1 thread": "50 GB/s", "instruction set": "avx2"},
 "benchmarks": [{"name": "product/float32/S_qkv/4/1_thread/manual_time", "run_type": "iteration", "GFLOP/s": 80.0}]}
EOF
python3 - "$bench/compare" "$work/operations.json" <<'EOF' || failed=1
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import roofline
points, peaks, bandwidths, isa = roofline.read(sys.argv[2], 4, 1)
(model, precision, name, intensity, rate), = points
assert (model, precision, name, rate) == ("S", "float32", "qkv", 80.0), points
assert abs(intensity - 3538944 / 1794048) < 1e-12, intensity
assert (peaks, bandwidths, isa) == ({"float32": 100.0}, {"L2": 50.0}, "avx2")
EOF
python3 -B "$bench/compare/roofline.py" --tokens 4 --threads 1 "$work/operations.json" "$work/roofline.svg" || failed=1
grep -q 'S qkv 80 %' "$work/roofline.svg" || { echo "FAIL roofline.svg lacks its point"; failed=1; }
exit "$failed"

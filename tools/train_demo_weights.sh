#!/usr/bin/env bash
# Makes the weights that the programs carry in themselves: trains the demo's model on drawn pictures (examples/03_from_scratch.cpp).
#
#   tools/train_demo_weights.sh [FILE]      (default: build/vitals_demo.safetensors)
#
# About half an hour of one core. The same machine makes the same bits, with any number of threads; compare with
# examples/support/vitals_demo.safetensors, and copy FILE there to make the programs carry it.
set -euo pipefail
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
case ${1:-} in
  --help | -h) help_text; exit 0 ;;
  -*) usage_error "unknown option '$1'" ;;
esac
output=$(realpath -m "${1:-$root/build/vitals_demo.safetensors}")
cd "$root"
stage "build"
logged build/logs/configure.log cmake --preset release -DVITALS_BUILD_TESTS=OFF || die "configuration failed"
logged build/logs/build.log cmake --build build -j "$(compile_jobs)" --target vitals_03_from_scratch || die "the build failed"
stage "what is there and where, small pictures first"
build/examples/03_from_scratch --output "$output.first"
stage "the findings above all"
build/examples/03_from_scratch --from "$output.first" --findings 10 --small 0 --middle 0.6 --steps 500 --lr 5e-4 --pool 512 \
  --seed 1 --output "$output"
rm "$output.first"
note "sha256  $(sha256sum "$output" | cut -d ' ' -f 1)"
note "carried $(sha256sum examples/support/vitals_demo.safetensors | cut -d ' ' -f 1)"

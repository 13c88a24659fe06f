#!/usr/bin/env bash
# Builds everything and runs all tests: the README's second command. Installs the Debian packages that are missing.
#
#   tools/test.sh [options]
#
#   --quick       leave out what compiles other programs (labels consumer, headers, docs, compile_fail) and the price
#                 of the headers
#   --werror      warnings of our own code are errors
#   --no-install  install no packages
#   --jobs N      compile N files at once (default: as many as processors and 2 GB of memory for each allow)
#   --build DIR   where to build (default: build, the preset `release`)
#   --verbose     show everything that the compiler and the tests print
#   --help        this text
#
# Tests that need ../shared (real images, real weights, reference values) say so and end where it is missing; the
# others prove the same code on small values. Ends with a line "N passed, N failed"; exit 0 when nothing failed.
set -euo pipefail
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quick=0 werror=0 install=1 jobs='' build=$root/build
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --werror) werror=1 ;;
    --no-install) install=0 ;;
    --jobs) [ $# -gt 1 ] || usage_error "--jobs needs a number"; jobs=$2; shift ;;
    --build) [ $# -gt 1 ] || usage_error "--build needs a folder"; build=$2; shift ;;
    --verbose) verbose=1 ;;
    --help | -h) help_text; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
  shift
done
jobs=${jobs:-$(compile_jobs)}
cd "$root"
begin=$SECONDS

stage "packages"
if [ "$install" = 1 ]; then tools/install_packages.sh build test; else note "none installed (--no-install)"; fi

stage "configure"
options=()
[ "$werror" = 1 ] && options+=(-DCMAKE_COMPILE_WARNING_AS_ERROR=ON)
if command -v ccache >/dev/null; then options+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
logged "$build/logs/configure.log" cmake --preset release -B "$build" "${options[@]}" || die "configuration failed"

stage "build ($jobs at once; this is the long part)"
since=$SECONDS
logged "$build/logs/build.log" cmake --build "$build" -j "$jobs" || die "the build failed"
note "built in $(took "$since"), $(grep -c 'warning:' "$build/logs/build.log" || true) warnings"

passed=0 failed=0
if [ "$quick" = 0 ] && [ -x tools/header_cost.sh ]; then
  stage "price of the headers"
  if logged "$build/logs/header_cost.log" tools/header_cost.sh --check --quick; then
    passed=1
    note "$(tail -n 1 "$build/logs/header_cost.log")"
  else
    failed=1
  fi
fi

stage "tests"
since=$SECONDS
[ -d "$root/../shared" ] || [ -n "${VITALS_SHARED:-}" ] ||
  note "../shared is not here: the tests that need it say so and end"
filter=()
[ "$quick" = 1 ] && filter=(-LE 'consumer|headers|docs|compile_fail')
tests=0
ctest --test-dir "$build" -j "$(processors)" --output-on-failure --no-tests=error "${filter[@]}" \
  >"$build/logs/test.log" 2>&1 || tests=$?
if [ "$verbose" = 1 ]; then
  cat "$build/logs/test.log"
else
  # What failed and what it printed; the lines of tests that passed stay in the log.
  grep -vE '(Start +[0-9]+:|\.+ +Passed +|^ *$|^Internal ctest|^Test project)' "$build/logs/test.log" | head -n 200 || true
fi
# "98% tests passed, 1 tests failed out of 50"
read -r bad all < <(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+).*/\1 \2/p' "$build/logs/test.log") ||
  die "ctest gave no summary; see $build/logs/test.log"
if [ "$tests" -ne 0 ] && [ "$bad" = 0 ]; then bad=1; fi
passed=$((passed + all - bad)) failed=$((failed + bad))
note "tests took $(took "$since"), everything $(took "$begin"); logs in $build/logs"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

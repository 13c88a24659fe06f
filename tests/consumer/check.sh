#!/usr/bin/env bash
# Builds and runs a program of somebody else's that uses vitals in one of the ways there are.
#   check.sh find_package|add_subdirectory|fetch_content|plain|library PROJECT_FOLDER BUILD_FOLDER COMPILER [FLAGS...]
# FLAGS are what a program without CMake passes to the compiler.
set -euo pipefail
how=$1 project=$2 build=$3 compiler=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

configure() {
  cmake -G Ninja -S "$here/$how" -B app -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$compiler" \
    -DCMAKE_CXX_FLAGS=-O0 -DVITALS_SOURCE="$project" "$@" >configure.log 2>&1 || { cat configure.log; exit 1; }
}
make_app() { cmake --build app -j 1 --target "$@" >build.log 2>&1 || { cat build.log; exit 1; }; }

case $how in
  find_package)
    cmake --install "$build" --prefix "$folder/prefix" >install.log 2>&1 || { cat install.log; exit 1; }
    configure -DCMAKE_PREFIX_PATH="$folder/prefix"
    make_app app app_compiled app_model medical
    app/app
    app/app_compiled
    app/app_model
    for program in app/app_medical app/app_medical_headers; do
      if [ -x "$program" ]; then "$program"; fi
    done
    ;;
  add_subdirectory | fetch_content)
    configure
    make_app app
    app/app
    # A part of somebody's project installs, tests and builds nothing of its own.
    if ctest --test-dir app -N 2>/dev/null | grep -q test_core; then echo "the tests of vitals got in"; exit 1; fi
    ;;
  plain)
    # Both translation units include everything there is: a function that is not inline would be defined twice.
    "$compiler" -std=c++20 -Wall -Wextra -Werror -include vitals/evaluation.hpp "$@" "$here/main.cpp" "$here/first.cpp" \
      -o app -pthread -lz
    ./app
    ;;
  library)
    # A shared library that uses vitals header-only, in a program that does too: the loader makes them one.
    "$compiler" -std=c++20 "$@" -shared -fPIC "$here/first.cpp" -o libfirst.so -pthread -lz
    "$compiler" -std=c++20 "$@" "$here/main.cpp" -o app -L . -lfirst -Wl,-rpath,"$folder" -pthread -lz
    ./app
    ;;
  *) echo "unknown way '$how'"; exit 2 ;;
esac

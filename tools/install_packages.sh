#!/usr/bin/env bash
# Installs what vitals needs to be built, and only what is missing, with apt-get (as root, or through sudo).
#
#   tools/install_packages.sh [build|test]...
#
#   build   compiler, CMake, Ninja and the libraries that the headers and the programs include
#   test    what the tests need besides (the default is both)
#
#   --list  print the names of the packages and end
#   --help  this text
#
# Nothing happens where everything is there. Without apt-get it names what to install and goes on: CMake says what it
# does not find. Exit 1 where something is missing and cannot be installed.
set -euo pipefail
# shellcheck source=tools/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build_packages=(g++ cmake ninja-build libeigen3-dev zlib1g-dev rapidjson-dev libstb-dev libcli11-dev
  libnifti-dev libgdcm-dev libhdf5-dev)
test_packages=(catch2 nlohmann-json3-dev)

wanted=()
list=0
for argument in "$@"; do
  case $argument in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    --list) list=1 ;;
    --help | -h) help_text; exit 0 ;;
    *) usage_error "unknown argument '$argument'" ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || wanted=("${build_packages[@]}" "${test_packages[@]}")
if [ "$list" = 1 ]; then printf '%s\n' "${wanted[@]}"; exit 0; fi

# A tool counts as there when it can be called, wherever it comes from; a library when its package is installed.
there() {
  case $1 in
    g++) command -v g++ >/dev/null ;;
    cmake) command -v cmake >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    *) [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
  esac
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  note "no apt-get here: install what these Debian packages hold by your own means: ${wanted[*]}"
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do there "$package" || missing+=("$package"); done
if [ ${#missing[@]} -eq 0 ]; then note "all packages are there"; exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "packages are missing and this is neither root nor is sudo there; as root run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi

note "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$log" 2>&1; }
# An update that fails (no network, one dead source) need not stop an installation that works from what is at hand.
apt update || note "apt-get update failed; trying with the package lists that are there"
if ! apt install -y --no-install-recommends "${missing[@]}"; then
  tail -n 15 "$log" >&2
  die "apt-get install failed; as root run: apt-get update && apt-get install ${missing[*]}"
fi

#!/usr/bin/env bash
# tools/fetch_weights against a local folder (file://): whole, continued, wrong sum, unknown name, nothing there.
#   fetch_weights.sh PATH_OF_THE_TOOL
# shellcheck disable=SC2317  # functions are called through check
set -euo pipefail
tool=$1
command -v curl >/dev/null || { echo "skipped: needs curl"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
check() {  # check WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then echo "ok   $what"; else echo "FAIL $what"; failed=1; fi
}
status_of() { local status=0; "$@" >"$folder/out" 2>"$folder/err" || status=$?; echo "$status"; }
says() { grep -qF -- "$1" "$folder/err"; }

mkdir -p "$folder/site/toy"
seq 1 50000 >"$folder/site/toy/toy.pth"
seq 2 50001 >"$folder/site/toy/false.pth"
sum=$(sha256sum "$folder/site/toy/toy.pth" | cut -d' ' -f1)
printf 'toy toy/toy.pth %s\nfalse toy/false.pth %s\ngone toy/gone.pth %s\n' "$sum" "$sum" "$sum" >"$folder/table"
fetch() { "$tool" --base-url "file://$folder/site" --table "$folder/table" --to "$folder/to" "$@"; }

check "the whole file arrives" [ "$(status_of fetch toy)" = 0 ]
check "it is the same file" cmp -s "$folder/to/toy.pth" "$folder/site/toy/toy.pth"
check "no part is left" [ ! -e "$folder/to/toy.pth.part" ]
check "a second call finds it" [ "$(status_of fetch toy)" = 0 ]
check "and says so" grep -q "already there" "$folder/out"

rm "$folder/to/toy.pth"
head -c 100000 "$folder/site/toy/toy.pth" >"$folder/to/toy.pth.part"
# The start is not sent again: with other bytes at the start of the source the file is whole only if it was continued.
cp "$folder/site/toy/toy.pth" "$folder/whole"
{ head -c 1000 /dev/zero; tail -c +1001 "$folder/whole"; } >"$folder/site/toy/toy.pth"
check "a part is continued" [ "$(status_of fetch toy)" = 0 ]
check "and the file is whole" cmp -s "$folder/to/toy.pth" "$folder/whole"

rm "$folder/to/toy.pth"
cp "$folder/whole" "$folder/to/toy.pth.part"
check "a whole part is only renamed" [ "$(status_of fetch toy)" = 0 ]
check "and is in place" cmp -s "$folder/to/toy.pth" "$folder/whole"

check "a wrong sum is refused" [ "$(status_of fetch false)" = 1 ]
check "with both sums" says "expected $sum"
check "nothing stands under the name" [ ! -e "$folder/to/false.pth" ]
check "nor as a part" [ ! -e "$folder/to/false.pth.part" ]

echo changed >"$folder/to/toy.pth"
check "somebody's own file is not overwritten" [ "$(status_of fetch toy)" = 1 ]
check "it stays as it was" [ "$(cat "$folder/to/toy.pth")" = changed ]

check "a missing file is an error" [ "$(status_of fetch gone)" = 1 ]
check "and leaves no empty part" [ ! -e "$folder/to/gone.pth.part" ]
check "an unknown name is a wrong command line" [ "$(status_of fetch tiny)" = 2 ]
check "the names are listed" says "toy, false, gone"
check "no name is a wrong command line" [ "$(status_of fetch)" = 2 ]
check "--list knows eight files" [ "$("$tool" --list | wc -l)" = 8 ]
check "--list has whole sums" [ "$("$tool" --list | awk 'length($3) != 64' | wc -l)" = 0 ]
exit "$failed"

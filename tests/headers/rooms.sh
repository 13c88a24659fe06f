#!/usr/bin/env bash
# The rules of the house that a compiler does not check: a room includes only rooms below it (docs/house.md), includes
# are written <vitals/...>, nothing costly or printing stands in the library, no file is over 600 lines.
#   rooms.sh PROJECT_FOLDER
set -euo pipefail
cd "$1/include/vitals"

# Ground floor first. report stands above everything but is included by nothing.
rooms=(core io metrics backend autograd nn models adapt heads losses data train eval report)
declare -A floor
for i in "${!rooms[@]}"; do floor[${rooms[$i]}]=$i; done

failed=0
complain() { echo "$1"; failed=1; }

for folder in */; do
  [ -n "${floor[${folder%/}]:-}" ] || complain "include/vitals/$folder: a room without a floor; add it to tests/headers/rooms.sh and docs/house.md"
done

while IFS=: read -r file line text; do
  from=${file%%/*}
  [ "$from" != "$file" ] || continue  # the umbrella may include everything
  to=${text#*<vitals/}
  case $to in
    */*) to=${to%%/*} ;;
    *) complain "include/vitals/$file:$line: includes the umbrella"; continue ;;
  esac
  if [ -z "${floor[$to]:-}" ] || [ -z "${floor[$from]:-}" ]; then continue; fi
  [ "${floor[$to]}" -le "${floor[$from]}" ] ||
    complain "include/vitals/$file:$line: $from includes $to, which stands above it"
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<vitals/' --include='*.hpp' --include='*.ipp' . | sed 's|^\./||')

# look WHAT REGEX: lines of the library that must not be there.
look() {
  local hits
  hits=$(grep -rnE --include='*.hpp' --include='*.ipp' "$2" . | sed 's|^\./|include/vitals/|' || true)
  [ -z "$hits" ] || complain "$1:
$hits"
}
look 'include with <vitals/...>' '^[[:space:]]*#[[:space:]]*include[[:space:]]*"'
look 'too costly for everybody who includes it' '#[[:space:]]*include[[:space:]]*<(iostream|regex|format|nlohmann/.*|CLI/.*|ostream)>'
look 'the library prints nothing' '(^|[^[:alnum:]_])(std::cout|std::cerr|std::clog|printf|puts|fprintf)[[:space:]]*(\(|<<|;)'
look 'errors are typed exceptions' '(^|[^[:alnum:]_])(assert|abort|exit|terminate)[[:space:]]*\('
for suffix in hpp ipp; do
  while read -r file; do
    grep -q '^#pragma once' "$file" || complain "include/vitals/$file: no #pragma once"
    head -n 1 "$file" | grep -q '^//' || complain "include/vitals/$file: the first line does not say what it is"
    lines=$(wc -l <"$file")
    [ "$lines" -le 400 ] || echo "include/vitals/$file: $lines lines; one idea a file, about 400"
    [ "$lines" -le 600 ] || complain "include/vitals/$file: that is too long"
  done < <(find . -name "*.$suffix" | sed 's|^\./||' | sort)
done
while read -r file; do
  [ -e "${file%.ipp}.hpp" ] || complain "include/vitals/$file: no ${file%.ipp}.hpp beside it"
done < <(find . -name '*.ipp' | sed 's|^\./||' | sort)
[ "$failed" = 0 ] && echo "$(find . -name '*.hpp' | wc -l) headers in $(find . -mindepth 1 -maxdepth 1 -type d | wc -l) rooms keep the rules"
exit "$failed"

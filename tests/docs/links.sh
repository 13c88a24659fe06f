#!/usr/bin/env bash
# Every relative link of the pages leads somewhere: the file exists, and #anchor is a heading of it.
#   links.sh PROJECT_FOLDER
# shellcheck disable=SC2016  # the backticks are Markdown
set -euo pipefail
cd "$1"
failed=0 count=0

# The anchor that GitHub gives a heading: lower case, punctuation dropped, blanks to hyphens.
anchors() {
  awk '/^```/ { inside = !inside } !inside && /^#+ / { sub(/^#+ /, ""); print }' "$1" |
    tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

pages=(README.md)
for page in docs/*.md; do if [ -e "$page" ]; then pages+=("$page"); fi; done
for page in "${pages[@]}"; do
  while read -r link; do
    case $link in http://* | https://* | mailto:*) continue ;; esac
    count=$((count + 1))
    file=${link%%#*} anchor=''
    [[ $link == *#* ]] && anchor=${link#*#}
    target=$page
    if [ -n "$file" ]; then target=$(dirname "$page")/$file; fi
    if [ ! -e "$target" ]; then echo "$page: $link leads nowhere"; failed=1; continue; fi
    if [ -n "$anchor" ] && [[ $target == *.md ]] && ! anchors "$target" | grep -qxF -- "$anchor"; then
      echo "$page: $link: $target has no such heading"
      failed=1
    fi
  done < <(awk '/^```/ { inside = !inside } !inside' "$page" | sed -E 's/[`][^`]*[`]//g' | grep -oE '\]\([^) ]+\)' | sed -E 's/^\]\((.*)\)$/\1/' || true)
done

# Every page can be reached from the README or the map.
for page in docs/*.md; do
  [ -e "$page" ] || continue
  [ "$page" = docs/house.md ] && continue
  grep -qF "$(basename "$page")" README.md docs/house.md || { echo "$page: neither README.md nor docs/house.md links it"; failed=1; }
done
[ "$failed" = 0 ] && echo "$count relative links in ${#pages[@]} pages lead somewhere"
exit "$failed"

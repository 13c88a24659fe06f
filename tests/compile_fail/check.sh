#!/usr/bin/env bash
# One source that must not compile. It holds the mistake, and under `#ifdef FIXED` the same without the mistake:
#   - with -DFIXED it compiles, so that it cannot fail for another reason;
#   - without, it does not, and one line of what the compiler says matches the regular expression that follows
#     `// EXPECT: `, so that a user is told what is wrong. `// EXPECT clang++: ` is for one compiler. Each of several
#     such lines must be found.
#   check.sh SOURCE COMPILER [FLAGS...]
set -euo pipefail
source=$1 compiler=$2
shift 2
command=("$compiler" -std=c++20 -fsyntax-only -Wall -Wextra "$@")

kind=g++
"$compiler" --version | grep -q clang && kind=clang++
mapfile -t expected < <(sed -nE "s#^// EXPECT( ${kind//+/\\+})?: ##p" "$source")
[ ${#expected[@]} -gt 0 ] || { echo "no line '// EXPECT: regex' in $source"; exit 1; }

if ! "${command[@]}" -Werror -DFIXED "$source"; then
  echo "FAIL $source does not compile without the mistake either"
  exit 1
fi
if said=$("${command[@]}" "$source" 2>&1); then
  echo "FAIL $source compiles"
  exit 1
fi
for regex in "${expected[@]}"; do
  if ! grep -qE -- "$regex" <<<"$said"; then
    printf 'FAIL %s does not say: %s\n%s\n' "$source" "$regex" "$(head -n 40 <<<"$said")"
    exit 1
  fi
  grep -m 1 -E -- "$regex" <<<"$said"
done

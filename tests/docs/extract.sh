#!/usr/bin/env bash
# The C++ of a page of documentation, as sources that can be compiled.
#   extract.sh PAGE.md OUT_FOLDER NAME
#
#   ```cpp            a whole program (it has an `int main`): OUT_FOLDER/NAME_1.cpp, NAME_2.cpp ..., compiled and run
#   ```cpp norun      a whole program that is compiled only
#   ```cpp fragment   all fragments of a page, in their order, are the body of one function: OUT_FOLDER/NAME_fragments.cpp,
#                     compiled only (_norun in the name). Their #include lines and `namespace x = y;` go to the top of the file.
#   ```cpp top        goes to the top of the fragments' file as it stands (functions, constants)
#
# A block inside an HTML comment is taken too: a page can hold what its fragments need without showing it. Line numbers
# of compiler messages are those of the page. Nothing else is a C++ block: ```cpp with another word is an error.
set -euo pipefail
page=$1 out=$2 name=$3
mkdir -p "$out"
awk -v page="$page" -v out="$out" -v name="$name" '
  function begin_at(line) { return "#line " line " \"" page "\"\n" }
  /^```/ && !inside {
    inside = 1; kind = ""; text = ""; start = NR + 1
    if ($0 ~ /^```cpp/) {
      kind = $0; sub(/^```cpp[ ]*/, "", kind)
      if (kind == "") kind = "program"
      if (kind !~ /^(program|norun|fragment|top)$/) {
        print page ":" NR ": unknown kind of block \"" kind "\"" > "/dev/stderr"; bad = 1
      }
    }
    next
  }
  /^```/ && inside {
    inside = 0
    if (kind == "program" || kind == "norun") {
      if (text !~ /int main\(/) {
        print page ":" start ": no int main: a whole program, or ```cpp fragment" > "/dev/stderr"; bad = 1
      }
      file = out "/" name "_" ++programs (kind == "norun" ? "_norun" : "") ".cpp"
      printf "%s%s", begin_at(start), text > file
      close(file)
    } else if (kind == "top") {
      top = top begin_at(start) text
    } else if (kind == "fragment") {
      body = body begin_at(start) text
    }
    next
  }
  inside && kind == "fragment" && /^(#include|namespace [a-z]+ = )/ {
    head = head begin_at(NR) $0 "\n"; text = text "\n"; next
  }
  inside { text = text $0 "\n" }
  END {
    if (inside) { print page ": a block without an end" > "/dev/stderr"; bad = 1 }
    if (body != "" || top != "") {
      file = out "/" name "_fragments_norun.cpp"
      printf "%s%s", head, top > file
      print "namespace { [[maybe_unused]] void fragments() {" > file
      printf "%s", body > file
      print "} }\nint main() {}" > file
    }
    exit bad
  }' "$page"

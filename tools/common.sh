# Sourced by the scripts beside it: stages with their times, a log for what is long, one way to fail.
# shellcheck shell=bash disable=SC2034

# Where the project is; scripts may be called from anywhere.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(basename "$0")
verbose=${verbose:-0}

# die WHAT: one line on stderr, exit 1.  usage_error WHAT: the command line is wrong, exit 2.
die() { printf '%s: error: %s\n' "$program" "$*" >&2; exit 1; }
usage_error() { printf '%s: error: %s; see --help\n' "$program" "$*" >&2; exit 2; }

# The first comment block of the calling script is its --help.
help_text() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

stage() { printf '== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }

# seconds SINCE: whole seconds since a value of $SECONDS.
took() { local s=$((SECONDS - $1)); printf '%d min %02d s' $((s / 60)) $((s % 60)); }

# logged LOG COMMAND...: runs it with its output in LOG (also on the terminal with --verbose). When it fails, shows the
# lines that say why and gives its exit status.
logged() {
  local log=$1 status=0
  shift
  mkdir -p "$(dirname "$log")"
  if [ "$verbose" = 1 ]; then
    "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
  else
    "$@" >"$log" 2>&1 || status=$?
  fi
  if [ "$status" -ne 0 ] && [ "$verbose" != 1 ]; then
    grep -nE '(error|Error|FAILED|undefined reference|\*\*\*)' "$log" | head -n 20 >&2 || true
    printf '   ... the end of %s:\n' "$log" >&2
    tail -n 15 "$log" >&2
  fi
  return "$status"
}

# Processors this process may use.
processors() { nproc 2>/dev/null || echo 1; }

# How many compilers at once: one a processor, but about 2 GB of memory for each.
compile_jobs() {
  local n free
  n=$(processors)
  free=$(awk '/^MemAvailable/ { print int($2 / 2000000) }' /proc/meminfo 2>/dev/null || echo "$n")
  [ "${free:-0}" -ge 1 ] || free=1
  echo $((n < free ? n : free))
}

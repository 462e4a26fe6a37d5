#!/bin/bash
# run.sh BUILD SANITIZED: every test of BUILD, the unit tests of SANITIZED too, and at the end how many there were.
# A skip is a failure on a machine that has what the lab probes for.
set -uo pipefail
build=$1 sanitized=$2
failed=0
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# Those labelled root start the real programs, which the lab runs too, without sanitizers.
echo "== unit tests under address and undefined-behaviour sanitizers"
ctest --test-dir "$sanitized" -L unit -LE root --output-on-failure -j2 --no-tests=error || failed=1
unset ASAN_OPTIONS UBSAN_OPTIONS
echo "== unit tests, checks of the tree, end to end in the lab"
ctest --test-dir "$build" -LE fuzz --output-on-failure -j2 --no-tests=error || failed=1

skipped=$(cat "$build"/Testing/Temporary/LastTest.log "$sanitized"/Testing/Temporary/LastTest.log |
          grep -E '^\[  SKIPPED \]|^SKIP: ' | sort -u)
if [ -n "$skipped" ]; then
  echo "$skipped"
  if "$(dirname "$0")/../lab/netserv-lab" probe >/dev/null; then
    echo "skipped although the machine has everything: this is a failure"
    failed=1
  fi
fi
exit $failed

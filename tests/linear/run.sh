#!/usr/bin/env bash
# Work is in proportion to the input, in whatever way it comes and its answers are taken: twice the steps may
# take twice the instructions, not four times. Counted by callgrind, so that no clock has a say. Last, a control
# that is quadratic, which has to be noticed.
#
# Needs Cargo and valgrind.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked --target-dir "$target"
program=$target/release/sockless-linear
. ../../benches/callgrind.sh

instructions() { # workload n
    local log
    log=$(callgrind "$program" "$1" "$2") || return
    awk '/Collected/ {print $4}' <<<"$log"
}

# How many times as much the second doubling took as the first, in hundredths: 200 if the work is linear.
growth() { # workload
    local one two four
    one=$(instructions "$1" 16384) || return
    two=$(instructions "$1" 32768) || return
    four=$(instructions "$1" 65536) || return
    echo "$((100 * (four - two) / (two - one))) $((four / 65536))"
}

names=$("$program")
failed=0 tried=0
while read -r workload; do
    tried=$((tried + 1))
    grown=$(growth "$workload") || { echo "FAIL $workload: it does not run"; failed=1; continue; }
    read -r times step <<<"$grown"
    verdict=ok
    [ "$times" -le 240 ] || { verdict=FAIL; failed=1; }
    printf '%-4s %-57s x %d.%02d, %d instructions a step\n' "$verdict" "$workload" $((times / 100)) $((times % 100)) "$step"
done <<<"$names"
[ "$tried" -ge 30 ] || { echo "FAIL $tried workloads: some are missing"; failed=1; }
if grown=$(growth control) && [ "${grown% *}" -gt 300 ]; then
    echo "ok   the control was noticed"
else
    echo "FAIL the control passes, or does not run: nothing is shown"
    failed=1
fi
exit "$failed"

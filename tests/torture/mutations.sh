#!/usr/bin/env bash
# Shows that the torture test finds faults: makes one at a time in a copy of the crate, and expects it to fail.
# Prints a line for each. Needs Cargo and Python 3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

mkdir -p "$copy/tests"
cp -r "$root/src" "$root/README.md" "$root/DESIGN.md" "$root/LICENSE" "$copy"
cp -r "$here" "$copy/tests/torture"
# Without the workspace, whose members are not copied.
sed '/^\[workspace\]/,$d' "$root/Cargo.toml" >"$copy/Cargo.toml"
export CARGO_TARGET_DIR=${TORTURE_TARGET_DIR:-$copy/target} RUST_BACKTRACE=0
export SOCKLESS_LIVES=${SOCKLESS_LIVES:-10000}

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok    $1"; }
fail() { failed=$((failed + 1)); echo "FAIL  $1"; }

# torture: builds it and runs it; its output is in $copy/log.
torture() {
    (cd "$copy/tests/torture" && cargo build --release --quiet 2>"$copy/log") || {
        cat "$copy/log" >&2
        exit 1
    }
    timeout 300 "$CARGO_TARGET_DIR/release/sockless-torture" >"$copy/log" 2>&1
}

# mutate WHAT FILE OLD NEW: the fault, made at the first place where OLD stands.
mutate() {
    cp "$copy/src/$2" "$copy/before"
    python3 - "$copy/src/$2" "$3" "$4" <<'PYTHON'
import sys

path, old, new = sys.argv[1:]
text = open(path).read()
assert old in text, f"{path} has no {old!r}"
open(path, "w").write(text.replace(old, new, 1))
PYTHON
    if torture; then
        fail "$1: not found"
    else
        ok "$1: $(grep -m1 -A1 panicked "$copy/log" | tail -1 | cut -c1-80), $(grep -m1 '^FAIL' "$copy/log" | cut -c7-)"
    fi
    cp "$copy/before" "$copy/src/$2"
}

if torture; then ok "no fault"; else fail "no fault"; tail -20 "$copy/log"; fi
mutate "a flush is not remembered" connection/poll.rs \
    'self.is_unflushed = false;' ''
mutate "a flush is not asked for" connection/sending.rs \
    '(self.is_unflushed, self.is_stuck) = (true, false);' 'self.is_stuck = false;'
mutate "a failed write is not remembered" connection/poll.rs \
    'self.is_broken = true;' ''
mutate "the shutdown is asked for again" connection/poll.rs \
    'self.is_shut = true;' ''
mutate "close_timeout is not looked at" connection/clock.rs \
    'timeouts.close,' 'NEVER,'
mutate "write_timeout is not looked at" connection/clock.rs \
    'nanos(config.write_timeout)' 'NEVER'
mutate "output in flight is forgotten" connection/queue.rs \
    'self.waiting().saturating_add(self.in_flight())' 'self.waiting()'
mutate "the high-water mark is off by one" connection/poll.rs \
    'self.buffered_amount() <= self.sender' 'self.buffered_amount() < self.sender'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

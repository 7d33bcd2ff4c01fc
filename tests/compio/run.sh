#!/usr/bin/env bash
# examples/compio_echo, whose loop owns its buffers, driven by Python `websockets`. Needs Cargo and Python 3.11.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
venv=$root/tests/interop/.venv

cd "$root"
cargo build --release --locked -p compio_echo
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/interop/requirements.txt"

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
PYTHONPATH=$root/tests/interop timeout --kill-after=10 240 "$venv/bin/python" "$here/client.py" "$target/compio_echo" |
    tee "$results" || status=1
passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "$passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

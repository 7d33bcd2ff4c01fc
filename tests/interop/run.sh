#!/usr/bin/env bash
# Other implementations against the examples: Node `ws` and Python `websockets`, as clients of echo_std
# and as servers of client_std. Needs Cargo, Node and Python 3.11.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

cd "$here"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt

cd "$root"
cargo build --release --locked --features deflate --example echo_std --example client_std
examples=${CARGO_TARGET_DIR:-$root/target}/release/examples

results=$(mktemp)
trap 'rm -f "$results"' EXIT
broken=0
peer() {
    timeout --foreground --kill-after=10 120 "$@" | tee -a "$results" || broken=1
}
peer node "$here/node_client.mjs" "$examples/echo_std"
peer node "$here/node_server.mjs" "$examples/client_std"
peer node "$here/node_deflate.mjs" "$examples/echo_std" "$examples/client_std"
peer "$here/.venv/bin/python" "$here/python_client.py" "$examples/echo_std"
peer "$here/.venv/bin/python" "$here/python_server.py" "$examples/client_std"
peer "$here/.venv/bin/python" "$here/python_deflate.py" "$examples/echo_std" "$examples/client_std"
peer "$here/.venv/bin/python" "$here/python_zlib.py" "$examples/echo_std"

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "$passed passed, $failed failed"
# A script that stopped half-way has not passed either.
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ "$broken" -eq 0 ]

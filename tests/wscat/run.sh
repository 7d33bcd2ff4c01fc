#!/usr/bin/env bash
# examples/wscat against Node `ws` (both ways, with TLS and without), Python `websockets`, echo_std and
# itself. Needs Cargo, Node, Python 3.11 and openssl. Node's and Python's packages are those of
# tests/interop.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
interop=$root/tests/interop

cd "$interop"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt

cd "$root"
cargo build --release --locked --features deflate --example echo_std
cargo build --release --locked -p wscat
target=${CARGO_TARGET_DIR:-$root/target}/release

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# An authority, and a server that it vouches for.
{
    cd "$scratch"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=authority -keyout authority.key -out authority.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -subj /CN=server -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' >server.ext
    openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
        -extfile server.ext -out server.pem
    cd "$root"
} 2>"$scratch/openssl.log" || { cat "$scratch/openssl.log"; exit 1; }

results=$scratch/results
broken=0
peer() {
    timeout --foreground --kill-after=10 180 "$@" | tee -a "$results" || broken=1
}
peer node "$here/node_server.mjs" "$target/wscat" "$scratch"
peer node "$here/listen.mjs" "$target/wscat" "$target/examples/echo_std" "$scratch"
PYTHONPATH=$interop peer "$interop/.venv/bin/python" "$here/python_server.py" "$target/wscat"

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "$passed passed, $failed failed"
# A script that stopped half-way has not passed either.
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ "$broken" -eq 0 ]

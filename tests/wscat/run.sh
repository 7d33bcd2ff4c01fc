#!/usr/bin/env bash
# examples/wscat against Node `ws` (both ways, with TLS and without), Python `websockets`, echo_std and
# itself. Needs Cargo, Node, Python 3.11 and openssl.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python
cargo build --release --locked --features deflate --example echo_std
cargo build --release --locked -p wscat

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

peer 180 node "$here/node_server.mjs" "$target/wscat" "$scratch"
peer 180 node "$here/listen.mjs" "$target/wscat" "$target/examples/echo_std" "$scratch"
PYTHONPATH=$root/tests/interop peer 180 "$python" "$here/python_server.py" "$target/wscat"
summary

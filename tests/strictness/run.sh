#!/usr/bin/env bash
# How strict servers are: the same wrong and right bytes to this crate's and to others', over sockets, into
# docs/strictness.md. Fails where ours does not do what the RFC wants. What the others do is only told.
#
# Needs Cargo, Node and Python 3.11. The servers are those of benches/sockets, and one on Python `websockets`.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python

cd benches/sockets
cargo build --quiet --release --locked
program=${CARGO_TARGET_DIR:-$PWD/target}/release/sockless-sockets
npm_install node

of_crate() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/$1 \1/p}" Cargo.lock; }
ws=$(node --print 'require("./node/node_modules/ws/package.json").version')
websockets=$("$python" -c 'import websockets; print(websockets.__version__)')
python3 "$here/probe.py" "$root/docs/strictness.md" \
    "sockless=$program serve std" \
    "$(of_crate tungstenite)=$program serve tokio-tungstenite" \
    "$(of_crate fastwebsockets)=$program serve fastwebsockets" \
    "$(of_crate tokio-websockets)=$program serve tokio-websockets" \
    "$(of_crate sockudo-ws)=$program serve sockudo-ws" \
    "Node ws $ws=node node/echo.mjs" \
    "Python websockets $websockets=$python $here/echo.py"

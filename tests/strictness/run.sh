#!/usr/bin/env bash
# How strict servers and clients are: the same wrong and right bytes to this crate's and to others', over sockets,
# into docs/strictness.md. Fails where ours does not do what the RFC wants. What the others do is only told.
#
# Needs Cargo, Node and Python 3.11. Most of them are those of benches/sockets; the others are on packages of
# Python.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python

cd benches/sockets
cargo build --quiet --release --locked
program=${CARGO_TARGET_DIR:-$PWD/target}/release/sockless-sockets
npm_install node

of_crate() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/$1 \1/p}" Cargo.lock; }
ws=$(node --print 'require("./node/node_modules/ws/package.json").version')
version() { "$python" -c "import $1; print($1.__version__)"; }
websockets=$(version websockets)
python3 "$here/probe.py" "$root/docs/strictness.md" \
    "sockless=$program serve std" \
    "$(of_crate tungstenite)=$program serve tokio-tungstenite" \
    "$(of_crate fastwebsockets)=$program serve fastwebsockets" \
    "$(of_crate tokio-websockets)=$program serve tokio-websockets" \
    "$(of_crate sockudo-ws)=$program serve sockudo-ws" \
    "Node ws $ws=node node/echo.mjs" \
    "Python websockets $websockets=$python $here/echo.py" \
    -- \
    "sockless=$program connect std" \
    "$(of_crate tungstenite)=$program connect tungstenite" \
    "Node ws $ws=node node/connect.mjs" \
    "Python websockets $websockets=$python $here/connect.py websockets" \
    "Python aiohttp $(version aiohttp)=$python $here/connect.py aiohttp"

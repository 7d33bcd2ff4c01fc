#!/usr/bin/env bash
# How strict servers and clients are: the same wrong and right bytes to this crate's and to others', over
# sockets, into docs/strictness.md. Fails where ours does not do what the RFC wants. What the others do is only
# told.
#
# Needs Cargo, Node and Python 3.11. The servers are those of benches/sockets, and one on Python `websockets`;
# the clients are here.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python
"$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"

cargo build --quiet --release --locked --manifest-path "$here/clients/Cargo.toml"
client=${CARGO_TARGET_DIR:-$here/clients/target}/release/sockless-strictness

cd benches/sockets
cargo build --quiet --release --locked
program=${CARGO_TARGET_DIR:-$PWD/target}/release/sockless-sockets
npm_install node

of_crate() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/$1 \1/p}" "${2:-Cargo.lock}"; }
ws=$(node --print 'require("./node/node_modules/ws/package.json").version')
of_python() { "$python" -c "import $1; print($1.__version__)"; }
websockets=$(of_python websockets)
python3 "$here/probe.py" "$root/docs/strictness.md" \
    "sockless=$program serve std" \
    "$(of_crate tungstenite)=$program serve tokio-tungstenite" \
    "$(of_crate fastwebsockets)=$program serve fastwebsockets" \
    "$(of_crate tokio-websockets)=$program serve tokio-websockets" \
    "$(of_crate sockudo-ws)=$program serve sockudo-ws" \
    "Node ws $ws=node node/echo.mjs" \
    "Python websockets $websockets=$python $here/echo.py" \
    -- \
    "sockless=$client sockless" \
    "$(of_crate tungstenite "$here/clients/Cargo.lock")=$client tungstenite" \
    "Node ws $(node --print 'require("../../tests/node/node_modules/ws/package.json").version')=node $here/client.mjs" \
    "Python websockets $websockets=$python $here/client.py websockets" \
    "aiohttp $(of_python aiohttp)=$python $here/client.py aiohttp"

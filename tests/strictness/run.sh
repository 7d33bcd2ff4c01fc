#!/usr/bin/env bash
# How strict servers are: the same wrong and right bytes to this crate's and to others', over sockets, into
# docs/strictness.md. Fails where ours does not do what the RFC wants. What the others do is only told.
#
# Needs Cargo, Node and Python 3.11. The servers are those of benches/sockets, and one on Python `websockets`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

cd "$root/benches/sockets/node"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
version() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/\1/p}" ../Cargo.lock; }
ws=$(node --print 'require("./node_modules/ws/package.json").version')
tungstenite=$(version tungstenite) fastwebsockets=$(version fastwebsockets)
tokio_websockets=$(version tokio-websockets) sockudo_ws=$(version sockudo-ws)

cd "$root/tests/interop"
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
python=$PWD/.venv/bin/python
websockets=$("$python" -c 'import websockets; print(websockets.__version__)')

cd "$root/benches/sockets"
cargo build --quiet --release --locked
program=${CARGO_TARGET_DIR:-$PWD/target}/release/sockless-sockets

python3 "$here/probe.py" "$root/docs/strictness.md" \
    "sockless=$program serve std" \
    "tungstenite $tungstenite=$program serve tokio-tungstenite" \
    "fastwebsockets $fastwebsockets=$program serve fastwebsockets" \
    "tokio-websockets $tokio_websockets=$program serve tokio-websockets" \
    "sockudo-ws $sockudo_ws=$program serve sockudo-ws" \
    "Node ws $ws=node node/echo.mjs" \
    "Python websockets $websockets=$python $here/echo.py"

#!/usr/bin/env bash
# examples/axum_chat, which is sockless-tokio behind axum, against Python `websockets` and Chromium.
#
# Needs Cargo, Node, Python 3.11 and Chromium. Where there is apt-get and the right to use it, Chromium is
# installed if it is missing. CHROMIUM names another executable.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_python
find_chromium
cargo build --release --locked -p axum_chat

export PYTHONPATH=$root/tests/interop
peer 120 "$python" "$here/python_client.py" "$target/axum_chat"
peer 120 node "$here/browser.mjs" "$target/axum_chat" "$chromium"
summary

#!/usr/bin/env bash
# WebSockets behind HTTP stacks: examples/hyper_upgrade and examples/h2_server against Node `ws`, raw
# sockets, Node's `http2` and Chromium.
#
# Needs Cargo, Node and Chromium. Where there is apt-get and the right to use it, Chromium is installed if
# it is missing. CHROMIUM names another executable.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_chromium
cargo build --release --locked -p hyper_upgrade -p h2_server

peer 180 node "$here/hyper.mjs" "$target/hyper_upgrade"
peer 180 node "$here/h2.mjs" "$target/h2_server"
peer 180 node "$here/browser.mjs" "$target/hyper_upgrade" "$target/h2_server" "$chromium"
summary

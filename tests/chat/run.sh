#!/usr/bin/env bash
# examples/chat_tokio with real browsers, raw clients and a Redis of its own: rooms, tokens, files, private
# messages, slow readers, restarts, and rooms shared by two servers while Redis comes and goes.
# Leaves screenshots in tests/chat/screenshots/.
#
# Needs Cargo, Node, Chromium and redis-server. Where there is apt-get and the right to use it, the latter
# two are installed if they are missing. CHROMIUM and REDIS_SERVER name other executables.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_chromium
redis=${REDIS_SERVER:-$(install_program redis-server)}
cargo build --release --locked -p chat_tokio

peer 400 node "$here/check.mjs" "$target/chat_tokio" "$redis" "$chromium"
summary

#!/usr/bin/env bash
# examples/chat_tokio with real browsers, raw clients and a Redis of its own: rooms, tokens, files, private
# messages, slow readers, restarts, and rooms shared by two servers while Redis comes and goes.
# Leaves screenshots in tests/chat/screenshots/.
#
# Needs Cargo, Node, Chromium and redis-server. Where there is apt-get and the right to use it, the latter
# two are installed if they are missing. CHROMIUM and REDIS_SERVER name other executables.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

chromium=${CHROMIUM:-$(command -v chromium || true)}
redis=${REDIS_SERVER:-$(command -v redis-server || true)}
if [ -z "$chromium" ] || [ -z "$redis" ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium redis-server
    chromium=${chromium:-$(command -v chromium)}
    redis=${redis:-$(command -v redis-server)}
fi

cd "$here"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error

cd "$root"
cargo build --release --locked -p chat_tokio
server=${CARGO_TARGET_DIR:-$root/target}/release/chat_tokio

timeout --foreground --kill-after=10 400 node "$here/check.mjs" "$server" "$redis" "$chromium"

#!/usr/bin/env bash
# A real browser against examples/echo_std: its page, text, the pushed lines, binary, compression, the
# close.
# Leaves screenshots in tests/browser/screenshots/.
#
# Needs Cargo, Node and Chromium. Where there is apt-get and the right to use it, Chromium is
# installed if it is missing. CHROMIUM names another executable.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

chromium=${CHROMIUM:-$(command -v chromium || true)}
if [ -z "$chromium" ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fonts-wqy-microhei
    chromium=$(command -v chromium)
fi

cd "$here"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error

cd "$root"
cargo build --release --locked --features deflate --example echo_std
server=${CARGO_TARGET_DIR:-$root/target}/release/examples/echo_std

timeout --foreground --kill-after=10 180 node "$here/check.mjs" "$server" "$chromium"

#!/usr/bin/env bash
# A real browser against examples/echo_std: its page, text, the pushed lines, binary, compression, the
# close.
# Leaves screenshots in tests/browser/screenshots/.
#
# Needs Cargo, Node and Chromium. Where there is apt-get and the right to use it, Chromium is
# installed if it is missing. CHROMIUM names another executable.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
find_chromium
cargo build --release --locked --features deflate --example echo_std

peer 180 node "$here/check.mjs" "$target/examples/echo_std" "$chromium"
summary

#!/usr/bin/env bash
# How connections end, and what all of them together may hold, at each server of examples/: the processor
# time of a server whose peer withholds its end of the transport, Closes when the server ends, the memory
# under compressed bombs and unread echoes, and pages that pretend to be the chat's own.
#
# Needs Cargo and Python 3 on Linux.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
cargo build --release --locked -p chat_tokio -p epoll_mio -p h2_server -p hyper_upgrade -p smol_echo -p wscat
cargo build --release --locked --features deflate --example echo_std
timeout --foreground --kill-after=10 180 python3 "$here/check.py" "${CARGO_TARGET_DIR:-$PWD/target}/release"

#!/usr/bin/env bash
# WebSockets behind HTTP stacks: examples/hyper_upgrade and examples/h2_server against Node `ws`, raw
# sockets, Node's `http2` and Chromium.
#
# Needs Cargo, Node and Chromium. Where there is apt-get and the right to use it, Chromium is installed if
# it is missing. CHROMIUM names another executable.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

chromium=${CHROMIUM:-$(command -v chromium || true)}
if [ -z "$chromium" ]; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium
    chromium=$(command -v chromium)
fi

cd "$here"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error

cd "$root"
cargo build --release --locked -p hyper_upgrade -p h2_server
examples=${CARGO_TARGET_DIR:-$root/target}/release

results=$(mktemp)
trap 'rm -f "$results"' EXIT
broken=0
peer() {
    timeout --foreground --kill-after=10 180 "$@" | tee -a "$results" || broken=1
}
peer node "$here/hyper.mjs" "$examples/hyper_upgrade"
peer node "$here/h2.mjs" "$examples/h2_server"
peer node "$here/browser.mjs" "$examples/hyper_upgrade" "$examples/h2_server" "$chromium"

passed=$(grep -c '^ok ' "$results" || true)
failed=$(grep -c '^FAIL ' "$results" || true)
echo "$passed passed, $failed failed"
# A script that stopped half-way has not passed either.
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ "$broken" -eq 0 ]

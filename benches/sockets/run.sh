#!/usr/bin/env bash
# Measures all servers, and writes docs/bench/sockets.md and docs/bench/sockets.csv.
#   run.sh [SECONDS [OPTION...]]
# SECONDS is the time for measuring, 360 if it is not given; compiling comes on top. The options are
# those of `sockless-sockets run --help`. Needs Cargo and Node.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
budget=${1:-360}
command="benches/sockets/run.sh${*:+ $*}"
shift || true

cd "$here/node"
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
ws=$(node --print 'require("./node_modules/ws/package.json").version')

cd "$here"
cargo build --release --locked
program=${CARGO_TARGET_DIR:-$here/target}/release/sockless-sockets

revision=$(git log -1 --format=%h -- "$root/src" "$root/Cargo.toml")
git diff --quiet HEAD -- "$root/src" "$root/Cargo.toml" || revision="$revision and changes"

mkdir -p "$root/docs/bench"
"$program" run --budget "$budget" \
    --external "ws $ws (Node $(node --version))=node node/echo.mjs" \
    --revision "$revision" --command "$command" \
    --csv "$root/docs/bench/sockets.csv" --markdown "$root/docs/bench/sockets.md" \
    "$@"

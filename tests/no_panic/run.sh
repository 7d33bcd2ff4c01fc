#!/usr/bin/env bash
# Proves that frames, masks, UTF-8 and close bodies cannot panic: the library links although what its panic
# handler calls does not exist. See src/lib.rs. The control does panic, and has to fail to link for that.
set -euo pipefail
cd "$(dirname "$0")"
export RUSTFLAGS='-C link-arg=-Wl,-z,defs'
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --quiet --release --locked --target-dir "$target"
echo "ok   no path to a panic"
log=$(mktemp)
trap 'rm "$log"' EXIT
if cargo build --quiet --release --locked --target-dir "$target" --features control >"$log" 2>&1; then
    echo "FAIL the control links, so nothing is proven"
    exit 1
fi
grep -q 'a_panic_is_reachable' "$log" || { cat "$log"; echo "FAIL the control does not link, for another reason"; exit 1; }
echo "ok   the control does not link"

#!/usr/bin/env bash
# Runs the torture test: 10,000 lives, or SOCKLESS_LIVES, from seed SOCKLESS_SEED on. Needs Cargo.
set -euo pipefail
cd "$(dirname "$0")"
cargo run --release --locked --quiet

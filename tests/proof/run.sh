#!/usr/bin/env bash
# Proves the codecs by symbolic execution of their machine code: see prove.py. Needs Cargo and Python 3.11
# on x86-64. With words, those proofs alone that have one of them in the title: run.sh [WORD...]
set -euo pipefail
cd "$(dirname "$0")"

[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt

target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --release --locked --target-dir "$target"
timeout --foreground --kill-after=10 1800 .venv/bin/python prove.py "$target/release/libsockless_proof.so" "$@"

#!/bin/sh
# The same program built in other ways, into results/:
#  - the XOR kernels with other target CPUs (what autovectorization gains)
#  - the client workloads with cryptographic mask keys everywhere
#  - soketto's and ratchet's permessage-deflate (C zlib for everybody)
#  - a plain release profile (no LTO, 16 codegen units)
set -eu
cd "$(dirname "$0")"
R=results
for cpu in x86-64 x86-64-v3 native; do
  RUSTFLAGS="-C target-cpu=$cpu" cargo build --release --no-default-features --target-dir target/cpu-$cpu 2>&1 | tail -1
  target/cpu-$cpu/release/sockless-peers masks --own --rounds 15 > $R/masks-$cpu.md
done
cargo build --release --features secure-rng --target-dir target/rng 2>&1 | tail -1
target/rng/release/sockless-peers send --roles client --loads text20,text1k --rounds 21 --ms 1 > $R/send-secure-rng.md
cargo build --release --features c-zlib --target-dir target/zlib 2>&1 | tail -1
target/zlib/release/sockless-peers deflate --rounds 15 --ms 2 > $R/deflate-c-zlib.md
cargo build --profile plain --target-dir target/plain 2>&1 | tail -1
target/plain/plain/sockless-peers recv --chunks 64k --rounds 21 --ms 1 > $R/recv-plain.md
target/plain/plain/sockless-peers send --rounds 21 --ms 1 > $R/send-plain.md

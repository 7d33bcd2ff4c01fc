#!/bin/sh
# Everything, into results/. About 15 minutes on two shared cores.
# Arguments are passed on (e.g. --rounds 31 --ms 2).
set -eu
cd "$(dirname "$0")"
cargo build --release --features codec 2>&1 | tail -1
B=target/release/sockless-peers
R=results
$B verify > $R/verify.txt
for c in recv send batch echo handshake memory deflate; do
  echo "$c ..." >&2
  $B $c --rounds 21 --ms 1 --csv $R/$c.csv "$@" > $R/$c.md
done
$B pieces --rounds 31 > $R/pieces.md
$B codec --rounds 31 > $R/codec.md
$B masks --rounds 21 > $R/masks.md

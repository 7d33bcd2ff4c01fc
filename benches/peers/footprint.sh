#!/bin/sh
# What each peer costs to depend on: crates, CPU seconds of a clean release
# build (-j1), bytes of stripped binary added to a program without any peer.
set -eu
cd "$(dirname "$0")"
O=results/footprint.md
T=target/footprint
one() {
  rm -rf $T
  s=$( { /usr/bin/env time -f '%U %S' cargo build -q -j1 --release --no-default-features --features "$1" --target-dir $T; } 2>&1 | tail -1)
  cpu=$(echo "$s" | awk '{printf "%.0f", $1+$2}')
  strip -o $T/bin $T/release/sockless-peers
  size=$(stat -c %s $T/bin)
  n=$(cargo tree -e normal --prefix none --no-default-features --features "$1" | sed 's/ (.*//' | sort -u | wc -l)
}
one ""
base=$size basen=$n basecpu=$cpu
{
  echo "baseline (no peer): $basen crates, $basecpu CPU s, $base bytes"
  echo
  echo "| peer | crates added | build CPU s added | binary bytes added |"
  echo "|---|---:|---:|---:|"
} > $O
for f in tungstenite fastwebsockets tokio-websockets soketto web-socket yawc sockudo-ws wtx websocket-sans-io ratchet; do
  one "$f"
  echo "| $f | $((n - basen)) | $((cpu - basecpu)) | $((size - base)) |" >> $O
done
cat $O

#!/usr/bin/env bash
# Everything, into results/, and from there the page and the charts in docs/bench/. About 15 minutes on two
# shared cores; nothing else should run beside it. Arguments are passed on, e.g. --rounds 31 --ms 2.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --locked
program=target/release/sockless-peers
mkdir -p results
$program verify > results/verify.txt
for command in recv send batch echo handshake memory deflate; do
    echo "$command ($SECONDS s)" >&2
    $program $command --rounds 21 --ms 1 --csv results/$command.csv "$@" > results/$command.md
done
echo "linear ($SECONDS s)" >&2
$program linear --rounds 9 --csv results/linear.csv > results/linear.md
echo "scale ($SECONDS s)" >&2
peers=sockless,sockudo-ws,tungstenite,fastwebsockets,tokio-websockets,soketto
$program scale --peers $peers --csv results/scale.csv > results/scale.md
python3 report.py results ../../docs/bench

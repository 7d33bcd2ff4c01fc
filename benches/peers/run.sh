#!/usr/bin/env bash
# Everything, into results/, and from there the page and the charts in docs/bench/. About 15 minutes on two
# shared cores; nothing else should run beside it. Arguments are passed on, e.g. --rounds 31 --ms 2.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --release --locked
program=target/release/sockless-peers
mkdir -p results
$program verify > results/verify.txt
# measure NAME COMMAND [OPTION]...
measure() {
    local name=$1
    shift
    echo "$name ($SECONDS s)" >&2
    $program "$@" --csv "results/$name.csv" >"results/$name.md"
}
short=text20,text125,text1k
measure recv recv --rounds 21 --ms 1 --chunks 64k "$@"
measure tiny recv --rounds 21 --ms 1 --chunks tiny --roles server --loads $short "$@"
measure send send --rounds 21 --ms 1 --loads $short,bin64k "$@"
measure echo echo --rounds 21 --ms 1 --chunks 64k --roles server --loads $short,bin64k "$@"
measure handshake handshake --rounds 21 --ms 1 "$@"
measure memory memory
measure deflate deflate --rounds 21 --ms 1 "$@"
measure linear linear --rounds 9
measure scale scale --peers sockless,sockudo-ws,tungstenite,fastwebsockets,tokio-websockets,soketto
python3 report.py results ../../docs/bench

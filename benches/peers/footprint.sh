#!/usr/bin/env bash
# What it costs to depend on each peer, with the features that the benchmark needs: crates, CPU seconds of
# a clean release build (one job), bytes added to a stripped program that uses it. Writes
# docs/bench/footprint.md; ten minutes.
set -euo pipefail
cd "$(dirname "$0")"
out=../../docs/bench/footprint.md
target=target/footprint
mkdir -p ../../docs/bench

# build FEATURES: sets crates, seconds and bytes.
build() {
    rm -rf "$target"
    local before after
    before=$(awk '{print $16 + $17}' /proc/$$/stat)
    cargo build --quiet --locked -j1 --release --no-default-features --features "$1" --target-dir "$target" 2>/dev/null
    after=$(awk '{print $16 + $17}' /proc/$$/stat)
    seconds=$(((after - before) / $(getconf CLK_TCK)))
    strip -o "$target/program" "$target/release/sockless-peers"
    bytes=$(stat -c %s "$target/program")
    crates=$(cargo tree --locked -e normal --prefix none --no-default-features --features "$1" | sed 's/ (.*//' | sort -u | wc -l)
}

build ""
without=("$crates" "$seconds" "$bytes")
{
    echo "# What a dependency costs"
    echo
    echo "Made by \`benches/peers/footprint.sh\` on $(date -I), $(rustc --version | cut -d' ' -f1,2): added to a program that has"
    echo "${without[0]} crates without any peer. The peers' own dependencies on the sockets of tokio are in it only where they"
    echo "cannot be left out."
    echo
    echo "| | crates | CPU seconds to build | bytes of program |"
    echo "|---|---:|---:|---:|"
    for peer in ours ours-deflate soketto tungstenite sockudo-ws tokio-websockets fastwebsockets yawc; do
        build "$peer"
        case $peer in
            ours) name='**sockless**' ;;
            ours-deflate) name='**sockless**, with compression' ;;
            *) name=$peer ;;
        esac
        echo "| $name | $((crates - without[0])) | $((seconds - without[1])) | $((bytes - without[2])) |"
    done
} >"$out"
cat "$out"

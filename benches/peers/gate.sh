#!/usr/bin/env bash
# Instructions that sockless takes for a message, against those in instructions.txt: a tenth more on any
# workload fails. Counted by callgrind, which does not mind how busy the machine is. `gate.sh --write` puts
# the present counts in the file, for a change that pays for what it costs, or that saves.
#
# Needs Cargo and valgrind. Another compiler, or a processor without AVX2, counts differently.
set -euo pipefail
cd "$(dirname "$0")"
cargo build --quiet --release --locked --no-default-features --features ours
program=${CARGO_TARGET_DIR:-target}/release/sockless-peers
# What is counted has to be right first.
"$program" verify --peers sockless >/dev/null
. ../callgrind.sh

# Messages and instructions of so many passes.
count() { # workload role reads passes
    local log
    log=$(callgrind "$program" icount --peers sockless \
        --loads "$1" --roles "$2" --chunks "$3" --n "$4") || return
    awk '/^MSGS/ {messages = $2} /Collected/ {taken = $4} END {
        if (messages <= 0 || taken <= 0) { print "nothing was counted" >"/dev/stderr"; exit 1 }
        print messages, taken }' <<<"$log"
}

counts=$(
    while read -r workload role reads; do
        # What two passes take less than six is no start-up.
        two=$(count "$workload" "$role" "$reads" 2) || exit
        six=$(count "$workload" "$role" "$reads" 6) || exit
        echo "$workload $role $reads $(((${six#* } - ${two#* }) / (${six% *} - ${two% *})))"
    done <<'WORKLOADS'
recv:text20 server 64k
recv:text125 server 64k
recv:text1k server 64k
recv:cjk1k server 64k
recv:pings server 64k
recv:text125 server tiny
recv:text20 client 64k
send:text20 server 64k
send:text1k server 64k
send:text20 client 64k
echo:text125 server 64k
accept:x server 64k
connect:x client 64k
WORKLOADS
)

if [ "${1-}" = --write ]; then
    echo "$counts" >instructions.txt
    cat instructions.txt
    exit
fi
paste -d ' ' <(echo "$counts") instructions.txt | awk '
    $1 != $5 || $2 != $6 || $3 != $7 { print "instructions.txt is for other workloads"; failed = 1; next }
    { verdict = $4 <= 0 || $4 > 1.1 * $8 ? "FAIL" : $4 < 0.9 * $8 ? "less" : "ok"
      printf "%-5s %-13s %-7s %-5s %6d instructions a message, %d before\n", verdict, $1, $2, $3, $4, $8
      if (verdict == "FAIL") failed = 1 }
    END { exit failed }'

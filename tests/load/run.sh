#!/usr/bin/env bash
# Many connections against examples/epoll_mio: 10,000 by default, 2,000 for a while with the argument
# `quick`; and some against examples/smol_echo. Prints the server's memory for each idle connection and the messages per second, and fails
# if a message is lost or changed, or a connection ends otherwise than it should. Nothing here is judged
# by its speed.
#
# Needs Cargo, Python 3 and, for 10,000 connections, 10,100 open files for a process.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

case ${1:-full} in
full) connections=10000 idle=5 seconds=30 churn=300 ;;
quick) connections=2000 idle=3 seconds=8 churn=100 ;;
*) echo "usage: $0 [full|quick]" >&2; exit 2 ;;
esac

files=$((connections + 100))
if [ "$(ulimit -n)" != unlimited ] && [ "$(ulimit -n)" -lt "$files" ] && ! ulimit -n "$files" 2>/dev/null; then
    echo "needs $files open files, and the limit of $(ulimit -n) cannot be raised; see ulimit -n" >&2
    exit 1
fi

cd "$root"
cargo build --release --locked -p epoll_mio -p smol_echo
bin=${CARGO_TARGET_DIR:-$root/target}/release

scratch=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok    $1"; }
fail() { failed=$((failed + 1)); echo "FAIL  $1"; }
check() { # check NAME COMMAND...
    local name=$1
    shift
    if timeout --kill-after=10 240 "$@"; then ok "$name"; else fail "$name"; fi
}

start() { # start COMMAND...: sets server, port and log
    log=$scratch/log
    # Here and not by the server: what the last one said must not be taken for its word.
    : >"$scratch/out"
    "$@" >>"$scratch/out" 2>"$log" &
    server=$!
    for _ in $(seq 300); do
        port=$(sed -n 's|^listening on ws://127.0.0.1:\([0-9]*\)/$|\1|p' "$scratch/out")
        [ -z "$port" ] || return 0
        sleep 0.1
    done
    echo "the server does not start" >&2
    exit 1
}
stop() { # stop NAME: Ctrl-C ends it, with status 0
    kill -INT "$server"
    local status=0
    wait "$server" || status=$?
    server=
    if [ "$status" -eq 0 ]; then ok "$1"; else fail "$1 (status $status)"; fi
}

echo "== $connections connections, $seconds s of messages, $churn connections broken in each second"
start "$bin/epoll_mio" 127.0.0.1:0 --stats 1
check "nothing is lost or changed" \
    "$bin/load" "ws://127.0.0.1:$port/" --connections "$connections" --idle "$idle" --seconds "$seconds" --churn "$churn"
idle_line=$(grep "^connections $connections, messages 0," "$log" | tail -n 1 || true)
memory=$(sed -n 's/.* \([0-9]*\) bytes for each connection$/\1/p' <<<"$idle_line")
if [ -n "$memory" ] && [ "$memory" -gt 0 ] && [ "$memory" -lt 2048 ]; then
    ok "an idle connection takes $memory bytes of the server's memory"
else
    fail "no line of the server tells of $connections idle connections at less than 2048 bytes each: $idle_line"
fi

echo "== a few connections with long messages"
check "nothing is lost or changed" \
    "$bin/load" "ws://127.0.0.1:$port/" --connections 20 --seconds 3 --size 300000 --window 4 --churn 5

echo "== a peer that does not read"
check "back-pressure" python3 "$here/slow_reader.py" "$port" "$server"
stop "Ctrl-C ends the server"

echo "== more connections than files"
start bash -c 'ulimit -n 60 && exec "$0" "$@"' "$bin/epoll_mio" 127.0.0.1:0
# Those that are not accepted wait for the others to end, which takes as long as this lets them.
timeout --kill-after=10 240 "$bin/load" "ws://127.0.0.1:$port/" --connections 100 --patience 5 >"$scratch/crowd" 2>&1 || true
if grep -q '^accept: ' "$log" && grep -q 'connections are open$' "$scratch/crowd"; then
    ok "a crowd of 100 finds no files left: $(grep -m 1 '^accept: ' "$log")"
else
    fail "a crowd of 100 did not use up the files"
    cat "$log" "$scratch/crowd"
fi
check "afterwards others are served" "$bin/load" "ws://127.0.0.1:$port/" --connections 30 --seconds 1
stop "Ctrl-C ends the server"

echo "== 500 connections to smol_echo"
start "$bin/smol_echo" 127.0.0.1:0
check "nothing is lost or changed" \
    "$bin/load" "ws://127.0.0.1:$port/" --connections 500 --seconds 3 --churn 50
check "back-pressure" python3 "$here/slow_reader.py" "$port" "$server"
"$bin/load" "ws://127.0.0.1:$port/" --connections 100 --seconds 240 >"$scratch/cut" 2>&1 &
crowd=$!
for _ in $(seq 300); do
    grep -q '^100 open' "$scratch/cut" && break
    sleep 0.1
done
stop "Ctrl-C ends the server"
kill -TERM "$crowd" 2>/dev/null || true
wait "$crowd" 2>/dev/null || true
if grep -q 'a connection failed: closed: 1001' "$scratch/cut"; then
    ok "and its connections, with 1001"
else
    fail "its connections do not end with 1001"
    cat "$scratch/cut"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

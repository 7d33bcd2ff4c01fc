#!/usr/bin/env bash
# The Autobahn|Testsuite against both roles, strict: run.sh [CASES [ROLES]]
#
# CASES are patterns or groups of harness.py (`core`, `limits`, `deflate`, `6.*`, ...), separated by
# commas; by default all, of which compression takes a quarter of an hour. ROLES are `server`, `client` or
# both, separated by a space. A case that is anything but OK fails the run, except for the three that the
# suite never judges.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
cases=${1:-}
roles=${2:-server client}
export CARGO_TERM_COLOR=never

"$here/install.sh"
cargo build --locked --release --features deflate --example echo_std --example autobahn_client
programs=${CARGO_TARGET_DIR:-target}/release/examples

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# run ROLE CASES NAME [OPTION]...
run() {
    local role=$1 cases=$2 name=$3
    shift 3
    case $role in
        server) set -- "$programs/echo_std" "$@" '127.0.0.1:{port}' ;;
        client) set -- "$programs/autobahn_client" "$@" '{url}' '{agent}' ;;
        *) echo "run.sh: no such role: $role" >&2; exit 2 ;;
    esac
    python3 "$here/harness.py" "$role" --agent sockless --cases "$cases" --port "$(free_port)" \
        --allow 'OK,7.1.6=INFORMATIONAL,7.13.*=INFORMATIONAL' \
        --allow-close 'OK,7.1.6=INFORMATIONAL,7.13.*=INFORMATIONAL' \
        --out "$here/reports/$name" --time-limit 2400 -- "$@"
}

status=0
if [ -n "$cases" ]; then
    for role in $roles; do
        run "$role" "$cases" "$role" --deflate --takeover || status=$?
    done
    exit $status
fi
for role in $roles; do
    run "$role" core,limits "$role" || status=$?
done
# The roles side by side, for the suite uses one core. The cases of 13.* ask for both kinds of context by
# themselves.
running=()
for role in $roles; do
    run "$role" deflate "$role-deflate" --deflate --takeover >"$here/reports/$role-deflate.log" 2>&1 &
    running+=($!)
done
for process in "${running[@]}"; do
    wait "$process" || status=$?
done
for role in $roles; do
    grep -v ' of 216 cases$' "$here/reports/$role-deflate.log"
done
exit $status

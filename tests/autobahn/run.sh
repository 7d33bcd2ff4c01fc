#!/usr/bin/env bash
# The Autobahn|Testsuite against both roles, strict: run.sh [CASES [server|client]]
#
# CASES are patterns or groups of harness.py (`core`, `limits`, `6.*`, ...), separated by commas; by
# default all that is there without compression. A case that is anything but OK fails the run, except
# for the three that the suite never judges.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
cases=${1:-core,limits}
roles=${2:-server client}
export CARGO_TERM_COLOR=never

"$here/install.sh"
cargo build --locked --release --example echo_std --example autobahn_client
programs=${CARGO_TARGET_DIR:-target}/release/examples

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run() {
    local role=$1
    shift
    python3 "$here/harness.py" "$role" --agent sockless --cases "$cases" --port "$(free_port)" \
        --allow 'OK,7.1.6=INFORMATIONAL,7.13.*=INFORMATIONAL' \
        --allow-close 'OK,7.1.6=INFORMATIONAL,7.13.*=INFORMATIONAL' \
        --out "$here/reports/$role" --time-limit 900 -- "$@"
}

status=0
for role in $roles; do
    case $role in
        server) run server "$programs/echo_std" '127.0.0.1:{port}' || status=$? ;;
        client) run client "$programs/autobahn_client" '{url}' '{agent}' || status=$? ;;
        *) echo "run.sh: no such role: $role" >&2; exit 2 ;;
    esac
done
exit $status

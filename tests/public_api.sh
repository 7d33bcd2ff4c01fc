#!/usr/bin/env bash
# The public API with all features, against docs/public-api.txt: what differs is printed, and fails. For a
# change that is meant, `tests/public_api.sh --write` puts the present API in the file; CONTRIBUTING.md says
# which changes break users.
#
# Needs cargo-public-api 0.52.0: cargo install --locked cargo-public-api@0.52.0
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=never

if ! cargo public-api --version >/dev/null 2>&1; then
    echo "needs cargo-public-api: cargo install --locked cargo-public-api@0.52.0" >&2
    exit 2
fi
# Neither derived nor automatic nor blanket implementations; and not the pages of the documentation, which
# only rustdoc sees.
api=$(cargo public-api -sss --all-features | grep -vE '^pub mod sockless::_(cookbook|design|migration)$')

if [ "${1-}" = --write ]; then
    echo "$api" >docs/public-api.txt
elif diff -u --label docs/public-api.txt --label now docs/public-api.txt <(echo "$api"); then
    echo "ok    the public API is that of docs/public-api.txt: $(wc -l <docs/public-api.txt) lines"
else
    echo "FAIL  the public API is another; if that is meant: tests/public_api.sh --write"
    exit 1
fi

#!/usr/bin/env bash
# The loops of the documentation: how many lines each has, from `loop {` to its brace; that README and the
# cookbook have them word for word; and how long the loops of the examples are.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
fail() {
    echo "FAIL $*"
    failed=1
}

printf '%-12s %5s %6s\n' loop lines limit
for loop in blocking:20 tokio:25 mio:25 compio:25; do
    name=${loop%:*} limit=${loop#*:}
    file=src/docs/loops/$name.rs
    lines=$(awk '/^    loop \{/ { start = NR } /^    }/ && start { print NR - start + 1; exit }' "$file")
    printf '%-12s %5d %6d\n' "$name" "$lines" "$limit"
    [ "$lines" -le "$limit" ] || fail "$file is too long"
    rustfmt --check --edition 2024 "$file" >/dev/null || fail "$file is not formatted"
    page=src/docs/cookbook/asynchronous.md
    [ "$name" != blocking ] || page=README.md
    python3 - "$file" "$page" <<'EOF' || fail "$page does not have $file word for word"
import sys
loop, page = (open(path).read() for path in sys.argv[1:])
sys.exit(loop not in page)
EOF
done

# No loop has a variable that says how far it has come.
if grep -nE 'let mut (is|has|was|should|did)_' src/docs/loops/*.rs; then
    fail "a flag"
fi

echo
printf '%-40s %5s\n' example lines
for file in $(grep -rlE '^ *///? The protocol' examples --include='*.rs' | sort); do
    lines=$(awk '/\/\/\/ The protocol/ { found = 1 } found && /^ *(loop|for .*) \{/ { match($0, /^ */); indent = RLENGTH; start = NR }
        start && NR > start && match($0, /^ *}/) && RLENGTH - 1 == indent { print NR - start + 1; exit }' "$file")
    printf '%-40s %5s\n' "$file" "${lines:--}"
done
exit "$failed"

#!/usr/bin/env bash
# Replaces the seeds by the fewest inputs that reach all that seeds/ and corpus/ reach together:
# seeds.sh [TARGET...], after a long run of smoke.sh.
#
# Reached means each edge of the program; how often counts only where all is a matter of what follows
# what. Elsewhere it would keep ten times as much. Seeds that were named by hand stay.
set -euo pipefail
cd "$(dirname "$0")"
target_dir=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')
cargo fuzz build --fuzz-dir . --sanitizer none --target-dir "$target_dir"
if [ $# -eq 0 ]; then
    mapfile -t targets < <(cargo fuzz list --fuzz-dir .)
    set -- "${targets[@]}"
fi
for target in "$@"; do
    case $target in
        pair | server | client) counters=1 most=200 ;;
        *) counters=0 most=512 ;;
    esac
    mkdir -p "seeds/$target" "corpus/$target"
    fewest=$(mktemp -d)
    "$target_dir/$host/release/$target" -set_cover_merge=1 -use_counters=$counters -max_len=$most \
        "$fewest" "seeds/$target" "corpus/$target" >/dev/null 2>&1
    # libFuzzer names an input by its digest.
    find "seeds/$target" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
    find "$fewest" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -exec cp -t "seeds/$target" {} +
    rm -r "$fewest"
    echo "$target: $(find "seeds/$target" -type f | wc -l) seeds, $(du -sb "seeds/$target" | cut -f1) bytes"
done

#!/usr/bin/env bash
# Replaces the seeds by the fewest and shortest inputs that reach all that seeds/ and corpus/ reach
# together: seeds.sh [TARGET...], after a long run of smoke.sh.
#
# Reached means each edge of the program, not how often: the counts would keep ten times as much.
# Inputs named by hand stay.
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
    mkdir -p "seeds/$target" "corpus/$target"
    fewest=$(mktemp -d)
    "$target_dir/$host/release/$target" -set_cover_merge=1 -use_counters=0 -max_len=1024 \
        "$fewest" "seeds/$target" "corpus/$target" >/dev/null 2>&1
    # A digest is what libFuzzer calls an input.
    find "seeds/$target" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
    cp "$fewest"/* "seeds/$target/"
    rm -r "$fewest"
    echo "$target: $(find "seeds/$target" -type f | wc -l) seeds, $(du -sb "seeds/$target" | cut -f1) bytes"
done

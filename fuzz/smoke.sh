#!/usr/bin/env bash
# Builds the fuzz targets once and runs each for a while, on a stable compiler: smoke.sh [SECONDS [TARGET...]]
#
# Needs cargo-fuzz (`cargo install --locked cargo-fuzz@0.13.2`) and a C++ compiler. What it finds
# worth keeping goes to corpus/, what fails to artifacts/. A failing input is printed, the other targets
# run all the same, and the exit status is 1 in the end: what chance has found is not lost with the machine.
# With FUZZ_SEED the inputs are the same each time, as far as the time goes.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
target_dir=${CARGO_TARGET_DIR:-target}

# Without sanitizers: everything is asserted in the targets, and `tests/machines/run.sh asan` replays their
# seeds where unsafe code is watched.
cargo fuzz build --fuzz-dir . --sanitizer none --target-dir "$target_dir"
host=$(rustc -vV | sed -n 's/^host: //p')
if [ $# -eq 0 ]; then
    mapfile -t targets < <(cargo fuzz list --fuzz-dir .)
    set -- "${targets[@]}"
fi
failed=0
for target in "$@"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log=$(mktemp) found=$(mktemp -d)
    "$target_dir/$host/release/$target" "corpus/$target" "seeds/$target" \
        -dict=websocket.dict -artifact_prefix="$found/" \
        ${FUZZ_SEED:+-seed="$FUZZ_SEED"} -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        >"$log" 2>&1 || { tail -n 60 "$log"; echo "FAIL $target"; failed=1; }
    for input in "$found"/*; do
        [ -e "$input" ] || continue
        echo "FAIL $target on the input, in base64: $(base64 -w 0 "$input")"
        mv "$input" "artifacts/$target/"
    done
    runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
    cover=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 edges, \2 features/p' "$log" | tail -n 1)
    echo "$target: $runs runs, $cover"
    rm -r "$log" "$found"
done
exit "$failed"

#!/usr/bin/env bash
# Lines and branches of `src` that the tests run, against the least that they must: coverage.sh [LINES BRANCHES]
# in percent. Prints the lines that are never run and each branch that only ever goes one way; CONTRIBUTING.md
# says why.
#
# Needs cargo-llvm-cov (`cargo install --locked cargo-llvm-cov@0.9.1`), Python and Debian's llvm-22.
set -euo pipefail
cd "$(dirname "$0")/.."
llvm=$(llvm-config-22 --bindir)
report=${CARGO_TARGET_DIR:-target}/coverage.json
# Branches are counted by an option of the compiler that is not stable yet.
export RUSTC_BOOTSTRAP=1 CARGO_LLVM_COV_SETUP=no LLVM_COV=$llvm/llvm-cov LLVM_PROFDATA=$llvm/llvm-profdata
only_src=(--ignore-filename-regex '(^|/)(tests|examples|fuzz)/')
cargo llvm-cov --quiet --locked --lib --tests --all-features --branch --json --output-path "$report" \
    "${only_src[@]}" >/dev/null
cargo llvm-cov report --show-missing-lines "${only_src[@]}" | sed -n '/^Uncovered/,$p'
python3 - "$report" "${1:-99.4}" "${2:-96.9}" <<'PYTHON'
import collections
import json
import sys

report, *least = sys.argv[1:]
totals = collections.Counter()
data = json.load(open(report))["data"][0]
for file in data["files"]:
    name = file["filename"].split("/src/", 1)[1]
    lines = file["summary"]["lines"]
    totals["lines"] += lines["count"]
    totals["lines covered"] += lines["covered"]
    # A generic function has its branches once for each type; what one of them takes is taken.
    taken = collections.defaultdict(lambda: [0, 0])
    for line, column, _, end, yes, no, *_ in file["branches"]:
        taken[line, column, end][0] += yes
        taken[line, column, end][1] += no
    source = open(file["filename"]).read().splitlines()
    for (line, column, end), counts in sorted(taken.items()):
        totals["branches"] += len(counts)
        totals["branches covered"] += sum(map(bool, counts))
        if not all(counts):
            never = "false" if counts[0] else "true"
            print(f"src/{name}:{line}: never {never}: {source[line - 1][column - 1:].strip()}")
failed = False
for what, percent in zip(("lines", "branches"), least):
    covered, all = totals[f"{what} covered"], totals[what]
    short = 100 * covered < float(percent) * all
    failed |= short
    print(f"{what}: {covered} of {all}, {100 * covered / all:.2f} %" + f", less than {percent} %" * short)
sys.exit(failed)
PYTHON

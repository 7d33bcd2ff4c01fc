# shellcheck shell=bash
# For the run.sh of the folders beside this one, which source it: they begin in the repository's root, with
# Node's packages installed. Sets `here` (their folder), `root`, `target` (where Cargo builds programs) and
# `scratch` (a folder that goes when they end).
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# npm_install FOLDER: what its package.json asks for.
npm_install() {
    (cd "$1" && npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error)
}

npm_install "$root/tests/node"
cd "$root"

# install_program NAME [PACKAGE...]: prints where the program is. If it is missing it is installed with those
# packages, where there is apt-get and the right to use it.
install_program() {
    if ! command -v "$1"; then
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
        command -v "$1"
    fi
}

# Sets `chromium`. CHROMIUM names another than that of the system.
find_chromium() {
    chromium=${CHROMIUM:-$(install_program chromium fonts-wqy-microhei)}
}

# Sets `python`, which has the packages of tests/interop.
find_python() {
    local venv=$root/tests/interop/.venv
    python=$venv/bin/python
    [ -x "$python" ] || python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$venv/../requirements.txt"
}

# peer SECONDS COMMAND...: a script with checks, bounded in time.
broken=0
peer() {
    timeout --foreground --kill-after=10 "$@" | tee -a "$scratch/results" || broken=1
}

# summary [MORE]: of all scripts, as the last line and the exit status.
summary() {
    local passed failed
    passed=$(grep -c '^ok ' "$scratch/results" || true)
    failed=$(grep -c '^FAIL ' "$scratch/results" || true)
    echo "$passed passed, $failed failed${1:-}"
    # A script that stopped half-way has not passed either.
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] && [ "$broken" -eq 0 ]
}

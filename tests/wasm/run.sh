#!/usr/bin/env bash
# Builds examples/wasm_core for wasm32-unknown-unknown and runs it in Node, where Node `ws` talks to it.
#
# Needs Cargo, Node, and a Rust that has that target. Where there is none, the library is built from
# source by Debian's Rust 1.85, which is installed if it is missing, where there is apt-get and the right
# to use it.
set -euo pipefail
. "$(dirname "$0")/../node/peers.sh"
machine=wasm32-unknown-unknown

build=(build --locked --release -p wasm_core --target "$machine")
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/wasm
# Small, as for a page.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=s CARGO_PROFILE_RELEASE_LTO=true CARGO_PROFILE_RELEASE_STRIP=true
sysroot=$(rustc --print sysroot)
if [ -d "$sysroot/lib/rustlib/$machine/lib" ]; then
    cargo "${build[@]}"
else
    if ! dpkg -s rustc-web cargo-web rust-web-src >/dev/null 2>&1; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
            'rustc-web=1.85.*' 'cargo-web=1.85.*' 'libstd-rust-web-dev=1.85.*' 'rust-web-src=1.85.*' libllvm19
    fi
    # The linker is in the toolchain of rustup, or in a package.
    linker=$sysroot/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
    [ -x "$linker" ] || linker=$(compgen -c wasm-ld | sort -V | tail -n 1)
    if [ -z "$linker" ]; then
        apt-get install -yqq --no-install-recommends lld
        linker=$(compgen -c wasm-ld | sort -V | tail -n 1)
    fi
    # Flags that are not stable yet, in the one step that needs them.
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker \
        /usr/bin/cargo "${build[@]}" -Zbuild-std=core,alloc
fi
module=$CARGO_TARGET_DIR/$machine/release/wasm_core.wasm

peer 180 node "$here/check.mjs" "$module"
summary "; the module has $(stat -c %s "$module") bytes"

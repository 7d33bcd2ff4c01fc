#!/usr/bin/env bash
# The tests where other code is run or watched: a big-endian and a 32-bit machine under qemu, AddressSanitizer,
# valgrind; and builds for two targets without an operating system. On Debian, as root, x86-64.
#
#     tests/machines/run.sh [s390x] [i686] [asan] [valgrind] [no_std]      all of them without an argument
#
# rustup ships no library sources here, so the standard library of other targets is built from Debian's
# (-Zbuild-std), with Debian's compiler of the same version, unpacked beside what is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."

export RUSTUP_AUTO_INSTALL=0 RUSTUP_DIST_SERVER=http://127.0.0.1:9 RUSTUP_UPDATE_ROOT=http://127.0.0.1:9/rustup
# Optimised a little, for slow machines; overflow is still checked.
export CARGO_TERM_COLOR=never CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1
# Random cases are for the native run; a fixed few are enough to meet another machine.
export PROPTEST_CASES=${PROPTEST_CASES:-16}

target=${CARGO_TARGET_DIR:-$PWD/target}
debian=$target/debrust
native=x86_64-unknown-linux-gnu

# Every test of behaviour. The others count allocations, take long, or need a runtime.
behaviour=(--no-fail-fast --all-features --lib)
for file in closing control corpus deadlines deflate_negotiation deflate_receiving deflate_sending extended_connect \
    frames seam handshake_any handshake_client handshake_fields handshake_server known_bugs masking messages parts \
    prepared properties refusals regressions relay sending text transport words; do
    behaviour+=(--test "$file")
done

install() {
    dpkg -s "$@" >/dev/null 2>&1 && return
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "$@" >/dev/null
}

# Debian's compiler with the library's source, unpacked into the target folder.
unpack() {
    [ -e "$debian/complete" ] && return
    install libllvm22
    rm -rf "$debian"
    mkdir -p "$debian/debs"
    local version minor
    version=$(apt-cache policy rustc-web | awk '/Candidate:/{print $2}')
    minor=$(cut -d. -f1,2 <<<"$version")
    (
        cd "$debian/debs"
        # shellcheck disable=SC2086 # one word each
        apt-get download -q "rustc-web=$version" "libstd-rust-web-dev=$version" "rust-web-src=$version" \
            "libstd-rust-web-$minor=$version" >/dev/null
    )
    local package
    for package in "$debian"/debs/*.deb; do
        dpkg-deb -x "$package" "$debian"
    done
    rm -r "$debian/debs"
    touch "$debian/complete"
}

# Cargo with Debian's compiler; rustup's own Cargo drives it.
build_std() {
    unpack
    LD_LIBRARY_PATH=$debian/usr/lib/x86_64-linux-gnu RUSTC=$debian/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_DIR=$target/machines cargo "$@"
}

s390x() {
    install qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross
    CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc \
    CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER='env -u LD_LIBRARY_PATH qemu-s390x -L /usr/s390x-linux-gnu' \
        build_std test --locked -Zbuild-std --target s390x-unknown-linux-gnu "${behaviour[@]}"
}

i686() {
    install qemu-user gcc-i686-linux-gnu libc6-dev-i386-cross
    CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc \
    CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUNNER='env -u LD_LIBRARY_PATH qemu-i386 -L /usr/i686-linux-gnu' \
        build_std test --locked -Zbuild-std --target i686-unknown-linux-gnu "${behaviour[@]}"
}

# `src/fast.rs` has unsafe code, and so has what the crate builds on.
asan() {
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$target/asan \
        cargo test --locked --target "$native" "${behaviour[@]}"
}

# As users build it, with what the processor offers found at run time.
valgrind() {
    install valgrind
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='valgrind -q --error-exitcode=99' \
        cargo test --release --locked --target "$native" --target-dir "$target/valgrind" --lib --test frames \
        --test text
}

no_std() {
    local machine
    for machine in thumbv7em-none-eabi wasm32-unknown-unknown; do
        build_std build --locked -Zbuild-std=core,alloc --target "$machine" --no-default-features
    done
}

[ $# -gt 0 ] || set -- no_std s390x i686 asan valgrind
for machine; do
    start=$SECONDS
    printf '\n--- %s\n' "$machine"
    "$machine"
    echo "--- $machine: $((SECONDS - start)) s"
done

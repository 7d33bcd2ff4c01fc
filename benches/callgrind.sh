# shellcheck shell=bash
# Sourced by what counts instructions.

# Else each byte of a `rep movsb` counts as one.
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000

# callgrind PROGRAM [ARGUMENT]...: what it prints, and what callgrind says of it.
callgrind() {
    local log
    log=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1) || { echo "$log" >&2; return 1; }
    echo "$log"
}

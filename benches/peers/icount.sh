#!/bin/sh
# Instructions per message (callgrind; it knows AVX2 but not AVX-512), from the
# difference of two runs. Does not depend on how busy the machine is.
# usage: icount.sh [section:workload ...]
set -eu
cd "$(dirname "$0")"
B=target/release/sockless-peers
. ../callgrind.sh
[ $# -gt 0 ] || set -- recv:text20 recv:text125 recv:text1k recv:cjk1k recv:random send:text20 send:text1k echo:text20 accept:x
peers=$($B list | awk '{print $1}')
ir() { # peer section:load role n
  callgrind $B icount --peers "$1" --loads "$2" --roles "$3" --chunks 64k --n "$4" | awk '/MSGS/{m=$2} /UNSUPPORTED/{m="-"} /Collected/{print m, $4}'
}
for w in "$@"; do
  for role in server client; do
    case $w in accept:*) [ $role = server ] || continue;; esac
    for p in $peers; do
      set -- $(ir "$p" "$w" $role 2) $(ir "$p" "$w" $role 6)
      if [ "$1" = "-" ]; then continue; fi
      echo "$w $role $p $(( ($4 - $2) / ($3 - $1) ))"
    done | sort -k4n | awk '{printf "| %s | %s | %-18s | %7d |\n", $1, $2, $3, $4}'
    echo
  done
done

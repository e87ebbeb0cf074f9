#!/bin/sh
# Instructions of one operation, counted by callgrind: the difference of two runs of different length.
# For looking at, not a gate. Needs valgrind.
#
#   benches/instructions.sh [NAME..]
set -eu
cd "$(dirname "$0")/.."
program=$(cargo build --quiet --profile bench --bench single_case --message-format json |
    sed -n 's/.*"executable":"\([^"]*single_case[^"]*\)".*/\1/p' | tail -n 1)
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" --once "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
[ $# -gt 0 ] || set -- $("$program")
printf '| %-24s | instructions |\n|--------------------------|-------------:|\n' operation
for name; do
    few=$(count "$name" 2000)
    many=$(count "$name" 12000)
    printf '| %-24s | %12d |\n' "$name" $(((many - few) / 10000))
done

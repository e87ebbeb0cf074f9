#!/bin/sh
# Counts the instructions per operation with callgrind, as the difference between two runs of different length.
# The counts are informative and not checked. Needs valgrind.
#
#   benches/instructions.sh [NAME..]
set -eu
cd "$(dirname "$0")/.."
program=$(cargo build --quiet --profile bench --bench single_case --message-format json |
    sed -n 's/.*"executable":"\([^"]*single_case[^"]*\)".*/\1/p' | tail -n 1)
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" --case "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
[ $# -gt 0 ] || set -- $("$program")
printf '| %-24s | instructions |\n|--------------------------|-------------:|\n' operation
for name; do
    few=$(count "$name" 2000)
    many=$(count "$name" 12000)
    printf '| %-24s | %12d |\n' "$name" $(((many - few) / 10000))
done

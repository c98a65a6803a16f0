#!/bin/sh
# Runs fuzz targets, two at a time, and prints a table of what they did.
#
#     tests/fuzz/run.sh SECONDS PROGRAMS SEEDS FOUND TARGET...
#
# PROGRAMS/fuzz_TARGET starts from SEEDS/TARGET and all that crashed once (tests/fuzz/crashers/TARGET);
# what it learns goes to FOUND/TARGET, what crashes to FOUND/TARGET.crash-*. Fails if any does.
set -u
seconds=$1 programs=$2 seeds=$3 found=$4
shift 4
export seconds programs seeds found
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1

mkdir -p "$found"
printf '%s\n' "$@" | xargs -P 2 -n 1 sh -c '
    target=$1
    mkdir -p "$found/$target"
    set -- "$found/$target" "$seeds/$target"
    [ ! -d "tests/fuzz/crashers/$target" ] || set -- "$@" "tests/fuzz/crashers/$target"
    "$programs/fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=10 \
        -rss_limit_mb=4096 -malloc_limit_mb=1000000 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$found/$target." "$@" >"$found/$target.log" 2>&1
    echo $? >"$found/$target.status"' sh

printf 'target\texecutions\tper second\tinputs kept\tstatus\n'
failed=0
for target in "$@"; do
    rc=$(cat "$found/$target.status")
    awk -v target="$target" -v rc="$rc" -v kept="$(find "$found/$target" -type f | wc -l)" '
        /number_of_executed_units/ {units = $2}
        /average_exec_per_sec/ {rate = $2}
        END {printf "%s\t%d\t%d\t%d\t%s\n", target, units, rate, kept, rc ? "failed (" rc ")" : "ok"}' \
        "$found/$target.log"
    if [ "$rc" -ne 0 ]; then
        failed=1
        grep -E "ERROR|SUMMARY|broken:|runtime error|Test unit written" "$found/$target.log" >&2
    fi
done
exit "$failed"

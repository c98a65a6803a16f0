#!/bin/sh
# Runs fuzz targets, two at a time, and prints a table of what they did.
#
#     tests/fuzz/run.sh SECONDS PROGRAMS SEEDS FOUND TARGET...
#
# PROGRAMS/fuzz_TARGET starts from SEEDS/TARGET and all that crashed once (tests/fuzz/crashers/TARGET),
# with the words in tests/fuzz/dict that its format knows; what it learns goes to FOUND/TARGET, what
# crashes to FOUND/TARGET.crash-*. Fails if any does.
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
    case $target in
    model* | state* | resume* | init* | sample* | evalloss*) set -- -dict=tests/fuzz/dict/safetensors "$@" ;;
    tokens* | shards* | config) set -- -dict=tests/fuzz/dict/stream "$@" ;;
    esac
    "$programs/fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=10 \
        -rss_limit_mb=4096 -malloc_limit_mb=1000000 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$found/$target." "$@" >"$found/$target.log" 2>&1
    echo $? >"$found/$target.status"' sh

printf 'target\texecutions\tper second\tinputs kept\tstatus\n'
failed=0 sum=0
for target in "$@"; do
    rc=$(cat "$found/$target.status")
    units=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$target.log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$found/$target.log")
    kept=$(find "$found/$target" -type f | wc -l)
    # A target that never ran has nothing to say, whatever its status.
    [ "${units:-0}" -gt 0 ] || rc=${rc#0}
    outcome=ok
    [ "$rc" = 0 ] || outcome="failed (${rc:-no executions})"
    printf '%s\t%d\t%d\t%d\t%s\n' "$target" "${units:-0}" "${rate:-0}" "$kept" "$outcome"
    sum=$((sum + ${units:-0}))
    if [ "$outcome" != ok ]; then
        failed=1
        grep -E "ERROR|SUMMARY|broken:|runtime error|Test unit written" "$found/$target.log" >&2
    fi
done
printf 'all\t%d\n' "$sum"
exit "$failed"

#!/bin/sh
# Every seed of the fuzz targets, and every input that ever crashed one, goes through the parsers
# without a crash: `make fuzz` looks for more.
#
# shellcheck disable=SC2086 # a folder that may be missing
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

B=${B:-$ROOT/build}
set -- "$B"/tests/fuzz/replay_*
[ -x "$1" ] || skip_all "not built (make check builds them)"
for program; do
    case $program in *.[od]) continue ;; esac
    target=${program##*/replay_}
    crashers=$ROOT/tests/fuzz/crashers/$target
    [ -d "$crashers" ] || crashers=
    ok "$target: $(find "$B/fuzz/seeds/$target" $crashers -type f | wc -l) inputs" \
        env ASAN_OPTIONS=allocator_may_return_null=1 "$program" "$B/fuzz/seeds/$target" $crashers
done
done_testing

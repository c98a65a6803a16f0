#!/bin/sh
# races.t: train under ThreadSanitizer (make sanitize), which tells what two threads touch without knowing of
# each other: the pool, and the thread that exchanges gradients with other ranks.
# shellcheck source=tests/tools/lib.sh
. "${0%/*}/lib.sh"

[ "$SANITIZE" = thread ] || skip_all "a build without ThreadSanitizer (make sanitize has one)"
OPENBLAS_NUM_THREADS=1
export OPENBLAS_NUM_THREADS
cd "$TMP" || exit 1

seq 1 300 | tokenize -q | batchify -q -n 100 -m 6 -x 0.3 >shards
options="-H 16 -L 2 -d 0.3 --steps 4 --eval-every 2 --print-every 0"
# shellcheck disable=SC2086 # words
ok "three threads" train -q -j 3 $options --checkpoint one.run -o one shards

# shellcheck source=tests/tools/mpi.sh
. "$ROOT/tests/tools/mpi.sh"
TSAN_OPTIONS=suppressions=$ROOT/tests/tools/mpi.supp
export TSAN_OPTIONS
# shellcheck disable=SC2086 # words
{
    ok "two ranks of two threads" ranks 2 train -q -j 2 $options --checkpoint two.run -o two shards
    same one two "... and they train the same model"
    ok "they resume" ranks 2 train -q -j 2 --resume two.run --steps 6 -o more shards
    status 66 "they fail" ranks 2 train -q -j 2 $options -o never absent
}
done_testing

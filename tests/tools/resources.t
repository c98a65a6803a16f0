#!/bin/sh
# What the programs take of the machine: memory as foretold, and no more cores than they may use.
# shellcheck source=tests/tools/lib.sh disable=SC2016
. "$(dirname "$0")/lib.sh"

cd "$TMP" || exit 1
"$PYTHON" -c '
import random
rng = random.Random(1)
print("".join(rng.choices("abcdefghij klmnopqrst,.", k=120000)))' >text
tokenize text | batchify -q -n 64 -m 50 >shards
tokenize text | batchify -q -n 2 -m 50 >few

# --- memory --------------------------------------------------------------------------------------

# foretold OPTION...: the bytes that --print-config says a run will take.
foretold() {
    train "$@" --print-config | sed -n 's/^# memory: about \([0-9,]*\) bytes.*/\1/p' | tr -d ,
}

# near DESCRIPTION OPTION... SHARDS: which are within 10 % of its peak.
near() {
    description=$1
    shift
    bytes=$(foretold "$@")
    peak=$(peak_memory train -q --steps 3 -o model "$@")
    awk -v a="$bytes" -v b="$((peak * 1024))" 'BEGIN {exit !(a > 0.9 * b && a < 1.1 * b)}'
    result $? "$description ($bytes bytes, $peak KiB)"
}

if sanitized; then
    skip "memory is as foretold" "a build with sanitizers"
else
    near "--print-config foretells a run's memory" -H 384 -L 2 --eval-every 2 shards
    near "of one layer" -H 512 -L 1 shards
    near "with a checkpoint" -H 384 -L 2 --eval-every 2 --checkpoint checkpoint shards
    near "resumed" --resume checkpoint --steps 6 shards
    near "of few rows, the last model kept" -H 512 -L 2 --keep last --checkpoint other few
fi
if sanitized; then
    skip "more than there is, is told" "a build with sanitizers"
else
    status 71 "more than the machine has can't be had" sh -c '
        ulimit -v 4000000; OPENBLAS_NUM_THREADS=1 train -H 60000 -o model shards'
    like "$(head -n 1 err)" "^train: memory: about [0-9,]+ bytes for batches of 64 x 50, and [0-9,]+ are" \
        "which is told before it is taken"
fi
train -H 8 --steps 1 -o model shards 2>err
is "$(grep -c memory err)" 0 "what there is enough of is not talked about"
is "$(train --print-config <shards | grep -c memory)" 0 "shards that aren't named are not read for it"
train -H 32 -L 1 --print-config shards >page.yaml
ok "what it prints is still a configuration" train -c page.yaml -q --steps 0 -o model shards

# --- cores ---------------------------------------------------------------------------------------

# busy COMMAND...: processor seconds for each second that passes.
busy() {
    "$PYTHON" -c '
import resource, subprocess, sys, time
begin = time.perf_counter()
rc = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
wall = time.perf_counter() - begin
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print((usage.ru_utime + usage.ru_stime) / wall)
sys.exit(rc)' "$@"
}

# one_core DESCRIPTION COMMAND...
one_core() {
    description=$1
    shift
    share=$(busy "$@")
    awk -v s="$share" 'BEGIN {exit !(s > 0 && s < 1.1)}'
    result $? "$description ($share)"
}

one_core "train -j 1 keeps one core busy, no other" \
    train -q -j 1 -H 128 -L 1 --steps 100 -o model shards
one_core "so does sample" sample -j 1 -n 40000 model
one_core "so does evalloss" evalloss -j 1 --split train model shards shards shards shards

share=$(busy sh -c 'sleep 1 | train -q -o none 2>/dev/null || true')
awk -v s="$share" 'BEGIN {exit !(s < 0.5)}'
result $? "train that waits for its input leaves all cores alone ($share)"

cores=$("$PYTHON" -c 'import os; print(len(os.sched_getaffinity(0)))')
sample -j "$((cores + 1))" -n 1 model 2>err >/dev/null
like "$(cat err)" "$((cores + 1)) threads on [0-9]+ cores" "-j beyond the cores is warned of"
sample -q -j "$((cores + 1))" -n 1 model 2>err >/dev/null
is "$(cat err)" "" "but not with -q"
sample -j 1 -n 1 model 2>err >/dev/null
is "$(cat err)" "" "-j 1 is fine anywhere"

done_testing

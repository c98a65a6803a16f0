#!/bin/sh
# mpi.t: train under mpirun: any number of ranks gives the bits that one process gives, whatever is
# trained, kept, saved and resumed; what can't be done is said.
# shellcheck source=tests/tools/lib.sh
. "${0%/*}/lib.sh"

# shellcheck source=tests/tools/mpi.sh
. "$ROOT/tests/tools/mpi.sh"
cd "$TMP" || exit 1

# What the log says, but for the times.
untimed() {
    cut -f 1-7 "$1"
}

# as_one RANKS THREADS: the same as one process left; a checkpoint remembers the log, times and all, so
# that there is one or the other.
as_one() {
    rm -f model log run run~
    # shellcheck disable=SC2086 # words
    if [ "$2" -eq 1 ]; then
        ranks "$1" train -q -j 1 $base --checkpoint run -o model shards 2>err && cmp run one.run
        kept=checkpoint
    else
        ranks "$1" train -q -j "$2" $base -l log -o model shards 2>err &&
            untimed log | cmp - one.log
        kept=log
    fi >cmp.out 2>&1 && cmp model one.model >>cmp.out 2>&1
    result "$?" "$1 ranks, -j $2: model and $kept are those of one process" ||
        diag "$(cat err cmp.out)"
}

"$PYTHON" -c 'print(" ".join(f"{i} and {i + 1} are {2 * i + 1}." for i in range(700)))' >text
tokenize -q text >tokens
# 110 rows are blocks of 28, 28, 28 and 26; the validation part has a batch of its own size.
batchify -q -n 110 -m 15 -x 0.2 tokens >shards
base="-H 20 -L 2 -d 0.3 --steps 12 --eval-every 4 --print-every 0"

# shellcheck disable=SC2086 # words
{
    ok "one process" train -q $base --checkpoint one.run -o one.model shards
    ok "and its log" train -q $base -l log -o model shards
}
untimed log >one.log
for count in 1 2 3 4; do
    as_one "$count" 1
    as_one "$count" 2
done

# 500 rows are 16 blocks of 32, but for the last one. More ranks than cores are slow, no more.
# shellcheck disable=SC2086 # words
{
    few="-H 12 -L 2 -d 0.2 --steps 4 --eval-every 2 --print-every 0"
    batchify -q -n 500 -m 5 -x 0.2 tokens >wide
    train -q -j 2 $few --checkpoint wide.run -o wide.model wide
    for count in 8 11 16; do
        rm -f run run~
        ranks "$count" train -q -j 1 $few --checkpoint run -o model wide 2>err &&
            cmp run wide.run >cmp.out 2>&1 && cmp model wide.model >>cmp.out 2>&1
        result "$?" "$count ranks, each with few blocks" || diag "$(cat err cmp.out)"
    done
}

# compared DESCRIPTION OPTION...: one process and three ranks agree on models and checkpoints.
compared() {
    description=$1
    shift
    rm -f a b a.run b.run
    train -q -j 2 --steps 9 --print-every 0 "$@" --checkpoint a.run -o a shards 2>err &&
        ranks 3 train -q -j 1 --steps 9 --print-every 0 "$@" --checkpoint b.run -o b shards 2>>err &&
        cmp -s a b && cmp -s a.run b.run
    result "$?" "$description" || diag "$(cat err)"
}
compared "a GRU in bfloat16" --cell gru -H 24 -L 1 --precision bf16
compared "an RNN, weights of the last step" --cell rnn -H 24 --keep last --eval-every 3
compared "Muon, an average, all kinds of dropout, a schedule" -H 24 --optimizer muon --average 0.9 \
    --dropout-input 0.1 --dropout-output 0.2 --schedule cosine --warmup 2 --eval-every 2
compared "what --init begins with" --init one.model --eval-every 3 -d 0

# shellcheck disable=SC2086 # words
{
    # 3 N steps at one go, and in thirds, the shards from a pipe.
    options="-H 20 -L 2 -d 0.3 --eval-every 4 --print-every 0"
    train -q $options --steps 15 --checkpoint whole.run -o whole shards
    ranks 4 train -q $options --steps 5 --checkpoint third.run -o third shards 2>err
    train -q --resume third.run --steps 10 -o third shards 2>>err
    cat shards | ranks 3 train -q --resume third.run --steps 15 >third 2>>err
    same whole third "4 ranks, then one process, then 3 ranks from a pipe to a pipe: one model"
    same whole.run third.run "... and one checkpoint"
    ranks 2 train -q $options --time 1s -o timed shards 2>err
    result "$?" "--time finds its steps with all ranks" || diag "$(cat err)"
    ok "as a stage of a pipeline" \
        sh -c 'batchify -q -n 64 -m 15 tokens | mpirun -n 2 train -q -H 8 --steps 3 | sample -q -n 20'
}

# The emulated GPU of tests/cuda, one for each rank: near the CPU, as cuda.t has it.
emulated=${B:-$ROOT/build}/emulated-plugin/charpipe-cuda.so
if [ -e "$emulated" ]; then
    mkdir both
    ln -s "$emulated" "$BIN/charpipe-mpi.so" both
    CHARPIPE_PLUGIN_DIR=$TMP/both
    # shellcheck disable=SC2086 # words
    {
        ranks 3 train -q -D cuda $base -l gpu.log --checkpoint gpu.run -o model shards 2>err
        ranks 3 train -q -D cuda $base --steps 6 --checkpoint half.run -o model shards 2>>err
        ranks 3 train -q -D cuda --steps 12 --resume half.run -o again shards 2>>err
    }
    cut -f 4,5,7 one.log >cpu.losses
    cut -f 4,5,7 gpu.log | paste cpu.losses - | awk 'NR > 1 {
        for (i = 1; i <= 3; i++) if ($i != "-" && ($i - $(i + 3)) ^ 2 > ($i / 1000) ^ 2) exit 1; n++
    } END {exit n != 12}'
    result "$?" "3 ranks, each on its GPU: losses and norms near those of the CPU" ||
        diag "$(cat err)" "$(paste cpu.losses gpu.log)"
    train -q -D cpu --steps 12 --resume half.run -o again shards 2>err
    result "$?" "... and what they saved goes on on the CPU" || diag "$(cat err)"
    CHARPIPE_PLUGIN_DIR=$BIN
else
    skip "ranks on GPUs" "no emulated plug-in (make check builds it)"
fi

# said STATUS PATTERN DESCRIPTION COMMAND...: it ends so, with exactly one line of train's own.
said() {
    expected=$1 pattern=$2 description=$3
    shift 3
    "$@" >out 2>err && rc=0 || rc=$?
    [ "$rc" -eq "$expected" ] && [ "$(grep -c '^train: ' err)" -eq 1 ] &&
        grep -Eq -e "^train: .*$pattern" err
    result "$?" "$description" || diag "expected: status $expected, one line with: $pattern" \
        "got:      status $rc" "$(head -c 2000 err)"
}
said 64 '5 ranks, .*4 blocks of 28: .*--rows 160' "more ranks than blocks: which batch would use them" \
    ranks 5 train -q -H 8 --steps 1 -o model shards
said 64 'unknown option' "a wrong option is told once" ranks 3 train --nonsense
said 65 'run batchify' "and so is a wrong file" ranks 3 train -q tokens
ok "--help is printed once" sh -c 'test "$(mpirun -n 3 train --help | grep -c ^Usage)" -eq 1'
like "$(ranks 2 train -v -H 8 --steps 1 -o model shards 2>&1)" '^train: rank 1: .* 1 thread' \
    "-v says what each rank computes on"

# The plug-in is missed where there are ranks, and nowhere else.
CHARPIPE_PLUGIN_DIR=$TMP
said 69 "started 2 of this program.*make mpi" "without the plug-in: how to build it" \
    ranks 2 train -q -H 8 --steps 1 -o never shards
is "$(ls never 2>/dev/null)" "" "... and nothing is written"
ok "one rank needs none" ranks 1 train -q -H 8 --steps 1 -o model shards
fails 69 "mpiexec started 3 .*make mpi" "as another launcher says it" \
    env PMI_SIZE=3 PMI_RANK=0 train -q -H 8 --steps 1 -o never shards
status 69 "... whose other ranks are quiet" env PMI_SIZE=3 PMI_RANK=1 train -q -o never shards
is "$(cat err)" "" "... and say nothing"
CHARPIPE_PLUGIN_DIR=$BIN
fails 69 "to its MPI each is alone" "a launcher of another MPI" \
    env PMI_SIZE=3 PMI_RANK=0 train -q -H 8 --steps 1 -o never shards

# --- the end of a run ----------------------------------------------------------------------------

# lead: the process of rank 0; the others are its brothers.
lead() {
    for pid in $(pgrep -P "$launcher" -x train); do
        tr '\0' '\n' <"/proc/$pid/environ" | grep -qx 'OMPI_COMM_WORLD_RANK=0' && echo "$pid"
    done
}
# await COMMAND...: for as long as it fails, but no more than 20 seconds.
await() {
    for _ in $(seq 200); do
        "$@" && return
        sleep 0.1
    done
}
# Begins a long run in the background and waits for its first checkpoint.
begin() {
    rm -f long.run long.run~ long
    mpirun -n 3 train -q -H 24 -e 100000 --steps 100000 --checkpoint long.run --checkpoint-every 2 \
        -o long shards 2>err &
    launcher=$!
    await test -s long.run
}
changed() {
    test "$(cksum <long.run)" != "$then"
}
# resumed DESCRIPTION: what was saved is whole, and goes on in one process.
resumed() {
    ok "$1" train -q --resume long.run --steps 1 -o model shards
}

if command -v pgrep >/dev/null; then
    begin
    kill -TERM "$(lead)"
    wait "$launcher"
    rc=$?
    is "$rc" 143 "SIGTERM to rank 0: the run ends by it"
    ok "... and writes its model" test -s long
    # mpirun makes a SIGCONT, a SIGTERM and a SIGKILL of both, with a second in between; here with two, as
    # this machine may have more to do.
    OMPI_MCA_odls_base_sigkill_timeout=2
    PRTE_MCA_odls_base_sigkill_timeout=2
    export OMPI_MCA_odls_base_sigkill_timeout PRTE_MCA_odls_base_sigkill_timeout
    for signal in INT TERM; do
        begin
        kill "-$signal" "$launcher"
        wait "$launcher"
        rc=$?
        ok "SIG$signal to mpirun: the run ends, not well, and writes its model" test "$rc" -ne 0 -a -s long
        resumed "... and its checkpoint"
    done
    unset OMPI_MCA_odls_base_sigkill_timeout PRTE_MCA_odls_base_sigkill_timeout
    begin
    kill -CONT "$(lead)"
    sleep 0.7
    then=$(cksum <long.run)
    sleep 0.2
    is "$(cksum <long.run)" "$then" "as SIGCONT comes before SIGTERM: no step begins in between"
    await changed
    ok "... for some time" changed
    kill -TERM "$(lead)"
    wait "$launcher"
    begin
    kill -KILL "$(lead)"
    before=$(date +%s)
    wait "$launcher"
    rc=$?
    ok "rank 0 killed: all end soon, not well" \
        test "$rc" -ne 0 -a $(($(date +%s) - before)) -le 10
    resumed "... and the checkpoint is whole"
    begin
    kill -KILL "$(pgrep -P "$launcher" -x train | grep -vx "$(lead)" | head -n 1)"
    before=$(date +%s)
    wait "$launcher"
    rc=$?
    ok "another rank killed: likewise" test "$rc" -ne 0 -a $(($(date +%s) - before)) -le 10
    resumed "... and the checkpoint is whole"
else
    skip "signals" "no pgrep"
fi

# --- another MPI ---------------------------------------------------------------------------------

mpich=${B:-$ROOT/build}/mpich
if [ -e "$mpich/charpipe-mpi.so" ] && command -v mpirun.mpich >/dev/null; then
    CHARPIPE_PLUGIN_DIR=$mpich
    # shellcheck disable=SC2086 # words
    for count in 1 2 3 4; do
        rm -f model run run~
        timeout 120 mpirun.mpich -n "$count" train -q -j 1 $base --checkpoint run -o model shards 2>err &&
            cmp run one.run >cmp.out 2>&1 && cmp model one.model >>cmp.out 2>&1
        result "$?" "MPICH, $count ranks: model and checkpoint are those of one process" ||
            diag "$(cat err cmp.out)"
    done
    for signal in INT TERM; do
        rm -f long long.run long.run~
        mpirun.mpich -n 2 train -q -H 24 -e 100000 --checkpoint long.run --checkpoint-every 2 -o long \
            shards >out 2>err &
        launcher=$!
        await test -s long.run
        kill "-$signal" "$launcher"
        wait "$launcher"
        ok "... SIG$signal to its mpirun: the run ends and writes its model" test -s long
        resumed "... and its checkpoint"
    done
    rm -f never
    said 69 "mpirun started 2 .*to its MPI each is alone" "Open MPI's mpirun, and MPICH's plug-in" \
        ranks 2 train -q -H 8 --steps 1 -o never shards
    CHARPIPE_PLUGIN_DIR=$BIN
    said 69 "mpiexec started 2 .*to its MPI each is alone" "... and the other way round" \
        timeout 120 mpirun.mpich -n 2 train -q -H 8 --steps 1 -o never shards
    is "$(ls never 2>/dev/null)" "" "... and nothing is written"
else
    skip "MPICH beside another MPI" "no mpicc.mpich and mpirun.mpich (Debian: mpich)"
fi

done_testing

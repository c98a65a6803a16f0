#!/bin/sh
# train --checkpoint and --resume: a run that stops, for whatever reason, goes on as if nothing had
# happened: the same model to the last bit, and a log without a missing or a double row.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

seq 1 300 | sed 's/$/ is a number/' >"$TMP/text"
tokenize "$TMP/text" | batchify -n 4 -m 10 >"$TMP/shards"
seq 1 301 | sed 's/$/ is a number/' | tokenize | batchify -n 4 -m 10 >"$TMP/other.shards"
cd "$TMP" || exit 1

# A network that is trained in no time, with an epoch of about a hundred steps; dropout, several
# layers, and evaluations that fall on no epoch's end.
small() {
    train -q -H 8 -d 0.25 -r 0.02 --eval-every 7 "$@"
}
# What a log says, the times left out.
facts() {
    cut -f 1-7 "$1"
}
# signalled SIGNAL ROWS LOG COMMAND...: runs the command, sends the signal once the log has so many
# rows, and prints how it ended: an exit status, or the signal that it died of as -NUMBER.
signalled() {
    "$PYTHON" -c '
import signal, subprocess, sys, time
number, rows, log = getattr(signal, "SIG" + sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)  # nohup and background jobs ignore some
run = subprocess.Popen(sys.argv[4:])
def count():
    try:
        return open(log).read().count("\n")
    except OSError:
        return 0
while run.poll() is None and count() <= rows:
    time.sleep(0.002)
run.send_signal(number)
print(run.wait())' "$@"
}
last_step() {
    tail -n 1 "$1" | cut -f 2
}

# --- N steps, stop, N steps ----------------------------------------------------------------------

small --steps 130 -j 1 -l straight.log -o straight shards
for n in 1 6 7 40 100 129 130; do
    rm -f run*
    small --steps "$n" --checkpoint run -l run.log -o part shards
    train -q --resume run --steps 130 -j 2 -l run.log -o resumed - <shards
    same resumed straight "stopped after step $n, resumed on other threads and from a pipe: the same model"
    facts run.log >a
    facts straight.log >b
    is "$(cut -f 2 a)" "$(cut -f 2 b)" "and a log with each step once"
    is "$(cut -f 4,7 a)" "$(cut -f 4,7 b)" "and the same losses"
done

small --steps 60 --checkpoint part -o model shards
train -q --resume part --steps 130 -o model shards
small --steps 130 --checkpoint whole -o straight shards
same part whole "the checkpoints at the end are the same too"
train -q --resume run -o again shards
same again straight "a run that has ended gives its model again"
small --steps 50 -o a shards
train -q --resume run --steps 50 -o b shards
same b straight "and the best so far where fewer steps are asked for"
small --keep last --steps 120 -o straight shards
small --keep last --steps 60 --checkpoint run -o part shards
train -q --resume run --steps 120 -o resumed shards
same resumed straight "the last model likewise"
small -r 0.5 -e 50 --patience 3 -l straight.log -o straight shards
small -r 0.5 -e 50 --patience 3 --steps 11 --checkpoint run -o part shards
train -q --resume run -e 50 -o resumed shards
same resumed straight "--patience counts on"
small -e 1 --checkpoint run -o part shards
train -q --resume run -e 2 -o resumed shards
small -e 2 -o straight shards
same resumed straight "-e may be raised"

# --- a checkpoint is a model ---------------------------------------------------------------------

small --steps 20 --checkpoint run --keep last -o model shards
is "$(evalloss run shards)" "$(evalloss model shards)" "a checkpoint is scored as the model that it is"
is "$(sample -s 1 -n 50 run)" "$(sample -s 1 -n 50 model)" "and sampled"
small --steps 5 --checkpoint run --keep last -o model shards
ok "the checkpoint before it is kept as FILE~" test -s run~
train -q --resume run --steps 6 -o model shards
ok "a run that has ended leaves no FILE.lock" test ! -e run.lock
mkdir elsewhere && ln -s elsewhere/real link
small --steps 5 --checkpoint link -o model shards
ok "a symbolic link is followed" test -L link -a -s elsewhere/real

# --- signals -------------------------------------------------------------------------------------

for signal in INT TERM HUP; do
    rm -f run* model
    number=$("$PYTHON" -c "import signal; print(-signal.SIG$signal)")
    is "$(signalled $signal 20 run.log train -q -H 8 -d 0.25 -r 0.02 --eval-every 7 \
        --steps 4000000000 --checkpoint run -l run.log -o model shards)" "$number" \
        "SIG$signal ends the run by that signal"
    steps=$(($(last_step run.log) + 10))
    ok "the best model so far is written" evalloss model shards
    train -q --resume run --steps "$steps" -l run.log -o resumed shards
    small --steps "$steps" -l straight.log -o straight shards
    same resumed straight "and the run goes on exactly"
    is "$(facts run.log | cut -f 2-4,7)" "$(facts straight.log | cut -f 2-4,7)" "as does its log"
done
rm -f run*
is "$(signalled KILL 25 run.log train -q -H 8 -d 0.25 -r 0.02 --eval-every 7 --steps 4000000000 \
    --checkpoint run --checkpoint-every 5 -l run.log -o unborn shards)" -9 "kill -9 ends it at once"
ok "without a trace of a model" test ! -e unborn
steps=$(($(last_step run.log) + 10))
train -q --resume run --steps "$steps" -l run.log -o resumed shards
small --steps "$steps" --checkpoint-every 5 -l straight.log -o straight shards
same resumed straight "and the last checkpoint goes on exactly"
is "$(facts run.log | cut -f 2-4,7)" "$(facts straight.log | cut -f 2-4,7)" "as does the log"
rm -f run*
# An epoch of so many steps that no other save comes in the way.
seq 1 30000 | sed 's/$/ is a number/' | tokenize | batchify -n 1 -m 4 >many.shards
ok "after SIGUSR1 the run goes on" "$PYTHON" -c '
import os, signal, subprocess, time
run = subprocess.Popen(["train", "-q", "-H", "8", "--steps", "4000000000", "--checkpoint", "run", "-l", "run.log",
                        "-o", "model", "many.shards"])
def rows():
    return open("run.log").read().count("\n") if os.path.exists("run.log") else 0
def until(done):
    while not done() and run.poll() is None:
        time.sleep(0.001)
until(lambda: rows() > 20)
assert not os.path.exists("run")
run.send_signal(signal.SIGUSR1)
until(lambda: os.path.exists("run"))
last = rows() + 20
until(lambda: rows() > last)
run.terminate()
assert run.wait() == -signal.SIGTERM, run.returncode'
ok "having saved a checkpoint before that of its end" test -s run~

# --- what it refuses -----------------------------------------------------------------------------

rm -f run*
small --steps 10 --checkpoint run -l run.log -o model shards
cp run kept
fails 66 "absent" "a checkpoint that isn't there" train --resume absent -o m shards
ok "which leaves no lock behind" test ! -e absent.lock
fails 65 "other data.*CRC" "other data" train --resume run --steps 12 -o m other.shards
for o in '-H 9' '-L 1' '-d 0.5' '-r 0.1' '--clip 1' '-s 2' '--eval-every 8' '--keep last' \
    '--patience 1' '--checkpoint-every 3'; do
    # shellcheck disable=SC2086
    fails 64 "resumed has --" "$o, which the run did not have" train --resume run $o -o m shards
done
ok "the run's own options may be repeated" train -q --resume run -H 8 -d 0.25 -r 0.02 \
    --eval-every 7 -s 1 --steps 11 -o m shards
fails 64 "implies" "another --checkpoint" train --resume run --checkpoint b -o m shards
fails 65 "not a checkpoint" "a model in the place of a checkpoint" train --resume model -o m shards
printf 'epoch\tstep\tof another log, longer than the run has: %s\n' "$(seq -s ' ' 1 500)" >other.log
cp kept run
fails 65 "not the log" "another run's log" train --resume run --steps 12 -l other.log -o m shards
ok "which is left as it was" grep -q 'of another' other.log
train -q --resume run --steps 12 -l new.log -o m shards
is "$(cut -f 2 new.log | tr '\n' ' ')" "step 11 12 " "an absent log is begun"
"$PYTHON" -c '
import fcntl, os, subprocess, struct, sys
fd = os.open("run.lock", os.O_RDWR | os.O_CREAT)
fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
sys.exit(subprocess.call(sys.argv[1:]))' train --resume run -o m shards 2>err
is "$?" 75 "a checkpoint that another run holds"
like "$(cat err)" "run: another run" "which is told"
ok "whose lock stays" rm run.lock
fails 73 "nowhere" "a checkpoint that can't be created" train --checkpoint nowhere/run -o m shards
fails 73 "regular file" "a device for a checkpoint" train --checkpoint /dev/null -o m shards
cp kept cut
truncate -s -100 cut
fails 65 "cut" "a truncated checkpoint" train --resume cut -o m shards

# --- forged ------------------------------------------------------------------------------------

# Whole, CRC and all, but not what this program would have written.
forged() {
    "$PYTHON" "$ROOT/tests/tools/models.py" "$@"
}
cp kept run
for words in 'hidden\":\"8 hidden\":\"9' 'hidden\":\"8 hidden\":\"1' 'layers\":\"2 layers\":\"9'; do
    # shellcheck disable=SC2086
    forged retell kept $words >run
    fails 65 "options say .*; the tensors have [82]" "dimensions that its tensors don't have: ${words#* }" \
        train --resume run --steps 12 -o m shards
    for reader in 'train --init run --steps 1 -o m shards' 'sample -n 1 run' 'evalloss run shards'; do
        # shellcheck disable=SC2086
        fails 65 "options say" "nor does ${reader%% *} take it" $reader
    done
done
forged fill kept train.v.fc.bias -1 >run
fails 65 "second moments" "means of squares below 0" train --resume run --steps 12 -o m shards
forged fill kept train.m.fc.bias 3e38 >run
forged fill run train.v.fc.bias 0 >overflowing
cp overflowing run
rm -f m
fails 70 "train: .*not all numbers are finite.*last good checkpoint, run, is of step 10" \
    "weights that overflow are not saved" train -q --resume run --steps 11 -l over.log -o m shards
same run overflowing "the checkpoint is as it was"
ok "no model is written" test ! -e m

# --- no room -------------------------------------------------------------------------------------

# A limit on the size of files does what a full disk does. The checkpoint is the largest file.
rm -f run*
ulimit -f "$(($(wc -c <kept) / 512 - 8))"
status 74 "where the last checkpoint finds no room, status 74" train -H 8 -d 0.25 \
    --eval-every 7 --steps 10 --checkpoint run --checkpoint-every 4 -o m shards
like "$(cat err)" "run: .*the run goes on" "those on the way only warn"
ok "the model is written all the same" evalloss m shards
ok "and the last one that found room stays" evalloss run shards

done_testing

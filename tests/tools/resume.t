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
# config KEY FILE...: the line of --print-config for it.
config() {
    key=$1
    shift
    train --resume "$@" --print-config shards | sed -n "s/^[ #]*$key: //p"
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
train --resume run -o again shards 2>err
same again straight "a run that has ended gives its model again"
like "$(cat err)" "nothing is left to do: --epochs, --steps or --time is reached" "and says so"
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

# --- with everything that is off by default -------------------------------------------------------

everything='--schedule cosine --warmup 5 --min-lr 0.001 --weight-decay 0.1 --beta1 0.8 --beta2 0.99
    --optimizer muon --muon-every 3 --average 0.9 --average-from 4 --dropout-input 0.1
    --dropout-output 0.4 --auto-dropout --input-lr 2 --input-scale 1'
# shellcheck disable=SC2086
for kind in cosine linear; do
    small $everything --schedule $kind --steps 60 -j 1 -l straight.log -o straight shards
    for n in 0 1 3 30; do
        rm -f run*
        small $everything --schedule $kind --steps "$n" --horizon 60 -l run.log --checkpoint run -o part shards
        train -q --resume run --steps 60 -j 2 -l run.log -o resumed shards
        same resumed straight "$kind, Muon, average, decay, three dropouts: stopped after step $n, the same model"
        is "$(cut -f 2,4,6,7 run.log)" "$(cut -f 2,4,6,7 straight.log)" "and the same log"
    done
    rm run
    small $everything --schedule $kind --steps 0 --checkpoint run -o part shards
    train -q --resume run --steps 60 -o resumed shards
    same resumed straight "the horizon is not that of a run without a step"
done
rm -f run*
# shellcheck disable=SC2086
is "$(signalled KILL 25 run.log train -q -H 8 -d 0.25 -r 0.02 --eval-every 7 --steps 4000 $everything \
    --checkpoint run --checkpoint-every 5 -l run.log -o unborn shards)" -9 "killed"
steps=$(($(last_step run.log) + 10))
train -q --resume run --steps "$steps" -l run.log -o resumed shards
# shellcheck disable=SC2086
small --steps "$steps" --horizon 4000 $everything --checkpoint-every 5 -o straight shards
same resumed straight "such a run goes on exactly too, towards the horizon that it was begun with"
small --schedule linear --steps 10 --checkpoint run -o part shards
train -q --resume run --steps 20 -l beyond.log -o m shards
is "$(sed 1d beyond.log | cut -f 6 | sort -u)" 0.002 "steps beyond the horizon have its rate"
train --resume run --change --schedule constant --steps 22 -l changed.log -o m shards 2>err
is "$(sed 1d changed.log | cut -f 6 | sort -u)" 0.02 "unless that is changed"
small --steps 10 --checkpoint run -o part shards
train --resume run --change --schedule linear --steps 20 -l begun.log -o m shards 2>err
is "$(sed 1d begun.log | cut -f 6 | tr '\n' ' ')" "0.01 0.009 0.008 0.007 0.006 0.005 0.004 0.003 0.002 0.001 " \
    "a schedule that a run gets on its way ends where it does"
like "$(cat err)" "changed from step 11 on: --horizon 20 \(before: null\)" "which is told"

# --- --time --------------------------------------------------------------------------------------

# ended FILE: the step that ends a run by what it says on standard error.
ended() {
    sed -n 's/^train: --time .* ends after step \([0-9]*\) at the latest$/\1/p' "$1"
}
rm -f run*
is "$(signalled INT 20 run.log train -H 8 -d 0.25 -r 0.02 --eval-every 7 --schedule linear --time 5m \
    --checkpoint run -l run.log -o part shards 2>err)" -2 "a run of minutes is interrupted"
steps=$(($(last_step run.log) + 10)) n=$(ended err)
cp run again
train -q --resume run --steps "$steps" -l run.log -o resumed shards
small --steps "$steps" --schedule linear --horizon "$n" -o straight shards
same resumed straight "it goes on exactly, towards the step that was found to end it"
is "$(config time again) $(config steps again)" \
    "300s # checkpoint; limits the run not set; limits the run" "its time is told"
printf 'train:\n  epochs: 1000\n' >limits.yaml
like "$(train -c limits.yaml --resume again --print-config)" "time: 300s # checkpoint" \
    "a recipe's epochs don't take it away"
train -H 8 --time 1 --steps 9 --checkpoint run -o part shards 2>err
for given in '' '--time 1s --steps 12'; do
    cp run again
    # shellcheck disable=SC2086
    train --resume again $given -o m shards 2>err
    is "$(ended err)" "" "the run's own time is not measured again ($given)"
done
train --resume again --time 2s --steps 15 -o m shards 2>err
ok "another one is" test "$(ended err)" -ge 12

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

# --- those before it -----------------------------------------------------------------------------

# kept FILE: the steps in the names of what is kept beside it.
kept() {
    find . -name "$1.[0-9]*" | sed -n "s|^\./$1\.0*\([0-9]*\)\$|\1|p" | sort -n | paste -s -d ' ' -
}
rm -f run*
small --steps 60 -o straight shards
small --steps 40 --checkpoint run --checkpoint-every 5 --checkpoint-keep 3 -o model shards
is "$(kept run)" "25 30 35" "--checkpoint-keep keeps those before the last too, under their steps"
for step in 25 35; do
    cp run.0000$step back
    train -q --resume back --steps 60 -o model shards
    same model straight "from that of step $step the run goes on to the same end"
done
train -q --resume run --steps 47 -o model shards
is "$(kept run)" "35 40 45" "a resumed run goes on keeping them"
train -q --resume run.000040 --steps 43 -o model shards
is "$(kept run) $(kept run.000040)" "35 40 45 40" "one of them is a checkpoint of its own, if it is resumed"
small -q --steps 2 -o other.000002 shards
cp other.000002 before
small -q --init other.000002 --steps 6 --checkpoint other --checkpoint-every 2 --checkpoint-keep 1 \
    -o model shards 2>err
like "$(cat err)" "other.000002: can't be kept under that name: File exists" \
    "a model that has such a name already"
same other.000002 before "stays, though the run began with it"
echo precious >run.000050
cp run.000045 run.000047
train --resume run --steps 60 -o model shards 2>err
like "$(cat err)" "run.000050: can't be kept under that name: File exists" "what is no checkpoint is left alone"
is "$(cat run.000050)" precious "... and stays"
same model straight "and the run goes on"
is "$(kept run)" "40 45 47 50 55" "of those that are too many none goes that has become another"
cp run.000045 run
train -q --resume run --change -r 0.01 --steps 52 --checkpoint-keep 2 -o model shards 2>err
cmp -s run.000047 run
is "$? $(kept run)" "1 40 45 47 50 55" "a run that goes back begins from its own list"
small --steps 10 --checkpoint run --checkpoint-keep 2 --checkpoint-every 5 -o model shards
is "$(kept run)" "5 40 45 47 50 55" "another run of that name removes none of them, and keeps its own"
train -q --resume run --checkpoint-keep 0 --steps 20 -o model shards
is "$(kept run)" "5 40 45 47 50 55" "0 keeps and removes no more"
train --checkpoint-keep 2 --steps 1 -o model shards 2>err
like "$(cat err)" "checkpoint-keep does nothing without --checkpoint" "without a checkpoint it is told"

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

# --- what may differ -----------------------------------------------------------------------------

rm -f run*
small --steps 10 --checkpoint run --checkpoint-every 4 --patience 50 --print-every 3 -o model shards
is "$(config hidden run)" "8 # checkpoint" "--print-config tells what came from the checkpoint"
is "$(config steps run)" "10 # checkpoint; limits the run" "and that it is a limit"
is "$(config epochs run)" "not set; limits the run" "and which limit the run doesn't have"
is "$(config layers run -L 2)" "2 # command line" "and what was given as well"
is "$(train --init model --print-config | grep hidden)" "  hidden: 8 # model" "or from a model"
is "$(config print-every run)" "3 # checkpoint; shapes nothing" "a run remembers how it was watched"
is "$(config steps run -e 2)" "not set; limits the run" "one of -e and --steps replaces both"
cp run kept
small --steps 20 -o straight shards
ok "what does no harm may differ" train -q --resume run --steps 20 --checkpoint-every 7 \
    --patience 40 --print-every 0 --on-nonfinite skip -o resumed shards
same resumed straight "and does none"
is "$(config checkpoint-every run) $(config patience run) $(config on-nonfinite run)" \
    "7 # checkpoint; shapes nothing 40 # checkpoint; limits the run skip # checkpoint; limits the run" \
    "what was given last holds"

# --- what may be changed -------------------------------------------------------------------------

# training MODEL: what it says of its training.
training() {
    "$PYTHON" "$ROOT/tests/tools/models.py" training "$1"
}
for run in a b; do
    cp kept $run
    train -q --resume $run --change -r 0.01 --clip 2 --steps 20 -o $run.model shards
done
same a b "a run with another rate from a step on can be repeated"
status 1 "and is another run" cmp a.model straight
cp kept run
train -q --resume run --change -r 0.01 --clip 2 --steps 15 -o part shards
train -q --resume run --steps 20 -o resumed shards
same resumed a.model "the rate stays changed where the run is resumed again"
train -q --resume a --change -r 0.01 --clip 2 --steps 20 -o again shards
same b a "what changes nothing is no change"
changed='{"from": 0.02, "option": "lr", "step": 10, "to": 0.01}, {"from": 5.0, "option": "clip", "step": 10, "to": 2.0}'
like "$(training a)" "\"changes\": \[$changed\], \"clip\": 2.0, .*\"lr\": 0.01," "its model tells it"
train -q --resume a --change --eval-every 0 -r 0.5 -d 0 --steps 30 --keep best -o best shards
like "$(training best)" '"lr": 0.01, .*"steps": ([7-9]|1[0-9]|20),' \
    "the best model tells what shaped it, not what came after it"
is "$("$PYTHON" "$ROOT/tests/tools/models.py" dropout best)" 0.25 "its dropout too"
cp kept run
train -q --resume run --change --precision bf16 --steps 15 -o part shards
train -q --resume run --steps 20 -o resumed shards
cp kept run
train -q --resume run --change --precision bf16 --steps 20 -o straight.bf16 shards
same resumed straight.bf16 "the precision may change too, and a run in bfloat16 resumes to the bit"
fails 64 "precision" "which has to be asked for" train --resume run --precision f32 --steps 25 -o m shards
is "$(train --resume kept --change -r 0.01 --steps 12 -o m shards 2>&1 >/dev/null | grep changed)" \
    "train: changed from step 11 on: --lr 0.01 (before: 0.02)" "it is told"

# --- older and newer checkpoints -----------------------------------------------------------------

# edited CODE: kept with `options` edited, and the right CRC.
edited() {
    "$PYTHON" -c '
import json, struct, sys, zlib
data = open("kept", "rb").read()
n, = struct.unpack_from("<Q", data)
header = json.loads(data[8:8 + n])
checkpoint = json.loads(header["__metadata__"]["checkpoint"])
exec(sys.argv[1], {"options": checkpoint["options"], "checkpoint": checkpoint})
header["__metadata__"]["checkpoint"] = json.dumps(checkpoint)
header["__metadata__"]["crc32"] = "00000000"
text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
text += b" " * (-(8 + len(text)) % 64)
file = bytearray(struct.pack("<Q", len(text)) + text + data[8 + n:])
file[34:42] = b"%08x" % zlib.crc32(file)
sys.stdout.buffer.write(file)' "$1"
}
rm -f run*
small --clip 5 --steps 10 --checkpoint run -o model shards
mv run kept
edited 'del options["clip"], options["on-nonfinite"], options["keep"]' >old
train -q --resume old --steps 20 -o resumed shards
same resumed straight "a checkpoint from before an option was added resumes with its default"
edited 'del options["clip"]' >old
fails 64 "--clip 1: .* has --clip 5" "which is the run's value" \
    train --resume old --clip 1 --steps 20 -o m shards
edited 'options["colour"] = "green"' >new
fails 65 "new: .*--colour green.*newer charpipe" "one with an option of a newer charpipe is refused" \
    train --resume new --steps 20 -o m shards
edited 'options["seed"] = "many"' >bad
fails 65 "bad: the checkpoint's --seed: expected a whole number" "so is a value that can't be" \
    train --resume bad --steps 20 -o m shards
edited 'options["seed"] = 8' >bad
fails 65 "bad: the checkpoint's --seed is no text" "or is no text" \
    train --resume bad --steps 20 -o m shards
edited 'checkpoint["changes"] = [{"step": 3}]' >bad
fails 65 "bad: the checkpoint's changes" "and changes that tell nothing" \
    train --resume bad --steps 20 -o m shards

for list in '{}' '[1]' '[{"step": 3}]' '[{"step": 10, "crc32": "0badcafe"}]' \
    '[{"step": 3, "crc32": "../x"}]' '[{"step": 3, "crc32": "0badcafe"}, {"step": 3, "crc32": "0badcafe"}]' \
    '[{"step": -3, "crc32": "0badcafe"}]'; do
    edited "checkpoint[\"kept\"] = $list" >bad
    fails 65 "list of those before it|counters" "and a list of what is kept that can't be: $list" \
        train --resume bad --steps 20 -o m shards
done

# A change that never was: what it was "from" would become the metadata of a model from before it.
for change in '"from": 9.5, "to": 0.5' '"from": 0.25, "to": "much"' '"from": [], "to": 0.5'; do
    edited "checkpoint[\"changes\"] = [{\"step\": 3, \"option\": \"dropout\", $change}]" >bad
    fails 65 "change of --dropout: expected a number" "and a change that can't be: $change" \
        train --resume bad --steps 20 -o m shards
done
for change in '"step": 99, "option": "dropout"' '"step": -1, "option": "dropout"' \
    '"step": 3, "option": "hidden"' '"step": 3, "option": "colour"'; do
    edited "checkpoint[\"changes\"] = [{$change, \"from\": 0.25, \"to\": 0.5}]" >bad
    fails 65 "changes are not as expected" "or where or of what there can be none: $change" \
        train --resume bad --steps 20 -o m shards
done

# --- what it refuses -----------------------------------------------------------------------------

rm -f run*
small --steps 10 --checkpoint run -l run.log -o model shards
cp run kept
fails 66 "absent" "a checkpoint that isn't there" train --resume absent -o m shards
ok "which leaves no lock behind" test ! -e absent.lock
fails 65 "other data.*CRC" "other data" train --resume run --steps 12 -o m other.shards
for o in '-H 9' '-L 1' '-s 2' '--keep last' '--optimizer muon' '--average 0.5' '--input-scale 2'; do
    # shellcheck disable=SC2086
    fails 64 "resumed has --.*can't change" "$o, which the run did not have" \
        train --resume run --change $o -o m shards
done
for o in '-d 0.5' '-r 0.1' '--clip 1' '--eval-every 8' '--schedule linear' '--weight-decay 1'; do
    # shellcheck disable=SC2086
    fails 64 "resumed has --.*--change" "$o, unless it is meant" train --resume run $o -o m shards
done
fails 64 "--change: only .*--resume" "--change without a run" train --change -r 0.1 -o m shards
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
while read -r name said claimed; do
    edited "options[\"$name\"] = \"$claimed\"" >run
    fails 65 "options say $name $claimed; the tensors have $said" "$name that its tensors don't have: $claimed" \
        train --resume run --steps 12 -o m shards
    for reader in 'train --init run --steps 1 -o m shards' 'sample -n 1 run' 'evalloss run shards'; do
        # shellcheck disable=SC2086
        fails 65 "options say" "nor does ${reader%% *} take it" $reader
    done
done <<END
hidden 8 9
hidden 8 1
layers 2 9
END
forged fill kept train.v.fc.bias -1 >run
fails 65 "second moments" "means of squares below 0" train --resume run --steps 12 -o m shards
edited 'options["average"] = "0.9"' >run
fails 65 "no tensor train.average." "an average that isn't there" train --resume run --steps 12 -o m shards
edited 'options["horizon"] = "0"' >run
fails 65 "the checkpoint's --horizon: expected" "a schedule without a step" \
    train --resume run --steps 12 -o m shards
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

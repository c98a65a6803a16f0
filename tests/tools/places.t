#!/bin/sh
# train in bad places: a full disk, folders that can't be written to, pipes whose reader has gone, numbers
# that leave the finite, data that only look the same. Nothing that was saved is lost.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

cd "$TMP" || exit 1
seq 1 300 | sed 's/$/ is a number/' | tokenize -q -o tokens
batchify -q -n 4 -m 10 -o shards tokens
small() {
    train -q -H 8 -L 1 -j 1 "$@"
}
small --steps 20 --checkpoint-every 5 --checkpoint straight.run -o straight shards

# --- a full disk ---------------------------------------------------------------------------------

# 64 KB, which only the shell in the new mount namespace sees.
cat >full.sh <<'END'
set -eu
mount -t tmpfs -o size=64k none "$1"
cd "$1"
shift
small() { train -q -H 5 -L 1 -j 1 "$@"; }
small --steps 4 --checkpoint-every 2 --checkpoint run -o "$TMP/m" "$TMP/shards"
cp run "$TMP/before"
dd if=/dev/zero of=filler bs=1k count=64 2>/dev/null || true
rc=0
train -q -j 1 --steps 12 --resume run -o "$TMP/m" "$TMP/shards" 2>"$TMP/said" || rc=$?
cmp run "$TMP/before"
[ "$rc" -eq 74 ]
[ "$(ls -A | tr '\n' ' ')" = "filler run run~ " ]
rm filler
train -q -j 1 --steps 12 --resume run -o "$TMP/m2" "$TMP/shards"
cmp "$TMP/m" "$TMP/m2"
END
mkdir full
if unshare -m sh -c 'mount -t tmpfs -o size=64k none full' 2>/dev/null; then
    ok "on a full disk the checkpoint stays, the model is written, and room again is all it needs" \
        unshare -m sh full.sh "$TMP/full"
    like "$(cat said)" "the run goes on" "saves on the way warn"
else
    skip "a full disk" "can't mount a file system here"
    skip "saves on the way warn" "can't mount a file system here"
fi

# A save that failed is tried again when the next one is due.
mkdir gone
ok "a folder that is locked for a while costs the checkpoints of that while alone" "$PYTHON" -c '
import os, signal, subprocess, time
run = subprocess.Popen(["train", "-q", "-H", "64", "-L", "2", "-j", "1", "--steps", "4000000000", "--checkpoint-every", "5",
                        "--checkpoint", "gone/run", "-l", "gone.log", "-o", "gone.model", "shards"],
                       stderr=open("gone.err", "w"))
def rows():
    return open("gone.log").read().count("\n") if os.path.exists("gone.log") else 0
def until(done):
    while not done() and run.poll() is None:
        time.sleep(0.001)
until(lambda: rows() > 20)
os.rename("gone", "away")
until(lambda: "the run goes on" in open("gone.err").read())
os.rename("away", "gone")
last = rows() + 30
until(lambda: rows() > last)
run.terminate()
assert run.wait() == -signal.SIGTERM, run.returncode'
is "$(inspect gone/run | sed -n 's/^  step: //p')" "$(tail -n 1 gone.log | cut -f 2)" \
    "and the last one is there"
ok "whole" evalloss -q gone/run shards

# --- folders that may not be written to ----------------------------------------------------------

mkdir locked
cp straight.run locked/run
chmod 555 locked
chmod 711 "$TMP"
if [ "$(id -u)" -ne 0 ]; then
    as=
elif setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "test -x '$BIN/train' && test -r '$TMP/shards'" 2>/dev/null; then
    as='setpriv --reuid 65534 --regid 65534 --clear-groups'
else
    as=none
fi
if [ "$as" != none ]; then
    # shellcheck disable=SC2086 # words
    fails 73 "locked" "a folder without write permission" \
        $as "$BIN/train" -q --resume locked/run --steps 30 -o /dev/null shards
    same locked/run straight.run "the checkpoint in it is left alone"
else
    skip "a folder without write permission" "no user other than root can run the programs here"
fi
if unshare -m sh -c 'mount --bind locked locked' 2>/dev/null; then
    chmod 755 locked
    status 73 "a folder that is mounted read-only" unshare -m sh -c '
        mount --bind locked locked && mount -o remount,ro,bind locked &&
        exec train -q --resume locked/run --steps 30 -o /dev/null shards'
    same locked/run straight.run "and its checkpoint is left alone"
else
    skip "a folder that is mounted read-only" "can't mount here"
fi
chmod 755 locked

# --- pipes ---------------------------------------------------------------------------------------

# The reader of stderr goes away: the run stops as by SIGTERM, with its steps saved and its model written.
"$PYTHON" -c '
import os, signal, subprocess
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
run = subprocess.Popen(["train", "-H", "32", "-L", "2", "-j", "1", "--steps", "100000", "-e", "100000", "--print-every", "1",
                        "--checkpoint", "pipe.run", "-o", "pipe.model", "shards"], stderr=subprocess.PIPE)
for line in run.stderr:
    if b"Step: 20." in line:
        break
run.stderr.close()
assert run.wait(timeout=60) == -signal.SIGPIPE, run.returncode'
result $? "when nobody reads its messages the run ends by SIGPIPE"
ok "its steps are saved" train -q -j 1 --resume pipe.run --steps 100 -o pipe.again shards
ok "and its model is written" evalloss -q pipe.model shards

# The same bytes in pieces of any size.
ok "shards from a pipe in pieces of 7 bytes make the same model" sh -c '
    "$PYTHON" -c "
import os
data = open(\"shards\", \"rb\").read()
for i in range(0, len(data), 7):
    os.write(1, data[i:i + 7])" | train -q -H 8 -L 1 -j 1 --steps 20 | cmp - straight'

# --- what is at the checkpoint's place -----------------------------------------------------------

small --steps 3 --checkpoint there -o m shards
train -H 8 -L 1 -j 1 --steps 3 --checkpoint there -o m shards 2>said
like "$(cat said)" "there exists and will be replaced; --resume" "a checkpoint in the way is told of"
printf 'epoch\tstep\tprecious\n' >other.log
fails 65 "other.log.*not empty" "a run without a log doesn't overwrite one when it is resumed" \
    train --resume there --steps 5 -l other.log -o m shards
is "$(cut -f 3 other.log)" precious "which stays as it is"

# The same ids over other symbols are other data.
seq 1 300 | sed 's/$/ is a number/' | tr aeins AEINS | tokenize -q | batchify -q -n 4 -m 10 -o other
fails 65 "symbol|other data" "the same ids over another vocabulary are other data" \
    train --resume there --steps 5 -o m other

# --- numbers that leave the finite ---------------------------------------------------------------

# A model that is finite for every text without a Z: there two output gates open on huge weights.
cat >diverge.py <<'END'
import re, sys
import numpy as np
for name in "read", "write":
    page = open(sys.argv[1] + "/formats/model.md").read()
    exec(re.search(r"<!-- recipe: %s -->\n```python\n(.*?)```" % name, page, re.S).group(1))
tokens, tensors, _ = read_model("z")
tensors = {name: t.copy() for name, t in tensors.items()}
H, units = tensors["lstm.weight_hh_l0"].shape[1], np.array([0, 1])
i, f, g, o = (units + k * H for k in range(4))
for name in "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0":
    tensors[name][np.concatenate([i, f, g, o])] = 0
tensors["lstm.bias_ih_l0"][i] = tensors["lstm.bias_ih_l0"][g] = 100
tensors["lstm.bias_ih_l0"][o] = -200
tensors["lstm.weight_ih_l0"][o, tokens.index("Z")] = 400
tensors["fc.weight"][:, :2] = np.where(np.arange(len(tokens)) % 2, 3.4e38, -3.4e38)[:, None]
write_model("diverging", tokens, tensors)
END
(seq 1 100 && echo Z && seq 100 300) | tokenize -q | batchify -q -n 2 -m 10 -x 0 -o z.shards
train -q -H 4 -L 1 -d 0 --steps 0 -o z z.shards
ok "a model that one letter makes diverge" "$PYTHON" diverge.py "$ROOT"
diverging() {
    train -q -j 1 -d 0 --init diverging -e 2 --checkpoint-every 3 --checkpoint "$@" z.shards
}
fails 70 "step 30: the loss is -?nan .*stopped before the update; the last good checkpoint, stop, is of step 27$" \
    "a loss that is not finite ends the run, and names step and checkpoint" \
    diverging stop -l stop.log -o stop.model
ok "no model is written" test ! -e stop.model
ok "--on-nonfinite skip goes on" diverging skip --on-nonfinite skip -l skip.log -o skip.model
is "$(awk -F '\t' '$4 == "-" && $6 == "-" && $7 == "-"' skip.log | wc -l)" 2 \
    "the log shows the step of each epoch that made no update"
is "$(awk -F '\t' 'NR > 1 && $2 != NR - 1' skip.log)" "" "and counts it as a step"
ok "the run that had stopped goes on from its checkpoint with it" \
    train -q --resume stop --on-nonfinite skip -l stop.log -o stop.model z.shards
same stop.model skip.model "to the same model"
is "$(cut -f 1-7 stop.log)" "$(cut -f 1-7 skip.log)" "and the same log"
for n in $(seq 1 7 61); do
    rm -f part part.log
    diverging part --on-nonfinite skip --steps "$n" -l part.log -o part.model
    train -q -j 2 --resume part -e 2 -l part.log -o part.model z.shards
    cmp part.model skip.model || break
    [ "$(cut -f 1-7 part.log)" = "$(cut -f 1-7 skip.log)" ] || break
done
is "$n" 57 "stopped anywhere and resumed, too"

done_testing

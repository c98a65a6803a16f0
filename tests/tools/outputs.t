#!/bin/sh
# Outputs: where they go, what they never take the place of, and how they fail.
#
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1

seq 1 400 | tokenize -q | batchify -q -n 8 -m 8 -o s

# --- a reader that is slower than the run, behind a pipe that doesn't block ---------------------

ok "a log goes through a full pipe that doesn't block" "$PYTHON" -c '
import fcntl, os, subprocess, sys, time
r, w = os.pipe()
fcntl.fcntl(w, 1031, 4096)  # F_SETPIPE_SZ
os.set_blocking(w, False)
run = subprocess.Popen(["train", "-q", "-H", "4", "-L", "1", "--steps", "300", "-l", "-", "-o", "m", "s"], stdout=w)
os.close(w)
time.sleep(0.5)
with os.fdopen(r, "rb") as f:
    log = f.read()
sys.exit(run.wait() or log.count(b"\n") != 301)'

# --- a full disk under the log --------------------------------------------------------------------

small="train -q -j 1 -H 4 -L 1 --steps 200"
$small -l whole.tsv -o whole s
# The limit is for files: the model goes through a pipe.
(
    ulimit -f 4
    exec $small -l cut.tsv s 2>err
) | cat >model.cut
is "$( (ulimit -f 4; $small -l cut.tsv s 2>/dev/null; echo $? >&2) 2>&1 >/dev/null | cat)" 74 "a full disk under the log: status 74"
same model.cut whole "and yet the model is written"
like "$(head -n 1 err)" "cut.tsv: write failed: .*; the run goes on, and the rows are tried again" "which is told when it happens"
like "$(tail -n 1 err)" "^train: the log is not complete: cut.tsv: write failed" "and at the end"
is "$(wc -l <err)" 3 "once each"
is "$(tail -c 1 cut.tsv | od -An -c | tr -d ' ')" '\n' "the log ends with a whole row"
rows=$(($(wc -l <cut.tsv) - 1))
is "$(head -n $((rows + 1)) whole.tsv | cut -f 1-4)" "$(cut -f 1-4 cut.tsv)" "as far as it goes it is the log"
ok "room that comes back is used" "$PYTHON" -c '
import os, resource, subprocess, sys, time
limits = resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY)
run = subprocess.Popen(["train", "-j", "1", "-H", "64", "--steps", "400", "-l", "later.tsv", "s"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=False, preexec_fn=lambda: resource.setrlimit(*limits))
while b"tried again later" not in run.stderr.readline():
    pass
resource.prlimit(run.pid, limits[0], (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
run.communicate()
sys.exit(run.returncode)'
is "$(cut -f 2 later.tsv)" "$(echo step; seq 1 400)" "and no row is missing then"
fails 74 "/dev/full: write failed" "a log that can't be begun ends the run at once" $small -l /dev/full -o x s
is "$(mkfifo gone
head -n 2 gone >/dev/null &
train -q -j 1 -H 4 -L 1 --steps 3000 -l gone -o piped s 2>/dev/null; echo $?)" 141 "a log's reader that goes away ends the run"
ok "and the model is there" inspect piped

# --- whose a replaced file is -------------------------------------------------------------------

user='setpriv --reuid 65534 --regid 65534'
chmod 711 "$TMP"
mkdir -m 777 shared
seq 1 9 >shared/t
if [ "$(id -u)" -eq 0 ] && $user --clear-groups test -x "$BIN/tokenize" 2>/dev/null; then
    # replaced MODE GROUP EXPECTED DESCRIPTION SETPRIV-OPTION...
    replaced() {
        mode=$1 group=$2 expected=$3 description=$4
        shift 4
        rm -f shared/out
        : >shared/out
        chgrp "$group" shared/out
        chmod "$mode" shared/out
        $user "$@" "$BIN/tokenize" -q -o shared/out shared/t
        is "$(stat -c '%u %g %a' shared/out)" "$expected" "$description"
    }
    replaced 676 12345 "65534 65534 606" "a group that can't be kept takes its permissions with it" --clear-groups
    replaced 2676 12345 "65534 65534 606" "the set-group-ID bit too" --clear-groups
    replaced 664 65534 "65534 65534 664" "its own group stays" --groups 65534
    replaced 660 12345 "65534 12345 660" "so does one that its user is in" --groups 12345
    rm -f shared/out
    $user --clear-groups sh -c ": >shared/out; chmod 640 shared/out"
    tokenize -q -o shared/out shared/t
    is "$(stat -c '%u %g %a' shared/out)" "65534 65534 640" "root keeps all"
else
    skip "whose a replaced file is" "it takes root, and a user who can run the programs here"
fi

# --- outputs that are inputs ----------------------------------------------------------------------

train -q -H 4 -L 1 --steps 1 -o m s
seq 1 400 >t
tokenize -q -o k t
train -q -H 4 -L 1 --steps 1 -l log.tsv -o m2 s
mkdir d
ln -s "$PWD/s" d/soft
ln s d/hard
ln -s ../new d/dangling
printf 'train:\n  log: s\n' >log.yaml
printf 'train:\n  output: ./d/../s\n' >output.yaml
printf 'train:\n  checkpoint: m\n' >checkpoint.yaml
cp m m~
sums() { cksum s m m~ m2 t k ./*.yaml log.tsv; ls -A . d; }
sums >before

# refused FIRST SECOND COMMAND...: the two are one file, and nothing becomes of any.
refused() {
    first=$1 second=$2
    shift 2
    fails 64 "$first and $second are one file" "refused: $*" "$@"
    sums | cmp -s - before
    result "$?" "... and nothing has changed" || sums | diff before - >&2
}

# `out` and `err` are there from now on.
: >out; : >err; : >found.py; sums >before
train="train -q -H 4 -L 1 --steps 1"
refused "--output m" "the input m" evalloss -o m m t
refused "--output t" "the input t" evalloss -o t m t
refused "--output m" "the input m" sample -q -n 1 -o m m
refused "--output t" "--prime-file t" sample -q -n 1 -P t -o t m
refused "--output m" "--vocab m" tokenize -q --vocab m -o m t
refused "--output t" "the input \./t" tokenize -q -o t ./t
refused "--output t" "the input t" tokenize -q -o t k t
refused "--output k" "the input k" tokenize -q -d -o k k
refused "--output k" "the input k" batchify -q -o k k
refused "--output s" "the input s" inspect -o s s
refused "--output s" "the input s" $train -o s s
refused "--output d/soft" "the input s" $train -o d/soft s
refused "--output d/hard" "the input s" $train -o d/hard s
refused "--output s" "the input d/soft" $train -o s d/soft
refused "--log s" "the input s" $train -l s -o x s
refused "--log d/soft" "the input s" $train -l d/soft -o x s
refused "--log m" "--init m" $train --init m -l m -o x s
refused "--output m" "--init m" $train --init m -o m s
refused "--checkpoint m" "--init m" $train --init m --checkpoint m -o x s
refused "--checkpoint m's ~" "--init m~" $train --init m~ --checkpoint m -o x s
refused "--log \./y" "--checkpoint y" $train -l ./y --checkpoint y -o x s
refused "--log d/dangling" "--checkpoint new" $train -l d/dangling --checkpoint new -o x s
refused "--checkpoint y's ~" "--output y~" $train --checkpoint y -o y~ s
refused "--log y\.lock" "--checkpoint y's \.lock" $train --checkpoint y -l y.lock -o x s
refused "--log m" "--resume m" $train --resume m -l m -o x s
refused "--log s" "the input s" $train -c log.yaml -o x s
refused "--output \./d/\.\./s" "the input s" $train -c output.yaml s
refused "--checkpoint m" "--init m" $train -c checkpoint.yaml --init m -o x s
refused "--output checkpoint.yaml" "--config checkpoint.yaml" $train -c checkpoint.yaml -o checkpoint.yaml s
refused "--log x" "--output x" $train -l x -o x s
refused "--output s" "standard input" sh -c "$train -o s <s"
refused "--output s" "the input s" $train --print-config -o s s
is "$(cp m m3; evalloss m3 t 2>&1 >>m3)" "evalloss: standard output and the input m3 are one file, which would be overwritten" \
    "standard output is an input"
same m m3 "... which has not changed"
is "$($train -l - -o both s 2>&1 >both)" "train: standard output and --output both are one file, which would be overwritten" \
    "the log and the model in one file"

ok "devices may be both" sh -c "evalloss -q -o /dev/null m - <t && sample -q -n 1 -P /dev/null -o /dev/null m"
ok "a FIFO may be an output" sh -c "mkfifo fifo && { cat fifo >got & tokenize -q -o fifo t && wait && cmp got k; }"
ok "outputs that are apart are none of its business" $train -l d/log --checkpoint d/c -o d/m s
ok "a log takes a log's place" $train -l log.tsv -o d/m s
ok "and that of an empty file" sh -c ": >empty.log && $train -l empty.log -o d/m s"
fails 73 "t: is no log" "but of nothing else" $train -l t -o d/m s
same t "$(seq 1 400 >t.copy; echo t.copy)" "... which keeps what it holds"
fails 73 "t: is no log" "on resuming neither" $train --resume d/c -l t -o d/m s
ok "a log on standard output is added" sh -c "echo mine >>l && $train -l - -o d/m s >>l"
is "$(head -n 1 l; wc -l <l)" "mine
3" "... to what is there"
echo precious >v~
fails 73 "v~: is no checkpoint" "a checkpoint's second name takes no other file's place" \
    $train --checkpoint v -o d/m s
mkfifo pipe
fails 73 "pipe: a checkpoint must be a regular file" "a checkpoint in a FIFO doesn't wait" \
    timeout 10 $train --checkpoint pipe -o d/m s
fails 73 "pipe: a checkpoint must be a regular file" "nor does one to go on from" \
    timeout 10 $train --resume pipe -o d/m s
fails 73 "standard output|-: a checkpoint must be" "nor in standard output" $train --checkpoint - -o d/m s

# --- what reaches a terminal ----------------------------------------------------------------------

# A text of characters that steer terminals, and a model that knows them.
"$PYTHON" -c '
import sys
harmful = [chr(c) for c in [*range(32), 0x7F, *range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]]
open("harmful", "w", encoding="utf-8", newline="").write("".join(harmful))
open("found.py", "w").write("""import sys
text = open(sys.argv[1], "rb").read().decode("utf-8")  # no output holds anything else
print(*sorted({hex(ord(c)) for c in text if c in %r and c not in "\\n\\t"}))
""" % "".join(c for c in harmful))'
harmless() { is "$("$PYTHON" found.py "$2" 2>&1)" "" "$1: nothing that steers a terminal"; }
for _ in 1 2 3 4 5 6 7 8; do cat harmful; done >text
tokenize -q -o tokens text && batchify -q -n 2 -m 8 -x 0 tokens -o shards &&
    train -q -H 4 -L 1 --steps 1 -o model shards
tokenize -q -b -o tokens.b text && batchify -q -n 2 -m 8 -x 0 tokens.b | train -q -H 4 -L 1 --steps 1 -o model.b
for model in model model.b; do
    for view in --chars --html; do
        ok "evalloss $view on $model" evalloss -q "$view" -o out.view "$model" text
        harmless "evalloss $view on $model" out.view
    done
    ok "evalloss --heat on $model" env TERM=dumb evalloss -q --heat -o out.view "$model" text
    harmless "evalloss --heat on $model" out.view
    ok "sample --logprob with $model" sample -q --logprob -s 1 -n 500 -o out.view "$model"
    harmless "sample --logprob with $model" out.view
done
for file in model tokens shards; do
    ok "inspect $file" inspect -o out.view "$file"
    harmless "inspect $file" out.view
done
tr '\n' '\r' <harmful | tr -d '\0/' >name
status 0 "--print-config" sample --print-config -p "$(cat name)"
harmless "--print-config" out
status 66 "a file's name in a message" sample "$(cat name)"
harmless "a message" err

done_testing

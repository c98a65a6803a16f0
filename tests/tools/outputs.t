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

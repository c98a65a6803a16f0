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

done_testing

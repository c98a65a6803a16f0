"""train under strace, which makes the n-th call of each kind fail, or kills the process there, for every
n of a short run: whatever happened, what the files hold is complete, and the run can be resumed."""
import re
from durable import *

if not strace_works():
    skip_all("no strace here, or it may not trace")
tap = Tap()
os.chdir(tap.folder)
make_shards("shards")
STEPS, EVERY = 5, 2
# At this rate the first model is the best, so that it must be kept and found again.
RUN = ["-H", "3", "-L", "1", "-r", "1", "-j", "1", "--steps", str(STEPS), "--checkpoint-every", str(EVERY), "--eval-every", "2",
       "-q", "-l", "log", "-o", "model", "--checkpoint", "run", "--checkpoint-keep", "1", "shards"]
RESUME = ["-j", "1", "--steps", str(STEPS), "-q", "-l", "log", "-o", "model", "--resume", "run", "shards"]
CALLS = ["openat", "read", "pread64", "write", "fsync", "fdatasync", "fallocate", "rename", "linkat", "link", "unlink",
         "close"]
# A signal that interrupts one of these is no failure.
INTERRUPTED = ["openat", "read", "pread64", "write", "fsync", "fdatasync", "fallocate", "close"]
ERRORS = ["ENOSPC", "EIO", "EINTR"]
LAST_KEPT = 4  # before the last one
KEPT = ["log", "model", "run", "run~", "run.lock"]


def clean():
    for name in os.listdir("."):
        if name != "shards":
            os.remove(name)


def strace(*how):
    """Runs train so; its status (of a signal: negative) and what it said."""
    done = subprocess.run(["strace", "-f", "-qq", "-o", "trace", *how, os.path.join(BIN, "train"), *RUN],
                          env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    trace = open("trace").read()
    os.remove("trace")
    return done.returncode, done.stderr.decode(), trace


# The undisturbed run, and its state after each step that has a checkpoint.
states = {}
for step in range(EVERY, STEPS + EVERY, EVERY):
    clean()
    steps = min(step, STEPS)
    must("train", *[str(steps) if a == str(STEPS) else a for a in RUN])
    states[steps] = state_of("run")[3]
model, rows = read_bytes("model"), facts("log")


def complete(name):
    step, _, _, numbers = state_of(name)
    return states.get(step) == numbers


def check(status, said):
    """What is wrong with the files that a disturbed run left, and with the run that goes on from them;
    None if nothing is."""
    if status == 127 or "error while loading shared libraries" in said:
        return None  # the system's loader failed: train never began
    if status not in (0, 65, 66, 71, 73, 74, -9):
        return "status %d" % status
    if status > 0 and said.count("\n") < 1:
        return "status %d without a word" % status
    left = [name for name in os.listdir(".") if name not in [*KEPT, "shards", *numbered().values()]]
    if left and not (status == -9 and all(name.startswith(".charpipe-") for name in left)):
        return "left behind: " + " ".join(left)
    for name in "run", "run~", *numbered().values():
        if os.path.exists(name) and not complete(name):
            return name + " is not one of the run's checkpoints"
    step = state_of("run")[0] if os.path.exists("run") else 0
    if step == 0 and os.path.exists("run~"):
        return "between two checkpoints there was none"
    if status == -9 and step < saved_before("log", EVERY):
        return "the checkpoint is of step %d, though %d was saved" % (step, saved_before("log", EVERY))
    if os.path.exists("model") and read_bytes("model") != model:
        return "the model is another"
    if status == 0 and not (os.path.exists("model") and step == STEPS):
        return "status 0 without a result"
    again = tool("train", *(RESUME if os.path.exists("run") else RUN))
    if again.returncode != 0:
        return "can't go on: " + again.stderr.decode()
    if read_bytes("model") != model:
        return "resumed, the model is another"
    if facts("log") != rows:
        return "resumed, the log is another"
    if status == -9 and list(numbered()) != [LAST_KEPT]:
        return "resumed, of step %d alone is to be kept: %s" % (LAST_KEPT, numbered())
    return None


for call in CALLS:
    clean()
    status, said, trace = strace("-e", "trace=" + call)
    count = len(re.findall(r"\b%s\(" % call, trace))
    tap.ok(status == 0 and check(status, said) is None, "%s: undisturbed, %d calls" % (call, count), said)
    for number, how in enumerate(["error=" + e for e in ERRORS] + ["signal=KILL"]):
        if how == "signal=KILL" and call in ("read", "pread64"):
            continue  # nothing has changed since the call before
        wrong, tried = [], 0
        for n in range(1, count + 1):
            if not LONG and (n + number) % max(1, count // 4) != 0:
                continue  # the short form takes four of them
            clean()
            status, said, _ = strace("-e", "trace=" + call, "-e", "inject=%s:%s:when=%d" % (call, how, n))
            problem = check(status, said)
            if how == "error=EINTR" and call in INTERRUPTED and status not in (0, 127):
                problem = problem or "it gave up when it was interrupted"
            tried += 1
            if problem:
                wrong.append("call %d, status %d: %s; %s" % (n, status, problem, said.strip()))
        tap.ok(not wrong, "%s: %s at %d of %d calls leaves whole files, and the run goes on" % (call, how, tried, count), *wrong)
tap.done()

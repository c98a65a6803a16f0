"""The programs that write a file and end, under strace, which makes the n-th call of each kind fail, or kills
the process there: afterwards the file is whole, the old one or the new, and the status says which. train,
which goes on, is in faults.py."""
from durable import *

if not strace_works():
    skip_all("no strace here, or it may not trace")
tap = Tap()
os.chdir(tap.folder)
os.mkdir("out")
OLD = b"the old file\n"
CALLS = ["openat", "read", "pread64", "write", "fsync", "fchown", "fchmod", "rename", "linkat", "unlink", "close"]
# A signal that interrupts one of these is no failure. One of those that fails is the file's failure, and so is
# the close of the file itself.
INTERRUPTED = ["openat", "read", "pread64", "write", "fsync", "close"]
ESSENTIAL = ["write", "fsync", "linkat", "rename"]
HOW = ["error=ENOSPC", "error=EIO", "error=EINTR", "signal=KILL"]

with open("text", "w") as f:
    f.writelines("%d comes after %d\n" % (i, i - 1) for i in range(200))
must("tokenize", "-q", "-o", "tokens", "text")
must("batchify", "-q", "-n", "2", "-m", "10", "-x", "0.2", "-o", "shards", "tokens")
must("train", "-q", "-j", "1", "-H", "4", "-L", "1", "--steps", "2", "-o", "model", "shards")
must("sample", "-q", "-j", "1", "-n", "0", "-p", "1", "--no-prime", "--save-state", "state", "-o", "none", "model")

# The words of each command, and the files that it writes.
SAMPLE = ["sample", "-q", "-j", "1", "-s", "1", "-n", "30"]
COMMANDS = [
    (["tokenize", "-q", "-o", "out/tokens", "text"], ["tokens"]),
    (["tokenize", "-q", "-z", "-o", "out/tokens.gz", "text"], ["tokens.gz"]),
    (["tokenize", "-q", "-d", "-o", "out/text", "tokens"], ["text"]),
    (["batchify", "-q", "-n", "2", "-m", "10", "-o", "out/shards", "tokens"], ["shards"]),
    (SAMPLE + ["-o", "out/sample", "model"], ["sample"]),
    (SAMPLE + ["-p", "12", "--save-state", "out/state", "-o", "out/sample", "model"], ["state", "sample"]),
    (SAMPLE + ["--state", "state", "-o", "out/sample", "model"], ["sample"]),
    (["evalloss", "-q", "-j", "1", "-o", "out/table", "model", "shards"], ["table"]),
    (["evalloss", "-q", "-j", "1", "--html", "-o", "out/page", "model", "text"], ["page"]),
    (["inspect", "-o", "out/summary", "tokens"], ["summary"]),
]


# From a pipe, more than stays in memory.
PIPED = ["tokenize", "-q", "-o", "out/piped"]
PIPE = b"".join(b"%d\n" % i for i in range(1200000))


def strace(words, *how):
    done = subprocess.run(["strace", "-f", "-qq", "-o", "trace", *how, os.path.join(BIN, words[0]), *words[1:]],
                          env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=PIPE if words is PIPED else b"")
    with open("trace") as f:
        trace = f.read()
    return done.returncode, done.stderr.decode(), trace


def prepare(files, replaced):
    for name in os.listdir("out"):
        os.remove("out/" + name)
    for name in files if replaced else []:
        with open("out/" + name, "wb") as f:
            f.write(OLD)


def problem(essential, call, how, status, said, replaced, new):
    """What is wrong after a call was disturbed; None if nothing is."""
    if status == 127 or "error while loading shared libraries" in said:
        return None  # the system's loader failed: the program never began
    found = {name: read_bytes("out/" + name) for name in os.listdir("out")}
    strange = [name for name in found if name not in new and not (how == "signal=KILL" and name.startswith(".charpipe-"))]
    if strange:
        return "left behind: " + " ".join(strange)
    for name in new:
        if found.get(name) not in ([new[name], OLD] if replaced else [new[name], None]):
            return "%s is neither the old file nor the new one" % name
    if how == "signal=KILL":
        return None if status == -9 else "it outlived SIGKILL"
    if status == 0 and found != new:
        return "status 0 without the new file"
    if status == 0:
        return "the failure was passed over" if essential and how != "error=EINTR" else None
    if how == "error=EINTR" and call in INTERRUPTED:
        return "it gave up when it was interrupted"
    if status not in ((74,) if essential else (65, 66, 71, 73, 74)):
        return "that status is of something else"
    if said.count("\n") != 1:
        return "it didn't say so in one line"
    return None


def disturb(words, files, replaced):
    prepare(files, replaced)
    status, said, trace = strace(words, "-y", "-e", "trace=" + ",".join(CALLS))
    new = {name: read_bytes("out/" + name) for name in os.listdir("out")}
    wrong, tried, closes = [], 0, 0
    if status != 0 or sorted(new) != sorted(files) or OLD in new.values():
        wrong.append("undisturbed: status %d: %s" % (status, said))
    for call in CALLS:
        calls = re.findall(r"\b%s\(.*" % call, trace)
        count = len(calls)
        for number, how in enumerate(HOW):
            if how == "signal=KILL" and call in ("read", "pread64"):
                continue  # nothing has changed since the call before
            for n in range(1, count + 1):
                essential = call in ESSENTIAL or bool(re.match(r"close\(\d+<[^>]*/out/", calls[n - 1]))
                closes += essential and call == "close"
                if not LONG and not essential and (n + number) % count != 0:
                    continue  # the short form takes one of them
                prepare(files, replaced)
                status, said, _ = strace(words, "-e", "trace=" + call, "-e", "inject=%s:%s:when=%d" % (call, how, n))
                tried += 1
                what = problem(essential, call, how, status, said, replaced, new)
                if what:
                    wrong.append("%s at %s %d: status %d: %s; %s" % (how, call, n, status, what, said.strip()))
    tap.ok(tried > 20 and closes >= len(files) and not wrong, "%s%s: whole files after %d faults" % (
        " ".join(words), " over an old file" if replaced else "", tried), *wrong[:10])


for i, (words, files) in enumerate(COMMANDS):
    for replaced in (False, True) if LONG else [i % 2 == 0]:
        disturb(words, files, replaced)
if LONG:
    disturb(PIPED, ["piped"], False)
tap.done()

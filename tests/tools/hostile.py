"""Files made to do harm, through the programs: damaged at every byte and bit, and well-formed around
sizes that lie. Each ends with 65 and one line, quickly, and takes little memory."""
import gzip
from durable import *
from lies import bombs, largest, lies

tap = Tap()
GOLDEN = os.path.join(ROOT, "tests", "golden")
SANITIZED = bool(os.environ.get("SANITIZE"))
os.chdir(tap.folder)

# --- what a program does with a file ---------------------------------------------------------------

# A small process of its own, as a child's peak memory begins with its parent's. Processor time: other
# programs run here too.
MEASURE = """
import os, subprocess, sys
run = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
said = run.stderr.read()
_, status, usage = os.wait4(run.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.stdout.flush()
sys.stdout.buffer.write(said)
"""
READERS = {
    "tokens": [["batchify", "-q", "-n", "1", "-m", "1"], ["tokenize", "-d"], ["tokenize", "--vocab"]],
    "shards": [["train", "-q", "-H", "1", "-L", "1", "--steps", "1", "-j", "1"]],
    "model": [["sample", "-q", "-n", "1", "-j", "1"], ["tokenize", "--vocab"]],
}


def run(words, path):
    """Status and messages of a program on a file."""
    with open(os.devnull, "r+b") as null:
        done = subprocess.run([os.path.join(BIN, words[0]), *words[1:], path], stdin=null, stdout=null,
                              stderr=subprocess.PIPE, env=ENV)
    return done.returncode, done.stderr


def measured(words, path):
    done = subprocess.run([sys.executable, "-S", "-c", MEASURE, os.path.join(BIN, words[0]), *words[1:], path],
                          stdout=subprocess.PIPE, env=ENV)
    first, _, said = done.stdout.partition(b"\n")
    status, seconds, peak = first.split()
    return int(status), float(seconds), int(peak), said


def refused(status, said):
    """One harmless line that names the file."""
    return status == 65 and said.count(b"\n") == 1 and all(c >= 32 or c == 10 for c in said) and b"\x7f" not in said


# --- damage ----------------------------------------------------------------------------------------

def damaged(good):
    for n in range(len(good)):
        yield "cut to %d bytes" % n, good[:n]
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        yield "bit %d of byte %d turned" % (bit % 8, bit // 8), bytes(bad)


def refuses_damage(kind, name, words):
    """The short form takes every 97th."""
    good = read_bytes(os.path.join(GOLDEN, name))
    wrong, count = [], 0
    for i, (what, bad) in enumerate(damaged(good)):
        if not LONG and i % 97 != 0:
            continue
        with open("bad", "wb") as f:
            f.write(bad)
        status, said = run(words, "bad")
        count += 1
        if not refused(status, said):
            wrong.append("%s: status %d: %r" % (what, status, said))
    tap.ok(not wrong, "%s, %s: cut at any byte, any bit turned: %d times refused" % (words[0], name, count), *wrong[:5])


refuses_damage("tokens", "streams/hello.tokens", READERS["tokens"][0])
refuses_damage("shards", "streams/wrap.shards", READERS["shards"][0])
refuses_damage("model", "model/small.safetensors", READERS["model"][1])


def decompressed(file):
    try:
        return gzip.decompress(file)
    except Exception:
        return None


def refuses_damaged_gzip():
    """gzip's name, time and unused bits may change: its own check is of what is in it."""
    inside = read_bytes(os.path.join(GOLDEN, "streams", "hello.tokens"))
    wrong, count = [], 0
    for i, (what, bad) in enumerate(damaged(gzip.compress(inside, mtime=0))):
        if not LONG and i % 37 != 0:
            continue
        with open("bad", "wb") as f:
            f.write(bad)
        status, said = run(["tokenize", "-d"], "bad")
        count += 1
        if not refused(status, said) and not (status == 0 and decompressed(bad) == inside):
            wrong.append("%s: status %d: %r" % (what, status, said))
    tap.ok(not wrong, "gzip: cut at any byte, any bit turned: %d times refused, or the same inside" % count, *wrong[:5])


refuses_damaged_gzip()

# --- lies ------------------------------------------------------------------------------------------

def refuses(files, what="lies"):
    """Within 100 ms, twice that if the file has to be unpacked, and twice its size and 16 MiB."""
    wrong, count, slow, most = [], 0, 0, 0
    for i, (kind, name, file) in enumerate(files):
        if not LONG and what == "lies" and i % 4 != 0:
            continue  # the short form takes every fourth
        with open("bad", "wb") as f:
            f.write(file)
        packed = file[:2] == b"\x1f\x8b"
        size = len(gzip.decompress(file) if packed else file)
        limit = (0.2 if packed else 0.1) * slowness
        for words in READERS[kind]:
            for attempt in range(3):
                status, seconds, peak, said = measured(words, "bad")
                if seconds < limit:
                    break
            count += 1
            slow, most = max(slow, seconds), max(most, peak - 2 * size)
            if not refused(status, said):
                wrong.append("%s, %s: status %d: %r" % (words[0], name, status, said))
            elif not SANITIZED and (seconds > limit or peak > 2 * size + base[words[0]] + (16 << 20)):
                wrong.append("%s, %s: %.0f ms, %.1f MB for a file of %.1f MB" % (
                    words[0], name, 1e3 * seconds, peak / 1e6, size / 1e6))
    tap.ok(not wrong, "%d %s refused; the slowest took %.0f ms, none more than %.1f MB and twice its size" % (
        count, what, 1e3 * slow, most / 1e6), *wrong[:20])


# What the programs and their libraries take without any file.
started = {words[0]: measured([words[0], "--version"], "--version") for all in READERS.values() for words in all}
base = {name: peak for name, (_, _, peak, _) in started.items()}
# A machine on which nothing takes 10 ms is given the time told, a slower one more.
slowness = max([1] + [seconds / 0.01 for _, seconds, _, _ in started.values()])
tap.ok(True, "without a file: " + ", ".join("%s %.1f MB" % (name, size / 1e6) for name, size in base.items()))
refuses(lies())
refuses(bombs(1000000 if LONG else 100000), what="bombs")
refuses(largest(), what="headers as large as they may be")
tap.done()

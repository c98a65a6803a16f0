"""Files made to do harm, through the programs: damaged at every byte and bit, and well-formed around
sizes that lie. Each ends with 65 and one line, quickly, and takes little memory."""
import gzip, json, struct, time, zlib
from durable import *

tap = Tap()
GOLDEN = os.path.join(ROOT, "tests", "golden")
SANITIZED = bool(os.environ.get("SANITIZE"))
os.chdir(tap.folder)

# --- what a program does with a file ---------------------------------------------------------------

# A small process of its own, as a child's peak memory begins with its parent's.
MEASURE = """
import os, subprocess, sys, time
began = time.monotonic()
run = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
said = run.stderr.read()
_, status, usage = os.wait4(run.pid, 0)
print(os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss * 1024)
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
refuses_damage("model", "model/small.safetensors", READERS["model"][0])


def refuses_damaged_gzip():
    """A gzip header's name, time and flags may change: zlib's own check is of what is in it."""
    good = gzip.compress(read_bytes(os.path.join(GOLDEN, "streams", "hello.tokens")), mtime=0)
    wrong, count = [], 0
    for i, (what, bad) in enumerate(damaged(good)):
        if bad[10:] == good[10:] and len(bad) == len(good):
            continue
        if not LONG and i % 37 != 0:
            continue
        with open("bad", "wb") as f:
            f.write(bad)
        status, said = run(["tokenize", "-d"], "bad")
        count += 1
        if not refused(status, said):
            wrong.append("%s: status %d: %r" % (what, status, said))
    tap.ok(not wrong, "gzip: cut at any byte, any bit turned: %d times refused" % count, *wrong[:5])


refuses_damaged_gzip()

# --- lies ------------------------------------------------------------------------------------------

def stream(kind, yaml, frames=b"", version=1, size=None):
    """A header with the right CRC around any YAML."""
    body = b"---\n" + yaml
    pad = -(64 + len(body) + 9 + 5) % 64
    body += b"# padding" + b"." * pad + b"\n...\n"
    line = b"#charpipe %s %d header=%08d crc=%08x" % (kind, version, 64 + len(body) if size is None else size, zlib.crc32(body))
    return line.ljust(63) + b"\n" + body + frames


def frame(type, payload, sequence=0, size=None, flags=0):
    head = struct.pack("<4sIQQI", type, flags, len(payload) if size is None else size, sequence, zlib.crc32(payload))
    head += struct.pack("<I", zlib.crc32(head))
    return head + payload + bytes(-(32 + len(payload)) % 64)


def ends(frames, ids, crc, sequence):
    return frame(b"ENDS", struct.pack("<QQII", frames, ids, crc, 0), sequence)


TOKENS = b'kind: tokens\nunit: codepoint\nnewlines: keep\ndtype: "|u1"\nvocab: ["a", "b"]\n'
SHARDS = b'kind: shards\nunit: codepoint\nnewlines: keep\ndtype: "|u1"\nrows: {train: %d, validation: 0, test: 0}\n' \
         b'window: %d\nbatches: {train: %d, validation: 0, test: 0}\ntargets: next\ntokens: {used: %d, dropped: 0}\nvocab: ["a", "b"]\n'
HUGE = [2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 1]


def safetensors(tensors, metadata=None, data=b"", n=None, raw=None):
    """tensors: (name, dtype, shape, begin, end) each; the JSON is written by hand so that it may repeat keys."""
    parts = ['"__metadata__":' + json.dumps(metadata)] if metadata else []
    parts += ['"%s":{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}' % t for t in tensors]
    text = raw if raw is not None else ("{" + ",".join(parts) + "}").encode()
    return struct.pack("<Q", len(text) if n is None else n) + text + data


def model(V=2, H=1, **changed):
    """A model's tensors in order, some of them changed: name=(dtype, shape, begin, end)."""
    at, tensors = 0, []
    for name, shape in (("lstm.weight_ih_l0", [4 * H, V]), ("lstm.weight_hh_l0", [4 * H, H]), ("lstm.bias_ih_l0", [4 * H]),
                        ("lstm.bias_hh_l0", [4 * H]), ("fc.weight", [V, H]), ("fc.bias", [V])):
        size = 4
        for d in shape:
            size *= d
        tensors.append((name,) + changed.get(name.replace(".", "_"), ("F32", shape, at, at + size)))
        at += size
    return tensors, bytes(at)


def lies():
    """(kind, what, file)"""
    for x in HUGE:
        yield "tokens", "a frame of %d bytes" % x, stream(b"tokens", TOKENS, frame(b"TOKN", b"\0" * 8, size=x % 2**64))
        yield "tokens", "an optional frame of %d bytes" % x, stream(b"tokens", TOKENS, frame(b"note", b"\0" * 8, size=x % 2**64))
        yield "tokens", "%d frames before the end" % x, stream(b"tokens", TOKENS, ends(x % 2**64, 0, 0, 0))
        yield "tokens", "sequence number %d" % x, stream(b"tokens", TOKENS, frame(b"TOKN", b"\0" * 8, x % 2**64))
        for place in range(3):
            shape = [1, 1, 1]
            shape[place] = x
            used = shape[0] * shape[1] * shape[2] % 2**64
            yield "shards", "rows, window, batches %s" % shape, stream(b"shards", SHARDS % (*shape, used))
        yield "shards", "%d tokens used" % x, stream(b"shards", SHARDS % (1, 1, 1, x))
        yield "shards", "a product of 2^64", stream(b"shards", SHARDS % (2**32 - 1, 2**32 - 1, x, 0))
        yield "model", "a header of %d bytes" % x, safetensors([], raw=b"{}", n=x % 2**64)
        for shape in [x, 2], [2, x], [x, x], [4, x, x], [x]:
            tensors, data = model(lstm_weight_ih_l0=("F32", shape, 0, 32))
            yield "model", "shape %s" % shape, safetensors(tensors, data=data)
        for extent in (0, x), (x, x), (x, 0), (x - 32, x):
            tensors, data = model(lstm_weight_ih_l0=("F32", [4, 2], *extent))
            yield "model", "extent %s" % (extent,), safetensors(tensors, data=data)
        yield "model", "%d symbols, no data" % x, safetensors(model(V=x)[0] if x < 2**20 else [("lstm.weight_ih_l0", "F32", [4, x], 0, 16 * x)])
    for x in [-1, -2**31, -2**63, -2**64, "1e3", "0x10", "1.0", "01", "+1", "~", "", "true", "[1]", "{a: 1}", "9" * 400]:
        yield "shards", "window %s" % str(x)[:20], stream(b"shards", SHARDS.replace(b"window: %d", b"window: " + str(x).encode()) % (1, 1, 1))
    for x in [-1, -2**63, 1.5, '"8"', "null", "true", "1e400", "9" * 400]:
        tensors, data = model(lstm_weight_ih_l0=("F32", "[4,%s]" % x, 0, 32))
        yield "model", "dimension %s" % str(x)[:20], safetensors(tensors, data=data)
        tensors, data = model(lstm_weight_ih_l0=("F32", "[4,2]", x, 32))
        yield "model", "offset %s" % str(x)[:20], safetensors(tensors, data=data)
    tensors, data = model()
    for what, order in ("reversed", tensors[::-1]), ("twice", tensors + tensors[:1]), ("all at byte 0", [(*t[:3], 0, t[4] - t[3]) for t in tensors]):
        if what != "reversed":  # JSON objects have no order
            yield "model", "tensors " + what, safetensors(order, data=data)
    yield "model", "metadata twice", safetensors([], raw=b'{"__metadata__":{},"__metadata__":{}}')
    yield "tokens", "a header that ends in the frames", stream(b"tokens", TOKENS, frame(b"TOKN", b"\0"), size=64 * 100)
    yield "tokens", "frames in the wrong order", stream(b"tokens", TOKENS, frame(b"TOKN", b"\0", 1) + frame(b"TOKN", b"\0", 0))
    yield "tokens", "two end frames", stream(b"tokens", TOKENS, frame(b"TOKN", b"\0") + 2 * ends(1, 1, zlib.crc32(b"\0"), 1))
    yield "shards", "batches of another part", stream(b"shards", SHARDS % (1, 1, 1, 1), frame(b"VAL ", b"\0\0"))
    yield "shards", "more batches than promised", stream(b"shards", SHARDS % (1, 1, 1, 1), frame(b"TRN ", b"\0\0") + frame(b"TRN ", b"\0\0", 1))
    for escape in "\x1b[2J", "\x07", "\x9b31m", "\u202e", "\r", "\n":
        tensors, data = model()
        yield "model", "a tensor called %r" % escape, safetensors([(json.dumps(escape)[1:-1], "F32", [1], 0, 4)] + tensors, data=data)
        yield "tokens", "a key %r" % escape, stream(b"tokens", TOKENS + b"%s: 1\n" % json.dumps(escape).encode())


def bombs():
    """Small texts that are large trees, or large when decompressed."""
    n = 1000000 if LONG else 100000
    yield "model", "a million empty lists", safetensors([], raw=b'{"a":[' + b",".join([b"[]"] * n) + b"]}")
    yield "model", "a million keys", safetensors([], raw=b"{" + b",".join(b'"%x":1' % i for i in range(n)) + b"}")
    yield "model", "a million levels", safetensors([], raw=b'{"a":' + b"[" * n)
    tensors, data = model()
    for what, tokens in ("lists", "[" + ",".join(["[]"] * n) + "]"), ("levels", "[" * n), ("strings", "[" + ",".join(['"a"'] * n) + "]"):
        yield "model", "tokens: a million " + what, safetensors(tensors, {"tokens": tokens}, data)
    yield "tokens", "a million levels of YAML", stream(b"tokens", b"kind: " + b"[" * n + b"\n")
    yield "tokens", "a million keys of YAML", stream(b"tokens", b"".join(b"k%d: 1\n" % i for i in range(n)))
    yield "tokens", "a long scalar", stream(b"tokens", b'kind: "' + b"a" * n + b'"\n')
    yield "tokens", "a gzip bomb", gzip.compress(bytes(100 * n), 9, mtime=0)
    yield "model", "a gzip bomb of a header", gzip.compress(safetensors([], raw=b"{" + b" " * 50 * n), 9, mtime=0)


def refuses(files, limit=0.1, what="lies"):
    wrong, count, slow, most = [], 0, 0, 0
    for i, (kind, name, file) in enumerate(files):
        if not LONG and what == "lies" and i % 4 != 0:
            continue  # the short form takes every fourth
        with open("bad", "wb") as f:
            f.write(file)
        size = len(gzip.decompress(file) if file[:2] == b"\x1f\x8b" else file)
        for words in READERS[kind]:
            # The best of three: other programs run here too.
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
base = {words[0]: measured([words[0], "--version"], "--version")[2] for all in READERS.values() for words in all}
tap.ok(True, "without a file: " + ", ".join("%s %.1f MB" % (name, size / 1e6) for name, size in base.items()))
refuses(lies())
refuses(bombs(), what="bombs", limit=0.5)
tap.done()

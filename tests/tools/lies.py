"""Files that are well-formed around sizes that lie, with the right CRCs: for hostile.py, which gives them to
the programs, and for the fuzz targets, which begin with them. Written from formats/*.md alone."""
import gzip, json, struct, zlib


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
    parts = ['"__metadata__":' + json.dumps(metadata, separators=(",", ":"))] if metadata else []
    parts += ['"%s":{"dtype":"%s","shape":%s,"data_offsets":[%s,%s]}' % t for t in tensors]
    text = raw if raw is not None else ("{" + ",".join(parts) + "}").encode()
    file = struct.pack("<Q", len(text) if n is None else n) + text + data
    place = b'{"__metadata__":{"crc32":"'
    return file[:34] + b"%08x" % zlib.crc32(file) + file[42:] if file[8:42] == place + b"0" * 8 else file


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
    for kind in "tokens", "shards":
        for digits in 9, 10, 19, 47, 200:
            yield kind, "a version of %d digits" % digits, b"#charpipe %s " % kind.encode() + b"9" * digits + b" " * 64
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
    for what in '"__metadata__":[]', '"__metadata__":null', '"t":[]', '"t":{}', '"t":{"dtype":1,"shape":[],"data_offsets":[0,4]}', \
            '"t":{"dtype":"F32","shape":{},"data_offsets":[0,4]}', '"t":{"dtype":"F32","shape":[],"data_offsets":[0]}', \
            '"t":{"dtype":"F32","shape":[],"data_offsets":4}', '"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}':
        yield "model", what, safetensors([], raw=b"{" + what.encode() + b"}", data=bytes(4))
    for tokens in "x", "[", "[1", "[1,]", "[1 2]", "[1,2]x", "{}", "[]", '["a",2]', "[1,256]", "[1,-1]", '["a","ab"]', '["a",""]', "[[],[]]":
        tensors, data = model()
        yield "model", "tokens " + tokens, safetensors(tensors, {"tokens": tokens}, data)
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


def bombs(n):
    """Small texts that are large trees, or large when decompressed."""
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


def largest():
    """Headers at their limits, in what takes the reader longest."""
    most = [chr(c) for c in range(0x100000, 0x110000)]
    keys = TOKENS[:TOKENS.index(b"dtype")] + b'dtype: "<u2"\n'
    shards = SHARDS[:SHARDS.index(b"vocab")] % (1, 1, 1, 1)
    symbols = b"vocab: [" + b",\n  ".join(b'"\\U%08x"' % ord(c) for c in most[1:]) + b', %s"\\U0010fffe"]\n'
    yield "tokens", "65,536 symbols, one of them twice", stream(b"tokens", keys + symbols % b"")
    yield "tokens", "65,537 symbols", stream(b"tokens", keys + symbols % b'"a", ')
    yield "shards", "65,536 symbols in one byte", stream(b"shards", shards + symbols.replace(b"%s", b"").replace(b"0010fffe", b"00000061"))
    mib = 1 << 20
    for what, yaml in ("symbols, too many", b"vocab: [" + b",".join([b'"a"'] * (mib // 4 - 100)) + b"]"), \
            ("symbols, not quoted", b"vocab: [" + b"a," * (mib // 2 - 500) + b"]"), \
            ("symbols, one a line", b"vocab:\n" + b"- a\n" * (mib // 4 - 500)), \
            ("symbols, the last broken", b"vocab: [" + b'"a",' * 65535 + b'"aa"]'), \
            ("symbols as mappings", b"vocab: [" + b'"a": "b",' * 65535 + b'"aa"]'), \
            ("escapes", b'vocab: "' + b"\\n" * (mib // 2 - 500) + b'"'), \
            ("comments", b"#\n" * (mib // 2 - 500)), \
            ("directives", b"".join(b"%%TAG !%x! x\n" % i for i in range(70000))), \
            ("spaces", b"vocab: " + b" " * (mib - 1000)):
        yield "tokens", what, stream(b"tokens", keys + yaml + b"\n")
    tensors, data = model()
    wide, zeros = model(V=65536)
    for what, tokens in ("65,536 symbols, escaped twice", json.dumps(most)), ("one of them twice", json.dumps(most[1:] + most[:2])):
        yield "model", "tokens: " + what, safetensors(wide if what[0] == "o" else tensors, {"tokens": tokens}, zeros if what[0] == "o" else data)
    for what, tokens in ("a long string", '["' + "a" * (2 * mib - 2000)), ("escapes", "\n" * (mib - 1000)), \
            ("lists", "[" + "[]," * 65535 + "[]]"), ("objects", "[" + "{}," * 65535 + "{}]"), ("numbers", "[" + "1," * (mib - 1000)):
        yield "model", "tokens: " + what, safetensors(tensors, {"tokens": tokens}, data)
    for key in "training", "checkpoint":
        yield "model", key, safetensors(tensors, {"crc32": "0" * 8, key: '{"a":[' + "[]," * (mib // 3 - 500) + "[]]}"}, data)
    yield "model", "metadata", safetensors(tensors, {"tokens": '["a"]', "other": "a" * (2 * mib - 2000)}, data)
    yield "model", "values", safetensors([], raw=b'{"a":[' + b"[]," * 32000 + b"[]]}")
    for name in "t%d", "lstm.weight_ih_l%d":
        yield "model", "tensors " + name, safetensors([(name % i, "F32", [1], 4 * i, 4 * i + 4) for i in range(5400)], data=bytes(21600))
    yield "model", "a gzip bomb of tokens", gzip.compress(safetensors(tensors, {"tokens": " " * (2 * mib - 2000)}, data), 9, mtime=0)
    yield "tokens", "a gzip bomb of YAML", gzip.compress(stream(b"tokens", keys + b"#" * (mib - 1000) + b"\n"), 9, mtime=0)

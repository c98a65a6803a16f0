#!/usr/bin/python3
"""Makes the golden token streams and shards, valid and invalid ones, and expected.tsv.

    cd tests/golden/streams && /usr/bin/python3 make.py

Written from formats/stream.md, tokens.md and shards.md alone: it shares no code with what it tests.
Standard library only. Running it again must change nothing.
"""
import glob
import os
import struct
import zlib

ALIGN = 64


# --- the container -------------------------------------------------------------------------------

def first_line(kind, header, crc, version=1):
    line = f"#charpipe {kind} {version} header={header:08d} crc={crc:08x}"
    return line.ljust(63).encode() + b"\n"


def document(keys):
    """The YAML part: the keys, padded with a comment so that the whole header ends at 64 bytes."""
    size = 64 + len(b"---\n" + keys + b"# padding" + b"\n...\n")
    return b"---\n" + keys + b"# padding" + b"." * (-size % ALIGN) + b"\n...\n"


def header(kind, keys, version=1):
    yaml = document(keys)
    return first_line(kind, 64 + len(yaml), zlib.crc32(yaml), version) + yaml


def frame(kind, payload, sequence, flags=0, padding=b"\0", crc=None, size=None):
    head = kind + struct.pack("<IQQI", flags, len(payload) if size is None else size, sequence,
                              zlib.crc32(payload) if crc is None else crc)
    head += struct.pack("<I", zlib.crc32(head))
    return head + payload + padding * (-(32 + len(payload)) % ALIGN)


def ends(payloads, ids, frames=None, crc=None, zero=0, more=b""):
    frames = len(payloads) if frames is None else frames
    crc = zlib.crc32(b"".join(payloads)) if crc is None else crc
    return frame(b"ENDS", struct.pack("<QQII", frames, ids, crc, zero) + more, len(payloads))


# --- the vocabulary ------------------------------------------------------------------------------

HIDDEN = [(0x0, 0x1F), (0x7F, 0xA0), (0xAD, 0xAD), (0x300, 0x36F), (0x2000, 0x200F),
          (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0xD800, 0xF8FF),
          (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFF0, 0xFFFF), (0xE0000, 0x10FFFF)]


def quoted(c):
    short = {"\t": r"\t", "\n": r"\n", "\r": r"\r", '"': r"\"", "\\": r"\\"}
    n = ord(c)
    if c in short:
        return f'"{short[c]}"'
    if n & 0xFFFE != 0xFFFE and not any(low <= n <= high for low, high in HIDDEN):
        return f'"{c}"'
    return f'"\\x{n:02x}"' if n < 0x100 else f'"\\u{n:04x}"' if n < 0x10000 else f'"\\U{n:08x}"'


def vocab_keys(symbols, newlines):
    unit = "byte" if isinstance(symbols[0], int) else "codepoint"
    dtype = "|u1" if len(symbols) <= 256 else "<u2"
    return f'unit: {unit}\nnewlines: {newlines}\ndtype: "{dtype}"\n'


def vocab_list(symbols):
    words = [str(s) if isinstance(s, int) else quoted(s) for s in symbols]
    lines = [", ".join(words[i:i + 16]) for i in range(0, len(words), 16)]
    return "vocab: [\n  " + ",\n  ".join(lines) + "]\n"


def pack(ids, symbols):
    letter = "B" if len(symbols) <= 256 else "H"
    return struct.pack(f"<{len(ids)}{letter}", *ids)


# --- token streams -------------------------------------------------------------------------------

def tokens_keys(symbols, newlines="keep"):
    return ("kind: tokens\n" + vocab_keys(symbols, newlines) + vocab_list(symbols)).encode()


def tokens(symbols, ids, newlines="keep"):
    payloads = [pack(ids, symbols)] if ids else []
    body = b"".join(frame(b"TOKN", p, i) for i, p in enumerate(payloads))
    return header("tokens", tokens_keys(symbols, newlines)) + body + ends(payloads, len(ids))


HELLO = "hello, w\u00f6rld \U0001F642\n\"\\\"\u00a0\u0301\r"
HELLO_SYMBOLS = sorted(set(HELLO))
HELLO_IDS = [HELLO_SYMBOLS.index(c) for c in HELLO]
HELLO_KEYS = tokens_keys(HELLO_SYMBOLS)
HELLO_PAYLOAD = pack(HELLO_IDS, HELLO_SYMBOLS)
HAN = [chr(0x4E00 + 7 * i) for i in range(300)]


def hello(keys=HELLO_KEYS, payloads=(HELLO_PAYLOAD,), frames=None, end=None, ids=None):
    """hello.tokens with a part replaced."""
    ids = sum(len(p) for p in payloads) if ids is None else ids
    if frames is None:
        frames = b"".join(frame(b"TOKN", p, i) for i, p in enumerate(payloads))
    return header("tokens", keys) + frames + (ends(payloads, ids) if end is None else end)


# --- shards --------------------------------------------------------------------------------------

def rows_of(ids, rows, window, batches, targets):
    """Batches as lists of rows of window + 1 ids, straight from the definition."""
    length = batches * window
    result = []
    for k in range(batches):
        batch = []
        for r in range(rows):
            row = ids[r * length:(r + 1) * length]
            last = row[0] if targets == "row-wrap" else ids[(r + 1) * length]
            batch.append((row + [last])[k * window:(k + 1) * window + 1])
        result.append(batch)
    return result


def shards_keys(symbols, rows, window, batches, targets, used, dropped, newlines="keep"):
    return ("kind: shards\n" + vocab_keys(symbols, newlines)
            + "rows: {train: %d, validation: %d, test: %d}\n" % rows
            + f"window: {window}\n"
            + "batches: {train: %d, validation: %d, test: %d}\n" % batches
            + f"targets: {targets}\n"
            + f"tokens: {{used: {used}, dropped: {dropped}}}\n"
            + vocab_list(symbols)).encode()


def shards(symbols, parts, rows, window, batches, targets, newlines="keep"):
    used = sum(r * window * b for r, b in zip(rows, batches))
    dropped = sum(len(p) for p in parts) - used
    keys = shards_keys(symbols, rows, window, batches, targets, used, dropped, newlines)
    types, payloads = [], []
    for name, ids, n, k in zip((b"TRN ", b"VAL ", b"TST "), parts, rows, batches):
        for batch in rows_of(ids, n, window, k, targets):
            types.append(name)
            payloads.append(pack(sum(batch, []), symbols))
    count = sum(len(p) for p in payloads) // len(pack([0], symbols))
    body = b"".join(frame(t, p, i) for i, (t, p) in enumerate(zip(types, payloads)))
    return header("shards", keys) + body + ends(payloads, count)


ABC = list("abcdefghij")
ABC_IDS = [(i * i + i // 3) % 10 for i in range(40)]
WRAP = dict(rows=(4, 2, 0), window=3, batches=(2, 1, 0), targets="row-wrap")
BYTES = list(range(256))
BYTES_IDS = [(i * 37 + 11) % 256 for i in range(50)]
NEXT = dict(rows=(2, 2, 1), window=5, batches=(3, 1, 1), targets="next")


def wrap(keys=None, payloads=None, types=(b"TRN ", b"TRN ", b"VAL "), ids=None, end=None):
    """wrap.shards with a part replaced."""
    payloads = WRAP_PAYLOADS if payloads is None else payloads
    keys = WRAP_KEYS if keys is None else keys
    ids = sum(len(p) for p in payloads) if ids is None else ids
    body = b"".join(frame(t, p, i) for i, (t, p) in enumerate(zip(types, payloads)))
    return header("shards", keys) + body + (ends(payloads, ids) if end is None else end)


WRAP_KEYS = shards_keys(ABC, (4, 2, 0), 3, (2, 1, 0), "row-wrap", 30, 10)
WRAP_PAYLOADS = [bytes(sum(b, [])) for b in rows_of(ABC_IDS[:30], 4, 3, 2, "row-wrap")
                 + rows_of(ABC_IDS[30:], 2, 3, 1, "row-wrap")]

# --- the files -----------------------------------------------------------------------------------

files = {}  # name: (bytes, what it is read as, status, a part of the message)


def valid(name, data):
    files[name] = (data, name.rsplit(".", 1)[1], 0, "")


def refused(name, data, message, kind=None):
    files[name] = (data, kind or name.rsplit(".", 1)[1], 65, message)


def replaced(data, old, new):
    assert data.count(old) == 1, (old, data.count(old))
    return data.replace(old, new)


def flipped(data, at, bit=0):
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]


valid("hello.tokens", tokens(HELLO_SYMBOLS, HELLO_IDS))
valid("bytes.tokens", tokens(BYTES, BYTES_IDS, "universal"))
valid("han.tokens", tokens(HAN, [299, 0, 256, 7], "universal"))
valid("no-ids.tokens", tokens(["a", "b"], []))
valid("wrap.shards", shards(ABC, (ABC_IDS[:30], ABC_IDS[30:], []), **WRAP))
valid("next.shards", shards(BYTES, (BYTES_IDS[:31], BYTES_IDS[31:43], BYTES_IDS[43:]), **NEXT))
FEW = [0, 10, 65, 255]
valid("few.tokens", tokens(FEW, [2, 1, 3, 0, 2]))
valid("few.shards", shards(FEW, ([2, 1, 3, 0, 2], [3, 3, 1], [0]), (1, 1, 1), 1, (5, 3, 1),
                           "row-wrap"))
assert files["wrap.shards"][0] == wrap()
assert files["hello.tokens"][0] == hello()

# What charpipe doesn't write, and reads all the same.
valid("optional.tokens", hello(
    frames=frame(b"TOKN", HELLO_PAYLOAD, 0) + frame(b"note", b"skip me", 1),
    end=ends([HELLO_PAYLOAD, b"skip me"], len(HELLO_PAYLOAD))))
valid("style.tokens", hello(
    keys=b"# keys in any order, any style\nvocab:\n- 'a'\n- \"\\x62\"\n- |-\n  c\n"
         b"\"unit\": codepoint\ndtype: '|u1'\nkind: tokens\nnewlines: keep\n",
    payloads=(b"\0\1\2",)))
NOTES = b"notes: {source: 'anna.txt', later: [1, {a: b}]}\n"
valid("notes.tokens", hello(HELLO_KEYS + NOTES))
valid("notes.shards", wrap(keys=WRAP_KEYS + NOTES))

DATA = hello()
HEADER = len(header("tokens", HELLO_KEYS))
BODY = HEADER + 64                              # where ENDS begins
assert len(DATA) == BODY + 64

# Another kind of file.
refused("empty.tokens", b"", "is empty")
refused("text.tokens", b"Happy families are all alike; every unhappy family is unhappy in its own "
        b"way.\n", "not a charpipe file")
refused("model.tokens", struct.pack("<Q", 16) + b'{"__metadata__":{}}'.ljust(64), "this is a model")
refused("is-shards.tokens", wrap(), "these are shards")
refused("is-tokens.shards", DATA, "this is a token stream; run batchify")
refused("other-kind.tokens", header("corpus", HELLO_KEYS) + DATA[HEADER:], "of another kind")
refused("other-kind-within.tokens", hello(replaced(HELLO_KEYS, b"tokens", b"shards")), "kind")
refused("newer.tokens", header("tokens", HELLO_KEYS, 2) + DATA[HEADER:], "written by a newer charpipe (tokens version 2); this program reads up to 1")

# Not all there.
refused("cut-line.tokens", DATA[:40], "incomplete")
refused("cut-header.tokens", DATA[:100], "incomplete")
refused("cut-head.tokens", DATA[:HEADER + 10], "incomplete")
refused("cut-payload.tokens", DATA[:HEADER + 40], "incomplete")
refused("cut-frames.tokens", DATA[:BODY], "incomplete")
refused("cut-end.tokens", DATA[:-1], "incomplete")
refused("trailing.tokens", DATA + b"\0", "more bytes after the end frame")
refused("twice.tokens", DATA + DATA, "more bytes after the end frame")

# Damaged, or made by something that doesn't keep to the specification: the container.
refused("flipped-line.tokens", flipped(DATA, 60), "first line is damaged")
refused("upper-case-crc.tokens", DATA[:64].replace(b"crc=", b"CRC=") + DATA[64:], "first line")
refused("flipped-header.tokens", flipped(DATA, 70), "the header is damaged")
refused("flipped-head.tokens", flipped(DATA, HEADER + 8), "head is damaged")
refused("flipped-payload.tokens", flipped(DATA, HEADER + 32), "payload is damaged")
refused("flipped-end.tokens", flipped(DATA, BODY + 32), "payload is damaged")
refused("header-size.tokens", first_line("tokens", HEADER + 1, 0) + DATA[64:], "multiple of 64")
refused("header-huge.tokens", first_line("tokens", 99999936, 0) + DATA[64:], "multiple of 64")
refused("header-long.tokens", first_line("tokens", 1 << 20, 0) + DATA[64:], "incomplete")
yaml = DATA[64:HEADER].replace(b"\n...\n", b"\n---\n")
refused("no-dots.tokens", first_line("tokens", HEADER, zlib.crc32(yaml)) + yaml + DATA[HEADER:],
        "line \"...\"")
refused("flags.tokens", hello(frames=frame(b"TOKN", HELLO_PAYLOAD, 0, flags=1)), "flags")
refused("padding.tokens", hello(frames=frame(b"TOKN", HELLO_PAYLOAD, 0, padding=b" ")), "padding")
refused("padding-end.tokens", DATA[:-1] + b"\1", "padding")
refused("sequence.tokens", hello(frames=frame(b"TOKN", HELLO_PAYLOAD, 1)), "sequence number")
refused("type.tokens", hello(frames=frame(b"T\0\0\0", HELLO_PAYLOAD, 0)), "type")
refused("unknown.tokens", hello(frames=frame(b"TOKX", HELLO_PAYLOAD, 0)), "unknown")
refused("frame-huge.tokens", hello(frames=frame(b"TOKN", HELLO_PAYLOAD, 0, size=1 << 40)),
        "are allowed")
refused("frame-long.tokens", hello(frames=frame(b"TOKN", HELLO_PAYLOAD, 0, size=1 << 16)),
        "incomplete")
refused("after-optional.tokens", hello(
    frames=frame(b"note", b"", 0) + frame(b"TOKN", HELLO_PAYLOAD, 1),
    end=ends([b"", HELLO_PAYLOAD], len(HELLO_PAYLOAD))), "after optional")
refused("flipped-optional.tokens", hello(
    frames=frame(b"TOKN", HELLO_PAYLOAD, 0) + frame(b"note", b"skip me", 1, crc=1),
    end=ends([HELLO_PAYLOAD, b"skip me"], len(HELLO_PAYLOAD))), "payload is damaged")
refused("end-frames.tokens", hello(end=ends([HELLO_PAYLOAD], len(HELLO_PAYLOAD), frames=2)),
        "counts 2 frames")
refused("end-ids.tokens", hello(ids=len(HELLO_PAYLOAD) + 1), "ids")
refused("end-crc.tokens", hello(end=ends([HELLO_PAYLOAD], len(HELLO_PAYLOAD), crc=1)), "CRC of all")
refused("end-zero.tokens", hello(end=ends([HELLO_PAYLOAD], len(HELLO_PAYLOAD), zero=1)), "not zero")
refused("end-size.tokens", hello(end=ends([HELLO_PAYLOAD], len(HELLO_PAYLOAD), more=b"\0")),
        "25 bytes")

# The keys.
K = HELLO_KEYS
refused("duplicate-key.tokens", hello(K + b"unit: codepoint\n"), "again")
refused("unknown-key.tokens", hello(K + b"colour: blue\n"), "unknown key")
refused("notes-list.tokens", hello(K + b"notes: [1]\n"), "notes: expected a mapping")
refused("missing-key.tokens", hello(replaced(K, b"newlines: keep\n", b"")), "missing")
refused("anchor.tokens", hello(replaced(K, b"unit: ", b"unit: &u ")), "anchor")
refused("alias.tokens", hello(replaced(K, b"unit: codepoint", b"unit: *u")), "alias")
refused("tag.tokens", hello(replaced(K, b"unit: ", b"unit: !!str ")), "tag")
refused("second-document.tokens", hello(K + b"--- 1\n"), "second document")
refused("deep.tokens", hello(K + b"deep: " + b"[" * 9 + b"]" * 9 + b"\n"), "deep")
refused("not-yaml.tokens", hello(K + b"}\n"), "line ")
refused("not-utf8.tokens", hello(K + b"# \xff\n"), "byte ")
refused("no-mapping.tokens", hello(b"tokens\n"), "mapping")
refused("no-keys.tokens", hello(b""), "mapping")
refused("unit.tokens", hello(replaced(K, b"codepoint", b"word")), "unit")
refused("newlines.tokens", hello(replaced(K, b"newlines: keep", b"newlines: CRLF")), "newlines")
refused("dtype.tokens", hello(replaced(K, b"|u1", b"<u2")), "dtype")
refused("plain-symbol.tokens", hello(replaced(K, b'"h"', b"h")), "quoted character")
refused("number-symbol.tokens", hello(replaced(K, b'"h"', b"7")), "quoted character")
refused("long-symbol.tokens", hello(replaced(K, b'"h"', b'"hh"')), "quoted character")
refused("empty-symbol.tokens", hello(replaced(K, b'"h"', b'""')), "quoted character")
refused("surrogate.tokens", hello(replaced(K, b'"h"', b'"\\ud800"')), "line ")
refused("same-symbol.tokens", hello(replaced(K, b'"h"', b'"e"')), "both 'e'")
refused("no-symbols.tokens", hello(K[:K.index(b"vocab")] + b"vocab: []\n"), "symbols")
refused("symbols-mapping.tokens", hello(K[:K.index(b"vocab")] + b"vocab: {}\n"), "list")
B = tokens_keys(BYTES)
refused("large-byte.tokens", hello(replaced(B, b" 255]", b" 256]")), "vocab")
refused("quoted-byte.tokens", hello(replaced(B, b" 255]", b' "255"]')), "vocab")
refused("octal-byte.tokens", hello(replaced(B, b"\n  0,", b"\n  00,")), "vocab")

# The ids.
refused("id.tokens", hello(payloads=(HELLO_PAYLOAD[:-1] + bytes([len(HELLO_SYMBOLS)]),)), "an id")
refused("no-payload.tokens", hello(payloads=(b"",)), "multiple")
refused("odd-payload.tokens", header("tokens", tokens_keys(HAN)) + frame(b"TOKN", b"\0\0\0", 0)
        + ends([b"\0\0\0"], 1), "multiple")
refused("short-frame.tokens", hello(payloads=(b"\0", b"\1")), "shorter")
refused("wrong-frame.tokens", hello(frames=frame(b"TRN ", HELLO_PAYLOAD, 0)), "unknown")

# Shards.
W, P = WRAP_KEYS, WRAP_PAYLOADS
refused("cut-frames.shards", wrap()[:-64], "incomplete")
refused("flipped-payload.shards", flipped(wrap(), len(wrap()) - 64 - 64 - 20), "payload is damaged")
refused("trailing.shards", wrap() + b"\n", "more bytes")
refused("id.shards", wrap(payloads=[P[0], P[1][:5] + b"\x0a" + P[1][6:], P[2]]), "row 1, column 1")
refused("order.shards", wrap(payloads=[P[0], P[2], P[1]], types=(b"TRN ", b"VAL ", b"TRN ")),
        "expected \"TRN \"")
refused("fewer-batches.shards", wrap(keys=replaced(
    replaced(W, b"batches: {train: 2", b"batches: {train: 1"), b"used: 30", b"used: 18")),
    "expected \"VAL \"")
refused("one-more.shards", wrap(payloads=P + [P[2]], types=(b"TRN ", b"TRN ", b"VAL ", b"VAL ")),
        "one more")
refused("one-less.shards", wrap(payloads=P[:2]), "incomplete")
refused("frame-size.shards", wrap(payloads=[P[0], P[1] + b"\0", P[2]]), "are allowed")
refused("frame-short.shards", wrap(payloads=[P[0], P[1][:-1], P[2]]), "15 bytes")
refused("end-ids.shards", wrap(ids=39), "ids")
refused("window.shards", wrap(keys=replaced(W, b"window: 3", b"window: 0")), "window")
refused("rows.shards", wrap(keys=replaced(W, b"rows: {train: 4", b"rows: {train: 0")), "rows")
refused("rows-more.shards", wrap(keys=replaced(W, b"validation: 2", b"validation: 5")),
        "validation")
refused("rows-of-none.shards", wrap(keys=replaced(W, b"test: 0}\nw", b"test: 1}\nw")), "test")
refused("short-batches.shards", wrap(keys=replaced(W, b"validation: 1", b"validation: 2")),
        "validation")
refused("huge-batch.shards", wrap(keys=replaced(W, b"window: 3", b"window: 1000000000")),
        "more than")
refused("huge-rows.shards", wrap(keys=replaced(replaced(
    W, b"window: 3", b"window: 4294967295"), b"rows: {train: 4", b"rows: {train: 4294967295")),
    "more than")
refused("many-batches.shards", wrap(keys=replaced(
    W, b"batches: {train: 2", b"batches: {train: 9000000000000000000")), "too many")
refused("long.shards", wrap(keys=replaced(replaced(
    W, b"batches: {train: 2", b"batches: {train: 1000"), b"used: 30", b"used: 12006")),
    "incomplete")
refused("used.shards", wrap(keys=replaced(W, b"used: 30", b"used: 31")), "used")
refused("quoted-number.shards", wrap(keys=replaced(W, b"window: 3", b"window: \"3\"")), "window")
refused("negative.shards", wrap(keys=replaced(W, b"window: 3", b"window: -3")), "window")
refused("targets.shards", wrap(keys=replaced(W, b"row-wrap", b"none")), "targets")
refused("missing-part.shards", wrap(keys=replaced(W, b", test: 0}\nwindow", b"}\nwindow")), "test")
refused("unknown-part.shards", wrap(keys=replaced(
    W, b"test: 0}\nwindow", b"test: 0, dev: 0}\nwindow")), "unknown key")

if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    for old in glob.glob("*.tokens") + glob.glob("*.shards"):
        os.remove(old)
    with open("expected.tsv", "w", encoding="utf-8") as table:
        print("file", "status", "message", sep="\t", file=table)
        for name, (data, kind, status, message) in sorted(files.items()):
            assert name.endswith("." + kind)
            with open(name, "wb") as f:
                f.write(data)
            print(name, status, message, sep="\t", file=table)

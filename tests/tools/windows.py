"""Random texts through tokenize and batchify, every window compared with get_batches.

    windows.py random SEED COUNT     small texts of all kinds, random options
    windows.py large SEED            more batches than batchify gathers at a time, and huge ones

Exits with 1 at the first difference, told on standard error with what repeats it."""

import random
import re
import subprocess
import sys

import numpy as np
from get_batches import get_batches, split

PARTS = (b"TRN ", "train"), (b"VAL ", "validation"), (b"TST ", "test")


def read_shards(data):
    """The header's text, and the batches of each part, (batches, rows, window + 1)."""
    start = int(re.match(rb"#charpipe shards 1 header=(\d{8})", data)[1])
    header = data[64:start].decode()
    dtype = np.dtype(re.search(r'dtype: "(.*)"', header)[1])
    window = int(re.search(r"window: (\d+)", header)[1])
    batches = {kind: [] for kind, _ in PARTS}
    at = start
    while data[at : at + 4] != b"ENDS":
        size = int.from_bytes(data[at + 8 : at + 16], "little")
        ids = np.frombuffer(data, dtype, size // dtype.itemsize, at + 32)
        batches[data[at : at + 4]].append(ids.reshape(-1, window + 1))
        at += -(-(32 + size) // 64) * 64
    return header, batches


def run(*args, stdin):
    return subprocess.run(args, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Different(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Different(what)


def check_too_short(result, tokens, rows, window, targets, train):
    """The error names sizes that fit, and larger ones don't."""
    check(result.returncode == 65, f"status {result.returncode}, expected 65")
    spare = targets == "next"
    for option, other in (b"n", window), (b"m", rows):
        found = re.search(rb"-%s (\d+)" % option, result.stderr)
        alone = b"-n 1 -m" not in result.stderr
        if found and alone:
            fits = int(found[1])
            check((len(train) - spare) // (fits * other) > 0, f"-{option} {fits} doesn't fit")
            check((len(train) - spare) // ((fits + 1) * other) == 0, f"more than {fits} fits")


def check_windows(ids, options, result, tokens):
    rows, window, val, test, targets = options
    parts = split(ids, val, test)
    if not list(get_batches(parts[0], rows, window, targets)):
        check_too_short(result, tokens, rows, window, targets, parts[0])
        return
    check(result.returncode == 0, f"status {result.returncode}: {result.stderr}")
    header, batches = read_shards(result.stdout)
    used = 0
    said = result.stderr.decode()
    for (kind, name), part in zip(PARTS, parts):
        part_rows = rows
        expected = list(get_batches(part, rows, window, targets))
        if kind != b"TRN " and not expected:
            part_rows = max(len(part) - (targets == "next"), 0) // window
            expected = list(get_batches(part, part_rows, window, targets)) if part_rows else []
            fraction = val if kind == b"VAL " else test
            check((name in said) == (fraction > 0), f"{name}: {said!r} for {fraction}")
        found = batches[kind]
        check(len(found) == len(expected), f"{name}: {len(found)} batches, not {len(expected)}")
        for k, (batch, (x, y)) in enumerate(zip(found, expected)):
            check(np.array_equal(batch[:, :-1], x), f"{name} batch {k}: inputs")
            check(np.array_equal(batch[:, 1:], y), f"{name} batch {k}: targets")
            used += x.size
        check(
            re.search(rf"batches: .*{name}: {len(expected)}\b", header) is not None
            and re.search(rf"rows: .*{name}: {part_rows if expected else 0}\b", header) is not None,
            f"{name}: header {header}",
        )
    check(f"tokens: {{used: {used}, dropped: {len(ids) - used}}}" in header, "tokens in the header")


def try_one(ids, text, flags, options):
    rows, window, val, test, targets = options
    tokens = run("tokenize", "-q", *flags, stdin=text)
    check(tokens.returncode == 0, f"tokenize: {tokens.stderr}")
    command = ["batchify", "-n", str(rows), "-m", str(window), "-x", repr(val)]
    command += ["--test", repr(test), "--targets", targets]
    check_windows(ids, options, run(*command, stdin=tokens.stdout), tokens.stdout)


def random_character(rng, limit):
    while True:
        c = rng.randrange(limit)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def random_text(rng):
    """Bytes of a text, the flags it is read with, and its ids."""
    size = rng.choice((1, 10, 100, 1000, 5000)) + rng.randrange(100)
    if rng.random() < 0.25:
        data = rng.randbytes(size)
        return data, ["-b"], np.frombuffer(data, np.uint8)
    limit = rng.choice((0x80, 0x800, 0x10000, 0x110000))
    letters = [random_character(rng, limit) for _ in range(rng.choice((1, 2, 90, 300, 3000)))]
    text = "".join(rng.choice(letters + ["\r\n", "\r", "\n"]) for _ in range(size))
    data, flags = text.encode(), []
    if rng.random() < 0.5:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        flags = ["-u"]
    symbols = {c: i for i, c in enumerate(sorted(set(text)))}
    return data, flags, np.array([symbols[c] for c in text])


def random_options(rng):
    def fraction():
        return rng.choice((0.0, 0.0, 0.1, 0.25, round(rng.random() / 2, 3), rng.random() / 2))

    rows, window = rng.choice((1, 2, 3, 8, 13)), rng.choice((1, 2, 5, 10, 31))
    return rows, window, fraction(), fraction(), rng.choice(("row-wrap", "next"))


def random_texts(seed, count):
    for i in range(count):
        rng = random.Random(f"{seed} {i}")
        data, flags, ids = random_text(rng)
        options = random_options(rng)
        try:
            try_one(ids, data, flags, options)
        except Different as difference:
            sys.exit(f"seed {seed}, text {i} {flags} {options}: {difference}")


def large_texts(seed):
    """One with all of three bytes a character for ids of four bytes, and 40 MB of bytes."""
    rng = random.Random(seed)
    symbols = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000][:65536]
    text = "".join(rng.choices(symbols, k=200000)) + "".join(symbols)
    place = {c: i for i, c in enumerate(symbols)}
    many = np.array([place[c] for c in text])
    data = rng.randbytes(40_000_000)
    plain = np.frombuffer(data, np.uint8)
    for ids, what, flags, options in (
        (many, text.encode(), [], (16, 100, 0.1, 0.0, "row-wrap")),
        (plain, data, ["-b"], (300, 100, 0.1, 0.1, "row-wrap")),
        (plain, data, ["-b"], (300, 100, 0.1, 0.1, "next")),
        (plain, data, ["-b"], (2, 9_000_000, 0.1, 0.0, "row-wrap")),
    ):
        try:
            try_one(ids, what, flags, options)
        except Different as difference:
            sys.exit(f"seed {seed}, {flags} {options}: {difference}")


if __name__ == "__main__":
    if sys.argv[1] == "random":
        random_texts(sys.argv[2], int(sys.argv[3]))
    else:
        large_texts(sys.argv[2])

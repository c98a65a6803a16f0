#!/usr/bin/env python3
"""Measures the programs as they are used, beside others that do the like: rows of run.py's table.

    tools.py BIN BENCH      (the folder of the programs, and the program made of bench.c)

What is compared runs in turn, A B A B ..., each as a process of its own, and medians count. Texts
are generated, the same ones each time; files lie in a temporary folder and are in the page cache
when they are read.
"""
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

BIN, BENCH = (os.path.abspath(path) for path in sys.argv[1:3])
QUICK = bool(os.environ.get("BENCH_QUICK"))
ROUNDS = 1 if QUICK else 7
WINDOW = 10 if QUICK else 100
TEXT_BYTES = 1 << 20 if QUICK else 64 << 20
MODEL = ["-H", "512", "-L", "2"]
EPOCH = 139  # steps of the notebooks' epoch: Anna Karenina in batches of 128 x 100
WEIGHTS = "f32", "f16", "i8"
CAT = ["cat"]
WC = ["env", "LC_ALL=C.UTF-8", "wc", "-m"]


def row(what, value, unit, rival="-", other=None):
    print(what, f"{value:.5g}", unit, rival, *([f"{other:.5g}", f"{value / other:.3f}"]
          if other else "--"), sep="\t", flush=True)


class Run:
    """One process from start to end: its seconds, its processor time, its peak memory."""

    def __init__(self, words, output="/dev/null"):
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        actions = [(os.POSIX_SPAWN_DUP2, fd, 1)]
        begin = time.perf_counter()
        pid = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        self.seconds = time.perf_counter() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss * 1024  # never less than this program has, some 15 MB
        os.close(fd)
        if status:
            sys.exit(f"tools.py: {' '.join(words)}: status {os.waitstatus_to_exitcode(status)}")


def tool(name, *arguments):
    return [f"{BIN}/{name}", "-q", *map(str, arguments)]


def in_turn(*commands, output="/dev/null"):
    """The median seconds of each of some commands, which run one after the other, many times. A
    command is a list of words, or a function that gives the seconds it took."""
    times = [[] for _ in commands]
    for _ in range(ROUNDS):
        for i, words in enumerate(commands):
            times[i].append(words() if callable(words) else Run(words, output).seconds)
    return [statistics.median(t) for t in times]


class Served:
    """Work done inside bench.c's process, to be measured in turn with programs."""

    def __init__(self):
        self.process = subprocess.Popen([BENCH, "--serve"],
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        text=True)

    def seconds(self, work):
        print(work, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def write_text(path, alphabet, size):
    """Lines of words, each letter once at least, and a newline and a space."""
    rng = random.Random(1)
    words = ["".join(rng.choices(alphabet, k=rng.randint(1, 9))) for _ in range(4000)]
    block = alphabet + "\n" + "\n".join(" ".join(rng.choices(words, k=12)) for _ in range(2000))
    data = (block + "\n").encode()
    with open(path, "wb") as f:
        for _ in range(size // len(data) + 1):
            f.write(data)


ASCII = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-_*/&%$@`"
CYRILLIC = "".join(map(chr, [*range(0x410, 0x450), *range(0x30, 0x3A)]))
HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
MIXED = ASCII + CYRILLIC[:64] + HAN[:80] + "".join(map(chr, range(0x1F600, 0x1F640)))


def make_model(folder):
    """A text of 83 characters as in Anna Karenina, shards of it, and a model as large as the
    notebooks'; untrained weights take as long as trained ones."""
    text, shards, model = (f"{folder}/{name}" for name in ("anna", "shards", "model"))
    write_text(text, ASCII[:81], 100_000)
    Run(tool("tokenize", "-o", f"{folder}/tokens", text))
    Run(tool("batchify", "-n", 128, "-m", WINDOW, "-x", "0.4", "-o", shards, f"{folder}/tokens"))
    Run(tool("train", *MODEL, "--steps", 0, "-o", model, shards))
    return text, shards, model


def estimate(shards):
    """What `train --print-config` says that a run will take, in bytes."""
    page = subprocess.run(tool("train", *MODEL, "--print-config", shards),
                          stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    found = re.search(r"^# memory: about ([0-9,]+) bytes", page, re.M)
    return float(found.group(1).replace(",", ""))


def memory_rows(folder, shards, model):
    run = Run(tool("train", *MODEL, "--steps", 2, "--print-every", 0, shards))
    row("memory of train, 2x512, 128x100", run.memory / 1e6, "MB", "train --print-config",
        estimate(shards) / 1e6)
    most = (os.path.getsize(model) + (16 << 20)) / 1e6
    for n in 1, 64:
        run = Run(tool("sample", "-N", n, "-n", 100, model))
        row(f"memory of sample -N {n}, 2x512", run.memory / 1e6, "MB", "the model and 16 MiB", most)


def sampling_rows(folder, model):
    start = tool("sample", "-n", 1, model)
    mine, cat = in_turn(start, [*CAT, model])
    row("sample -n 1, 2x512: start to end", 1e3 * mine, "ms", "cat of the model", 1e3 * cat)
    served = Served()
    length = 200 if QUICK else 5000
    one, none, inside = in_turn(tool("sample", "-k", 5, "-n", length + 1, model), start,
                                lambda: served.seconds("sample"))
    one_rate = length / (one - none)
    row("sample, one text, 2x512", one_rate, "characters/s",
        "the same without printing", 100 / inside)
    served.close()
    runs = [tool("sample", "-k", 5, "-n", n, "--weights", weights, model)
            for weights in WEIGHTS for n in (length + 1, 1)]
    times = in_turn(*runs)
    rates = [length / (one - none) for one, none in zip(times[::2], times[1::2])]
    for weights, rate in zip(WEIGHTS[1:], rates[1:]):
        row(f"sample --weights {weights}, one text, 2x512", rate, "characters/s",
            "sample, one text", rates[0])
    length = 20 if QUICK else 300
    many, none = in_turn(tool("sample", "-k", 5, "-N", 64, "-n", length + 1, model), start)
    row("sample -N 64, 2x512", 64 * length / (many - none), "characters/s", "sample, one text",
        one_rate)


def evalloss_rows(folder, text, shards, model):
    """Characters scored in a second, start-up included, beside the forward pass alone. One text has
    one row, so that the weights of the recurrence are read for every character: it is compared
    with the sampling of one, too, which is bound by that."""
    served, forward = Served(), 128 * 100
    part = f"{folder}/part"  # one text is read one character at a time, and takes longer
    with open(text, "rb") as f, open(part, "wb") as to:
        to.write(f.read(1000 if QUICK else 20_000))
    for what, *arguments in (
        ("evalloss of shards", model, shards),
        ("evalloss --lines", "--lines", model, text),
        ("evalloss of text", model, part),
    ):
        words = tool("evalloss", *arguments)
        characters = os.path.getsize(arguments[-1])
        if arguments[-1] == shards:
            table = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()
            characters = int(table.splitlines()[1].split("\t")[2])
        mine, inside, one = in_turn(words, lambda: served.seconds("forward"),
                                    lambda: served.seconds("sample"))
        row(f"{what}, 2x512", characters / mine, "characters/s", "the forward pass of 128x100",
            forward / inside)
        if arguments[-1] == part:
            row(f"{what}, 2x512", characters / mine, "characters/s", "one text sampled", 100 / one)
    served.close()


def weights_rows(folder, model):
    """What smaller weights give, memory, and cost: the loss of a network that has learnt something,
    from this program's folder."""
    whole = Run(tool("sample", "-n", 100, model)).memory / 1e6
    for weights in WEIGHTS[1:]:
        run = Run(tool("sample", "-n", 100, "--weights", weights, model))
        row(f"memory of sample --weights {weights}, 2x512", run.memory / 1e6, "MB",
            "memory of sample", whole)
    here = os.path.dirname(os.path.abspath(__file__))
    shards, trained = f"{folder}/sources.shards", f"{folder}/sources.model"
    Run(["sh", "-c", f"cat '{here}'/*.[cp]* | {BIN}/tokenize -q | "
         f"{BIN}/batchify -q -n 16 -m 50 -o {shards}"])
    Run(tool("train", "-H", 128, "-L", 2, "-d", 0, "-r", 0.005, "--steps", 2 if QUICK else 400,
             "--print-every", 0, "-o", trained, shards))
    losses = []
    for weights in WEIGHTS:
        table = subprocess.run(tool("evalloss", "--weights", weights, trained, shards),
                               stdout=subprocess.PIPE, check=True).stdout.decode()
        losses.append(float(table.splitlines()[1].split("\t")[3]))
    for weights, loss in zip(WEIGHTS[1:], losses[1:]):
        row(f"evalloss --weights {weights}, 2x128 after 400 steps", loss, "nats", "evalloss",
            losses[0])


def text_rows(folder):
    for name, alphabet in (("ASCII", ASCII), ("Cyrillic", CYRILLIC), ("Han", HAN),
                           ("1 to 4 bytes mixed", MIXED)):
        text = f"{folder}/text"
        write_text(text, alphabet, TEXT_BYTES)
        megabytes = os.path.getsize(text) / 1e6
        mine, wc, cat = in_turn(tool("tokenize", text), [*WC, text], [*CAT, text])
        row(f"tokenize, {name}", megabytes / mine, "MB/s", "LC_ALL=C.UTF-8 wc -m", megabytes / wc)
        row(f"tokenize, {name}", megabytes / mine, "MB/s", "cat >/dev/null", megabytes / cat)
    tokens = f"{folder}/tokens"
    for name, alphabet in ("1-byte ids", ASCII), ("2-byte ids", HAN):
        write_text(text, alphabet, TEXT_BYTES)
        Run(tool("tokenize", "-o", tokens, text))
        megabytes = os.path.getsize(tokens) / 1e6
        # What copying takes where all is checked on the way in and sealed on the way out.
        seal = f"cksum {tokens} >/dev/null"
        checked = ["sh", "-c", f"{seal}; cat {tokens}; {seal}"]
        mine, cat, sealed = in_turn(tool("batchify", tokens), [*CAT, tokens], checked,
                                    output=f"{folder}/copy")
        row(f"batchify, {name}", megabytes / mine, "MB/s", "cat to a file", megabytes / cat)
        row(f"batchify, {name}", megabytes / mine, "MB/s", "cksum, cat to a file, cksum",
            megabytes / sealed)
    for name in "text", "tokens", "copy":
        os.unlink(f"{folder}/{name}")


def checkpoint_row(folder, text):
    """What saving costs, beside an epoch of the notebooks' size."""
    shards, steps = f"{folder}/small", 2 if QUICK else 10
    Run(["sh", "-c", f"{BIN}/tokenize -q {text} | {BIN}/batchify -q -n 8 -m 20 > {shards}"])
    train = tool("train", *MODEL, "--steps", steps, "--print-every", 0)
    saving = ["--checkpoint", f"{folder}/checkpoint", "--checkpoint-every", "1"]
    served = Served()
    plain, saved, step = in_turn(train + [shards], train + saving + [shards],
                                 lambda: served.seconds("train"))
    served.close()
    row("checkpoint of 2x512, 128x100", 1e3 * (saved - plain) / steps, "ms",
        f"epoch of {EPOCH} steps", 1e3 * EPOCH * step)


def idle_row(shards):
    """A small network on one core: how much processor it takes while one second passes."""
    run = Run(tool("train", "-H", 128, "-L", 1, "-j", 1, "--steps", 2, "--print-every", 0, shards))
    row("train -j 1, 1x128: processor time", run.cpu, "s", "time from start to end", run.seconds)


def main():
    with tempfile.TemporaryDirectory() as folder:
        text, shards, model = make_model(folder)
        memory_rows(folder, shards, model)
        sampling_rows(folder, model)
        weights_rows(folder, model)
        evalloss_rows(folder, text, shards, model)
        checkpoint_row(folder, text)
        idle_row(shards)
        text_rows(folder)


main()

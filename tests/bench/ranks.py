#!/usr/bin/env python3
"""Measures train's ranks under mpirun, in one memory and over networks: rows of run.py's table.

    ranks.py BIN WIRE [PYTHON]      (the programs; what is made of tests/hosts/wire.c; a Python with torch)

Runs of some steps take turns, each of processes of their own, and the medians of all their steps count.
Hosts on a network are namespaces (tests/hosts/hosts.py), which root alone can make: without them those
rows are left out, and said so. What examples/cluster/cost.awk foretells is compared with what was measured.
"""
import os
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "hosts"))
from hosts import Hosts, Missing

BIN, WIRE = map(os.path.abspath, sys.argv[1:3])
TORCH = sys.argv[3] if len(sys.argv) > 3 else None
QUICK = bool(os.environ.get("BENCH_QUICK"))
ROUNDS, STEPS, FIRST = (1, 3, 1) if QUICK else (3, 8, 2)  # FIRST steps of a run don't count
ROWS, BLOCK, WINDOW = 128, 32, 10 if QUICK else 100
STEP = "training step, 2x512, 128x100"
CHARACTERS = ROWS * WINDOW
MPIRUN = ["mpirun", "-q", "--oversubscribe", "--bind-to", "none", "-n", "2"]
NETWORKS = (10_000, 100), (1000, 100), (100, 100)  # Mbit/s, microseconds
AS_ASKED = 1000, 100
TUNE = os.path.join(HERE, "..", "..", "examples", "cluster", "openmpi.conf")

os.environ.update(CHARPIPE_PLUGIN_DIR=BIN, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def row(what, value, unit, rival, other):
    print(what, f"{value:.5g}", unit, rival, f"{other:.5g}", f"{value / other:.3f}", sep="\t", flush=True)


def left_out(what, why):
    print(f"ranks.py: LEFT OUT: {what}: {why}", file=sys.stderr)


def run(words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    if done.returncode:
        sys.exit(f"ranks.py: {' '.join(words)}: status {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


def make_shards(folder):
    """Batches of as many rows as the notebooks', and of one block of them; 83 symbols."""
    text = "".join(chr(33 + i * i % 83) for i in range(ROWS * WINDOW * 3 + 1))
    for rows in ROWS, BLOCK:
        tokens = subprocess.run([f"{BIN}/tokenize", "-q"], input=text.encode(), stdout=subprocess.PIPE, check=True)
        subprocess.run([f"{BIN}/batchify", "-q", "-x", "0", "-n", str(rows), "-m", str(WINDOW), "-o",
                        f"{folder}/{rows}.shards"], input=tokens.stdout, check=True)


def training(folder, threads, rows=ROWS):
    return [f"{BIN}/train", "-q", "-j", str(threads), "-H", "512", "-L", "2", "--steps", str(STEPS), "-l",
            f"{folder}/log", "-o", "/dev/null", f"{folder}/{rows}.shards"]


class Timed:
    """A command that is run again and again, and the seconds of all its steps."""

    def __init__(self, words, log=None):
        self.words, self.log, self.seconds = words, log, []

    def once(self):
        output = run(self.words)
        if self.log:
            with open(self.log) as f:
                head, *lines = (line.rstrip("\n").split("\t") for line in f)
            ends = [float(line[head.index("seconds")]) for line in lines]
            self.seconds += [b - a for a, b in zip(ends[FIRST - 1:], ends[FIRST:])]
            os.unlink(self.log)
        else:
            self.seconds += list(map(float, output.split()))

    def step(self):
        return statistics.median(self.seconds)


def foretold(mbit, microseconds, whole, block):
    """Seconds of a step on two hosts of one thread, by what two threads of one process take, whose cores are as
    busy: of a whole batch, of one of its blocks."""
    blocks = ROWS // BLOCK
    each = (whole - block) / (blocks - 1)
    output = run(["awk", "-v", f"mbit={mbit}", "-v", f"latency={microseconds}", "-v", f"rows={ROWS}", "-v", "ranks=2",
                  "-v", f"window={WINDOW}", "-v", f"block={2 * each}", "-v", f"once={block - each}", "-f",
                  f"{HERE}/../../examples/cluster/cost.awk"])
    return float(output.splitlines()[1].split("\t")[4])


def measure(folder, networks):
    log = f"{folder}/log"
    one = Timed(training(folder, 2), log)
    block = Timed(training(folder, 2, BLOCK), log)
    two = Timed([*MPIRUN, *training(folder, 1)], log)
    far = {}
    for network, hosts in networks.items():
        run(["cp", f"{folder}/{ROWS}.shards", hosts.files])
        far[network] = Timed(hosts.mpirun(2, "--tune", TUNE, "-x", f"CHARPIPE_PLUGIN_DIR={BIN}", *training(hosts.files, 1)),
                             f"{hosts.files}/log")
    torch = [Timed([TORCH, f"{HERE}/torch_ranks.py", str(STEPS), str(FIRST), str(WINDOW)])] if TORCH else []
    for _ in range(ROUNDS):
        for timed in one, two, *far.values(), block, *torch:
            timed.once()
    row(f"{STEP}, 2 ranks of 1 thread", CHARACTERS / two.step(), "characters/s", "1 process of 2 threads",
        CHARACTERS / one.step())
    for other in torch:
        row(f"{STEP}, 2 ranks of 1 thread", CHARACTERS / two.step(), "characters/s",
            "PyTorch DDP, gloo, 2 processes of 1 thread", CHARACTERS / other.step())
    if AS_ASKED in far:
        row(f"{STEP}, 2 hosts, 1 Gbit/s, 0.1 ms", CHARACTERS / far[AS_ASKED].step(), "characters/s",
            "1 process of 2 threads", CHARACTERS / one.step())
    for (mbit, microseconds), timed in far.items():
        row(f"{STEP}, 2 hosts, {mbit / 1000:g} Gbit/s, {microseconds / 1000:g} ms", 1e3 * timed.step(), "ms",
            "cost.awk", 1e3 * foretold(mbit, microseconds, one.step(), block.step()))


def main():
    if not os.path.exists(f"{BIN}/charpipe-mpi.so"):
        left_out("2 ranks", "no charpipe-mpi.so (make mpi builds it)")
        return
    if len(os.sched_getaffinity(0)) < 2:
        left_out("2 ranks", "one core")
        return
    networks = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that hosts go
    try:
        for network in NETWORKS:
            networks[network] = Hosts(WIRE, 2, *network)
    except Missing as e:
        left_out("2 hosts", e)
    try:
        with tempfile.TemporaryDirectory() as folder:
            make_shards(folder)
            measure(folder, networks)
    finally:
        for hosts in networks.values():
            hosts.close()


main()

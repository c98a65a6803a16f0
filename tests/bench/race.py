#!/usr/bin/env python3
"""How soon a recipe reaches a loss: trains on texts at hand, with several seeds, and tells the time.

    race.py --bin bin --data FOLDER [--only WORD] [--seeds 1,2,3]
            [--nanogpt CHECKOUT [--torch PYTHON]]

The folder has the texts that RACES names; those that it lacks are left out, which is said. The long
ones run only where --only asks for them. Time is
what `train` took from its start to the evaluation in question, evaluations included, by its own log,
and all that the log doesn't count; cutting the text, which takes less than a second, is not in it.
Characters are those that were trained on.
The losses are of the held-out last tenth, in nats a character: as training prints them, its state
carried along, and by `evalloss --window 256`, as of a transformer that sees 256 characters.

With --nanogpt the CPU recipe of nanoGPT's README runs first, on the same text and threads; it prints
its loss over 20 batches of random windows.

A table, TSV: race, seed, what, value; `mean` and `spread` (standard deviation) in a seed's place.
"""
import argparse
import array
import csv
import math
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


class Race:
    """What is typed after `batchify` and `train`, and the losses whose time counts."""

    def __init__(self, name, text, train, targets, batchify="-c fast", long=False):
        self.name, self.text, self.targets, self.long = name, text, targets, long
        self.batchify, self.train = batchify.split(), train.split()


RACES = [
    Race("shakespeare-soon", "tinyshakespeare.txt", "-c fast -H 128 -d 0 --dropout-output 0 "
         "--time 8s --eval-every 25", [1.8857]),
    Race("shakespeare-fast", "tinyshakespeare.txt", "-c fast -e 2 --time 142s --eval-every 98",
         [1.8857, 1.48, 1.4697]),
    Race("shakespeare-142s", "tinyshakespeare.txt", "-c fast --time 142s --eval-every 98",
         [1.8857, 1.48, 1.4697]),
    Race("shakespeare-minute", "tinyshakespeare.txt", "-c fast --eval-every 98", [1.8857, 1.48]),
    Race("anna-512", "anna.txt", "-c fast -H 512 -r 0.01 -e 1 --time 4m --eval-every 109", [1.3007]),
    Race("anna-fast", "anna.txt", "-c fast -e 2 --time 3m --eval-every 109", [1.3007]),
    Race("shakespeare-best", "tinyshakespeare.txt", "-c best", [1.4697, 1.42], long=True),
    Race("anna-best", "anna.txt", "-c best", [1.3007, 1.2], long=True),
]


def fail(text):
    sys.exit(f"race.py: {text}")


class Runner:
    """Runs races; their files lie in a temporary folder."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, race):
        return os.path.join(self.options.data, race.text)

    def tool(self, name, *words):
        words = [os.path.join(self.options.bin, name), *map(str, words)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=False)
        if done.returncode:
            fail(f"{' '.join(words)}: status {done.returncode}")
        return done.stdout.decode()

    def shards(self, race):
        tokens, shards = self.path("tokens"), self.path("shards")
        self.tool("tokenize", "-u", "-o", tokens, self.text(race))
        self.tool("batchify", "-q", *race.batchify, "-o", shards, tokens)
        return shards

    def run(self, race, shards, seed):
        """One run as a row of the table, and what it took to reach each target, NAN if it didn't."""
        log, model = self.path("log"), self.path("model")
        began = time.monotonic()
        self.tool("train", "-q", *race.train, "-s", seed, "-l", log, "-o", model, shards)
        seconds = time.monotonic() - began
        with open(log) as f:
            rows = list(csv.DictReader(f, delimiter="\t"))
        # What the log doesn't count: reading, measuring for --time, writing.
        more = seconds - float(rows[-1]["seconds"])
        evaluated = [row for row in rows if row["val_loss"] != "-"]
        values = {
            "parameters": int(re.search(r"parameters: ([0-9]+)",
                                        self.tool("inspect", model)).group(1)),
            "steps": int(rows[-1]["step"]),
            "characters": int(rows[-1]["tokens"]),
            "seconds": seconds,
            "loss": min(float(row["val_loss"]) for row in evaluated),
            "windows_256": self.windows(model, shards)}
        for target in race.targets:
            there = [row for row in evaluated if float(row["val_loss"]) <= target]
            values[f"seconds to {target}"] = more + float(there[0]["seconds"]) if there \
                else math.nan
            values[f"characters to {target}"] = int(there[0]["tokens"]) if there else math.nan
        return values

    def windows(self, model, shards):
        header, row = self.tool("evalloss", "-q", "--window", 256, model, shards).splitlines()
        return float(dict(zip(header.split("\t"), row.split("\t")))["nats"])


def nanogpt(options, folder):
    """The loss that nanoGPT's CPU recipe prints last, and the seconds that it took."""
    checkout = os.path.join(folder, "nanogpt")
    shutil.copytree(options.nanogpt, checkout)
    data = os.path.join(checkout, "data", "race")
    os.makedirs(data)
    with open(os.path.join(options.data, "tinyshakespeare.txt"), encoding="utf-8") as f:
        text = f.read()
    symbols = sorted(set(text))
    ids = {symbol: i for i, symbol in enumerate(symbols)}
    cut = int(len(text) * 0.9)
    for name, part in ("train", text[:cut]), ("val", text[cut:]):
        with open(os.path.join(data, f"{name}.bin"), "wb") as f:
            array.array("H", (ids[symbol] for symbol in part)).tofile(f)
    with open(os.path.join(data, "meta.pkl"), "wb") as f:
        pickle.dump({"vocab_size": len(symbols), "stoi": ids,
                     "itos": dict(enumerate(symbols))}, f)
    recipe = ("--device=cpu --compile=False --eval_iters=20 --log_interval=100 --block_size=64 "
              "--batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 "
              "--lr_decay_iters=2000 --dropout=0.0 --dataset=race")
    begin = time.monotonic()
    done = subprocess.run([options.torch, "train.py", "config/train_shakespeare_char.py",
                           *recipe.split()], cwd=checkout, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - begin
    losses = re.findall(r"val loss (\d+\.\d+)", done.stdout.decode())
    if done.returncode or not losses:
        fail("nanoGPT's train.py failed")
    return float(losses[-1]), seconds


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--nanogpt")
    parser.add_argument("--torch", default=sys.executable)
    options = parser.parse_args()
    for name in "bin", "data":
        setattr(options, name, os.path.abspath(getattr(options, name)))
    return options


def main():
    options = parse()
    print("race", "seed", "what", "value", sep="\t")
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(options, folder)
        if options.nanogpt:
            for what, value in zip(("loss", "seconds"), nanogpt(options, folder)):
                print("nanogpt-cpu", "-", what, f"{value:.5g}", sep="\t", flush=True)
        for race in (race for race in RACES if
                     options.only in race.name and (options.only or not race.long)):
            if not os.path.exists(runner.text(race)):
                print(f"race.py: SKIPPED {race.name}: no {race.text} in {options.data}",
                      file=sys.stderr)
                continue
            shards, runs = runner.shards(race), []
            for seed in options.seeds.split(","):
                runs.append(runner.run(race, shards, seed))
                for what, value in runs[-1].items():
                    print(race.name, seed, what, f"{value:.7g}", sep="\t", flush=True)
            for what in runs[0] if len(runs) > 1 else ():
                values = [run[what] for run in runs]
                print(race.name, "mean", what, f"{statistics.mean(values):.5g}", sep="\t")
                spread = math.nan if math.nan in values else statistics.stdev(values)
                print(race.name, "spread", what, f"{spread:.3g}", sep="\t")


main()

#!/usr/bin/env python3
"""Measures everything and prints one table, TSV:

    what    value   unit    rival   rival's value in the same unit  ratio

behind lines with `#` that say on what machine, by which commit, and when. Each row's two numbers
come from the same run, measured in turn, and are medians; a ratio above 1 is in charpipe's favour
where the unit is a rate, one below 1 where it is a time or a size.

    run.py --bin bin --bench build/tests/bench/bench --wire build/tests/hosts/wire
           [--torch PYTHON] [--result FILE.tsv]

A table goes to stdout and to the file (tests/bench/results/MACHINE-DATE.tsv unless it is named).
"""
import argparse
import datetime
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = "what\tvalue\tunit\trival\trival_value\tratio"


def cpu_model():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    return found.group(1) if found else os.uname().machine


def command(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip()


def commit():
    """The commit that was measured, and whether more than that was in the tree."""
    changed = command("git", "-C", HERE, "status", "--porcelain", "--untracked-files=no")
    return command("git", "-C", HERE, "rev-parse", "--short=12", "HEAD") + \
        (" and uncommitted changes" if changed else "")


def heading(options):
    yield f"processor: {cpu_model()}"
    yield f"cores: {len(os.sched_getaffinity(0))}"
    yield f"device: {command(options.bench, '--describe')}"
    yield f"commit: {commit()}"
    yield f"date: {datetime.date.today()}"
    if os.environ.get("BENCH_QUICK"):
        yield "a trial with BENCH_QUICK: these numbers mean nothing"


def default_result():
    name = re.sub(r"[^a-z0-9]+", "-", cpu_model().lower()).strip("-")
    folder = os.path.join(HERE, "results")
    os.makedirs(folder, exist_ok=True)
    cores = len(os.sched_getaffinity(0))
    return os.path.join(folder, f"{name}-{cores}-cores-{datetime.date.today()}.tsv")


def parts(options):
    yield [options.bench]
    yield [sys.executable, f"{HERE}/tools.py", options.bin, options.bench]
    torch = [options.torch] if options.torch else []
    yield [sys.executable, f"{HERE}/ranks.py", options.bin, options.wire, *torch]
    if options.torch:
        yield [options.torch, f"{HERE}/torch_step.py", options.bench]


def main():
    parser = argparse.ArgumentParser()
    for name in "bin", "bench", "wire":
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--torch")
    parser.add_argument("--result")
    options = parser.parse_args()
    options.bin, options.bench = os.path.abspath(options.bin), os.path.abspath(options.bench)
    result = options.result or default_result()
    unfinished = result + ".part"
    with open(unfinished, "w") as f:

        def say(line):
            print(line, flush=True)
            print(line, file=f, flush=True)

        for line in heading(options):
            say("# " + line)
        say(COLUMNS)
        for words in parts(options):
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as part:
                for line in part.stdout:
                    say(line.rstrip("\n"))
            if part.returncode:
                sys.exit(f"run.py: {words[0]}: exit status {part.returncode}")
    os.replace(unfinished, result)
    print(f"run.py: wrote {os.path.relpath(result)}", file=sys.stderr)


main()

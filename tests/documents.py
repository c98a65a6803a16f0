#!/usr/bin/env python3
"""Runs the commands that documents show, and compares what they print with what is shown.

    documents.py [--update] FOLDER DOCUMENT...

A command stands in a console block of Markdown, in an .EX block of a man page, or alone on an
indented line, and begins with "$ "; it goes on behind a backslash, an open quote or a bar, there
after "> ". Up to the next one follows what it prints; a line of "…" stands for any lines. They are
run in FOLDER, one after another, by sh. A block after a paragraph that says "on one day" is run, but not compared.

A command whose output is not to be compared finds the programs of $SMALL before others, and the
variables of $SMALL_ENV, as in "TRAIN_FLAGS=-q": so what takes hours is done in a small way. Logs in
/var/log are looked for in $VAR_LOG.

Where a network's numbers round differently than on the processor whose output is shown, only what
doesn't depend on them is compared. --update writes what is printed into the documents. Prints TAP.
"""
import os
import re
import shlex
import subprocess
import sys

# What rounds: the end of a line that train -v prints.
MADE_WITH = r"avx512(bf16)? kernels, OpenBLAS kernel Cooperlake"

# What builds, tests and installs; .ci/run, install.t and examples.t do that.
ELSEWHERE = r"\./bootstrap|make (demo|check|install|check-torch)\b"

MAN_ESCAPES = (("\\-", "-"), ("\\(aq", "'"), ("\\(rs", "\\"), ("\\[:i]", "ï"), ("\\&", ""),
               ("\\e", "\\"))


ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as makefile:
    TOOL = "(%s)" % "|".join(re.search(r"^TOOLS *= *(.*)$", makefile.read(), re.M)[1].split())


def from_man(line):
    for escape, plain in MAN_ESCAPES:
        line = line.replace(escape, plain)
    return line


def to_man(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line[:1] in ("'", ".") else line


def blocks(lines, man):
    """(first, end, compared) of each block of commands."""
    day = False
    begin = None
    for i, line in enumerate(lines):
        if begin is not None:
            if line in (".EE", "```"):
                yield begin, i, not day
                begin = None
        elif line in (".EX", "```console"):
            begin = i + 1
        elif not man and line.startswith("    $ "):
            yield i, i + 1, False
        if begin is None and line and not line.startswith("    "):
            # The paragraph before the next block.
            day = "one day" in line or (day and lines[i - 1] != "")


def unfinished(command):
    if command.endswith(("\\", "|")):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


class Example:

    def __init__(self, command, compared):
        self.command, self.compared = command, compared
        self.open = False  # the next line still belongs to the command
        self.shown = []  # lines
        self.begin = 0  # the index of the first of them


def examples(lines, man):
    for first, end, compared in blocks(lines, man):
        current = None
        for i in range(first, end):
            line = from_man(lines[i]) if man else lines[i].removeprefix("    ")
            if current and current.open:
                if current.command.endswith("\\"):
                    current.command = current.command[:-1] + line.removeprefix("> ")
                else:
                    current.command += "\n" + line.removeprefix("> ")
            elif line.startswith("$ "):
                if current:
                    yield current
                current = Example(line[2:], compared)
            elif current:
                current.shown.append(line)
                continue
            else:
                continue
            current.open = unfinished(current.command)
            current.begin = i + 1
        if current:
            yield current


def matches(shown, got):
    """Whether two lists of lines are the same, "…" being any of them."""
    shown, got = [x.rstrip() for x in shown], [x.rstrip() for x in got]
    if "…" not in shown:
        return shown == got or sorted(shown) == sorted(got)  # two programs of a pipe may print
    at = shown.index("…")
    if shown[:at] != got[:at]:
        return False
    rest = shown[at + 1:]
    return any(matches(rest, got[i:]) for i in range(at, len(got) + 1))


def rounded(command):
    """Whether the output depends on how a network's numbers round."""
    return re.search(r"\b(sample|evalloss|train|make)\b", command)


def blurred(lines):
    return [re.sub(r"\d+\.\d+", "0", line) for line in lines]


class Run:

    def __init__(self, folder, update):
        self.folder, self.update = folder, update
        self.count = self.failed = 0
        self.same_rounding = re.search(MADE_WITH, os.environ.get("ROUNDING", "")) is not None

    def result(self, ok, what, *comments):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {what}", flush=True)
        if not ok:
            for line in "\n".join(comments).split("\n"):
                print("#", line, flush=True)

    def execute(self, example, small):
        env = dict(os.environ)
        if small:
            env["PATH"] = env.get("SMALL", "") + ":" + env["PATH"]
            env.update(v.split("=", 1) for v in env.get("SMALL_ENV", "").split("\n") if v)
        command = example.command.replace("/var/log/", env.get("VAR_LOG", "/var/log") + "/")
        run = subprocess.run(["sh", "-c", command], cwd=self.folder, env=env, text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=600)
        return run.returncode, run.stdout.rstrip("\n").split("\n") if run.stdout else []

    def document(self, path):
        man = path[-2:-1] == "." and path[-1].isdigit()
        lines = open(path).read().split("\n")
        changes = []
        for example in examples(lines, man):
            whole = list(example.shown)
            while whole and not whole[-1]:
                whole.pop()
            compared = example.compared and bool(whole)
            status, got = self.execute(example, not compared)
            if re.match(ELSEWHERE, example.command):
                continue
            what = f"{os.path.relpath(path, ROOT)}: {example.command.split(chr(10))[0]}"
            # A program that shows an error ends with its status.
            refused = compared and re.match(TOOL + ": ", whole[-1])
            if status != 0 and not refused:
                self.result(False, what, f"status {status}", *got[-10:])
                continue
            if not compared:
                self.result(True, what)
                continue
            ok = matches(whole, got)
            if not ok and rounded(example.command) and not self.same_rounding:
                ok = "sample" in example.command or "sort" in example.command or \
                    matches(blurred(whole), blurred(got))
            if not ok and self.update:
                keep = whole.index("…") + 1 if "…" in whole else 0
                new = whole[:keep] + got[len(got) - len(whole) + keep:] if keep else got
                changes.append((example.begin, len(example.shown), len(whole), new))
                print(f"# written: {what}")
                ok = True
            self.result(ok, what, "shown:", *whole, "printed:", *got)
        if changes:
            for begin, shown, whole, new in reversed(changes):
                blank = [""] * (shown - whole)
                new = [x.rstrip() for x in new]
                lines[begin:begin + shown] = [to_man(x) if man else x for x in new] + blank
            with open(path, "w") as f:
                f.write("\n".join(lines))


def main():
    arguments = sys.argv[1:]
    update = arguments[0] == "--update"
    run = Run(arguments[update], update)
    for path in arguments[update + 1:]:
        run.document(path)
    print(f"1..{run.count}")
    sys.exit(run.failed > 0)


main()

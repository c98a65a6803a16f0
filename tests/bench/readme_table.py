#!/usr/bin/env python3
"""Puts a table of run.py's into README.md, between two comments:

    <!-- measurements -->
    <!-- end of measurements -->

    readme_table.py README.md [FILE.tsv]    (the newest one under results/ unless it is named)
"""
import glob
import os
import sys

BEGIN, END = "<!-- measurements -->\n", "<!-- end of measurements -->\n"
HERE = os.path.dirname(os.path.abspath(__file__))


def newest():
    tables = [
        path for path in glob.glob(f"{HERE}/results/*.tsv")
        if open(path).read(2) == "# "
    ]
    if not tables:
        sys.exit("readme_table.py: no table under tests/bench/results: run `make bench` first")
    return max(tables, key=os.path.getmtime)


def number(text):
    """Three digits: 12345.6 as 12,300, 0.012345 as 0.0123."""
    rounded = float(f"{float(text):.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def markdown(path):
    facts, rows = {}, []
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("# "):
            key, _, value = line[2:].partition(": ")
            facts[key] = value
        else:
            rows.append(line.split("\t"))
    yield "| | | beside | | ratio |"
    yield "|---|--:|---|--:|--:|"
    for what, value, unit, rival, other, ratio in rows[1:]:
        beside = f"{number(other)} {unit}" if other != "-" else ""
        yield f"| {what} | {number(value)} {unit} | {rival.strip('-')} | {beside} | " \
              f"{ratio.strip('-')} |"
    yield ""
    command = "make bench-torch" if any("PyTorch" in row[3] for row in rows) else "make bench"
    yield f"By `{command}` on {facts['processor']}, {facts['cores']} cores, {facts['date']}, " \
          f"commit {facts['commit']};"
    yield f"{facts['device']}."


def main():
    readme = sys.argv[1]
    table = sys.argv[2] if len(sys.argv) > 2 else newest()
    text = open(readme).read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"readme_table.py: {readme}: expected the lines {BEGIN}and {END}once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(readme, "w") as f:
        f.write(before + BEGIN + "\n" + "\n".join(markdown(table)) + "\n\n" + END + after)


main()

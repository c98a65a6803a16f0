#!/bin/sh
# batchify: how it splits a text, what it says about it, and what it refuses. That every window is
# the right one is windows.t's business.
# shellcheck source=tests/tools/lib.sh disable=SC2016
. "$(dirname "$0")/lib.sh"

# The header's value of a key, of a stream on standard input.
key() {
    sed -n "s/^$1: //p;/^\.\.\.\$/q"
}

# A token stream of n bytes.
tokens() {
    "$PYTHON" -c 'import random, sys
sys.stdout.buffer.write(random.Random(1).randbytes(int(sys.argv[1])))' "$1" | tokenize -b
}

tokens 1000 >"$TMP/1000"
ok "tokens become shards" batchify -n 4 -m 10 -o "$TMP/shards" "$TMP/1000"

# --- the header ----------------------------------------------------------------------------------

is "$(key kind <"$TMP/shards")" "shards" "the header says what it is"
is "$(key rows <"$TMP/shards")" "{train: 4, validation: 4, test: 0}" "how many rows"
is "$(key window <"$TMP/shards")" "10" "how many characters"
is "$(key batches <"$TMP/shards")" "{train: 22, validation: 2, test: 0}" "how many batches"
is "$(key targets <"$TMP/shards")" "row-wrap" "what targets"
is "$(key tokens <"$TMP/shards")" "{used: 960, dropped: 40}" "what was used and what dropped"
is "$(key unit <"$TMP/shards") $(key newlines <"$TMP/shards") $(key dtype <"$TMP/shards")" \
    'byte keep "|u1"' "and what the token stream said"
is "$(batchify "$TMP/1000" -n4 -m10 --targets next | key targets)" "next" "--targets is recorded"

is "$(batchify -n 4 -m 10 "$TMP/1000" 2>&1 >"$TMP/null")" "" \
    "nothing is said where there is nothing to say"
is "$(batchify -v -n 4 -m 10 "$TMP/1000" 2>&1 >"$TMP/null" | tail -n 1)" \
    "batchify: 960 tokens used, 40 dropped" "-v tells what was dropped"
like "$(batchify -v -n 4 -m 10 "$TMP/1000" 2>&1 >"$TMP/null")" "validation: 2 batches of 4 x 10" \
    "and what came out"

# --- splits --------------------------------------------------------------------------------------

is "$(batchify -n 4 -m 10 -x 0 "$TMP/1000" | key batches)" "{train: 25, validation: 0, test: 0}" \
    "-x 0 holds nothing out"
is "$(batchify -n 4 -m 10 -x 0 "$TMP/1000" 2>&1 >"$TMP/null")" "" "and needs no words"
is "$(batchify -n 4 -m 10 -x 0.2 --test 0.2 "$TMP/1000" | key batches)" \
    "{train: 15, validation: 5, test: 5}" "-x and --test hold out both"
is "$(batchify -n 1 -m 1 -x 0.7 "$TMP/1000" | key batches)" \
    "{train: 300, validation: 700, test: 0}" "the split is int(n * (1 - 0.7)), rounded as Python does"
is "$(batchify -n 1 -m 1 -x 0.9 "$TMP/1000" | key batches)" \
    "{train: 99, validation: 901, test: 0}" "also where that is one less than one thinks"
is "$(batchify -n 1 -m 1 -x 0.3 --test 0.2 "$TMP/1000" | key batches)" \
    "{train: 499, validation: 301, test: 200}" "and 1 - 0.3 - 0.2 is not 1 - (0.3 + 0.2)"

batchify -n 4 -m 30 "$TMP/1000" >"$TMP/short" 2>"$TMP/err"
is "$(key rows <"$TMP/short") $(key batches <"$TMP/short")" \
    "{train: 4, validation: 3, test: 0} {train: 7, validation: 1, test: 0}" \
    "a held-out part smaller than a batch has fewer rows"
like "$(cat "$TMP/err")" "validation .*100 tokens.*3 rows" "and that is said"
batchify -n 4 -m 200 "$TMP/1000" >"$TMP/short" 2>"$TMP/err"
is "$(key batches <"$TMP/short")" "{train: 1, validation: 0, test: 0}" \
    "one smaller than a row has no batch"
like "$(cat "$TMP/err")" "no validation data: .*100 tokens.*200" "and that is said"
batchify -n 4 -m 200 -x 0 --test 0.1 "$TMP/1000" >"$TMP/short" 2>"$TMP/err"
like "$(cat "$TMP/err")" "no test data" "of the test part too"

# --- too short -----------------------------------------------------------------------------------

fails 65 "1000: 900 tokens to train on, .*128 x 100.*at most -n 9 or -m 7 would fit" \
    "a text shorter than one batch names the sizes that fit" batchify "$TMP/1000"
ok "and they do: -n" batchify -q -n 9 -o "$TMP/null" "$TMP/1000"
ok "and they do: -m" batchify -q -m 7 -o "$TMP/null" "$TMP/1000"
fails 65 "at most -n 10 or" "without held-out parts others fit" batchify -x 0 "$TMP/1000"
tokens 50 >"$TMP/50"
fails 65 "at most -n 1 -m 45 would fit" "of a text smaller than rows and window, one row fits" \
    batchify "$TMP/50"
ok "and it does" batchify -q -n 1 -m 45 -o "$TMP/null" "$TMP/50"
fails 65 "at most -m 2 would fit" "or a smaller window only" batchify -n 20 "$TMP/50"
fails 65 "at most -n 2 would fit" "or fewer rows only" batchify -m 20 "$TMP/50"
tokens 1 >"$TMP/1"
fails 65 "1: 0 tokens to train on, .*; it takes a longer text, or less --val and --test$" "one character is not enough" batchify -n 1 -m 1 "$TMP/1"
ok "but with -x 0 it is" batchify -n 1 -m 1 -x 0 -o "$TMP/null" "$TMP/1"
fails 65 "; it takes a longer text$" "unless its target is the next one" \
    batchify -n 1 -m 1 -x 0 --targets next "$TMP/1"

tokens 2 >"$TMP/2"
fails 65 "2: 1 token to train on, .*; at most -n 1 -m 1 would fit$" "a single one is one token" \
    batchify "$TMP/2"

# --- pipes and files -----------------------------------------------------------------------------

# shellcheck disable=SC2002
cat "$TMP/1000" | batchify -n 4 -m 10 | cmp -s - "$TMP/shards"
result $? "a pipe gives the same as a file"
gzip -c "$TMP/1000" | batchify -n 4 -m 10 | cmp -s - "$TMP/shards"
result $? "so do compressed tokens"
batchify -z -n 4 -m 10 "$TMP/1000" | gzip -dc | cmp -s - "$TMP/shards"
result $? "-z compresses the shards"
batchify -n 4 -m 10 "$TMP/1000" >"$TMP/out"
same "$TMP/out" "$TMP/shards" "standard output gets what -o writes"
printf 'batchify:\n  rows: 4\n  window: 10\ntokenize:\n  bytes: true\n' >"$TMP/config"
batchify -c "$TMP/config" "$TMP/1000" | cmp -s - "$TMP/shards"
result $? "a configuration gives rows and window"
is "$(batchify -c "$TMP/config" -n 2 "$TMP/1000" | key rows)" \
    "{train: 2, validation: 2, test: 0}" "the command line wins over it"

# --- what is refused -----------------------------------------------------------------------------

fails 64 "rows.*0" "no rows" batchify -n 0 "$TMP/1000"
fails 64 "window.*1\.5" "half a window" batchify -m 1.5 "$TMP/1000"
fails 64 "rows.*12x" "numbers with something behind them" batchify -n 12x "$TMP/1000"
fails 64 "val.*-0?\.1" "negative parts" batchify -x -0.1 "$TMP/1000"
fails 64 "val.*nan" "no numbers" batchify -x nan "$TMP/1000"
fails 64 "nothing to train on" "everything held out" batchify -x 0.5 --test 0.5 "$TMP/1000"
fails 64 "targets.*previous" "unknown targets" batchify --targets previous "$TMP/1000"
fails 64 "too large" "batches that no frame holds" batchify -n 100000 -m 100000 "$TMP/1000"
fails 64 "one token stream" "two token streams" batchify "$TMP/1000" "$TMP/50"
printf 'batchify:\n  rows: many\n' >"$TMP/config"
fails 78 "config: line 2: .*rows.*many" "nonsense in a configuration" \
    batchify -c "$TMP/config" "$TMP/1000"
printf 'batchify:\n  row: 4\n' >"$TMP/config"
fails 78 "config: line 2: .*row.*rows" "mistyped keys, with the right one" \
    batchify -c "$TMP/config" "$TMP/1000"
printf 'batchify: [\n' >"$TMP/config"
fails 78 "config: line" "what is no YAML" batchify -c "$TMP/config" "$TMP/1000"

printf 'All happy families are alike.\n' >"$TMP/text"
fails 65 "text: .*tokenize" "text, which tokenize should read first" batchify "$TMP/text"
fails 65 "shards: .*shards" "shards" batchify "$TMP/shards"
fails 65 "standard input: " "nothing" sh -c 'batchify </dev/null'
fails 66 "nowhere" "a file that isn't there" batchify "$TMP/nowhere"
sed '1s/tokens 1/tokens 2/' "$TMP/1000" >"$TMP/newer"
fails 65 "newer: .*version 2.*upgrade" "a newer version" batchify -n 4 -m 10 "$TMP/newer"
head -c 2000 "$TMP/1000" >"$TMP/truncated"
fails 65 "truncated: " "a truncated stream" batchify -n 4 -m 10 "$TMP/truncated"
head -c "$(($(wc -c <"$TMP/1000") - 64))" "$TMP/1000" >"$TMP/endless"
fails 65 "endless: " "one whose writer died before its end" batchify -n 4 -m 10 "$TMP/endless"
gzip -c "$TMP/1000" | head -c 500 >"$TMP/cut.gz"
fails 65 "cut.gz: .*truncated" "truncated gzip" batchify -n 4 -m 10 "$TMP/cut.gz"
"$PYTHON" - "$TMP" <<'PYTHON'
import subprocess, sys

folder = sys.argv[1]
tokens = open(f"{folder}/1000", "rb").read()
accepted = []
for i in range(5, 8 * len(tokens), 149):
    data = tokens[: i // 8] + bytes([tokens[i // 8] ^ 1 << i % 8]) + tokens[i // 8 + 1 :]
    if subprocess.run(["batchify", "-n4", "-m10"], input=data, capture_output=True).returncode != 65:
        accepted.append(i)
open(f"{folder}/accepted", "w").write(str(accepted))
PYTHON
is "$(cat "$TMP/accepted")" "[]" "any flipped bit"

# --- outputs that fail ---------------------------------------------------------------------------

fails 74 "standard output" "a full device is an error" \
    sh -c 'batchify -n 4 -m 10 "$TMP/1000" >/dev/full'
fails 73 "nowhere" "so is an output that can't be created" \
    batchify -n 4 -m 10 -o "$TMP/nowhere/out" "$TMP/1000"
tokens 3000000 >"$TMP/3000000"
is "$(sh -c 'batchify "$TMP/3000000"; echo $? >"$TMP/rc"' | head -c 10)" "#charpipe " \
    "a reader may go away"
is "$(cat "$TMP/rc")" "141" "which ends the writer by SIGPIPE"
status 64 "shards are not written to a terminal" on_terminal batchify -n 4 -m 10 "$TMP/1000"
tokens 9000000 >"$TMP/9000000"
fails 74 "TMPDIR" "a spool without a place is an error that names TMPDIR" \
    sh -c 'cat "$TMP/9000000" | TMPDIR="$TMP/nowhere" batchify'

# --- files and pipes -----------------------------------------------------------------------------

TMPDIR="$TMP/nowhere" batchify -o "$TMP/file" "$TMP/9000000"
batchify -o "$TMP/pipe" <"$TMP/9000000"
cat "$TMP/9000000" | batchify -o "$TMP/spooled"
same "$TMP/file" "$TMP/spooled" "a file, which needs no spool, and a pipe give the same shards"
same "$TMP/file" "$TMP/pipe" "so does a file as standard input"
"$PYTHON" -c 'import random
print("".join(random.Random(1).choices([chr(0x4e00 + i) for i in range(300)], k=700000)))' |
    tokenize >"$TMP/wide"
batchify -x 0.3 --targets next -o "$TMP/file" "$TMP/wide"
cat "$TMP/wide" | batchify -x 0.3 --targets next -o "$TMP/spooled"
same "$TMP/file" "$TMP/spooled" "with ids of two bytes too"
sh -c 'batchify "$TMP/3000000" 2>"$TMP/err"; echo $? >"$TMP/rc"' |
    { head -c 1 && touch -d 2001-01-01 "$TMP/3000000" && cat; } >"$TMP/null"
like "$(cat "$TMP/rc") $(cat "$TMP/err")" "^65 .*3000000: was changed" \
    "a file that is changed in the meantime is an error"

done_testing

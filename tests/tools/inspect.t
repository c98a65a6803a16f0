#!/bin/sh
# inspect tells what a file is and what is in it, finds damage, shows the notebooks' windows, and hands
# nothing hostile to the terminal.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

golden=$ROOT/tests/golden
streams=$golden/streams
models=$golden/model
cd "$TMP" || exit 1

# key NAME: the value in the last command's output.
key() {
    sed -n "s/^$1: //p" out
}

# --- streams -------------------------------------------------------------------------------------

ok "a token stream is inspected" inspect "$streams/hello.tokens"
is "$(key kind) $(key frames) $(key ids) $(key crc32) $(key symbols)" 'tokens 1 21 "cc704ed7" 17' \
    "with its kind, sizes and checksum"
is "$(key verified)" false "of a plain file only the header and the end are read"
sed -n '/^vocab/,/]$/p' out >vocab
sed -n '/^vocab/,/]$/p' "$streams/hello.tokens" >expected
same vocab expected "the vocabulary is written as in the header"

cp out plain
inspect --verify "$streams/hello.tokens" >out
is "$(key verified)" true "--verify reads all"
sed 's/^verified: true/verified: false/' out >verified
same verified plain "and finds what the end frame says"
inspect <"$streams/hello.tokens" >from-file
cat "$streams/hello.tokens" | inspect >from-pipe
gzip -c "$streams/hello.tokens" >hello.gz
inspect hello.gz >from-gzip
same from-file plain "standard input that is a file is as good as a name"
same from-pipe out "a pipe is read to its end, and so verified"
same from-gzip out "so is a compressed file"
inspect -z "$streams/hello.tokens" | gzip -dc >unzipped
same unzipped plain "-z compresses what is printed"

ok "shards are inspected" inspect "$streams/is-shards.tokens"
is "$(key rows), $(key batches), $(key window), $(key targets), $(key ids)" \
    "{train: 4, validation: 2, test: 0}, {train: 2, validation: 1, test: 0}, 3, row-wrap, 40" \
    "with rows, batches, window, targets and ids"
cp out plain
inspect --verify "$streams/is-shards.tokens" | sed 's/^verified: true/verified: false/' >out
same out plain "--verify of shards finds what the end frame says"
"$PYTHON" - plain "$models/checkpoint.safetensors" <<'EOS' >parsed 2>&1
import subprocess, sys
try:
    import yaml
except ImportError:
    print("no yaml")
    sys.exit()
for name in sys.argv[1:]:
    text = open(name, "rb").read() if name == "plain" else subprocess.check_output(["inspect", name])
    print(type(yaml.safe_load(text.decode())).__name__)
EOS
if grep -q 'no yaml' parsed; then
    skip "what is printed is YAML" "no Python yaml"
else
    is "$(tr '\n' ' ' <parsed)" "dict dict " "what is printed is YAML"
fi

# --- models --------------------------------------------------------------------------------------

inspect "$models/small.safetensors" >out
is "$(key kind) $(key layers) $(key hidden) $(key dropout) $(key parameters) $(key verified)" \
    "model 1 2 0.5 65 true" "a model shows its network, and was checked"
like "$(cat out)" '^  lr: 0.001$' "what shaped its weights"
like "$(cat out)" '^  lstm.weight_ih_l0: \[8, 3\]$' "and its tensors"
inspect "$models/checkpoint.safetensors" >out
is "$(key kind)" checkpoint "a checkpoint is told from a model"
like "$(cat out)" '^  step: 7$' "and shows where the run stands"
like "$(cat out)" '^  train.h: \[2, 3, 1\]$' "and its own tensors"
inspect "$models/state_dict.safetensors" >out
is "$(key kind) $(key symbols)" "state_dict 3" "a bare state_dict shows its sizes"

sample -q -n 0 -p aa --no-prime --save-state state "$models/small.safetensors"
inspect state >out
is "$(key kind) $(key cell) $(key layers) $(key hidden) $(key symbols) $(key verified)" "state lstm 1 2 3 true" \
    "a state shows its sizes, and was checked"
printf '\377' | dd of=state bs=1 seek=$(($(wc -c <state) - 5)) conv=notrunc 2>/dev/null
fails 65 "state: damaged" "so a damaged one is refused" inspect state

# --- damage --------------------------------------------------------------------------------------

for file in "$streams"/*.tokens "$streams"/*.shards; do
    inspect --verify "$file" >/dev/null 2>&1
    printf '%s\t%d\n' "${file##*/}" $?
done >out
cut -f 2 out | sort -u >statuses
is "$(tr '\n' ' ' <statuses)" "0 65 " "of golden streams, each is sound or refused"
damaged=$(ls "$streams"/cut-* "$streams"/flipped-* "$streams"/end-* | wc -l)
is "$(grep -Ec '^(cut|flipped|end)-.*	65' out)" "$damaged" "each damaged one is refused"
bad=0
for file in "$models"/invalid/*; do
    inspect "$file" >/dev/null 2>&1
    [ $? -eq 65 ] || bad=$((bad + 1))
done
is "$bad" 0 "so is each invalid model"

head -c 350 "$streams/hello.tokens" >short
fails 65 'no end frame' "a truncated file is refused though not all of it is read" inspect short
like "$(cat out)" '^unit: codepoint$' "but its header is printed"
like "$(cat out)" '^  "🙂"\]$' "to its end"
fails 65 'no end frame' "with -o too" inspect -o saved short
is "$(ls saved 2>/dev/null)" "" "but no file is made of it"
fails 65 'CRC|checksum' "--verify finds a flipped bit in a payload" \
    inspect --verify "$streams/flipped-payload.tokens"
ok "which the header and the end don't show" inspect "$streams/flipped-payload.tokens"
fails 65 'not a charpipe file; expected a token stream, shards, a model or a state' "a text is no charpipe file" inspect "$ROOT/README.md"
fails 65 'torch.save.*safetensors' "an archive of torch.save() is told" \
    inspect "$models/invalid/torch-zip"
fails 65 'is empty; expected' "nor is nothing" inspect /dev/null
fails 66 'nowhere' "a file that isn't there" inspect nowhere

# A name and a text that would turn the terminal red, if they were echoed as they are.
"$PYTHON" - "$models/checkpoint.safetensors" <<'EOS'
import json, struct, sys, zlib
data = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8 : 8 + n])
red = "\x1b[31m\u202e\x07"
header["train." + red] = header.pop("train.h")
header["__metadata__"]["training"] = json.dumps({red: red, "deep": [[[[[[1]]]]]], "x": 0.1})
text = json.dumps(header, separators=(",", ":"))
text = text.replace(header["__metadata__"]["crc32"], "00000000", 1).encode()
text += b" " * (-len(text) % 64 + 56)
whole = struct.pack("<Q", len(text)) + text + data[8 + n :]
crc = b"%08x" % zlib.crc32(whole)
open("red", "wb").write(whole[:34] + crc + whole[42:])
EOS
ok "a model with hostile names is inspected" inspect red
is "$(tr -d '\n\t -~' <out | wc -c)" 0 "without a byte that the terminal could obey"
like "$(cat out)" '^  "train\.\\x1b\[31m\\u202e\\x07": ' "its names are escaped"
like "$(cat out)" '^  x: 0\.1$' "numbers have the fewest digits"
like "$(cat out)" '^  deep: \[\[\[\["\.\.\."\]\]\]\]$' "and what lies deep is left out"

# --- windows -------------------------------------------------------------------------------------

cat "$ROOT"/lib/base/*.h | head -c 3000 >text
tokenize text >text.tokens
batchify -q -n 3 -m 5 -x 0.2 text.tokens >text.shards
ok "--tsv prints windows" inspect --tsv -n 2 -m 4 -b 1 text.shards
is "$(head -n 1 out)" "split	batch	matrix	row	0	1	2	3" "under a header"
tokenize -t text >ids
k=$(sed -n 's/^batches: {train: \([0-9]*\).*/\1/p;/^\.\.\.$/q' text.shards)
for first in 0 1; do
    for row in 0 1; do
        printf 'train\t1\t%s\t%d\t' "$(echo x y | cut -d ' ' -f $((first + 1)))" $row
        tail -n +$((row * k * 5 + 5 + first + 1)) ids | head -n 4 | paste -s -
    done
done >expected
tail -n +2 out >windows
same windows expected "that are the notebooks' x and y"
inspect -t -n inf -m inf text.shards >out
is "$(wc -l <out) $(awk -F '\t' '{ print NF }' out | sort -u)" "7 9" "inf takes all of a batch"
inspect -t -s validation text.shards | tail -n 1 >out
like "$(cat out)" "^validation	0	y	2	" "-s takes another part"
gzip -c text.shards | inspect -t >piped
inspect -t text.shards >out
same piped out "a compressed pipe gives the same"
fails 64 'none is number 999' "a batch that isn't there" inspect -t -b 999 text.shards
fails 64 'test has 0 batches' "a part that isn't there" inspect -t -s test text.shards
fails 65 'token stream; run batchify' "a token stream has no windows" inspect -t text.tokens
fails 65 'a model; expected shards' "nor has a model" inspect -t "$models/small.safetensors"

# --- several files -------------------------------------------------------------------------------

cp "$streams/hello.tokens" 'a "b"'
ok "several files are inspected" inspect 'a "b"' "$models/small.safetensors"
{
    printf -- '---\nfile: "a \\"b\\""\n'
    inspect 'a "b"'
    printf -- '---\nfile: "%s"\n' "$models/small.safetensors"
    inspect "$models/small.safetensors"
} >expected
same out expected "each is a document that names it"
status 66 "one that isn't sound doesn't hide the others" \
    inspect absent "$streams/cut-end.tokens" 'a "b"' "$streams/cut-end.tokens"
is "$(grep -c '^symbols: 17' out) $(grep -c '^inspect: .*cut-end' err)" "3 2" "nor its own header"
is "$(sed -n '1p;$p' err | sed 's/: can.t open.*//')" "$(printf '%s\n' "inspect: absent" \
    "inspect: not sound: 3 of 4 files")" "the first one gives the status"
fails 64 "one file at most" "windows are those of one" inspect -t text.shards text.shards

done_testing

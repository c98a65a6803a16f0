#!/bin/sh
# What formats/model.md shows works as shown: its recipes, its hexdump, its list of invalid files.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1
GOLDEN=tests/golden/model

# recipe NAME: the code block that follows the mark of that name.
recipe() {
    awk -v mark="<!-- recipe: $1 -->" '
        $0 == mark { found = 1; next }
        found && /^```$/ { exit }
        found && !/^```/ { print }' formats/model.md
}
{ recipe read && recipe write && recipe scores && cat <<'PYTHON'; } >"$TMP/recipes.py"

import os, sys
golden, out = sys.argv[1:3]

def path(name):
    return os.path.join(golden, name)

def result(description, good):
    print(("ok" if good else "not ok"), description, sep="\t")

def expected(tensors):
    e = 0
    for name, x in tensors.items():
        if name.startswith("train."):
            continue
        want = ((np.arange(e, e + x.size) * 37 % 101 - 50) / 64).reshape(x.shape)
        if not np.array_equal(x, want):
            return False
        e += x.size
    return True

tokens, tensors, metadata = read_model(path("small.safetensors"))
result("the recipe reads the tokens of a model", tokens == ["\n", "a", "\U0001f600"])
result("the recipe reads the tensors of a model", list(tensors) == [
    "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0",
    "fc.weight", "fc.bias"] and tensors["lstm.weight_ih_l0"].shape == (8, 3) and expected(tensors))
for name in "small", "checkpoint":
    name += ".safetensors"
    tokens, tensors, metadata = read_model(path(name))
    more = {k: metadata[k] for k in ("training", "checkpoint") if k in metadata}
    write_model(out + "/" + name, tokens, tensors, metadata["drop_prob"], metadata["newlines"], **more)
    with open(path(name), "rb") as a, open(out + "/" + name, "rb") as b:
        result(name + ": the recipes read and write the same bytes", a.read() == b.read())
tokens, tensors, metadata = read_model(path("state_dict.safetensors"))
result("the recipe reads a bare state_dict", tokens is None and metadata == {} and len(tensors) == 10)
for name in "wrong-crc", "damaged-weight", "crc-elsewhere":
    try:
        read_model(path("invalid/" + name))
        result(name + ": the recipe refuses it", False)
    except ValueError:
        result(name + ": the recipe refuses it", True)
write_model(out + "/made.safetensors", ["\n", "a", "b"],
            {k: v[:3] if k.startswith("fc.") else v for k, v in
             read_model(path("small.safetensors"))[1].items()}, newlines="universal")

for name, text in ("checkpoint", b"all happy families \xff\0\r\n"), ("gru", "a\n\U0001f600aa\n"), ("rnn", "aa\n\na"):
    tokens, tensors, _ = read_model(path(name + ".safetensors"))
    ids = [tokens.index(symbol) for symbol in text]
    logits = scores(tensors, ids[:-1])
    nats = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(ids) - 1), ids[1:]]
    with open(f"{out}/{name}.text", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    with open(f"{out}/{name}.nats", "w") as f:
        f.write("%.6f\n" % nats.mean())
PYTHON

ok "the recipes run" "$PYTHON" "$TMP/recipes.py" "$GOLDEN" "$TMP"
tab=$(printf '\t')
cp "$TMP/out" "$TMP/results"
while IFS=$tab read -r good description; do
    is "$good" ok "$description"
done <"$TMP/results"

# shellcheck disable=SC2016
ok "a model that the recipe wrote gives its vocabulary" \
    sh -c 'printf "ab\r\n" | tokenize --vocab "$TMP/made.safetensors" -t >"$TMP/ids"'
is "$(tr '\n' ' ' <"$TMP/ids")" "1 2 0 " "... in its order, with its newlines"
ok "a model that the recipe wrote samples" sample -n 3 "$TMP/made.safetensors"


# Both layers, both biases and the order of the gates tell in this number.
for name in checkpoint gru rnn; do
    ok "evalloss scores a text" evalloss --input text "$GOLDEN/$name.safetensors" "$TMP/$name.text"
    nats=$(awk -F '\t' 'NR == 2 { print $4 }' "$TMP/out")
    ok "a text's loss is the one that the recipe computes from the tensors of $name" \
        awk -v a="$nats" -v b="$(cat "$TMP/$name.nats")" 'BEGIN { exit !(a - b < 1e-5 && b - a < 1e-5) }'
    like "$nats" '^[0-9]+\.[0-9]' "... and a number"
done

mkdir "$TMP/made"
ok "the golden files' script runs" "$PYTHON" "$GOLDEN/make.py" "$TMP/made"
is "$(diff -r -x make.py -x __pycache__ "$GOLDEN" "$TMP/made" 2>&1)" "" \
    "the golden files are those that their script makes"

# Every line of the hexdump, but for what is left out ("...") and remarked.
"$PYTHON" - "$GOLDEN/small.safetensors" >"$TMP/dump" <<'PYTHON'
import re, sys
with open(sys.argv[1], "rb") as f:
    file = f.read()
shown = 0
with open("formats/model.md") as f:
    for offset, groups in re.findall(r"^    ([0-9a-f]{8}): (.{39})", f.read(), re.M):
        at, want = int(offset, 16), bytes.fromhex(groups)
        if file[at:at + len(want)] != want:
            print("differs at", offset)
        shown += len(want)
print(shown)
PYTHON
is "$(cat "$TMP/dump")" 420 "the hexdump in the specification is the golden file's"

missing=
for f in "$GOLDEN"/invalid/*; do
    name=${f##*/}
    grep -qF "\`$name\`" formats/model.md && grep -qF "\"$name\"" tests/unit/test_model_file.c ||
        missing="$missing $name"
done
is "$missing" "" "every invalid file stands in the specification and in a test"

done_testing

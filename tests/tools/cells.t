#!/bin/sh
# train --cell: what works with LSTMs works with GRUs and plain RNNs.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

seq 1 400 | sed 's/$/ is a number/' >"$TMP/text"
tokenize "$TMP/text" | batchify -n 5 -m 12 >"$TMP/shards"
head -c 1500 "$TMP/text" >"$TMP/part"
cd "$TMP" || exit 1

# Mean nats a character, as evalloss has them.
loss() {
    evalloss "$@" | sed -n 2p | cut -f 4
}
# near A B DESCRIPTION: the same to a hundred-thousandth.
near() {
    awk "BEGIN { d = $1 - $2; exit !(d * d < 1e-10) }"
    result "$?" "$3" || diag "$1 is not near $2"
}

options='-q -H 13 -L 2 -d 0.25 -r 0.01 --eval-every 9'
for cell in gru rnn; do
    # shellcheck disable=SC2086
    train_cell() {
        train $options --cell "$cell" "$@" shards
    }
    train_cell -j 1 --steps 60 -o whole
    train_cell -j 2 --steps 60 -o again
    same whole again "$cell: any number of threads trains the same model"
    rm -f run
    train_cell --steps 25 --checkpoint run -o part.model
    train -q --resume run --steps 60 -o resumed shards
    same resumed whole "a run that stops goes on as one that doesn't"
    fails 64 "--cell lstm: the run to be resumed has --cell $cell" "and not with another cell" \
        train --resume run --cell lstm shards
    like "$(train --cell "$cell" -H 13 --steps 0 -o initial shards 2>&1)" "2 x 13 $(echo "$cell" | tr gnru GNRU)" "its kind is said"
    first=$(loss initial shards)
    awk "BEGIN { exit !($(loss whole shards) < $first - 0.3) }"
    result $? "it learns"

    near "$(loss --input text whole part)" "$("$PYTHON" "$ROOT/tests/tools/models.py" loss whole <part)" \
        "a text costs what numpy computes by the equations"
    tokenize --vocab whole part >part.tokens
    is "$(loss --input text whole part)" "$(loss whole part.tokens)" "and its tokens cost the same"
    evalloss -l whole part >lines
    is "$(sed 1d lines | wc -l)" "$(grep -c "" part)" "each line is scored"
    sample -q -s 1 -n 90 -p '12 is' whole >at-once
    sample -q -s 1 -n 0 -p '12 is' --save-state state whole >beginning
    sample -q -s 1 -n 90 --state state whole >>beginning
    same beginning at-once "a saved state is where its text ended"
    is "$(inspect state | sed -n 's/^cell: //p; s/^layers: //p; s/^hidden: //p' | tr '\n' ' ')" "$cell 2 13 " \
        "and can be looked at"
    is "$(inspect whole | sed -n 's/^cell: //p')" "$cell" "as the model can"
    sample -q -k 1 -n 50 -p 1 whole >f32
    sample -q -k 1 -n 50 -p 1 --weights f16 whole | cmp -s - f32
    result $? "weights of 16 bits write the same"
    ok "those of 8 bits write" sample -q -n 50 --weights i8 whole

    train -q --init whole --steps 0 -o begun shards
    is "$(loss begun shards)" "$(loss whole shards)" "--init starts from its weights"
    fails 64 "--cell lstm: whole has --cell $cell" "and not with another cell" \
        train --init whole --cell lstm --steps 1 shards
    "$PYTHON" "$ROOT/tests/tools/models.py" bare whole >bare
    is "$(loss --vocab shards bare shards)" "$(loss whole shards)" "a bare state_dict is known by its tensors' names"
    ok "bfloat16 products train it" train_cell --precision bf16 --steps 60 -o rounded
    awk "BEGIN { d = $(loss rounded shards) - $(loss whole shards); exit !(d * d < 0.01) }"
    result $? "to much the same loss"
    like "$(train --cell "$cell" --print-config shards)" "^# memory: about [0-9,]* bytes" "its memory is foretold"
done
bytes() {
    train --cell "$1" --print-config shards | sed -n 's/^# memory: about \([0-9,]*\) bytes.*/\1/p' | tr -d ,
}
[ "$(bytes rnn)" -lt "$(bytes gru)" ] && [ "$(bytes rnn)" -lt "$(bytes lstm)" ]
result $? "an RNN takes less memory than others"

train -q -H 8 --steps 3 -o model shards
"$PYTHON" - model <<'PYTHON'
import json, sys
head = open(sys.argv[1], "rb").read()
meta = json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])["__metadata__"]
sys.exit("cell" in meta or "charpipe_model" in meta)
PYTHON
result $? "what isn't said to be another cell is an LSTM, as in version 1"
fails 64 '--cell' "others don't exist" train --cell elman shards
done_testing

#!/bin/sh
# evalloss: the loss of shards, token streams, texts and lines, against what train logged and against
# an independent reader of the model.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1

models() {
    "$PYTHON" "$ROOT/tests/tools/models.py" "$@"
}
# near A B DESCRIPTION: two numbers differ by less than 1e-5.
near() {
    ok "$3" awk -v "a=$1" -v "b=$2" 'BEGIN {exit !(a != "" && b != "" && (a - b) ^ 2 < 1e-10)}'
}
# nats [FILE...]: the mean nats of the table's last row.
nats() {
    evalloss "$@" | tail -n 1 | cut -f 4
}

seq 1 400 | sed 's/$/ is a number/' >text
tokenize text >tokens
batchify -n 4 -m 10 --test 0.1 tokens >shards
train -q -H 16 -d 0.1 -r 0.02 --steps 150 --eval-every 40 -l log -o model shards

# --- shards --------------------------------------------------------------------------------------

is "$(evalloss model shards | head -n 1)" "$(printf 'file\tsplit\ttokens\tnats\tbits\tperplexity')" \
    "a table with a header line"
near "$(nats model shards)" "$(awk -F '\t' 'NR > 1 && $5 != "-" && (b == "" || $5 < b) {b = $5}
    END {print b}' log)" "the validation loss is the one that train logged"
is "$(evalloss model shards | tail -n 1 | cut -f 1,2)" "$(printf 'shards\tvalidation')" \
    "it names the file and its part"
is "$(evalloss --split all model <shards | cut -f 1,2)" \
    "$(printf 'file\tsplit\n-\ttrain\n-\tvalidation\n-\ttest')" "--split all scores each part"
for split in train test; do
    is "$(evalloss --split $split model shards | tail -n 1)" \
        "$(evalloss --split all model shards | grep "	$split	")" "--split $split one of them"
done
ok "bits and perplexity follow from the nats" sh -c '
    evalloss model shards | awk "NR == 2 {
        exit !((\$5 - \$4 / log(2)) ^ 2 < 1e-10 && (\$6 - exp(\$4)) ^ 2 < 1e-8)}"'
is "$(evalloss -j 1 model shards)" "$(evalloss -j 2 model shards)" "any -j gives the same table"
gzip -c shards >shards.gz
is "$(nats model shards.gz)" "$(nats model shards)" "compressed shards are read as they are"
is "$(evalloss model shards shards | wc -l | tr -d ' ')" 3 "several files, a row each"
is "$(evalloss - shards <model)" "$(evalloss model shards)" "the model may come from a pipe"
train -q -H 16 -d 0.1 --steps 0 --init model -o again shards
is "$(nats again shards)" "$(nats model shards)" "a model written again is the same model"
batchify -n 4 -m 10 -x 0.01 tokens >short.shards 2>err
train -q -H 4 --steps 5 -l log -o short.model short.shards
near "$(nats short.model short.shards)" "$(tail -n 1 log | cut -f 5)" \
    "a validation part of fewer rows likewise"

models permute model >reversed
near "$(nats reversed shards)" "$(nats model shards)" "symbols in another order are remapped"
near "$(nats reversed tokens)" "$(nats model tokens)" "in token streams too"
models bare model >bare
fails 65 "symbols.*--vocab" "a bare state_dict needs --vocab" evalloss bare shards
is "$(nats --vocab tokens bare shards)" "$(nats model shards)" "and then is the same model"

# --- texts ---------------------------------------------------------------------------------------

near "$(nats model text)" "$(models loss model <text)" \
    "a text's loss is the one that an independent reader of the model computes"
is "$(evalloss model text | cut -f 2,3)" "$(printf 'split\ttokens\n-\t%d' $(($(wc -c <text) - 1)))" \
    "all characters but the first are scored"
is "$(nats model tokens)" "$(nats model text)" "the tokens of the text give the same"
is "$(nats model <text)" "$(nats model text)" "so does standard input"
is "$("$PYTHON" -c '
import sys, time
for c in open("text"):
    sys.stdout.write(c[:5]); sys.stdout.flush(); time.sleep(0.0005); sys.stdout.write(c[5:])' |
    nats model)" "$(nats model text)" "however the pipe cuts it"
head -c 300 text >a
near "$(nats model a)" "$(models loss model <a)" "a text a bit longer than a window too"
fails 65 "first character" "a single character can't be scored" sh -c 'printf 1 | evalloss model'
fails 65 "first character" "nor can nothing" evalloss model /dev/null
sed 's/$/\r/' text >crlf
tokenize -u crlf | batchify -n 4 -m 10 | train -q -H 16 --init model --steps 0 -o universal
is "$(nats universal crlf)" "$(nats universal text)" "universal newlines: CRLF is scored as LF"
printf '12 is\na x number\n' >unknown
fails 65 "unknown: line 2, byte 8: 'x'.*vocabulary" "an unknown character is told with its place" \
    evalloss model unknown
printf '12 is\na \377 number\n' >invalid
fails 65 "line 2, byte 8: byte 0xFF.*UTF-8" "so is a byte that is no character" evalloss model invalid
"$PYTHON" -c 'print("\u00e9\u20ac\U0001f600" * 30000)' >utf8
tokenize utf8 | batchify -n 2 -m 20 | train -q -H 4 --steps 3 -o utf8.model
near "$(nats utf8.model utf8)" "$(tokenize utf8 | nats utf8.model -)" \
    "characters that lie across blocks are read whole"
printf '12 is\na  number\n' >known
ok "--unknown price adds 20.09 bits for each and leaves the rest alone" sh -c '
    evalloss --unknown price model unknown >a; evalloss model known >b
    awk -F "\t" "FNR == 2 {total[FILENAME] = \$3 * \$5}
        END {d = total[\"a\"] - total[\"b\"]; exit !(d > 20.087 && d < 20.088)}" a b'

# --- lines ---------------------------------------------------------------------------------------

# Lines of all lengths, in no order: some much longer than others, some empty.
"$PYTHON" -c '
import random
random.seed(5)
for i in range(1500):
    print("".join(random.choice("0123456789 isanumber") for _ in range(random.choice([0, 3, 9, 30, 170]))))
' >lines
evalloss -l model lines >table
is "$(head -n 1 table)" "$(printf 'bits_per_char\tchars\tline')" "--lines has its own header line"
sed 1d table | cut -f 3 >a
same a lines "every line is there, in the order of the text"
models lines model <lines >expected
ok "each with the bits per character that an independent reader computes" sh -c '
    sed 1d table | cut -f 1,2 | paste - expected |
    awk -F "\t" "(\$1 - \$3) ^ 2 > 1e-8 || \$2 != \$4 {exit 1}"'
line=$(sed -n 778p lines)
is "$(printf '%s\n' "$line" | evalloss -l model | tail -n 1)" "$(sed -n 779p table)" \
    "a line alone scores as it does among others"
is "$(printf '%s' "$line" | evalloss -l model | tail -n 1)" "$(sed -n 779p table)" \
    "also without its newline"
is "$(printf '\n' | evalloss -l model | tail -n 1 | cut -f 2,3)" "$(printf '1\t')" \
    "an empty line is its newline"
is "$(evalloss -l model /dev/null | wc -l | tr -d ' ')" 1 "no text has no lines"
is "$(evalloss -l -j 1 model lines | cksum)" "$(evalloss -l -j 2 model lines | cksum)" "any -j"
is "$(evalloss -l universal crlf | cut -f 1,2 | cksum)" "$(evalloss -l universal text | cut -f 1,2 | cksum)" \
    "with universal newlines the CR belongs to the line's end"
fails 65 "unknown: line 2, byte 8: 'x'" "an unknown character is an error" evalloss -l model unknown
ok "--unknown price prices it" sh -c '
    evalloss -l --unknown price model unknown >a; evalloss -l --unknown price model known >b
    awk -F "\t" "FNR == 3 {total[FILENAME] = \$1 * \$2; chars[FILENAME] = \$2}
        END {d = total[\"a\"] - total[\"b\"]
            exit !(d > 20.087 && d < 20.088 && chars[\"a\"] == chars[\"b\"] + 1)}" a b'
evalloss -l --unknown price model invalid >a
like "$(cat a)" 'number$' "and bytes that are no characters"
is "$(sed -n '3s/.*\t//p' a | od -An -c | head -n 1)" "$(sed -n 2p invalid | od -An -c | head -n 1)" \
    "which stay in the line as they were"
models random 3 4 1 1 ab >ab
fails 65 "newline" "a model without newline can't score lines" sh -c 'echo a | evalloss -l ab'

# --- what it refuses -----------------------------------------------------------------------------

fails 64 "model" "a model is needed" evalloss
fails 64 "standard input" "and something else than standard input for both" evalloss -
for o in '--input x' '--split x' '--unknown x' '-j 0' '--nonsense'; do
    # shellcheck disable=SC2086
    fails 64 "^evalloss: " "$o is refused" evalloss $o model shards
done
if [ -e /dev/nvidiactl ]; then
    skip "there is no GPU: status 69" "there is one"
else
    fails 69 "CUDA|cuda" "there is no GPU: status 69" evalloss -D cuda model shards
fi
fails 66 "absent" "a model that isn't there" evalloss absent shards
fails 66 "absent" "a text that isn't there" evalloss model absent
fails 65 "shards" "shards in the place of a model" evalloss shards shards
fails 65 "model" "a model in the place of a text" evalloss model model
fails 65 "--lines" "--lines of shards" evalloss -l model shards
fails 65 "tokens|token stream" "a token stream given as shards" evalloss --input shards model tokens
gzip -c text >text.gz
fails 65 "compressed.*zcat" "a compressed text: what to do is told" evalloss model text.gz
batchify -n 4 -m 10 -x 0 tokens >all.shards
fails 65 "no validation part.*--split" "a part that isn't there" evalloss model all.shards
fails 65 "'x'|U\+00|symbol|vocabulary" "symbols that the model lacks" sh -c '
    tokenize unknown | evalloss model'
head -c 2000 tokens >cut
fails 65 "cut" "a truncated token stream" evalloss model cut
status 74 "a full device" sh -c 'evalloss model shards >/dev/full'
fails 73 "nowhere" "an output that can't be created" evalloss -o nowhere/table model shards

done_testing

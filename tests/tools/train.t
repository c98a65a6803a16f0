#!/bin/sh
# train: what it computes with, what it prints, which model it keeps, and what it refuses.
# That a run stops and goes on as if nothing had happened is resume.t's business.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

seq 1 300 | sed 's/$/ is a number/' >"$TMP/text"
tokenize "$TMP/text" >"$TMP/tokens"
batchify -n 4 -m 10 "$TMP/tokens" >"$TMP/shards"
batchify -n 4 -m 10 -x 0 "$TMP/tokens" >"$TMP/all.shards"
epoch=$(sed -n 's/^batches: {train: \([0-9]*\),.*/\1/p;/^\.\.\.$/q' "$TMP/shards")
cd "$TMP" || exit 1

# train with a network that is trained in no time.
small() {
    train -H 8 -d 0.25 "$@"
}
# What an independent reader makes of a model.
models() {
    "$PYTHON" "$ROOT/tests/tools/models.py" "$@"
}
# training MODEL KEY: what a model's metadata say about its training.
training() {
    models training "$1" | sed "s/.*\"$2\": \"\{0,1\}\([^,}\"]*\).*/\1/"
}

# --- the lines and the log -----------------------------------------------------------------------

small --steps 25 --eval-every 10 -l log -o model shards 2>err
is "$(grep -c '^Epoch: ' err)" 3 "a line at each evaluation, every tenth step, and at the end"
like "$(cat err)" \
    '^Epoch: 1/1\.\.\. Step: 10\.\.\. Loss: [0-9]\.[0-9]{4}\.\.\. Val Loss: [0-9]\.[0-9]{4}$' \
    "the line is the notebooks' own"
small --steps 25 --print-every 5 -o model shards 2>err
like "$(cat err)" '^Epoch: 1/1\.\.\. Step: 5\.\.\. Loss: [0-9.]+$' \
    "without its last field where nothing was validated"
is "$(grep -c '^Epoch: ' err)" 5 "--print-every chooses which steps get one"
like "$(cat err)" '^train: network: 2 x 8 LSTM, 21 symbols, 1,757 parameters$' \
    "the network and its parameters are told first"
is "$(small -q --steps 25 -o model shards 2>&1)" "" "-q prints nothing"
small -e 2 -o model shards 2>err
like "$(tail -n 1 err)" "^Epoch: 2/2\.\.\. Step: $((2 * epoch))\.\.\. .*Val Loss" \
    "epochs count from 1 and end with an evaluation"

is "$(head -n 1 log)" \
    "$(printf 'epoch\tstep\ttokens\tloss\tval_loss\tlr\tgrad_norm\tchars_per_s\tseconds')" \
    "the log has a header line"
is "$(cut -f 2 log | sed 1d | tr '\n' ' ')" "$(seq -s ' ' 1 25) " "and a row for each step"
is "$(awk -F '\t' 'NR > 1 && $5 != "-" {print $2}' log | tr '\n' ' ')" "10 20 25 " \
    "with val_loss where it was measured, after the last step too"
is "$(awk -F '\t' 'NR == 26 {print $1, $3, $6}' log)" "1 1000 0.001" "epoch, tokens and lr"
is "$(awk -F '\t' '{print NF}' log | sort -u)" 9 "nine fields each"
ok "a log may be a device" small -q --steps 3 -l /dev/stderr -o model shards
is "$(wc -l <err)" 4 "which gets the same rows"
ok "on a terminal a progress line is shown" on_terminal "$BIN/train" -H 8 --steps 30 -o model shards
like "$(tr '\r' '\n' <terminal)" \
    '^step [0-9]+/30  loss [0-9.]+  [0-9,]+ characters/s  [0-9]+:[0-9]{2}:[0-9]{2} left' \
    "with step, loss, characters per second and the time left"

# --- the numbers ---------------------------------------------------------------------------------

small -q --steps 40 -j 1 -o one shards
small -q --steps 40 -j 2 -o two shards
same one two "-j 1 and -j 2 write the same bytes"
small -q --steps 40 --precision bf16 -j 1 -l narrow.log -o narrow shards
small -q --steps 40 --precision bf16 -j 3 -o three shards
same narrow three "so do -j 1 and -j 3 with --precision bf16"
status 1 "which rounds" cmp narrow one
small -q --steps 40 --precision f32 -l wide.log -o wide shards
same wide one "f32 is the default"
ok "and its losses are those of f32 to a thousandth" sh -c '
    paste wide.log narrow.log | awk "NR > 1 {
        lines++
        worst = (\$4 - \$13) ^ 2 > worst ? (\$4 - \$13) ^ 2 : worst}
        END {exit !(lines == 40 && worst < 4e-6)}"'
is "$(training narrow precision)" bf16 "a model tells its precision"
small -q --steps 40 -o - - <shards >two
same one two "so does standard input to standard output"
gzip -c shards | small -q --steps 40 -z -o two.gz
gzip -dc two.gz >two
same one two "and gzip in and out"
small -q --steps 40 -s 2 -o two shards
ok "another seed, another model" sh -c '! cmp -s one two'
small -q --steps 40 -d 0 -o two shards
ok "without dropout, another model" sh -c '! cmp -s one two'
small -q --steps 40 -s 0 -o two shards
small -q --steps 40 -s 4294967295 -o three shards
ok "seeds reach from 0 to 4294967295" sh -c '! cmp -s two three'
small -q -e 3 -r 0.02 -l log -o model shards
ok "the loss falls" awk -F '\t' \
    'NR == 2 {first = $4} {last = $4} END {exit !(last < first - 0.5)}' log
models bare one >none
small -q --steps 40 --clip 0 -o two shards
models bare two >off
small -q --steps 40 --clip 1e9 -o two shards
models bare two >huge
small -q --steps 40 --clip 0.01 -o two shards
models bare two >tight
same off huge "--clip 0 clips as little as a huge norm does"
ok "a small one clips" sh -c '! cmp -s off tight'
small -q --steps 0 -o one shards
is "$(training one steps)" 0 "--steps 0 writes the initial model"

# --- rates, optimizers, averages -------------------------------------------------------------------

# rates OPTION...: the learning rate of each of six steps.
rates() {
    small -q --steps 6 -r 0.5 -l rates.log "$@" -o m shards
    sed 1d rates.log | cut -f 6 | tr '\n' ' '
}
is "$(rates)" "0.5 0.5 0.5 0.5 0.5 0.5 " "the rate is constant"
is "$(rates --warmup 4)" "0.125 0.25 0.375 0.5 0.5 0.5 " "after --warmup steps, if they are asked for"
is "$(rates --schedule linear --min-lr 0.25 --warmup 2)" "0.25 0.5 0.5 0.4375 0.375 0.3125 " \
    "--schedule linear falls on a line from --lr to --min-lr"
is "$(rates --schedule cosine)" "0.5 0.466506 0.375 0.25 0.125 0.0334936 " "cosine along half a wave"
is "$(rates --schedule linear --horizon 4)" "0.5 0.375 0.25 0.125 0.125 0.125 " "up to --horizon"
is "$(training m horizon) $(training m schedule)" "4 linear" "the model tells it"
rates --schedule linear >again
is "$(training m horizon)" 6 "which is the last step where nothing else is asked for"
fails 64 "--min-lr 0.1: above --lr 0.001" "a rate doesn't rise to --min-lr" train --min-lr 0.1 -o m shards

# told OPTION...: whether it makes another model, and what the model's metadata say of it.
told() {
    small -q --steps 30 --keep last "$@" -o other shards
    cmp -s other plain && echo same
    training other "${1#--}"
}
small -q --steps 30 --keep last -o plain shards
for words in 'optimizer muon' 'weight-decay 0.5' 'beta1 0.5' 'beta2 0.5' 'average 0.5' 'dropout-input 0.5' \
    'dropout-output 0.0' 'input-lr 2.0' 'input-scale 1.0' 'schedule cosine' 'warmup 7'; do
    # shellcheck disable=SC2086
    is "$(told --$words)" "${words#* }" "--$words makes another model, which tells it"
done
small -q --steps 30 --keep last --auto-dropout -o other shards
is "$(training other dropout) $(training other auto-dropout)" "0.25 true" "--auto-dropout leaves what is given"
chosen() {
    train -q -c recipe --auto-dropout -e "$1" -o other shards
    echo "$(training other dropout) $(training other dropout-output)"
}
printf 'train: {hidden: 32, layers: 1}\n' >recipe
is "$(chosen 1), $(chosen 8), $(chosen 16), $(chosen 40)" \
    "0.0 0.0, 0.0 0.0, 0.1 0.2, 0.1 0.2" "and goes by the number of passes"
is "$(train -c recipe --auto-dropout -e 16 -o other shards 2>&1 | grep -c 'seen 16 times: --dropout 0.1 ')" 1 \
    "which it tells"
sed -i 's/32/64/' recipe
is "$(chosen 4), $(chosen 8), $(chosen 16)" "0.0 0.0, 0.1 0.2, 0.2 0.3" "and of units"
small -q --steps 30 --keep last --dropout-output 0.25 -o other shards
models bare other >a
models bare plain >b
same a b "the output's dropout is --dropout's, if it isn't given"
small -q --steps 30 --keep last --beta1 0.9 --input-lr 1 --average 0 --muon-every 1 -o other shards
same other plain "files don't name what is at its default"
small -q --optimizer muon --steps 40 -o m shards
small -q --optimizer muon --muon-every 2 --steps 20 -o one shards
small -q --optimizer muon --steps 20 -o two shards
models bare one >a
models bare two >b
same a b "the first 20 of Muon's directions are all new"
small -q --optimizer muon --muon-every 2 --steps 40 -o two shards
models bare m >a
models bare two >b
status 1 "--muon-every leaves out some of the later ones" cmp a b

small -q --average 1 --average-from 10 --steps 30 --keep last --checkpoint c -o mean shards
small -q --steps 11 --keep last -o m shards
small -q --average 1 --average-from 10 --steps 11 --keep last -o one shards
models bare m >a
models bare one >b
same a b "an average of one step is its weights"
ok "one of several is their mean" "$PYTHON" - "$ROOT" <<'END'
import subprocess, sys
sys.path.insert(0, sys.argv[1] + "/tests/tools")
import numpy as np
from models import read
total = 0
for step in range(11, 31):
    subprocess.run(["train", "-q", "-H", "8", "-d", "0.25", "--steps", str(step), "--keep", "last", "-o", "m", "shards"],
                   check=True)
    total = total + read("m")[1]["fc.weight"].astype("f8")
assert np.abs(read("mean")[1]["fc.weight"] - total / 20).max() < 1e-6
END
small -q --average 0.9 --eval-every 10 --steps 30 -l log -o m shards
is "$(evalloss m shards | awk -F '\t' 'NR == 2 {printf "%.4f", $4}')" \
    "$(awk -F '\t' 'NR > 1 && $5 != "-" && (b == "" || $5 < b) {b = $5} END {printf "%.4f", b}' log)" \
    "what is validated and written is the average"
small -q --steps 0 -o one shards
small -q --steps 0 --average 0.9 -o two shards
models bare one >a
models bare two >b
same a b "before the first step that is the initial weights"
small --min-lr 0 --horizon 3 --muon-every 2 --average-from 3 --steps 2 -o m shards 2>err
for o in min-lr horizon muon-every average-from; do
    like "$(cat err)" "--$o does nothing without --" "a note says that --$o does nothing"
done
small --init one --input-scale 1 --steps 2 -o m shards 2>err
like "$(cat err)" "--input-scale does nothing without" "nor does --input-scale with --init"

# --- a time --------------------------------------------------------------------------------------

# ended FILE: the step that ends a run by what it says on standard error.
ended() {
    sed -n 's/^train: --time .* ends after step \([0-9]*\) at the latest$/\1/p' "$1"
}
"$PYTHON" -c 'import sys, time; print(time.time())' >begin
small --time 3s -j 1 --schedule cosine --warmup 5 --weight-decay 0.1 --average 0.99 --keep last -l log -o timed shards 2>err
n=$(ended err)
is "$(tail -n 1 log | cut -f 2) $(training timed horizon)" "$n $n" \
    "--time ends the run, and the schedule, after so many steps as it tells"
ok "which take about as long (the machine may have more to do)" "$PYTHON" -c '
import sys, time
assert 0.75 < time.time() - float(open("begin").read()) < 15'
small -q --steps "$n" -j 2 --schedule cosine --warmup 5 --weight-decay 0.1 --average 0.99 --keep last -o repeated shards
same timed repeated "that many --steps repeat it to the bit"
small --time 1m --steps 3 --checkpoint c -o m shards 2>err
is "$(training m steps)" 3 "the first of --time, --steps and --epochs ends the run"
for text in 0 10x 3m1h 1.5h m 1h30 1e3 99999999h; do
    fails 64 "time: expected a time such as 90s, 10m or 1h30m" "$text is no time" \
        train --time "$text" -o m shards
done
for text in 90 90s 1m30s; do
    is "$(train --time "$text" --print-config | grep ' time:')" \
        "  time: 90s # command line; limits the run" "$text is one"
done
is "$(train --time 1h1m1s --print-config | grep -c 'time: 3661s\|# epochs: not set')" 2 \
    "--time alone lifts the default of -e"

# --- which model is written ----------------------------------------------------------------------

# With this learning rate the loss soon goes up and down.
small -q -e 2 --eval-every 9 -r 0.3 -l log -o best shards
least=$(awk -F '\t' 'NR > 1 && $5 != "-" && (best == "" || $5 < best) {best = $5; step = $2}
    END {print step, best}' log)
is "$(training best steps) $(printf '%.6f' "$(training best validation_loss)")" "$least" \
    "the best model by validation loss is written"
small -q -e 2 --eval-every 9 -r 0.3 --keep last -o last shards
is "$(training last steps)" "$((2 * epoch))" "the last one with --keep last"
small -q --steps 20 -r 0.3 --eval-every 9 -l log -o best shards
is "$(training best steps)" "$(awk -F '\t' 'NR > 1 && $5 != "-" && (b == "" || $5 < b) {b = $5; s = $2}
    END {print s}' log)" "an evaluation after the last step counts too"
# validated OPTION...: the loss of the initial model's first step, by an evaluation.
validated() {
    small -q --steps 1 "$@" -l log -o m shards && awk -F '\t' 'NR == 2 {print $5}' log
}
batches=$(sed -n 's/^batches: .*validation: \([0-9]*\),.*/\1/p;/^\.\.\.$/q' shards)
is "$(validated --eval-batches "$batches")" "$(validated)" "--eval-batches of all is an evaluation of all"
is "$(validated --eval-batches 1000)" "$(validated)" "more than there are, too"
status 1 "and of one is another one" test "$(validated --eval-batches 1)" = "$(validated)"
small --steps 20 -o last all.shards 2>err
like "$(cat err)" "no validation part.*last" "without validation data a note says that the last is kept"
is "$(training last steps) $(training last keep)" "20 last" "and it is"
small --steps 2 --patience 3 --eval-every 1 --eval-batches 1 --checkpoint-every 1 \
    -o m all.shards 2>err
for o in patience eval-every eval-batches checkpoint-every; do
    like "$(cat err)" "--$o does nothing without" "a note says that --$o does nothing"
done
small --steps 2 --patience 3 --eval-every 1 --checkpoint c --checkpoint-every 1 -o m shards 2>err
is "$(grep -c 'does nothing' err)" 0 "but not where it does something"
small -e 50 --eval-every 5 -r 0.5 --patience 3 -l log -o best shards 2>err
is "$(awk -F '\t' 'NR > 1 && $5 != "-" {n++; if (b == "" || $5 < b) {b = $5; at = n}}
    END {print n - at, $2 < 50 * '"$epoch"'}' log)" "3 1" \
    "--patience ends the run after so many evaluations without a better one"
like "$(cat err)" "stopped early after step [0-9]+: 3 evaluations were no better than that of step $(
    training best steps), [0-9.]+ \(--patience 3\)" "and says when, and what was the best"
for word in learning-rate:lr learning_rate:lr hidden-size:hidden n-hidden:hidden num-layers:layers; do
    fails 64 "unknown option --${word%:*}, did you mean --${word#*:};" "--${word%:*} is understood" \
        train "--${word%:*}" 3
done
for word in batch-size:rows seq-length:window; do
    fails 64 "unknown option --${word%:*}, that is batchify --${word#*:};" "so is --${word%:*}" \
        train "--${word%:*}" 3
done
fails 64 "unknown option --top_k, did you mean --top-k;" "so is sample --top_k" sample --top_k 3
fails 64 "ambiguous: --save-state, --state, --seed, --stop, --samples or --separator;" \
    "an ambiguous one is told with all that it may be" sample --s 3

is "$(small --steps 7 -e 1 -q -o m shards && training m steps)" 7 "the first of -e and --steps wins"
small -q --steps $((2 * epoch)) -e 1 --keep last -o m shards
is "$(training m steps)" "$epoch" "be it -e"
small -q --steps $((20 * epoch + 1)) --keep last -H 1 -o m shards
is "$(training m steps)" $((20 * epoch + 1)) "--steps alone lifts the default of -e"

# --- --init --------------------------------------------------------------------------------------

small -q --steps 0 -s 7 -o seven shards
small -q --steps 15 -s 7 -d 0 -o straight shards
train -q --steps 15 -s 7 -d 0 --init seven -o init shards
same straight init "--init starts from a model's weights, hidden and layers"
fails 64 "hidden 9: seven has --hidden 8" "an option that contradicts them is told" \
    train -q -H 9 --init seven -o init shards
printf 'train: {cell: rnn, hidden: 9, layers: 3, epochs: 1}\n' >larger.yaml
ok "what a configuration says of a run from nothing isn't one" \
    train -q -c larger.yaml --init seven -o init shards
is "$(train -c larger.yaml --init seven --print-config shards | grep -cE '(cell: lstm|hidden: 8|layers: 2) # model')" 3 \
    "the dimensions are the model's"
models permute seven >reversed
train -q --steps 15 -d 0 --init reversed -l log -o init shards
train -q --steps 15 -d 0 --init seven -l straight.log -o straight shards
ok "symbols in another order are remapped" sh -c '
    cut -f 1-4 log >a; cut -f 1-4 straight.log | awk -F "\t" "
        NR == FNR {loss[FNR] = \$4; next}
        FNR > 1 && (d = loss[FNR] - \$4) * d > 1e-10 {exit 1}" a -'
printf 'other symbols altogether: %s\n' ABCDEFGHIJKLMNOPQRSTUVWXYZ ABCDEFGH | tokenize |
    batchify -n 2 -m 4 >other.shards
fails 65 "symbol|vocabulary" "other symbols are an error" train -q --init seven -o init other.shards
models bare seven >bare
train -q --steps 15 -d 0 --init bare -o init shards
train -q --steps 15 -d 0 --init seven -o straight shards
same straight init "a bare state_dict takes the data's symbols"
train --init seven --print-config shards >config
like "$(cat config)" "^  dropout: 0.25 # model" "dropout follows the model"
like "$(train --init seven -d 0.1 --print-config shards)" "^  dropout: 0.1 # command line" "unless given"
like "$(train --init bare --print-config shards)" "^  dropout: 0.5 # default" "or unknown"
small -q --steps 0 --dropout-output 0.4 --dropout-input 0.1 -o apart shards
is "$(train --init apart --print-config shards | grep -c 'dropout.*: 0\.[124]5* # model')" 3 \
    "those of input and output too"

# --- symbols that the model lacks ----------------------------------------------------------------

# Of the 21 symbols that are known, the text has 16, and two that are not.
seq 1 300 | sed 's/.*/caf\xc3\xa9 & \xe2\x80\x8e is/' >accents
tokenize -q -u accents | batchify -q -n 4 -m 10 >accents.shards
fails 65 "^train: seven: the model lacks 4 of the shards' symbols, 'c', 'f', U\+00E9 'é', U\+200E: --new-symbols .*, tokenize --vocab" \
    "symbols that the model lacks are named" train -q --init seven -o grown accents.shards
tokenize -q --vocab seven --unknown skip accents | batchify -q -n 4 -m 10 >skipped.shards
ok "without them the text fits" train -q --init seven --steps 1 -o init skipped.shards
for c in 1 2 3 4; do printf '%s\n' "$c" ABCDEFGHIJKLMNOPQRST; done | tokenize | batchify -q -n 2 -m 4 >fresh.shards
small -q --steps 0 -s 9 -o fresh fresh.shards
train --init seven --new-symbols -s 9 --steps 0 -o grown accents.shards 2>err
is "$(models grown seven grown fresh)" "$(printf 'cf\303\251\342\200\216')" \
    "--new-symbols adds them behind the model's own, whose weights stay; theirs are a new model's"
like "$(cat err)" "^train: new symbols: 4, which the model didn't know: 'c', 'f', U\+00E9 'é', U\+200E$" "and tells them"
like "$(inspect grown)" "newlines: universal" "newlines are the text's"
grow() { train -q --init seven --new-symbols --eval-every 7 -r 0.02 -o "$@" accents.shards; }
grow whole --steps 30 -l log
ok "and the training goes on" awk -F '\t' 'NR == 2 {first = $4} {last = $4} END {exit !(last < first - 0.3)}' log
is "$(training whole steps)" "$(awk -F '\t' 'NR > 1 && $5 != "-" && (b == "" || $5 < b) {b = $5; s = $2}
    END {print s}' log)" "the best model is kept"
grow part --steps 12 --checkpoint run
train -q --resume run --steps 30 -o resumed accents.shards
same resumed whole "such a run is resumed like any other"
printf 'train: {init: seven, new-symbols: true, eval-every: 7, lr: 0.02}\n' >init.yaml
train -q -c init.yaml --steps 12 --checkpoint run -o part accents.shards
train -q -c init.yaml --resume run --steps 30 -o resumed accents.shards
same resumed whole "with the recipe that it was begun with too"
fails 65 "other data" "but not on other data" train --resume run --steps 30 -o resumed fresh.shards
ok "a text of the old symbols is scored" evalloss whole text
fails 64 "--new-symbols: only .*--init" "--new-symbols without a model" train --new-symbols -o m shards
tokenize -q -b accents | batchify -q -n 4 -m 10 >bytes.shards
fails 65 "seven: .*symbols are bytes" "or of another kind" train --init seven --new-symbols -o m bytes.shards
train -q --init seven --new-symbols --steps 15 -d 0 -o none shards
same none straight "where none is new it does nothing"

# --- what it refuses -----------------------------------------------------------------------------

for o in '-H 0' '-H x' '-L 0' '-d 1' '-d -0.1' '-d nan' '-e 0' '-r 0' '-r inf' '-s -1' \
    '-s 4294967296' '-j 0' '--keep worst' '--clip -1' '--steps 1.5' '--patience -2' '--nonsense'; do
    # shellcheck disable=SC2086
    fails 64 "^train: " "$o is refused" train $o -o model shards
done
fails 64 "second.*expected|not also" "so is a second operand" train -o model shards second
fails 64 "resume.*init|beginning" "and --init beside --resume" train --init a --resume b -o m shards
fails 64 "standard output" "and a log where the model goes" train -l - shards
if [ -e /dev/nvidiactl ]; then
    skip "there is no GPU: status 69" "there is one"
else
    fails 69 "CUDA|cuda" "there is no GPU: status 69" train -D cuda -o model shards
fi
fails 66 "missing" "shards that aren't there" train -o model missing
fails 66 "missing" "an initial model that isn't there" train --init missing -o model shards
fails 65 "batchify" "a token stream: the message says what to run" train -o model tokens
fails 65 "model" "a model in the place of shards" train -o model seven
fails 65 "text|not" "text" train -o model text
fails 65 "" "nothing" train -o model /dev/null
head -c 3000 shards >cut
fails 65 "incomplete" "truncated shards" train -o model cut
"$PYTHON" -c 'import sys
d = bytearray(open("shards", "rb").read()); d[len(d) // 2] ^= 4
sys.stdout.buffer.write(d)' >flipped
fails 65 "CRC|damaged" "flipped bits" train -o model flipped
fails 65 "" "shards in the place of an initial model" train --init shards -o model shards
fails 74 "write|space" "a full device" sh -c 'train -q -H 4 --steps 1 shards >/dev/full'
fails 74 "write|space" "a full log" train -q -H 4 --steps 1 -l /dev/full -o model shards
rm -f model
fails 73 "nowhere" "an output that can't be created" train -o nowhere/model shards
fails 73 "nowhere" "a log that can't be created" train -l nowhere/log -o model shards
cp shards precious
fails 73 "precious.*no checkpoint" "a checkpoint in the place of something else" \
    train -q --checkpoint precious -o model shards
same precious shards "which stays as it is"
for outputs in "-o f -l f" "-o f --checkpoint f" "--checkpoint f -l f"; do
    # shellcheck disable=SC2086
    fails 64 "--.* f and --.* f are one file" "one file for two outputs ($outputs)" train $outputs shards
done
ok "a device may take two" train -q -H 4 --steps 1 -o /dev/null -l /dev/null shards
mkfifo endless
exec 3<>endless
status 73 "which fails before anything is read" timeout 20 train -o nowhere/model endless
exec 3>&-
ok "no model is left behind" test ! -e model
printf 'train:\n  hiden: 8\n' >bad.yaml
fails 78 "line 2.*hidden" "an unknown key names its line and the nearest" train -c bad.yaml -o m shards
printf 'train:\n  hidden: 8\n  dropout: 0.25\n  steps: 40\n' >good.yaml
train -q -c good.yaml -o three shards
small -q --steps 40 -o one shards
same one three "a recipe says the same as options"
status 64 "a model goes to no terminal" on_terminal "$BIN/train" shards
like "$(cat terminal)" "train: .*terminal.*-f" "unless it is forced"
models random 1 8 1 3e38 "0123456789abeimnrsu
 " >huge
fails 70 "step 1: .*stopped before the update" "a loss that isn't finite ends the run" \
    train -q --init huge -o model shards

if needs_anna "the notebooks' network has 3,366,483 parameters"; then
    tokenize -u "$ANNA" | batchify | train --steps 0 -o anna 2>err
    like "$(cat err)" "2 x 512 LSTM, 83 symbols, 3,366,483 parameters" \
        "the notebooks' network has 3,366,483 parameters"
    like "$(cat err)" "139 training batches of 128 x 100, 15 validation batches" "and 139 batches"
fi

done_testing

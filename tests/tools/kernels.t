#!/bin/sh
# Which kernels compute, and that what they compute doesn't follow from the processor: all that have
# multiply-adds that round once, which is all but the portable ones, sample and score the same bits, and
# train them where OpenBLAS has no part in it.
#
# `make check-arm` runs it too, with programs for another processor in $BIN and, in $HOST_BIN, those
# for this one; else they are the same.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
HOST_BIN=${HOST_BIN:-$BIN}
cd "$TMP" || exit 1

seq 1 400 | sed 's/$/ is a number, dies sind Wörter/' >text
"$HOST_BIN/tokenize" -u -o tokens text
"$HOST_BIN/batchify" -q -n 8 -m 20 -x 0.05 -o shards tokens
head -n 20 text >few
for cell in lstm gru rnn; do
    "$HOST_BIN/train" -q --cell $cell -H 40 -r 0.01 --steps 60 -o $cell shards
done

# kernels FOLDER: the names of those that its programs have and this processor runs, best first.
kernels() {
    CHARPIPE_KERNELS=none "$1/sample" -n 1 lstm 2>&1 | sed -n 's/.*the kernels here are //p' | tr -d ,
}
# computed FOLDER KERNELS: all that is to be the same.
computed() {
    for cell in lstm gru rnn; do
        for weights in f32 f16 i8; do
            export CHARPIPE_KERNELS="$2"
            "$1/sample" --weights $weights -s 3 -n 300 --logprob $cell
            "$1/evalloss" --weights $weights $cell shards
            "$1/evalloss" --weights $weights --chars $cell few
            unset CHARPIPE_KERNELS
        done
        CHARPIPE_KERNELS="$2" "$1/train" -q --cell $cell -H 40 -r 0.01 --steps 5 shards | cksum
    done
}

fails 69 "^sample: CHARPIPE_KERNELS=none: the kernels here are [a-z0-9]+(, [a-z0-9]+)*$" \
    "kernels that this processor lacks are an error that names those that it has" \
    env CHARPIPE_KERNELS=none "$BIN/sample" -n 1 lstm
here=$(kernels "$BIN")
best=$(kernels "$HOST_BIN")
best=${best%% *}
for k in $here; do
    like "$(CHARPIPE_KERNELS=$k "$BIN/sample" -v -n 1 lstm 2>&1)" "^sample: device: cpu, .*, $k kernels" \
        "$k kernels compute where they are asked for"
done
like "$("$BIN/sample" -v -n 1 lstm 2>&1)" ", ${here%% *} kernels" "the best ones where none are"
if [ "$BIN" != "$HOST_BIN" ]; then
    like "$(QEMU_CPU=cortex-a72 "$BIN/sample" -v -n 1 lstm 2>&1)" ", neon kernels" \
        "a processor without dot products computes with those that need none"
fi

if [ "$best" = generic ]; then
    skip "all kernels sample and score the same bits" "this processor has no multiply-adds that round once"
else
    computed "$HOST_BIN" "$best" >expected 2>&1
    is "$(grep -c . expected)" "$(grep -cv '^[a-z]*: ' expected)" "the best kernels, $best, sample and score"
    for k in $here; do
        [ "$k" != generic ] || continue
        computed "$BIN" "$k" >got 2>&1
        same got expected "$k kernels: the same text, the same probabilities, losses and weights"
    done
fi
done_testing

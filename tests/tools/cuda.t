#!/bin/sh
# cuda.t: -D cuda: the plug-in is found and loaded, what is missing is said, and a model goes from
# one device to the other and back. The GPU is the emulated one of tests/cuda.
# shellcheck source=tests/tools/lib.sh
. "${0%/*}/lib.sh"

EMULATED=${B:-$ROOT/build}/emulated-plugin
[ -e "$EMULATED/charpipe-cuda.so" ] || skip_all "no emulated plug-in (make check builds it)"
CHARPIPE_PLUGIN_DIR=$EMULATED
export CHARPIPE_PLUGIN_DIR

# A text that can be learnt: 4,000 characters.
"$PYTHON" -c 'print(" ".join(f"{i} and {i + 1} are {2 * i + 1}." for i in range(190)))' \
    >"$TMP/text"
tokenize "$TMP/text" | batchify -n 4 -m 12 >"$TMP/shards"

# train's own losses, the notebooks' lines, as numbers.
losses() {
    sed -n 's/.*Loss: \([0-9.]*\)\.\.\..*/\1/p' "$1"
}
small="-H 24 -L 2 -d 0.3 -r 0.01 --print-every 1"

# close FILE FILE DESCRIPTION: as many numbers, near each other by 1e-3.
close() {
    [ -s "$1" ] && paste "$1" "$2" | awk 'NF != 2 || ($1 - $2) ^ 2 > ($1 / 1000) ^ 2 {exit 1}'
    result "$?" "$3" || diag "$(paste "$1" "$2")"
}

# shellcheck disable=SC2086
{
    ok "train computes on the GPU" \
        train -v -D cuda $small --steps 20 --checkpoint "$TMP/cuda.ckpt" -o "$TMP/cuda" "$TMP/shards"
    losses "$TMP/err" >"$TMP/cuda.losses"
    like "$(cat "$TMP/err")" 'device: cuda, .*fp32' "-v says which GPU it is"
    ok "and on the CPU" \
        train -v -D cpu $small --steps 20 --checkpoint "$TMP/cpu.ckpt" -o "$TMP/cpu" "$TMP/shards"
    losses "$TMP/err" >"$TMP/cpu.losses"
    close "$TMP/cpu.losses" "$TMP/cuda.losses" "their losses are the same to 1e-3"

    ok "the same seed" train -D cuda $small --steps 20 -o "$TMP/again" "$TMP/shards"
    same "$TMP/cuda" "$TMP/again" "gives the same bits on one GPU"

    ok "40 steps of the CPU at one go" train -D cpu $small --steps 40 -o "$TMP/whole" "$TMP/shards"
    losses "$TMP/err" >"$TMP/whole.losses"
    ok "a run of the CPU goes on on the GPU" \
        train -D cuda --steps 40 --print-every 1 --resume "$TMP/cpu.ckpt" -o "$TMP/mixed" "$TMP/shards"
    losses "$TMP/err" | cat "$TMP/cpu.losses" - >"$TMP/mixed.losses"
    close "$TMP/whole.losses" "$TMP/mixed.losses" "and loses what the CPU loses"
    ok "a run of the GPU goes on on the CPU" \
        train -D cpu --steps 40 --print-every 1 --resume "$TMP/cuda.ckpt" -o "$TMP/mixed" "$TMP/shards"
    losses "$TMP/err" | cat "$TMP/cuda.losses" - >"$TMP/mixed.losses"
    close "$TMP/whole.losses" "$TMP/mixed.losses" "and loses what the CPU loses"

    ok "--tf32 is near" \
        train -v --tf32 -D cuda $small --steps 20 -o "$TMP/tf32" "$TMP/shards"
    like "$(cat "$TMP/err")" 'device: cuda, .*TF32' "and says so"

    for cell in gru rnn; do
        train -D cpu --cell "$cell" $small --steps 20 -o "$TMP/cpu-$cell" "$TMP/shards" 2>"$TMP/err"
        losses "$TMP/err" >"$TMP/cpu.losses"
        train -D cuda --cell "$cell" $small --steps 20 -o "$TMP/cuda-$cell" "$TMP/shards" 2>"$TMP/err"
        losses "$TMP/err" >"$TMP/cuda.losses"
        close "$TMP/cpu.losses" "$TMP/cuda.losses" "a GPU trains a network of $cell as the CPU does"
        is "$(sample -s 1 -n 60 -D cuda "$TMP/cuda-$cell" | cksum)" "$(sample -s 1 -n 60 -D cpu "$TMP/cuda-$cell" | cksum)" \
            "and draws the same text"
    done
}

ok "6 steps, stop and resume to 12 are the bits of 12 steps on a GPU, too" \
    sh -c "train -D cuda -H 24 --steps 6 --checkpoint '$TMP/a' -o '$TMP/a.out' '$TMP/shards' &&
        train -D cuda --steps 12 --resume '$TMP/a' -o '$TMP/two' '$TMP/shards' &&
        train -D cuda -H 24 --steps 12 -o '$TMP/one' '$TMP/shards' && cmp '$TMP/one' '$TMP/two'"

for tool in "sample -s 1 -n 60 -p 1 -N 3" "sample -s 1 -n 60 -k 3"; do
    # shellcheck disable=SC2086
    is "$($tool -D cuda "$TMP/cuda" | cksum)" "$($tool -D cpu "$TMP/cuda" | cksum)" \
        "$tool writes the same text on both"
done
for input in "$TMP/shards" "$TMP/text"; do
    evalloss -D cpu "$TMP/cuda" "$input" | awk 'NR > 1 {print $(NF - 2)}' >"$TMP/1"
    evalloss -D cuda "$TMP/cuda" "$input" | awk 'NR > 1 {print $(NF - 2)}' >"$TMP/2"
    close "$TMP/1" "$TMP/2" "evalloss gives the same loss on both"
done

fails 69 'smaller ones need -D cpu' "the GPU has no smaller weights" \
    sample -n 1 -D cuda --weights f16 "$TMP/cuda"
fails 69 'smaller ones need -D cpu' "nor for evalloss" \
    evalloss -D cuda --weights i8 "$TMP/cuda" "$TMP/shards"
fails 69 'smaller ones need -D cpu' "nor for train" \
    train -D cuda --precision bf16 -o /dev/null "$TMP/shards"
is "$(train -v -H 8 --steps 1 --precision bf16 -o /dev/null "$TMP/shards" 2>&1 | grep -c 'cpu, ')" 1 \
    "unless -D says so, a run in bfloat16 is the CPU's"

# What is missing.
export EMULATION_GPU
EMULATION_GPU=absent
fails 69 'no GPU.*driver shows none' "no GPU" sample -D cuda "$TMP/cuda"
EMULATION_GPU=no-driver
fails 69 'no NVIDIA driver' "no driver" train -D cuda "$TMP/shards"
EMULATION_GPU=old-driver
fails 69 'up to 11\.4, this needs' "an old driver" evalloss -D cuda "$TMP/cuda" "$TMP/text"
EMULATION_GPU=old
fails 69 'compute capability 6\.1' "an old GPU" train -D cuda "$TMP/shards"
unset EMULATION_GPU
mkdir "$TMP/empty"
CHARPIPE_PLUGIN_DIR=$TMP/empty
fails 69 'no charpipe-cuda\.so in \$CHARPIPE_PLUGIN_DIR' "no plug-in" train -D cuda "$TMP/shards"
echo nonsense >"$TMP/empty/charpipe-cuda.so"
fails 69 'charpipe-cuda\.so: ' "a plug-in that is none" train -D cuda "$TMP/shards"
if echo 'const unsigned charpipe_cuda[4] = {99};' |
    ${CC:-cc} -shared -fPIC -x c -o "$TMP/empty/charpipe-cuda.so" - 2>"$TMP/err"; then
    fails 69 'belongs to another version' "another version's plug-in" train -D cuda "$TMP/shards"
else
    skip "another version's plug-in" "no C compiler"
fi
ln -sf "$(command -v tokenize)" "$TMP/empty/charpipe-cuda.so"
fails 69 'charpipe-cuda\.so: ' "a program for a plug-in" train -D cuda "$TMP/shards"

# auto: the GPU where there is a driver, a plug-in and a device, else the CPU without a word.
mkdir "$TMP/driver"
ln -s "$EMULATED/charpipe-cuda.so" "$TMP/driver/libcuda.so.1"
auto() {
    driver=$1 plugins=$2
    shift 2
    LD_LIBRARY_PATH=$driver CHARPIPE_PLUGIN_DIR=$plugins \
        sample -v -n 1 -s 1 "$@" "$TMP/cuda" 2>&1 >"$TMP/out" |
        grep 'device: '
}
if sanitized; then
    skip "auto" "a sanitizer's library can't stand for the driver's"
else
    like "$(auto "$TMP/driver" "$EMULATED")" 'device: cuda' "auto takes a GPU where there is one"
    like "$(auto "$TMP/driver" "$EMULATED" --weights f16)" 'device: cpu' \
        "and the CPU for smaller weights"
    like "$(auto "$TMP/driver" "$TMP/nowhere")" 'device: cpu' "and the CPU without the plug-in"
    like "$(EMULATION_GPU=absent auto "$TMP/driver" "$EMULATED")" 'device: cpu' "or without a GPU"
fi
if [ -e /dev/nvidiactl ]; then
    skip "auto" "there is a driver here"
else
    like "$(auto "$TMP/empty" "$EMULATED")" 'device: cpu' "or without a driver"
    is "$(CHARPIPE_PLUGIN_DIR=$EMULATED sample -n 1 -s 1 "$TMP/cuda" 2>&1 >"$TMP/out")" "" \
        "and says nothing"
fi

# The real plug-in, where nvcc has built it and no GPU is there to run it.
if [ ! -e "$BIN/charpipe-cuda.so" ]; then
    skip "the real plug-in" "no nvcc here"
elif [ -e /dev/nvidiactl ]; then
    skip "the real plug-in without a GPU" "there is one here: make check-cuda tests it"
else
    CHARPIPE_PLUGIN_DIR=
    fails 69 'no GPU to use: no NVIDIA driver' "the real plug-in loads and says what is missing" \
        train -D cuda "$TMP/shards"
fi

done_testing

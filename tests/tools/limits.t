#!/bin/sh
# What the programs do where the system gives them little: an end with a clear word, never a hang.
#
# shellcheck source=tests/tools/lib.sh disable=SC2086,SC3045
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1
sanitized && skip_all "sanitizers map terabytes"

seq 1 400 | tokenize -q | batchify -q -n 8 -m 8 -o s
train -q -H 8 -L 1 --steps 1 -o m s
seq 1 99 >t

# --- addresses ------------------------------------------------------------------------------------

# within KIB COMMAND...: its status where it may map so much, 124 if it hangs.
within() {
    (
        ulimit -v "$1"
        shift
        exec timeout -k 1 20 "$@"
    )
}

for tool in $tools; do
    for option in --help --version; do
        ok "$tool $option needs few addresses" within 32000 "$tool" $option
        ok "and no OpenBLAS" sh -c "! LD_DEBUG=files $tool $option 2>&1 | grep -q openblas"
    done
done
ok "neither does train --print-config" within 32000 train -j 1 --print-config
ok "nor sampling" within 60000 sample -q -j 1 -n 1 m
ok "nor scoring" within 80000 evalloss -q -j 1 m t

for kib in 40000 60000 65000 80000 120000 200000 250000 300000; do
    within $kib train -q -j 1 -H 8 -L 1 --steps 1 -o x s >out 2>err
    rc=$?
    [ $rc -eq 0 ] || { [ $rc -eq 71 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "out of memory" err; }
    result $? "train within $kib KiB of addresses: $rc" || diag "$(head -c 1000 err)"
done
is "$(within 60000 train -q -j 1 -H 8 --steps 1 -o x s 2>&1 >/dev/null | sed 's/[0-9]* bytes/N bytes/')" \
    "train: out of memory (N bytes for OpenBLAS)" "what there is too little for is said"
status 71 "many threads take many buffers" within 600000 train -q -j 16 -H 8 --steps 1 -o x s
like "$(tail -n 1 err)" "fewer -j take less|can't start thread" "... and less with fewer threads"
ok "with enough there is no difference" within 2000000 train -q -j 1 -H 8 -L 1 --steps 1 -o x s
same x m "... at all"

# A model of two terabytes, of which a pipe has the header alone.
"$PYTHON" -c '
import json, struct, sys
H = V = 65536
at, header = 0, {}
def add(name, *shape):
    global at
    size = 4
    for d in shape:
        size *= d
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
    at += size
for l in range(16):
    add("lstm.weight_ih_l%d" % l, 4 * H, H if l else V)
    add("lstm.weight_hh_l%d" % l, 4 * H, H)
    add("lstm.bias_ih_l%d" % l, 4 * H)
    add("lstm.bias_hh_l%d" % l, 4 * H)
add("fc.weight", V, H)
add("fc.bias", V)
text = json.dumps(header).encode()
sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text + bytes(1000))' >claim
for command in "sample" "inspect" "evalloss - t" "train --init - s"; do
    fails 65 "standard input: truncated at byte" "$command: a pipe that claims terabytes" sh -c "cat claim | $command"
done
ok "... and one that holds what it claims is read" within 400000 sh -c "cat m | sample -q -j 1 -n 1"

# --- threads --------------------------------------------------------------------------------------

chmod 711 "$TMP"
chmod 644 s
if [ "$(id -u)" -ne 0 ]; then
    as=
elif setpriv --reuid 65531 --regid 65531 --clear-groups sh -c "test -x '$BIN/train' && test -r '$TMP/s'" 2>/dev/null; then
    as='setpriv --reuid 65531 --regid 65531 --clear-groups'
else
    as=none
fi
if [ "$as" != none ]; then
    ok "one thread is enough where no more may be started" timeout -k 1 20 prlimit --nproc=1 $as \
        "$BIN/train" -q -j 1 -H 8 -L 1 --steps 1 -o /dev/null s
    fails 71 "can't start thread 2" "where more are asked for it is said" timeout -k 1 20 prlimit --nproc=1 $as \
        "$BIN/train" -q -j 2 -H 8 -L 1 --steps 1 -o /dev/null s
else
    skip "threads that may not be started" "no user other than root can run the programs here"
fi

# --- a library that isn't there ---------------------------------------------------------------------

is "$(OPENBLAS_NUM_THREADS=3 train -q -j 1 -H 8 -L 1 --steps 1 s | cksum)" "$(cksum <m)" \
    "OpenBLAS's own variable changes nothing"
ok "--precision bf16 needs none" sh -c '! LD_DEBUG=files train -q -j 1 -H 32 -L 2 --steps 2 \
    --precision bf16 -o x s 2>&1 | grep -q openblas'
ok "unless Muon does" sh -c 'LD_DEBUG=files train -q -j 1 -H 9 -L 2 --steps 2 --precision bf16 \
    --optimizer muon -o x s 2>&1 | grep -q openblas'
like "$(OPENBLAS_CORETYPE=Haswell train -v -j 1 -H 8 -L 1 --steps 1 -o x s 2>&1)" \
    "OpenBLAS kernel Haswell \(of .OPENBLAS_CORETYPE\)|OpenBLAS kernel .*\(of" \
    "-v tells that OpenBLAS was told which kernels to use"

# --- the stack ------------------------------------------------------------------------------------

for options in "" --lines --chars --html "--lines --unknown price"; do
    ok "evalloss $options with a stack of 64 KiB" sh -c "ulimit -s 64; exec evalloss -q -j 1 $options m t"
done
ok "train" sh -c "ulimit -s 64; exec train -q -j 1 -H 8 -L 1 --steps 1 --checkpoint c -l l -o x s"
ok "sample" sh -c "ulimit -s 64; exec sample -q -j 1 -n 9 m"
ok "tokenize" sh -c "ulimit -s 64; exec tokenize -q -o x t"
ok "batchify" sh -c "ulimit -s 64; tokenize -q t | batchify -q -n 2 -m 3 -o x"
for file in s m c; do
    ok "inspect" sh -c "ulimit -s 64; exec inspect $file"
done

# --- another user's rights --------------------------------------------------------------------------

if [ "$(id -u)" -eq 0 ] && [ "$as" != none ] &&
    "$PYTHON" -c 'import os, sys; sys.exit(os.statvfs(".").f_flag & os.ST_NOSUID != 0)'; then
    cp "$BIN/train" lent
    chmod 4755 lent
    CHARPIPE_PLUGIN_DIR=$TMP $as ./lent -D cuda -q -o /dev/null s 2>err
    like "$(cat err)" "no charpipe-cuda.so beside this program" "a program with another's rights takes no plug-in from the environment"
    CHARPIPE_PLUGIN_DIR=$TMP ./lent -D cuda -q -o /dev/null s 2>err
    like "$(cat err)" "CHARPIPE_PLUGIN_DIR" "one without does"
else
    skip "a program with another's rights" "it takes root, and a file system where there are such"
fi

done_testing

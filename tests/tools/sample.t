#!/bin/sh
# sample: what it draws, how it streams it, and what it refuses. That the draws follow the model's
# probabilities is tests/unit/test_sampler.c's business.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1

# What an independent reader makes of a model.
models() {
    "$PYTHON" "$ROOT/tests/tools/models.py" "$@"
}
bytes() {
    wc -c | tr -d ' '
}

seq 1 300 | sed 's/$/ is a number/' >text
tokenize text | batchify -n 4 -m 10 >shards
train -q -H 16 -d 0.1 -r 0.02 -e 3 -o model shards

# --- what is drawn -------------------------------------------------------------------------------

is "$(sample model | bytes)" 1000 "1000 characters by default"
is "$(sample -n 7 model | bytes)" 7 "-n says how many"
is "$(sample -n 7 -p 'is a' model | bytes)" 11 "the prime is printed and not counted"
like "$(sample -n 7 -p 'is a' model)" '^is a' "it comes first"
is "$(sample -n 7 -p 'is a' --no-prime model | bytes)" 7 "--no-prime does not print it"
is "$(sample -n 0 -p 'is a' model)" "is a" "-n 0 prints nothing else"
sample -s 3 -n 300 -p 'is a' --no-prime model >a
sample -s 3 -n 300 -p 'is a' model | tail -c +5 >b
same a b "the text is the same with and without its prime printed"

sample -s 3 -n 300 model >a
sample -s 3 -n 300 <model >b
same a b "the same seed draws the same text, from standard input too"
sample -s 3 -n 300 -j 2 model >b
same a b "for any -j"
sample -s 4 -n 300 model >b
ok "another seed draws another one" sh -c '! cmp -s a b'
sample -v -n 300 model >a 2>err
seed=$(sed -n 's/^sample: seed //p' err)
sample -n 300 model >b
ok "without a seed each text is another one" sh -c '! cmp -s a b'
sample -s "$seed" -n 300 model >b
same a b "-v prints the seed that was drawn"
printf '\n' >newline
sample -s 3 -n 50 -P newline --no-prime model >a
sample -s 3 -n 50 model >b
same a b "without a prime a newline is fed unseen"
printf 'is a' >prime
sample -s 3 -n 50 -P prime model >a
sample -s 3 -n 50 -p 'is a' model >b
same a b "-P reads the prime from a file"
sample -s 3 -n 50 -P - model <prime >a
same a b "or from standard input"
gzip -c model | sample -s 3 -n 50 -p 'is a' >a
same a b "a model may be compressed"
sample -s 3 -n 50 -p 'is a' -o a model
same a b "-o writes a file"
seq 1 200 | tr '\n' ' ' >long
sample -s 3 -n 20 -P long --no-prime model >a
is "$(cat a)" "$(sample -s 3 -n 20 -p "$(cat long)" --no-prime model)" "a prime may be long"

is "$(sample -k 1 -n 60 -p 'is a' model)" "$(models greedy model 'is a' 60)" \
    "-k 1 takes the likeliest, as an independent reader of the model computes it"
is "$(sample -k 1 -n 60 -s 1 model)" "$(sample -k 1 -n 60 -s 2 model)" "whatever the seed"
is "$(sample -t 0.001 -n 60 -s 1 -p 'is a' model)" "$(sample -k 1 -n 60 -p 'is a' model)" \
    "as a very low temperature does"
sample -k 100000 -s 3 -n 200 model >a
sample -s 3 -n 200 model >b
same a b "-k beyond the vocabulary takes all"

# --- several texts -------------------------------------------------------------------------------

for i in 1 5 70; do
    sample -s 3 -n 20 -N "$i" --separator '|' model | tr '\n' '~' >"n$i"
done
is "$(tr -cd '|' <n70 | bytes)" 70 "each of several texts is followed by --separator"
is "$(tr -cd '|' <n1 | bytes)" 0 "a single one by nothing"
is "$(bytes <n70)" 1470 "they are as long as -n says"
cut -d '|' -f 1-5 n70 >a
cut -d '|' -f 1-5 n5 >b
same a b "the i-th text is the same whatever -N is"
is "$(cut -d '|' -f 1 n70)" "$(cat n1)" "the first is that of a single one"
sample -s 3 -n 200 --stop 9 -N 1 -p 'is ' --separator '|' model | tr '\n' '~' >n1
sample -s 3 -n 200 --stop 9 -N 30 -p 'is ' --separator '|' model | tr '\n' '~' >n30
is "$(cut -d '|' -f 1 n30)" "$(cat n1)" "also where --stop ends them at different lengths"
is "$(tr '|' '\n' <n30 | grep -c '^is ')" 30 "each begins with the prime"
is "$(tr '|' '\n' <n30 | grep -vc '9$')" "$(tr '|' '\n' <n30 | awk 'length == 203' | grep -vc '9$')" \
    "each ends with --stop, or is as long as -n says"

# --- --stop --------------------------------------------------------------------------------------

sample -s 3 -n 100000 --stop 'number' model >a
is "$(tail -c 6 a)" "number" "a text ends when --stop has been drawn"
is "$(grep -o number a | wc -l)" 1 "at its first time"
sample -s 3 -n 100000 model | head -c "$(bytes <a)" >b
same a b "and is the text that it would have been"
sample -s 3 -n 1000 -p 'number' --stop 'number' --no-prime model >a
ok "the prime doesn't count for it" test -s a
models random 3 4 1 1 "ab" >ab
sample -s 1 -n 100000 --stop aabaaab ab >a
is "$(tail -c 7 a) $(grep -o 'aabaaab' a | wc -l)" "aabaaab 1" "a stop that overlaps itself is found"
is "$(sample -N 9 -s 1 -n 100000 --separator '' --stop '
' model | wc -l | tr -d ' ')" 9 "so --stop newline --separator nothing draws lines"

# --- streaming -----------------------------------------------------------------------------------

is "$(sample -n inf model | head -c 100 | bytes)" 100 "-n inf | head -c 100 gets its characters"
sh -c 'sample -n inf model; echo $? >ended' 2>err | head -c 100 >a
is "$(cat ended) $(bytes <err)" "141 0" "and sample dies quietly of SIGPIPE"
ok "a character is there when it is drawn" timeout 20 "$PYTHON" -c '
import os, subprocess, sys
run = subprocess.Popen(["sample", "-n", "inf", "model"], stdout=subprocess.PIPE)
for i in range(50):
    assert len(os.read(run.stdout.fileno(), 1)) == 1
run.kill()'

printf 'a\303\251\342\202\254\360\237\230\200%.0s' 1 2 3 4 5 6 7 8 9 10 >utf8
tokenize utf8 | batchify -n 1 -m 4 | train -q -H 4 --steps 1 -o utf8.model 2>/dev/null
ok "no character is ever split" "$PYTHON" -c '
import os, subprocess
run = subprocess.Popen(["sample", "-q", "-n", "2000", "utf8.model"], stdout=subprocess.PIPE)
n = 0
while True:
    piece = os.read(run.stdout.fileno(), 1 << 20)
    if not piece:
        break
    n += len(piece.decode())
assert n == 2000, n'
is "$(sample -q -n 100 utf8.model | wc -m | tr -d ' ')" 100 "-n counts characters, not bytes"
is "$(sample -q -n 3 -p "$(printf 'a\303\251')" utf8.model | head -c 3)" "$(printf 'a\303\251')" \
    "a prime of several bytes a character is printed as it is"
sample -s 1 -n 5 utf8.model >a 2>err
like "$(cat err)" "knows no newline.*'a'.*-p" "a model without a newline begins after its first symbol"
tokenize -b utf8 | batchify -n 1 -m 4 | train -q -H 4 --steps 1 -o byte.model 2>/dev/null
is "$(sample -n 100 byte.model | bytes)" 100 "a model of bytes writes bytes"
ok "and takes any bytes for a prime" sample -n 1 -p "$(printf '\377\200')" byte.model

# --- state_dicts ---------------------------------------------------------------------------------

models bare model >bare
fails 65 "symbols.*--vocab" "a bare state_dict needs --vocab" sample bare
sample -s 3 -n 50 model >a
sample -s 3 -n 50 --vocab shards bare >b
same a b "which any charpipe file is"
fails 65 "utf8.model.*4 symbols.*21" "of as many symbols" sample --vocab utf8.model bare
fails 64 "vocabulary of its own" "a model's own vocabulary stands" sample --vocab utf8.model model
models random 3 8 1 1 "$(printf 'ab \n')c" >notebook
ok "a notebook's model is sampled" sample -s 1 -n 20 notebook

# --- what it refuses -----------------------------------------------------------------------------

for o in '-n -1' '-n x' '-k 0' '-k -1' '-t 0' '-t -1' '-t nan' '-t x' '-N 0' '-s -1' \
    '-s 4294967296' '-j 0' '-n' '--nonsense'; do
    # shellcheck disable=SC2086
    fails 64 "^sample: " "$o is refused" sample $o model
done
fails 64 "one model" "a second operand too" sample model model
fails 64 "inf" "and endless texts, one behind the other" sample -n inf -N 2 model
fails 64 "prime" "and two primes" sample -p a -P prime model
fails 64 "standard input" "and two things on standard input" sample -P - -
if [ -e /dev/nvidiactl ]; then
    skip "there is no GPU: status 69" "there is one"
else
    fails 69 "CUDA|cuda" "there is no GPU: status 69" sample -D cuda model
fi
fails 65 "byte 1: 'x'.*vocabulary" "an unknown character in the prime is named" sample -p axe model
fails 65 "U\+00E9" "by its code point too" sample -p "$(printf '\303\251')" model
fails 65 "byte 0xFF.*UTF-8" "so is one that is no character" sample -p "$(printf 'a\377')" model
fails 66 "absent" "a model that isn't there" sample absent
fails 66 "absent" "a prime that isn't there" sample -P absent model
fails 65 "shards" "shards" sample shards
fails 65 "" "text" sample text
fails 65 "" "nothing" sample /dev/null
head -c 2000 model >cut
fails 65 "cut: " "a truncated model" sample cut
"$PYTHON" -c 'import sys
d = bytearray(open("model", "rb").read()); d[-9] ^= 1
sys.stdout.buffer.write(d)' >flipped
fails 65 "CRC" "a flipped bit" sample flipped
fails 74 "write|space" "a full device" sh -c 'sample model >/dev/full'
fails 73 "nowhere" "an output that can't be created" sample -o nowhere/text model

done_testing

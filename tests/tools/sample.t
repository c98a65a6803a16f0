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
for weights in f16 i8; do
    sample -s 3 -n 300 -j 1 --weights $weights model >a8
    sample -s 3 -n 300 -j 2 --weights $weights model >b
    same a8 b "with --weights $weights too"
done
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
is "$(sample -t 0 -n 60 -p 'is a' model)" "$(sample -k 1 -n 60 -p 'is a' model)" "and as -t 0 does"
sample -k 65536 -s 3 -n 200 model >a
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

sample -s 3 -n 1000 --stop '
' model >a
sample -s 3 -n 1000 --stop '\n' model >b
same a b "\\n is a newline there too"
is "$(sample -s 3 -n 2 -N 2 -p 'is a' --separator '\t\\\\n\r' model | tr -cd '\\\\\t\r' | od -An -c | tr -d ' ')" \
    '\t\\\r\t\\\r' "--separator has tabs, backslashes and carriage returns"
for o in '--stop a\d' '--separator a\'; do
    # shellcheck disable=SC2086
    fails 64 "${o%% *}: a backslash" "$o is refused" sample $o model
done
sample -s 3 -n 5 --stop 'is x' model 2>err >a
like "$(cat err)" "^sample: --stop never comes: 'x'" "a stop that can't be drawn is noted"
sample -s 3 -n 5 --stop '\r' model 2>err >a
like "$(cat err)" "never comes: U\+000D" "by its escape too"
sample -s 3 -n 5 --stop 'is 7\n' model 2>err >a
is "$(cat err)" "" "one that can be isn't"

# --- on a terminal -------------------------------------------------------------------------------

# ended OPTION...: how many newlines follow the last other character on a terminal.
ended() {
    on_terminal sample -s 3 "$@" model
    tr -d '\r' <terminal | "$PYTHON" -c '
import sys
text = sys.stdin.read()
print(len(text) - len(text.rstrip("\n")))'
}
is "$(sample -s 3 -n 8 model | tr -d '\n' | bytes)" "$(sample -s 3 -n 8 model | bytes)" \
    "into a pipe a text goes as it is"
is "$(ended -n 8)" 1 "on a terminal a newline ends it"
is "$(ended --stop '\n')" 1 "unless it has ended a line"
is "$(ended -n 8 -N 2)" 1 "several texts as well"
is "$(ended -n 0)" 0 "no text, no newline"

# interrupted N COMMAND: runs it in the foreground of a terminal, on which Ctrl-C is pressed N times
# when train has made so many steps that whoever waits for it in a pipeline is there, too.
cat >interrupted.py <<'EOF'
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[2]])
seen, left = b"", int(sys.argv[1])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    while left > 0 and b"Step: 5000" in seen:
        os.write(fd, b"\x03")
        left -= 1
        time.sleep(0.1)
os.waitpid(pid, 0)
EOF
long="tokenize -q text | batchify -q -n 4 -m 10 | train -H 16 --steps 100000000"
timeout 60 "$PYTHON" interrupted.py 1 "$long | sample -s 3 -n 50 >a"
is "$(bytes <a)" 50 "Ctrl-C in a pipeline: train ends, and sample still shows what it learnt"
timeout 60 "$PYTHON" interrupted.py 1 "$long -l log | evalloss - text >a"
is "$(wc -l <a | tr -d ' ')" 2 "evalloss scores it"
timeout 60 "$PYTHON" interrupted.py 1 "$long -o unfinished; sample -n 5 unfinished >a" || true
ok "train's file is whole" sample -n 5 unfinished
ok "a second Ctrl-C ends sample" "$PYTHON" -c '
import os, signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has it ignored in the background
run = subprocess.Popen(["sample"], stdin=subprocess.PIPE)
status = "/proc/%d/status" % run.pid
def caught():
    line = next(line for line in open(status) if line.startswith("SigCgt:"))
    return int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1
while not caught():
    time.sleep(0.005)
run.send_signal(signal.SIGINT)
while caught():
    time.sleep(0.005)
assert run.poll() is None
run.send_signal(signal.SIGINT)
assert run.wait() == -signal.SIGINT'
ok "where nobody sends a model, the first" "$PYTHON" -c '
import pty, signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
master, slave = pty.openpty()
run = subprocess.Popen(["sample"], stdin=slave)
time.sleep(0.3)
run.send_signal(signal.SIGINT)
assert run.wait() == -signal.SIGINT'

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

# --- top-p and min-p -----------------------------------------------------------------------------

is "$(sample --top-p 0.000001 -n 60 -p 'is a' model)" "$(sample -k 1 -n 60 -p 'is a' model)" \
    "the smallest --top-p takes the likeliest"
is "$(sample --min-p 1 -n 60 -p 'is a' model)" "$(sample -k 1 -n 60 -p 'is a' model)" \
    "so does the largest --min-p"
sample -s 3 -n 200 --top-p 1 --min-p 0 model >a
sample -s 3 -n 200 model >b
same a b "--top-p 1 and --min-p 0 take all"
ok "others differ from both" sh -c '
    sample -s 3 -n 200 --top-p 0.7 model >c; sample -s 3 -n 200 --min-p 0.3 model >d
    ! cmp -s a c && ! cmp -s a d && ! cmp -s c d'

# --- --logprob -----------------------------------------------------------------------------------

sample -s 5 -n 40 -N 20 -p 'is a' --no-prime --logprob -k 4 -t 0.7 model >table
is "$(head -n 1 table)" "$(printf 'logprob\tchars\ttext')" "--logprob prints a table"
is "$(sed 1d table | cut -f 2 | uniq -c | tr -s ' ')" " 20 40" "with a row for each text, and its length"
sed 1d table | cut -f 3 | models logprob model 'is a' >expected
ok "its log-probability is the model's own, as an independent reader computes it" sh -c '
    sed 1d table | cut -f 1 | paste - expected | awk "(\$1 - \$2) ^ 2 > 1e-7 {exit 1}"'
sample -s 5 -n 40 -N 20 -p 'is a' --no-prime --separator '' -k 4 -t 0.7 model >a
sed 1d table | cut -f 3 | while IFS= read -r line; do printf '%b' "$line"; done >b
same a b "printf %b makes of the rows the texts that they stand for"
is "$(sample -s 5 -n 9 -p 'is a' --logprob model | sed 1d | cut -f 2,3 | cut -c 1-6)" \
    "$(printf '9\tis a')" "the prime is printed, and not counted"
sample -s 5 -N 50 --stop '
' --no-prime --logprob model | sed 1d >table
cut -f 3 table | sed 's/\\n$//' | evalloss -l model | sed 1d >lines
ok "lines have the log-probability that evalloss gives them" sh -c '
    paste table lines | awk -F "\t" "(\$1 + \$4 * \$5 * log(2)) ^ 2 > 1e-7 || \$2 != \$5 {exit 1}"'
is "$(sample -n 0 -p '12' --logprob model | tail -n 1)" "$(printf '0.000000\t0\t12')" \
    "nothing drawn is certain"
printf 'a\\b\tc\r\n\001d' >odd
"$PYTHON" -c 'print(open("odd", newline="").read() * 30, end="")' | tokenize |
    batchify -n 2 -m 5 | train -q -H 3 --steps 0 -o odd.model
is "$(sample -n 0 -P odd --logprob odd.model | tail -n 1 | cut -f 3)" 'a\\b\tc\r\n\0001d' \
    "what is no plain character is escaped"

# --- states --------------------------------------------------------------------------------------

sample -n 0 -P long --save-state state --no-prime model
sample -s 3 -n 50 --state state model >a
sample -s 3 -n 50 -P long --no-prime model >b
same a b "--state goes on where --save-state was"
ok "it holds what an independent reader computes, as formats/state.md says" \
    models state state model "$(cat long)" "$ROOT/formats/state.md"
sample -s 3 -n 20 --state state -p '7 is' --no-prime model >a
is "$(cat a)" "$(sample -s 3 -n 20 -p "$(cat long)7 is" --no-prime model)" \
    "a prime is read after it, however it was divided"
sample -s 3 -n 20 --state state -p '7' --save-state state2 --no-prime model >/dev/null
sample -s 3 -n 20 --state state2 -p ' is' --no-prime model >b
same a b "states can be continued and saved again"
sample -s 3 -n 9 -N 70 -P long --save-state state3 --no-prime model >a
same state state3 "the same prime leaves the same state, whatever is drawn then"
sample -s 3 -n 9 -N 70 --state state model >b
same a b "many texts go on from one state"
cp state piecewise
sample -n 0 -p '7' --no-prime --state piecewise --save-state ./piecewise model
same piecewise state2 "a state may be read and saved in one file"
status 65 "a prime that can't be read leaves it alone" \
    sample -n 0 -p '#' --state piecewise --save-state piecewise model
same piecewise state2 "... as it was"
fails 64 "--save-state long and --prime-file long are one file" "no other input is one" \
    sample -n 0 -P long --save-state long model
fails 64 "--output piecewise and --state piecewise are one file" "nor may the text take its place" \
    sample -n 0 --state piecewise -o piecewise model
gzip -c state | sample -s 3 -n 9 -N 70 --state - model >b
same a b "which may come compressed, from a pipe"
sample -n 0 --save-state begun model
sample -s 3 -n 30 --state begun model >a
sample -s 3 -n 30 model >b
same a b "without a prime the state is that after the newline"
fails 65 "ab.*another model|state of another model" "another model's state is refused" \
    sample --state state ab
fails 65 "model: this is a model; expected a state" "so is a model" sample --state model model
fails 65 "state: this is a model's state.*--state" "and a state in the place of a model" sample state
fails 65 "shards" "and shards" sample --state shards model
fails 66 "absent" "and what isn't there" sample --state absent model
fails 73 "nowhere" "a state that can't be created" sample -n 0 --save-state nowhere/state model
ok "a state that is cut anywhere, or has any byte changed, is refused" "$PYTHON" -c '
import subprocess
data = open("state", "rb").read()
cases = [data[:n] for n in range(0, len(data), 37)] + [data + b"x"]
for i in range(0, len(data), 23):
    cases.append(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1:])
for case in cases:
    open("bad.state", "wb").write(case)
    run = subprocess.run(["sample", "-n", "1", "--state", "bad.state", "model"], capture_output=True)
    assert run.returncode == 65 and run.stderr.count(b"\n") == 1 and not run.stdout, run'

# --- prompts -------------------------------------------------------------------------------------

printf '12 is\n\n7\n' | sample -i -s 3 model >a
is "$(wc -l <a | tr -d ' ')" 3 "-i answers each line with a line"
is "$(head -n 1 a)" "$(sample -s 3 -p '12 is' --no-prime --stop '
' model)" "which is what the model would go on with"
printf '7\n7\n7\n7\n7\n7\n' | sample -i -s 3 -n 3 model >a
ok "lines are answered by draws of their own" sh -c 'test "$(sort -u a | wc -l)" -gt 1'
is "$(printf '12 is\n7' | sample -i -s 3 -N 3 model | wc -l | tr -d ' ')" 6 \
    "-N answers each with so many lines"
is "$(printf ' is\n' | sample -i -s 3 -p 12 model)" "$(printf '12 is\n' | sample -i -s 3 model)" \
    "a prime is read before each line"
is "$(printf ' is\n is\n' | sample -i -k 1 --state state model)" \
    "$(for i in 1 2; do sample -k 1 --state state -p ' is' --no-prime --stop '
' model; done)" "so is a state"
is "$(printf '12 is\n' | sample -i -s 3 --logprob model | cut -f 3)" \
    "$(printf '12 is\n' | sample -i -s 3 model)" "--logprob puts its figures in front of each"
is "$(sample -i model </dev/null | bytes)" 0 "no lines, no answers"
ok "an answer comes before the next line is read" timeout 20 "$PYTHON" -c '
import subprocess
run = subprocess.Popen(["sample", "-i", "-n", "9", "model"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
for i in range(5):
    run.stdin.write(b"12 is\n")
    run.stdin.flush()
    assert run.stdout.readline().endswith(b"\n")
run.stdin.close()
assert run.stdout.read() == b"" and run.wait() == 0'
printf '12 is\n1x\n7\n' >prompts
status 65 "a prompt with an unknown character is an error" sample -i -s 3 model <prompts
like "$(cat err)" "^sample: line 2: prime: byte 1: 'x'" "which is told at once"
like "$(cat err)" "^sample: not answered: 1 of 3 lines; --unknown skip" "and in the end"
is "$(cat out)" "$(printf '12 is\n\n7\n' | sample -i -s 3 model | sed '2s/.*//')" \
    "its answer is empty, the others are what they would be"
sample -i -s 3 -N 2 --logprob model <prompts >a 2>err
is "$(sed -n '3,4p' a)" "$(printf -- '-\t-\t\n-\t-\t')" "in a table it has no figures"
is "$(printf '1x2 is\nx' | sample -q -i -s 3 --unknown skip model | head -n 1)" \
    "$(echo '12 is' | sample -i -s 3 model)" "--unknown skip does not read it"
is "$(sample -s 3 -n 20 -p 'x1xx2 is' --unknown skip --no-prime model 2>err)" \
    "$(sample -s 3 -n 20 -p '12 is' --no-prime model)" "nor in a prime"
like "$(cat err)" "3 of 8 characters" "and a note says so"
like "$(sample -q -s 3 -n 2 -p 'x1xx2 is' --unknown skip model)" "^x1xx2 is" \
    "which is printed as it was given"

# --- what it refuses -----------------------------------------------------------------------------

for o in '-n -1' '-n x' '-k 0' '-k -1' '--top-p 0' '--top-p 1.1' '--min-p -1' '--min-p 2' \
    '--unknown x' '-t -1' '-t nan' '-t x' '-N 0' '-s -1' \
    '-s 4294967296' '-j 0' '-n' '--nonsense'; do
    # shellcheck disable=SC2086
    fails 64 "^sample: " "$o is refused" sample $o model
done
fails 64 "one model" "a second operand too" sample model model
fails 64 "inf" "and endless texts, one behind the other" sample -n inf -N 2 model
fails 64 "prime" "and two primes" sample -p a -P prime model
fails 64 "inf.*--logprob" "and an endless row of a table" sample -n inf --logprob model
for o in '-P - -' '-i' '-i -P - model' '--state - -P - model'; do
    # shellcheck disable=SC2086
    fails 64 "standard input" "and two things on standard input: $o" sample $o
done
fails 64 "separator" "and a --separator of prompts" sample -i --separator x model
fails 64 "separator" "and of rows" sample --logprob --separator x model
fails 64 "nothing has been read" "and to save a state of nothing" sample -i --save-state x model
if [ -e /dev/nvidiactl ]; then
    skip "there is no GPU: status 69" "there is one"
else
    fails 69 "CUDA|cuda" "there is no GPU: status 69" sample -D cuda model
fi
fails 65 "byte 1: 'x'.*vocabulary" "an unknown character in the prime is named" sample -p axe model
fails 65 "byte 1: '.*prime has no escapes: --prime-file" "an escape in it is none" sample -p 'a\n' model
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

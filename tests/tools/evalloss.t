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

# Weights of fewer bits: another loss, but not much of another.
for weights in f16 i8; do
    ok "--weights $weights rounds the weights, the loss changes little" awk \
        -v "a=$(nats --weights $weights model shards)" -v "b=$(nats model shards)" \
        'BEGIN {exit !(a != b && (a - b) ^ 2 < 1e-4)}'
    is "$(evalloss -j 1 --weights $weights model shards)" \
        "$(evalloss -j 2 --weights $weights model shards)" "and is the same for any -j"
done
fails 64 "f32|f16|i8" "there are no others" evalloss --weights f64 model shards

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
fails 65 "/dev/null: this is empty; expected text" "nor can nothing" evalloss model /dev/null
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

# --- windows -------------------------------------------------------------------------------------

# piecewise W PIECE...: the mean of what the pieces of `a` cost, each cut into windows of W
# characters and the one that follows them, and each scored by itself.
piecewise() {
    rm -rf pieces && mkdir pieces
    "$PYTHON" -c '
import sys
text, W = open("a").read(), int(sys.argv[1])
for begin, end in (map(int, piece.split("-")) for piece in sys.argv[2:]):
    for at in range(begin, end - 1, W):
        open("pieces/%06d" % at, "w").write(text[at:min(at + W + 1, end)])' "$@"
    evalloss model pieces/* | awk -F '\t' 'NR > 1 {n += $3; s += $3 * $4} END {printf "%.6f", s / n}'
}
head -c 900 text >a
for W in 1 7 300; do
    near "$(nats --window $W model a)" "$(piecewise $W 0-900)" \
        "--window $W: a text costs what its windows cost, each from an empty state"
done
is "$(nats --window 7 model a)" "$(tokenize a | nats --window 7 model -)" "tokens likewise"
is "$(evalloss --window 7 model a | tail -n 1 | cut -f 3)" 899 "no character but the first is left out"
is "$(nats --window 899 model a)" "$(nats model a)" "a window as long as the text changes nothing"
near "$(evalloss --chars --window 7 model a | awk 'NR > 2 {s += $1} END {print s / (NR - 2)}')" \
    "$(evalloss --window 7 model a | tail -n 1 | cut -f 5)" "the characters cost the same"
tokenize a | batchify -n 3 -m 10 -x 0 --targets next -o next.shards
for W in 7 10 35; do
    near "$(nats --split train --window $W model next.shards)" \
        "$(piecewise $W 0-291 290-581 580-871)" "--window $W: so do the rows of shards"
done
fails 64 "--lines and --window" "lines are windows already" evalloss -l --window 7 model a
fails 64 "window" "a window has at least one character" evalloss --window 0 model a

# --- memory of shards ----------------------------------------------------------------------------

# As many characters in each row, in batches as they are cut here.
"$PYTHON" -c '
import random
print("".join(random.Random(1).choices("0123456789 isanumber\n", k=599999)))' >random
tokenize random >random.tokens
batchify -q -n 2 -m 300000 -x 0 -o wide random.tokens
batchify -q -n 2 -m 1000 -x 0 -o narrow random.tokens
is "$(nats --split train model wide)" "$(nats --split train model narrow)" \
    "batches of any window have the same loss"
batchify -q -n 100000 -m 6 -x 0 -o tall random.tokens
batchify -q -n 100000 -m 2 -x 0 -o flat random.tokens
is "$(nats --split train model tall)" "$(nats --split train model flat)" "so have many rows"
if sanitized; then
    skip "memory doesn't grow with the window" "a build with sanitizers"
else
    for f in wide tall; do
        memory=$(peak_memory evalloss --split train model $f)
        ok "$f shards take no memory for what isn't computed yet ($memory KiB)" \
            test "$memory" -lt 40000
    done
fi

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
mkfifo slow
evalloss -l model <slow >answers &
exec 9>slow
printf '%s\n' '1 is a number' '2 is' >&9
ok "lines are scored when they have come, whatever follows" timeout 60 sh -c '
    until [ "$(wc -l <answers)" -eq 3 ]; do sleep 0.02; done'
printf ' a num' >&9
echo 'ber' >&9
exec 9>&-
wait $!
printf '%s\n' '1 is a number' '2 is' ' a number' >quick
is "$(cat answers)" "$(evalloss -l model quick)" "as they would be all at once"
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
is "$(sed -n '3s/.*\t//p' a)" 'a \0377 number' "which the line shows as escapes"
evalloss -l model text lines >table
is "$(evalloss -l -n -H model text lines | head -n 1)" \
    "$(printf 'bits_per_char\tchars\tfile\tnumber\tline')" "-n and -H add columns in front of the line"
evalloss -l -n -H model text lines | cut -f 1,2,5 >b
same table b "which change nothing else"
is "$(evalloss -l -H -n model text lines | sed 1d | cut -f 3,4)" \
    "$(for f in text lines; do awk -v f=$f '{print f "\t" NR}' $f; done)" "files and line numbers"
is "$(evalloss -l -H model - <text | sed -n 2p | cut -f 3)" "-" "standard input is called -"
sed 1d table >b
evalloss -l --no-header model text lines >c
same b c "--no-header: rows alone"
is "$(evalloss --no-header model text)" "$(evalloss model text | tail -n 1)" "of means as well"
evalloss -l -n --above 10 model lines >a
evalloss -l -n model lines | awk -F '\t' 'NR == 1 || $1 >= 10' >b
same a b "--above: only lines with so many bits, with their numbers"
ok "which some have and some have not" test "$(wc -l <a)" -gt 10 -a "$(wc -l <a)" -lt 1400
printf 'a\tb\\\033[2J\r\n' >control
is "$(evalloss -l --unknown price --no-header model control | cut -f 3-)" 'a\tb\\\0033[2J\r' \
    "control characters are escaped: a line is a row, and harmless"
models random 3 4 1 1 ab >ab
fails 65 "newline" "a model without newline can't score lines" sh -c 'echo a | evalloss -l ab'

# --- characters ----------------------------------------------------------------------------------

head -c 900 text >a
evalloss --chars model a >table
is "$(head -n 2 table)" "$(printf 'bits\tline\tcolumn\tchar\n-\t1\t1\t1')" \
    "--chars: a table, the first character without a score"
sed '1,2d' table | cut -f 1 >bits
models chars model <a >expected
ok "each other one with the bits that an independent reader computes" sh -c '
    paste bits expected | awk "(\$1 - \$2) ^ 2 > 1e-8 {exit 1} END {exit NR != 899}"'
sed 1d table | cut -f 4 | while IFS= read -r c; do printf '%b_' "$c"; done | tr -d _ >b
same a b "the characters are the text"
near "$(awk '{s += $1} END {print s / NR}' bits)" "$(evalloss model a | tail -n 1 | cut -f 5)" \
    "their mean is the text's loss"
is "$(sed 1d table | awk -F '\t' '$4 == "\\n" {print $2, $3}' | head -n 12 | tail -n 1)" "12 15" \
    "lines and columns count from 1"
evalloss --chars --unknown price model unknown >b
is "$(sed -n '10p' b)" "$(printf '20.087463\t2\t3\tx')" "unknown characters have their price"
"$PYTHON" -c 'print("1" + "x" * 5000 + "2 is" + "\t" * 1500)' >many
is "$(evalloss --chars --unknown price model many | cut -f 4 | tr -d '\n')" \
    "char1$(tr -d '\t\n' <many | cut -c 2-)$(printf '%1500s' '' | sed 's/ /\\t/g')\\n" \
    "any number of them, in order"
is "$(evalloss --chars utf8.model utf8 | sed -n '2,5p' | cut -f 4 | tr -d '\n')" \
    "$(head -c 9 utf8)$(head -c 2 utf8)" "characters of several bytes are whole"
is "$(evalloss --chars --unknown price model invalid | grep -c "	$(printf '\357\277\275')\$")" 1 \
    "what is no character is shown as U+FFFD"
tokenize -b text | batchify -n 4 -m 10 | train -q -H 4 --steps 0 -o byte.model
is "$(printf '1\303\251' | evalloss --chars byte.model | tail -n 1 | cut -f 4)" '\0251' \
    "bytes are rows of their own"
evalloss --chars --no-header --above 2 model a >c
is "$(cat c)" "$(evalloss --chars model a | awk -F '\t' 'NR > 2 && $1 >= 2')" "--above: only those with so many bits"
is "$(evalloss --heat --no-header model a)" "$(evalloss --heat model a | sed 1,2d)" \
    "--heat without its legend"
is "$(evalloss --chars universal crlf | cksum)" "$(evalloss --chars universal text | cksum)" \
    "with universal newlines CRLF is one"
is "$(evalloss --chars -j 1 model text | cksum)" "$(evalloss --chars -j 2 model text | cksum)" "any -j"

# --- heat ----------------------------------------------------------------------------------------

# plain: what is left without the colours.
plain() {
    sed "s/$(printf '\033')\[[0-9;]*m//g"
}
printf '12 is a number\n\n1x2 <is>&"a\tb\033[2J\n' >odd
export TERM=xterm-256color
evalloss --heat --unknown price model odd >heat
is "$(head -n 2 heat | plain)" "bits:  0  1  2  3  4  5  6  7  8  9+ " "--heat begins with a legend"
is "$(sed -n '3p;5p' heat | plain | sed 's/ *$//')" "$(printf '12 is a number\n1x2 <is>&"a     b\342\220\233[2J')" \
    "then comes the text, harmless: tabs as blanks, control characters as pictures"
evalloss --chars --unknown price model odd | sed 1d >table
like "$(sed -n 5p heat)" "$(printf '48;5;88m')x" "a surprise is hot"
ok "each level has its colour" "$PYTHON" -c '
import re
colours = dict(zip([230, 229, 222, 215, 208, 202, 196, 160, 88], range(1, 10)))
text = open("heat").read().split("\n\n", 1)[1]
level, levels = 0, []
for c in re.findall(r"\033\[[0-9;]*m|.", text.split("\n")[0]):
    if c[0] == "\033":
        level = colours[int(c.split(";")[-1][:-1])] if "48" in c else 0
    else:
        levels.append(level)
bits = [row.split("\t")[0] for row in open("table")][:14]
assert levels[:14] == [0 if b == "-" else min(9, int(float(b))) for b in bits], (levels, bits)'
is "$(tail -n 1 heat | tail -c 5 | od -An -c | tr -s ' ')" ' 033 [ 0 m \n' "every line ends without colour"
for plainly in NO_COLOR=1 TERM=dumb; do
    env $plainly evalloss --heat --unknown price model odd >b
    is "$(tr -cd '\033' <b)" "" "$plainly: no escape sequences"
    is "$(sed -n 3,6p b | cut -c 1-14)" "$(printf '12 is a number\n%s\n\n%s' \
        "$(cut -f 1 table | head -n 14 | awk '{b = int($1); printf "%d", (b > 9 ? 9 : b)}')" \
        "$(cut -f 1 table | sed -n 16p | cut -c 1)")" "$plainly: the bits stand below the text"
done
printf '\344\270\226\347\225\214e\314\201x\n%.0s' 1 2 3 4 5 6 7 8 >wide
tokenize wide | batchify -q -n 2 -m 4 | train -q -H 4 --steps 0 -o wide.model
TERM=dumb evalloss --heat wide.model wide >b
like "$(sed -n 4p b)" '^[0-9] [0-9] [0-9][0-9][0-9]$' "wide characters take two columns, accents none"
is "$(NO_COLOR='' evalloss --heat --unknown price model odd | cksum)" "$(cksum <heat)" \
    "an empty NO_COLOR means nothing"
like "$(evalloss --heat model a text | plain)" '^==> text <==$' "several files have their names"
ok "a terminal gets the same" sh -c '. "$1"; on_terminal evalloss --heat --unknown price model odd
    tr -d "\r" <"$TMP/terminal" | cmp - "$2"' - "$ROOT/tests/tools/lib.sh" "$TMP/heat"
is "$(evalloss --heat model /dev/null | wc -l | tr -d ' ')" 2 "nothing has a legend only"

# --- html ----------------------------------------------------------------------------------------

cp odd '<odd>&'
evalloss --html --unknown price model odd '<odd>&' >page
ok "--html writes a whole page with the text in it, and nothing from elsewhere" "$PYTHON" -c '
import html.parser, re
class Page(html.parser.HTMLParser):
    stack, text, names, titles = [], [], [], []
    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "html"):
            self.stack.append(tag)
        self.titles += [value for key, value in attributes if key == "title"]
        assert not any(key in ("src", "href") for key, _ in attributes)
    def handle_endtag(self, tag):
        if tag != "html":
            assert self.stack.pop() == tag
    def handle_data(self, data):
        if "pre" in self.stack and "span" not in self.stack:
            self.text.append(data)
        if "h2" in self.stack:
            self.names.append(data)
page = Page()
source = open("page").read()
assert source.startswith("<!DOCTYPE html>") and "http" not in source
page.feed(source)
assert page.stack == []
assert page.names == ["odd", "<odd>&"], page.names
text = open("odd").read().replace("\033", "\u241b")
assert "".join(page.text) == "\n" + text + "\n" + text, page.text
bits = [row.split("\t")[0] for row in open("table")]
assert page.titles[:3] == ["%.2f" % float(b) for b in bits[1:4]]
assert "20.09, unknown" in page.titles'
ok "-o writes the page to a file" evalloss --html -o page.html model a

# --- what it refuses -----------------------------------------------------------------------------

fails 64 "usage: evalloss .*MODEL \[FILE...\]; try 'evalloss --help'" "without operands the usage is shown" \
    evalloss
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
for o in '-n' '-H' '-n --chars' '--above 1' '--above 1 --heat'; do
    # shellcheck disable=SC2086
    fails 64 "is for --lines" "$o without lines is refused" evalloss $o model text
done
fails 64 "--html" "and a page without its header" evalloss --html --no-header model text
for o in chars heat html; do
    fails 65 "--$o" "--$o of shards" evalloss --$o model shards
    fails 65 "unknown: line 2, byte 8: 'x'" "--$o: an unknown character" evalloss --$o model unknown
    status 74 "--$o: a full device" sh -c "evalloss --$o model text >/dev/full"
    fails 64 "one of them" "--$o and --lines" evalloss --$o -l model text
done
fails 65 "model" "a model in the place of a text" evalloss model model
fails 65 "--lines" "--lines of shards" evalloss -l model shards
fails 65 "tokens|token stream" "a token stream given as shards" evalloss --input shards model tokens
gzip -c text >text.gz
fails 65 "compressed.*zcat" "a compressed text: what to do is told" evalloss model text.gz
iconv -f UTF-8 -t UTF-16 text >utf16
fails 65 "utf16: this is UTF-16; .*iconv" "so is one in UTF-16" evalloss model utf16
batchify -n 4 -m 10 -x 0 tokens >all.shards
fails 65 "no validation part.*--split" "a part that isn't there" evalloss model all.shards
fails 65 "'x'|U\+00|symbol|vocabulary" "symbols that the model lacks" sh -c '
    tokenize unknown | evalloss model'
head -c 2000 tokens >cut
fails 65 "cut" "a truncated token stream" evalloss model cut
status 74 "a full device" sh -c 'evalloss model shards >/dev/full'
fails 73 "nowhere" "an output that can't be created" evalloss -o nowhere/table model shards

done_testing

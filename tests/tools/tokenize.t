#!/bin/sh
# tokenize: what it makes of text, what it refuses, and that nothing is lost on the way back.
# shellcheck source=tests/tools/lib.sh disable=SC2016
. "$(dirname "$0")/lib.sh"

# The header's value of a key, of a stream on standard input.
key() {
    sed -n "s/^$1: //p;/^\.\.\.\$/q"
}

# The vocabulary's entries, spaces squeezed.
symbols() {
    sed -n '/^vocab: /,/^# padding/p;/^\.\.\.$/q' | grep -v '^# padding' | tr -s ' \n' '  ' |
        sed 's/^vocab: //; s/ $//'
}

# --- the vocabulary ------------------------------------------------------------------------------

printf 'banana\n' >"$TMP/banana"
is "$(tokenize -t "$TMP/banana" | tr '\n' ' ')" "2 1 3 1 3 1 0 " "ids count the sorted characters"
is "$(tokenize "$TMP/banana" | symbols)" '[ "\n", "a", "b", "n"]' "the header names them"
is "$(tokenize "$TMP/banana" | key unit)" "codepoint" "characters are code points"
printf 'z\303\251\342\202\254\360\237\230\200a' >"$TMP/utf8"
is "$(tokenize -t "$TMP/utf8" | tr '\n' ' ')" "1 2 3 4 0 " \
    "characters of one to four bytes are one id each"
is "$(tokenize -b -t "$TMP/utf8" | tr '\n' ' ')" "122 195 169 226 130 172 240 159 152 128 97 " \
    "-b takes bytes, each its own id"
is "$(tokenize -b "$TMP/banana" | key unit)" "byte" "and says so in the header"
is "$(tokenize "$TMP/banana" | key dtype)" '"|u1"' "up to 256 symbols take a byte"
"$PYTHON" -c 'print("".join(map(chr, range(0x100, 0x201))), end="")' >"$TMP/257"
is "$(tokenize "$TMP/257" | key dtype)" '"<u2"' "257 take two"
is "$(tokenize -t "$TMP/257" | tail -n 1)" "256" "and their ids go on counting"

if needs_anna "Anna Karenina has 1985223 characters, 83 different"; then
    tokenize -u <"$ANNA" >"$TMP/anna.tokens" 2>"$TMP/err"
    is "$(tokenize -u -v -o /dev/null "$ANNA" 2>&1)" \
        "tokenize: 2025486 bytes, 1985223 ids over 83 symbols" \
        "Anna Karenina has 1985223 characters, 83 different"
    is "$(cat "$TMP/err")" "" "-u is silent about its carriage returns"
    like "$(tokenize -v -o /dev/null "$ANNA" 2>&1)" "2025486 ids over 84 symbols" \
        "2025486 and 84 with carriage returns"
    tokenize --vocab "$TMP/anna.tokens" "$ANNA" >"$TMP/again"
    same "$TMP/anna.tokens" "$TMP/again" "--vocab with its own vocabulary gives the same stream"
    tr -d '\r' <"$ANNA" >"$TMP/unix"
    tokenize -d "$TMP/anna.tokens" >"$TMP/decoded"
    same "$TMP/unix" "$TMP/decoded" "-d gives it back with line feeds"
fi

# --- newlines ------------------------------------------------------------------------------------

printf 'a\r\nb\rc\n\r\n\r\r\nd\r' >"$TMP/cr"
is "$(tokenize -u "$TMP/cr" | tokenize -d | od -An -c | tr -s ' ')" \
    ' a \n b \n c \n \n \n \n d \n' "-u makes CRLF and CR one LF"
is "$(tokenize -u "$TMP/cr" | key newlines)" "universal" "and says so in the header"
is "$(tokenize -q "$TMP/cr" | key newlines)" "keep" "without it they stay"
like "$(tokenize -o /dev/null "$TMP/cr" 2>&1)" "carriage returns.* -u " \
    "a text with carriage returns gets a hint"
is "$(tokenize -q -o /dev/null "$TMP/cr" 2>&1)" "" "but not with -q"
is "$(tokenize -o /dev/null "$TMP/banana" 2>&1)" "" "a text without gets none"
printf 'a\r' >"$TMP/1"
printf '\nb' >"$TMP/2"
is "$(tokenize -u "$TMP/1" "$TMP/2" | tokenize -d)" "$(printf 'a\nb')" \
    "a CRLF may begin in one file and end in the next"

# --- several files, --vocab ----------------------------------------------------------------------

printf 'z\303' >"$TMP/1"
printf '\251' >"$TMP/2"
: >"$TMP/3"
printf 'a' >"$TMP/4"
is "$(tokenize "$TMP/1" "$TMP/2" "$TMP/3" - "$TMP/4" <"$TMP/banana" | tokenize -d)" \
    "$(printf 'z\303\251banana\na')" "files are one text, read in order, - is standard input"

printf 'zab' | tokenize >"$TMP/zab.tokens"
is "$(printf 'bazz' | tokenize --vocab "$TMP/zab.tokens" -t | tr '\n' ' ')" "1 0 2 2 " \
    "--vocab takes the order of a token stream"
printf 'zabzabzab' | tokenize | batchify -q -n 1 -m 2 -x 0 >"$TMP/zab.shards"
is "$(printf 'bazz' | tokenize --vocab "$TMP/zab.shards" -t | tr '\n' ' ')" "1 0 2 2 " \
    "or of shards"
gzip -c "$TMP/zab.tokens" >"$TMP/zab.tokens.gz"
is "$(printf 'bazz' | tokenize --vocab "$TMP/zab.tokens.gz" -t | tr '\n' ' ')" "1 0 2 2 " \
    "compressed ones too"
tokenize -b "$TMP/banana" >"$TMP/bytes.tokens"
is "$(printf 'a\r' | tokenize --vocab "$TMP/bytes.tokens" -t | tr '\n' ' ')" "97 13 " \
    "and their unit"
tokenize -u "$TMP/cr" >"$TMP/universal.tokens"
is "$(printf 'a\r\nb' | tokenize --vocab "$TMP/universal.tokens" | tokenize -d)" \
    "$(printf 'a\nb')" "and their newlines"
ok "-b may confirm what --vocab says" \
    tokenize -b --vocab "$TMP/bytes.tokens" -o /dev/null "$TMP/banana"
fails 64 "bytes.*zab.tokens" "but not contradict it" \
    tokenize -b --vocab "$TMP/zab.tokens" "$TMP/banana"
fails 64 "universal-newlines.*zab.tokens" "nor may -u" \
    tokenize -u --vocab "$TMP/zab.tokens" "$TMP/banana"
fails 65 "banana: .*expected a token stream, shards or a model" "text has no vocabulary to take" \
    tokenize --vocab "$TMP/banana" "$TMP/banana"
fails 66 "nowhere" "nor has a file that isn't there" tokenize --vocab "$TMP/nowhere" "$TMP/banana"
fails 64 "standard input" "standard input can't be both vocabulary and text" \
    sh -c 'tokenize --vocab - <"$TMP/zab.tokens"'

# --- unknown and invalid -------------------------------------------------------------------------

printf 'zab\nbad\n' >"$TMP/bad"
printf 'zab\nbaz\n' | tokenize >"$TMP/lines.tokens"
fails 65 "bad: line 2, byte offset 6: .*'?d'?.* --unknown" \
    "an unknown character is told with its place and the way out" \
    tokenize --vocab "$TMP/lines.tokens" "$TMP/bad"
is "$(tokenize -q --vocab "$TMP/lines.tokens" --unknown skip "$TMP/bad" | tokenize -d)" \
    "$(printf 'zab\nba')" "--unknown skip leaves it out"
is "$(tokenize -q --vocab "$TMP/lines.tokens" --unknown z "$TMP/bad" | tokenize -d)" \
    "$(printf 'zab\nbaz')" "--unknown CHAR puts that in its place"
like "$(tokenize --vocab "$TMP/lines.tokens" --unknown skip -o /dev/null "$TMP/bad" 2>&1)" \
    "skipped .*: 1$" "and both say how often"
fails 64 'unknown.*"x"' "CHAR itself must be known" \
    tokenize --vocab "$TMP/lines.tokens" --unknown x "$TMP/bad"
fails 64 'unknown.*"no"' "a word of two characters is neither" \
    tokenize --vocab "$TMP/lines.tokens" --unknown no "$TMP/bad"
fails 64 'unknown.*"no"' "also without --vocab" tokenize --unknown no "$TMP/bad"
fails 64 'without --vocab every character is known' "where nothing can be unknown, it is refused" \
    tokenize --unknown skip "$TMP/bad"
fails 65 "no character" "a text of which nothing is known is an error" \
    sh -c 'printf XYZ | tokenize --vocab "$TMP/lines.tokens" --unknown skip'

printf 'line one\nline \303(two\n' >"$TMP/invalid"
fails 65 "invalid: line 2, byte offset 14: .*UTF-8.*0xC3.*--invalid replace.*-b" \
    "invalid UTF-8 is told with its place and both ways out" tokenize "$TMP/invalid"
fails 65 "standard input: line 2, byte offset 14" "from a pipe too" \
    sh -c 'cat "$TMP/invalid" | tokenize'
fails 65 "invalid: line 2, byte offset 14" "in a second file by that file's own count" \
    tokenize "$TMP/banana" "$TMP/invalid"
fails 65 "line 1, byte offset 1: .*unfinished" "a character that the end cuts off is invalid" \
    tokenize "$TMP/1"
is "$(tokenize -q --invalid replace "$TMP/invalid" | tokenize -d)" \
    "$(printf 'line one\nline \357\277\275(two')" "--invalid replace makes it U+FFFD"
like "$(tokenize --invalid replace -o /dev/null "$TMP/invalid" 2>&1)" "replaced .*: 1$" \
    "and says how often"
ok "-b takes it" tokenize -b -o /dev/null "$TMP/invalid"
for bytes in '\300\200' '\355\240\200' '\364\220\200\200' '\200' '\370\210\200\200\200'; do
    fails 65 "line 1, byte offset 0" "$bytes is not UTF-8" \
        sh -c 'printf "$1" | tokenize' sh "$bytes"
done

# --- there and back ------------------------------------------------------------------------------

"$PYTHON" - "$TMP" <<'PYTHON'
import random, sys

rng = random.Random(3)
letters = [chr(c) for c in (rng.randrange(0x110000) for _ in range(30000)) if not 0xD800 <= c < 0xE000]
letters += list("\0\a\t\n\r\"\\#'-:[]{}\x7f\x85\xa0\u2028\ufeff\ufffe\uffff") * 1000
texts = {
    "unicode": "".join(rng.choice(letters) for _ in range(300000)).encode(),
    "ascii": bytes(rng.randrange(128) for _ in range(100000)),
    "one": b"x",
    "nul": b"\0" * 1000,
    "bytes": rng.randbytes(3000000),
}
for name, text in texts.items():
    open(f"{sys.argv[1]}/text.{name}", "wb").write(text)
PYTHON
for name in unicode ascii one nul; do
    ok "text ($name) has tokens" tokenize -q -o "$TMP/tokens" "$TMP/text.$name"
    tokenize -d "$TMP/tokens" >"$TMP/back"
    same "$TMP/text.$name" "$TMP/back" "-d gives back text ($name) byte for byte"
    tokenize -q <"$TMP/text.$name" | cmp -s - "$TMP/tokens"
    result $? "text ($name) from standard input gives the same stream"
    # shellcheck disable=SC2002
    cat "$TMP/text.$name" | tokenize -q | cmp -s - "$TMP/tokens"
    result $? "text ($name) from a pipe gives the same stream"
done
for name in unicode bytes; do
    tokenize -b "$TMP/text.$name" | tokenize -d >"$TMP/back"
    same "$TMP/text.$name" "$TMP/back" "-d gives back any bytes ($name)"
done
tokenize "$TMP/banana" >"$TMP/1"
tokenize -b "$TMP/utf8" >"$TMP/2"
tokenize -d "$TMP/1" "$TMP/2" >"$TMP/back"
cat "$TMP/banana" "$TMP/utf8" | cmp -s - "$TMP/back"
result $? "-d decodes several streams in order"

# --- outputs -------------------------------------------------------------------------------------

tokenize "$TMP/banana" >"$TMP/plain"
ok "-o writes a file" tokenize -o "$TMP/named" "$TMP/banana"
same "$TMP/plain" "$TMP/named" "with what standard output would get"
tokenize -z "$TMP/banana" | gzip -dc >"$TMP/unzipped"
same "$TMP/plain" "$TMP/unzipped" "-z compresses it"
tokenize -z "$TMP/banana" | tokenize -d >"$TMP/back"
same "$TMP/banana" "$TMP/back" "and -d reads that"
fails 74 "standard output" "a full device is an error" sh -c 'tokenize "$TMP/banana" >/dev/full'
fails 74 "/dev/full" "also by -o" tokenize -o /dev/full "$TMP/banana"
fails 74 "standard output" "also for decoded text" sh -c 'tokenize -d "$TMP/plain" >/dev/full'
fails 73 "nowhere" "so is an output that can't be created" \
    tokenize -o "$TMP/nowhere/out" "$TMP/banana"
status 65 "a failure" tokenize -o "$TMP/absent" "$TMP/invalid"
[ ! -e "$TMP/absent" ]
result $? "leaves no output behind"
is "$(sh -c 'tokenize -b "$TMP/text.bytes"; echo $? >"$TMP/rc"' | head -c 10)" "#charpipe " \
    "a reader may go away"
is "$(cat "$TMP/rc")" "141" "which ends the writer by SIGPIPE"
status 64 "binary is not written to a terminal" on_terminal tokenize "$TMP/banana"
ok "unless --force says so" on_terminal tokenize -f "$TMP/banana"
ok "text is" on_terminal tokenize -t "$TMP/banana"

# --- what is refused -----------------------------------------------------------------------------

fails 65 "standard input: this is empty; expected text" "an empty text is an error" sh -c 'tokenize </dev/null'
fails 65 "empty" "an empty file too" tokenize "$TMP/3"
fails 65 "empty" "with --vocab too" tokenize --vocab "$TMP/zab.tokens" "$TMP/3"
fails 65 "empty" "and with -b" tokenize -b "$TMP/3"
is "$(printf 'x' | tokenize -t)" "0" "a text of one character has one id"
fails 66 "nowhere: can't open" "a file that isn't there is told" tokenize "$TMP/nowhere"
gzip -c "$TMP/banana" >"$TMP/banana.gz"
fails 65 "banana.gz: .*zcat" "compressed text is told, and the way to read it" tokenize "$TMP/banana" "$TMP/banana.gz"
iconv -t UTF-16 "$TMP/banana" >"$TMP/utf16"
fails 65 "utf16: .*UTF-16.*iconv" "so is UTF-16" tokenize "$TMP/utf16"
many() { "$PYTHON" -c "
import sys
text = ''.join(map(chr, range(0x20000, 0x20000 + $1)))
sys.stdout.buffer.write((text + text[:9]).encode())"; }
many 65536 >"$TMP/most"
tokenize "$TMP/most" >"$TMP/most.tokens"
tokenize -d "$TMP/most.tokens" | cmp -s - "$TMP/most"
result $? "65,536 different characters are a vocabulary"
batchify -n 2 -m 9 "$TMP/most.tokens" | train -q -H 1 -L 1 --steps 0 | tokenize --vocab - "$TMP/most" |
    cmp -s - "$TMP/most.tokens"
result $? "... also of shards and of a model"
many 65537 >"$TMP/many"
fails 65 "65537 different characters.* 65536; -b .*--vocab FILE" "more are not, and the ways out are told" \
    tokenize "$TMP/many"
is "$(tokenize "$TMP/many" --vocab "$TMP/most.tokens" --unknown skip -q | tokenize -d | wc -c)" "$((4 * 65545))" \
    "one of which is --unknown"
fails 66 "directory" "a directory is no text" tokenize "$TMP"
fails 64 "nonsense" "unknown options are told" tokenize --nonsense
fails 64 "invalid.*maybe" "unknown choices too" tokenize --invalid maybe "$TMP/banana"
fails 64 "decode.*bytes" "-d takes no -b" tokenize -d -b "$TMP/plain"
fails 64 "decode.*text" "nor -t" tokenize -d -t "$TMP/plain"
printf 'tokenize:\n  universal-newline: true\n' >"$TMP/config"
fails 78 "config: line 2: .*universal-newlines" "a mistyped key in a configuration is told" \
    tokenize -c "$TMP/config" "$TMP/cr"
printf 'tokenize:\n  universal-newlines: true\n' >"$TMP/config"
is "$(tokenize -c "$TMP/config" "$TMP/cr" | key newlines)" "universal" "a right one works"

fails 65 "banana: .*text" "-d refuses text" tokenize -d "$TMP/banana"
fails 65 "shards" "and shards" tokenize -d "$TMP/zab.shards"
fails 65 "banana|empty|standard input" "and nothing at all" sh -c 'tokenize -d </dev/null'
sed '1s/tokens 1/tokens 2/' "$TMP/plain" >"$TMP/newer"
fails 65 "newer: .*version 2.*upgrade" "a stream of a newer version is told as that" tokenize -d "$TMP/newer"
size=$(wc -c <"$TMP/plain")
head -c "$((size - 1))" "$TMP/plain" >"$TMP/truncated"
fails 65 "truncated: " "a truncated stream is refused" tokenize -d "$TMP/truncated"
"$PYTHON" - "$TMP" <<'PYTHON'
import subprocess, sys

folder = sys.argv[1]
plain = open(f"{folder}/plain", "rb").read()


def accepted(data):
    return subprocess.run(["tokenize", "-d"], input=data, capture_output=True).returncode != 65


cut = [n for n in range(0, len(plain), 7) if accepted(plain[:n])]
flipped = [
    i
    for i in range(3, 8 * len(plain), 29)
    if accepted(plain[: i // 8] + bytes([plain[i // 8] ^ 1 << i % 8]) + plain[i // 8 + 1 :])
]
open(f"{folder}/accepted", "w").write(f"cut {cut} flipped {flipped}")
PYTHON
is "$(cat "$TMP/accepted")" "cut [] flipped []" "no cut and no flipped bit passes"

# --- memory --------------------------------------------------------------------------------------

if sanitized; then
    skip "resident memory stays below 64 MB" "a build with sanitizers"
else
    "$PYTHON" -c '
import sys
line = "Все счастливые семьи похожи друг на друга. All happy families are alike.\n".encode()
for _ in range(1000):
    sys.stdout.buffer.write(line * 540)' >"$TMP/large"
    for how in 'tokenize <"$TMP/large" >/dev/null' 'cat "$TMP/large" | tokenize >/dev/null' \
        'cat "$TMP/large" | tokenize --vocab "$TMP/large.tokens" >/dev/null'; do
        tokenize "$TMP/large" | head -c 2048 >"$TMP/large.tokens"
        peak=$(peak_memory sh -c "$how")
        [ "$peak" -lt 65536 ]
        result $? "60 MB keep resident memory below 64 MB: $how" || diag "$peak KiB"
    done
fi

# --- UTF-16 --------------------------------------------------------------------------------------

cd "$TMP" || exit 1
seq 1 100 >plain
for code in UTF-16LE UTF-16BE; do
    iconv -f UTF-8 -t $code plain >zeros
    tokenize zeros 2>err >tokens
    like "$(cat err)" "^tokenize: the text looks like UTF-16.*iconv" \
        "$code without a mark is valid UTF-8 full of zeros: a note"
done
tokenize -b zeros 2>err >tokens
is "$(cat err)" "" "bytes may be anything"

done_testing

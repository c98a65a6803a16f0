#!/bin/sh
# What all tools have in common: options, messages, statuses, outputs. Each statement is made of
# every tool, on the smallest input that it takes.
#
# shellcheck disable=SC2046,SC2086 # lists of words are meant to be split
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

man=${B:-$ROOT/build}/man

# The smallest pipeline: what each tool reads.
cd "$TMP" || exit 1
i=0
while [ "$i" -lt 20 ]; do
    printf 'the quick brown fox, again %d\n' "$i"
    i=$((i + 1))
done >text
ok "the text becomes tokens" tokenize -o tokens text
ok "the tokens become shards" batchify -q -n 2 -m 8 -o shards tokens
ok "the shards become a model" train -q -H 8 -L 1 --steps 2 -o model shards

# The words that make a tool do its work on those files, its options first. They hold no blanks.
work() {
    case $1 in
    tokenize) echo 'text' ;;
    batchify) echo '-n 2 -m 8 tokens' ;;
    train) echo '-q -H 8 -L 1 --steps 2 shards' ;;
    sample) echo '-s 1 -n 40 model' ;;
    evalloss) echo 'model shards' ;;
    inspect) echo '--verify shards' ;;
    esac
}

# The same without its input: the operand is left to the caller.
options() {
    words=$(work "$1")
    words=${words% *}
    case $1 in
    tokenize) ;;
    *) echo "$words" ;;
    esac
}

# True for the tools that write binary.
writes_binary() {
    case $1 in tokenize | batchify | train) return 0 ;; *) return 1 ;; esac
}

# Values of a --print-config without the comments.
values() {
    sed 's/ *#.*//'
}

mkfifo fifo
for tool in $tools; do
    set -- "$tool" $(work "$tool")

    # --- words ------------------------------------------------------------------------------

    ok "$tool --help succeeds" "$tool" --help
    is "$(head -n 1 out | cut -d ' ' -f 1,2)" "Usage: $tool" "$tool --help says how it is used"
    is "$(wc -c <err)" 0 "$tool --help says nothing on stderr"
    is "$(awk 'length > 80' out)" "" "$tool --help fits into 80 columns"
    cp out help
    ok "$tool -h is the same" "$tool" -h
    same out help "$tool -h prints the same"
    is "$("$tool" --version)" "$tool (charpipe) $(sed -n 's/^VERSION *= *//p' "$ROOT/Makefile")" \
        "$tool --version tells name and version"
    "$tool" --options-as tsv | tail -n +2 | cut -f 2 >names
    missing=
    while read -r name; do
        grep -q -e "--$name\b" help || missing="$missing help:$name"
        grep -q -e "\\\\-\\\\-$(printf '%s' "$name" | sed 's/-/\\\\-/g')\\\\fR" "$man/$tool.1" ||
            missing="$missing man:$name"
    done <names
    is "$missing" "" "$tool has each of its options in --help and in the man page"
    is "$("$tool" --options-as tsv | awk -F '\t' '$7 == ""')" "" \
        "$tool says of each option what it does to the result"
    "$tool" --print-config >out
    is "$("$tool" --options-as tsv | awk -F '\t' 'NR > 1 && $4 != "" {print $2 ": " $4}' |
        while read -r default; do
            grep -qF "  $default # default" out || echo "$default"
        done)" "" "$tool writes defaults as it prints values"
    is "$(grep -c options-as help)" 0 "$tool keeps --options-as to itself"
    fails 64 "^$tool: unknown option --verison, did you mean --version; try '$tool --help'\$" \
        "$tool names the nearest option" "$tool" --verison
    fails 64 "^$tool: --help: expected yes or no" "$tool wants yes or no for a flag" \
        "$tool" --help=perhaps
    wrong=
    "$tool" --options-as tsv | awk -F '\t' '$4 ~ /^[0-9.e-]+$/ {print $2}' >numbers
    while read -r name; do
        for number in 12abc '' nan 0x10 -1e99 1e9999 "5 "; do
            "$tool" "--$name=$number" </dev/null >/dev/null 2>err && rc=0 || rc=$?
            if [ "$rc" -ne 64 ] || ! grep -q "^$tool: --$name: expected" err; then
                wrong="$wrong --$name=$number:$rc"
            fi
        done
    done <numbers
    is "$wrong" "" "$tool takes no nonsense for a number"

    # --- configuration ----------------------------------------------------------------------

    ok "$tool --print-config succeeds" "$tool" --print-config
    cp out defaults.yaml
    ok "$tool reads its own --print-config" "$tool" -c defaults.yaml --print-config
    is "$(values <out)" "$(values <defaults.yaml)" "$tool finds the same values in it"
    is "$(sed 1d out | grep -cv -e '# configuration file' -e ': not set')" 0 \
        "$tool tells that they came from the file"
    printf '%s:\n  quiet: true\n' "$tool" >quiet.yaml
    like "$("$tool" -c quiet.yaml --quiet=no --print-config)" '  quiet: false # command line' \
        "$tool heeds the command line more than the file"
    printf '%s:\n  quiet: true\n  quieet: true\n' "$tool" >bad.yaml
    fails 78 "^$tool: bad.yaml.*line 3.*quieet.*quiet" \
        "$tool names the line and the nearest key of a bad configuration" "$tool" -c bad.yaml
    printf '%s:\n  quiet: perhaps\n' "$tool" >bad.yaml
    fails 78 "^$tool: bad.yaml.*line 2.*expected.*perhaps" \
        "$tool says what is wrong with a configured value" "$tool" -c bad.yaml
    fails 66 "^$tool: absent.yaml.*nor is there a recipe of that name" \
        "$tool tells that the configuration is absent" "$tool" -c absent.yaml

    printf '%s:\n  quiet: true\n' "$tool" >fast
    like "$("$tool" -c fast --print-config)" "quiet: false" \
        "$tool -c fast is the recipe of that name"
    like "$("$tool" -c ./fast --print-config)" "quiet: true # configuration file" \
        "and ./fast a file"

    # --- input ------------------------------------------------------------------------------

    fails 66 "^$tool: absent: can't open: No such file" "$tool tells that its input is absent" \
        "$tool" $(options "$tool") absent
    fails 66 "^$tool: .*is a directory" "$tool reads no directory" "$tool" $(options "$tool") .
    fails 66 "^$tool: standard input: not open" "$tool takes a closed input for no empty one" \
        sh -c '"$@" <&-' sh "$tool" $(options "$tool") -
    evil=$(printf 'a\033[2Jb')
    fails 66 'a\\x1B\[2Jb' "$tool sends no escape sequences of a file's name" \
        "$tool" $(options "$tool") "$evil"
    words=$(work "$tool")
    cp "${words##* }" ./-x
    ok "$tool reads a file whose name looks like an option" "$tool" $(options "$tool") -- -x

    # --- output -----------------------------------------------------------------------------

    ok "$tool does its work" "$@"
    cp out expected
    [ -s expected ]
    result "$?" "$tool writes something"
    ok "$tool -q does it in silence" "$@" -q
    is "$(wc -c <err)" 0 "$tool -q prints nothing on stderr"
    same out expected "$tool -q writes the same"
    ok "$tool runs in another time zone and locale" env TZ=Asia/Tokyo LC_ALL=C "$@"
    same out expected "$tool writes the same there"
    ok "$tool -z compresses" "$@" -z
    gzip -dc <out >plain
    same plain expected "$tool -z holds the same"

    rm -f target
    ok "$tool -o writes a file" sh -c 'umask 027 && "$@"' sh "$@" -o target
    same target expected "$tool -o writes the same"
    is "$(stat -c %a target)" 640 "$tool -o obeys the umask"
    ok "$tool -o replaces a file" sh -c 'chmod 604 target && "$@"' sh "$@" -o target
    is "$(stat -c %a target)" 604 "$tool -o keeps the permissions"
    rm -f target
    ln -sf target link
    ok "$tool -o follows a dangling link" "$@" -o link
    same target expected "$tool -o fills it"
    [ -L link ]
    result "$?" "$tool -o leaves the link a link"
    cat <fifo >fromfifo &
    ok "$tool -o writes to a FIFO" "$@" -o fifo
    wait
    same fromfifo expected "$tool -o wrote the same there"
    printf 'head ' >appended
    ok "$tool -o /dev/stdout writes to standard output" sh -c '"$@" >>appended' sh "$@" -o /dev/stdout
    { printf 'head ' && cat expected; } >both
    same appended both "... and behind what was there"
    ok "$tool -o succeeds with nothing open" sh -c '"$@" <&- >&- 2>&-' sh "$@" -o target
    same target expected "... and no message gets into the file"

    echo old >target
    status 66 "$tool fails where its input is absent" "$tool" $(options "$tool") -o target absent
    is "$(cat target)" old "$tool leaves the old output then"
    fails 73 "^$tool: nowhere/a: .*No such file" "$tool tells that it can't create its output" \
        "$@" -o nowhere/a
    fails 73 "^$tool: \\.: is a directory" "$tool writes no directory" "$@" -o .
    status 74 "$tool fails at a size limit" sh -c 'ulimit -f 0; "$@" 2>/dev/null' sh "$@" -q -o target
    is "$(cat target)" old "$tool leaves the old output then too"
    is "$(find . -name '.charpipe*')" "" "$tool leaves no temporary file"

    for words in '' --help --version --print-config; do
        for to in '>/dev/full' '>&-'; do
            [ -n "$words" ] || set -- "$tool" $(work "$tool")
            [ -z "$words" ] || set -- "$tool" $words
            fails 74 "^$tool: standard output: can't write" "$tool $words $to fails" \
                sh -c '"$@" '"$to" sh "$@" -q
        done
    done
    set -- "$tool" $(work "$tool")

    # --- terminals --------------------------------------------------------------------------

    on_terminal "$@" && rc=0 || rc=$?
    if writes_binary "$tool"; then
        is "$rc" 64 "$tool writes no binary to a terminal"
        like "$(tr -d '\r\n' <terminal)" '\|.*-o.*-f' "$tool tells the ways out"
        on_terminal "$@" -f && rc=0 || rc=$?
        is "$rc" 0 "$tool -f does it nevertheless"
    else
        is "$rc" 0 "$tool writes text to a terminal"
        on_terminal "$@" -z && rc=0 || rc=$?
        is "$rc" 64 "$tool writes no compressed text to a terminal"
    fi
    on_terminal "$@" --progress -o target && rc=0 || rc=$?
    is "$rc" 0 "$tool runs on a terminal"
    is "$(tr -dc '\033' <terminal | wc -c)" 0 "$tool needs no escape sequences"
done

# A reader that goes away ends the writer, in silence, by SIGPIPE.
"$PYTHON" - <<'END' >sigpipe 2>&1
import os, signal, subprocess
big = "text" * 1000000
open("big", "w").write(big)
for words in (["tokenize", "-t", "big"], ["sample", "-n", "inf", "model"]):
    p = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = os.read(p.stdout.fileno(), 10)
    p.stdout.close()
    err = p.stderr.read()
    print(words[0], len(first) > 0, p.wait() == -signal.SIGPIPE, err.decode().strip())
END
is "$(cat sigpipe)" "tokenize True True 
sample True True " "tokenize and sample die quietly when their reader goes away"

# --- names ---------------------------------------------------------------------------------------

for t in $tools; do
    ln -s "$BIN/$t" "$TMP/charpipe-$t"
    is "$("$TMP/charpipe-$t" --version)" "charpipe-$("$t" --version)" "charpipe-$t: --version says so"
    like "$("$TMP/charpipe-$t" --help)" "^Usage: charpipe-$t " "so does its usage"
    is "$("$TMP/charpipe-$t" --help | tail -n 1)" "man charpipe-$t says more." "and its page's name"
    fails 64 "^charpipe-$t: .*; try 'charpipe-$t --help'\$" "and its messages" \
        "$TMP/charpipe-$t" --nonsense
done
for name in "$(printf 'x\033sample')" other sampler; do
    ln -s "$BIN/sample" "$TMP/$name"
    like "$("$TMP/$name" --version)" "^sample \(" "another name is not taken over"
done

done_testing

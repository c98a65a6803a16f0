#!/bin/sh
# The specifications of streams show programs, what these print, and files byte by byte. All of it is
# repeated here, so that it can't be wrong.
. "$(dirname "$0")/lib.sh"
cd "$ROOT" || exit 1

for page in stream tokens shards; do
    # ```python is the program, ```console its runs: a command after "$ ", and what it printed.
    awk '/^```$/ { on = 0 } on { print } /^```python$/ { on = 1 }' "formats/$page.md" >"$TMP/$page.py"
    awk '/^```$/ { on = 0 } on { print } /^```console$/ { on = 1 }' "formats/$page.md" >"$TMP/expected"
    command=$(sed -n 's/^\$ python3 //p' "$TMP/expected")
    grep -v '^\$ ' "$TMP/expected" >"$TMP/$page.expected"
    # shellcheck disable=SC2086 # words of the page are words here
    (cd "$TMP" && ln -sfn "$ROOT/tests" tests && "$PYTHON" $command) >"$TMP/$page.out" 2>&1
    same "$TMP/$page.out" "$TMP/$page.expected" \
        "the recipe of $page.md prints what the page says" || sed 's/^/# /' "$TMP/$page.out" >&2

    # A line of a hexdump: eight digits, and up to 16 bytes. The file is the last one named before it.
    "$PYTHON" - "formats/$page.md" >"$TMP/bytes" 2>&1 <<'END'
import re
import sys
name, lines = None, 0
with open(sys.argv[1], encoding="utf-8") as page:
    for text in page:
        named = re.search(r"`tests/golden/streams/([\w-]+\.\w+)`", text)
        name = named[1] if named else name
        dump = re.match(r"    ([0-9a-f]{8})  ((?:[0-9a-f]{2} +){1,16})\|(.{1,16})\|", text)
        if dump:
            with open("tests/golden/streams/" + name, "rb") as f:
                f.seek(int(dump[1], 16))
                data = f.read(16)
            letters = "".join(chr(b) if 32 <= b < 127 else "." for b in data)
            if bytes.fromhex(dump[2]) != data or dump[3] != letters:
                sys.exit(f"{name}: {text}")
            lines += 1
print(lines)
END
    ok "$page.md shows the bytes of its golden file" test "$(cat "$TMP/bytes")" -gt 3
done

# Every golden file stands on a page, and every file that a page names is there.
cat formats/stream.md formats/tokens.md formats/shards.md >"$TMP/pages"
missing=
for file in tests/golden/streams/*.tokens tests/golden/streams/*.shards; do
    name=${file##*/}
    case $name in cut-*) name="cut-*.${name##*.}" ;; esac
    grep -qF "$name" "$TMP/pages" || missing="$missing $name"
done
is "$missing" '' 'every golden file stands on a page'
missing=
for name in $(grep -o '`[a-z0-9-]*\.\(tokens\|shards\)`' "$TMP/pages" | tr -d '`' | sort -u); do
    [ -f "tests/golden/streams/$name" ] || missing="$missing $name"
done
is "$missing" '' 'every golden file that a page names is there'

# The script that made them is the witness that the pages suffice: it still makes the same.
mkdir "$TMP/again" && cp tests/golden/streams/make.py "$TMP/again"
ok 'the script makes the golden files' "$PYTHON" "$TMP/again/make.py"
rm "$TMP/again/make.py"
ok 'the golden files are those that the script makes' \
    diff -r -x make.py -x .gitignore "$TMP/again" tests/golden/streams

# The example of config.md, read by each program that it has options for.
awk '/^```$/ { on = 0 } on { print } /^```yaml$/ { on = 1 }' formats/config.md >"$TMP/recipe.yaml"
for tool in tokenize batchify train sample; do
    ok "$tool takes the example of config.md" "$tool" -c "$TMP/recipe.yaml" --print-config
    like "$(cat "$TMP/out")" '# configuration file' '... and says what it took from there'
    cp "$TMP/out" "$TMP/printed.yaml"
    ok "$tool takes its own --print-config for a configuration" \
        "$tool" -c "$TMP/printed.yaml" --print-config
    is "$(sed 's/ *#.*//' "$TMP/out")" "$(sed 's/ *#.*//' "$TMP/printed.yaml")" \
        '... which says the same again'
done

done_testing

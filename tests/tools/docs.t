#!/bin/sh
# Every command that README.md, the man pages and the examples' pages show is run, and prints what
# they show. tests/documents.py says how; `make documents` writes into them what is printed.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL CONFIG TEXT
[ -n "$ANNA" ] || skip_all "no anna.txt (set CHARPIPE_ANNA)"
sanitized && skip_all "a build with sanitizers is too slow to train a network"

# What a command that shows no output gets in the place of hours of training.
mkdir "$TMP/small" "$TMP/programs" "$TMP/pages"
cat >"$TMP/small/train" <<'END'
#!/bin/sh
exec "$BIN/train" "$@" --hidden 8 --steps 3
END
# The other machine of an example is this one.
printf '#!/bin/sh\nshift\nexec "$@"\n' >"$TMP/programs/ssh"
chmod +x "$TMP"/small/train "$TMP"/programs/ssh
PATH=$TMP/programs:$PATH
SMALL=$TMP/small
SMALL_ENV="TRAIN_FLAGS=--hidden 8 --steps 3
SAMPLE_FLAGS=-n 50"

cd "$TMP/pages" || exit 1
cp "$ANNA" anna.txt
head -c 400000 anna.txt >novel.txt
head -n 20 anna.txt >chapter.txt
tokenize -q -u novel.txt | batchify -q -n 4 -m 16 >novel.shards
ROUNDING=$(train -v -H 8 --steps 1 -o /dev/null novel.shards 2>&1)
VAR_LOG=$TMP/logs
TEXT=$ANNA
PKG_CONFIG_PATH=$TMP/installed/lib/pkgconfig
export SMALL SMALL_ENV ROUNDING VAR_LOG TEXT PKG_CONFIG_PATH

# documents FOLDER DOCUMENT...: TAP of their commands, numbered on.
documents() {
    "$PYTHON" "$ROOT/tests/documents.py" ${UPDATE:+"$UPDATE"} "$@" >"$TMP/tap"
    grep -Ev '^1\.\.' "$TMP/tap" | awk -v n="$tests_run" \
        '/^(not )?ok / { n++; sub(/ok [0-9]+/, "ok " n) } { print }'
    tests_run=$((tests_run + $(grep -Ec '^(not )?ok ' "$TMP/tap")))
    tests_failed=$((tests_failed + $(grep -c '^not ok ' "$TMP/tap")))
}

# One after another: later pages use what train(1) makes.
for tool in $tools; do
    documents . "$ROOT/tools/$tool/$tool.1"
done
documents . "$ROOT/tools/charpipe.7"

# The examples, and the sources that some of them learn from.
mkdir "$TMP/tree"
(cd "$ROOT" && tar -cf - --exclude='[0-9a-z]*.t' *.md formats lib tools examples) |
    tar -xf - -C "$TMP/tree"
cd "$TMP/tree" || exit 1
for example in examples/*/; do
    make -s -C "$example" clean
    mkdir -p "$example/path"
    cp "$TMP/pages/novel.txt" "$example/path/text.txt"
    cp "$ANNA" "$example/path/anna.txt"
    ln -s text.txt "$example/path/book.txt"
    tr -cs 'A-Za-z' '\n' <"$TMP/pages/novel.txt" | sort -u >"$example/path/towns.txt"
done
mkdir "$VAR_LOG"
for name in syslog syslog.1; do
    awk -v seed=3 -v lines=500 -f examples/logs/generate.awk >"$VAR_LOG/$name"
done
# What a notebook would have left, and an installed library.
cp "$TMP/pages/novel.shards" examples/pytorch/anna.shards
train -q -H 8 --steps 1 -o examples/pytorch/rnn_20_epoch.model "$TMP/pages/novel.shards"
make --no-print-directory -C "$ROOT" B="${B:-$ROOT/build}" bin="$BIN" PREFIX="$TMP/installed" \
    install >/dev/null
for page in "$ROOT"/examples/*/README.md; do
    case $page in
    */pytorch/*) "$PYTHON" -c 'import torch, safetensors' 2>/dev/null || {
        skip "examples/pytorch/README.md" "no PyTorch for $PYTHON"
        continue
    } ;;
    esac
    case $page in */embed/*) TEXT= ;; *) TEXT=$ANNA ;; esac
    documents "examples/$(basename "$(dirname "$page")")" "$page"
done

# README.md itself; what it builds and installs is install.t's and examples.t's.
cp "$ANNA" anna.txt
documents . "$ROOT/README.md"

done_testing

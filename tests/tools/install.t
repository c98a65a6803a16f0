#!/bin/sh
# What `make install` puts where, that it works from there under any prefix, that `make uninstall`
# removes exactly that, and that file(1) and pkg-config know what it is.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL
build=${B:-$ROOT/build}

# make_in ARGUMENT...: make in the project, with the build that is tested.
make_in() {
    make --no-print-directory -C "$ROOT" B="$build" bin="$BIN" SANITIZE="$SANITIZE" "$@"
}
cat "$ROOT"/lib/nn/*.h >"$TMP/text"

# --- where everything goes -----------------------------------------------------------------------

cd "$TMP" || exit 1
mkdir -p tree/usr/share/charpipe tree/usr/lib
touch tree/usr/share/charpipe/other tree/usr/lib/other
find tree ! -type d | sort >before
ok "make install with DESTDIR and PREFIX" make_in install DESTDIR="$TMP/tree" PREFIX=/usr
find tree -type f | sort >after
missing=
for tool in $tools; do
    for file in bin/$tool share/man/man1/$tool.1 share/bash-completion/completions/$tool \
        share/zsh/site-functions/_$tool; do
        [ -s tree/usr/$file ] || missing="$missing $file"
    done
    [ -x tree/usr/bin/$tool ] || missing="$missing x:$tool"
done
for file in man/man3/charpipe.3 man/man3/charpipe_model.3 man/man3/charpipe_state.3 \
    man/man3/charpipe_data.3 man/man3/charpipe_trainer.3 man/man5/charpipe-shards.5 man/man5/charpipe-tokens.5 man/man5/charpipe-model.5 \
    man/man5/charpipe-stream.5 man/man5/charpipe-config.5 man/man7/charpipe.7 \
    charpipe/charpipe.mk charpipe/plot.gp charpipe/magic charpipe/recipes/fast.yaml \
    charpipe/recipes/best.yaml; do
    [ -s tree/usr/share/$file ] || missing="$missing $file"
done
is "$missing" "" "puts programs, pages, completions, rules and magic into their places"
is "$(find tree -type f ! -path '*/bin/*' -perm /111 | wc -l)" 0 "nothing but programs can be run"
# The programs are named so that others can't be meant.
for tool in $tools; do
    is "$(tree/usr/bin/$tool --version)" "$("$BIN/$tool" --version)" "an installed $tool runs"
done
like "$(tree/usr/bin/batchify -c fast --print-config)" "rows: 16 # configuration file" \
    "installed programs find the recipes that came with them"

# --- for a Makefile of one's own -----------------------------------------------------------------

mkdir own
cp text own/novel.txt
printf 'all: novel.sample novel.loss\ninclude charpipe.mk\n' >own/Makefile
cat >own/recipe.yaml <<'END'
batchify: {rows: 4, window: 16}
train: {hidden: 8, layers: 1, steps: 3}
sample: {length: 30, seed: 1}
END
PATH=$TMP/tree/usr/bin:$PATH ok "a Makefile includes charpipe.mk from the include folder" \
    make -C own -I "$TMP/tree/usr/include"
is "$(wc -c <own/novel.sample)" 30 "and goes from a text to a sample"
if command -v gnuplot >/dev/null; then
    make -C own -s -I "$TMP/tree/usr/include" plot >plot 2>&1
    like "$(cat plot)" "novel.log" "and plots"
else
    skip "and plots" "no gnuplot"
fi

# --- for a program of one's own ------------------------------------------------------------------

PKG_CONFIG_PATH=$TMP/tree/usr/lib/pkgconfig
export PKG_CONFIG_PATH
lib=$TMP/tree/usr/lib
is "$(readlink "$lib/libcharpipe.so") $(readlink "$lib/libcharpipe.so.0")" \
    "libcharpipe.so.0 libcharpipe.so.$(sed -n 's/^VERSION *= *//p' "$ROOT/Makefile")" \
    "the shared library has its links"
# What charpipe.h declares, and nothing else, is what either library shows.
sed -E '/^ *[/ ]\*/d' tree/usr/include/charpipe.h | tr -d '\n' |
    grep -Eo 'charpipe_[a-z_]+\(' | tr -d '(' | sort -u >declared
[ "$(wc -l <declared)" -ge 25 ]
result "$?" "charpipe.h declares functions"
nm -g --defined-only "$lib/libcharpipe.a" | awk 'NF == 3 { print $3 }' | sort >static
nm -D --defined-only "$lib/libcharpipe.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    sort >shared
if sanitized; then
    skip "examples/embed compiles against what is installed" "the library has sanitizers in it"
else
    same static declared "the archive has no other names"
    same shared declared "nor has the shared library"
    like "$(objdump -p "$lib/libcharpipe.so")" 'SONAME +libcharpipe\.so\.0$' "which has a soname"
    cp -r "$ROOT/examples/embed" embed
    PATH=$TMP/tree/usr/bin:$PATH ok "examples/embed compiles against what is installed" \
        make -B -C embed CFLAGS='-O1 -Wall -Wextra -Werror' TEXT="$TMP/text"
    is "$(tokenize -t embed/text.sample | wc -l)" 500 "trains and writes"
    is "$(wc -l <embed/text.scores)" 3 "and scores"
    inspect embed/text.model >out
    like "$(cat out)" "^hidden: 128$" "and its model is a model like others"
    # The numbers are the programs'.
    tokenize -q text | batchify -q -n 32 -m 64 >text.shards
    batches=$(inspect text.shards | sed -n 's/^batches: {train: \([0-9]*\).*/\1/p')
    train -q -H 128 -L 1 -d 0 -r 0.003 --steps $((10 * batches)) --keep last -o same.model text.shards
    sample -s 1 -k 5 -n 500 same.model >same.sample
    same embed/text.sample same.sample "train and sample come to the same text"
    head -n 1 text >line
    evalloss -l same.model line | sed -n '2s/\t.*//p' >bits
    cut -f 1 embed/text.scores | head -n 1 |
        awk -v bits="$(cat bits)" '{ d = $1 / log(2) - bits; exit !(d * d < 1e-6) }'
    result "$?" "and evalloss to the same score" || diag "$(head -n 1 embed/text.scores) $(cat bits)"
    LD_LIBRARY_PATH=$lib "$PYTHON" embed/write.py embed/text.model 300 >python.sample 2>err
    sample -s 1 -n 300 embed/text.model >same.sample
    same python.sample same.sample "and Python writes what sample does" || diag "$(cat err)"
    ldd embed/write | grep -q 'libcharpipe\.so\.0'
    result "$?" "programs load the shared library"
    cp embed/text.sample before.sample
    ok "or have the archive in them" make -B -C embed STATIC=--static learn write score
    ldd embed/write | grep -q 'libcharpipe'
    is "$?" 1 "and then load none"
    embed/write embed/text.model 500 >static.sample
    same static.sample before.sample "and write the same"
    embed/write no/such/model 5 2>err
    is "$? $(cat err)" "66 write: no/such/model: can't open: No such file or directory" \
        "a failure is told, and ends nothing"
    # The man page's example, and C++.
    command -v mandoc >/dev/null && mandoc -Tascii -O width=200 tree/usr/share/man/man3/charpipe.3 2>/dev/null | sed "s/.$(printf '\b')//g" |
        sed -n '/^ *#include <stdio/,/^ *}$/p' >page.c
    sed -i '1i #include <charpipe.h>' page.c
    # shellcheck disable=SC2046 # flags are words
    ok "the man page's example compiles" cc -Wall -Wextra -Werror -o page page.c \
        $(pkg-config --cflags --libs charpipe) -Wl,-rpath,"$lib"
    cp embed/text.model anna.model
    is "$(./page | head -c 10)" "$(sample -s 1 -n 30 anna.model | head -c 10)" "and does what it says"
    printf '%s\n' '#include <charpipe.h>' 'int main() {' \
        'charpipe_sampling sampling = CHARPIPE_SAMPLING; charpipe_network network = CHARPIPE_NETWORK;' \
        'charpipe_batching batching = CHARPIPE_BATCHING; charpipe_training training = CHARPIPE_TRAINING;' \
        'charpipe_error error; charpipe_data *data = charpipe_data_new("aa", 2, nullptr, &batching, &error);' \
        'return data || !sampling.temperature || !network.size || !training.size || error.status != 65; }' >one.cc
    # shellcheck disable=SC2046
    ok "a C++ program compiles" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -o cxx one.cc \
        $(pkg-config --cflags --libs charpipe) -Wl,-rpath,"$lib"
    ok "and runs" ./cxx
fi
for standard in c99 c11 gnu17; do
    echo '#include <charpipe.h>' >one.c
    # shellcheck disable=SC2046
    ok "charpipe.h is $standard" ${CC:-cc} -std=$standard -fsyntax-only -Wall -Wextra -Wpedantic -Wstrict-prototypes \
        -Werror one.c $(pkg-config --cflags charpipe)
done
is "$(pkg-config --modversion charpipe)" "$(sed -n 's/^VERSION *= *//p' "$ROOT/Makefile")" \
    "pkg-config tells the version"
like "$(pkg-config --static --libs charpipe)" "-lcharpipe .*-ljansson" "and what an archive needs"

# --- file(1) -------------------------------------------------------------------------------------

if command -v file >/dev/null; then
    described() {
        file -b -m tree/usr/share/charpipe/magic "$1"
    }
    is "$(described "$ROOT/tests/golden/streams/hello.tokens")" \
        "charpipe token stream, version 1" "file(1) knows token streams"
    is "$(described "$ROOT/tests/golden/streams/few.shards")" "charpipe shards, version 1" "and shards"
    is "$(described "$ROOT/tests/golden/model/small.safetensors")" \
        "charpipe model, checksum a807ea7f" "and models"
    like "$(described "$ROOT/tests/golden/model/checkpoint.safetensors")" \
        "^charpipe model and checkpoint" "and checkpoints"
    tokenize text | batchify -q -n 4 -m 16 | train -q -H 8 -L 1 --steps 1 >model
    sample -q -n 1 --save-state state model >/dev/null
    like "$(described state)" "^charpipe state of a model, checksum" "and states"
    is "$(described "$ROOT/README.md" | grep -c charpipe)" 0 "and takes nothing else for one"
else
    skip "file(1) knows charpipe's files" "no file"
fi

# --- man pages -----------------------------------------------------------------------------------

# plain PAGE...: as text, without what makes letters bold.
plain() {
    mandoc -Tutf8 "$@" | LC_ALL=C.UTF-8 sed "s/.$(printf '\b')//g" | expand
}
if command -v mandoc >/dev/null; then
    ok "mandoc finds nothing wrong with the pages" \
        sh -c 'mandoc -Tlint -W warning tree/usr/share/man/man[1-9]/*'
    plain tree/usr/share/man/man5/charpipe-shards.5 >page
    like "$(cat page)" "^ *window +T, the steps of a row" "charpipe-shards(5) has the table of its keys"
    is "$(plain tree/usr/share/man/man5/*.5 | grep '](\|\*\*\|```\|^ *|--' | grep -v '^ *|  *[u#s]')" "" \
        "no Markdown is left in the pages"
    like "$(plain tree/usr/share/man/man5/charpipe-tokens.5)" \
        '^TOKN|TOKN. frames|charpipe-stream\(5\)' "and they refer to each other"
else
    skip "mandoc finds nothing wrong with the pages" "no mandoc"
fi

# --- removal -------------------------------------------------------------------------------------

ok "make uninstall" make_in uninstall DESTDIR="$TMP/tree" PREFIX=/usr
find tree ! -type d | sort >left
same left before "removes all that was installed and nothing else"
is "$(find tree -name '*charpipe*')" tree/usr/share/charpipe \
    "folders of charpipe's own too, unless something else is there"

# --- a prefix for the programs -------------------------------------------------------------------

ok "make install with a PROGRAM_PREFIX" \
    make_in install DESTDIR="$TMP/named" PROGRAM_PREFIX=charpipe-
is "$(ls named/usr/local/bin | paste -s -d ' ' -)" \
    "$(printf 'charpipe-%s\n' $tools | sort | paste -s -d ' ' -)" "names the programs"
like "$(cat named/usr/local/share/man/man1/charpipe-batchify.1)" '^\.BR charpipe-tokenize \(1\)$' \
    "their pages and what these refer to"
is "$(grep -c '^complete .* charpipe-train$' named/usr/local/share/bash-completion/completions/charpipe-train)" 1 \
    "their completions"
rm -rf own/novel.[!t]* own/.charpipe
PATH=$TMP/named/usr/local/bin:/usr/bin:/bin ok "and what the rules for make call" \
    make -C own -I "$TMP/named/usr/local/include"
ok "uninstall with it" make_in uninstall DESTDIR="$TMP/named" PROGRAM_PREFIX=charpipe-
is "$(find named ! -type d)" "" "leaves nothing"

# --- a Debian package ----------------------------------------------------------------------------

if sanitized || ! command -v dpkg-shlibdeps >/dev/null; then
    skip "make deb builds a package" "no dpkg-dev, or a build with sanitizers"
else
    package=$build/charpipe_$(sed -n 's/^VERSION *= *//p' "$ROOT/Makefile")-1_$(dpkg --print-architecture).deb
    SOURCE_DATE_EPOCH=1000000000 DEBFULLNAME=Someone DEBEMAIL=someone@example.org \
        ok "make deb builds a package" make_in deb
    dpkg-deb -x "$package" unpacked
    is "$(unpacked/usr/bin/tokenize --version)" "$(tokenize --version)" "of programs that run"
    (cd unpacked && md5sum -c --quiet) <<END
$(dpkg-deb --ctrl-tarfile "$package" | tar -xO ./md5sums)
END
    result "$?" "of the files that it lists"
    same unpacked/usr/share/doc/charpipe/README.md "$ROOT/README.md" "with the README"
    (cd "$ROOT" && git ls-files examples) >tracked 2>/dev/null &&
        is "$(cd unpacked/usr/share/doc/charpipe && find examples -type f | sort)" "$(sort tracked)" \
            "and all of the examples"
    cp -r unpacked/usr/share/doc/charpipe/examples copied
    ok "which work where they are copied to" env PATH="$PWD/unpacked/usr/bin:/usr/bin:/bin" \
        make -C copied/anna TEXT="$TMP/text" BATCHIFY_FLAGS='-n 2 -m 8' \
        TRAIN_FLAGS='-H 4 -L 1 --steps 1' SAMPLE_FLAGS='-n 10 -p a'
    like "$(dpkg-deb -f "$package" Depends)" "libopenblas0.*libyaml" "that needs the libraries"
    like "$(dpkg-deb --ctrl-tarfile "$package" | tar -xO ./shlibs)" "^libcharpipe 0 charpipe" \
        "and is one for others"
    cp "$package" again.deb
    SOURCE_DATE_EPOCH=1000000000 DEBFULLNAME=Someone DEBEMAIL=someone@example.org \
        make_in deb >/dev/null 2>&1
    same again.deb "$package" "built twice, it has the same bytes"
    if command -v lintian >/dev/null; then
        is "$(lintian --allow-root "$package" 2>/dev/null)" "" "and lintian finds nothing wrong"
    else
        skip "and lintian finds nothing wrong" "no lintian"
    fi
fi

done_testing

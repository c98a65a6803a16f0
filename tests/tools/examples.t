#!/bin/sh
# The pattern rules of examples/charpipe.mk make what is asked for and no more; the examples' own
# scripts tell the truth. What their pages show is run by docs.t.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
unset MAKEFLAGS MFLAGS MAKELEVEL CONFIG TEXT

# A text that is always at hand.
cat "$ROOT"/lib/nn/*.h "$ROOT"/lib/base/*.h >"$TMP/text"

# --- charpipe.mk ---------------------------------------------------------------------------------

mkdir "$TMP/rules" && cd "$TMP/rules" || exit 1
head -c 3000 "$TMP/text" >a.txt
cat >Makefile <<EOF
all: a.sample a.loss
include $ROOT/examples/charpipe.mk
half.txt:
	echo half >\$@; false
EOF
cat >recipe.yaml <<'EOF'
tokenize:
    bytes: false
batchify:
    rows: 4
    window: 8
train:
    hidden: 8
    seed: 1
    steps: 40
sample:
    length: 20
EOF

# made [ARGUMENT...]: runs make and prints the programs that it ran.
made() {
    make --no-print-directory "$@" 2>"$TMP/err" |
        sed -n 's/^\([a-z]*\) .*/\1/p' | grep -v '^make' | tr '\n' ' '
}
# recipe KEY VALUE: changes a line of the recipe.
recipe() {
    sed "s/ $1: .*/ $1: $2/" recipe.yaml >new && mv new recipe.yaml
}

is "$(made)" "tokenize batchify train sample evalloss " "make runs the whole pipe"
is "$(wc -c <a.sample)" 20 "to a sample"
like "$(cat a.loss)" "^a.shards	validation	" "and a loss"
is "$(head -n 1 a.log | cut -f 1-2)" "epoch	step" "and a log"
is "$(made)" "" "nothing is made again where nothing changed"
is "$(made TRAIN_FLAGS='-j 1 -q' SAMPLE_FLAGS=-v)" "" \
    "nor for options that don't shape the result"
recipe length 10
is "$(made)" "sample " "an option of sample in the recipe makes a sample"
is "$(wc -c <a.sample)" 10 "as the recipe says"
is "$(made SAMPLE_FLAGS='-n 5')" "sample " "so does one on make's command line"
is "$(wc -c <a.sample)" 5 "which wins over the recipe"
is "$(made)" "sample " "and taking it back"
recipe steps 41
make a.model >"$TMP/out" 2>&1
like "$(cat "$TMP/out")" "--resume a.checkpoint" "a run with more steps goes on from the shorter one"
train -q -c recipe.yaml -o straight a.shards
same a.model straight "to the same model as at one go"
is "$(made)" "sample evalloss " "and what depends on it is made"
recipe steps 39
make a.model >"$TMP/out" 2>&1
like "$(cat "$TMP/out")" "--checkpoint a.checkpoint" "a run with fewer steps begins anew"
recipe seed 2
is "$(made)" "train sample evalloss " "an option that shapes the run makes a model too"
like "$(inspect a.checkpoint)" '"?seed"?: 2' "from the start"
recipe steps 41
recipe rows 5
is "$(made)" "batchify train sample evalloss " "one of batchify makes shards too"
recipe bytes true
is "$(made)" "tokenize batchify train sample evalloss " "one of tokenize makes everything"
sleep 0.01
touch a.txt
is "$(made)" "tokenize batchify train sample evalloss " "so does another text"
is "$(made)" "" "once"

# Interrupted: what train has left after 10 steps of the 41.
cp a.model undisturbed.model
rm a.model a.checkpoint
train -q -c recipe.yaml --steps 10 -l a.log --checkpoint a.checkpoint -o /dev/null a.shards
make a.model >"$TMP/out" 2>&1
like "$(cat "$TMP/out")" "--resume a.checkpoint" "an interrupted run is resumed"
same a.model undisturbed.model "and ends with the same model"
is "$(tail -n +2 a.log | wc -l)" 41 "and a whole log"
recipe hidden 9
make a.model >"$TMP/out" 2>&1
like "$(cat "$TMP/out")" "--checkpoint a.checkpoint" "another run begins anew"

rm a.model
make a.model TRAIN_FLAGS='--steps 1000000 --print-every 1' >/dev/null 2>"$TMP/err" &
pid=$!
while kill -0 $pid 2>/dev/null && ! grep -q 'Step: ' "$TMP/err"; do sleep 0.05; done
kill -TERM $pid
wait $pid 2>/dev/null
is "$(ls a.model 2>/dev/null)" "" "a model whose training was stopped is not taken for a whole one"
status 2 "a target whose command fails" make half.txt
is "$(ls half.txt 2>/dev/null)" "" "is deleted"

cp a.txt b.txt
is "$(made b.loss)" "tokenize batchify train evalloss " "another text is made by the same rules"
is "$(made CONFIG= BATCHIFY_FLAGS='-n 2 -m 9' TRAIN_FLAGS='-H 8 --steps 3')" \
    "tokenize batchify train sample evalloss " "a recipe is not needed"

is "$(find . -name '*.lock')" "" "no lock is left behind"
mkdir clean
cp ./*.* Makefile clean
touch clean/a.checkpoint.000005
make -s -C clean KEEP=a.log clean >/dev/null
is "$(ls clean | tr '\n' ' ')" "Makefile a.log a.txt b.txt recipe.yaml " \
    "make clean removes what was made"

if command -v gnuplot >/dev/null; then
    made a.loss >/dev/null
    like "$(make -s plot LOGS='a.log b.log')" "b.log validation" \
        "make plot draws logs in the terminal"
    like "$(make -s plot LOGS='a.log b.log' OVER=minutes)" "minutes" "over the minutes, if that is wanted"
    make -s a.png a.svg >/dev/null 2>&1
    like "$(head -c 8 a.png | od -c)" "P   N   G" "and as PNG"
    like "$(cat a.svg)" "a.log validation" "and as SVG"
    cp b.txt c.txt
    make -s c.png >/dev/null 2>&1
    is "$(ls c.log c.model 2>&1)" "c.log
c.model" "a picture alone keeps the log and the model that it took"
else
    skip "make plot draws logs in the terminal" "no gnuplot"
fi

# --- the examples --------------------------------------------------------------------------------

like "$(PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=/nowhere make -n -C "$ROOT/examples/embed" 2>&1)" \
    "install PREFIX=.*/installed.new" "embed installs the library beside it where there is none"

for recipe in "$ROOT"/examples/*/*.yaml; do
    for tool in tokenize batchify train sample evalloss; do
        $tool -c "$recipe" --print-config >/dev/null 2>>"$TMP/bad" || echo "$recipe" >>"$TMP/bad"
    done
done
is "$(cat "$TMP/bad")" "" "every tool takes every recipe"

mkdir "$TMP/examples" && cd "$TMP/examples" || exit 1
cp "$ROOT"/examples/[a-z]*.* "$ROOT"/examples/fetch .
for example in anna shakespeare nietzsche self; do
    mkdir $example
    find "$ROOT/examples/$example" -name Makefile -o -name '*.yaml' | while read -r file; do
        cp "$file" $example
    done
    # A small text and a small network in the place of the example's own.
    ok "examples/$example goes from a text to a sample" make -C $example \
        TEXT="$TMP/text" sources="$TMP/text" BATCHIFY_FLAGS='-n 4 -m 20' \
        TRAIN_FLAGS='--hidden 8 --steps 3'
    is "$(find $example -name '*.sample' -size +1 | wc -l)" 1 "which $example writes and prints"
done
mkdir recipes
cp "$ROOT"/examples/recipes/Makefile "$ROOT"/examples/recipes/*.yaml recipes
ok "examples/recipes makes a model of any text" make -C recipes TEXT="$TMP/text" \
    BATCHIFY_FLAGS='-n 4 -m 20' TRAIN_FLAGS='--hidden 8 --steps 3'
is "$(find recipes -name 'text-fast.sample' -size +1 | wc -l)" 1 "and tells the recipe in its name"
ok "with the other recipe too" make -C recipes TEXT="$TMP/text" RECIPE=best \
    BATCHIFY_FLAGS='-n 4 -m 20' TRAIN_FLAGS='--hidden 8 --steps 3'
for example in anna shakespeare nietzsche; do
    make -s -C $example ids windows network TEXT="$TMP/text" \
        BATCHIFY_FLAGS='-n 4 -m 20' >out 2>&1
    like "$(cat out)" "^([0-9]+ )+" "$example shows ids"
    like "$(cat out)" "^y +0 " "and inputs and targets"
    like "$(cat out)" "parameters$" "and the network"
done
like "$(make -s -C nietzsche epochs TEXT="$TMP/text" BATCHIFY_FLAGS='-n 4 -m 20' \
    TRAIN_FLAGS='--hidden 8 --steps 3')" "^Epoch  1  Loss: 4\.[0-9]{5}  Time: " \
    "nietzsche tells each epoch's mean loss"

# Those that need no text but the project's own; small ones in their place.
printf 'a line of prose %s\n' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 >"$TMP/prose.md"
printf '\tfree(array_of_numbers[%s]);\n' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 >"$TMP/code.c"
printf '%s\n' anna berta carla doris emma frida greta hanna ida julia kora lena mona nora olga >"$TMP/names"
for example in logs language names pytorch; do
    mkdir $example
    for file in "$ROOT/examples/$example"/*; do
        case $file in *Makefile | *.awk | *.yaml | *.py) cp "$file" $example ;; esac
    done
done
small='-n 4 -m 5'
ok "examples/logs finds the lines that don't belong" make -C logs TRAIN_FLAGS='--steps 100' \
    BATCHIFY_FLAGS='-n 32 -m 32'
is "$(tail -n 8 "$TMP/out" | head -n 3 | grep -Ec 'kernel|sudo|httpd')" 3 "the oddest first"
ok "examples/logs reads other logs" make -C logs -B LOG="$TMP/text" \
    TODAY="$TMP/prose.md" CUT=cat TRAIN_FLAGS='--hidden 8 --steps 3'
ok "examples/language tells lines of two languages apart" make -s -C language prose="$TMP/prose.md" \
    code="$TMP/code.c" BATCHIFY_FLAGS="$small" TRAIN_FLAGS='--hidden 16 --steps 60 -d 0'
is "$(tail -n 2 "$TMP/out")" "$(printf 'C: 2 of 2 right\nEnglish: 2 of 2 right')" "and counts how often"
ok "examples/names draws from any list" make -C names NAMES="$TMP/names" \
    BATCHIFY_FLAGS="$small" TRAIN_FLAGS='--hidden 8 --steps 20'
sed '1,/^sample/d' "$TMP/out" | grep -v '^make' | tr ' ' '\n' >new
ok "new words only" sh -c 'test -s new && ! grep -qxFf "$TMP/names" new'
is "$(sort names/words.txt | cksum) $(sort -c names/words.txt 2>/dev/null || echo shuffled)" \
    "$(cksum <"$TMP/names") shuffled" "of all its words, in an order that means nothing"
ok "examples/pytorch is Python (make check-torch runs it)" sh -c '
    cd pytorch && "$PYTHON" -c "
import sys
for name in sys.argv[1:]:
    compile(open(name).read(), name, \"exec\")" *.py'

# The grid is a row of two: a run each.
mkdir sweep
cp "$ROOT"/examples/sweep/* sweep 2>/dev/null
printf 'hidden: [4]\nlr: [0.01, 0.1] # two\n' >sweep/grid
small() {
    make --no-print-directory -C sweep TEXT="$TMP/text" BATCHIFY_FLAGS='-n 4 -m 20' TRAIN_FLAGS='--steps 3' "$@" 2>&1
}
small >out
is "$(grep -c '^train -c' out) $(tail -n 3 out | cut -f 4 | sort | tr '\n' ' ')" \
    "2 hidden-4_lr-0.01 hidden-4_lr-0.1 run " "examples/sweep makes a run of each combination"
tail -n 2 out | cut -f 1 >ranking
sort -n ranking >expected
same ranking expected "and ranks them"
like "$(cat sweep/runs/hidden-4_lr-0.1.yaml)" '^  lr: 0\.1$' "each run has its own recipe"
small >out
is "$(grep -c '^train -c' out)" 0 "nothing is trained twice"
printf 'hidden: [4, 5]\nlr: [0.01, 0.1]\n' >sweep/grid
small >out
is "$(grep -c '^train -c' out) $(small -s table | wc -l)" "2 5" "of a larger grid, what is new is trained"
if command -v gnuplot >/dev/null; then
    small -s plot >out
    like "$(cat out)" "validation" "and make plot draws"
    small -s sweep.svg >out
    like "$(cat sweep/sweep.svg)" "hidden-.*validation" "into files too"
fi

# SLURM's commands are stand-ins: srun runs one rank, and ends as it is told to.
mkdir cluster slurm
cp "$ROOT"/examples/cluster/[!R]* cluster
cat >slurm/srun <<'EOF'
#!/bin/sh
while case $1 in --*) ;; *) false ;; esac do shift; done
"$@" && exit "$END"
EOF
printf '#!/bin/sh\necho "$@" >requeued\n' >slurm/scontrol
chmod +x slurm/*
tokenize -q "$TMP/text" | batchify -q -n 4 -m 20 >slurm/a.shards
job() {
    (cd slurm && SLURM_JOB_ID=7 END=$1 PATH=$PWD:$PATH && export SLURM_JOB_ID END PATH && shift &&
        sh ../cluster/train.slurm a.shards a.model -q "$@")
}
status 64 "examples/cluster has a job that wants shards and a model" sh cluster/train.slurm a.shards
status 143 "told to stop" job 143 -H 8 --steps 5
is "$(cat slurm/requeued)" "requeue 7" "it queues up again"
ok "and goes on" job 0 --steps 10
train -q -H 8 --steps 10 -o straight slurm/a.shards
same slurm/a.model straight "to the same model as at one go"
cost() {
    awk -v symbols=4 -v hidden=8 -v layers=1 -v window=1 -v rows=64 -v latency=0 "$@" \
        -f cluster/cost.awk | cut -f 4- | sed 1d
}
is "$(cost -v block=3 -v once=1 -v mbit=1e9 -v ranks='1 2 3')" "1	7.0000	0.0000	1.00
2	4.0000	0.0000	1.75
3	-	-	-" "cost.awk counts what ranks share and what they don't"
is "$(cost -v block=1e-9 -v once=1e-9 -v mbit=1 -v ranks=2 | cut -f 3)" \
    "$(awk 'BEGIN { printf "%.4f", (484 + 128) * 32 / 1e6 }')" "and 484 parameters and 128 ids"
if command -v gnuplot >/dev/null; then
    ok "make draws it" make -s -C cluster
    like "$(cat cluster/cost.svg)" "32-core nodes, 100 Gbit/s" "for three networks"
fi

cd "$TMP" || exit 1
cp "$ROOT/examples/fetch" .
sum=$(sha256sum text | cut -d ' ' -f 1)
if command -v curl >/dev/null; then
    ok "fetch takes a file with the right checksum" ./fetch got "file://$TMP/text" sha256 "$sum"
    same got text "as it is"
    rm -f got
    fails 1 "SHA-256 123 expected, $sum found" "and no other" \
        ./fetch got "file://$TMP/text" sha256 123
    is "$(ls got* 2>/dev/null)" "" "of which nothing is left"
    status 1 "a file that isn't there is an error" ./fetch got "file://$TMP/none" sha256 123
    like "$(cat "$TMP/err")" "TEXT=path" "which tells the way out"
else
    skip "fetch takes a file with the right checksum" "no curl"
fi

done_testing

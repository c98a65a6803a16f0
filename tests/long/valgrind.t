#!/bin/sh
# The programs under valgrind: no invalid access, no use of what was never set, no leak; on a run, a
# resumed run, what is done with a model, and on files that are refused.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/../tools/lib.sh"

command -v valgrind >/dev/null || skip_all "no valgrind here (./bootstrap installs it)"
sanitized && skip_all "a build with sanitizers"
# valgrind knows no AVX-512: OpenBLAS and charpipe ask the processor that it shows.
grind() {
    valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,possible \
        --errors-for-leak-kinds=definite "$@"
}
cd "$TMP" || exit 1
seq 1 60 | sed 's/$/ is a number/' >text
ok "tokenize" grind "$BIN/tokenize" -u -o tokens text
ok "tokenize of a pipe" sh -c 'cat text | valgrind -q --error-exitcode=99 --leak-check=full "$BIN/tokenize" >piped'
ok "tokenize --vocab" grind "$BIN/tokenize" --vocab tokens -o again text
ok "tokenize --bytes --gzip" grind "$BIN/tokenize" -b -z -o bytes.gz text
ok "tokenize --decode" grind "$BIN/tokenize" -d tokens
ok "batchify" grind "$BIN/batchify" -q -n 2 -m 8 -x 0.2 -o shards tokens
ok "batchify of compressed bytes" grind "$BIN/batchify" -q -z -n 2 -m 8 --targets next -o shards.gz bytes.gz
ok "train" grind "$BIN/train" -q -j 1 -H 8 -L 2 --steps 3 --checkpoint run -l log -o model shards
ok "train --resume" grind "$BIN/train" -q -j 1 --resume run --steps 5 -l log -o model shards
ok "train -j 2" grind "$BIN/train" -q -j 2 -H 8 -L 1 --steps 2 -o other shards
ok "sample" grind "$BIN/sample" -j 1 -s 1 -n 20 model
ok "sample -N" grind "$BIN/sample" -j 1 -s 1 -n 20 -N 3 model
ok "sample --top-p --min-p --logprob" grind "$BIN/sample" -j 1 -s 1 -n 9 -N 2 --top-p 0.9 --min-p 0.01 --logprob model
ok "sample --save-state" grind "$BIN/sample" -j 1 -n 0 -p '12 is' --no-prime --save-state state model
ok "sample --state" grind "$BIN/sample" -j 1 -s 1 -n 20 --state state model
ok "sample --interactive" sh -c 'echo "12 is" | valgrind -q --error-exitcode=99 --leak-check=full "$BIN/sample" -i -j 1 -s 1 -n 9 model'
ok "evalloss of shards" grind "$BIN/evalloss" -j 1 model shards
ok "evalloss of text" grind "$BIN/evalloss" -j 1 model text
ok "evalloss --lines" grind "$BIN/evalloss" -j 1 --lines model text
ok "evalloss --chars" grind "$BIN/evalloss" -j 1 --chars model text
ok "evalloss --heat" grind "$BIN/evalloss" -j 1 --heat model text
ok "evalloss --html" grind "$BIN/evalloss" -j 1 --html -o page model text
for file in tokens shards model run state; do
    ok "inspect of $file" grind "$BIN/inspect" $file
done
ok "inspect --verify" grind "$BIN/inspect" --verify shards.gz
ok "inspect --tsv" grind "$BIN/inspect" --tsv shards
for file in "$ROOT"/tests/golden/streams/cut-*.tokens "$ROOT"/tests/golden/streams/end-*.tokens; do
    status 65 "tokenize -d of ${file##*/}" grind "$BIN/tokenize" -d "$file"
done
for file in overlap deep-json duplicate-key lone-surrogate truncated nan; do
    status 65 "sample of $file" grind "$BIN/sample" -j 1 "$ROOT/tests/golden/model/invalid/$file"
done
head -c 300 state >cut
status 65 "sample of a state cut short" grind "$BIN/sample" -j 1 --state cut model
status 65 "inspect of a state cut short" grind "$BIN/inspect" cut
done_testing

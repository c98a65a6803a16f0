#!/bin/sh
# The programs under valgrind: no invalid access, no use of what was never set, no leak; on a run, a
# resumed run, and on files that are refused.
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
ok "tokenize --decode" grind "$BIN/tokenize" -d tokens
ok "batchify" grind "$BIN/batchify" -q -n 2 -m 8 -x 0.2 -o shards tokens
ok "train" grind "$BIN/train" -q -j 1 -H 8 -L 2 --steps 3 --checkpoint run -l log -o model shards
ok "train --resume" grind "$BIN/train" -q -j 1 --resume run --steps 5 -l log -o model shards
ok "train -j 2" grind "$BIN/train" -q -j 2 -H 8 -L 1 --steps 2 -o other shards
ok "sample" grind "$BIN/sample" -j 1 -s 1 -n 20 model
ok "sample -N" grind "$BIN/sample" -j 1 -s 1 -n 20 -N 3 model
ok "evalloss of shards" grind "$BIN/evalloss" -j 1 model shards
ok "evalloss of text" grind "$BIN/evalloss" -j 1 model text
ok "evalloss --lines" grind "$BIN/evalloss" -j 1 --lines model text
for file in "$ROOT"/tests/golden/streams/cut-*.tokens "$ROOT"/tests/golden/streams/end-*.tokens; do
    status 65 "tokenize -d of ${file##*/}" grind "$BIN/tokenize" -d "$file"
done
for file in overlap deep-json duplicate-key lone-surrogate truncated nan; do
    status 65 "sample of $file" grind "$BIN/sample" -j 1 "$ROOT/tests/golden/model/invalid/$file"
done
done_testing

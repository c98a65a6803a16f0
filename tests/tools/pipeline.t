#!/bin/sh
# The programs in one pipe: text in, text out, and what is said where one of them is in the wrong
# place. Then what all of the three that compute have in common.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$TMP" || exit 1

seq 1 300 | sed 's/$/ is a number/' >text

# --- the pipe ------------------------------------------------------------------------------------

cat text | tokenize -u | batchify -n 4 -m 10 | train -q -H 16 -r 0.02 -d 0.1 --steps 60 |
    sample -k 5 -s 1 -p 'is' -n 100 >piped
tokenize -u <text >tokens
batchify -n 4 -m 10 tokens >shards
train -q -H 16 -r 0.02 -d 0.1 --steps 60 shards >model
sample -k 5 -s 1 -p 'is' -n 100 model >filed
same piped filed "a pipe and a chain of files give the same text"
is "$(wc -c <piped | tr -d ' ')" 102 "of the length asked for"
for program in "batchify -n 4 -m 10 tokens" "train -q -H 16 -r 0.02 -d 0.1 --steps 60 shards"; do
    case $program in
    batchify*) $program -z | train -q -H 16 -r 0.02 -d 0.1 --steps 60 >again ;;
    train*) $program -z | gzip -dc >again ;;
    esac
    same again model "${program%% *} -z is read by what follows it"
done

# --- a wrong turn --------------------------------------------------------------------------------

# wrong MESSAGE PIPE DESCRIPTION: the last program of the pipe ends with 65 and such a message.
wrong() {
    sh -c "$2" >out 2>err && rc=0 || rc=$?
    [ "$rc" -eq 65 ] && tail -n 1 err | grep -Eq -e "$1"
    result "$?" "$3" || diag "pipe: $2" "status: $rc" "$(cat err)"
}
wrong "^train: .*tokenize" "cat text | train" "train is told where text becomes tokens"
wrong "^train: .*token stream.*batchify" "tokenize text | train" "and where these become shards"
wrong "^sample: .*train" "batchify -n 4 -m 10 tokens | sample" "sample, where shards become a model"
wrong "^batchify: .*shards" "batchify -n 4 -m 10 tokens | batchify" "batchify, that it has run already"
wrong "^train: .*empty|^train: .*end" "tokenize </dev/null | batchify | train" \
    "an empty text ends every stage with 65"
wrong "^batchify: " "printf x | tokenize | batchify" "one character is no batch"
wrong "^train: .*newer|version" "sed '1s/shards 1/shards 2/' shards | train" "a newer version is told"

# --- what is common ------------------------------------------------------------------------------

for program in train sample evalloss; do
    case $program in
    train) operands="-H 4 --steps 1 shards" ;;
    sample) operands=model ;;
    evalloss) operands="model shards" ;;
    esac
    status 0 "$program --help succeeds" "$program" --help
    like "$(cat out)" "^Usage: $program " "and says how it is used"
    status 0 "$program --version succeeds" "$program" --version
    ok "each option of $program --help has its place in the man page" sh -c '
        for o in $(sed -n "s/^ *\(-., \)\{0,1\}--\([a-z-]*\).*/\2/p" "$1"); do
            '"$program"' --options-as man | sed "s/\\\\-/-/g" | grep -q -e "--$o" || exit 1
        done' sh out
    fails 64 "$program" "$program names an unknown option" "$program" --nonsense
    printf '%s:\n  nonsense: 1\n' "$program" >bad.yaml
    # shellcheck disable=SC2086
    fails 78 "bad.yaml.*line 2.*nonsense" "and the line of an unknown key" \
        "$program" -c bad.yaml $operands
    printf '%s: [\n' "$program" >bad.yaml
    # shellcheck disable=SC2086
    fails 78 "bad.yaml" "and where YAML ends" "$program" -c bad.yaml $operands
    # shellcheck disable=SC2086
    fails 66 "absent.yaml" "and a recipe that isn't there" "$program" -c absent.yaml $operands
    # shellcheck disable=SC2086
    status 74 "$program: a closed standard output is an error" sh -c "$program -q $operands >&-"
    # shellcheck disable=SC2086
    status 141 "$program: a reader that has gone ends it by SIGPIPE" "$PYTHON" -c '
import os, subprocess, sys
r, w = os.pipe()
os.close(r)
rc = subprocess.call(sys.argv[1:], stdout=w, stderr=subprocess.DEVNULL)
sys.exit(128 - rc if rc < 0 else rc)' $program -q $operands
done
printf 'train:\n  hidden: 8\n  lr: 0.5\n' >recipe.yaml
train -c recipe.yaml -r 0.25 --print-config >out
like "$(cat out)" 'hidden: 8 .*config|hidden: 8 .*recipe' "--print-config tells what the recipe said"
like "$(cat out)" 'lr: 0.25 .*command line' "that the command line won"
like "$(cat out)" 'layers: 2 .*default' "and what is as it always is"
train -q -c recipe.yaml -r 0.25 --print-config >printed.yaml
train -q -c recipe.yaml -r 0.25 --steps 3 -o a shards
train -q -c printed.yaml --steps 3 -o b shards
same a b "and it is a recipe itself"

done_testing

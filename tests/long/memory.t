#!/bin/sh
# Memory doesn't grow with the text: 500 MB through tokenize and batchify stay below 64 MB each.
# shellcheck source=tests/tools/lib.sh disable=SC2016
. "$(dirname "$0")/../tools/lib.sh"

sanitized && skip_all "a build with sanitizers"
free=$(df -Pk "$TMP" | awk 'NR == 2 {print $4}')
[ "$free" -gt 3000000 ] || skip_all "less than 3 GB free in $TMP"

# below_64_MB DESCRIPTION COMMAND: of all programs in a shell command.
below_64_MB() {
    peak=$(peak_memory sh -c "$2") && [ "$peak" -lt 65536 ]
    result $? "$1 ($peak KiB)" || diag "command:  $2" "$(head -c 1000 "$TMP/err")"
}

"$PYTHON" -c '
import random, sys
rng = random.Random(1)
words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, 9))) for _ in range(4000)]
words += ["".join(rng.choices("абвгдежзиклмнопрстуфхцчшщыьэюя", k=rng.randint(1, 9))) for _ in range(1000)]
block = "\n".join(" ".join(rng.choices(words, k=12)) for _ in range(8000)).encode() + b"\n"
for _ in range(500_000_000 // len(block) + 1):
    sys.stdout.buffer.write(block)' >"$TMP/text"
diag "$(wc -c <"$TMP/text") bytes"

below_64_MB "tokenize of a file" 'tokenize -o "$TMP/tokens" "$TMP/text"'
below_64_MB "tokenize of a pipe" 'cat "$TMP/text" | tokenize >"$TMP/piped"'
same "$TMP/tokens" "$TMP/piped" "both write the same"
below_64_MB "tokenize --vocab into batchify" \
    'cat "$TMP/text" | tokenize --vocab "$TMP/tokens" | batchify >"$TMP/shards"'
below_64_MB "batchify of a file" 'batchify "$TMP/tokens" | cmp - "$TMP/shards"'
below_64_MB "tokenize --decode" 'tokenize -d "$TMP/tokens" | cmp - "$TMP/text"'

# One batch of 150 MB takes its own memory and no more than 64 MB beside it.
tokenize -b "$TMP/text" >"$TMP/tokens"
peak=$(peak_memory sh -c 'batchify -q -n 150 -m 1000000 "$TMP/tokens" >"$TMP/shards"')
[ "$peak" -lt "$((65536 + 150000150 / 1024))" ]
result $? "batchify with a batch of 150 MB ($peak KiB)"

done_testing

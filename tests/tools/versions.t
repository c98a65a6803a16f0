#!/bin/sh
# Files live longer than programs: those of version 1 are read for ever, and of one that is newer than
# the program it is said what reads it.
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/lib.sh"

cp "$ROOT"/tests/golden/v1/* "$TMP"
cd "$TMP" || exit 1

# --- version 1 -----------------------------------------------------------------------------------

for kind in tokens shards model checkpoint state; do
    inspect --verify "$kind" >out
    is "$(sed -n 's/^kind: //p; s/^verified: //p' out | tr '\n' ' ')" "$kind true " "$kind of version 1 are read"
done
tokenize -d tokens | cmp -s - text
result $? "the token stream is the text"
for kind in tokens shards model checkpoint; do
    tokenize -u --vocab "$kind" text | cmp -s - tokens
    result $? "and its vocabulary is that of the $kind"
done
is "$(inspect --tsv -n inf -m inf -s validation shards | sed 1d | cut -f 3,5-)" "$(printf \
    'x\t6\t1\t4\t3\t13\nx\t2\t0\t14\t1\t15\ny\t1\t4\t3\t13\t6\ny\t0\t14\t1\t15\t2')" "the windows are what they were"
near=$(evalloss model text | sed -n '2s/.*\t\(2\.844[67]\).*/\1/p')
[ -n "$near" ]
result $? "the model scores the text as it did"
sample -q -s 1 -n 10 -p 'the cat' model >whole
ok "the state goes on" sample -q -s 1 -n 10 --state state model
is "$(printf 'the cat'; cat out)" "$(cat whole)" "where its text ended"
ok "the run is resumed" train -q --resume checkpoint --steps 5 -o more shards
ok "and makes a model" evalloss more text

# --- newer versions ------------------------------------------------------------------------------

# newer KIND KEY VERSION: the file with that version, its checksum right.
newer() {
    "$PYTHON" - "$@" <<'PYTHON' >"newer-$1"
import json, struct, sys, zlib

file, key = open(sys.argv[1], "rb").read(), sys.argv[2]
n = struct.unpack("<Q", file[:8])[0]
header = json.loads(file[8 : 8 + n])
header["__metadata__"].update({"crc32": "0" * 8, key: sys.argv[3]})
text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
text += b" " * (-(8 + len(text)) % 64)
whole = struct.pack("<Q", len(text)) + text + file[8 + n :]
sys.stdout.buffer.write(whole[:34] + b"%08x" % zlib.crc32(whole) + whole[42:])
PYTHON
}
for kind in tokens shards; do
    sed "1s/$kind 1/$kind 2/" "$kind" >"newer-$kind"
done
newer model charpipe_model 3
newer checkpoint charpipe_checkpoint 2
newer state charpipe_state 3
for kind in tokens shards model checkpoint state; do
    case $kind in
    model | state) known=2 ;;
    *) known=1 ;;
    esac
    fails 65 "newer-$kind: written by a newer charpipe \\($kind version $((known + 1))\\); this program reads up to $known" \
        "a newer $kind is told" inspect "newer-$kind"
done
fails 65 'newer charpipe \(checkpoint version 2\)' "to train too" train --resume newer-checkpoint shards
fails 65 'newer charpipe \(state version 3\)' "and to sample" sample --state newer-state model
done_testing

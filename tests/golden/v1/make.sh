#!/bin/sh
# Made the files beside it, of version 1 of each format, from a build of then. They stay as they are:
# what every later charpipe must read (tests/tools/versions.t). Of a newer version there will be a
# folder of its own.
#
#     tests/golden/v1/make.sh BIN     (the folder of the programs; before the first release)
set -e
PATH=$1:$PATH
cd "$(dirname "$0")"
printf 'the cat sat on the mat.\nthe dog sat on the cat.\n\303\244 \360\237\231\202\n' >text
tokenize -u text >tokens
batchify -q -n 2 -m 5 -x 0.2 tokens >shards
train -q -H 4 -L 2 -d 0.25 -j 1 --steps 3 --checkpoint checkpoint shards >model
rm -f checkpoint.lock checkpoint~
sample -q -p 'the cat' -n 0 -j 1 --save-state state model >/dev/null

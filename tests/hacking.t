#!/bin/sh
# HACKING.md: the files that it names are there, and the sources are written as it says.
#
# shellcheck disable=SC2317 # the rules are called by name
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"
# shellcheck source=tests/tools/rules.sh
. "$(dirname "$0")/tools/rules.sh"

# Files and folders that the page names and that are not there. NAME stands for any.
gone() {
    grep -Eo '\b((lib|formats|tools|tests|mk|examples)/[A-Za-z0-9_./-]*[A-Za-z0-9_/]|Makefile|README\.md)' \
        "$TREE/HACKING.md" | grep -v NAME | sort -u | while read -r path; do
        [ -e "$TREE/$path" ] || echo "$path"
    done
}

# The code of all sources, taken once.
all_code() {
    kept=$TMP/code-${TREE##*/}
    [ -f "$kept" ] || files lib formats tools | code >"$kept"
    cat "$kept"
}

# Comparisons with NULL, but for numbers made of them.
null_compared() {
    all_code | grep -E '== *NULL\b|\bNULL *==|\b(if|while)\b.*!= *NULL\b'
}

# Numbers of a given width in formats of another; these stand in strings.
long_formats() {
    (cd "$TREE" && files lib formats tools | xargs grep -nE '%[-+ #0-9.*]*ll[diuxX]')
}

# Results by another name than rc.
other_results() {
    all_code | grep -E '\bint ((result|res|ret|retval|rv)( *[=,;])|status *= *(-1|0)\b)'
}

typedefs() {
    all_code | grep -E '\btypedef +(struct|union|enum)\b'
}

# Operations that a device of its own lacks.
missing_operations() {
    operations=$(echo lib/nn/ops.h | code | sed -n '/: struct ops {/,/: };/s/.*(\*\([a-z_0-9]*\))(.*/\1/p')
    for device in lib/cpu/cpu.c lib/cuda/cuda.c; do
        for operation in $operations; do
            grep -q "^	\.$operation = " "$TREE/$device" || echo "$device: $operation"
        done
    done
}

# Exit statuses that the manual doesn't list.
unlisted_statuses() {
    echo lib/base/error.h | code | sed -n 's/.* STATUS_[A-Z_]* = \([0-9]*\),.*/\1/p' |
        while read -r status; do
            grep -qx "$status" "$TREE/tools/charpipe.7" || echo "$status"
        done
}

# One offender for each rule.
for folder in lib/base lib/nn lib/cpu lib/cuda formats tools; do
    mkdir -p "$TMP/bad/$folder"
done
echo 'See `lib/base/gone.h` and `lib/base/NAME.c`.' >"$TMP/bad/HACKING.md"
printf 'int f(int *p)\n{\n\tif (p == NULL)\n\t\treturn 1;\n\tint status = -1;\n\treturn status;\n}\n' \
    >"$TMP/bad/lib/base/bad.c"
printf 'typedef struct point { int x; } point;\nconst char *f = "%%llu";\n' >"$TMP/bad/formats/bad.h"
printf 'struct ops {\n\tvoid (*zero)(float *x);\n\tvoid (*sum)(\n\t\tfloat *x);\n};\n' >"$TMP/bad/lib/nn/ops.h"
printf '\t.zero = zero,\n\t.sum = sum,\n' >"$TMP/bad/lib/cpu/cpu.c"
printf '\t.zero = zero,\n' >"$TMP/bad/lib/cuda/cuda.c"
printf 'enum status {\n\tSTATUS_OK = 0,\n\tSTATUS_LATE = 79, /* too late */\n};\n' \
    >"$TMP/bad/lib/base/error.h"
printf '.TP\n0\nall went well\n' >"$TMP/bad/tools/charpipe.7"

none "what HACKING.md names is there" gone
none "nothing is compared with NULL" null_compared
none "no format has ll" long_formats
none "a result is called rc" other_results
none "no structure has a typedef" typedefs
none "both devices have every operation" missing_operations
none "the manual lists every exit status" unlisted_statuses

# What is none.
TREE=$TMP/bad
is "$(missing_operations)" "lib/cuda/cuda.c: sum" "an operation is missed where it is missing alone"
is "$(unlisted_statuses)" "79" "so is a status"
is "$(gone)" "lib/base/gone.h" "and a file"

done_testing

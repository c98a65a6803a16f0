#!/bin/sh
# The layers: what may include what, what may print, what may remember. Each rule is also shown a
# tree that breaks it, so that a rule that sees nothing is found out.
#
# shellcheck disable=SC2317 # the rules are called by name
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"

# The C files below a folder of $TREE, one a line; nothing if there is no such folder.
files() {
    (cd "$TREE" && for folder; do
        [ -d "$folder" ] && find "$folder" -name '*.[ch]' -o -name '*.cu'
    done | sort)
}

# The code of the files named on standard input as FILE: LINE, without comments and strings.
code() {
    while read -r file; do
        ${CC:-cc} -fpreprocessed -dD -E -P -x c "$TREE/$file" 2>/dev/null |
            sed -E "/^#/!s/\"([^\"\\\\]|\\\\.)*\"/\"\"/g;s|^|$file: |"
    done
}

# includes FOLDER LAYERS: the #includes of project headers in FOLDER from elsewhere than LAYERS.
includes() {
    files "$1" | code | grep -E '#include +"' |
        grep -Ev "#include +\"($2)/" | grep -Ev '#include +"[a-z_0-9]+\.h"'
}

# outside FOLDER PATTERN: system headers that match, included by files outside FOLDER.
outside() {
    files lib formats tools | grep -v "^$1/" | code | grep -E "#include +[<\"]($2)"
}

# Calls that print on a standard stream or end the process.
talk() {
    files lib formats | code | grep -E \
        '\b(stdout|stderr)\b|\b(v?printf|puts|putchar|perror|psignal|exit|_exit|_Exit|quick_exit|abort|errx?|warnx?|system) *\('
}

# Calls that may be interrupted, or do less than they were asked for, elsewhere than in lib/base/io.c.
raw_calls() {
    files lib formats tools | grep -v '^lib/base/io\.c$' | code | grep -E \
        '[^[:alnum:]_.>](p?(read|write)v?|close|f(data)?sync|fallocate|poll|select) *\([^()]*(fd|FILENO|lock)|[^[:alnum:]_.>]open(at)? *\('
}

# none DESCRIPTION RULE...: the rule finds nothing in the project, and something in the bad tree.
none() {
    description=$1
    shift
    TREE=$ROOT
    is "$("$@")" "" "$description"
    TREE=$TMP/bad
    [ -n "$("$@")" ]
    result "$?" "... and the rule sees an offender"
}

# One offender for each rule.
mkdir -p "$TMP/bad/lib/base" "$TMP/bad/lib/nn" "$TMP/bad/lib/cpu" "$TMP/bad/formats" "$TMP/bad/tools"
printf '#include "nn/ops.h"\n' >"$TMP/bad/lib/base/up.c"
printf '#include "formats/model_file.h"\n' >"$TMP/bad/lib/nn/up.c"
printf '#include "formats/model_file.h"\n' >"$TMP/bad/lib/cpu/up.c"
printf '#include "tools/tool.h"\n' >"$TMP/bad/formats/up.c"
printf '#include <cblas.h>\n#include <cuda_runtime.h>\n' >"$TMP/bad/formats/blas.c"
printf '/* x */ int f(void)\n{\n\tputs("x");\n}\n' >"$TMP/bad/formats/talk.c"
printf 'int f(int fd)\n{\n\treturn read(fd, 0, 0);\n}\n' >"$TMP/bad/formats/raw.c"
printf '#include "base/pool.h"\n' >"$TMP/bad/tools/fine.c"

none "lib/base includes nothing of the others" includes lib/base base
none "lib/nn includes lib/base only" includes lib/nn 'base|nn'
none "lib/cpu includes lib/base and lib/nn only" includes lib/cpu 'base|nn|cpu'
none "formats includes lib only" includes formats 'base|nn|formats'
none "BLAS is spoken under lib/cpu only" outside lib/cpu 'cblas|openblas|f77blas'
none "CUDA is spoken under lib/cuda only" outside lib/cuda 'cuda[^/]|cublas'
none "calls that may be interrupted are made in lib/base/io.c only" raw_calls
none "nothing under lib and formats prints or exits" talk

TREE=$TMP/bad
printf '/* printf("x") would be wrong, and "exit(1)" too */\nchar *s = "abort()";\n' \
    >"$TMP/bad/formats/talk.c"
is "$(talk)" "" "a comment about printing is no printing"

# Writable data of the library: sections .data and .bss. Sanitizers add some of their own.
if sanitized; then
    skip "the library has no mutable globals" "sanitizers add their own"
elif [ ! -f "${B:-$ROOT/build}/libcharpipe.a" ]; then
    skip "the library has no mutable globals" "no libcharpipe.a in ${B:-$ROOT/build}"
else
    is "$(objdump -t "${B:-$ROOT/build}/libcharpipe.a" | grep -E ' O +(\.data|\.bss)(\.[a-z_A-Z.0-9]+)?\s' |
        grep -v '\.data\.rel\.ro')" "" "the library has no mutable globals"
fi

done_testing

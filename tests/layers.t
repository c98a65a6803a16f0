#!/bin/sh
# The layers: what may include what, what may print, what may remember.
#
# shellcheck disable=SC2317 # the rules are called by name
# shellcheck source=tests/tools/lib.sh
. "$(dirname "$0")/tools/lib.sh"
# shellcheck source=tests/tools/rules.sh
. "$(dirname "$0")/tools/rules.sh"

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

# What lies in no layer.
stray() {
    (cd "$TREE" && find lib -maxdepth 1 -type f)
}

# Functions that two headers declare.
twice_declared() {
    files lib formats tools | grep '\.h$' | code | sed -nE \
        's/^([^:]*): [a-z][^(=]*[ *]\(?([a-z_0-9]+)\)?\(.*/\2 \1/p' | sort -u |
        awk '$1 == last { print } { last = $1 }'
}

# Headers that have the name of another.
named_twice() {
    files lib formats tools | grep '\.h$' | sed 's|.*/||' | sort | uniq -d
}

# One offender for each rule.
for folder in lib/base lib/nn lib/cpu lib/cuda lib/mpi lib/door formats tools; do
    mkdir -p "$TMP/bad/$folder"
done
printf '#include "nn/ops.h"\n' >"$TMP/bad/lib/base/up.c"
printf '#include "formats/model_file.h"\n' >"$TMP/bad/lib/nn/up.c"
printf '#include "formats/model_file.h"\n' >"$TMP/bad/lib/cpu/up.c"
printf '#include "cpu/cpu.h"\n' >"$TMP/bad/lib/cuda/side.c"
printf '#include "cuda/cuda.h"\n' >"$TMP/bad/lib/mpi/side.c"
printf '#include "tools/tool.h"\n' >"$TMP/bad/lib/door/up.c"
printf '#include "door/charpipe.h"\n' >"$TMP/bad/tools/through.c"
printf '#include "base/error.h"\nint pool_run(\n\tint x);\n' >"$TMP/bad/lib/all.h"
printf 'static inline void *pool_run(void)\n{\n\treturn 0;\n}\n' >"$TMP/bad/tools/all.h"
printf '#include "tools/tool.h"\n' >"$TMP/bad/formats/up.c"
printf '#include <cblas.h>\n#include <cuda_runtime.h>\n#include <mpi.h>\n' >"$TMP/bad/formats/blas.c"
printf '/* x */ int f(void)\n{\n\tputs("x");\n}\n' >"$TMP/bad/formats/talk.c"
printf 'int f(int fd)\n{\n\treturn read(fd, 0, 0);\n}\n' >"$TMP/bad/formats/raw.c"
printf '#include "base/pool.h"\n' >"$TMP/bad/tools/fine.c"

none "lib/base includes nothing of the others" includes lib/base base
none "lib/nn includes lib/base only" includes lib/nn 'base|nn'
none "lib/cpu includes lib/base and lib/nn only" includes lib/cpu 'base|nn|cpu'
none "lib/cuda includes lib/base and lib/nn only" includes lib/cuda 'base|nn|cuda'
none "lib/mpi includes lib/base and lib/nn only" includes lib/mpi 'base|nn|mpi'
none "formats includes lib/base and lib/nn only" includes formats 'base|nn|formats'
none "lib/door includes nothing of the tools" includes lib/door 'base|nn|cpu|formats|door'
none "tools don't go through the door" includes tools 'base|nn|cpu|cuda|mpi|formats|tools'
none "lib itself holds layers and nothing else" stray
none "no two public functions have one name" twice_declared
none "no two headers have one name" named_twice
none "BLAS is spoken under lib/cpu only" outside lib/cpu 'cblas|openblas|f77blas'
none "MPI is spoken under lib/mpi only" outside lib/mpi 'mpi\.h'
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
elif [ ! -f "${B:-$ROOT/build}/libinner.a" ]; then
    skip "the library has no mutable globals" "no libinner.a in ${B:-$ROOT/build}"
else
    is "$(objdump -t "${B:-$ROOT/build}/libinner.a" | grep -E ' O +(\.data|\.bss)(\.[a-z_A-Z.0-9]+)?\s' |
        grep -v '\.data\.rel\.ro')" "" "the library has no mutable globals"
fi

done_testing

# rules.sh: rules for the sources. A rule is a function that prints what breaks it below $TREE. Each is
# also shown a tree that breaks it, $TMP/bad, so that a rule that sees nothing is found out.
#
# shellcheck shell=sh

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

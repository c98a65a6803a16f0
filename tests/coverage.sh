#!/bin/sh
# Prints what share of lines and branches the tests have run, for each source file; fails below a limit.
#
#     tests/coverage.sh LIMIT BUILD SOURCE...
#
# BUILD is a build with --coverage whose programs have been run. A branch counts when it was taken.
# Assertions are left out of that build: their other branch is what can't happen.
set -eu
limit=$1 build=$2
shift 2
for source; do
    # The counts of one file alone: headers are compiled into many.
    gcov -b -n -o "$build/${source%.c}.o" "$source" 2>/dev/null | awk -v name="$source" '
        /^File / { mine = $0 == "File \x27" name "\x27" }
        mine && /^Lines executed/ { split($2, part, /[:%]/); lines = part[2]; n = $4 }
        mine && /^Taken at least once/ { split($4, part, /[:%]/); taken = part[2]; branches = $6 }
        END { printf "%s\t%d\t%.2f\t%d\t%.2f\n", name, n, lines, branches, taken }'
done | awk -F '\t' -v limit="$limit" '
    BEGIN { printf "%-28s %6s %7s %9s %7s\n", "file", "lines", "run %", "branches", "taken %" }
    { printf "%-28s %6d %7.1f %9d %7.1f\n", $1, $2, $3, $4, $5
      lines += $2; run += $2 * $3; branches += $4; taken += $4 * $5 }
    END {
        if (lines == 0 || branches == 0) exit 1
        printf "%-28s %6d %7.1f %9d %7.1f\n", "all", lines, run / lines, branches, taken / branches
        exit taken / branches < limit
    }'

# Verdict, bits per character of both models, the answer, the line: some of each, and how many are
# right.
BEGIN { FS = "\t" }
{
    right[$4] += $1 == $4
    all[$4]++
    line = $0
    for (i = 0; i < 4; i++)
        sub(/^[^\t]*\t/, "", line)
    sub(/^[ \t]*/, "", line)
    if ($1 != $4 ? wrong++ < 3 : shown[$4]++ < 4)
        printf "%-8s %5.2f %5.2f  %s%.60s\n", $1, $2, $3, $1 == $4 ? "" : "WRONG ", line
}
END {
    for (language in all)
        printf "%s: %d of %d right\n", language, right[language], all[language] | "sort"
}

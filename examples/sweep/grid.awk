# grid.awk: the names of all combinations that grid asks for, one a line: hidden-64_lr-0.002
BEGIN { FS = ": *" }
/^[a-z]/ {
	values = $2
	gsub(/\[|\]| |#.*/, "", values)
	n = split(values, value, ",")
	before = many
	many = 0
	for (i = 1; i <= (before ? before : 1); i++)
		for (k = 1; k <= n; k++)
			next_names[++many] = (before ? names[i] "_" : "") $1 "-" value[k]
	for (i = 1; i <= many; i++)
		names[i] = next_names[i]
}
END {
	for (i = 1; i <= many; i++)
		print names[i]
}

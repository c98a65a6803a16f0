# completion.awk: completion for a shell from a program's table of options, as --options-as tsv gives
# it.
#
#     train --options-as tsv | awk -v name=train -v shell=bash -f completion.awk
#
# An option's words are its choices, or those in lower case where the argument is like error|skip|CHAR.
# FILE and MODEL are files; of other arguments nothing is known.
BEGIN {
	FS = "\t"
	function_name = name
	gsub(/[^a-z]/, "_", function_name)
}
NR > 1 {
	n++
	letter[n] = $1
	long[n] = "--" $2
	argument[n] = $3
	help[n] = $6
	words[n] = $5 != "" || index($3, "|") == 0 ? $5 : $3
	gsub(/\|/, " ", words[n])
	gsub(/(^| )[A-Z]+/, "", words[n])
	file[n] = $3 == "FILE" || $3 == "MODEL"
}

function bash(    i, all) {
	print "# bash completion for " name "\n_charpipe_" function_name "()\n{"
	print "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}"
	print "    # --option=value comes as three words"
	print "    if [[ $cur == = ]]; then\n        cur="
	print "    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi"
	print "    COMPREPLY=()\n    case $prev in"
	for (i = 1; i <= n; i++) {
		all = all (i > 1 ? " " : "") (letter[i] != "" ? "-" letter[i] " " : "") long[i]
		if (argument[i] == "" || file[i])
			continue
		print "    " (letter[i] != "" ? "-" letter[i] " | " : "") long[i] ")"
		if (words[i] != "")
			print "        mapfile -t COMPREPLY < <(compgen -W '" words[i] "' -- \"$cur\")"
		print "        compopt +o default 2>/dev/null\n        return\n        ;;"
	}
	print "    esac\n    [[ $cur != -* ]] ||\n        mapfile -t COMPREPLY < <(compgen -W '" \
		all "' -- \"$cur\")\n}"
	print "complete -o default -F _charpipe_" function_name " " name
}

function zsh(    i, s, value) {
	print "#compdef " name "\n_arguments -s -S \\"
	for (i = 1; i <= n; i++) {
		s = help[i]
		gsub(/'/, "'\\''", s)
		gsub(/\[|\]|:/, "\\\\&", s)
		value = ""
		if (argument[i] != "")
			value = ":" argument[i] ":" (file[i] ? "_files" : words[i] != "" ? \
				"(" words[i] ")" : " ")
		if (letter[i] == "")
			printf "    '%s[%s]%s' \\\n", long[i] (value != "" ? "=" : ""), s, value
		else
			printf "    '(-%s %s)'{-%s%s,%s%s}'[%s]%s' \\\n", letter[i], long[i], letter[i], \
				(value != "" ? "+" : ""), long[i], (value != "" ? "=" : ""), s, value
	}
	print "    '*:file:_files'"
}

END {
	if (shell == "bash")
		bash()
	else
		zsh()
}

# man.awk: a page of formats/*.md as man(7) source, in the subset of Markdown that those pages use.
#
#     awk -v name=charpipe-shards -v date=2026-12-31 -v also='model tokens' -f man.awk shards.md
#
# Left out is what is for those who work on charpipe: what the tests refuse, and the Python recipes.

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/-/, "\\-", s)
	return s
}

# Text outside of code: \| is a bar, links and emphasis become what man pages have for them.
function prose(s,    link, target, text) {
	gsub(/\\\|/, "|", s)
	s = escape(s)
	while (match(s, /\[[^]]*\]\([^)]*\)/)) {
		link = substr(s, RSTART + 1, RLENGTH - 2)
		text = target = link
		sub(/\]\(.*/, "", text)
		sub(/.*\]\(/, "", target)
		if (target ~ /^[a-z]+\.md/) {
			sub(/\.md.*/, "", target)
			target = "\\fBcharpipe\\-" target "\\fR(5)"
		}
		target = text ~ /\.md$/ ? target : text " (" target ")"
		s = substr(s, 1, RSTART - 1) target substr(s, RSTART + RLENGTH)
	}
	while (match(s, /\*\*[^*]+\*\*/))
		s = substr(s, 1, RSTART - 1) "\\fB" substr(s, RSTART + 2, RLENGTH - 4) "\\fR" \
			substr(s, RSTART + RLENGTH)
	while (match(s, /\*[^* ][^*]*\*/))
		s = substr(s, 1, RSTART - 1) "\\fI" substr(s, RSTART + 1, RLENGTH - 2) "\\fR" \
			substr(s, RSTART + RLENGTH)
	return s
}

# A line of text. Code is put aside while the rest is looked at, as emphasis may go across it.
function inline(s,    pieces, n, i, out) {
	n = split(s, pieces, "`")
	out = pieces[1]
	for (i = 2; i <= n; i++)
		out = out (i % 2 == 0 ? "\001" i "\002" : pieces[i])
	out = prose(out)
	for (i = 2; i <= n; i += 2) {
		gsub(/\\\|/, "|", pieces[i])
		s = "\\fB" escape(pieces[i]) "\\fR"
		match(out, "\001" i "\002")
		out = substr(out, 1, RSTART - 1) s substr(out, RSTART + RLENGTH)
	}
	sub(/^[.']/, "\\\\\\&&", out)
	return out
}

# What stands before a block, but for the first of a section.
function gap(    macro) {
	macro = first ? "" : ".PP\n"
	first = 0
	return macro
}

function end_paragraph() {
	if (text != "")
		print inline(text)
	text = ""
}

function end_code() {
	if (code)
		print ".EE"
	code = blank = 0
}

function code_line(s) {
	if (!code)
		print gap() ".EX"
	for (code = 1; blank > 0; blank--)
		print ""
	s = escape(s)
	sub(/^[.']/, "\\\\\\&&", s)
	print s
}

# Rows are kept until all are known: columns of short cells are as wide as those, others share the
# rest of the line.
function end_table(    i, k, cell, wide, spec) {
	if (!rows)
		return
	spec = ""
	for (k = 1; k <= columns; k++) {
		wide[k] = 0
		for (i = 1; i <= rows; i++)
			if (length(cells[i, k]) > 22)
				wide[k] = 1
		spec = spec (k > 1 ? " " : "") (wide[k] ? "lx" : "l")
	}
	# Where there are pages, a table stands on one of them, as its cells have to.
	print gap() ".ad l\n.ne " 2 * rows "\n.TS\ntab(@);\n" spec "."
	for (i = headed ? 1 : 2; i <= rows; i++) {
		for (k = 1; k <= columns; k++) {
			cell = inline(cells[i, k])
			if (wide[k] && cell != "")
				cell = "T{\n" cell "\nT}"
			printf "%s%s", (k > 1 ? "@" : ""), cell
		}
		print ""
		if (i == 1)
			print "_"
	}
	print ".TE\n.ad"
	rows = headed = 0
}

function table_row(s,    parts, n, k) {
	gsub(/\\\|/, "\001", s)
	n = split(s, parts, "|")
	if (parts[2] ~ /^-+$/)
		return
	rows++
	columns = n - 2
	for (k = 1; k <= columns; k++) {
		gsub(/^ +| +$/, "", parts[k + 1])
		gsub(/\001/, "|", parts[k + 1])
		cells[rows, k] = parts[k + 1]
		headed = headed || parts[k + 1] != ""
	}
}

function end_block() {
	end_paragraph()
	end_code()
	end_table()
}

/^```/ {
	end_paragraph()
	end_table()
	fenced = !fenced
	if (!fenced)
		end_code()
	next
}
fenced {
	if (!skipped)
		code_line($0)
	next
}
/^# / {
	title = tolower(substr($0, 3))
	print "'\\\" t"
	print ".TH " toupper(name) " 5 " date " charpipe"
	print ".SH NAME\n" escape(name) " \\- " escape(title) " of charpipe\n.SH DESCRIPTION"
	first = 1
	next
}
/^## / {
	end_block()
	skipped = /^## (A recipe|Recipes|A reader in|Refused|What is rejected)/
	if (!skipped)
		print ".SH " toupper(inline(substr($0, 4)))
	first = 1
	next
}
skipped { next }
/^### / {
	end_block()
	print ".SS " inline(substr($0, 5))
	first = 1
	next
}
/^\|/ {
	end_paragraph()
	end_code()
	table_row($0)
	next
}
/^    / && text == "" {
	end_table()
	code_line(substr($0, 5))
	next
}
/^$/ {
	end_paragraph()
	end_table()
	if (code)
		blank++
	listed = 0
	next
}
/^- / {
	end_block()
	print ".IP \\(bu 2"
	text = substr($0, 3)
	first = 0
	next
}
{
	if (text == "") {
		end_block()
		printf "%s", gap()
	}
	sub(/^ +/, "")
	text = text == "" ? $0 : text " " $0
}
END {
	end_block()
	print ".SH SEE ALSO"
	n = split(also, pages, " ")
	for (i = 1; i <= n; i++)
		if (name != "charpipe-" pages[i])
			print ".BR charpipe-" pages[i] " (5),"
	print ".BR charpipe (7)"
}

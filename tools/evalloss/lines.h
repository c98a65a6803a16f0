/* lines.h: evalloss --lines: every line of a text scored on its own. */
#ifndef EVALLOSS_LINES_H
#define EVALLOSS_LINES_H

#include "base/error.h"
#include "base/output.h"
#include "tools/network.h"
#include "tools/reader.h"

#include <stdbool.h>

/* What the table has. */
struct lines_table {
	bool price;       /* unknown characters cost SCORE_UNKNOWN_NATS each and leave the state */
	const char *file; /* that name in a column; NULL: no such column */
	bool number;      /* the line's number, from 1, in a column */
	double above;     /* only lines that cost so many bits per character; 0: all of them */
};

/* A line's score is what the model gives to the line and to the newline that ends it, after a
 * newline; so the scores of lines are comparable, an empty line has one, and exp(-nats) is the
 * probability of drawing that line from sample(1). A last line without its newline is scored as if
 * it had one. Unknown characters are an error unless they are priced. Writes one TSV row a line, in
 * the order of the text: bits per character, characters (the newline counted), file, number, the
 * line as table_text() has it. */
int lines_score(struct network *network, struct reader *reader, const struct lines_table *table,
	struct output *out, struct error *err);

#endif

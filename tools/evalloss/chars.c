/* chars.c: evalloss --chars: a table with a row for each character. */
#include "tools/evalloss/view.h"

#include "base/utf8.h"
#include "formats/vocab.h"
#include "tools/table.h"

#include <inttypes.h>
#include <math.h>

static int begin(struct view *view, struct error *err)
{
	return view_print(view, err, "bits\tline\tcolumn\tchar\n");
}

static int character(struct view *view, const struct character *c, struct error *err)
{
	unsigned char text[UTF8_MAX];
	size_t n = 1;
	if (fmax(c->bits, 0) < view->above)
		return 0;
	if (c->byte)
		text[0] = (unsigned char)c->symbol;
	else
		n = (size_t)utf8_encode(c->symbol == VOCAB_NONE ? 0xFFFD : c->symbol, text);
	if ((c->kind == CHARACTER_FIRST ? view_print(view, err, "-")
					: view_print(view, err, "%.6f", c->bits)) < 0 ||
		view_print(view, err, "\t%" PRIu64 "\t%" PRIu64 "\t", c->line, c->column) < 0 ||
		table_text(view->out, text, n, err) < 0)
		return -1;
	return view_print(view, err, "\n");
}

const struct view_kind view_chars = {.begin = begin, .character = character};

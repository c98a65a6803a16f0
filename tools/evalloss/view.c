/* view.c: see view.h. Characters wait in a queue for the window that scores them. */
#include "tools/evalloss/view.h"

#include "base/show.h"
#include "base/utf8.h"
#include "formats/vocab.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

int view_init(
	struct view *view, const struct view_kind *kind, struct output *out, struct error *err)
{
	const size_t bytes = VIEW_QUEUE * sizeof *view->queue;
	*view = (struct view){.kind = kind,
		.out = out,
		.level = -1,
		.queue = malloc(bytes),
		.locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0)};
	return view->queue ? 0 : error_memory(err, bytes, "characters");
}

void view_release(struct view *view)
{
	free(view->queue);
	free(view->below);
	view->queue = NULL;
	view->below = NULL;
	if (view->locale)
		freelocale(view->locale);
	view->locale = (locale_t)0;
}

/* --- the queue ------------------------------------------------------------------------------- */

static int show_first(struct view *view, double nats, struct error *err)
{
	struct character *c = &view->queue[view->first];
	view->first = (view->first + 1) % VIEW_QUEUE;
	view->count--;
	c->bits = nats / M_LN2;
	return view->kind->character(view, c, err);
}

/* Shows what needs no score, up to the first that does. */
static int show_unscored(struct view *view, struct error *err)
{
	while (view->count > 0 && view->queue[view->first].kind != CHARACTER_KNOWN) {
		bool priced = view->queue[view->first].kind == CHARACTER_UNKNOWN;
		if (show_first(view, priced ? SCORE_UNKNOWN_NATS : 0, err) < 0)
			return -1;
	}
	return 0;
}

static int take_scores(void *who, const float *nats, size_t n, struct error *err)
{
	struct view *view = who;
	for (size_t i = 0; i < n; i++) {
		if (show_unscored(view, err) < 0)
			return -1;
		assert(view->count > 0);
		if (show_first(view, (double)nats[i], err) < 0)
			return -1;
	}
	return show_unscored(view, err);
}

void view_follow(struct view *view, struct score *score)
{
	score->scored = take_scores;
	score->who = view;
	view->score = score;
	view->first = view->count = 0;
	view->line = view->column = 1;
	view->begun = false;
}

int view_add(struct view *view, uint32_t symbol, bool byte, bool known, struct error *err)
{
	/* Only many unknown characters behind a known one fill it before a window is full. */
	if (view->count == VIEW_QUEUE && score_end(view->score, err) < 0)
		return -1;
	assert(view->count < VIEW_QUEUE);
	struct character *c = &view->queue[(view->first + view->count++) % VIEW_QUEUE];
	*c = (struct character){.symbol = symbol,
		.byte = byte,
		.kind = !known         ? CHARACTER_UNKNOWN
			: !view->begun ? CHARACTER_FIRST
				       : CHARACTER_KNOWN,
		.line = view->line,
		.column = view->column++};
	view->begun |= known;
	if (symbol == '\n') {
		view->line++;
		view->column = 1;
	}
	return show_unscored(view, err);
}

int view_end_file(struct view *view, struct error *err)
{
	assert(view->count == 0);
	return view->kind->end_file ? view->kind->end_file(view, err) : 0;
}

/* --- for the kinds --------------------------------------------------------------------------- */

int view_level(double bits)
{
	return bits < VIEW_LEVELS - 1 ? (int)fmax(bits, 0) : VIEW_LEVELS - 1;
}

/* The columns of a character: two of most East Asian ones, none of one that is drawn onto another.
 */
static size_t width_of(const struct view *view, uint32_t codepoint)
{
	if (!view->locale)
		return 1;
	locale_t before = uselocale(view->locale);
	int width = wcwidth((wchar_t)codepoint);
	uselocale(before);
	return width < 0 ? 1 : (size_t)width;
}

size_t view_show(const struct view *view, const struct character *c, char buf[8], size_t *columns)
{
	uint32_t picture = c->symbol;
	if (c->byte && c->symbol >= 0x80) {
		*columns = 4;
		return (size_t)snprintf(buf, 8, "<%02X>", (unsigned)c->symbol);
	}
	if (c->symbol < 0x20)
		picture = 0x2400 + c->symbol;
	else if (c->symbol == 0x7F)
		picture = 0x2421;
	else if (c->symbol == VOCAB_NONE || show_harmful(c->symbol))
		picture = 0xFFFD; /* no character, or one that has no picture */
	*columns = width_of(view, picture);
	return (size_t)utf8_encode(picture, (unsigned char *)buf);
}

int view_print(struct view *view, struct error *err, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < sizeof text);
	return output_write(view->out, text, (size_t)n, err);
}

/* heat.c: evalloss --heat: the text on a terminal, each character on a colour that says how much it
 * surprised the model; or, for those who want no colours, with its bits below it. */
#include "tools/evalloss/view.h"

#include <stdlib.h>

enum { TAB = 8 };

/* From xterm's 256 colours, with a foreground that can be read on it: hotter is more surprising.
 * What was foreseen keeps the terminal's own colours. */
static const struct {
	int background, foreground;
} colours[VIEW_LEVELS] = {
	{0, 0},
	{230, 16},
	{229, 16},
	{222, 16},
	{215, 16},
	{208, 16},
	{202, 16},
	{196, 231},
	{160, 231},
	{88, 231},
};

static int set_level(struct view *view, int level, struct error *err)
{
	if (level == view->level)
		return 0;
	view->level = level;
	if (level <= 0 || level >= VIEW_LEVELS)
		return view_print(view, err, "\033[0m");
	return view_print(view, err, "\033[38;5;%d;48;5;%dm", colours[level].foreground,
		colours[level].background);
}

static int begin_heat(struct view *view, struct error *err)
{
	if (view_print(view, err, "bits: ") < 0)
		return -1;
	for (int level = 0; level < VIEW_LEVELS; level++)
		if (set_level(view, level, err) < 0 ||
			view_print(view, err, level == VIEW_LEVELS - 1 ? " %d+ " : " %d ", level) <
				0)
			return -1;
	if (set_level(view, -1, err) < 0)
		return -1;
	return view_print(view, err, "\n\n");
}

static int file(struct view *view, const char *name, struct error *err)
{
	struct error printable; /* for its way of making any file name harmless */
	error_set(&printable, STATUS_OK, "%s", name);
	return view_print(view, err, "==> %.400s <==\n", printable.text);
}

/* How a character takes its place in a line: a tab as the blanks that it stands for. */
static size_t cell(
	const struct view *view, const struct character *c, char text[8], size_t *columns)
{
	if (c->symbol != '\t')
		return view_show(view, c, text, columns);
	size_t n = *columns = TAB - view->width % TAB;
	for (size_t i = 0; i < n; i++)
		text[i] = ' ';
	return n;
}

/* The line's end has a score as well: a blank. */
static int end_line(struct view *view, int level, struct error *err)
{
	if (level > 0 && (set_level(view, level, err) < 0 || view_print(view, err, " ") < 0))
		return -1;
	if (set_level(view, -1, err) < 0)
		return -1;
	view->width = 0;
	return view_print(view, err, "\n");
}

static int heat(struct view *view, const struct character *c, struct error *err)
{
	char text[8];
	size_t columns;
	int level = view_level(c->bits);
	if (c->symbol == '\n')
		return end_line(view, level, err);
	size_t n = cell(view, c, text, &columns);
	view->width += columns;
	return set_level(view, level, err) < 0 ? -1 : output_write(view->out, text, n, err);
}

static int end_heat(struct view *view, struct error *err)
{
	return view->width > 0 ? end_line(view, 0, err) : 0;
}

const struct view_kind view_heat = {
	.begin = begin_heat, .file = file, .character = heat, .end_file = end_heat};

/* --- without colours ------------------------------------------------------------------------- */

static int begin_digits(struct view *view, struct error *err)
{
	return view_print(view, err, "bits below each character: 0 to %d, and %d for more\n\n",
		VIEW_LEVELS - 2, VIEW_LEVELS - 1);
}

/* Keeps what is to stand below the line's next columns. */
static int put_below(struct view *view, int level, size_t columns, struct error *err)
{
	if (view->below_room - view->below_bytes < columns) {
		size_t room = 2 * view->below_room + 256;
		unsigned char *larger = realloc(view->below, room);
		if (!larger)
			return error_memory(err, room, "a line");
		view->below = larger;
		view->below_room = room;
	}
	for (size_t i = 0; i < columns; i++)
		view->below[view->below_bytes++] = (unsigned char)(i ? ' ' : '0' + level);
	return 0;
}

static int end_digits(struct view *view, struct error *err)
{
	size_t n = view->below_bytes;
	view->below_bytes = view->width = 0;
	if (n == 0)
		return 0;
	if (view_print(view, err, "\n") < 0 || output_write(view->out, view->below, n, err) < 0)
		return -1;
	return view_print(view, err, "\n");
}

static int digits(struct view *view, const struct character *c, struct error *err)
{
	char text[8];
	size_t columns = 1, n = 0;
	if (c->symbol != '\n')
		n = cell(view, c, text, &columns);
	view->width += columns;
	if (output_write(view->out, text, n, err) < 0 ||
		put_below(view, view_level(c->bits), columns, err) < 0)
		return -1;
	return c->symbol == '\n' ? end_digits(view, err) : 0;
}

const struct view_kind view_digits = {
	.begin = begin_digits, .file = file, .character = digits, .end_file = end_digits};

/* html.c: evalloss --html: a page that needs nothing else, with the text coloured as --heat does
 * it; each character tells its bits to who points at it. */
#include "tools/evalloss/view.h"

#include <string.h>

static const char top[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n"
	"<title>Surprisal</title>\n"
	"<style>\n"
	"body { background: #fff; color: #000; margin: 2em auto; max-width: 56em; padding: 0 1em;\n"
	"\tfont-family: sans-serif; }\n"
	"pre { font: 1em/1.6 monospace; white-space: pre-wrap; overflow-wrap: anywhere; }\n"
	"b { font-weight: normal; padding: .15em 0; }\n"
	"p b { font-family: monospace; padding: .15em .6em; }\n"
	".e { opacity: .3; }\n"
	".l1 { background: #fff8e1; } .l2 { background: #ffefb0; } .l3 { background: #ffdf87; }\n"
	".l4 { background: #ffc35f; } .l5 { background: #ff9d3c; } .l6 { background: #ff7420; }\n"
	".l7 { background: #f0321e; color: #fff; } .l8 { background: #c4141e; color: #fff; }\n"
	".l9 { background: #7f0015; color: #fff; }\n"
	"</style>\n"
	"<h1>How much each character surprises the model</h1>\n"
	"<p>bits:";

/* ... which HTML writes otherwise. */
static const char *entity(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	default:
		return NULL;
	}
}

static int write_escaped(struct view *view, const char *text, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		const char *other = entity((unsigned char)text[i]);
		if (output_write(view->out, other ? other : text + i, other ? strlen(other) : 1,
			    err) < 0)
			return -1;
	}
	return 0;
}

static int begin(struct view *view, struct error *err)
{
	if (output_write(view->out, top, strlen(top), err) < 0)
		return -1;
	for (int level = 0; level < VIEW_LEVELS; level++)
		if (view_print(view, err, " <b class=\"l%d\">%d%s</b>", level, level,
			    level == VIEW_LEVELS - 1 ? "+" : "") < 0)
			return -1;
	return view_print(view, err, "</p>\n");
}

static int file(struct view *view, const char *name, struct error *err)
{
	struct error printable; /* for its way of making any file name harmless */
	error_set(&printable, STATUS_OK, "%s", name);
	if (view_print(view, err, "<h2>") < 0 ||
		write_escaped(view, printable.text, strlen(printable.text), err) < 0)
		return -1;
	return view_print(view, err, "</h2>\n");
}

static int character(struct view *view, const struct character *c, struct error *err)
{
	char text[8];
	size_t columns, n = 0;
	/* The line feed first in a <pre> is dropped: it needs one of our own before it. */
	if (view->level < 0 && view_print(view, err, "<pre>\n") < 0)
		return -1;
	view->level = view_level(c->bits);
	if (c->symbol == '\n' || c->symbol == '\t')
		text[n++] = (char)c->symbol;
	else
		n = view_show(view, c, text, &columns);
	if (view_print(view, err, "<b class=\"l%d\"", view->level) < 0)
		return -1;
	if (c->kind != CHARACTER_FIRST &&
		view_print(view, err, " title=\"%.2f%s\"", c->bits,
			c->kind == CHARACTER_UNKNOWN ? ", unknown" : "") < 0)
		return -1;
	if (view_print(view, err, c->symbol == '\n' ? "><span class=\"e\">\u21b5</span>" : ">") <
			0 ||
		write_escaped(view, text, n, err) < 0)
		return -1;
	return view_print(view, err, "</b>");
}

static int end_file(struct view *view, struct error *err)
{
	if (view->level < 0)
		return 0;
	view->level = -1;
	return view_print(view, err, "</pre>\n");
}

static int end(struct view *view, struct error *err)
{
	return view_print(view, err, "</html>\n");
}

const struct view_kind view_html = {
	.begin = begin, .file = file, .character = character, .end_file = end_file, .end = end};

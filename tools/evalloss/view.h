/* view.h: a text's characters, each with its surprisal, on their way to a picture of them. */
#ifndef EVALLOSS_VIEW_H
#define EVALLOSS_VIEW_H

#include "base/error.h"
#include "base/output.h"
#include "tools/evalloss/score.h"

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct character {
	uint32_t symbol; /* code point or byte; VOCAB_NONE: bytes that are no UTF-8 */
	bool byte;       /* a byte of a model of bytes */
	enum {
		CHARACTER_FIRST, /* without context: not scored */
		CHARACTER_KNOWN,
		CHARACTER_UNKNOWN, /* to the model: priced */
	} kind;
	double bits;           /* 0 for the first */
	uint64_t line, column; /* from 1; columns in characters */
};

struct view;

/* A way to show them. Each function may be NULL. */
struct view_kind {
	int (*begin)(struct view *view, struct error *err);                  /* before everything */
	int (*file)(struct view *view, const char *name, struct error *err); /* of several */
	int (*character)(struct view *view, const struct character *c, struct error *err);
	int (*end_file)(struct view *view, struct error *err);
	int (*end)(struct view *view, struct error *err);
};

extern const struct view_kind view_chars, /* a table */
	view_heat,                        /* colours for a terminal */
	view_digits,                      /* the same without colours */
	view_html;                        /* a page */

enum {
	VIEW_LEVELS = 10,              /* of surprisal: whole bits, 9 and more being one */
	VIEW_QUEUE = 4 * SCORE_WINDOW, /* characters that wait for their score */
};

struct view {
	const struct view_kind *kind;
	struct output *out;
	double above; /* of a table: only characters that cost so many bits; 0: all of them */
	/* view.c's: */
	struct score *score;
	struct character *queue; /* (VIEW_QUEUE); owned */
	size_t first, count;     /* of those that wait */
	locale_t locale;         /* for the widths of characters; owned; 0 where there is none */
	uint64_t line, column;
	bool begun; /* the file's first character has been seen */
	/* Of the kind: */
	int level;            /* that of the character shown last; -1: none */
	size_t width;         /* columns of the line shown so far */
	unsigned char *below; /* what is to stand below it; owned */
	size_t below_bytes, below_room;
};

int view_init(
	struct view *view, const struct view_kind *kind, struct output *out, struct error *err);
void view_release(struct view *view);

/* A file begins whose characters `score` will score; it has been initialised. */
void view_follow(struct view *view, struct score *score);
/* The file's next character, before score_add() or score_add_unknown() is told of it. */
int view_add(struct view *view, uint32_t symbol, bool byte, bool known, struct error *err);
/* The file has ended, and so has score_end(). */
int view_end_file(struct view *view, struct error *err);

/* For the kinds: */

/* 0 .. VIEW_LEVELS - 1. */
int view_level(double bits);
/* The character as it is shown: itself, a picture of a control character, <FF> for a byte that is
 * no character. Never a newline. Returns the bytes; *columns: how wide it is taken to be. */
size_t view_show(const struct view *view, const struct character *c, char buf[8], size_t *columns);
int view_print(struct view *view, struct error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

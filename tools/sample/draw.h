/* draw.h: texts drawn from a model and printed one after the other.
 *
 * Groups of texts start from the state that a prime left and are drawn as one batch, whose rows do
 * not depend on each other (nn/ops.h), by random numbers that belong to the text (nn/sampler.h):
 * the i-th text is the same however many there are. */
#ifndef SAMPLE_DRAW_H
#define SAMPLE_DRAW_H

#include "base/error.h"
#include "base/output.h"
#include "formats/state_file.h"
#include "nn/sampler.h"
#include "tools/network.h"
#include "tools/sample/stop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRAW_ROWS = 64 }; /* texts drawn at once */

struct draw_text; /* one text of a group */

struct draw {
	/* The caller's, before draw_init(): */
	struct network *network;
	struct sampler *sampler;
	struct output *out;
	uint64_t length;       /* characters of a text; UINT64_MAX: no end */
	bool lines;            /* a newline ends a text, and is no part of it */
	bool table;            /* print a row of a table for each text, not the text as it is */
	bool live;             /* somebody may be reading along: flush every character */
	const char *stop;      /* ends a text, as a part of it; NULL: nothing does */
	const char *separator; /* behind each text that is no row; NULL: nothing */
	/* draw.c's: */
	struct stop stopper;
	struct model_state state;
	struct draw_text *texts;    /* (DRAW_ROWS); owned */
	float *logits;              /* (DRAW_ROWS,V); owned */
	const unsigned char *prime; /* printed in front of each text */
	size_t prime_bytes;
	size_t count;    /* of texts in the group */
	bool within;     /* what was printed last is not the end of a line */
	size_t printing; /* the text whose characters go straight to the output */
};

int draw_init(struct draw *draw, struct error *err);
void draw_release(struct draw *draw);

/* The rows of a batch for that many texts. */
size_t draw_rows(uint64_t texts);

/* Draws and prints texts number first .. first + count - 1, which start from `start`. */
int draw_texts(struct draw *draw, const struct state_file *start, const unsigned char *prime,
	size_t prime_bytes, uint64_t first, uint64_t count, struct error *err);
/* Prints what stands in the place of as many texts that can't be drawn: empty ones, in a table
 * without figures. */
int draw_nothing(struct draw *draw, uint64_t count, struct error *err);

#endif

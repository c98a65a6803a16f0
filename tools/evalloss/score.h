/* score.h: one text of any length, scored from state zero in windows through which the state is
 * carried; its first character has no context and is not scored. */
#ifndef EVALLOSS_SCORE_H
#define EVALLOSS_SCORE_H

#include "base/error.h"
#include "nn/model.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SCORE_WINDOW = 256, /* characters scored at once: model->window is at least that */
};

/* What an unknown character costs with --unknown price: log(0x110000), as if every code point were
 * as likely as any other. 20.09 bits. */
#define SCORE_UNKNOWN_NATS 13.923568233015342

struct score {
	struct model *model; /* not owned */
	struct model_state state;
	uint32_t ids[SCORE_WINDOW + 1]; /* read but not scored yet, behind the last that was */
	size_t count;
	uint64_t window;     /* the state is zero again behind every so many scored characters */
	uint64_t since;      /* characters scored since it was */
	uint64_t characters; /* scored so far */
	double nats;         /* of them */
	/* Told of each window's known characters, n in the order of the text, when they are scored;
	 * NULL: nobody is. */
	int (*scored)(void *who, const float *nats, size_t n, struct error *err);
	void *who;
	float each[SCORE_WINDOW]; /* for it */
};

int score_init(struct score *score, struct model *model, uint64_t window, struct error *err);
void score_release(struct score *score);

/* The text goes on with these n ids; with characters that the model doesn't know: they are priced,
 * and the state stays. */
int score_add(struct score *score, const uint32_t *ids, size_t n, struct error *err);
void score_add_unknown(struct score *score, size_t n);

/* Scores what is left; characters and nats are then those of the whole text. */
int score_end(struct score *score, struct error *err);

#endif

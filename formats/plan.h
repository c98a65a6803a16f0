/* plan.h: which ids of a text go into which batch of shards. */
#ifndef FORMATS_PLAN_H
#define FORMATS_PLAN_H

#include "formats/shards.h"

#include <stdint.h>

struct plan {
	uint64_t rows, window;   /* N, T of the batches, 1..UINT32_MAX each */
	double validation, test; /* parts held out at the end; their sum is below 1 */
	enum shards_targets targets;
};

struct plan_part {
	uint64_t begin, tokens; /* ids of the text */
};

/* Cuts n ids into parts as the notebooks do, int(n * (1 - val)) in double precision, and fills in
 * the header but for its vocabulary. A part that doesn't fill one batch of its own: the training
 * part then has no batches, one that is held out has one of fewer rows, or none. */
void plan_make(const struct plan *plan, uint64_t n, struct plan_part parts[SHARDS_SPLITS],
	struct shards_header *header);

/* The tokens of a part that can be inputs: a last target of its own may have to be left over. */
uint64_t plan_usable(const struct plan *plan, const struct plan_part *part);

#endif

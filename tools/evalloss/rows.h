/* rows.h: a part of shards, scored from state zero as train validates it: row by row of its
 * batches, batch after batch. */
#ifndef EVALLOSS_ROWS_H
#define EVALLOSS_ROWS_H

#include "base/error.h"
#include "formats/shards.h"
#include "tools/network.h"

#include <stdint.h>

/* Gives *nats, the sum over all characters of a part that has batches. `map` (V of the shards): what
 * their ids are in the model. The state is zero again behind every `window` characters of a row.
 *
 * Memory grows with a batch's ids, but not with what the model would need for them all: pieces of
 * the rows are scored one after the other, which changes no bit of the result. */
int rows_score(struct network *network, struct shards *shards, enum shards_split split,
	const uint32_t *map, uint64_t window, double *nats, struct error *err);

#endif

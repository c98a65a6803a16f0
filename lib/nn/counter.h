/* counter.h: a device that computes nothing and has no memory, but counts what is asked of it: what a
 * model would take is found by making it, and can't disagree with what it does take. */
#ifndef NN_COUNTER_H
#define NN_COUNTER_H

#include "nn/ops.h"

#include <stdint.h>

struct counter {
	struct device device;           /* first: what models are made on */
	struct device *like;            /* the one that it stands for; not owned */
	uint64_t bytes, most;           /* of alloc(), now and ever */
	uint64_t host_bytes, host_most; /* of host_alloc() */
};

/* Stands for `like`: operands have its form, blocks its rows. What is allocated may not be
 * read or written. */
void counter_init(struct counter *counter, struct device *like);

#endif

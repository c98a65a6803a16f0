/* group.h: those that compute a batch together, each some of its rows: ranks 0..size-1 of a program
 * that runs several times, or, as a rule, one alone.
 *
 * A batch of N rows consists of blocks of rows (model.c), of which each rank has its share, neighbours
 * in the order of the ranks; where there is no group, NULL, one has them all. Rank 0 leads: it alone
 * reads and writes files, and it says what is done next. All ranks make the same calls in the same
 * order, those below among them. Status 69 where another rank can't be reached: then nothing but
 * group_leave() is left to do. */
#ifndef NN_GROUP_H
#define NN_GROUP_H

#include "base/error.h"
#include "nn/tree.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct group;

/* How rows are shared out: in blocks of `block` rows, the last one maybe of fewer. */
struct group_cut {
	size_t rows, block;
};

/* A sum that is made while others compute. */
struct group_sum {
	struct tree_walk walk;   /* over this rank's leaves, done */
	float *sums[TREE_DEPTH]; /* (walk.depth) of n floats each: what it has left; not owned */
	size_t n;
	struct group_sum *next; /* the group's */
};

struct group_ops {
	int (*broadcast)(struct group *group, void *data, size_t bytes, struct error *err);
	int (*scatter)(struct group *group, const struct group_cut *cut, size_t row_bytes,
		void *data, struct error *err);
	int (*gather)(struct group *group, const struct group_cut *cut, size_t row_bytes,
		const void *own, void *all, struct error *err);
	int (*collect)(struct group *group, size_t leaves, double *x, struct error *err);
	void (*sum)(struct group *group, struct group_sum *sum);
	int (*wait)(struct group *group, struct error *err);
	void (*leave)(struct group *group, int status);
};

struct group {
	const struct group_ops *ops;
	unsigned rank, size;
	/* Of the ranks on this host: this one's number among them, and how many there are that may
	 * use the same cores. */
	unsigned host_rank, host_share;
	/* A call, or a sum that others make meanwhile, has failed: another rank, or rank 0, has told or
	 * will tell why. */
	atomic_bool broken;
};

static inline bool group_leads(const struct group *group)
{
	return !group || group->rank == 0;
}

static inline unsigned group_size(const struct group *group)
{
	return group ? group->size : 1;
}

/* What a rank of `size` has of `blocks` blocks: from *first to before *end. */
void group_share(unsigned rank, unsigned size, size_t blocks, size_t *first, size_t *end);
/* ... and of rows. */
void group_rows(
	unsigned rank, unsigned size, const struct group_cut *cut, size_t *first, size_t *end);

/* What rank 0 has in `data` is then what all have. */
int group_broadcast(struct group *group, void *data, size_t bytes, struct error *err);

/* Each rank gets its rows of those that rank 0 has in `data`, at the beginning of its own `data`. */
int group_scatter(struct group *group, const struct group_cut *cut, size_t row_bytes, void *data,
	struct error *err);

/* Rank 0 gets in `all` the rows that each rank has in `own`. */
int group_gather(struct group *group, const struct group_cut *cut, size_t row_bytes,
	const void *own, void *all, struct error *err);

/* x (leaves): each rank has the numbers of its share, in their places; then all have all. */
int group_collect(struct group *group, size_t leaves, double *x, struct error *err);

/* Adds up what each rank has left of its walk over the tree's leaves: in sum->sums[0], of n floats, is
 * then what a walk over all of them would have left. It is done while the caller goes on; *sum and
 * what it points to are the group's until group_wait() returns. Sums of a group are made in the order
 * of the calls. */
void group_sum(struct group *group, struct group_sum *sum);
int group_wait(struct group *group, struct error *err);

/* Leaves the others. `status`: 0, or that of the failure with which this rank ends, so that all have
 * to; the call then doesn't return. */
void group_leave(struct group *group, int status);

#endif

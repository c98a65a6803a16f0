/* exchange.h: the sum over all leaves of a tree (nn/tree.h) that several ranks have, in the order of
 * the tree.
 *
 * The numbers are cut into as many segments as there are ranks. Of each segment, every node of the
 * tree has an owner among the ranks that have leaves of it: that of the root is the rank of the
 * segment's number, and an owner owns one of the two nodes below too; the owner of the other one sends
 * what it has. So each rank sends and gets about as much as any other, (with blocks that the ranks
 * share evenly) what recursive halving would: R. Thakur, R. Rabenseifner, W. Gropp: Optimization of
 * Collective Communication Operations in MPICH, 2005. In the end each rank has the sum of its segment,
 * and all give theirs to all. */
#ifndef MPI_EXCHANGE_H
#define MPI_EXCHANGE_H

#include "nn/group.h"

#include <mpi.h>
#include <stddef.h>

struct ranks;

struct exchange {
	MPI_Comm comm;
	size_t rank, size;
	float *buffer;             /* what comes; owned */
	MPI_Request *requests;     /* owned */
	struct exchange_add *adds; /* what is added to what when it has come; owned */
	int *counts, *places;      /* (size): of the segments; owned */
};

/* -1 without memory. */
int exchange_init(struct exchange *exchange, MPI_Comm comm, unsigned rank, unsigned size);
void exchange_release(struct exchange *exchange);

/* See group_sum(). -1: a wait has failed; else MPI's code, and *what was being done if that isn't
 * MPI_SUCCESS. */
int exchange_sum(struct exchange *exchange, struct ranks *ranks, const struct group_sum *sum,
	const char **what);

/* Of ranks.c: waits for all of these. */
int ranks_await(struct ranks *ranks, size_t count, MPI_Request *requests);

#endif

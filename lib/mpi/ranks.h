/* ranks.h: the ranks of an MPI program as a group of nn/group.h.
 *
 * This is a plug-in, charpipe-mpi.so: no program links it or MPI. tools/train/team.c loads it when a
 * launcher has started several ranks, and finds what it needs in the one symbol below. */
#ifndef MPI_RANKS_H
#define MPI_RANKS_H

#include "base/error.h"
#include "nn/group.h"

#include <stdint.h>

/* Joins the ranks that the launcher started, once in a process. `lost` is called, from a thread of
 * the group's, when another rank has not been heard of for some seconds, with a line about it, unless
 * another rank tells; the process then ends with status 69. NULL on failure (69, 71). */
struct group *ranks_join(void (*lost)(const char *text), struct error *err);

/* To be counted up when the plug-in and its loader no longer understand each other: with every
 * change of nn/group.h and of struct mpi_plugin. */
#define MPI_PLUGIN_ABI 2
#define MPI_PLUGIN_FILE "charpipe-mpi.so"
#define MPI_PLUGIN_SYMBOL "charpipe_mpi"

struct mpi_plugin {
	uint32_t abi;      /* first in every version */
	uint32_t ops_size; /* sizeof(struct group_ops): says when somebody forgot to count up */
	struct group *(*join)(void (*lost)(const char *text), struct error *err);
};

#endif

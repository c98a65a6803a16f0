/* cell.h: what tells one kind of recurrent layer from another, for those who needn't know which one
 * they have. */
#ifndef NN_CELL_H
#define NN_CELL_H

#include <stddef.h>

enum {
	CELL_STATES = 2 /* the most that a cell has */
};

struct cell {
	const char *name; /* what its tensors' names begin with: "lstm" */
	size_t gates;     /* its weight matrices have gates H rows */
	size_t states;    /* arrays that it carries from step to step; its output is the first */
	const char *state_names[CELL_STATES]; /* in files */
};

extern const struct cell lstm_cell; /* lstm.c */

#endif

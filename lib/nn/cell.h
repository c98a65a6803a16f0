/* cell.h: what tells one kind of recurrent layer from another, for those who needn't know which one
 * they have. Each kind has a file with its equations, lstm.c, gru.c, rnn.c, and with its place in
 * enum cell_type devices find their code for it.
 *
 * All of them have PyTorch's parameters, W_ih (G H,inputs), W_hh (G H,H), b_ih and b_hh (G H), and
 * take time step t in the same two moves (G: gates):
 *
 *     a = W_ih x[t] + b_ih     b = W_hh h[t] + b_hh     h[t+1], c[t+1] = f(a, b, h[t], c[t])
 *
 * where f is elementwise, or looks at a + b alone. */
#ifndef NN_CELL_H
#define NN_CELL_H

#include <stdbool.h>
#include <stddef.h>

enum cell_type { CELL_LSTM, CELL_GRU, CELL_RNN, CELL_TYPES };

enum {
	CELL_STATES = 2 /* the most that a cell has */
};

struct cell {
	enum cell_type type;
	const char *title; /* for people: "LSTM" */
	size_t gates;      /* G */
	bool apart;        /* f needs b by itself: a and b are not added up where they are made */
	size_t states;     /* arrays that it carries from step to step; its output is the first */
	const char *state_names[CELL_STATES]; /* in files */
	unsigned version; /* the first of models and states that had it; files of version 1 don't
			     name their cell */
};

extern const struct cell lstm_cell, gru_cell, rnn_cell;

/* What their tensors' names begin with, "lstm" and so on, by number; and NULL. */
extern const char *const cell_names[CELL_TYPES + 1];
static inline const char *cell_name(const struct cell *cell)
{
	return cell_names[cell->type];
}

/* By number, and by name; NULL for a name that no cell has. */
const struct cell *cell_of(enum cell_type type);
const struct cell *cell_find(const char *name);

#endif

/* cell.c: the list of cells. */
#include "nn/cell.h"

#include <string.h>

const char *const cell_names[] = {
	[CELL_LSTM] = "lstm", [CELL_GRU] = "gru", [CELL_RNN] = "rnn", [CELL_TYPES] = NULL};

const struct cell *cell_of(enum cell_type type)
{
	static const struct cell *const cells[CELL_TYPES] = {
		[CELL_LSTM] = &lstm_cell, [CELL_GRU] = &gru_cell, [CELL_RNN] = &rnn_cell};
	return cells[type];
}

const struct cell *cell_find(const char *name)
{
	for (enum cell_type type = 0; type < CELL_TYPES; type++)
		if (strcmp(cell_names[type], name) == 0)
			return cell_of(type);
	return NULL;
}

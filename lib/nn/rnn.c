/* rnn.c: the plain recurrent layer. J. Elman: Finding Structure in Time, 1990, as PyTorch's nn.RNN
 * has it, with tanh:
 *
 *     h[t+1] = tanh(a + b)
 *
 * gates: a + b in front of f, then its gradient. */
#include "nn/cell.h"

const struct cell rnn_cell = {
	.type = CELL_RNN,
	.title = "RNN",
	.gates = 1,
	.states = 1,
	.state_names = {"h"},
	.version = 2,
};

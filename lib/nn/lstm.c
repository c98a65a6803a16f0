/* lstm.c: long short-term memory. S. Hochreiter, J. Schmidhuber: Long Short-Term Memory, 1997, with
 * the forget gate of F. Gers et al.: Learning to Forget, 2000, as PyTorch's nn.LSTM has it:
 *
 *     i, f, o = sigmoid(a + b)     g = tanh(a + b)                (in the order i, f, g, o)
 *     c[t+1] = f c[t] + i g        h[t+1] = o tanh(c[t+1])
 *
 * gates: a + b in front of f, then i, f, g, o, then the gradient of a + b. */
#include "nn/cell.h"

const struct cell lstm_cell = {
	.type = CELL_LSTM,
	.title = "LSTM",
	.gates = 4,
	.states = 2,
	.state_names = {"h", "c"},
	.version = 1,
};

/* gru.c: the gated recurrent unit. K. Cho et al.: Learning Phrase Representations using RNN
 * Encoder-Decoder, 2014, in the form of PyTorch's nn.GRU, whose reset gate acts on the product and
 * not on what is multiplied:
 *
 *     r, z = sigmoid(a + b)     n = tanh(a + r b)                 (in the order r, z, n)
 *     h[t+1] = (1 - z) n + z h[t]
 *
 * gates: a in front of f, then r, z, n, then the gradient of a; recurrent: b, then its gradient. */
#include "nn/cell.h"

const struct cell gru_cell = {
	.type = CELL_GRU,
	.title = "GRU",
	.gates = 3,
	.apart = true,
	.states = 1,
	.state_names = {"h"},
	.version = 2,
};

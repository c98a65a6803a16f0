/* lstm.h: one LSTM layer of the model, forward and backward over a window, without the dropout
 * behind it.
 *
 * Its weights and gradients lie in the model's arenas; it owns its operands and its activations. */
#ifndef NN_LSTM_H
#define NN_LSTM_H

#include "base/error.h"
#include "nn/ops.h"
#include "nn/params.h"

struct lstm {
	struct device *device; /* not owned */
	size_t inputs, H;      /* V for the first layer, else H */
	bool one_hot;          /* the first layer: inputs are ids */
	bool gaps;             /* some of them may be TARGET_NONE */
	bool training;
	float *dw_ih, *dw_hh, *db_ih, *db_hh; /* device; not owned; NULL for inference */
	/* W_ih^T (H,4H) with both biases, of which the first layer uses w, a table (V,4H), and the
	 * biases alone; W_hh^T (H,4H). */
	struct operand ih, hh;
	struct operand ih_backward, hh_backward; /* W_ih (4H,H), W_hh (4H,H); for training */
	float *gates; /* (T,N,4H): i, f, g, o; after the backward pass the gradient of z */
	float *state[CELL_STATES]; /* h and c, (T+1,N,H); [0] is what was before the window */
};

/* Makes layer `layer` of `params`. It can run after lstm_bind(), lstm_resize(), and
 * lstm_weights_changed(). */
int lstm_init(struct lstm *lstm, struct device *device, const struct params *params, uint32_t layer,
	bool training, enum operand_type type, struct error *err);
void lstm_release(struct lstm *lstm);

/* Says in which arenas on the device its parameters and their gradients (NULL for inference)
 * lie. */
void lstm_bind(struct lstm *lstm, const struct params *params, uint32_t layer, float *weights,
	float *gradients);

/* Makes room for T time steps of at most `rows` rows. */
int lstm_resize(struct lstm *lstm, size_t T, size_t rows, struct error *err);

/* Makes the operands again after the weights changed, which those for inference do but once. */
void lstm_weights_changed(struct lstm *lstm);

/* Runs N rows over T steps from the state[0] that the caller has set. Input: ids (T,N) for the
 * first layer, x (T,N,H) for the others. */
void lstm_forward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x);

/* The layer's outputs, (T,N,H): a view into the state. */
static inline float *lstm_outputs(const struct lstm *lstm, size_t N)
{
	return lstm->state[0] + N * lstm->H;
}

/* Adds to the gradients what dh (T,N,H), the gradient of the outputs, implies, and overwrites dh
 * with the gradient of x (for one-hot inputs with nothing of use). Input as in the forward pass.
 * dc (N,H): scratch. */
void lstm_backward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x,
	float *dh, float *dc);

/* After the backward passes over all rows: the gradients of the biases that follow from others.
 * Where each time step shows one symbol, a sum over the symbols is the sum over the steps. */
void lstm_finish_gradients(struct lstm *lstm);

#endif

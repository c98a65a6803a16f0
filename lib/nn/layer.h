/* layer.h: one recurrent layer of the model, of whatever cell, forward and backward over a window,
 * without the dropout behind it.
 *
 * Its weights and gradients lie in the model's arenas; it owns its operands and its activations. */
#ifndef NN_LAYER_H
#define NN_LAYER_H

#include "base/error.h"
#include "nn/ops.h"
#include "nn/params.h"

struct layer {
	struct device *device;   /* not owned */
	const struct cell *cell; /* not owned */
	size_t inputs, H;        /* V for the first layer, else H */
	bool one_hot;            /* the first layer: inputs are ids */
	bool gaps;               /* some of them may be TARGET_NONE */
	bool training;
	/* W_ih^T (H,GH), of which the first layer uses w, a table (V,GH), and the biases alone;
	 * W_hh^T (H,GH). b_ih stands by the one, b_hh by the other if the cell keeps them apart. */
	struct operand ih, hh;
	struct operand ih_backward, hh_backward; /* W_ih (GH,H), W_hh (GH,H); for training */
	float *gates;                            /* (T,N,GH): as the cell says */
	float *recurrent;                        /* likewise; NULL unless the cell keeps it apart */
	float *state[CELL_STATES]; /* (T+1,N,H) each; [0] is what was before the window */
};

/* Makes layer `l` of `params`. It can run after layer_bind(), layer_resize(), and
 * layer_weights_changed(). */
int layer_init(struct layer *layer, struct device *device, const struct params *params, uint32_t l,
	bool training, enum operand_type type, struct error *err);
void layer_release(struct layer *layer);

/* Says in which arena on the device its parameters lie. */
void layer_bind(struct layer *layer, const struct params *params, uint32_t l, float *weights);

/* Makes room for T time steps of at most `rows` rows. */
int layer_resize(struct layer *layer, size_t T, size_t rows, struct error *err);

/* Makes the operands again after the weights changed, which those for inference do but once. */
void layer_weights_changed(struct layer *layer);

/* Runs N rows over T steps from the state[0] that the caller has set. Input: ids (T,N) for the
 * first layer, x (T,N,H) for the others. */
void layer_forward(struct layer *layer, size_t T, size_t N, const uint32_t *ids, const float *x);

/* The layer's outputs, (T,N,H): a view into the state. */
static inline float *layer_outputs(const struct layer *layer, size_t N)
{
	return layer->state[0] + N * layer->H;
}

/* The way back, from dh (T,N,H), the gradient of the outputs, which it overwrites with nothing of use.
 * dc (N,H): scratch. The three functions below then say what follows. */
void layer_backward(struct layer *layer, size_t T, size_t N, float *dh, float *dc);

/* Adds to the gradient of a parameter (PARAM_W_IH, ...), input as in the forward pass. */
void layer_gradient(struct layer *layer, size_t T, size_t N, unsigned which, const uint32_t *ids,
	const float *x, float *gradient);

/* dx (T,N,H) = the gradient of x; for layers but the first. */
void layer_input_gradient(struct layer *layer, size_t T, size_t N, float *dx);

/* After the backward passes over all rows: the gradients of the biases that follow from others. Where
 * each time step shows one symbol, a sum over the symbols is the sum over the steps. gradients: of
 * all parameters, an arena. */
void layer_finish_gradients(
	struct layer *layer, const struct params *params, uint32_t l, float *gradients);

#endif

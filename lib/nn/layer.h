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
	float *dw_ih, *dw_hh, *db_ih, *db_hh; /* device; not owned; NULL for inference */
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

/* Says in which arena on the device its parameters lie; and where their gradients do, from that of
 * the first of them on, at the same distances. */
void layer_bind(struct layer *layer, const struct params *params, uint32_t l, float *weights);
void layer_bind_gradients(
	struct layer *layer, const struct params *params, uint32_t l, float *gradients);

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

/* Adds to the gradients what dh (T,N,H), the gradient of the outputs, implies, and overwrites dh
 * with the gradient of x (for one-hot inputs with nothing of use). Input as in the forward pass.
 * dc (N,H): scratch. */
void layer_backward(struct layer *layer, size_t T, size_t N, const uint32_t *ids, const float *x,
	float *dh, float *dc);

/* After the backward passes over all rows: the gradients of the biases that follow from others.
 * Where each time step shows one symbol, a sum over the symbols is the sum over the steps. */
void layer_finish_gradients(struct layer *layer);

#endif

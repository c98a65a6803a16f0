/* params.h: the one table of a model's parameters.
 *
 * It drives allocation, initialisation, files, tests and printing: parameters, gradients and the
 * two moments of Adam are each one flat arena of `total` floats, in which tensor i lies at
 * v[i].offset. */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include "base/error.h"
#include "nn/cell.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct param {
	char name[40];     /* PyTorch's: "lstm.weight_ih_l0" */
	size_t rows, cols; /* shape in files, row-major; a vector has cols 0 */
	size_t offset;     /* in floats; a multiple of 16 */
	size_t size;       /* in floats */
	size_t squares;    /* of (H,H) below each other, one for each gate; 0: it isn't of those */
	bool transposed;   /* lies in memory as (cols, rows): the first layer's input weights */
};

struct params {
	const struct cell *cell;        /* of every layer; not owned */
	uint32_t vocab, hidden, layers; /* V, H, L */
	size_t count;                   /* of tensors: 4 L + 2 */
	struct param *v;                /* (count); owned */
	size_t total;                   /* floats of an arena, padding between tensors included */
	size_t parameters;              /* without the padding: what people call the model's size */
};

enum {
	PARAMS_VOCAB_MAX = 1 << 16,
	PARAMS_HIDDEN_MAX = 1 << 16,
	PARAMS_LAYERS_MAX = 256,
};

/* Index of a layer's tensors in v[], and of the output layer's. */
enum {
	PARAM_W_IH, /* weight_ih_l: (GH,V) in files and (V,GH) in memory for layer 0, else (GH,H) */
	PARAM_W_HH, /* weight_hh_l: (GH,H) */
	PARAM_B_IH, /* bias_ih_l: (GH) */
	PARAM_B_HH, /* bias_hh_l: (GH) */
	PARAMS_PER_LAYER
};
static inline const struct param *params_layer(
	const struct params *p, uint32_t layer, unsigned which)
{
	return &p->v[PARAMS_PER_LAYER * layer + which];
}
static inline const struct param *params_fc_weight(const struct params *p) /* (V,H) */
{
	return &p->v[p->count - 2];
}
static inline const struct param *params_fc_bias(const struct params *p) /* (V) */
{
	return &p->v[p->count - 1];
}

/* Floats of one row's state: what all layers carry from step to step, (S,L,1,H), S being the cell's
 * states. */
static inline size_t params_state_size(const struct params *p)
{
	return p->cell->states * p->layers * p->hidden;
}

/* Builds the table; sizes checked (65 when out of range, 71 when no memory). */
int params_init(struct params *params, const struct cell *cell, uint64_t vocab, uint64_t hidden,
	uint64_t layers, struct error *err);
void params_release(struct params *params);

/* U(-b, b) with b = 1/sqrt(H) for every parameter of `arena` (host memory), as PyTorch's LSTM, GRU,
 * RNN and Linear have it; for the first layer's input weights b is `input_scale`, unless that is 0.
 * Padding becomes zero. Element e of tensor i, counted in the file's order, is (2 u - 1) b with b
 * rounded to float and u the upper 24 bits of a word over 2^24: word e % 4 of Philox with key
 * (seed, PHILOX_INIT, i) and counter (e / 4 low, e / 4 high, 0, 0). */
void params_initialise(
	const struct params *params, uint32_t seed, double input_scale, float *arena);

/* Copies tensor i between an arena and the file's layout (rows, cols). */
void params_to_file(const struct params *params, size_t i, const float *arena, float *file);
void params_from_file(const struct params *params, size_t i, const float *file, float *arena);

#endif

/* sampler.h: from logits to the next character: softmax at a temperature, the k largest kept,
 * renormalised, drawn. On the host. */
#ifndef NN_SAMPLER_H
#define NN_SAMPLER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct sampler {
	uint32_t vocab;     /* V */
	uint32_t top_k;     /* 1..V; V keeps all */
	double temperature; /* > 0 */
	uint32_t seed;
	double *p;       /* (V): scratch; owned */
	uint32_t *order; /* (V): scratch; owned */
};

/* top_k 0 or above V means V. */
int sampler_init(struct sampler *sampler, uint32_t vocab, uint32_t top_k, double temperature,
	uint32_t seed, struct error *err);
void sampler_release(struct sampler *sampler);

/* The probabilities (V) that draws follow: zero for what is not kept. Ties at the k-th place go to
 * the smaller id. */
const double *sampler_probabilities(struct sampler *sampler, const float *logits);

/* Draws for character `position` of text number `text`: a function of the logits, the seed and
 * these two alone. */
uint32_t sampler_draw(
	struct sampler *sampler, const float *logits, uint32_t text, uint64_t position);

#endif

/* sampler.h: from logits to the next character: softmax at a temperature, the likeliest kept,
 * renormalised, drawn. On the host.
 *
 * Kept are the top_k likeliest; of these the fewest whose share of the probability reaches top_p
 * (A. Holtzman et al.: The Curious Case of Neural Text Degeneration, 2020); of these the ones that
 * are at least min_p times as likely as the likeliest (Nguyen Nhat Minh et al.: Turning Up the
 * Heat, 2024). The likeliest is always kept; among equals the smaller id is the likelier. */
#ifndef NN_SAMPLER_H
#define NN_SAMPLER_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct sampler {
	uint32_t vocab;     /* V */
	uint32_t top_k;     /* 1..V; V keeps all */
	double top_p;       /* 0..1; 1 keeps all; may be set after sampler_init() */
	double min_p;       /* 0..1; 0 keeps all; likewise */
	double temperature; /* > 0 */
	uint32_t seed;
	double *p;       /* (V): scratch; owned */
	uint32_t *order; /* (V): scratch; owned */
};

/* top_k 0 or above V means V. temperature 0 is the limit: the likeliest alone, as with top_k 1. Of
 * top_p and min_p all is kept. */
int sampler_init(struct sampler *sampler, uint32_t vocab, uint32_t top_k, double temperature,
	uint32_t seed, struct error *err);
void sampler_release(struct sampler *sampler);

/* The probabilities (V) that draws follow: zero for what is not kept. */
const double *sampler_probabilities(struct sampler *sampler, const float *logits);

/* Draws for character `position` of text number `text`: a function of the logits, the seed and
 * these two alone. */
uint32_t sampler_draw(
	struct sampler *sampler, const float *logits, uint32_t text, uint64_t position);

/* The nats of `id` under the model itself: temperature 1, everything kept. */
double sampler_nats(const struct sampler *sampler, const float *logits, uint32_t id);

#endif

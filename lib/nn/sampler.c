/* sampler.c: from logits to the next character, in double and on the host. */
#include "nn/sampler.h"

#include "base/philox.h"

#include <math.h>
#include <stdlib.h>

int sampler_init(struct sampler *sampler, uint32_t vocab, uint32_t top_k, double temperature,
	uint32_t seed, struct error *err)
{
	*sampler = (struct sampler){.vocab = vocab,
		.top_k = temperature == 0              ? 1
			 : top_k == 0 || top_k > vocab ? vocab
						       : top_k,
		.top_p = 1,
		.temperature = temperature == 0 ? 1 : temperature,
		.seed = seed};
	sampler->p = malloc(vocab * sizeof *sampler->p);
	sampler->order = malloc(vocab * sizeof *sampler->order);
	if (!sampler->p || !sampler->order) {
		sampler_release(sampler);
		return error_memory(
			err, vocab * (sizeof(double) + sizeof(uint32_t)), "the sampler");
	}
	return 0;
}

void sampler_release(struct sampler *sampler)
{
	free(sampler->p);
	free(sampler->order);
	sampler->p = NULL;
	sampler->order = NULL;
}

/* A heap of the ids kept so far, the least likely at the root: the smaller logit, among equals the
 * larger id. */
static int less_likely(const float *logits, uint32_t a, uint32_t b)
{
	return logits[a] < logits[b] || (logits[a] == logits[b] && a > b);
}

static void sift_down(uint32_t *heap, uint32_t n, const float *logits)
{
	for (uint32_t at = 0, child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && less_likely(logits, heap[child + 1], heap[child]))
			child++;
		if (!less_likely(logits, heap[child], heap[at]))
			return;
		uint32_t id = heap[at];
		heap[at] = heap[child];
		heap[child] = id;
	}
}

static void sift_up(uint32_t *heap, uint32_t at, const float *logits)
{
	for (uint32_t parent; at > 0 && less_likely(logits, heap[at], heap[parent = (at - 1) / 2]);
		at = parent) {
		uint32_t id = heap[at];
		heap[at] = heap[parent];
		heap[parent] = id;
	}
}

/* Puts the ids of the top_k largest logits into order[0..top_k), in no particular order. */
static void select_top(struct sampler *sampler, const float *logits)
{
	uint32_t *heap = sampler->order, n = 0;
	for (uint32_t id = 0; id < sampler->vocab; id++) {
		if (n < sampler->top_k) {
			heap[n] = id;
			sift_up(heap, n++, logits);
		} else if (less_likely(logits, heap[0], id)) {
			heap[0] = id;
			sift_down(heap, n, logits);
		}
	}
}

/* Sorts order[0..top_k), a heap, the likeliest first. */
static void sort_top(struct sampler *sampler, const float *logits)
{
	uint32_t *heap = sampler->order;
	for (uint32_t n = sampler->top_k; n-- > 1;) {
		uint32_t id = heap[0];
		heap[0] = heap[n];
		heap[n] = id;
		sift_down(heap, n, logits);
	}
}

/* Takes the probability of what top_p and min_p don't keep; `sum` is that of all. Returns the sum
 * of what is left. */
static double drop_unlikely(struct sampler *sampler, const float *logits, double sum)
{
	double *p = sampler->p, kept = 0;
	sort_top(sampler, logits);
	double least = sampler->min_p * p[sampler->order[0]];
	for (uint32_t i = 0; i < sampler->top_k; i++) {
		uint32_t id = sampler->order[i];
		if (i > 0 && (kept >= sampler->top_p * sum || p[id] < least))
			p[id] = 0;
		kept += p[id];
	}
	return kept;
}

const double *sampler_probabilities(struct sampler *sampler, const float *logits)
{
	double max = -INFINITY, sum = 0, *p = sampler->p;
	select_top(sampler, logits);
	for (uint32_t id = 0; id < sampler->vocab; id++) {
		p[id] = 0;
		max = fmax(max, (double)logits[id]);
	}
	for (uint32_t i = 0; i < sampler->top_k; i++)
		p[sampler->order[i]] = 1;
	for (uint32_t id = 0; id < sampler->vocab; id++) {
		if (p[id] > 0)
			p[id] = exp(((double)logits[id] - max) / sampler->temperature);
		sum += p[id];
	}
	if (sampler->top_p < 1 || sampler->min_p > 0)
		sum = drop_unlikely(sampler, logits, sum);
	for (uint32_t id = 0; id < sampler->vocab; id++)
		p[id] /= sum;
	return p;
}

uint32_t sampler_draw(
	struct sampler *sampler, const float *logits, uint32_t text, uint64_t position)
{
	const double *p = sampler_probabilities(sampler, logits);
	uint32_t x[4] = {(uint32_t)position, (uint32_t)(position >> 32), text, 0};
	philox(x, philox_key(sampler->seed, PHILOX_SAMPLE, 0));
	/* 53 random bits: a number in [0, 1) as fine as a double. */
	double u = ((double)(x[0] >> 5) * 0x1p26 + (double)(x[1] >> 6)) * 0x1p-53;
	uint32_t last = 0;
	for (uint32_t id = 0; id < sampler->vocab; id++) {
		if (p[id] == 0)
			continue;
		if (u < p[id])
			return id;
		u -= p[id];
		last = id; /* rounding may leave a little of u behind the last one */
	}
	return last;
}

double sampler_nats(const struct sampler *sampler, const float *logits, uint32_t id)
{
	double max = -INFINITY, sum = 0;
	for (uint32_t i = 0; i < sampler->vocab; i++)
		max = fmax(max, (double)logits[i]);
	for (uint32_t i = 0; i < sampler->vocab; i++)
		sum += exp((double)logits[i] - max);
	/* cppcheck-suppress invalidFunctionArg ; the largest logit alone adds 1 */
	return max + log(sum) - (double)logits[id];
}

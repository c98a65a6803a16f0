/* numbers.h: repeatable random inputs, and how far a result is from what was expected. */
#ifndef TESTS_NUMBERS_H
#define TESTS_NUMBERS_H

#include "base/philox.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Word i of a stream: a function of the two alone. */
static inline uint32_t numbers_word(uint32_t stream, size_t i)
{
	uint32_t x[4] = {(uint32_t)i, stream};
	philox(x, (struct philox_key){{0x7e57}});
	return x[0];
}

/* Uniform in [-scale, scale). */
static inline void numbers_fill(float *x, size_t n, uint32_t stream, float scale)
{
	for (size_t i = 0; i < n; i++)
		x[i] = scale * (2 * philox_uniform(numbers_word(stream, i)) - 1);
}

/* Uniform in 0 .. below - 1. */
static inline void numbers_ids(uint32_t *x, size_t n, uint32_t stream, uint32_t below)
{
	for (size_t i = 0; i < n; i++)
		x[i] = numbers_word(stream, i) % below;
}

/* x with 8 significant bits, as bfloat16 has. */
static inline float numbers_bf16(float x)
{
	int exponent;
	frexpf(x, &exponent);
	return ldexpf(rintf(ldexpf(x, 8 - exponent)), exponent - 8);
}

static inline double numbers_rms(const double *x, size_t n)
{
	double squares = 0;
	for (size_t i = 0; i < n; i++)
		squares += x[i] * x[i];
	return n ? sqrt(squares / (double)n) : 0;
}

/* The largest |got - expected| / (|expected| + rms of expected): a relative error, in which a
 * number that is near zero by cancellation is measured by its neighbours. Infinite if something
 * that should be a number isn't. */
static inline double numbers_error(const float *got, const double *expected, size_t n)
{
	double rms = numbers_rms(expected, n), worst = 0;
	for (size_t i = 0; i < n; i++) {
		double difference = fabs((double)got[i] - expected[i]);
		if (difference == 0)
			continue;
		double error = difference / (fabs(expected[i]) + rms);
		if (!(error <= worst))
			worst = isnan(error) ? INFINITY : error;
	}
	return worst;
}

#endif

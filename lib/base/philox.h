/* philox.h: counter-based random numbers, Philox4x32-10.
 *
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: Parallel Random Numbers: As Easy as 1, 2, 3.
 * SC'11. There is no generator state: a number is a function of what it is for. Masks are therefore
 * the same on every device, for every number of threads and after every resume. */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

/* What a number is for: the upper part of the key. Values are part of what makes runs repeatable:
 * never renumber them. */
enum philox_purpose {
	PHILOX_INIT = 1,    /* initial weights */
	PHILOX_DROPOUT = 2, /* dropout masks */
	PHILOX_SAMPLE = 3,  /* draws of the sampler */
	PHILOX_INPUT = 4,   /* symbols that are hidden from a network in training */
};

struct philox_key {
	uint32_t word[2];
};

/* The key of one stream: `seed` as the user gave it, `layer` below 65536. */
static inline struct philox_key philox_key(
	uint32_t seed, enum philox_purpose purpose, uint32_t layer)
{
	return (struct philox_key){{seed, (uint32_t)purpose << 16 | layer}};
}

enum { PHILOX_ROUNDS = 10 };
#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

/* counter (4 words) to 4 random words, in place. */
static inline void philox(uint32_t x[4], struct philox_key key)
{
	uint32_t k0 = key.word[0], k1 = key.word[1];
	for (int round = 0; round < PHILOX_ROUNDS; round++) {
		uint64_t p0 = (uint64_t)PHILOX_M0 * x[0], p1 = (uint64_t)PHILOX_M1 * x[2];
		uint32_t y0 = (uint32_t)(p1 >> 32) ^ x[1] ^ k0;
		uint32_t y2 = (uint32_t)(p0 >> 32) ^ x[3] ^ k1;
		x[0] = y0, x[1] = (uint32_t)p1, x[2] = y2, x[3] = (uint32_t)p0;
		k0 += PHILOX_W0, k1 += PHILOX_W1;
	}
}

/* A random word as a number in [0, 1) with 24 bits. */
static inline float philox_uniform(uint32_t word)
{
	return (float)(word >> 8) * 0x1p-24f;
}

#endif

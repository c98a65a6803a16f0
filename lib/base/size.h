/* size.h: arithmetic on sizes that come from files: true on success, false on overflow. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool size_add(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

static inline bool size_mul(uint64_t a, uint64_t b, uint64_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

/* The smallest multiple of `unit` (a power of two) that is >= n; n must be below 2^64 - unit. */
static inline uint64_t size_align(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) & ~(unit - 1);
}

#endif

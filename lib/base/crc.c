/* crc.c: folding, as in V. Gopal et al.: Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
 * Instruction, Intel, 2009. What bytes are worth may be moved 128 or 512 bits on, by a product with
 * a constant, without changing the remainder; of long input 16 bytes are left, and zlib does the
 * rest. */
#include "base/crc.h"

#include <zlib.h>

#if defined __x86_64__
#include <immintrin.h>

enum { BLOCK = 16, LANES = 4, STRIDE = BLOCK * LANES };

#define FOLDING __attribute__((target("pclmul,sse4.1")))

FOLDING static inline __m128i load(const unsigned char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* x, moved on by as much as the factors say, on top of `next`. */
FOLDING static inline __m128i fold(__m128i x, __m128i factors, __m128i next)
{
	const __m128i low = _mm_clmulepi64_si128(x, factors, 0x00);
	const __m128i high = _mm_clmulepi64_si128(x, factors, 0x11);
	return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* n: a multiple of BLOCK, at least STRIDE. */
FOLDING static uint32_t crc_folded(uint32_t crc, const unsigned char *p, size_t n)
{
	/* x^(512+32), x^(512-32), x^(128+32), x^(128-32) modulo the polynomial, bits reversed. */
	const __m128i by_stride = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
	const __m128i by_block = _mm_set_epi64x(0xccaa009e, 0x1751997d0);
	const unsigned char *const end = p + n;
	unsigned char left[BLOCK];
	__m128i x[LANES];
	for (int i = 0; i < LANES; i++)
		x[i] = load(p + i * BLOCK);
	x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int32_t)~crc));
	for (p += STRIDE; end - p >= STRIDE; p += STRIDE)
		for (int i = 0; i < LANES; i++)
			x[i] = fold(x[i], by_stride, load(p + i * BLOCK));
	for (int i = 1; i < LANES; i++)
		x[0] = fold(x[0], by_block, x[i]);
	for (; p < end; p += BLOCK)
		x[0] = fold(x[0], by_block, load(p));
	_mm_storeu_si128((__m128i *)(void *)left, x[0]);
	return (uint32_t)crc32_z(UINT32_MAX, left, sizeof left); /* its register begins as 0 */
}

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	const size_t folded = n - n % BLOCK;
	if (folded < STRIDE || !__builtin_cpu_supports("pclmul") ||
		!__builtin_cpu_supports("sse4.1"))
		return (uint32_t)crc32_z(crc, p, n);
	return (uint32_t)crc32_z(crc_folded(crc, p, folded), p + folded, n - folded);
}

#else

uint32_t crc_add(uint32_t crc, const void *bytes, size_t n)
{
	return (uint32_t)crc32_z(crc, bytes, n);
}

#endif

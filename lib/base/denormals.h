/* denormals.h: floats next to zero, which are a hundred times slower than others on many processors and
 * carry nothing here. Every thread that computes floats does without them. */
#ifndef BASE_DENORMALS_H
#define BASE_DENORMALS_H

#include <stdint.h>
#if defined __SSE__
#include <xmmintrin.h>
#endif

/* Denormal floats are read and written as zero from now on in this thread; returns what to restore. */
static inline uint64_t denormals_flush(void)
{
#if defined __SSE__
	unsigned old = _mm_getcsr();
	_mm_setcsr(old | 0x8040); /* flush to zero, denormals are zero */
	return old;
#elif defined __aarch64__
	uint64_t old;
	__asm__ volatile("mrs %0, fpcr" : "=r"(old));
	__asm__ volatile("msr fpcr, %0" : : "r"(old | 1u << 24));
	return old;
#else
	return 0;
#endif
}

static inline void denormals_restore(uint64_t old)
{
#if defined __SSE__
	_mm_setcsr((unsigned)old);
#elif defined __aarch64__
	__asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
	(void)old;
#endif
}

#endif

/* device.h: the device that a test program tests: the CPU, or, compiled with TEST_CUDA, the GPU (or
 * its emulation, see tests/cuda). */
#ifndef TESTS_DEVICE_H
#define TESTS_DEVICE_H

#ifdef TEST_CUDA
#include "cuda/cuda.h"
#else
#include "cpu/cpu.h"
#endif

/* How many devices, each with another number of threads, must have the same bits. */
#ifdef TEST_CUDA
enum { DEVICES_COMPARED = 2 };
#else
enum { DEVICES_COMPARED = 4 };
#endif

/* NULL on failure. `threads` is for the CPU. */
static inline struct device *device_for_test(unsigned threads, struct error *err)
{
#ifdef TEST_CUDA
	(void)threads;
	return cuda_open(false, 0, err);
#else
	return cpu_open(threads, err);
#endif
}

/* Whether a row is the same bits among any rows: cuBLAS promises that for equal shapes only. */
static inline int rows_are_independent(void)
{
#ifdef TEST_CUDA
	return 0;
#else
	return 1;
#endif
}

#endif

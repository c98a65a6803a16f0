/* blas.h: OpenBLAS, loaded when it is needed first: by training alone. It takes longer to load than
 * a model takes to sample, and wants more memory than the other programs have. */
#ifndef CPU_BLAS_H
#define CPU_BLAS_H

#include "base/error.h"

#include <cblas.h>

struct blas {
	__typeof__(cblas_sgemm) *sgemm; /* runs in the thread that calls it */
	const char *kernel;             /* OpenBLAS's name of its code for this processor */
};

/* Loads it, once and for good, and has it take the memory that calls from `threads` threads at once
 * will need: it doesn't say when it gets none, and tries for ever. Status 69, 71. */
int blas_open(struct blas *blas, unsigned threads, struct error *err);

#endif

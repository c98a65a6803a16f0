/* kernels.h: the inner loops of lib/cpu, single-threaded, on parts of the data; one table of them
 * for each vector width.
 *
 * Each result element is computed by the same operations in the same order whatever the ranges are,
 * so the caller may cut work as it likes. Letters as in nn/ops.h. */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include "nn/ops.h"

#include <stddef.h>
#include <stdint.h>

/* Products with operands of one type. */
struct products {
	size_t (*bytes)(size_t k); /* of a column of k packed weights */

	/* A packed operand B (k,n): ceil(n / panel) panels, each (k,panel), or, of narrow numbers,
	 * ceil(k / 2) or ceil(k / 4) rows of words, filled up with zeros; for OPERAND_I8 what they
	 * hold is to be multiplied by `scale`, one factor a column, which other types leave alone.
	 * Packs panels first..last-1 from w: (k,n), or (n,k) if transposed. */
	void (*pack)(size_t k, size_t n, bool transposed, const float *w, size_t first, size_t last,
		float *scale, void *panels);

	/* y (rows,n) = x (rows,k) B (k,n) + what row r finds at base + r base_stride, in the
	 * columns of panels first..last-1 alone. base may be y. */
	void (*product)(size_t rows, size_t k, size_t n, const float *x, const float *scale,
		const void *panels, const float *base, size_t base_stride, size_t first,
		size_t last, float *y);
};

/* A part of time step t of a scan: its rows r0..r1-1, of which the units u0..u1-1. */
struct part {
	size_t t, r0, r1, u0, u1;
};

/* What is elementwise in a scan's time step. */
struct cell_kernels {
	/* From what goes into f to h[t+1] and c[t+1]. */
	void (*forward)(const struct scan *scan, const struct part *part);
	/* From dh[t], which is whole, to the gradient of what went in. dc: from that of c[t+1], 0 at
	 * the last step, to that of c[t]. Of dh[t-1] that part is added which doesn't come through
	 * W_hh. */
	void (*backward)(const struct scan *scan, const struct part *part);
};

struct kernels {
	const char *name;
	bool bf16;    /* has instructions for OPERAND_BF16; others multiply floats */
	size_t panel; /* columns of a panel of a packed operand */
	size_t rows;  /* rows that one pass over a panel serves best */
	struct products of[OPERAND_TYPES];

	/* c (m,n) += a (rows,m) transposed, times b (rows,n), which is packed as an operand, not
	 * transposed, in rows m0..m1-1 of c and the columns of panels first..last-1 of b. */
	void (*product_tn_f32)(size_t rows, size_t m, size_t n, const float *a, const void *b,
		size_t m0, size_t m1, size_t first, size_t last, float *c);

	/* The same of bfloat16, for the columns of a in panels
	 * first..last-1 and those of b from panel `from` on; both packed as operands of bfloat16,
	 * not transposed. */
	void (*product_tn_bf16)(size_t rows, size_t m, size_t n, const void *a, const void *b,
		size_t first, size_t last, size_t from, float *c);

	struct cell_kernels cells[CELL_TYPES];

	/* One row of H units: y = x times the mask of (row, t). */
	void (*dropout)(size_t H, const struct dropout *dropout, uint32_t row, uint32_t t,
		const float *x, float *y);

	/* As in ops.h, for `rows` rows. */
	void (*cross_entropy)(size_t rows, size_t vocab, float *logits, const uint32_t *targets,
		float scale, float *nats);

	void (*add)(size_t n, const float *x, float *y); /* y += x */
	/* To y (n), or, of ids, row ids[r] of y (-,stride), n columns of each row of x
	 * (rows,stride) are added, in the order of r; TARGET_NONE: none. */
	void (*add_rows)(size_t rows, size_t n, size_t stride, const float *x, const uint32_t *ids,
		float *y);
	/* y = x + bias1 + bias2; x and bias2 may be NULL. */
	void (*add_biases)(
		size_t n, const float *x, const float *bias1, const float *bias2, float *y);
	double (*sum)(size_t n, const float *x);
	double (*sum_squares)(size_t n, const float *x);

	/* Adam on n parameters: gradients times `scale` first; step_size = lr / (1 - beta1^step),
	 * and w = keep w - step_size m / (sqrt(v) / root_correction + epsilon), root_correction =
	 * sqrt(1 - beta2^step). */
	void (*adam)(size_t n, const struct adam_update *update, float scale, float step_size,
		float root_correction, float keep, float *w, const float *dw, float *m, float *v);
	/* As in ops.h; gradients times `scale` first. */
	void (*momentum)(size_t n, const struct adam_update *update, float scale, const float *dw,
		float *m, float *x);
	void (*mix)(size_t n, float a, float *y, float b, const float *x); /* y = a y + b x */

	/* y = f(x), for tests of vec.h. */
	void (*exp)(size_t n, const float *x, float *y);
	void (*sigmoid)(size_t n, const float *x, float *y);
	void (*tanh)(size_t n, const float *x, float *y);
};

/* The kernels for this machine's widest vectors. */
const struct kernels *kernels_best(void);

/* Those that run on this machine and are next to these in being good; NULL behind the last ones. */
const struct kernels *kernels_next(const struct kernels *kernels);

#endif

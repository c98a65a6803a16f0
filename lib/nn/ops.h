/* ops.h: what a compute device must be able to do.
 *
 * The model (model.c, layer.c, adam.c) is written once, over these functions; lib/cpu and lib/cuda
 * implement them. Dimensions have one letter each, here and everywhere:
 *
 *     N  rows of a batch        T  time steps of a window     V  symbols of the vocabulary
 *     H  units of a layer       L  layers            G  gates of the cell
 *
 * All matrices are row-major float; (T,N,H) means that t varies slowest. Pointers marked `device`
 * come from alloc() and may only be handed to these functions. Buffers may not overlap unless a
 * function says so.
 *
 * Operations are queued in the order of the calls; those that return void keep their first failure
 * until get() or put() reports it. On one device the results are a function of the
 * arguments alone: not of the number of threads, not of timing. */
#ifndef NN_OPS_H
#define NN_OPS_H

#include "base/error.h"
#include "base/philox.h"
#include "nn/cell.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ops;

struct device {
	const struct ops *ops;
	size_t row_block; /* the most rows to have in flight in one training step; 0: all */
	bool apart;       /* its memory is not the host's */
};

/* How an operand keeps its weights: fewer bytes are read faster, and say less. */
enum operand_type {
	OPERAND_F32,
	OPERAND_BF16, /* bfloat16, to which x is rounded too; sums are floats */
	OPERAND_F16,  /* IEEE 754 binary16, without its denormals; |x| < 2^15 */
	OPERAND_I8,   /* whole numbers -127..127, times one scale for each column of B; x, which is
			 within -1..1, is rounded to 127ths */
	OPERAND_TYPES
};

/* What rows x are mapped by, x B + bias1 + bias2: a weight matrix, or its transpose, in the form in
 * which the device multiplies fastest. The maker sets all but `packed`. */
struct operand {
	size_t k, n;     /* B is (k,n) */
	bool transposed; /* B = w transposed, w being (n,k); else B = w */
	bool trained;    /* product_tn() is asked for its weights' gradient */
	enum operand_type type;
	float *w; /* device; not owned; operand_seal may take it back */
	const float *bias1,
		*bias2; /* device, (n) each; not owned; NULL: none; bias2 only beside bias1 */
	void *packed;   /* device; its own form, of operand_bytes(); NULL where it has none */
};

/* A dropout mask. Units are numbered off in groups of 64: unit u of row r at time t is kept if
 * word (u % 64) / 16 of Philox(key, counter {u / 64 * 16 + u % 16, r, t, step}) is at least p
 * 2^32, and is then multiplied by 1 / (1 - p). (So that a vector of up to 16 words masks
 * neighbouring units.) */
struct dropout {
	double p; /* 0 <= p < 1; 0 copies */
	struct philox_key key;
	uint32_t step; /* optimizer steps done before */
};

/* The update of some parameters: Adam's, with the global-norm clip in front of it, as PyTorch computes
 * both, or one by momentum. */
struct adam_update {
	double lr, beta1, beta2, epsilon;
	double clip;   /* largest norm; 0: no clipping */
	double factor; /* of lr, for these parameters */
	double decay;  /* first they lose lr factor decay of themselves (AdamW) */
	double mix;    /* the share that the new weights have in their average */
	uint64_t step; /* this update's number, from 1 */
};

/* The iteration of orthogonalise(). */
#define ORTHOGONALISE_A 3.4445f
#define ORTHOGONALISE_B -4.7750f
#define ORTHOGONALISE_C 2.0315f
enum { ORTHOGONALISE_STEPS = 5 };

/* What a layer computes over time, by its cell's equations (cell.h, lstm.c, gru.c, rnn.c). All arrays
 * are on the device. */
struct scan {
	const struct cell *cell;
	size_t T, N, H;
	/* The operand of W_hh transposed, (H,GH), with b_hh if the cell keeps it apart; backward that
	 * of W_hh, (GH,H). */
	const struct operand *w_hh;
	float *gates;     /* (T,N,GH): a with the biases that belong to it; then as the cell says */
	float *recurrent; /* (T,N,GH): b, of a cell that keeps it apart; then its gradient */
	float *h, *c; /* (T+1,N,H): [0] is given, [1..T] are written; c NULL where there is none */
	/* Backward, h and c are read. Nothing is propagated into h[0] and c[0]. */
	float *dh; /* (T,N,H): gradient of h[1..T] from above in, whole gradient out */
	float *dc; /* (N,H): scratch */
};

/* No symbol. As a target it is not scored: its loss and its gradient are 0. */
#define TARGET_NONE UINT32_MAX

/* Whatever the calls of a sequence depend on. It is compared as a whole, so there is no padding. */
struct sequence_key {
	uint64_t kind, variant; /* the caller's numbers for them */
	const void *weights, *state, *optimizer;
	uint64_t rows, window, seed;
	double dropout[3];
};
_Static_assert(sizeof(struct sequence_key) ==
		       5 * sizeof(uint64_t) + 3 * sizeof(void *) + 3 * sizeof(double),
	"padding in a key");

/* Operations that come again and again in the same order: the same calls with the same arguments
 * whenever the key is the same, except for what lies in device memory, and for the numbers below,
 * which change from one training step to the next. */
struct sequence {
	struct sequence_key key;
	uint32_t step;           /* the step of every dropout in it */
	struct adam_update adam; /* lr, mix and step are those of every update in it */
};

struct ops {
	const char *name; /* "cpu", "cuda" */

	/* One line for people: threads, kernels, libraries. */
	void (*describe)(struct device *device, char *buf, size_t n);
	void (*release)(struct device *device); /* frees the device itself */

	/* Memory. alloc: `bytes` zero bytes, aligned to 64; NULL on failure (71). put and get
	 * copy from and to the host and return when that is done; -1 if anything queued before
	 * failed. */
	void *(*alloc)(struct device *device, size_t bytes, struct error *err);
	void (*free)(struct device *device, void *p);
	/* The same on the host, for what is copied to and from the device: in whatever memory
	 * that goes fastest. */
	void *(*host_alloc)(struct device *device, size_t bytes, struct error *err);
	void (*host_free)(struct device *device, void *p);
	/* Makes device memory of what memory_alloc() gave on the host (base/memory.h), content
	 * included, without a second copy where the device can. The host's is gone, even on
	 * failure. */
	void *(*adopt)(struct device *device, void *host, size_t bytes, struct error *err);
	int (*put)(
		struct device *device, void *to, const void *from, size_t bytes, struct error *err);
	int (*get)(
		struct device *device, void *to, const void *from, size_t bytes, struct error *err);
	void (*copy)(struct device *device, float *to, const float *from, size_t n);
	void (*zero)(struct device *device, float *x, size_t n);
	/* y (n) += x (n). */
	void (*add)(struct device *device, size_t n, const float *x, float *y);

	/* A device that spends long on taking orders may record a sequence and replay it. begin:
	 * true when the caller has to issue the operations, put, get, alloc and free not
	 * among them, and then to call end(); false when they are queued already. Sequences don't
	 * nest. Whatever free() frees, no recorded sequence uses afterwards. */
	bool (*begin)(struct device *device, const struct sequence *sequence);
	void (*end)(struct device *device);

	/* Products. operand_bytes: what `packed` takes (0: the device uses w as it is); 69 where
	 * the device doesn't know the type. operand_update must be called after the weights or
	 * biases changed and before the operand is used. operand_seal: the weights won't change any
	 * more, and nobody else reads w, whose memory a device that has packed it may give back. */
	int (*operand_bytes)(
		struct device *device, const struct operand *b, size_t *bytes, struct error *err);
	void (*operand_update)(struct device *device, struct operand *b);
	void (*operand_seal)(struct device *device, struct operand *b);

	/* y (rows,n) = x (rows,k) B (k,n) + bias1 + bias2. Row r of y depends on row r of x alone:
	 * not on `rows`, so that a text is sampled and scored the same by itself and in a batch.
	 * (cuBLAS may round differently for another number of rows: there the same holds to
	 * rounding only.) */
	void (*product)(struct device *device, size_t rows, const float *x, const struct operand *b,
		float *y);

	/* Makes ready for orthogonalise(), and for product_tn() of types other than OPERAND_BF16,
	 * which nothing calls before; harmless twice. Status 69, 71. */
	int (*prepare_gradients)(struct device *device, struct error *err);

	/* The gradient of an operand's weights, b being transposed and trained: dw (n,k) += dy
	 * (rows,n) transposed, times x (rows,k). OPERAND_BF16 rounds dy and x; other types are as F32. */
	void (*product_tn)(struct device *device, size_t rows, const float *dy, const float *x,
		const struct operand *b, float *dw);

	/* sum (n) += the sum of the rows of x (rows,n). */
	void (*column_sums)(
		struct device *device, size_t rows, size_t n, const float *x, float *sum);

	/* The one-hot product: y (rows,n) row r = table (V,n) row ids[r], plus bias1 (n) and bias2
	 * (n; may be NULL); TARGET_NONE: the biases alone. */
	void (*gather)(struct device *device, size_t rows, size_t n, const float *table,
		const uint32_t *ids /* device, (rows) */, const float *bias1, const float *bias2,
		float *y);
	/* Its gradient: table (V,n) row ids[r] += x (rows,n) row r, in the order of r;
	 * TARGET_NONE: none. */
	void (*scatter_add)(struct device *device, size_t rows, size_t n, size_t vocab,
		const float *x, const uint32_t *ids /* device, (rows) */, float *table);

	/* One layer over time, and back. */
	void (*scan_forward)(struct device *device, const struct scan *scan);
	void (*scan_backward)(struct device *device, const struct scan *scan);

	/* y (T,N,H) = x (T,N,H) times the mask of rows first_row .. first_row + N - 1. y may be
	 * x. */
	void (*dropout)(struct device *device, size_t T, size_t N, size_t H, size_t first_row,
		const struct dropout *dropout, const float *x, float *y);

	/* Softmax cross-entropy: nats (rows) = -log softmax(logits (rows,V))[targets]; if `scale`
	 * is not 0, logits are overwritten with their gradient, (softmax - one-hot) scale.
	 * TARGET_NONE: both 0. */
	void (*cross_entropy)(struct device *device, size_t rows, size_t vocab, float *logits,
		const uint32_t *targets /* device, (rows) */, float scale, float *nats);

	/* *total (device, one double) += the sum of x (n), or of its squares; accumulated in
	 * double. */
	void (*sum)(struct device *device, size_t n, const float *x, double *total);
	void (*sum_squares)(struct device *device, size_t n, const float *x, double *total);
	/* *total (device, one double) = the sum of x (device, n doubles), which is overwritten, in
	 * the order of tree.h. */
	void (*fold)(struct device *device, size_t n, double *x, double *total);

	/* Updates. dw (n) is first scaled by min(1, clip / (norm + 1e-6)), norm = sqrt(*squares);
	 * it stays as it was. Nothing changes unless the norm and *nats, the loss, are finite (both
	 * on the device).
	 *
	 * adam: w (n) by dw and the moments m and v. I. Loshchilov, F. Hutter: Decoupled Weight
	 * Decay Regularization, 2019, or without decay Adam. */
	void (*adam)(struct device *device, size_t n, const struct adam_update *update, float *w,
		const float *dw, float *m, float *v, const double *nats, const double *squares);
	/* momentum: m = beta1 m + (1 - beta1) dw, and, unless it is NULL, the direction x = beta1 m
	 * + (1 - beta1) dw, one step ahead as Nesterov has it. */
	void (*momentum)(struct device *device, size_t n, const struct adam_update *update,
		const float *dw, float *m, float *x, const double *nats, const double *squares);
	/* descend: w = (1 - lr factor decay) w - lr factor x; before that x becomes `to`, unless
	 * that is NULL. */
	void (*descend)(struct device *device, size_t n, const struct adam_update *update, float *w,
		float *x, const float *to, const double *nats, const double *squares);
	/* average += mix (w - average). */
	void (*average)(struct device *device, size_t n, const struct adam_update *update,
		const float *w, float *average, const double *nats, const double *squares);

	/* Brings each of `count` matrices x (count,n,n) near the orthogonal one that is nearest to
	 * it: its singular values to about 1 (0.7 to 1.2), by five steps of an iteration of Newton
	 * and Schulz, x = a x + (b A + c A A) x with A = x x^T, which starts from x over its
	 * Frobenius norm. K. Jordan et al.: Muon: An optimizer for hidden layers in neural
	 * networks, 2024. scratch: (3,count,n,n). OPERAND_BF16 may round the factors of the
	 * products, as Jordan does; other types are as F32. */
	void (*orthogonalise)(struct device *device, enum operand_type type, size_t count, size_t n,
		float *x, float *scratch);
};

#endif

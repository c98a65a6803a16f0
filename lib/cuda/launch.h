/* launch.h: what runs on the GPU besides cuBLAS, behind functions that C can call.
 *
 * Each function queues its work on a stream and returns the error of the launch. All pointers are
 * device pointers; letters and meanings are those of nn/ops.h. Every result element has one thread
 * that writes it, and every sum one order, chosen by the shape: there are no atomics, and the same
 * call gives the same bits each time. */
#ifndef CUDA_LAUNCH_H
#define CUDA_LAUNCH_H

#include "nn/cell.h"

#include <cuda_runtime_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What changes from one training step to the next. It lies in device memory, where a graph that was
 * recorded once finds the numbers of today. */
struct varying {
	uint32_t step;         /* of the dropout masks */
	float root_correction; /* of Adam: sqrt(1 - beta2^k) */
	float mix;             /* share of the weights in their average */
	double lr, step_size;  /* the rate; lr / (1 - beta1^k) */
};
cudaError_t launch_vary(cudaStream_t stream, struct varying values, struct varying *varying);

/* y (rows,n): row r = table row ids[r] + bias1 + bias2. Without table and ids: bias1 + bias2;
 * bias2 may be NULL. */
cudaError_t launch_gather(cudaStream_t stream, size_t rows, size_t n, const float *table,
	const uint32_t *ids, const float *bias1, const float *bias2, float *y);
cudaError_t launch_scatter_add(cudaStream_t stream, size_t rows, size_t n, size_t vocab,
	const float *x, const uint32_t *ids, float *table);
cudaError_t launch_column_sums(
	cudaStream_t stream, size_t rows, size_t n, const float *x, float *sum);

/* What is elementwise in a time step of struct scan, whose arrays begin here with that step. */
struct scan_step {
	size_t N, H;
	bool first, last; /* of the window: no step before is sent dh; dc is not read */
	float *gates, *recurrent;
	const float *h_old, *c_old;
	float *h, *c, *dh, *dc;
};
cudaError_t launch_cell_forward(cudaStream_t stream, enum cell_type cell, struct scan_step step);
/* Of the step before, dh has that part added which doesn't come through W_hh. */
cudaError_t launch_cell_backward(cudaStream_t stream, enum cell_type cell, struct scan_step step);

/* Units whose word is at least `threshold` are kept and scaled. y may be x. */
cudaError_t launch_dropout(cudaStream_t stream, size_t T, size_t N, size_t H, size_t first_row,
	const uint32_t key[2], uint32_t threshold, float scale, const struct varying *varying,
	const float *x, float *y);

cudaError_t launch_cross_entropy(cudaStream_t stream, size_t rows, size_t vocab, float *logits,
	const uint32_t *targets, float scale, float *nats);

/* *total += the sum of x (n), or of its squares. parts (SUM_PARTS): scratch. */
enum { SUM_PARTS = 1024 };
cudaError_t launch_sum(
	cudaStream_t stream, size_t n, bool squares, const float *x, double *parts, double *total);

/* y (n) += x (n). */
cudaError_t launch_add(cudaStream_t stream, size_t n, const float *x, float *y);
/* *total = the sum of the few doubles x (n), which are overwritten, in the order of nn/tree.h. */
cudaError_t launch_fold(cudaStream_t stream, size_t n, double *x, double *total);

/* What doesn't change: of struct adam_update; keep: 1 - beta. */
struct update_constants {
	double clip, factor, decay;
	float beta1, keep1, beta2, keep2, epsilon;
};
cudaError_t launch_adam(cudaStream_t stream, size_t n, struct update_constants constants,
	const struct varying *varying, float *w, const float *dw, float *m, float *v,
	const double *nats, const double *squares);
cudaError_t launch_momentum(cudaStream_t stream, size_t n, struct update_constants constants,
	const float *dw, float *m, float *x, const double *nats, const double *squares);
cudaError_t launch_descend(cudaStream_t stream, size_t n, struct update_constants constants,
	const struct varying *varying, float *w, float *x, const float *to, const double *nats,
	const double *squares);
cudaError_t launch_average(cudaStream_t stream, size_t n, const struct varying *varying,
	const float *w, float *average, const double *nats, const double *squares);
/* x (n) over the root of *squares. */
cudaError_t launch_normalise(cudaStream_t stream, size_t n, float *x, const double *squares);

#ifdef __cplusplus
}
#endif

#endif

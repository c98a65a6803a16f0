/* cuda.c: the operations of nn/ops.h as work queued on one CUDA stream.
 *
 * Nothing here waits for the GPU but put(), get() and free(). Calls that return void keep
 * the first failure; what would come after it is not queued, so that no weights are updated from
 * results that don't exist.
 *
 * Sequences: the first time a key is seen its operations run as they come, which loads the kernels
 * and lets cuBLAS choose; the second time they are captured into a CUDA graph, which is replayed
 * from then on. What changes between replays is kept in device memory (struct varying), and cuBLAS
 * has its workspace from the start, so that it allocates nothing while a graph is captured and
 * gives the same bits each time. */
#include "cuda/cuda.h"

#include "base/memory.h"
#include "cuda/launch.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORDINGS = 8,           /* sequences to be remembered */
	WORKSPACE = 32 << 20,     /* bytes for cuBLAS: what its guide asks for on Hopper */
	OLDEST_ARCHITECTURE = 75, /* compute capability 7.5, the oldest that CUDA 13 compiles for */
};

/* A sequence that was seen, and its graph if it was seen twice. */
struct recording {
	uint64_t used; /* when, on the device's own clock; 0: never */
	struct sequence_key key;
	cudaGraphExec_t graph;
};

struct cuda {
	struct device device; /* first: the device's pointer is the cuda's */
	cudaStream_t stream;
	cublasHandle_t blas;
	void *workspace;         /* device, (WORKSPACE) */
	double *parts;           /* device, (SUM_PARTS) */
	double *norm;            /* device, (1): of a matrix */
	struct varying *varying; /* device */
	int index;               /* which GPU it is */
	bool tf32;
	bool failed; /* `failure` waits to be reported */
	struct error failure;
	struct recording recordings[RECORDINGS];
	uint64_t clock;
	bool in_sequence;            /* between begin() and end() */
	struct recording *capturing; /* the same, when a graph is made */
};

static struct cuda *cuda_of(struct device *device)
{
	return (struct cuda *)device;
}

/* --- failures --------------------------------------------------------------------------------- */

static int cuda_error(struct error *err, cudaError_t error, const char *what)
{
	cudaGetLastError(); /* or the next call would be blamed for it */
	if (error == cudaErrorMemoryAllocation)
		return error_set(err, STATUS_NO_MEMORY, "out of GPU memory (%s)", what);
	return error_set(err, STATUS_NO_DEVICE, "the GPU failed (%s): %s: %s", what,
		cudaGetErrorName(error), cudaGetErrorString(error));
}

static int blas_error(struct error *err, cublasStatus_t status, const char *what)
{
	return error_set(err,
		status == CUBLAS_STATUS_ALLOC_FAILED ? STATUS_NO_MEMORY : STATUS_NO_DEVICE,
		"cuBLAS failed (%s): %s", what, cublasGetStatusString(status));
}

static void check(struct cuda *cuda, cudaError_t error, const char *what)
{
	if (error == cudaSuccess || cuda->failed)
		return;
	cuda_error(&cuda->failure, error, what);
	cuda->failed = true;
}

/* Queues work by `call` unless something queued before has failed. */
#define QUEUE(cuda, call, what) \
	do { \
		if (!(cuda)->failed) \
			check(cuda, call, what); \
	} while (0)

/* Waits for what is queued, and reports the first failure. */
static int finish(struct cuda *cuda, struct error *err)
{
	check(cuda, cudaStreamSynchronize(cuda->stream), "waiting for it");
	if (!cuda->failed)
		return 0;
	cuda->failed = false;
	*err = cuda->failure;
	return -1;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *cuda_alloc(struct device *device, size_t bytes, struct error *err)
{
	struct cuda *cuda = cuda_of(device);
	void *p = NULL;
	char what[64];
	snprintf(what, sizeof what, "%zu bytes for the model's arrays", bytes);
	cudaError_t error = cudaMalloc(&p, bytes > 0 ? bytes : 1);
	if (error == cudaSuccess)
		error = cudaMemsetAsync(p, 0, bytes, cuda->stream);
	if (error == cudaSuccess)
		return p;
	cuda_error(err, error, what);
	cudaFree(p);
	return NULL;
}

static void forget(struct cuda *cuda, struct recording *recording)
{
	if (recording->graph) {
		check(cuda, cudaStreamSynchronize(cuda->stream), "waiting for it");
		cudaGraphExecDestroy(recording->graph);
	}
	*recording = (struct recording){0};
}

static void cuda_free(struct device *device, void *p)
{
	struct cuda *cuda = cuda_of(device);
	if (!p)
		return;
	for (size_t i = 0; i < RECORDINGS; i++)
		forget(cuda, &cuda->recordings[i]);
	check(cuda, cudaFree(p), "freeing memory");
}

/* In pages that stay where they are, which the GPU reads and writes by itself. */
static void *cuda_host_alloc(struct device *device, size_t bytes, struct error *err)
{
	void *p = NULL;
	(void)device;
	const cudaError_t error = cudaMallocHost(&p, bytes > 0 ? bytes : 1);
	if (error != cudaSuccess) {
		cudaGetLastError();
		error_memory(err, bytes, "what goes to the GPU and back");
		return NULL;
	}
	return memset(p, 0, bytes);
}

static void cuda_host_free(struct device *device, void *p)
{
	check(cuda_of(device), cudaFreeHost(p), "freeing memory");
}

static int cuda_put(
	struct device *device, void *to, const void *from, size_t bytes, struct error *err)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda->stream),
		"copying to it");
	return finish(cuda, err);
}

static void *cuda_adopt(struct device *device, void *host, size_t bytes, struct error *err)
{
	void *p = cuda_alloc(device, bytes, err);
	if (p && cuda_put(device, p, host, bytes, err) < 0) {
		cuda_free(device, p);
		p = NULL;
	}
	memory_free(host);
	return p;
}

static int cuda_get(
	struct device *device, void *to, const void *from, size_t bytes, struct error *err)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda->stream),
		"copying from it");
	return finish(cuda, err);
}

static void cuda_copy(struct device *device, float *to, const float *from, size_t n)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda,
		cudaMemcpyAsync(to, from, n * sizeof *to, cudaMemcpyDeviceToDevice, cuda->stream),
		"copying");
}

static void cuda_zero(struct device *device, float *x, size_t n)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, cudaMemsetAsync(x, 0, n * sizeof *x, cuda->stream), "zeroing");
}

static void cuda_add(struct device *device, size_t n, const float *x, float *y)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_add(cuda->stream, n, x, y), "add");
}

/* --- sequences -------------------------------------------------------------------------------- */

/* Sends the numbers that vary to the device: those of a whole sequence in front of it, others
 * before each use. `update` may be NULL; its numbers are computed as for the CPU. */
static void vary(struct cuda *cuda, uint32_t step, const struct adam_update *update)
{
	struct varying values = {.step = step};
	if (update) {
		const double k = (double)update->step;
		values.lr = update->lr;
		values.mix = (float)update->mix;
		values.step_size = update->lr / (1 - pow(update->beta1, k));
		values.root_correction = (float)sqrt(1 - pow(update->beta2, k));
	}
	QUEUE(cuda, launch_vary(cuda->stream, values, cuda->varying), "passing arguments");
}

/* The recording of a key; if there is none, a new one in the place of the least recently used. */
static struct recording *find_recording(struct cuda *cuda, const struct sequence *sequence)
{
	struct recording *oldest = &cuda->recordings[0];
	for (size_t i = 0; i < RECORDINGS; i++) {
		struct recording *r = &cuda->recordings[i];
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-*): bits are meant */
		if (r->used && memcmp(&r->key, &sequence->key, sizeof r->key) == 0)
			return r;
		if (r->used < oldest->used)
			oldest = r;
	}
	forget(cuda, oldest);
	oldest->key = sequence->key;
	return oldest;
}

static bool cuda_begin(struct device *device, const struct sequence *sequence)
{
	struct cuda *cuda = cuda_of(device);
	struct recording *recording = find_recording(cuda, sequence);
	const bool seen = recording->used > 0;
	recording->used = ++cuda->clock;
	vary(cuda, sequence->step, sequence->adam.step > 0 ? &sequence->adam : NULL);
	if (recording->graph) {
		QUEUE(cuda, cudaGraphLaunch(recording->graph, cuda->stream), "replaying");
		return false;
	}
	cuda->in_sequence = true;
	if (seen && !cuda->failed) {
		QUEUE(cuda, cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal),
			"recording");
		cuda->capturing = cuda->failed ? NULL : recording;
	}
	return true;
}

/* Ends the capture, in any case, and makes what was captured fit for replay. */
static void end_capture(struct cuda *cuda, struct recording *recording)
{
	cudaGraph_t graph = NULL;
	cudaError_t error = cudaStreamEndCapture(cuda->stream, &graph);
	if (error == cudaSuccess && !cuda->failed)
		error = cudaGraphInstantiate(&recording->graph, graph, 0);
	check(cuda, error, "recording");
	if (graph)
		cudaGraphDestroy(graph);
}

static void cuda_end(struct device *device)
{
	struct cuda *cuda = cuda_of(device);
	struct recording *recording = cuda->capturing;
	cuda->in_sequence = false;
	cuda->capturing = NULL;
	if (!recording)
		return;
	end_capture(cuda, recording);
	QUEUE(cuda, cudaGraphLaunch(recording->graph, cuda->stream), "replaying");
}

/* --- products --------------------------------------------------------------------------------- */

/* None: cuBLAS takes the weights as they are. */
static int cuda_operand_bytes(
	struct device *device, const struct operand *b, size_t *bytes, struct error *err)
{
	(void)device;
	*bytes = 0;
	if (b->type == OPERAND_F32)
		return 0;
	return error_set(err, STATUS_NO_DEVICE,
		"the GPU multiplies numbers of 32 bits only; smaller ones need -D cpu");
}

static void cuda_operand_update(struct device *device, struct operand *b)
{
	(void)device, (void)b;
}

static void cuda_operand_seal(struct device *device, struct operand *b)
{
	(void)device, (void)b;
}

/* A matrix as a factor: (rows,cols), or that transposed. */
struct factor {
	const float *x;
	size_t cols; /* of x as it lies in memory */
	bool transposed;
};

/* c (m,n) = alpha a (m,k) b (k,n) + `keep` c, all row-major. cuBLAS counts by columns: to it each matrix
 * is its own transpose, and (a b) transposed is b transposed times a transposed: the factors change
 * places, and nothing else does. This is the one place that knows. */
static void multiply(struct cuda *cuda, size_t m, size_t n, size_t k, float alpha, struct factor a,
	struct factor b, float keep, float *c)
{
	if (cuda->failed || m == 0 || n == 0)
		return;
	const cublasStatus_t status = cublasSgemm_64(cuda->blas,
		b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
		(int64_t)n, (int64_t)m, (int64_t)k, &alpha, b.x, (int64_t)b.cols, a.x,
		(int64_t)a.cols, &keep, c, (int64_t)n);
	if (status == CUBLAS_STATUS_SUCCESS)
		return;
	blas_error(&cuda->failure, status, "a product");
	cuda->failed = true;
}

static void multiply_operand(struct cuda *cuda, size_t rows, const float *x,
	const struct operand *b, float keep, float *y)
{
	multiply(cuda, rows, b->n, b->k, 1, (struct factor){x, b->k, false},
		(struct factor){b->w, b->transposed ? b->k : b->n, b->transposed}, keep, y);
}

static void cuda_product(
	struct device *device, size_t rows, const float *x, const struct operand *b, float *y)
{
	struct cuda *cuda = cuda_of(device);
	if (b->bias1)
		QUEUE(cuda,
			launch_gather(cuda->stream, rows, b->n, NULL, NULL, b->bias1, b->bias2, y),
			"biases");
	multiply_operand(cuda, rows, x, b, b->bias1 ? 1 : 0, y);
}

static int cuda_prepare_gradients(struct device *device, struct error *err)
{
	(void)device, (void)err;
	return 0;
}

static void cuda_product_tn(struct device *device, size_t rows, const float *dy, const float *x,
	const struct operand *b, float *dw)
{
	multiply(cuda_of(device), b->n, b->k, rows, 1, (struct factor){dy, b->n, true},
		(struct factor){x, b->k, false}, 1, dw);
}

/* --- rows and columns ------------------------------------------------------------------------- */

static void cuda_column_sums(
	struct device *device, size_t rows, size_t n, const float *x, float *sum)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_column_sums(cuda->stream, rows, n, x, sum), "column_sums");
}

static void cuda_gather(struct device *device, size_t rows, size_t n, const float *table,
	const uint32_t *ids, const float *bias1, const float *bias2, float *y)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_gather(cuda->stream, rows, n, table, ids, bias1, bias2, y), "gather");
}

static void cuda_scatter_add(struct device *device, size_t rows, size_t n, size_t vocab,
	const float *x, const uint32_t *ids, float *table)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_scatter_add(cuda->stream, rows, n, vocab, x, ids, table), "scatter_add");
}

/* --- the scan --------------------------------------------------------------------------------- */

/* What kernels see of a scan's time step t. */
static struct scan_step step_of(const struct scan *scan, size_t t)
{
	const size_t step = scan->N * scan->H, at = t * step, G = scan->cell->gates;
	struct scan_step s = {.N = scan->N,
		.H = scan->H,
		.first = t == 0,
		.last = t + 1 == scan->T,
		.gates = scan->gates + G * at,
		.h_old = scan->h + at,
		.h = scan->h + at + step,
		.dc = scan->dc};
	if (scan->recurrent)
		s.recurrent = scan->recurrent + G * at;
	if (scan->c) {
		s.c_old = scan->c + at;
		s.c = scan->c + at + step;
	}
	if (scan->dh)
		s.dh = scan->dh + at;
	return s;
}

static void cuda_scan_forward(struct device *device, const struct scan *scan)
{
	struct cuda *cuda = cuda_of(device);
	const struct operand *w = scan->w_hh;
	if (scan->cell->apart)
		QUEUE(cuda,
			launch_gather(cuda->stream, scan->T * scan->N, w->n, NULL, NULL, w->bias1,
				NULL, scan->recurrent),
			"biases");
	for (size_t t = 0; t < scan->T; t++) {
		const struct scan_step s = step_of(scan, t);
		multiply_operand(
			cuda, scan->N, s.h_old, w, 1, scan->cell->apart ? s.recurrent : s.gates);
		QUEUE(cuda, launch_cell_forward(cuda->stream, scan->cell->type, s), "cell_forward");
	}
}

static void cuda_scan_backward(struct device *device, const struct scan *scan)
{
	struct cuda *cuda = cuda_of(device);
	for (size_t t = scan->T; t-- > 0;) {
		const struct scan_step s = step_of(scan, t);
		QUEUE(cuda, launch_cell_backward(cuda->stream, scan->cell->type, s),
			"cell_backward");
		if (t > 0)
			multiply_operand(cuda, scan->N, scan->cell->apart ? s.recurrent : s.gates,
				scan->w_hh, 1, s.dh - scan->N * scan->H);
	}
}

/* --- elementwise ------------------------------------------------------------------------------ */

static void cuda_dropout(struct device *device, size_t T, size_t N, size_t H, size_t first_row,
	const struct dropout *dropout, const float *x, float *y)
{
	struct cuda *cuda = cuda_of(device);
	if (dropout->p == 0) {
		if (x != y)
			cuda_copy(device, y, x, T * N * H);
		return;
	}
	if (!cuda->in_sequence)
		vary(cuda, dropout->step, NULL);
	QUEUE(cuda,
		launch_dropout(cuda->stream, T, N, H, first_row, dropout->key.word,
			(uint32_t)fmin(ceil(ldexp(dropout->p, 32)), UINT32_MAX),
			(float)(1 / (1 - dropout->p)), cuda->varying, x, y),
		"dropout");
}

static void cuda_cross_entropy(struct device *device, size_t rows, size_t vocab, float *logits,
	const uint32_t *targets, float scale, float *nats)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_cross_entropy(cuda->stream, rows, vocab, logits, targets, scale, nats),
		"cross_entropy");
}

static void cuda_sum(struct device *device, size_t n, const float *x, double *total)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_sum(cuda->stream, n, false, x, cuda->parts, total), "sum");
}

static void cuda_sum_squares(struct device *device, size_t n, const float *x, double *total)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_sum(cuda->stream, n, true, x, cuda->parts, total), "sum_squares");
}

static void cuda_fold(struct device *device, size_t n, double *x, double *total)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_fold(cuda->stream, n, x, total), "fold");
}

static struct update_constants constants_of(const struct adam_update *update)
{
	return (struct update_constants){.clip = update->clip,
		.factor = update->factor,
		.decay = update->decay,
		.beta1 = (float)update->beta1,
		.keep1 = (float)(1 - update->beta1),
		.beta2 = (float)update->beta2,
		.keep2 = (float)(1 - update->beta2),
		.epsilon = (float)update->epsilon};
}

static void cuda_adam(struct device *device, size_t n, const struct adam_update *update, float *w,
	const float *dw, float *m, float *v, const double *nats, const double *squares)
{
	struct cuda *cuda = cuda_of(device);
	if (!cuda->in_sequence)
		vary(cuda, 0, update);
	QUEUE(cuda,
		launch_adam(cuda->stream, n, constants_of(update), cuda->varying, w, dw, m, v, nats,
			squares),
		"adam");
}

static void cuda_momentum(struct device *device, size_t n, const struct adam_update *update,
	const float *dw, float *m, float *x, const double *nats, const double *squares)
{
	struct cuda *cuda = cuda_of(device);
	QUEUE(cuda, launch_momentum(cuda->stream, n, constants_of(update), dw, m, x, nats, squares),
		"momentum");
}

static void cuda_descend(struct device *device, size_t n, const struct adam_update *update,
	float *w, float *x, const float *to, const double *nats, const double *squares)
{
	struct cuda *cuda = cuda_of(device);
	if (!cuda->in_sequence)
		vary(cuda, 0, update);
	QUEUE(cuda,
		launch_descend(cuda->stream, n, constants_of(update), cuda->varying, w, x, to, nats,
			squares),
		"descend");
}

static void cuda_average(struct device *device, size_t n, const struct adam_update *update,
	const float *w, float *average, const double *nats, const double *squares)
{
	struct cuda *cuda = cuda_of(device);
	if (!cuda->in_sequence)
		vary(cuda, 0, update);
	QUEUE(cuda, launch_average(cuda->stream, n, cuda->varying, w, average, nats, squares),
		"average");
}

/* One (n,n) matrix x; scratch a, b, y. Returns where the result is: in x or in y. */
static float *orthogonalise_one(struct cuda *cuda, size_t n, float *x, float *a, float *b, float *y)
{
	for (int step = 0; step < ORTHOGONALISE_STEPS; step++) {
		multiply(cuda, n, n, n, 1, (struct factor){x, n, false},
			(struct factor){x, n, true}, 0, a);
		cuda_copy(&cuda->device, b, a, n * n);
		multiply(cuda, n, n, n, ORTHOGONALISE_C, (struct factor){a, n, false},
			(struct factor){a, n, false}, ORTHOGONALISE_B, b);
		cuda_copy(&cuda->device, y, x, n * n);
		multiply(cuda, n, n, n, 1, (struct factor){b, n, false},
			(struct factor){x, n, false}, ORTHOGONALISE_A, y);
		float *swap = x;
		x = y;
		y = swap;
	}
	return x;
}

static void cuda_orthogonalise(struct device *device, enum operand_type type, size_t count,
	size_t n, float *x, float *scratch)
{
	(void)type;
	struct cuda *cuda = cuda_of(device);
	const size_t size = n * n;
	for (; count > 0; count--, x += size) {
		QUEUE(cuda, cudaMemsetAsync(cuda->norm, 0, sizeof *cuda->norm, cuda->stream),
			"zeroing");
		cuda_sum_squares(device, size, x, cuda->norm);
		QUEUE(cuda, launch_normalise(cuda->stream, size, x, cuda->norm), "normalise");
		float *y =
			orthogonalise_one(cuda, n, x, scratch, scratch + size, scratch + 2 * size);
		if (y != x)
			cuda_copy(device, x, y, size);
	}
}

/* --- the device ------------------------------------------------------------------------------- */

static void cuda_describe(struct device *device, char *buf, size_t n)
{
	const struct cuda *cuda = cuda_of(device);
	struct cudaDeviceProp properties;
	int version = 0;
	if (cudaGetDeviceProperties(&properties, cuda->index) != cudaSuccess) {
		snprintf(buf, n, "cuda, a GPU that doesn't answer");
		return;
	}
	cublasGetVersion(cuda->blas, &version);
	snprintf(buf, n, "cuda, %s (sm_%d%d), cuBLAS %d, %s products", properties.name,
		properties.major, properties.minor, version, cuda->tf32 ? "TF32" : "fp32");
}

static void cuda_release(struct device *device)
{
	struct cuda *cuda = cuda_of(device);
	if (cuda->stream)
		cudaStreamSynchronize(cuda->stream);
	for (size_t i = 0; i < RECORDINGS; i++)
		forget(cuda, &cuda->recordings[i]);
	if (cuda->blas)
		cublasDestroy(cuda->blas);
	cudaFree(cuda->workspace);
	cudaFree(cuda->parts);
	cudaFree(cuda->norm);
	cudaFree(cuda->varying);
	if (cuda->stream)
		cudaStreamDestroy(cuda->stream);
	free(cuda);
}

static const struct ops cuda_ops = {
	.name = "cuda",
	.describe = cuda_describe,
	.release = cuda_release,
	.alloc = cuda_alloc,
	.free = cuda_free,
	.host_alloc = cuda_host_alloc,
	.host_free = cuda_host_free,
	.adopt = cuda_adopt,
	.put = cuda_put,
	.get = cuda_get,
	.copy = cuda_copy,
	.zero = cuda_zero,
	.add = cuda_add,
	.begin = cuda_begin,
	.end = cuda_end,
	.operand_bytes = cuda_operand_bytes,
	.operand_update = cuda_operand_update,
	.operand_seal = cuda_operand_seal,
	.product = cuda_product,
	.prepare_gradients = cuda_prepare_gradients,
	.product_tn = cuda_product_tn,
	.column_sums = cuda_column_sums,
	.gather = cuda_gather,
	.scatter_add = cuda_scatter_add,
	.scan_forward = cuda_scan_forward,
	.scan_backward = cuda_scan_backward,
	.dropout = cuda_dropout,
	.cross_entropy = cuda_cross_entropy,
	.sum = cuda_sum,
	.sum_squares = cuda_sum_squares,
	.fold = cuda_fold,
	.adam = cuda_adam,
	.momentum = cuda_momentum,
	.descend = cuda_descend,
	.average = cuda_average,
	.orthogonalise = cuda_orthogonalise,
};

/* The number of the GPU that stands at `index`; or -1, and what is missing for one to be used: driver,
 * device, or their age. */
static int find_gpu(unsigned index, struct error *err)
{
	int count = 0, driver = 0, major = 0, minor = 0;
	const cudaError_t error = cudaGetDeviceCount(&count);
	if (error == cudaErrorInsufficientDriver) {
		if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
			return error_set(err, STATUS_NO_DEVICE,
				"no GPU to use: no NVIDIA driver is installed");
		return error_set(err, STATUS_NO_DEVICE,
			"no GPU to use: the NVIDIA driver knows CUDA up to %d.%d, this needs %d.%d",
			driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
			CUDART_VERSION % 1000 / 10);
	}
	if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
		return error_set(err, STATUS_NO_DEVICE,
			"no GPU to use: the driver shows none (CUDA_VISIBLE_DEVICES may hide it)");
	if (error != cudaSuccess)
		return cuda_error(err, error, "looking for it");
	const int gpu = (int)(index % (unsigned)count);
	cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
	cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu);
	if (10 * major + minor < OLDEST_ARCHITECTURE)
		return error_set(err, STATUS_NO_DEVICE,
			"no GPU to use: this one has compute capability %d.%d, at least %d.%d is "
			"needed",
			major, minor, OLDEST_ARCHITECTURE / 10, OLDEST_ARCHITECTURE % 10);
	return gpu;
}

static int open_blas(struct cuda *cuda, struct error *err)
{
	cublasStatus_t status = cublasCreate(&cuda->blas);
	if (status == CUBLAS_STATUS_SUCCESS)
		status = cublasSetStream(cuda->blas, cuda->stream);
	/* After the stream: setting that takes the workspace away again. */
	if (status == CUBLAS_STATUS_SUCCESS)
		status = cublasSetWorkspace(cuda->blas, cuda->workspace, WORKSPACE);
	if (status == CUBLAS_STATUS_SUCCESS)
		status = cublasSetAtomicsMode(cuda->blas, CUBLAS_ATOMICS_NOT_ALLOWED);
	if (status == CUBLAS_STATUS_SUCCESS)
		status = cublasSetMathMode(
			cuda->blas, cuda->tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH);
	return status == CUBLAS_STATUS_SUCCESS ? 0 : blas_error(err, status, "starting it");
}

struct device *cuda_open(bool tf32, unsigned index, struct error *err)
{
	struct cuda *cuda = NULL;
	cudaError_t error;
	const int gpu = find_gpu(index, err);
	if (gpu < 0)
		return NULL;
	cuda = calloc(1, sizeof *cuda);
	if (!cuda) {
		error_memory(err, sizeof *cuda, "the device");
		return NULL;
	}
	cuda->device = (struct device){.ops = &cuda_ops, .apart = true};
	cuda->tf32 = tf32;
	cuda->index = gpu;
	if ((error = cudaSetDevice(gpu)) != cudaSuccess ||
		(error = cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking)) !=
			cudaSuccess) {
		cuda_error(err, error, "starting it");
		goto fail;
	}
	if ((error = cudaMalloc(&cuda->workspace, WORKSPACE)) != cudaSuccess) {
		cuda_error(err, error, "32 MiB for cuBLAS");
		goto fail;
	}
	if (!(cuda->parts = cuda_alloc(&cuda->device, SUM_PARTS * sizeof(double), err)) ||
		!(cuda->norm = cuda_alloc(&cuda->device, sizeof *cuda->norm, err)) ||
		!(cuda->varying = cuda_alloc(&cuda->device, sizeof(struct varying), err)) ||
		open_blas(cuda, err) < 0)
		goto fail;
	/* A kernel that doesn't run on this GPU says so here and not in the middle of the work. */
	vary(cuda, 0, NULL);
	if (finish(cuda, err) < 0)
		goto fail;
	return &cuda->device;
fail:
	cuda_release(&cuda->device);
	return NULL;
}

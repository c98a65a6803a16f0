/* kernels.cu: see launch.h.
 *
 * Products take nearly all the time of a training step, and cuBLAS has them; what is here moves
 * memory, so it is written for coalesced access and few launches, and otherwise kept plain. It is
 * compiled without contraction of a b + c, so that what isn't a long sum rounds as it does on the
 * CPU. The same text is compiled as C++ for the emulation under tests/cuda. */
#include "cuda/launch.h"

#include <cuda_runtime.h>

enum {
	THREADS = 256,  /* of a block that goes over elements or columns */
	TILE = 32,      /* columns of a block of column_sums, and its rows at a time */
	PER_THREAD = 8, /* ids that one thread of scatter_add looks at */
	CHUNK = THREADS * PER_THREAD,
	ROW_THREADS = 64,  /* of a block that has one row of logits */
	SUM_SHARE = 16,    /* numbers that a thread sums at least */
	PHILOX_LANES = 16, /* neighbouring units that one word of each of so many blocks masks */
	PHILOX_GROUP = 64, /* units that so many blocks mask */
};

/* --- launching -------------------------------------------------------------------------------- */

static size_t quotient_up(size_t a, size_t b)
{
	return (a + b - 1) / b;
}

template <typename... Parameters, typename... Arguments>
static cudaError_t launch(cudaStream_t stream, void (*kernel)(Parameters...), dim3 grid, dim3 block,
	Arguments... arguments)
{
	if (grid.x == 0)
		return cudaSuccess;
	cudaLaunchConfig_t config = {};
	config.gridDim = grid;
	config.blockDim = block;
	config.stream = stream;
	return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

static dim3 blocks_of(size_t count)
{
	return dim3(static_cast<unsigned>(count));
}

static __device__ size_t element()
{
	return static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/* The sum of the values of all of a block's `threads` threads (a power of two), for each of them;
 * `shared` has as many elements. The pairs are always the same ones. */
static __device__ double block_sum(double value, double *shared, unsigned threads)
{
	shared[threadIdx.x] = value;
	__syncthreads();
	for (unsigned half = threads / 2; half > 0; half /= 2) {
		if (threadIdx.x < half)
			shared[threadIdx.x] += shared[threadIdx.x + half];
		__syncthreads();
	}
	return shared[0];
}

/* --- what varies ------------------------------------------------------------------------------ */

static __global__ void vary(struct varying values, struct varying *varying)
{
	*varying = values;
}

cudaError_t launch_vary(cudaStream_t stream, struct varying values, struct varying *varying)
{
	return launch(stream, vary, dim3(1), dim3(1), values, varying);
}

/* --- rows and columns ------------------------------------------------------------------------- */

/* A block has one row. */
static __global__ void gather(size_t n, const float *table, const uint32_t *ids, const float *bias1,
	const float *bias2, float *y)
{
	const size_t row = blockIdx.x;
	const bool none = !table || ids[row] == UINT32_MAX;
	const float *const from = none ? nullptr : table + ids[row] * n;
	for (size_t j = threadIdx.x; j < n; j += blockDim.x) {
		const float sum = from ? from[j] + bias1[j] : bias1[j];
		y[row * n + j] = bias2 ? sum + bias2[j] : sum;
	}
}

cudaError_t launch_gather(cudaStream_t stream, size_t rows, size_t n, const float *table,
	const uint32_t *ids, const float *bias1, const float *bias2, float *y)
{
	return launch(
		stream, gather, blocks_of(rows), dim3(THREADS), n, table, ids, bias1, bias2, y);
}

/* A block has one symbol and THREADS columns. It lists, chunk by chunk, the rows that show the
 * symbol, in their order, then each thread adds up its column of them: the loads don't wait for
 * each other, and the sum is the one that a loop over all rows gives. */
static __global__ void scatter_add(
	size_t rows, size_t n, const float *x, const uint32_t *ids, float *table)
{
	__shared__ uint32_t list[CHUNK];
	__shared__ unsigned ends[THREADS]; /* where each thread's rows end in the list */
	const uint32_t symbol = blockIdx.x;
	const size_t column = static_cast<size_t>(blockIdx.y) * THREADS + threadIdx.x;
	float *const to = table + symbol * n + column;
	float sum = column < n ? *to : 0;
	for (size_t first = 0; first < rows; first += CHUNK) {
		const size_t mine = first + threadIdx.x * PER_THREAD;
		unsigned count = 0;
		for (size_t r = mine; r < mine + PER_THREAD && r < rows; r++)
			count += ids[r] == symbol;
		if (!__syncthreads_or(count > 0))
			continue;
		ends[threadIdx.x] = count;
		__syncthreads();
		for (unsigned distance = 1; distance < THREADS; distance *= 2) {
			const unsigned before =
				threadIdx.x >= distance ? ends[threadIdx.x - distance] : 0;
			__syncthreads();
			ends[threadIdx.x] += before;
			__syncthreads();
		}
		unsigned place = ends[threadIdx.x] - count;
		for (size_t r = mine; r < mine + PER_THREAD && r < rows; r++)
			if (ids[r] == symbol)
				list[place++] = static_cast<uint32_t>(r - first);
		__syncthreads();
		if (column < n) {
			const unsigned found = ends[THREADS - 1];
#pragma unroll 8
			for (unsigned k = 0; k < found; k++)
				sum += x[(first + list[k]) * n + column];
		}
		/* The next chunk's first barrier keeps its list from overtaking this one. */
	}
	if (column < n)
		*to = sum;
}

cudaError_t launch_scatter_add(cudaStream_t stream, size_t rows, size_t n, size_t vocab,
	const float *x, const uint32_t *ids, float *table)
{
	const dim3 grid(
		static_cast<unsigned>(vocab), static_cast<unsigned>(quotient_up(n, THREADS)));
	return launch(stream, scatter_add, grid, dim3(THREADS), rows, n, x, ids, table);
}

/* A block has TILE columns; its warps take every TILE-th row, and what they have is joined in
 * order. */
static __global__ void column_sums(size_t rows, size_t n, const float *x, float *sum)
{
	__shared__ float parts[TILE][TILE + 1]; /* + 1: no two threads of a warp in one bank */
	const size_t column = static_cast<size_t>(blockIdx.x) * TILE + threadIdx.x;
	float part = 0;
	if (column < n) {
#pragma unroll 4
		for (size_t r = threadIdx.y; r < rows; r += TILE)
			part += x[r * n + column];
	}
	parts[threadIdx.y][threadIdx.x] = part;
	__syncthreads();
	if (threadIdx.y > 0 || column >= n)
		return;
	for (unsigned y = 1; y < TILE; y++)
		part += parts[y][threadIdx.x];
	sum[column] += part;
}

cudaError_t launch_column_sums(
	cudaStream_t stream, size_t rows, size_t n, const float *x, float *sum)
{
	return launch(stream, column_sums, blocks_of(quotient_up(n, TILE)), dim3(TILE, TILE), rows,
		n, x, sum);
}

/* --- gates ------------------------------------------------------------------------------------ */

static __device__ float sigmoid(float x)
{
	return 1.f / (1.f + expf(-x));
}

/* A thread has one unit of one row. */
static __global__ void lstm_forward(struct scan_step s)
{
	const size_t at = element(), H = s.H;
	if (at >= s.N * H)
		return;
	float *const z = s.gates + at / H * 4 * H + at % H;
	const float i = sigmoid(z[0]), f = sigmoid(z[H]);
	const float g = tanhf(z[2 * H]), o = sigmoid(z[3 * H]);
	const float cell = fmaf(f, s.c_old[at], i * g);
	z[0] = i, z[H] = f, z[2 * H] = g, z[3 * H] = o;
	s.c[at] = cell;
	s.h[at] = o * tanhf(cell);
}

static __global__ void lstm_backward(struct scan_step s)
{
	const size_t at = element(), H = s.H;
	if (at >= s.N * H)
		return;
	float *const z = s.gates + at / H * 4 * H + at % H;
	const float i = z[0], f = z[H], g = z[2 * H], o = z[3 * H];
	const float tanh_c = tanhf(s.c[at]);
	const float d_h = s.dh[at];
	const float d_c = fmaf(d_h * o, 1.f - tanh_c * tanh_c, s.last ? 0.f : s.dc[at]);
	z[0] = d_c * g * i * (1.f - i);
	z[H] = d_c * s.c_old[at] * f * (1.f - f);
	z[2 * H] = d_c * i * (1.f - g * g);
	z[3 * H] = d_h * tanh_c * o * (1.f - o);
	s.dc[at] = d_c * f;
}

static __global__ void gru_forward(struct scan_step s)
{
	const size_t at = element(), H = s.H;
	if (at >= s.N * H)
		return;
	const size_t gate = at / H * 3 * H + at % H;
	float *const a = s.gates + gate;
	const float *const b = s.recurrent + gate;
	const float r = sigmoid(a[0] + b[0]), z = sigmoid(a[H] + b[H]);
	const float n = tanhf(fmaf(r, b[2 * H], a[2 * H]));
	a[0] = r, a[H] = z, a[2 * H] = n;
	s.h[at] = fmaf(z, s.h_old[at] - n, n);
}

static __global__ void gru_backward(struct scan_step s)
{
	const size_t at = element(), H = s.H;
	if (at >= s.N * H)
		return;
	const size_t gate = at / H * 3 * H + at % H;
	float *const a = s.gates + gate, *const b = s.recurrent + gate;
	const float r = a[0], z = a[H], n = a[2 * H], d_h = s.dh[at];
	const float d_n = d_h * (1.f - z) * (1.f - n * n);
	a[0] = b[0] = d_n * b[2 * H] * r * (1.f - r);
	a[H] = b[H] = d_h * (s.h_old[at] - n) * z * (1.f - z);
	a[2 * H] = d_n;
	b[2 * H] = d_n * r;
	if (!s.first) {
		float *const dh_old = s.dh + at - s.N * H;
		*dh_old = fmaf(d_h, z, *dh_old);
	}
}

static __global__ void rnn_forward(struct scan_step s)
{
	const size_t at = element();
	if (at < s.N * s.H)
		s.h[at] = tanhf(s.gates[at]);
}

static __global__ void rnn_backward(struct scan_step s)
{
	const size_t at = element();
	if (at < s.N * s.H)
		s.gates[at] = s.dh[at] * (1.f - s.h[at] * s.h[at]);
}

static cudaError_t launch_cell(
	cudaStream_t stream, void (*kernel)(struct scan_step), struct scan_step step)
{
	return launch(stream, kernel, blocks_of(quotient_up(step.N * step.H, THREADS)),
		dim3(THREADS), step);
}

cudaError_t launch_cell_forward(cudaStream_t stream, enum cell_type cell, struct scan_step step)
{
	static void (*const kernels[CELL_TYPES])(struct scan_step) = {
		lstm_forward, gru_forward, rnn_forward};
	return launch_cell(stream, kernels[cell], step);
}

cudaError_t launch_cell_backward(cudaStream_t stream, enum cell_type cell, struct scan_step step)
{
	static void (*const kernels[CELL_TYPES])(struct scan_step) = {
		lstm_backward, gru_backward, rnn_backward};
	return launch_cell(stream, kernels[cell], step);
}

/* --- dropout ---------------------------------------------------------------------------------- */

/* base/philox.h's philox(), for the device. */
static __device__ void philox(uint32_t x[4], uint32_t k0, uint32_t k1)
{
	for (int round = 0; round < 10; round++) {
		const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * x[0];
		const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * x[2];
		x[0] = static_cast<uint32_t>(p1 >> 32) ^ x[1] ^ k0;
		x[1] = static_cast<uint32_t>(p1);
		x[2] = static_cast<uint32_t>(p0 >> 32) ^ x[3] ^ k1;
		x[3] = static_cast<uint32_t>(p0);
		k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
	}
}

/* A thread has one block of random words: up to four units, PHILOX_LANES apart. `blocks` of them
 * make a row. */
static __global__ void dropout(size_t T, size_t N, size_t H, size_t first_row, size_t blocks,
	uint32_t k0, uint32_t k1, uint32_t threshold, float scale, const struct varying *varying,
	const float *x, float *y)
{
	const size_t at = element(), row = at / blocks, block = at % blocks;
	if (row >= T * N)
		return;
	uint32_t word[4] = {static_cast<uint32_t>(block),
		static_cast<uint32_t>(first_row + row % N), static_cast<uint32_t>(row / N),
		varying->step};
	philox(word, k0, k1);
	size_t u = block / PHILOX_LANES * PHILOX_GROUP + block % PHILOX_LANES;
	for (int w = 0; w < 4 && u < H; w++, u += PHILOX_LANES) {
		const float kept = x[row * H + u] * scale;
		y[row * H + u] = word[w] >= threshold ? kept : 0.f;
	}
}

cudaError_t launch_dropout(cudaStream_t stream, size_t T, size_t N, size_t H, size_t first_row,
	const uint32_t key[2], uint32_t threshold, float scale, const struct varying *varying,
	const float *x, float *y)
{
	const size_t blocks = quotient_up(H, PHILOX_GROUP) * PHILOX_LANES;
	return launch(stream, dropout, blocks_of(quotient_up(T * N * blocks, THREADS)),
		dim3(THREADS), T, N, H, first_row, blocks, key[0], key[1], threshold, scale,
		varying, x, y);
}

/* --- loss ------------------------------------------------------------------------------------- */

/* A block has one row of logits. What is no number stays none. */
static __global__ void cross_entropy(
	size_t vocab, float *logits, const uint32_t *targets, float scale, float *nats)
{
	__shared__ float maxima[ROW_THREADS];
	__shared__ double sums[ROW_THREADS];
	const size_t row = blockIdx.x;
	const uint32_t target = targets[row];
	float *const x = logits + row * vocab;
	if (target == UINT32_MAX) {
		for (size_t j = threadIdx.x; scale != 0 && j < vocab; j += ROW_THREADS)
			x[j] = 0;
		if (threadIdx.x == 0)
			nats[row] = 0;
		return;
	}
	float max = -INFINITY;
	for (size_t j = threadIdx.x; j < vocab; j += ROW_THREADS)
		max = x[j] > max || isnan(x[j]) ? x[j] : max;
	maxima[threadIdx.x] = max;
	__syncthreads();
	for (unsigned half = ROW_THREADS / 2; half > 0; half /= 2) {
		if (threadIdx.x < half) {
			const float other = maxima[threadIdx.x + half];
			if (other > maxima[threadIdx.x] || isnan(other))
				maxima[threadIdx.x] = other;
		}
		__syncthreads();
	}
	max = maxima[0];

	double part = 0;
	for (size_t j = threadIdx.x; j < vocab; j += ROW_THREADS)
		part += static_cast<double>(expf(x[j] - max));
	const double sum = block_sum(part, sums, ROW_THREADS);
	if (threadIdx.x == 0)
		nats[row] = static_cast<float>(
			log(sum) + static_cast<double>(max) - static_cast<double>(x[target]));
	if (scale == 0)
		return;
	__syncthreads(); /* x[target] was read */
	const float factor = static_cast<float>(static_cast<double>(scale) / sum);
	for (size_t j = threadIdx.x; j < vocab; j += ROW_THREADS)
		x[j] = expf(x[j] - max) * factor - (j == target ? scale : 0.f);
}

cudaError_t launch_cross_entropy(cudaStream_t stream, size_t rows, size_t vocab, float *logits,
	const uint32_t *targets, float scale, float *nats)
{
	return launch(stream, cross_entropy, blocks_of(rows), dim3(ROW_THREADS), vocab, logits,
		targets, scale, nats);
}

/* --- sums ------------------------------------------------------------------------------------- */

static __global__ void sum_part(size_t n, bool squares, const float *x, double *parts)
{
	__shared__ double shared[THREADS];
	const size_t stride = static_cast<size_t>(gridDim.x) * THREADS;
	double part = 0;
	for (size_t i = element(); i < n; i += stride) {
		const double value = static_cast<double>(x[i]);
		part += squares ? value * value : value;
	}
	const double sum = block_sum(part, shared, THREADS);
	if (threadIdx.x == 0)
		parts[blockIdx.x] = sum;
}

static __global__ void sum_join(size_t count, const double *parts, double *total)
{
	__shared__ double shared[THREADS];
	double part = 0;
	for (size_t i = threadIdx.x; i < count; i += THREADS)
		part += parts[i];
	const double sum = block_sum(part, shared, THREADS);
	if (threadIdx.x == 0)
		*total += sum;
}

cudaError_t launch_sum(
	cudaStream_t stream, size_t n, bool squares, const float *x, double *parts, double *total)
{
	size_t count = quotient_up(n, THREADS * SUM_SHARE);
	if (count > SUM_PARTS)
		count = SUM_PARTS;
	const cudaError_t error =
		launch(stream, sum_part, blocks_of(count), dim3(THREADS), n, squares, x, parts);
	if (error != cudaSuccess)
		return error;
	return launch(stream, sum_join, dim3(1), dim3(THREADS), count, parts, total);
}

static __global__ void add(size_t n, const float *x, float *y)
{
	const size_t i = element();
	if (i < n)
		y[i] += x[i];
}

cudaError_t launch_add(cudaStream_t stream, size_t n, const float *x, float *y)
{
	return launch(stream, add, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n, x, y);
}

static __global__ void fold(size_t n, double *x, double *total)
{
	for (size_t s = 1; s < n; s *= 2)
		for (size_t i = 0; i + s < n; i += 2 * s)
			x[i] += x[i + s];
	*total = n > 0 ? x[0] : 0;
}

cudaError_t launch_fold(cudaStream_t stream, size_t n, double *x, double *total)
{
	return launch(stream, fold, dim3(1), dim3(1), n, x, total);
}

/* --- updates ---------------------------------------------------------------------------------- */

/* What a whole block needs, which its first thread works out in double. */
struct update_block {
	float scale; /* of the gradients; NAN where nothing is to change */
	float keep, step_size;
};

static __device__ void begin_update(struct update_block *block,
	const struct update_constants &constants, const struct varying *varying, double step_size,
	const double *nats, const double *squares)
{
	if (threadIdx.x == 0) {
		const double norm = sqrt(*squares), clipped = constants.clip / (norm + 1e-6);
		const bool finite = isfinite(norm) && isfinite(*nats);
		const double scale = constants.clip > 0 && clipped < 1 ? clipped : 1;
		block->scale = finite ? static_cast<float>(scale) : NAN;
		block->step_size = static_cast<float>(step_size * constants.factor);
		if (varying)
			block->keep = static_cast<float>(
				1 - varying->lr * constants.factor * constants.decay);
	}
	__syncthreads();
}

static __global__ void adam(size_t n, struct update_constants constants,
	const struct varying *varying, float *w, const float *dw, float *m, float *v,
	const double *nats, const double *squares)
{
	__shared__ struct update_block block;
	begin_update(&block, constants, varying, varying->step_size, nats, squares);
	const size_t i = element();
	if (i >= n || isnan(block.scale))
		return;
	const float g = dw[i] * block.scale;
	const float m1 = m[i] * constants.beta1 + g * constants.keep1;
	const float v1 = v[i] * constants.beta2 + g * g * constants.keep2;
	m[i] = m1;
	v[i] = v1;
	w[i] = w[i] * block.keep -
	       block.step_size * m1 / (sqrtf(v1) / varying->root_correction + constants.epsilon);
}

cudaError_t launch_adam(cudaStream_t stream, size_t n, struct update_constants constants,
	const struct varying *varying, float *w, const float *dw, float *m, float *v,
	const double *nats, const double *squares)
{
	return launch(stream, adam, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n, constants,
		varying, w, dw, m, v, nats, squares);
}

static __global__ void momentum(size_t n, struct update_constants constants, const float *dw,
	float *m, float *x, const double *nats, const double *squares)
{
	__shared__ struct update_block block;
	begin_update(&block, constants, nullptr, 0, nats, squares);
	const size_t i = element();
	if (i >= n || isnan(block.scale))
		return;
	const float g = dw[i] * block.scale * constants.keep1;
	const float m1 = m[i] * constants.beta1 + g;
	m[i] = m1;
	if (x)
		x[i] = m1 * constants.beta1 + g;
}

cudaError_t launch_momentum(cudaStream_t stream, size_t n, struct update_constants constants,
	const float *dw, float *m, float *x, const double *nats, const double *squares)
{
	return launch(stream, momentum, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n,
		constants, dw, m, x, nats, squares);
}

static __global__ void descend(size_t n, struct update_constants constants,
	const struct varying *varying, float *w, float *x, const float *to, const double *nats,
	const double *squares)
{
	__shared__ struct update_block block;
	begin_update(&block, constants, varying, varying->lr, nats, squares);
	const size_t i = element();
	if (i >= n || isnan(block.scale))
		return;
	const float direction = to ? to[i] : x[i];
	x[i] = direction;
	w[i] = w[i] * block.keep - direction * block.step_size;
}

cudaError_t launch_descend(cudaStream_t stream, size_t n, struct update_constants constants,
	const struct varying *varying, float *w, float *x, const float *to, const double *nats,
	const double *squares)
{
	return launch(stream, descend, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n,
		constants, varying, w, x, to, nats, squares);
}

static __global__ void average(size_t n, const struct varying *varying, const float *w,
	float *average, const double *nats, const double *squares)
{
	const size_t i = element();
	if (i >= n || !isfinite(*squares) || !isfinite(*nats))
		return;
	const float mix = varying->mix;
	average[i] = average[i] * (1.f - mix) + w[i] * mix;
}

cudaError_t launch_average(cudaStream_t stream, size_t n, const struct varying *varying,
	const float *w, float *to, const double *nats, const double *squares)
{
	return launch(stream, average, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n,
		varying, w, to, nats, squares);
}

static __global__ void normalise(size_t n, float *x, const double *squares)
{
	const size_t i = element();
	if (i < n)
		x[i] *= static_cast<float>(1 / (sqrt(*squares) + 1e-12));
}

cudaError_t launch_normalise(cudaStream_t stream, size_t n, float *x, const double *squares)
{
	return launch(stream, normalise, blocks_of(quotient_up(n, THREADS)), dim3(THREADS), n, x,
		squares);
}

/* kernels.c: the inner loops, compiled once for each vector width; see kernels.h for what they do.
 *
 * KERNELS, the width's name, is defined by the Makefile. */
#include "cpu/kernels.h"

#include "base/philox.h"
#include "cpu/vec.h"

#include <math.h>

enum {
	PANEL = 2 * VL,
#if defined __AVX512F__
	ROWS = 8, /* 8 rows x 2 vectors are 16 of 32 registers */
#elif defined __AVX2__
	ROWS = 6, /* 12 of 16 */
#else
	ROWS = 4, /* 8 of 16 */
#endif
	DEPTH = 512, /* k at a time, so that a panel's part stays in the caches */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void pack(size_t k, size_t n, bool transposed, const float *w, size_t first, size_t last,
	float *packed)
{
	for (size_t p = first; p < last; p++) {
		float *panel = packed + p * k * PANEL;
		size_t columns = smaller(PANEL, n - p * PANEL);
		if (columns < PANEL)
			memset(panel, 0, k * PANEL * sizeof *panel);
		if (transposed) {
			/* Square blocks, so that both sides are read and written by cache lines. */
			for (size_t i0 = 0; i0 < k; i0 += VL)
				for (size_t j = 0; j < columns; j++)
					for (size_t i = i0; i < smaller(i0 + VL, k); i++)
						panel[i * PANEL + j] = w[(p * PANEL + j) * k + i];
		} else {
			for (size_t i = 0; i < k; i++)
				memcpy(panel + i * PANEL, w + i * n + p * PANEL,
					columns * sizeof *panel);
		}
	}
}

/* The micro-kernel: y = base + x B for `rows` <= ROWS rows and one panel, all sums in registers.
 * `rows` is a constant where this is inlined, or the sums would not stay there. */
static inline __attribute__((always_inline)) void panel_rows(size_t rows, size_t depth,
	const float *x, size_t x_stride, const float *panel, const float *base, size_t base_stride,
	float *y, size_t y_stride, size_t columns)
{
	vf sum[ROWS][2] = {{{0}}};
	for (size_t i = 0; i < depth; i++) {
		vf b0 = vload(panel + i * PANEL), b1 = vload(panel + i * PANEL + VL);
#pragma GCC unroll 8
		for (size_t r = 0; r < rows; r++) {
			vf a = vset(x[r * x_stride + i]);
			sum[r][0] = vfma(a, b0, sum[r][0]);
			sum[r][1] = vfma(a, b1, sum[r][1]);
		}
	}
	if (columns == PANEL) {
#pragma GCC unroll 8
		for (size_t r = 0; r < rows; r++) {
			const float *from = base + r * base_stride;
			float *to = y + r * y_stride;
			vstore(to, vload(from) + sum[r][0]);
			vstore(to + VL, vload(from + VL) + sum[r][1]);
		}
	} else {
		for (size_t r = 0; r < rows; r++)
			for (size_t j = 0; j < columns; j++)
				y[r * y_stride + j] =
					base[r * base_stride + j] + sum[r][j / VL][j % VL];
	}
}

static void product(size_t rows, size_t k, size_t n, const float *x, const float *packed,
	const float *base, size_t base_stride, size_t first, size_t last, float *y)
{
	for (size_t k0 = 0; k0 < k; k0 += DEPTH, base = y, base_stride = n) {
		size_t depth = smaller(DEPTH, k - k0);
		for (size_t p = first; p < last; p++) {
			const float *panel = packed + (p * k + k0) * PANEL;
			size_t columns = smaller(PANEL, n - p * PANEL);
			size_t r = 0;
			for (; r + ROWS <= rows; r += ROWS)
				panel_rows(ROWS, depth, x + r * k + k0, k, panel,
					base + r * base_stride + p * PANEL, base_stride,
					y + r * n + p * PANEL, n, columns);
#define REST(count) \
	case count: \
		panel_rows(count, depth, x + r * k + k0, k, panel, \
			base + r * base_stride + p * PANEL, base_stride, y + r * n + p * PANEL, n, \
			columns); \
		break
			switch (rows - r) {
				REST(1);
				REST(2);
				REST(3);
#if defined __AVX2__
				REST(4);
				REST(5);
#endif
#if defined __AVX512F__
				REST(6);
				REST(7);
#endif
			}
#undef REST
		}
	}
}

/* The gates of VL units (fewer at the end of a row): loads and stores of one width. */
static inline vf load(const float *p, size_t width)
{
	return width == VL ? vload(p) : vload_part(p, width);
}

static inline void store(float *p, vf x, size_t width)
{
	if (width == VL)
		vstore(p, x);
	else
		vstore_part(p, x, width);
}

static void lstm_forward(size_t rows, size_t H, size_t first, size_t last, float *gates,
	const float *c_old, float *c, float *h)
{
	for (size_t r = 0; r < rows; r++, gates += 4 * H, c_old += H, c += H, h += H)
		for (size_t u = first; u < last; u += VL) {
			size_t width = smaller(VL, last - u);
			vf i = vsigmoid(load(gates + u, width));
			vf f = vsigmoid(load(gates + H + u, width));
			vf g = vtanh(load(gates + 2 * H + u, width));
			vf o = vsigmoid(load(gates + 3 * H + u, width));
			vf cell = vfma(f, load(c_old + u, width), i * g);
			store(gates + u, i, width);
			store(gates + H + u, f, width);
			store(gates + 2 * H + u, g, width);
			store(gates + 3 * H + u, o, width);
			store(c + u, cell, width);
			store(h + u, o * vtanh(cell), width);
		}
}

static void lstm_backward(size_t rows, size_t H, size_t first, size_t last, float *gates,
	const float *c_old, const float *c, const float *dh, float *dc)
{
	for (size_t r = 0; r < rows; r++, gates += 4 * H, c_old += H, c += H, dh += H, dc += H)
		for (size_t u = first; u < last; u += VL) {
			size_t width = smaller(VL, last - u);
			vf i = load(gates + u, width), f = load(gates + H + u, width);
			vf g = load(gates + 2 * H + u, width), o = load(gates + 3 * H + u, width);
			vf tanh_c = vtanh(load(c + u, width)), d_h = load(dh + u, width);
			vf d_c = vfma(d_h * o, 1.f - tanh_c * tanh_c, load(dc + u, width));
			store(gates + u, d_c * g * i * (1.f - i), width);
			store(gates + H + u, d_c * load(c_old + u, width) * f * (1.f - f), width);
			store(gates + 2 * H + u, d_c * i * (1.f - g * g), width);
			store(gates + 3 * H + u, d_h * tanh_c * o * (1.f - o), width);
			store(dc + u, d_c * f, width);
		}
}

static void dropout(
	size_t H, const struct dropout *d, uint32_t row, uint32_t t, const float *x, float *y)
{
	const uint32_t threshold = (uint32_t)fmin(ceil(ldexp(d->p, 32)), UINT32_MAX);
	const vf scale = vset((float)(1 / (1 - d->p)));
	vu lane;
	for (uint32_t j = 0; j < VL; j++)
		lane[j] = j;
	/* VL Philox blocks at a time; their words mask VL neighbouring units each, 16 units apart.
	 */
	for (size_t block = 0; block / 16 * 64 < H; block += VL) {
		vu x0 = lane + (uint32_t)block;
		vu x1 = (vu){0} + row, x2 = (vu){0} + t, x3 = (vu){0} + d->step;
		uint32_t k0 = d->key.word[0], k1 = d->key.word[1];
		for (int round = 0; round < PHILOX_ROUNDS; round++) {
			vu low0 = x0 * PHILOX_M0, low1 = x2 * PHILOX_M1;
			vu high0 = vmulhi(x0, PHILOX_M0), high1 = vmulhi(x2, PHILOX_M1);
			x0 = high1 ^ x1 ^ k0;
			x1 = low1;
			x2 = high0 ^ x3 ^ k1;
			x3 = low0;
			k0 += PHILOX_W0, k1 += PHILOX_W1;
		}
		const vu words[4] = {x0, x1, x2, x3};
		for (size_t w = 0, u = block / 16 * 64 + block % 16; w < 4 && u < H; w++, u += 16) {
			size_t width = smaller(VL, H - u);
			vf kept = load(x + u, width) * scale;
			store(y + u, vselect(words[w] >= threshold, kept, (vf){0}), width);
		}
	}
}

static float row_max(size_t n, const float *x)
{
	float max = x[0];
	for (size_t i = 1; i < n; i++)
		max = x[i] > max || isnan(x[i]) ? x[i] : max;
	return max;
}

static void cross_entropy(
	size_t rows, size_t V, float *logits, const uint32_t *targets, float scale, float *nats)
{
	for (size_t r = 0; r < rows; r++, logits += V) {
		if (targets[r] == TARGET_NONE) {
			nats[r] = 0;
			if (scale != 0)
				memset(logits, 0, V * sizeof *logits);
			continue;
		}
		const float max = row_max(V, logits), target = logits[targets[r]];
		double sum = 0;
		for (size_t i = 0; i < V; i += VL) {
			size_t width = smaller(VL, V - i);
			vf e = vexp(load(logits + i, width) - max);
			for (size_t j = 0; j < width; j++)
				sum += (double)e[j];
			if (scale != 0)
				store(logits + i, e, width);
		}
		nats[r] = (float)(log(sum) + (double)max - (double)target);
		if (scale == 0)
			continue;
		const float factor = (float)((double)scale / sum);
		for (size_t i = 0; i < V; i++)
			logits[i] *= factor;
		logits[targets[r]] -= scale;
	}
}

static void add(size_t n, const float *x, float *y)
{
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		store(y + i, load(y + i, width) + load(x + i, width), width);
	}
}

/* Sums in double: LANES of them, joined in a fixed order, so that they are independent additions.
 */
enum { LANES = 16 };

static double join(const double lanes[LANES])
{
	double sum = 0;
	for (int j = 0; j < LANES; j++)
		sum += lanes[j];
	return sum;
}

static double sum(size_t n, const float *x)
{
	double lanes[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			lanes[j] += (double)x[i + j];
	for (; i < n; i++)
		lanes[i % LANES] += (double)x[i];
	return join(lanes);
}

static double sum_squares(size_t n, const float *x)
{
	double lanes[LANES] = {0};
	size_t i = 0;
	for (; i + LANES <= n; i += LANES)
		for (size_t j = 0; j < LANES; j++)
			lanes[j] += (double)x[i + j] * (double)x[i + j];
	for (; i < n; i++)
		lanes[i % LANES] += (double)x[i] * (double)x[i];
	return join(lanes);
}

static void adam(size_t n, const struct adam_update *update, float scale, float step_size,
	float root_correction, float *w, const float *dw, float *m, float *v)
{
	const float beta1 = (float)update->beta1, beta2 = (float)update->beta2;
	const float keep1 = (float)(1 - update->beta1), keep2 = (float)(1 - update->beta2);
	const float epsilon = (float)update->epsilon;
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		vf g = load(dw + i, width) * scale;
		vf m1 = load(m + i, width) * beta1 + g * keep1;
		vf v1 = load(v + i, width) * beta2 + g * g * keep2;
		store(m + i, m1, width);
		store(v + i, v1, width);
		store(w + i,
			load(w + i, width) -
				step_size * m1 / (vsqrt(v1) / root_correction + epsilon),
			width);
	}
}

#define MAP(function) \
	static void map_##function(size_t n, const float *x, float *y) \
	{ \
		for (size_t i = 0; i < n; i += VL) { \
			size_t width = smaller(VL, n - i); \
			store(y + i, v##function(load(x + i, width)), width); \
		} \
	}
MAP(exp)
MAP(sigmoid)
MAP(tanh)

#define STRING(x) #x
#define NAME(x) STRING(x)
#define TABLE(x) kernels_##x
#define EXPORT(x) TABLE(x)

extern const struct kernels EXPORT(KERNELS);
const struct kernels EXPORT(KERNELS) = {
	.name = NAME(KERNELS),
	.panel = PANEL,
	.rows = ROWS,
	.pack = pack,
	.product = product,
	.lstm_forward = lstm_forward,
	.lstm_backward = lstm_backward,
	.dropout = dropout,
	.cross_entropy = cross_entropy,
	.add = add,
	.sum = sum,
	.sum_squares = sum_squares,
	.adam = adam,
	.exp = map_exp,
	.sigmoid = map_sigmoid,
	.tanh = map_tanh,
};

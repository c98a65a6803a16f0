/* kernels.c: the inner loops, compiled once for each vector width; see kernels.h for what they do.
 *
 * KERNELS, the width's name, is defined by the Makefile. */
#include "cpu/kernels.h"

#include "base/philox.h"
#include "cpu/vec.h"

#include <float.h>
#include <math.h>

#if defined __AVX512F__ || defined __aarch64__
#define ROWS 8 /* 8 rows x 2 vectors are 16 of 32 registers */
#elif defined __AVX2__
#define ROWS 6 /* 12 of 16 */
#else
#define ROWS 4 /* 8 of 16 */
#endif

enum {
	PANEL = 2 * VL,
	GROUP = 4,          /* panels that one row takes at once */
	DEPTH = 512,        /* k at a time, so that a panel's part stays in the caches */
	COLUMNS = 2 * ROWS, /* of what is transposed, at a time */
	WIDTH = (COLUMNS + VL - 1) / VL * VL, /* of their rows: 32 KiB of stack at most */
	AHEAD = 16,         /* rows that are fetched so long before they are read */
	NARROW_ROWS = 16,   /* rows of x that are rounded at once, beside */
	NARROW_DEPTH = 256, /* words of each weight: 16 KiB of stack */
};

#define INLINED static inline __attribute__((always_inline))

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t quotient_up(size_t a, size_t b)
{
	return (a + b - 1) / b;
}

/* VL floats, or fewer at the end of a row. */
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

/* Asks for n numbers AHEAD rows behind x, if there are more than so many: the distance of rows is more
 * than processors guess. */
static inline void fetch_row(const float *x, size_t stride, size_t n, size_t rows)
{
	if (rows > AHEAD)
		for (size_t j = 0; j < n; j += 16)
			__builtin_prefetch(x + AHEAD * stride + j);
}

static size_t bytes_f32(size_t k)
{
	return k * sizeof(float);
}

/* `columns` of `stride` numbers in each of k rows, to rows of `width`, filled up with zeros. */
INLINED void pack_rows(
	size_t k, size_t stride, size_t columns, size_t width, const float *w, void *panel)
{
	for (size_t i = 0; i < k; i++, w += stride) {
		fetch_row(w, stride, columns, k - i);
		for (size_t j = 0; j < width; j += VL) {
			const size_t there = columns > j ? smaller(VL, columns - j) : 0;
			vstore((float *)panel + i * width + j,
				there > 0 ? load(w + j, there) : (vf){0});
		}
	}
}

static void pack_f32(size_t k, size_t n, bool transposed, const float *w, size_t first, size_t last,
	float *scale, void *panels)
{
	(void)scale;
	for (size_t p = first; p < last; p++) {
		float *panel = (float *)panels + p * k * PANEL;
		const size_t columns = smaller(PANEL, n - p * PANEL);
		if (!transposed) {
			pack_rows(k, n, columns, PANEL, w + p * PANEL, panel);
			continue;
		}
		if (columns < PANEL)
			memset(panel, 0, k * PANEL * sizeof *panel);
		/* Square blocks, so that both sides are read and written by cache lines. */
		for (size_t i0 = 0; i0 < k; i0 += VL)
			for (size_t j = 0; j < columns; j++)
				for (size_t i = i0; i < smaller(i0 + VL, k); i++)
					panel[i * PANEL + j] = w[(p * PANEL + j) * k + i];
	}
}

/* n floats to pairs of bfloat16; zero beside the last one of an odd number. */
static void narrow_bf16(size_t n, const float *x, uint32_t *pairs)
{
	size_t i = 0;
	for (; i + 2 * VL <= n; i += 2 * VL)
		vstore_bf16(pairs + i / 2, vload(x + i), vload(x + i + VL));
	if (i < n) {
		float rest[2 * VL] = {0};
		uint32_t narrow[VL];
		memcpy(rest, x + i, (n - i) * sizeof *x);
		vstore_bf16(narrow, vload(rest), vload(rest + VL));
		memcpy(pairs + i / 2, narrow, quotient_up(n - i, 2) * sizeof *narrow);
	}
}

/* n floats to as many, an even number, that are as much larger as halves are smaller. */
static void narrow_f16(size_t n, const float *x, uint32_t *words)
{
	for (size_t i = 0; i < n; i += VL) {
		const size_t width = smaller(VL, n - i);
		store((float *)words + i, load(x + i, width) * HALF_SCALE, width);
	}
	if (n % 2)
		words[n] = 0;
}

static size_t bytes_16(size_t k)
{
	return quotient_up(k, 2) * sizeof(uint32_t);
}

/* Two rows of B, one above the other, in one row of words. */
INLINED void pack_pairs(vu (*narrow)(vf), size_t k, size_t n, bool transposed, const float *w,
	size_t first, size_t last, void *panels)
{
	const size_t words = quotient_up(k, 2);
	for (size_t p = first; p < last; p++) {
		uint32_t *panel = (uint32_t *)panels + p * words * PANEL;
		const size_t columns = smaller(PANEL, n - p * PANEL);
		if (columns < PANEL)
			memset(panel, 0, words * PANEL * sizeof *panel);
		for (size_t i0 = 0; transposed && i0 < words; i0 += VL)
			for (size_t j = 0; j < columns; j++) {
				const float *row = w + (p * PANEL + j) * k + 2 * i0;
				const size_t left = k - 2 * i0;
				uint32_t pairs[VL];
				vstore_low(pairs, narrow(load(row, smaller(VL, left))),
					left > VL ? narrow(load(row + VL, smaller(VL, left - VL)))
						  : (vu){0});
				for (size_t i = i0; i < smaller(i0 + VL, words); i++)
					panel[i * PANEL + j] = pairs[i - i0];
			}
		for (size_t i = 0; !transposed && i < words; i++)
			for (size_t j = 0; j < columns; j += VL) {
				const float *even = w + 2 * i * n + p * PANEL + j;
				const size_t width = smaller(VL, columns - j);
				vu pair = narrow(load(even, width));
				if (2 * i + 1 < k)
					pair |= narrow(load(even + n, width)) << 16;
				memcpy(panel + i * PANEL + j, &pair, sizeof pair);
			}
	}
}

static void pack_bf16(size_t k, size_t n, bool transposed, const float *w, size_t first,
	size_t last, float *scale, void *panels)
{
	(void)scale;
	pack_pairs(vbf16, k, n, transposed, w, first, last, panels);
}

static vu clamped_half(vf x)
{
	return vhalf(vclamp(x, -HALF_MAX, HALF_MAX));
}

static void pack_f16(size_t k, size_t n, bool transposed, const float *w, size_t first, size_t last,
	float *scale, void *panels)
{
	(void)scale;
	pack_pairs(clamped_half, k, n, transposed, w, first, last, panels);
}

/* n numbers within -1..1 to groups of four bytes; zeros behind the last one. */
static void narrow_i8(size_t n, const float *x, uint32_t *words)
{
	uint8_t *bytes = (uint8_t *)words;
	size_t i = 0;
	for (; i + VL <= n; i += VL)
		vstore_bytes(bytes + i, vload(x + i));
	if (i < n) {
		uint8_t rest[VL];
		vstore_bytes(rest, vload_part(x + i, n - i));
		memcpy(bytes + i, rest, quotient_up(n - i, 4) * 4);
	}
}

/* A panel is cut into parts of NARROW_DEPTH words; before each stands what its sums start from, to
 * make up for BYTE_OFFSET. */
static size_t bytes_i8(size_t k)
{
	const size_t words = quotient_up(k, 4);
	return (words + quotient_up(words, NARROW_DEPTH)) * sizeof(uint32_t);
}

static void pack_i8(size_t k, size_t n, bool transposed, const float *w, size_t first, size_t last,
	float *scale, void *panels)
{
	const size_t along = transposed ? 1 : n;
	for (size_t j = first * PANEL; j < last * PANEL; j++) {
		const float *column = w + (transposed ? j * k : j);
		const size_t rows = j < n ? k : 0;
		int8_t *to = (int8_t *)panels + j / PANEL * PANEL * bytes_i8(k) + j % PANEL * 4;
		float max = FLT_MIN * INT8_MAX;
		for (size_t i = 0; i < rows; i++)
			max = fmaxf(max, fabsf(column[i * along]));
		max /= INT8_MAX;
		scale[j] = max / INT8_MAX; /* x is in 127ths, too */
		for (size_t i0 = 0; i0 < k; i0 += 4 * NARROW_DEPTH) {
			int8_t *const head = to;
			int32_t sum = 0;
			for (size_t i = i0; i < smaller(i0 + 4 * NARROW_DEPTH, k); i += 4) {
				to += 4 * PANEL;
				for (size_t byte = 0; byte < 4; byte++) {
					const bool there = i + byte < rows;
					const float x = there ? column[(i + byte) * along] : 0;
					to[byte] = (int8_t)lrintf(x / max);
					sum -= BYTE_OFFSET * to[byte];
				}
			}
			memcpy(head, &sum, sizeof sum);
			to += 4 * PANEL;
		}
	}
}

/* Products are written once for all types of weights: `type` is a constant where these are inlined,
 * as `rows` is, or the sums would not stay in registers. */

/* Word i of packed weights: a float, two numbers of 16 bits, or four of 8. */
INLINED const void *word_at(const void *panels, size_t i)
{
	return (const uint32_t *)panels + i;
}

INLINED vf spread(const void *x, size_t i)
{
	return (vf)vset_word(((const uint32_t *)x)[i]);
}

/* What sums start from: in a panel of OPERAND_I8 that stands before the weights. */
INLINED vf start(enum operand_type type, const void *panel)
{
	return type == OPERAND_I8 ? vload(panel) : (vf){0};
}

INLINED size_t head(enum operand_type type)
{
	return type == OPERAND_I8 ? PANEL : 0;
}

/* Words of x beside a word of weights: numbers of OPERAND_F16 are multiplied as floats. */
INLINED size_t words_of_x(enum operand_type type)
{
	return type == OPERAND_F16 ? 2 : 1;
}

/* sum + words i of x, times a word of weights. The sums of OPERAND_I8 are whole numbers. */
INLINED vf multiply_add(enum operand_type type, const void *x, size_t i, vf b, vf sum)
{
	const vf a = spread(x, i);
	switch (type) {
	case OPERAND_BF16:
		return vdot_bf16((vu)a, (vu)b, sum);
	case OPERAND_F16:
		sum = vfma(a, vhalf_low((vu)b), sum);
		return vfma(spread(x, i + 1), vhalf_high((vu)b), sum);
	case OPERAND_I8:
		return (vf)vdot_bytes((vu)a, (vu)b, (vi)sum);
	default:
		return vfma(a, b, sum);
	}
}

/* base + sum from number i on, the sum scaled where the weights are; elsewhere there is no scale. */
INLINED vf finished(enum operand_type type, vf sum, const float *scale, const float *base, size_t i)
{
	if (type == OPERAND_I8)
		sum = __builtin_convertvector((vi)sum, vf) * vload(scale + i);
	return vload(base + i) + sum;
}

/* The micro-kernel: y = base + x B for `rows` <= ROWS rows and one panel, all sums in registers.
 * Number i of row r of x lies at r x_stride + i x_step. */
INLINED void rows_of_panel(enum operand_type type, size_t rows, size_t depth, const void *x,
	size_t x_stride, size_t x_step, const float *scale, const void *panel, const float *base,
	size_t base_stride, float *y, size_t y_stride, size_t columns)
{
	vf sum[ROWS][2];
#pragma GCC unroll 8
	for (size_t r = 0; r < rows; r++) {
		/* Often y is base, too, and in no cache. */
		__builtin_prefetch(y + r * y_stride);
		__builtin_prefetch(y + r * y_stride + VL);
		sum[r][0] = start(type, panel);
		sum[r][1] = start(type, (const float *)panel + VL);
	}
	panel = word_at(panel, head(type));
	for (size_t i = 0; i < depth; i++) {
		const vf b0 = vload(word_at(panel, i * PANEL));
		const vf b1 = vload(word_at(panel, i * PANEL + VL));
#pragma GCC unroll 8
		for (size_t r = 0; r < rows; r++) {
			const size_t at = r * x_stride + i * x_step;
			sum[r][0] = multiply_add(type, x, at, b0, sum[r][0]);
			sum[r][1] = multiply_add(type, x, at, b1, sum[r][1]);
		}
	}
	if (columns == PANEL) {
#pragma GCC unroll 8
		for (size_t r = 0; r < rows; r++) {
			const float *from = base + r * base_stride;
			float *to = y + r * y_stride;
			vstore(to, finished(type, sum[r][0], scale, from, 0));
			vstore(to + VL, finished(type, sum[r][1], scale, from, VL));
		}
		return;
	}
#pragma GCC unroll 8
	for (size_t r = 0; r < rows; r++) {
		float row[PANEL] = {0};
		memcpy(row, base + r * base_stride, columns * sizeof *row);
		vstore(row, finished(type, sum[r][0], scale, row, 0));
		vstore(row + VL, finished(type, sum[r][1], scale, row, VL));
		memcpy(y + r * y_stride, row, columns * sizeof *row);
	}
}

/* One row has too few sums in one panel to keep the multipliers busy: it takes GROUP panels, each
 * `stride` weights long, at once. */
INLINED void row_of_panels(enum operand_type type, size_t depth, const void *x, const float *scale,
	const void *panels, size_t stride, const float *base, float *y)
{
	vf sum[GROUP][2];
#pragma GCC unroll 8
	for (size_t p = 0; p < GROUP; p++) {
		const void *panel = word_at(panels, p * stride);
		sum[p][0] = start(type, panel);
		sum[p][1] = start(type, (const float *)panel + VL);
	}
	panels = word_at(panels, head(type));
	for (size_t i = 0; i < depth; i++) {
#pragma GCC unroll 8
		for (size_t p = 0; p < GROUP; p++) {
			const float *at = word_at(panels, p * stride + i * PANEL);
			const size_t word = i * words_of_x(type);
			sum[p][0] = multiply_add(type, x, word, vload(at), sum[p][0]);
			sum[p][1] = multiply_add(type, x, word, vload(at + VL), sum[p][1]);
		}
	}
#pragma GCC unroll 8
	for (size_t p = 0; p < GROUP; p++, y += PANEL) {
		vstore(y, finished(type, sum[p][0], scale, base, p * PANEL));
		vstore(y + VL, finished(type, sum[p][1], scale, base, p * PANEL + VL));
	}
}

/* y (rows,n) = base + x (rows,depth) B for panels first..last-1 of B, `stride` weights each. */
INLINED void rows_of_panels(enum operand_type type, size_t rows, size_t depth, size_t n,
	const void *x, size_t x_stride, size_t x_step, const float *scale, const void *panels,
	size_t stride, const float *base, size_t base_stride, size_t first, size_t last, float *y)
{
	size_t p = first;
	if (rows == 1 && x_step == words_of_x(type))
		for (; p + GROUP <= last && (p + GROUP) * PANEL <= n; p += GROUP)
			row_of_panels(type, depth, x, scale + p * PANEL,
				word_at(panels, p * stride), stride, base + p * PANEL,
				y + p * PANEL);
	for (; p < last; p++) {
		const void *panel = word_at(panels, p * stride);
		const size_t at = p * PANEL, columns = smaller(PANEL, n - at);
		const float *scales = type == OPERAND_I8 ? scale + at : NULL;
		size_t r = 0;
#define ROWS_OF_PANEL(count) \
	rows_of_panel(type, count, depth, (const uint32_t *)x + r * x_stride, x_stride, x_step, \
		scales, panel, base + r * base_stride + at, base_stride, y + r * n + at, n, \
		columns)
		for (; r + ROWS <= rows; r += ROWS)
			ROWS_OF_PANEL(ROWS);
#define REST(count) \
	case count: \
		ROWS_OF_PANEL(count); \
		break
		switch (rows - r) {
			REST(1);
			REST(2);
			REST(3);
#if ROWS > 4
			REST(4);
			REST(5);
#endif
#if ROWS > 6
			REST(6);
			REST(7);
#endif
		}
#undef REST
#undef ROWS_OF_PANEL
	}
}

INLINED void product(enum operand_type type, size_t rows, size_t k, size_t n, const float *x,
	const float *scale, const void *panels, const float *base, size_t base_stride, size_t first,
	size_t last, float *y)
{
	for (size_t k0 = 0; k0 < k; k0 += DEPTH, base = y, base_stride = n)
		rows_of_panels(type, rows, smaller(DEPTH, k - k0), n, x + k0, k, 1, scale,
			word_at(panels, k0 * PANEL), k * PANEL, base, base_stride, first, last, y);
}

#define PRODUCT(name, type) \
	static void product_##name(size_t rows, size_t k, size_t n, const float *x, \
		const float *scale, const void *panels, const float *base, size_t base_stride, \
		size_t first, size_t last, float *y) \
	{ \
		product(type, rows, k, n, x, scale, panels, base, base_stride, first, last, y); \
	}
PRODUCT(f32, OPERAND_F32)

/* The same where x has to be rounded, to `per_word` numbers in a word. */
INLINED void product_narrow(enum operand_type type, size_t per_word,
	void (*narrow)(size_t n, const float *x, uint32_t *words), size_t rows, size_t k, size_t n,
	const float *x, const float *scale, const void *panels, const float *base,
	size_t base_stride, size_t first, size_t last, float *y)
{
	uint32_t words[NARROW_ROWS * NARROW_DEPTH];
	const size_t length = quotient_up(k, per_word), step = words_of_x(type);
	const size_t parts = quotient_up(length, NARROW_DEPTH), stride = NARROW_DEPTH * step;
	for (size_t r0 = 0; r0 < rows; r0 += NARROW_ROWS / step) {
		const size_t count = smaller(NARROW_ROWS / step, rows - r0);
		const float *from = base + r0 * base_stride;
		size_t from_stride = base_stride;
		for (size_t i = 0; i < parts; i++, from = y + r0 * n, from_stride = n) {
			const size_t k0 = i * NARROW_DEPTH * per_word;
			const size_t depth = smaller(NARROW_DEPTH, length - i * NARROW_DEPTH);
			for (size_t r = 0; r < count; r++)
				narrow(smaller(depth * per_word, k - k0), x + (r0 + r) * k + k0,
					words + r * stride);
			rows_of_panels(type, count, depth, n, words, stride, step, scale,
				word_at(panels, i * (NARROW_DEPTH * PANEL + head(type))),
				length * PANEL + parts * head(type), from, from_stride, first, last,
				y + r0 * n);
		}
	}
}

#define PRODUCT_NARROW(name, type, per_word) \
	static void product_##name(size_t rows, size_t k, size_t n, const float *x, \
		const float *scale, const void *panels, const float *base, size_t base_stride, \
		size_t first, size_t last, float *y) \
	{ \
		product_narrow(type, per_word, narrow_##name, rows, k, n, x, scale, panels, base, \
			base_stride, first, last, y); \
	}
PRODUCT_NARROW(bf16, OPERAND_BF16, 2)
PRODUCT_NARROW(f16, OPERAND_F16, 2)
PRODUCT_NARROW(i8, OPERAND_I8, 4)

/* DEPTH rows at a time: some columns of a are packed as narrow as the micro-kernel takes its rows. */
static void product_tn_f32(size_t rows, size_t m, size_t n, const float *a, const void *panels,
	size_t m0, size_t m1, size_t first, size_t last, float *c)
{
	float packed[DEPTH * WIDTH];
	for (size_t i = m0; i < m1; i += COLUMNS)
		for (size_t r = 0; r < rows; r += DEPTH) {
			const size_t depth = smaller(DEPTH, rows - r);
			const size_t columns = smaller(COLUMNS, m1 - i);
			pack_rows(depth, m, columns, WIDTH, a + r * m + i, packed);
			rows_of_panels(OPERAND_F32, columns, depth, n, packed, 1, WIDTH, NULL,
				word_at(panels, r * PANEL), rows * PANEL, c + i * n, n, first, last,
				c + i * n);
		}
}

static void product_tn_bf16(size_t rows, size_t m, size_t n, const void *a, const void *b,
	size_t first, size_t last, size_t from, float *c)
{
	const size_t words = quotient_up(rows, 2);
	for (size_t p = first; p < last; p++) {
		const size_t i = p * PANEL;
		rows_of_panels(OPERAND_BF16, smaller(PANEL, m - i), words, n, word_at(a, words * i),
			1, PANEL, NULL, b, words * PANEL, c + i * n, n, from, quotient_up(n, PANEL),
			c + i * n);
	}
}

static void lstm_forward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t r = p->r0; r < p->r1; r++) {
		const size_t at = p->t * step + r * H;
		float *gates = s->gates + 4 * at, *h = s->h + at + step, *c = s->c + at + step;
		const float *c_old = s->c + at;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
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
}

static void lstm_backward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t r = p->r0; r < p->r1; r++) {
		const size_t at = p->t * step + r * H;
		float *gates = s->gates + 4 * at, *dc = s->dc + r * H;
		const float *c_old = s->c + at, *c = c_old + step, *dh = s->dh + at;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
			for (size_t gate = 0; p->t > 0 && gate < 4; gate++)
				__builtin_prefetch(gates + gate * H + u - 4 * step);
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
}

static void gru_forward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t row = p->r0; row < p->r1; row++) {
		const size_t at = p->t * step + row * H;
		float *a = s->gates + 3 * at, *h = s->h + at + step;
		const float *b = s->recurrent + 3 * at, *h_old = s->h + at;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
			vf r = vsigmoid(load(a + u, width) + load(b + u, width));
			vf z = vsigmoid(load(a + H + u, width) + load(b + H + u, width));
			vf n = vtanh(
				vfma(r, load(b + 2 * H + u, width), load(a + 2 * H + u, width)));
			store(a + u, r, width);
			store(a + H + u, z, width);
			store(a + 2 * H + u, n, width);
			store(h + u, vfma(z, load(h_old + u, width) - n, n), width);
		}
	}
}

static void gru_backward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t row = p->r0; row < p->r1; row++) {
		const size_t at = p->t * step + row * H;
		float *a = s->gates + 3 * at, *b = s->recurrent + 3 * at;
		float *dh_old = p->t > 0 ? s->dh + at - step : NULL;
		const float *dh = s->dh + at, *h_old = s->h + at;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
			vf r = load(a + u, width), z = load(a + H + u, width);
			vf n = load(a + 2 * H + u, width), d_h = load(dh + u, width);
			vf d_n = d_h * (1.f - z) * (1.f - n * n);
			vf d_r = d_n * load(b + 2 * H + u, width) * r * (1.f - r);
			vf d_z = d_h * (load(h_old + u, width) - n) * z * (1.f - z);
			store(a + u, d_r, width);
			store(b + u, d_r, width);
			store(a + H + u, d_z, width);
			store(b + H + u, d_z, width);
			store(a + 2 * H + u, d_n, width);
			store(b + 2 * H + u, d_n * r, width);
			if (dh_old)
				store(dh_old + u, vfma(d_h, z, load(dh_old + u, width)), width);
		}
	}
}

static void rnn_forward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t r = p->r0; r < p->r1; r++) {
		const float *a = s->gates + p->t * step + r * H;
		float *h = s->h + (p->t + 1) * step + r * H;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
			store(h + u, vtanh(load(a + u, width)), width);
		}
	}
}

static void rnn_backward(const struct scan *s, const struct part *p)
{
	const size_t H = s->H, step = s->N * H;
	for (size_t r = p->r0; r < p->r1; r++) {
		const size_t at = p->t * step + r * H;
		const float *dh = s->dh + at, *h = s->h + at + step;
		for (size_t u = p->u0; u < p->u1; u += VL) {
			size_t width = smaller(VL, p->u1 - u);
			vf y = load(h + u, width);
			store(s->gates + at + u, load(dh + u, width) * (1.f - y * y), width);
		}
	}
}

static void dropout(
	size_t H, const struct dropout *d, uint32_t row, uint32_t t, const float *x, float *y)
{
	const uint32_t threshold = (uint32_t)fmin(ceil(ldexp(d->p, 32)), UINT32_MAX);
	const vf scale = vset((float)(1 / (1 - d->p)));
	const vu lane = (vu)vlanes();
	/* VL Philox blocks at a time; their words mask VL neighbouring units each, 16 units
	 * apart. */
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

/* Passes over what is no number. */
static float row_max(size_t n, const float *x)
{
	float lanes[VL], max = -INFINITY;
	vf most = vset(max);
	for (size_t i = 0; i + VL <= n; i += VL)
		most = vmax(vload(x + i), most);
	if (n >= VL) /* some twice */
		most = vmax(vload(x + n - VL), most);
	else
		memcpy(&most, x, n * sizeof *x);
	vstore(lanes, most);
	for (size_t j = 0; j < VL; j++)
		max = lanes[j] > max ? lanes[j] : max;
	return max;
}

/* Sums in double: LANES of them, joined in a fixed order, so that they are independent additions,
 * and the same ones for every VL. */
enum { LANES = 16 };

static double join(const double lanes[LANES])
{
	double sum = 0;
	for (int j = 0; j < LANES; j++)
		sum += lanes[j];
	return sum;
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
		double lanes[LANES] = {0};
		for (size_t i = 0; i < V; i += VL) {
			const size_t width = smaller(VL, V - i);
			const size_t lane = LANES / VL > 1 ? i % LANES : 0;
			vf e = vexp(load(logits + i, width) - max);
			if (scale != 0)
				store(logits + i, e, width);
			if (width < VL)
				e = vfirst(e, width);
			for (size_t j = 0; j < VL; j++)
				lanes[lane + j] += (double)e[j];
		}
		const double sum = join(lanes);
		nats[r] = (float)(log(sum) + (double)max - (double)target);
		if (scale == 0)
			continue;
		const float factor = (float)((double)scale / sum);
		for (size_t i = 0; i < V; i += VL) {
			const size_t width = smaller(VL, V - i);
			store(logits + i, load(logits + i, width) * factor, width);
		}
		logits[targets[r]] -= scale;
	}
}

INLINED void add_inlined(size_t n, const float *x, float *y)
{
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		store(y + i, load(y + i, width) + load(x + i, width), width);
	}
}

static void add(size_t n, const float *x, float *y)
{
	add_inlined(n, x, y);
}

static void add_rows(
	size_t rows, size_t n, size_t stride, const float *x, const uint32_t *ids, float *y)
{
	for (size_t r = 0; r < rows; r++, x += stride) {
		fetch_row(x, stride, n, rows - r);
		if (!ids)
			add_inlined(n, x, y);
		else if (ids[r] != TARGET_NONE)
			add_inlined(n, x, y + ids[r] * stride);
	}
}

static void add_biases(size_t n, const float *x, const float *bias1, const float *bias2, float *y)
{
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		vf sum = (x ? load(x + i, width) : (vf){0}) + load(bias1 + i, width);
		store(y + i, bias2 ? sum + load(bias2 + i, width) : sum, width);
	}
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
	float root_correction, float keep, float *w, const float *dw, float *m, float *v)
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
			load(w + i, width) * keep -
				step_size * m1 / (vsqrt(v1) / root_correction + epsilon),
			width);
	}
}

static void momentum(size_t n, const struct adam_update *update, float scale, const float *dw,
	float *m, float *x)
{
	const float beta = (float)update->beta1, keep = (float)(1 - update->beta1);
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		vf g = load(dw + i, width) * scale * keep;
		vf m1 = load(m + i, width) * beta + g;
		store(m + i, m1, width);
		if (x)
			store(x + i, m1 * beta + g, width);
	}
}

static void mix(size_t n, float a, float *y, float b, const float *x)
{
	for (size_t i = 0; i < n; i += VL) {
		size_t width = smaller(VL, n - i);
		store(y + i, load(y + i, width) * a + load(x + i, width) * b, width);
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
#if defined __AVX512BF16__
	.bf16 = true,
#endif
	.panel = PANEL,
	.rows = ROWS,
	.of = {[OPERAND_F32] = {bytes_f32, pack_f32, product_f32},
		[OPERAND_BF16] = {bytes_16, pack_bf16, product_bf16},
		[OPERAND_F16] = {bytes_16, pack_f16, product_f16},
		[OPERAND_I8] = {bytes_i8, pack_i8, product_i8}},
	.product_tn_f32 = product_tn_f32,
	.product_tn_bf16 = product_tn_bf16,
	.cells = {[CELL_LSTM] = {lstm_forward, lstm_backward},
		[CELL_GRU] = {gru_forward, gru_backward},
		[CELL_RNN] = {rnn_forward, rnn_backward}},
	.dropout = dropout,
	.cross_entropy = cross_entropy,
	.add = add,
	.add_rows = add_rows,
	.add_biases = add_biases,
	.sum = sum,
	.sum_squares = sum_squares,
	.adam = adam,
	.momentum = momentum,
	.mix = mix,
	.exp = map_exp,
	.sigmoid = map_sigmoid,
	.tanh = map_tanh,
};

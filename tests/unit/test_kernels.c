/* test_kernels.c: the inner loops of lib/cpu for every vector width that this machine has.
 *
 * The widest one also stands behind test_ops.c; here all are held to the same plain twins in double
 * precision, and exp, sigmoid and tanh to bounds no looser than what cpu/vec.h promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/kernels.h"

#include "numbers.h"
#include "reference.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static void *zeros(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static float *random_numbers(uint32_t stream, size_t n, float scale)
{
	float *x = zeros(n, sizeof *x);
	numbers_fill(x, n, stream, scale);
	return x;
}

static void assert_near(const char *what, const struct kernels *k, const float *got,
	const double *expected, size_t n, double tolerance)
{
	double error = numbers_error(got, expected, n);
	if (!(error <= tolerance))
		fail_msg("%s, %s kernels: error %.2g, at most %.2g", what, k->name, error,
			tolerance);
}

/* --- exp, sigmoid, tanh ----------------------------------------------------------------------- */

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* |got - exact| in units of the last place of a float of that size. */
static double ulps(float got, double exact)
{
	int exponent;
	frexp(exact, &exponent);
	if (exponent < FLT_MIN_EXP)
		exponent = FLT_MIN_EXP;
	return fabs((double)got - exact) / ldexp(1, exponent - FLT_MANT_DIG);
}

/* Calls `function` of all kernels with every 499th float from bit pattern `first` on and its exact
 * value, where that lies between low and high. */
static void check_function(const char *name, size_t offset, double (*exact)(double), double low,
	double high, double bound)
{
	enum { CHUNK = 4096 };
	float x[CHUNK], y[CHUNK];
	double expected[CHUNK];
	size_t tested = 0;
	for (uint64_t bits = 0; bits <= UINT32_MAX;) {
		size_t n = 0;
		for (; n < CHUNK && bits <= UINT32_MAX; bits += 499) {
			uint32_t word = (uint32_t)bits;
			memcpy(&x[n], &word, sizeof word);
			if ((double)x[n] >= low && (double)x[n] <= high)
				expected[n] = exact((double)x[n]), n++;
		}
		tested += n;
		for (const struct kernels *k = kernels_best(); k; k = kernels_next(k)) {
			void (*function)(size_t, const float *, float *);
			memcpy(&function, (const char *)k + offset, sizeof function);
			function(n, x, y);
			for (size_t i = 0; i < n; i++)
				if (!(ulps(y[i], expected[i]) <= bound))
					fail_msg("%s(%.9g) of %s kernels is %.9g, %.1f ulp off",
						name, (double)x[i], k->name, (double)y[i],
						ulps(y[i], expected[i]));
		}
	}
	assert_true(tested > 1000000);
}
#define CHECK_FUNCTION(name, exact, low, high, bound) \
	check_function(#name, offsetof(struct kernels, name), exact, low, high, bound)

static void exp_is_within_2_ulp(void **state)
{
	(void)state;
	CHECK_FUNCTION(exp, exp, -87.3, 88, 2);
}

static void sigmoid_is_within_3_ulp(void **state)
{
	(void)state;
	CHECK_FUNCTION(sigmoid, sigmoid, -87, INFINITY, 3);
}

static void tanh_is_within_2_ulp_everywhere(void **state)
{
	(void)state;
	CHECK_FUNCTION(tanh, tanh, -INFINITY, INFINITY, 2);
}

static void functions_saturate_and_stay_in_range(void **state)
{
	(void)state;
	const float large[] = {88, 88.1f, 89, 104, 1e10f, FLT_MAX, INFINITY};
	enum { N = sizeof large / sizeof *large };
	float negative[N], y[N];
	for (size_t i = 0; i < N; i++)
		negative[i] = -large[i];
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k)) {
		k->exp(N, large, y);
		for (size_t i = 0; i < N; i++)
			assert_true(isfinite(y[i]) && (double)y[i] >= 0.999999 * exp(88));
		k->exp(N, negative, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] >= 0 && y[i] <= 2 * FLT_MIN);
		k->sigmoid(N, large, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] == 1);
		k->sigmoid(N, negative, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] >= 0 && y[i] <= 2 * FLT_MIN);
		k->tanh(N, large, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] == 1);
		k->tanh(N, negative, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] == -1);
	}
}

static void sigmoid_and_tanh_never_leave_their_ranges(void **state)
{
	(void)state;
	enum { N = 20001 };
	float *x = zeros(N, sizeof *x), *y = zeros(N, sizeof *y);
	for (size_t i = 0; i < N; i++)
		x[i] = ((float)i - N / 2) * 0.002f;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k)) {
		k->sigmoid(N, x, y);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] >= 0 && y[i] <= 1);
		k->tanh(N, x, y);
		for (size_t i = 0; i < N; i++)
			assert_true(fabsf(y[i]) <= 1 && y[i] == -y[N - 1 - i]);
	}
	free(x);
	free(y);
}

static void nan_comes_out_of_every_function(void **state)
{
	(void)state;
	/* The payload of a NaN must not be taken for a number on the way. */
	const uint32_t patterns[] = {0x7fc00000, 0xffc00000, 0x7fc00001, 0xffc00001, 0x7fffffff,
		0xffffffff, 0x7fd55555, 0x7fc00100};
	enum { N = sizeof patterns / sizeof *patterns };
	float x[N], y[N];
	memcpy(x, patterns, sizeof x);
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < N; i++) {
			void (*const functions[])(size_t, const float *, float *) = {
				k->exp, k->sigmoid, k->tanh};
			for (size_t f = 0; f < 3; f++) {
				functions[f](N, x, y);
				if (!isnan(y[i]))
					fail_msg("function %zu of %s kernels makes %08x %g", f,
						k->name, patterns[i], (double)y[i]);
			}
		}
}

/* --- loops ------------------------------------------------------------------------------------ */

static const size_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* The weights (k,n) or (n,k) as a type keeps them, in place. */
static void keep_as(enum operand_type type, size_t k, size_t n, bool transposed, float *w)
{
	for (size_t j = 0; j < n; j++) {
		float max = 0;
		for (size_t i = 0; i < k; i++)
			max = fmaxf(max, fabsf(w[transposed ? j * k + i : i * n + j]));
		const float scale = max > 0 ? max / 127 : 1;
		for (size_t i = 0; i < k; i++) {
			float *x = &w[transposed ? j * k + i : i * n + j];
			int exponent;
			frexpf(*x, &exponent);
			if (type == OPERAND_I8)
				*x = (float)lrintf(*x / scale) * scale;
			else if (type == OPERAND_BF16)
				*x = numbers_bf16(*x);
			else if (type == OPERAND_F16 && fabsf(*x) > 65504)
				*x = copysignf(65504, *x);
			else if (type == OPERAND_F16) /* 11 bits; 2^-14 is the least normal one */
				*x = exponent < -13 ? 0
						    : ldexpf(rintf(ldexpf(*x, 11 - exponent)),
							      exponent - 11);
		}
	}
}

/* Room for an operand (k,n) packed as a type. */
static void *packed_room(const struct kernels *kernels, enum operand_type type, size_t k, size_t n)
{
	const struct products *of = &kernels->of[type];
	const size_t columns = (n + kernels->panel - 1) / kernels->panel * kernels->panel;
	return zeros(columns, of->bytes(k));
}

static void check_product(const struct kernels *kernels, enum operand_type type, size_t rows,
	size_t k, size_t n, bool transposed)
{
	const struct products *of = &kernels->of[type];
	const size_t panels = (n + kernels->panel - 1) / kernels->panel;
	float *x = random_numbers(1, rows * k, 1), *w = random_numbers(2, k * n, 1);
	float *whole = random_numbers(3, rows * n, 1), *parts = random_numbers(3, rows * n, 1);
	float *scale = zeros(panels * kernels->panel, sizeof *scale);
	void *packed = packed_room(kernels, type, k, n);
	double *expected = zeros(rows * n, sizeof *expected);
	for (size_t i = 0; i < k * n; i++) /* neither too small for a half nor zero */
		w[i] += w[i] < 0 ? -1e-3f : 1e-3f;
	for (size_t p = panels; p-- > 0;)
		of->pack(k, n, transposed, w, p, p + 1, scale, packed);
	keep_as(type, k, n, transposed, w);
	for (size_t i = 0; i < rows * k; i++)
		x[i] = type == OPERAND_BF16 ? numbers_bf16(x[i])
		       : type == OPERAND_I8 ? rintf(x[i] * 127) / 127
					    : x[i];
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n; j++) {
			expected[r * n + j] = (double)whole[r * n + j];
			for (size_t i = 0; i < k; i++)
				expected[r * n + j] +=
					(double)x[r * k + i] *
					(double)w[transposed ? j * k + i : i * n + j];
		}
	of->product(rows, k, n, x, scale, packed, whole, n, 0, panels, whole);
	assert_near("product", kernels, whole, expected, rows * n, 4e-6);

	/* Any cut into rows and panels gives the same bits. */
	for (size_t p = 0; p < panels; p++)
		for (size_t r = 0, step; r < rows; r += step) {
			step = (r + p) % 3 + 1 < rows - r ? (r + p) % 3 + 1 : rows - r;
			of->product(step, k, n, x + r * k, scale, packed, parts + r * n, n, p,
				p + 1, parts + r * n);
		}
	assert_memory_equal(whole, parts, rows * n * sizeof *whole);
	free(x);
	free(w);
	free(whole);
	free(parts);
	free(scale);
	free(packed);
	free(expected);
}

static void products_are_the_naive_sums_however_they_are_cut(void **state)
{
	(void)state;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (enum operand_type type = 0; type < OPERAND_TYPES; type++) {
			for (size_t i = 0; i < SIZES; i++)
				for (size_t j = 0; j < SIZES; j++)
					check_product(k, type, sizes[(i + j) % SIZES] % 20 + 1,
						sizes[i], sizes[j], (i + j) % 2);
			check_product(k, type, 13, 1100, 37, true);
			check_product(k, type, 13, 1100, 37, false);
			check_product(k, type, 1, 600, 300, true);
		}
}

static void weights_beyond_a_type_stay_numbers(void **state)
{
	(void)state;
	static const struct {
		enum operand_type type;
		float weight, kept, error;
	} cases[] = {
		{OPERAND_F16, 1e6f, 65504, 0},
		{OPERAND_F16, -FLT_MAX, -65504, 0},
		{OPERAND_F16, 65519, 65504, 0},
		{OPERAND_F16, 1e-9f, 0, 1e-7f},
		{OPERAND_I8, 1e30f, 1e30f, 1e24f},
		{OPERAND_I8, -1e-38f, 0, 1e-35f},
		{OPERAND_I8, 0, 0, 0},
	};
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			const struct products *of = &k->of[cases[i].type];
			float *scale = zeros(k->panel, sizeof *scale);
			void *packed = packed_room(k, cases[i].type, 1, 1);
			float x = 1, y = 0;
			of->pack(1, 1, false, &cases[i].weight, 0, 1, scale, packed);
			of->product(1, 1, 1, &x, scale, packed, &y, 0, 0, 1, &y);
			assert_true(fabsf(y - cases[i].kept) <= cases[i].error);
			free(scale);
			free(packed);
		}
}

/* Sums of whole numbers have no order: the widths agree, and with the sums themselves. */
static void products_of_whole_numbers_are_the_same_in_all_kernels(void **state)
{
	(void)state;
	static const struct {
		size_t rows, k, n;
		float scale; /* of x, which is limited to -1..1 */
	} cases[] = {{1, 512, 300, 1}, {19, 131, 83, 1}, {3, 2600, 40, 1}, {2, 512, 64, 1e6f}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const size_t rows = cases[i].rows, k = cases[i].k, n = cases[i].n;
		float *x = random_numbers(1, rows * k, cases[i].scale);
		float *w = random_numbers(2, k * n, 1), *first = NULL;
		x[k / 2] = NAN; /* is taken for 0 */
		for (size_t j = 0; j < k; j++)
			w[j * n] = 1; /* all as large as they can be */
		for (const struct kernels *some = kernels_best(); some; some = kernels_next(some)) {
			const struct products *of = &some->of[OPERAND_I8];
			const size_t panels = (n + some->panel - 1) / some->panel;
			float *scale = zeros(panels * some->panel, sizeof *scale);
			float *y = random_numbers(3, rows * n, 1);
			void *packed = packed_room(some, OPERAND_I8, k, n);
			of->pack(k, n, false, w, 0, panels, scale, packed);
			of->product(rows, k, n, x, scale, packed, y, n, 0, panels, y);
			if (!first)
				first = random_numbers(3, rows * n, 1);
			for (size_t r = 0; some == kernels_best() && r < rows; r++) {
				double sum = (double)first[r * n];
				for (size_t j = 0; j < k; j++) {
					const float at = x[r * k + j];
					sum += isnan(at)
						       ? 0
						       : rint(fmax(-1, fmin(1, (double)at)) * 127) /
								 127;
				}
				assert_true(fabs((double)y[r * n] - sum) < 1e-4 * (fabs(sum) + 1));
			}
			if (some == kernels_best())
				memcpy(first, y, rows * n * sizeof *y);
			else
				assert_memory_equal(first, y, rows * n * sizeof *y);
			free(scale);
			free(packed);
			free(y);
		}
		free(x);
		free(w);
		free(first);
	}
}

static void check_product_tn(const struct kernels *k, size_t rows, size_t m, size_t n)
{
	const struct products *of = &k->of[OPERAND_BF16];
	const size_t a_panels = (m + k->panel - 1) / k->panel;
	const size_t b_panels = (n + k->panel - 1) / k->panel;
	float *a = random_numbers(1, rows * m, 1), *b = random_numbers(2, rows * n, 1);
	float *c = random_numbers(3, m * n, 1);
	void *a_packed = packed_room(k, OPERAND_BF16, rows, m);
	void *b_packed = packed_room(k, OPERAND_BF16, rows, n);
	double *expected = zeros(m * n, sizeof *expected);
	of->pack(rows, m, false, a, 0, a_panels, NULL, a_packed);
	of->pack(rows, n, false, b, 0, b_panels, NULL, b_packed);
	for (size_t i = 0; i < m * n; i++) {
		expected[i] = (double)c[i];
		/* From the first or second panel of b on. */
		if (i % n < i / n / k->panel % 2 * k->panel)
			continue;
		for (size_t r = 0; r < rows; r++)
			expected[i] += (double)numbers_bf16(a[r * m + i / n]) *
				       (double)numbers_bf16(b[r * n + i % n]);
	}
	for (size_t p = 0; p < a_panels; p++)
		k->product_tn_bf16(rows, m, n, a_packed, b_packed, p, p + 1, p % 2, c);
	assert_near("product_tn", k, c, expected, m * n, 4e-6);
	free(a);
	free(b);
	free(c);
	free(a_packed);
	free(b_packed);
	free(expected);
}

/* Three rows of c at a time, of every other three of them from the second panel of b on. */
static float *product_tn_f32(const struct kernels *k, size_t rows, size_t m, size_t n,
	const float *a, const float *b, double *expected)
{
	const size_t panels = (n + k->panel - 1) / k->panel;
	float *c = random_numbers(3, m * n, 1);
	void *packed = packed_room(k, OPERAND_F32, rows, n);
	k->of[OPERAND_F32].pack(rows, n, false, b, 0, panels, NULL, packed);
	for (size_t i = 0; i < m * n; i++) {
		expected[i] = (double)c[i];
		for (size_t r = 0; r < rows && i % n >= i / n / 3 % 2 * k->panel; r++)
			expected[i] += (double)a[r * m + i / n] * (double)b[r * n + i % n];
	}
	for (size_t i = 0; i < m; i += 3)
		k->product_tn_f32(
			rows, m, n, a, packed, i, i + 3 < m ? i + 3 : m, i / 3 % 2, panels, c);
	free(packed);
	return c;
}

static void check_product_tn_f32(size_t rows, size_t m, size_t n)
{
	float *a = random_numbers(1, rows * m, 1), *b = random_numbers(2, rows * n, 1);
	double *expected = zeros(m * n, sizeof *expected);
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k)) {
		float *c = product_tn_f32(k, rows, m, n, a, b, expected);
		assert_near("product_tn_f32", k, c, expected, m * n, 4e-6);
		free(c);
	}
	free(a);
	free(b);
	free(expected);
}

static void weight_gradients_are_the_naive_sums(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++) {
			check_product_tn_f32(sizes[(i + j) % SIZES], sizes[i], sizes[j]);
			for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
				check_product_tn(k, sizes[(i + j) % SIZES], sizes[i], sizes[j]);
		}
	check_product_tn_f32(1027, 70, 40);
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		check_product_tn(k, 513, 70, 40);
}

/* Rounds one number to bfloat16 as weight and as x. */
static float rounded(const struct kernels *k, bool transposed, bool weight, float number)
{
	const struct products *of = &k->of[OPERAND_BF16];
	void *packed = packed_room(k, OPERAND_BF16, 1, 1);
	const float one = 1, zero = 0;
	float y;
	of->pack(1, 1, transposed, weight ? &number : &one, 0, 1, NULL, packed);
	of->product(1, 1, 1, weight ? &one : &number, NULL, packed, &zero, 1, 0, 1, &y);
	free(packed);
	return y;
}

static void bfloat16_is_the_nearest_one_and_keeps_nan(void **state)
{
	(void)state;
	static const struct {
		uint32_t number, kept;
	} cases[] = {
		{0x3f800000, 0x3f800000}, /* 1 */
		{0x3f808000, 0x3f800000}, /* half way: to the even one below */
		{0x3f808001, 0x3f810000},
		{0x3f818000, 0x3f820000}, /* ... above */
		{0xc0490fdb, 0xc0490000},
		{0x7f7f7fff, 0x7f7f0000},
		{0x7f7fffff, 0x7f800000}, /* the largest float is nearer to infinity */
		{0x7f800000, 0x7f800000},
		{0x80000000, 0},
	};
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (int form = 0; form < 4; form++) {
			for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
				float number, kept;
				memcpy(&number, &cases[i].number, sizeof number);
				memcpy(&kept, &cases[i].kept, sizeof kept);
				assert_true(rounded(k, form & 1, form & 2, number) == kept);
			}
			const uint32_t nans[] = {0x7fc00000, 0x7f800001, 0xffffffff, 0xff808000};
			for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
				float number;
				memcpy(&number, &nans[i], sizeof number);
				assert_true(isnan(rounded(k, form & 1, form & 2, number)));
			}
		}
}

/* A scan of two steps, so that the second one has one before. */
static struct scan random_scan(const struct cell *cell, size_t rows, size_t H)
{
	const size_t n = 2 * rows * H, GH = cell->gates * n, row = rows * H;
	return (struct scan){.cell = cell,
		.T = 2,
		.N = rows,
		.H = H,
		.gates = random_numbers(1, GH, 4),
		.recurrent = cell->apart ? random_numbers(2, GH, 4) : NULL,
		.h = random_numbers(3, n + row, 1),
		.c = cell->states > 1 ? random_numbers(4, n + row, 2) : NULL,
		.dh = random_numbers(5, n, 1),
		.dc = random_numbers(6, row, 1)};
}

static void release_scan(struct scan *s)
{
	float *owned[] = {s->gates, s->recurrent, s->h, s->c, s->dh, s->dc};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
}

static double *doubles(const float *x, size_t n)
{
	double *y = zeros(n, sizeof *y);
	for (size_t i = 0; x && i < n; i++)
		y[i] = (double)x[i];
	return y;
}

/* Step 1 of that scan, forward and backward, against the reference's. */
static void check_cell(const struct kernels *k, const struct cell *cell, size_t rows, size_t H)
{
	const size_t G = cell->gates, n = rows * H;
	const struct cell_kernels *kernels = &k->cells[cell->type];
	struct scan a = random_scan(cell, rows, H), b = random_scan(cell, rows, H);
	double *in = doubles(a.gates + G * n, G * n);
	double *recurrent = doubles(a.recurrent ? a.recurrent + G * n : NULL, G * n);
	double *h0 = doubles(a.h + n, n), *c0 = doubles(a.c ? a.c + n : NULL, n);
	double *h1 = zeros(n, sizeof *h1), *c1 = zeros(n, sizeof *c1);
	double *gates = zeros(4 * n, sizeof *gates);
	double *dh = doubles(a.dh + n, n), *dc = doubles(a.dc, n), *before = doubles(a.dh, n);
	double *da = zeros(G * n, sizeof *da), *db = zeros(G * n, sizeof *db);
	for (size_t r = 0; r < rows; r++)
		reference_cell_forward(cell->type, H, in + G * r * H, recurrent + G * r * H,
			h0 + r * H, c0 + r * H, gates + 4 * r * H, h1 + r * H, c1 + r * H);
	for (size_t r = 0; r < rows; r++)
		reference_cell_backward(cell->type, H, gates + 4 * r * H, h0 + r * H, c0 + r * H,
			h1 + r * H, c1 + r * H, dh + r * H, dc + r * H, da + G * r * H,
			db + G * r * H);
	for (size_t i = 0; i < n; i++)
		before[i] += dh[i];

	const struct part all = {1, 0, rows, 0, H};
	kernels->forward(&a, &all);
	assert_near("h", k, a.h + 2 * n, h1, n, 1e-6);
	if (a.c)
		assert_near("c", k, a.c + 2 * n, c1, n, 1e-6);
	kernels->backward(&a, &all);
	assert_near("da", k, a.gates + G * n, da, G * n, 4e-6);
	if (a.recurrent)
		assert_near("db", k, a.recurrent + G * n, db, G * n, 4e-6);
	if (a.c)
		assert_near("dc", k, a.dc, dc, n, 2e-6);
	assert_near("dh of the step before", k, a.dh, before, n, 2e-6);

	/* Any cut into units and rows gives the same bits. */
	struct part part = all;
	for (part.u0 = 0; part.u0 < H; part.u0 = part.u1) {
		part.u1 = part.u0 + k->panel < H ? part.u0 + k->panel : H;
		kernels->forward(&b, &part);
	}
	part = all;
	for (part.r0 = 0; part.r0 < rows; part.r0 = part.r1) {
		part.r1 = part.r0 + 1;
		kernels->backward(&b, &part);
	}
	assert_memory_equal(a.gates, b.gates, 2 * G * n * sizeof *a.gates);
	assert_memory_equal(a.h, b.h, 3 * n * sizeof *a.h);
	assert_memory_equal(a.dh, b.dh, 2 * n * sizeof *a.dh);
	assert_memory_equal(a.dc, b.dc, n * sizeof *a.dc);
	if (a.recurrent)
		assert_memory_equal(a.recurrent, b.recurrent, 2 * G * n * sizeof *a.recurrent);
	release_scan(&a);
	release_scan(&b);
	double *owned[] = {in, recurrent, h0, c0, h1, c1, gates, dh, dc, before, da, db};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
}

static void a_cell_follows_the_equations_however_it_is_cut(void **state)
{
	(void)state;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < SIZES; i++)
			for (size_t rows = 1; rows < 4; rows++)
				for (enum cell_type cell = 0; cell < CELL_TYPES; cell++)
					check_cell(k, cell_of(cell), rows, sizes[i]);
}

static void dropout_masks_are_the_same_in_all_kernels(void **state)
{
	(void)state;
	const struct dropout dropout = {
		.p = 0.3, .key = philox_key(77, PHILOX_DROPOUT, 2), .step = 123456};
	enum { ROW = 5, T = 70000 };
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (uint32_t H = 1; H < 300; H += 1 + H / 8) {
			float *x = random_numbers(1, H, 1), *y = random_numbers(2, H, 1);
			double *expected = zeros(H, sizeof *expected);
			for (uint32_t u = 0; u < H; u++)
				if (reference_keeps(&dropout, T, ROW, u))
					expected[u] = (double)x[u] / (1 - dropout.p);
			k->dropout(H, &dropout, ROW, T, x, y);
			assert_near("dropout", k, y, expected, H, 2e-7);
			free(x);
			free(y);
			free(expected);
		}
}

static void check_cross_entropy(const struct kernels *k, size_t V, float spread)
{
	enum { ROWS = 5 };
	const float scale = 0.125f;
	float *logits = random_numbers(1, ROWS * V, spread), nats[ROWS], scored[ROWS];
	double *gradient = zeros(ROWS * V, sizeof *gradient), expected[ROWS] = {0};
	uint32_t targets[ROWS];
	numbers_ids(targets, ROWS, 2, (uint32_t)V);
	targets[3] = TARGET_NONE;
	for (size_t r = 0; r < ROWS; r++) {
		const float *row = logits + r * V;
		double max = -INFINITY, sum = 0;
		for (size_t i = 0; i < V; i++)
			max = fmax(max, (double)row[i]);
		for (size_t i = 0; i < V; i++)
			sum += exp((double)row[i] - max);
		if (targets[r] == TARGET_NONE)
			continue;
		expected[r] = log(sum) + max - (double)row[targets[r]];
		for (size_t i = 0; i < V; i++)
			gradient[r * V + i] = (double)scale *
					      (exp((double)row[i] - max) / sum - (i == targets[r]));
	}
	k->cross_entropy(ROWS, V, logits, targets, 0, scored);
	k->cross_entropy(ROWS, V, logits, targets, scale, nats);
	assert_memory_equal(nats, scored, sizeof nats);
	assert_near("nats", k, nats, expected, ROWS, 1e-6);
	assert_near("gradient of the logits", k, logits, gradient, ROWS * V, 1e-6);
	free(logits);
	free(gradient);
}

static void cross_entropy_follows_the_formula(void **state)
{
	(void)state;
	const float spreads[] = {1, 10, 300};
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 1; i < SIZES; i++)
			for (size_t j = 0; j < 3; j++)
				check_cross_entropy(k, sizes[i], spreads[j]);
}

static void sums_and_additions_are_the_naive_ones(void **state)
{
	(void)state;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < SIZES; i++) {
			size_t n = sizes[i];
			float *x = random_numbers(1, n, 1), *y = random_numbers(2, n, 1);
			float *before = random_numbers(2, n, 1);
			double sum = 0, squares = 0;
			k->add(n, x, y);
			for (size_t j = 0; j < n; j++) {
				assert_true(y[j] == before[j] + x[j]);
				sum += (double)x[j];
				squares += (double)x[j] * (double)x[j];
			}
			assert_true(fabs(k->sum(n, x) - sum) <= 1e-14 * (double)n);
			assert_true(fabs(k->sum_squares(n, x) - squares) <= 1e-14 * (double)n);
			free(x);
			free(y);
			free(before);
		}
}

static void adam_follows_the_formula(void **state)
{
	(void)state;
	const struct adam_update update = {
		.beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .step = 3};
	const float scale = 0.5f, step_size = 0.01f, root_correction = 0.05f, keep = 0.75f;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < SIZES; i++) {
			size_t n = sizes[i];
			float *w = random_numbers(1, n, 0.1f), *dw = random_numbers(2, n, 1);
			float *m = random_numbers(3, n, 0.1f), *v = random_numbers(4, n, 0.1f);
			double *w1 = zeros(n, sizeof *w1), *m1 = zeros(n, sizeof *m1);
			double *v1 = zeros(n, sizeof *v1);
			for (size_t j = 0; j < n; j++) {
				double g = (double)dw[j] * (double)scale;
				v[j] *= v[j];
				m1[j] = 0.9 * (double)m[j] + 0.1 * g;
				v1[j] = 0.999 * (double)v[j] + 0.001 * g * g;
				w1[j] = (double)keep * (double)w[j] -
					(double)step_size * m1[j] /
						(sqrt(v1[j]) / (double)root_correction + 1e-8);
			}
			k->adam(n, &update, scale, step_size, root_correction, keep, w, dw, m, v);
			assert_near("w", k, w, w1, n, 1e-6);
			assert_near("m", k, m, m1, n, 1e-6);
			assert_near("v", k, v, v1, n, 1e-6);
			free(w);
			free(dw);
			free(m);
			free(v);
			free(w1);
			free(m1);
			free(v1);
		}
}

static void momentum_and_mixing_follow_the_formulas(void **state)
{
	(void)state;
	const struct adam_update update = {.beta1 = 0.95};
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k))
		for (size_t i = 0; i < SIZES; i++) {
			size_t n = sizes[i];
			float *dw = random_numbers(1, n, 1), *m = random_numbers(2, n, 1);
			float *x = random_numbers(3, n, 1), *y = random_numbers(4, n, 1);
			double *m1 = zeros(n, sizeof *m1), *x1 = zeros(n, sizeof *x1);
			double *y1 = zeros(n, sizeof *y1);
			for (size_t j = 0; j < n; j++) {
				y1[j] = 0.75 * (double)y[j] - 2 * (double)x[j];
				m1[j] = 0.95 * (double)m[j] + 0.05 * 0.5 * (double)dw[j];
				x1[j] = 0.95 * m1[j] + 0.05 * 0.5 * (double)dw[j];
			}
			k->mix(n, 0.75f, y, -2, x);
			k->momentum(n, &update, 0.5f, dw, m, x);
			assert_near("y", k, y, y1, n, 1e-6);
			assert_near("m", k, m, m1, n, 1e-6);
			assert_near("x", k, x, x1, n, 1e-6);
			free(dw);
			free(m);
			free(x);
			free(y);
			free(m1);
			free(x1);
			free(y1);
		}
}

static void the_last_kernels_run_everywhere(void **state)
{
	(void)state;
	const struct kernels *last = NULL;
	for (const struct kernels *k = kernels_best(); k; last = k, k = kernels_next(k))
		print_message("# kernels here: %s\n", k->name);
#if defined __aarch64__
	assert_string_equal(last->name, "neon");
#else
	assert_string_equal(last->name, "generic");
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_kernels_run_everywhere),
		cmocka_unit_test(exp_is_within_2_ulp),
		cmocka_unit_test(sigmoid_is_within_3_ulp),
		cmocka_unit_test(tanh_is_within_2_ulp_everywhere),
		cmocka_unit_test(functions_saturate_and_stay_in_range),
		cmocka_unit_test(sigmoid_and_tanh_never_leave_their_ranges),
		cmocka_unit_test(nan_comes_out_of_every_function),
		cmocka_unit_test(products_are_the_naive_sums_however_they_are_cut),
		cmocka_unit_test(products_of_whole_numbers_are_the_same_in_all_kernels),
		cmocka_unit_test(weights_beyond_a_type_stay_numbers),
		cmocka_unit_test(weight_gradients_are_the_naive_sums),
		cmocka_unit_test(bfloat16_is_the_nearest_one_and_keeps_nan),
		cmocka_unit_test(a_cell_follows_the_equations_however_it_is_cut),
		cmocka_unit_test(dropout_masks_are_the_same_in_all_kernels),
		cmocka_unit_test(cross_entropy_follows_the_formula),
		cmocka_unit_test(sums_and_additions_are_the_naive_ones),
		cmocka_unit_test(adam_follows_the_formula),
		cmocka_unit_test(momentum_and_mixing_follow_the_formulas),
	};
	return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}

/* test_ops.c: every function of a device (nn/ops.h) against a plain twin in double precision.
 *
 * Each operation is a pair of functions, `run` on the device and `twin`, which make the same inputs
 * from the same random streams. A shape is run on devices of 1, 2, 3 and 5 threads: the first must
 * be near the twin, the others must have the same bits as the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/operand.h"
#include "nn/ops.h"
#include "nn/tree.h"

#include "device.h"
#include "numbers.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 4, DIMENSIONS = 5, OWNED = 32 };
static const unsigned threads[DEVICES] = {1, 2, 3, 5};

static int open_devices(void **state)
{
	struct error err;
	struct device **devices = calloc(DEVICES, sizeof *devices);
	for (size_t i = 0; devices && i < DEVICES; i++)
		if (!(devices[i] = device_for_test(threads[i], &err))) {
			print_error("%s\n", err.text);
			return -1;
		}
	*state = devices;
	return devices ? 0 : -1;
}

static int close_devices(void **state)
{
	struct device **devices = *state;
	for (size_t i = 0; i < DEVICES; i++)
		devices[i]->ops->release(devices[i]);
	free(devices);
	return 0;
}

/* What one run of an operation holds, released together. */
struct work {
	struct device *device;
	size_t host_count, device_count;
	void *host[OWNED], *on_device[OWNED];
};

static void *host_memory(struct work *w, size_t bytes)
{
	void *p = calloc(bytes ? bytes : 1, 1);
	assert_non_null(p);
	assert_true(w->host_count < OWNED);
	return w->host[w->host_count++] = p;
}

static float *random_numbers(struct work *w, uint32_t stream, size_t n, float scale)
{
	float *x = host_memory(w, n * sizeof *x);
	numbers_fill(x, n, stream, scale);
	return x;
}

static uint32_t *random_ids(struct work *w, uint32_t stream, size_t n, size_t below)
{
	uint32_t *x = host_memory(w, n * sizeof *x);
	numbers_ids(x, n, stream, (uint32_t)below);
	return x;
}

/* A device buffer with a copy of `bytes` from the host, or zeros for NULL. */
static void *upload(struct work *w, const void *from, size_t bytes)
{
	struct error err;
	void *p = w->device->ops->alloc(w->device, bytes, &err);
	if (!p)
		fail_msg("%s", err.text);
	assert_true(w->device_count < OWNED);
	w->on_device[w->device_count++] = p;
	if (from)
		assert_int_equal(w->device->ops->put(w->device, p, from, bytes, &err), 0);
	return p;
}

static float *upload_numbers(struct work *w, uint32_t stream, size_t n, float scale)
{
	return upload(w, random_numbers(w, stream, n, scale), n * sizeof(float));
}

static void download(struct work *w, void *to, const void *from, size_t bytes)
{
	struct error err;
	assert_int_equal(w->device->ops->get(w->device, to, from, bytes, &err), 0);
}

static void release(struct work *w)
{
	while (w->host_count)
		free(w->host[--w->host_count]);
	while (w->device_count)
		w->device->ops->free(w->device, w->on_device[--w->device_count]);
}

/* An operation: its result for a shape d is `size(d)` numbers in `parts` equal parts, each of which
 * is held to the tolerance by itself (see numbers_error()). */
struct op {
	const char *name;
	size_t (*size)(const size_t *d);
	void (*run)(struct work *w, const size_t *d, float *out);
	void (*twin)(struct work *w, const size_t *d, double *out);
	size_t parts;
	double tolerance;
};

static void check_shape(struct device **devices, const struct op *op, const size_t *d)
{
	size_t n = op->size(d), part = n / op->parts;
	double *expected = calloc(n, sizeof *expected);
	float *first = calloc(n, sizeof *first), *other = calloc(n, sizeof *other);
	assert_true(expected && first && other);

	struct work w = {0};
	op->twin(&w, d, expected);
	release(&w);
	for (size_t i = 0; i < DEVICES_COMPARED; i++) {
		float *out = i == 0 ? first : other;
		w.device = devices[i];
		op->run(&w, d, out);
		release(&w);
		if (i > 0 && memcmp(first, other, n * sizeof *first) != 0)
			fail_msg("%s %zu %zu %zu %zu %zu: %u threads give other bits than 1",
				op->name, d[0], d[1], d[2], d[3], d[4], threads[i]);
	}
	for (size_t i = 0; i < op->parts; i++) {
		double error = numbers_error(first + i * part, expected + i * part, part);
		if (!(error <= op->tolerance))
			fail_msg("%s %zu %zu %zu %zu %zu: error %.2g in part %zu, at most %.2g",
				op->name, d[0], d[1], d[2], d[3], d[4], error, i, op->tolerance);
	}
	free(expected);
	free(first);
	free(other);
}

static void check(
	void **state, const struct op *op, const size_t (*shapes)[DIMENSIONS], size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_shape(*state, op, shapes[i]);
}
#define CHECK(state, op, shapes) check(state, op, shapes, sizeof(shapes) / sizeof *(shapes))

/* Odd sizes around the widths of vectors and tiles. */
static const size_t sizes[] = {1, 7, 8, 15, 16, 17, 31, 33, 100, 128};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* --- memory ----------------------------------------------------------------------------------- */

static void memory_is_zero_aligned_and_keeps_what_is_put(void **state)
{
	struct device **devices = *state;
	for (size_t i = 0; i < SIZES; i++) {
		struct work w = {.device = devices[i % DEVICES]};
		size_t n = sizes[i], bytes = n * sizeof(float);
		float *x = upload(&w, NULL, bytes), *back = random_numbers(&w, 1, n, 1);
		assert_int_equal((uintptr_t)x % 64, 0);
		download(&w, back, x, bytes);
		for (size_t j = 0; j < n; j++)
			assert_true(back[j] == 0);

		float *y = upload_numbers(&w, 2, n, 1);
		w.device->ops->copy(w.device, x, y, n);
		w.device->ops->zero(w.device, y, n / 2);
		download(&w, back, x, bytes);
		assert_memory_equal(back, random_numbers(&w, 2, n, 1), bytes);
		download(&w, back, y, bytes);
		for (size_t j = 0; j < n / 2; j++)
			assert_true(back[j] == 0);
		assert_memory_equal(back + n / 2, random_numbers(&w, 2, n, 1) + n / 2,
			(n - n / 2) * sizeof *back);

		/* Parts of a buffer need not be aligned: state rows of an odd H are not. */
		if (n > 1) {
			w.device->ops->copy(w.device, x + 1, y, n - 1);
			w.device->ops->copy(w.device, y, x, n);
			download(&w, back, y, bytes);
			assert_true(
				back[n - 1] == (n > 2 ? random_numbers(&w, 2, n, 1)[n - 2] : 0));
		}
		release(&w);
	}
}

static void memory_that_is_not_there_is_an_error(void **state)
{
	struct device **devices = *state;
	struct error err = {0};
	/* More than there can be; sanitizers' allocators end the program at less. */
	assert_null(devices[0]->ops->alloc(devices[0], SIZE_MAX, &err));
	assert_int_equal(err.status, STATUS_NO_MEMORY);
	assert_true(err.text[0] != '\0');
}

static void a_device_describes_itself_in_one_line(void **state)
{
	struct device **devices = *state;
	for (size_t i = 0; i < DEVICES; i++) {
		char line[200] = "", little[8];
		memset(little, 'x', sizeof little);
		devices[i]->ops->describe(devices[i], line, sizeof line);
		assert_true(strlen(line) > 0 && strlen(line) < sizeof line - 1);
		assert_null(strchr(line, '\n'));
		devices[i]->ops->describe(devices[i], little, 4);
		assert_int_equal(little[3], '\0');
		assert_int_equal(little[4], 'x');
	}
}

/* --- products: d = rows, k, n, transposed, biases --------------------------------------------- */

static size_t product_size(const size_t *d)
{
	return d[0] * d[2];
}

static void product_run(struct work *w, const size_t *d, float *out)
{
	size_t rows = d[0], k = d[1], n = d[2];
	const struct ops *ops = w->device->ops;
	struct operand b = {.k = k,
		.n = n,
		.transposed = d[3],
		.w = upload_numbers(w, 2, k * n, 1),
		.bias1 = d[4] > 0 ? upload_numbers(w, 4, n, 1) : NULL,
		.bias2 = d[4] > 1 ? upload_numbers(w, 5, n, 1) : NULL};
	struct error err;
	float *x = upload_numbers(w, 1, rows * k, 1), *old = host_memory(w, rows * n * sizeof *old);
	/* What y held is of no account, not even as NaN times 0. */
	for (size_t i = 0; i < rows * n; i++)
		old[i] = NAN;
	float *y = upload(w, old, rows * n * sizeof *y);
	assert_int_equal(operand_init(&b, w->device, &err), 0);
	ops->operand_update(w->device, &b);
	ops->product(w->device, rows, x, &b, y);
	download(w, out, y, rows * n * sizeof *y);
	operand_release(&b, w->device);
}

static void product_twin(struct work *w, const size_t *d, double *out)
{
	size_t rows = d[0], k = d[1], n = d[2];
	const float *x = random_numbers(w, 1, rows * k, 1), *b = random_numbers(w, 2, k * n, 1);
	const float *bias1 = random_numbers(w, 4, n, 1), *bias2 = random_numbers(w, 5, n, 1);
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n; j++) {
			double sum = d[4] > 0 ? (double)bias1[j] : 0;
			sum += d[4] > 1 ? (double)bias2[j] : 0;
			for (size_t i = 0; i < k; i++)
				sum += (double)x[r * k + i] *
				       (double)b[d[3] ? j * k + i : i * n + j];
			out[r * n + j] = sum;
		}
}

static const struct op product = {"product", product_size, product_run, product_twin, 1, 4e-6};

static void product_is_the_naive_sums_and_the_biases(void **state)
{
	static const size_t row_counts[] = {1, 2, 5, 8, 15, 17, 33};
	for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
		for (size_t i = 0; i < SIZES; i++)
			for (size_t j = 0; j < SIZES; j++)
				check_shape(*state, &product,
					(size_t[]){row_counts[r], sizes[i], sizes[j],
						(i + j + r) % 2, (i + 2 * j + r) % 3});
}

static void product_is_the_naive_sums_of_large_matrices(void **state)
{
	static const size_t shapes[][DIMENSIONS] = {
		{130, 512, 100, true, 1},
		{257, 100, 512, false, 0},
		{64, 513, 83, true, 2},
		{33, 1025, 33, false, 1},
		{3, 512, 2048, true, 2},
		{1, 2048, 512, false, 0},
		{1300, 20, 30, true, 1},
	};
	CHECK(state, &product, shapes);
}

static void a_row_of_a_product_is_the_same_bits_among_any_rows(void **state)
{
	if (!rows_are_independent())
		return;
	struct device **devices = *state;
	enum { ROWS = 45 };
	static const size_t shapes[][2] = {{17, 33}, {100, 83}, {600, 20}};
	for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		size_t k = shapes[s][0], n = shapes[s][1];
		float *all = calloc(ROWS * n, sizeof *all), *some = calloc(ROWS * n, sizeof *some);
		struct work w = {.device = devices[0]};
		assert_true(all && some);
		product_run(&w, (size_t[]){ROWS, k, n, s % 2, 2}, all);
		release(&w);
		for (size_t rows = 1; rows < ROWS; rows++) {
			w.device = devices[rows % DEVICES];
			product_run(&w, (size_t[]){rows, k, n, s % 2, 2}, some);
			release(&w);
			assert_memory_equal(all, some, rows * n * sizeof *all);
		}
		free(all);
		free(some);
	}
}

static void a_row_of_a_product_keeps_its_nan_to_itself(void **state)
{
	struct device **devices = *state;
	enum { ROWS = 19, K = 21, N = 35, BAD = 9 };
	struct work w = {.device = devices[1]};
	const struct ops *ops = w.device->ops;
	struct operand b = {
		.k = K, .n = N, .transposed = true, .w = upload_numbers(&w, 2, K * N, 1)};
	struct error err;
	float *x = random_numbers(&w, 1, ROWS * K, 1), *y = host_memory(&w, ROWS * N * sizeof *y);
	float *clean = host_memory(&w, ROWS * N * sizeof *clean);
	float *to = upload(&w, NULL, ROWS * N * sizeof *y);

	assert_int_equal(operand_init(&b, w.device, &err), 0);
	ops->operand_update(w.device, &b);
	ops->product(w.device, ROWS, upload(&w, x, ROWS * K * sizeof *x), &b, to);
	download(&w, clean, to, ROWS * N * sizeof *y);
	x[BAD * K + K - 1] = NAN;
	ops->product(w.device, ROWS, upload(&w, x, ROWS * K * sizeof *x), &b, to);
	download(&w, y, to, ROWS * N * sizeof *y);
	for (size_t r = 0; r < ROWS; r++)
		for (size_t j = 0; j < N; j++)
			assert_true(
				r == BAD ? isnan(y[r * N + j]) : y[r * N + j] == clean[r * N + j]);
	operand_release(&b, w.device);
	release(&w);
}

static void an_operand_follows_its_weights_and_biases_when_updated(void **state)
{
	struct device **devices = *state;
	enum { K = 9, N = 20 };
	struct work w = {.device = devices[0]};
	const struct ops *ops = w.device->ops;
	struct error err;
	float got[N], row[K] = {[3] = 1};
	/* The weights, then the bias. */
	float *weights = upload_numbers(&w, 1, (K + 1) * N, 1), *y = upload(&w, NULL, sizeof got);
	struct operand b = {.k = K, .n = N, .w = weights, .bias1 = weights + (size_t)K * N};
	assert_int_equal(operand_init(&b, w.device, &err), 0);
	for (uint32_t stream = 2; stream < 4; stream++) {
		const float *now = random_numbers(&w, stream, (K + 1) * N, 1);
		assert_int_equal(
			ops->put(w.device, weights, now, (K + 1) * N * sizeof *now, &err), 0);
		ops->operand_update(w.device, &b);
		ops->product(w.device, 1, upload(&w, row, sizeof row), &b, y);
		download(&w, got, y, sizeof got);
		for (size_t j = 0; j < N; j++)
			assert_true(got[j] == now[3 * N + j] + now[K * N + j]);
	}
	operand_release(&b, w.device);
	release(&w);
}

/* --- product_tn: d = rows, m, n, type --------------------------------------------------------- */

static size_t product_tn_size(const size_t *d)
{
	return d[1] * d[2];
}

static void product_tn_run(struct work *w, const size_t *d, float *out)
{
	const struct ops *ops = w->device->ops;
	size_t rows = d[0], m = d[1], n = d[2];
	float *dy = upload_numbers(w, 1, rows * m, 1), *x = upload_numbers(w, 2, rows * n, 1);
	float *dw = upload_numbers(w, 3, m * n, 1);
	struct operand b = {.k = n,
		.n = m,
		.transposed = true,
		.trained = true,
		.type = (enum operand_type)d[3]};
	struct error err;
	assert_int_equal(operand_init(&b, w->device, &err), 0);
	assert_int_equal(ops->prepare_gradients(w->device, &err), 0);
	ops->product_tn(w->device, rows, dy, x, &b, dw);
	download(w, out, dw, m * n * sizeof *dw);
	operand_release(&b, w->device);
}

static void product_tn_twin(struct work *w, const size_t *d, double *out)
{
	size_t rows = d[0], m = d[1], n = d[2];
	float *dy = random_numbers(w, 1, rows * m, 1), *x = random_numbers(w, 2, rows * n, 1);
	const float *dw = random_numbers(w, 3, m * n, 1);
	for (size_t i = 0; d[3] == OPERAND_BF16 && i < rows * m; i++)
		dy[i] = numbers_bf16(dy[i]);
	for (size_t i = 0; d[3] == OPERAND_BF16 && i < rows * n; i++)
		x[i] = numbers_bf16(x[i]);
	for (size_t i = 0; i < m * n; i++)
		out[i] = (double)dw[i];
	for (size_t r = 0; r < rows; r++)
		for (size_t i = 0; i < m; i++)
			for (size_t j = 0; j < n; j++)
				out[i * n + j] += (double)dy[r * m + i] * (double)x[r * n + j];
}

static bool knows(struct device *device, enum operand_type type)
{
	struct operand b = {.k = 1, .n = 1, .transposed = true, .type = type};
	struct error err;
	const bool known = operand_init(&b, device, &err) == 0;
	operand_release(&b, device);
	return known;
}

static void product_tn_adds_the_naive_sums(void **state)
{
	static const struct op op = {
		"product_tn", product_tn_size, product_tn_run, product_tn_twin, 1, 4e-6};
	static const size_t shapes[][DIMENSIONS] = {
		{700, 100, 33}, {1280, 60, 60}, {65, 512, 83}, {1, 400, 300}, {3000, 5, 3}};
	for (enum operand_type type = OPERAND_F32; type <= OPERAND_BF16; type++) {
		if (!knows(**(struct device ***)state, type))
			continue;
		for (size_t r = 0; r < SIZES; r += 2)
			for (size_t i = 0; i < SIZES; i++)
				for (size_t j = 0; j < SIZES; j += 1 + i % 2)
					check_shape(*state, &op,
						(size_t[DIMENSIONS]){
							sizes[r], sizes[i], sizes[j], type});
		for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
			check_shape(*state, &op,
				(size_t[DIMENSIONS]){
					shapes[i][0], shapes[i][1], shapes[i][2], type});
	}
}

/* --- rows: d = rows, n ------------------------------------------------------------------------ */

static size_t rows_size(const size_t *d)
{
	return d[0] * d[1];
}

static size_t column_sums_size(const size_t *d)
{
	return d[1];
}

static void column_sums_run(struct work *w, const size_t *d, float *out)
{
	float *x = upload_numbers(w, 1, d[0] * d[1], 1), *sum = upload_numbers(w, 2, d[1], 1);
	w->device->ops->column_sums(w->device, d[0], d[1], x, sum);
	download(w, out, sum, d[1] * sizeof *sum);
}

static void column_sums_twin(struct work *w, const size_t *d, double *out)
{
	const float *x = random_numbers(w, 1, d[0] * d[1], 1), *sum = random_numbers(w, 2, d[1], 1);
	for (size_t j = 0; j < d[1]; j++)
		out[j] = (double)sum[j];
	for (size_t i = 0; i < d[0] * d[1]; i++)
		out[i % d[1]] += (double)x[i];
}

static void column_sums_adds_every_row(void **state)
{
	static const struct op op = {
		"column_sums", column_sums_size, column_sums_run, column_sums_twin, 1, 4e-6};
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++)
			check_shape(*state, &op, (size_t[DIMENSIONS]){sizes[i], sizes[j]});
	static const size_t shapes[][DIMENSIONS] = {{1283, 2048}, {5000, 3}, {3, 5000}};
	CHECK(state, &op, shapes);
}

/* --- the one-hot product: d = rows, n, V ------------------------------------------------------ */

/* Some of them none. */
static uint32_t *ids_with_gaps(struct work *w, size_t rows, size_t V)
{
	uint32_t *ids = random_ids(w, 4, rows, V);
	for (size_t r = 2; r < rows; r += 5)
		ids[r] = TARGET_NONE;
	return ids;
}

static void gather_run(struct work *w, const size_t *d, float *out)
{
	size_t rows = d[0], n = d[1], V = d[2];
	uint32_t *ids = upload(w, ids_with_gaps(w, rows, V), rows * sizeof *ids);
	float *table = upload_numbers(w, 1, V * n, 1), *y = upload_numbers(w, 5, rows * n, 1);
	float *bias1 = upload_numbers(w, 2, n, 1), *bias2 = upload_numbers(w, 3, n, 1);
	w->device->ops->gather(w->device, rows, n, table, ids, bias1, bias2, y);
	download(w, out, y, rows * n * sizeof *y);
}

static void gather_twin(struct work *w, const size_t *d, double *out)
{
	size_t rows = d[0], n = d[1], V = d[2];
	const uint32_t *ids = ids_with_gaps(w, rows, V);
	const float *table = random_numbers(w, 1, V * n, 1);
	const float *bias1 = random_numbers(w, 2, n, 1), *bias2 = random_numbers(w, 3, n, 1);
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n; j++)
			out[r * n + j] =
				(ids[r] == TARGET_NONE ? 0 : (double)table[ids[r] * n + j]) +
				(double)bias1[j] + (double)bias2[j];
}

static void gather_takes_rows_and_adds_both_biases(void **state)
{
	static const struct op op = {"gather", rows_size, gather_run, gather_twin, 1, 3e-7};
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++)
			check_shape(*state, &op,
				(size_t[DIMENSIONS]){sizes[i], sizes[j], sizes[(i + j) % SIZES]});
}

static size_t scatter_add_size(const size_t *d)
{
	return d[2] * d[1];
}

static void scatter_add_run(struct work *w, const size_t *d, float *out)
{
	size_t rows = d[0], n = d[1], V = d[2];
	uint32_t *ids = upload(w, ids_with_gaps(w, rows, V), rows * sizeof *ids);
	float *x = upload_numbers(w, 1, rows * n, 1), *table = upload_numbers(w, 2, V * n, 1);
	w->device->ops->scatter_add(w->device, rows, n, V, x, ids, table);
	download(w, out, table, V * n * sizeof *table);
}

/* The order of the sums is fixed, so the twin adds in float and must agree in every bit. */
static void scatter_add_twin(struct work *w, const size_t *d, double *out)
{
	size_t rows = d[0], n = d[1], V = d[2];
	const uint32_t *ids = ids_with_gaps(w, rows, V);
	const float *x = random_numbers(w, 1, rows * n, 1);
	float *table = random_numbers(w, 2, V * n, 1);
	for (size_t r = 0; r < rows; r++)
		for (size_t j = 0; j < n && ids[r] != TARGET_NONE; j++)
			table[ids[r] * n + j] += x[r * n + j];
	for (size_t i = 0; i < V * n; i++)
		out[i] = (double)table[i];
}

static void scatter_add_adds_rows_in_their_order(void **state)
{
	static const struct op op = {
		"scatter_add", scatter_add_size, scatter_add_run, scatter_add_twin, 1, 0};
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++)
			check_shape(*state, &op,
				(size_t[DIMENSIONS]){sizes[i], sizes[j], sizes[(i + j) % SIZES]});
	static const size_t shapes[][DIMENSIONS] = {{2000, 64, 3}, {300, 2048, 83}, {100, 4, 5000}};
	CHECK(state, &op, shapes);
}

/* --- the scan of one layer: d = T, N, H, cell -------------------------------------------------- */

/* What a scan takes, and gives: on the device and in the twin. */
struct shape {
	enum cell_type cell;
	size_t T, N, H;
	size_t gates, states; /* floats: of gates, and of h or c but for what is given */
};

static struct shape shape_of(const size_t *d)
{
	const enum cell_type cell = (enum cell_type)d[3];
	return (struct shape){cell, d[0], d[1], d[2], d[0] * d[1] * cell_of(cell)->gates * d[2],
		d[0] * d[1] * d[2]};
}

/* Weights that keep b of order one however wide the layer is. */
static float *scan_weights(struct work *w, const struct shape *s)
{
	const size_t n = cell_of(s->cell)->gates * s->H * s->H;
	return random_numbers(w, 1, n, (float)(1.5 / sqrt((double)s->H)));
}

static void make_operand(struct work *w, struct operand *b)
{
	struct error err;
	assert_int_equal(operand_init(b, w->device, &err), 0);
	w->device->ops->operand_update(w->device, b);
}

/* Forward, and, if `back`, backward. */
static void scan_run(struct work *w, const struct shape *s, bool back, struct scan *scan)
{
	const struct ops *ops = w->device->ops;
	const struct cell *cell = cell_of(s->cell);
	const size_t GH = cell->gates * s->H, row = s->N * s->H;
	float *weights = upload(w, scan_weights(w, s), GH * s->H * sizeof(float));
	struct operand forward = {.k = s->H, .n = GH, .transposed = true, .w = weights};
	struct operand backward = {.k = GH, .n = s->H, .w = weights};
	*scan = (struct scan){.cell = cell,
		.T = s->T,
		.N = s->N,
		.H = s->H,
		.w_hh = &forward,
		.gates = upload_numbers(w, 2, s->gates, 3),
		.h = upload_numbers(w, 3, s->states + row, 1)};
	if (cell->states > 1)
		scan->c = upload_numbers(w, 4, s->states + row, 2);
	if (cell->apart) {
		forward.bias1 = upload_numbers(w, 5, GH, 2);
		scan->recurrent = upload_numbers(w, 6, s->gates, 1);
	}
	make_operand(w, &forward);
	make_operand(w, &backward);
	ops->scan_forward(w->device, scan);
	if (back) {
		scan->w_hh = &backward;
		scan->dh = upload_numbers(w, 7, s->states, 1);
		scan->dc = upload_numbers(w, 8, row, 1);
		ops->scan_backward(w->device, scan);
	}
	operand_release(&forward, w->device);
	operand_release(&backward, w->device);
}

/* The same, row by row: h and c (T,N,H), and the gradients da and db (T,N,GH). */
static void scan_twin(
	struct work *w, const struct shape *s, double *h, double *c, double *da, double *db)
{
	const size_t T = s->T, N = s->N, H = s->H, GH = cell_of(s->cell)->gates * H, row = N * H;
	const float *weights = scan_weights(w, s), *x = random_numbers(w, 2, s->gates, 3);
	const float *h_given = random_numbers(w, 3, row, 1),
		    *c_given = random_numbers(w, 4, row, 2);
	const float *bias = random_numbers(w, 5, GH, 2), *above = random_numbers(w, 7, T * row, 1);
	double *hs = host_memory(w, (T + 1) * H * sizeof *hs);
	double *cs = host_memory(w, (T + 1) * H * sizeof *cs);
	double *gates = host_memory(w, T * 4 * H * sizeof *gates);
	double *a = host_memory(w, GH * sizeof *a), *b = host_memory(w, GH * sizeof *b);
	double *dh = host_memory(w, H * sizeof *dh), *dc = host_memory(w, H * sizeof *dc);
	for (size_t n = 0; n < N; n++) {
		for (size_t u = 0; u < H; u++) {
			hs[u] = (double)h_given[n * H + u], cs[u] = (double)c_given[n * H + u];
			dh[u] = dc[u] = 0;
		}
		for (size_t t = 0; t < T; t++) {
			for (size_t j = 0; j < GH; j++) {
				a[j] = (double)x[(t * N + n) * GH + j];
				b[j] = cell_of(s->cell)->apart ? (double)bias[j] : 0;
				for (size_t k = 0; k < H; k++)
					b[j] += (double)weights[j * H + k] * hs[t * H + k];
			}
			reference_cell_forward(s->cell, H, a, b, hs + t * H, cs + t * H,
				gates + t * 4 * H, hs + (t + 1) * H, cs + (t + 1) * H);
			memcpy(h + (t * N + n) * H, hs + (t + 1) * H, H * sizeof *h);
			memcpy(c + (t * N + n) * H, cs + (t + 1) * H, H * sizeof *c);
		}
		for (size_t t = T; t-- > 0;) {
			double *const to = db + (t * N + n) * GH;
			for (size_t u = 0; u < H; u++)
				dh[u] += (double)above[(t * N + n) * H + u];
			reference_cell_backward(s->cell, H, gates + t * 4 * H, hs + t * H,
				cs + t * H, hs + (t + 1) * H, cs + (t + 1) * H, dh, dc,
				da + (t * N + n) * GH, to);
			for (size_t j = 0; j < GH; j++)
				for (size_t k = 0; k < H; k++)
					dh[k] += to[j] * (double)weights[j * H + k];
		}
	}
}

/* h, then c where there is one. */
static size_t scan_forward_size(const size_t *d)
{
	const struct shape s = shape_of(d);
	return cell_of(s.cell)->states * s.states;
}

static void scan_forward_run(struct work *w, const size_t *d, float *out)
{
	const struct shape s = shape_of(d);
	struct scan scan;
	scan_run(w, &s, false, &scan);
	download(w, out, scan.h + s.N * s.H, s.states * sizeof *out);
	if (scan.c)
		download(w, out + s.states, scan.c + s.N * s.H, s.states * sizeof *out);
}

static void scan_forward_twin(struct work *w, const size_t *d, double *out)
{
	const struct shape s = shape_of(d);
	double *c = host_memory(w, s.states * sizeof *c),
	       *da = host_memory(w, s.gates * sizeof *da);
	double *db = host_memory(w, s.gates * sizeof *db);
	scan_twin(w, &s, out, c, da, db);
	if (cell_of(s.cell)->states > 1)
		memcpy(out + s.states, c, s.states * sizeof *c);
}

/* da, then db where it is another. */
static size_t scan_backward_size(const size_t *d)
{
	const struct shape s = shape_of(d);
	return (cell_of(s.cell)->apart ? 2 : 1) * s.gates;
}

static void scan_backward_run(struct work *w, const size_t *d, float *out)
{
	const struct shape s = shape_of(d);
	struct scan scan;
	scan_run(w, &s, true, &scan);
	download(w, out, scan.gates, s.gates * sizeof *out);
	if (scan.recurrent)
		download(w, out + s.gates, scan.recurrent, s.gates * sizeof *out);
}

static void scan_backward_twin(struct work *w, const size_t *d, double *out)
{
	const struct shape s = shape_of(d);
	double *h = host_memory(w, s.states * sizeof *h), *c = host_memory(w, s.states * sizeof *c);
	double *db = host_memory(w, s.gates * sizeof *db);
	scan_twin(w, &s, h, c, out, db);
	if (cell_of(s.cell)->apart)
		memcpy(out + s.gates, db, s.gates * sizeof *db);
}

static void check_scans(void **state, const struct op *op)
{
	static const size_t scans[][3] = {
		{1, 1, 1},
		{1, 1, 8},
		{2, 1, 100},
		{3, 2, 7},
		{3, 5, 15},
		{4, 7, 16},
		{3, 8, 17},
		{2, 17, 31},
		{5, 33, 33},
		{2, 130, 20},
		{3, 65, 40},
		{2, 3, 128},
		{1, 9, 257},
		{20, 3, 12},
	};
	for (size_t i = 0; i < sizeof scans / sizeof *scans; i++)
		for (size_t cell = 0; cell < CELL_TYPES; cell++)
			check_shape(*state, op,
				(size_t[DIMENSIONS]){scans[i][0], scans[i][1], scans[i][2], cell});
}

static void scan_forward_follows_the_equations(void **state)
{
	static const struct op op = {
		"scan_forward", scan_forward_size, scan_forward_run, scan_forward_twin, 1, 5e-6};
	check_scans(state, &op);
}

static void scan_backward_follows_the_chain_rule(void **state)
{
	static const struct op op = {"scan_backward", scan_backward_size, scan_backward_run,
		scan_backward_twin, 1, 1e-5};
	check_scans(state, &op);
}

static void a_row_of_a_scan_is_the_same_bits_among_any_rows(void **state)
{
	if (!rows_are_independent())
		return;
	struct device **devices = *state;
	enum { T = 1, H = 19, ROWS = 150 };
	for (size_t cell = 0; cell < CELL_TYPES; cell++) {
		size_t d[] = {T, ROWS, H, cell}, all_n = scan_forward_size(d);
		float *all = calloc(all_n, sizeof *all), *some = calloc(all_n, sizeof *some);
		assert_true(all && some);
		struct work w = {.device = devices[1]};
		scan_forward_run(&w, d, all);
		release(&w);
		for (d[1] = 1; d[1] < ROWS; d[1] += 1 + d[1] / 5) {
			scan_forward_run(&w, d, some);
			release(&w);
			/* With one step, h of the first rows comes first whatever N is. */
			assert_memory_equal(all, some, d[1] * H * sizeof *all);
		}
		free(all);
		free(some);
	}
}

/* --- dropout: d = T, N, H, first row, case of drops[] ----------------------------------------- */

static const struct dropout drops[] = {
	{.p = 0.5, .key = {{1, PHILOX_DROPOUT << 16}}, .step = 0},
	{.p = 0.5, .key = {{7, PHILOX_DROPOUT << 16 | 1}}, .step = 1000},
	{.p = 0.1, .key = {{0xffffffff, PHILOX_DROPOUT << 16 | 3}}, .step = 0xffffffff},
	{.p = 0.9, .key = {{12345, PHILOX_DROPOUT << 16}}, .step = 3},
	{.p = 0, .key = {{1, PHILOX_DROPOUT << 16}}, .step = 3},
};

static size_t dropout_size(const size_t *d)
{
	return d[0] * d[1] * d[2];
}

static void dropout_run(struct work *w, const size_t *d, float *out)
{
	size_t n = dropout_size(d);
	float *x = upload_numbers(w, 1, n, 1), *y = upload_numbers(w, 2, n, 1);
	w->device->ops->dropout(w->device, d[0], d[1], d[2], d[3], &drops[d[4]], x, y);
	download(w, out, y, n * sizeof *out);
}

static void dropout_in_place_run(struct work *w, const size_t *d, float *out)
{
	size_t n = dropout_size(d);
	float *x = upload_numbers(w, 1, n, 1);
	w->device->ops->dropout(w->device, d[0], d[1], d[2], d[3], &drops[d[4]], x, x);
	download(w, out, x, n * sizeof *out);
}

static void dropout_twin(struct work *w, const size_t *d, double *out)
{
	const float *x = random_numbers(w, 1, dropout_size(d), 1);
	const struct dropout *drop = &drops[d[4]];
	for (size_t i = 0; i < dropout_size(d); i++) {
		uint32_t u = (uint32_t)(i % d[2]), r = (uint32_t)(i / d[2] % d[1] + d[3]);
		uint32_t t = (uint32_t)(i / d[2] / d[1]);
		bool kept = reference_keeps(drop, t, r, u);
		out[i] = kept ? (double)x[i] / (1 - drop->p) : 0;
	}
}

static void dropout_draws_the_masks_that_philox_defines(void **state)
{
	static const struct op apart = {
		"dropout", dropout_size, dropout_run, dropout_twin, 1, 2e-7};
	static const struct op in_place = {
		"dropout in place", dropout_size, dropout_in_place_run, dropout_twin, 1, 2e-7};
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < sizeof drops / sizeof *drops; j++) {
			size_t d[DIMENSIONS] = {1 + (i + j) % 3, sizes[(i + 3) % SIZES], sizes[i],
				j % 2 ? sizes[j] : 0, j};
			check_shape(*state, &apart, d);
			check_shape(*state, &in_place, d);
		}
}

static void dropped_is_zero_and_nothing_is_dropped_at_zero(void **state)
{
	struct device **devices = *state;
	enum { T = 3, N = 20, H = 33 };
	struct work w = {.device = devices[2]};
	const float *x = random_numbers(&w, 1, T * N * H, 1);
	float *y = host_memory(&w, T * N * H * sizeof *y);
	dropout_run(&w, (size_t[]){T, N, H, 0, 4}, y);
	assert_memory_equal(x, y, T * N * H * sizeof *y);
	dropout_run(&w, (size_t[]){T, N, H, 0, 0}, y);
	for (size_t i = 0; i < (size_t)T * N * H; i++)
		assert_true(y[i] == 0 || y[i] == 2 * x[i]);
	release(&w);
}

static void a_block_of_rows_has_the_masks_it_has_in_the_batch(void **state)
{
	struct device **devices = *state;
	enum { N = 23, H = 17 };
	float all[N * H], block[N * H];
	struct work w = {.device = devices[3]};
	float *ones = host_memory(&w, sizeof all);
	for (size_t i = 0; i < (size_t)N * H; i++)
		ones[i] = 1;
	float *x = upload(&w, ones, sizeof all), *y = upload(&w, NULL, sizeof all);
	w.device->ops->dropout(w.device, 1, N, H, 0, &drops[1], x, y);
	download(&w, all, y, sizeof all);
	for (size_t first = 0; first < N; first++) {
		size_t rows = (N - first + 1) / 2;
		w.device->ops->dropout(w.device, 1, rows, H, first, &drops[1], x, y);
		download(&w, block, y, rows * H * sizeof *block);
		assert_memory_equal(all + first * H, block, rows * H * sizeof *block);
	}
	release(&w);
}

enum { MASK_T = 20, MASK_N = 40, MASK_H = 256, MASK_SIZE = MASK_T * MASK_N * MASK_H };

/* A mask as 1 (kept) and 0. */
static void draw_mask(
	struct work *w, uint32_t seed, uint32_t layer, uint32_t step, double p, float *mask)
{
	struct dropout dropout = {
		.p = p, .key = philox_key(seed, PHILOX_DROPOUT, layer), .step = step};
	for (size_t i = 0; i < MASK_SIZE; i++)
		mask[i] = (float)(1 - p);
	float *x = upload(w, mask, MASK_SIZE * sizeof *mask);
	w->device->ops->dropout(w->device, MASK_T, MASK_N, MASK_H, 0, &dropout, x, x);
	download(w, mask, x, MASK_SIZE * sizeof *mask);
	for (size_t i = 0; i < MASK_SIZE; i++)
		mask[i] = mask[i] > 0;
}

/* Five standard deviations: what chance exceeds once in two million times. */
static void assert_rate(const float *mask, size_t n, double p)
{
	double kept = 0;
	for (size_t i = 0; i < n; i++)
		kept += (double)mask[i];
	assert_true(fabs(kept / (double)n - (1 - p)) <= 5 * sqrt(p * (1 - p) / (double)n));
}

static void assert_uncorrelated(
	const char *what, const float *a, const float *b, size_t n, double p)
{
	double covariance = 0;
	for (size_t i = 0; i < n; i++)
		covariance += ((double)a[i] - (1 - p)) * ((double)b[i] - (1 - p));
	double correlation = covariance / (double)n / (p * (1 - p));
	if (!(fabs(correlation) <= 5 / sqrt((double)n)))
		fail_msg("masks of %s correlate by %.4f", what, correlation);
}

static void masks_keep_at_their_rate_and_are_independent(void **state)
{
	struct device **devices = *state;
	static const double probabilities[] = {0.5, 0.1, 0.75};
	for (size_t i = 0; i < sizeof probabilities / sizeof *probabilities; i++) {
		struct work w = {.device = devices[1]};
		double p = probabilities[i];
		float *mask = host_memory(&w, MASK_SIZE * sizeof *mask);
		float *other = host_memory(&w, MASK_SIZE * sizeof *other);
		draw_mask(&w, 1, 0, 5, p, mask);
		assert_rate(mask, MASK_SIZE, p);
		for (size_t r = 0; r < MASK_N; r++)
			assert_rate(mask + r * MASK_H, MASK_H, p);

		size_t row = MASK_H, step = (size_t)MASK_N * MASK_H;
		assert_uncorrelated("neighbouring units", mask, mask + 1, MASK_SIZE - 1, p);
		assert_uncorrelated("units 4 apart", mask, mask + 4, MASK_SIZE - 4, p);
		assert_uncorrelated("rows", mask, mask + row, MASK_SIZE - row, p);
		assert_uncorrelated("times", mask, mask + step, MASK_SIZE - step, p);
		draw_mask(&w, 1, 1, 5, p, other);
		assert_uncorrelated("layers", mask, other, MASK_SIZE, p);
		draw_mask(&w, 1, 0, 6, p, other);
		assert_uncorrelated("steps", mask, other, MASK_SIZE, p);
		draw_mask(&w, 2, 0, 5, p, other);
		assert_uncorrelated("seeds", mask, other, MASK_SIZE, p);
		release(&w);
	}
}

/* --- softmax cross-entropy: d = rows, V, scale of the logits ---------------------------------- */

static uint32_t *random_targets(struct work *w, size_t rows, size_t V)
{
	uint32_t *targets = random_ids(w, 2, rows, V);
	for (size_t r = 3; r < rows; r += 5)
		targets[r] = TARGET_NONE;
	return targets;
}

static size_t nats_size(const size_t *d)
{
	return d[0];
}

static void nats_run(struct work *w, const size_t *d, float *out)
{
	float *logits = upload_numbers(w, 1, d[0] * d[1], (float)d[2]);
	float *nats = upload_numbers(w, 3, d[0], 1);
	uint32_t *targets = upload(w, random_targets(w, d[0], d[1]), d[0] * sizeof *targets);
	w->device->ops->cross_entropy(w->device, d[0], d[1], logits, targets, 0, nats);
	download(w, out, nats, d[0] * sizeof *out);
}

static void gradient_run(struct work *w, const size_t *d, float *out)
{
	float *logits = upload_numbers(w, 1, d[0] * d[1], (float)d[2]);
	float *nats = upload_numbers(w, 3, d[0], 1);
	uint32_t *targets = upload(w, random_targets(w, d[0], d[1]), d[0] * sizeof *targets);
	w->device->ops->cross_entropy(w->device, d[0], d[1], logits, targets, 0.25f, nats);
	download(w, out, logits, d[0] * d[1] * sizeof *out);
}

static double log_sum_exp(const float *logits, size_t V)
{
	double max = -INFINITY, sum = 0;
	for (size_t i = 0; i < V; i++)
		max = fmax(max, (double)logits[i]);
	for (size_t i = 0; i < V; i++)
		sum += exp((double)logits[i] - max);
	return max + log(sum);
}

static void nats_twin(struct work *w, const size_t *d, double *out)
{
	const float *logits = random_numbers(w, 1, d[0] * d[1], (float)d[2]);
	const uint32_t *targets = random_targets(w, d[0], d[1]);
	for (size_t r = 0; r < d[0]; r++)
		out[r] = targets[r] == TARGET_NONE ? 0
						   : log_sum_exp(logits + r * d[1], d[1]) -
							     (double)logits[r * d[1] + targets[r]];
}

static void gradient_twin(struct work *w, const size_t *d, double *out)
{
	const float *logits = random_numbers(w, 1, d[0] * d[1], (float)d[2]);
	const uint32_t *targets = random_targets(w, d[0], d[1]);
	for (size_t r = 0; r < d[0]; r++) {
		double total = log_sum_exp(logits + r * d[1], d[1]);
		for (size_t i = 0; i < d[1] && targets[r] != TARGET_NONE; i++)
			out[r * d[1] + i] = 0.25 * (exp((double)logits[r * d[1] + i] - total) -
							   (i == targets[r]));
	}
}

static void cross_entropy_and_its_gradient_follow_the_formulas(void **state)
{
	static const struct op nats = {"cross_entropy", nats_size, nats_run, nats_twin, 1, 1e-6};
	static const struct op gradient = {
		"cross_entropy's gradient", rows_size, gradient_run, gradient_twin, 1, 2e-6};
	static const size_t scales[] = {1, 4, 30, 1000};
	for (size_t i = 0; i < SIZES; i++)
		for (size_t j = 0; j < SIZES; j++) {
			/* V = 1 has loss 0: the relative error needs a second symbol. */
			size_t d[DIMENSIONS] = {sizes[i], sizes[j] + 1, scales[(i + j) % 4]};
			check_shape(*state, &nats, d);
			check_shape(*state, &gradient, d);
		}
	static const size_t shapes[][DIMENSIONS] = {{1300, 83, 4}, {3, 5000, 4}, {1, 100000, 2}};
	CHECK(state, &nats, shapes);
	CHECK(state, &gradient, shapes);
}

static void scoring_leaves_the_logits_and_gives_the_loss_of_training(void **state)
{
	struct device **devices = *state;
	enum { ROWS = 21, V = 43 };
	struct work w = {.device = devices[0]};
	const struct ops *ops = w.device->ops;
	float back[ROWS * V], scored[ROWS], trained[ROWS];
	const float *before = random_numbers(&w, 1, ROWS * V, 5);
	float *logits = upload(&w, before, sizeof back), *nats = upload(&w, NULL, sizeof scored);
	uint32_t *targets = upload(&w, random_targets(&w, ROWS, V), ROWS * sizeof *targets);
	ops->cross_entropy(w.device, ROWS, V, logits, targets, 0, nats);
	download(&w, back, logits, sizeof back);
	download(&w, scored, nats, sizeof scored);
	assert_memory_equal(back, before, sizeof back);
	ops->cross_entropy(w.device, ROWS, V, logits, targets, 1, nats);
	download(&w, trained, nats, sizeof trained);
	assert_memory_equal(scored, trained, sizeof scored);
	release(&w);
}

static void a_single_symbol_is_no_surprise(void **state)
{
	struct device **devices = *state;
	struct work w = {.device = devices[0]};
	float logits[] = {-3, 0, 1e30f}, nats[] = {9, 9, 9};
	float *on_device = upload(&w, logits, sizeof logits), *out = upload(&w, nats, sizeof nats);
	uint32_t *targets = upload(&w, NULL, 3 * sizeof *targets);
	w.device->ops->cross_entropy(w.device, 3, 1, on_device, targets, 1, out);
	download(&w, nats, out, sizeof nats);
	download(&w, logits, on_device, sizeof logits);
	for (size_t i = 0; i < 3; i++) {
		assert_true(fabsf(nats[i]) <= 1e-6f);
		assert_true(fabsf(logits[i]) <= 1e-6f);
	}
	release(&w);
}

static void a_logit_that_is_no_number_makes_a_loss_that_is_none(void **state)
{
	struct device **devices = *state;
	enum { V = 21 };
	const float bad[] = {NAN, -NAN, INFINITY};
	for (size_t kind = 0; kind < sizeof bad / sizeof *bad; kind++)
		for (size_t place = 0; place < V; place++) {
			struct work w = {.device = devices[0]};
			float *logits = random_numbers(&w, 1, V, 5), nats = 0;
			logits[place] = bad[kind];
			float *x = upload(&w, logits, V * sizeof *x);
			float *out = upload(&w, NULL, sizeof nats);
			uint32_t *target = upload(&w, NULL, sizeof *target);
			w.device->ops->cross_entropy(w.device, 1, V, x, target, 1, out);
			download(&w, &nats, out, sizeof nats);
			assert_true(!isfinite(nats));
			release(&w);
		}
}

/* --- sums ------------------------------------------------------------------------------------- */

static void sums_add_up_in_double(void **state)
{
	struct device **devices = *state;
	static const size_t counts[] = {1, 2, 15, 16, 17, 100, 4095, 65536, 1000003};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		size_t n = counts[i];
		double first[2] = {0};
		for (size_t j = 0; j < DEVICES; j++) {
			struct work w = {.device = devices[j]};
			const double start[2] = {10, 20};
			double got[2];
			long double sum = 10, squares = 20, size = 30;
			const float *x = random_numbers(&w, 1, n, 1);
			for (size_t k = 0; k < n; k++) {
				long double number = x[k];
				sum += number;
				squares += number * number;
				size += fabsl(number);
			}
			float *on_device = upload(&w, x, n * sizeof *x);
			double *total = upload(&w, start, sizeof start);
			w.device->ops->sum(w.device, n, on_device, total);
			w.device->ops->sum_squares(w.device, n, on_device, total + 1);
			download(&w, got, total, sizeof got);
			assert_true(fabsl(got[0] - sum) <= 1e-14 * size);
			assert_true(fabsl(got[1] - squares) <= 1e-14 * size);
			if (j == 0)
				memcpy(first, got, sizeof got);
			assert_memory_equal(first, got, sizeof got);
			release(&w);
		}
	}
}

/* Bit for bit: each has but one order. */
static void doubles_fold_and_floats_add_as_on_the_host(void **state)
{
	struct device **devices = *state;
	enum { MOST = 40 };
	for (size_t i = 0; i < DEVICES; i++)
		for (size_t n = 1; n <= MOST; n++) {
			struct work w = {.device = devices[i]};
			double x[MOST], total = 7;
			for (size_t j = 0; j < n; j++)
				x[j] = sin((double)j) * 1e3;
			double *on_device = upload(&w, x, n * sizeof *x);
			double *sum = upload(&w, &total, sizeof total);
			w.device->ops->fold(w.device, n, on_device, sum);
			download(&w, &total, sum, sizeof total);
			assert_true(total == tree_sum(n, x));
			release(&w);
		}
	for (size_t i = 0; i < DEVICES; i++)
		for (size_t n = 1; n <= 40000; n = 3 * n + 1) {
			struct work w = {.device = devices[i]};
			const float *x = random_numbers(&w, 1, n, 1);
			float *y = random_numbers(&w, 2, n, 1), *got = random_numbers(&w, 3, n, 1);
			float *on_device = upload(&w, y, n * sizeof *y);
			w.device->ops->add(w.device, n, upload(&w, x, n * sizeof *x), on_device);
			download(&w, got, on_device, n * sizeof *y);
			for (size_t j = 0; j < n; j++)
				y[j] += x[j];
			assert_memory_equal(got, y, n * sizeof *y);
			release(&w);
		}
}

static void sums_show_what_is_no_number(void **state)
{
	struct device **devices = *state;
	enum { N = 3001 };
	for (size_t place = 0; place < N; place += 750) {
		struct work w = {.device = devices[1]};
		float *x = random_numbers(&w, 1, N, 1);
		double total[2];
		x[place] = place % 2 ? NAN : INFINITY;
		float *on_device = upload(&w, x, N * sizeof *x);
		double *out = upload(&w, NULL, sizeof total);
		w.device->ops->sum(w.device, N, on_device, out);
		w.device->ops->sum_squares(w.device, N, on_device, out + 1);
		download(&w, total, out, sizeof total);
		assert_true(!isfinite(total[0]));
		assert_true(!isfinite(total[1]));
		release(&w);
	}
}

/* --- Adam: d = n, update's number, case of clips[] -------------------------------------------- */

static const double clips[] = {0, 5, 0.01, 1e-3};

static size_t adam_size(const size_t *d)
{
	return 3 * d[0];
}

/* Weights near zero, so that the update is what is measured. */
static float *adam_w(struct work *w, size_t n)
{
	return random_numbers(w, 1, n, 1e-4f);
}

static float *adam_v(struct work *w, size_t n)
{
	float *v = random_numbers(w, 4, n, 1e-4f);
	for (size_t i = 0; i < n; i++)
		v[i] *= v[i];
	return v;
}

static double sum_of_squares(const float *x, size_t n)
{
	double sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	return sum;
}

static struct adam_update adam_settings(const size_t *d)
{
	return (struct adam_update){.lr = 1e-3,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.epsilon = 1e-8,
		.clip = clips[d[2]],
		.factor = d[3] ? 0.5 : 1,
		.decay = d[3] ? 20 : 0,
		.mix = 0.25,
		.step = d[1]};
}

static void adam_run(struct work *w, const size_t *d, float *out)
{
	size_t n = d[0], bytes = n * sizeof(float);
	struct adam_update update = adam_settings(d);
	const float *dw = random_numbers(w, 2, n, 1e-2f);
	double squares = sum_of_squares(dw, n);
	float *weights = upload(w, adam_w(w, n), bytes), *gradient = upload(w, dw, bytes);
	float *m = upload_numbers(w, 3, n, 1e-3f), *v = upload(w, adam_v(w, n), bytes);
	double *norm = upload(w, &squares, sizeof squares);
	w->device->ops->adam(w->device, n, &update, weights, gradient, m, v, norm, norm);
	download(w, out, gradient, bytes);
	assert_memory_equal(out, dw, bytes);
	download(w, out, weights, bytes);
	download(w, out + n, m, bytes);
	download(w, out + 2 * n, v, bytes);
}

static void adam_twin(struct work *w, const size_t *d, double *out)
{
	size_t n = d[0];
	struct adam_update a = adam_settings(d);
	const float *weights = adam_w(w, n), *dw = random_numbers(w, 2, n, 1e-2f);
	const float *m = random_numbers(w, 3, n, 1e-3f), *v = adam_v(w, n);
	double norm = sqrt(sum_of_squares(dw, n)), step = (double)a.step;
	double scale = a.clip > 0 ? fmin(1, a.clip / (norm + 1e-6)) : 1;
	for (size_t i = 0; i < n; i++) {
		double g = (double)dw[i] * scale;
		double m1 = a.beta1 * (double)m[i] + (1 - a.beta1) * g;
		double v1 = a.beta2 * (double)v[i] + (1 - a.beta2) * g * g;
		double root = sqrt(v1) / sqrt(1 - pow(a.beta2, step));
		out[i] = (1 - a.lr * a.factor * a.decay) * (double)weights[i] -
			 a.lr * a.factor / (1 - pow(a.beta1, step)) * m1 / (root + a.epsilon);
		out[n + i] = m1;
		out[2 * n + i] = v1;
	}
}

static void adam_updates_and_clips_as_the_formulas_say(void **state)
{
	static const struct op op = {"adam", adam_size, adam_run, adam_twin, 3, 1e-5};
	static const size_t counts[] = {1, 7, 16, 17, 33, 1000, 30001};
	static const size_t steps[] = {1, 2, 10, 1000, 100000};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		for (size_t j = 0; j < 5; j++)
			check_shape(*state, &op,
				(size_t[DIMENSIONS]){
					counts[i], steps[j], (i + j) % 4, (i + j) % 3 == 0});
}

/* The 1e-6 beside the norm shows where gradients are that small. */
static void adam_clips_with_a_millionth_beside_the_norm(void **state)
{
	struct device **devices = *state;
	const float dw = 1e-6f, zero = 0;
	const double squares = 1e-12;
	struct adam_update update = adam_settings((size_t[]){1, 1, 0, 0});
	struct work w = {.device = devices[0]};
	float *weights = upload(&w, &zero, sizeof zero), *m = upload(&w, &zero, sizeof zero), got;
	float *gradient = upload(&w, &dw, sizeof dw), *v = upload(&w, &zero, sizeof zero);
	update.clip = 1e-7;
	w.device->ops->adam(w.device, 1, &update, weights, gradient, m, v,
		upload(&w, &squares, sizeof squares), upload(&w, &squares, sizeof squares));
	download(&w, &got, m, sizeof got);
	assert_true(fabs((double)got - 0.1 * 1e-6 * (1e-7 / 2e-6)) <= 1e-14);
	release(&w);
}

static void updates_change_nothing_when_loss_or_norm_is_no_number(void **state)
{
	struct device **devices = *state;
	enum { N = 57 };
	const double bad[] = {INFINITY, NAN, -NAN};
	for (size_t i = 0; i < 6; i++) {
		struct work w = {.device = devices[i % DEVICES]};
		struct adam_update update = adam_settings((size_t[]){N, 3, i < 3 ? 1 : 0, 1});
		const float *before[3] = {
			adam_w(&w, N), random_numbers(&w, 3, N, 1e-3f), adam_v(&w, N)};
		float *after[3], back[N];
		for (size_t j = 0; j < 3; j++)
			after[j] = upload(&w, before[j], sizeof back);
		float *dw = upload_numbers(&w, 2, N, 1);
		const double fine = 1;
		double *no_number = upload(&w, &bad[i % 3], sizeof *bad);
		double *number = upload(&w, &fine, sizeof fine);
		const double *nats = i % 2 ? no_number : number;
		const double *squares = i % 2 ? number : no_number;
		const struct ops *ops = w.device->ops;
		ops->adam(w.device, N, &update, after[0], dw, after[1], after[2], nats, squares);
		ops->momentum(w.device, N, &update, dw, after[1], after[2], nats, squares);
		ops->descend(w.device, N, &update, after[0], after[2], dw, nats, squares);
		ops->average(w.device, N, &update, dw, after[0], nats, squares);
		for (size_t j = 0; j < 3; j++) {
			download(&w, back, after[j], sizeof back);
			assert_memory_equal(back, before[j], sizeof back);
		}
		release(&w);
	}
}

static size_t momentum_size(const size_t *d)
{
	return 2 * d[0];
}

static void momentum_run(struct work *w, const size_t *d, float *out)
{
	const size_t n = d[0], bytes = n * sizeof(float);
	const struct adam_update update = adam_settings(d);
	const float *dw = random_numbers(w, 2, n, 1e-2f);
	const double squares = sum_of_squares(dw, n);
	float *m = upload_numbers(w, 3, n, 1e-3f), *x = upload(w, NULL, bytes);
	float *gradient = upload(w, dw, bytes), *again = upload_numbers(w, 3, n, 1e-3f);
	double *norm = upload(w, &squares, sizeof squares);
	w->device->ops->momentum(w->device, n, &update, gradient, m, x, norm, norm);
	download(w, out, m, bytes);
	/* The moment is the same where nobody wants the direction. */
	w->device->ops->momentum(w->device, n, &update, gradient, again, NULL, norm, norm);
	download(w, out + n, again, bytes);
	assert_memory_equal(out + n, out, bytes);
	download(w, out + n, x, bytes);
}

static void momentum_twin(struct work *w, const size_t *d, double *out)
{
	const size_t n = d[0];
	const struct adam_update a = adam_settings(d);
	const float *dw = random_numbers(w, 2, n, 1e-2f), *m = random_numbers(w, 3, n, 1e-3f);
	const double norm = sqrt(sum_of_squares(dw, n));
	const double scale = a.clip > 0 ? fmin(1, a.clip / (norm + 1e-6)) : 1;
	for (size_t i = 0; i < n; i++) {
		const double g = (double)dw[i] * scale;
		out[i] = a.beta1 * (double)m[i] + (1 - a.beta1) * g;
		out[n + i] = a.beta1 * out[i] + (1 - a.beta1) * g;
	}
}

/* d[4]: whether a new direction is given. */
static void descend_run(struct work *w, const size_t *d, float *out)
{
	const size_t n = d[0], bytes = n * sizeof(float);
	const struct adam_update update = adam_settings(d);
	const double fine = 1;
	float *weights = upload_numbers(w, 1, n, 1), *x = upload_numbers(w, 2, n, 1);
	const float *to = d[4] ? upload_numbers(w, 3, n, 1) : NULL;
	const double *norm = upload(w, &fine, sizeof fine);
	w->device->ops->descend(w->device, n, &update, weights, x, to, norm, norm);
	download(w, out, weights, bytes);
	download(w, out + n, x, bytes);
}

static void descend_twin(struct work *w, const size_t *d, double *out)
{
	const size_t n = d[0];
	const struct adam_update a = adam_settings(d);
	const float *weights = random_numbers(w, 1, n, 1),
		    *x = random_numbers(w, d[4] ? 3 : 2, n, 1);
	for (size_t i = 0; i < n; i++) {
		out[i] = (1 - a.lr * a.factor * a.decay) * (double)weights[i] -
			 a.lr * a.factor * (double)x[i];
		out[n + i] = (double)x[i];
	}
}

static size_t average_size(const size_t *d)
{
	return d[0];
}

static void average_run(struct work *w, const size_t *d, float *out)
{
	const size_t n = d[0], bytes = n * sizeof(float);
	const struct adam_update update = adam_settings(d);
	const double fine = 1;
	const float *weights = upload_numbers(w, 1, n, 1);
	float *average = upload_numbers(w, 2, n, 1);
	const double *norm = upload(w, &fine, sizeof fine);
	w->device->ops->average(w->device, n, &update, weights, average, norm, norm);
	download(w, out, average, bytes);
}

static void average_twin(struct work *w, const size_t *d, double *out)
{
	const float *weights = random_numbers(w, 1, d[0], 1), *old = random_numbers(w, 2, d[0], 1);
	for (size_t i = 0; i < d[0]; i++)
		out[i] = 0.75 * (double)old[i] + 0.25 * (double)weights[i];
}

static void momentum_descent_and_average_are_as_the_formulas_say(void **state)
{
	static const struct op momentum = {
		"momentum", momentum_size, momentum_run, momentum_twin, 2, 1e-6};
	static const struct op descend = {
		"descend", momentum_size, descend_run, descend_twin, 2, 1e-6};
	static const struct op average = {
		"average", average_size, average_run, average_twin, 1, 1e-6};
	static const size_t counts[] = {1, 17, 33, 1000, 30001};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		for (size_t j = 0; j < 4; j++) {
			const size_t d[DIMENSIONS] = {counts[i], 1, j, j % 2, j / 2};
			check_shape(*state, &momentum, d);
			check_shape(*state, &descend, d);
			check_shape(*state, &average, d);
		}
}

static size_t orthogonalise_size(const size_t *d)
{
	return d[0] * d[1] * d[1];
}

static void orthogonalise_run(struct work *w, const size_t *d, float *out)
{
	struct error err;
	const size_t count = d[0], n = d[1], size = count * n * n;
	float *x = upload_numbers(w, 1, size, 1e-3f);
	float *scratch = upload(w, NULL, 3 * size * sizeof *scratch);
	assert_int_equal(w->device->ops->prepare_gradients(w->device, &err), 0);
	w->device->ops->orthogonalise(w->device, (enum operand_type)d[2], count, n, x, scratch);
	download(w, out, x, size * sizeof *out);
}

static void orthogonalise_twin(struct work *w, const size_t *d, double *out)
{
	const size_t n = d[1], size = n * n;
	const float *from = random_numbers(w, 1, d[0] * size, 1e-3f);
	for (size_t i = 0; i < d[0] * size; i++)
		out[i] = (double)from[i];
	for (size_t i = 0; i < d[0]; i++)
		reference_orthogonalise(n, d[2] == OPERAND_BF16 && n % 32 == 0, out + i * size);
}

static void matrices_are_brought_near_orthogonal_ones(void **state)
{
	static const struct op op = {"orthogonalise", orthogonalise_size, orthogonalise_run,
		orthogonalise_twin, 1, 1e-4};
	static const struct op rounded = {"orthogonalise in bfloat16", orthogonalise_size,
		orthogonalise_run, orthogonalise_twin, 1, 0.1};
	static const size_t shapes[][DIMENSIONS] = {
		{1, 1}, {3, 2}, {4, 7}, {2, 16}, {4, 33}, {1, 130}};
	static const size_t even[][DIMENSIONS] = {{1, 32, OPERAND_BF16}, {3, 64, OPERAND_BF16},
		{2, 33, OPERAND_BF16}, {4, 96, OPERAND_BF16}};
	CHECK(state, &op, shapes);
	if (knows(**(struct device ***)state, OPERAND_BF16))
		CHECK(state, &rounded, even);
}

/* No direction comes of no gradient. */
static void a_matrix_of_zeros_stays_so(void **state)
{
	struct device **devices = *state;
	enum { N = 9, SIZE = N * N };
	struct work w = {.device = devices[0]};
	struct error err;
	float *x = upload(&w, NULL, SIZE * sizeof *x), got[SIZE];
	assert_int_equal(w.device->ops->prepare_gradients(w.device, &err), 0);
	w.device->ops->orthogonalise(
		w.device, OPERAND_F32, 1, N, x, upload(&w, NULL, 3 * SIZE * sizeof *x));
	download(&w, got, x, sizeof got);
	for (size_t i = 0; i < SIZE; i++)
		assert_true(got[i] == 0);
	release(&w);
}

/* --- sequences -------------------------------------------------------------------------------- */

/* Three rounds of dropout and updates with other numbers each time, as a sequence that a device may
 * record in the first round and replay in the others, or plainly. */
static void run_rounds(struct work *w, bool as_sequence, float *out)
{
	enum { H = 50, N = 3 * H };
	const struct ops *ops = w->device->ops;
	const double squares = 1, nats = 1;
	float *x = upload(w, NULL, N * sizeof *x), *y = upload(w, NULL, N * sizeof *y);
	float *weights = upload_numbers(w, 1, N, 1), *average = upload(w, NULL, N * sizeof *y);
	float *m = upload(w, NULL, N * sizeof *m), *v = upload(w, NULL, N * sizeof *v);
	double *loss = upload(w, &nats, sizeof nats), *norm = upload(w, &squares, sizeof squares);
	struct sequence sequence = {.key = {.kind = 0x5e9}};
	for (uint32_t round = 0; round < 3; round++) {
		struct error err;
		struct dropout dropout = {.p = 0.5, .key = {{1, 2}}, .step = round};
		struct adam_update update = adam_settings((size_t[]){N, round + 1, 1, 1});
		update.lr /= round + 1;
		update.mix /= round + 1;
		const float *input = random_numbers(w, 10 + round, N, 1);
		assert_int_equal(ops->put(w->device, x, input, N * sizeof *x, &err), 0);
		sequence.step = round;
		sequence.adam = update;
		if (!as_sequence || ops->begin(w->device, &sequence)) {
			ops->dropout(w->device, 1, 3, H, 0, &dropout, x, y);
			ops->adam(w->device, N, &update, weights, y, m, v, loss, norm);
			ops->descend(w->device, N, &update, weights, y, NULL, loss, norm);
			ops->average(w->device, N, &update, weights, average, loss, norm);
			if (as_sequence)
				ops->end(w->device);
		}
		download(
			w, out + (size_t)round * N, round < 2 ? weights : average, N * sizeof *out);
	}
}

static void a_replayed_sequence_does_what_issuing_it_again_would(void **state)
{
	struct device **devices = *state;
	enum { NUMBERS = 3 * 150 };
	float plain[NUMBERS], replayed[NUMBERS];
	struct work w = {.device = devices[1]};
	run_rounds(&w, false, plain);
	release(&w);
	run_rounds(&w, true, replayed);
	release(&w);
	assert_memory_equal(plain, replayed, sizeof plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zero_aligned_and_keeps_what_is_put),
		cmocka_unit_test(memory_that_is_not_there_is_an_error),
		cmocka_unit_test(a_device_describes_itself_in_one_line),
		cmocka_unit_test(product_is_the_naive_sums_and_the_biases),
		cmocka_unit_test(product_is_the_naive_sums_of_large_matrices),
		cmocka_unit_test(a_row_of_a_product_is_the_same_bits_among_any_rows),
		cmocka_unit_test(a_row_of_a_product_keeps_its_nan_to_itself),
		cmocka_unit_test(an_operand_follows_its_weights_and_biases_when_updated),
		cmocka_unit_test(product_tn_adds_the_naive_sums),
		cmocka_unit_test(column_sums_adds_every_row),
		cmocka_unit_test(gather_takes_rows_and_adds_both_biases),
		cmocka_unit_test(scatter_add_adds_rows_in_their_order),
		cmocka_unit_test(scan_forward_follows_the_equations),
		cmocka_unit_test(scan_backward_follows_the_chain_rule),
		cmocka_unit_test(a_row_of_a_scan_is_the_same_bits_among_any_rows),
		cmocka_unit_test(dropout_draws_the_masks_that_philox_defines),
		cmocka_unit_test(dropped_is_zero_and_nothing_is_dropped_at_zero),
		cmocka_unit_test(a_block_of_rows_has_the_masks_it_has_in_the_batch),
		cmocka_unit_test(masks_keep_at_their_rate_and_are_independent),
		cmocka_unit_test(cross_entropy_and_its_gradient_follow_the_formulas),
		cmocka_unit_test(scoring_leaves_the_logits_and_gives_the_loss_of_training),
		cmocka_unit_test(a_single_symbol_is_no_surprise),
		cmocka_unit_test(a_logit_that_is_no_number_makes_a_loss_that_is_none),
		cmocka_unit_test(sums_add_up_in_double),
		cmocka_unit_test(doubles_fold_and_floats_add_as_on_the_host),
		cmocka_unit_test(sums_show_what_is_no_number),
		cmocka_unit_test(adam_updates_and_clips_as_the_formulas_say),
		cmocka_unit_test(adam_clips_with_a_millionth_beside_the_norm),
		cmocka_unit_test(updates_change_nothing_when_loss_or_norm_is_no_number),
		cmocka_unit_test(momentum_descent_and_average_are_as_the_formulas_say),
		cmocka_unit_test(matrices_are_brought_near_orthogonal_ones),
		cmocka_unit_test(a_matrix_of_zeros_stays_so),
		cmocka_unit_test(a_replayed_sequence_does_what_issuing_it_again_would),
	};
	return cmocka_run_group_tests_name("ops", tests, open_devices, close_devices);
}

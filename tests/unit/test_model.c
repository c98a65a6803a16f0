/* test_model.c: the language model on the CPU against the naive reference and against PyTorch.
 *
 * First the reference itself is checked: its gradients against central differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/adam.h"
#include "nn/model.h"

#include "device.h"
#include "golden.h"
#include "numbers.h"
#include "reference.h"

struct shape {
	size_t V, H, L, N, T;
	enum cell_type cell;
};

static void *zeros(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static void assert_close(const char *what, double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance * fabs(expected)))
		fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

static void assert_near(
	const char *what, const float *got, const double *expected, size_t n, double tolerance)
{
	double error = numbers_error(got, expected, n);
	if (!(error <= tolerance))
		fail_msg("%s: error %.2g, at most %.2g", what, error, tolerance);
}

/* A batch (N,T+1) of random ids. */
static uint32_t *random_batch(const struct shape *s, uint32_t stream)
{
	size_t n = s->N * (s->T + 1);
	uint32_t *batch = zeros(n, sizeof *batch);
	numbers_ids(batch, n, stream, (uint32_t)s->V);
	return batch;
}

/* --- the reference ---------------------------------------------------------------------------- */

/* Loss of the batch from a given state, which stays as it was. */
static double loss_at(struct reference *r, const uint32_t *batch, const double *h, const double *c)
{
	size_t bytes = r->L * r->N * r->H * sizeof(double);
	memcpy(r->h, h, bytes);
	memcpy(r->c, c, bytes);
	return reference_forward(r, batch) / (double)(r->N * r->T);
}

static void check_differences(const struct shape *s, double dropout)
{
	struct reference r;
	reference_init(&r, s->cell, s->V, s->H, s->L, s->N, s->T);
	size_t states = s->L * s->N * s->H;
	double *h = zeros(states, sizeof *h), *c = zeros(states, sizeof *c);
	const struct model_dropout drops = {
		.input = dropout / 2, .between = dropout, .output = dropout / 3};
	double *mask = reference_masks(&r, &drops, 3, 4);
	bool *hidden = reference_hidden(&r, &drops, 3, 4);
	uint32_t *batch = random_batch(s, 1);
	float *random = zeros(r.parameters, sizeof *random);
	numbers_fill(random, r.parameters, 2, 0.8f);
	for (size_t i = 0; i < r.parameters; i++)
		r.w[i] = (double)random[i];
	for (size_t i = 0; i < states; i++)
		h[i] = sin((double)i), c[i] = 2 * cos((double)i);
	r.mask = mask;
	r.hidden = hidden;
	batch[s->T] = UINT32_MAX; /* the first row's last target is not scored */

	loss_at(&r, batch, h, c);
	reference_backward(&r);
	for (size_t i = 0; i < 4 * s->L + 2; i++) {
		size_t first = reference_offset(&r, i), n = reference_size(&r, i);
		double rms = numbers_rms(r.dw + first, n);
		for (size_t j = first; j < first + n; j++) {
			/* of fourth order, so that truncation and rounding are both below 1e-11 */
			const double step = 1e-3, w = r.w[j];
			double f[4];
			for (int k = 0; k < 4; k++) {
				r.w[j] = w + step * (double[]){-2, -1, 1, 2}[k];
				f[k] = loss_at(&r, batch, h, c);
			}
			r.w[j] = w;
			double slope = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
			if (!(fabs(slope - r.dw[j]) <= 1e-6 * (fabs(slope) + rms)))
				fail_msg("tensor %zu: gradient %.12g, difference %.12g", i, r.dw[j],
					slope);
		}
	}
	reference_release(&r);
	free(h);
	free(c);
	free(mask);
	free(hidden);
	free(batch);
	free(random);
}

static void the_references_gradients_are_central_differences(void **state)
{
	(void)state;
	static const size_t shapes[][5] = {
		{5, 4, 1, 1, 1},
		{3, 7, 2, 1, 5},
		{4, 3, 3, 2, 3},
		{6, 9, 1, 3, 4},
		{2, 1, 2, 2, 2},
	};
	for (size_t i = 0; i < CELL_TYPES * sizeof shapes / sizeof *shapes; i++) {
		const size_t *n = shapes[i / CELL_TYPES];
		const struct shape s = {n[0], n[1], n[2], n[3], n[4], i % CELL_TYPES};
		check_differences(&s, 0);
		check_differences(&s, 0.5);
	}
}

/* --- a model and the reference with the same weights ------------------------------------------ */

struct twins {
	struct device *device;
	struct model model;
	struct model_state state;
	struct adam adam; /* of a model in training */
	struct reference reference;
};

static void assert_ok(int result, const struct error *err)
{
	if (result != 0)
		fail_msg("%s", err->text);
}

/* PyTorch's initial weights, doubled to make the gates move. */
static void init_twins(struct twins *t, unsigned threads, enum model_use use, const struct shape *s)
{
	struct error err;
	t->device = device_for_test(threads, &err);
	assert_non_null(t->device);
	assert_ok(model_init(&t->model, t->device, cell_of(s->cell), s->V, s->H, s->L, use, s->N,
			  s->T, &err),
		&err);
	assert_ok(model_state_init(&t->state, &t->model, s->N, &err), &err);
	t->adam = (struct adam){0};
	if (use >= MODEL_TRAINING)
		assert_ok(adam_init(&t->adam, &t->model, &adam_defaults, &err), &err);
	reference_init(&t->reference, s->cell, s->V, s->H, s->L, s->N, s->T);

	const struct params *params = &t->model.params;
	float *arena = zeros(params->total, sizeof *arena);
	params_initialise(params, 5, 0, arena);
	for (size_t i = 0; i < params->total; i++)
		arena[i] *= 2;
	assert_ok(model_set_weights(&t->model, arena, &err), &err);
	for (size_t i = 0; i < params->count; i++) {
		float *file = zeros(params->v[i].size, sizeof *file);
		params_to_file(params, i, arena, file);
		for (size_t j = 0; j < params->v[i].size; j++)
			t->reference.w[reference_offset(&t->reference, i) + j] = (double)file[j];
		free(file);
	}
	free(arena);
}

static void release_twins(struct twins *t)
{
	adam_release(&t->adam);
	model_state_release(&t->state);
	model_release(&t->model);
	t->device->ops->release(t->device);
	reference_release(&t->reference);
}

/* A training step at rate 0, which leaves the gradients and changes no weight, with the masks of
 * `step`. */
static void train(
	struct twins *t, const uint32_t *batch, size_t T, uint32_t step, double *nats, double *norm)
{
	struct error err;
	t->adam.step = step;
	assert_ok(adam_train(&t->adam, &t->state, batch, T, 0, nats, norm, &err), &err);
}

/* Not every device does. */
static bool knows_bfloat16(void)
{
	struct error err;
	struct model model;
	struct device *device = device_for_test(1, &err);
	assert_non_null(device);
	const bool knows = model_init(&model, device, &lstm_cell, 2, 1, 1, MODEL_TRAINING_BF16, 1,
				   1, &err) == 0;
	if (knows)
		model_release(&model);
	device->ops->release(device);
	return knows;
}

static float *get_gradients(struct twins *t)
{
	struct error err;
	float *arena = zeros(t->model.params.total, sizeof *arena);
	assert_ok(t->device->ops->get(t->device, arena, t->model.gradients,
			  t->model.params.total * sizeof *arena, &err),
		&err);
	return arena;
}

static void assert_same_state(struct twins *t)
{
	struct error err;
	const size_t states = t->model.params.cell->states, n = t->state.size / states;
	float *h = zeros(t->state.size, sizeof *h);
	assert_ok(model_state_get(&t->state, h, &err), &err);
	assert_near("h", h, t->reference.h, n, 1e-5);
	if (states > 1)
		assert_near("c", h + n, t->reference.c, n, 1e-5);
	free(h);
}

static void assert_same_gradients(struct twins *t, double tolerance)
{
	const struct params *params = &t->model.params;
	float *arena = get_gradients(t);
	for (size_t i = 0; i < params->count; i++) {
		size_t n = params->v[i].size;
		float *file = zeros(n, sizeof *file);
		assert_int_equal(n, reference_size(&t->reference, i));
		params_to_file(params, i, arena, file);
		assert_near(params->v[i].name, file,
			t->reference.dw + reference_offset(&t->reference, i), n, tolerance);
		free(file);
	}
	free(arena);
}

/* Odd sizes, one row, one step, 1 to 3 layers, rows in several blocks. */
static const size_t shapes[][5] = {
	{2, 1, 1, 1, 1},
	{7, 5, 1, 1, 4},
	{11, 8, 2, 3, 5},
	{13, 17, 3, 3, 4},
	{83, 33, 2, 1, 9},
	{10, 16, 1, 65, 2},
	{19, 31, 2, 65, 3},
	{9, 40, 2, 130, 2},
	{5, 12, 3, 130, 1},
	{30, 100, 2, 7, 3},
};
enum { SHAPES = CELL_TYPES * sizeof shapes / sizeof *shapes };

/* Each of them, of each cell. */
static struct shape shape_at(size_t i)
{
	const size_t *n = shapes[i / CELL_TYPES];
	return (struct shape){n[0], n[1], n[2], n[3], n[4], i % CELL_TYPES};
}

/* --- training --------------------------------------------------------------------------------- */

static void check_gradient(
	const struct shape *s, unsigned threads, const struct model_dropout *dropout)
{
	struct twins t;
	init_twins(&t, threads, MODEL_TRAINING, s);
	t.model.dropout = *dropout;
	t.model.seed = 42;
	for (uint32_t step = 0; step < 3; step++) {
		uint32_t *batch = random_batch(s, step);
		double *mask = reference_masks(&t.reference, dropout, 42, step), nats, norm;
		bool *hidden = reference_hidden(&t.reference, dropout, 42, step);
		t.reference.mask = mask;
		t.reference.hidden = hidden;
		train(&t, batch, s->T, step, &nats, &norm);
		double expected = reference_forward(&t.reference, batch) / (double)(s->N * s->T);
		reference_backward(&t.reference);
		assert_close("loss", nats, expected, 1e-5);
		assert_close("norm", norm, reference_norm(&t.reference), 1e-4);
		assert_same_gradients(&t, 1e-4);
		assert_same_state(&t);
		free(batch);
		free(mask);
		free(hidden);
	}
	release_twins(&t);
}

static void loss_and_gradients_are_the_references(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape s = shape_at(i);
		check_gradient(&s, 1 + i / CELL_TYPES % 3, &(struct model_dropout){0});
	}
}

static void loss_and_gradients_with_dropout_are_the_references(void **state)
{
	(void)state;
	static const struct model_dropout dropouts[] = {
		{.between = 0.5, .output = 0.5},
		{.input = 0.3},
		{.between = 0.2},
		{.output = 0.4},
		{.input = 0.1, .between = 0.3, .output = 0.6},
	};
	enum { DROPOUTS = sizeof dropouts / sizeof *dropouts };
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape s = shape_at(i);
		for (unsigned k = i % 2; k < DROPOUTS; k += 2)
			check_gradient(&s, 1 + i / CELL_TYPES % 3, &dropouts[k]);
	}
}

/* bfloat16 has 8 bits, and errors of rounding go either way. */
static void gradients_of_bfloat16_are_near_the_references(void **state)
{
	(void)state;
	if (!knows_bfloat16())
		return;
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape shape = shape_at(i), *s = &shape;
		uint32_t *batch = random_batch(s, 1);
		struct twins t;
		double nats, norm;
		init_twins(&t, 1 + i / CELL_TYPES % 3, MODEL_TRAINING_BF16, s);
		train(&t, batch, s->T, 0, &nats, &norm);
		double expected = reference_forward(&t.reference, batch) / (double)(s->N * s->T);
		reference_backward(&t.reference);
		assert_close("loss", nats, expected, 1e-3);
		assert_close("norm", norm, reference_norm(&t.reference), 1e-2);
		assert_same_gradients(&t, 0.1);
		release_twins(&t);
		free(batch);
	}
}

static void check_threads(const struct shape *s, enum model_use use)
{
	float *first = NULL;
	double first_nats = 0, first_norm = 0;
	uint32_t *batch = random_batch(s, 9);
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct twins t;
		double nats, norm;
		init_twins(&t, threads, use, s);
		t.model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
		for (uint32_t step = 0; step < 2; step++)
			train(&t, batch, s->T, step, &nats, &norm);
		float *arena = get_gradients(&t);
		if (!first) {
			first = arena;
			first_nats = nats, first_norm = norm;
			release_twins(&t);
			continue;
		}
		assert_memory_equal(first, arena, t.model.params.total * sizeof *arena);
		assert_true(nats == first_nats && norm == first_norm);
		free(arena);
		release_twins(&t);
	}
	free(first);
	free(batch);
}

static void gradients_are_the_same_bits_for_any_number_of_threads(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape s = shape_at(i);
		check_threads(&s, MODEL_TRAINING);
		if (knows_bfloat16())
			check_threads(&s, MODEL_TRAINING_BF16);
	}
}

static void a_smaller_batch_and_a_shorter_window_fit_the_same_model(void **state)
{
	(void)state;
	const struct shape large = {9, 14, 2, 70, 6, CELL_LSTM},
			   small = {9, 14, 2, 33, 4, CELL_LSTM};
	struct twins t, expected;
	struct error err;
	double nats, norm, expected_nats, expected_norm;
	uint32_t *batch = random_batch(&small, 1);
	init_twins(&t, 1, MODEL_TRAINING, &large);
	init_twins(&expected, 1, MODEL_TRAINING, &small);
	model_state_release(&t.state);
	assert_ok(model_state_init(&t.state, &t.model, small.N, &err), &err);
	train(&t, batch, small.T, 0, &nats, &norm);
	train(&expected, batch, small.T, 0, &expected_nats, &expected_norm);
	assert_close("loss", nats, expected_nats, 1e-6);
	assert_close("norm", norm, expected_norm, 1e-5);
	release_twins(&t);
	release_twins(&expected);
	free(batch);
}

/* --- scoring and feeding ---------------------------------------------------------------------- */

static void scores_are_the_references_and_know_no_dropout(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape shape = shape_at(i), *s = &shape;
		struct twins t;
		struct error err;
		init_twins(&t, 1 + i / CELL_TYPES % 3, i % 2 ? MODEL_TRAINING : MODEL_INFERENCE, s);
		t.model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
		float *each = zeros(s->N * s->T, sizeof *each);
		double *expected = zeros(s->N * s->T, sizeof *expected);
		for (uint32_t window = 0; window < 3; window++) {
			uint32_t *batch = random_batch(s, window);
			double nats, total = reference_forward(&t.reference, batch);
			for (size_t n = 0; n < s->N; n++)
				for (size_t u = 0; u < s->T; u++)
					expected[n * s->T + u] = t.reference.nats[u * s->N + n];
			assert_ok(model_score(&t.model, &t.state, batch, s->T, &nats,
					  window == 1 ? NULL : each, &err),
				&err);
			assert_close("sum of nats", nats, total, 1e-5);
			if (window != 1)
				assert_near("nats of each character", each, expected, s->N * s->T,
					1e-5);
			assert_same_state(&t);
			free(batch);
		}
		release_twins(&t);
		free(each);
		free(expected);
	}
}

static void what_has_no_target_is_not_scored(void **state)
{
	(void)state;
	const struct shape s = {12, 10, 2, 70, 6, CELL_LSTM};
	struct twins t;
	struct error err;
	double nats;
	float *each = zeros(s.N * s.T, sizeof *each);
	uint32_t *batch = random_batch(&s, 1);
	/* Row n ends after n % 7 characters. */
	for (size_t n = 0; n < s.N; n++)
		for (size_t u = n % 7; u < s.T; u++)
			batch[n * (s.T + 1) + u + 1] = TARGET_NONE;
	init_twins(&t, 2, MODEL_INFERENCE, &s);
	assert_ok(model_score(&t.model, &t.state, batch, s.T, &nats, each, &err), &err);
	assert_close("sum of nats", nats, reference_forward(&t.reference, batch), 1e-5);
	for (size_t n = 0; n < s.N; n++)
		for (size_t u = 0; u < s.T; u++)
			assert_true(u < n % 7 ? each[n * s.T + u] > 0 : each[n * s.T + u] == 0);
	release_twins(&t);
	free(each);
	free(batch);
}

static void feeding_gives_the_references_last_logits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		const struct shape shape = shape_at(i), *s = &shape;
		struct twins t;
		struct error err;
		init_twins(&t, 1 + i / CELL_TYPES % 3, MODEL_INFERENCE, s);
		uint32_t *ids = zeros(s->N * s->T, sizeof *ids);
		float *logits = zeros(s->N * s->V, sizeof *logits);
		for (uint32_t window = 0; window < 2; window++) {
			uint32_t *batch = random_batch(s, window);
			for (size_t n = 0; n < s->N; n++)
				memcpy(ids + n * s->T, batch + n * (s->T + 1), s->T * sizeof *ids);
			reference_forward(&t.reference, batch);
			assert_ok(model_feed(&t.model, &t.state, ids, s->T, logits, &err), &err);
			assert_near("logits", logits, t.reference.logits + (s->T - 1) * s->N * s->V,
				s->N * s->V, 1e-5);
			assert_same_state(&t);
			free(batch);
		}
		release_twins(&t);
		free(ids);
		free(logits);
	}
}

static void check_rows(enum cell_type cell)
{
	const struct shape all = {21, 24, 2, 70, 5, cell}, one = {21, 24, 2, 1, 5, cell};
	struct twins batch, single;
	struct error err;
	double nats;
	float *each = zeros(all.N * all.T, sizeof *each), alone[5];
	uint32_t *ids = random_batch(&all, 1);
	init_twins(&batch, 2, MODEL_INFERENCE, &all);
	init_twins(&single, 1, MODEL_INFERENCE, &one);
	assert_ok(model_score(&batch.model, &batch.state, ids, all.T, &nats, each, &err), &err);
	for (size_t n = 0; n < all.N; n++) {
		model_state_zero(&single.state);
		assert_ok(model_score(&single.model, &single.state, ids + n * (all.T + 1), all.T,
				  &nats, alone, &err),
			&err);
		assert_memory_equal(each + n * all.T, alone, sizeof alone);
	}
	release_twins(&batch);
	release_twins(&single);
	free(each);
	free(ids);
}

static void a_row_is_scored_the_same_bits_alone_and_in_a_batch(void **state)
{
	(void)state;
	for (enum cell_type cell = 0; rows_are_independent() && cell < CELL_TYPES; cell++)
		check_rows(cell);
}

static void a_text_is_scored_the_same_bits_in_any_windows(void **state)
{
	if (!rows_are_independent())
		return;
	(void)state;
	const struct shape s = {21, 24, 2, 1, 24, CELL_LSTM};
	struct twins t;
	struct error err;
	double nats;
	float whole[24], parts[24];
	uint32_t *ids = random_batch(&s, 1);
	init_twins(&t, 1, MODEL_INFERENCE, &s);
	assert_ok(model_score(&t.model, &t.state, ids, s.T, &nats, whole, &err), &err);
	model_state_zero(&t.state);
	for (size_t at = 0, step = 1; at < s.T; at += step) {
		step = at % 5 + 1 < s.T - at ? at % 5 + 1 : s.T - at;
		assert_ok(model_score(&t.model, &t.state, ids + at, step, &nats, parts + at, &err),
			&err);
	}
	assert_memory_equal(whole, parts, sizeof whole);
	release_twins(&t);
	free(ids);
}

static void a_state_can_be_put_aside_and_taken_up(void **state)
{
	(void)state;
	const struct shape s = {6, 9, 2, 3, 4, CELL_LSTM};
	struct twins t;
	struct error err;
	double first, again, zero;
	float held[2 * 2 * 3 * 9];
	uint32_t *batch = random_batch(&s, 1);
	init_twins(&t, 1, MODEL_INFERENCE, &s);
	assert_ok(model_score(&t.model, &t.state, batch, s.T, &zero, NULL, &err), &err);
	assert_ok(model_state_get(&t.state, held, &err), &err);
	assert_ok(model_score(&t.model, &t.state, batch, s.T, &first, NULL, &err), &err);
	assert_ok(model_state_set(&t.state, held, &err), &err);
	assert_ok(model_score(&t.model, &t.state, batch, s.T, &again, NULL, &err), &err);
	assert_true(first == again && first != zero);
	model_state_zero(&t.state);
	assert_ok(model_score(&t.model, &t.state, batch, s.T, &again, NULL, &err), &err);
	assert_true(again == zero);
	release_twins(&t);
	free(batch);
}

static void every_row_can_be_given_the_state_of_one(void **state)
{
	(void)state;
	enum { H = 9, L = 2, N = 3, ARRAYS = 2 * L };
	const struct shape s = {6, H, L, N, 4, CELL_LSTM};
	struct twins t;
	struct error err;
	float row[ARRAYS * H], all[ARRAYS * N * H];
	init_twins(&t, 1, MODEL_INFERENCE, &s);
	assert_int_equal(params_state_size(&t.model.params), ARRAYS * H);
	numbers_fill(row, ARRAYS * H, 1, 1);
	assert_ok(model_state_fill(&t.state, row, &err), &err);
	assert_ok(model_state_get(&t.state, all, &err), &err);
	for (size_t a = 0; a < ARRAYS; a++)
		for (size_t n = 0; n < N; n++)
			assert_memory_equal(all + (a * N + n) * H, row + a * H, H * sizeof *row);
	release_twins(&t);
}

static void weights_come_back_as_they_were_set(void **state)
{
	(void)state;
	const struct shape s = {6, 9, 2, 3, 4, CELL_LSTM};
	struct twins t;
	struct error err;
	init_twins(&t, 1, MODEL_TRAINING, &s);
	size_t n = t.model.params.total;
	float *set = zeros(n, sizeof *set), *got = zeros(n, sizeof *got);
	numbers_fill(set, n, 1, 1);
	assert_ok(model_set_weights(&t.model, set, &err), &err);
	assert_ok(model_get_weights(&t.model, got, &err), &err);
	assert_memory_equal(set, got, n * sizeof *set);
	release_twins(&t);
	free(set);
	free(got);
}

static void a_loss_that_is_no_number_is_told(void **state)
{
	(void)state;
	const struct shape s = {6, 9, 2, 40, 2, CELL_LSTM};
	const float bad[] = {NAN, INFINITY};
	for (size_t i = 0; i < 2; i++) {
		struct twins t;
		struct error err;
		double nats, norm;
		uint32_t *batch = random_batch(&s, 1);
		init_twins(&t, 2, MODEL_TRAINING, &s);
		float *arena = zeros(t.model.params.total, sizeof *arena);
		assert_ok(model_get_weights(&t.model, arena, &err), &err);
		arena[params_fc_bias(&t.model.params)->offset] = bad[i];
		assert_ok(model_set_weights(&t.model, arena, &err), &err);
		train(&t, batch, s.T, 0, &nats, &norm);
		assert_true(!isfinite(nats) && !isfinite(norm));
		release_twins(&t);
		free(arena);
		free(batch);
	}
}

static void impossible_sizes_are_errors(void **state)
{
	(void)state;
	struct error err;
	struct device *device = device_for_test(1, &err);
	assert_non_null(device);
	static const uint64_t sizes[][3] = {{0, 8, 1}, {8, 0, 1}, {8, 8, 0}, {UINT64_MAX, 8, 1},
		{8, UINT64_MAX, 1}, {8, 8, UINT64_MAX}};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct model model;
		err = (struct error){0};
		assert_int_equal(model_init(&model, device, &lstm_cell, sizes[i][0], sizes[i][1],
					 sizes[i][2], MODEL_TRAINING, 1, 1, &err),
			-1);
		assert_int_equal(err.status, STATUS_DATA);
		model_release(&model);
	}
	device->ops->release(device);
}

/* --- PyTorch ---------------------------------------------------------------------------------- */

static void check_golden(const char *name, enum cell_type cell)
{
	struct golden golden = golden_open(name);
	struct twins t;
	struct error err;
	const struct shape s = {golden_size(&golden, 0), golden_size(&golden, 1),
		golden_size(&golden, 2), golden_size(&golden, 3), golden_size(&golden, 4), cell};
	const size_t steps = golden_size(&golden, 5), ids_n = s.N * (s.T + 1);
	init_twins(&t, 1, MODEL_TRAINING, &s);

	const struct params *params = &t.model.params;
	float *arena = zeros(params->total, sizeof *arena);
	for (size_t i = 0; i < params->count; i++)
		params_from_file(params, i,
			golden_part(&golden, "initial.", params->v[i].name, params->v[i].size),
			arena);
	assert_ok(model_set_weights(&t.model, arena, &err), &err);
	free(arena);

	uint32_t *batch = zeros(ids_n, sizeof *batch), *ids = zeros(s.N * s.T, sizeof *ids);
	const float *batches = golden_part(&golden, "batches", "", steps * ids_n);
	for (size_t i = 0; i < ids_n; i++)
		batch[i] = (uint32_t)batches[i];

	double nats, norm;
	train(&t, batch, s.T, 0, &nats, &norm);
	assert_close("loss", nats, (double)golden_part(&golden, "losses", "", steps)[0], 1e-5);
	assert_close("norm", norm, (double)golden_part(&golden, "norms", "", steps)[0], 1e-5);
	arena = get_gradients(&t);
	for (size_t i = 0; i < params->count; i++) {
		size_t n = params->v[i].size;
		const float *part = golden_part(&golden, "gradient.", params->v[i].name, n);
		float *file = zeros(n, sizeof *file);
		double *expected = zeros(n, sizeof *expected);
		for (size_t j = 0; j < n; j++)
			expected[j] = (double)part[j];
		params_to_file(params, i, arena, file);
		assert_near(params->v[i].name, file, expected, n, 1e-4);
		free(file);
		free(expected);
	}
	free(arena);

	/* Logits (N,T,V): feed ever longer beginnings. */
	const float *golden_logits = golden_part(&golden, "logits", "", s.N * s.T * s.V);
	float *logits = zeros(s.N * s.V, sizeof *logits);
	double *expected = zeros(s.N * s.V, sizeof *expected);
	for (size_t length = 1; length <= s.T; length++) {
		for (size_t n = 0; n < s.N; n++) {
			memcpy(ids + n * length, batch + n * (s.T + 1), length * sizeof *ids);
			for (size_t v = 0; v < s.V; v++)
				expected[n * s.V + v] =
					(double)golden_logits[(n * s.T + length - 1) * s.V + v];
		}
		model_state_zero(&t.state);
		assert_ok(model_feed(&t.model, &t.state, ids, length, logits, &err), &err);
		assert_near("logits", logits, expected, s.N * s.V, 1e-5);
	}
	free(logits);
	free(expected);
	free(batch);
	free(ids);
	release_twins(&t);
	golden_close(&golden);
}

static void logits_loss_and_gradients_are_pytorchs(void **state)
{
	(void)state;
	check_golden("h13", CELL_LSTM);
	check_golden("h16", CELL_LSTM);
	check_golden("gru13", CELL_GRU);
	check_golden("gru16", CELL_GRU);
	check_golden("rnn13", CELL_RNN);
	check_golden("rnn16", CELL_RNN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_references_gradients_are_central_differences),
		cmocka_unit_test(loss_and_gradients_are_the_references),
		cmocka_unit_test(loss_and_gradients_with_dropout_are_the_references),
		cmocka_unit_test(gradients_of_bfloat16_are_near_the_references),
		cmocka_unit_test(gradients_are_the_same_bits_for_any_number_of_threads),
		cmocka_unit_test(a_smaller_batch_and_a_shorter_window_fit_the_same_model),
		cmocka_unit_test(scores_are_the_references_and_know_no_dropout),
		cmocka_unit_test(what_has_no_target_is_not_scored),
		cmocka_unit_test(feeding_gives_the_references_last_logits),
		cmocka_unit_test(a_row_is_scored_the_same_bits_alone_and_in_a_batch),
		cmocka_unit_test(a_text_is_scored_the_same_bits_in_any_windows),
		cmocka_unit_test(a_state_can_be_put_aside_and_taken_up),
		cmocka_unit_test(every_row_can_be_given_the_state_of_one),
		cmocka_unit_test(weights_come_back_as_they_were_set),
		cmocka_unit_test(a_loss_that_is_no_number_is_told),
		cmocka_unit_test(impossible_sizes_are_errors),
		cmocka_unit_test(logits_loss_and_gradients_are_pytorchs),
	};
	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}

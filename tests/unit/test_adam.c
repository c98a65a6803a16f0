/* test_adam.c: training steps (gradient, clip, Adam) against the naive reference and PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/adam.h"
#include "nn/schedule.h"

#include "device.h"
#include "golden.h"
#include "numbers.h"
#include "reference.h"

#include <math.h>

static void *zeros(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);
	assert_non_null(p);
	return p;
}

static void assert_ok(int result, const struct error *err)
{
	if (result != 0)
		fail_msg("%s", err->text);
}

static void assert_close(const char *what, double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance * fabs(expected)))
		fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

/* A model in training on one text of random ids. */
struct run {
	struct device *device;
	struct model model;
	struct model_state state;
	struct adam adam;
	size_t V, N, T;
};

enum { LAYERS = 2 };

/* The rates that steps have. */
static double rate_of(uint32_t step)
{
	return 1e-3 * (1 + step % 5);
}

static struct adam_options clipped(double clip)
{
	struct adam_options options = adam_defaults;
	options.clip = clip;
	return options;
}

/* Everything on. */
static struct adam_options all_options(void)
{
	return (struct adam_options){.beta1 = 0.8,
		.beta2 = 0.99,
		.epsilon = 1e-6,
		.clip = 0.1,
		.decay = 0.5,
		.input_rate = 3,
		.muon = true,
		.muon_every = 3,
		.average = 0.75,
		.average_from = 2};
}

static void init_run(struct run *run, enum cell_type cell, unsigned threads, size_t V, size_t H,
	size_t N, size_t T, const struct adam_options *options)
{
	struct error err;
	*run = (struct run){.V = V, .N = N, .T = T};
	run->device = device_for_test(threads, &err);
	assert_non_null(run->device);
	assert_ok(model_init(&run->model, run->device, cell_of(cell), V, H, LAYERS, MODEL_TRAINING,
			  N, T, &err),
		&err);
	assert_ok(model_state_init(&run->state, &run->model, N, &err), &err);
	assert_ok(adam_init(&run->adam, &run->model, options, &err), &err);
	float *arena = zeros(run->model.params.total, sizeof *arena);
	params_initialise(&run->model.params, 11, 0, arena);
	assert_ok(model_set_weights(&run->model, arena, &err), &err);
	free(arena);
}

static void release_run(struct run *run)
{
	adam_release(&run->adam);
	model_state_release(&run->state);
	model_release(&run->model);
	run->device->ops->release(run->device);
}

static void batch_of(const struct run *run, uint32_t step, uint32_t *batch)
{
	numbers_ids(batch, run->N * (run->T + 1), 100 + step, (uint32_t)run->V);
}

/* One step on batch number `step`. Returns the loss; *norm may be NULL. */
static double train(struct run *run, uint32_t step, double *norm)
{
	struct error err;
	double nats, any;
	uint32_t *batch = zeros(run->N * (run->T + 1), sizeof *batch);
	batch_of(run, step, batch);
	assert_ok(adam_train(&run->adam, &run->state, batch, run->T, rate_of(step), &nats,
			  norm ? norm : &any, &err),
		&err);
	free(batch);
	return nats;
}

enum arena { WEIGHTS, FIRST_MOMENT, SECOND_MOMENT, AVERAGE, GRADIENT, ARENAS };

static float *get_arena(struct run *run, enum arena which)
{
	struct error err;
	const float *from[ARENAS] = {run->model.weights, run->adam.arenas[ADAM_M],
		run->adam.arenas[ADAM_V], run->adam.arenas[ADAM_AVERAGE], run->model.gradients};
	float *arena = zeros(run->model.params.total, sizeof *arena);
	if (from[which]) /* else there is no average */
		assert_ok(run->device->ops->get(run->device, arena, from[which],
				  run->model.params.total * sizeof *arena, &err),
			&err);
	return arena;
}

static void assert_same_arena(struct run *a, struct run *b, enum arena which)
{
	float *x = get_arena(a, which), *y = get_arena(b, which);
	assert_memory_equal(x, y, a->model.params.total * sizeof *x);
	free(x);
	free(y);
}

/* An arena's tensors in the reference's order, as the reference has them. */
static void to_reference(const struct params *params, const float *arena, double *to)
{
	for (size_t i = 0; i < params->count; i++) {
		float *file = zeros(params->v[i].size, sizeof *file);
		params_to_file(params, i, arena, file);
		for (size_t j = 0; j < params->v[i].size; j++)
			*to++ = (double)file[j];
		free(file);
	}
}

/* Tensor by tensor: the arena within `tolerance` of what is expected. */
static void assert_arena(
	struct run *run, enum arena which, const double *expected, double tolerance)
{
	static const char *const names[ARENAS] = {"weights", "m", "v", "average", "gradient"};
	const struct params *params = &run->model.params;
	float *arena = get_arena(run, which);
	for (size_t i = 0; i < params->count; i++) {
		size_t n = params->v[i].size;
		float *file = zeros(n, sizeof *file);
		params_to_file(params, i, arena, file);
		double error = numbers_error(file, expected, n);
		if (!(error <= tolerance))
			fail_msg("%s of %s: error %.2g, at most %.2g", names[which],
				params->v[i].name, error, tolerance);
		expected += n;
		free(file);
	}
	free(arena);
}

/* --- the reference ---------------------------------------------------------------------------- */

static void check_training(enum cell_type cell, size_t V, size_t H, size_t N, size_t T,
	uint32_t steps, const struct adam_options *options, double tolerance)
{
	struct run run;
	struct reference r;
	init_run(&run, cell, 2, V, H, N, T, options);
	reference_init(&r, cell, V, H, LAYERS, N, T);
	float *arena = get_arena(&run, WEIGHTS);
	double *average = zeros(r.parameters, sizeof *average);
	to_reference(&run.model.params, arena, r.w);
	free(arena);
	uint32_t *batch = zeros(N * (T + 1), sizeof *batch);
	for (uint32_t step = 0; step < steps; step++) {
		double norm, nats = train(&run, step, &norm);
		batch_of(&run, step, batch);
		assert_close("loss", nats, reference_forward(&r, batch) / (double)(N * T),
			tolerance / 10);
		reference_backward(&r);
		assert_close("norm", norm, reference_norm(&r), tolerance);
		reference_update(&r, options, rate_of(step), step + 1);
		assert_arena(&run, GRADIENT, r.dw, tolerance);
		assert_arena(&run, FIRST_MOMENT, r.m, tolerance);
		assert_arena(&run, SECOND_MOMENT, r.v, 2 * tolerance);
		assert_arena(&run, WEIGHTS, r.w, tolerance);
		/* After three updates a plain mean of what came behind the second, until a quarter
		 * of it is the newest. */
		const double mix = step < 3 ? 1 : fmax(0.25, 1. / (step - 1));
		for (size_t i = 0; i < r.parameters; i++)
			average[i] += mix * (r.w[i] - average[i]);
		if (options->average > 0)
			assert_arena(&run, AVERAGE, average, tolerance);
	}
	free(average);
	free(batch);
	reference_release(&r);
	release_run(&run);
}

static void training_follows_the_reference_without_clipping(void **state)
{
	(void)state;
	const struct adam_options options = clipped(0);
	check_training(CELL_LSTM, 9, 12, 5, 4, 6, &options, 1e-4);
	check_training(CELL_LSTM, 5, 8, 1, 7, 6, &options, 1e-4);
}

static void training_follows_the_reference_when_clipping_acts_and_when_not(void **state)
{
	(void)state;
	const double clips[] = {0.05, 5, 0.1};
	for (size_t i = 0; i < 3; i++) {
		const struct adam_options options = clipped(clips[i]);
		check_training(CELL_LSTM, 9, 12, 5, 4, 6, &options, 1e-4);
		check_training(CELL_LSTM, 13, 17, 70, 3, 6, &options, 1e-4);
	}
}

/* Long enough that some updates keep Muon's direction. */
static void training_follows_the_reference_with_everything_on(void **state)
{
	(void)state;
	struct adam_options options = all_options();
	for (enum cell_type cell = 0; cell < CELL_TYPES; cell++)
		check_training(cell, 13, 17, 40, 3, 26, &options, 1e-3);
	options.muon = false;
	check_training(CELL_LSTM, 9, 12, 5, 4, 8, &options, 1e-4);
}

static void the_first_moment_shows_the_clipped_norm(void **state)
{
	(void)state;
	const double clips[] = {0, 0.01, 1e-7, 0.2, 100};
	for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
		struct run run;
		double norm, squares = 0;
		const struct adam_options options = clipped(clips[i]);
		init_run(&run, CELL_LSTM, 1, 9, 12, 5, 4, &options);
		train(&run, 0, &norm);
		float *m = get_arena(&run, FIRST_MOMENT);
		for (size_t j = 0; j < run.model.params.total; j++)
			squares += (double)m[j] * (double)m[j];
		/* After one step m is a tenth of the clipped gradient. */
		double scale = clips[i] > 0 ? fmin(1, clips[i] / (norm + 1e-6)) : 1;
		assert_close("clipped norm", sqrt(squares) * 10, norm * scale, 1e-5);
		free(m);
		release_run(&run);
	}
}

/* --- the same bits ---------------------------------------------------------------------------- */

static void training_is_the_same_bits_for_any_number_of_threads(void **state)
{
	(void)state;
	const struct adam_options options[] = {clipped(0.1), all_options()};
	for (size_t i = 0; i < 2; i++) {
		struct run first;
		init_run(&first, CELL_LSTM, 1, 19, 24, 65, 3, &options[i]);
		first.model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
		for (uint32_t step = 0; step < 4; step++)
			train(&first, step, NULL);
		for (unsigned threads = 2; threads <= 4; threads++) {
			struct run other;
			init_run(&other, CELL_LSTM, threads, 19, 24, 65, 3, &options[i]);
			other.model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
			for (uint32_t step = 0; step < 4; step++)
				train(&other, step, NULL);
			for (enum arena which = WEIGHTS; which < ARENAS; which++)
				assert_same_arena(&first, &other, which);
			release_run(&other);
		}
		release_run(&first);
	}
}

/* With everything on, and the second half where Muon keeps its direction from the first. */
static void training_goes_on_from_saved_arenas_as_if_never_stopped(void **state)
{
	(void)state;
	enum { HALF = 22, ALL = 26 };
	const struct adam_options options = all_options();
	struct error err;
	struct run whole, first, second;
	init_run(&whole, CELL_LSTM, 1, 9, 12, 5, 4, &options);
	init_run(&first, CELL_LSTM, 1, 9, 12, 5, 4, &options);
	init_run(&second, CELL_LSTM, 2, 9, 12, 5, 4, &options);
	whole.model.dropout = first.model.dropout = second.model.dropout =
		(struct model_dropout){.between = 0.5, .output = 0.5};
	for (uint32_t step = 0; step < ALL; step++)
		train(&whole, step, NULL);
	for (uint32_t step = 0; step < HALF; step++)
		train(&first, step, NULL);

	float *arena = zeros(first.model.params.total, sizeof *arena);
	float *carried = zeros(first.state.size, sizeof *carried);
	assert_ok(model_get_weights(&first.model, arena, &err), &err);
	assert_ok(model_set_weights(&second.model, arena, &err), &err);
	for (enum adam_arena i = 0; i < ADAM_ARENAS; i++) {
		assert_ok(adam_get(&first.adam, i, arena, &err), &err);
		assert_ok(adam_set(&second.adam, i, arena, &err), &err);
	}
	assert_ok(model_state_get(&first.state, carried, &err), &err);
	assert_ok(model_state_set(&second.state, carried, &err), &err);
	second.adam.step = first.adam.step;
	for (uint32_t step = HALF; step < ALL; step++)
		train(&second, step, NULL);
	for (enum arena which = WEIGHTS; which < ARENAS; which++)
		assert_same_arena(&whole, &second, which);
	assert_int_equal(whole.adam.step, second.adam.step);
	free(arena);
	free(carried);
	release_run(&whole);
	release_run(&first);
	release_run(&second);
}

static void a_norm_that_is_no_number_changes_nothing(void **state)
{
	(void)state;
	const float bad[] = {NAN, INFINITY};
	const struct adam_options options[] = {clipped(0), clipped(5), all_options()};
	for (size_t i = 0; i < 6; i++) {
		struct run run;
		struct error err;
		init_run(&run, CELL_LSTM, 2, 9, 12, 5, 4, &options[i / 2]);
		train(&run, 0, NULL);
		float *w = get_arena(&run, WEIGHTS);
		w[params_fc_weight(&run.model.params)->offset + 7] = bad[i % 2];
		assert_ok(model_set_weights(&run.model, w, &err), &err);
		free(w);
		float *before[GRADIENT];
		for (enum arena which = WEIGHTS; which < GRADIENT; which++)
			before[which] = get_arena(&run, which);
		for (uint32_t step = 1; step < 3; step++) {
			double norm, nats = train(&run, step, &norm);
			assert_false(isfinite(nats) && isfinite(norm));
			assert_int_equal(run.adam.step, 1);
		}
		for (enum arena which = WEIGHTS; which < GRADIENT; which++) {
			float *after = get_arena(&run, which);
			assert_memory_equal(
				before[which], after, run.model.params.total * sizeof *after);
			free(before[which]);
			free(after);
		}
		release_run(&run);
	}
}

static double score(struct run *run, const uint32_t *batch)
{
	struct error err;
	double nats;
	model_state_zero(&run->state);
	assert_ok(model_score(&run->model, &run->state, batch, run->T, &nats, NULL, &err), &err);
	return nats;
}

static void the_average_takes_the_place_of_the_weights_and_gives_it_back(void **state)
{
	(void)state;
	const struct adam_options options = all_options(), plain = clipped(5);
	struct error err;
	struct run run, other;
	init_run(&run, CELL_LSTM, 1, 9, 12, 5, 4, &options);
	init_run(&other, CELL_LSTM, 1, 9, 12, 5, 4, &plain);
	for (uint32_t step = 0; step < 6; step++)
		train(&run, step, NULL);
	uint32_t *batch = zeros(run.N * (run.T + 1), sizeof *batch);
	batch_of(&run, 9, batch);
	const double last = score(&run, batch);
	float *average = get_arena(&run, AVERAGE),
	      *got = zeros(run.model.params.total, sizeof *got);
	adam_exchange(&run.adam);
	assert_ok(model_get_weights(&run.model, got, &err), &err);
	assert_memory_equal(got, average, run.model.params.total * sizeof *got);
	assert_ok(model_set_weights(&other.model, average, &err), &err);
	assert_true(score(&run, batch) == score(&other, batch));
	assert_true(score(&run, batch) != last);
	adam_exchange(&run.adam);
	assert_true(score(&run, batch) == last);
	adam_exchange(&other.adam); /* without an average */
	assert_true(score(&other, batch) != last);
	free(batch);
	free(average);
	free(got);
	release_run(&run);
	release_run(&other);
}

/* --- PyTorch ---------------------------------------------------------------------------------- */

/* What one of the models has more than the notebooks' optimizer. */
static void take_adamw(const struct golden *golden, size_t steps, struct adam_options *options,
	struct schedule *schedule)
{
	const float *part = golden_part(golden, "adamw", "", 5);
	options->beta1 = (double)part[0];
	options->beta2 = (double)part[1];
	options->decay = (double)part[2];
	schedule->kind = SCHEDULE_COSINE;
	schedule->warmup = (uint64_t)part[3];
	schedule->least = (double)part[4];
	schedule->horizon = steps;
}

static void check_golden(const char *name, enum cell_type cell, bool adamw)
{
	struct golden golden = golden_open(name);
	struct error err;
	struct run run;
	const size_t N = golden_size(&golden, 3), T = golden_size(&golden, 4);
	const size_t steps = golden_size(&golden, 5), ids_n = N * (T + 1);
	struct schedule schedule = {.rate = (double)golden_part(&golden, "lr", "", 1)[0]};
	const double clip = (double)golden_part(&golden, "clip", "", 1)[0];
	struct adam_options options = clipped(clip);
	if (adamw)
		take_adamw(&golden, steps, &options, &schedule);
	init_run(&run, cell, 1, golden_size(&golden, 0), golden_size(&golden, 1), N, T, &options);
	assert_int_equal(golden_size(&golden, 2), LAYERS);

	const struct params *params = &run.model.params;
	float *initial = zeros(params->total, sizeof *initial);
	for (size_t i = 0; i < params->count; i++)
		params_from_file(params, i,
			golden_part(&golden, "initial.", params->v[i].name, params->v[i].size),
			initial);
	assert_ok(model_set_weights(&run.model, initial, &err), &err);

	const float *batches = golden_part(&golden, "batches", "", steps * ids_n);
	const float *losses = golden_part(&golden, "losses", "", steps);
	const float *norms = golden_part(&golden, "norms", "", steps);
	uint32_t *batch = zeros(ids_n, sizeof *batch);
	for (uint32_t step = 0; step < steps; step++) {
		double nats, norm;
		for (size_t i = 0; i < ids_n; i++)
			batch[i] = (uint32_t)batches[step * ids_n + i];
		assert_ok(adam_train(&run.adam, &run.state, batch, T,
				  schedule_rate(&schedule, step + 1), &nats, &norm, &err),
			&err);
		assert_close("loss", nats, (double)losses[step], 1e-5);
		assert_close("norm", norm, (double)norms[step], 1e-4);
		if (step == 0)
			assert_close("clipped norm", norm * fmin(1, clip / (norm + 1e-6)),
				(double)*golden_part(&golden, "clipped.norm", "", 1), 1e-5);
	}
	free(batch);

	/* The weights, and how far they moved, which is much less. */
	float *final = get_arena(&run, WEIGHTS);
	for (size_t i = 0; i < params->count; i++) {
		size_t n = params->v[i].size;
		const float *from = golden_part(&golden, "initial.", params->v[i].name, n);
		const float *to = golden_part(&golden, "final.", params->v[i].name, n);
		float *file = zeros(n, sizeof *file);
		double *expected = zeros(n, sizeof *expected);
		params_to_file(params, i, final, file);
		for (size_t j = 0; j < n; j++)
			expected[j] = (double)to[j];
		double error = numbers_error(file, expected, n);
		if (!(error <= 1e-4))
			fail_msg("%s: error %.2g", params->v[i].name, error);
		for (size_t j = 0; j < n; j++) {
			expected[j] -= (double)from[j];
			file[j] -= from[j];
		}
		error = numbers_error(file, expected, n);
		if (!(error <= 1e-3))
			fail_msg("movement of %s: error %.2g", params->v[i].name, error);
		free(file);
		free(expected);
	}
	free(initial);
	free(final);

	const size_t states = params->cell->states, size = run.state.size / states;
	float *carried = zeros(run.state.size, sizeof *carried);
	assert_ok(model_state_get(&run.state, carried, &err), &err);
	for (size_t s = 0; s < states; s++) {
		const float *part =
			golden_part(&golden, "final.", params->cell->state_names[s], size);
		double *expected = zeros(size, sizeof *expected);
		for (size_t i = 0; i < size; i++)
			expected[i] = (double)part[i];
		assert_true(numbers_error(carried + s * size, expected, size) <= 1e-4);
		free(expected);
	}
	free(carried);
	release_run(&run);
	golden_close(&golden);
}

static void training_steps_are_pytorchs(void **state)
{
	(void)state;
	check_golden("h13", CELL_LSTM, false);
	check_golden("h16", CELL_LSTM, false);
	check_golden("gru13", CELL_GRU, false);
	check_golden("gru16", CELL_GRU, false);
	check_golden("rnn13", CELL_RNN, false);
	check_golden("rnn16", CELL_RNN, false);
}

static void adamw_warm_up_and_cosine_are_pytorchs(void **state)
{
	(void)state;
	check_golden("adamw13", CELL_LSTM, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(training_follows_the_reference_without_clipping),
		cmocka_unit_test(training_follows_the_reference_when_clipping_acts_and_when_not),
		cmocka_unit_test(training_follows_the_reference_with_everything_on),
		cmocka_unit_test(the_first_moment_shows_the_clipped_norm),
		cmocka_unit_test(training_is_the_same_bits_for_any_number_of_threads),
		cmocka_unit_test(training_goes_on_from_saved_arenas_as_if_never_stopped),
		cmocka_unit_test(a_norm_that_is_no_number_changes_nothing),
		cmocka_unit_test(the_average_takes_the_place_of_the_weights_and_gives_it_back),
		cmocka_unit_test(training_steps_are_pytorchs),
		cmocka_unit_test(adamw_warm_up_and_cosine_are_pytorchs),
	};
	return cmocka_run_group_tests_name("adam", tests, NULL, NULL);
}

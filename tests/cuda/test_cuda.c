/* test_cuda.c: the GPU beside the CPU: the same numbers, on a GPU or on its emulation.
 *
 * That each operation computes what it should is tested in tests/unit, whose programs are built for
 * the GPU too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "cuda/cuda.h"

#include "run.h"

enum { STEPS = 50 };

static void assert_ok(int status, const struct error *err)
{
	if (status < 0)
		fail_msg("%s", err->text);
}

static struct device *open_cuda(void)
{
	struct error err;
	struct device *device = cuda_open(false, 0, &err);
	if (!device)
		fail_msg("%s", err.text);
	return device;
}

static struct device *open_cpu(void)
{
	struct error err;
	struct device *device = cpu_open(1, &err);
	if (!device)
		fail_msg("%s", err.text);
	return device;
}

static void start(struct run *run, struct device *device)
{
	struct error err;
	assert_ok(run_init(run, device, &err), &err);
}

static double step(struct run *run)
{
	struct error err;
	double nats, norm;
	assert_ok(run_step(run, &nats, &norm, &err), &err);
	assert_true(isfinite(nats) && isfinite(norm));
	return nats;
}

static float *save(struct run *run)
{
	struct error err = {0};
	float *saved = run_save(run, &err);
	if (!saved)
		fail_msg("%s", err.text);
	return saved;
}

static void assert_close(const char *what, double got, double expected, double tolerance)
{
	if (!(fabs(got - expected) <= tolerance * fabs(expected)))
		fail_msg("%s: %.9g, expected %.9g to %.1g", what, got, expected, tolerance);
}

/* numbers_error() between two arrays of floats. */
static double difference(const float *got, const float *expected, size_t n)
{
	double *wide = calloc(n, sizeof *wide);
	assert_non_null(wide);
	for (size_t i = 0; i < n; i++)
		wide[i] = (double)expected[i];
	double error = numbers_error(got, wide, n);
	free(wide);
	return error;
}

static void masks_are_the_same_bits_as_on_the_cpu(void **state)
{
	(void)state;
	enum { T = 3, N = 4, H = 150, SIZE = T * N * H };
	struct device *devices[2] = {open_cpu(), open_cuda()};
	static float x[SIZE], y[2][SIZE];
	static const struct dropout drops[] = {
		{.p = 0.5, .key = {{1, PHILOX_DROPOUT << 16}}, .step = 0},
		{.p = 0.2, .key = {{0xfedcba98, PHILOX_DROPOUT << 16 | 7}}, .step = 0xffffffff},
		{.p = 0.9, .key = {{77, PHILOX_DROPOUT << 16 | 1}}, .step = 123456},
	};
	struct error err;
	numbers_fill(x, SIZE, 1, 1);
	for (size_t k = 0; k < sizeof drops / sizeof *drops; k++) {
		for (size_t i = 0; i < 2; i++) {
			const struct ops *ops = devices[i]->ops;
			float *p = ops->alloc(devices[i], sizeof x, &err);
			assert_non_null(p);
			assert_ok(ops->put(devices[i], p, x, sizeof x, &err), &err);
			ops->dropout(devices[i], T, N, H, 13, &drops[k], p, p);
			assert_ok(ops->get(devices[i], y[i], p, sizeof x, &err), &err);
			ops->free(devices[i], p);
		}
		assert_memory_equal(y[0], y[1], sizeof x);
	}
	for (size_t i = 0; i < 2; i++)
		devices[i]->ops->release(devices[i]);
}

static void gradients_are_the_cpus(void **state)
{
	(void)state;
	struct run run[2];
	float *gradients[2];
	double nats[2], norm[2];
	uint32_t batch[RUN_N * (RUN_T + 1)];
	struct error err;
	start(&run[0], open_cpu());
	start(&run[1], open_cuda());
	const size_t total = run[0].model.params.total;
	/* Three windows: issued, recorded, replayed; each from the state that the last one left. */
	for (uint32_t k = 0; k < 3; k++) {
		run_batch(k, batch);
		for (size_t i = 0; i < 2; i++) {
			assert_ok(adam_train(&run[i].adam, &run[i].state, batch, RUN_T, 0, &nats[i],
					  &norm[i], &err),
				&err);
			gradients[i] = calloc(total, sizeof(float));
			assert_non_null(gradients[i]);
			assert_ok(run[i].device->ops->get(run[i].device, gradients[i],
					  run[i].model.gradients, total * sizeof(float), &err),
				&err);
		}
		assert_close("loss", nats[1], nats[0], 1e-6);
		assert_close("norm", norm[1], norm[0], 1e-5);
		for (size_t p = 0; p < run[0].model.params.count; p++) {
			const struct param *param = &run[0].model.params.v[p];
			const double error = difference(gradients[1] + param->offset,
				gradients[0] + param->offset, param->size);
			if (!(error <= 1e-4))
				fail_msg("%s: error %.2g", param->name, error);
		}
		free(gradients[0]);
		free(gradients[1]);
	}
	run_release(&run[0]);
	run_release(&run[1]);
}

static void fifty_steps_lose_what_the_cpu_loses(void **state)
{
	(void)state;
	struct run cpu, cuda;
	double first = 0, last = 0;
	start(&cpu, open_cpu());
	start(&cuda, open_cuda());
	for (int k = 0; k < STEPS; k++) {
		last = step(&cuda);
		first = k == 0 ? last : first;
		assert_close("loss", last, step(&cpu), 1e-3);
	}
	if (!(last < 0.8 * first))
		fail_msg("nothing is learnt: %g, then %g", first, last);
	run_release(&cpu);
	run_release(&cuda);
}

static void the_same_run_gives_the_same_bits(void **state)
{
	(void)state;
	float *saved[2];
	size_t size = 0;
	for (size_t i = 0; i < 2; i++) {
		struct run run;
		start(&run, open_cuda());
		for (int k = 0; k < 10; k++)
			step(&run);
		saved[i] = save(&run);
		size = run_size(&run);
		run_release(&run);
	}
	assert_memory_equal(saved[0], saved[1], size * sizeof **saved);
	free(saved[0]);
	free(saved[1]);
}

/* Freeing memory makes the device forget what it has recorded. */
static void a_replayed_step_is_the_same_bits_as_one_that_is_issued(void **state)
{
	(void)state;
	struct run replayed, issued;
	struct error err;
	start(&replayed, open_cuda());
	start(&issued, open_cuda());
	for (int k = 0; k < 8; k++) {
		struct device *device = issued.device;
		device->ops->free(device, device->ops->alloc(device, 64, &err));
		if (k == 4) /* what varies is not recorded */
			replayed.rate = issued.rate = 1e-3;
		assert_true(step(&replayed) == step(&issued));
	}
	float *a = save(&replayed), *b = save(&issued);
	assert_memory_equal(a, b, run_size(&issued) * sizeof *a);
	free(a);
	free(b);
	run_release(&replayed);
	run_release(&issued);
}

static void check_resume(struct device *begin, struct device *go_on)
{
	struct run whole, first, second;
	struct error err;
	start(&whole, open_cpu());
	start(&first, begin);
	start(&second, go_on);
	for (int k = 0; k < STEPS / 2; k++)
		assert_close("loss", step(&first), step(&whole), 1e-3);
	float *saved = save(&first);
	assert_ok(run_load(&second, saved, first.adam.step, &err), &err);
	for (int k = 0; k < STEPS / 2; k++)
		assert_close("loss", step(&second), step(&whole), 1e-3);
	free(saved);
	run_release(&whole);
	run_release(&first);
	run_release(&second);
}

static void a_run_of_the_cpu_goes_on_on_the_gpu(void **state)
{
	(void)state;
	check_resume(open_cpu(), open_cuda());
}

static void a_run_of_the_gpu_goes_on_on_the_cpu(void **state)
{
	(void)state;
	check_resume(open_cuda(), open_cpu());
}

static void a_step_without_a_finite_loss_changes_nothing(void **state)
{
	(void)state;
	struct run run;
	struct error err;
	start(&run, open_cuda());
	for (int k = 0; k < 3; k++)
		step(&run);
	const size_t total = run.model.params.total;
	float *before = save(&run), bad = NAN;
	float *fc = run.model.weights + params_fc_bias(&run.model.params)->offset;
	before[fc - run.model.weights] = NAN;
	assert_ok(run.device->ops->put(run.device, fc, &bad, sizeof bad, &err), &err);
	for (int k = 0; k < 3; k++) {
		double nats, norm;
		assert_ok(run_step(&run, &nats, &norm, &err), &err);
		assert_false(isfinite(nats) && isfinite(norm));
		assert_int_equal(run.adam.step, 3);
	}
	float *after = save(&run);
	assert_memory_equal(after, before, 3 * total * sizeof *after);
	free(before);
	free(after);
	run_release(&run);
}

/* Windows of other lengths and numbers of rows come and go between steps, as in train. */
static void texts_are_scored_and_continued_as_on_the_cpu(void **state)
{
	(void)state;
	static const size_t windows[] = {RUN_T, 1, 4, RUN_T, 1, 1, 4, 3, 2, 5, 6, 4, 1, RUN_T, 1};
	struct run run[2];
	struct model_state states[2];
	struct error err;
	start(&run[0], open_cpu());
	start(&run[1], open_cuda());
	for (size_t rows = 1; rows <= RUN_N; rows += 2) {
		for (size_t i = 0; i < 2; i++)
			assert_ok(model_state_init(&states[i], &run[i].model, rows, &err), &err);
		for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
			const size_t T = windows[w];
			uint32_t batch[RUN_N * (RUN_T + 1)];
			float each[2][RUN_N * RUN_T], logits[2][RUN_N * RUN_V];
			double nats[2];
			run_batch(100 + (uint32_t)w, batch);
			for (size_t i = 0; i < 2; i++) {
				assert_ok(model_score(&run[i].model, &states[i], batch, T, &nats[i],
						  each[i], &err),
					&err);
				assert_ok(model_feed(&run[i].model, &states[i], batch, T, logits[i],
						  &err),
					&err);
			}
			assert_close("nats", nats[1], nats[0], 1e-5);
			assert_true(difference(each[1], each[0], rows * T) < 1e-5);
			assert_true(difference(logits[1], logits[0], rows * RUN_V) < 1e-5);
		}
		for (size_t i = 0; i < 2; i++) {
			step(&run[i]);
			model_state_release(&states[i]);
		}
	}
	run_release(&run[0]);
	run_release(&run[1]);
}

static void tf32_is_near_and_not_the_same(void **state)
{
	(void)state;
	struct run exact, rounded;
	struct error err;
	struct device *device = cuda_open(true, 0, &err);
	char line[256];
	if (!device)
		fail_msg("%s", err.text);
	device->ops->describe(device, line, sizeof line);
	assert_non_null(strstr(line, "TF32"));
	start(&rounded, device);
	start(&exact, open_cuda());
	for (int k = 0; k < STEPS; k++)
		assert_close("loss", step(&rounded), step(&exact), 2e-2);
	float *a = save(&rounded), *b = save(&exact);
	if (memcmp(a, b, run_size(&exact) * sizeof *a) == 0)
		print_message("# this GPU has no TF32\n");
	free(a);
	free(b);
	run_release(&exact);
	run_release(&rounded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_are_the_same_bits_as_on_the_cpu),
		cmocka_unit_test(gradients_are_the_cpus),
		cmocka_unit_test(fifty_steps_lose_what_the_cpu_loses),
		cmocka_unit_test(the_same_run_gives_the_same_bits),
		cmocka_unit_test(a_replayed_step_is_the_same_bits_as_one_that_is_issued),
		cmocka_unit_test(a_run_of_the_cpu_goes_on_on_the_gpu),
		cmocka_unit_test(a_run_of_the_gpu_goes_on_on_the_cpu),
		cmocka_unit_test(a_step_without_a_finite_loss_changes_nothing),
		cmocka_unit_test(texts_are_scored_and_continued_as_on_the_cpu),
		cmocka_unit_test(tf32_is_near_and_not_the_same),
	};
	return cmocka_run_group_tests_name("cuda", tests, NULL, NULL);
}

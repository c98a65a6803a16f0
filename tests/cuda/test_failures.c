/* test_failures.c: what lib/cuda does when a GPU fails, and what it asks of one; on the emulation,
 * which can be made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cuda/cuda.h"
#include "nn/counter.h"

#include "emulation.h"
#include "run.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

/* After each test nothing may be left on the device. */
static int nothing_is_left(void **state)
{
	(void)state;
	emulation_lose(false);
	emulation_set_reverse(false);
	emulation_set_gpu(EMULATION_GPU_GOOD);
	for (unsigned call = 0; call < EMULATION_CALLS; call++)
		emulation_fail((enum emulation_call)call, 0, 0);
	if (emulation_pieces() == 0 && emulation_bytes() == 0)
		return 0;
	print_error("%zu pieces of device memory are left\n", emulation_pieces());
	return -1;
}

static void start(struct run *run)
{
	struct error err;
	if (run_init(run, cuda_open(false, 0, &err), &err) < 0)
		fail_msg("%s", err.text);
}

static void step(struct run *run)
{
	struct error err;
	double nats, norm;
	if (run_step(run, &nats, &norm, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(isfinite(nats) && isfinite(norm));
}

static void steps(struct run *run, int count)
{
	for (int k = 0; k < count; k++)
		step(run);
}

static float *save(struct run *run)
{
	struct error err = {0};
	float *saved = run_save(run, &err);
	if (!saved)
		fail_msg("%s", err.text);
	return saved;
}

static void a_gpu_that_cannot_be_used_is_told_by_what_is_missing(void **state)
{
	(void)state;
	static const struct {
		enum emulation_gpu gpu;
		const char *text;
	} cases[] = {
		{EMULATION_GPU_ABSENT, "the driver shows none"},
		{EMULATION_GPU_NO_DRIVER, "no NVIDIA driver"},
		{EMULATION_GPU_OLD_DRIVER, "CUDA up to 11.4, this needs 13.0"},
		{EMULATION_GPU_OLD, "compute capability 6.1"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error err = {0};
		emulation_set_gpu(cases[i].gpu);
		assert_null(cuda_open(false, 0, &err));
		assert_int_equal(err.status, STATUS_NO_DEVICE);
		if (!strstr(err.text, cases[i].text))
			fail_msg("\"%s\" lacks \"%s\"", err.text, cases[i].text);
	}
}

/* Every single allocation, on the GPU and of pages that it reads, one after the other. */
static void no_memory_is_told_and_all_is_given_back(void **state)
{
	(void)state;
	unsigned long nth = 0;
	for (;;) {
		struct run run;
		struct error err = {0};
		emulation_fail(EMULATION_ALLOC, ++nth, cudaErrorMemoryAllocation);
		if (run_init(&run, cuda_open(false, 0, &err), &err) == 0) {
			emulation_fail(EMULATION_ALLOC, 0, 0);
			step(&run);
			run_release(&run);
			break;
		}
		assert_int_equal(err.status, STATUS_NO_MEMORY);
		assert_non_null(strstr(err.text, "out of "));
		assert_int_equal(emulation_pieces(), 0);
	}
	assert_true(nth > 20);
}

/* Without memory, or when the copy fails. LeakSanitizer sees to the host's memory. */
static void weights_that_cannot_be_adopted_are_given_back(void **state)
{
	(void)state;
	static const struct {
		enum emulation_call call;
		int error;
		enum status status;
	} cases[] = {
		{EMULATION_ALLOC, cudaErrorMemoryAllocation, STATUS_NO_MEMORY},
		{EMULATION_COPY, cudaErrorInvalidValue, STATUS_NO_DEVICE},
		{EMULATION_SYNC, cudaErrorLaunchFailure, STATUS_NO_DEVICE},
	};
	struct error err = {0};
	struct device *device = cuda_open(false, 0, &err);
	assert_non_null(device);
	const size_t pieces = emulation_pieces();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		float *host = memory_alloc(1000 * sizeof *host);
		assert_non_null(host);
		emulation_fail(cases[i].call, 1, cases[i].error);
		assert_null(device->ops->adopt(device, host, 1000 * sizeof *host, &err));
		assert_int_equal(err.status, cases[i].status);
		assert_int_equal(emulation_pieces(), pieces);
	}
	device->ops->release(device);
}

static void a_gpu_that_fails_while_it_is_opened_is_told(void **state)
{
	(void)state;
	static const enum emulation_call calls[] = {
		EMULATION_LAUNCH, EMULATION_COPY, EMULATION_SYNC};
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct error err = {0};
		emulation_fail(calls[i], 1, cudaErrorNoKernelImageForDevice);
		assert_null(cuda_open(false, 0, &err));
		assert_int_equal(err.status, STATUS_NO_DEVICE);
		assert_int_equal(emulation_pieces(), 0);
	}
	struct error err = {0};
	emulation_fail(EMULATION_BLAS, 1, CUBLAS_STATUS_ALLOC_FAILED);
	assert_null(cuda_open(false, 0, &err));
	assert_int_equal(err.status, STATUS_NO_MEMORY);
}

/* Each of a step's calls fails once, when it is issued, recorded or replayed: the step ends in an
 * error and changes no weight, and the device goes on as if nothing had been. */
static void check_failing_steps(enum emulation_call call, int error, enum status status)
{
	for (int before = 0; before < 4; before++) {
		for (unsigned long nth = 1;; nth += nth < 4 ? 1 : 13) {
			struct run run;
			struct error err = {0};
			double nats, norm;
			start(&run);
			steps(&run, before);
			const size_t total = run.model.params.total;
			float *saved = save(&run);
			const unsigned long count = emulation_count(call);
			emulation_fail(call, nth, error);
			const int result = run_step(&run, &nats, &norm, &err);
			const bool failed = emulation_count(call) >= count + nth;
			emulation_fail(call, 0, 0);
			if (failed) {
				assert_int_equal(result, -1);
				assert_int_equal(err.status, status);
				assert_int_equal(run.adam.step, before);
				float *after = save(&run);
				/* A copy of the results may fail when all is done. */
				if (call != EMULATION_COPY && call != EMULATION_SYNC)
					assert_memory_equal(
						after, saved, 3 * total * sizeof *after);
				free(after);
				steps(&run, 3);
			}
			free(saved);
			run_release(&run);
			if (!failed)
				break;
		}
	}
}

static void a_kernel_that_is_not_launched_stops_the_step(void **state)
{
	(void)state;
	check_failing_steps(EMULATION_LAUNCH, cudaErrorInvalidConfiguration, STATUS_NO_DEVICE);
}

static void a_product_that_fails_stops_the_step(void **state)
{
	(void)state;
	check_failing_steps(EMULATION_BLAS, CUBLAS_STATUS_EXECUTION_FAILED, STATUS_NO_DEVICE);
}

static void a_copy_that_fails_stops_the_step(void **state)
{
	(void)state;
	check_failing_steps(EMULATION_COPY, cudaErrorInvalidValue, STATUS_NO_DEVICE);
}

static void a_graph_that_fails_stops_the_step(void **state)
{
	(void)state;
	check_failing_steps(EMULATION_CAPTURE, cudaErrorInvalidValue, STATUS_NO_DEVICE);
	check_failing_steps(EMULATION_INSTANTIATE, cudaErrorMemoryAllocation, STATUS_NO_MEMORY);
	check_failing_steps(EMULATION_GRAPH_LAUNCH, cudaErrorLaunchFailure, STATUS_NO_DEVICE);
}

static void a_lost_gpu_is_an_error_from_then_on(void **state)
{
	(void)state;
	struct run run;
	start(&run);
	steps(&run, 3);
	emulation_lose(true);
	for (int k = 0; k < 3; k++) {
		struct error err = {0};
		double nats, norm;
		float *logits = calloc(RUN_N * RUN_V, sizeof *logits);
		const uint32_t ids[RUN_N] = {0};
		assert_int_equal(run_step(&run, &nats, &norm, &err), -1);
		assert_int_equal(err.status, STATUS_NO_DEVICE);
		assert_non_null(strstr(err.text, "cudaErrorLaunchFailure"));
		assert_int_equal(model_feed(&run.model, &run.state, ids, 1, logits, &err), -1);
		free(logits);
	}
	char line[100];
	run.device->ops->describe(run.device, line, sizeof line);
	run_release(&run);
}

static void a_failure_is_told_once(void **state)
{
	(void)state;
	struct run run;
	struct error err;
	start(&run);
	emulation_fail(EMULATION_COPY, 1, cudaErrorInvalidValue);
	run.device->ops->zero(run.device, run.model.gradients, 4);
	run.device->ops->zero(run.device, run.model.gradients, 4);
	float got;
	const struct ops *ops = run.device->ops;
	assert_int_equal(ops->get(run.device, &got, run.model.gradients, sizeof got, &err), -1);
	assert_int_equal(ops->get(run.device, &got, run.model.gradients, sizeof got, &err), 0);
	run_release(&run);
}

/* What a counter says is what is taken, to the byte. */
static void a_counter_counts_what_is_allocated(void **state)
{
	(void)state;
	struct error err;
	struct run run, counted = {0};
	struct counter counter;
	struct device *device = cuda_open(false, 0, &err);
	assert_non_null(device);
	const size_t before = emulation_bytes();
	counter_init(&counter, device);
	assert_int_equal(run_make(&counted, &counter.device, &err), 0);
	assert_int_equal(emulation_bytes(), before);
	const uint64_t bytes = counter.bytes;
	run_clear(&counted);
	assert_int_equal(counter.bytes, 0);
	assert_int_equal(counter.host_bytes, 0);
	assert_int_equal(counter.most, bytes);
	assert_int_equal(run_init(&run, device, &err), 0);
	assert_int_equal(emulation_bytes() - before, bytes);
	run_release(&run);
}

/* The whole step is one graph: the ids go down, the numbers that vary follow, two sums come back.
 */
static void a_step_is_one_graph(void **state)
{
	(void)state;
	struct run run;
	unsigned long before[EMULATION_CALLS];
	start(&run);
	steps(&run, 2);
	assert_int_equal(emulation_count(EMULATION_INSTANTIATE) > 0, 1);
	for (unsigned call = 0; call < EMULATION_CALLS; call++)
		before[call] = emulation_count((enum emulation_call)call);
	enum { COUNT = 5 };
	static const unsigned expected[EMULATION_CALLS] = {[EMULATION_LAUNCH] = 1,
		[EMULATION_COPY] = 2,
		[EMULATION_SYNC] = 2,
		[EMULATION_GRAPH_LAUNCH] = 1};
	steps(&run, COUNT);
	for (unsigned call = 0; call < EMULATION_CALLS; call++)
		assert_int_equal(emulation_count((enum emulation_call)call) - before[call],
			COUNT * expected[call]);
	run_release(&run);
}

/* What depends on the order in which threads or blocks run shows. */
static void no_result_depends_on_the_order_of_threads(void **state)
{
	(void)state;
	float *saved[2], *logits[2];
	size_t size = 0;
	for (int reverse = 0; reverse < 2; reverse++) {
		struct run run;
		struct error err;
		uint32_t batch[RUN_N * (RUN_T + 1)];
		double nats;
		emulation_set_reverse(reverse);
		start(&run);
		steps(&run, 5);
		saved[reverse] = save(&run);
		size = run_size(&run) * sizeof **saved;
		logits[reverse] = calloc(RUN_N * RUN_V, sizeof **logits);
		run_batch(9, batch);
		assert_int_equal(
			model_score(&run.model, &run.state, batch, RUN_T, &nats, NULL, &err), 0);
		assert_int_equal(
			model_feed(&run.model, &run.state, batch, 1, logits[reverse], &err), 0);
		run_release(&run);
	}
	assert_memory_equal(saved[0], saved[1], size);
	assert_memory_equal(logits[0], logits[1], RUN_N * RUN_V * sizeof **logits);
	for (int i = 0; i < 2; i++) {
		free(saved[i]);
		free(logits[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			a_gpu_that_cannot_be_used_is_told_by_what_is_missing, nothing_is_left),
		cmocka_unit_test_teardown(no_memory_is_told_and_all_is_given_back, nothing_is_left),
		cmocka_unit_test_teardown(
			weights_that_cannot_be_adopted_are_given_back, nothing_is_left),
		cmocka_unit_test_teardown(
			a_gpu_that_fails_while_it_is_opened_is_told, nothing_is_left),
		cmocka_unit_test_teardown(
			a_kernel_that_is_not_launched_stops_the_step, nothing_is_left),
		cmocka_unit_test_teardown(a_product_that_fails_stops_the_step, nothing_is_left),
		cmocka_unit_test_teardown(a_copy_that_fails_stops_the_step, nothing_is_left),
		cmocka_unit_test_teardown(a_graph_that_fails_stops_the_step, nothing_is_left),
		cmocka_unit_test_teardown(a_lost_gpu_is_an_error_from_then_on, nothing_is_left),
		cmocka_unit_test_teardown(a_failure_is_told_once, nothing_is_left),
		cmocka_unit_test_teardown(a_counter_counts_what_is_allocated, nothing_is_left),
		cmocka_unit_test_teardown(a_step_is_one_graph, nothing_is_left),
		cmocka_unit_test_teardown(
			no_result_depends_on_the_order_of_threads, nothing_is_left),
	};
	return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}

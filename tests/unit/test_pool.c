/* The pool runs each task once, on any number of threads, and sleeps without losing anybody. */
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { TASKS = 1000 };

static struct pool *pool_of(unsigned threads)
{
	struct error err;
	struct pool *pool = pool_new(threads, &err);
	assert_non_null(pool);
	return pool;
}

static void count_task(void *arg, size_t i)
{
	atomic_uint *counts = arg;
	atomic_fetch_add(&counts[i], 1);
}

static void every_task_runs_once_on_any_number_of_threads(void **state)
{
	(void)state;
	for (unsigned threads = 1; threads <= 5; threads++) {
		static atomic_uint counts[TASKS];
		struct pool *pool = pool_of(threads);
		assert_int_equal(pool_threads(pool), threads);
		for (size_t count = 0; count <= TASKS; count = 2 * count + 1) {
			for (size_t i = 0; i < TASKS; i++)
				atomic_store(&counts[i], 0);
			pool_run(pool, count, count_task, counts);
			for (size_t i = 0; i < TASKS; i++)
				assert_int_equal(atomic_load(&counts[i]), i < count);
		}
		pool_free(pool);
	}
}

static void threads_that_have_gone_to_sleep_wake_up_for_the_next_run(void **state)
{
	(void)state;
	atomic_uint counts[8] = {0};
	struct pool *pool = pool_of(3);
	for (int round = 0; round < 5; round++) {
		usleep(2000); /* far longer than anybody spins */
		pool_run(pool, 8, count_task, counts);
	}
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(atomic_load(&counts[i]), 5);
	pool_free(pool);
}

/* Seconds that all threads of this process have computed for. */
static double processor_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_pool_with_nothing_to_do_leaves_the_cores_to_others(void **state)
{
	(void)state;
	atomic_uint counts[8] = {0};
	struct pool *pool = pool_of(4);
	pool_run(pool, 8, count_task, counts);
	/* On a busy machine a worker may get its turn to spin only now; one that never goes to
	 * sleep leaves no interval idle. */
	double used = 1;
	for (int i = 0; i < 50 && used >= 0.01; i++) {
		double before = processor_seconds();
		usleep(100000);
		used = processor_seconds() - before;
	}
	assert_true(used < 0.01);
	pool_free(pool);
}

/* Writes without synchronisation what the next run reads: for ThreadSanitizer, and for the sum. */
static void add_neighbour_task(void *arg, size_t i)
{
	unsigned(*cells)[TASKS] = arg;
	cells[1][i] = cells[0][i] + cells[0][(i + 1) % TASKS];
}

static void copy_task(void *arg, size_t i)
{
	unsigned(*cells)[TASKS] = arg;
	cells[0][i] = cells[1][i];
}

static void a_run_sees_everything_that_the_run_before_it_wrote(void **state)
{
	(void)state;
	static unsigned cells[2][TASKS];
	struct pool *pool = pool_of(4);
	for (size_t i = 0; i < TASKS; i++)
		cells[0][i] = 1;
	for (unsigned round = 1; round <= 16; round++) {
		pool_run(pool, TASKS, add_neighbour_task, cells);
		pool_run(pool, TASKS, copy_task, cells);
		for (size_t i = 0; i < TASKS; i++)
			assert_int_equal(cells[0][i], 1u << round);
	}
	pool_free(pool);
}

enum { STEPS = 300, WIDTH = 7 };

struct steps {
	unsigned cells[STEPS + 1][WIDTH];
	atomic_uint calls;
};

/* A cell is the sum of all cells of the step before. */
static void sum_task(void *arg, size_t step, size_t i)
{
	struct steps *steps = arg;
	unsigned sum = 0;
	for (size_t j = 0; j < WIDTH; j++)
		sum += steps->cells[step][j];
	steps->cells[step + 1][i] = sum;
	atomic_fetch_add(&steps->calls, 1);
}

static void a_step_sees_everything_that_the_step_before_it_wrote(void **state)
{
	(void)state;
	static struct steps steps;
	for (unsigned threads = 1; threads <= 5; threads++) {
		struct pool *pool = pool_of(threads);
		for (size_t count = 1; count <= STEPS; count = 3 * count + 1) {
			unsigned expected = 1;
			steps = (struct steps){.cells = {{1, 1, 1, 1, 1, 1, 1}}};
			pool_run_steps(pool, count, WIDTH, sum_task, &steps);
			for (size_t step = 0; step < count; step++) {
				expected *= WIDTH;
				for (size_t i = 0; i < WIDTH; i++)
					assert_int_equal(steps.cells[step + 1][i], expected);
			}
			assert_int_equal(atomic_load(&steps.calls), count * WIDTH);
		}
		pool_free(pool);
	}
}

static void stay_task(void *arg, size_t i)
{
	(void)arg;
	if (i == 0)
		usleep(1);
}

/* Runs that are over before all workers have come, one upon the other. */
static void a_worker_that_comes_late_takes_no_task_of_another_run(void **state)
{
	(void)state;
	static atomic_uint counts[TASKS];
	struct pool *pool = pool_of(5);
	for (size_t i = 0; i < TASKS; i++)
		atomic_store(&counts[i], 0);
	for (unsigned round = 1; round <= 20000; round++) {
		const size_t count = 2 + round % 5;
		if (round % 100 == 0)
			pool_run(pool, 2, stay_task, NULL);
		pool_run(pool, count, count_task, counts + 10 * (round % 50));
	}
	for (size_t i = 0; i < 500; i++)
		assert_int_equal(atomic_load(&counts[i]), i % 10 < 2 + i / 10 % 5 ? 400 : 0);
	pool_free(pool);
}

static void halve_task(void *arg, size_t i)
{
	volatile float *x = arg;
	x[i] /= 2;
}

static void denormals_are_zero_in_tasks_and_as_before_outside(void **state)
{
	(void)state;
#if !defined __SSE__ && !defined __aarch64__
	skip();
#endif
	volatile float x[64];
	volatile float least = FLT_MIN;
	for (unsigned threads = 1; threads <= 3; threads++) {
		struct pool *pool = pool_of(threads);
		for (size_t i = 0; i < 64; i++)
			x[i] = FLT_MIN;
		pool_run(pool, 64, halve_task, (void *)(uintptr_t)x);
		for (size_t i = 0; i < 64; i++)
			assert_true(x[i] == 0);
		assert_true(least / 2 > 0);
		pool_free(pool);
	}
}

static void there_is_at_least_one_core(void **state)
{
	(void)state;
	assert_in_range(pool_cores(), 1, sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_task_runs_once_on_any_number_of_threads),
		cmocka_unit_test(threads_that_have_gone_to_sleep_wake_up_for_the_next_run),
		cmocka_unit_test(a_pool_with_nothing_to_do_leaves_the_cores_to_others),
		cmocka_unit_test(a_run_sees_everything_that_the_run_before_it_wrote),
		cmocka_unit_test(a_step_sees_everything_that_the_step_before_it_wrote),
		cmocka_unit_test(a_worker_that_comes_late_takes_no_task_of_another_run),
		cmocka_unit_test(denormals_are_zero_in_tasks_and_as_before_outside),
		cmocka_unit_test(there_is_at_least_one_core),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}

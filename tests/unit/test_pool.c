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
		cmocka_unit_test(denormals_are_zero_in_tasks_and_as_before_outside),
		cmocka_unit_test(there_is_at_least_one_core),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}

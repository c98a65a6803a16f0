/* test_schedule.c: learning rates against numbers that were computed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/schedule.h"

#include <math.h>

static void check(const struct schedule *schedule, uint64_t t, double expected)
{
	double got = schedule_rate(schedule, t);
	if (!(fabs(got - expected) <= 1e-15 * expected))
		fail_msg("%s, step %u: %.17g, expected %.17g", schedule_names[schedule->kind],
			(unsigned)t, got, expected);
}

static void constant_is_the_rate_itself_to_the_bit(void **state)
{
	(void)state;
	const struct schedule s = {.kind = SCHEDULE_CONSTANT, .rate = 0.1};
	for (uint64_t t = 1; t < 1000; t++)
		assert_true(schedule_rate(&s, t) == 0.1);
	assert_true(schedule_rate(&s, UINT64_MAX) == 0.1);
}

static void warm_up_rises_evenly(void **state)
{
	(void)state;
	for (enum schedule_kind kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_COSINE; kind++) {
		const struct schedule s = {
			.kind = kind, .rate = 0.5, .least = 0.1, .warmup = 4, .horizon = 10};
		check(&s, 1, 0.125);
		check(&s, 2, 0.25);
		check(&s, 4, 0.5);
		check(&s, 5, 0.5);
	}
}

static void linear_falls_on_a_line_and_stays_at_its_last_rate(void **state)
{
	(void)state;
	const struct schedule s = {
		.kind = SCHEDULE_LINEAR, .rate = 0.5, .least = 0.25, .warmup = 2, .horizon = 6};
	check(&s, 3, 0.5);
	check(&s, 4, 0.4375);
	check(&s, 5, 0.375);
	check(&s, 6, 0.3125);
	check(&s, 7, 0.3125);
	check(&s, UINT64_MAX, 0.3125);
}

static void cosine_falls_along_half_a_wave(void **state)
{
	(void)state;
	const struct schedule s = {.kind = SCHEDULE_COSINE, .rate = 1, .horizon = 6};
	check(&s, 1, 1);
	check(&s, 2, (1 + sqrt(0.75)) / 2);
	check(&s, 3, 0.75);
	check(&s, 4, 0.5);
	check(&s, 5, 0.25);
	check(&s, 6, (1 - sqrt(0.75)) / 2);
	check(&s, 100, (1 - sqrt(0.75)) / 2);
}

static void a_warm_up_longer_than_the_run_never_falls(void **state)
{
	(void)state;
	const struct schedule s = {.kind = SCHEDULE_COSINE, .rate = 1, .warmup = 8, .horizon = 4};
	check(&s, 4, 0.5);
	check(&s, 9, 0.5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_is_the_rate_itself_to_the_bit),
		cmocka_unit_test(warm_up_rises_evenly),
		cmocka_unit_test(linear_falls_on_a_line_and_stays_at_its_last_rate),
		cmocka_unit_test(cosine_falls_along_half_a_wave),
		cmocka_unit_test(a_warm_up_longer_than_the_run_never_falls),
	};
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}

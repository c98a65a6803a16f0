/* test_philox.c: the random numbers are those of the paper, and different uses get different ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/philox.h"

#include <math.h>
#include <string.h>

/* The known answers for philox4x32 with 10 rounds in the file kat_vectors of Random123, the
 * authors' own implementation. */
static void known_answers_of_the_authors_are_met(void **state)
{
	(void)state;
	static const struct {
		uint32_t counter[4], key[2], answer[4];
	} vectors[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
			{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
			{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		uint32_t x[4];
		struct philox_key key = {{vectors[i].key[0], vectors[i].key[1]}};
		memcpy(x, vectors[i].counter, sizeof x);
		philox(x, key);
		assert_memory_equal(x, vectors[i].answer, sizeof x);
	}
}

static void seed_purpose_and_layer_make_different_keys(void **state)
{
	(void)state;
	const struct philox_key keys[] = {
		philox_key(1, PHILOX_INIT, 0),
		philox_key(1, PHILOX_DROPOUT, 0),
		philox_key(1, PHILOX_SAMPLE, 0),
		philox_key(1, PHILOX_DROPOUT, 1),
		philox_key(1, PHILOX_DROPOUT, 65535),
		philox_key(2, PHILOX_DROPOUT, 0),
	};
	const size_t n = sizeof keys / sizeof *keys;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(&keys[i], &keys[j], sizeof keys[i]);
}

static void uniform_numbers_lie_in_0_to_1_without_1(void **state)
{
	(void)state;
	assert_true(philox_uniform(0) == 0.0f);
	assert_true(philox_uniform(UINT32_MAX) == 1.0f - 0x1p-24f);
	assert_true(philox_uniform(0x80000000u) == 0.5f);
}

/* Mean and variance of 4e6 numbers of neighbouring counters, within 5 standard errors. */
static void neighbouring_counters_give_independent_uniform_numbers(void **state)
{
	(void)state;
	const uint32_t blocks = 1000000;
	const struct philox_key key = philox_key(7, PHILOX_DROPOUT, 1);
	double sum = 0, squares = 0, products = 0, previous = 0.5;

	for (uint32_t i = 0; i < blocks; i++) {
		uint32_t x[4] = {i % 128, i / 128 % 64, i / 8192, 3};
		philox(x, key);
		for (size_t k = 0; k < 4; k++) {
			double u = (double)philox_uniform(x[k]) - 0.5;
			sum += u;
			squares += u * u;
			products += u * previous;
			previous = u;
		}
	}
	double n = 4.0 * blocks;
	assert_true(fabs(sum / n) < 5 * sqrt(1.0 / 12 / n));
	assert_true(fabs(squares / n - 1.0 / 12) < 5 * sqrt(1.0 / 180 / n));
	assert_true(fabs(products / n) < 5 * sqrt(1.0 / 144 / n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers_of_the_authors_are_met),
		cmocka_unit_test(seed_purpose_and_layer_make_different_keys),
		cmocka_unit_test(uniform_numbers_lie_in_0_to_1_without_1),
		cmocka_unit_test(neighbouring_counters_give_independent_uniform_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

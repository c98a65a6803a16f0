/* test_sampler.c: draws follow softmax, temperature and top-k, and nothing else.
 *
 * Seeds are fixed, so a chi-square test here passes or fails for good; its threshold is five
 * standard deviations above the mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/sampler.h"

#include "numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 200000 };

static void init(
	struct sampler *sampler, uint32_t vocab, uint32_t top_k, double temperature, uint32_t seed)
{
	struct error err;
	if (sampler_init(sampler, vocab, top_k, temperature, seed, &err) != 0)
		fail_msg("%s", err.text);
}

/* Chi-square of counts (n) against n p, cells with fewer than 10 expected draws thrown together. */
static void assert_fits(
	const char *what, const double *counts, const double *p, size_t n, double draws)
{
	double chi = 0, rest_count = 0, rest_p = 0, cells = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == 0)
			assert_true(counts[i] == 0);
		if (p[i] * draws < 10) {
			rest_count += counts[i];
			rest_p += p[i];
			continue;
		}
		chi += pow(counts[i] - p[i] * draws, 2) / (p[i] * draws);
		cells++;
	}
	if (rest_p * draws >= 10) {
		chi += pow(rest_count - rest_p * draws, 2) / (rest_p * draws);
		cells++;
	}
	double freedom = cells - 1, limit = freedom + 5 * sqrt(2 * fmax(freedom, 1));
	print_message("# %s: chi-square %.1f, %.0f degrees of freedom\n", what, chi, freedom);
	if (!(chi <= limit))
		fail_msg("%s: chi-square %.1f above %.1f", what, chi, limit);
}

/* Softmax at a temperature, the top_k largest kept (the smaller id first among equals). */
static void expected_probabilities(
	const float *logits, size_t V, size_t top_k, double temperature, double *p)
{
	double sum = 0, largest = -INFINITY;
	for (size_t i = 0; i < V; i++)
		largest = fmax(largest, (double)logits[i]);
	for (size_t i = 0; i < V; i++) {
		size_t above = 0;
		for (size_t j = 0; j < V; j++)
			above += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
		p[i] = above < top_k ? exp(((double)logits[i] - largest) / temperature) : 0;
		sum += p[i];
	}
	for (size_t i = 0; i < V; i++)
		p[i] /= sum;
}

static void probabilities_are_the_top_of_softmax_at_the_temperature(void **state)
{
	(void)state;
	static const uint32_t vocabularies[] = {1, 2, 3, 17, 83, 1000};
	static const double temperatures[] = {0.1, 0.5, 1, 1.7, 30};
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 5; j++)
			for (uint32_t k = 1; k <= vocabularies[i]; k += 1 + k / 2) {
				const uint32_t V = vocabularies[i];
				struct sampler sampler;
				float *logits = calloc(V, sizeof *logits);
				double *expected = calloc(V, sizeof *expected), sum = 0;
				/* Steps of a quarter, so that there are ties. */
				numbers_fill(logits, V, k, 24);
				for (size_t v = 0; v < V; v++)
					logits[v] = k % 2 ? roundf(logits[v]) / 4 : logits[v] / 4;
				expected_probabilities(logits, V, k, temperatures[j], expected);
				init(&sampler, V, k, temperatures[j], 1);
				const double *p = sampler_probabilities(&sampler, logits);
				for (size_t v = 0; v < V; v++) {
					assert_true(
						fabs(p[v] - expected[v]) <= 1e-12 * expected[v]);
					sum += p[v];
				}
				assert_true(fabs(sum - 1) <= 1e-12);
				sampler_release(&sampler);
				free(logits);
				free(expected);
			}
}

static void draws_have_the_frequencies_of_the_probabilities(void **state)
{
	(void)state;
	static const struct {
		uint32_t top_k;
		double temperature;
	} settings[] = {{0, 1}, {5, 1}, {3, 0.7}, {0, 0.5}, {0, 3}, {40, 1.5}, {2, 1}, {1, 1}};
	enum { V = 83 };
	float logits[V];
	numbers_fill(logits, V, 7, 4);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		struct sampler sampler;
		double counts[2][V] = {{0}}, p[V];
		char what[80];
		init(&sampler, V, settings[i].top_k, settings[i].temperature, 1);
		expected_probabilities(logits, V, settings[i].top_k ? settings[i].top_k : V,
			settings[i].temperature, p);
		/* Positions of one text, and texts at one position. */
		for (uint32_t j = 0; j < DRAWS; j++) {
			counts[0][sampler_draw(&sampler, logits, 0, j)]++;
			counts[1][sampler_draw(&sampler, logits, j, 3)]++;
		}
		for (size_t way = 0; way < 2; way++) {
			snprintf(what, sizeof what, "top-k %u, temperature %g, %s",
				(unsigned)settings[i].top_k, settings[i].temperature,
				way ? "over texts" : "over positions");
			assert_fits(what, counts[way], p, V, DRAWS);
		}
		sampler_release(&sampler);
	}
}

static void draws_are_independent_of_each_other(void **state)
{
	(void)state;
	enum { V = 4 };
	const float logits[V] = {0, 0.5f, -1, 1};
	double p[V], pairs[V * V], counts[4][V * V] = {{0}};
	static const char *const what[] = {
		"next positions", "next texts", "next seeds", "positions 2^32 apart"};
	struct sampler sampler, other;
	init(&sampler, V, V, 1, 5);
	init(&other, V, V, 1, 6);
	expected_probabilities(logits, V, V, 1, p);
	for (size_t i = 0; i < (size_t)V * V; i++)
		pairs[i] = p[i / V] * p[i % V];
	for (uint32_t i = 0; i < DRAWS; i++) {
		uint32_t first = sampler_draw(&sampler, logits, 1, i);
		uint32_t position = sampler_draw(&sampler, logits, 1, (uint64_t)i + DRAWS);
		counts[0][first * V + sampler_draw(&sampler, logits, 1, (uint64_t)i + 1)]++;
		counts[1][first * V + sampler_draw(&sampler, logits, 2, i)]++;
		counts[2][first * V + sampler_draw(&other, logits, 1, i)]++;
		counts[3][position * V +
			  sampler_draw(&sampler, logits, 1, (uint64_t)i + DRAWS + (1ull << 32))]++;
	}
	for (size_t i = 0; i < 4; i++)
		assert_fits(what[i], counts[i], pairs, (size_t)V * V, DRAWS);
	sampler_release(&sampler);
	sampler_release(&other);
}

static void a_draw_depends_on_seed_text_and_position_alone(void **state)
{
	(void)state;
	enum { V = 83, N = 500 };
	float logits[V];
	uint32_t forward[N];
	struct sampler a, b;
	numbers_fill(logits, V, 3, 2);
	init(&a, V, 10, 0.9, 77);
	init(&b, V, 10, 0.9, 77);
	for (uint32_t i = 0; i < N; i++)
		forward[i] = sampler_draw(&a, logits, i % 3, i);
	for (uint32_t i = N; i-- > 0;) {
		sampler_draw(&b, logits, 9, 1000 + i);
		assert_int_equal(sampler_draw(&b, logits, i % 3, i), forward[i]);
		assert_int_equal(sampler_draw(&a, logits, i % 3, i), forward[i]);
	}
	sampler_release(&a);
	sampler_release(&b);
}

static void one_kept_is_greedy(void **state)
{
	(void)state;
	enum { V = 50 };
	struct sampler sampler;
	float logits[V];
	init(&sampler, V, 1, 2, 4);
	for (uint32_t stream = 0; stream < 300; stream++) {
		uint32_t best = 0;
		numbers_fill(logits, V, stream, 9);
		for (uint32_t v = 1; v < V; v++)
			best = logits[v] > logits[best] ? v : best;
		assert_int_equal(sampler_draw(&sampler, logits, 0, stream), best);
	}
	sampler_release(&sampler);
}

static void ties_at_the_last_place_go_to_the_smaller_id(void **state)
{
	(void)state;
	enum { V = 7 };
	const float logits[V] = {1, 3, 2, 2, 3, 2, 1};
	static const uint8_t kept[V + 1][V] = {
		[1] = {0, 1, 0, 0, 0, 0, 0},
		[2] = {0, 1, 0, 0, 1, 0, 0},
		[3] = {0, 1, 1, 0, 1, 0, 0},
		[4] = {0, 1, 1, 1, 1, 0, 0},
		[5] = {0, 1, 1, 1, 1, 1, 0},
		[6] = {1, 1, 1, 1, 1, 1, 0},
		[7] = {1, 1, 1, 1, 1, 1, 1},
	};
	for (uint32_t k = 1; k <= V; k++) {
		struct sampler sampler;
		init(&sampler, V, k, 1, 1);
		const double *p = sampler_probabilities(&sampler, logits);
		for (size_t v = 0; v < V; v++)
			assert_int_equal(p[v] > 0, kept[k][v]);
		sampler_release(&sampler);
	}
}

static void no_k_and_a_k_above_the_vocabulary_keep_all(void **state)
{
	(void)state;
	enum { V = 9 };
	const uint32_t ks[] = {0, V, V + 1, UINT32_MAX};
	float logits[V];
	double expected[V];
	numbers_fill(logits, V, 1, 3);
	expected_probabilities(logits, V, V, 1, expected);
	for (size_t i = 0; i < 4; i++) {
		struct sampler sampler;
		init(&sampler, V, ks[i], 1, 1);
		const double *p = sampler_probabilities(&sampler, logits);
		for (size_t v = 0; v < V; v++)
			assert_true(fabs(p[v] - expected[v]) <= 1e-12);
		sampler_release(&sampler);
	}
}

static void extreme_logits_and_temperatures_give_probabilities(void **state)
{
	(void)state;
	enum { V = 4 };
	static const struct {
		float logits[V];
		double temperature, expected[V];
	} cases[] = {
		{{1e30f, -1e30f, 0, -1e38f}, 1, {1, 0, 0, 0}},
		{{-1e30f, -1e30f, -2e30f, -3e38f}, 1, {0.5, 0.5, 0, 0}},
		{{-INFINITY, 0, 0, -INFINITY}, 1, {0, 0.5, 0.5, 0}},
		{{1, 1.5f, 1.25f, 0}, 1e-5, {0, 1, 0, 0}},
		{{1, 1.5f, 1.25f, 0}, 1e-300, {0, 1, 0, 0}},
		{{1, 1.5f, 1.25f, 0}, 1e300, {0.25, 0.25, 0.25, 0.25}},
		{{1e-40f, -1e-40f, 0, 1e-45f}, 1, {0.25, 0.25, 0.25, 0.25}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sampler sampler;
		init(&sampler, V, V, cases[i].temperature, 1);
		const double *p = sampler_probabilities(&sampler, cases[i].logits);
		for (size_t v = 0; v < V; v++)
			assert_true(fabs(p[v] - cases[i].expected[v]) <= 1e-12);
		for (uint32_t draw = 0; draw < 1000; draw++) {
			uint32_t id = sampler_draw(&sampler, cases[i].logits, 0, draw);
			assert_true(id < V && cases[i].expected[id] > 0);
		}
		sampler_release(&sampler);
	}
}

static void releasing_twice_does_no_harm(void **state)
{
	(void)state;
	struct sampler sampler;
	init(&sampler, 3, 0, 1, 1);
	sampler_release(&sampler);
	sampler_release(&sampler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probabilities_are_the_top_of_softmax_at_the_temperature),
		cmocka_unit_test(draws_have_the_frequencies_of_the_probabilities),
		cmocka_unit_test(draws_are_independent_of_each_other),
		cmocka_unit_test(a_draw_depends_on_seed_text_and_position_alone),
		cmocka_unit_test(one_kept_is_greedy),
		cmocka_unit_test(ties_at_the_last_place_go_to_the_smaller_id),
		cmocka_unit_test(no_k_and_a_k_above_the_vocabulary_keep_all),
		cmocka_unit_test(extreme_logits_and_temperatures_give_probabilities),
		cmocka_unit_test(releasing_twice_does_no_harm),
	};
	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}

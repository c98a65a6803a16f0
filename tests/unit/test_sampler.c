/* test_sampler.c: draws follow softmax, temperature, top-k, top-p and min-p, and nothing else.
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

/* Takes from p what top_p and min_p don't keep, straight from their definitions. */
static void expected_kept(const float *logits, size_t V, double top_p, double min_p, double *p)
{
	double before[1000] = {0}, largest = 0, sum = 0;
	for (size_t i = 0; i < V; i++) {
		largest = fmax(largest, p[i]);
		for (size_t j = 0; j < V; j++)
			if (logits[j] > logits[i] || (logits[j] == logits[i] && j < i))
				before[i] += p[j];
	}
	for (size_t i = 0; i < V; i++) {
		/* The likeliest, before which there is nothing, always stays. */
		if (before[i] > 0 && (before[i] >= top_p || p[i] < min_p * largest))
			p[i] = 0;
		sum += p[i];
	}
	for (size_t i = 0; i < V; i++)
		p[i] /= sum;
}

static void top_p_and_min_p_keep_what_their_definitions_say(void **state)
{
	(void)state;
	/* Bounds that no sum or ratio of these logits comes near, so that rounding decides nothing.
	 */
	static const double top_ps[] = {1e-9, 0.2003, 0.5003, 0.9003, 0.9999, 1};
	static const double min_ps[] = {0, 1e-4, 0.0503, 0.3003, 0.9003, 1};
	static const uint32_t vocabularies[] = {1, 2, 17, 83, 300}, ks[] = {0, 1, 5, 40};
	size_t kept = 0, all = 0;
	for (size_t i = 0; i < 5 * 6 * 6 * 4; i++) {
		const uint32_t V = vocabularies[i % 5], k = ks[i / 180];
		const double top_p = top_ps[i / 5 % 6], min_p = min_ps[i / 30 % 6];
		struct sampler sampler;
		float logits[300];
		double expected[300];
		numbers_fill(logits, V, (uint32_t)i, 5);
		expected_probabilities(logits, V, k ? k : V, 0.8, expected);
		expected_kept(logits, V, top_p, min_p, expected);
		init(&sampler, V, k, 0.8, 1);
		sampler.top_p = top_p;
		sampler.min_p = min_p;
		const double *p = sampler_probabilities(&sampler, logits);
		for (size_t v = 0; v < V; v++) {
			assert_true(fabs(p[v] - expected[v]) <= 1e-12);
			assert_true((p[v] > 0) == (expected[v] > 0));
			kept += p[v] > 0;
		}
		all += V;
		sampler_release(&sampler);
	}
	print_message("# %zu of %zu kept\n", kept, all);
	assert_true(kept > all / 20 && kept < all / 2);
}

static void draws_have_the_frequencies_of_top_p_and_min_p(void **state)
{
	(void)state;
	static const struct {
		uint32_t top_k;
		double top_p, min_p;
	} settings[] = {{0, 0.9, 0}, {0, 0.3, 0}, {0, 1, 0.1}, {20, 0.95, 0.02}, {3, 0.8, 0.5}};
	enum { V = 83 };
	float logits[V];
	numbers_fill(logits, V, 8, 4);
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		struct sampler sampler;
		double counts[V] = {0}, p[V];
		char what[80];
		init(&sampler, V, settings[i].top_k, 1.2, 1);
		sampler.top_p = settings[i].top_p;
		sampler.min_p = settings[i].min_p;
		expected_probabilities(
			logits, V, settings[i].top_k ? settings[i].top_k : V, 1.2, p);
		expected_kept(logits, V, settings[i].top_p, settings[i].min_p, p);
		for (uint32_t j = 0; j < DRAWS; j++)
			counts[sampler_draw(&sampler, logits, 0, j)]++;
		snprintf(what, sizeof what, "top-k %u, top-p %g, min-p %g",
			(unsigned)settings[i].top_k, settings[i].top_p, settings[i].min_p);
		assert_fits(what, counts, p, V, DRAWS);
		sampler_release(&sampler);
	}
}

static void nats_are_those_of_the_model_whatever_is_kept(void **state)
{
	(void)state;
	enum { V = 83 };
	struct sampler sampler;
	float logits[V];
	double p[V];
	numbers_fill(logits, V, 2, 30);
	expected_probabilities(logits, V, V, 1, p);
	init(&sampler, V, 3, 0.5, 1);
	sampler.top_p = 0.1;
	for (uint32_t v = 0; v < V; v++)
		assert_true(fabs(sampler_nats(&sampler, logits, v) + log(p[v])) <= 1e-9);
	sampler_release(&sampler);
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

static void temperature_zero_takes_the_likeliest_and_of_equals_the_smaller_id(void **state)
{
	(void)state;
	const float logits[] = {1, 3, 2, 3, -1};
	struct sampler sampler;
	for (uint32_t top_k = 0; top_k < 4; top_k++) {
		init(&sampler, 5, top_k, 0, 1);
		sampler.top_p = 0.3;
		for (uint64_t position = 0; position < 100; position++)
			assert_int_equal(sampler_draw(&sampler, logits, 0, position), 1);
		assert_true(sampler_probabilities(&sampler, logits)[1] == 1);
		sampler_release(&sampler);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probabilities_are_the_top_of_softmax_at_the_temperature),
		cmocka_unit_test(top_p_and_min_p_keep_what_their_definitions_say),
		cmocka_unit_test(draws_have_the_frequencies_of_top_p_and_min_p),
		cmocka_unit_test(nats_are_those_of_the_model_whatever_is_kept),
		cmocka_unit_test(draws_have_the_frequencies_of_the_probabilities),
		cmocka_unit_test(draws_are_independent_of_each_other),
		cmocka_unit_test(a_draw_depends_on_seed_text_and_position_alone),
		cmocka_unit_test(one_kept_is_greedy),
		cmocka_unit_test(temperature_zero_takes_the_likeliest_and_of_equals_the_smaller_id),
		cmocka_unit_test(ties_at_the_last_place_go_to_the_smaller_id),
		cmocka_unit_test(no_k_and_a_k_above_the_vocabulary_keep_all),
		cmocka_unit_test(extreme_logits_and_temperatures_give_probabilities),
		cmocka_unit_test(releasing_twice_does_no_harm),
	};
	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}

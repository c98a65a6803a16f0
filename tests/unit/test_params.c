/* The table of parameters: names, shapes, places, first values. */
#include "nn/params.h"

#include "base/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_notebooks_models_have_their_numbers_of_parameters(void **state)
{
	(void)state;
	static const struct {
		uint64_t vocab, hidden, layers;
		size_t parameters;
	} models[] = {{83, 512, 2, 3366483}, {84, 512, 3, 5470292}, {78, 512, 2, 3353678}};
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		struct params params;
		struct error err;
		assert_int_equal(params_init(&params, &lstm_cell, models[i].vocab, models[i].hidden,
					 models[i].layers, &err),
			0);
		assert_int_equal(params.parameters, models[i].parameters);
		assert_int_equal(params.count, 4 * models[i].layers + 2);
		params_release(&params);
	}
}

static void names_and_shapes_are_pytorchs(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t rows, cols;
	} expected[] = {
		{"lstm.weight_ih_l0", 20, 7},
		{"lstm.weight_hh_l0", 20, 5},
		{"lstm.bias_ih_l0", 20, 0},
		{"lstm.bias_hh_l0", 20, 0},
		{"lstm.weight_ih_l1", 20, 5},
		{"lstm.weight_hh_l1", 20, 5},
		{"lstm.bias_ih_l1", 20, 0},
		{"lstm.bias_hh_l1", 20, 0},
		{"fc.weight", 7, 5},
		{"fc.bias", 7, 0},
	};
	struct params params;
	struct error err;
	assert_int_equal(params_init(&params, &lstm_cell, 7, 5, 2, &err), 0);
	assert_int_equal(params.count, sizeof expected / sizeof *expected);
	for (size_t i = 0; i < params.count; i++) {
		assert_string_equal(params.v[i].name, expected[i].name);
		assert_int_equal(params.v[i].rows, expected[i].rows);
		assert_int_equal(params.v[i].cols, expected[i].cols);
		assert_int_equal(params.v[i].transposed, i == 0);
	}
	assert_ptr_equal(params_layer(&params, 1, PARAM_B_HH), &params.v[7]);
	assert_ptr_equal(params_fc_weight(&params), &params.v[8]);
	assert_ptr_equal(params_fc_bias(&params), &params.v[9]);
	params_release(&params);
}

static void other_cells_have_as_many_rows_as_gates(void **state)
{
	(void)state;
	for (enum cell_type type = 0; type < CELL_TYPES; type++) {
		const struct cell *cell = cell_of(type);
		struct params params;
		struct error err;
		char name[40];
		assert_int_equal(cell->type, type);
		assert_ptr_equal(cell_find(cell_names[type]), cell);
		assert_int_equal(params_init(&params, cell, 7, 5, 2, &err), 0);
		assert_int_equal(params.count, 10);
		snprintf(name, sizeof name, "%s.weight_hh_l1", cell_name(cell));
		const struct param *p = params_layer(&params, 1, PARAM_W_HH);
		assert_string_equal(p->name, name);
		assert_int_equal(p->rows, 5 * cell->gates);
		assert_int_equal(p->squares, cell->gates);
		assert_int_equal(
			params.parameters, 5 * cell->gates * (7 + 5 + 2 + 2 * 5 + 2) + 7 * (5 + 1));
		assert_int_equal(params_state_size(&params), cell->states * 2 * 5);
		params_release(&params);
	}
	assert_null(cell_find("elman"));
}

static void tensors_lie_one_behind_the_other_at_multiples_of_16(void **state)
{
	(void)state;
	for (uint64_t hidden = 1; hidden < 9; hidden++) {
		struct params params;
		struct error err;
		size_t end = 0;
		assert_int_equal(params_init(&params, &lstm_cell, 3, hidden, 3, &err), 0);
		for (size_t i = 0; i < params.count; i++) {
			const struct param *p = &params.v[i];
			assert_int_equal(p->size, p->rows * (p->cols ? p->cols : 1));
			assert_int_equal(p->offset % 16, 0);
			assert_in_range(p->offset, end, end + 15);
			end = p->offset + p->size;
		}
		assert_int_equal(params.total % 16, 0);
		assert_in_range(params.total, end, end + 15);
		params_release(&params);
	}
}

static void impossible_dimensions_are_refused(void **state)
{
	(void)state;
	static const uint64_t bad[][3] = {
		{0, 1, 1},
		{1, 0, 1},
		{1, 1, 0},
		{PARAMS_VOCAB_MAX + 1, 1, 1},
		{1, PARAMS_HIDDEN_MAX + 1, 1},
		{1, 1, PARAMS_LAYERS_MAX + 1},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct params params;
		struct error err;
		assert_int_equal(
			params_init(&params, &lstm_cell, bad[i][0], bad[i][1], bad[i][2], &err),
			-1);
		assert_int_equal(err.status, STATUS_DATA);
		params_release(&params);
	}
	const uint64_t V = PARAMS_VOCAB_MAX, H = PARAMS_HIDDEN_MAX, L = PARAMS_LAYERS_MAX;
	struct params largest;
	struct error err;
	assert_int_equal(params_init(&largest, &lstm_cell, V, H, L, &err), 0);
	assert_int_equal(largest.parameters,
		4 * H * V + (L - 1) * 4 * H * H + L * (4 * H * H + 8 * H) + V * H + V);
	params_release(&largest);
}

/* From the definition in params.h, one element at a time. */
static float first_value(uint32_t seed, size_t i, size_t e, double scale)
{
	uint32_t word[4] = {(uint32_t)(e / 4)};
	philox(word, philox_key(seed, PHILOX_INIT, (uint32_t)i));
	return (2 * philox_uniform(word[e % 4]) - 1) * (float)scale;
}

static void first_values_are_those_of_the_definition_in_file_order(void **state)
{
	(void)state;
	struct params params;
	struct error err;
	assert_int_equal(params_init(&params, &lstm_cell, 7, 5, 2, &err), 0);
	float *arena = malloc(params.total * sizeof *arena);
	float *file = malloc(params.total * sizeof *file);
	memset(arena, 0xff, params.total * sizeof *arena);
	params_initialise(&params, 42, 0, arena);
	size_t sum = 0, not_zero = 0;
	for (size_t i = 0; i < params.count; i++) {
		params_to_file(&params, i, arena, file);
		for (size_t e = 0; e < params.v[i].size; e++)
			assert_true(file[e] == first_value(42, i, e, 1 / sqrt(5)));
		sum += params.v[i].size;
	}
	for (size_t k = 0; k < params.total; k++)
		not_zero += arena[k] != 0;
	assert_int_equal(sum, params.parameters);
	assert_int_equal(not_zero, params.parameters); /* padding is zero, nothing else is */

	params_initialise(&params, 42, 0.7, arena);
	for (size_t i = 0; i < params.count; i++) {
		params_to_file(&params, i, arena, file);
		for (size_t e = 0; e < params.v[i].size; e++)
			assert_true(file[e] ==
				    first_value(42, i, e, i == PARAM_W_IH ? 0.7 : 1 / sqrt(5)));
	}
	free(arena);
	free(file);
	params_release(&params);
}

static void first_values_are_uniform_within_the_bound(void **state)
{
	(void)state;
	struct params params;
	struct error err;
	assert_int_equal(params_init(&params, &lstm_cell, 83, 100, 2, &err), 0);
	float *arena = malloc(params.total * sizeof *arena);
	params_initialise(&params, 1, 0, arena);
	for (size_t i = 0; i < params.count; i++) {
		const struct param *p = &params.v[i];
		double sum = 0, squares = 0, n = (double)p->size;
		for (size_t e = 0; e < p->size; e++) {
			double x = arena[p->offset + e] / 0.1;
			assert_true(x >= -1.000001 && x <= 1.000001);
			sum += x, squares += x * x;
		}
		/* Mean 0 +- sqrt(1/3n), mean square 1/3 +- sqrt(4/45n): within five deviations. */
		assert_true(fabs(sum / n) < 5 * sqrt(1 / (3 * n)));
		assert_true(fabs(squares / n - 1.0 / 3) < 5 * sqrt(4 / (45 * n)));
	}
	free(arena);
	params_release(&params);
}

static void the_first_layers_input_weights_lie_transposed(void **state)
{
	(void)state;
	struct params params;
	struct error err;
	assert_int_equal(params_init(&params, &lstm_cell, 45, 9, 1, &err), 0);
	const struct param *w = params_layer(&params, 0, PARAM_W_IH);
	float *arena = calloc(params.total, sizeof *arena);
	float *file = calloc(w->size, sizeof *file), *again = calloc(w->size, sizeof *again);
	for (size_t e = 0; e < w->size; e++)
		file[e] = (float)e;
	params_from_file(&params, 0, file, arena);
	for (size_t r = 0; r < w->rows; r++)
		for (size_t c = 0; c < w->cols; c++)
			assert_true(arena[w->offset + c * w->rows + r] == file[r * w->cols + c]);
	params_to_file(&params, 0, arena, again);
	assert_memory_equal(file, again, w->size * sizeof *file);
	free(again);
	free(file);
	free(arena);
	params_release(&params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_notebooks_models_have_their_numbers_of_parameters),
		cmocka_unit_test(names_and_shapes_are_pytorchs),
		cmocka_unit_test(other_cells_have_as_many_rows_as_gates),
		cmocka_unit_test(tensors_lie_one_behind_the_other_at_multiples_of_16),
		cmocka_unit_test(impossible_dimensions_are_refused),
		cmocka_unit_test(first_values_are_those_of_the_definition_in_file_order),
		cmocka_unit_test(first_values_are_uniform_within_the_bound),
		cmocka_unit_test(the_first_layers_input_weights_lie_transposed),
	};
	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}

/* params.c: the table of a model's parameters, their first values, and the way to and from files.
 *
 * Names and shapes are those of PyTorch's nn.LSTM, nn.GRU, nn.RNN and nn.Linear. The one departure
 * in memory is the first layer's input weights, which lie transposed so that the one-hot product
 * reads one row. */
#include "nn/params.h"

#include "base/philox.h"
#include "base/size.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PARAMS_ALIGN = 16 /* floats: a cache line, and the widest vector */
};

/* Fills in entry i, which follows those before it in the arena. */
static void add(struct params *params, size_t i, const char *name, size_t rows, size_t cols)
{
	struct param *p = &params->v[i];
	snprintf(p->name, sizeof p->name, "%s", name);
	p->rows = rows, p->cols = cols;
	p->size = cols ? rows * cols : rows;
	p->offset = params->total;
	params->parameters += p->size;
	params->total = size_align(params->total + p->size, PARAMS_ALIGN);
}

int params_init(struct params *params, const struct cell *cell, uint64_t vocab, uint64_t hidden,
	uint64_t layers, struct error *err)
{
	static const char *const names[PARAMS_PER_LAYER] = {
		[PARAM_W_IH] = "weight_ih",
		[PARAM_W_HH] = "weight_hh",
		[PARAM_B_IH] = "bias_ih",
		[PARAM_B_HH] = "bias_hh",
	};
	*params = (struct params){0};
	const struct {
		const char *name;
		uint64_t value, max;
	} ranges[] = {
		{"symbols", vocab, PARAMS_VOCAB_MAX},
		{"hidden units", hidden, PARAMS_HIDDEN_MAX},
		{"layers", layers, PARAMS_LAYERS_MAX},
	};
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (ranges[i].value < 1 || ranges[i].value > ranges[i].max)
			return error_set(err, STATUS_DATA,
				"a model of %" PRIu64 " %s; expected 1 to %" PRIu64,
				ranges[i].value, ranges[i].name, ranges[i].max);
	/* At these limits an arena has less than 2^44 floats: no product below overflows 64
	 * bits. */
	_Static_assert(sizeof(size_t) == 8, "sizes of models need 64 bits");

	params->cell = cell;
	params->vocab = (uint32_t)vocab;
	params->hidden = (uint32_t)hidden;
	params->layers = (uint32_t)layers;
	params->count = (size_t)layers * PARAMS_PER_LAYER + 2;
	params->v = calloc(params->count, sizeof *params->v);
	if (!params->v)
		return error_memory(
			err, params->count * sizeof *params->v, "the table of parameters");

	for (size_t l = 0; l < layers; l++) {
		const size_t cols[PARAMS_PER_LAYER] = {
			[PARAM_W_IH] = l == 0 ? vocab : hidden,
			[PARAM_W_HH] = hidden,
		};
		for (size_t k = 0; k < PARAMS_PER_LAYER; k++) {
			char name[sizeof params->v->name];
			snprintf(name, sizeof name, "%s.%s_l%zu", cell_name(cell), names[k], l);
			add(params, l * PARAMS_PER_LAYER + k, name, params->cell->gates * hidden,
				cols[k]);
			if (k == PARAM_W_HH || (k == PARAM_W_IH && l > 0))
				params->v[l * PARAMS_PER_LAYER + k].squares = params->cell->gates;
		}
	}
	params->v[PARAM_W_IH].transposed = true;
	add(params, params->count - 2, "fc.weight", vocab, hidden);
	add(params, params->count - 1, "fc.bias", vocab, 0);
	return 0;
}

void params_release(struct params *params)
{
	free(params->v);
	*params = (struct params){0};
}

/* Where element e of the file's layout lies in memory. */
static size_t place(const struct param *p, size_t e)
{
	return p->offset + (p->transposed ? e % p->cols * p->rows + e / p->cols : e);
}

/* A word's upper 24 bits give u in [0, 1); 2 u - 1 is exact in float, so that the one rounding is
 * that of the product with the bound, and every machine gets the same bits. */
void params_initialise(const struct params *params, uint32_t seed, double input_scale, float *arena)
{
	const double scale = 1 / sqrt((double)params->hidden);
	memset(arena, 0, params->total * sizeof *arena);
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		struct philox_key key = philox_key(seed, PHILOX_INIT, (uint32_t)i);
		const float bound = (float)(p->transposed && input_scale > 0 ? input_scale : scale);
		for (size_t e = 0; e < p->size; e += 4) {
			uint32_t word[4] = {(uint32_t)(e / 4), (uint32_t)(e / 4 >> 32)};
			philox(word, key);
			for (size_t k = 0; k < 4 && e + k < p->size; k++)
				arena[place(p, e + k)] = (2 * philox_uniform(word[k]) - 1) * bound;
		}
	}
}

/* to (cols, rows) = from (rows, cols) transposed, in tiles that stay in the first-level cache. */
static void transpose(float *to, const float *from, size_t rows, size_t cols)
{
	enum { TILE = 32 };
	for (size_t r0 = 0; r0 < rows; r0 += TILE)
		for (size_t c0 = 0; c0 < cols; c0 += TILE)
			for (size_t r = r0; r < rows && r < r0 + TILE; r++)
				for (size_t c = c0; c < cols && c < c0 + TILE; c++)
					to[c * rows + r] = from[r * cols + c];
}

void params_to_file(const struct params *params, size_t i, const float *arena, float *file)
{
	const struct param *p = &params->v[i];
	if (p->transposed)
		transpose(file, arena + p->offset, p->cols, p->rows);
	else
		memcpy(file, arena + p->offset, p->size * sizeof *file);
}

void params_from_file(const struct params *params, size_t i, const float *file, float *arena)
{
	const struct param *p = &params->v[i];
	if (p->transposed)
		transpose(arena + p->offset, file, p->rows, p->cols);
	else
		memcpy(arena + p->offset, file, p->size * sizeof *file);
}

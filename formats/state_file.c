/* state_file.c: see state_file.h and state.md. */
#include "formats/state_file.h"

#include "base/crc.h"
#include "formats/kind.h"
#include "formats/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	VERSION = 2, /* of states; read are all up to it; written is the one that has the cell */
	TENSORS = CELL_STATES + 1,
	ALIGN = 64,
};

int state_file_init(struct state_file *state, const struct params *params, struct error *err)
{
	*state = (struct state_file){.cell = params->cell,
		.layers = params->layers,
		.hidden = params->hidden,
		.vocab = params->vocab,
		.size = params_state_size(params)};
	state->state = calloc(state->size, sizeof *state->state);
	state->logits = calloc(state->vocab, sizeof *state->logits);
	if (state->state && state->logits)
		return 0;
	state_file_release(state);
	return error_memory(
		err, (params_state_size(params) + params->vocab) * sizeof(float), "the state");
}

void state_file_release(struct state_file *state)
{
	free(state->state);
	free(state->logits);
	*state = (struct state_file){0};
}

int state_file_model_crc(const struct model_file *model, uint32_t *crc, struct error *err)
{
	const struct params *params = &model->params;
	size_t largest = 0;
	uint32_t sum = 0;
	for (size_t i = 0; i < params->count; i++)
		largest = params->v[i].size > largest ? params->v[i].size : largest;
	float *tensor = malloc(largest * sizeof *tensor);
	if (!tensor)
		return error_memory(err, largest * sizeof *tensor, "a tensor");
	for (size_t i = 0; i < params->count; i++) {
		params_to_file(params, i, model->weights, tensor);
		sum = crc_add(sum, tensor, params->v[i].size * sizeof *tensor);
	}
	free(tensor);
	*crc = (uint32_t)sum;
	return 0;
}

/* The file's tensors in its order, and where each one's data is: the arrays of the state, then the
 * logits. Returns how many there are. */
static size_t list_tensors(const struct state_file *state,
	struct safetensors_tensor tensors[TENSORS], float *data[TENSORS])
{
	const struct cell *cell = state->cell;
	const size_t n = cell->states;
	for (size_t s = 0; s < n; s++) {
		tensors[s] = (struct safetensors_tensor){.name = cell->state_names[s],
			.dims = 3,
			.shape = {state->layers, 1, state->hidden}};
		data[s] = state->state + s * (state->size / n);
	}
	tensors[n] =
		(struct safetensors_tensor){.name = "logits", .dims = 1, .shape = {state->vocab}};
	data[n] = state->logits;
	for (size_t i = 0; i <= n; i++)
		tensors[i].dtype = "F32";
	return n + 1;
}

static size_t elements(const struct safetensors_tensor *t)
{
	size_t n = 1;
	for (unsigned i = 0; i < t->dims; i++)
		n *= (size_t)t->shape[i];
	return n;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Checks version and metadata; gives the file's CRC, its model's, and the cell. */
static int check_metadata(struct safetensors *st, uint32_t *model_crc, uint32_t *crc,
	const struct cell **cell, struct error *err)
{
	const char *model = safetensors_metadata(st, "model_crc32");
	const char *name = safetensors_metadata(st, "cell");
	char digits[16];
	bool has_crc;
	if (safetensors_check_version(st, "state", VERSION, err) < 0 ||
		safetensors_begin_crc(st, &has_crc, crc, err) < 0)
		return -1;
	*cell = name ? cell_find(name) : &lstm_cell;
	if (!*cell)
		return error_set(
			err, STATUS_DATA, "metadata cell: %s; expected lstm, gru or rnn", name);
	if (!has_crc || !model)
		return error_set(err, STATUS_DATA, "metadata without %s: damaged",
			has_crc ? "model_crc32" : "crc32");
	*model_crc = (uint32_t)strtoul(model, NULL, 16);
	snprintf(digits, sizeof digits, "%08x", (unsigned)*model_crc);
	if (strcmp(model, digits) != 0)
		return error_set(
			err, STATUS_DATA, "metadata model_crc32: expected eight hex digits");
	return 0;
}

static bool within(uint64_t size, uint64_t max)
{
	return size >= 1 && size <= max;
}

/* Makes room for a state of the sizes that the tensors have, which the file's size bounds only
 * where none of them is 0. */
static int init_as_found(struct state_file *state, const struct safetensors *st,
	const struct cell *cell, struct error *err)
{
	const struct safetensors_tensor *h = safetensors_find(st, cell->state_names[0]);
	const struct safetensors_tensor *logits = safetensors_find(st, "logits");
	if (!h || !logits || h->dims != 3 || logits->dims != 1 || h->shape[1] != 1 ||
		!within(h->shape[0], PARAMS_LAYERS_MAX) ||
		!within(h->shape[2], PARAMS_HIDDEN_MAX) ||
		!within(logits->shape[0], PARAMS_VOCAB_MAX))
		return error_set(err, STATUS_DATA, "expected tensors %s (L,1,H) and logits (V)",
			cell->state_names[0]);
	const struct params params = {.cell = cell,
		.layers = (uint32_t)h->shape[0],
		.hidden = (uint32_t)h->shape[2],
		.vocab = (uint32_t)logits->shape[0]};
	return state_file_init(state, &params, err);
}

static int check_shapes(const struct safetensors *st, const struct safetensors_tensor *expected,
	size_t count, struct error *err)
{
	char found[96], wanted[96];
	if (st->count != count)
		return error_set(err, STATUS_DATA,
			"%zu tensors; expected %zu: the state and logits", st->count, count);
	for (size_t i = 0; i < count; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];
		if (strcmp(t->name, expected[i].name) != 0)
			return error_set(err, STATUS_DATA, "tensor %s; expected %s", t->name,
				expected[i].name);
		safetensors_describe(t, found);
		safetensors_describe(&expected[i], wanted);
		if (strcmp(found, wanted) != 0)
			return error_set(err, STATUS_DATA, "tensor %s: %s; expected %s", t->name,
				found, wanted);
	}
	return 0;
}

/* Reads the data section. */
static int read_data(struct safetensors *st, const struct safetensors_tensor *tensors,
	float *const *data, size_t count, uint32_t crc, struct error *err)
{
	bool finite = true;
	for (size_t i = 0; i < count; i++) {
		size_t n = elements(&tensors[i]);
		if (safetensors_read(st, data[i], n * sizeof *data[i], err) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			finite &= isfinite(data[i][k]) != 0;
	}
	if (safetensors_end(st, err) < 0)
		return -1;
	if (st->crc != crc)
		return error_set(err, STATUS_DATA, "%s: damaged: its CRC-32 is %08x; expected %08x",
			st->in->name, (unsigned)st->crc, (unsigned)crc);
	if (!finite)
		return error_set(err, STATUS_DATA, "%s: not all numbers are finite", st->in->name);
	return 0;
}

/* Reads a state, of the model with CRC *expected, or of any where that is NULL, with sizes as
 * `state` has them, or as they are. */
static int read_state(struct state_file *state, const uint32_t *expected, uint32_t *model_crc,
	struct input *in, struct error *err)
{
	struct safetensors st = {0};
	struct safetensors_tensor tensors[TENSORS];
	float *data[TENSORS];
	const struct cell *cell;
	uint32_t crc = 0;
	int rc = -1;
	if (kind_expect(KIND_STATE, in, err) < 0 || safetensors_open(&st, in, err) < 0)
		goto out;
	if (check_metadata(&st, model_crc, &crc, &cell, err) < 0 ||
		(!expected && init_as_found(state, &st, cell, err) < 0)) {
		error_prefix(err, "%s: ", in->name);
		goto out;
	}
	if (expected && *model_crc != *expected) {
		error_set(err, STATUS_DATA,
			"%s: a state of another model: its weights' CRC-32 is %08x, this model's "
			"%08x",
			in->name, (unsigned)*model_crc, (unsigned)*expected);
		goto out;
	}
	const size_t count = list_tensors(state, tensors, data);
	if (cell != state->cell)
		error_set(err, STATUS_DATA, "%s: metadata cell: %s; the model has %s", in->name,
			cell_name(cell), cell_name(state->cell));
	else if (check_shapes(&st, tensors, count, err) < 0)
		error_prefix(err, "%s: ", in->name);
	else
		rc = read_data(&st, tensors, data, count, crc, err);
out:
	safetensors_close(&st);
	return rc;
}

int state_file_read(
	struct state_file *state, uint32_t model_crc, struct input *in, struct error *err)
{
	uint32_t found;
	return read_state(state, &model_crc, &found, in, err);
}

int state_file_read_any(
	struct state_file *state, uint32_t *model_crc, struct input *in, struct error *err)
{
	*state = (struct state_file){0};
	int rc = read_state(state, NULL, model_crc, in, err);
	if (rc < 0)
		state_file_release(state);
	return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

int state_file_write(
	const struct state_file *state, uint32_t model_crc, struct output *out, struct error *err)
{
	struct safetensors_tensor tensors[TENSORS];
	float *data[TENSORS];
	char model[16], version[16];
	unsigned char *head = NULL;
	size_t head_bytes;
	int rc = -1;
	const size_t count = list_tensors(state, tensors, data);
	snprintf(model, sizeof model, "%08x", (unsigned)model_crc);
	snprintf(version, sizeof version, "%u", state->cell->version);
	json_t *meta = json_pack("{s:s, s:s, s:s, s:s, s:s*}", "crc32", "00000000",
		"charpipe_state", version, "format", "pt", "model_crc32", model, "cell",
		state->cell->version > 1 ? cell_name(state->cell) : NULL);
	if (!meta) {
		error_memory(err, 4096, "the header of a state");
		goto out;
	}
	if (safetensors_header(meta, tensors, count, ALIGN, &head, &head_bytes, err) < 0)
		goto out;
	uint32_t crc = crc_add(0, head, head_bytes);
	for (size_t i = 0; i < count; i++)
		crc = crc_add(crc, data[i], elements(&tensors[i]) * sizeof *data[i]);
	safetensors_put_crc(head, crc);
	if (output_write(out, head, head_bytes, err) < 0)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (output_write(out, data[i], elements(&tensors[i]) * sizeof *data[i], err) < 0)
			goto out;
	rc = 0;
out:
	json_decref(meta);
	free(head);
	return rc;
}

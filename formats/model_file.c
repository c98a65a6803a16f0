/* model_file.c: models and checkpoints in the safetensors container: which tensors and metadata a file
 * must have, and how they become one arena of weights and a vocabulary. See model.md. */
#include "formats/model_file.h"

#include "base/crc.h"
#include "base/memory.h"
#include "base/show.h"
#include "base/size.h"
#include "base/utf8.h"
#include "formats/kind.h"
#include "formats/safetensors.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MODEL_VERSION = 2, /* read are all up to these; written is the one that has the cell */
	CHECKPOINT_VERSION = 1,
	ALIGN = 64,               /* of the data section */
	OBJECT_VALUES_MAX = 1024, /* of `training` and `checkpoint`, which have some dozens */
	CHUNK = 1 << 16, /* elements read at a time: they are still in the cache when looked at */
};

_Static_assert((int)PARAMS_VOCAB_MAX == (int)VOCAB_SIZE_MAX, "symbols that a model can have");

#define TRAIN "train."
#define TRAIN_NAME_BYTES (sizeof TRAIN + sizeof((struct model_tensor *)0)->name)

/* --- reading: versions, the CRC --------------------------------------------------------------- */

/* Finds the file's CRC. A file without one has nothing of charpipe's own in it. */
static int begin_crc(struct safetensors *st, bool *has_crc, uint32_t *crc, struct error *err)
{
	static const char *const own[] = {"unit", "newlines", "training", "checkpoint",
		"charpipe_model", "charpipe_checkpoint"};
	if (safetensors_check_version(st, "model", MODEL_VERSION, err) < 0 ||
		safetensors_check_version(st, "checkpoint", CHECKPOINT_VERSION, err) < 0 ||
		safetensors_begin_crc(st, has_crc, crc, err) < 0)
		return -1;
	for (size_t i = 0; !*has_crc && i < sizeof own / sizeof *own; i++)
		if (safetensors_metadata(st, own[i]))
			return error_set(err, STATUS_DATA,
				"metadata %s without crc32: damaged, or written by another "
				"program, which must leave %s out",
				own[i], own[i]);
	return 0;
}

/* --- reading: shapes -------------------------------------------------------------------------- */

static bool is_float(const char *dtype)
{
	return strcmp(dtype, "F32") == 0 || strcmp(dtype, "F16") == 0 ||
	       strcmp(dtype, "BF16") == 0 || strcmp(dtype, "F64") == 0;
}

/* A layer's tensor; NULL where there is none. */
static const struct safetensors_tensor *find_weight(
	const struct safetensors *st, const struct cell *cell, const char *which, uint64_t layer)
{
	char name[48];
	snprintf(name, sizeof name, "%s.%s_l%" PRIu64, cell_name(cell), which, layer);
	return safetensors_find(st, name);
}

/* Weights under one cell's name that have another's number of gates. */
static int check_gates(
	const struct safetensors *st, const struct cell *cell, uint64_t rows, struct error *err)
{
	const struct safetensors_tensor *w = find_weight(st, cell, "weight_hh", 0);
	char text[96];
	for (enum cell_type type = 0; w && w->dims == 2 && type < CELL_TYPES; type++) {
		const struct cell *other = cell_of(type);
		if (other->gates != cell->gates && w->shape[0] == rows && w->shape[1] > 0 &&
			rows % other->gates == 0 && rows / other->gates == w->shape[1])
			return error_set(err, STATUS_DATA,
				"tensor %s: %s, as %s.* have it; expected F32 (%" PRIu64 ",%" PRIu64
				")",
				w->name, safetensors_describe(w, text), cell_name(other),
				cell->gates * w->shape[1], w->shape[1]);
	}
	return 0;
}

/* The cell from the tensors' names, V, H and L from their shapes. */
static int infer_params(struct params *params, const struct safetensors *st, struct error *err)
{
	const struct safetensors_tensor *w = NULL;
	const struct cell *cell = NULL;
	char text[96];
	for (enum cell_type type = 0; !w && type < CELL_TYPES; type++) {
		cell = cell_of(type);
		w = find_weight(st, cell, "weight_ih", 0);
	}
	if (!w)
		return error_set(err, STATUS_DATA,
			"no tensor lstm.weight_ih_l0, gru.weight_ih_l0 or rnn.weight_ih_l0: not a "
			"character-level network (it has %s)",
			st->count ? st->tensors[0].name : "no tensors");
	if (w->dims == 2 && check_gates(st, cell, w->shape[0], err) < 0)
		return -1;
	if (w->dims != 2 || w->shape[0] % cell->gates != 0)
		return error_set(err, STATUS_DATA, "tensor %s: %s; expected F32 (%zuH,V)", w->name,
			safetensors_describe(w, text), cell->gates);
	uint64_t layers = 1;
	while (find_weight(st, cell, "weight_ih", layers) && layers++ <= PARAMS_LAYERS_MAX)
		;
	return params_init(params, cell, w->shape[1], w->shape[0] / cell->gates, layers, err);
}

/* Finds each parameter's tensor, checks its shape, sets owner[tensor] to the parameter's index plus
 * one. */
static int match_params(
	const struct params *params, const struct safetensors *st, size_t *owner, struct error *err)
{
	bool renamed = safetensors_find(st, "fc_linear.weight") != NULL;
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		char name[sizeof p->name + 8], found[96], expected[96];
		if (renamed && strncmp(p->name, "fc.", 3) == 0)
			snprintf(name, sizeof name, "fc_linear.%s", p->name + 3);
		else
			snprintf(name, sizeof name, "%s", p->name);
		const struct safetensors_tensor *t = safetensors_find(st, name);
		if (!t)
			return error_set(err, STATUS_DATA, "no tensor %s", name);
		struct safetensors_tensor want = {
			.dtype = "F32", .dims = p->cols ? 2 : 1, .shape = {p->rows, p->cols}};
		if (!is_float(t->dtype) || t->dims != want.dims || t->shape[0] != want.shape[0] ||
			(want.dims == 2 && t->shape[1] != want.shape[1]))
			return error_set(err, STATUS_DATA, "tensor %s: %s; expected %s", name,
				safetensors_describe(t, found),
				safetensors_describe(&want, expected));
		owner[t - st->tensors] = i + 1;
	}
	return 0;
}

/* Makes a place for each of the checkpoint's tensors; no other may be left. */
static int match_tensors(
	struct model_file *model, struct safetensors *st, const size_t *owner, struct error *err)
{
	model->tensors = calloc(st->count, sizeof *model->tensors);
	if (!model->tensors)
		return error_memory(err, st->count * sizeof *model->tensors, "a list of tensors");
	for (size_t i = 0; i < st->count; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];
		struct model_tensor *to = &model->tensors[model->tensor_count];
		char text[96];
		if (owner[i])
			continue;
		if (strncmp(t->name, TRAIN, sizeof TRAIN - 1) != 0)
			return error_set(err, STATUS_DATA,
				"tensor %s: unknown; expected %s.* and fc.* of one direction",
				t->name, cell_name(model->params.cell));
		const char *name = t->name + sizeof TRAIN - 1;
		if (!model->checkpoint || strcmp(t->dtype, "F32") != 0 || t->dims > 3 ||
			strlen(name) >= sizeof to->name)
			return error_set(err, STATUS_DATA,
				"tensor %s: %s; expected F32 of at most 3 dimensions, in a file "
				"with metadata checkpoint",
				t->name, safetensors_describe(t, text));
		memcpy(to->name, name, strlen(name) + 1);
		memcpy(to->shape, t->shape, sizeof to->shape);
		to->dims = t->dims;
		model->tensor_count++;
		uint64_t bytes = t->end - t->begin;
		to->data = malloc(bytes + 1); /* + 1: a tensor may be empty */
		if (!to->data)
			return safetensors_no_memory(st, bytes, t->name, err);
	}
	return 0;
}

/* --- reading: metadata ------------------------------------------------------------------------ */

/* What the tensors say of a network, and the metadata may repeat: under `key`, and among the options
 * of a checkpoint under `option`, where it may be absent if it is the default. */
struct shape_text {
	const char *key, *option;
	bool may_lack;
	char text[16];
};

enum { SHAPE_TEXTS = 3 };

static void tell_shape(const struct params *params, struct shape_text shape[SHAPE_TEXTS])
{
	shape[0] = (struct shape_text){.key = "n_hidden", .option = "hidden"};
	shape[1] = (struct shape_text){.key = "n_layers", .option = "layers"};
	shape[2] = (struct shape_text){
		.key = "cell", .option = "cell", .may_lack = params->cell->version == 1};
	snprintf(shape[0].text, sizeof shape->text, "%" PRIu32, params->hidden);
	snprintf(shape[1].text, sizeof shape->text, "%" PRIu32, params->layers);
	snprintf(shape[2].text, sizeof shape->text, "%s", cell_name(params->cell));
}

static int check_shape(const struct params *params, const struct safetensors *st, struct error *err)
{
	struct shape_text shape[SHAPE_TEXTS];
	tell_shape(params, shape);
	for (size_t i = 0; i < SHAPE_TEXTS; i++) {
		const char *text = safetensors_metadata(st, shape[i].key);
		if (text && strcmp(text, shape[i].text) != 0)
			return error_set(err, STATUS_DATA, "metadata %s: %s; the tensors have %s",
				shape[i].key, text, shape[i].text);
	}
	return 0;
}

static int read_dropout(struct model_file *model, const struct safetensors *st, struct error *err)
{
	const char *text = safetensors_metadata(st, "drop_prob");
	model->has_dropout = text;
	if (!text)
		return 0;
	char *end;
	model->dropout = strtod(text, &end);
	if (text[strspn(text, "0123456789.eE+-")] || end == text || *end ||
		!(model->dropout >= 0 && model->dropout < 1))
		return error_set(err, STATUS_DATA,
			"metadata drop_prob: %s; expected a number from 0 to below 1", text);
	return 0;
}

/* A metadata value that is JSON of at most that many values in itself; *json stays NULL where the
 * file has none. */
static int read_json(const struct safetensors *st, const char *key, size_t values_max,
	json_t **json, struct error *err)
{
	const char *text = safetensors_metadata(st, key);
	json_error_t where;
	char what[32];
	if (!text)
		return 0;
	size_t values = safetensors_count_values(text, strlen(text));
	if (values > values_max)
		return error_set(err, STATUS_DATA, "metadata %s: some %zu JSON values; at most %zu",
			key, values, values_max);
	*json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
	if (*json)
		return 0;
	snprintf(what, sizeof what, "metadata %s", key);
	return safetensors_json_error(what, &where, err);
}

static int read_object(
	const struct safetensors *st, const char *key, json_t **object, struct error *err)
{
	if (read_json(st, key, OBJECT_VALUES_MAX, object, err) < 0)
		return -1;
	if (*object && !json_is_object(*object))
		return error_set(err, STATUS_DATA, "metadata %s: expected a JSON object", key);
	return 0;
}

/* Turns the list of tokens into symbols (size): strings of one character, or bytes' numbers. *unit
 * follows from the first. */
static int read_symbols(const json_t *list, size_t size, enum vocab_unit *unit, uint32_t *symbols,
	struct error *err)
{
	if (!json_is_array(list))
		return error_set(err, STATUS_DATA, "metadata tokens: expected a JSON list");
	if (json_array_size(list) != size)
		return error_set(err, STATUS_DATA,
			"metadata tokens: a list of %zu; the tensors have %zu symbols",
			json_array_size(list), size);
	*unit = json_is_integer(json_array_get(list, 0)) ? VOCAB_BYTE : VOCAB_CODEPOINT;
	for (size_t i = 0; i < size; i++) {
		const json_t *entry = json_array_get(list, i);
		json_int_t byte = json_is_integer(entry) ? json_integer_value(entry) : -1;
		size_t n = json_string_length(entry);
		const unsigned char *s = (const unsigned char *)json_string_value(entry);
		bool valid = *unit == VOCAB_BYTE
				     ? byte >= 0 && byte <= 255
				     : n > 0 && utf8_decode(s, n, &symbols[i]) == (int)n;
		if (!valid)
			return error_set(err, STATUS_DATA,
				"metadata tokens: entry %zu: expected %s", i,
				*unit == VOCAB_BYTE ? "a byte, 0 to 255"
						    : "a string of one character");
		if (*unit == VOCAB_BYTE)
			symbols[i] = (uint32_t)byte;
	}
	return 0;
}

/* What unit and newlines say, or where they are absent what the symbols let expect: Python's text
 * mode, which the notebooks read with, leaves no CR. */
static int read_newlines(const struct safetensors *st, enum vocab_unit unit,
	const uint32_t *symbols, size_t size, enum vocab_newlines *newlines, struct error *err)
{
	const char *unit_name = safetensors_metadata(st, "unit"),
		   *name = safetensors_metadata(st, "newlines");
	unsigned word;
	*newlines = VOCAB_KEEP;
	if (!name) {
		size_t i = 0;
		while (i < size && symbols[i] != '\r')
			i++;
		if (i == size && unit == VOCAB_CODEPOINT)
			*newlines = VOCAB_UNIVERSAL;
		return 0;
	}
	if (strcmp(unit_name, vocab_unit_words[unit]) != 0)
		return error_set(err, STATUS_DATA, "metadata unit: %s; the tokens are %s",
			unit_name, unit == VOCAB_BYTE ? "bytes" : "characters");
	for (word = 0; vocab_newlines_words[word]; word++)
		if (strcmp(name, vocab_newlines_words[word]) == 0) {
			*newlines = word;
			return 0;
		}
	return error_set(err, STATUS_DATA, "metadata newlines: %s; expected %s or %s", name,
		vocab_newlines_words[VOCAB_KEEP], vocab_newlines_words[VOCAB_UNIVERSAL]);
}

static int read_vocab(struct model_file *model, const struct safetensors *st, struct error *err)
{
	bool has_tokens = safetensors_metadata(st, "tokens"),
	     has_unit = safetensors_metadata(st, "unit"),
	     has_newlines = safetensors_metadata(st, "newlines");
	if (has_unit != has_newlines || (has_unit && !has_tokens))
		return error_set(
			err, STATUS_DATA, "metadata: tokens, unit and newlines are not all there");
	if (!has_tokens)
		return 0;

	int rc = -1;
	json_t *list = NULL;
	size_t size = model->params.vocab;
	enum vocab_unit unit = VOCAB_CODEPOINT;
	enum vocab_newlines newlines;
	uint32_t *symbols = calloc(size, sizeof *symbols);
	if (!symbols)
		return error_memory(err, size * sizeof *symbols, "a vocabulary");
	if (read_json(st, "tokens", VOCAB_SIZE_MAX + 1, &list, err) < 0 ||
		read_symbols(list, size, &unit, symbols, err) < 0 ||
		read_newlines(st, unit, symbols, size, &newlines, err) < 0)
		goto out;
	if (vocab_init(&model->vocab, unit, newlines, symbols, size, err) < 0) {
		error_prefix(err, "metadata tokens: ");
		goto out;
	}
	model->has_vocab = true;
	rc = 0;
out:
	json_decref(list);
	free(symbols);
	return rc;
}

/* A checkpoint says its run's dimensions among the options too: who believed those would read behind
 * the tensors. */
static int check_options(const struct model_file *model, struct error *err)
{
	const json_t *options = json_object_get(model->checkpoint, "options");
	struct shape_text shape[SHAPE_TEXTS];
	tell_shape(&model->params, shape);
	for (size_t i = 0; options && i < SHAPE_TEXTS; i++) {
		const json_t *option = json_object_get(options, shape[i].option);
		const char *text = json_string_value(option);
		if (!(text ? strcmp(text, shape[i].text) == 0 : !option && shape[i].may_lack))
			return error_set(err, STATUS_DATA,
				"metadata checkpoint: options say %s %s; the tensors have %s",
				shape[i].option, text ? text : "nothing", shape[i].text);
	}
	return 0;
}

static int read_metadata(struct model_file *model, const struct safetensors *st, struct error *err)
{
	if (check_shape(&model->params, st, err) < 0 || read_dropout(model, st, err) < 0 ||
		read_object(st, "training", &model->training, err) < 0 ||
		read_object(st, "checkpoint", &model->checkpoint, err) < 0 ||
		check_options(model, err) < 0)
		return -1;
	return read_vocab(model, st, err);
}

/* --- reading: data ---------------------------------------------------------------------------- */

static float from_bits(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

static float from_half(uint16_t half)
{
	uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
	if (exponent == 0)
		return (sign ? -0x1p-24f : 0x1p-24f) * (float)fraction;
	exponent = exponent == 31 ? 255 : exponent + 127 - 15;
	return from_bits(sign | exponent << 23 | fraction << 13);
}

static void convert(float *to, const void *from, size_t n, const char *dtype)
{
	const double *f64 = from;
	const uint16_t *f16 = from;
	if (strcmp(dtype, "F64") == 0)
		for (size_t i = 0; i < n; i++)
			to[i] = (float)f64[i];
	else if (strcmp(dtype, "BF16") == 0)
		for (size_t i = 0; i < n; i++)
			to[i] = from_bits((uint32_t)f16[i] << 16);
	else
		for (size_t i = 0; i < n; i++)
			to[i] = from_half(f16[i]);
}

static bool all_finite(const float *x, size_t n)
{
	uint32_t bad = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t bits;
		memcpy(&bits, &x[i], sizeof bits);
		bad |= (bits & 0x7f800000u) == 0x7f800000u;
	}
	return !bad;
}

/* Reads the next tensor's n elements as float. */
static int read_floats(struct safetensors *st, const struct safetensors_tensor *t, float *to,
	size_t n, bool *finite, struct error *err)
{
	int rc = -1;
	size_t item = n ? (size_t)(t->end - t->begin) / n : 0;
	double *other = NULL;
	assert(to);
	*finite = true;
	if (strcmp(t->dtype, "F32") != 0) {
		other = malloc(CHUNK * sizeof *other);
		if (!other)
			return error_memory(err, CHUNK * sizeof *other, t->name);
	}
	for (size_t done = 0; done < n; done += CHUNK) {
		size_t some = n - done < CHUNK ? n - done : CHUNK;
		void *raw = other ? (void *)other : to + done;
		if (safetensors_read(st, raw, some * item, err) < 0)
			goto out;
		if (other)
			convert(to + done, other, some, t->dtype);
		*finite &= all_finite(to + done, some);
	}
	rc = 0;
out:
	free(other);
	return rc;
}

/* Reads the data section. A file that is damaged is told from one that was written so: a weight
 * that is no number is reported only after the CRC held. */
static int read_data(struct model_file *model, struct safetensors *st, const size_t *owner,
	bool has_crc, uint32_t crc, struct error *err)
{
	int rc = -1;
	const struct params *params = &model->params;
	const struct param *first = params_layer(params, 0, PARAM_W_IH);
	struct model_tensor *extra = model->tensors;
	const char *not_finite = NULL;
	model->weights = memory_alloc(params->total * sizeof *model->weights);
	float *untransposed = malloc(first->size * sizeof *untransposed);
	if (!model->weights || !untransposed) {
		safetensors_no_memory(
			st, params->total * sizeof *model->weights, "a model's weights", err);
		goto out;
	}
	for (size_t i = 0; i < st->count; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];
		const struct param *p = owner[i] ? &params->v[owner[i] - 1] : NULL;
		size_t n = p ? p->size : (size_t)(t->end - t->begin) / sizeof(float);
		float *to = untransposed;
		if (!p) {
			assert(extra < model->tensors + model->tensor_count);
			to = extra++->data;
		} else if (!p->transposed) {
			to = model->weights + p->offset;
		}
		bool finite;
		if (read_floats(st, t, to, n, &finite, err) < 0)
			goto out;
		if (p && p->transposed)
			params_from_file(params, owner[i] - 1, untransposed, model->weights);
		if (!finite && !not_finite)
			not_finite = t->name;
	}
	if (safetensors_end(st, err) < 0)
		goto out;
	if (has_crc && st->crc != crc)
		error_set(err, STATUS_DATA, "%s: damaged: its CRC-32 is %08x; expected %08x",
			st->in->name, (unsigned)st->crc, (unsigned)crc);
	else if (not_finite)
		error_set(err, STATUS_DATA, "%s: tensor %s: not all numbers are finite",
			st->in->name, not_finite);
	else
		rc = 0;
out:
	free(untransposed);
	return rc;
}

int model_file_read(struct model_file *model, struct input *in, struct error *err)
{
	int rc = -1;
	struct safetensors st = {0};
	size_t *owner = NULL;
	bool has_crc;
	uint32_t crc = 0;
	*model = (struct model_file){0};
	if (kind_expect(KIND_MODEL, in, err) < 0 || safetensors_open(&st, in, err) < 0)
		goto out;
	owner = calloc(st.count + 1, sizeof *owner);
	if (!owner) {
		error_memory(err, (st.count + 1) * sizeof *owner, "a list of tensors");
		goto out;
	}
	if (begin_crc(&st, &has_crc, &crc, err) < 0 || infer_params(&model->params, &st, err) < 0 ||
		match_params(&model->params, &st, owner, err) < 0 ||
		read_metadata(model, &st, err) < 0 || match_tensors(model, &st, owner, err) < 0) {
		error_prefix(err, "%s: ", in->name);
		goto out;
	}
	rc = read_data(model, &st, owner, has_crc, crc, err);
out:
	free(owner);
	safetensors_close(&st);
	if (rc < 0)
		model_file_release(model);
	return rc;
}

void model_file_release(struct model_file *model)
{
	for (size_t i = 0; i < model->tensor_count; i++)
		free(model->tensors[i].data);
	free(model->tensors);
	json_decref(model->checkpoint);
	json_decref(model->training);
	vocab_release(&model->vocab);
	memory_free(model->weights);
	params_release(&model->params);
	*model = (struct model_file){0};
}

/* --- writing ---------------------------------------------------------------------------------- */

/* The text of an object with sorted keys and the fewest digits that give all its numbers back; NULL
 * without memory. The caller's to free(). */
static char *object_text(const json_t *object)
{
	for (size_t precision = 15;; precision++) {
		char *text = json_dumps(
			object, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(precision));
		json_t *again = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
		bool same = again && json_equal(again, object);
		json_decref(again);
		if (same || !text || precision == 17)
			return text;
		free(text);
	}
}

/* The vocabulary as a JSON list; NULL without memory. The caller's to free(). */
static char *tokens_text(const struct vocab *vocab)
{
	char *text = NULL;
	json_t *list = json_array();
	for (uint32_t id = 0; id < vocab->size; id++) {
		unsigned char utf8[UTF8_MAX];
		json_t *entry;
		if (vocab->unit == VOCAB_BYTE)
			entry = json_integer((json_int_t)vocab->symbols[id]);
		else
			entry = json_stringn(
				(char *)utf8, (size_t)utf8_encode(vocab->symbols[id], utf8));
		if (json_array_append_new(list, entry) < 0)
			goto out;
	}
	text = json_dumps(list, JSON_COMPACT);
out:
	json_decref(list);
	return text;
}

/* Sets a key and frees the text; false without memory. */
static bool put_owned(json_t *object, const char *key, char *text)
{
	bool ok = text && json_object_set_new(object, key, json_string(text)) == 0;
	free(text);
	return ok;
}

static bool put(json_t *object, const char *key, const char *text)
{
	return json_object_set_new(object, key, json_string(text)) == 0;
}

/* The metadata in its fixed order, the CRC's place held by zeros; NULL without memory. */
static json_t *make_metadata(const struct model_file *model)
{
	struct shape_text shape[SHAPE_TEXTS];
	char dropout[SHOW_REAL], version[16];
	tell_shape(&model->params, shape);
	snprintf(version, sizeof version, "%u", model->params.cell->version);

	json_t *meta = json_object();
	bool ok = put(meta, "crc32", "00000000") && put(meta, "format", "pt");
	if (model->params.cell->version > 1)
		ok = ok && put(meta, "charpipe_model", version);
	for (size_t i = 0; i < SHAPE_TEXTS; i++)
		if (!shape[i].may_lack)
			ok = ok && put(meta, shape[i].key, shape[i].text);
	ok = ok && put(meta, "drop_prob", show_real(model->dropout, dropout));
	if (ok && model->has_vocab) {
		const struct vocab *vocab = &model->vocab;
		ok = put_owned(meta, "tokens", tokens_text(vocab)) &&
		     put(meta, "unit", vocab_unit_words[vocab->unit]) &&
		     put(meta, "newlines", vocab_newlines_words[vocab->newlines]);
	}
	if (ok && model->training)
		ok = put_owned(meta, "training", object_text(model->training));
	if (ok && model->checkpoint)
		ok = put_owned(meta, "checkpoint", object_text(model->checkpoint));
	if (!ok) {
		json_decref(meta);
		meta = NULL;
	}
	return meta;
}

/* Tensor i's data in the file's layout; `scratch` takes it where memory has another one. */
static const float *file_data(const struct model_file *model, size_t i, float *scratch)
{
	const struct params *params = &model->params;
	if (i >= params->count)
		return model->tensors[i - params->count].data;
	if (!params->v[i].transposed)
		return model->weights + params->v[i].offset;
	params_to_file(params, i, model->weights, scratch);
	return scratch;
}

/* Describes the file's tensors: the model's, then those under "train.", named in names[]. */
static void list_tensors(const struct model_file *model, struct safetensors_tensor *tensors,
	char (*names)[TRAIN_NAME_BYTES])
{
	const struct params *params = &model->params;
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		tensors[i] = (struct safetensors_tensor){.name = p->name,
			.dtype = "F32",
			.dims = p->cols ? 2 : 1,
			.shape = {p->rows, p->cols}};
	}
	for (size_t i = 0; i < model->tensor_count; i++) {
		const struct model_tensor *from = &model->tensors[i];
		struct safetensors_tensor *t = &tensors[params->count + i];
		snprintf(names[i], sizeof names[i], TRAIN "%s", from->name);
		*t = (struct safetensors_tensor){
			.name = names[i], .dtype = "F32", .dims = from->dims};
		memcpy(t->shape, from->shape, sizeof from->shape);
	}
}

int model_file_write(const struct model_file *model, struct output *out, struct error *err)
{
	int rc = -1;
	size_t count = model->params.count + model->tensor_count, head_bytes;
	unsigned char *head = NULL;
	char(*names)[TRAIN_NAME_BYTES] = calloc(model->tensor_count + 1, sizeof *names);
	struct safetensors_tensor *tensors = calloc(count, sizeof *tensors);
	float *scratch =
		malloc(params_layer(&model->params, 0, PARAM_W_IH)->size * sizeof *scratch);
	json_t *meta = make_metadata(model);
	assert(!model->has_vocab || model->vocab.size == model->params.vocab);
	assert(!model->tensor_count || model->checkpoint);
	if (!names || !tensors || !scratch || !meta) {
		error_memory(err, count * sizeof *tensors, "the header of a model");
		goto out;
	}
	list_tensors(model, tensors, names);
	if (safetensors_header(meta, tensors, count, ALIGN, &head, &head_bytes, err) < 0)
		goto out;

	uint32_t crc = crc_add(0, head, head_bytes);
	for (size_t i = 0; i < count; i++) {
		const float *data = file_data(model, i, scratch);
		const size_t bytes = (size_t)(tensors[i].end - tensors[i].begin);
		if (!all_finite(data, bytes / sizeof *data)) {
			error_set(err, STATUS_NUMERIC,
				"tensor %s: not all numbers are finite: no reader would take the "
				"file",
				tensors[i].name);
			goto out;
		}
		crc = crc_add(crc, data, bytes);
	}
	safetensors_put_crc(head, crc);

	if (output_reserve(out, head_bytes + tensors[count - 1].end, err) < 0 ||
		output_write(out, head, head_bytes, err) < 0)
		goto out;
	for (size_t i = 0; i < count; i++)
		if (output_write(out, file_data(model, i, scratch),
			    (size_t)(tensors[i].end - tensors[i].begin), err) < 0)
			goto out;
	rc = 0;
out:
	json_decref(meta);
	free(head);
	free(scratch);
	free(tensors);
	free(names);
	return rc;
}

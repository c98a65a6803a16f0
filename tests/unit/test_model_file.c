/* Models as files: what is written, what is read back, what is refused. The golden files were
 * written by tests/golden/model/make.py, which knows formats/model.md but none of this code. */
#include "formats/model_file.h"

#include "base/memory.h"
#include "formats/safetensors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#define GOLDEN "tests/golden/model/"

/* --- files in memory -------------------------------------------------------------------------- */

struct bytes {
	unsigned char *v;
	size_t n;
};

static struct bytes load(const char *path)
{
	struct bytes b = {malloc(1 << 20), 0};
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: can't open; run the tests from the repository's root", path);
	b.n = fread(b.v, 1, 1 << 20, f);
	fclose(f);
	return b;
}

static int read_path(struct model_file *model, const char *path, struct error *err)
{
	struct input in;
	assert_int_equal(input_open(&in, path, INPUT_GUNZIP, err), 0);
	int rc = model_file_read(model, &in, err);
	input_close(&in);
	return rc;
}

/* A file without a name that holds these bytes, and the path under which it can be opened again. */
static int hold(const void *v, size_t n, char path[32])
{
	int fd = memfd_create("model", 0);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, v, n, 0), n);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static int read_bytes(struct model_file *model, const void *v, size_t n, struct error *err)
{
	char path[32];
	int fd = hold(v, n, path);
	int rc = read_path(model, path, err);
	close(fd);
	return rc;
}

static struct bytes write_bytes(const struct model_file *model)
{
	char path[] = "/tmp/charpipe-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	struct output out;
	struct error err;
	assert_int_equal(output_open(&out, path, 0, &err), 0);
	if (model_file_write(model, &out, &err) < 0 || output_commit(&out, &err) < 0)
		fail_msg("%s", err.text);
	struct bytes b = load(path);
	unlink(path);
	return b;
}

static void golden(struct model_file *model, const char *name)
{
	char path[128];
	struct error err;
	snprintf(path, sizeof path, GOLDEN "%s", name);
	if (read_path(model, path, &err) < 0)
		fail_msg("%s", err.text);
}

/* The golden files' rule for weights: element e of all. */
static float golden_weight(size_t e)
{
	return (float)((int)(e * 37 % 101) - 50) / 64;
}

static void assert_golden_weights(const struct model_file *model)
{
	float file[4096];
	size_t e = 0;
	for (size_t i = 0; i < model->params.count; i++) {
		params_to_file(&model->params, i, model->weights, file);
		for (size_t k = 0; k < model->params.v[i].size; k++)
			assert_true(file[k] == golden_weight(e++));
	}
	assert_int_equal(e, model->params.parameters);
}

static void set_golden_weights(struct model_file *model)
{
	float file[4096];
	size_t e = 0;
	model->weights = memory_alloc(model->params.total * sizeof *model->weights);
	for (size_t i = 0; i < model->params.count; i++) {
		for (size_t k = 0; k < model->params.v[i].size; k++)
			file[k] = golden_weight(e++);
		params_from_file(&model->params, i, file, model->weights);
	}
}

/* --- writing ---------------------------------------------------------------------------------- */

static void a_model_is_written_as_the_specification_has_it(void **state)
{
	(void)state;
	static const uint32_t symbols[] = {'\n', 'a', 0x1f600};
	struct model_file model = {.has_vocab = true, .dropout = 0.5};
	struct error err;
	assert_int_equal(params_init(&model.params, &lstm_cell, 3, 2, 1, &err), 0);
	assert_int_equal(
		vocab_init(&model.vocab, VOCAB_CODEPOINT, VOCAB_UNIVERSAL, symbols, 3, &err), 0);
	set_golden_weights(&model);
	model.training =
		json_pack("{s:i,s:i,s:f,s:f}", "steps", 10, "seed", 1, "lr", 0.001, "clip", 5.0);
	struct bytes written = write_bytes(&model), expected = load(GOLDEN "small.safetensors");
	assert_int_equal(written.n, expected.n);
	assert_memory_equal(written.v, expected.v, expected.n);
	free(written.v);
	free(expected.v);
	model_file_release(&model);
}

static void reading_and_writing_give_the_same_bytes(void **state)
{
	(void)state;
	static const char *const names[] = {"small.safetensors", "gru.safetensors",
		"rnn.safetensors", "checkpoint.safetensors"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[128];
		struct model_file model;
		golden(&model, names[i]);
		snprintf(path, sizeof path, GOLDEN "%s", names[i]);
		struct bytes written = write_bytes(&model), expected = load(path);
		assert_int_equal(written.n, expected.n);
		assert_memory_equal(written.v, expected.v, expected.n);
		free(written.v);
		free(expected.v);
		model_file_release(&model);
	}
}

static void data_starts_at_a_multiple_of_64(void **state)
{
	(void)state;
	for (uint64_t hidden = 1; hidden < 200; hidden += 9) {
		struct model_file model = {0}, again;
		struct error err;
		assert_int_equal(params_init(&model.params, &lstm_cell, 2, hidden, 1, &err), 0);
		model.weights = memory_alloc(model.params.total * sizeof *model.weights);
		struct bytes b = write_bytes(&model);
		assert_int_equal((8 + b.v[0] + 256 * b.v[1]) % 64, 0);
		assert_int_equal(read_bytes(&again, b.v, b.n, &err), 0);
		assert_false(again.has_vocab);
		model_file_release(&again);
		free(b.v);
		model_file_release(&model);
	}
}

static void numbers_come_back_with_all_their_bits(void **state)
{
	(void)state;
	static const double dropouts[] = {0, 0.1, 0.3333333333333333, 1e-7, 0.9999999999999999};
	for (size_t i = 0; i < sizeof dropouts / sizeof *dropouts; i++) {
		struct model_file model = {.dropout = dropouts[i]}, again;
		struct error err;
		assert_int_equal(params_init(&model.params, &lstm_cell, 2, 1, 1, &err), 0);
		model.weights = memory_alloc(model.params.total * sizeof *model.weights);
		model.training = json_pack("{s:f,s:f,s:s}", "x", dropouts[i], "third", 1 / 3.0,
			"text", "\xc3\xa9 \"\\ \n");
		struct bytes b = write_bytes(&model);
		assert_int_equal(read_bytes(&again, b.v, b.n, &err), 0);
		assert_true(again.dropout == dropouts[i]);
		assert_true(json_equal(again.training, model.training));
		model_file_release(&again);
		free(b.v);
		model_file_release(&model);
	}
}

static void every_symbol_comes_back(void **state)
{
	(void)state;
	static const uint32_t symbols[] = {0, '"', '\\', '/', 0x7f, 0x85, 0xd7ff, 0xe000, 0xfeff,
		0xffff, 0x10000, 0x10ffff, 0x2028, '\r', '\n'};
	enum { V = sizeof symbols / sizeof *symbols };
	struct model_file model = {.has_vocab = true}, again;
	struct error err;
	assert_int_equal(params_init(&model.params, &lstm_cell, V, 1, 1, &err), 0);
	assert_int_equal(
		vocab_init(&model.vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, V, &err), 0);
	model.weights = memory_alloc(model.params.total * sizeof *model.weights);
	struct bytes b = write_bytes(&model);
	if (read_bytes(&again, b.v, b.n, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(vocab_equal(&model.vocab, &again.vocab));
	model_file_release(&again);
	free(b.v);
	model_file_release(&model);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void a_model_says_what_it_is(void **state)
{
	(void)state;
	struct model_file model;
	golden(&model, "small.safetensors");
	assert_int_equal(model.params.vocab, 3);
	assert_int_equal(model.params.hidden, 2);
	assert_int_equal(model.params.layers, 1);
	assert_golden_weights(&model);
	assert_true(model.dropout == 0.5);
	assert_true(model.has_vocab);
	assert_int_equal(model.vocab.unit, VOCAB_CODEPOINT);
	assert_int_equal(model.vocab.newlines, VOCAB_UNIVERSAL);
	assert_int_equal(model.vocab.symbols[2], 0x1f600);
	assert_int_equal(json_integer_value(json_object_get(model.training, "steps")), 10);
	assert_null(model.checkpoint);
	assert_int_equal(model.tensor_count, 0);
	model_file_release(&model);
}

static void a_checkpoint_has_its_tensors_beside_the_models(void **state)
{
	(void)state;
	struct model_file model;
	golden(&model, "checkpoint.safetensors");
	assert_golden_weights(&model);
	assert_int_equal(model.vocab.unit, VOCAB_BYTE);
	assert_int_equal(model.vocab.size, 256);
	assert_int_equal(json_integer_value(json_object_get(model.checkpoint, "epoch")), 1);
	assert_int_equal(model.tensor_count, 3);
	const struct model_tensor *c = &model.tensors[1];
	assert_string_equal(c->name, "c");
	assert_int_equal(c->dims, 3);
	assert_int_equal(c->shape[0], 2);
	assert_int_equal(c->shape[1], 3);
	assert_int_equal(c->shape[2], 1);
	assert_true(c->data[5] == 1.25f);
	assert_string_equal(model.tensors[2].name, "best.fc.bias");
	model_file_release(&model);
}

static void a_bare_state_dict_is_a_model_without_vocabulary(void **state)
{
	(void)state;
	struct model_file model;
	golden(&model, "state_dict.safetensors");
	assert_int_equal(model.params.layers, 2);
	assert_golden_weights(&model);
	assert_false(model.has_vocab);
	assert_true(model.dropout == 0);
	assert_null(model.training);
	model_file_release(&model);
}

static void a_notebooks_own_file_reads_with_fc_linear_and_escaped_tokens(void **state)
{
	(void)state;
	struct model_file model;
	golden(&model, "notebook.safetensors");
	assert_golden_weights(&model);
	assert_true(model.has_vocab);
	assert_int_equal(model.vocab.symbols[2], 0x1f600);
	assert_int_equal(model.vocab.newlines, VOCAB_UNIVERSAL);
	model_file_release(&model);
}

static void weights_of_other_types_become_floats(void **state)
{
	(void)state;
	struct model_file model;
	golden(&model, "types.safetensors");
	assert_golden_weights(&model);
	model_file_release(&model);
	golden(&model, "halves.safetensors");
	const float *bias = model.weights + params_fc_bias(&model.params)->offset;
	assert_true(bias[0] == 0x1p-24f && bias[1] == -0x1p-14f && bias[2] == 65504);
	model_file_release(&model);
}

static void pytorchs_names_tell_the_cell(void **state)
{
	(void)state;
	for (enum cell_type type = 0; type < CELL_TYPES; type++) {
		char name[64];
		struct model_file model;
		snprintf(name, sizeof name, "%s%sstate_dict.safetensors",
			type == CELL_LSTM ? "" : cell_names[type], type == CELL_LSTM ? "" : "-");
		golden(&model, name);
		assert_ptr_equal(model.params.cell, cell_of(type));
		assert_int_equal(model.params.hidden, 2);
		assert_int_equal(model.params.layers, 2);
		assert_int_equal(model.params.vocab, 3);
		assert_golden_weights(&model);
		model_file_release(&model);
	}
}

static void a_model_reads_from_a_pipe(void **state)
{
	(void)state;
	struct bytes b = load(GOLDEN "checkpoint.safetensors");
	int pipes[2];
	char path[32];
	struct model_file model;
	struct error err;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], b.v, b.n), b.n); /* fits: a pipe holds 64 KiB */
	close(pipes[1]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
	assert_int_equal(read_path(&model, path, &err), 0);
	assert_golden_weights(&model);
	model_file_release(&model);
	close(pipes[0]);

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], b.v, b.n - 1), b.n - 1);
	close(pipes[1]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
	assert_int_equal(read_path(&model, path, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "truncated"));
	close(pipes[0]);
	free(b.v);
}

/* --- refusing --------------------------------------------------------------------------------- */

static const struct {
	const char *name, *says;
} invalid[] = {
	{"broken-json", "header, byte"},
	{"cell-contradicts", "cell: gru; the tensors have lstm"},
	{"crc-elsewhere", "crc32: expected as eight hex digits at byte 34"},
	{"damaged-weight", "damaged"},
	{"deep-json", "header, byte"},
	{"dropout-one", "drop_prob: 1; expected"},
	{"duplicate-key", "metadata training"},
	{"duplicate-tensor", "header, byte"},
	{"duplicate-token", "metadata tokens"},
	{"empty", "empty; expected a model"},
	{"extent-contradicts", "fc.bias: data_offsets"},
	{"flat-matrix", "lstm.weight_hh_l0: F32 (16); expected F32 (8,2)"},
	{"foreign-key", "fc.bias: expected \"dtype\""},
	{"gates-of-another",
		"lstm.weight_hh_l0: F32 (12,4), as gru.* have it; expected F32 (16,4)"},
	{"hidden-contradicts", "n_hidden: 3; the tensors have 2"},
	{"hole", "a hole"},
	{"huge-data", "truncated"},
	{"huge-double", "fc.bias: not all numbers are finite"},
	{"huge-header", "header of 100000001 bytes"},
	{"impossible-shape", "fc.bias: impossible shape"},
	{"infinite-half", "fc.bias: not all numbers are finite"},
	{"infinity", "fc.bias: not all numbers are finite"},
	{"integer-weights", "fc.bias: I32 (3); expected F32 (3)"},
	{"layers-contradict", "n_layers: 2; the tensors have 1"},
	{"lone-surrogate", "metadata tokens"},
	{"long-header", "truncated"},
	{"long-token", "entry 2: expected a string of one character"},
	{"metadata-number", "n_hidden: expected a string"},
	{"missing-tensor", "no tensor lstm.bias_hh_l0"},
	{"mixed-tokens", "entry 2: expected a string"},
	{"nan", "fc.bias: not all numbers are finite"},
	{"negative-shape", "fc.bias: impossible shape"},
	{"no-crc", "without crc32"},
	{"no-lstm", "no tensor lstm.weight_ih_l0"},
	{"no-tensors", "no tensor lstm.weight_ih_l0"},
	{"options-contradict", "options say cell rnn; the tensors have lstm"},
	{"overlap", "an overlap"},
	{"pickle", "Python pickle"},
	{"shape-contradicts", "lstm.weight_hh_l0: F32 (4,4); expected F32 (8,2)"},
	{"short", "not a charpipe file"},
	{"text", "not a charpipe file; if it is text, run tokenize, batchify and train"},
	{"too-few-tokens", "a list of 2; the tensors have 3"},
	{"torch-zip", "save_file"},
	{"trailing-byte", "too long"},
	{"train-without-checkpoint", "train.h"},
	{"training-list", "training: expected a JSON object"},
	{"truncated", "truncated: the file has 960 bytes; expected 964"},
	{"unit-contradicts", "unit: byte; the tokens are characters"},
	{"unit-without-tokens", "not all there"},
	{"unknown-dtype", "fc.bias: unknown dtype F31"},
	{"unknown-newlines", "newlines: crlf; expected keep or universal"},
	{"unknown-tensor", "lstm.weight_hr_l0: unknown"},
	{"unknown-unit", "unit: word"},
	{"upper-case-crc", "crc32"},
	{"wrong-crc", "damaged: its CRC-32 is"},
};

static void every_invalid_file_is_refused_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
		char path[128];
		struct model_file model;
		struct error err;
		snprintf(path, sizeof path, GOLDEN "invalid/%s", invalid[i].name);
		if (read_path(&model, path, &err) == 0)
			fail_msg("%s was accepted", path);
		assert_int_equal(err.status, STATUS_DATA);
		if (strncmp(err.text, path, strlen(path)) != 0 ||
			!strstr(err.text, invalid[i].says))
			fail_msg("%s: said \"%s\"; expected \"%s\"", path, err.text,
				invalid[i].says);
	}
}

static void charpipes_other_streams_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} kinds[] = {
		{"#charpipe tokens 1 header=00000128 crc=00000000               \n",
			"token stream"},
		{"#charpipe shards 1 header=00000128 crc=00000000               \n", "shards"},
	};
	for (size_t i = 0; i < 2; i++) {
		struct model_file model;
		struct error err;
		assert_int_equal(
			read_bytes(&model, kinds[i].line, strlen(kinds[i].line), &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		assert_non_null(strstr(err.text, kinds[i].says));
	}
}

/* A file of V = 2, H = 1, L = `layers` of zeros with these metadata, the CRC right if they begin with
 * one, and `more` tensors, a format in which two %zu stand for where their data begin and end. */
static struct bytes pack(const char *metadata, unsigned layers, const char *more, size_t more_bytes)
{
	struct bytes b = {calloc(1, 1 << 20), 8};
	char *text = (char *)b.v;
	size_t at = 0;
#define TENSOR(name, shape, size) \
	b.n += (size_t)sprintf(text + b.n, \
		",\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape \
		",\"data_offsets\":[%zu,%zu]}", \
		l, at, at + 4 * size); \
	at += 4 * size
	b.n += (size_t)sprintf(text + b.n, "{\"__metadata__\":{%s}", metadata);
	for (unsigned l = 0; l < layers; l++) {
		if (l == 0) {
			TENSOR("lstm.weight_ih_l%u", "[4,2]", 8);
		} else {
			TENSOR("lstm.weight_ih_l%u", "[4,1]", 4);
		}
		TENSOR("lstm.weight_hh_l%u", "[4,1]", 4);
		TENSOR("lstm.bias_ih_l%u", "[4]", 4);
		TENSOR("lstm.bias_hh_l%u", "[4]", 4);
	}
#undef TENSOR
	b.n += (size_t)sprintf(text + b.n,
		",\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[%zu,%zu]}"
		",\"fc.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[%zu,%zu]}",
		at, at + 8, at + 8, at + 16);
	at += 16;
	if (more) {
		char format[400];
		snprintf(format, sizeof format, ",%s}", more);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		b.n += (size_t)sprintf(text + b.n, format, at, at + more_bytes);
#pragma GCC diagnostic pop
	} else {
		b.n += (size_t)sprintf(text + b.n, "}");
	}
	uint64_t header = b.n - 8;
	memcpy(b.v, &header, sizeof header);
	memset(b.v + b.n, 0, at + more_bytes);
	b.n += at + more_bytes;
	if (strncmp(metadata, "\"crc32\"", 7) == 0)
		safetensors_put_crc(b.v, (uint32_t)crc32_z(0, b.v, b.n));
	return b;
}

static void metadata_and_tensors_are_checked(void **state)
{
#define CRC "\"crc32\":\"00000000\""
#define MORE(name, dtype, shape) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[%zu,%zu]}"
#define RUN CRC ",\"checkpoint\":\"{}\""
#define LONG_NAME "train.123456789012345678901234567890123456789012345678"
	static const struct {
		const char *metadata, *more;
		size_t more_bytes;
		const char *says; /* NULL: accepted */
	} cases[] = {
		{"\"drop_prob\":\"0.25\"", NULL, 0, NULL},
		{"\"drop_prob\":\"\"", NULL, 0, "drop_prob"},
		{"\"drop_prob\":\"e\"", NULL, 0, "drop_prob"},
		{"\"drop_prob\":\"0.5.5\"", NULL, 0, "drop_prob"},
		{"\"drop_prob\":\"-0.5\"", NULL, 0, "drop_prob"},
		{"\"drop_prob\":\"0x0p0\"", NULL, 0, "drop_prob"},
		{CRC ",\"charpipe_model\":\"1\",\"charpipe_checkpoint\":\"1\"", NULL, 0, NULL},
		{CRC ",\"charpipe_model\":\"2\",\"cell\":\"lstm\"", NULL, 0, NULL},
		{CRC ",\"charpipe_model\":\"3\"", NULL, 0,
			"written by a newer charpipe (model version 3); this program reads up to "
			"2"},
		{CRC ",\"charpipe_checkpoint\":\"12\"", NULL, 0,
			"newer charpipe (checkpoint version 12)"},
		{CRC ",\"charpipe_model\":\"-1\"", NULL, 0, "expected a version number"},
		{CRC ",\"charpipe_model\":\"\"", NULL, 0, "expected a version number"},
		{"\"charpipe_model\":\"1\"", NULL, 0, "charpipe_model without crc32"},
		{CRC ",\"training\":\"{}\"", NULL, 0, NULL},
		{CRC ",\"training\":\"3\"", NULL, 0, "training"},
		{CRC ",\"checkpoint\":\"[]\"", NULL, 0, "checkpoint: expected a JSON object"},
		{CRC ",\"checkpoint\":\"{\"", NULL, 0, "checkpoint"},
		{"\"tokens\":\" [ 0\\t,\\r\\n255 ] \"", NULL, 0, NULL},
		{"\"tokens\":\"[\\\"a\\\",\\\"\\\\u00e9\\\"]\"", NULL, 0, NULL},
		{"\"tokens\":\"{}\"", NULL, 0, "a JSON list"},
		{"\"tokens\":\"\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[]\"", NULL, 0, "a list of 0"},
		{"\"tokens\":\"[0]\"", NULL, 0, "a list of 1"},
		{"\"tokens\":\"[0,1,2]\"", NULL, 0, "a list of 3"},
		{"\"tokens\":\"[0,]\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[0 1]\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[0,1\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[0,1]]\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[0,256]\"", NULL, 0, "entry 1: expected a byte"},
		{"\"tokens\":\"[0,01]\"", NULL, 0, "metadata tokens: "},
		{"\"tokens\":\"[0,1000]\"", NULL, 0, "entry 1: expected a byte"},
		{"\"tokens\":\"[0,-1]\"", NULL, 0, "entry 1: expected a byte"},
		{"\"tokens\":\"[0,\\\"a\\\"]\"", NULL, 0, "entry 1: expected a byte"},
		{"\"tokens\":\"[\\\"a\\\",0]\"", NULL, 0, "entry 1: expected a string"},
		{"\"tokens\":\"[\\\"a\\\",\\\"bc\\\"]\"", NULL, 0, "entry 1: expected a string"},
		{"\"tokens\":\"[\\\"a\\\",\\\"\\\"]\"", NULL, 0, "entry 1: expected a string"},
		{"\"tokens\":\"[\\\"a\\\",[]]\"", NULL, 0, "entry 1: expected a string"},
		{"\"tokens\":\"[\\\"a\\\",\\\"a\\\"]\"", NULL, 0, "both 'a'"},
		{RUN, MORE("train.x", "F32", "[0]"), 0, NULL},
		{RUN, MORE("train.x", "F32", "[1,1,1]"), 4, NULL},
		{RUN, MORE("train.x", "F16", "[2]"), 4, "train.x: F16 (2)"},
		{RUN, MORE("train.x", "F32", "[1,1,1,1]"), 4, "at most 3 dimensions"},
		{RUN, MORE(LONG_NAME, "F32", "[1]"), 4, "at most 3 dimensions"},
		{"", MORE("train.x", "F32", "[1]"), 4, "with metadata checkpoint"},
		{"", MORE("lstm.weight_ih_l2", "F32", "[1]"), 4, "unknown"},
	};
	(void)state;
	for (size_t values = 1024; values <= 1025; values++) { /* as a tree they would grow */
		char metadata[4000] = CRC ",\"training\":\"{\\\"a\\\":[";
		for (size_t i = 0; i < values - 3; i++)
			strcat(metadata, "[]");
		struct bytes b = pack(strcat(metadata, "]}\""), 1, NULL, 0);
		struct model_file model;
		struct error err;
		assert_int_equal(read_bytes(&model, b.v, b.n, &err), -1);
		assert_int_equal(strstr(err.text, "some 1025 JSON values") != NULL, values == 1025);
		free(b.v);
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct bytes b = pack(cases[i].metadata, 1, cases[i].more, cases[i].more_bytes);
		struct model_file model;
		struct error err;
		int rc = read_bytes(&model, b.v, b.n, &err);
		if (!cases[i].says && rc < 0)
			fail_msg("%s: %s", cases[i].metadata, err.text);
		if (rc == 0)
			model_file_release(&model);
		if (cases[i].says) {
			if (rc == 0)
				fail_msg("accepted: %s %s", cases[i].metadata,
					cases[i].more ? cases[i].more : "");
			assert_int_equal(err.status, STATUS_DATA);
			if (!strstr(err.text, cases[i].says))
				fail_msg("%s: said \"%s\"; expected \"%s\"", cases[i].metadata,
					err.text, cases[i].says);
		}
		free(b.v);
	}
}

/* Nobody said what became of line ends: Python's text mode leaves no CR. */
static void newlines_are_universal_where_no_symbol_speaks_against_it(void **state)
{
	static const struct {
		const char *tokens;
		enum vocab_newlines newlines;
	} cases[] = {
		{"\"tokens\":\"[\\\"a\\\",\\\"b\\\"]\"", VOCAB_UNIVERSAL},
		{"\"tokens\":\"[\\\"a\\\",\\\"\\\\r\\\"]\"", VOCAB_KEEP},
		{"\"tokens\":\"[0,1]\"", VOCAB_KEEP},
	};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct bytes b = pack(cases[i].tokens, 1, NULL, 0);
		struct model_file model;
		struct error err;
		if (read_bytes(&model, b.v, b.n, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(model.vocab.newlines, cases[i].newlines);
		model_file_release(&model);
		free(b.v);
	}
}

static void a_model_of_too_many_layers_is_refused(void **state)
{
	(void)state;
	for (unsigned layers = PARAMS_LAYERS_MAX; layers <= PARAMS_LAYERS_MAX + 2; layers++) {
		struct bytes b = pack("", layers, NULL, 0);
		struct model_file model;
		struct error err;
		int rc = read_bytes(&model, b.v, b.n, &err);
		assert_int_equal(rc, layers > PARAMS_LAYERS_MAX ? -1 : 0);
		if (rc == 0)
			model_file_release(&model);
		else
			assert_non_null(strstr(err.text, "layers; expected 1 to 256"));
		free(b.v);
	}
}

/* The first weights alone, of a shape that isn't (4H,V); and what isn't a model at all. */
static void other_files_are_told_apart(void **state)
{
	static const struct {
		const char *json;
		size_t data;
		const char *says;
	} cases[] = {
		{"{\"lstm.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}"
		 "}",
			16, "F32 (4); expected F32 (4H,V)"},
		{"{\"lstm.weight_ih_l0\":{\"dtype\":\"F32\",\"shape\":[6,1],\"data_offsets\":[0,24]"
		 "}}",
			24, "F32 (6,1); expected F32 (4H,V)"},
		{"{\"__metadata__\":{\"crc32\":\"00000000\",\"charpipe_state\":\"1\"}}", 0,
			"a model's state"},
		{"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "it has x"},
		{"{}", 0, "it has no tensors"},
	};
	static const unsigned char pickles[][3] = {
		{0x80, 1, '}'}, {0x80, 2, '}'}, {0x80, 5, '}'}, {0x80, 6, '}'}};
	(void)state;
	struct model_file model;
	struct error err;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		unsigned char file[300] = {0};
		uint64_t n = strlen(cases[i].json);
		memcpy(file, &n, 8);
		memcpy(file + 8, cases[i].json, n);
		assert_int_equal(read_bytes(&model, file, 8 + n + cases[i].data, &err), -1);
		if (!strstr(err.text, cases[i].says))
			fail_msg("said \"%s\"; expected \"%s\"", err.text, cases[i].says);
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(read_bytes(&model, pickles[i], 3, &err), -1);
		bool pickle = strstr(err.text, "pickle") != NULL;
		assert_int_equal(pickle, i == 1 || i == 2);
	}
}

/* A small checkpoint with everything in it. */
static struct bytes small_checkpoint(void)
{
	static const uint32_t symbols[] = {0, '\n', 255};
	struct model_file model = {.has_vocab = true, .dropout = 0.5};
	struct error err;
	assert_int_equal(params_init(&model.params, &lstm_cell, 3, 2, 1, &err), 0);
	assert_int_equal(vocab_init(&model.vocab, VOCAB_BYTE, VOCAB_KEEP, symbols, 3, &err), 0);
	set_golden_weights(&model);
	model.training = json_pack("{s:i}", "steps", 10);
	model.checkpoint = json_pack("{s:i}", "step", 10);
	model.tensors = calloc(1, sizeof *model.tensors);
	model.tensors[0] = (struct model_tensor){
		.name = "h", .dims = 3, .shape = {1, 2, 2}, .data = calloc(4, sizeof(float))};
	model.tensor_count = 1;
	struct bytes b = write_bytes(&model);
	model_file_release(&model);
	return b;
}

static void every_truncation_is_refused(void **state)
{
	(void)state;
	struct bytes b = small_checkpoint();
	for (size_t n = 0; n < b.n; n++) {
		struct model_file model;
		struct error err;
		assert_int_equal(read_bytes(&model, b.v, n, &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
	}
	free(b.v);
}

static void every_flipped_bit_is_refused(void **state)
{
	(void)state;
	struct bytes b = small_checkpoint();
	char path[32];
	int fd = hold(b.v, b.n, path);
	for (size_t bit = 0; bit < 8 * b.n; bit++) {
		struct model_file model;
		struct error err;
		unsigned char flipped = b.v[bit / 8] ^ (unsigned char)(1 << bit % 8);
		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(bit / 8)), 1);
		if (read_path(&model, path, &err) == 0)
			fail_msg("bit %zu flipped was accepted", bit);
		assert_int_equal(err.status, STATUS_DATA);
		assert_int_equal(pwrite(fd, &b.v[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	struct model_file model;
	struct error err;
	assert_int_equal(read_path(&model, path, &err), 0); /* as it was, it is accepted */
	model_file_release(&model);
	close(fd);
	free(b.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_is_written_as_the_specification_has_it),
		cmocka_unit_test(reading_and_writing_give_the_same_bytes),
		cmocka_unit_test(data_starts_at_a_multiple_of_64),
		cmocka_unit_test(numbers_come_back_with_all_their_bits),
		cmocka_unit_test(every_symbol_comes_back),
		cmocka_unit_test(a_model_says_what_it_is),
		cmocka_unit_test(a_checkpoint_has_its_tensors_beside_the_models),
		cmocka_unit_test(a_bare_state_dict_is_a_model_without_vocabulary),
		cmocka_unit_test(a_notebooks_own_file_reads_with_fc_linear_and_escaped_tokens),
		cmocka_unit_test(weights_of_other_types_become_floats),
		cmocka_unit_test(pytorchs_names_tell_the_cell),
		cmocka_unit_test(a_model_reads_from_a_pipe),
		cmocka_unit_test(every_invalid_file_is_refused_and_says_why),
		cmocka_unit_test(charpipes_other_streams_are_told_apart),
		cmocka_unit_test(metadata_and_tensors_are_checked),
		cmocka_unit_test(newlines_are_universal_where_no_symbol_speaks_against_it),
		cmocka_unit_test(a_model_of_too_many_layers_is_refused),
		cmocka_unit_test(other_files_are_told_apart),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_flipped_bit_is_refused),
	};
	return cmocka_run_group_tests_name("model_file", tests, NULL, NULL);
}

/* States of models as files: what is written, what is read back, what is refused. */
#include "formats/state_file.h"

#include "formats/safetensors.h"
#include "tests/unit/streams.h"

#include <math.h>
#include <zlib.h>

enum { L = 2, H = 3, V = 4, MODEL = 0x0123abcd };

static const struct params sizes = {.cell = &lstm_cell, .layers = L, .hidden = H, .vocab = V};

/* A state that holds 0, 1/8, 2/8, ... */
static struct state_file make_of(const struct params *params)
{
	struct state_file state;
	struct error err;
	const int n = (int)params->cell->states * L * H;
	assert_int_equal(state_file_init(&state, params, &err), 0);
	assert_int_equal(state.size, n);
	for (int i = 0; i < n; i++) {
		assert_true(state.state[i] == 0);
		state.state[i] = (float)i / 8;
	}
	for (int i = 0; i < V; i++)
		state.logits[i] = (float)(n + i) / 8;
	return state;
}

static struct state_file make(void)
{
	return make_of(&sizes);
}

static struct bytes write_state(const struct state_file *state)
{
	struct written file;
	struct error err;
	written_open(&file, 0);
	if (state_file_write(state, MODEL, &file.out, &err) < 0)
		fail_msg("%s", err.text);
	return written_close(&file);
}

/* Reads a state of that model, or where it is 0 of any. */
static int read_state(struct state_file *state, uint32_t model, struct bytes file, enum place place,
	struct error *err)
{
	struct input in;
	uint32_t found;
	int fd = open_bytes(&in, file.v, file.n, place), rc;
	if (model) {
		rc = state_file_read(state, model, &in, err);
	} else {
		rc = state_file_read_any(state, &found, &in, err);
		if (rc == 0)
			assert_int_equal(found, MODEL);
	}
	input_close(&in);
	close(fd);
	return rc;
}

static void what_is_written_is_read_back(void **unused)
{
	(void)unused;
	for (int way = 0; way < 4 * CELL_TYPES; way++) {
		struct params params = sizes;
		params.cell = cell_of((enum cell_type)(way / 4));
		struct state_file state = make_of(&params), again;
		struct bytes file = write_state(&state);
		struct error err;
		uint32_t model = way & 1 ? MODEL : 0;
		if (model)
			assert_int_equal(state_file_init(&again, &params, &err), 0);
		if (read_state(&again, model, file, way & 2 ? IN_PIPE : IN_FILE, &err) < 0)
			fail_msg("%s", err.text);
		assert_ptr_equal(again.cell, params.cell);
		assert_int_equal(again.layers, L);
		assert_int_equal(again.hidden, H);
		assert_int_equal(again.vocab, V);
		assert_int_equal(again.size, state.size);
		assert_memory_equal(again.state, state.state, state.size * sizeof(float));
		assert_memory_equal(again.logits, state.logits, V * sizeof(float));
		struct bytes same = write_state(&again);
		assert_int_equal(same.n, file.n);
		assert_memory_equal(same.v, file.v, file.n);
		free(same.v);
		free(file.v);
		state_file_release(&again);
		state_file_release(&state);
		state_file_release(&state);
	}
}

static void damaged(const char *what, struct bytes file)
{
	struct state_file state;
	struct error err;
	for (uint32_t model = 0; model <= MODEL; model += MODEL) {
		if (model)
			assert_int_equal(state_file_init(&state, &sizes, &err), 0);
		if (read_state(&state, model, file, IN_FILE, &err) == 0)
			fail_msg("%s: accepted", what);
		if (err.status != STATUS_DATA)
			fail_msg("%s: status %d: %s", what, err.status, err.text);
		if (model)
			state_file_release(&state);
	}
}

static void every_truncation_and_every_flipped_bit_is_refused(void **unused)
{
	struct state_file state = make();
	struct bytes file = write_state(&state);
	(void)unused;
	each_damage(file, damaged);
	state_file_release(&state);
	free(file.v);
}

/* A file with these metadata, tensors of F32 of these shapes, and numbers; with the right CRC if
 * the metadata begin with crc32. */
static struct bytes pack(const json_t *meta, const struct safetensors_tensor *list, size_t count)
{
	struct safetensors_tensor tensors[8];
	struct error err;
	struct bytes file;
	size_t head;
	memcpy(tensors, list, count * sizeof *list);
	for (size_t i = 0; i < count; i++)
		if (!tensors[i].dtype)
			tensors[i].dtype = "F32";
	if (safetensors_header(meta, tensors, count, 64, &file.v, &head, &err) < 0)
		fail_msg("%s", err.text);
	size_t data = count ? (size_t)tensors[count - 1].end : 0;
	file.n = head + data;
	file.v = realloc(file.v, file.n);
	memset(file.v + head, 0, data);
	if (json_object_get(meta, "crc32"))
		safetensors_put_crc(file.v, (uint32_t)crc32_z(0, file.v, file.n));
	return file;
}

#define META "charpipe_state", "1", "format", "pt", "model_crc32", "0123abcd"
#define VECTOR(tensor, size) \
	{ \
		.name = tensor, .dims = 1, .shape = { size } \
	}
#define STATE(tensor, l, n, h) \
	{ \
		.name = tensor, .dims = 3, .shape = { l, n, h } \
	}
#define STATES(l, n, h) STATE("h", l, n, h), STATE("c", l, n, h)
#define FULL STATES(L, 1, H), VECTOR("logits", V)

static void what_is_no_state_is_refused(void **unused)
{
	static const struct {
		const char *says;
		const char *meta[8]; /* keys and values behind crc32 */
		struct safetensors_tensor tensors[5];
		bool no_crc;
	} cases[] = {
		{"this is a model; expected a state", {"format", "pt"}, {FULL}, false},
		{"written by a newer charpipe (state version 3); this program reads up to 2",
			{"charpipe_state", "3", "model_crc32", "0123abcd"}, {FULL}, false},
		{"metadata cell: lstn; expected lstm, gru or rnn",
			{"charpipe_state", "2", "model_crc32", "0123abcd", "cell", "lstn"}, {FULL},
			false},
		{"charpipe_state: 01; expected a version",
			{"charpipe_state", "01", "model_crc32", "0123abcd"}, {FULL}, false},
		{"without model_crc32", {"charpipe_state", "1"}, {FULL}, false},
		{"this is a model; expected a state", {META}, {FULL}, true}, /* without crc32 */
		{"eight hex digits", {"charpipe_state", "1", "model_crc32", "0123ABCD"}, {FULL},
			false},
		{"eight hex digits", {"charpipe_state", "1", "model_crc32", "123abcd"}, {FULL},
			false},
		{"expected tensors", {META}, {STATES(L, 2, H), VECTOR("logits", V)}, false},
		{"expected tensors", {META}, {STATES(0, 1, 1 << 30), VECTOR("logits", V)}, false},
		{"expected tensors", {META},
			{STATES(PARAMS_LAYERS_MAX + 1, 1, 1), VECTOR("logits", V)}, false},
		{"expected tensors", {META},
			{STATES(1, 1, PARAMS_HIDDEN_MAX + 1), VECTOR("logits", V)}, false},
		{"expected tensors", {META}, {STATES(L, 1, H), VECTOR("logits", 0)}, false},
		{"expected tensors", {META}, {STATES(L, 1, H), STATE("logits", V, 1, 1)}, false},
		{"expected tensors", {META}, {VECTOR("h", L * H), VECTOR("logits", V)}, false},
		{"expected tensors", {META}, {STATES(L, 1, H)}, false},
		{"expected tensors", {META}, {VECTOR("logits", V)}, false},
		{"4 tensors", {META}, {FULL, VECTOR("x", 1)}, false},
		{"tensor c; expected h", {META},
			{STATE("c", L, 1, H), STATE("h", L, 1, H), VECTOR("logits", V)}, false},
		{"tensor c: F32 (2,1,2); expected F32 (2,1,3)", {META},
			{STATE("h", L, 1, H), STATE("c", L, 1, 2), VECTOR("logits", V)}, false},
		{"tensor logits: F16 (4); expected F32 (4)", {META},
			{STATES(L, 1, H),
				{.name = "logits", .dtype = "F16", .dims = 1, .shape = {V}}},
			false},
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct state_file state;
		struct error err;
		size_t count = 0;
		json_t *meta = json_object();
		if (!cases[i].no_crc)
			json_object_set_new(meta, "crc32", json_string("00000000"));
		for (size_t k = 0; k < 8 && cases[i].meta[k]; k += 2)
			json_object_set_new(
				meta, cases[i].meta[k], json_string(cases[i].meta[k + 1]));
		while (count < 5 && cases[i].tensors[count].name)
			count++;
		struct bytes file = pack(meta, cases[i].tensors, count);
		if (read_state(&state, 0, file, IN_FILE, &err) == 0)
			fail_msg("%zu: accepted; expected \"%s\"", i, cases[i].says);
		assert_int_equal(err.status, STATUS_DATA);
		assert_memory_equal(err.text, "/proc/self/fd/", 14);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%zu: expected \"%s\" in \"%s\"", i, cases[i].says, err.text);
		free(file.v);
		json_decref(meta);
	}
}

static void a_state_of_other_sizes_or_of_another_model_is_refused(void **unused)
{
	struct params other = sizes;
	struct state_file state = make(), again;
	struct bytes file = write_state(&state);
	struct error err;
	(void)unused;
	other.cell = &gru_cell;
	assert_int_equal(state_file_init(&again, &other, &err), 0);
	assert_int_equal(read_state(&again, MODEL, file, IN_FILE, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "metadata cell: lstm; the model has gru"));
	state_file_release(&again);
	other.cell = sizes.cell;
	assert_int_equal(state_file_init(&again, &sizes, &err), 0);
	assert_int_equal(read_state(&again, MODEL + 1, file, IN_FILE, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "another model: its weights' CRC-32 is 0123abcd"));
	state_file_release(&again);
	for (int which = 0; which < 3; which++) {
		other = sizes;
		*(which == 0 ? &other.layers : which == 1 ? &other.hidden : &other.vocab) += 1;
		assert_int_equal(state_file_init(&again, &other, &err), 0);
		assert_int_equal(read_state(&again, MODEL, file, IN_FILE, &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		assert_non_null(strstr(err.text, which < 2 ? "tensor h: " : "tensor logits: "));
		state_file_release(&again);
	}
	state_file_release(&state);
	free(file.v);
}

static void numbers_that_are_not_finite_are_refused(void **unused)
{
	static const float bad[] = {INFINITY, -INFINITY, NAN};
	(void)unused;
	for (size_t i = 0; i < 3; i++) {
		struct state_file state = make();
		*(i == 2 ? &state.logits[3] : &state.state[i ? L * H : 5]) = bad[i];
		struct bytes file = write_state(&state);
		struct error err;
		assert_int_equal(read_state(&state, MODEL, file, IN_FILE, &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		assert_non_null(strstr(err.text, "not all numbers are finite"));
		state_file_release(&state);
		free(file.v);
	}
}

static void a_byte_behind_the_end_of_a_pipe_is_refused(void **unused)
{
	struct state_file state = make();
	struct bytes file = write_state(&state);
	struct error err;
	(void)unused;
	file.v = realloc(file.v, file.n + 1);
	file.v[file.n++] = 0;
	assert_int_equal(read_state(&state, MODEL, file, IN_PIPE, &err), -1);
	assert_non_null(strstr(err.text, "goes on after byte"));
	state_file_release(&state);
	free(file.v);
}

static uint32_t crc_of_model(const struct model_file *model)
{
	struct error err;
	uint32_t crc;
	assert_int_equal(state_file_model_crc(model, &crc, &err), 0);
	return crc;
}

/* The weights alone count, and each of them, in the file's order. */
static void models_are_told_apart_by_their_weights(void **unused)
{
	static const char path[] = "tests/golden/model/small.safetensors";
	enum { DATA = 260 }; /* V = 3, H = 2: 24 + 16 + 8 + 8 + 6 + 3 floats */
	struct model_file model;
	struct input in;
	struct error err;
	struct bytes file = load(path);
	(void)unused;
	assert_int_equal(input_open(&in, path, INPUT_RAW, &err), 0);
	assert_int_equal(model_file_read(&model, &in, &err), 0);
	input_close(&in);
	uint32_t crc = crc_of_model(&model);
	assert_int_equal(crc, crc32_z(0, file.v + file.n - DATA, DATA));
	for (size_t i = 0; i < model.params.count; i++) {
		float *first = &model.weights[model.params.v[i].offset];
		*first += 1;
		assert_int_not_equal(crc_of_model(&model), crc);
		*first -= 1;
	}
	model.dropout = 0.9;
	assert_int_equal(crc_of_model(&model), crc);
	model_file_release(&model);
	free(file.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(every_truncation_and_every_flipped_bit_is_refused),
		cmocka_unit_test(what_is_no_state_is_refused),
		cmocka_unit_test(a_state_of_other_sizes_or_of_another_model_is_refused),
		cmocka_unit_test(numbers_that_are_not_finite_are_refused),
		cmocka_unit_test(a_byte_behind_the_end_of_a_pipe_is_refused),
		cmocka_unit_test(models_are_told_apart_by_their_weights),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

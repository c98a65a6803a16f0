/* The container of models: what it lays out comes back; what doesn't add up is refused. */
#include "formats/safetensors.h"

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

/* A file being read from memory. */
struct opened {
	int fd;
	struct input in;
	struct safetensors st;
};

static int open_bytes(struct opened *o, const void *v, size_t n, struct error *err)
{
	char path[32];
	o->fd = memfd_create("safetensors", 0);
	assert_true(o->fd >= 0);
	assert_int_equal(write(o->fd, v, n), n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", o->fd);
	assert_int_equal(input_open(&o->in, path, INPUT_RAW, err), 0);
	return safetensors_open(&o->st, &o->in, err);
}

static void close_bytes(struct opened *o)
{
	safetensors_close(&o->st);
	input_close(&o->in);
	close(o->fd);
}

/* A file with this header and `data` zero bytes behind it. */
static int open_header(struct opened *o, const char *json, size_t data, struct error *err)
{
	uint64_t n = strlen(json);
	unsigned char *file = calloc(8 + n + data, 1);
	memcpy(file, &n, 8);
	memcpy(file + 8, json, n);
	int rc = open_bytes(o, file, 8 + n + data, err);
	free(file);
	return rc;
}

static void what_is_laid_out_is_read_back(void **state)
{
	(void)state;
	struct safetensors_tensor tensors[] = {
		{.name = "b", .dtype = "F32", .dims = 2, .shape = {2, 3}},
		{.name = "empty", .dtype = "F32", .dims = 1, .shape = {0}},
		{.name = "a \"\xc3\xa9\"", .dtype = "U8", .dims = 1, .shape = {5}},
		{.name = "scalar", .dtype = "F64", .dims = 0},
	};
	json_t *metadata = json_pack("{s:s,s:s}", "z", "first", "a", "second");
	unsigned char *header, data[24 + 5 + 8], again[sizeof data];
	size_t bytes;
	struct error err;
	assert_int_equal(safetensors_header(metadata, tensors, 4, 64, &header, &bytes, &err), 0);
	assert_int_equal(bytes % 64, 0);
	static const char begin[] = "{\"__metadata__\":{\"z\":\"first\",\"a\":\"second\"},\"b\":{";
	assert_memory_equal(header + 8, begin, sizeof begin - 1);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (unsigned char)i;
	header = realloc(header, bytes + sizeof data);
	memcpy(header + bytes, data, sizeof data);

	struct opened o;
	if (open_bytes(&o, header, bytes + sizeof data, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(o.st.count, 4);
	assert_int_equal(o.st.data_bytes, sizeof data);
	assert_string_equal(json_string_value(json_object_get(o.st.metadata, "a")), "second");
	for (size_t i = 0; i < 4; i++) {
		const struct safetensors_tensor *t = safetensors_find(&o.st, tensors[i].name);
		assert_non_null(t);
		assert_string_equal(t->dtype, tensors[i].dtype);
		assert_int_equal(t->dims, tensors[i].dims);
		assert_memory_equal(t->shape, tensors[i].shape, sizeof t->shape);
		assert_int_equal(t->begin, tensors[i].begin);
		assert_int_equal(t->end, tensors[i].end);
	}
	assert_null(safetensors_find(&o.st, "c"));
	assert_int_equal(safetensors_read(&o.st, again, 7, &err), 0);
	assert_int_equal(safetensors_read(&o.st, again + 7, sizeof again - 7, &err), 0);
	assert_int_equal(safetensors_end(&o.st, &err), 0);
	assert_memory_equal(again, data, sizeof data);
	close_bytes(&o);
	free(header);
	json_decref(metadata);
}

static void tensors_come_in_the_order_of_their_data(void **state)
{
	(void)state;
	struct opened o;
	struct error err;
	assert_int_equal(
		open_header(&o,
			"{\"a\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[3,7]},"
			"\"__metadata__\":{},"
			"\"b\":{\"dtype\":\"BOOL\",\"shape\":[3,1],\"data_offsets\":[0,3]}}   ",
			7, &err),
		0);
	assert_string_equal(o.st.tensors[0].name, "b");
	assert_string_equal(o.st.tensors[1].name, "a");
	close_bytes(&o);
}

static void shapes_are_described_for_people(void **state)
{
	(void)state;
	char text[96];
	struct safetensors_tensor t = {.dtype = "BF16", .dims = 2, .shape = {2048, 83}};
	assert_string_equal(safetensors_describe(&t, text), "BF16 (2048,83)");
	t.dims = 0;
	assert_string_equal(safetensors_describe(&t, text), "BF16 ()");
	t.dims = SAFETENSORS_DIMS_MAX;
	for (unsigned i = 0; i < t.dims; i++)
		t.shape[i] = UINT64_MAX;
	assert_in_range(strlen(safetensors_describe(&t, text)), 90, 95);
}

static void headers_that_do_not_add_up_are_refused(void **state)
{
	(void)state;
#define TENSOR(dtype, shape, offsets) \
	"{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
	static const struct {
		const char *json;
		size_t data;
		const char *says;
	} bad[] = {
		{"[]", 0, "expected a JSON object"},
		{"", 0, "header, byte"},
		{"{} {}", 0, "header, byte"},
		{"{\"__metadata__\":[]}", 0, "not an object"},
		{"{\"__metadata__\":{\"k\":null}}", 0, "k: expected a string"},
		{"{\"a\":3}", 0, "tensor a: expected"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor a: expected"},
		{TENSOR("\"u8\"", "[1]", "[0,1]"), 1, "unknown dtype u8"},
		{TENSOR("8", "[1]", "[0,1]"), 1, "expected"},
		{TENSOR("\"U8\"", "1", "[0,1]"), 1, "expected"},
		{TENSOR("\"U8\"", "[1.0]", "[0,1]"), 1, "impossible shape"},
		{TENSOR("\"U8\"", "[\"1\"]", "[0,1]"), 1, "impossible shape"},
		{TENSOR("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, "9 dimensions"},
		{TENSOR("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, "impossible shape"},
		{TENSOR("\"U8\"", "[1]", "[0]"), 1, "expected"},
		{TENSOR("\"U8\"", "[1]", "[0,1,1]"), 1, "expected"},
		{TENSOR("\"U8\"", "[1]", "[1,0]"), 1, "data_offsets"},
		{TENSOR("\"U8\"", "[1]", "[-1,0]"), 1, "data_offsets"},
		{TENSOR("\"U8\"", "[1]", "[0,-1]"), 1, "data_offsets"},
		{TENSOR("\"U8\"", "[1]", "{}"), 1, "expected"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1,
			"expected"},
		{"\"tokens\":1", 0, "header, byte"},
		{TENSOR("\"U8\"", "[1]", "[0,2]"), 2, "data_offsets"},
		{TENSOR("\"U8\"", "[1]", "[1,2]"), 2, "a hole"},
		{TENSOR("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]"), 1,
			"truncated"},
		{TENSOR("\"U8\"", "[1]", "[0,1]"), 0, "truncated"},
		{TENSOR("\"U8\"", "[1]", "[0,1]"), 2, "too long"},
		{TENSOR("\"U8\"", "[99999999999999999999]", "[0,1]"), 1, "header, byte"},
	};
#undef TENSOR
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct opened o;
		struct error err;
		if (open_header(&o, bad[i].json, bad[i].data, &err) == 0)
			fail_msg("accepted: %s", bad[i].json);
		assert_int_equal(err.status, STATUS_DATA);
		if (!strstr(err.text, bad[i].says))
			fail_msg("%s: said \"%s\"; expected \"%s\"", bad[i].json, err.text,
				bad[i].says);
		close_bytes(&o);
	}
}

/* A header with only metadata in it: their JSON is given. */
static int open_metadata(struct opened *o, const char *json, struct error *err)
{
	char header[400];
	snprintf(header, sizeof header, "{\"__metadata__\":{%s}}", json);
	return open_header(o, header, 0, err);
}

/* Where it went wrong is told in bytes of the file. */
static void a_header_that_is_no_json_is_refused_with_the_place(void **state)
{
	struct opened o;
	struct error err;
	(void)state;
	assert_int_equal(open_metadata(&o, "\"tokens\":\"123456789\",1", &err), -1);
	if (!strstr(err.text, "header, byte 47:"))
		fail_msg("%s", err.text);
	close_bytes(&o);
	assert_int_equal(open_metadata(&o, "\"a\":\"x\",\"\\u0061\":\"x\"", &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	close_bytes(&o);
}

static void the_crc_is_found_in_its_place_alone(void **state)
{
	static const struct {
		const char *header, *says;
	} cases[] = {
		{"{\"__metadata__\":{\"crc32\":\"0123abcd\"}}", NULL},
		{"{\"__metadata__\":{}}", "none"},
		{"{}", "none"},
		{"{\"__metadata__\":{\"crc32\":\"\\u0030123abcd\"}}", "at byte 34"},
		{"{\"__metadata__\":{\"crc32\":\"0123ABCD\"}}", "at byte 34"},
		{"{\"__metadata__\":{\"crc32\":\"123abcd\"}}", "at byte 34"},
		{"{\"__metadata__\": {\"crc32\":\"0123abcd\"}}", "at byte 34"},
		{"{\"__metadata__\":{\"a\":\"\",\"crc32\":\"0123abcd\"}}", "at byte 34"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct opened o;
		struct error err;
		bool has_crc = true;
		uint32_t crc = 0;
		assert_int_equal(open_header(&o, cases[i].header, 0, &err), 0);
		int rc = safetensors_begin_crc(&o.st, &has_crc, &crc, &err);
		if (!cases[i].says) {
			assert_int_equal(rc, 0);
			assert_true(has_crc);
			assert_int_equal(crc, 0x0123abcd);
		} else if (strcmp(cases[i].says, "none") == 0) {
			assert_int_equal(rc, 0);
			assert_false(has_crc);
		} else {
			assert_int_equal(rc, -1);
			assert_non_null(strstr(err.text, cases[i].says));
		}
		close_bytes(&o);
	}
}

static void a_header_that_could_not_be_read_is_not_written(void **state)
{
	char *text = malloc(SAFETENSORS_HEADER_MAX + 1);
	unsigned char *header;
	size_t bytes;
	struct error err;
	(void)state;
	memset(text, 'a', SAFETENSORS_HEADER_MAX);
	text[SAFETENSORS_HEADER_MAX] = '\0';
	json_t *metadata = json_pack("{s:s}", "tokens", text);
	assert_int_equal(safetensors_header(metadata, NULL, 0, 8, &header, &bytes, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "at most 2097152"));
	assert_null(header);
	json_decref(metadata);
	free(text);
}

static void a_header_of_too_many_values_is_refused(void **state)
{
	char *json = malloc(2 * SAFETENSORS_VALUES_MAX + 4);
	struct opened o;
	struct error err;
	(void)state;
	json[0] = '{';
	for (size_t i = 0; i < SAFETENSORS_VALUES_MAX + 1; i++)
		memcpy(json + 1 + 2 * i, "[]", 3);
	assert_int_equal(open_header(&o, json, 0, &err), -1);
	assert_non_null(strstr(err.text, "65538 JSON values"));
	close_bytes(&o);
	free(json);
}

/* From a pipe nothing but the bytes that arrive says how much there is. */
static void a_pipe_may_not_go_on_after_the_data(void **state)
{
	(void)state;
	static const char file[] = "\x02\0\0\0\0\0\0\0{}tail";
	int pipes[2];
	char path[32];
	struct opened o;
	struct error err;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], file, sizeof file - 1), sizeof file - 1);
	close(pipes[1]);
	snprintf(path, sizeof path, "/proc/self/fd/%d", pipes[0]);
	o.fd = pipes[0];
	assert_int_equal(input_open(&o.in, path, INPUT_RAW, &err), 0);
	assert_int_equal(safetensors_open(&o.st, &o.in, &err), 0);
	assert_int_equal(safetensors_end(&o.st, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "goes on after byte 10"));
	close_bytes(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_laid_out_is_read_back),
		cmocka_unit_test(tensors_come_in_the_order_of_their_data),
		cmocka_unit_test(shapes_are_described_for_people),
		cmocka_unit_test(headers_that_do_not_add_up_are_refused),
		cmocka_unit_test(a_header_that_is_no_json_is_refused_with_the_place),
		cmocka_unit_test(the_crc_is_found_in_its_place_alone),
		cmocka_unit_test(a_header_that_could_not_be_read_is_not_written),
		cmocka_unit_test(a_header_of_too_many_values_is_refused),
		cmocka_unit_test(a_pipe_may_not_go_on_after_the_data),
	};
	return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}

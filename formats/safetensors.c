/* safetensors.c: see safetensors.h. Depth of nesting: jansson refuses more than 2048 levels
 * (JSON_PARSER_MAX_DEPTH), so that hostile JSON can't exhaust the stack. */
#include "formats/safetensors.h"

#include "base/crc.h"
#include "base/size.h"
#include "formats/kind.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in files");

#define METADATA "__metadata__"

/* How the JSON of a file with a CRC begins, so that its place is known before the JSON is. */
#define CRC_KEY "{\"" METADATA "\":{\"crc32\":\""
_Static_assert(SAFETENSORS_LENGTH_BYTES + sizeof CRC_KEY - 1 == SAFETENSORS_CRC_OFFSET,
	"place of the CRC");

static const struct dtype {
	const char *name;
	unsigned bytes;
} dtypes[] = {
	{"F32", 4},
	{"F16", 2},
	{"BF16", 2},
	{"F64", 8},
	{"BOOL", 1},
	{"U8", 1},
	{"I8", 1},
	{"F8_E5M2", 1},
	{"F8_E4M3", 1},
	{"U16", 2},
	{"I16", 2},
	{"U32", 4},
	{"I32", 4},
	{"U64", 8},
	{"I64", 8},
};

static const struct dtype *dtype_find(const char *name)
{
	for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
		if (strcmp(dtypes[i].name, name) == 0)
			return &dtypes[i];
	return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads exactly n bytes of the file. */
static int read_exactly(struct safetensors *st, void *to, size_t n, struct error *err)
{
	ssize_t got = input_read_full(st->in, to, n, err);
	if (got < 0)
		return -1;
	st->crc = crc_add(st->crc, to, (size_t)got);
	if ((size_t)got < n)
		return error_set(err, STATUS_DATA, "%s: truncated at byte %" PRIu64, st->in->name,
			st->in->offset);
	return 0;
}

/* A header's claim about its size takes no more memory than what arrives, and what is there already
 * once more. */
static int read_head(struct safetensors *st, size_t n, struct error *err)
{
	enum { FIRST = 1 << 20 };
	for (size_t size = FIRST; st->head_bytes < n; size *= 2) {
		if (size > n)
			size = n;
		unsigned char *head = realloc(st->head, size);
		if (!head)
			return error_memory(err, size, "the header of a model");
		st->head = head;
		if (read_exactly(st, head + st->head_bytes, size - st->head_bytes, err) < 0)
			return -1;
		st->head_bytes = size;
	}
	return 0;
}

static uint64_t get_u64(const unsigned char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof x);
	return x;
}

/* One non-negative integer of a list. */
static bool get_size(const json_t *list, size_t i, uint64_t *value)
{
	const json_t *number = json_array_get(list, i);
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return false;
	*value = (uint64_t)json_integer_value(number);
	return true;
}

static int parse_tensor(
	struct safetensors_tensor *t, const char *name, json_t *entry, struct error *err)
{
	const json_t *dtype = json_object_get(entry, "dtype");
	const json_t *shape = json_object_get(entry, "shape");
	const json_t *offsets = json_object_get(entry, "data_offsets");
	*t = (struct safetensors_tensor){.name = name};
	if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(offsets) ||
		json_array_size(offsets) != 2 || json_object_size(entry) != 3)
		return error_set(err, STATUS_DATA,
			"tensor %s: expected \"dtype\", \"shape\" and \"data_offsets\"", name);
	const struct dtype *type = dtype_find(json_string_value(dtype));
	if (!type)
		return error_set(err, STATUS_DATA, "tensor %s: unknown dtype %s", name,
			json_string_value(dtype));
	t->dtype = type->name;
	if (json_array_size(shape) > SAFETENSORS_DIMS_MAX)
		return error_set(err, STATUS_DATA, "tensor %s: %zu dimensions; at most %d", name,
			json_array_size(shape), SAFETENSORS_DIMS_MAX);
	uint64_t bytes = type->bytes;
	for (t->dims = 0; t->dims < json_array_size(shape); t->dims++)
		if (!get_size(shape, t->dims, &t->shape[t->dims]) ||
			!size_mul(bytes, t->shape[t->dims], &bytes))
			return error_set(err, STATUS_DATA, "tensor %s: impossible shape", name);
	if (!get_size(offsets, 0, &t->begin) || !get_size(offsets, 1, &t->end) ||
		t->begin > t->end || t->end - t->begin != bytes)
		return error_set(err, STATUS_DATA,
			"tensor %s: data_offsets are not those of %" PRIu64 " bytes", name, bytes);
	return 0;
}

static int by_extent(const void *a, const void *b)
{
	const struct safetensors_tensor *x = a, *y = b;
	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

size_t safetensors_count_values(const char *text, size_t n)
{
	size_t count = 0;
	bool quoted = false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '"')
			quoted = !quoted;
		else if (quoted)
			i += c == '\\';
		else
			count += c == ',' || c == ':' || c == '[' || c == '{';
	}
	return count;
}

/* jansson has no word for a lack of memory. */
int safetensors_json_error(const char *what, const json_error_t *cause, struct error *err)
{
	if (cause->text[0] == '\0' || json_error_code(cause) == json_error_out_of_memory)
		return error_memory(err, 4096, "JSON");
	return error_set(err, STATUS_DATA, "%s: %s", what, cause->text);
}

/* The header's JSON as a tree. */
static int parse_json(struct safetensors *st, struct error *err)
{
	const char *text = (const char *)st->head + SAFETENSORS_LENGTH_BYTES;
	size_t bytes = st->head_bytes - SAFETENSORS_LENGTH_BYTES;
	size_t values = safetensors_count_values(text, bytes);
	json_error_t where;
	char what[40];
	if (values > SAFETENSORS_VALUES_MAX)
		return error_set(err, STATUS_DATA, "header: some %zu JSON values; at most %d",
			values, SAFETENSORS_VALUES_MAX);
	st->header = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
	if (st->header)
		return 0;
	snprintf(what, sizeof what, "header, byte %d", SAFETENSORS_LENGTH_BYTES + where.position);
	return safetensors_json_error(what, &where, err);
}

static int parse(struct safetensors *st, struct error *err)
{
	if (parse_json(st, err) < 0)
		return -1;
	if (!json_is_object(st->header))
		return error_set(err, STATUS_DATA, "header: expected a JSON object");

	json_t *metadata = json_object_get(st->header, METADATA);
	if (metadata && !json_is_object(metadata))
		return error_set(err, STATUS_DATA, "header: " METADATA " is not an object");
	for (void *i = json_object_iter(metadata); i; i = json_object_iter_next(metadata, i))
		if (!json_is_string(json_object_iter_value(i)))
			return error_set(err, STATUS_DATA, "metadata %s: expected a string",
				json_object_iter_key(i));
	st->metadata = metadata;

	size_t count = json_object_size(st->header) - (metadata != NULL);
	st->tensors = calloc(count + 1, sizeof *st->tensors);
	if (!st->tensors)
		return error_memory(err, (count + 1) * sizeof *st->tensors, "a list of tensors");
	for (void *i = json_object_iter(st->header); i; i = json_object_iter_next(st->header, i))
		if (json_object_iter_value(i) != metadata &&
			parse_tensor(&st->tensors[st->count++], json_object_iter_key(i),
				json_object_iter_value(i), err) < 0)
			return -1;

	qsort(st->tensors, st->count, sizeof *st->tensors, by_extent);
	for (size_t i = 0; i < st->count; i++) {
		const struct safetensors_tensor *t = &st->tensors[i];
		if (t->begin != st->data_bytes)
			return error_set(err, STATUS_DATA,
				"tensor %s: data begins at %" PRIu64 "; expected %" PRIu64 " (%s)",
				t->name, t->begin, st->data_bytes,
				t->begin > st->data_bytes ? "a hole" : "an overlap");
		st->data_bytes = t->end;
	}
	return 0;
}

/* Compares the size that a file has with the one that it should have. */
static int check_size(const struct safetensors *st, uint64_t file_size, uint64_t expected,
	bool exactly, struct error *err)
{
	if (file_size == UINT64_MAX || file_size == expected || (file_size > expected && !exactly))
		return 0;
	return error_set(err, STATUS_DATA,
		"%s: %s: the file has %" PRIu64 " bytes; expected %" PRIu64, st->in->name,
		file_size < expected ? "truncated" : "too long", file_size, expected);
}

int safetensors_open(struct safetensors *st, struct input *in, struct error *err)
{
	*st = (struct safetensors){.in = in};
	uint64_t file_size = in->size;
	if (read_head(st, SAFETENSORS_LENGTH_BYTES, err) < 0)
		return -1;
	uint64_t header_bytes = get_u64(st->head);
	if (header_bytes > SAFETENSORS_HEADER_MAX)
		return error_set(err, STATUS_DATA, "%s: a header of %" PRIu64 " bytes; at most %d",
			in->name, header_bytes, SAFETENSORS_HEADER_MAX);
	uint64_t begin = SAFETENSORS_LENGTH_BYTES + header_bytes;
	if (check_size(st, file_size, begin, false, err) < 0 ||
		read_head(st, (size_t)begin, err) < 0)
		return -1;
	if (parse(st, err) < 0)
		return error_prefix(err, "%s: ", in->name);
	/* JSON's integers are signed: no overflow. */
	return check_size(st, file_size, begin + st->data_bytes, true, err);
}

int safetensors_check_version(
	const struct safetensors *st, const char *kind, unsigned newest, struct error *err)
{
	char key[40];
	snprintf(key, sizeof key, "charpipe_%s", kind);
	const char *text = safetensors_metadata(st, key);
	size_t digits = text ? strspn(text, "0123456789") : 0;
	if (!text)
		return 0;
	if (digits == 0 || digits > 9 || text[digits] || text[0] == '0')
		return error_set(
			err, STATUS_DATA, "metadata %s: %s; expected a version number", key, text);
	return kind_check_version(kind, strtoul(text, NULL, 10), newest, err);
}

int safetensors_begin_crc(struct safetensors *st, bool *has_crc, uint32_t *crc, struct error *err)
{
	const char *text = safetensors_metadata(st, "crc32");
	char digits[SAFETENSORS_CRC_DIGITS + 1];
	size_t rest = SAFETENSORS_CRC_OFFSET + SAFETENSORS_CRC_DIGITS;
	*has_crc = text != NULL;
	if (!text)
		return 0;
	*crc = (uint32_t)strtoul(text, NULL, 16);
	snprintf(digits, sizeof digits, "%08x", (unsigned)*crc);
	/* A header with such a text in it is at least as long as those bytes. */
	if (strcmp(text, digits) != 0 ||
		memcmp(st->head + SAFETENSORS_LENGTH_BYTES, CRC_KEY, sizeof CRC_KEY - 1) != 0 ||
		memcmp(st->head + SAFETENSORS_CRC_OFFSET, digits, SAFETENSORS_CRC_DIGITS) != 0)
		return error_set(err, STATUS_DATA,
			"metadata crc32: expected as eight hex digits at byte %d",
			SAFETENSORS_CRC_OFFSET);
	uint32_t sum = crc_add(0, st->head, SAFETENSORS_CRC_OFFSET);
	sum = crc_add(sum, "00000000", SAFETENSORS_CRC_DIGITS);
	st->crc = crc_add(sum, st->head + rest, st->head_bytes - rest);
	return 0;
}

int safetensors_read(struct safetensors *st, void *to, size_t bytes, struct error *err)
{
	assert(bytes <= st->data_bytes - st->read);
	st->read += bytes;
	return read_exactly(st, to, bytes, err);
}

int safetensors_no_memory(
	struct safetensors *st, uint64_t bytes, const char *what, struct error *err)
{
	unsigned char piece[4096];
	while (st->in->size == UINT64_MAX && st->read < st->data_bytes) {
		uint64_t left = st->data_bytes - st->read;
		size_t n = left < sizeof piece ? (size_t)left : sizeof piece;
		if (safetensors_read(st, piece, n, err) < 0)
			return -1;
	}
	return error_memory(err, bytes, what);
}

int safetensors_end(struct safetensors *st, struct error *err)
{
	assert(st->read == st->data_bytes);
	unsigned char more;
	ssize_t n = input_read(st->in, &more, 1, err);
	if (n > 0)
		return error_set(err, STATUS_DATA,
			"%s: the file goes on after byte %" PRIu64 ", its end", st->in->name,
			(st->head_bytes + st->data_bytes));
	return n < 0 ? -1 : 0;
}

void safetensors_close(struct safetensors *st)
{
	free(st->tensors);
	json_decref(st->header);
	free(st->head);
	*st = (struct safetensors){0};
}

const char *safetensors_metadata(const struct safetensors *st, const char *key)
{
	return json_string_value(json_object_get(st->metadata, key));
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name)
{
	for (size_t i = 0; i < st->count; i++)
		if (strcmp(st->tensors[i].name, name) == 0)
			return &st->tensors[i];
	return NULL;
}

const char *safetensors_describe(const struct safetensors_tensor *tensor, char buf[96])
{
	size_t n = 96;
	int used = snprintf(buf, n, "%s (", tensor->dtype);
	for (unsigned i = 0; i < tensor->dims && (size_t)used < n; i++)
		used += snprintf(
			buf + used, n - (size_t)used, "%s%" PRIu64, i ? "," : "", tensor->shape[i]);
	if ((size_t)used < n)
		snprintf(buf + used, n - (size_t)used, ")");
	return buf;
}

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *tensor_entry(const struct safetensors_tensor *t)
{
	json_t *shape = json_array();
	for (unsigned i = 0; i < t->dims; i++)
		if (json_array_append_new(shape, json_integer((json_int_t)t->shape[i])) < 0) {
			json_decref(shape);
			return NULL;
		}
	return json_pack("{s:s, s:o, s:[I,I]}", "dtype", t->dtype, "shape", shape, "data_offsets",
		(json_int_t)t->begin, (json_int_t)t->end);
}

int safetensors_header(const json_t *metadata, struct safetensors_tensor *tensors, size_t count,
	unsigned align, unsigned char **header, size_t *bytes, struct error *err)
{
	int rc = -1;
	char *text = NULL;
	*header = NULL;
	json_t *object = json_object();
	if (!object || json_object_set_new(object, METADATA, json_deep_copy(metadata)) < 0)
		goto memory;
	uint64_t end = 0;
	for (size_t i = 0; i < count; i++) {
		struct safetensors_tensor *t = &tensors[i];
		assert(dtype_find(t->dtype));
		uint64_t size = dtype_find(t->dtype)->bytes; /* of data in memory: no overflow */
		for (unsigned d = 0; d < t->dims; d++)
			size *= t->shape[d];
		t->begin = end;
		t->end = end += size;
		if (json_object_set_new(object, t->name, tensor_entry(t)) < 0)
			goto memory;
	}
	text = json_dumps(object, JSON_COMPACT);
	if (!text)
		goto memory;

	size_t length = strlen(text);
	size_t padded = size_align(SAFETENSORS_LENGTH_BYTES + length, align);
	uint64_t header_bytes = padded - SAFETENSORS_LENGTH_BYTES;
	if (header_bytes > SAFETENSORS_HEADER_MAX) {
		error_set(err, STATUS_DATA, "a header of %" PRIu64 " bytes; at most %d",
			header_bytes, SAFETENSORS_HEADER_MAX);
		goto out;
	}
	*header = malloc(padded);
	if (!*header)
		goto memory;
	memset(*header, ' ', padded);
	memcpy(*header, &header_bytes, SAFETENSORS_LENGTH_BYTES);
	memcpy(*header + SAFETENSORS_LENGTH_BYTES, text, length);
	*bytes = padded;
	rc = 0;
	goto out;
memory:
	error_memory(err, count * sizeof *tensors, "the header of a model");
out:
	free(text);
	json_decref(object);
	return rc;
}

bool safetensors_get_crc(const unsigned char *first, char digits[SAFETENSORS_CRC_DIGITS + 1])
{
	memcpy(digits, first + SAFETENSORS_CRC_OFFSET, SAFETENSORS_CRC_DIGITS);
	digits[SAFETENSORS_CRC_DIGITS] = '\0';
	return memcmp(first + SAFETENSORS_LENGTH_BYTES, CRC_KEY, sizeof CRC_KEY - 1) == 0 &&
	       strspn(digits, "0123456789abcdef") == SAFETENSORS_CRC_DIGITS;
}

void safetensors_put_crc(unsigned char *header, uint32_t crc)
{
	char digits[SAFETENSORS_CRC_DIGITS + 1];
	assert(memcmp(header + SAFETENSORS_LENGTH_BYTES, CRC_KEY, sizeof CRC_KEY - 1) == 0);
	snprintf(digits, sizeof digits, "%08x", (unsigned)crc);
	memcpy(header + SAFETENSORS_CRC_OFFSET, digits, SAFETENSORS_CRC_DIGITS);
}

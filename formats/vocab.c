/* vocab.c: two tables, one for each direction, and their place in a stream's header. */
#include "formats/vocab.h"

#include "base/show.h"
#include "base/utf8.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	SYMBOLS_PER_LINE = 16 /* of a header */
};

const char *const vocab_unit_words[] = {"codepoint", "byte", NULL};
const char *const vocab_newlines_words[] = {"keep", "universal", NULL};
static const char *const dtypes[] = {"|u1", "<u2", NULL};

/* Values that a symbol may have, and how many symbols there may be. */
static uint32_t unit_limit(enum vocab_unit unit)
{
	return unit == VOCAB_BYTE ? 256 : UTF8_CODEPOINTS;
}

static uint32_t size_limit(enum vocab_unit unit)
{
	return unit == VOCAB_BYTE ? 256 : VOCAB_SIZE_MAX;
}

static bool valid_symbol(enum vocab_unit unit, uint32_t symbol)
{
	bool surrogate = unit == VOCAB_CODEPOINT && symbol >= 0xD800 && symbol <= 0xDFFF;
	return symbol < unit_limit(unit) && !surrogate;
}

int vocab_init(struct vocab *vocab, enum vocab_unit unit, enum vocab_newlines newlines,
	const uint32_t *symbols, size_t size, struct error *err)
{
	uint32_t limit = unit_limit(unit);
	char name[32];

	*vocab = (struct vocab){.unit = unit, .newlines = newlines};
	if (size == 0)
		return error_set(err, STATUS_DATA, "the vocabulary is empty");
	assert(symbols);
	if (size > size_limit(unit))
		return error_set(err, STATUS_DATA,
			"a vocabulary of %zu symbols; at most %" PRIu32 " are possible", size,
			size_limit(unit));
	vocab->size = (uint32_t)size;
	vocab->symbols = malloc(size * sizeof *vocab->symbols);
	vocab->ids = calloc(limit, sizeof *vocab->ids);
	if (!vocab->symbols || !vocab->ids) {
		vocab_release(vocab);
		return error_memory(err, (size + limit) * sizeof *symbols, "a vocabulary");
	}
	memcpy(vocab->symbols, symbols, size * sizeof *symbols);
	for (uint32_t id = 0; id < size; id++) {
		uint32_t symbol = symbols[id];
		if (!valid_symbol(unit, symbol)) {
			vocab_release(vocab);
			return error_set(err, STATUS_DATA,
				"vocabulary: symbol %" PRIu32 " has the value %" PRIu32
				", which is no %s",
				id, symbol, unit == VOCAB_BYTE ? "byte" : "Unicode scalar value");
		}
		const uint32_t before = vocab_id(vocab->ids, symbol);
		if (before != VOCAB_NONE) {
			vocab_name(vocab, symbol, name);
			vocab_release(vocab);
			return error_set(err, STATUS_DATA,
				"vocabulary: symbols %" PRIu32 " and %" PRIu32 " are both %s",
				before, id, name);
		}
		vocab->ids[symbol] = id + 1;
	}
	return 0;
}

int vocab_copy(struct vocab *vocab, const struct vocab *from, struct error *err)
{
	return vocab_init(vocab, from->unit, from->newlines, from->symbols, from->size, err);
}

void vocab_release(struct vocab *vocab)
{
	free(vocab->symbols);
	free(vocab->ids);
	vocab->symbols = vocab->ids = NULL;
	vocab->size = 0;
}

int vocab_text(const struct vocab *vocab, uint32_t id, unsigned char text[4])
{
	assert(id < vocab->size);
	if (vocab->unit == VOCAB_CODEPOINT)
		return utf8_encode(vocab->symbols[id], text);
	text[0] = (unsigned char)vocab->symbols[id];
	return 1;
}

const char *vocab_name(const struct vocab *vocab, uint32_t symbol, char buf[32])
{
	unsigned char text[UTF8_MAX];
	if (vocab->unit == VOCAB_BYTE)
		snprintf(buf, 32, "byte 0x%02" PRIX32, symbol);
	else if (!show_visible(symbol))
		snprintf(buf, 32, "U+%04" PRIX32, symbol);
	else if (symbol < 0x80)
		snprintf(buf, 32, "'%c'", (int)symbol);
	else
		snprintf(buf, 32, "U+%04" PRIX32 " '%.*s'", symbol, utf8_encode(symbol, text),
			(const char *)text);
	return buf;
}

const char *vocab_names(const struct vocab *vocab, uint32_t first, char *buf, size_t n)
{
	enum { MORE = 24 }; /* " and 65535 more" */
	char name[32];
	size_t used = 0;
	buf[0] = '\0';
	for (uint32_t id = first; id < vocab->size; id++) {
		vocab_name(vocab, vocab->symbols[id], name);
		if (used + strlen(name) + MORE > n) {
			snprintf(buf + used, n - used, " and %" PRIu32 " more", vocab->size - id);
			break;
		}
		used += (size_t)snprintf(buf + used, n - used, "%s%s", used ? ", " : "", name);
	}
	return buf;
}

/* Index in `dtypes`. */
static unsigned dtype_of(const struct vocab *vocab)
{
	return vocab->size > 0x100;
}

unsigned vocab_id_bytes(const struct vocab *vocab)
{
	return 1u << dtype_of(vocab);
}

/* Ids pass through here on their way between any two programs, so their loops have to be vector
 * code. gcc -O2 makes it of runs of a fixed length on memory that is known not to overlap; the
 * functions that loop are inlined once for each size, which makes id_bytes a constant within them. */
enum { RUN = 64 };

/* Ids of two bytes need not be aligned; compilers make plain moves of the copies. */
static inline uint32_t load(unsigned id_bytes, const unsigned char *bytes, size_t i)
{
	uint16_t half;
	if (id_bytes == 1)
		return bytes[i];
	memcpy(&half, bytes + 2 * i, sizeof half);
	return le16toh(half);
}

static inline void store(unsigned id_bytes, unsigned char *bytes, size_t i, uint32_t id)
{
	uint16_t half = htole16((uint16_t)id);
	if (id_bytes == 1)
		bytes[i] = (unsigned char)id;
	else
		memcpy(bytes + 2 * i, &half, sizeof half);
}

__attribute__((always_inline)) static inline void pack(
	unsigned id_bytes, const uint32_t *restrict ids, size_t n, unsigned char *restrict bytes)
{
	size_t i = 0;
	for (; i + RUN <= n; i += RUN)
		for (size_t k = 0; k < RUN; k++)
			store(id_bytes, bytes + i * id_bytes, k, ids[i + k]);
	for (; i < n; i++)
		store(id_bytes, bytes, i, ids[i]);
}

void vocab_pack(const struct vocab *vocab, const uint32_t *restrict ids, size_t n,
	unsigned char *restrict bytes)
{
	if (vocab_id_bytes(vocab) == 1)
		pack(1, ids, n, bytes);
	else
		pack(2, ids, n, bytes);
}

__attribute__((always_inline)) static inline void unpack(
	unsigned id_bytes, const unsigned char *restrict bytes, size_t n, uint32_t *restrict ids)
{
	size_t i = 0;
	for (; i + RUN <= n; i += RUN)
		for (size_t k = 0; k < RUN; k++)
			ids[i + k] = load(id_bytes, bytes + i * id_bytes, k);
	for (; i < n; i++)
		ids[i] = load(id_bytes, bytes, i);
}

void vocab_unpack(const struct vocab *vocab, const unsigned char *restrict bytes, size_t n,
	uint32_t *restrict ids)
{
	if (vocab_id_bytes(vocab) == 1)
		unpack(1, bytes, n, ids);
	else
		unpack(2, bytes, n, ids);
}

/* The largest of n ids; of RUN at a time in numbers that are no wider than they, for the vectors' sake. */
#define LARGEST(type) \
	static uint32_t largest_##type(const unsigned char *bytes, size_t n) \
	{ \
		type most[RUN] = {0}; \
		uint32_t all = 0; \
		size_t i = 0; \
		for (; i + RUN <= n; i += RUN) \
			for (size_t k = 0; k < RUN; k++) { \
				const type id = \
					(type)load(sizeof(type), bytes + i * sizeof(type), k); \
				most[k] = id > most[k] ? id : most[k]; \
			} \
		for (size_t k = 0; k < RUN; k++) \
			all = most[k] > all ? most[k] : all; \
		for (; i < n; i++) \
			all = load(sizeof(type), bytes, i) > all ? load(sizeof(type), bytes, i) \
								 : all; \
		return all; \
	}
LARGEST(uint8_t)
LARGEST(uint16_t)

size_t vocab_check(const struct vocab *vocab, const unsigned char *bytes, size_t n)
{
	unsigned id_bytes = vocab_id_bytes(vocab);
	const uint32_t largest =
		id_bytes == 1 ? largest_uint8_t(bytes, n) : largest_uint16_t(bytes, n);
	if (n == 0 || largest < vocab->size)
		return n;
	size_t i = 0;
	while (load(id_bytes, bytes, i) < vocab->size)
		i++;
	return i;
}

bool vocab_equal(const struct vocab *a, const struct vocab *b)
{
	return a->unit == b->unit && a->newlines == b->newlines && a->size == b->size &&
	       memcmp(a->symbols, b->symbols, a->size * sizeof *a->symbols) == 0;
}

static int check_units(const struct vocab *from, const struct vocab *to, struct error *err)
{
	if (from->unit == to->unit)
		return 0;
	return error_set(err, STATUS_DATA,
		"the symbols are %ss, those of the other vocabulary are %ss",
		vocab_unit_words[from->unit], vocab_unit_words[to->unit]);
}

int vocab_extend(struct vocab *vocab, const struct vocab *more, struct error *err)
{
	size_t size = vocab->size;
	struct vocab extended;
	if (check_units(more, vocab, err) < 0)
		return -1;
	uint32_t *symbols = malloc((size + more->size) * sizeof *symbols);
	if (!symbols)
		return error_memory(err, (size + more->size) * sizeof *symbols, "a vocabulary");
	memcpy(symbols, vocab->symbols, size * sizeof *symbols);
	for (uint32_t id = 0; id < more->size; id++)
		if (vocab_find(vocab, more->symbols[id]) == VOCAB_NONE)
			symbols[size++] = more->symbols[id];
	int rc = (int)(size - vocab->size);
	if (rc > 0) {
		if (vocab_init(&extended, vocab->unit, vocab->newlines, symbols, size, err) < 0) {
			rc = -1;
		} else {
			vocab_release(vocab);
			*vocab = extended;
		}
	}
	free(symbols);
	return rc;
}

int vocab_remap(const struct vocab *from, const struct vocab *to, uint32_t *map, struct error *err)
{
	char name[32];
	if (check_units(from, to, err) < 0)
		return -1;
	for (uint32_t id = 0; id < from->size; id++) {
		map[id] = vocab_find(to, from->symbols[id]);
		if (map[id] == VOCAB_NONE)
			return error_set(err, STATUS_DATA,
				"the symbol %s is missing in the other vocabulary, which has "
				"%" PRIu32 " symbols",
				vocab_name(from, from->symbols[id], name), to->size);
	}
	return 0;
}

void vocab_write_keys(const struct vocab *vocab, const char *kind, FILE *f)
{
	fprintf(f, "kind: %s\nunit: %s\nnewlines: %s\ndtype: \"%s\"\n", kind,
		vocab_unit_words[vocab->unit], vocab_newlines_words[vocab->newlines],
		dtypes[dtype_of(vocab)]);
}

void vocab_write_symbols(const struct vocab *vocab, FILE *f)
{
	fputs("vocab: [", f);
	for (uint32_t id = 0; id < vocab->size; id++) {
		if (id > 0)
			fputc(',', f);
		fputs(id % SYMBOLS_PER_LINE == 0 ? "\n  " : " ", f);
		if (vocab->unit == VOCAB_BYTE)
			fprintf(f, "%" PRIu32, vocab->symbols[id]);
		else
			show_quoted_symbol(f, vocab->symbols[id]);
	}
	fputs("]\n", f);
}

/* One entry of the list as a symbol: for code points one quoted character, for bytes a number. */
static int read_symbol(const struct yaml *y, const struct yaml_node *node, enum vocab_unit unit,
	uint32_t *symbol, struct error *err)
{
	if (unit == VOCAB_BYTE) {
		uint64_t value;
		if (yaml_unsigned(y, node, "vocab", 0, 255, &value, err) < 0)
			return -1;
		*symbol = (uint32_t)value;
		return 0;
	}
	/* The parser has decoded the escapes, so one character is one UTF-8 sequence. */
	if (node->kind != YAML_SCALAR || node->plain || node->count == 0 ||
		utf8_decode((const unsigned char *)yaml_text(y, node), node->count, symbol) !=
			(int)node->count)
		return yaml_error(y, node, err, "vocab: expected one quoted character an entry");
	return 0;
}

/* The list's symbols into *symbols, which the caller frees. */
static int read_list(const struct yaml *y, const struct yaml_node *list, enum vocab_unit unit,
	uint32_t **symbols, size_t *size, struct error *err)
{
	if (!list || list->kind != YAML_SEQUENCE)
		return yaml_error(y, list, err, "vocab: expected a list");
	*size = list->count;
	if (*size == 0 || *size > size_limit(unit))
		return yaml_error(y, list, err,
			"vocab: expected 1 to %" PRIu32 " symbols, found %zu", size_limit(unit),
			*size);
	*symbols = malloc(*size * sizeof **symbols);
	if (!*symbols)
		return error_memory(err, *size * sizeof **symbols, "a vocabulary");
	uint32_t *to = *symbols;
	for (const struct yaml_node *node = yaml_first(y, list); node; node = yaml_next(y, node))
		if (read_symbol(y, node, unit, to++, err) < 0)
			return -1;
	return 0;
}

int vocab_read(struct vocab *vocab, const struct yaml *y, const char *kind, struct error *err)
{
	const struct yaml_node *root = yaml_root(y);
	const struct yaml_node *dtype_node = yaml_get(y, root, "dtype");
	const struct yaml_node *notes = yaml_get(y, root, "notes");
	const char *const kinds[] = {kind, NULL};
	unsigned unit, newlines, dtype, only;
	uint32_t *symbols = NULL;
	size_t size = 0;
	int rc = -1;

	*vocab = (struct vocab){0};
	if (notes && notes->kind != YAML_MAPPING)
		return yaml_error(y, notes, err, "notes: expected a mapping");
	if (yaml_choice(y, yaml_get(y, root, "kind"), "kind", kinds, &only, err) < 0 ||
		yaml_choice(y, yaml_get(y, root, "unit"), "unit", vocab_unit_words, &unit, err) <
			0 ||
		yaml_choice(y, yaml_get(y, root, "newlines"), "newlines", vocab_newlines_words,
			&newlines, err) < 0 ||
		yaml_choice(y, dtype_node, "dtype", dtypes, &dtype, err) < 0 ||
		read_list(y, yaml_get(y, root, "vocab"), unit, &symbols, &size, err) < 0 ||
		vocab_init(vocab, unit, newlines, symbols, size, err) < 0)
		goto out;
	if (dtype != dtype_of(vocab)) {
		yaml_error(y, dtype_node, err,
			"dtype: expected \"%s\" for %" PRIu32 " symbols, found \"%s\"",
			dtypes[dtype_of(vocab)], vocab->size, dtypes[dtype]);
		vocab_release(vocab);
		goto out;
	}
	rc = 0;
out:
	free(symbols);
	return rc;
}

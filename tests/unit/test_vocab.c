/* Vocabularies: both directions, names, what is refused, one mapped onto another. */
#include "formats/vocab.h"

#include "base/utf8.h"
#include "formats/vocab_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct vocab make(enum vocab_unit unit, const uint32_t *symbols, size_t size)
{
	struct vocab vocab;
	struct error err;
	if (vocab_init(&vocab, unit, VOCAB_KEEP, symbols, size, &err) < 0)
		fail_msg("%s", err.text);
	return vocab;
}

static const uint32_t greek[] = {0x3B1, 'z', 0x1F642, '\n'};

static void symbols_and_ids_are_inverse(void **state)
{
	struct vocab vocab = make(VOCAB_CODEPOINT, greek, 4);
	(void)state;
	for (uint32_t id = 0; id < 4; id++)
		assert_int_equal(vocab_find(&vocab, greek[id]), id);
	assert_int_equal(vocab_find(&vocab, 'a'), VOCAB_NONE);
	assert_int_equal(vocab_find(&vocab, 0x10FFFF), VOCAB_NONE);
	assert_int_equal(vocab_find(&vocab, 0x110000), VOCAB_NONE);
	assert_int_equal(vocab_find(&vocab, UINT32_MAX), VOCAB_NONE);
	vocab_release(&vocab);
	vocab_release(&vocab);
}

static void an_id_s_text_is_utf8_or_one_byte(void **state)
{
	const uint32_t byte = 0xE9;
	unsigned char text[4];
	struct vocab vocab = make(VOCAB_CODEPOINT, greek, 4);
	(void)state;
	assert_int_equal(vocab_text(&vocab, 0, text), 2);
	assert_memory_equal(text, "\xCE\xB1", 2);
	assert_int_equal(vocab_text(&vocab, 2, text), 4);
	assert_memory_equal(text, "\xF0\x9F\x99\x82", 4);
	vocab_release(&vocab);
	vocab = make(VOCAB_BYTE, &byte, 1);
	assert_int_equal(vocab_text(&vocab, 0, text), 1);
	assert_int_equal(text[0], 0xE9);
	assert_int_equal(vocab_find(&vocab, 256), VOCAB_NONE);
	vocab_release(&vocab);
}

static void names_are_fit_for_messages(void **state)
{
	struct vocab characters = {.unit = VOCAB_CODEPOINT}, bytes = {.unit = VOCAB_BYTE};
	char buf[32];
	(void)state;
	assert_string_equal(vocab_name(&characters, 'a', buf), "'a'");
	assert_string_equal(vocab_name(&characters, ' ', buf), "' '");
	assert_string_equal(vocab_name(&characters, '\n', buf), "U+000A");
	assert_string_equal(vocab_name(&characters, 0xE9, buf), "U+00E9 '\xC3\xA9'");
	assert_string_equal(vocab_name(&characters, 0x1F642, buf), "U+1F642 '\xF0\x9F\x99\x82'");
	assert_string_equal(vocab_name(&characters, 0x202E, buf), "U+202E");
	assert_string_equal(vocab_name(&characters, 0xD800, buf), "U+D800");
	assert_string_equal(vocab_name(&bytes, 0xE9, buf), "byte 0xE9");
	assert_string_equal(vocab_name(&bytes, 'a', buf), "byte 0x61");
}

static void impossible_vocabularies_are_refused(void **state)
{
	static const struct {
		enum vocab_unit unit;
		uint32_t symbols[3];
		size_t size;
		const char *message;
	} cases[] = {
		{VOCAB_CODEPOINT, {0}, 0, "empty"},
		{VOCAB_CODEPOINT, {'a', 'b', 'a'}, 3, "symbols 0 and 2 are both 'a'"},
		{VOCAB_CODEPOINT, {0xD800}, 1, "no Unicode scalar value"},
		{VOCAB_CODEPOINT, {0xDFFF}, 1, "no Unicode scalar value"},
		{VOCAB_CODEPOINT, {0x110000}, 1, "no Unicode scalar value"},
		{VOCAB_CODEPOINT, {UINT32_MAX}, 1, "no Unicode scalar value"},
		{VOCAB_BYTE, {255, 256}, 2, "no byte"},
		{VOCAB_BYTE, {7, 7}, 2, "both byte 0x07"},
	};
	struct vocab vocab;
	struct error err;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(vocab_init(&vocab, cases[i].unit, VOCAB_KEEP, cases[i].symbols,
					 cases[i].size, &err),
			-1);
		assert_int_equal(err.status, STATUS_DATA);
		assert_non_null(strstr(err.text, cases[i].message));
		vocab_release(&vocab);
	}
	uint32_t *many = calloc(VOCAB_SIZE_MAX + 1, sizeof *many);
	for (uint32_t i = 0; i <= VOCAB_SIZE_MAX; i++)
		many[i] = 0x10000 + i;
	assert_int_equal(vocab_init(&vocab, VOCAB_BYTE, VOCAB_KEEP, many, 257, &err), -1);
	assert_non_null(strstr(err.text, "257 symbols; at most 256"));
	assert_int_equal(
		vocab_init(&vocab, VOCAB_CODEPOINT, VOCAB_KEEP, many, VOCAB_SIZE_MAX + 1, &err),
		-1);
	assert_non_null(strstr(err.text, "65537 symbols; at most 65536"));
	free(many);
}

static void ids_take_the_fewest_bytes(void **state)
{
	static const struct {
		size_t size;
		unsigned bytes;
	} cases[] = {{1, 1}, {256, 1}, {257, 2}, {65536, 2}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vocab vocab = {.size = (uint32_t)cases[i].size};
		assert_int_equal(vocab_id_bytes(&vocab), cases[i].bytes);
	}
}

static void packed_ids_are_little_endian_and_checked(void **state)
{
	static const uint32_t sizes[] = {200, 60000};
	const uint32_t ids[] = {199, 1, 0};
	unsigned char bytes[13];
	uint32_t again[3];
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct vocab vocab = {.size = sizes[i]};
		unsigned n = vocab_id_bytes(&vocab);
		vocab_pack(&vocab, ids, 3, bytes + 1); /* not aligned */
		for (size_t k = 0; k < 3; k++) {
			assert_int_equal(bytes[1 + k * n], ids[k]);
			for (size_t high = 1; high < n; high++)
				assert_int_equal(bytes[1 + k * n + high], 0);
		}
		vocab_unpack(&vocab, bytes + 1, 3, again);
		assert_memory_equal(again, ids, sizeof ids);
		assert_int_equal(vocab_check(&vocab, bytes + 1, 3), 3);
		assert_int_equal(vocab_check(&vocab, bytes + 1, 0), 0);
		bytes[1 + 2 * n - 1] = 255; /* the top byte of the second one */
		assert_int_equal(vocab_check(&vocab, bytes + 1, 3), 1);
	}
}

static void equal_means_the_same_symbols_order_unit_and_newlines(void **state)
{
	const uint32_t other[] = {'z', 0x3B1, 0x1F642, '\n'};
	struct error err;
	struct vocab a = make(VOCAB_CODEPOINT, greek, 4), b = make(VOCAB_CODEPOINT, other, 4), c;
	(void)state;
	assert_int_equal(vocab_copy(&c, &a, &err), 0);
	assert_true(vocab_equal(&a, &c));
	assert_false(vocab_equal(&a, &b));
	c.newlines = VOCAB_UNIVERSAL;
	assert_false(vocab_equal(&a, &c));
	assert_string_equal(vocab_newlines_words[a.newlines], "keep");
	assert_string_equal(vocab_newlines_words[c.newlines], "universal");
	vocab_release(&c);
	c = make(VOCAB_CODEPOINT, greek, 3);
	assert_false(vocab_equal(&a, &c));
	vocab_release(&c);
	c = make(VOCAB_BYTE, (const uint32_t[]){1, 2, 3, 4}, 4);
	assert_false(vocab_equal(&a, &c));
	assert_string_equal(vocab_unit_words[a.unit], "codepoint");
	assert_string_equal(vocab_unit_words[c.unit], "byte");
	vocab_release(&a);
	vocab_release(&b);
	vocab_release(&c);
}

static void ids_are_remapped_by_their_symbols(void **state)
{
	const uint32_t other[] = {'a', '\n', 'z', 0x1F642, 0x3B1}, bytes[] = {'z'};
	struct vocab from = make(VOCAB_CODEPOINT, greek, 4), to = make(VOCAB_CODEPOINT, other, 5);
	struct vocab byte = make(VOCAB_BYTE, bytes, 1);
	struct error err;
	uint32_t map[5];
	(void)state;
	assert_int_equal(vocab_remap(&from, &to, map, &err), 0);
	for (uint32_t id = 0; id < 4; id++)
		assert_int_equal(other[map[id]], greek[id]);
	assert_int_equal(vocab_remap(&to, &from, map, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "'a'"));
	assert_int_equal(vocab_remap(&byte, &to, map, &err), -1);
	assert_non_null(strstr(err.text, "codepoint"));
	vocab_release(&from);
	vocab_release(&to);
	vocab_release(&byte);
}

static void a_vocabulary_gets_what_it_lacks(void **state)
{
	const uint32_t more[] = {'y', 0x3B1, 0x200E}, bytes[] = {'z'};
	struct vocab vocab = make(VOCAB_CODEPOINT, greek, 4),
		     other = make(VOCAB_CODEPOINT, more, 3);
	struct vocab byte = make(VOCAB_BYTE, bytes, 1);
	struct error err;
	char names[80];
	(void)state;
	assert_int_equal(vocab_extend(&vocab, &byte, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_int_equal(vocab_extend(&vocab, &other, &err), 2);
	assert_int_equal(vocab.size, 6);
	assert_memory_equal(vocab.symbols, greek, sizeof *greek * 4);
	assert_int_equal(vocab_find(&vocab, 'y'), 4);
	assert_int_equal(vocab_find(&vocab, 0x200E), 5);
	assert_int_equal(vocab_extend(&vocab, &other, &err), 0);
	assert_string_equal(vocab_names(&vocab, 4, names, sizeof names), "'y', U+200E");
	assert_string_equal(vocab_names(&vocab, 4, names, 32), "'y' and 1 more");
	vocab_release(&vocab);
	vocab_release(&other);
	vocab_release(&byte);
}

static void a_header_s_keys_bring_the_vocabulary_back(void **state)
{
	uint32_t symbols[600];
	(void)state;
	for (uint32_t i = 0; i < 600; i++)
		symbols[i] = i * 31 % 600; /* controls, quotes, backslash among them */
	for (int way = 0; way < 2; way++) {
		struct vocab vocab, again;
		struct yaml y;
		struct error err;
		char *text;
		size_t bytes;
		for (uint32_t i = 0; way == 1 && i < 256; i++)
			symbols[i] = 255 - i;
		vocab = make(
			way == 0 ? VOCAB_CODEPOINT : VOCAB_BYTE, symbols, way == 0 ? 600 : 256);
		vocab.newlines = VOCAB_UNIVERSAL;
		FILE *f = open_memstream(&text, &bytes);
		vocab_write_keys(&vocab, "tokens", f);
		vocab_write_symbols(&vocab, f);
		fclose(f);
		assert_int_equal(yaml_parse(&y, text, bytes, 1, STATUS_DATA, &err), 0);
		if (vocab_read(&again, &y, "tokens", &err) < 0)
			fail_msg("%s", err.text);
		assert_true(vocab_equal(&again, &vocab));
		for (char *line = text, *end; *line; line = end + 1) { /* for people */
			end = strchr(line, '\n');
			assert_in_range(end - line, 1, 200);
		}
		yaml_release(&y);
		free(text);
		vocab_release(&vocab);
		vocab_release(&again);
	}
}

static void a_header_can_hold_the_longest_vocabulary(void **state)
{
	uint32_t *symbols = malloc(VOCAB_SIZE_MAX * sizeof *symbols);
	struct vocab vocab, again;
	struct yaml y;
	struct error err;
	char *text;
	size_t bytes;
	(void)state;
	for (uint32_t i = 0; i < VOCAB_SIZE_MAX; i++) /* their escapes are the longest */
		symbols[i] = UTF8_CODEPOINTS - 1 - i;
	vocab = make(VOCAB_CODEPOINT, symbols, VOCAB_SIZE_MAX);
	FILE *f = open_memstream(&text, &bytes);
	vocab_write_keys(&vocab, "tokens", f);
	vocab_write_symbols(&vocab, f);
	fclose(f);
	assert_in_range(bytes, 900000, 950000); /* stream.md says 0.9 MB, 1 MiB may be */
	assert_int_equal(yaml_parse(&y, text, bytes, 1, STATUS_DATA, &err), 0);
	assert_int_equal(vocab_read(&again, &y, "tokens", &err), 0);
	assert_true(vocab_equal(&again, &vocab));
	yaml_release(&y);
	free(text);
	vocab_release(&vocab);
	vocab_release(&again);
	free(symbols);
}

/* Parses keys and expects this in what vocab_read() says. */
static void refused(const char *text, const char *message)
{
	struct vocab vocab;
	struct yaml y;
	struct error err;
	assert_int_equal(yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err), 0);
	assert_int_equal(vocab_read(&vocab, &y, "tokens", &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	if (!strstr(err.text, message))
		fail_msg("expected \"%s\" in \"%s\"", message, err.text);
	yaml_release(&y);
}

static void keys_that_make_no_vocabulary_are_refused(void **state)
{
#define KEYS(unit, dtype) "kind: tokens\nunit: " unit "\nnewlines: keep\ndtype: \"" dtype "\"\n"
	(void)state;
	refused("", "kind");
	refused("kind: shards\n", "kind: expected one of tokens");
	refused("kind: tokens\nnotes: 1\n", "line 2: notes: expected a mapping");
	refused("kind: tokens\nunit: word\n", "unit");
	refused("kind: tokens\nunit: byte\nnewlines: crlf\n", "newlines");
	refused(KEYS("byte", "<u4") "vocab: [1]\n", "dtype: expected one of |u1, <u2");
	refused(KEYS("byte", "|u1"), "expected a list");
	refused(KEYS("byte", "|u1") "vocab: {1: 2}\n", "line 5: vocab: expected a list");
	refused(KEYS("byte", "|u1") "vocab: []\n", "1 to 256 symbols, found 0");
	refused(KEYS("byte", "|u1") "vocab: [256]\n", "0 to 255");
	char many[64 + 3 * 257] = KEYS("byte", "|u1") "vocab: [1";
	for (int i = 0; i < 256; i++)
		strcat(many, ",1");
	refused(strcat(many, "]"), "1 to 256 symbols, found 257");
	refused(KEYS("byte", "|u1") "vocab: [\"a\"]\n", "line 5: vocab: expected a number");
	refused(KEYS("byte", "|u1") "vocab: ['a']\n", "expected a number");
	refused(KEYS("codepoint", "|u1") "vocab: [[]]\n", "one quoted character");
	refused(KEYS("codepoint", "|u1") "vocab: ['']\n", "one quoted character");
	refused(KEYS("codepoint", "|u1") "vocab: [a]\n", "one quoted character");
	refused(KEYS("codepoint", "|u1") "vocab: [\"a\", \"a\"]\n", "both 'a'");
	refused(KEYS("codepoint", "<u2") "vocab: [\"a\"]\n", "line 4: dtype: expected \"|u1\"");
#undef KEYS
}

static void only_files_that_have_a_vocabulary_give_one(void **state)
{
	static const struct {
		const char *path, *message;
		uint32_t size;
	} cases[] = {
		{"tests/golden/streams/hello.tokens", NULL, 17},
		{"tests/golden/streams/wrap.shards", NULL, 10},
		{"tests/golden/model/small.safetensors", NULL, 3},
		{"tests/golden/model/state_dict.safetensors", "doesn't say which symbols", 0},
		{"tests/golden/streams/cut-frames.tokens", NULL, 17}, /* it stands before them */
		{"tests/golden/streams/cut-header.tokens", "incomplete", 0},
		{"tests/golden/streams/rows.shards", "rows", 0},
		{"tests/golden/streams/text.tokens", "expected a token stream, shards or a model",
			0},
		{"tests/golden/streams/empty.tokens", "expected a token stream, shards or a model",
			0},
		{"tests/golden/nowhere", "can't open", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vocab vocab;
		struct error err;
		int rc = vocab_file_read(&vocab, cases[i].path, &err);
		if (cases[i].message) {
			assert_int_equal(rc, -1);
			assert_memory_equal(err.text, cases[i].path, strlen(cases[i].path));
			if (!strstr(err.text, cases[i].message))
				fail_msg("%s", err.text);
			continue;
		}
		if (rc < 0)
			fail_msg("%s", err.text);
		assert_int_equal(vocab.size, cases[i].size);
		vocab_release(&vocab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(symbols_and_ids_are_inverse),
		cmocka_unit_test(an_id_s_text_is_utf8_or_one_byte),
		cmocka_unit_test(names_are_fit_for_messages),
		cmocka_unit_test(impossible_vocabularies_are_refused),
		cmocka_unit_test(ids_take_the_fewest_bytes),
		cmocka_unit_test(packed_ids_are_little_endian_and_checked),
		cmocka_unit_test(equal_means_the_same_symbols_order_unit_and_newlines),
		cmocka_unit_test(ids_are_remapped_by_their_symbols),
		cmocka_unit_test(a_vocabulary_gets_what_it_lacks),
		cmocka_unit_test(a_header_s_keys_bring_the_vocabulary_back),
		cmocka_unit_test(a_header_can_hold_the_longest_vocabulary),
		cmocka_unit_test(keys_that_make_no_vocabulary_are_refused),
		cmocka_unit_test(only_files_that_have_a_vocabulary_give_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

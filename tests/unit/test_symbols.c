/* The characters in headers: read as libyaml and jansson would, at a fraction of the price. */
#include "formats/symbols.h"

#include "base/utf8.h"
#include "formats/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static bool is_surrogate(uint32_t c)
{
	return c >= 0xD800 && c <= 0xDFFF;
}

/* The entry that a text is, or UINT32_MAX. */
static uint32_t entry(size_t (*read)(const char *, const char *, uint32_t *), const char *text)
{
	const char *at = text, *end = text + strlen(text);
	uint32_t c;
	if (!symbols_entry(read, &at, end, &c)) {
		assert_ptr_equal(at, text);
		return UINT32_MAX;
	}
	return at == end ? c : UINT32_MAX;
}

static void every_character_that_is_written_is_read(void **state)
{
	char *yaml;
	size_t n;
	uint32_t found;
	FILE *f = open_memstream(&yaml, &n);
	(void)state;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++)
		if (!is_surrogate(c))
			yaml_write_symbol(f, c);
	fclose(f);
	const char *at = yaml;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++)
		if (!is_surrogate(c))
			assert_true(
				symbols_entry(symbols_yaml, &at, yaml + n, &found) && found == c);
	assert_ptr_equal(at, yaml + n);
	free(yaml);

	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c += c < 0x300 ? 1 : 61)
		for (int ascii = 0; ascii < 2 && !is_surrogate(c); ascii++) {
			unsigned char utf8[UTF8_MAX];
			json_t *string = json_stringn((char *)utf8, (size_t)utf8_encode(c, utf8));
			char *json = json_dumps(
				string, JSON_ENCODE_ANY | (ascii ? JSON_ENSURE_ASCII : 0));
			assert_int_equal(entry(symbols_json, json), c);
			free(json);
			json_decref(string);
		}
}

static void an_entry_is_one_character_between_quotes(void **state)
{
	static const char *const broken[] = {
		"",
		"a",
		"\"",
		"\"\"",
		"\"a",
		"\"ab\"",
		"'a'",
		"\"\\",
		"\"\\\"",
		"\"\\u\"",
		"\"\\u12\"",
		"\"\\u123",
		"\"\\u12g4\"",
		"\"\\u12:4\"",
		"\"\\q\"",
		"\"\n\"",
		"\"\x1f\"",
		"\"\xff\"",
		"\"\xc3\"",
		"\"\xed\xa0\x80\"",
		"\"\\ud800\"",
		"\"\\udc00\"",
		"\"\\udbff\\u0041\"",
		"\"\\ud800\\",
		"\"\\ud800\\n1234\"",
		"\"\\ud800xu1234\"",
		"\"\\ud800\\udc0\"",
		"\"\\ud800\\ue000\"",
	};
	(void)state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		if (entry(symbols_json, broken[i]) != UINT32_MAX)
			fail_msg("taken as JSON: %s", broken[i]);
		if (entry(symbols_yaml, broken[i]) != UINT32_MAX)
			fail_msg("taken as YAML: %s", broken[i]);
	}
	assert_int_equal(entry(symbols_json, "\"\\u00E9\""), 0xE9);
	assert_int_equal(entry(symbols_json, "\"\\uD83D\\ude42\""), 0x1F642);
	assert_int_equal(entry(symbols_json, "\"\\u0000\""), 0);
	assert_int_equal(entry(symbols_yaml, "\"\\xE9\""), 0xE9);
	assert_int_equal(entry(symbols_json, "\"\\xE9\""), UINT32_MAX);
	assert_int_equal(entry(symbols_yaml, "\"\\U00110000\""), UINT32_MAX);
	assert_int_equal(entry(symbols_yaml, "\"\\Uffffffff\""), UINT32_MAX);
	assert_int_equal(entry(symbols_yaml, "\"\\ud83d\\ude42\""), UINT32_MAX);
	/* The soft hyphen: charpipe escapes it. */
	assert_int_equal(entry(symbols_yaml, "\"\xc2\xad\""), UINT32_MAX);
	assert_int_equal(entry(symbols_json, "\"\xc2\xad\""), 0xAD);
}

/* The symbol that libyaml finds in a list of one entry, or UINT32_MAX. */
static uint32_t by_libyaml(const char *text)
{
	struct yaml y;
	struct error err;
	char list[80];
	uint32_t c = UINT32_MAX;
	snprintf(list, sizeof list, "[%s]", text);
	if (yaml_parse(&y, list, strlen(list), 1, NULL, STATUS_DATA, &err) < 0)
		return UINT32_MAX;
	const struct yaml_node *node = yaml_first(&y, yaml_root(&y));
	if (node && node->kind == YAML_SCALAR && !yaml_next(&y, node) && node->count > 0 &&
		utf8_decode((const unsigned char *)yaml_text(&y, node), node->count, &c) !=
			(int)node->count)
		c = UINT32_MAX;
	yaml_release(&y);
	return c;
}

static uint32_t by_jansson(const char *text)
{
	json_t *string = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	size_t n = json_string_length(string);
	uint32_t c = UINT32_MAX;
	if (n > 0 && utf8_decode((const unsigned char *)json_string_value(string), n, &c) != (int)n)
		c = UINT32_MAX;
	json_decref(string);
	return c;
}

/* Strings of the bytes that matter, at random. JSON has to agree in all, YAML in what it takes. */
static void the_libraries_read_the_same(void **state)
{
	static const char *const pieces[] = {"\\", "\"", "u", "U", "x", "d", "8", "3", "D", "c",
		"0", "00", "e", "n", "t", "/", "b", "\xc3\xa9", "\xf0\x9f\x99\x82", "\xe2", "\x82",
		"\x01", "a", "\\u00", "\\ud83d", "\\ude42", "\\U0001f", "\\x"};
	enum { PIECES = sizeof pieces / sizeof *pieces };
	uint32_t random = 1, accepted = 0;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		char text[64] = "\"";
		random = random * 1664525 + 1013904223;
		for (uint32_t i = 0, n = random >> 28 & 3; i <= n; i++) {
			random = random * 1664525 + 1013904223;
			strcat(text, pieces[(random >> 16) % PIECES]);
		}
		strcat(text, "\"");
		uint32_t json = entry(symbols_json, text), yaml = entry(symbols_yaml, text);
		if (json != by_jansson(text))
			fail_msg("JSON: %s", text);
		if (yaml != UINT32_MAX && yaml != by_libyaml(text))
			fail_msg("YAML: %s", text);
		accepted += json != UINT32_MAX && yaml != UINT32_MAX;
	}
	assert_in_range(accepted, 500, 20000);
}

static void a_text_with_a_hole_is_read_around_it(void **state)
{
	static const struct {
		size_t begin, end, lines;
		const char *expected;
	} cases[] = {
		{0, 0, 0, "0123456789"},
		{3, 5, 0, "01256789"},
		{0, 4, 0, "456789"},
		{4, 10, 0, "0123"},
		{3, 5, 1, "012\n56789"},
		{2, 9, 3, "01\n\n\n9"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t n = 1; n < 12; n++) {
			struct symbols_rest rest = {.text = "0123456789",
				.bytes = 10,
				.begin = cases[i].begin,
				.end = cases[i].end,
				.lines = cases[i].lines};
			char all[32] = "";
			size_t used = 0, got;
			while ((got = symbols_rest_read(&rest, all + used, n)) > 0) {
				assert_in_range(got, 1, n);
				used += got;
			}
			assert_string_equal(all, cases[i].expected);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_character_that_is_written_is_read),
		cmocka_unit_test(an_entry_is_one_character_between_quotes),
		cmocka_unit_test(the_libraries_read_the_same),
		cmocka_unit_test(a_text_with_a_hole_is_read_around_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The YAML that is accepted, what it becomes, and what is refused. */
#include "base/show.h"
#include "base/utf8.h"
#include "formats/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct yaml parse(const char *text)
{
	struct yaml y;
	struct error err;
	if (yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return y;
}

static void scalars_keep_their_text_line_and_quotes(void **state)
{
	struct yaml y = parse("a: 1\nb: '1'\nc: \"\\x31\"\n\nd: |\n  1\n");
	const struct yaml_node *root = yaml_root(&y), *node;
	(void)state;
	assert_int_equal(root->kind, YAML_MAPPING);
	assert_int_equal(root->count, 8);
	for (const char *key = "abcd"; *key; key++) {
		const char name[] = {*key, '\0'};
		node = yaml_get(&y, root, name);
		assert_non_null(node);
		assert_int_equal(node->kind, YAML_SCALAR);
		assert_int_equal(node->plain, *key == 'a');
		assert_int_equal(node->line, *key == 'd' ? 5 : *key - 'a' + 1);
		assert_string_equal(yaml_text(&y, node), *key == 'd' ? "1\n" : "1");
	}
	assert_null(yaml_get(&y, root, "e"));
	yaml_release(&y);
	yaml_release(&y);
}

static void containers_nest(void **state)
{
	struct yaml y = parse("a: [1, [2, 3], {b: 4}]\nc:\n- 5\n- 6\n");
	const struct yaml_node *list = yaml_get(&y, yaml_root(&y), "a"), *node;
	(void)state;
	assert_int_equal(list->kind, YAML_SEQUENCE);
	assert_int_equal(list->count, 3);
	node = yaml_first(&y, list);
	assert_string_equal(yaml_text(&y, node), "1");
	node = yaml_next(&y, node);
	assert_int_equal(node->count, 2);
	assert_string_equal(yaml_text(&y, yaml_next(&y, yaml_first(&y, node))), "3");
	node = yaml_next(&y, node);
	assert_string_equal(yaml_text(&y, yaml_get(&y, node, "b")), "4");
	assert_null(yaml_next(&y, node));
	assert_int_equal(yaml_get(&y, yaml_root(&y), "c")->count, 2);
	yaml_release(&y);
}

static void nothing_but_comments_is_an_empty_document(void **state)
{
	struct yaml y = parse("# a comment\n");
	(void)state;
	assert_null(yaml_root(&y));
	yaml_release(&y);
}

static void what_headers_have_no_use_for_is_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "line 3: key \"a\" again, after line 1"},
		{"a: {x: 1, \"x\": 2}\n", "line 1: key \"x\" again"},
		{"[a]: 1\n", "line 1: a key must be a scalar"},
		{"? {a: 1}\n: 2\n", "line 1: a key must be a scalar"},
		{"a: &x 1\n", "line 1: anchors"},
		{"a: &x [1]\n", "line 1: anchors"},
		{"a: &x {b: 1}\n", "line 1: anchors"},
		{"a: *x\n", "line 1: aliases"},
		{"a: !!int 1\n", "line 1: tags"},
		{"a: ! 1\n", "line 1: tags"},
		{"a: !x [1]\n", "line 1: tags"},
		{"a: !x {b: 1}\n", "line 1: tags"},
		{"a: 1\n---\nb: 1\n", "line 2: a second document"},
		{"%YAML 1.1\n---\na: 1\n", "line 1: directives"},
		{"%TAG ! x:\n---\na: 1\n", "line 1: directives"},
		{"a: [[[[[[[[1]]]]]]]]\n", "line 1: nested too deep"},
		{"a: 'b\n", "line 2: found unexpected end of stream"},
		{"a: 1\n b: 2\n", "line 2: mapping values are not allowed"},
		{"a: \xff\n", "byte 3 of the YAML"},
		{"a: \1\n", "byte 3 of the YAML"},
		{"a: \"\\ud800\"\n", "line 1:"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct yaml y;
		struct error err = {0};
		if (yaml_parse(&y, cases[i].text, strlen(cases[i].text), 1, STATUS_CONFIG, &err) ==
			0)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(err.text, cases[i].message))
			fail_msg("expected \"%s\" in \"%s\"", cases[i].message, err.text);
		assert_int_equal(err.status, STATUS_CONFIG);
		yaml_release(&y);
	}
}

static void many_tag_directives_take_no_quadratic_time(void **state)
{
	char text[(YAML_TAGS_MAX + 2) * 16], *end = text;
	struct yaml y;
	struct error err;
	(void)state;
	for (int i = 0; i < YAML_TAGS_MAX; i++)
		end += sprintf(end, "%%TAG !%d! x\n", i);
	strcpy(end, "---\na: 1\n");
	assert_int_equal(yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err), -1);
	assert_non_null(strstr(err.text, "line 1: directives"));
	strcpy(end, "%TAG !! x\n---\na: 1\n");
	assert_int_equal(yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err), -1);
	assert_non_null(strstr(err.text, "line 65: too many %TAG"));
	assert_int_equal(err.status, STATUS_DATA);
}

static void lines_are_counted_from_the_first_line_given(void **state)
{
	struct yaml y;
	struct error err;
	(void)state;
	assert_int_equal(yaml_parse(&y, "---\na: *x\n", 10, 2, STATUS_DATA, &err), -1);
	assert_non_null(strstr(err.text, "line 3: aliases"));
	assert_int_equal(err.status, STATUS_DATA);
}

static void a_mapping_of_too_many_keys_is_refused(void **state)
{
	char text[257 * 8], *end = text;
	struct yaml y;
	struct error err;
	(void)state;
	for (int i = 0; i < 256; i++)
		end += sprintf(end, "k%d: 1\n", i);
	y = parse(text);
	assert_int_equal(yaml_root(&y)->count, 512);
	yaml_release(&y);
	strcpy(end, "k: 1\n");
	assert_int_equal(yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err), -1);
}

static void deep_nesting_ends_early_however_long_the_input(void **state)
{
	size_t n = YAML_BYTES_MAX;
	char *text = malloc(n);
	(void)state;
	for (const char *open = "[{-?"; *open; open++) {
		struct yaml y;
		struct error err;
		for (size_t i = 0; i < n; i += 2) {
			text[i] = *open;
			text[i + 1] = ' ';
		}
		assert_int_equal(yaml_parse(&y, text, n, 1, STATUS_DATA, &err), -1);
	}
	free(text);
}

static void large_documents_are_refused(void **state)
{
	size_t n = YAML_BYTES_MAX + 1;
	char *text = malloc(n);
	struct yaml y;
	struct error err;
	(void)state;
	memset(text, ' ', n);
	assert_int_equal(yaml_parse(&y, text, n, 1, STATUS_DATA, &err), -1);
	assert_non_null(strstr(err.text, "1048577 bytes of YAML"));
	assert_int_equal(yaml_parse(&y, text, n - 1, 1, STATUS_DATA, &err), 0);
	memset(text + 1, 'a', n - 3);
	text[n - 2] = '\n';
	assert_int_equal(yaml_parse(&y, text, n - 1, 1, STATUS_DATA, &err), 0);
	assert_int_equal(yaml_root(&y)->count, n - 3);
	yaml_release(&y);
	for (size_t i = 0; i < n; i += 2)
		text[i] = ',';
	text[0] = '[';
	for (size_t i = 1; i < n; i += 2)
		text[i] = '1';
	assert_int_equal(yaml_parse(&y, text, n - 1, 1, STATUS_DATA, &err), -1);
	assert_non_null(strstr(err.text, "too many values"));
	free(text);
}

/* Nodes that are not there, or of another kind than a caller hopes for. */
static void what_is_not_there_is_told(void **state)
{
	static const char *const keys[] = {"a", NULL};
	struct yaml y = parse("a: \nb: [1]\n");
	const struct yaml_node *root = yaml_root(&y), *list = yaml_get(&y, root, "b");
	struct error err;
	uint64_t value;
	unsigned choice;
	(void)state;
	assert_null(yaml_first(&y, yaml_get(&y, root, "a")));
	assert_null(yaml_get(&y, list, "a"));
	assert_null(yaml_get(&y, NULL, "a"));
	assert_int_equal(yaml_keys(&y, NULL, keys, &err), -1);
	assert_int_equal(yaml_keys(&y, list, keys, &err), -1);
	assert_int_equal(yaml_unsigned(&y, NULL, "a", 0, 9, &value, &err), -1);
	assert_int_equal(yaml_unsigned(&y, list, "b", 0, 9, &value, &err), -1);
	assert_int_equal(yaml_unsigned(&y, yaml_get(&y, root, "a"), "a", 0, 9, &value, &err), -1);
	assert_int_equal(yaml_choice(&y, NULL, "a", keys, &choice, &err), -1);
	assert_int_equal(yaml_choice(&y, list, "b", keys, &choice, &err), -1);
	yaml_release(&y);
}

static void any_bytes_become_a_text(void **state)
{
	static const char bytes[] = "a\"\\\n\0\xff\xc3(\xe2\x80\xae\xf0\x9f\x99\x82\xe2\x82";
	static const char same[] =
		"a\"\\\n\0\xef\xbf\xbd\xef\xbf\xbd(\xe2\x80\xae\xf0\x9f\x99\x82\xef\xbf\xbd";
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	(void)state;
	show_quoted(f, bytes, sizeof bytes - 1);
	fclose(f);
	struct yaml y = parse(text);
	assert_int_equal(yaml_root(&y)->count, sizeof same - 1);
	assert_memory_equal(yaml_text(&y, yaml_root(&y)), same, sizeof same);
	assert_null(strstr(text, "\xe2\x80\xae")); /* which would turn the line around */
	yaml_release(&y);
	free(text);
}

static void known_keys_are_demanded_and_others_refused(void **state)
{
	static const char *const keys[] = {"a", "b", NULL};
	struct error err;
	struct yaml y = parse("b: 1\na: 2\n");
	(void)state;
	assert_int_equal(yaml_keys(&y, yaml_root(&y), keys, &err), 0);
	yaml_release(&y);
	y = parse("a: 1\n");
	assert_int_equal(yaml_keys(&y, yaml_root(&y), keys, &err), -1);
	assert_string_equal(err.text, "line 1: key \"b\" is missing");
	yaml_release(&y);
	y = parse("a: 1\nb: 1\n\"a\\0\": 1\n");
	assert_int_equal(yaml_keys(&y, yaml_root(&y), keys, &err), -1);
	assert_non_null(strstr(err.text, "line 3: unknown key"));
	yaml_release(&y);
	y = parse("[a, b]\n");
	assert_int_equal(yaml_keys(&y, yaml_root(&y), keys, &err), -1);
	yaml_release(&y);
	assert_int_equal(yaml_keys(&y, NULL, keys, &err), -1);
}

static void numbers_are_plain_decimal_digits_in_range(void **state)
{
	static const char *const refused[] = {"\"1\"", "'1'", "01", "+1", "-1", "1.0", "1e3", "0x1",
		"1_000", "~", "[]", "18446744073709551616", "99999999999999999999999", "101", "4",
		"one", "1 2"};
	struct error err;
	uint64_t value = 0;
	(void)state;
	struct yaml y = parse("a: 0\nb: 18446744073709551615\n");
	assert_int_equal(
		yaml_unsigned(&y, yaml_get(&y, yaml_root(&y), "a"), "a", 0, 1, &value, &err), 0);
	assert_int_equal(value, 0);
	assert_int_equal(yaml_unsigned(&y, yaml_get(&y, yaml_root(&y), "b"), "b", 0, UINT64_MAX,
				 &value, &err),
		0);
	assert_true(value == UINT64_MAX);
	yaml_release(&y);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char text[64];
		snprintf(text, sizeof text, "a: %s\n", refused[i]);
		y = parse(text);
		const struct yaml_node *node = yaml_get(&y, yaml_root(&y), "a");
		if (yaml_unsigned(&y, node, "a", 5, 100, &value, &err) == 0)
			fail_msg("accepted: %s", refused[i]);
		assert_memory_equal(err.text, "line 1: a: expected a number", 28);
		yaml_release(&y);
	}
}

static void symbols_are_written_so_that_they_come_back(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c += c < 0x3100 ? 1 : 61) {
		char text[32] = "";
		struct yaml y;
		struct error err;
		unsigned char utf8[UTF8_MAX];
		if (c >= 0xD800 && c < 0xE000)
			continue;
		FILE *f = fmemopen(text, sizeof text, "w");
		show_quoted_symbol(f, c);
		fclose(f);
		assert_int_equal(text[0], '"');
		if (yaml_parse(&y, text, strlen(text), 1, STATUS_DATA, &err) < 0)
			fail_msg("U+%04X: %s", (unsigned)c, err.text);
		assert_false(yaml_root(&y)->plain);
		assert_int_equal(yaml_root(&y)->count, utf8_encode(c, utf8));
		assert_memory_equal(yaml_text(&y, yaml_root(&y)), utf8, yaml_root(&y)->count);
		yaml_release(&y);
	}
}

static void only_visible_characters_are_written_raw(void **state)
{
	static const struct {
		uint32_t codepoint;
		const char *text;
	} cases[] = {
		{' ', "\" \""},
		{'A', "\"A\""},
		{'"', "\"\\\"\""},
		{'\\', "\"\\\\\""},
		{'\n', "\"\\n\""},
		{'\r', "\"\\r\""},
		{'\t', "\"\\t\""},
		{0, "\"\\x00\""},
		{0x1B, "\"\\x1b\""},
		{0x85, "\"\\x85\""},
		{0xA0, "\"\\xa0\""},
		{0xE9, "\"\xC3\xA9\""},
		{0x202E, "\"\\u202e\""},
		{0xFEFF, "\"\\ufeff\""},
		{0x1F642, "\"\xF0\x9F\x99\x82\""},
		{0x1FFFE, "\"\\U0001fffe\""},
		{0x10FFFF, "\"\\U0010ffff\""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[32] = "";
		FILE *f = fmemopen(text, sizeof text, "w");
		show_quoted_symbol(f, cases[i].codepoint);
		fclose(f);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_keep_their_text_line_and_quotes),
		cmocka_unit_test(containers_nest),
		cmocka_unit_test(nothing_but_comments_is_an_empty_document),
		cmocka_unit_test(what_headers_have_no_use_for_is_refused),
		cmocka_unit_test(many_tag_directives_take_no_quadratic_time),
		cmocka_unit_test(lines_are_counted_from_the_first_line_given),
		cmocka_unit_test(a_mapping_of_too_many_keys_is_refused),
		cmocka_unit_test(deep_nesting_ends_early_however_long_the_input),
		cmocka_unit_test(large_documents_are_refused),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test(any_bytes_become_a_text),
		cmocka_unit_test(known_keys_are_demanded_and_others_refused),
		cmocka_unit_test(numbers_are_plain_decimal_digits_in_range),
		cmocka_unit_test(symbols_are_written_so_that_they_come_back),
		cmocka_unit_test(only_visible_characters_are_written_raw),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

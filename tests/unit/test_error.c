/* test_error.c: error texts are one harmless line, whatever goes into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void a_set_error_holds_status_and_text(void **state)
{
	(void)state;
	struct error err;

	assert_int_equal(error_set(&err, STATUS_DATA, "frame %u: %s", 3u, "too short"), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_string_equal(err.text, "frame 3: too short");
}

static void errno_is_told_in_words(void **state)
{
	(void)state;
	struct error err;

	errno = ENOENT;
	assert_int_equal(error_errno(&err, STATUS_NO_INPUT, "%s: can't open", "a"), -1);
	assert_string_equal(err.text, "a: can't open: No such file or directory");
}

static void a_prefix_keeps_the_status(void **state)
{
	(void)state;
	struct error err;

	error_set(&err, STATUS_NUMERIC, "100%% wrong");
	assert_int_equal(error_prefix(&err, "%s: ", "anna.shards"), -1);
	assert_int_equal(err.status, STATUS_NUMERIC);
	assert_string_equal(err.text, "anna.shards: 100% wrong");
}

static void memory_errors_tell_the_size(void **state)
{
	(void)state;
	struct error err;

	assert_int_equal(error_memory(&err, 12345, "the weights"), -1);
	assert_int_equal(err.status, STATUS_NO_MEMORY);
	assert_string_equal(err.text, "out of memory (12345 bytes for the weights)");
}

static void controls_and_broken_text_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *raw, *text;
	} cases[] = {
		{"a\nb\tc", "a\\x0Ab\\x09c"},
		{"\033]0;title\007", "\\x1B]0;title\\x07"},
		{"\xFFx", "\\xFFx"},
		{"\xE2\x82", "\\xE2\\x82"},          /* an unfinished character */
		{"\xC2\x9B", "\\xC2\\x9B"},          /* U+009B: CSI on some terminals */
		{"\xE2\x80\xAE", "\\xE2\\x80\\xAE"}, /* U+202E: reverses what follows */
		{"\xE2\x80\xA8", "\\xE2\\x80\\xA8"}, /* U+2028: ends the line */
		{"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
			"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
		{"\x7F", "\\x7F"},
		{"\xE2\x81\xA6", "\\xE2\\x81\\xA6"}, /* U+2066: isolates what follows */
		{"\xD8\x9C", "\\xD8\\x9C"},          /* U+061C, U+200E: directions */
		{"\xE2\x80\x8E", "\\xE2\\x80\\x8E"},
		{"\xE2\x81\xA5", "\xE2\x81\xA5"},
	};
	struct error err;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		error_set(&err, STATUS_DATA, "%s", cases[i].raw);
		assert_string_equal(err.text, cases[i].text);
		error_prefix(&err, "%s", ""); /* escaping again changes nothing */
		assert_string_equal(err.text, cases[i].text);
	}
}

/* Long texts of every offset of a wide character: cut between characters, never inside one. */
static void long_texts_are_cut_between_characters(void **state)
{
	(void)state;
	static const char *const fillers[] = {"x", "\xC3\xA9", "\xF0\x9F\x98\x80", "\xFF"};
	struct error err;

	for (size_t f = 0; f < sizeof fillers / sizeof *fillers; f++) {
		for (size_t shift = 0; shift < 8; shift++) {
			char raw[2048];
			memset(raw, 'a', shift);
			raw[shift] = '\0';
			while (strlen(raw) < 1500)
				strcat(raw, fillers[f]);
			error_set(&err, STATUS_DATA, "%s", raw);
			size_t n = strlen(err.text);
			assert_in_range(n, sizeof err.text - 12, sizeof err.text - 1);
			assert_string_equal(err.text + n - 3, "...");
			for (size_t at = 0; at < n;) {
				uint32_t c;
				int length =
					utf8_decode((unsigned char *)err.text + at, n - at, &c);
				assert_true(length > 0);
				at += (size_t)length;
			}
		}
	}
}

static void a_text_that_just_fits_is_not_cut(void **state)
{
	(void)state;
	struct error err;
	char raw[sizeof err.text];

	memset(raw, 'y', sizeof raw - 1);
	raw[sizeof raw - 1] = '\0';
	error_set(&err, STATUS_DATA, "%s", raw);
	assert_string_equal(err.text, raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_error_holds_status_and_text),
		cmocka_unit_test(errno_is_told_in_words),
		cmocka_unit_test(a_prefix_keeps_the_status),
		cmocka_unit_test(memory_errors_tell_the_size),
		cmocka_unit_test(controls_and_broken_text_are_escaped),
		cmocka_unit_test(long_texts_are_cut_between_characters),
		cmocka_unit_test(a_text_that_just_fits_is_not_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

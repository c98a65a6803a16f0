/* Numbers as short as they can be; characters that must not reach a terminal. */
#include "base/show.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void numbers_read_back(void **state)
{
	static const struct {
		double x;
		const char *text;
	} cases[] = {{0.1, "0.1"}, {0, "0"}, {1e-8, "1e-08"}, {1.0 / 3, "0.3333333333333333"},
		{2.0 / 3, "0.6666666666666666"}, {-2.5, "-2.5"}, {1e300, "1e+300"},
		{5e-324, "5e-324"}, {0.1 + 0.2, "0.30000000000000004"}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char buf[SHOW_REAL];
		assert_string_equal(show_real(cases[i].x, buf), cases[i].text);
		assert_true(strtod(buf, NULL) == cases[i].x);
	}
}

static void controls_directions_and_line_ends_are_harmful(void **state)
{
	static const uint32_t harmful[] = {0, '\n', '\t', 0x1B, 0x7F, 0x80, 0x85, 0x9B, 0x9F, 0x61C,
		0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069};
	static const uint32_t harmless[] = {' ', '~', 0xA0, 0xE9, 0x301, 0x61B, 0x61D, 0x200D,
		0x2027, 0x202F, 0x2065, 0x2070, 0x3042, 0xFE0F, 0xFEFF, 0x1F642};
	(void)state;
	for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++)
		assert_true(show_harmful(harmful[i]));
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		assert_false(show_harmful(harmless[i]));
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++)
		assert_false(show_harmful(c) && show_visible(c));
}

static void a_text_is_shown_character_by_character(void **state)
{
	static const unsigned char text[] = "a\xC3\xA9\xC2\x9B\xFF\xE2\x80\xAE\xE2\x82";
	static const struct {
		size_t length;
		bool harmless;
	} expected[] = {
		{1, true}, {2, true}, {2, false}, {1, false}, {3, false}, {1, false}, {1, false}};
	const unsigned char *s = text;
	size_t n = sizeof text - 1;
	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		bool harmless;
		size_t length = show_next(s, n, &harmless);
		assert_int_equal(length, expected[i].length);
		assert_int_equal(harmless, expected[i].harmless);
		s += length;
		n -= length;
	}
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_read_back),
		cmocka_unit_test(controls_directions_and_line_ends_are_harmful),
		cmocka_unit_test(a_text_is_shown_character_by_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

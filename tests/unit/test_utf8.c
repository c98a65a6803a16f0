/* test_utf8.c: UTF-8 against its definition, RFC 3629, and Unicode's rule for what is invalid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

static bool is_surrogate(uint32_t c)
{
	return c >= 0xD800 && c <= 0xDFFF;
}

static void every_code_point_survives_a_round_trip(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++) {
		unsigned char s[UTF8_MAX];
		uint32_t back = 0;
		if (is_surrogate(c))
			continue;
		int n = utf8_encode(c, s);
		if (n != (c < 0x80             ? 1
				 : c < 0x800   ? 2
				 : c < 0x10000 ? 3
					       : 4) ||
			utf8_decode(s, (size_t)n, &back) != n || back != c)
			fail_msg("U+%04X: %d bytes, back U+%04X", (unsigned)c, n, (unsigned)back);
		for (int k = 1; k < n; k++)
			if (utf8_decode(s, (size_t)k, &back) != 0)
				fail_msg("U+%04X: a prefix of %d bytes is not one", (unsigned)c, k);
	}
}

/* Decodes as the standard's tables say, without cleverness: the length, 0 or -k as utf8_decode().
 */
static int decode_by_table(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char low[4], high[4];
		int length;
	} rows[] = {
		/* Unicode 15, table 3-7 */
		{{0x00}, {0x7F}, 1},
		{{0xC2, 0x80}, {0xDF, 0xBF}, 2},
		{{0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}, 3},
		{{0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}, 3},
		{{0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}, 3},
		{{0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}, 3},
		{{0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}, 4},
		{{0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}, 4},
		{{0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}, 4},
	};
	for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
		int k = 0;
		while (k < rows[r].length && (size_t)k < n && s[k] >= rows[r].low[k] &&
			s[k] <= rows[r].high[k])
			k++;
		if (k == rows[r].length)
			return k;
		if (k > 0)
			return (size_t)k == n ? 0 : -k;
	}
	return -1;
}

static void all_short_byte_strings_are_judged_as_the_standard_does(void **state)
{
	(void)state;
	static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
		0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5,
		0xFF};
	const size_t count = sizeof edges;

	/* All of two bytes, then edges in the third and fourth. */
	for (unsigned head = 0; head < 65536; head++) {
		for (size_t tail = 0; tail < count * count; tail++) {
			unsigned char s[4] = {(unsigned char)(head >> 8), (unsigned char)head,
				edges[tail / count], edges[tail % count]};
			for (size_t n = 1; n <= 4; n++) {
				uint32_t c;
				int expected = decode_by_table(s, n), got = utf8_decode(s, n, &c);
				if (got != expected)
					fail_msg("%02X %02X %02X %02X (%zu): expected %d, got %d",
						s[0], s[1], s[2], s[3], n, expected, got);
			}
			if (s[0] < 0xC2 && tail > 0)
				break; /* decided by the first byte */
		}
	}
}

static void a_surrogate_is_three_invalid_bytes(void **state)
{
	(void)state;
	uint32_t c;

	assert_int_equal(utf8_decode((const unsigned char *)"\xED\xA0\x80", 3, &c), -1);
	assert_int_equal(utf8_decode((const unsigned char *)"\xA0\x80", 2, &c), -1);
	assert_int_equal(utf8_decode((const unsigned char *)"\x80", 1, &c), -1);
}

static void a_broken_character_is_one_maximal_subpart(void **state)
{
	(void)state;
	uint32_t c;

	assert_int_equal(utf8_decode((const unsigned char *)"\xF0\x9F\x98X", 4, &c), -3);
	assert_int_equal(utf8_decode((const unsigned char *)"\xE2\x82X", 3, &c), -2);
	assert_int_equal(utf8_decode((const unsigned char *)"\xC3X", 2, &c), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_survives_a_round_trip),
		cmocka_unit_test(all_short_byte_strings_are_judged_as_the_standard_does),
		cmocka_unit_test(a_surrogate_is_three_invalid_bytes),
		cmocka_unit_test(a_broken_character_is_one_maximal_subpart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

/* Two blocks, behind the bytes that the first one looks back at, and in front of the rest of their
 * last character. */
enum { BEFORE = UTF8_BLOCK, TEXT = BEFORE + 2 * UTF8_BLOCK + UTF8_MAX };

/* What utf8_decode_block() should find in both blocks, character by character: their number, or -1.
 */
static int decode_plainly(const unsigned char *s, uint32_t *codepoints)
{
	int count = 0;
	for (size_t i = 0; i < 2 * UTF8_BLOCK; i++)
		codepoints[i] = UTF8_INSIDE;
	for (size_t i = 0; i < BEFORE + 2 * UTF8_BLOCK;) {
		uint32_t c;
		int bytes = utf8_decode(s + i, TEXT - i, &c);
		if (bytes <= 0)
			return -1;
		i += (size_t)bytes;
		if (i > BEFORE && i <= BEFORE + 2 * UTF8_BLOCK) {
			codepoints[i - 1 - BEFORE] = c;
			count++;
		}
	}
	return count;
}

static void compare_blocks(const unsigned char s[TEXT])
{
	uint32_t expected[2 * UTF8_BLOCK], got[2 * UTF8_BLOCK];
	int count = decode_plainly(s, expected);
	int first = utf8_decode_block(s + BEFORE, got);
	int second = first < 0 ? -1 : utf8_decode_block(s + BEFORE + UTF8_BLOCK, got + UTF8_BLOCK);
	if (count < 0 ? second >= 0 : second < 0 || first + second != count)
		fail_msg("%d and %d characters, expected %d of both blocks", first, second, count);
	if (count >= 0)
		assert_memory_equal(got, expected, sizeof got);
}

static uint32_t next_random(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 16;
}

static void blocks_hold_the_characters_that_one_finds_one_by_one(void **state)
{
	uint32_t random = 1;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		unsigned char s[TEXT + UTF8_MAX] = {0};
		const unsigned most =
			1 + next_random(&random) % UTF8_MAX; /* bytes of a character */
		for (size_t n = 0; n < TEXT;) {
			static const uint32_t limit[] = {0, 0x80, 0x800, 0x10000, UTF8_CODEPOINTS};
			uint32_t c = (next_random(&random) << 16 | next_random(&random)) %
				     limit[1 + next_random(&random) % most];
			if (!is_surrogate(c))
				n += (size_t)utf8_encode(c, s + n);
		}
		compare_blocks(s);
	}
}

/* A few bytes of any kind among ASCII, in front of a block's border or behind it. */
static void blocks_are_refused_for_whatever_is_invalid_in_them(void **state)
{
	static const unsigned char edges[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1,
		0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8,
		0xFF};
	uint32_t random = 2;
	(void)state;
	for (unsigned i = 0; i < 400000; i++) {
		unsigned char s[TEXT];
		memset(s, 'a', sizeof s);
		size_t at = BEFORE + i % 2 * (UTF8_BLOCK - UTF8_MAX) +
			    next_random(&random) % (2 * UTF8_MAX);
		for (size_t k = 0; k <= UTF8_MAX; k++)
			s[at + k] = next_random(&random) % 2
					    ? edges[next_random(&random) % sizeof edges]
					    : (unsigned char)(0x80 + next_random(&random) % 64);
		s[at] = edges[next_random(&random) % sizeof edges];
		compare_blocks(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_survives_a_round_trip),
		cmocka_unit_test(all_short_byte_strings_are_judged_as_the_standard_does),
		cmocka_unit_test(a_surrogate_is_three_invalid_bytes),
		cmocka_unit_test(a_broken_character_is_one_maximal_subpart),
		cmocka_unit_test(blocks_hold_the_characters_that_one_finds_one_by_one),
		cmocka_unit_test(blocks_are_refused_for_whatever_is_invalid_in_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

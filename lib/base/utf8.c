/* utf8.c: one character at a time, which can say what is wrong; or a block of them at once, for
 * text in bulk. Where characters of one and of two bytes alternate, as Cyrillic words and spaces
 * do, a branch on the length is foreseen wrongly twice a word, and costs more than all else; the
 * block is decoded without any. */
#include "base/utf8.h"

#include <string.h>

int utf8_decode(const unsigned char *s, size_t n, uint32_t *codepoint)
{
	unsigned char first = s[0];

	if (first < 0x80) {
		*codepoint = first;
		return 1;
	}
	/* 80..C1 and F5..FF start nothing; the second byte's range excludes overlong forms (E0,
	 * F0), surrogates (ED) and what lies beyond U+10FFFF (F4). */
	if (first < 0xC2 || first > 0xF4)
		return -1;
	int length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	uint32_t c = first & (0x7Fu >> length);

	for (int i = 1; i < length; i++) {
		if ((size_t)i == n)
			return 0;
		if (s[i] < low || s[i] > high)
			return -i;
		c = c << 6 | (s[i] & 0x3Fu);
		low = 0x80;
		high = 0xBF;
	}
	*codepoint = c;
	return length;
}

/* --- blocks ----------------------------------------------------------------------------------- */

typedef unsigned char bytes __attribute__((vector_size(16))); /* masks too: 0x00 or 0xFF each */
typedef uint16_t pairs __attribute__((vector_size(16)));

static inline bytes load(const unsigned char *s)
{
	bytes b;
	memcpy(&b, s, sizeof b);
	return b;
}

static inline void store(unsigned char *s, bytes b)
{
	memcpy(s, &b, sizeof b);
}

/* Shifts of each byte by itself; vectors have none but of wider numbers. */
static inline bytes left(bytes b, int n)
{
	return (bytes)((pairs)b << n) & (unsigned char)(0xFF << n);
}

static inline bytes right(bytes b, int n)
{
	return (bytes)((pairs)b >> n) & (unsigned char)(0xFF >> n);
}

/* Whether characters of n >= 2 bytes or more begin so. */
static inline bytes first(bytes b, int n)
{
	return (bytes)(b >= (unsigned char)(0xF00 >> n));
}

static inline bytes continues(bytes b)
{
	return (bytes)((b & 0xC0) == 0x80);
}

static inline bool any(bytes b)
{
	uint64_t halves[2];
	memcpy(halves, &b, sizeof b);
	return (halves[0] | halves[1]) != 0;
}

/* Their sum, where it is below 256. */
static inline int sum(bytes b)
{
	uint64_t halves[2];
	memcpy(halves, &b, sizeof b);
	return (int)((halves[0] + halves[1]) * 0x0101010101010101 >> 56);
}

int utf8_decode_block(
	const unsigned char *restrict s, uint32_t codepoints[restrict static UTF8_BLOCK])
{
	unsigned char high[UTF8_BLOCK], middle[UTF8_BLOCK], low[UTF8_BLOCK]; /* of code points */
	bytes count = {0}, wrong = {0};
	for (size_t i = 0; i < UTF8_BLOCK; i += sizeof wrong) {
		/* Each byte and the three before it; if it continues a character, whether it is
		 * the second byte at least, the third, the fourth. */
		const bytes a = load(s + i), b = load(s + i - 1), c = load(s + i - 2),
			    d = load(s + i - 3);
		const bytes two = continues(a), three = two & continues(b),
			    four = three & continues(c);
		const bytes last = ~(first(a, 2) | first(b, 3) | first(c, 4));
		const bytes h = four & ((left(d, 2) & 0x3C) | (right(c, 4) & 3));
		const bytes m = two & ((right(b, 2) & 0x0F) | (three & left(c, 4)));
		const bytes l = a ^ (two & (0x80 ^ left(b, 6)));
		store(high + i, h);
		store(middle + i, (last & m) | (~last & (UTF8_INSIDE >> 8)));
		store(low + i, last & l);
		count -= last;

		/* A byte continues a character if one before it demands that, and only then. */
		wrong |= two ^ (first(b, 2) | first(c, 3) | first(d, 4));
		/* No forms that are longer than needed, no surrogates, nothing above U+10FFFF. */
		wrong |= (bytes)((a & 0xFE) == 0xC0);
		wrong |= last & three & ~four & (bytes)(((m & 0xF8) == 0) | ((m & 0xF8) == 0xD8));
		wrong |= four & (bytes)(h - 1 >= 0x10);
	}
	for (size_t i = 0; i < UTF8_BLOCK; i++)
		codepoints[i] = (uint32_t)high[i] << 16 | (uint32_t)middle[i] << 8 | low[i];
	return any(wrong) ? -1 : sum(count);
}

int utf8_encode(uint32_t c, unsigned char s[UTF8_MAX])
{
	if (c < 0x80) {
		s[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		s[0] = (unsigned char)(0xC0 | c >> 6);
		s[1] = (unsigned char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		s[0] = (unsigned char)(0xE0 | c >> 12);
		s[1] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
		s[2] = (unsigned char)(0x80 | (c & 0x3F));
		return 3;
	}
	s[0] = (unsigned char)(0xF0 | c >> 18);
	s[1] = (unsigned char)(0x80 | (c >> 12 & 0x3F));
	s[2] = (unsigned char)(0x80 | (c >> 6 & 0x3F));
	s[3] = (unsigned char)(0x80 | (c & 0x3F));
	return 4;
}

/* utf8.c: one character at a time; where text comes in bulk, tokenize has a faster way for ASCII.
 */
#include "base/utf8.h"

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

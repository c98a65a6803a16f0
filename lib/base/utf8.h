/* utf8.h: UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UTF8_MAX = 4,               /* bytes of the longest character */
	UTF8_CODEPOINTS = 0x110000, /* code points, surrogates included */
	UTF8_BLOCK = 64,            /* bytes that utf8_decode_block() takes at once */
	UTF8_INSIDE = 0xD800,       /* its mark of a byte that ends no character */
};

/* Decodes the character at s[0..n), n >= 1. Returns its length 1..4 and sets *codepoint; or 0 if s
 * is a proper prefix of some valid character (more bytes could complete it); or -k if the first
 * k >= 1 bytes are invalid (the maximal subpart, as Unicode recommends to replace by one U+FFFD).
 */
int utf8_decode(const unsigned char *s, size_t n, uint32_t *codepoint);

/* Whether a byte is none that a character begins with. */
static inline bool utf8_continues(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

/* Decodes the characters that end in s[0..UTF8_BLOCK), the first of which may have begun before s:
 * codepoints[i] becomes the one whose last byte is s[i], or UTF8_INSIDE, which is a surrogate,
 * where none ends. Returns their number, or -1 if there are invalid bytes, and codepoints may then
 * hold anything. Before s stand three bytes at least, which so far are valid. Characters of any
 * length take the same time. */
int utf8_decode_block(
	const unsigned char *restrict s, uint32_t codepoints[restrict static UTF8_BLOCK]);

/* Writes the 1..4 bytes of a code point (a valid one, not a surrogate); returns their number. */
int utf8_encode(uint32_t codepoint, unsigned char s[UTF8_MAX]);

#endif

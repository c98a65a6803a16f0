/* utf8.h: UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum {
	UTF8_MAX = 4,              /* bytes of the longest character */
	UTF8_CODEPOINTS = 0x110000 /* code points, surrogates included */
};

/* Decodes the character at s[0..n), n >= 1. Returns its length 1..4 and sets *codepoint; or 0 if s
 * is a proper prefix of some valid character (more bytes could complete it); or -k if the first
 * k >= 1 bytes are invalid (the maximal subpart, as Unicode recommends to replace by one U+FFFD).
 */
int utf8_decode(const unsigned char *s, size_t n, uint32_t *codepoint);

/* Writes the 1..4 bytes of a code point (a valid one, not a surrogate); returns their number. */
int utf8_encode(uint32_t codepoint, unsigned char s[UTF8_MAX]);

#endif

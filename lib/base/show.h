/* show.h: what people see of numbers and characters: as short as it can be, and such that nothing
 * which comes from a file plays tricks on a terminal. */
#ifndef BASE_SHOW_H
#define BASE_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { SHOW_REAL = 32 };

/* The shortest decimal that reads back as the same double; returns buf. */
const char *show_real(double x, char buf[SHOW_REAL]);

/* Whether a code point must not reach a terminal as it is: controls, and what reorders or breaks a
 * line of text. */
bool show_harmful(uint32_t codepoint);

/* Whether a code point shows as one character of its own wherever the text is printed: false for
 * what is harmful, spaces but U+0020, combining marks, private use and the like. */
bool show_visible(uint32_t codepoint);

/* The n bytes at s are shown one character after the other: returns the length of the first one,
 * n >= 1, and whether it can be shown as it is: neither harmful nor invalid UTF-8. */
size_t show_next(const unsigned char *s, size_t n, bool *harmless);

/* Writes a text, or a code point, as one of YAML's double-quoted scalars (C's and JSON's too where
 * no \x or \U is needed); what is not visible is escaped as short as can be. Bytes that are no
 * UTF-8, which YAML can't hold, become U+FFFD. */
void show_quoted(FILE *f, const char *text, size_t bytes);
void show_quoted_symbol(FILE *f, uint32_t codepoint);

#endif

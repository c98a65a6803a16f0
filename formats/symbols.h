/* symbols.h: the characters of a vocabulary as they stand in headers, ["a", "\n"].
 *
 * They are the one part of a header that grows, up to 22 MB for all of Unicode. So they are read
 * here, in one pass and without a tree, and libyaml and jansson get the rest: a text with a hole in
 * their place, which can then be small. */
#ifndef FORMATS_SYMBOLS_H
#define FORMATS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a code point shows as one character of its own wherever the text is printed: false for
 * controls, spaces but U+0020, combining and directional marks, private use and the like. */
bool symbols_visible(uint32_t codepoint);

/* The character that begins at s, before `end`, inside a quoted string: its bytes, or 0 if there is
 * none: a quote, a control, a broken escape or broken UTF-8, half a surrogate pair. YAML has
 * more spellings than are known here; yaml_write_symbol()'s are. */
size_t symbols_json(const char *s, const char *end, uint32_t *codepoint);
size_t symbols_yaml(const char *s, const char *end, uint32_t *codepoint);

/* Reads one character between quotes and moves *at behind it; false, and *at as it was, if
 * something else stands there. `read` is one of the functions above. */
bool symbols_entry(size_t (*read)(const char *s, const char *end, uint32_t *codepoint),
	const char **at, const char *end, uint32_t *codepoint);

/* A text with a hole. */
struct symbols_rest {
	const char *text; /* not owned */
	size_t bytes;
	size_t begin, end; /* what is left out; the same: nothing */
	size_t lines;      /* line feeds in its place, so that lines are counted right */
	size_t at;         /* the next byte that is read */
};

/* Reads at most n >= 1 bytes: their number, 0 only at the end. */
size_t symbols_rest_read(struct symbols_rest *rest, void *to, size_t n);

#endif

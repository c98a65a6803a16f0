/* vocab.h: the symbols that ids stand for, and what was done to the text before they were counted.
 *
 * Part of every charpipe file: token streams, shards and models carry it along. */
#ifndef FORMATS_VOCAB_H
#define FORMATS_VOCAB_H

#include "base/error.h"
#include "formats/yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum vocab_unit {
	VOCAB_CODEPOINT, /* symbols are Unicode code points, text is UTF-8 */
	VOCAB_BYTE,      /* symbols are bytes 0..255 */
};

enum vocab_newlines {
	VOCAB_KEEP,      /* CR and LF are symbols like others */
	VOCAB_UNIVERSAL, /* CRLF and CR became LF, as in Python's text mode */
};

enum {
	VOCAB_SIZE_MAX = 1 << 16, /* ids of two bytes; no text has more symbols */
};

#define VOCAB_NONE UINT32_MAX /* the id of a symbol that the vocabulary lacks */

struct vocab {
	enum vocab_unit unit;
	enum vocab_newlines newlines;
	uint32_t size;
	uint32_t *symbols; /* (size): id to code point or byte; distinct, any order; owned */
	/* (UTF8_CODEPOINTS or 256): what a symbol's id is one less than, 0 where it has none; so the
	 * pages of those that nobody uses take no memory. Owned. */
	uint32_t *ids;
};

/* Takes a copy of `symbols`. Refuses none, too many, duplicates, surrogates, values out of the unit's range
 * (65). After a failure there is nothing to release, but vocab_release() is harmless. */
int vocab_init(struct vocab *vocab, enum vocab_unit unit, enum vocab_newlines newlines,
	const uint32_t *symbols, size_t size, struct error *err);
int vocab_copy(struct vocab *vocab, const struct vocab *from, struct error *err);
void vocab_release(struct vocab *vocab);

/* The id of a symbol within such a table, VOCAB_NONE where there is none. */
static inline uint32_t vocab_id(const uint32_t *ids, uint32_t symbol)
{
	return ids[symbol] - 1;
}

/* The same, whatever the symbol's value is. */
static inline uint32_t vocab_find(const struct vocab *vocab, uint32_t symbol)
{
	uint32_t limit = vocab->unit == VOCAB_BYTE ? 256 : 0x110000;
	return symbol < limit ? vocab_id(vocab->ids, symbol) : VOCAB_NONE;
}

/* The text of one id: 1..4 bytes into `text`; returns their number. */
int vocab_text(const struct vocab *vocab, uint32_t id, unsigned char text[4]);

/* The symbol for messages: 'a', U+00E9 'é', U+000A, or byte 0xE9. Returns buf. */
const char *vocab_name(const struct vocab *vocab, uint32_t symbol, char buf[32]);

/* The symbols from id `first` on, likewise, as many as n bytes hold: "'a', U+00E9 'é' and 3 more".
 * Returns buf. */
const char *vocab_names(const struct vocab *vocab, uint32_t first, char *buf, size_t n);

/* The words that files use for an enum vocab_unit and an enum vocab_newlines; they end with NULL. */
extern const char *const vocab_unit_words[], *const vocab_newlines_words[];

/* Bytes of one id in a stream: 1 or, of more than 256 symbols, 2. */
unsigned vocab_id_bytes(const struct vocab *vocab);

/* Ids as they stand in a stream, vocab_id_bytes() each, little-endian: to there and back, and the
 * index of the first one that is not below the vocabulary's size (n: there is none). */
void vocab_pack(const struct vocab *vocab, const uint32_t *restrict ids, size_t n,
	unsigned char *restrict bytes);
void vocab_unpack(const struct vocab *vocab, const unsigned char *restrict bytes, size_t n,
	uint32_t *restrict ids);
size_t vocab_check(const struct vocab *vocab, const unsigned char *bytes, size_t n);

bool vocab_equal(const struct vocab *a, const struct vocab *b); /* order, unit, newlines included */

/* Makes map (from->size entries, the caller's) such that map[id in from] is the id of the same
 * symbol in `to`. Fails (65) when units differ or `to` lacks a symbol, and names it. The newlines
 * may differ. */
int vocab_remap(const struct vocab *from, const struct vocab *to, uint32_t *map, struct error *err);

/* Gives `vocab` the symbols of `more` that it lacks, behind its own, in the order of `more`. Their
 * number, or -1: units differ, or they become too many (65). */
int vocab_extend(struct vocab *vocab, const struct vocab *more, struct error *err);

/* The keys that every stream's header has, as stream.md describes them, for yaml_keys(). */
#define VOCAB_KEYS "kind", "unit", "newlines", "dtype", "vocab", "?notes"

/* Writes them: first all but the last, then, after the format's own keys, the symbols. */
void vocab_write_keys(const struct vocab *vocab, const char *kind, FILE *f);
void vocab_write_symbols(const struct vocab *vocab, FILE *f);

/* Reads all of these keys from a header of that kind. The result is released with vocab_release(). */
int vocab_read(struct vocab *vocab, const struct yaml *y, const char *kind, struct error *err);

#endif

/* encode.h: a piece of text in memory to the ids of a vocabulary: primes, lines. A text of any
 * length is read with formats/text.h. */
#ifndef FORMATS_ENCODE_H
#define FORMATS_ENCODE_H

#include "base/error.h"
#include "formats/vocab.h"

#include <stddef.h>
#include <stdint.h>

/* The symbol at s[0..n), n >= 1: VOCAB_NONE for bytes that aren't UTF-8. Returns its length. */
size_t encode_read(enum vocab_unit unit, enum vocab_newlines newlines, const unsigned char *s,
	size_t n, uint32_t *symbol);

/* The same, and its id: VOCAB_NONE each for bytes that aren't UTF-8, for the
 * id also where the vocabulary lacks the symbol. Returns its length in bytes. */
size_t encode_symbol(const struct vocab *vocab, const unsigned char *s, size_t n, uint32_t *symbol,
	uint32_t *id);

/* Turns the n bytes at s into ids; VOCAB_NONE stands for a character that the vocabulary lacks, and
 * for each sequence of bytes that isn't UTF-8. CRLF and CR become LF if the vocabulary has
 * universal newlines. `ids` has room for n. Returns their number; *unknown is the offset in s of
 * the first VOCAB_NONE, n if there is none. */
size_t encode(const struct vocab *vocab, const unsigned char *s, size_t n, uint32_t *ids,
	size_t *unknown);

/* Fills in the error (65) about s[0], which encode() found to be unknown; returns -1. */
int encode_error(const struct vocab *vocab, const unsigned char *s, size_t n, struct error *err);

#endif

/* encode.h: a piece of text in memory to the ids of a vocabulary: primes, lines. A text of any
 * length is read with formats/text.h. */
#ifndef ENCODE_H
#define ENCODE_H

#include "base/error.h"
#include "formats/vocab.h"

#include <stddef.h>
#include <stdint.h>

/* Turns the n bytes at s into ids; VOCAB_NONE stands for a character that the vocabulary lacks, and
 * for each sequence of bytes that isn't UTF-8. CRLF and CR become LF if the vocabulary has
 * universal newlines. `ids` has room for n. Returns their number; *unknown is the offset in s of
 * the first VOCAB_NONE, n if there is none. */
size_t encode(const struct vocab *vocab, const unsigned char *s, size_t n, uint32_t *ids,
	size_t *unknown);

/* Fills in the error (65) about s[0], which encode() found to be unknown; returns -1. */
int encode_error(const struct vocab *vocab, const unsigned char *s, size_t n, struct error *err);

#endif

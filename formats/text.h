/* text.h: reading text as the ids of a vocabulary, or first to learn what its vocabulary is.
 *
 *     struct text text = {.files = argv, .count = argc, .unit = VOCAB_CODEPOINT};
 *     if (text_open(&text, err) < 0) goto out;
 *     if (text_survey(&text, &vocab, err) < 0) goto out;      (only where there is no vocabulary)
 *     while ((n = text_read(&text, &vocab, ids, capacity, err)) > 0) ...
 *     text_close(&text);
 *
 * Several files are one text, as if cat(1) had joined them: a character or a CRLF that begins in
 * one file may end in the next. Memory does not grow with the text. */
#ifndef FORMATS_TEXT_H
#define FORMATS_TEXT_H

#include "base/error.h"
#include "base/input.h"
#include "base/spool.h"
#include "formats/vocab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What becomes of a character that the vocabulary lacks; any other value is the id that stands for
 * it. */
#define TEXT_UNKNOWN_ERROR VOCAB_NONE
#define TEXT_UNKNOWN_SKIP (VOCAB_NONE - 1)

enum {
	TEXT_REPLACEMENT = 0xFFFD, /* stands for bytes that are not UTF-8 */
};

/* A place to tell people about. */
struct text_place {
	const char *name;
	uint64_t offset; /* bytes from the file's start */
	uint64_t line;   /* line feeds before it, plus one */
};

struct text {
	/* Set by the caller before text_open(); a designated initializer leaves the rest zero. */
	char *const *files; /* paths, "-" for standard input; not owned */
	size_t count;       /* of them; 0 reads standard input */
	enum vocab_unit unit;
	enum vocab_newlines newlines;
	bool replace_invalid; /* each invalid sequence is TEXT_REPLACEMENT, not an error */
	uint32_t unknown;     /* TEXT_UNKNOWN_ERROR, TEXT_UNKNOWN_SKIP or an id */
	const char
		*invalid_advice; /* end of the message about invalid UTF-8: the way out; or NULL */
	const char *unknown_advice;  /* ... about an unknown character */
	const char *too_many_advice; /* ... about more characters than a vocabulary can have */

	/* Counted while reading. */
	uint64_t bytes;
	uint64_t invalid_count, unknown_count;
	bool carriage_returns; /* text_survey() saw some */
	bool utf16;            /* a file begins as UTF-16 does, which without a mark may be valid */

	/* private: */
	struct input in;
	size_t next;           /* file to be opened next */
	bool keep;             /* what is read goes to the spool */
	bool replay;           /* a survey was made: bytes come from it */
	struct spool spool;    /* what the survey read, unless the only file can be read again */
	uint64_t surveyed;     /* bytes that the survey read */
	unsigned char *buffer; /* owned */
	size_t begin, end;     /* unread bytes of it */
	size_t carried;        /* bytes at its front that an earlier block left over */
	struct text_place first, block; /* of buffer[0] and buffer[carried] */
	bool ended;                     /* no byte follows those in the buffer */
	bool after_cr;                  /* a line feed that comes next belongs to it */
};

/* Opens the first file. Status 66, 71. */
int text_open(struct text *text, struct error *err);

/* Reads everything and makes the vocabulary: what occurs, sorted (all of 0..255 for bytes, without
 * reading). The text is then read from its start: it is kept in a spool unless it is one file that
 * can be read twice. An empty text has no vocabulary, one of more than VOCAB_SIZE_MAX different
 * characters can't have one: 65. `vocab` becomes the caller's. */
int text_survey(struct text *text, struct vocab *vocab, struct error *err);

/* Reads at most n >= 1 characters as ids: the count, 0 only at the end, -1 on failure: 65 for
 * invalid UTF-8, unknown characters and an empty text; 66 and 74. */
ssize_t text_read(
	struct text *text, const struct vocab *vocab, uint32_t *ids, size_t n, struct error *err);

/* Releases everything; harmless twice. */
void text_close(struct text *text);

#endif

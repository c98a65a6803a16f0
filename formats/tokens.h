/* tokens.h: a token stream: the vocabulary, then the ids of a text. Normative description:
 * tokens.md. */
#ifndef FORMATS_TOKENS_H
#define FORMATS_TOKENS_H

#include "base/error.h"
#include "formats/stream.h"
#include "formats/vocab.h"

#include <sys/types.h>

enum {
	TOKENS_FRAME_BYTES = 1 << 20, /* of every TOKN frame but the last */
};

struct tokens_writer {
	struct stream_writer stream;
	const struct vocab *vocab; /* not owned */
	unsigned id_bytes;         /* 1 or 2 */
	unsigned char *payload;    /* one frame; owned */
	size_t used;               /* bytes of it */
};

/* Writes the header. `out` and `vocab` stay the caller's and must outlive the writer. */
int tokens_write_header(
	struct tokens_writer *w, struct output *out, const struct vocab *vocab, struct error *err);
/* Appends n ids, each below the vocabulary's size (not checked: the reader does). */
int tokens_write(struct tokens_writer *w, const uint32_t *ids, size_t n, struct error *err);
int tokens_write_end(struct tokens_writer *w, struct error *err);
void tokens_writer_release(struct tokens_writer *w);

struct tokens_reader {
	struct stream_reader stream;
	struct vocab vocab; /* owned */
	unsigned id_bytes;
	unsigned char *payload; /* owned */
	size_t begin, end;      /* unread bytes of it */
	uint64_t first;         /* where the first frame lies in the input */
	uint64_t ids;           /* in the frames read so far */
};

/* Reads the header from `in` (the caller's, must outlive the reader). */
int tokens_read_header(struct tokens_reader *r, struct input *in, struct error *err);
/* Reads up to n ids, each below the vocabulary's size: the count, 0 after a checked end, or -1. */
ssize_t tokens_read(struct tokens_reader *r, uint32_t *ids, size_t n, struct error *err);
/* The same without a copy: points *ids at what is not yet read of a frame, packed as in the file. */
ssize_t tokens_read_packed(struct tokens_reader *r, const void **ids, struct error *err);
/* Reads n ids again, from number `first` on, packed too: of an input that is input_seekable(), once all
 * of it was read and checked; here nothing is. Status 74, or 65 if the file is shorter now. */
int tokens_read_again(
	const struct tokens_reader *r, uint64_t first, size_t n, void *ids, struct error *err);
void tokens_reader_release(struct tokens_reader *r);

#endif

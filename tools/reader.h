/* reader.h: text in pieces that can be encoded one by one: lines, or blocks that split no
 * character. */
#ifndef READER_H
#define READER_H

#include "base/error.h"
#include "base/input.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reader {
	struct input *in;      /* not owned */
	unsigned char *buffer; /* owned */
	size_t begin, end;     /* unread bytes of it */
	size_t room;
	bool ended; /* no bytes follow those in the buffer */
	uint64_t offset,
		line;       /* of the piece given last: bytes before it, line feeds before it + 1 */
	uint64_t next_line; /* of the piece that follows it */
};

int reader_init(struct reader *reader, struct input *in, struct error *err);
void reader_release(struct reader *reader);

/* The next line, its line feed (which the last one may lack) included: its length, 0 at the end, -1
 * on failure. *piece lives until the next call. Memory grows with the longest line. */
ssize_t reader_line(struct reader *reader, const unsigned char **piece, struct error *err);

/* The length of a line of n bytes without its end, which may be CRLF too where newlines are
 * universal. */
size_t reader_without_end(const unsigned char *line, size_t n, bool universal);

/* Whether reader_line() would have to wait for the input: time to do what can be done. */
bool reader_waits(const struct reader *reader);

/* The next block, likewise; neither a UTF-8 character nor CRLF is cut in two. */
ssize_t reader_block(struct reader *reader, const unsigned char **piece, struct error *err);

/* Puts the place of byte `at` of the piece given last in front of the error: file, line, byte. */
int reader_error(
	const struct reader *reader, const unsigned char *piece, size_t at, struct error *err);

#endif

/* reader.c: see reader.h. */
#include "tools/reader.h"

#include "base/io.h"
#include "base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_BYTES = 64 << 10 };

int reader_init(struct reader *reader, struct input *in, struct error *err)
{
	*reader = (struct reader){.in = in, .room = READ_BYTES, .next_line = 1};
	reader->buffer = malloc(reader->room);
	return reader->buffer ? 0 : error_memory(err, reader->room, "text");
}

void reader_release(struct reader *reader)
{
	free(reader->buffer);
	reader->buffer = NULL;
}

/* Reads more behind the unread bytes. */
static int fill(struct reader *reader, struct error *err)
{
	size_t unread = reader->end - reader->begin;
	assert(reader->room >= READ_BYTES);
	memmove(reader->buffer, reader->buffer + reader->begin, unread);
	reader->begin = 0;
	reader->end = unread;
	if (reader->end == reader->room) {
		unsigned char *larger = realloc(reader->buffer, 2 * reader->room);
		if (!larger)
			return error_memory(err, 2 * reader->room, "a line");
		reader->buffer = larger;
		reader->room *= 2;
	}
	ssize_t n = input_read(
		reader->in, reader->buffer + reader->end, reader->room - reader->end, err);
	if (n < 0)
		return -1;
	reader->ended = n == 0;
	reader->end += (size_t)n;
	return 0;
}

static uint64_t line_feeds(const unsigned char *s, size_t n)
{
	uint64_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += s[i] == '\n';
	return count;
}

/* Hands out the next n bytes. */
static ssize_t take(struct reader *reader, size_t n, const unsigned char **piece)
{
	*piece = reader->buffer + reader->begin;
	reader->offset = reader->in->offset - (reader->end - reader->begin);
	reader->line = reader->next_line;
	reader->next_line += line_feeds(*piece, n);
	reader->begin += n;
	return (ssize_t)n;
}

ssize_t reader_line(struct reader *reader, const unsigned char **piece, struct error *err)
{
	size_t seen = 0; /* unread bytes that hold no line feed */
	for (;;) {
		const unsigned char *from = reader->buffer + reader->begin;
		size_t unread = reader->end - reader->begin;
		const unsigned char *feed = memchr(from + seen, '\n', unread - seen);
		if (feed)
			return take(reader, (size_t)(feed - from) + 1, piece);
		if (reader->ended)
			return take(reader, unread, piece);
		seen = unread;
		if (fill(reader, err) < 0)
			return -1;
	}
}

size_t reader_without_end(const unsigned char *line, size_t n, bool universal)
{
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r' && universal)
		n--;
	return n;
}

bool reader_waits(const struct reader *reader)
{
	const struct input *in = reader->in;
	const size_t unread = reader->end - reader->begin;
	if (reader->ended || in->begin < in->end ||
		memchr(reader->buffer + reader->begin, '\n', unread))
		return false;
	return io_waits(in->fd);
}

/* How many of n bytes can go without what follows them: not the start of a character, nor a CR. */
static size_t complete(const unsigned char *s, size_t n)
{
	for (size_t back = 1; back < UTF8_MAX && back <= n; back++) {
		uint32_t codepoint;
		if ((s[n - back] & 0xC0) == 0x80)
			continue; /* not a character's first byte */
		bool begun =
			s[n - back] == '\r' || utf8_decode(s + n - back, back, &codepoint) == 0;
		return begun ? n - back : n;
	}
	return n;
}

ssize_t reader_block(struct reader *reader, const unsigned char **piece, struct error *err)
{
	for (;;) {
		size_t unread = reader->end - reader->begin;
		size_t n =
			reader->ended ? unread : complete(reader->buffer + reader->begin, unread);
		if (n > 0 || reader->ended)
			return take(reader, n, piece);
		if (fill(reader, err) < 0)
			return -1;
	}
}

int reader_error(
	const struct reader *reader, const unsigned char *piece, size_t at, struct error *err)
{
	return error_prefix(err, "%s: line %" PRIu64 ", byte %" PRIu64 ": ", reader->in->name,
		reader->line + line_feeds(piece, at), reader->offset + at);
}

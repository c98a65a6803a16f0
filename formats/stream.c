/* stream.c: the container. What is written and what is accepted stand next to each other, so that
 * they can be compared; stream.md says why each byte is there. */
#include "formats/stream.h"

#include "base/crc.h"
#include "base/io.h"
#include "base/size.h"
#include "formats/kind.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
	ENDS_BYTES = 24 /* its payload */
};

static const char yaml_begin[] = "---\n";
static const char yaml_padding[] = "# padding";
static const char yaml_end[] = "\n...\n";
static const unsigned char zeros[STREAM_ALIGN];

/* --- numbers in memory, little-endian and not aligned ----------------------------------------- */

static void put32(unsigned char *p, uint32_t x)
{
	x = htole32(x);
	memcpy(p, &x, sizeof x);
}

static void put64(unsigned char *p, uint64_t x)
{
	x = htole64(x);
	memcpy(p, &x, sizeof x);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t x;
	memcpy(&x, p, sizeof x);
	return le32toh(x);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t x;
	memcpy(&x, p, sizeof x);
	return le64toh(x);
}

static uint32_t crc_of(const void *bytes, size_t n)
{
	return crc_add(0, bytes, n);
}

/* The CRC of what `crc` is of, followed by `bytes` bytes whose CRC is `next`. */
static uint32_t crc_join(uint32_t crc, uint32_t next, uint64_t bytes)
{
	return (uint32_t)crc32_combine(crc, next, (z_off_t)bytes);
}

/* --- what writing and reading share ----------------------------------------------------------- */

uint64_t stream_frame_size(uint64_t payload_bytes)
{
	return size_align(STREAM_HEAD_BYTES + payload_bytes, STREAM_ALIGN);
}

static size_t padding_of(uint64_t payload_bytes)
{
	return (size_t)(stream_frame_size(payload_bytes) - STREAM_HEAD_BYTES - payload_bytes);
}

void stream_make_head(const struct stream_frame *frame, unsigned char head[STREAM_HEAD_BYTES])
{
	memcpy(head, frame->type, 4);
	put32(head + 4, 0);
	put64(head + 8, frame->bytes);
	put64(head + 16, frame->sequence);
	put32(head + 24, frame->crc);
	put32(head + 28, crc_of(head, 28));
}

static void make_line(char line[STREAM_LINE_BYTES], const char *name, unsigned version,
	uint64_t header, uint32_t crc)
{
	char text[STREAM_LINE_BYTES];
	int n = snprintf(text, sizeof text,
		STREAM_MAGIC "%s %u header=%08" PRIu64 " crc=%08" PRIx32, name, version, header,
		crc);
	assert(n > 0 && n < STREAM_LINE_BYTES);
	memset(line, ' ', STREAM_LINE_BYTES - 1);
	memcpy(line, text, (size_t)n);
	line[STREAM_LINE_BYTES - 1] = '\n';
}

/* --- writing ---------------------------------------------------------------------------------- */

int stream_write_header(struct stream_writer *w, struct output *out,
	const struct stream_format *format, const char *yaml, size_t bytes, struct error *err)
{
	*w = (struct stream_writer){.out = out};
	size_t least = STREAM_LINE_BYTES + strlen(yaml_begin) + bytes + strlen(yaml_padding) +
		       strlen(yaml_end);
	size_t header = (size_t)size_align(least, STREAM_ALIGN);
	if (header > STREAM_HEADER_MAX)
		return error_set(err, STATUS_DATA, "a header of %zu bytes, at most %d are allowed",
			header, STREAM_HEADER_MAX);

	char dots[STREAM_ALIGN], line[STREAM_LINE_BYTES];
	memset(dots, '.', sizeof dots);
	const struct {
		const void *bytes;
		size_t count;
	} parts[] = {
		{yaml_begin, strlen(yaml_begin)},
		{yaml, bytes},
		{yaml_padding, strlen(yaml_padding)},
		{dots, header - least},
		{yaml_end, strlen(yaml_end)},
	};
	uint32_t crc = 0;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		crc = crc_add(crc, parts[i].bytes, parts[i].count);
	make_line(line, format->name, format->version, header, crc);
	if (output_write(out, line, STREAM_LINE_BYTES, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (output_write(out, parts[i].bytes, parts[i].count, err) < 0)
			return -1;
	return 0;
}

int stream_write_frame(struct stream_writer *w, const char *type, const void *payload, size_t bytes,
	uint64_t ids, struct error *err)
{
	unsigned char head[STREAM_HEAD_BYTES];
	struct stream_frame frame = {
		.bytes = bytes, .sequence = w->end.frames, .crc = crc_of(payload, bytes)};
	memcpy(frame.type, type, 4);
	stream_make_head(&frame, head);
	w->end.frames++;
	w->end.ids += ids;
	w->end.crc = crc_join(w->end.crc, frame.crc, bytes);
	if (output_write(w->out, head, sizeof head, err) < 0 ||
		output_write(w->out, payload, bytes, err) < 0 ||
		output_write(w->out, zeros, padding_of(bytes), err) < 0)
		return -1;
	return 0;
}

int stream_write_end(struct stream_writer *w, struct error *err)
{
	unsigned char payload[ENDS_BYTES] = {0};
	put64(payload, w->end.frames);
	put64(payload + 8, w->end.ids);
	put32(payload + 16, w->end.crc);
	return stream_write_frame(w, "ENDS", payload, sizeof payload, 0, err);
}

/* --- reading: the header ---------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int bad(
	const struct stream_reader *r, struct error *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_vset(err, STATUS_DATA, format, args);
	va_end(args);
	return error_prefix(err, "%s: ", r->in->name);
}

static int truncated(const struct stream_reader *r, struct error *err)
{
	return bad(r, err,
		"ends at byte %" PRIu64 " before its end frame: its writer died or this copy is "
		"incomplete",
		r->in->size < UINT64_MAX ? r->in->size : r->in->offset);
}

/* Bytes that are left in a plain file, UINT64_MAX where nobody knows. */
static uint64_t bytes_left(const struct input *in)
{
	if (in->size == UINT64_MAX)
		return UINT64_MAX;
	return in->size > in->offset ? in->size - in->offset : 0;
}

/* Reads n bytes, all of them. */
static int read_all(struct stream_reader *r, void *buf, size_t n, struct error *err)
{
	ssize_t got = input_read_full(r->in, buf, n, err);
	if (got < 0)
		return -1;
	return (size_t)got < n ? truncated(r, err) : 0;
}

/* The number in s[0..n), which are digits of that base; -1 where they are not. */
static int64_t digits(const char *s, size_t n, unsigned base)
{
	int64_t value = 0;
	for (size_t i = 0; i < n; i++) {
		const char *all = "0123456789abcdef", *digit = memchr(all, s[i], base);
		if (!digit)
			return -1;
		value = value * base + (digit - all);
	}
	return value;
}

/* Checks the first line: header size and CRC into *header and *crc. */
static int read_line(struct stream_reader *r, uint64_t *header, uint32_t *crc, struct error *err)
{
	char line[STREAM_LINE_BYTES + 1] = "", same[STREAM_LINE_BYTES];
	const size_t at = strlen(STREAM_MAGIC) + strlen(r->format->name) + 1;
	if (read_all(r, line, STREAM_LINE_BYTES, err) < 0)
		return -1;

	/* The version comes before all that it may change. */
	size_t length = strspn(line + at, "0123456789");
	int64_t version = length > 0 && length < 10 ? digits(line + at, length, 10) : -1;
	if (version > 0 && line[at] != '0' && line[at + length] == ' ' &&
		kind_check_version(r->format->name, (uint64_t)version, r->format->version, err) < 0)
		return error_prefix(err, "%s: ", r->in->name);
	/* What follows a version that is none lies anywhere, behind the line too. */
	if (version <= 0)
		return bad(r, err, "the first line is damaged");
	const char *rest = line + at + length;
	int64_t size = digits(rest + strlen(" header="), 8, 10);
	int64_t sum = digits(rest + strlen(" header=00000000 crc="), 8, 16);
	if (size >= 0 && sum >= 0) {
		make_line(same, r->format->name, (unsigned)version, (uint64_t)size, (uint32_t)sum);
		if (memcmp(line, same, STREAM_LINE_BYTES) == 0) {
			r->version = (unsigned)version;
			*header = (uint64_t)size;
			*crc = (uint32_t)sum;
			return 0;
		}
	}
	return bad(r, err, "the first line is damaged");
}

int stream_read_header(struct stream_reader *r, struct input *in,
	const struct stream_format *format, struct error *err)
{
	size_t begin = strlen(yaml_begin), end = strlen(yaml_end);
	uint64_t header = 0;
	uint32_t crc = 0;

	*r = (struct stream_reader){.in = in, .format = format};
	if (read_line(r, &header, &crc, err) < 0)
		return -1;
	if (header % STREAM_ALIGN != 0 || header <= STREAM_LINE_BYTES || header > STREAM_HEADER_MAX)
		return bad(r, err,
			"a header of %" PRIu64 " bytes; expected a multiple of %d up to %d", header,
			STREAM_ALIGN, STREAM_HEADER_MAX);
	r->yaml_bytes = (size_t)header - STREAM_LINE_BYTES;
	if (r->yaml_bytes > bytes_left(in))
		return truncated(r, err);
	r->yaml = malloc(r->yaml_bytes + 1);
	if (!r->yaml)
		return error_memory(err, header, "a header");
	if (read_all(r, r->yaml, r->yaml_bytes, err) < 0)
		goto fail;
	r->yaml[r->yaml_bytes] = '\0';
	uint32_t found = crc_of(r->yaml, r->yaml_bytes);
	if (found != crc) {
		bad(r, err, "the header is damaged: its CRC is %08" PRIx32 ", expected %08" PRIx32,
			found, crc);
		goto fail;
	}
	if (memcmp(r->yaml, yaml_begin, begin) != 0 ||
		memcmp(r->yaml + r->yaml_bytes - end, yaml_end, end) != 0) {
		bad(r, err,
			"the header must begin with a line \"---\" and end with a line \"...\"");
		goto fail;
	}
	return 0;
fail:
	stream_reader_release(r);
	return -1;
}

void stream_reader_release(struct stream_reader *r)
{
	free(r->yaml);
	r->yaml = NULL;
}

/* --- reading: frames -------------------------------------------------------------------------- */

/* A problem with the frame that began at byte `start`. */
__attribute__((format(printf, 4, 5))) static int bad_frame(
	const struct stream_reader *r, uint64_t start, struct error *err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_vset(err, STATUS_DATA, format, args);
	va_end(args);
	return error_prefix(err, "%s: frame %" PRIu64 " at byte %" PRIu64 ": ", r->in->name,
		r->end.frames, start);
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool valid_type(const char type[4])
{
	for (int i = 1; i < 4; i++)
		if (!is_letter(type[i]) && !(type[i] >= '0' && type[i] <= '9') && type[i] != ' ')
			return false;
	return is_letter(type[0]);
}

/* Whether `types`, four characters each, has this one. */
static bool is_among(const char *types, const char *type)
{
	for (; *types; types += 4)
		if (memcmp(types, type, 4) == 0)
			return true;
	return false;
}

/* Splits a head into `frame`: NULL, or what is wrong with it. */
static const char *parse_head(struct stream_frame *frame, const unsigned char *head)
{
	if (get32(head + 28) != crc_of(head, 28))
		return "its head is damaged (the CRC doesn't fit)";
	memcpy(frame->type, head, 4);
	frame->type[4] = '\0';
	frame->bytes = get64(head + 8);
	frame->sequence = get64(head + 16);
	frame->crc = get32(head + 24);
	if (!valid_type(frame->type))
		return "its type is no type";
	if (get32(head + 4) != 0)
		return "its flags are not zero";
	return NULL;
}

/* Reads payload and padding. Into payload, or nowhere if that is NULL. */
static int read_payload(
	struct stream_reader *r, const struct stream_frame *frame, void *payload, struct error *err)
{
	unsigned char piece[4096], padding[STREAM_ALIGN];
	uint64_t start = frame->offset - STREAM_HEAD_BYTES;
	uint32_t crc = 0;
	if (payload) {
		if (read_all(r, payload, (size_t)frame->bytes, err) < 0)
			return -1;
		crc = crc_of(payload, (size_t)frame->bytes);
	} else {
		for (uint64_t left = frame->bytes; left > 0;) {
			size_t n = left < sizeof piece ? (size_t)left : sizeof piece;
			if (read_all(r, piece, n, err) < 0)
				return -1;
			crc = crc_add(crc, piece, n);
			left -= n;
		}
	}
	if (crc != frame->crc)
		return bad_frame(r, start, err,
			"its payload is damaged: the CRC is %08" PRIx32 ", expected %08" PRIx32,
			crc, frame->crc);
	if (read_all(r, padding, padding_of(frame->bytes), err) < 0)
		return -1;
	if (memcmp(padding, zeros, padding_of(frame->bytes)) != 0)
		return bad_frame(r, start, err, "its padding is not zero");
	return 0;
}

static struct stream_end parse_end(const unsigned char ends[ENDS_BYTES])
{
	return (struct stream_end){
		.frames = get64(ends), .ids = get64(ends + 8), .crc = get32(ends + 16)};
}

static int read_end(struct stream_reader *r, struct stream_frame *frame, struct error *err)
{
	unsigned char ends[ENDS_BYTES], more;
	uint64_t start = frame->offset - STREAM_HEAD_BYTES;
	if (frame->bytes != sizeof ends)
		return bad_frame(r, start, err, "an end frame of %" PRIu64 " bytes, expected %zu",
			frame->bytes, sizeof ends);
	if (read_payload(r, frame, ends, err) < 0)
		return -1;
	const struct stream_end end = parse_end(ends);
	if (end.frames != r->end.frames)
		return bad_frame(r, start, err,
			"the end frame counts %" PRIu64 " frames before it, found %" PRIu64,
			end.frames, r->end.frames);
	if (end.crc != r->end.crc)
		return bad_frame(r, start, err,
			"the CRC of all payloads is %08" PRIx32 ", the end frame says %08" PRIx32,
			r->end.crc, end.crc);
	if (get32(ends + 20) != 0)
		return bad_frame(r, start, err, "the end frame's last four bytes are not zero");
	r->end = end;
	r->ended = true;
	ssize_t n = input_read(r->in, &more, 1, err);
	if (n < 0)
		return -1;
	if (n > 0)
		return bad(r, err, "more bytes after the end frame, from byte %" PRIu64,
			r->in->offset - 1);
	return 0;
}

int stream_read_frame(struct stream_reader *r, struct stream_frame *frame, void *payload,
	size_t capacity, struct error *err)
{
	unsigned char head[STREAM_HEAD_BYTES];
	const char *problem;

	while (!r->ended) {
		uint64_t start = r->in->offset;
		if (read_all(r, head, sizeof head, err) < 0)
			return -1;
		problem = parse_head(frame, head);
		if (problem)
			return bad_frame(r, start, err, "%s", problem);
		frame->offset = r->in->offset;
		if (frame->sequence != r->end.frames)
			return bad_frame(
				r, start, err, "its sequence number is %" PRIu64, frame->sequence);
		if (frame->bytes > STREAM_FRAME_BYTES_MAX)
			return bad_frame(r, start, err, "%" PRIu64 " bytes, at most %d are allowed",
				frame->bytes, STREAM_FRAME_BYTES_MAX);
		if (frame->bytes + padding_of(frame->bytes) > bytes_left(r->in))
			return truncated(r, err);
		if (strcmp(frame->type, "ENDS") == 0)
			return read_end(r, frame, err);

		bool optional = frame->type[0] >= 'a';
		if (!optional && !is_among(r->format->types, frame->type))
			return bad_frame(r, start, err,
				"type \"%s\" is unknown in %s of version %u", frame->type,
				r->format->name, r->version);
		if (!optional && r->optional)
			return bad_frame(r, start, err,
				"type \"%s\" after optional frames, which must be the last",
				frame->type);
		if (!optional && frame->bytes > capacity)
			return bad_frame(r, start, err,
				"%" PRIu64 " bytes, at most %zu are allowed here", frame->bytes,
				capacity);
		if (read_payload(r, frame, optional ? NULL : payload, err) < 0)
			return -1;
		r->end.frames++;
		r->end.crc = crc_join(r->end.crc, frame->crc, frame->bytes);
		if (!optional)
			return 1;
		r->optional = true;
	}
	return 0;
}

int stream_check_frame(
	const struct stream_frame *frame, const unsigned char *bytes, struct error *err)
{
	struct stream_frame found;
	const unsigned char *payload = bytes + STREAM_HEAD_BYTES;
	const char *problem = parse_head(&found, bytes);
	if (!problem && (strcmp(found.type, frame->type) != 0 || found.bytes != frame->bytes ||
				found.sequence != frame->sequence))
		problem = "another frame stands in its place";
	if (!problem && found.crc != crc_of(payload, (size_t)frame->bytes))
		problem = "its payload is damaged (the CRC doesn't fit)";
	if (!problem && memcmp(payload + frame->bytes, zeros, padding_of(frame->bytes)) != 0)
		problem = "its padding is not zero";
	if (problem)
		return error_set(err, STATUS_DATA, "frame %" PRIu64 ": %s since it was first read",
			frame->sequence, problem);
	return 0;
}

int stream_find_end(const struct input *in, struct stream_end *end, struct error *err)
{
	unsigned char bytes[STREAM_HEAD_BYTES + ENDS_BYTES + 8];
	_Static_assert(sizeof bytes == STREAM_ALIGN, "the size of the end frame");
	ssize_t n = io_read_at(in->fd, bytes, sizeof bytes, in->size - sizeof bytes);
	if (n < 0)
		return error_errno(err, STATUS_IO, "%s: can't read", in->name);
	*end = parse_end(bytes + STREAM_HEAD_BYTES);
	const struct stream_frame frame = {
		.type = "ENDS", .bytes = ENDS_BYTES, .sequence = end->frames};
	if (n < (ssize_t)sizeof bytes || stream_check_frame(&frame, bytes, err) < 0)
		return error_set(err, STATUS_DATA,
			"%s: its last bytes are no end frame: it was cut off or damaged; --verify "
			"says where",
			in->name);
	return 0;
}

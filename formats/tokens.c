/* tokens.c: ids in frames of 1 MiB, one or two bytes each. */
#include "formats/tokens.h"

#include "base/io.h"
#include "formats/kind.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct stream_format format = {.name = "tokens", .version = 1, .types = "TOKN"};

static int write_header(struct tokens_writer *w, struct output *out, struct error *err)
{
	char *yaml = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&yaml, &bytes);
	if (!f)
		return error_memory(err, 0, "a header");
	vocab_write_keys(w->vocab, format.name, f);
	vocab_write_symbols(w->vocab, f);
	int rc = fclose(f) != 0 ? error_memory(err, bytes, "a header")
				: stream_write_header(&w->stream, out, &format, yaml, bytes, err);
	free(yaml);
	return rc;
}

int tokens_write_header(
	struct tokens_writer *w, struct output *out, const struct vocab *vocab, struct error *err)
{
	*w = (struct tokens_writer){.vocab = vocab, .id_bytes = vocab_id_bytes(vocab)};
	w->payload = malloc(TOKENS_FRAME_BYTES);
	if (!w->payload)
		return error_memory(err, TOKENS_FRAME_BYTES, "a frame");
	if (write_header(w, out, err) < 0) {
		tokens_writer_release(w);
		return -1;
	}
	return 0;
}

static int write_frame(struct tokens_writer *w, struct error *err)
{
	size_t bytes = w->used;
	w->used = 0;
	return stream_write_frame(&w->stream, "TOKN", w->payload, bytes, bytes / w->id_bytes, err);
}

int tokens_write(struct tokens_writer *w, const uint32_t *ids, size_t n, struct error *err)
{
	while (n > 0) {
		size_t room = (TOKENS_FRAME_BYTES - w->used) / w->id_bytes;
		size_t now = n < room ? n : room;
		vocab_pack(w->vocab, ids, now, w->payload + w->used);
		w->used += now * w->id_bytes;
		ids += now;
		n -= now;
		if (w->used == TOKENS_FRAME_BYTES && write_frame(w, err) < 0)
			return -1;
	}
	return 0;
}

int tokens_write_end(struct tokens_writer *w, struct error *err)
{
	if (w->used > 0 && write_frame(w, err) < 0)
		return -1;
	return stream_write_end(&w->stream, err);
}

void tokens_writer_release(struct tokens_writer *w)
{
	free(w->payload);
	w->payload = NULL;
}

static int read_keys(struct tokens_reader *r, struct error *err)
{
	static const char *const keys[] = {VOCAB_KEYS, NULL};
	struct yaml y;
	int rc = yaml_parse(&y, r->stream.yaml, r->stream.yaml_bytes, 2, STATUS_DATA, err);
	if (rc == 0)
		rc = yaml_keys(&y, yaml_root(&y), keys, err);
	if (rc == 0)
		rc = vocab_read(&r->vocab, &y, format.name, err);
	yaml_release(&y);
	return rc;
}

int tokens_read_header(struct tokens_reader *r, struct input *in, struct error *err)
{
	*r = (struct tokens_reader){0};
	if (kind_expect(KIND_TOKENS, in, err) < 0 ||
		stream_read_header(&r->stream, in, &format, err) < 0)
		return -1;
	if (read_keys(r, err) < 0) {
		error_prefix(err, "%s: ", in->name);
		goto fail;
	}
	r->id_bytes = vocab_id_bytes(&r->vocab);
	stream_reader_release(&r->stream); /* the header's text can be large, and was read */
	r->payload = malloc(TOKENS_FRAME_BYTES);
	if (!r->payload) {
		error_memory(err, TOKENS_FRAME_BYTES, "a frame");
		goto fail;
	}
	r->first = in->offset;
	return 0;
fail:
	tokens_reader_release(r);
	return -1;
}

/* Reads the next frame and checks it: 1, 0 at the end, -1 on failure. */
static int read_frame(struct tokens_reader *r, struct error *err)
{
	struct stream_frame frame;
	const char *name = r->stream.in->name;
	int more = stream_read_frame(&r->stream, &frame, r->payload, TOKENS_FRAME_BYTES, err);
	if (more < 0)
		return -1;
	if (more == 0) {
		if (r->stream.end.ids == r->ids)
			return 0;
		return error_set(err, STATUS_DATA,
			"%s: the end frame counts %" PRIu64 " ids, found %" PRIu64, name,
			r->stream.end.ids, r->ids);
	}
	if (r->end != 0 && r->end != TOKENS_FRAME_BYTES)
		return error_set(err, STATUS_DATA,
			"%s: frame %" PRIu64
			" follows one of %zu bytes; only the last may be shorter "
			"than %d",
			name, frame.sequence, r->end, TOKENS_FRAME_BYTES);
	if (frame.bytes == 0 || frame.bytes % r->id_bytes != 0)
		return error_set(err, STATUS_DATA,
			"%s: frame %" PRIu64 " of %" PRIu64 " bytes, expected a multiple of %u",
			name, frame.sequence, frame.bytes, r->id_bytes);
	size_t count = (size_t)frame.bytes / r->id_bytes;
	size_t wrong = vocab_check(&r->vocab, r->payload, count);
	if (wrong < count)
		return error_set(err, STATUS_DATA,
			"%s: frame %" PRIu64 ", byte %" PRIu64
			": an id that is not below the %" PRIu32 " symbols of the vocabulary",
			name, frame.sequence, frame.offset + wrong * r->id_bytes, r->vocab.size);
	r->begin = 0;
	r->end = (size_t)frame.bytes;
	r->ids += count;
	return 1;
}

/* Makes sure that a frame with unread ids is there: 1, 0 at the end, -1 on failure. */
static int have_ids(struct tokens_reader *r, struct error *err)
{
	return r->begin < r->end ? 1 : read_frame(r, err);
}

ssize_t tokens_read(struct tokens_reader *r, uint32_t *ids, size_t n, struct error *err)
{
	int more = have_ids(r, err);
	if (more <= 0)
		return more;
	size_t have = (r->end - r->begin) / r->id_bytes;
	if (n > have)
		n = have;
	vocab_unpack(&r->vocab, r->payload + r->begin, n, ids);
	r->begin += n * r->id_bytes;
	return (ssize_t)n;
}

ssize_t tokens_read_packed(struct tokens_reader *r, const void **ids, struct error *err)
{
	int more = have_ids(r, err);
	if (more <= 0)
		return more;
	size_t have = (r->end - r->begin) / r->id_bytes;
	*ids = r->payload + r->begin;
	r->begin = r->end;
	return (ssize_t)have;
}

int tokens_read_again(
	const struct tokens_reader *r, uint64_t first, size_t n, void *ids, struct error *err)
{
	const struct input *in = r->stream.in;
	unsigned char *to = ids;
	uint64_t at = first * r->id_bytes;
	for (size_t left = n * r->id_bytes, part; left > 0; left -= part, at += part, to += part) {
		const uint64_t frame = at / TOKENS_FRAME_BYTES, in_frame = at % TOKENS_FRAME_BYTES;
		const size_t rest = (size_t)(TOKENS_FRAME_BYTES - in_frame);
		part = left < rest ? left : rest;
		ssize_t got = io_read_at(in->fd, to, part,
			r->first + frame * stream_frame_size(TOKENS_FRAME_BYTES) +
				STREAM_HEAD_BYTES + in_frame);
		if (got < 0)
			return error_errno(err, STATUS_IO, "%s: can't read", in->name);
		if ((size_t)got < part)
			return error_set(
				err, STATUS_DATA, "%s: became shorter while it was read", in->name);
	}
	return 0;
}

void tokens_reader_release(struct tokens_reader *r)
{
	stream_reader_release(&r->stream);
	vocab_release(&r->vocab);
	free(r->payload);
	r->payload = NULL;
}

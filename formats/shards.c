/* shards.c: batches as frames of one size each, so that any of them is one pread() away. */
#include "formats/shards.h"

#include "base/io.h"
#include "formats/kind.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct stream_format format = {
	.name = "shards", .version = 1, .types = "TRN VAL TST "};
static const char *const split_names[] = {SHARDS_SPLIT_WORDS, NULL};
static const char split_types[SHARDS_SPLITS][5] = {"TRN ", "VAL ", "TST "};
const char *const shards_targets_words[] = {"row-wrap", "next", NULL};

const char *shards_split_name(enum shards_split split)
{
	return split_names[split];
}

size_t shards_batch_ids(const struct shards_header *header, enum shards_split split)
{
	return (size_t)header->rows[split] * ((size_t)header->window + 1);
}

/* Bytes of a batch's payload, and of the frame around it. */
static size_t batch_bytes(const struct shards_header *header, enum shards_split split)
{
	return shards_batch_ids(header, split) * vocab_id_bytes(&header->vocab);
}

static size_t frame_bytes(const struct shards_header *header, enum shards_split split)
{
	return (size_t)stream_frame_size(batch_bytes(header, split));
}

/* --- the header ------------------------------------------------------------------------------- */

/* What shards.md demands of the numbers; after it, no size made of them overflows. The file's size
 * without the header goes into *bytes. */
static int check_header(const struct shards_header *h, uint64_t *bytes, struct error *err)
{
	uint64_t used = 0, total = stream_frame_size(24);
	uint32_t most = h->rows[SHARDS_TRAIN];
	uint64_t batch = most * ((uint64_t)h->window + 1);

	if (h->window == 0 || most == 0 || h->batches[SHARDS_TRAIN] == 0)
		return error_set(err, STATUS_DATA,
			"window, rows and batches of the training part must not be 0");
	if (batch > STREAM_FRAME_BYTES_MAX / vocab_id_bytes(&h->vocab))
		return error_set(err, STATUS_DATA,
			"a batch of %" PRIu32 " rows x (%" PRIu32
			" + 1) ids takes more than %d bytes",
			most, h->window, STREAM_FRAME_BYTES_MAX);
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++) {
		uint32_t rows = h->rows[split];
		uint64_t batches = h->batches[split];
		if ((rows == 0) != (batches == 0) || rows > most || (rows < most && batches > 1))
			return error_set(err, STATUS_DATA,
				"%s part: %" PRIu64 " batches of %" PRIu32 " rows beside %" PRIu32
				" rows of training",
				split_names[split], batches, rows, most);
		if (batches > (INT64_MAX - total) / frame_bytes(h, split))
			return error_set(err, STATUS_DATA,
				"%s part: %" PRIu64 " batches are too many", split_names[split],
				batches);
		total += batches * frame_bytes(h, split);
		used += batches * rows * h->window; /* less than that */
	}
	if (h->tokens_used != used)
		return error_set(err, STATUS_DATA,
			"%" PRIu64 " tokens used, but rows x window x batches make %" PRIu64,
			h->tokens_used, used);
	*bytes = total;
	return 0;
}

/* "rows: {train: 1, validation: 1, test: 0}" */
static void write_splits(FILE *f, const char *key, const uint64_t values[SHARDS_SPLITS])
{
	fprintf(f, "%s: {", key);
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++)
		fprintf(f, "%s%s: %" PRIu64, split > 0 ? ", " : "", split_names[split],
			values[split]);
	fputs("}\n", f);
}

void shards_write_keys(const struct shards_header *h, FILE *f)
{
	const uint64_t rows[SHARDS_SPLITS] = {h->rows[0], h->rows[1], h->rows[2]};
	vocab_write_keys(&h->vocab, format.name, f);
	write_splits(f, "rows", rows);
	fprintf(f, "window: %" PRIu32 "\n", h->window);
	write_splits(f, "batches", h->batches);
	fprintf(f, "targets: %s\n", shards_targets_words[h->targets]);
	fprintf(f, "tokens: {used: %" PRIu64 ", dropped: %" PRIu64 "}\n", h->tokens_used,
		h->tokens_dropped);
}

static int write_yaml(struct shards_writer *w, struct output *out, const struct shards_header *h,
	struct error *err)
{
	char *yaml = NULL;
	size_t bytes = 0;
	FILE *f = open_memstream(&yaml, &bytes);
	if (!f)
		return error_memory(err, 0, "a header");
	shards_write_keys(h, f);
	vocab_write_symbols(&h->vocab, f);
	int rc = fclose(f) != 0 ? error_memory(err, bytes, "a header")
				: stream_write_header(&w->stream, out, &format, yaml, bytes, err);
	free(yaml);
	return rc;
}

/* A mapping of three numbers, one for each split. */
static int read_splits(const struct yaml *y, const char *what, uint64_t high,
	uint64_t values[SHARDS_SPLITS], struct error *err)
{
	const struct yaml_node *node = yaml_get(y, yaml_root(y), what);
	if (yaml_keys(y, node, split_names, err) < 0)
		return error_prefix(err, "%s: ", what);
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++)
		if (yaml_unsigned(y, yaml_get(y, node, split_names[split]), what, 0, high,
			    &values[split], err) < 0)
			return -1;
	return 0;
}

static int read_yaml(struct shards_header *h, const struct yaml *y, struct error *err)
{
	static const char *const keys[] = {
		VOCAB_KEYS, "rows", "window", "batches", "targets", "tokens", NULL};
	static const char *const tokens_keys[] = {"used", "dropped", NULL};
	const struct yaml_node *root = yaml_root(y);
	uint64_t rows[SHARDS_SPLITS], window;
	unsigned targets;

	if (yaml_keys(y, root, keys, err) < 0 ||
		read_splits(y, "rows", UINT32_MAX, rows, err) < 0 ||
		yaml_unsigned(y, yaml_get(y, root, "window"), "window", 1, UINT32_MAX, &window,
			err) < 0 ||
		read_splits(y, "batches", INT64_MAX, h->batches, err) < 0 ||
		yaml_choice(y, yaml_get(y, root, "targets"), "targets", shards_targets_words,
			&targets, err) < 0)
		return -1;
	const struct yaml_node *tokens = yaml_get(y, root, "tokens");
	if (yaml_keys(y, tokens, tokens_keys, err) < 0 ||
		yaml_unsigned(y, yaml_get(y, tokens, "used"), "used", 0, INT64_MAX, &h->tokens_used,
			err) < 0 ||
		yaml_unsigned(y, yaml_get(y, tokens, "dropped"), "dropped", 0, INT64_MAX,
			&h->tokens_dropped, err) < 0)
		return -1;
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++)
		h->rows[split] = (uint32_t)rows[split];
	h->window = (uint32_t)window;
	h->targets = targets;
	return vocab_read(&h->vocab, y, format.name, err);
}

/* Reads the header and checks it, as far as it goes, against the size of the file. */
static int read_header(
	struct stream_reader *r, struct shards_header *header, struct input *in, struct error *err)
{
	struct yaml y;
	uint64_t rest;

	*header = (struct shards_header){0};
	if (kind_expect(KIND_SHARDS, in, err) < 0 || stream_read_header(r, in, &format, err) < 0)
		return -1;
	int rc = yaml_parse(&y, r->yaml, r->yaml_bytes, 2, STATUS_DATA, err);
	if (rc == 0)
		rc = read_yaml(header, &y, err);
	yaml_release(&y);
	stream_reader_release(r); /* the header's text can be large, and was read */
	if (rc == 0)
		rc = check_header(header, &rest, err);
	if (rc == 0 && in->size != UINT64_MAX && rest > in->size - in->offset)
		rc = error_set(err, STATUS_DATA,
			"%" PRIu64 " bytes, its header promises at least %" PRIu64
			": its writer died or this copy is incomplete",
			in->size, in->offset + rest);
	if (rc < 0) {
		error_prefix(err, "%s: ", in->name);
		vocab_release(&header->vocab);
	}
	return rc;
}

int shards_read_header(struct shards_header *header, struct input *in, struct error *err)
{
	struct stream_reader r;
	return read_header(&r, header, in, err);
}

/* --- writing ---------------------------------------------------------------------------------- */

int shards_write_header(struct shards_writer *w, struct output *out,
	const struct shards_header *header, struct error *err)
{
	uint64_t rest;
	*w = (struct shards_writer){.header = header};
	if (check_header(header, &rest, err) < 0)
		return -1;
	return write_yaml(w, out, header, err);
}

int shards_write(
	struct shards_writer *w, enum shards_split split, const void *ids, struct error *err)
{
	const struct shards_header *header = w->header;
	for (enum shards_split before = 0; before < split; before++)
		assert(w->written[before] == header->batches[before]);
	assert(w->written[split] < header->batches[split]);
	w->written[split]++;
	return stream_write_frame(&w->stream, split_types[split], ids, batch_bytes(header, split),
		shards_batch_ids(header, split), err);
}

int shards_write_end(struct shards_writer *w, struct error *err)
{
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++)
		assert(w->written[split] == w->header->batches[split]);
	return stream_write_end(&w->stream, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Checks the ids of the batch in shards->frame. */
static int check_ids(const struct shards *s, enum shards_split split,
	const struct stream_frame *frame, struct error *err)
{
	size_t count = shards_batch_ids(&s->header, split);
	size_t wrong = vocab_check(&s->header.vocab, s->frame + STREAM_HEAD_BYTES, count);
	if (wrong == count)
		return 0;
	return error_set(err, STATUS_DATA,
		"%s: frame %" PRIu64 ", row %zu, column %zu: an id that is not below the %" PRIu32
		" symbols of the vocabulary",
		s->name, frame->sequence, wrong / (s->header.window + 1),
		wrong % (s->header.window + 1), s->header.vocab.size);
}

/* Reads the next batch, which must be batch k of `split`, in the first pass. */
static int take_batch(struct shards *s, struct stream_reader *r, enum shards_split split,
	uint64_t k, struct error *err)
{
	size_t capacity = batch_bytes(&s->header, SHARDS_TRAIN);
	struct stream_frame frame;
	int more = stream_read_frame(r, &frame, s->frame + STREAM_HEAD_BYTES, capacity, err);
	if (more < 0)
		return -1;
	if (more == 0)
		return error_set(err, STATUS_DATA,
			"%s: ends after %" PRIu64 " of the %" PRIu64
			" %s batches that its header says",
			s->name, k, s->header.batches[split], split_names[split]);
	if (strcmp(frame.type, split_types[split]) != 0 ||
		frame.bytes != batch_bytes(&s->header, split))
		return error_set(err, STATUS_DATA,
			"%s: frame %" PRIu64 " at byte %" PRIu64 ": type \"%s\" of %" PRIu64
			" bytes, expected \"%s\" of %zu",
			s->name, frame.sequence, frame.offset - STREAM_HEAD_BYTES, frame.type,
			frame.bytes, split_types[split], batch_bytes(&s->header, split));
	if (check_ids(s, split, &frame, err) < 0)
		return -1;
	if (!s->spooled)
		return 0;
	size_t whole = frame_bytes(&s->header, split),
	       used = STREAM_HEAD_BYTES + (size_t)frame.bytes;
	stream_make_head(&frame, s->frame);
	memset(s->frame + used, 0, whole - used);
	return spool_write(&s->spool, s->frame, whole, err);
}

int shards_open(struct shards *s, struct input *in, struct error *err)
{
	struct stream_reader r;
	uint64_t ids = 0;

	*s = (struct shards){.name = in->name, .fd = in->fd, .spooled = !input_seekable(in)};
	s->spool.fd = -1;
	if (read_header(&r, &s->header, in, err) < 0)
		return -1;
	if (s->spooled && spool_init(&s->spool, err) < 0)
		goto fail;
	s->frame = malloc(frame_bytes(&s->header, SHARDS_TRAIN));
	if (!s->frame) {
		error_memory(err, frame_bytes(&s->header, SHARDS_TRAIN), "a batch");
		goto fail;
	}
	for (enum shards_split split = 0; split < SHARDS_SPLITS; split++) {
		s->first[split] = s->spooled ? s->spool.size : in->offset;
		for (uint64_t k = 0; k < s->header.batches[split]; k++)
			if (take_batch(s, &r, split, k, err) < 0)
				goto fail;
		ids += s->header.batches[split] * shards_batch_ids(&s->header, split);
	}
	struct stream_frame frame;
	int more = stream_read_frame(&r, &frame, s->frame + STREAM_HEAD_BYTES,
		batch_bytes(&s->header, SHARDS_TRAIN), err);
	if (more < 0)
		goto fail;
	if (more > 0) {
		error_set(err, STATUS_DATA,
			"%s: frame %" PRIu64 " is one more than its header says", s->name,
			frame.sequence);
		goto fail;
	}
	if (r.end.ids != ids) {
		error_set(err, STATUS_DATA,
			"%s: the end frame counts %" PRIu64 " ids, found %" PRIu64, s->name,
			r.end.ids, ids);
		goto fail;
	}
	s->end = r.end;
	return 0;
fail:
	shards_close(s);
	return -1;
}

/* Reads n bytes at an offset of the input. */
static int read_at(
	const struct shards *s, uint64_t offset, unsigned char *buf, size_t n, struct error *err)
{
	ssize_t got = io_read_at(s->fd, buf, n, offset);
	if (got < 0)
		return error_errno(err, STATUS_IO, "%s: can't read", s->name);
	if ((size_t)got < n)
		return error_set(err, STATUS_DATA,
			"%s: ends at byte %" PRIu64 ", it was longer when first read", s->name,
			offset + (uint64_t)got);
	return 0;
}

int shards_read(
	struct shards *s, enum shards_split split, uint64_t k, uint32_t *ids, struct error *err)
{
	const struct shards_header *header = &s->header;
	size_t whole = frame_bytes(header, split);
	uint64_t offset = s->first[split] + k * whole;
	struct stream_frame frame = {.bytes = batch_bytes(header, split), .sequence = k};

	assert(k < header->batches[split]);
	memcpy(frame.type, split_types[split], sizeof frame.type);
	for (enum shards_split before = 0; before < split; before++)
		frame.sequence += header->batches[before];
	if (s->spooled ? spool_read(&s->spool, offset, s->frame, whole, err) < 0
		       : read_at(s, offset, s->frame, whole, err) < 0)
		return -1;
	if (stream_check_frame(&frame, s->frame, err) < 0)
		return error_prefix(err, "%s: ", s->name);
	if (check_ids(s, split, &frame, err) < 0)
		return -1;
	vocab_unpack(
		&header->vocab, s->frame + STREAM_HEAD_BYTES, shards_batch_ids(header, split), ids);
	return 0;
}

void shards_close(struct shards *s)
{
	vocab_release(&s->header.vocab);
	if (s->spooled)
		spool_release(&s->spool);
	free(s->frame);
	s->frame = NULL;
}

/* charpipe_data.c: batches to learn from: of shards, or of a text in memory. */
#include "base/input.h"
#include "base/utf8.h"
#include "door/door.h"
#include "formats/encode.h"

#include <inttypes.h>
#include <stdlib.h>

void door_data_leave(struct charpipe_data *data)
{
	if (!data || --data->users > 0)
		return;
	shards_close(&data->shards);
	input_close(&data->in);
	vocab_release(&data->own.vocab);
	free(data->ids);
	free(data);
}

void charpipe_data_free(struct charpipe_data *data)
{
	door_data_leave(data);
}

static struct charpipe_data *begin(struct error *err)
{
	struct charpipe_data *data = calloc(1, sizeof *data);
	if (!data) {
		error_memory(err, sizeof *data, "data");
		return NULL;
	}
	data->users = 1;
	return data;
}

uint64_t charpipe_data_batches(const struct charpipe_data *data, enum charpipe_split split)
{
	return (unsigned)split < SHARDS_SPLITS ? data->header->batches[split] : 0;
}

struct charpipe_data *charpipe_data_open(const char *path, struct charpipe_error *error)
{
	struct error err;
	struct charpipe_data *data = begin(&err);
	if (data && (input_open(&data->in, path, INPUT_GUNZIP, &err) < 0 ||
			    shards_open(&data->shards, &data->in, &err) < 0)) {
		door_data_leave(data);
		data = NULL;
	}
	if (data)
		data->header = &data->shards.header;
	else
		door_error(error, &err);
	return data;
}

/* --- a text ----------------------------------------------------------------------------------- */

/* The vocabulary of what occurs in a text, sorted; of bytes, all. */
static int survey(struct vocab *vocab, enum vocab_unit unit, enum vocab_newlines newlines,
	const char *text, size_t bytes, struct error *err)
{
	const unsigned char *s = (const unsigned char *)text;
	const size_t most = unit == VOCAB_BYTE ? 256 : UTF8_CODEPOINTS;
	unsigned char *seen = calloc(most, 1);
	uint32_t *symbols = calloc(most, sizeof *symbols), symbol;
	size_t size = 0;
	int rc = -1;
	if (!seen || !symbols) {
		error_memory(err, most * (1 + sizeof *symbols), "the vocabulary");
		goto out;
	}
	for (size_t i = 0; unit == VOCAB_CODEPOINT && i < bytes;) {
		size_t length = encode_read(unit, newlines, s + i, bytes - i, &symbol);
		if (symbol == VOCAB_NONE) {
			error_set(err, STATUS_DATA, "text: byte %zu: byte 0x%02X is not UTF-8", i,
				s[i]);
			goto out;
		}
		seen[symbol] = 1;
		i += length;
	}
	for (uint32_t c = 0; c < most; c++)
		if (seen[c] || unit == VOCAB_BYTE)
			symbols[size++] = c;
	rc = vocab_init(vocab, unit, newlines, symbols, size, err);
out:
	free(symbols);
	free(seen);
	return rc;
}

static int check_batching(const struct charpipe_batching *b, size_t bytes, struct error *err)
{
	if (b->rows == 0 || b->window == 0 || b->window == UINT32_MAX)
		return error_set(err, STATUS_USAGE,
			"batches of %" PRIu32 " x %" PRIu32 ": expected at least 1 x 1", b->rows,
			b->window);
	if (!(b->validation >= 0 && b->test >= 0 && b->validation + b->test < 1))
		return error_set(err, STATUS_USAGE,
			"validation %g, test %g: expected parts that leave something to train on",
			b->validation, b->test);
	if (bytes == 0)
		return error_set(err, STATUS_DATA, "text: empty");
	return 0;
}

static int fill(struct charpipe_data *data, const char *text, size_t bytes,
	const struct charpipe_model *model, const struct charpipe_batching *b, struct error *err)
{
	const struct plan plan = {.rows = b->rows,
		.window = b->window,
		.validation = b->validation,
		.test = b->test,
		.targets = SHARDS_ROW_WRAP};
	const struct vocab *known = NULL;
	struct vocab vocab = {0};
	size_t count;
	if (check_batching(b, bytes, err) < 0 || (model && !(known = door_vocab(model, err))))
		return -1;
	if (known ? vocab_copy(&vocab, known, err)
		  : survey(&vocab, b->bytes ? VOCAB_BYTE : VOCAB_CODEPOINT,
			    b->universal_newlines ? VOCAB_UNIVERSAL : VOCAB_KEEP, text, bytes, err))
		return -1;
	data->own.vocab = vocab;
	data->ids = calloc(bytes, sizeof *data->ids);
	if (!data->ids)
		return error_memory(err, bytes * sizeof *data->ids, "the text's ids");
	if (door_encode(&vocab, text, bytes, data->ids, &count, err) < 0)
		return -1;
	plan_make(&plan, count, data->parts, &data->own);
	data->own.vocab = vocab;
	if (data->own.batches[SHARDS_TRAIN] == 0)
		return error_set(err, STATUS_DATA,
			"text: %" PRIu64 " characters to train on, fewer than one batch of %" PRIu32
			" x %" PRIu32,
			data->parts[SHARDS_TRAIN].tokens, b->rows, b->window);
	data->header = &data->own;
	return 0;
}

struct charpipe_data *charpipe_data_new(const char *text, size_t bytes,
	const struct charpipe_model *model, const struct charpipe_batching *batching,
	struct charpipe_error *error)
{
	struct charpipe_batching options = CHARPIPE_BATCHING;
	struct error err;
	struct charpipe_data *data = NULL;
	if (door_options(&options, sizeof options, batching, &err) == 0)
		data = begin(&err);
	if (data && fill(data, text, bytes, model, &options, &err) < 0) {
		door_data_leave(data);
		data = NULL;
	}
	if (!data)
		door_error(error, &err);
	return data;
}

/* --- its batches ------------------------------------------------------------------------------ */

int door_data_read(struct charpipe_data *data, enum shards_split split, uint64_t k, uint32_t *batch,
	struct error *err)
{
	const struct shards_header *header = data->header;
	const uint64_t T = header->window, columns = header->batches[split] * T;
	if (!data->ids)
		return shards_read(&data->shards, split, k, batch, err);
	for (uint64_t r = 0; r < header->rows[split]; r++) {
		const uint32_t *row = data->ids + data->parts[split].begin + r * columns;
		for (uint64_t t = 0; t <= T; t++)
			*batch++ = row[(k * T + t) % columns];
	}
	return 0;
}

/* vocab_file.c: see vocab_file.h. */
#include "formats/vocab_file.h"

#include "base/input.h"
#include "formats/model_file.h"
#include "formats/shards.h"
#include "formats/stream.h"
#include "formats/tokens.h"

static int from_tokens(struct vocab *vocab, struct input *in, struct error *err)
{
	struct tokens_reader reader;
	if (tokens_read_header(&reader, in, err) < 0)
		return -1;
	*vocab = reader.vocab;
	reader.vocab = (struct vocab){0};
	tokens_reader_release(&reader);
	return 0;
}

static int from_shards(struct vocab *vocab, struct input *in, struct error *err)
{
	struct shards_header header;
	if (shards_read_header(&header, in, err) < 0)
		return -1;
	*vocab = header.vocab;
	return 0;
}

static int from_model(struct vocab *vocab, struct input *in, struct error *err)
{
	struct model_file model;
	if (model_file_read(&model, in, err) < 0)
		return -1;
	int rc = model.has_vocab
			 ? vocab_copy(vocab, &model.vocab, err)
			 : error_set(err, STATUS_DATA,
				   "%s: this model doesn't say which symbols it knows", in->name);
	model_file_release(&model);
	return rc;
}

int vocab_file_read(struct vocab *vocab, const char *path, struct error *err)
{
	struct input in;
	unsigned char first[STREAM_LINE_BYTES];
	int rc = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	ssize_t n = input_peek(&in, first, sizeof first, err);
	if (n < 0)
		goto out;
	switch (stream_identify(first, (size_t)n)) {
	case STREAM_TOKENS:
		rc = from_tokens(vocab, &in, err);
		break;
	case STREAM_SHARDS:
		rc = from_shards(vocab, &in, err);
		break;
	case STREAM_MODEL:
	case STREAM_STATE: /* which is refused for what it is */
		rc = from_model(vocab, &in, err);
		break;
	case STREAM_UNKNOWN:
		error_set(err, STATUS_DATA,
			"%s: has no vocabulary: not a token stream, shards or a model", in.name);
		break;
	}
out:
	input_close(&in);
	return rc;
}

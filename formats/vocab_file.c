/* vocab_file.c: see vocab_file.h. */
#include "formats/vocab_file.h"

#include "base/input.h"
#include "formats/kind.h"
#include "formats/model_file.h"
#include "formats/shards.h"
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
	enum kind kind;
	int rc = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	if (kind_peek(&kind, &in, err) < 0)
		goto out;
	if (kind == KIND_TOKENS)
		rc = from_tokens(vocab, &in, err);
	else if (kind == KIND_SHARDS)
		rc = from_shards(vocab, &in, err);
	else if (kind == KIND_MODEL)
		rc = from_model(vocab, &in, err);
	else
		kind_error(kind, KIND_WITH_VOCAB, &in, err);
out:
	input_close(&in);
	return rc;
}

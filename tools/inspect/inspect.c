/* inspect: what a charpipe file says of itself, as YAML, or the windows in it, as TSV. Names and
 * texts that a file brings along are printed quoted and escaped: no terminal obeys them. */
#include "base/input.h"
#include "base/io.h"
#include "base/show.h"
#include "formats/model_file.h"
#include "formats/shards.h"
#include "formats/state_file.h"
#include "formats/tokens.h"
#include "formats/yaml.h"
#include "tools/tool.h"

#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ENDS_BYTES = 24, /* the end frame's payload */
	DEPTH_MAX = 4,   /* containers within containers of a model's JSON that are printed */
};

struct values {
	struct tool_common common;
	bool verify, tsv;
	unsigned split; /* enum shards_split */
	uint64_t batch, rows, columns;
};

static const char *const split_choices[] = {"train", "validation", "test", NULL};

#define AT(member) offsetof(struct values, member)
static const struct option table[] = {
	{.name = "verify",
		.type = OPTION_FLAG,
		.offset = AT(verify),
		.help = "read all of a stream and check every checksum and every id"},
	{.letter = 't',
		.name = "tsv",
		.type = OPTION_FLAG,
		.offset = AT(tsv),
		.help = "print the windows of a batch of shards: inputs x, then targets y"},
	{.letter = 's',
		.name = "split",
		.argument = "train|validation|test",
		.type = OPTION_CHOICE,
		.offset = AT(split),
		.initial = "train",
		.choices = split_choices,
		.help = "with --tsv: the part that the batch is of"},
	{.letter = 'b',
		.name = "batch",
		.argument = "K",
		.type = OPTION_INTEGER,
		.offset = AT(batch),
		.initial = "0",
		.high = 0x1p53,
		.help = "with --tsv: the batch, counted from 0"},
	{.letter = 'n',
		.name = "rows",
		.argument = "N",
		.type = OPTION_INTEGER,
		.offset = AT(rows),
		.initial = "10",
		.low = 1,
		.high = UINT32_MAX,
		.infinite = true,
		.help = "with --tsv: at most so many rows; inf: all"},
	{.letter = 'm',
		.name = "columns",
		.argument = "M",
		.type = OPTION_INTEGER,
		.offset = AT(columns),
		.initial = "10",
		.low = 1,
		.high = UINT32_MAX,
		.infinite = true,
		.help = "with --tsv: at most so many columns; inf: all"},
	TOOL_OPTIONS(struct values),
	{0},
};

/* --- streams ------------------------------------------------------------------------------- */

/* What the end frame says. */
struct end {
	uint64_t frames, ids;
	uint32_t crc;
};

/* Whether frames are read one by one: to check them, or as there is no other way to the end. */
static bool reads_all(const struct tool *tool, const struct input *in)
{
	const struct values *v = tool->values;
	return v->verify || v->tsv || !input_seekable(in);
}

/* Reads the end frame where it must be: a file's last bytes. */
static int read_end(const struct input *in, struct end *end, struct error *err)
{
	unsigned char bytes[STREAM_ALIGN];
	ssize_t n = io_read_at(in->fd, bytes, sizeof bytes, in->size - sizeof bytes);
	if (n < 0)
		return error_errno(err, STATUS_IO, "%s: can't read", in->name);
	memcpy(&end->frames, bytes + STREAM_HEAD_BYTES, sizeof end->frames);
	memcpy(&end->ids, bytes + STREAM_HEAD_BYTES + 8, sizeof end->ids);
	memcpy(&end->crc, bytes + STREAM_HEAD_BYTES + 16, sizeof end->crc);
	end->frames = le64toh(end->frames);
	end->ids = le64toh(end->ids);
	end->crc = le32toh(end->crc);

	struct stream_frame frame = {.type = "ENDS", .bytes = ENDS_BYTES, .sequence = end->frames};
	if (n < (ssize_t)sizeof bytes || stream_check_frame(&frame, bytes, err) < 0)
		return error_set(err, STATUS_DATA,
			"%s: its last bytes are no end frame: it was cut off or damaged; --verify "
			"says where",
			in->name);
	return 0;
}

static void write_end(FILE *f, const struct end *end, bool verified)
{
	fprintf(f, "frames: %" PRIu64 "\nids: %" PRIu64 "\ncrc32: \"%08" PRIx32 "\"\n", end->frames,
		end->ids, end->crc);
	fprintf(f, "verified: %s\n", verified ? "true" : "false");
}

static void write_vocab(FILE *f, const struct vocab *vocab)
{
	fprintf(f, "symbols: %" PRIu32 "\n", vocab->size);
	vocab_write_symbols(vocab, f);
}

static int inspect_tokens(const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	struct tokens_reader reader;
	struct end end;
	const void *ids;
	ssize_t n;
	int rc = -1;
	bool all = reads_all(tool, in);
	if (tokens_read_header(&reader, in, err) < 0)
		return -1;
	fputs("kind: tokens\n", f);
	vocab_write_keys(&reader.vocab, f);
	if (all) {
		while ((n = tokens_read_packed(&reader, &ids, err)) > 0)
			tool_progress(tool, "%" PRIu64 " ids", reader.ids);
		tool_progress_end(tool);
		end = (struct end){reader.stream.frames, reader.stream.ids, reader.stream.crc};
		rc = n < 0 ? -1 : 0;
	} else {
		rc = read_end(in, &end, err);
	}
	if (rc == 0)
		write_end(f, &end, all);
	write_vocab(f, &reader.vocab);
	tokens_reader_release(&reader);
	return rc;
}

static void write_shards_header(FILE *f, const struct shards_header *header)
{
	const struct {
		const char *name;
		uint64_t n[SHARDS_SPLITS];
	} counts[] = {
		{"rows", {header->rows[0], header->rows[1], header->rows[2]}},
		{"batches", {header->batches[0], header->batches[1], header->batches[2]}},
	};
	fputs("kind: shards\n", f);
	vocab_write_keys(&header->vocab, f);
	fprintf(f, "window: %" PRIu32 "\n", header->window);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		fprintf(f, "%s: {", counts[i].name);
		for (enum shards_split s = 0; s < SHARDS_SPLITS; s++)
			fprintf(f, "%s%s: %" PRIu64, s > 0 ? ", " : "", shards_split_name(s),
				counts[i].n[s]);
		fputs("}\n", f);
	}
	fprintf(f, "targets: %s\n", header->targets == SHARDS_NEXT ? "next" : "row-wrap");
	fprintf(f, "tokens: {used: %" PRIu64 ", dropped: %" PRIu64 "}\n", header->tokens_used,
		header->tokens_dropped);
}

/* One matrix of a batch: inputs from column 0 on, targets from 1. */
static void write_matrix(FILE *f, const struct tool *tool, const struct shards_header *header,
	const uint32_t *ids, unsigned first)
{
	const struct values *v = tool->values;
	size_t window = header->window, rows = header->rows[v->split];
	for (size_t row = 0; row < rows && row < v->rows; row++) {
		fprintf(f, "%s\t%" PRIu64 "\t%c\t%zu", shards_split_name(v->split), v->batch,
			"xy"[first], row);
		for (size_t column = 0; column < window && column < v->columns; column++)
			fprintf(f, "\t%" PRIu32, ids[row * (window + 1) + first + column]);
		fputc('\n', f);
	}
}

static int write_windows(FILE *f, const struct tool *tool, struct shards *shards, const char *name,
	struct error *err)
{
	const struct values *v = tool->values;
	const struct shards_header *header = &shards->header;
	if (v->batch >= header->batches[v->split])
		return error_set(err, STATUS_USAGE,
			"%s: %s has %" PRIu64 " batches, none is number %" PRIu64, name,
			shards_split_name(v->split), header->batches[v->split], v->batch);
	size_t n = shards_batch_ids(header, v->split);
	uint32_t *ids = calloc(n, sizeof *ids);
	if (!ids)
		return error_memory(err, n * sizeof *ids, "a batch");
	int rc = shards_read(shards, v->split, v->batch, ids, err);
	if (rc == 0) {
		fputs("split\tbatch\tmatrix\trow", f);
		for (size_t column = 0; column < header->window && column < v->columns; column++)
			fprintf(f, "\t%zu", column);
		fputc('\n', f);
		write_matrix(f, tool, header, ids, 0);
		write_matrix(f, tool, header, ids, 1);
	}
	free(ids);
	return rc;
}

/* Shards of which all is read. */
static int inspect_whole_shards(
	const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	const struct values *v = tool->values;
	struct shards shards;
	struct end end = {0};
	int rc = 0;
	if (shards_open(&shards, in, err) < 0)
		return -1;
	for (enum shards_split s = 0; s < SHARDS_SPLITS; s++) {
		end.frames += shards.header.batches[s];
		end.ids += shards.header.batches[s] * shards_batch_ids(&shards.header, s);
	}
	end.crc = shards.crc;
	if (v->tsv) {
		rc = write_windows(f, tool, &shards, in->name, err);
	} else {
		write_shards_header(f, &shards.header);
		write_end(f, &end, true);
		write_vocab(f, &shards.header.vocab);
	}
	shards_close(&shards);
	return rc;
}

static int inspect_shards(const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	struct shards_header header;
	struct end end;
	if (reads_all(tool, in))
		return inspect_whole_shards(tool, in, f, err);
	if (shards_read_header(&header, in, err) < 0)
		return -1;
	write_shards_header(f, &header);
	int rc = read_end(in, &end, err);
	if (rc == 0)
		write_end(f, &end, false);
	write_vocab(f, &header.vocab);
	vocab_release(&header.vocab);
	return rc;
}

/* --- models -------------------------------------------------------------------------------- */

/* A key that is no plain word is quoted. */
static void write_key(FILE *f, const char *key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
	if (key[0] >= 'a' && key[0] <= 'z' && key[strspn(key, plain)] == '\0')
		fputs(key, f);
	else
		show_quoted(f, key, strlen(key));
}

/* JSON as YAML on one line. What lies deeper than any charpipe program writes is left out. */
static void write_json(FILE *f, json_t *value, unsigned depth)
{
	const char *key;
	json_t *child;
	char real[SHOW_REAL];
	size_t i;
	if (json_is_string(value)) {
		show_quoted(f, json_string_value(value), json_string_length(value));
	} else if (json_is_integer(value)) {
		fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else if (json_is_real(value)) {
		fputs(show_real(json_real_value(value), real), f);
	} else if (json_is_boolean(value)) {
		fputs(json_is_true(value) ? "true" : "false", f);
	} else if (json_is_null(value)) {
		fputs("null", f);
	} else if (depth == DEPTH_MAX) {
		fputs("\"...\"", f);
	} else if (json_is_array(value)) {
		fputc('[', f);
		json_array_foreach(value, i, child)
		{
			fputs(i > 0 ? ", " : "", f);
			write_json(f, child, depth + 1);
		}
		fputc(']', f);
	} else {
		const char *separator = "";
		fputc('{', f);
		json_object_foreach(value, key, child)
		{
			fputs(separator, f);
			write_key(f, key);
			fputs(": ", f);
			write_json(f, child, depth + 1);
			separator = ", ";
		}
		fputc('}', f);
	}
}

/* One of a model's JSON objects, a line for each key. */
static void write_object(FILE *f, const char *name, json_t *object)
{
	const char *key;
	json_t *value;
	if (!object)
		return;
	fprintf(f, "%s:%s\n", name, json_object_size(object) == 0 ? " {}" : "");
	json_object_foreach(object, key, value)
	{
		fputs("  ", f);
		write_key(f, key);
		fputs(": ", f);
		write_json(f, value, 0);
		fputc('\n', f);
	}
}

static void write_tensors(FILE *f, const struct model_file *model)
{
	fputs("tensors:\n", f);
	for (size_t i = 0; i < model->params.count; i++) {
		const struct param *p = &model->params.v[i];
		fprintf(f, p->cols > 0 ? "  %s: [%zu, %zu]\n" : "  %s: [%zu]\n", p->name, p->rows,
			p->cols);
	}
	for (size_t i = 0; i < model->tensor_count; i++) {
		const struct model_tensor *t = &model->tensors[i];
		char name[sizeof t->name + sizeof "train."];
		snprintf(name, sizeof name, "train.%s", t->name);
		fputs("  ", f);
		write_key(f, name);
		fputs(": [", f);
		for (unsigned d = 0; d < t->dims; d++)
			fprintf(f, "%s%" PRIu64, d > 0 ? ", " : "", t->shape[d]);
		fputs("]\n", f);
	}
}

/* A model is read, and so checked, as a whole: it has to fit into memory anyway. */
static int inspect_model(struct input *in, FILE *f, struct error *err)
{
	struct model_file model;
	char dropout[SHOW_REAL];
	if (model_file_read(&model, in, err) < 0)
		return -1;
	const struct params *p = &model.params;
	fprintf(f, "kind: %s\n",
		model.checkpoint  ? "checkpoint"
		: model.has_vocab ? "model"
				  : "state_dict");
	fprintf(f, "layers: %" PRIu32 "\nhidden: %" PRIu32 "\ndropout: %s", p->layers, p->hidden,
		show_real(model.dropout, dropout));
	fprintf(f, "\nparameters: %zu\nverified: true\n", p->parameters);
	write_object(f, "training", model.training);
	write_object(f, "checkpoint", model.checkpoint);
	write_tensors(f, &model);
	if (model.has_vocab) {
		fprintf(f, "unit: %s\nnewlines: %s\n", vocab_unit_name(model.vocab.unit),
			vocab_newlines_name(model.vocab.newlines));
		write_vocab(f, &model.vocab);
	} else {
		fprintf(f, "symbols: %" PRIu32 "\n", p->vocab);
	}
	model_file_release(&model);
	return 0;
}

/* What sample --save-state wrote; checked as a whole, as a model is. */
static int inspect_state(struct input *in, FILE *f, struct error *err)
{
	struct state_file state;
	uint32_t model_crc;
	if (state_file_read_any(&state, &model_crc, in, err) < 0)
		return -1;
	fprintf(f, "kind: state\nmodel_crc32: \"%08" PRIx32 "\"\n", model_crc);
	fprintf(f, "layers: %" PRIu32 "\nhidden: %" PRIu32 "\nsymbols: %" PRIu32 "\n", state.layers,
		state.hidden, state.vocab);
	fputs("verified: true\n", f);
	state_file_release(&state);
	return 0;
}

/* --- the program --------------------------------------------------------------------------- */

static int inspect(const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	const struct values *v = tool->values;
	unsigned char first[STREAM_LINE_BYTES];
	ssize_t n = input_peek(in, first, sizeof first, err);
	if (n < 0)
		return -1;
	enum stream_kind kind = stream_identify(first, (size_t)n);
	if (v->tsv && kind == STREAM_TOKENS)
		return error_set(err, STATUS_DATA,
			"%s: a token stream has no windows; run batchify, or tokenize -d",
			in->name);
	if (v->tsv && (kind == STREAM_MODEL || kind == STREAM_STATE))
		return error_set(err, STATUS_DATA, "%s: a model%s has no windows", in->name,
			kind == STREAM_STATE ? "'s state" : "");
	switch (kind) {
	case STREAM_TOKENS:
		return inspect_tokens(tool, in, f, err);
	case STREAM_SHARDS:
		return inspect_shards(tool, in, f, err);
	case STREAM_MODEL:
		return inspect_model(in, f, err);
	case STREAM_STATE:
		return inspect_state(in, f, err);
	case STREAM_UNKNOWN:
		if (n >= 4 && memcmp(first, "PK\3\4", 4) == 0)
			return inspect_model(in, f, err); /* which tells of torch.save() */
		break;
	}
	return error_set(err, STATUS_DATA,
		"%s: not a charpipe file: no token stream, shards, model or state; what a "
		"configuration sets, train -c FILE --print-config tells",
		in->name);
}

/* What could be said of a damaged file is printed all the same, before the error; but no file is
 * made of it. */
static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct input in;
	struct output out = {0};
	char *text = NULL;
	size_t bytes = 0;
	int rc = -1;

	if (argc > 1)
		return error_set(err, STATUS_USAGE, "one file at most, not %d", argc);
	if (input_open(&in, argc > 0 ? argv[0] : "-", INPUT_GUNZIP, err) < 0)
		return -1;
	FILE *f = open_memstream(&text, &bytes);
	if (!f) {
		error_memory(err, BUFSIZ, "the text");
		goto out;
	}
	rc = inspect(tool, &in, f, err);
	bool lost = ferror(f);
	if (fclose(f) != 0 || lost) {
		rc = error_memory(err, bytes, "the text");
		goto out;
	}
	const struct tool_common *common = tool->values;
	struct error unwritten;
	if (bytes > 0 && (rc == 0 || !common->output) &&
		(tool_output(tool, &out, false, &unwritten) < 0 ||
			output_write(&out, text, bytes, &unwritten) < 0 ||
			output_commit(&out, &unwritten) < 0)) {
		*err = unwritten;
		rc = -1;
	}
out:
	output_discard(&out);
	free(text);
	input_close(&in);
	return rc;
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "inspect",
		.synopsis = "[OPTION...] [FILE]",
		.summary = "Prints what a token stream, shards, a model, a checkpoint or a state "
			   "says of itself, as YAML; or the windows of a batch, as TSV.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

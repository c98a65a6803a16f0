/* inspect: what a charpipe file says of itself, as YAML, or the windows in it, as TSV. Names and
 * texts that a file brings along are printed quoted and escaped: no terminal obeys them. */
#include "base/input.h"
#include "base/show.h"
#include "formats/kind.h"
#include "formats/model_file.h"
#include "formats/shards.h"
#include "formats/state_file.h"
#include "formats/tokens.h"
#include "formats/yaml.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 4, /* containers within containers of a model's JSON that are printed */
};

struct values {
	struct tool_common common;
	bool verify, tsv;
	unsigned split; /* enum shards_split */
	uint64_t batch, rows, columns;
};

static const char *const split_choices[] = {SHARDS_SPLIT_WORDS, NULL};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.name = "verify", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(verify),
	 .help = "read all of a stream and check every checksum and every id"},
	{.letter = 't', .name = "tsv", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(tsv),
	 .help = "print the windows of a batch of shards: inputs x, then targets y"},
	{.letter = 's', .name = "split", .argument = "train|validation|test", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(split), .initial = "train", .choices = split_choices,
	 .help = "with --tsv: the part that the batch is of"},
	{.letter = 'b', .name = "batch", .argument = "K", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(batch), .initial = "0", .high = 0x1p53,
	 .help = "with --tsv: the batch, counted from 0"},
	{.letter = 'n', .name = "rows", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(rows), .initial = "10", .low = 1, .high = UINT32_MAX,
	 .infinite = true, .help = "with --tsv: at most so many rows; inf: all"},
	{.letter = 'm', .name = "columns", .argument = "M", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(columns), .initial = "10", .low = 1,
	 .high = UINT32_MAX, .infinite = true,
	 .help = "with --tsv: at most so many columns; inf: all"},
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

/* --- streams ------------------------------------------------------------------------------- */

/* Whether frames are read one by one: to check them, or as there is no other way to the end. */
static bool reads_all(const struct tool *tool, const struct input *in)
{
	const struct values *v = tool->values;
	return v->verify || v->tsv || !input_seekable(in);
}

static void write_end(FILE *f, const struct stream_end *end, bool verified)
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
	struct stream_end end;
	const void *ids;
	ssize_t n;
	int rc = -1;
	bool all = reads_all(tool, in);
	if (tokens_read_header(&reader, in, err) < 0)
		return -1;
	vocab_write_keys(&reader.vocab, reader.stream.format->name, f);
	if (all) {
		while ((n = tokens_read_packed(&reader, &ids, err)) > 0)
			tool_progress(tool, "%" PRIu64 " ids", reader.ids);
		tool_progress_end(tool);
		end = reader.stream.end;
		rc = n < 0 ? -1 : 0;
	} else {
		rc = stream_find_end(in, &end, err);
	}
	if (rc == 0)
		write_end(f, &end, all);
	write_vocab(f, &reader.vocab);
	tokens_reader_release(&reader);
	return rc;
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
	int rc = 0;
	if (shards_open(&shards, in, err) < 0)
		return -1;
	if (v->tsv) {
		rc = write_windows(f, tool, &shards, in->name, err);
	} else {
		shards_write_keys(&shards.header, f);
		write_end(f, &shards.end, true);
		write_vocab(f, &shards.header.vocab);
	}
	shards_close(&shards);
	return rc;
}

static int inspect_shards(const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	struct shards_header header;
	struct stream_end end;
	if (reads_all(tool, in))
		return inspect_whole_shards(tool, in, f, err);
	if (shards_read_header(&header, in, err) < 0)
		return -1;
	shards_write_keys(&header, f);
	int rc = stream_find_end(in, &end, err);
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
	fprintf(f, "cell: %s\nlayers: %" PRIu32 "\nhidden: %" PRIu32 "\ndropout: %s",
		cell_name(p->cell), p->layers, p->hidden, show_real(model.dropout, dropout));
	fprintf(f, "\nparameters: %zu\nverified: true\n", p->parameters);
	write_object(f, "training", model.training);
	write_object(f, "checkpoint", model.checkpoint);
	write_tensors(f, &model);
	if (model.has_vocab) {
		fprintf(f, "unit: %s\nnewlines: %s\n", vocab_unit_words[model.vocab.unit],
			vocab_newlines_words[model.vocab.newlines]);
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
	fprintf(f, "cell: %s\nlayers: %" PRIu32 "\nhidden: %" PRIu32 "\nsymbols: %" PRIu32 "\n",
		cell_name(state.cell), state.layers, state.hidden, state.vocab);
	fputs("verified: true\n", f);
	state_file_release(&state);
	return 0;
}

/* --- the program --------------------------------------------------------------------------- */

static int inspect(const struct tool *tool, struct input *in, FILE *f, struct error *err)
{
	const struct values *v = tool->values;
	enum kind kind;
	if (kind_peek(&kind, in, err) < 0)
		return -1;
	if (v->tsv && kind != KIND_SHARDS)
		return kind_error(kind, KIND_SHARDS, in, err);
	switch (kind) {
	case KIND_TOKENS:
		return inspect_tokens(tool, in, f, err);
	case KIND_SHARDS:
		return inspect_shards(tool, in, f, err);
	case KIND_MODEL:
		return inspect_model(in, f, err);
	case KIND_STATE:
		return inspect_state(in, f, err);
	default:
		return kind_error(kind, KIND_OF_CHARPIPE, in, err);
	}
}

static int inspect_file(const struct tool *tool, const char *path, FILE *f, struct error *err)
{
	struct input in;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	int rc = inspect(tool, &in, f, err);
	input_close(&in);
	return rc;
}

/* Of several files each is a YAML document, and one that is damaged doesn't hide the others: its
 * error is told at once, and decides the status. */
static int inspect_files(
	const struct tool *tool, int count, char **files, FILE *f, struct error *err)
{
	struct error failure;
	int failures = 0;
	for (int i = 0; i < count; i++) {
		fputs("---\nfile: ", f);
		show_quoted(f, files[i], strlen(files[i]));
		fputc('\n', f);
		if (inspect_file(tool, files[i], f, &failure) == 0)
			continue;
		tool_warning(tool, "%s", failure.text);
		if (failures++ == 0)
			err->status = failure.status;
	}
	return failures == 0
		       ? 0
		       : error_set(err, err->status, "not sound: %d of %d files", failures, count);
}

/* What could be said of a damaged file is printed all the same, before the error; but no file is
 * made of it. */
static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	const struct values *v = tool->values;
	struct output out = {0};
	char *text = NULL;
	size_t bytes = 0;
	int rc = -1;

	if (v->tsv && argc > 1)
		return error_set(err, STATUS_USAGE, "--tsv: one file at most, not %d", argc);
	FILE *f = open_memstream(&text, &bytes);
	if (!f) {
		error_memory(err, BUFSIZ, "the text");
		goto out;
	}
	rc = argc > 1 ? inspect_files(tool, argc, argv, f, err)
		      : inspect_file(tool, argc > 0 ? argv[0] : "-", f, err);
	bool lost = ferror(f);
	if (fclose(f) != 0 || lost) {
		rc = error_memory(err, bytes, "the text");
		goto out;
	}
	struct error unwritten;
	if (bytes > 0 && (rc == 0 || !v->common.output) &&
		(tool_output(tool, &out, false, &unwritten) < 0 ||
			output_write(&out, text, bytes, &unwritten) < 0 ||
			output_commit(&out, &unwritten) < 0)) {
		*err = unwritten;
		rc = -1;
	}
out:
	output_discard(&out);
	free(text);
	return rc;
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "inspect",
		.synopsis = "[OPTION...] [FILE...]",
		.summary = "Prints what a token stream, shards, a model, a checkpoint or a state "
			   "says of itself, as YAML; or the windows of a batch, as TSV.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

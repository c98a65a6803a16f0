/* evalloss: scores shards, token streams and text with a model. */
#include "tools/device.h"
#include "tools/evalloss/lines.h"
#include "tools/evalloss/rows.h"
#include "tools/evalloss/score.h"
#include "tools/evalloss/view.h"
#include "tools/evalloss/whole.h"
#include "tools/network.h"
#include "tools/reader.h"
#include "tools/tool.h"

#include "formats/kind.h"
#include "formats/shards.h"
#include "formats/tokens.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	SPLIT_ALL = SHARDS_SPLITS,
	UNKNOWN_ERROR = 0,
	UNKNOWN_PRICE = 1,
	CHUNK = 4096, /* ids read at once */
};

struct values {
	struct tool_common common;
	struct device_options device;
	struct network_options network;
	unsigned input, split, unknown;
	uint64_t window;
	bool lines, number, name, no_header, chars, heat, html;
	double above;
};

enum { AUTO }; /* of the choices */
static const char *const input_choices[] = {"auto", "shards", "tokens", "text", NULL};
static const enum kind input_kinds[] = {KIND_TEXT, KIND_SHARDS, KIND_TOKENS, KIND_TEXT};
static const char *const split_choices[] = {SHARDS_SPLIT_WORDS, "all", NULL};
static const char *const unknown_choices[] = {"error", "price", NULL};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.name = "input", .argument = "auto|shards|tokens|text", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(input), .initial = "auto", .choices = input_choices,
	 .help = "what the files are; auto: what their first bytes say, else text"},
	{.name = "split", .argument = "train|validation|test|all", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(split), .initial = "validation",
	 .choices = split_choices, .help = "which part of shards to score"},
	{.name = "window", .argument = "W", .type = OPTION_INTEGER, .effect = EFFECT_SHAPES,
	 .offset = AT(window), .initial = "inf", .low = 1, .high = 1e15, .infinite = true,
	 .help = "forget everything after every W characters, as a model must that sees no more of "
		"a text"},
	{.letter = 'l', .name = "lines", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(lines), .also = "per-line",
	 .help = "score each line of a text on its own, after a newline"},
	{.letter = 'n', .name = "line-number", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(number), .help = "with --lines, a column with each line's number"},
	{.letter = 'H', .name = "with-filename", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(name), .help = "with --lines, a column with the file's name"},
	{.name = "above", .argument = "BITS", .type = OPTION_REAL, .effect = EFFECT_SHAPES,
	 .offset = AT(above), .initial = "0", .low = 0, .high = 1e6,
	 .help = "of --lines and --chars, only the rows that have so many bits"},
	{.name = "no-header", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(no_header),
	 .help = "no header line in front of a table, no legend in front of --heat"},
	{.name = "chars", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(chars),
	 .help = "print a table of a text's characters: how many bits each surprises the model by"},
	{.name = "heat", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(heat),
	 .help = "print a text for a terminal, each character on the colour of its bits"},
	{.name = "html", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(html),
	 .help = "write a page that shows a text so"},
	{.name = "unknown", .argument = "error|price", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(unknown), .initial = "error",
	 .choices = unknown_choices,
	 .help = "what a character is that the model doesn't know: an error, or one that costs "
		"20.09 bits and leaves the state alone"},
	NETWORK_OPTIONS(struct values),
	DEVICE_OPTIONS(struct values),
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

struct evalloss {
	const struct values *values;
	struct network network;
	struct output out;
	struct view view;
	bool viewed;  /* texts are shown in `view`, not summed up */
	bool several; /* files */
};

/* --- rows of the table ----------------------------------------------------------------------- */

static int write_text(struct output *out, const char *text, struct error *err)
{
	return output_write(out, text, strlen(text), err);
}

static int write_score(struct evalloss *e, const char *file, const char *split, uint64_t characters,
	double nats, struct error *err)
{
	char row[256];
	struct error name; /* for its way of making any file name printable */
	if (characters == 0)
		return error_set(err, STATUS_DATA,
			"%s: nothing to score: a text's first character has no context", file);
	error_set(&name, STATUS_OK, "%s", file);
	double mean = nats / (double)characters;
	snprintf(row, sizeof row, "\t%s\t%" PRIu64 "\t%.6f\t%.6f\t%.6f\n", split, characters, mean,
		mean / M_LN2, exp(mean));
	return write_text(&e->out, name.text, err) < 0 ? -1 : write_text(&e->out, row, err);
}

/* --- shards ---------------------------------------------------------------------------------- */

/* What the ids of a stream are in the model; owned by the caller. NULL with err->text set. */
static uint32_t *make_map(const struct evalloss *e, const struct vocab *from, struct error *err)
{
	uint32_t *map = calloc(from->size, sizeof *map);
	if (!map) {
		error_memory(err, from->size * sizeof *map, "the map of symbols");
		return NULL;
	}
	if (vocab_remap(from, &e->network.file.vocab, map, err) == 0)
		return map;
	free(map);
	return NULL;
}

static void apply_map(const uint32_t *map, uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ids[i] = map[ids[i]];
}

static int score_split(struct evalloss *e, struct shards *shards, enum shards_split split,
	const uint32_t *map, const char *file, struct error *err)
{
	const struct shards_header *header = &shards->header;
	uint64_t characters = header->batches[split] * header->rows[split] * header->window;
	double nats;
	if (rows_score(&e->network, shards, split, map, e->values->window, &nats, err) < 0)
		return -1;
	return write_score(e, file, shards_split_name(split), characters, nats, err);
}

static int score_shards(struct evalloss *e, struct input *in, const char *file, struct error *err)
{
	struct shards shards;
	uint32_t *map = NULL;
	unsigned wanted = e->values->split;
	int rc = -1;
	if (shards_open(&shards, in, err) < 0)
		return -1;
	map = make_map(e, &shards.header.vocab, err);
	if (!map) {
		error_prefix(err, "%s: ", in->name);
		goto out;
	}
	if (wanted != SPLIT_ALL && shards.header.batches[wanted] == 0) {
		error_set(err, STATUS_DATA, "%s: has no %s part; --split names another", in->name,
			split_choices[wanted]);
		goto out;
	}
	for (unsigned split = 0; split < SHARDS_SPLITS; split++)
		if ((wanted == SPLIT_ALL || wanted == split) && shards.header.batches[split] > 0 &&
			score_split(e, &shards, split, map, file, err) < 0)
			goto out;
	rc = 0;
out:
	free(map);
	shards_close(&shards);
	return rc;
}

/* --- token streams and text ------------------------------------------------------------------ */

static int read_tokens(struct evalloss *e, struct input *in, struct score *score, struct error *err)
{
	struct tokens_reader reader;
	uint32_t ids[CHUNK], *map = NULL;
	ssize_t n = -1;
	if (tokens_read_header(&reader, in, err) < 0)
		return -1;
	map = make_map(e, &reader.vocab, err);
	if (!map) {
		error_prefix(err, "%s: ", in->name);
		goto out;
	}
	while ((n = tokens_read(&reader, ids, CHUNK, err)) > 0) {
		apply_map(map, ids, (size_t)n);
		if (score_add(score, ids, (size_t)n, err) < 0) {
			n = -1;
			break;
		}
	}
out:
	free(map);
	tokens_reader_release(&reader);
	return (int)n;
}

static int score_stream(
	struct evalloss *e, enum kind kind, struct input *in, const char *file, struct error *err)
{
	struct score score = {0};
	struct reader reader = {0};
	struct view *view = e->viewed ? &e->view : NULL;
	int rc = -1;
	if (network_prepare(&e->network, 1, SCORE_WINDOW, err) < 0 ||
		score_init(&score, &e->network.model, e->values->window, err) < 0)
		return -1;
	if (view)
		view_follow(view, &score);
	if (view && e->several && e->view.kind->file && e->view.kind->file(view, file, err) < 0)
		goto out;
	if (kind == KIND_TOKENS)
		rc = read_tokens(e, in, &score, err);
	else if (reader_init(&reader, in, err) == 0)
		rc = whole_score(&e->network.file.vocab, &reader,
			e->values->unknown == UNKNOWN_PRICE, &score, view, err);
	if (rc == 0 && in->offset == 0 && !view)
		rc = kind_error(KIND_EMPTY, KIND_TEXT, in, err);
	if (rc == 0)
		rc = score_end(&score, err);
	if (rc == 0 && view)
		rc = view_end_file(view, err);
	else if (rc == 0)
		rc = write_score(e, file, "-", score.characters, score.nats, err);
out:
	reader_release(&reader);
	score_release(&score);
	return rc;
}

static int score_lines(struct evalloss *e, struct input *in, const char *file, struct error *err)
{
	const struct values *values = e->values;
	const struct lines_table columns = {.price = values->unknown == UNKNOWN_PRICE,
		.file = values->name ? file : NULL,
		.number = values->number,
		.above = values->above};
	struct reader reader;
	if (reader_init(&reader, in, err) < 0)
		return -1;
	int rc = lines_score(&e->network, &reader, &columns, &e->out, err);
	reader_release(&reader);
	return rc;
}

/* --- files ----------------------------------------------------------------------------------- */

/* What a file's first bytes say. Text is never taken from gzip: what has been compressed is told,
 * not guessed. */
static int identify(const struct evalloss *e, struct input *in, enum kind *kind, struct error *err)
{
	*kind = input_kinds[e->values->input];
	if (e->values->input != AUTO)
		return 0;
	if (kind_peek(kind, in, err) < 0)
		return -1;
	if (*kind == KIND_SHARDS || *kind == KIND_TOKENS)
		return 0;
	if (*kind != KIND_TEXT && *kind != KIND_EMPTY)
		return kind_error(*kind, KIND_SCORED, in, err);
	*kind = in->gzip ? KIND_GZIP : KIND_TEXT;
	return *kind == KIND_TEXT ? 0 : kind_error(*kind, KIND_SCORED, in, err);
}

/* The option that says in which way a text is to be shown; NULL: its mean alone. */
static const char *way_of(const struct values *values)
{
	return values->lines   ? "lines"
	       : values->chars ? "chars"
	       : values->heat  ? "heat"
	       : values->html  ? "html"
			       : NULL;
}

static int score_file(struct evalloss *e, const char *path, struct error *err)
{
	struct input in;
	enum kind kind;
	int rc = -1;
	bool text = e->values->input != AUTO && input_kinds[e->values->input] == KIND_TEXT;
	if (input_open(&in, path, text ? INPUT_RAW : INPUT_GUNZIP, err) < 0)
		return -1;
	if (identify(e, &in, &kind, err) < 0)
		goto out;
	if ((e->values->lines || e->viewed) && kind != KIND_TEXT)
		error_set(err, STATUS_DATA,
			"%s: is not text, which --%s needs; tokenize -d restores it", in.name,
			way_of(e->values));
	else if (e->values->lines)
		rc = score_lines(e, &in, path, err);
	else if (kind == KIND_SHARDS)
		rc = score_shards(e, &in, path, err);
	else
		rc = score_stream(e, kind, &in, path, err);
out:
	input_close(&in);
	return rc;
}

/* Colours are not for everybody: https://no-color.org. */
static const struct view_kind *heat_kind(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	bool plain = (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
	return plain ? &view_digits : &view_heat;
}

static int begin(struct evalloss *e, struct error *err)
{
	const struct values *values = e->values;
	e->viewed = values->chars || values->heat || values->html;
	if (e->viewed) {
		const struct view_kind *kind = values->chars  ? &view_chars
					       : values->heat ? heat_kind()
							      : &view_html;
		if (view_init(&e->view, kind, &e->out, err) < 0)
			return -1;
		e->view.above = values->above;
		return values->no_header ? 0 : e->view.kind->begin(&e->view, err);
	}
	if (values->no_header)
		return 0;
	if (!values->lines)
		return write_text(&e->out, "file\tsplit\ttokens\tnats\tbits\tperplexity\n", err);
	if (write_text(&e->out, "bits_per_char\tchars\t", err) < 0 ||
		(values->name && write_text(&e->out, "file\t", err) < 0) ||
		(values->number && write_text(&e->out, "number\t", err) < 0))
		return -1;
	return write_text(&e->out, "line\n", err);
}

static int check_options(const struct tool *tool, int argc, char **argv, struct error *err)
{
	const struct values *values = tool->values;
	if (argc == 0)
		return error_set(err, STATUS_USAGE,
			"no model and nothing to score; usage: %s %s; try '%s --help'",
			tool->program, tool->synopsis, tool->program);
	if (strcmp(argv[0], "-") == 0 && (argc == 1 || strcmp(argv[1], "-") == 0))
		return error_set(err, STATUS_USAGE,
			"standard input can't be both the model and what it is to score");
	if (values->lines + values->chars + values->heat + values->html > 1)
		return error_set(
			err, STATUS_USAGE, "--lines, --chars, --heat and --html: give one of them");
	if ((values->number || values->name) && !values->lines)
		return error_set(err, STATUS_USAGE, "--%s is for --lines",
			values->number ? "line-number" : "with-filename");
	if (values->above > 0 && !values->lines && !values->chars)
		return error_set(err, STATUS_USAGE, "--above is for --lines and --chars");
	if (values->no_header && values->html)
		return error_set(err, STATUS_USAGE, "--html is no page without its header");
	if (values->lines && values->window != UINT64_MAX)
		return error_set(err, STATUS_USAGE,
			"--lines and --window: each line is scored from an empty state as it is");
	return 0;
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	static char stdin_path[] = "-";
	struct evalloss e = {.values = tool->values, .out.fd = -1, .several = argc > 2};
	char *all[] = {stdin_path};
	char **files = argc > 1 ? argv + 1 : all;
	int count = argc > 1 ? argc - 1 : 1, rc = -1;
	if (check_options(tool, argc, argv, err) < 0)
		return -1;
	if (tool_output(tool, &e.out, false, err) < 0)
		return -1;
	if (network_open(&e.network, tool, argv[0], &e.values->network, &e.values->device, err) <
			0 ||
		begin(&e, err) < 0)
		goto out;
	for (int i = 0; i < count; i++)
		if (score_file(&e, files[i], err) < 0 || output_flush(&e.out, err) < 0)
			goto out;
	if (e.viewed && e.view.kind->end && e.view.kind->end(&e.view, err) < 0)
		goto out;
	rc = output_commit(&e.out, err);
out:
	view_release(&e.view);
	network_close(&e.network);
	output_discard(&e.out);
	return rc;
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "evalloss",
		.synopsis = "[OPTION...] MODEL [FILE...]",
		.summary = "Reads a model and shards, a token stream or text; writes the loss: a "
			   "table.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

/* batchify: a token stream to shards: batches of rows that each read on where the batch before left
 * off. The rows of one batch lie all over the text, whose length is known only at its end: all is read
 * and checked once, and the ids, which a pipe's are spooled for, are then gathered by as many batches
 * at a time as CHUNK_BYTES hold. */
#include "base/input.h"
#include "base/spool.h"
#include "formats/plan.h"
#include "formats/tokens.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20 };

struct values {
	struct tool_common common;
	struct plan plan;
	unsigned targets; /* the plan's */
};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.letter = 'n', .name = "rows", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(plan.rows), .initial = "128", .low = 1,
	 .high = UINT32_MAX, .also = "batch-size",
	 .help = "rows of a batch: pieces of the text that are read side by side"},
	{.letter = 'm', .name = "window", .argument = "M", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(plan.window), .initial = "100", .low = 1,
	 .high = UINT32_MAX - 1, .also = "seq-length seq-len sequence-length block-size bptt",
	 .help = "characters of a row in one batch"},
	{.letter = 'x', .name = "val", .argument = "FRACTION", .type = OPTION_REAL,
	 .effect = EFFECT_SHAPES, .offset = AT(plan.validation), .initial = "0.1", .low = 0,
	 .high = 1, .also = "val-frac validation-split",
	 .help = "hold out this part of the text for validation"},
	{.name = "test", .argument = "FRACTION", .type = OPTION_REAL, .effect = EFFECT_SHAPES,
	 .offset = AT(plan.test), .initial = "0", .low = 0, .high = 1, .also = "test-frac",
	 .help = "hold out this part, the last, for testing"},
	{.name = "targets", .argument = "row-wrap|next", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(targets), .initial = "row-wrap",
	 .choices = shards_targets_words,
	 .help = "a row's very last target is the row's first character, as in the notebooks, or "
		"the character that is next in the text"},
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

/* --- the plan: which ids go where ---------------------------------------------------------- */

static int too_short(const struct values *v, const char *name, uint64_t tokens, struct error *err)
{
	uint64_t n = tokens / v->plan.window, m = tokens / v->plan.rows;
	char advice[96];
	if (n > 0 && m > 0)
		snprintf(advice, sizeof advice,
			"at most -n %" PRIu64 " or -m %" PRIu64 " would fit", n, m);
	else if (n > 0 || m > 0)
		snprintf(advice, sizeof advice, "at most -%c %" PRIu64 " would fit",
			n > 0 ? 'n' : 'm', n + m);
	else if (tokens > 0)
		snprintf(advice, sizeof advice, "at most -n 1 -m %" PRIu64 " would fit", tokens);
	else
		snprintf(advice, sizeof advice, "it takes a longer text%s",
			v->plan.validation + v->plan.test > 0 ? ", or less --val and --test" : "");
	return error_set(err, STATUS_DATA,
		"%s: %" PRIu64 " token%s to train on, fewer than one batch of %" PRIu64
		" x %" PRIu64 "; %s",
		name, tokens, tokens == 1 ? "" : "s", v->plan.rows, v->plan.window, advice);
}

/* A held-out part may be smaller than a batch: never silently. */
static void note_held_out(const struct tool *tool, enum shards_split split, uint64_t tokens,
	const struct shards_header *header)
{
	const struct values *v = tool->values;
	const char *name = shards_split_name(split);
	if (header->rows[split] == 0)
		tool_note(tool, "no %s data: its %" PRIu64 " tokens don't fill one row of %" PRIu64,
			name, tokens, v->plan.window);
	else if (header->rows[split] < v->plan.rows)
		tool_note(tool,
			"the %s data has %" PRIu64 " tokens, so its only batch has %" PRIu32
			" rows",
			name, tokens, header->rows[split]);
}

/* Fills in the header but for its vocabulary. */
static int plan(const struct tool *tool, const char *name, uint64_t n,
	struct plan_part parts[SHARDS_SPLITS], struct shards_header *header, struct error *err)
{
	const struct values *v = tool->values;
	const double held_out[SHARDS_SPLITS] = {
		[SHARDS_VALIDATION] = v->plan.validation, [SHARDS_TEST] = v->plan.test};
	plan_make(&v->plan, n, parts, header);
	if (header->batches[SHARDS_TRAIN] == 0)
		return too_short(v, name, plan_usable(&v->plan, &parts[SHARDS_TRAIN]), err);
	for (enum shards_split s = SHARDS_VALIDATION; s < SHARDS_SPLITS; s++)
		if (held_out[s] > 0)
			note_held_out(tool, s, plan_usable(&v->plan, &parts[s]), header);
	return 0;
}

/* --- the ids ------------------------------------------------------------------------------- */

/* Where ids are read a second time: the stream's file, or what was kept of it. */
struct source {
	struct tokens_reader reader;
	struct spool *spool; /* NULL: the file */
};

/* Reads all ids of the stream, to check them: their number, or -1. */
static int64_t read_ids(struct source *source, struct error *err)
{
	struct tokens_reader *reader = &source->reader;
	const void *ids;
	ssize_t n;
	while ((n = tokens_read_packed(reader, &ids, err)) > 0)
		if (source->spool &&
			spool_write(source->spool, ids, (size_t)n * reader->id_bytes, err) < 0)
			return -1;
	return n < 0 ? -1 : (int64_t)reader->ids;
}

static int source_read(
	const struct source *source, uint64_t first, uint64_t n, void *ids, struct error *err)
{
	const struct tokens_reader *reader = &source->reader;
	if (source->spool)
		return spool_read(source->spool, first * reader->id_bytes, ids,
			(size_t)n * reader->id_bytes, err);
	return tokens_read_again(reader, first, (size_t)n, ids, err);
}

/* A part's ids as a matrix of rows, of which some columns are in memory. */
struct gather {
	const struct source *source;
	uint64_t begin;         /* of the part, in ids */
	uint64_t rows, columns; /* of the matrix */
	bool wrap; /* the id behind a row is its first one; else the next in the text */
};

/* Reads `count` ids, the last of which may lie behind the row. */
static int gather_row(const struct gather *g, uint64_t row, uint64_t column, uint64_t count,
	unsigned char *to, struct error *err)
{
	const uint64_t first = g->begin + row * g->columns;
	const bool wrap = g->wrap && column + count > g->columns;
	const uint64_t plain = count - wrap;
	if (source_read(g->source, first + column, plain, to, err) < 0)
		return -1;
	to += plain * g->source->reader.id_bytes;
	return wrap ? source_read(g->source, first, 1, to, err) : 0;
}

/* The same of every row, `stride` bytes apart. */
static int gather_rows(const struct gather *g, uint64_t column, uint64_t count,
	unsigned char *chunk, size_t stride, struct error *err)
{
	for (uint64_t row = 0; row < g->rows; row++)
		if (gather_row(g, row, column, count, chunk + row * stride, err) < 0)
			return -1;
	return 0;
}

static int write_part(const struct tool *tool, struct shards_writer *writer,
	enum shards_split split, const struct gather *g, struct error *err)
{
	const struct shards_header *header = writer->header;
	const size_t id_bytes = g->source->reader.id_bytes;
	uint64_t batches = header->batches[split], window = header->window;
	if (batches == 0)
		return 0;

	/* Chunks of several batches: `stride` bytes of each row, of which one batch takes `piece`.
	 * A chunk of a single batch is that batch. */
	uint64_t several = CHUNK_BYTES / (g->rows * window * id_bytes);
	several = several < 1 ? 1 : several > batches ? batches : several;
	size_t stride = (size_t)(several * window + 1) * id_bytes;
	size_t piece = (size_t)(window + 1) * id_bytes;
	unsigned char *chunk = calloc(g->rows, stride);
	unsigned char *batch = several > 1 ? malloc(g->rows * piece) : chunk;
	int rc = -1;
	if (!chunk || !batch) {
		error_memory(err, g->rows * (stride + piece), "the rows of a batch");
		goto out;
	}
	for (uint64_t k = 0; k < batches; k++) {
		uint64_t at = k % several, left = batches - k;
		uint64_t count = (left < several ? left : several) * window + 1;
		if (at == 0 && gather_rows(g, k * window, count, chunk, stride, err) < 0)
			goto out;
		for (uint64_t row = 0; row < g->rows && several > 1; row++)
			memcpy(batch + row * piece, chunk + row * stride + at * window * id_bytes,
				piece);
		if (shards_write(writer, split, batch, err) < 0)
			goto out;
		tool_progress(tool, "%s: %" PRIu64 " of %" PRIu64 " batches",
			shards_split_name(split), k + 1, batches);
	}
	rc = 0;
out:
	if (batch != chunk)
		free(batch);
	free(chunk);
	return rc;
}

/* --- the program --------------------------------------------------------------------------- */

static int check_options(const struct values *v, size_t id_bytes, struct error *err)
{
	if (v->plan.validation + v->plan.test >= 1)
		return error_set(err, STATUS_USAGE, "--val and --test leave nothing to train on");
	uint64_t most = STREAM_FRAME_BYTES_MAX / id_bytes;
	if (v->plan.window + 1 > most / v->plan.rows)
		return error_set(err, STATUS_USAGE,
			"a batch of %" PRIu64 " x %" PRIu64 " is too large: at most %" PRIu64
			" ids make one",
			v->plan.rows, v->plan.window, most);
	return 0;
}

static void report(const struct tool *tool, const struct shards_header *header)
{
	for (enum shards_split s = 0; s < SHARDS_SPLITS; s++)
		if (header->batches[s] > 0)
			tool_detail(tool, "%s: %" PRIu64 " batches of %lu x %lu",
				shards_split_name(s), header->batches[s],
				(unsigned long)header->rows[s], (unsigned long)header->window);
	tool_detail(tool, "%" PRIu64 " tokens used, %" PRIu64 " dropped", header->tokens_used,
		header->tokens_dropped);
}

/* Writes what the plan says. */
static int write_shards(const struct tool *tool, const struct shards_header *header,
	const struct plan_part *parts, const struct source *source, struct error *err)
{
	const struct input *in = source->reader.stream.in;
	struct output out;
	struct shards_writer writer;
	int rc = -1;
	if (tool_output(tool, &out, true, err) < 0)
		return -1;
	if (shards_write_header(&writer, &out, header, err) < 0)
		goto out;
	for (enum shards_split s = 0; s < SHARDS_SPLITS; s++) {
		struct gather gather = {
			.source = source,
			.begin = parts[s].begin,
			.rows = header->rows[s],
			.columns = header->batches[s] * header->window,
			.wrap = header->targets == SHARDS_ROW_WRAP,
		};
		if (write_part(tool, &writer, s, &gather, err) < 0)
			goto out;
	}
	tool_progress_end(tool);
	if (!source->spool && input_changed(in)) {
		error_set(err, STATUS_DATA, "%s: was changed while it was read", in->name);
		goto out;
	}
	if (shards_write_end(&writer, err) < 0 || output_commit(&out, err) < 0)
		goto out;
	rc = 0;
out:
	output_discard(&out);
	return rc;
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct values *v = tool->values;
	struct input in;
	struct source source = {0};
	struct tokens_reader *reader = &source.reader;
	struct spool spool = {0};
	struct shards_header header = {0};
	struct plan_part parts[SHARDS_SPLITS];
	int rc = -1;

	if (argc > 1)
		return error_set(err, STATUS_USAGE, "one token stream at most, not %d", argc);
	if (input_open(&in, argc > 0 ? argv[0] : "-", INPUT_GUNZIP, err) < 0)
		return -1;
	if (tokens_read_header(reader, &in, err) < 0)
		goto out;
	v->plan.targets = v->targets;
	if (!input_seekable(&in))
		source.spool = &spool;
	if (check_options(v, reader->id_bytes, err) < 0 ||
		(source.spool && spool_init(&spool, err) < 0))
		goto release;
	int64_t n = read_ids(&source, err);
	if (n < 0 || plan(tool, in.name, (uint64_t)n, parts, &header, err) < 0)
		goto release;
	header.vocab = reader->vocab; /* lent */
	rc = write_shards(tool, &header, parts, &source, err);
	if (rc == 0)
		report(tool, &header);
release:
	spool_release(&spool);
	tokens_reader_release(reader);
out:
	input_close(&in);
	return rc;
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "batchify",
		.synopsis = "[OPTION...] [FILE]",
		.summary =
			"Reads a token stream, writes shards: batches of rows of characters, each "
			"with the character that follows.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

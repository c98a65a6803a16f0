/* lines.c: see lines.h.
 *
 * Lines are read ahead, sorted by length, and scored as batches of lines of similar length; as rows
 * of a batch don't depend on each other, a line's score is the same in any company. */
#include "tools/evalloss/lines.h"

#include "formats/encode.h"
#include "tools/evalloss/score.h"
#include "tools/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROWS = 64,               /* lines of a batch */
	WINDOW = 64,             /* characters of it scored at once */
	AHEAD_LINES = 64 * ROWS, /* lines read ahead at most */
	AHEAD_BYTES = 1 << 20,   /* ... and how much text of theirs, unless one line is longer */
};

struct line {
	unsigned char *text; /* without its line end; owned */
	size_t bytes;
	uint32_t *ids; /* newline, the characters known, newline; owned */
	size_t count;  /* of ids */
	size_t unknown;
	double nats; /* of ids[1..count-1] */
};

struct lines {
	struct network *network;
	struct reader *reader;
	const struct lines_table *table;
	struct output *out;
	uint64_t written; /* lines */
	uint32_t newline;
	struct model_state state;
	uint32_t batch[ROWS * (WINDOW + 1)]; /* (N,T+1) */
	float nats[ROWS * WINDOW];           /* (N,T) */
	struct line line[AHEAD_LINES];
	struct line *order[AHEAD_LINES]; /* by length */
	size_t count;
};

/* --- in -------------------------------------------------------------------------------------- */

/* Drops what is not known from the line's ids. */
static void keep_known(struct line *line)
{
	size_t kept = 0;
	for (size_t i = 0; i < line->count; i++)
		if (line->ids[i] != VOCAB_NONE)
			line->ids[kept++] = line->ids[i];
	line->unknown = line->count - kept;
	line->count = kept;
}

static int take_line(struct lines *lines, const unsigned char *text, size_t n, struct error *err)
{
	const struct vocab *vocab = &lines->network->file.vocab;
	struct line *line = &lines->line[lines->count];
	size_t bytes = reader_without_end(text, n, vocab->newlines == VOCAB_UNIVERSAL), unknown;
	*line = (struct line){.bytes = bytes};
	line->text = malloc(bytes + 1);
	line->ids = calloc(bytes + 2, sizeof *line->ids);
	lines->order[lines->count++] = line;
	if (!line->text || !line->ids)
		return error_memory(err, bytes * (1 + sizeof *line->ids), "a line");
	memcpy(line->text, text, bytes);
	line->ids[0] = lines->newline;
	line->count = 1 + encode(vocab, text, bytes, line->ids + 1, &unknown);
	if (unknown < bytes && !lines->table->price) {
		encode_error(vocab, text + unknown, bytes - unknown, err);
		return reader_error(lines->reader, text, unknown, err);
	}
	line->ids[line->count++] = lines->newline;
	keep_known(line);
	return 0;
}

/* Reads ahead, but doesn't wait for more where there is something to do: 1, 0 at the end of the
 * text, or -1. */
static int read_ahead(struct lines *lines, struct error *err)
{
	const unsigned char *text;
	size_t bytes = 0;
	while (lines->count < AHEAD_LINES && bytes < AHEAD_BYTES) {
		if (lines->count > 0 && reader_waits(lines->reader))
			break;
		ssize_t n = reader_line(lines->reader, &text, err);
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		if (take_line(lines, text, (size_t)n, err) < 0)
			return -1;
		bytes += (size_t)n;
	}
	return lines->count > 0;
}

/* --- scoring --------------------------------------------------------------------------------- */

static int by_length(const void *a, const void *b)
{
	size_t x = (*(struct line *const *)a)->count, y = (*(struct line *const *)b)->count;
	return (x > y) - (x < y);
}

/* Scores characters first + 1 .. first + T of n lines; a line that is shorter is filled up with
 * newlines, whose scores nobody looks at. */
static int score_window(struct lines *lines, struct line **line, size_t n, size_t first, size_t T,
	struct error *err)
{
	double ignored;
	for (size_t r = 0; r < n; r++)
		for (size_t t = 0; t <= T; t++)
			lines->batch[r * (T + 1) + t] = first + t < line[r]->count
								? line[r]->ids[first + t]
								: lines->newline;
	if (model_score(&lines->network->model, &lines->state, lines->batch, T, &ignored,
		    lines->nats, err) < 0)
		return -1;
	for (size_t r = 0; r < n; r++)
		for (size_t t = 0; t < T && first + t + 1 < line[r]->count; t++)
			line[r]->nats += (double)lines->nats[r * T + t];
	return 0;
}

/* Scores n lines, the last one being the longest, as one batch. */
static int score_batch(struct lines *lines, struct line **line, size_t n, struct error *err)
{
	size_t targets = line[n - 1]->count - 1;
	if (n != lines->state.rows) {
		model_state_release(&lines->state);
		if (model_state_init(&lines->state, &lines->network->model, n, err) < 0)
			return -1;
	}
	model_state_zero(&lines->state);
	for (size_t first = 0; first < targets; first += WINDOW) {
		size_t T = targets - first < WINDOW ? targets - first : WINDOW;
		if (score_window(lines, line, n, first, T, err) < 0)
			return -1;
	}
	return 0;
}

static int score_ahead(struct lines *lines, struct error *err)
{
	qsort(lines->order, lines->count, sizeof *lines->order, by_length);
	for (size_t i = 0; i < lines->count; i += ROWS) {
		size_t n = lines->count - i < ROWS ? lines->count - i : ROWS;
		if (score_batch(lines, lines->order + i, n, err) < 0)
			return -1;
	}
	return 0;
}

/* --- out ------------------------------------------------------------------------------------- */

static int write_text(struct output *out, const char *text, struct error *err)
{
	return table_text(out, (const unsigned char *)text, strlen(text), err);
}

static int write_line(struct lines *lines, const struct line *line, struct error *err)
{
	const struct lines_table *table = lines->table;
	struct output *out = lines->out;
	char figures[64];
	size_t characters = line->count - 1 + line->unknown;
	double nats = line->nats + (double)line->unknown * SCORE_UNKNOWN_NATS;
	double bits = nats / (double)characters / M_LN2;
	lines->written++;
	if (fmax(bits, 0) < table->above)
		return 0;
	int n = snprintf(figures, sizeof figures, "%.6f\t%zu\t", bits, characters);
	if (output_write(out, figures, (size_t)n, err) < 0)
		return -1;
	if (table->file &&
		(write_text(out, table->file, err) < 0 || output_write(out, "\t", 1, err) < 0))
		return -1;
	n = snprintf(figures, sizeof figures, "%" PRIu64 "\t", lines->written);
	if (table->number && output_write(out, figures, (size_t)n, err) < 0)
		return -1;
	if (table_text(out, line->text, line->bytes, err) < 0)
		return -1;
	return output_write(out, "\n", 1, err);
}

static void release_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		free(lines->line[i].text);
		free(lines->line[i].ids);
	}
	lines->count = 0;
}

int lines_score(struct network *network, struct reader *reader, const struct lines_table *table,
	struct output *out, struct error *err)
{
	int more = -1;
	struct lines *lines = calloc(1, sizeof *lines);
	if (!lines)
		return error_memory(err, sizeof *lines, "lines");
	lines->network = network;
	lines->reader = reader;
	lines->table = table;
	lines->out = out;
	lines->newline = vocab_find(&network->file.vocab, '\n');
	if (lines->newline == VOCAB_NONE) {
		error_set(err, STATUS_DATA, "the model knows no newline, so it can't score lines");
		goto out;
	}
	if (network_prepare(network, ROWS, WINDOW, err) < 0)
		goto out;
	while ((more = read_ahead(lines, err)) > 0) {
		if (score_ahead(lines, err) < 0) {
			more = -1;
			break;
		}
		for (size_t i = 0; i < lines->count; i++)
			if (write_line(lines, &lines->line[i], err) < 0) {
				more = -1;
				goto out;
			}
		release_lines(lines);
		if (reader_waits(reader) && output_flush(out, err) < 0) {
			more = -1;
			break;
		}
	}
out:
	release_lines(lines);
	model_state_release(&lines->state);
	free(lines);
	return more;
}

/* draw.c: see draw.h. */
#include "tools/sample/draw.h"

#include "tools/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct draw_text {
	unsigned char *waiting; /* drawn but not printed yet; owned */
	size_t used, room;
	size_t matched;      /* bytes of --stop that the text ends in */
	double nats;         /* of what was drawn */
	uint64_t characters; /* drawn */
	bool done;
};

int draw_init(struct draw *draw, struct error *err)
{
	size_t V = draw->network->file.params.vocab;
	draw->texts = calloc(DRAW_ROWS, sizeof *draw->texts);
	draw->logits = calloc(DRAW_ROWS * V, sizeof *draw->logits);
	if (!draw->texts || !draw->logits)
		return error_memory(
			err, DRAW_ROWS * (sizeof *draw->texts + V * sizeof *draw->logits), "texts");
	return stop_init(&draw->stopper, draw->stop, err);
}

void draw_release(struct draw *draw)
{
	for (size_t i = 0; draw->texts && i < DRAW_ROWS; i++)
		free(draw->texts[i].waiting);
	free(draw->texts);
	free(draw->logits);
	stop_release(&draw->stopper);
	model_state_release(&draw->state);
}

size_t draw_rows(uint64_t texts)
{
	return texts < DRAW_ROWS ? (size_t)texts : DRAW_ROWS;
}

/* --- printing -------------------------------------------------------------------------------- */

static int print(struct draw *draw, const void *bytes, size_t n, struct error *err)
{
	if (n > 0)
		draw->within = ((const char *)bytes)[n - 1] != '\n';
	return output_write(draw->out, bytes, n, err);
}

static int append(struct draw_text *text, const unsigned char *bytes, size_t n, struct error *err)
{
	if (n > text->room - text->used) {
		size_t room = 2 * text->room + 256;
		unsigned char *larger = realloc(text->waiting, room);
		if (!larger)
			return error_memory(err, room, "a text");
		text->waiting = larger;
		text->room = room;
	}
	memcpy(text->waiting + text->used, bytes, n);
	text->used += n;
	return 0;
}

static int write_row(struct draw *draw, const struct draw_text *text, struct error *err)
{
	char figures[64];
	/* Never "-0": that it was certain is no loss. */
	int n = snprintf(figures, sizeof figures, "%.6f\t%" PRIu64 "\t",
		text->nats > 0 ? -text->nats : 0, text->characters);
	if (output_write(draw->out, figures, (size_t)n, err) < 0 ||
		table_text(draw->out, draw->prime, draw->prime_bytes, err) < 0 ||
		table_text(draw->out, text->waiting, text->used, err) < 0)
		return -1;
	return output_write(draw->out, "\n", 1, err);
}

/* A text's turn to be printed has come: what stands before it, and what waits of it. */
static int begin_text(struct draw *draw, struct error *err)
{
	struct draw_text *text = &draw->texts[draw->printing];
	if (draw->table)
		return 0;
	if (print(draw, draw->prime, draw->prime_bytes, err) < 0)
		return -1;
	return print(draw, text->waiting, text->used, err);
}

static int end_text(struct draw *draw, struct error *err)
{
	if (draw->table)
		return write_row(draw, &draw->texts[draw->printing], err);
	if (!draw->separator)
		return 0;
	return print(draw, draw->separator, strlen(draw->separator), err);
}

/* Ends the texts that are done, up to the first that isn't. */
static int print_done(struct draw *draw, struct error *err)
{
	while (draw->printing < draw->count && draw->texts[draw->printing].done) {
		if (end_text(draw, err) < 0)
			return -1;
		if (++draw->printing < draw->count && begin_text(draw, err) < 0)
			return -1;
	}
	return draw->live ? output_flush(draw->out, err) : 0;
}

/* --- drawing --------------------------------------------------------------------------------- */

/* All rows of a group hold what the prime left. */
static int start_group(
	struct draw *draw, const struct state_file *start, size_t count, struct error *err)
{
	const size_t V = start->vocab;
	for (size_t r = 0; r < count; r++) {
		struct draw_text *text = &draw->texts[r];
		memcpy(draw->logits + r * V, start->logits, V * sizeof *draw->logits);
		*text = (struct draw_text){
			.waiting = text->waiting, .room = text->room, .done = draw->length == 0};
	}
	draw->count = count;
	draw->printing = 0;
	model_state_release(&draw->state);
	if (model_state_init(&draw->state, &draw->network->model, count, err) < 0)
		return -1;
	return model_state_fill(&draw->state, start->state, err);
}

/* Row `row` goes on with a character: printed, or kept until its turn. */
static int take(struct draw *draw, size_t row, uint32_t id, struct error *err)
{
	const struct vocab *vocab = &draw->network->file.vocab;
	struct draw_text *text = &draw->texts[row];
	unsigned char bytes[4];
	size_t n = (size_t)vocab_text(vocab, id, bytes);
	text->characters++;
	text->done = text->characters == draw->length;
	for (size_t i = 0; i < n; i++)
		text->done |= stop_at(&draw->stopper, bytes[i], &text->matched);
	if (draw->lines && vocab->symbols[id] == '\n') {
		text->done = true;
		return 0;
	}
	if (row == draw->printing && !draw->table)
		return print(draw, bytes, n, err);
	return append(text, bytes, n, err);
}

static int draw_group(struct draw *draw, const struct state_file *start, uint32_t first,
	size_t count, struct error *err)
{
	struct model *model = &draw->network->model;
	uint32_t ids[DRAW_ROWS] = {0};
	if (start_group(draw, start, count, err) < 0 || begin_text(draw, err) < 0 ||
		print_done(draw, err) < 0)
		return -1;
	for (uint64_t position = 0; draw->printing < count; position++) {
		if (position > 0 && model_feed(model, &draw->state, ids, 1, draw->logits, err) < 0)
			return -1;
		for (size_t row = 0; row < count; row++) {
			const float *logits = draw->logits + row * model->params.vocab;
			if (draw->texts[row].done)
				continue;
			ids[row] = sampler_draw(
				draw->sampler, logits, first + (uint32_t)row, position);
			if (draw->table)
				draw->texts[row].nats +=
					sampler_nats(draw->sampler, logits, ids[row]);
			if (take(draw, row, ids[row], err) < 0)
				return -1;
		}
		if (print_done(draw, err) < 0)
			return -1;
	}
	return 0;
}

int draw_texts(struct draw *draw, const struct state_file *start, const unsigned char *prime,
	size_t prime_bytes, uint64_t first, uint64_t count, struct error *err)
{
	draw->prime = prime;
	draw->prime_bytes = prime_bytes;
	for (uint64_t done = 0; done < count; done += DRAW_ROWS)
		if (draw_group(draw, start, (uint32_t)(first + done), draw_rows(count - done),
			    err) < 0)
			return -1;
	return 0;
}

int draw_nothing(struct draw *draw, uint64_t count, struct error *err)
{
	const char *text = draw->table ? "-\t-\t\n" : draw->separator ? draw->separator : "";
	for (uint64_t i = 0; i < count; i++)
		if (print(draw, text, strlen(text), err) < 0)
			return -1;
	return 0;
}

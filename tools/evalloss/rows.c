/* rows.c: see rows.h. */
#include "tools/evalloss/rows.h"

#include <stdlib.h>

enum {
	ROWS = 1024,        /* scored side by side, through all batches */
	PIECE = 128,        /* characters of a row scored at once */
	TOGETHER = 16 << 10 /* ... and of all these rows */
};

struct rows {
	struct model *model; /* not owned */
	const uint32_t *map; /* not owned */
	uint64_t window;
	size_t M;        /* characters of a row in one batch */
	uint32_t *batch; /* (N,M+1) */
	/* Of the n rows that are scored side by side, n <= N: */
	struct model_state state;
	size_t T;       /* the longest piece */
	uint32_t *ids;  /* of a piece: (n,T+1) */
	float *each;    /* ... (n,T) */
	uint64_t since; /* characters of each row since its state was zero */
	double nats;    /* of all that was scored */
};

/* Scores T characters from a column of the batch's rows first .. first + n - 1. */
static int score_piece(struct rows *rows, size_t first, size_t column, size_t T, struct error *err)
{
	const size_t n = rows->state.rows;
	double unordered;
	for (size_t r = 0; r < n; r++) {
		const uint32_t *from = rows->batch + (first + r) * (rows->M + 1) + column;
		for (size_t t = 0; t <= T; t++)
			rows->ids[r * (T + 1) + t] = rows->map[from[t]];
	}
	if (model_score(rows->model, &rows->state, rows->ids, T, &unordered, rows->each, err) < 0)
		return -1;
	/* Column by column, whatever the pieces: the sum's order doesn't depend on them. */
	for (size_t t = 0; t < T; t++)
		for (size_t r = 0; r < n; r++)
			rows->nats += (double)rows->each[r * T + t];
	return 0;
}

/* Scores the batch's rows first .. first + n - 1. */
static int score_batch(struct rows *rows, size_t first, struct error *err)
{
	for (size_t column = 0, T; column < rows->M; column += T) {
		uint64_t left = rows->window - rows->since;
		T = rows->M - column < rows->T ? rows->M - column : rows->T;
		T = left < T ? (size_t)left : T;
		if (score_piece(rows, first, column, T, err) < 0)
			return -1;
		rows->since += T;
		if (rows->since == rows->window) {
			model_state_zero(&rows->state);
			rows->since = 0;
		}
	}
	return 0;
}

/* Makes everything ready for n rows from state zero. */
static int begin_rows(struct rows *rows, struct network *network, size_t n, struct error *err)
{
	size_t T = TOGETHER / n < PIECE ? TOGETHER / n : PIECE;
	rows->T = rows->M < T ? rows->M : T;
	rows->since = 0;
	model_state_release(&rows->state);
	if (network_prepare(network, n, rows->T, err) < 0)
		return -1;
	rows->model = &network->model;
	return model_state_init(&rows->state, rows->model, n, err);
}

int rows_score(struct network *network, struct shards *shards, enum shards_split split,
	const uint32_t *map, uint64_t window, double *nats, struct error *err)
{
	const struct shards_header *header = &shards->header;
	const size_t N = header->rows[split], count = shards_batch_ids(header, split);
	struct rows rows = {.map = map, .window = window, .M = header->window};
	int rc = -1;
	rows.batch = calloc(count, sizeof *rows.batch);
	rows.ids = calloc(TOGETHER + ROWS, sizeof *rows.ids);
	rows.each = calloc(TOGETHER, sizeof *rows.each);
	if (!rows.batch || !rows.ids || !rows.each) {
		error_memory(err, (count + 2 * TOGETHER + ROWS) * sizeof *rows.ids, "a batch");
		goto out;
	}
	for (size_t first = 0, n; first < N; first += n) {
		n = N - first < ROWS ? N - first : ROWS;
		if (begin_rows(&rows, network, n, err) < 0)
			goto out;
		for (uint64_t k = 0; k < header->batches[split]; k++) {
			bool held = first > 0 && header->batches[split] == 1;
			if (!held && shards_read(shards, split, k, rows.batch, err) < 0)
				goto out;
			if (score_batch(&rows, first, err) < 0)
				goto out;
		}
	}
	*nats = rows.nats;
	rc = 0;
out:
	model_state_release(&rows.state);
	free(rows.each);
	free(rows.ids);
	free(rows.batch);
	return rc;
}

/* score.c: see score.h. */
#include "tools/evalloss/score.h"

int score_init(struct score *score, struct model *model, uint64_t window, struct error *err)
{
	*score = (struct score){.model = model, .window = window};
	return model_state_init(&score->state, model, 1, err);
}

void score_release(struct score *score)
{
	model_state_release(&score->state);
}

/* Scores all ids but the first, which becomes the last one: it is the next window's first input. */
int score_end(struct score *score, struct error *err)
{
	double nats;
	if (score->count < 2)
		return 0;
	size_t T = score->count - 1;
	if (model_score(score->model, &score->state, score->ids, T, &nats,
		    score->scored ? score->each : NULL, err) < 0)
		return -1;
	score->nats += nats;
	score->characters += T;
	score->since += T;
	if (score->since == score->window) {
		model_state_zero(&score->state);
		score->since = 0;
	}
	score->ids[0] = score->ids[T];
	score->count = 1;
	return score->scored ? score->scored(score->who, score->each, T, err) : 0;
}

int score_add(struct score *score, const uint32_t *ids, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t left = score->window - score->since;
		score->ids[score->count++] = ids[i];
		if (score->count > (left < SCORE_WINDOW ? left : SCORE_WINDOW) &&
			score_end(score, err) < 0)
			return -1;
	}
	return 0;
}

void score_add_unknown(struct score *score, size_t n)
{
	score->nats += (double)n * SCORE_UNKNOWN_NATS;
	score->characters += n;
}

/* charpipe_state.c: what a model holds of one text: it reads, draws and scores. */
#include "door/door.h"
#include "nn/sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct charpipe_state {
	struct charpipe_model *model; /* of which it is a user */
	struct model_state state;     /* one row */
	float *logits;                /* (V) */
	bool begun;                   /* something was read: there are logits */
	uint64_t drawn;               /* characters */
};

static struct charpipe_state *new_state(struct charpipe_model *model, struct error *err)
{
	struct charpipe_state *state = NULL;
	const size_t V = model->file.params.vocab;
	if (door_model_ready(model, err) < 0)
		return NULL;
	state = calloc(1, sizeof *state);
	if (!state) {
		error_memory(err, sizeof *state, "a state");
		return NULL;
	}
	state->model = model;
	model->users++;
	state->logits = calloc(V, sizeof *state->logits);
	if (!state->logits)
		error_memory(err, V * sizeof *state->logits, "a state");
	else if (model_state_init(&state->state, &model->net, 1, err) == 0)
		return state;
	charpipe_state_free(state);
	return NULL;
}

struct charpipe_state *charpipe_state_new(
	struct charpipe_model *model, struct charpipe_error *error)
{
	struct error err;
	struct charpipe_state *state = new_state(model, &err);
	if (!state)
		door_error(error, &err);
	return state;
}

struct charpipe_state *charpipe_state_copy(
	const struct charpipe_state *from, struct charpipe_error *error)
{
	struct charpipe_state *state = charpipe_state_new(from->model, error);
	struct device *device = from->model->device;
	if (!state)
		return NULL;
	device->ops->copy(device, state->state.data, from->state.data, from->state.size);
	memcpy(state->logits, from->logits, from->model->file.params.vocab * sizeof *from->logits);
	state->begun = from->begun;
	state->drawn = from->drawn;
	return state;
}

void charpipe_state_reset(struct charpipe_state *state)
{
	model_state_zero(&state->state);
	state->begun = false;
	state->drawn = 0;
}

void charpipe_state_free(struct charpipe_state *state)
{
	if (!state)
		return;
	model_state_release(&state->state);
	free(state->logits);
	door_model_leave(state->model);
	free(state);
}

const float *charpipe_state_logits(const struct charpipe_state *state)
{
	return state->begun ? state->logits : NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads ids that are known to be some. */
static int feed(struct charpipe_state *state, const uint32_t *ids, size_t n, struct error *err)
{
	struct charpipe_model *model = state->model;
	if (door_model_ready(model, err) < 0)
		return -1;
	for (size_t i = 0, T; i < n; i += T) {
		T = n - i < DOOR_WINDOW ? n - i : DOOR_WINDOW;
		if (model_feed(&model->net, &state->state, ids + i, T, state->logits, err) < 0)
			return -1;
		state->begun = true;
	}
	return 0;
}

int charpipe_state_feed(struct charpipe_state *state, const uint32_t *ids, size_t count,
	struct charpipe_error *error)
{
	const uint32_t V = state->model->file.params.vocab;
	struct error err;
	for (size_t i = 0; i < count; i++)
		if (ids[i] >= V) {
			error_set(&err, STATUS_DATA,
				"ids: %" PRIu32 " at place %zu, expected below %" PRIu32, ids[i], i,
				V);
			return door_error(error, &err);
		}
	return feed(state, ids, count, &err) < 0 ? door_error(error, &err) : 0;
}

/* A text's ids: the caller's to free(); NULL on failure. */
static uint32_t *ids_of(const struct charpipe_state *state, const char *text, size_t bytes,
	size_t *count, struct error *err)
{
	const struct vocab *vocab = door_vocab(state->model, err);
	uint32_t *ids = vocab ? calloc(bytes + 1, sizeof *ids) : NULL;
	if (!ids) {
		if (vocab)
			error_memory(err, bytes * sizeof *ids, "a text");
		return NULL;
	}
	if (door_encode(vocab, text, bytes, ids, count, err) == 0)
		return ids;
	free(ids);
	return NULL;
}

int charpipe_state_read(
	struct charpipe_state *state, const char *text, size_t bytes, struct charpipe_error *error)
{
	struct error err;
	size_t count;
	uint32_t *ids = ids_of(state, text, bytes, &count, &err);
	int rc = ids ? feed(state, ids, count, &err) : -1;
	free(ids);
	return rc < 0 ? door_error(error, &err) : 0;
}

/* --- drawing ---------------------------------------------------------------------------------- */

static int check_sampling(const struct charpipe_sampling *s, struct error *err)
{
	if (!(s->temperature > 0) || !isfinite(s->temperature))
		return error_set(
			err, STATUS_USAGE, "temperature %g: expected above 0", s->temperature);
	if (!(s->top_p > 0 && s->top_p <= 1))
		return error_set(err, STATUS_USAGE, "top_p %g: expected above 0 to 1", s->top_p);
	if (!(s->min_p >= 0 && s->min_p <= 1))
		return error_set(err, STATUS_USAGE, "min_p %g: expected 0 to 1", s->min_p);
	return 0;
}

/* What a text begins after that nothing stands before: a newline, or else the first symbol. */
static int begin(struct charpipe_state *state, const struct vocab *vocab, struct error *err)
{
	uint32_t id = vocab_find(vocab, '\n');
	id = id == VOCAB_NONE ? 0 : id;
	return state->begun ? 0 : feed(state, &id, 1, err);
}

static int sample(struct charpipe_state *state, const struct charpipe_sampling *how,
	size_t characters, char **text, struct error *err)
{
	const struct vocab *vocab = door_vocab(state->model, err);
	struct sampler sampler;
	int rc = -1;
	if (!vocab || check_sampling(how, err) < 0 ||
		sampler_init(&sampler, vocab->size, how->top_k, how->temperature, how->seed, err) <
			0)
		return -1;
	sampler.top_p = how->top_p;
	sampler.min_p = how->min_p;
	if (begin(state, vocab, err) < 0)
		goto out;
	for (size_t i = 0; i < characters; i++) {
		uint32_t id = sampler_draw(&sampler, state->logits, 0, state->drawn);
		if (feed(state, &id, 1, err) < 0)
			goto out;
		state->drawn++;
		*text += vocab_text(vocab, id, (unsigned char *)*text);
	}
	rc = 0;
out:
	sampler_release(&sampler);
	return rc;
}

int charpipe_state_sample(struct charpipe_state *state, const struct charpipe_sampling *sampling,
	size_t characters, char *text, size_t *bytes, struct charpipe_error *error)
{
	struct charpipe_sampling how = CHARPIPE_SAMPLING;
	struct error err;
	char *end = text;
	int rc = door_options(&how, sizeof how, sampling, &err);
	if (rc == 0)
		rc = sample(state, &how, characters, &end, &err);
	*end = '\0';
	if (bytes)
		*bytes = (size_t)(end - text);
	return rc < 0 ? door_error(error, &err) : 0;
}

/* --- scoring ---------------------------------------------------------------------------------- */

static int score(struct charpipe_state *state, const uint32_t *ids, size_t n, double *nats,
	struct error *err)
{
	struct model *net = &state->model->net;
	double sum;
	if (n == 0)
		return 0;
	if (door_model_ready(state->model, err) < 0)
		return -1;
	if (state->begun)
		*nats = sampler_nats(
			&(struct sampler){.vocab = net->params.vocab}, state->logits, ids[0]);
	for (size_t i = 0, T; i + 1 < n; i += T) {
		T = n - 1 - i < DOOR_WINDOW ? n - 1 - i : DOOR_WINDOW;
		if (model_score(net, &state->state, ids + i, T, &sum, NULL, err) < 0)
			return -1;
		*nats += sum;
	}
	/* The last one is not read yet. */
	return feed(state, ids + n - 1, 1, err);
}

int charpipe_state_score(struct charpipe_state *state, const char *text, size_t bytes, double *nats,
	size_t *characters, struct charpipe_error *error)
{
	struct error err;
	size_t count;
	uint32_t *ids = ids_of(state, text, bytes, &count, &err);
	bool begun = state->begun;
	*nats = 0;
	*characters = 0;
	int rc = ids ? score(state, ids, count, nats, &err) : -1;
	free(ids);
	if (rc < 0)
		return door_error(error, &err);
	*characters = count - (count > 0 && !begun);
	return 0;
}

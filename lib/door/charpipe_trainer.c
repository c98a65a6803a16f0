/* charpipe_trainer.c: the training of a model on data: train(1)'s steps, one by one. */
#include "door/door.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

struct charpipe_trainer {
	struct charpipe_model *model; /* of both of which it is a user */
	struct charpipe_data *data;
	struct charpipe_training options;
	uint32_t *map; /* the data's ids to the model's; NULL where they are the same */
	struct model net;
	struct adam adam;
	struct model_state state; /* carried through the training part */
	uint32_t *batch;          /* (N,T+1) */
};

static int check_lr(double lr, struct error *err)
{
	if (lr > 0 && isfinite(lr))
		return 0;
	return error_set(err, STATUS_USAGE, "lr %g: expected above 0", lr);
}

static int take_options(
	const struct charpipe_training *options, struct adam_options *adam, struct error *err)
{
	*adam = adam_defaults;
	adam->clip = options->clip;
	/* Programs that fill in what they know leave both at 0. */
	if (options->beta1 != 0 || options->beta2 != 0) {
		adam->beta1 = options->beta1;
		adam->beta2 = options->beta2;
	}
	adam->decay = options->weight_decay;
	adam->muon = options->muon_every > 0;
	adam->muon_every = options->muon_every;
	if (check_lr(options->lr, err) < 0)
		return -1;
	if (!(adam->clip >= 0))
		return error_set(err, STATUS_USAGE, "clip %g: expected 0 or above", adam->clip);
	if (!(adam->beta1 >= 0 && adam->beta1 < 1 && adam->beta2 >= 0 && adam->beta2 < 1))
		return error_set(err, STATUS_USAGE, "betas %g and %g: expected 0 or above, below 1",
			adam->beta1, adam->beta2);
	if (!(adam->decay >= 0 && isfinite(adam->decay)))
		return error_set(
			err, STATUS_USAGE, "weight_decay %g: expected 0 or above", adam->decay);
	return 0;
}

static int map_symbols(struct charpipe_trainer *trainer, struct error *err)
{
	const struct model_file *file = &trainer->model->file;
	const struct vocab *from = &trainer->data->header->vocab;
	if (!file->has_vocab && from->size != file->params.vocab)
		return error_set(err, STATUS_DATA,
			"the model has %" PRIu32 " symbols, the data have %" PRIu32,
			file->params.vocab, from->size);
	if (!file->has_vocab)
		return 0;
	trainer->map = calloc(from->size, sizeof *trainer->map);
	if (!trainer->map)
		return error_memory(err, from->size * sizeof *trainer->map, "the map of symbols");
	return vocab_remap(from, &file->vocab, trainer->map, err);
}

static int prepare(struct charpipe_trainer *trainer, struct error *err)
{
	const struct charpipe_training *options = &trainer->options;
	const struct model_file *file = &trainer->model->file;
	const struct params *params = &file->params;
	const struct shards_header *header = trainer->data->header;
	const size_t window = header->window;
	struct adam_options adam;
	size_t rows = 0;
	for (enum shards_split s = 0; s < SHARDS_SPLITS; s++)
		rows = header->rows[s] > rows ? header->rows[s] : rows;
	if (take_options(options, &adam, err) < 0 || map_symbols(trainer, err) < 0)
		return -1;
	if (model_init(&trainer->net, trainer->model->device, params->cell, params->vocab,
		    params->hidden, params->layers, MODEL_TRAINING, rows, window, err) < 0)
		return -1;
	trainer->net.dropout =
		(struct model_dropout){.between = file->dropout, .output = file->dropout};
	trainer->net.seed = options->seed;
	if (model_set_weights(&trainer->net, file->weights, err) < 0 ||
		adam_init(&trainer->adam, &trainer->net, &adam, err) < 0 ||
		model_state_init(&trainer->state, &trainer->net, header->rows[SHARDS_TRAIN], err) <
			0)
		return -1;
	trainer->batch = calloc(rows * (window + 1), sizeof *trainer->batch);
	return trainer->batch ? 0 : error_memory(err, rows * (window + 1) * 4, "a batch");
}

static struct charpipe_trainer *new_trainer(struct charpipe_model *model,
	struct charpipe_data *data, const struct charpipe_training *training, struct error *err)
{
	struct charpipe_training options = CHARPIPE_TRAINING;
	struct charpipe_trainer *trainer;
	if (door_options(&options, sizeof options, training, err) < 0)
		return NULL;
	if (model->trainer) {
		error_set(err, STATUS_USAGE, "the model has a trainer");
		return NULL;
	}
	trainer = calloc(1, sizeof *trainer);
	if (!trainer) {
		error_memory(err, sizeof *trainer, "a trainer");
		return NULL;
	}
	*trainer = (struct charpipe_trainer){.model = model, .data = data, .options = options};
	model->users++;
	data->users++;
	model->trainer = trainer;
	if (prepare(trainer, err) == 0)
		return trainer;
	charpipe_trainer_free(trainer);
	return NULL;
}

struct charpipe_trainer *charpipe_trainer_new(struct charpipe_model *model,
	struct charpipe_data *data, const struct charpipe_training *training,
	struct charpipe_error *error)
{
	struct error err;
	struct charpipe_trainer *trainer = new_trainer(model, data, training, &err);
	if (!trainer)
		door_error(error, &err);
	return trainer;
}

void charpipe_trainer_free(struct charpipe_trainer *trainer)
{
	struct error ignored; /* only a GPU could fail to give its weights back */
	if (!trainer)
		return;
	door_model_collect(trainer->model, &ignored);
	trainer->model->behind = false;
	trainer->model->trainer = NULL;
	model_state_release(&trainer->state);
	adam_release(&trainer->adam);
	model_release(&trainer->net);
	free(trainer->batch);
	free(trainer->map);
	door_data_leave(trainer->data);
	door_model_leave(trainer->model);
	free(trainer);
}

/* Of what is off by default only what is on. */
static json_t *describe(const struct charpipe_trainer *trainer)
{
	const struct charpipe_training *options = &trainer->options;
	const struct shards_header *header = trainer->data->header;
	const uint32_t muon = options->muon_every;
	return json_pack("{s:I, s:s, s:f, s:f, s:I, s:I, s:I, s:o*, s:o*, s:o*, s:o*}", "steps",
		(json_int_t)trainer->adam.step, "optimizer", muon ? "muon" : "adam", "lr",
		options->lr, "clip", options->clip, "seed", (json_int_t)options->seed, "rows",
		(json_int_t)header->rows[SHARDS_TRAIN], "window", (json_int_t)header->window,
		"beta1", options->beta1 != adam_defaults.beta1 ? json_real(options->beta1) : NULL,
		"beta2", options->beta2 != adam_defaults.beta2 ? json_real(options->beta2) : NULL,
		"weight-decay", options->weight_decay > 0 ? json_real(options->weight_decay) : NULL,
		"muon-every", muon > 1 ? json_integer(muon) : NULL);
}

int door_trainer_collect(
	struct charpipe_trainer *trainer, struct model_file *file, struct error *err)
{
	json_t *training = describe(trainer);
	if (!training)
		return error_memory(err, 4096, "a model's metadata");
	if (model_get_weights(&trainer->net, file->weights, err) < 0) {
		json_decref(training);
		return -1;
	}
	json_decref(file->training);
	file->training = training;
	return 0;
}

/* --- steps ------------------------------------------------------------------------------------ */

static int read_batch(
	struct charpipe_trainer *trainer, enum shards_split split, uint64_t k, struct error *err)
{
	const size_t count = shards_batch_ids(trainer->data->header, split);
	if (door_data_read(trainer->data, split, k, trainer->batch, err) < 0)
		return -1;
	for (size_t i = 0; trainer->map && i < count; i++)
		trainer->batch[i] = trainer->map[trainer->batch[i]];
	return 0;
}

static int step(struct charpipe_trainer *trainer, double *nats, struct error *err)
{
	const struct shards_header *header = trainer->data->header;
	uint64_t k = trainer->adam.step % header->batches[SHARDS_TRAIN];
	double norm;
	if (k == 0)
		model_state_zero(&trainer->state);
	if (read_batch(trainer, SHARDS_TRAIN, k, err) < 0 ||
		adam_train(&trainer->adam, &trainer->state, trainer->batch, header->window,
			trainer->options.lr, nats, &norm, err) < 0)
		return -1;
	if (!isfinite(*nats) || !isfinite(norm))
		return error_set(err, STATUS_NUMERIC,
			"step %" PRIu64
			": the loss is %g and the gradient's norm %g, expected finite "
			"numbers; stopped before the update",
			trainer->adam.step + 1, *nats, norm);
	trainer->model->behind = true;
	return 0;
}

int charpipe_trainer_step(
	struct charpipe_trainer *trainer, double *nats, struct charpipe_error *error)
{
	struct error err;
	return step(trainer, nats, &err) < 0 ? door_error(error, &err) : 0;
}

int charpipe_trainer_set_lr(
	struct charpipe_trainer *trainer, double lr, struct charpipe_error *error)
{
	struct error err;
	if (check_lr(lr, &err) < 0)
		return door_error(error, &err);
	trainer->options.lr = lr;
	return 0;
}

static int evaluate(
	struct charpipe_trainer *trainer, enum shards_split split, double *nats, struct error *err)
{
	const struct shards_header *header = trainer->data->header;
	struct model_state state;
	double total = 0, sum;
	int rc = -1;
	if ((unsigned)split >= SHARDS_SPLITS || header->batches[split] == 0)
		return error_set(err, STATUS_USAGE, "the data have no such part");
	if (model_state_init(&state, &trainer->net, header->rows[split], err) < 0)
		return -1;
	for (uint64_t k = 0; k < header->batches[split]; k++) {
		if (read_batch(trainer, split, k, err) < 0 ||
			model_score(&trainer->net, &state, trainer->batch, header->window, &sum,
				NULL, err) < 0)
			goto out;
		total += sum;
	}
	*nats = total / ((double)header->batches[split] * header->rows[split] * header->window);
	rc = 0;
out:
	model_state_release(&state);
	return rc;
}

int charpipe_trainer_evaluate(struct charpipe_trainer *trainer, enum charpipe_split split,
	double *nats, struct charpipe_error *error)
{
	struct error err;
	if (evaluate(trainer, (enum shards_split)split, nats, &err) < 0)
		return door_error(error, &err);
	return 0;
}

/* run.h: a little training run on some device, for the tests of the GPU. */
#ifndef TESTS_RUN_H
#define TESTS_RUN_H

#include "nn/adam.h"
#include "nn/model.h"

#include "../unit/numbers.h"

#include <stdlib.h>
#include <string.h>

/* Odd sizes, so that no vector, warp or tile is full; two layers, so that there is every operation.
 */
enum { RUN_V = 17, RUN_H = 41, RUN_L = 2, RUN_N = 5, RUN_T = 7 };

struct run {
	struct device *device; /* owned */
	struct model model;
	struct model_state state;
	struct adam adam;
	double rate;
};

/* Takes the memory of a model, and gives it back. */
static inline int run_make(struct run *run, struct device *device, struct error *err)
{
	if (model_init(&run->model, device, &lstm_cell, RUN_V, RUN_H, RUN_L, MODEL_TRAINING, RUN_N,
		    RUN_T, err) < 0 ||
		model_state_init(&run->state, &run->model, RUN_N, err) < 0)
		return -1;
	run->rate = 2e-2;
	return adam_init(&run->adam, &run->model, &adam_defaults, err);
}

static inline void run_clear(struct run *run)
{
	adam_release(&run->adam);
	model_state_release(&run->state);
	model_release(&run->model);
}

/* Makes a model with dropout 0.5 and repeatable weights; takes the device over in any case. 0, or
 * -1 with everything released. */
static inline int run_init(struct run *run, struct device *device, struct error *err)
{
	float *arena = NULL;
	int status = -1;
	*run = (struct run){.device = device};
	if (!device)
		return -1;
	if (run_make(run, device, err) < 0)
		goto out;
	run->model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
	run->model.seed = 11;
	arena = calloc(run->model.params.total, sizeof *arena);
	if (!arena) {
		error_memory(err, run->model.params.total * sizeof *arena, "weights");
		goto out;
	}
	params_initialise(&run->model.params, 3, 0, arena);
	status = model_set_weights(&run->model, arena, err);
out:
	free(arena);
	if (status < 0) {
		run_clear(run);
		device->ops->release(device);
		*run = (struct run){0};
	}
	return status;
}

static inline void run_release(struct run *run)
{
	if (!run->device)
		return;
	run_clear(run);
	run->device->ops->release(run->device);
	*run = (struct run){0};
}

/* Batch k, (N,T+1): a text with something to learn, each character often the next of the one
 * before. */
static inline void run_batch(uint32_t k, uint32_t batch[RUN_N * (RUN_T + 1)])
{
	for (size_t i = 0; i < RUN_N * (RUN_T + 1); i++) {
		const uint32_t word = numbers_word(1000 + k, i);
		batch[i] = i % (RUN_T + 1) && word % 4 ? (batch[i - 1] + 1) % RUN_V : word % RUN_V;
	}
}

/* The next training step. */
static inline int run_step(struct run *run, double *nats, double *norm, struct error *err)
{
	uint32_t batch[RUN_N * (RUN_T + 1)];
	run_batch((uint32_t)run->adam.step, batch);
	return adam_train(&run->adam, &run->state, batch, RUN_T, run->rate, nats, norm, err);
}

/* Everything that a checkpoint holds: weights, moments, state; floats in all. To be freed. */
static inline size_t run_size(const struct run *run)
{
	return (1 + ADAM_ARENAS) * run->model.params.total + run->state.size;
}

static inline float *run_save(struct run *run, struct error *err)
{
	const size_t total = run->model.params.total;
	float *saved = calloc(run_size(run), sizeof *saved);
	if (!saved || model_get_weights(&run->model, saved, err) < 0)
		goto fail;
	for (enum adam_arena i = 0; i < ADAM_ARENAS; i++)
		if (run->adam.arenas[i] &&
			adam_get(&run->adam, i, saved + (1 + i) * total, err) < 0)
			goto fail;
	if (model_state_get(&run->state, saved + (1 + ADAM_ARENAS) * total, err) == 0)
		return saved;
fail:
	free(saved);
	return NULL;
}

static inline int run_load(struct run *run, const float *saved, uint64_t step, struct error *err)
{
	const size_t total = run->model.params.total;
	if (model_set_weights(&run->model, saved, err) < 0)
		return -1;
	for (enum adam_arena i = 0; i < ADAM_ARENAS; i++)
		if (run->adam.arenas[i] &&
			adam_set(&run->adam, i, saved + (1 + i) * total, err) < 0)
			return -1;
	run->adam.step = step;
	return model_state_set(&run->state, saved + (1 + ADAM_ARENAS) * total, err);
}

#endif

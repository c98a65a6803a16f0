/* adam.c: the optimizer's state and its step; the arithmetic is the device's (ops.h). */
#include "nn/adam.h"

#include <math.h>

int adam_init(struct adam *adam, struct model *model, double lr, double clip, struct error *err)
{
	struct device *device = model->device;
	const size_t bytes = model->params.total * sizeof(float);
	*adam = (struct adam){.model = model,
		.lr = lr,
		.beta1 = 0.9,
		.beta2 = 0.999,
		.epsilon = 1e-8,
		.clip = clip};
	for (size_t i = 0; i < ADAM_ARENAS; i++)
		if (!(adam->arenas[i] = device->ops->alloc(device, bytes, err))) {
			adam_release(adam);
			return -1;
		}
	return 0;
}

void adam_release(struct adam *adam)
{
	if (!adam->model)
		return;
	struct device *device = adam->model->device;
	for (size_t i = 0; i < ADAM_ARENAS; i++)
		device->ops->free(device, adam->arenas[i]);
	*adam = (struct adam){0};
}

int adam_train(struct adam *adam, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, double *norm, struct error *err)
{
	struct model *model = adam->model;
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const uint32_t step = (uint32_t)adam->step;
	struct sequence sequence = model_sequence(model, MODEL_STEP, state, T);
	sequence.step = step;
	sequence.adam = (struct adam_update){.lr = adam->lr,
		.beta1 = adam->beta1,
		.beta2 = adam->beta2,
		.epsilon = adam->epsilon,
		.clip = adam->clip,
		.factor = 1,
		.step = adam->step + 1};
	sequence.key.moments = adam->arenas[ADAM_M];
	sequence.key.beta1 = adam->beta1;
	sequence.key.beta2 = adam->beta2;
	sequence.key.epsilon = adam->epsilon;
	sequence.key.clip = adam->clip;
	if (model_load(model, state, batch, T, err) < 0)
		return -1;
	if (ops->begin(device, &sequence)) {
		model_queue_gradient(model, state, T, step);
		ops->adam(device, model->params.total, &sequence.adam, model->weights,
			model->gradients, adam->arenas[ADAM_M], adam->arenas[ADAM_V],
			&model->batch->nats, &model->batch->squares);
		model_weights_changed(model);
		ops->end(device);
	}
	if (model_totals(model, state->rows * T, nats, norm, err) < 0)
		return -1;
	if (isfinite(*nats) && isfinite(*norm))
		adam->step++;
	return 0;
}

int adam_set(struct adam *adam, enum adam_arena which, const float *from, struct error *err)
{
	struct device *device = adam->model->device;
	const size_t bytes = adam->model->params.total * sizeof *from;
	return device->ops->put(device, adam->arenas[which], from, bytes, err);
}

int adam_get(const struct adam *adam, enum adam_arena which, float *to, struct error *err)
{
	struct device *device = adam->model->device;
	const size_t bytes = adam->model->params.total * sizeof *to;
	return device->ops->get(device, to, adam->arenas[which], bytes, err);
}

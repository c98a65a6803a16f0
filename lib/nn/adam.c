/* adam.c: the optimizer's state and its step; the arithmetic is the device's (ops.h). */
#include "nn/adam.h"

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
	if (!(adam->m = device->ops->alloc(device, bytes, err)) ||
		!(adam->v = device->ops->alloc(device, bytes, err))) {
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
	device->ops->free(device, adam->m);
	device->ops->free(device, adam->v);
	*adam = (struct adam){0};
}

void adam_step(struct adam *adam)
{
	struct model *model = adam->model;
	const struct adam_update update = {.lr = adam->lr,
		.beta1 = adam->beta1,
		.beta2 = adam->beta2,
		.epsilon = adam->epsilon,
		.clip = adam->clip,
		.step = ++adam->step};
	model->device->ops->adam(model->device, model->params.total, &update, model->weights,
		model->gradients, adam->m, adam->v, model_squares(model));
	model_weights_changed(model);
}

int adam_set(struct adam *adam, const float *m, const float *v, uint64_t step, struct error *err)
{
	struct device *device = adam->model->device;
	const size_t bytes = adam->model->params.total * sizeof(float);
	adam->step = step;
	if (device->ops->put(device, adam->m, m, bytes, err) < 0)
		return -1;
	return device->ops->put(device, adam->v, v, bytes, err);
}

int adam_get(const struct adam *adam, float *m, float *v, struct error *err)
{
	struct device *device = adam->model->device;
	const size_t bytes = adam->model->params.total * sizeof(float);
	if (device->ops->get(device, m, adam->m, bytes, err) < 0)
		return -1;
	return device->ops->get(device, v, adam->v, bytes, err);
}

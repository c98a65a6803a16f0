/* adam.c: the optimizer's state and its step; the arithmetic is the device's (ops.h). */
#include "nn/adam.h"

#include <math.h>
#include <stdlib.h>

/* Of Muon. */
static const double muon_momentum = 0.95;
static const double muon_size = 0.2; /* of an element of an update: what Adam's have */
enum { MUON_FIRST = 20 };            /* updates that all have a new direction */

const struct adam_options adam_defaults = {
	.beta1 = 0.9,
	.beta2 = 0.999,
	.epsilon = 1e-8,
	.clip = 5,
	.input_rate = 1,
	.muon_every = 1,
};

/* Lists the tensors by what becomes of them; each reaches to where the next one begins. */
static int init_ranges(struct adam *adam, struct error *err)
{
	const struct adam_options *options = &adam->options;
	const struct params *params = &adam->model->params;
	adam->ranges = calloc(params->count, sizeof *adam->ranges);
	if (!adam->ranges)
		return error_memory(
			err, params->count * sizeof *adam->ranges, "the optimizer's ranges");
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		const size_t end = i + 1 < params->count ? p[1].offset : params->total;
		const struct adam_range range = {.offset = p->offset,
			.n = end - p->offset,
			.squares = options->muon ? p->squares : 0,
			.factor = p->transposed ? options->input_rate : 1,
			.decay = p->cols ? options->decay : 0};
		struct adam_range *last = adam->count ? &adam->ranges[adam->count - 1] : NULL;
		if (last && last->squares == 0 && range.squares == 0 &&
			last->factor == range.factor && last->decay == range.decay)
			last->n += range.n;
		else
			adam->ranges[adam->count++] = range;
	}
	return 0;
}

int adam_init(struct adam *adam, struct model *model, const struct adam_options *options,
	struct error *err)
{
	struct device *device = model->device;
	const size_t H = model->params.hidden;
	const size_t scratch = 4 * model->params.cell->gates * H * H;
	*adam = (struct adam){.model = model, .options = *options};
	if (init_ranges(adam, err) < 0)
		goto fail;
	for (size_t i = 0; i < ADAM_ARENAS; i++) {
		if (i == ADAM_AVERAGE && options->average == 0)
			continue;
		adam->arenas[i] = device->ops->alloc(
			device, model->params.total * sizeof **adam->arenas, err);
		if (!adam->arenas[i])
			goto fail;
	}
	if (options->muon && (device->ops->prepare_gradients(device, err) < 0 ||
				     !(adam->scratch = device->ops->alloc(
					       device, scratch * sizeof *adam->scratch, err))))
		goto fail;
	return 0;
fail:
	adam_release(adam);
	return -1;
}

void adam_release(struct adam *adam)
{
	if (!adam->model)
		return;
	struct device *device = adam->model->device;
	for (size_t i = 0; i < ADAM_ARENAS; i++)
		device->ops->free(device, adam->arenas[i]);
	device->ops->free(device, adam->scratch);
	free(adam->ranges);
	*adam = (struct adam){0};
}

void adam_reset(struct adam *adam)
{
	struct device *device = adam->model->device;
	const size_t total = adam->model->params.total;
	device->ops->zero(device, adam->arenas[ADAM_M], total);
	device->ops->zero(device, adam->arenas[ADAM_V], total);
	adam->step = 0;
}

/* Whether Muon looks for a new direction in that update. Soon after the start they change fast. */
static bool is_due(const struct adam_options *options, uint64_t update)
{
	return update <= MUON_FIRST || update % options->muon_every == 0;
}

/* A plain mean until that weighs as little as the option says. */
static double mix_of(const struct adam_options *options, uint64_t update)
{
	if (update <= options->average_from + 1)
		return 1;
	return fmax(1 - options->average, 1 / (double)(update - options->average_from));
}

static void queue_muon(struct adam *adam, const struct adam_range *range, struct adam_update update)
{
	struct model *model = adam->model;
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const size_t H = model->params.hidden, n = range->squares * H * H;
	const double *nats = &model->batch->nats, *squares = &model->batch->squares;
	float *direction = is_due(&adam->options, update.step) ? adam->scratch : NULL;
	update.beta1 = muon_momentum;
	update.factor *= muon_size * sqrt((double)H);
	update.decay /= muon_size * sqrt((double)H);
	ops->momentum(device, n, &update, model->gradients + range->offset,
		adam->arenas[ADAM_M] + range->offset, direction, nats, squares);
	if (direction)
		ops->orthogonalise(
			device, model->fc.type, range->squares, H, direction, direction + n);
	ops->descend(device, n, &update, model->weights + range->offset,
		adam->arenas[ADAM_V] + range->offset, direction, nats, squares);
}

static void queue_update(struct adam *adam, const struct adam_update *update)
{
	struct model *model = adam->model;
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const double *nats = &model->batch->nats, *squares = &model->batch->squares;
	model_queue_norm(model);
	for (const struct adam_range *r = adam->ranges; r < adam->ranges + adam->count; r++) {
		struct adam_update own = *update;
		own.factor = r->factor;
		own.decay = r->decay;
		if (r->squares)
			queue_muon(adam, r, own);
		else
			ops->adam(device, r->n, &own, model->weights + r->offset,
				model->gradients + r->offset, adam->arenas[ADAM_M] + r->offset,
				adam->arenas[ADAM_V] + r->offset, nats, squares);
	}
	if (adam->arenas[ADAM_AVERAGE])
		ops->average(device, model->params.total, update, model->weights,
			adam->arenas[ADAM_AVERAGE], nats, squares);
	model_weights_changed(model);
}

int adam_train(struct adam *adam, struct model_state *state, const uint32_t *batch, size_t T,
	double rate, double *nats, double *norm, struct error *err)
{
	struct model *model = adam->model;
	const struct ops *ops = model->device->ops;
	const struct adam_options *options = &adam->options;
	const uint32_t step = (uint32_t)adam->step;
	struct sequence sequence = model_sequence(model, MODEL_STEP, state, T);
	sequence.step = step;
	sequence.adam = (struct adam_update){.lr = rate,
		.beta1 = options->beta1,
		.beta2 = options->beta2,
		.epsilon = options->epsilon,
		.clip = options->clip,
		.factor = 1,
		.mix = mix_of(options, adam->step + 1),
		.step = adam->step + 1};
	sequence.key.optimizer = adam->arenas[ADAM_M];
	sequence.key.variant = options->muon && is_due(options, adam->step + 1);
	if (model_load(model, state, batch, T, step, err) < 0)
		return -1;
	if (ops->begin(model->device, &sequence)) {
		model_queue_gradient(model, state, T, step);
		if (!model->group)
			queue_update(adam, &sequence.adam);
		ops->end(model->device);
	}
	if (model->group) {
		if (model_exchange(model, state, err) < 0)
			return -1;
		sequence.key.kind = MODEL_UPDATE;
		if (ops->begin(model->device, &sequence)) {
			queue_update(adam, &sequence.adam);
			ops->end(model->device);
		}
	}
	if (model_totals(model, state->cut.rows * T, nats, norm, err) < 0)
		return -1;
	if (isfinite(*nats) && isfinite(*norm))
		adam->step++;
	return 0;
}

void adam_exchange(struct adam *adam)
{
	float **average = &adam->arenas[ADAM_AVERAGE];
	if (*average)
		*average = model_bind_weights(adam->model, *average);
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

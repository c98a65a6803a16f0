/* model.c: the language model over the operations of one device.
 *
 * A batch of N rows is worked off in blocks of rows, each forward and (in training) backward before
 * the next, so that activations of one block are all the memory that a step needs; gradients add up
 * over the blocks. Within a block everything is time-major. */
#include "nn/model.h"

#include "nn/lstm.h"

#include <math.h>
#include <stdlib.h>

/* Rows in flight: all of them, or blocks of nearly equal size, none above what the device likes. */
static size_t block_rows(const struct device *device, size_t rows)
{
	if (device->row_block == 0 || rows <= device->row_block)
		return rows;
	size_t blocks = (rows + device->row_block - 1) / device->row_block;
	return (rows + blocks - 1) / blocks;
}

int model_init(struct model *model, struct device *device, uint64_t vocab, uint64_t hidden,
	uint64_t layers, enum model_use use, size_t rows, size_t window, struct error *err)
{
	const struct ops *ops = device->ops;
	*model = (struct model){.device = device, .rows = rows, .window = window};
	if (params_init(&model->params, vocab, hidden, layers, err) < 0)
		return -1;
	const struct params *p = &model->params;
	const size_t V = p->vocab, H = p->hidden, arena = p->total * sizeof(float);
	model->block = block_rows(device, rows);
	const size_t steps = model->block * window;

	if (!(model->weights = ops->alloc(device, arena, err)) ||
		(use == MODEL_TRAINING && !(model->gradients = ops->alloc(device, arena, err))))
		goto fail;
	model->layers = calloc(layers, sizeof *model->layers);
	if (!model->layers) {
		error_memory(err, layers * sizeof *model->layers, "layers");
		goto fail;
	}
	for (uint32_t l = 0; l < layers; l++)
		if (lstm_init(&model->layers[l], device, p, l, model->weights, model->gradients,
			    window, model->block, err) < 0)
			goto fail;
	const float *fc = model->weights + params_fc_weight(p)->offset;
	if (ops->operand_init(device, &model->fc, H, V, true, fc, err) < 0)
		goto fail;
	if (use == MODEL_TRAINING &&
		(ops->operand_init(device, &model->fc_backward, V, H, false, fc, err) < 0 ||
			!(model->x = ops->alloc(device, steps * H * sizeof(float), err)) ||
			!(model->dh = ops->alloc(device, steps * H * sizeof(float), err)) ||
			!(model->carry = ops->alloc(
				  device, 2 * model->block * H * sizeof(float), err))))
		goto fail;
	if (!(model->inputs = ops->alloc(device, 2 * steps * sizeof(uint32_t), err)) ||
		!(model->logits = ops->alloc(device, steps * V * sizeof(float), err)) ||
		!(model->nats = ops->alloc(device, steps * sizeof(float), err)) ||
		!(model->totals = ops->alloc(device, 2 * sizeof(double), err)))
		goto fail;
	model->ids = malloc(2 * steps * sizeof *model->ids);
	model->host = malloc(steps * sizeof *model->host);
	if (!model->ids || !model->host) {
		error_memory(
			err, steps * (2 * sizeof *model->ids + sizeof *model->host), "a batch");
		goto fail;
	}
	return 0;
fail:
	model_release(model);
	return -1;
}

void model_release(struct model *model)
{
	struct device *device = model->device;
	if (!device)
		return;
	const struct ops *ops = device->ops;
	for (uint32_t l = 0; model->layers && l < model->params.layers; l++)
		lstm_release(&model->layers[l]);
	free(model->layers);
	ops->operand_release(device, &model->fc);
	ops->operand_release(device, &model->fc_backward);
	ops->free(device, model->weights);
	ops->free(device, model->gradients);
	ops->free(device, model->inputs);
	ops->free(device, model->x);
	ops->free(device, model->dh);
	ops->free(device, model->carry);
	ops->free(device, model->logits);
	ops->free(device, model->nats);
	ops->free(device, model->totals);
	free(model->ids);
	free(model->host);
	params_release(&model->params);
	*model = (struct model){0};
}

uint64_t model_bytes(const struct device *device, const struct params *p, enum model_use use,
	size_t rows, size_t window)
{
	const bool training = use == MODEL_TRAINING;
	const uint64_t V = p->vocab, H = p->hidden, block = block_rows(device, rows);
	const uint64_t steps = block * window;
	uint64_t floats = p->total * (training ? 2 : 1);        /* weights, gradients */
	floats += H * V * (training ? 2 : 1);                   /* operands of fc */
	floats += steps * (V + 3);                              /* logits, nats, ids */
	floats += training ? 2 * steps * H + 2 * block * H : 0; /* x, dh, carry */
	uint64_t bytes = floats * sizeof(float);
	for (uint32_t l = 0; l < p->layers; l++)
		bytes += lstm_bytes(p, l, training, window, block);
	return bytes;
}

void model_weights_changed(struct model *model)
{
	const struct ops *ops = model->device->ops;
	for (uint32_t l = 0; l < model->params.layers; l++)
		lstm_weights_changed(&model->layers[l]);
	ops->operand_update(model->device, &model->fc);
	if (model->gradients)
		ops->operand_update(model->device, &model->fc_backward);
}

int model_set_weights(struct model *model, const float *arena, struct error *err)
{
	if (model->device->ops->put(model->device, model->weights, arena,
		    model->params.total * sizeof *arena, err) < 0)
		return -1;
	model_weights_changed(model);
	return 0;
}

int model_get_weights(struct model *model, float *arena, struct error *err)
{
	return model->device->ops->get(
		model->device, arena, model->weights, model->params.total * sizeof *arena, err);
}

/* --- state
 * ---------------------------------------------------------------------------------------- */

int model_state_init(
	struct model_state *state, const struct model *model, size_t rows, struct error *err)
{
	struct device *device = model->device;
	*state = (struct model_state){.device = device, .rows = rows};
	state->size = (size_t)model->params.layers * rows * model->params.hidden;
	if (!(state->h = device->ops->alloc(device, state->size * sizeof(float), err)) ||
		!(state->c = device->ops->alloc(device, state->size * sizeof(float), err))) {
		model_state_release(state);
		return -1;
	}
	return 0;
}

void model_state_zero(struct model_state *state)
{
	state->device->ops->zero(state->device, state->h, state->size);
	state->device->ops->zero(state->device, state->c, state->size);
}

void model_state_release(struct model_state *state)
{
	if (!state->device)
		return;
	state->device->ops->free(state->device, state->h);
	state->device->ops->free(state->device, state->c);
	*state = (struct model_state){0};
}

int model_state_set(struct model_state *state, const float *h, const float *c, struct error *err)
{
	const struct ops *ops = state->device->ops;
	if (ops->put(state->device, state->h, h, state->size * sizeof *h, err) < 0)
		return -1;
	return ops->put(state->device, state->c, c, state->size * sizeof *c, err);
}

int model_state_get(const struct model_state *state, float *h, float *c, struct error *err)
{
	const struct ops *ops = state->device->ops;
	if (ops->get(state->device, h, state->h, state->size * sizeof *h, err) < 0)
		return -1;
	return ops->get(state->device, c, state->c, state->size * sizeof *c, err);
}

/* --- a block of rows
 * ------------------------------------------------------------------------------ */

/* Rows first..first+N-1 of a batch over T steps. */
struct block {
	size_t first, N, T;
	bool training;
	uint32_t step; /* of the dropout masks */
};

static struct dropout mask_of(const struct model *model, const struct block *b, uint32_t layer)
{
	return (struct dropout){.p = b->training ? model->dropout : 0,
		.key = philox_key(model->seed, PHILOX_DROPOUT, layer),
		.step = b->step};
}

/* What the layer above (or the output layer) sees of layer l: its outputs through dropout, in x if
 * that changes them. */
static const float *seen_above(struct model *model, const struct block *b, uint32_t l)
{
	const struct dropout mask = mask_of(model, b, l);
	float *h = lstm_outputs(&model->layers[l], b->N);
	if (mask.p == 0)
		return h;
	model->device->ops->dropout(
		model->device, b->T, b->N, model->params.hidden, b->first, &mask, h, model->x);
	return model->x;
}

/* Moves the state of the block's rows into the layers (window's step 0) or back from their last
 * step. */
static void load_state(struct model *model, const struct model_state *state, const struct block *b)
{
	struct device *device = model->device;
	const size_t H = model->params.hidden;
	for (uint32_t l = 0; l < model->params.layers; l++) {
		const size_t at = (l * state->rows + b->first) * H;
		device->ops->copy(device, model->layers[l].h, state->h + at, b->N * H);
		device->ops->copy(device, model->layers[l].c, state->c + at, b->N * H);
	}
}

static void save_state(struct model *model, struct model_state *state, const struct block *b)
{
	struct device *device = model->device;
	const size_t H = model->params.hidden, last = b->T * b->N * H;
	for (uint32_t l = 0; l < model->params.layers; l++) {
		const size_t at = (l * state->rows + b->first) * H;
		device->ops->copy(device, state->h + at, model->layers[l].h + last, b->N * H);
		device->ops->copy(device, state->c + at, model->layers[l].c + last, b->N * H);
	}
}

/* From model->inputs to the last layer's outputs, state carried on. Returns what the output layer
 * sees. */
static const float *forward(struct model *model, struct model_state *state, const struct block *b)
{
	const float *x = NULL;
	load_state(model, state, b);
	for (uint32_t l = 0; l < model->params.layers; l++) {
		lstm_forward(&model->layers[l], b->T, b->N, model->inputs, x);
		x = seen_above(model, b, l);
	}
	save_state(model, state, b);
	return x;
}

static void output(struct model *model, size_t rows, const float *x)
{
	struct device *device = model->device;
	const float *bias = model->weights + params_fc_bias(&model->params)->offset;
	device->ops->bias(device, rows, model->params.vocab, bias, NULL, model->logits);
	device->ops->product(device, rows, x, &model->fc, model->logits);
}

/* From the gradient of the logits to all gradients; x: what the output layer saw. */
static void backward(struct model *model, const struct block *b, const float *x)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct params *p = &model->params;
	const size_t rows = b->T * b->N, V = p->vocab, H = p->hidden;
	ops->product_tn(device, rows, V, H, model->logits, x,
		model->gradients + params_fc_weight(p)->offset);
	ops->column_sums(
		device, rows, V, model->logits, model->gradients + params_fc_bias(p)->offset);
	ops->zero(device, model->dh, rows * H);
	ops->product(device, rows, model->logits, &model->fc_backward, model->dh);
	for (uint32_t l = p->layers; l-- > 0;) {
		const struct dropout mask = mask_of(model, b, l);
		ops->dropout(device, b->T, b->N, H, b->first, &mask, model->dh, model->dh);
		x = l > 0 ? seen_above(model, b, l - 1) : NULL;
		lstm_backward(
			&model->layers[l], b->T, b->N, model->inputs, x, model->dh, model->carry);
	}
}

/* Copies rows of `from` (each `stride` ids, T wanted) into time-major order. */
static void transpose(const struct block *b, const uint32_t *from, size_t stride, uint32_t *to)
{
	for (size_t r = 0; r < b->N; r++)
		for (size_t t = 0; t < b->T; t++)
			to[t * b->N + r] = from[(b->first + r) * stride + t];
}

/* Sends a block's inputs to the device, and its targets if there are any. */
static int load_ids(struct model *model, const struct block *b, const uint32_t *inputs,
	const uint32_t *targets, size_t stride, struct error *err)
{
	const size_t steps = b->T * b->N;
	transpose(b, inputs, stride, model->ids);
	if (targets)
		transpose(b, targets, stride, model->ids + steps);
	model->targets = model->inputs + steps;
	return model->device->ops->put(model->device, model->inputs, model->ids,
		(targets ? 2 : 1) * steps * sizeof *model->ids, err);
}

/* --- batches
 * -------------------------------------------------------------------------------------- */

const double *model_squares(const struct model *model)
{
	return &model->totals[1];
}

int model_gradient(struct model *model, struct model_state *state, const uint32_t *batch, size_t T,
	uint32_t step, double *nats, double *norm, struct error *err)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct params *p = &model->params;
	const size_t N = state->rows;
	const float scale = (float)(1 / ((double)N * (double)T));
	double totals[2] = {0, 0};
	ops->zero(device, model->gradients, p->total);
	if (ops->put(device, model->totals, totals, sizeof totals, err) < 0)
		return -1;
	for (struct block b = {.T = T, .training = true, .step = step}; b.first < N;
		b.first += b.N) {
		b.N = N - b.first < model->block ? N - b.first : model->block;
		if (load_ids(model, &b, batch, batch + 1, T + 1, err) < 0)
			return -1;
		const float *x = forward(model, state, &b);
		output(model, b.T * b.N, x);
		ops->cross_entropy(device, b.T * b.N, p->vocab, model->logits, model->targets,
			scale, model->nats);
		ops->sum(device, b.T * b.N, model->nats, &model->totals[0]);
		backward(model, &b, x);
	}
	ops->sum_squares(device, p->total, model->gradients, &model->totals[1]);
	if (ops->get(device, totals, model->totals, sizeof totals, err) < 0)
		return -1;
	*nats = totals[0] / ((double)N * (double)T);
	*norm = sqrt(totals[1]);
	return 0;
}

int model_score(struct model *model, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, float *each, struct error *err)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const size_t N = state->rows;
	*nats = 0;
	if (ops->put(device, model->totals, nats, sizeof *nats, err) < 0)
		return -1;
	for (struct block b = {.T = T}; b.first < N; b.first += b.N) {
		b.N = N - b.first < model->block ? N - b.first : model->block;
		const size_t steps = b.T * b.N;
		if (load_ids(model, &b, batch, batch + 1, T + 1, err) < 0)
			return -1;
		output(model, steps, forward(model, state, &b));
		ops->cross_entropy(device, steps, model->params.vocab, model->logits,
			model->targets, 0, model->nats);
		ops->sum(device, steps, model->nats, &model->totals[0]);
		if (!each)
			continue;
		if (ops->get(device, model->host, model->nats, steps * sizeof *each, err) < 0)
			return -1;
		for (size_t r = 0; r < b.N; r++)
			for (size_t t = 0; t < T; t++)
				each[(b.first + r) * T + t] = model->host[t * b.N + r];
	}
	return ops->get(device, nats, model->totals, sizeof *nats, err);
}

int model_feed(struct model *model, struct model_state *state, const uint32_t *ids, size_t T,
	float *logits, struct error *err)
{
	struct device *device = model->device;
	const size_t N = state->rows, V = model->params.vocab, H = model->params.hidden;
	for (struct block b = {.T = T}; b.first < N; b.first += b.N) {
		b.N = N - b.first < model->block ? N - b.first : model->block;
		if (load_ids(model, &b, ids, NULL, T, err) < 0)
			return -1;
		const float *x = forward(model, state, &b);
		output(model, b.N, x + (T - 1) * b.N * H);
		if (device->ops->get(device, logits + b.first * V, model->logits,
			    b.N * V * sizeof *logits, err) < 0)
			return -1;
	}
	return 0;
}

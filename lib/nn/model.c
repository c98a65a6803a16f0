/* model.c: the language model over the operations of one device.
 *
 * A batch of N rows is worked off in blocks of rows, each forward and (in training) backward before
 * the next, so that activations of one block are all the memory that a step needs. Each block gives a
 * gradient of its own, and they are added up as tree.h says. Within a block everything is
 * time-major. */
#include "nn/model.h"

#include "nn/layer.h"
#include "nn/operand.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows in flight: blocks of nearly equal size, none above what the device likes; where it likes as many
 * as there are, one block for each rank. */
static size_t block_rows(const struct model *model, size_t rows)
{
	const size_t likes = model->device->row_block;
	if (likes == 0)
		return (rows + group_size(model->group) - 1) / group_size(model->group);
	if (rows <= likes)
		return rows;
	size_t blocks = (rows + likes - 1) / likes;
	return (rows + blocks - 1) / blocks;
}

static size_t count_blocks(const struct model *model, size_t rows)
{
	return (rows + model->block - 1) / model->block;
}

static size_t batch_bytes(const struct model *model, size_t rows, size_t window)
{
	return sizeof(struct batch) + model->blocks * sizeof(double) +
	       2 * rows * window * sizeof(uint32_t);
}

/* The part of an arena that belongs to layer l, or, if l is their number, to the output layer; or to
 * one tensor. */
struct part {
	size_t offset, n; /* floats */
};

static struct part part_between(const struct params *p, size_t first, size_t end)
{
	const size_t offset = p->v[first].offset;
	return (struct part){offset, (end < p->count ? p->v[end].offset : p->total) - offset};
}

static struct part part_of_layer(const struct params *p, uint32_t l)
{
	const size_t first = PARAMS_PER_LAYER * l;
	return part_between(p, first, l < p->layers ? first + PARAMS_PER_LAYER : p->count);
}

static struct part part_of_tensor(const struct params *p, size_t i)
{
	return part_between(p, i, i + 1);
}

/* Room for the logits of a block's window, and of every row's last character. */
static size_t logits_rows(size_t block, size_t rows, size_t window)
{
	return block * window > rows ? block * window : rows;
}

/* Lets layers and output layer know where the weights lie. */
static void bind_weights(struct model *model)
{
	const struct params *p = &model->params;
	for (uint32_t l = 0; l < p->layers; l++)
		layer_bind(&model->layers[l], p, l, model->weights);
	model->fc.w = model->fc_backward.w = model->weights + params_fc_weight(p)->offset;
	model->fc.bias1 = model->weights + params_fc_bias(p)->offset;
}

static int init_operands(
	struct model *model, bool training, enum operand_type type, struct error *err)
{
	struct device *device = model->device;
	const struct params *p = &model->params;
	model->layers = calloc(p->layers, sizeof *model->layers);
	if (!model->layers)
		return error_memory(err, p->layers * sizeof *model->layers, "layers");
	for (uint32_t l = 0; l < p->layers; l++)
		if (layer_init(&model->layers[l], device, p, l, training, type, err) < 0)
			return -1;
	model->fc = (struct operand){.k = p->hidden,
		.n = p->vocab,
		.transposed = true,
		.type = type,
		.trained = training};
	model->fc_backward = (struct operand){.k = p->vocab, .n = p->hidden, .type = type};
	if (operand_init(&model->fc, device, err) < 0)
		return -1;
	return training ? operand_init(&model->fc_backward, device, err) : 0;
}

int model_init(struct model *model, struct device *device, const struct cell *cell, uint64_t vocab,
	uint64_t hidden, uint64_t layers, enum model_use use, size_t rows, size_t window,
	struct error *err)
{
	static const enum operand_type types[] = {
		[MODEL_INFERENCE] = OPERAND_F32,
		[MODEL_INFERENCE_F16] = OPERAND_F16,
		[MODEL_INFERENCE_I8] = OPERAND_I8,
		[MODEL_TRAINING] = OPERAND_F32,
		[MODEL_TRAINING_BF16] = OPERAND_BF16,
	};
	const struct ops *ops = device->ops;
	const bool training = use >= MODEL_TRAINING;
	*model = (struct model){.device = device};
	if (params_init(&model->params, cell, vocab, hidden, layers, err) < 0 ||
		init_operands(model, training, types[use], err) < 0)
		goto fail;
	if (training) {
		const size_t arena = model->params.total * sizeof(float);
		if ((use != MODEL_TRAINING_BF16 && ops->prepare_gradients(device, err) < 0) ||
			!(model->weights = ops->alloc(device, arena, err)) ||
			!(model->gradients = ops->alloc(device, arena, err)))
			goto fail;
		bind_weights(model);
	}
	if (model_resize(model, rows, window, err) == 0)
		return 0;
fail:
	model_release(model);
	return -1;
}

static void release_workspace(struct model *model)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	ops->free(device, model->flow);
	ops->free(device, model->dc);
	ops->free(device, model->logits);
	ops->free(device, model->nats);
	ops->free(device, model->batch);
	ops->host_free(device, model->sent);
	ops->host_free(device, model->scored);
	model->flow = model->dc = model->logits = model->nats = model->scored = NULL;
	model->batch = model->sent = NULL;
	ops->free(device, model->addend);
	ops->host_free(device, model->carried);
	model->addend = model->carried = NULL;
	for (size_t i = 1; i < TREE_DEPTH; i++) {
		ops->free(device, model->sums[i]);
		model->sums[i] = NULL;
	}
	model->rows = model->window = 0;
}

static int check_ranks(const struct model *model, size_t rows, struct error *err)
{
	const unsigned size = group_size(model->group);
	const size_t full = model->device->row_block ? model->device->row_block : model->block;
	if (size <= model->blocks)
		return 0;
	return error_set(err, STATUS_USAGE,
		"%u ranks, and a batch of %zu rows is made of %zu block%s of %zu: no more ranks "
		"can share it; batches of %zu rows (batchify --rows %zu) would use them all",
		size, rows, model->blocks, model->blocks == 1 ? "" : "s", model->block, size * full,
		size * full);
}

/* Room for the sums over blocks that wait for others, if there is more than one block. */
static int make_sums(struct model *model, struct error *err)
{
	struct device *device = model->device;
	const struct params *p = &model->params;
	size_t largest = 0, first = 0, end = model->blocks;
	if (model->group)
		group_share(model->group->rank, model->group->size, model->blocks, &first, &end);
	const size_t most = tree_most(model->blocks, first, end);
	model->sums[0] = model->gradients;
	for (size_t i = 1; i < most; i++)
		if (!(model->sums[i] = device->ops->alloc(device, p->total * sizeof(float), err)))
			return -1;
	for (size_t i = 0; i < p->count; i++)
		largest = part_of_tensor(p, i).n > largest ? part_of_tensor(p, i).n : largest;
	if (model->group && device->apart &&
		!(model->carried = device->ops->host_alloc(device, p->total * sizeof(float), err)))
		return -1;
	if (end - first == 1)
		return 0;
	model->addend = device->ops->alloc(device, largest * sizeof(float), err);
	return model->addend ? 0 : -1;
}

int model_resize(struct model *model, size_t rows, size_t window, struct error *err)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const size_t V = model->params.vocab, H = model->params.hidden;
	const size_t scored = rows * window * sizeof(float);
	release_workspace(model);
	model->block = block_rows(model, rows);
	model->blocks = count_blocks(model, rows);
	if (check_ranks(model, rows, err) < 0)
		return -1;
	const size_t batch = batch_bytes(model, rows, window);
	const size_t steps = model->block * window;
	for (uint32_t l = 0; l < model->params.layers; l++)
		if (layer_resize(&model->layers[l], window, model->block, err) < 0)
			return -1;
	if (model->gradients &&
		(!(model->flow = ops->alloc(device, steps * H * sizeof(float), err)) ||
			!(model->dc = ops->alloc(device, model->block * H * sizeof(float), err)) ||
			make_sums(model, err) < 0))
		return -1;
	if (!(model->logits = ops->alloc(
		      device, logits_rows(model->block, rows, window) * V * sizeof(float), err)) ||
		!(model->nats = ops->alloc(device, scored, err)) ||
		!(model->batch = ops->alloc(device, batch, err)) ||
		!(model->sent = ops->host_alloc(device, batch, err)) ||
		!(model->scored = ops->host_alloc(device, scored, err)))
		return -1;
	model->rows = rows;
	model->window = window;
	return 0;
}

int model_join(struct model *model, struct group *group, struct error *err)
{
	if (!group)
		return 0;
	model->group = group;
	if (!model->travels)
		model->travels = calloc(model->params.layers + 1, sizeof *model->travels);
	if (!model->travels)
		return error_memory(err, model->params.layers * sizeof *model->travels,
			"what goes to other ranks");
	return model_resize(model, model->rows, model->window, err);
}

void model_release(struct model *model)
{
	struct device *device = model->device;
	if (!device)
		return;
	const struct ops *ops = device->ops;
	for (uint32_t l = 0; model->layers && l < model->params.layers; l++)
		layer_release(&model->layers[l]);
	free(model->layers);
	free(model->travels);
	operand_release(&model->fc, device);
	operand_release(&model->fc_backward, device);
	ops->free(device, model->weights);
	ops->free(device, model->gradients);
	release_workspace(model);
	params_release(&model->params);
	*model = (struct model){0};
}

void model_weights_changed(struct model *model)
{
	const struct ops *ops = model->device->ops;
	for (uint32_t l = 0; l < model->params.layers; l++)
		layer_weights_changed(&model->layers[l]);
	ops->operand_update(model->device, &model->fc);
	if (model->gradients)
		ops->operand_update(model->device, &model->fc_backward);
	else
		ops->operand_seal(model->device, &model->fc);
}

int model_set_weights(struct model *model, const float *arena, struct error *err)
{
	struct device *device = model->device;
	const size_t bytes = model->params.total * sizeof *arena;
	if (!model->weights) {
		if (!(model->weights = device->ops->alloc(device, bytes, err)))
			return -1;
		bind_weights(model);
	}
	if (device->ops->put(device, model->weights, arena, bytes, err) < 0)
		return -1;
	model_weights_changed(model);
	return 0;
}

int model_adopt_weights(struct model *model, float *arena, struct error *err)
{
	struct device *device = model->device;
	device->ops->free(device, model->weights);
	model->weights =
		device->ops->adopt(device, arena, model->params.total * sizeof *arena, err);
	if (!model->weights)
		return -1;
	bind_weights(model);
	model_weights_changed(model);
	return 0;
}

float *model_bind_weights(struct model *model, float *weights)
{
	float *before = model->weights;
	model->weights = weights;
	bind_weights(model);
	model_weights_changed(model);
	return before;
}

int model_get_weights(struct model *model, float *arena, struct error *err)
{
	return model->device->ops->get(
		model->device, arena, model->weights, model->params.total * sizeof *arena, err);
}

/* --- state ------------------------------------------------------------------------------------ */

int model_state_init(
	struct model_state *state, const struct model *model, size_t rows, struct error *err)
{
	struct device *device = model->device;
	const struct group_cut cut = {rows, model->block};
	size_t first = 0, end = rows;
	if (model->group)
		group_rows(model->group->rank, model->group->size, &cut, &first, &end);
	*state = (struct model_state){.device = device,
		.rows = end - first,
		.hidden = model->params.hidden,
		.cut = cut,
		.first = first,
		.size = (end - first) * params_state_size(&model->params)};
	const size_t floats = state->size > 0 ? state->size : 1; /* a rank may have no rows */
	state->data = device->ops->alloc(device, floats * sizeof *state->data, err);
	if (state->data)
		return 0;
	*state = (struct model_state){0};
	return -1;
}

void model_state_zero(struct model_state *state)
{
	state->device->ops->zero(state->device, state->data, state->size);
}

void model_state_release(struct model_state *state)
{
	if (!state->device)
		return;
	state->device->ops->free(state->device, state->data);
	*state = (struct model_state){0};
}

int model_state_set(struct model_state *state, const float *from, struct error *err)
{
	struct device *device = state->device;
	return device->ops->put(device, state->data, from, state->size * sizeof *from, err);
}

int model_state_get(const struct model_state *state, float *to, struct error *err)
{
	struct device *device = state->device;
	return device->ops->get(device, to, state->data, state->size * sizeof *to, err);
}

int model_state_fill(struct model_state *state, const float *row, struct error *err)
{
	const size_t H = state->hidden;
	float *all = malloc(state->size * sizeof *all);
	if (!all)
		return error_memory(err, state->size * sizeof *all, "the state");
	for (size_t i = 0; i < state->size / H; i++)
		memcpy(all + i * H, row + i / state->rows * H, H * sizeof *all);
	int rc = model_state_set(state, all, err);
	free(all);
	return rc;
}

/* --- a block of rows -------------------------------------------------------------------------- */

/* Rows first..first+N-1 of a batch over T steps. */
struct block {
	size_t first, N, T;
	size_t in_batch; /* what `first` is among the rows of all ranks */
	bool training;
	uint32_t step; /* of the dropout masks */
	/* In training: sums that wait for others, and how many of them become one with this
	 * block's. */
	size_t waiting, joins;
	const struct tree_walk *last; /* the walk that ends here; NULL: others follow */
};

/* The block of rows that begins at row `first`; its rows are 0 behind the last one. */
static struct block block_at(
	const struct model *model, const struct model_state *state, size_t first, size_t T)
{
	const size_t left = state->rows - first;
	return (struct block){.first = first,
		.N = left < model->block ? left : model->block,
		.T = T,
		.in_batch = state->first + first};
}

/* Where a block's ids lie, on the device or in their host copy: inputs, then targets. */
static uint32_t *ids_of(const struct model *model, struct batch *batch, const struct block *b)
{
	void *ids = batch->blocks + model->blocks;
	return (uint32_t *)ids + 2 * b->first * b->T;
}

/* Where its nats are added up. */
static double *nats_of(const struct model *model, const struct block *b)
{
	return model->batch->blocks + b->in_batch / model->block;
}

static struct dropout mask_of(const struct model *model, const struct block *b, uint32_t layer)
{
	const bool top = layer + 1 == model->params.layers;
	const double p = top ? model->dropout.output : model->dropout.between;
	return (struct dropout){.p = b->training ? p : 0,
		.key = philox_key(model->seed, PHILOX_DROPOUT, layer),
		.step = b->step};
}

/* What the layer above (or the output layer) sees of layer l: its outputs through dropout, in the flow
 * if that changes them. */
static const float *seen_above(struct model *model, const struct block *b, uint32_t l)
{
	const struct dropout mask = mask_of(model, b, l);
	float *h = layer_outputs(&model->layers[l], b->N);
	if (mask.p == 0)
		return h;
	model->device->ops->dropout(model->device, b->T, b->N, model->params.hidden, b->in_batch,
		&mask, h, model->flow);
	return model->flow;
}

/* Where the state of the block's rows lies: array s of layer l, (N,H). */
static float *state_of(const struct model *model, const struct model_state *state,
	const struct block *b, size_t s, uint32_t l)
{
	const size_t array = s * model->params.layers + l;
	return state->data + (array * state->rows + b->first) * state->hidden;
}

/* Moves the state of the block's rows into the layers (window's step 0) or back from their last
 * step. */
static void load_state(struct model *model, const struct model_state *state, const struct block *b)
{
	struct device *device = model->device;
	const struct params *p = &model->params;
	for (uint32_t l = 0; l < p->layers; l++)
		for (size_t s = 0; s < p->cell->states; s++)
			device->ops->copy(device, model->layers[l].state[s],
				state_of(model, state, b, s, l), b->N * p->hidden);
}

static void save_state(struct model *model, struct model_state *state, const struct block *b)
{
	struct device *device = model->device;
	const struct params *p = &model->params;
	const size_t n = b->N * p->hidden;
	for (uint32_t l = 0; l < p->layers; l++)
		for (size_t s = 0; s < p->cell->states; s++)
			device->ops->copy(device, state_of(model, state, b, s, l),
				model->layers[l].state[s] + b->T * n, n);
}

/* From the block's inputs to the last layer's outputs, state carried on. Returns what the output
 * layer sees. */
static const float *forward(struct model *model, struct model_state *state, const struct block *b)
{
	const float *x = NULL;
	load_state(model, state, b);
	for (uint32_t l = 0; l < model->params.layers; l++) {
		layer_forward(&model->layers[l], b->T, b->N, ids_of(model, model->batch, b), x);
		x = seen_above(model, b, l);
	}
	save_state(model, state, b);
	return x;
}

/* Where a block's gradient of a tensor is added up, zero at first: at the bottom of a new sum, or in
 * what is then added to the sum before it. */
static float *begin_tensor(struct model *model, const struct block *b, size_t tensor)
{
	const struct part part = part_of_tensor(&model->params, tensor);
	float *at = b->joins > 0 ? model->addend : model->sums[b->waiting] + part.offset;
	model->device->ops->zero(model->device, at, part.n);
	return at;
}

static void end_tensor(struct model *model, const struct block *b, size_t tensor)
{
	const struct part part = part_of_tensor(&model->params, tensor);
	const float *x = model->addend;
	for (size_t i = 0; i < b->joins; i++) {
		float *sum = model->sums[b->waiting - 1 - i] + part.offset;
		model->device->ops->add(model->device, part.n, x, sum);
		x = sum;
	}
}

/* After a rank's last block its sums of a part go to the others, while it does the next one. */
static void send_part(struct model *model, const struct block *b, uint32_t l)
{
	const struct part part = part_of_layer(&model->params, l);
	if (!model->group || !b->last || model->device->apart)
		return;
	struct group_sum *travel = &model->travels[l];
	travel->walk = *b->last;
	travel->n = part.n;
	for (size_t i = 0; i < b->last->depth; i++)
		travel->sums[i] = model->sums[i] + part.offset;
	group_sum(model->group, travel);
}

/* The output layer's gradients, x being what it saw, and that of what it saw. */
static void backward_output(struct model *model, const struct block *b, const float *x)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct params *p = &model->params;
	const size_t rows = b->T * b->N, weight = p->count - 2, bias = p->count - 1;
	ops->product_tn(device, rows, model->logits, x, &model->fc, begin_tensor(model, b, weight));
	end_tensor(model, b, weight);
	ops->column_sums(device, rows, p->vocab, model->logits, begin_tensor(model, b, bias));
	end_tensor(model, b, bias);
	send_part(model, b, p->layers);
	ops->product(device, rows, model->logits, &model->fc_backward, model->flow);
}

static void backward_layer(struct model *model, const struct block *b, uint32_t l)
{
	struct device *device = model->device;
	struct layer *layer = &model->layers[l];
	const struct dropout mask = mask_of(model, b, l);
	const uint32_t *ids = ids_of(model, model->batch, b);
	device->ops->dropout(device, b->T, b->N, model->params.hidden, b->in_batch, &mask,
		model->flow, model->flow);
	layer_backward(layer, b->T, b->N, model->flow, model->dc);
	const float *x = l > 0 ? seen_above(model, b, l - 1) : NULL;
	for (unsigned i = 0; i < PARAMS_PER_LAYER; i++) {
		const size_t tensor = PARAMS_PER_LAYER * l + i;
		layer_gradient(layer, b->T, b->N, i, ids, x, begin_tensor(model, b, tensor));
		end_tensor(model, b, tensor);
	}
	send_part(model, b, l);
	if (l > 0)
		layer_input_gradient(layer, b->T, b->N, model->flow);
}

/* --- batches ---------------------------------------------------------------------------------- */

/* Rows of `from`, each `stride` ids long, T of which are wanted, in time-major order; `none` stands
 * for TARGET_NONE. */
static void transpose(
	const struct block *b, const uint32_t *from, size_t stride, uint32_t none, uint32_t *to)
{
	for (size_t r = 0; r < b->N; r++)
		for (size_t t = 0; t < b->T; t++) {
			const uint32_t id = from[(b->first + r) * stride + t];
			to[t * b->N + r] = id == TARGET_NONE ? none : id;
		}
}

/* Takes a share of the inputs away: at time t that of row r where word t % 4 of Philox with counter
 * {t / 4, r, 0, step} is less than that share of 2^32. */
static void hide_inputs(const struct model *model, const struct block *b, uint32_t *ids)
{
	const struct philox_key key = philox_key(model->seed, PHILOX_INPUT, 0);
	for (size_t r = 0; r < b->N; r++)
		for (size_t t = 0; t < b->T; t++) {
			uint32_t word[4] = {
				(uint32_t)(t / 4), (uint32_t)(b->in_batch + r), 0, b->step};
			philox(word, key);
			if (word[t % 4] < model->dropout.input * 0x1p32)
				ids[t * b->N + r] = TARGET_NONE;
		}
}

/* Sends the inputs (N,T) of the state's rows, and their targets if there are any, in one piece. `step`:
 * whose mask hides some inputs; NULL: none is hidden. */
static int load(struct model *model, const struct model_state *state, size_t T,
	const uint32_t *inputs, const uint32_t *targets, size_t stride, const uint32_t *step,
	struct error *err)
{
	const size_t rows = state->rows;
	struct block b;
	memset(model->sent, 0, batch_bytes(model, 0, 0));
	for (size_t first = 0; first < rows; first += b.N) {
		b = block_at(model, state, first, T);
		uint32_t *ids = ids_of(model, model->sent, &b);
		transpose(&b, inputs, stride, 0, ids);
		if (step && model->dropout.input > 0) {
			b.step = *step;
			hide_inputs(model, &b, ids);
		}
		if (targets)
			transpose(&b, targets, stride, TARGET_NONE, ids + T * b.N);
	}
	return model->device->ops->put(
		model->device, model->batch, model->sent, batch_bytes(model, rows, T), err);
}

int model_load(struct model *model, const struct model_state *state, const uint32_t *batch,
	size_t T, uint32_t step, struct error *err)
{
	return load(model, state, T, batch, batch + 1, T + 1, &step, err);
}

struct sequence model_sequence(const struct model *model, enum model_sequence kind,
	const struct model_state *state, size_t T)
{
	return (struct sequence){.key = {.kind = kind,
					 .weights = model->weights,
					 .state = state->data,
					 .rows = state->rows,
					 .window = T,
					 .seed = model->seed,
					 .dropout = {model->dropout.input, model->dropout.between,
						 model->dropout.output}}};
}

void model_queue_gradient(struct model *model, struct model_state *state, size_t T, uint32_t step)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct params *p = &model->params;
	const size_t N = state->rows;
	const float scale = (float)(1 / ((double)state->cut.rows * (double)T));
	struct tree_walk walk;
	struct block b;
	tree_begin(&walk, count_blocks(model, state->cut.rows), state->first / model->block);
	model->layers[0].gaps = model->dropout.input > 0;
	for (size_t first = 0; first < N; first += b.N) {
		b = block_at(model, state, first, T);
		b.training = true;
		b.step = step;
		b.waiting = walk.depth;
		b.joins = tree_push(&walk);
		b.last = first + b.N == N ? &walk : NULL;
		const size_t steps = T * b.N;
		float *nats = model->nats + T * first;
		const float *x = forward(model, state, &b);
		ops->product(device, steps, x, &model->fc, model->logits);
		ops->cross_entropy(device, steps, p->vocab, model->logits,
			ids_of(model, model->batch, &b) + steps, scale, nats);
		ops->sum(device, steps, nats, nats_of(model, &b));
		backward_output(model, &b, x);
		for (uint32_t l = p->layers; l-- > 0;)
			backward_layer(model, &b, l);
	}
	if (!model->group)
		ops->fold(device, walk.leaves, model->batch->blocks, &model->batch->nats);
}

/* The sums are made when all that the device has is there. */
static int exchange_apart(struct model *model, const struct model_state *state, struct error *err)
{
	struct device *device = model->device;
	const size_t total = model->params.total;
	struct group_sum *travel = model->travels;
	tree_begin(
		&travel->walk, count_blocks(model, state->cut.rows), state->first / model->block);
	tree_push(&travel->walk);
	travel->sums[0] = model->carried;
	travel->n = total;
	if (device->ops->get(device, model->carried, model->gradients, total * sizeof(float), err) <
		0)
		return -1;
	group_sum(model->group, travel);
	if (group_wait(model->group, err) < 0)
		return -1;
	return device->ops->put(
		device, model->gradients, model->carried, total * sizeof(float), err);
}

/* Of the nats that the device has of its blocks those of all. */
static int exchange_nats(
	struct model *model, const struct model_state *state, double *nats, struct error *err)
{
	struct batch *sent = model->sent;
	const size_t blocks = count_blocks(model, state->cut.rows);
	if (model->device->ops->get(model->device, sent->blocks, model->batch->blocks,
		    blocks * sizeof *sent->blocks, err) < 0 ||
		group_collect(model->group, blocks, sent->blocks, err) < 0)
		return -1;
	*nats = tree_sum(blocks, sent->blocks);
	return 0;
}

int model_exchange(struct model *model, const struct model_state *state, struct error *err)
{
	struct device *device = model->device;
	double nats;
	if (device->apart ? exchange_apart(model, state, err) < 0
			  : group_wait(model->group, err) < 0)
		return -1;
	if (exchange_nats(model, state, &nats, err) < 0)
		return -1;
	return device->ops->put(device, &model->batch->nats, &nats, sizeof nats, err);
}

void model_queue_norm(struct model *model)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct params *p = &model->params;
	for (uint32_t l = 0; l < p->layers; l++)
		layer_finish_gradients(&model->layers[l], p, l, model->gradients);
	ops->sum_squares(device, p->total, model->gradients, &model->batch->squares);
}

int model_totals(
	struct model *model, size_t characters, double *nats, double *norm, struct error *err)
{
	struct batch *sums = model->sent;
	if (model->device->ops->get(model->device, sums, model->batch, sizeof *sums, err) < 0)
		return -1;
	*nats = sums->nats / (double)characters;
	*norm = sqrt(sums->squares);
	return 0;
}

static void queue_score(struct model *model, struct model_state *state, size_t T)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	struct block b;
	for (size_t first = 0; first < state->rows; first += b.N) {
		b = block_at(model, state, first, T);
		const size_t steps = T * b.N;
		float *nats = model->nats + T * first;
		const float *x = forward(model, state, &b);
		ops->product(device, steps, x, &model->fc, model->logits);
		ops->cross_entropy(device, steps, model->params.vocab, model->logits,
			ids_of(model, model->batch, &b) + steps, 0, nats);
		ops->sum(device, steps, nats, nats_of(model, &b));
	}
	if (!model->group)
		ops->fold(device, count_blocks(model, state->rows), model->batch->blocks,
			&model->batch->nats);
}

/* The nats of all characters, as they come from the device, to rows. */
static int get_scored(struct model *model, const struct model_state *state, size_t T, float *each,
	struct error *err)
{
	const size_t rows = state->rows;
	struct block b;
	if (model->device->ops->get(
		    model->device, model->scored, model->nats, rows * T * sizeof *each, err) < 0)
		return -1;
	for (size_t first = 0; first < rows; first += b.N) {
		b = block_at(model, state, first, T);
		for (size_t r = 0; r < b.N; r++)
			for (size_t t = 0; t < T; t++)
				each[(first + r) * T + t] = model->scored[T * first + t * b.N + r];
	}
	return 0;
}

int model_score(struct model *model, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, float *each, struct error *err)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct sequence sequence = model_sequence(model, MODEL_SCORE, state, T);
	if (load(model, state, T, batch, batch + 1, T + 1, NULL, err) < 0)
		return -1;
	if (ops->begin(device, &sequence)) {
		queue_score(model, state, T);
		ops->end(device);
	}
	if (each && get_scored(model, state, T, each, err) < 0)
		return -1;
	if (model->group)
		return exchange_nats(model, state, nats, err);
	return ops->get(device, nats, &model->batch->nats, sizeof *nats, err);
}

static void queue_feed(struct model *model, struct model_state *state, size_t T)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const size_t V = model->params.vocab, H = model->params.hidden;
	struct block b;
	for (size_t first = 0; first < state->rows; first += b.N) {
		b = block_at(model, state, first, T);
		const float *x = forward(model, state, &b);
		ops->product(
			device, b.N, x + (T - 1) * b.N * H, &model->fc, model->logits + first * V);
	}
}

int model_feed(struct model *model, struct model_state *state, const uint32_t *ids, size_t T,
	float *logits, struct error *err)
{
	struct device *device = model->device;
	const struct ops *ops = device->ops;
	const struct sequence sequence = model_sequence(model, MODEL_FEED, state, T);
	if (load(model, state, T, ids, NULL, T, NULL, err) < 0)
		return -1;
	if (ops->begin(device, &sequence)) {
		queue_feed(model, state, T);
		ops->end(device);
	}
	return ops->get(device, logits, model->logits,
		state->rows * model->params.vocab * sizeof *logits, err);
}

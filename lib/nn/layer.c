/* layer.c: a recurrent layer in four moves: the input's share of all time steps in one product, the
 * scan, the scan backward, and each weight gradient as one product over all time steps. */
#include "nn/layer.h"

#include "nn/operand.h"

int layer_init(struct layer *layer, struct device *device, const struct params *params, uint32_t l,
	bool training, enum operand_type type, struct error *err)
{
	const size_t H = params->hidden, GH = params->cell->gates * H;
	*layer = (struct layer){.device = device,
		.cell = params->cell,
		.inputs = params_layer(params, l, PARAM_W_IH)->cols,
		.H = H,
		.one_hot = l == 0,
		.training = training};
	layer->ih = layer->hh = (struct operand){
		.k = H, .n = GH, .transposed = true, .type = type, .trained = training};
	if ((!layer->one_hot && operand_init(&layer->ih, device, err) < 0) ||
		operand_init(&layer->hh, device, err) < 0)
		return -1;
	if (!training)
		return 0;
	layer->ih_backward = layer->hh_backward = (struct operand){.k = GH, .n = H, .type = type};
	if ((!layer->one_hot && operand_init(&layer->ih_backward, device, err) < 0) ||
		operand_init(&layer->hh_backward, device, err) < 0)
		return -1;
	return 0;
}

void layer_bind(struct layer *layer, const struct params *params, uint32_t l, float *weights)
{
	layer->ih.w = layer->ih_backward.w = weights + params_layer(params, l, PARAM_W_IH)->offset;
	layer->hh.w = layer->hh_backward.w = weights + params_layer(params, l, PARAM_W_HH)->offset;
	layer->ih.bias1 = weights + params_layer(params, l, PARAM_B_IH)->offset;
	*(layer->cell->apart ? &layer->hh.bias1 : &layer->ih.bias2) =
		weights + params_layer(params, l, PARAM_B_HH)->offset;
}

static void release_activations(struct layer *layer)
{
	const struct ops *ops = layer->device->ops;
	ops->free(layer->device, layer->gates);
	ops->free(layer->device, layer->recurrent);
	layer->gates = layer->recurrent = NULL;
	for (size_t s = 0; s < CELL_STATES; s++) {
		ops->free(layer->device, layer->state[s]);
		layer->state[s] = NULL;
	}
}

int layer_resize(struct layer *layer, size_t T, size_t rows, struct error *err)
{
	struct device *device = layer->device;
	const struct ops *ops = device->ops;
	const size_t H = layer->H, gates = T * rows * layer->cell->gates * H * sizeof(float);
	release_activations(layer);
	if (!(layer->gates = ops->alloc(device, gates, err)))
		return -1;
	if (layer->cell->apart && !(layer->recurrent = ops->alloc(device, gates, err)))
		return -1;
	for (size_t s = 0; s < layer->cell->states; s++)
		if (!(layer->state[s] =
				    ops->alloc(device, (T + 1) * rows * H * sizeof(float), err)))
			return -1;
	return 0;
}

void layer_release(struct layer *layer)
{
	struct device *device = layer->device;
	if (!device)
		return;
	operand_release(&layer->ih, device);
	operand_release(&layer->hh, device);
	operand_release(&layer->ih_backward, device);
	operand_release(&layer->hh_backward, device);
	release_activations(layer);
	*layer = (struct layer){0};
}

static void update(struct layer *layer, struct operand *b)
{
	layer->device->ops->operand_update(layer->device, b);
	if (!layer->training)
		layer->device->ops->operand_seal(layer->device, b);
}

void layer_weights_changed(struct layer *layer)
{
	update(layer, &layer->hh);
	if (!layer->one_hot)
		update(layer, &layer->ih);
	if (!layer->training)
		return;
	update(layer, &layer->hh_backward);
	if (!layer->one_hot)
		update(layer, &layer->ih_backward);
}

static struct scan scan_of(const struct layer *layer, size_t T, size_t N)
{
	return (struct scan){.cell = layer->cell,
		.T = T,
		.N = N,
		.H = layer->H,
		.gates = layer->gates,
		.recurrent = layer->recurrent,
		.h = layer->state[0],
		.c = layer->state[1]};
}

void layer_forward(struct layer *layer, size_t T, size_t N, const uint32_t *ids, const float *x)
{
	struct device *device = layer->device;
	const struct ops *ops = device->ops;
	struct scan scan = scan_of(layer, T, N);
	const size_t rows = T * N;
	if (layer->one_hot)
		ops->gather(device, rows, layer->ih.n, layer->ih.w, ids, layer->ih.bias1,
			layer->ih.bias2, layer->gates);
	else
		ops->product(device, rows, x, &layer->ih, layer->gates);
	scan.w_hh = &layer->hh;
	ops->scan_forward(device, &scan);
}

void layer_backward(struct layer *layer, size_t T, size_t N, float *dh, float *dc)
{
	struct scan scan = scan_of(layer, T, N);
	scan.w_hh = &layer->hh_backward;
	scan.dh = dh;
	scan.dc = dc;
	layer->device->ops->scan_backward(layer->device, &scan);
}

void layer_gradient(struct layer *layer, size_t T, size_t N, unsigned which, const uint32_t *ids,
	const float *x, float *gradient)
{
	struct device *device = layer->device;
	const struct ops *ops = device->ops;
	const size_t rows = T * N, n = layer->ih.n;
	const float *const da = layer->gates, *const db = layer->recurrent ? layer->recurrent : da;
	if (which == PARAM_W_IH && layer->one_hot)
		ops->scatter_add(device, rows, n, layer->inputs, da, ids, gradient);
	else if (which == PARAM_W_IH)
		ops->product_tn(device, rows, da, x, &layer->ih, gradient);
	else if (which == PARAM_W_HH)
		ops->product_tn(device, rows, db, layer->state[0], &layer->hh, gradient);
	else if (which == PARAM_B_IH && (!layer->one_hot || layer->gaps))
		ops->column_sums(device, rows, n, da, gradient);
	else if (which == PARAM_B_HH && layer->cell->apart)
		ops->column_sums(device, rows, n, db, gradient);
}

void layer_input_gradient(struct layer *layer, size_t T, size_t N, float *dx)
{
	layer->device->ops->product(layer->device, T * N, layer->gates, &layer->ih_backward, dx);
}

void layer_finish_gradients(
	struct layer *layer, const struct params *params, uint32_t l, float *gradients)
{
	struct device *device = layer->device;
	const struct ops *ops = device->ops;
	float *const db_ih = gradients + params_layer(params, l, PARAM_B_IH)->offset;
	if (layer->one_hot && !layer->gaps)
		ops->column_sums(device, layer->inputs, layer->ih.n,
			gradients + params_layer(params, l, PARAM_W_IH)->offset, db_ih);
	if (!layer->cell->apart)
		ops->copy(device, gradients + params_layer(params, l, PARAM_B_HH)->offset, db_ih,
			layer->ih.n);
}

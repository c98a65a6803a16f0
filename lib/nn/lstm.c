/* lstm.c: one LSTM layer in four moves: the input's share of all time steps in one product, the
 * scan, the scan backward, and each weight gradient as one product over all time steps. */
#include "nn/lstm.h"

#include "nn/operand.h"

const struct cell lstm_cell = {
	.name = "lstm",
	.gates = 4,
	.states = 2,
	.state_names = {"h", "c"},
};

int lstm_init(struct lstm *lstm, struct device *device, const struct params *params, uint32_t layer,
	bool training, enum operand_type type, struct error *err)
{
	const size_t H = params->hidden;
	*lstm = (struct lstm){.device = device,
		.inputs = params_layer(params, layer, PARAM_W_IH)->cols,
		.H = H,
		.one_hot = layer == 0,
		.training = training};
	lstm->ih = lstm->hh =
		(struct operand){.k = H, .n = 4 * H, .transposed = true, .type = type};
	if ((!lstm->one_hot && operand_init(&lstm->ih, device, err) < 0) ||
		operand_init(&lstm->hh, device, err) < 0)
		return -1;
	if (!training)
		return 0;
	lstm->ih_backward = lstm->hh_backward = (struct operand){.k = 4 * H, .n = H, .type = type};
	if ((!lstm->one_hot && operand_init(&lstm->ih_backward, device, err) < 0) ||
		operand_init(&lstm->hh_backward, device, err) < 0)
		return -1;
	return 0;
}

void lstm_bind(struct lstm *lstm, const struct params *params, uint32_t layer, float *weights,
	float *gradients)
{
	const size_t w_ih = params_layer(params, layer, PARAM_W_IH)->offset;
	const size_t w_hh = params_layer(params, layer, PARAM_W_HH)->offset;
	const size_t b_ih = params_layer(params, layer, PARAM_B_IH)->offset;
	const size_t b_hh = params_layer(params, layer, PARAM_B_HH)->offset;
	lstm->ih.w = lstm->ih_backward.w = weights + w_ih;
	lstm->hh.w = lstm->hh_backward.w = weights + w_hh;
	lstm->ih.bias1 = weights + b_ih;
	lstm->ih.bias2 = weights + b_hh;
	if (!gradients)
		return;
	lstm->dw_ih = gradients + w_ih;
	lstm->dw_hh = gradients + w_hh;
	lstm->db_ih = gradients + b_ih;
	lstm->db_hh = gradients + b_hh;
}

static void release_activations(struct lstm *lstm)
{
	const struct ops *ops = lstm->device->ops;
	ops->free(lstm->device, lstm->gates);
	lstm->gates = NULL;
	for (size_t s = 0; s < lstm_cell.states; s++) {
		ops->free(lstm->device, lstm->state[s]);
		lstm->state[s] = NULL;
	}
}

int lstm_resize(struct lstm *lstm, size_t T, size_t rows, struct error *err)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	const size_t H = lstm->H;
	release_activations(lstm);
	if (!(lstm->gates = ops->alloc(device, T * rows * 4 * H * sizeof(float), err)))
		return -1;
	for (size_t s = 0; s < lstm_cell.states; s++)
		if (!(lstm->state[s] = ops->alloc(device, (T + 1) * rows * H * sizeof(float), err)))
			return -1;
	return 0;
}

void lstm_release(struct lstm *lstm)
{
	struct device *device = lstm->device;
	if (!device)
		return;
	operand_release(&lstm->ih, device);
	operand_release(&lstm->hh, device);
	operand_release(&lstm->ih_backward, device);
	operand_release(&lstm->hh_backward, device);
	release_activations(lstm);
	*lstm = (struct lstm){0};
}

static void update(struct lstm *lstm, struct operand *b)
{
	lstm->device->ops->operand_update(lstm->device, b);
	if (!lstm->training)
		lstm->device->ops->operand_seal(lstm->device, b);
}

void lstm_weights_changed(struct lstm *lstm)
{
	update(lstm, &lstm->hh);
	if (!lstm->one_hot)
		update(lstm, &lstm->ih);
	if (!lstm->training)
		return;
	update(lstm, &lstm->hh_backward);
	if (!lstm->one_hot)
		update(lstm, &lstm->ih_backward);
}

void lstm_forward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	const size_t rows = T * N, H = lstm->H;
	if (lstm->one_hot)
		ops->gather(device, rows, 4 * H, lstm->ih.w, ids, lstm->ih.bias1, lstm->ih.bias2,
			lstm->gates);
	else
		ops->product(device, rows, x, &lstm->ih, lstm->gates);
	ops->scan_forward(device, T, N, H, &lstm->hh, lstm->gates, lstm->state[0], lstm->state[1]);
}

void lstm_backward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x,
	float *dh, float *dc)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	const size_t rows = T * N, H = lstm->H;
	float *const dz = lstm->gates;
	ops->scan_backward(device, T, N, H, &lstm->hh_backward, dz, lstm->state[1], dh, dc);
	ops->product_tn(device, rows, dz, lstm->state[0], &lstm->hh, lstm->dw_hh);
	if (!lstm->one_hot || lstm->gaps)
		ops->column_sums(device, rows, 4 * H, dz, lstm->db_ih);
	if (lstm->one_hot) {
		ops->scatter_add(device, rows, 4 * H, lstm->inputs, dz, ids, lstm->dw_ih);
	} else {
		ops->product_tn(device, rows, dz, x, &lstm->ih, lstm->dw_ih);
		ops->product(device, rows, dz, &lstm->ih_backward, dh);
	}
}

void lstm_finish_gradients(struct lstm *lstm)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	if (lstm->one_hot && !lstm->gaps)
		ops->column_sums(device, lstm->inputs, 4 * lstm->H, lstm->dw_ih, lstm->db_ih);
	ops->copy(device, lstm->db_hh, lstm->db_ih, 4 * lstm->H);
}

/* lstm.c: one LSTM layer in four moves: the input's share of all time steps in one product, the
 * scan, the scan backward, and each weight gradient as one product over all time steps. */
#include "nn/lstm.h"

int lstm_init(struct lstm *lstm, struct device *device, const struct params *params, uint32_t layer,
	const float *weights, float *gradients, size_t T, size_t rows, struct error *err)
{
	const struct ops *ops = device->ops;
	const size_t H = params->hidden;
	const struct param *w_ih = params_layer(params, layer, PARAM_W_IH);
	const struct param *w_hh = params_layer(params, layer, PARAM_W_HH);
	const struct param *b_ih = params_layer(params, layer, PARAM_B_IH);
	const struct param *b_hh = params_layer(params, layer, PARAM_B_HH);
	*lstm = (struct lstm){.device = device,
		.inputs = w_ih->cols,
		.H = H,
		.one_hot = layer == 0,
		.w_ih = weights + w_ih->offset,
		.b_ih = weights + b_ih->offset,
		.b_hh = weights + b_hh->offset};
	lstm->ih = (struct operand){.k = H,
		.n = 4 * H,
		.transposed = true,
		.w = lstm->w_ih,
		.bias1 = lstm->b_ih,
		.bias2 = lstm->b_hh};
	lstm->hh = (struct operand){
		.k = H, .n = 4 * H, .transposed = true, .w = weights + w_hh->offset};
	if ((!lstm->one_hot && ops->operand_init(device, &lstm->ih, err) < 0) ||
		ops->operand_init(device, &lstm->hh, err) < 0)
		return -1;
	if (gradients) {
		lstm->dw_ih = gradients + w_ih->offset;
		lstm->dw_hh = gradients + w_hh->offset;
		lstm->db_ih = gradients + b_ih->offset;
		lstm->db_hh = gradients + b_hh->offset;
		lstm->ih_backward = (struct operand){.k = 4 * H, .n = H, .w = lstm->ih.w};
		lstm->hh_backward = (struct operand){.k = 4 * H, .n = H, .w = lstm->hh.w};
		if ((!lstm->one_hot && ops->operand_init(device, &lstm->ih_backward, err) < 0) ||
			ops->operand_init(device, &lstm->hh_backward, err) < 0)
			return -1;
	}
	if (!(lstm->gates = ops->alloc(device, T * rows * 4 * H * sizeof(float), err)) ||
		!(lstm->h = ops->alloc(device, (T + 1) * rows * H * sizeof(float), err)) ||
		!(lstm->c = ops->alloc(device, (T + 1) * rows * H * sizeof(float), err)))
		return -1;
	return 0;
}

void lstm_release(struct lstm *lstm)
{
	struct device *device = lstm->device;
	if (!device)
		return;
	device->ops->operand_release(device, &lstm->ih);
	device->ops->operand_release(device, &lstm->hh);
	device->ops->operand_release(device, &lstm->ih_backward);
	device->ops->operand_release(device, &lstm->hh_backward);
	device->ops->free(device, lstm->gates);
	device->ops->free(device, lstm->h);
	device->ops->free(device, lstm->c);
	*lstm = (struct lstm){0};
}

uint64_t lstm_bytes(
	const struct params *params, uint32_t layer, bool training, size_t T, size_t rows)
{
	const uint64_t H = params->hidden, matrices = layer == 0 ? 1 : 2;
	const uint64_t operands = matrices * (training ? 2 : 1) * 4 * H * H;
	const uint64_t activations = (uint64_t)T * rows * 4 * H + 2 * (uint64_t)(T + 1) * rows * H;
	return (operands + activations) * sizeof(float);
}

void lstm_weights_changed(struct lstm *lstm)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	ops->operand_update(device, &lstm->hh);
	if (!lstm->one_hot)
		ops->operand_update(device, &lstm->ih);
	if (!lstm->dw_ih)
		return;
	ops->operand_update(device, &lstm->hh_backward);
	if (!lstm->one_hot)
		ops->operand_update(device, &lstm->ih_backward);
}

void lstm_forward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	const size_t rows = T * N, H = lstm->H;
	if (lstm->one_hot)
		ops->gather(
			device, rows, 4 * H, lstm->w_ih, ids, lstm->b_ih, lstm->b_hh, lstm->gates);
	else
		ops->product(device, rows, x, &lstm->ih, lstm->gates);
	ops->scan_forward(device, T, N, H, &lstm->hh, lstm->gates, lstm->h, lstm->c);
}

void lstm_backward(struct lstm *lstm, size_t T, size_t N, const uint32_t *ids, const float *x,
	float *dh, float *dc)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	const size_t rows = T * N, H = lstm->H;
	float *const dz = lstm->gates;
	ops->scan_backward(device, T, N, H, &lstm->hh_backward, dz, lstm->c, dh, dc);
	ops->product_tn(device, rows, 4 * H, H, dz, lstm->h, lstm->dw_hh);
	if (lstm->one_hot) {
		ops->scatter_add(device, rows, 4 * H, lstm->inputs, dz, ids, lstm->dw_ih);
	} else {
		ops->column_sums(device, rows, 4 * H, dz, lstm->db_ih);
		ops->product_tn(device, rows, 4 * H, H, dz, x, lstm->dw_ih);
		ops->product(device, rows, dz, &lstm->ih_backward, dh);
	}
}

void lstm_finish_gradients(struct lstm *lstm)
{
	struct device *device = lstm->device;
	const struct ops *ops = device->ops;
	if (lstm->one_hot)
		ops->column_sums(device, lstm->inputs, 4 * lstm->H, lstm->dw_ih, lstm->db_ih);
	ops->copy(device, lstm->db_hh, lstm->db_ih, 4 * lstm->H);
}

/* reference.c: a naive language model; see reference.h. Its cells are those of PyTorch, as lstm.c, gru.c
 * and rnn.c under lib/nn cite them.
 *
 * Clarity before speed: every sum is a loop, and each loop says which equation it is. */
#include "reference.h"

#include "base/philox.h"
#include "numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *zeros(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size);
	if (!p) {
		fputs("reference: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* The width of layer l's input. */
static size_t width(const struct reference *r, size_t l)
{
	return l ? r->H : r->V;
}

size_t reference_size(const struct reference *r, size_t i)
{
	size_t l = i / 4, GH = r->G * r->H;
	if (l == r->L)
		return i % 4 == 0 ? r->V * r->H : r->V;
	switch (i % 4) {
	case 0:
		return GH * width(r, l);
	case 1:
		return GH * r->H;
	default:
		return GH;
	}
}

size_t reference_offset(const struct reference *r, size_t i)
{
	size_t offset = 0;
	while (i > 0)
		offset += reference_size(r, --i);
	return offset;
}

void reference_init(
	struct reference *r, enum cell_type cell, size_t V, size_t H, size_t L, size_t N, size_t T)
{
	static const size_t gates[] = {[CELL_LSTM] = 4, [CELL_GRU] = 3, [CELL_RNN] = 1};
	*r = (struct reference){
		.cell = cell, .G = gates[cell], .V = V, .H = H, .L = L, .N = N, .T = T};
	r->parameters = reference_offset(r, 4 * L + 2);
	r->w = zeros(r->parameters, sizeof *r->w);
	r->dw = zeros(r->parameters, sizeof *r->dw);
	r->m = zeros(r->parameters, sizeof *r->m);
	r->v = zeros(r->parameters, sizeof *r->v);
	r->h = zeros(L * N * H, sizeof *r->h);
	r->c = zeros(L * N * H, sizeof *r->c);
	r->inputs = zeros(T * N, sizeof *r->inputs);
	r->targets = zeros(T * N, sizeof *r->targets);
	r->gates = zeros(L * T * N * 4 * H, sizeof *r->gates);
	r->hs = zeros(L * (T + 1) * N * H, sizeof *r->hs);
	r->cs = zeros(L * (T + 1) * N * H, sizeof *r->cs);
	r->out = zeros(L * T * N * H, sizeof *r->out);
	r->logits = zeros(T * N * V, sizeof *r->logits);
	r->nats = zeros(T * N, sizeof *r->nats);
}

void reference_release(struct reference *r)
{
	void *owned[] = {r->w, r->dw, r->m, r->v, r->h, r->c, r->inputs, r->targets, r->gates,
		r->hs, r->cs, r->out, r->logits, r->nats};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	*r = (struct reference){0};
}

/* Where (l,t,n) begins in the arrays of the last pass. */
static double *gates_at(const struct reference *r, size_t l, size_t t, size_t n)
{
	return r->gates + ((l * r->T + t) * r->N + n) * 4 * r->H;
}

static double *out_at(const struct reference *r, size_t l, size_t t, size_t n)
{
	return r->out + ((l * r->T + t) * r->N + n) * r->H;
}

/* hs or cs; step 0 is the state before the window. */
static double *state_at(const struct reference *r, double *states, size_t l, size_t t, size_t n)
{
	return states + ((l * (r->T + 1) + t) * r->N + n) * r->H;
}

static double mask_at(const struct reference *r, size_t l, size_t t, size_t n, size_t u)
{
	return r->mask ? r->mask[((l * r->T + t) * r->N + n) * r->H + u] : 1;
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

void reference_cell_forward(enum cell_type cell, size_t H, const double *a, const double *b,
	const double *h0, const double *c0, double *gates, double *h1, double *c1)
{
	for (size_t u = 0; u < H; u++) {
		double *i = &gates[u], *f = &gates[H + u], *g = &gates[2 * H + u];
		double *o = &gates[3 * H + u];
		switch (cell) {
		case CELL_LSTM:
			*i = sigmoid(a[u] + b[u]);
			*f = sigmoid(a[H + u] + b[H + u]);
			*g = tanh(a[2 * H + u] + b[2 * H + u]);
			*o = sigmoid(a[3 * H + u] + b[3 * H + u]);
			c1[u] = *f * c0[u] + *i * *g;
			h1[u] = *o * tanh(c1[u]);
			break;
		case CELL_GRU: /* r, z, n, b_n */
			*i = sigmoid(a[u] + b[u]);
			*f = sigmoid(a[H + u] + b[H + u]);
			*o = b[2 * H + u];
			*g = tanh(a[2 * H + u] + *i * *o);
			h1[u] = (1 - *f) * *g + *f * h0[u];
			break;
		default:
			h1[u] = tanh(a[u] + b[u]);
		}
	}
}

void reference_cell_backward(enum cell_type cell, size_t H, const double *gates, const double *h0,
	const double *c0, const double *h1, const double *c1, double *dh, double *dc, double *da,
	double *db)
{
	for (size_t u = 0; u < H; u++) {
		double i = gates[u], f = gates[H + u], g = gates[2 * H + u], o = gates[3 * H + u];
		double d = dh[u], y;
		switch (cell) {
		case CELL_LSTM:
			y = tanh(c1[u]);
			dc[u] += d * o * (1 - y * y);
			da[u] = dc[u] * g * i * (1 - i);
			da[H + u] = dc[u] * c0[u] * f * (1 - f);
			da[2 * H + u] = dc[u] * i * (1 - g * g);
			da[3 * H + u] = d * y * o * (1 - o);
			for (size_t j = u; j < 4 * H; j += H)
				db[j] = da[j];
			dc[u] *= f;
			dh[u] = 0;
			break;
		case CELL_GRU:
			da[2 * H + u] = d * (1 - f) * (1 - g * g);
			db[2 * H + u] = da[2 * H + u] * i;
			da[u] = db[u] = da[2 * H + u] * o * i * (1 - i);
			da[H + u] = db[H + u] = d * (h0[u] - g) * f * (1 - f);
			dh[u] = d * f;
			break;
		default:
			da[u] = db[u] = d * (1 - h1[u] * h1[u]);
			dh[u] = 0;
		}
	}
}

/* One layer, one step, one row: a = W_ih x + b_ih, b = W_hh h + b_hh, then the cell. */
static void cell_forward(struct reference *r, size_t l, size_t t, size_t n)
{
	size_t H = r->H, GH = r->G * H, X = width(r, l);
	const double *w_ih = r->w + reference_offset(r, 4 * l);
	const double *w_hh = r->w + reference_offset(r, 4 * l + 1);
	const double *b_ih = r->w + reference_offset(r, 4 * l + 2);
	const double *b_hh = r->w + reference_offset(r, 4 * l + 3);
	const double *h0 = state_at(r, r->hs, l, t, n), *c0 = state_at(r, r->cs, l, t, n);
	double *h1 = state_at(r, r->hs, l, t + 1, n), *c1 = state_at(r, r->cs, l, t + 1, n);
	double *out = out_at(r, l, t, n), *a = zeros(GH, sizeof *a), *b = zeros(GH, sizeof *b);
	const bool hidden = r->hidden && r->hidden[t * r->N + n];

	for (size_t j = 0; j < GH; j++) {
		a[j] = b_ih[j];
		if (l == 0)
			a[j] += hidden ? 0 : w_ih[j * X + r->inputs[t * r->N + n]]; /* one-hot */
		else
			for (size_t k = 0; k < H; k++)
				a[j] += w_ih[j * X + k] * out_at(r, l - 1, t, n)[k];
		b[j] = b_hh[j];
		for (size_t k = 0; k < H; k++)
			b[j] += w_hh[j * H + k] * h0[k];
	}
	reference_cell_forward(r->cell, H, a, b, h0, c0, gates_at(r, l, t, n), h1, c1);
	for (size_t u = 0; u < H; u++)
		out[u] = h1[u] * mask_at(r, l, t, n, u);
	free(a);
	free(b);
}

/* The output layer and -log softmax of one step of one row. */
static double output_forward(struct reference *r, size_t t, size_t n)
{
	size_t H = r->H, V = r->V;
	const double *w = r->w + reference_offset(r, 4 * r->L);
	const double *b = r->w + reference_offset(r, 4 * r->L + 1);
	const double *x = out_at(r, r->L - 1, t, n);
	double *logits = r->logits + (t * r->N + n) * V;
	uint32_t target = r->targets[t * r->N + n];

	double largest = -INFINITY, sum = 0;
	for (size_t v = 0; v < V; v++) {
		logits[v] = b[v];
		for (size_t k = 0; k < H; k++)
			logits[v] += w[v * H + k] * x[k];
		largest = fmax(largest, logits[v]);
	}
	if (target == UINT32_MAX)
		return 0;
	for (size_t v = 0; v < V; v++)
		sum += exp(logits[v] - largest);
	return log(sum) + largest - logits[target];
}

double reference_forward(struct reference *r, const uint32_t *batch)
{
	size_t N = r->N, T = r->T, row = r->H * sizeof(double);
	double total = 0;

	for (size_t t = 0; t < T; t++)
		for (size_t n = 0; n < N; n++) {
			uint32_t id = batch[n * (T + 1) + t];
			r->inputs[t * N + n] = id == UINT32_MAX ? 0 : id;
			r->targets[t * N + n] = batch[n * (T + 1) + t + 1];
		}
	for (size_t n = 0; n < N; n++) {
		for (size_t l = 0; l < r->L; l++) {
			memcpy(state_at(r, r->hs, l, 0, n), r->h + (l * N + n) * r->H, row);
			memcpy(state_at(r, r->cs, l, 0, n), r->c + (l * N + n) * r->H, row);
		}
		for (size_t t = 0; t < T; t++) {
			for (size_t l = 0; l < r->L; l++)
				cell_forward(r, l, t, n);
			r->nats[t * N + n] = output_forward(r, t, n);
			total += r->nats[t * N + n];
		}
		for (size_t l = 0; l < r->L; l++) {
			memcpy(r->h + (l * N + n) * r->H, state_at(r, r->hs, l, T, n), row);
			memcpy(r->c + (l * N + n) * r->H, state_at(r, r->cs, l, T, n), row);
		}
	}
	return total;
}

/* dlogits = (softmax - one-hot) / (N T); gradients of the output layer; dout += W^T dlogits. */
static void output_backward(struct reference *r, size_t t, size_t n, double *dout)
{
	size_t H = r->H, V = r->V, fc = reference_offset(r, 4 * r->L);
	const double *w = r->w + fc, *x = out_at(r, r->L - 1, t, n);
	double *dw = r->dw + fc, *db = dw + V * H;
	const double *logits = r->logits + (t * r->N + n) * V;
	uint32_t target = r->targets[t * r->N + n];
	if (target == UINT32_MAX)
		return;

	double largest = -INFINITY, sum = 0;
	for (size_t v = 0; v < V; v++)
		largest = fmax(largest, logits[v]);
	for (size_t v = 0; v < V; v++)
		sum += exp(logits[v] - largest);
	for (size_t v = 0; v < V; v++) {
		double dlogit = exp(logits[v] - largest) / sum - (v == target);
		dlogit /= (double)(r->N * r->T);
		db[v] += dlogit;
		for (size_t k = 0; k < H; k++) {
			dw[v * H + k] += dlogit * x[k];
			dout[k] += dlogit * w[v * H + k];
		}
	}
}

/* One layer, one step, one row. In: dout, the gradient of the layer's masked output; dh and dc,
 * what step t+1 sent back to h[t+1] and c[t+1]. Out: dh and dc for step t, and dx, (H), the
 * gradient of the layer's input (unless it is the one-hot layer). */
static void cell_backward(struct reference *r, size_t l, size_t t, size_t n, const double *dout,
	double *dh, double *dc, double *dx)
{
	size_t H = r->H, GH = r->G * H, X = width(r, l);
	size_t at_ih = reference_offset(r, 4 * l), at_hh = reference_offset(r, 4 * l + 1);
	const double *w_ih = r->w + at_ih, *w_hh = r->w + at_hh;
	double *dw_ih = r->dw + at_ih, *dw_hh = r->dw + at_hh;
	double *db_ih = r->dw + reference_offset(r, 4 * l + 2);
	double *db_hh = r->dw + reference_offset(r, 4 * l + 3);
	const double *h0 = state_at(r, r->hs, l, t, n);
	double *da = zeros(GH, sizeof *da), *db = zeros(GH, sizeof *db);

	for (size_t u = 0; u < H; u++)
		dh[u] += dout[u] * mask_at(r, l, t, n, u);
	reference_cell_backward(r->cell, H, gates_at(r, l, t, n), h0, state_at(r, r->cs, l, t, n),
		state_at(r, r->hs, l, t + 1, n), state_at(r, r->cs, l, t + 1, n), dh, dc, da, db);
	for (size_t j = 0; j < GH; j++) {
		db_ih[j] += da[j];
		db_hh[j] += db[j];
		for (size_t k = 0; k < H; k++) {
			dw_hh[j * H + k] += db[j] * h0[k];
			dh[k] += db[j] * w_hh[j * H + k];
		}
		if (l == 0) {
			if (!r->hidden || !r->hidden[t * r->N + n])
				dw_ih[j * X + r->inputs[t * r->N + n]] += da[j];
			continue;
		}
		for (size_t k = 0; k < H; k++) {
			dw_ih[j * X + k] += da[j] * out_at(r, l - 1, t, n)[k];
			dx[k] += da[j] * w_ih[j * X + k];
		}
	}
	free(da);
	free(db);
}

void reference_backward(struct reference *r)
{
	size_t H = r->H, L = r->L;
	double *dh = zeros(L * H, sizeof *dh), *dc = zeros(L * H, sizeof *dc);
	double *dout = zeros(L * H, sizeof *dout); /* of the layers' outputs at one step */

	memset(r->dw, 0, r->parameters * sizeof *r->dw);
	for (size_t n = 0; n < r->N; n++) {
		memset(dh, 0, L * H * sizeof *dh);
		memset(dc, 0, L * H * sizeof *dc);
		for (size_t t = r->T; t-- > 0;) {
			memset(dout, 0, L * H * sizeof *dout);
			output_backward(r, t, n, dout + (L - 1) * H);
			for (size_t l = L; l-- > 0;)
				cell_backward(r, l, t, n, dout + l * H, dh + l * H, dc + l * H,
					l ? dout + (l - 1) * H : NULL);
		}
	}
	free(dh);
	free(dc);
	free(dout);
}

double reference_norm(const struct reference *r)
{
	double squares = 0;
	for (size_t i = 0; i < r->parameters; i++)
		squares += r->dw[i] * r->dw[i];
	return sqrt(squares);
}

static void adam(struct reference *r, const struct adam_options *o, size_t first, size_t n,
	double scale, double rate, double decay, unsigned step)
{
	for (size_t i = first; i < first + n; i++) {
		double g = r->dw[i] * scale;
		r->m[i] = o->beta1 * r->m[i] + (1 - o->beta1) * g;
		r->v[i] = o->beta2 * r->v[i] + (1 - o->beta2) * g * g;
		double m = r->m[i] / (1 - pow(o->beta1, step));
		double v = r->v[i] / (1 - pow(o->beta2, step));
		r->w[i] -= rate * decay * r->w[i];
		r->w[i] -= rate * m / (sqrt(v) + o->epsilon);
	}
}

static double kept(bool rounded, double x)
{
	return rounded ? (double)numbers_bf16((float)x) : x;
}

/* to (n,n) = x y, or x times y transposed; the factors may be rounded to bfloat16. */
static void multiply(
	size_t n, bool rounded, const double *x, const double *y, bool transposed, double *to)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			double sum = 0;
			for (size_t k = 0; k < n; k++)
				sum += kept(rounded, x[i * n + k]) *
				       kept(rounded, transposed ? y[j * n + k] : y[k * n + j]);
			to[i * n + j] = sum;
		}
}

void reference_orthogonalise(size_t n, bool rounded, double *x)
{
	const size_t size = n * n;
	double *a = zeros(size, sizeof *a), *b = zeros(size, sizeof *b), squares = 0;
	for (size_t i = 0; i < size; i++)
		squares += x[i] * x[i];
	for (size_t i = 0; i < size; i++)
		x[i] /= sqrt(squares) + 1e-12;
	for (int step = 0; step < 5; step++) {
		multiply(n, rounded, x, x, true, a);
		multiply(n, rounded, a, a, false, b);
		for (size_t i = 0; i < size; i++)
			b[i] = -4.7750 * a[i] + 2.0315 * b[i];
		multiply(n, rounded, b, x, false, a);
		for (size_t i = 0; i < size; i++)
			x[i] = 3.4445 * x[i] + a[i];
	}
	free(a);
	free(b);
}

/* One gate's matrix. */
static void muon(struct reference *r, const struct adam_options *o, size_t first, double scale,
	double rate, unsigned step)
{
	const size_t H = r->H;
	const bool due = step <= 20 || step % o->muon_every == 0;
	for (size_t i = first; i < first + H * H; i++) {
		double g = r->dw[i] * scale;
		r->m[i] = 0.95 * r->m[i] + 0.05 * g;
		if (due)
			r->v[i] = 0.95 * r->m[i] + 0.05 * g;
	}
	if (due)
		reference_orthogonalise(H, false, r->v + first);
	for (size_t i = first; i < first + H * H; i++) {
		r->w[i] -= rate * o->decay * r->w[i];
		r->w[i] -= rate * 0.2 * sqrt((double)H) * r->v[i];
	}
}

void reference_update(struct reference *r, const struct adam_options *o, double rate, unsigned step)
{
	const double scale = o->clip > 0 ? fmin(1, o->clip / (reference_norm(r) + 1e-6)) : 1;
	const size_t tensors = 4 * r->L + 2;
	for (size_t i = 0; i < tensors; i++) {
		const size_t first = reference_offset(r, i), n = reference_size(r, i);
		const bool matrix = i == tensors - 2 || (i < tensors - 2 && i % 4 < 2);
		if (o->muon && matrix && i > 0 && i < tensors - 2)
			for (size_t gate = 0; gate < r->G; gate++)
				muon(r, o, first + gate * r->H * r->H, scale, rate, step);
		else
			adam(r, o, first, n, scale, i == 0 ? rate * o->input_rate : rate,
				matrix ? o->decay : 0, step);
	}
}

bool reference_keeps(const struct dropout *dropout, uint32_t t, uint32_t n, uint32_t u)
{
	uint32_t x[4] = {u / 64 * 16 + u % 16, n, t, dropout->step};
	philox(x, dropout->key);
	return x[u % 64 / 16] >= dropout->p * 0x1p32;
}

double *reference_masks(const struct reference *r, const struct model_dropout *dropout,
	uint32_t seed, uint32_t step)
{
	double *mask = zeros(r->L * r->T * r->N * r->H, sizeof *mask), *next = mask;
	for (uint32_t l = 0; l < r->L; l++) {
		const double p = l + 1 == r->L ? dropout->output : dropout->between;
		const struct dropout drops = {
			.p = p, .key = philox_key(seed, PHILOX_DROPOUT, l), .step = step};
		for (uint32_t t = 0; t < r->T; t++)
			for (uint32_t n = 0; n < r->N; n++)
				for (uint32_t u = 0; u < r->H; u++)
					*next++ =
						reference_keeps(&drops, t, n, u) ? 1 / (1 - p) : 0;
	}
	return mask;
}

bool *reference_hidden(const struct reference *r, const struct model_dropout *dropout,
	uint32_t seed, uint32_t step)
{
	bool *hidden = zeros(r->T * r->N, sizeof *hidden);
	for (uint32_t t = 0; t < r->T; t++)
		for (uint32_t n = 0; n < r->N; n++) {
			uint32_t x[4] = {t / 4, n, 0, step};
			philox(x, philox_key(seed, PHILOX_INPUT, 0));
			hidden[t * r->N + n] = x[t % 4] < dropout->input * 0x1p32;
		}
	return hidden;
}

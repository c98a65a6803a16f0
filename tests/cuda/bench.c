/* bench.c: how fast the GPU is, and where its time goes.
 *
 *     bench               a table: step time of 2 x 512 on windows of 128 x 100, kernels of a step,
 *                         the time between them, cuBLAS's share, and sampling; in fp32 and TF32
 *     bench --describe    the GPU alone
 *
 * Output is TSV. What a step's kernels do is CUPTI's account of replayed graphs, taken in a run of
 * its own, since taking it costs time. Without a GPU: status 69. */
#include "cuda/cuda.h"
#include "nn/adam.h"
#include "nn/model.h"
#include "nn/sampler.h"

#include "../unit/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef WITH_CUPTI
#include <cupti.h>
#endif

enum { V = 83, H = 512, L = 2, N = 128, T = 100, WARM = 5, STEPS = 50, TRACED = 10, DRAWN = 2000 };

/* Floating-point operations of the products of one step, forward and backward: 2 for each weight
 * that is multiplied, three times (the one-hot product is a gather). */
static const double work =
	3. * 2. * N * T * (4. * H * H + 4. * H * 2. * H * (L - 1) + (double)V * H);

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int status, const struct error *err)
{
	if (status < 0) {
		fprintf(stderr, "bench: %s\n", err->text);
		exit((int)err->status);
	}
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "bench: out of memory\n");
		exit(STATUS_NO_MEMORY);
	}
	return p;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print(const char *what, const char *precision, double value, const char *unit)
{
	printf("%s\t%s\t%.4g\t%s\n", what, precision, value, unit);
	fflush(stdout);
}

static float *initial_weights(const struct params *params)
{
	float *arena = need(calloc(params->total, sizeof *arena));
	params_initialise(params, 1, 0, arena);
	return arena;
}

/* --- a step's kernels --- */

#ifdef WITH_CUPTI
struct account {
	size_t kernels;
	uint64_t busy, blas, first, last; /* nanoseconds */
};
/* CUPTI's callbacks have no argument of ours. */
static struct account account;

/* The kernels that are not cuBLAS's; names are mangled. */
static int is_ours(const char *name)
{
	static const char *const ours[] = {"vary", "gather", "scatter_add", "column_sums",
		"lstm_forward", "lstm_backward", "gru_forward", "gru_backward", "rnn_forward",
		"rnn_backward", "dropout", "cross_entropy", "sum_part", "sum_join", "adam"};
	for (size_t i = 0; name && i < sizeof ours / sizeof *ours; i++)
		if (strstr(name, ours[i]))
			return 1;
	return 0;
}

static void CUPTIAPI give_buffer(uint8_t **buffer, size_t *size, size_t *records)
{
	*size = 4 << 20;
	*records = 0;
	*buffer = need(aligned_alloc(8, *size));
}

static void CUPTIAPI take_buffer(
	CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid)
{
	CUpti_Activity *record = NULL;
	(void)context, (void)stream, (void)size;
	while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
		if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL)
			continue;
		/* Later versions have the same fields and more. */
		const CUpti_ActivityKernel9 *kernel = (const void *)record;
		const uint64_t taken = kernel->end - kernel->start;
		account.kernels++;
		account.busy += taken;
		account.blas += is_ours(kernel->name) ? 0 : taken;
		if (account.first == 0 || kernel->start < account.first)
			account.first = kernel->start;
		if (kernel->end > account.last)
			account.last = kernel->end;
	}
	free(buffer);
}

static void trace(
	struct adam *adam, struct model_state *state, const uint32_t *batch, const char *precision)
{
	struct error err;
	double nats, norm;
	account = (struct account){0};
	if (cuptiActivityRegisterCallbacks(give_buffer, take_buffer) != CUPTI_SUCCESS ||
		cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) != CUPTI_SUCCESS) {
		fprintf(stderr, "bench: CUPTI gives no account here (it may need permission)\n");
		return;
	}
	for (int k = 0; k < TRACED; k++)
		check(adam_train(adam, state, batch, T, 1e-3, &nats, &norm, &err), &err);
	cuptiActivityFlushAll(1);
	cuptiActivityDisable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
	const double per_step = 1e-6 / TRACED; /* milliseconds */
	print("kernels of a step", precision, (double)account.kernels / TRACED, "");
	print("cuBLAS in a step", precision, (double)account.blas * per_step, "ms");
	print("own kernels in a step", precision, (double)(account.busy - account.blas) * per_step,
		"ms");
	print("between the kernels of a step", precision,
		(double)(account.last - account.first - account.busy) * per_step, "ms");
}
#else
static void trace(
	struct adam *adam, struct model_state *state, const uint32_t *batch, const char *precision)
{
	(void)adam, (void)state, (void)batch, (void)precision;
	fprintf(stderr, "bench: built without CUPTI: no account of kernels\n");
}
#endif

/* --- what is measured --- */

static void bench_training(struct device *device, const char *precision)
{
	struct model model;
	struct model_state state;
	struct adam adam;
	struct error err;
	double nats, norm, taken[STEPS];
	uint32_t *batch = need(calloc(N * (T + 1), sizeof *batch));
	numbers_ids(batch, N * (T + 1), 1, V);
	check(model_init(&model, device, &lstm_cell, V, H, L, MODEL_TRAINING, N, T, &err), &err);
	model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
	float *arena = initial_weights(&model.params);
	check(model_set_weights(&model, arena, &err), &err);
	check(model_state_init(&state, &model, N, &err), &err);
	check(adam_init(&adam, &model, &adam_defaults, &err), &err);
	for (int k = -WARM; k < STEPS; k++) {
		const double start = seconds();
		check(adam_train(&adam, &state, batch, T, 1e-3, &nats, &norm, &err), &err);
		if (k >= 0)
			taken[k] = seconds() - start;
	}
	qsort(taken, STEPS, sizeof *taken, by_value);
	print("training step, 2 x 512, 128 x 100", precision, 1e3 * taken[STEPS / 2], "ms");
	print("its slowest", precision, 1e3 * taken[STEPS - 1], "ms");
	print("its rate", precision, 1e-12 * work / taken[STEPS / 2], "TFLOP/s");
	print("its characters", precision, N * T / taken[STEPS / 2], "1/s");
	trace(&adam, &state, batch, precision);
	adam_release(&adam);
	model_state_release(&state);
	model_release(&model);
	free(arena);
	free(batch);
}

static void bench_sampling(struct device *device, size_t texts, const char *precision)
{
	struct model model;
	struct model_state state;
	struct sampler sampler;
	struct error err;
	char what[64];
	double start = 0;
	uint32_t *ids = need(calloc(texts, sizeof *ids));
	float *logits = need(calloc(texts * V, sizeof *logits));
	check(model_init(&model, device, &lstm_cell, V, H, L, MODEL_INFERENCE, texts, 1, &err),
		&err);
	float *arena = initial_weights(&model.params);
	check(model_set_weights(&model, arena, &err), &err);
	check(model_state_init(&state, &model, texts, &err), &err);
	check(sampler_init(&sampler, V, 5, 1, 1, &err), &err);
	for (uint32_t k = 0; k < WARM + DRAWN; k++) {
		if (k == WARM)
			start = seconds();
		check(model_feed(&model, &state, ids, 1, logits, &err), &err);
		for (uint32_t i = 0; i < texts; i++)
			ids[i] = sampler_draw(&sampler, logits + i * V, i, k);
	}
	snprintf(what, sizeof what, "sampling %zu text%s", texts, texts == 1 ? "" : "s at once");
	print(what, precision, (double)texts * DRAWN / (seconds() - start), "characters/s");
	sampler_release(&sampler);
	model_state_release(&state);
	model_release(&model);
	free(arena);
	free(logits);
	free(ids);
}

int main(int argc, char **argv)
{
	char line[256];
	for (int tf32 = 0; tf32 < 2; tf32++) {
		const char *precision = tf32 ? "TF32" : "fp32";
		struct error err;
		struct device *device = cuda_open(tf32, 0, &err);
		check(device ? 0 : -1, &err);
		device->ops->describe(device, line, sizeof line);
		printf("# %s\n", line);
		if (argc > 1 && strcmp(argv[1], "--describe") == 0) {
			device->ops->release(device);
			return 0;
		}
		bench_training(device, precision);
		bench_sampling(device, 1, precision);
		bench_sampling(device, 64, precision);
		device->ops->release(device);
	}
	return 0;
}

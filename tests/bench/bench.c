/* bench: times the CPU device beside what the machine can do, in one run and on the same cores.
 *
 *     bench [THREADS]              the table: rates of steps, OpenBLAS's and the processor's own
 *     bench --scaling [THREADS]    time and work of a step for other H, L, T, N, V and threads
 *     bench --memory               peak memory of three training steps, in bytes
 *
 * What is compared is measured in turn, A B A B ..., and medians are printed: these machines have
 * neighbours. Output is TSV: what was measured, its value and unit, its rival, the rival's value in
 * the same unit, and the ratio. */
#include "base/pool.h"
#include "cpu/cpu.h"
#include "cpu/kernels.h"
#include "nn/adam.h"
#include "nn/model.h"
#include "nn/sampler.h"

#include <cblas.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	ROUNDS = 7,        /* measurements of which the median counts */
	SQUARE = 2048,     /* of OpenBLAS's own best product */
	PAUSE_MS = 50,     /* OpenBLAS's threads spin that long after a product */
	CACHED = 12600000, /* bytes: the weights of 2 x 512 that sampling reads for a character */
};

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "bench: out of memory\n");
		exit(STATUS_NO_MEMORY);
	}
	return p;
}

static void check(int status, const struct error *err)
{
	if (status < 0) {
		fprintf(stderr, "bench: %s\n", err->text);
		exit((int)err->status);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *x, size_t n)
{
	qsort(x, n, sizeof *x, by_value);
	return x[n / 2];
}

/* --- charpipe's work -----------------------------------------------------------------------------
 */

struct shape {
	size_t L, H, V, N, T;
};

/* Floating-point operations of a forward pass; a training step has three times as many. */
static double forward_flop(const struct shape *s)
{
	double rows = (double)s->N * (double)s->T, H = (double)s->H;
	double matrices = 2 * (double)s->L - 1; /* the first layer's input is gathered */
	return 2 * rows * (matrices * 4 * H * H + H * (double)s->V);
}

struct work {
	struct shape shape;
	struct device *device;
	struct model model;
	struct adam adam;
	struct model_state state;
	struct sampler sampler;
	uint32_t *batch; /* (N,T+1) */
	float *logits;   /* (N,V) */
	uint32_t step;
};

static void work_init(struct work *w, struct shape shape, enum model_use use, unsigned threads)
{
	struct error err;
	*w = (struct work){.shape = shape, .device = cpu_open(threads, &err)};
	check(w->device ? 0 : -1, &err);
	check(model_init(
		      &w->model, w->device, shape.V, shape.H, shape.L, use, shape.N, shape.T, &err),
		&err);
	w->model.dropout = 0.5;
	float *arena = need(calloc(w->model.params.total, sizeof *arena));
	params_initialise(&w->model.params, 1, arena);
	check(model_set_weights(&w->model, arena, &err), &err);
	free(arena);
	if (use == MODEL_TRAINING)
		check(adam_init(&w->adam, &w->model, 1e-3, 5, &err), &err);
	check(model_state_init(&w->state, &w->model, shape.N, &err), &err);
	check(sampler_init(&w->sampler, (uint32_t)shape.V, 5, 1, 1, &err), &err);
	w->batch = need(calloc(shape.N * (shape.T + 1), sizeof *w->batch));
	w->logits = need(calloc(shape.N * shape.V, sizeof *w->logits));
	for (size_t i = 0; i < shape.N * (shape.T + 1); i++)
		w->batch[i] = (uint32_t)(i * 7919 % shape.V);
}

static void work_release(struct work *w)
{
	free(w->batch);
	free(w->logits);
	sampler_release(&w->sampler);
	model_state_release(&w->state);
	adam_release(&w->adam);
	model_release(&w->model);
	w->device->ops->release(w->device);
}

static void training_step(struct work *w)
{
	struct error err;
	double nats, norm;
	check(adam_train(&w->adam, &w->state, w->batch, w->shape.T, &nats, &norm, &err), &err);
}

static void forward_pass(struct work *w)
{
	struct error err;
	double nats;
	check(model_score(&w->model, &w->state, w->batch, w->shape.T, &nats, NULL, &err), &err);
}

/* A hundred characters of each text. */
static void sample_characters(struct work *w)
{
	struct error err;
	for (int i = 0; i < 100; i++, w->step++) {
		check(model_feed(&w->model, &w->state, w->batch, 1, w->logits, &err), &err);
		for (size_t r = 0; r < w->shape.N; r++)
			w->batch[r] = sampler_draw(
				&w->sampler, w->logits + r * w->shape.V, (uint32_t)r, w->step);
	}
}

/* --- what the machine can do
 * ---------------------------------------------------------------------- */

struct limits {
	unsigned threads;
	struct pool *pool;
	const struct kernels *kernels;
	float *a, *b, *c; /* (SQUARE,SQUARE) */
};

static void openblas_square(struct limits *l)
{
	usleep(PAUSE_MS * 1000);
	openblas_set_num_threads((int)l->threads);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SQUARE, SQUARE, SQUARE, 1, l->a,
		SQUARE, l->b, SQUARE, 0, l->c, SQUARE);
	openblas_set_num_threads(1);
}

enum {
	PEAK_K = 256,
	PEAK_PASSES = 20000,
};

/* The micro-kernel on operands that stay in the first-level cache: multiply-adds and hardly
 * anything else. */
static void peak_task(void *arg, size_t i)
{
	const struct limits *l = arg;
	const size_t part = i * 65536;
	for (int pass = 0; pass < PEAK_PASSES; pass++)
		l->kernels->product(l->kernels->rows, PEAK_K, l->kernels->panel, l->a + part,
			l->b + part, 0, 1, l->c + part);
}

static double peak_flop(const struct limits *l)
{
	return 2.0 * PEAK_K * (double)l->kernels->rows * (double)l->kernels->panel * PEAK_PASSES *
	       l->threads;
}

static void read_task(void *arg, size_t i)
{
	const struct limits *l = arg;
	const size_t n = CACHED / sizeof(float) / l->threads;
	volatile double sum = 0;
	for (int pass = 0; pass < 100; pass++)
		sum += l->kernels->sum_squares(n, l->a + i * n);
}

/* --- the table
 * ------------------------------------------------------------------------------------ */

static void row(const char *what, double value, const char *unit, const char *rival, double other)
{
	printf("%s\t%.1f\t%s\t%s\t%.1f\t%.3f\n", what, value, unit, rival, other, value / other);
	fflush(stdout);
}

/* Medians of the seconds that `act` and OpenBLAS's square product take, measured in turn. */
static void pair(
	struct limits *l, struct work *w, void (*act)(struct work *), double *mine, double *square)
{
	double a[ROUNDS], b[ROUNDS];
	act(w);
	for (int i = 0; i < ROUNDS; i++) {
		double start = seconds();
		openblas_square(l);
		b[i] = seconds() - start - PAUSE_MS * 1e-3;
		usleep(PAUSE_MS * 1000);
		start = seconds();
		act(w);
		a[i] = seconds() - start;
	}
	*mine = median(a, ROUNDS);
	*square = median(b, ROUNDS);
}

static const double square_flop = 2.0 * SQUARE * SQUARE * SQUARE;

static void rate_row(struct limits *l, const char *what, struct shape shape, enum model_use use)
{
	struct work w;
	double mine, square;
	bool training = use == MODEL_TRAINING;
	work_init(&w, shape, use, l->threads);
	pair(l, &w, training ? training_step : forward_pass, &mine, &square);
	row(what, (training ? 3 : 1) * forward_flop(&shape) / mine / 1e9, "GFLOP/s",
		"OpenBLAS sgemm 2048^3", square_flop / square / 1e9);
	work_release(&w);
}

static void peak_row(struct limits *l)
{
	double mine[ROUNDS], square[ROUNDS];
	for (int i = 0; i < ROUNDS; i++) {
		double start = seconds();
		pool_run(l->pool, l->threads, peak_task, l);
		mine[i] = seconds() - start;
		start = seconds();
		openblas_square(l);
		square[i] = seconds() - start - PAUSE_MS * 1e-3;
		usleep(PAUSE_MS * 1000);
	}
	row("multiply-adds from the first-level cache", peak_flop(l) / median(mine, ROUNDS) / 1e9,
		"GFLOP/s", "OpenBLAS sgemm 2048^3", square_flop / median(square, ROUNDS) / 1e9);
}

static void sampling_rows(struct limits *l)
{
	static const struct shape one = {2, 512, 83, 1, 1}, many = {2, 512, 83, 64, 1};
	struct work w;
	double mine[ROUNDS], read[ROUNDS], square;
	work_init(&w, one, MODEL_INFERENCE, l->threads);
	sample_characters(&w);
	for (int i = 0; i < ROUNDS; i++) {
		double start = seconds();
		sample_characters(&w);
		mine[i] = seconds() - start;
		start = seconds();
		pool_run(l->pool, l->threads, read_task, l);
		read[i] = seconds() - start;
	}
	row("sampling one text, 2x512", 100 / median(mine, ROUNDS), "characters/s",
		"reading 12.6 MB per character", 100 / median(read, ROUNDS));
	work_release(&w);
	work_init(&w, many, MODEL_INFERENCE, l->threads);
	pair(l, &w, sample_characters, &mine[0], &square);
	row("sampling 64 texts, 2x512", 100 * forward_flop(&many) / mine[0] / 1e9, "GFLOP/s",
		"OpenBLAS sgemm 2048^3", square_flop / square / 1e9);
	printf("sampling 64 texts, 2x512\t%.0f\tcharacters/s\t-\t-\t-\n", 6400 / mine[0]);
	work_release(&w);
}

static void table(unsigned threads)
{
	struct error err;
	const size_t n = (size_t)SQUARE * SQUARE;
	struct limits l = {
		.threads = threads, .pool = pool_new(threads, &err), .kernels = kernels_best()};
	check(l.pool ? 0 : -1, &err);
	l.a = need(aligned_alloc(64, n * sizeof(float)));
	l.b = need(aligned_alloc(64, n * sizeof(float)));
	l.c = need(calloc(n, sizeof(float)));
	for (size_t i = 0; i < n; i++)
		l.a[i] = l.b[i] = 1e-3f;
	peak_row(&l);
	rate_row(&l, "training step, 2x512, 128x100", (struct shape){2, 512, 83, 128, 100},
		MODEL_TRAINING);
	rate_row(&l, "training step, 1x128, 128x100", (struct shape){1, 128, 83, 128, 100},
		MODEL_TRAINING);
	rate_row(&l, "training step, 3x512, 128x100", (struct shape){3, 512, 83, 128, 100},
		MODEL_TRAINING);
	rate_row(&l, "training step, 2x1024, 128x100", (struct shape){2, 1024, 83, 128, 100},
		MODEL_TRAINING);
	rate_row(&l, "forward only, 2x512, 128x100", (struct shape){2, 512, 83, 128, 100},
		MODEL_INFERENCE);
	sampling_rows(&l);
	pool_free(l.pool);
	free(l.a);
	free(l.b);
	free(l.c);
}

/* --- scaling and memory
 * --------------------------------------------------------------------------- */

static void scaling_row(const char *varied, struct shape s, unsigned threads)
{
	struct work w;
	double t[3];
	work_init(&w, s, MODEL_TRAINING, threads);
	training_step(&w);
	for (int i = 0; i < 3; i++) {
		double start = seconds();
		training_step(&w);
		t[i] = seconds() - start;
	}
	double mid = median(t, 3), flop = 3 * forward_flop(&s);
	printf("%s\t%zu\t%zu\t%zu\t%zu\t%zu\t%u\t%.4f\t%.3f\t%.1f\n", varied, s.L, s.H, s.V, s.N,
		s.T, threads, mid, flop / 1e9, flop / mid / 1e9);
	fflush(stdout);
	work_release(&w);
}

static void scaling(unsigned threads)
{
	const struct shape base = {2, 256, 83, 64, 50};
	puts("varied\tL\tH\tV\tN\tT\tthreads\tseconds\tgflop\tgflop_per_s");
	for (size_t L = 1; L <= 4; L++)
		scaling_row("L", (struct shape){L, base.H, base.V, base.N, base.T}, threads);
	for (size_t H = 64; H <= 1024; H *= 2)
		scaling_row("H", (struct shape){base.L, H, base.V, base.N, base.T}, threads);
	for (size_t V = 50; V <= 5000; V *= 10)
		scaling_row("V", (struct shape){base.L, base.H, V, base.N, base.T}, threads);
	for (size_t N = 1; N <= 256; N *= 4)
		scaling_row("N", (struct shape){base.L, base.H, base.V, N, base.T}, threads);
	for (size_t T = 1; T <= 256; T *= 4)
		scaling_row("T", (struct shape){base.L, base.H, base.V, base.N, T}, threads);
	for (unsigned t = 1; t <= threads; t++)
		scaling_row("threads", base, t);
}

static void memory(void)
{
	struct work w;
	struct rusage usage;
	work_init(&w, (struct shape){2, 512, 83, 128, 100}, MODEL_TRAINING, pool_cores());
	for (int i = 0; i < 3; i++)
		training_step(&w);
	work_release(&w);
	getrusage(RUSAGE_SELF, &usage);
	printf("%ld\n", usage.ru_maxrss * 1024);
}

static void describe(unsigned threads)
{
	struct error err;
	char text[256];
	struct device *device = cpu_open(threads, &err);
	check(device ? 0 : -1, &err);
	device->ops->describe(device, text, sizeof text);
	device->ops->release(device);
	puts(text);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
	const int operand = *mode ? 2 : 1;
	unsigned threads =
		argc > operand ? (unsigned)strtoul(argv[operand], NULL, 10) : pool_cores();
	if (threads == 0 || threads > 1024) {
		fprintf(stderr, "bench: %s threads\n", argv[operand]);
		return STATUS_USAGE;
	}
	if (strcmp(mode, "--scaling") == 0)
		scaling(threads);
	else if (strcmp(mode, "--memory") == 0)
		memory();
	else if (strcmp(mode, "--describe") == 0)
		describe(threads);
	else
		table(threads);
	return 0;
}

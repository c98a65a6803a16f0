/* bench: times the CPU device beside what the machine can do, in one run and on the same cores.
 *
 *     bench [THREADS]              rates of steps beside OpenBLAS's own
 *     bench --scaling [THREADS]    time and work of a step for other H, L, T, N, V and threads
 *     bench --serve [THREADS]      for each line on stdin, "train", "train bf16", "forward" or
 *                                  "sample", does one such piece of work at 2 x 512 and prints its
 *                                  seconds
 *     bench --describe [THREADS]   what it computes with
 *
 * What is compared is measured in turn, A B A B ..., and medians are printed: these machines
 * have neighbours. Output is TSV: what was measured, its value and unit, its rival, the rival's
 * value in the same unit, and the ratio. BENCH_QUICK in the environment makes it short, to try
 * whether it runs; its numbers then mean nothing. run.py makes the whole table of it. */
#include "base/pool.h"
#include "cpu/cpu.h"
#include "nn/adam.h"
#include "nn/model.h"
#include "nn/sampler.h"

#include <cblas.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined __x86_64__
#include <immintrin.h>
#endif

enum {
	ROUNDS_MIN = 5,  /* measurements of which the median counts */
	ROUNDS_MAX = 15, /* ... where ROUNDS_SECONDS are enough for so many */
	ROUNDS_SECONDS = 8,
	SQUARE = 2048, /* of OpenBLAS's own best product */
	PAUSE_MS = 50, /* OpenBLAS's threads spin that long after a product */
	SAMPLED = 100, /* characters of each text in one measurement */
	REPEATED = 20, /* ... of a single text: so many times as many, for it is soon done */
	CHAINS = 12,   /* of multiply-adds that don't wait for each other: they hide the latency */
	TURNS = 1 << 26,
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

/* --- charpipe's work -------------------------------------------------------------------------- */

struct shape {
	size_t L, H, V, N, T;
	enum cell_type cell;
};

/* Floating-point operations of a forward pass; a training step has three times as many. */
static double forward_flop(const struct shape *s)
{
	double rows = (double)s->N * (double)s->T, H = (double)s->H;
	double matrices = 2 * (double)s->L - 1; /* the first layer's input is gathered */
	double gates = (double)cell_of(s->cell)->gates;
	return 2 * rows * (matrices * gates * H * H + H * (double)s->V);
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
	check(model_init(&w->model, w->device, cell_of(shape.cell), shape.V, shape.H, shape.L, use,
		      shape.N, shape.T, &err),
		&err);
	w->model.dropout = (struct model_dropout){.between = 0.5, .output = 0.5};
	float *arena = need(calloc(w->model.params.total, sizeof *arena));
	params_initialise(&w->model.params, 1, 0, arena);
	check(model_set_weights(&w->model, arena, &err), &err);
	free(arena);
	if (use >= MODEL_TRAINING)
		check(adam_init(&w->adam, &w->model, &adam_defaults, &err), &err);
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
	check(adam_train(&w->adam, &w->state, w->batch, w->shape.T, 1e-3, &nats, &norm, &err),
		&err);
}

static void forward_pass(struct work *w)
{
	struct error err;
	double nats;
	check(model_score(&w->model, &w->state, w->batch, w->shape.T, &nats, NULL, &err), &err);
}

/* SAMPLED characters of each text. */
static void sample_characters(struct work *w)
{
	struct error err;
	for (int i = 0; i < SAMPLED; i++, w->step++) {
		check(model_feed(&w->model, &w->state, w->batch, 1, w->logits, &err), &err);
		for (size_t r = 0; r < w->shape.N; r++)
			w->batch[r] = sampler_draw(
				&w->sampler, w->logits + r * w->shape.V, (uint32_t)r, w->step);
	}
}

static void sample_many_characters(struct work *w)
{
	for (int i = 0; i < REPEATED; i++)
		sample_characters(w);
}

/* --- what the machine can do ------------------------------------------------------------------ */

struct limits {
	unsigned threads;
	struct pool *pool;
	float *a, *b, *c; /* (SQUARE,SQUARE) */
};

static const double square_flop = 2.0 * SQUARE * SQUARE * SQUARE;

static void limits_init(struct limits *l, unsigned threads)
{
	const size_t n = (size_t)SQUARE * SQUARE;
	struct error err;
	*l = (struct limits){.threads = threads, .pool = pool_new(threads, &err)};
	check(l->pool ? 0 : -1, &err);
	l->a = need(aligned_alloc(64, n * sizeof(float)));
	l->b = need(aligned_alloc(64, n * sizeof(float)));
	l->c = need(calloc(n, sizeof(float)));
	for (size_t i = 0; i < n; i++)
		l->a[i] = l->b[i] = 1e-3f;
}

static void limits_release(struct limits *l)
{
	pool_free(l->pool);
	free(l->a);
	free(l->b);
	free(l->c);
}

static void openblas_square(struct limits *l)
{
	openblas_set_num_threads((int)l->threads);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SQUARE, SQUARE, SQUARE, 1, l->a,
		SQUARE, l->b, SQUARE, 0, l->c, SQUARE);
	openblas_set_num_threads(1);
}

/* What the widest vectors do at most: TURNS multiply-adds in each of CHAINS registers, and the sum
 * of n floats in as many. The compiler must take each chain for a number of its own. */
#define OPAQUE(x) __asm__ volatile("" : "+v"(x))
#define PEAKS(name, isa, vector, set, load, add, fma) \
	__attribute__((target(isa))) static void multiply_##name(void) \
	{ \
		vector chain[CHAINS], a = set(0.999f), b = set(1e-3f); \
		for (int i = 0; i < CHAINS; i++) { \
			chain[i] = b; \
			OPAQUE(chain[i]); \
		} \
		for (int turn = 0; turn < TURNS; turn++) \
			_Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) chain[i] = \
				fma(chain[i], a, b); \
		for (int i = 0; i < CHAINS; i++) \
			OPAQUE(chain[i]); \
	} \
	__attribute__((target(isa))) static void read_##name(const float *x, size_t n) \
	{ \
		enum { WIDTH = sizeof(vector) / sizeof(float) }; \
		vector sum[CHAINS]; \
		for (int i = 0; i < CHAINS; i++) \
			sum[i] = set(0); \
		for (size_t at = 0; at + CHAINS * WIDTH <= n; at += CHAINS * WIDTH) \
			_Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = \
				add(sum[i], load(x + at + i * WIDTH)); \
		for (int i = 0; i < CHAINS; i++) \
			OPAQUE(sum[i]); \
	}

struct peaks {
	size_t width; /* floats of a vector */
	void (*multiply)(void);
	void (*read)(const float *x, size_t n);
};

#if defined __x86_64__
PEAKS(avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_loadu_ps, _mm512_add_ps, _mm512_fmadd_ps)
PEAKS(avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_loadu_ps, _mm256_add_ps, _mm256_fmadd_ps)

/* NULL where there are no multiply-adds, or none that this program knows how to ask for. */
static const struct peaks *peaks_here(void)
{
	static const struct peaks avx512 = {16, multiply_avx512, read_avx512};
	static const struct peaks avx2 = {8, multiply_avx2, read_avx2};
	if (__builtin_cpu_supports("avx512f"))
		return &avx512;
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : NULL;
}
#else
static const struct peaks *peaks_here(void)
{
	return NULL;
}
#endif

static double peak_flop(const struct limits *l)
{
	return 2.0 * (double)peaks_here()->width * CHAINS * TURNS * l->threads;
}

static void multiply_task(void *arg, size_t i)
{
	(void)arg, (void)i;
	peaks_here()->multiply();
}

static void multiply_add(struct limits *l)
{
	pool_run(l->pool, l->threads, multiply_task, NULL);
}

/* The weights that one character reads, 2x512: the products', without the table of the first layer
 * and the biases. */
enum { WEIGHTS = 3 * 4 * 512 * 512 + 512 * 83 };

static void read_task(void *arg, size_t i)
{
	const struct limits *l = arg;
	const size_t part = WEIGHTS / l->threads;
	peaks_here()->read(l->a + i * part, part);
}

static void read_weights(struct limits *l)
{
	for (int i = 0; i < REPEATED * SAMPLED; i++)
		pool_run(l->pool, l->threads, read_task, l);
}

/* --- the table -------------------------------------------------------------------------------- */

static void row(const char *what, double value, const char *unit, const char *rival, double other)
{
	printf("%s\t%.5g\t%s\t%s\t%.5g\t%.3f\n", what, value, unit, rival, other, value / other);
	fflush(stdout);
}

static double time_work(struct work *w, void (*act)(struct work *))
{
	double start = seconds();
	act(w);
	return seconds() - start;
}

static double time_limit(struct limits *l, void (*act)(struct limits *))
{
	usleep(PAUSE_MS * 1000);
	double start = seconds();
	act(l);
	start = seconds() - start;
	usleep(PAUSE_MS * 1000);
	return start;
}

enum { LIMITS_MAX = 2 };

/* Median seconds of a piece of work and of some things that the machine can do, measured in
 * turn. */
struct times {
	double work, limits[LIMITS_MAX];
};

static struct times measure(struct limits *l, void (*const limits[LIMITS_MAX])(struct limits *),
	struct work *w, void (*act)(struct work *))
{
	double t[1 + LIMITS_MAX][ROUNDS_MAX] = {{0}}, end = seconds() + ROUNDS_SECONDS;
	const bool quick = getenv("BENCH_QUICK") != NULL;
	size_t n = 0;
	if (!quick)
		act(w);
	do {
		for (size_t i = 0; i < LIMITS_MAX; i++)
			t[1 + i][n] = limits[i] ? time_limit(l, limits[i]) : 0;
		t[0][n++] = time_work(w, act);
	} while (!quick && (n < ROUNDS_MIN || (n < ROUNDS_MAX && seconds() < end)));
	return (struct times){median(t[0], n), {median(t[1], n), median(t[2], n)}};
}

/* The rate of some work beside OpenBLAS's, and beside all multiply-adds that the cores can do. */
static void rate_rows(
	struct limits *l, const char *what, double flop, struct work *w, void (*act)(struct work *))
{
	void (*const limits[LIMITS_MAX])(struct limits *) = {
		openblas_square, peaks_here() ? multiply_add : NULL};
	const struct times t = measure(l, limits, w, act);
	row(what, flop / t.work / 1e9, "GFLOP/s", "OpenBLAS sgemm 2048^3",
		square_flop / t.limits[0] / 1e9);
	if (limits[1])
		row(what, flop / t.work / 1e9, "GFLOP/s", "multiply-adds alone",
			peak_flop(l) / t.limits[1] / 1e9);
}

static void step_rows(struct limits *l, const char *what, struct shape shape, enum model_use use)
{
	struct work w;
	const bool training = use >= MODEL_TRAINING;
	work_init(&w, shape, use, l->threads);
	rate_rows(l, what, (training ? 3 : 1) * forward_flop(&shape), &w,
		training ? training_step : forward_pass);
	work_release(&w);
}

static void sampling_rows(struct limits *l)
{
	static const struct shape one = {2, 512, 83, 1, 1, CELL_LSTM},
				  many = {2, 512, 83, 64, 1, CELL_LSTM};
	void (*const limits[LIMITS_MAX])(struct limits *) = {peaks_here() ? read_weights : NULL};
	struct work w;
	work_init(&w, one, MODEL_INFERENCE, l->threads);
	if (limits[0]) {
		const struct times t = measure(l, limits, &w, sample_many_characters);
		row("sampling one text, 2x512", REPEATED * SAMPLED / t.work, "characters/s",
			"reading its weights", REPEATED * SAMPLED / t.limits[0]);
	}
	work_release(&w);
	work_init(&w, many, MODEL_INFERENCE, l->threads);
	rate_rows(l, "sampling 64 texts, 2x512", SAMPLED * forward_flop(&many), &w,
		sample_characters);
	work_release(&w);
}

/* Training steps of one shape in two ways, in turn; the other one's rate is what as many of its
 * threads would do at best. */
static void pair_row(const char *what, struct shape shape, enum model_use use, unsigned threads,
	const char *rival, enum model_use other_use, unsigned other_threads)
{
	struct work mine, other;
	double t[2][ROUNDS_MAX], end = seconds() + ROUNDS_SECONDS;
	const bool quick = getenv("BENCH_QUICK") != NULL;
	size_t n = 0;
	work_init(&mine, shape, use, threads);
	work_init(&other, shape, other_use, other_threads);
	do {
		t[0][n] = time_work(&mine, training_step);
		t[1][n++] = time_work(&other, training_step);
	} while (!quick && (n < ROUNDS_MIN || (n < ROUNDS_MAX && seconds() < end)));
	const double flop = 3 * forward_flop(&shape) / 1e9;
	row(what, flop / median(t[0], n), "GFLOP/s", rival,
		threads / other_threads * flop / median(t[1], n));
	work_release(&mine);
	work_release(&other);
}

static void table(unsigned threads)
{
	static const struct {
		const char *name;
		struct shape shape;
		bool narrow; /* with --precision bf16 too */
	} steps[] = {
		{"2x512, 128x100", {2, 512, 83, 128, 100, CELL_LSTM}, true},
		{"2x512, 32x64", {2, 512, 83, 32, 64, CELL_LSTM}, false},
		{"2x512, 16x64", {2, 512, 83, 16, 64, CELL_LSTM}, true},
		{"2x256, 16x64", {2, 256, 83, 16, 64, CELL_LSTM}, true},
		{"1x128, 128x100", {1, 128, 83, 128, 100, CELL_LSTM}, false},
		{"3x512, 128x100", {3, 512, 83, 128, 100, CELL_LSTM}, false},
		{"2x1024, 128x100", {2, 1024, 83, 128, 100, CELL_LSTM}, false},
		{"2x512, 128x100, GRU", {2, 512, 83, 128, 100, CELL_GRU}, false},
		{"2x512, 128x100, RNN", {2, 512, 83, 128, 100, CELL_RNN}, false},
	};
	struct limits l;
	char what[64];
	limits_init(&l, threads);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		snprintf(what, sizeof what, "training step, %s", steps[i].name);
		step_rows(&l, what, steps[i].shape, MODEL_TRAINING);
		if (!steps[i].narrow)
			continue;
		snprintf(what, sizeof what, "training step in bf16, %s", steps[i].name);
		pair_row(what, steps[i].shape, MODEL_TRAINING_BF16, threads, "the same in fp32",
			MODEL_TRAINING, threads);
	}
	step_rows(&l, "forward only, 2x512, 128x100",
		(struct shape){2, 512, 83, 128, 100, CELL_LSTM}, MODEL_INFERENCE);
	sampling_rows(&l);
	limits_release(&l);
	if (threads == 1)
		return;
	snprintf(what, sizeof what, "training step, 2x512, 128x20, -j %u", threads);
	pair_row(what, (struct shape){2, 512, 83, 128, 20, CELL_LSTM}, MODEL_TRAINING, threads,
		"as many times -j 1", MODEL_TRAINING, 1);
}

/* --- scaling ---------------------------------------------------------------------------------- */

static void scaling_row(const char *varied, struct shape s, unsigned threads)
{
	struct work w;
	double t[ROUNDS_MAX], end = seconds() + 1;
	const bool quick = getenv("BENCH_QUICK") != NULL;
	size_t n = 0;
	work_init(&w, s, MODEL_TRAINING, threads);
	training_step(&w);
	do
		t[n++] = time_work(&w, training_step);
	while (!quick && (n < ROUNDS_MIN || (n < ROUNDS_MAX && seconds() < end)));
	double mid = median(t, n), flop = 3 * forward_flop(&s);
	printf("%s\t%zu\t%zu\t%zu\t%zu\t%zu\t%u\t%.5f\t%.4f\t%.1f\n", varied, s.L, s.H, s.V, s.N,
		s.T, threads, mid, flop / 1e9, flop / mid / 1e9);
	fflush(stdout);
	work_release(&w);
}

static void scaling(unsigned threads)
{
	const struct shape base = {2, 256, 83, 64, 50, CELL_LSTM};
	puts("varied\tL\tH\tV\tN\tT\tthreads\tseconds\tgflop\tgflop_per_s");
	for (size_t L = 1; L <= 4; L++)
		scaling_row(
			"L", (struct shape){L, base.H, base.V, base.N, base.T, base.cell}, threads);
	for (size_t H = 64; H <= 1024; H *= 2)
		scaling_row(
			"H", (struct shape){base.L, H, base.V, base.N, base.T, base.cell}, threads);
	for (size_t V = 64; V <= 4096; V *= 4)
		scaling_row(
			"V", (struct shape){base.L, base.H, V, base.N, base.T, base.cell}, threads);
	for (size_t N = 1; N <= 256; N *= 4)
		scaling_row(
			"N", (struct shape){base.L, base.H, base.V, N, base.T, base.cell}, threads);
	for (size_t T = 1; T <= 256; T *= 4)
		scaling_row(
			"T", (struct shape){base.L, base.H, base.V, base.N, T, base.cell}, threads);
	for (unsigned t = 1; t <= threads; t++)
		scaling_row("threads", base, t);
}

/* --- for other programs ----------------------------------------------------------------------- */

static void serve(unsigned threads)
{
	static const struct {
		const char *name;
		void (*act)(struct work *);
		enum model_use use;
		struct shape shape;
	} kinds[] = {
		{"train\n", training_step, MODEL_TRAINING, {2, 512, 83, 128, 100, CELL_LSTM}},
		{"train gru\n", training_step, MODEL_TRAINING, {2, 512, 83, 128, 100, CELL_GRU}},
		{"train rnn\n", training_step, MODEL_TRAINING, {2, 512, 83, 128, 100, CELL_RNN}},
		{"train bf16\n", training_step, MODEL_TRAINING_BF16,
			{2, 512, 83, 128, 100, CELL_LSTM}},
		{"forward\n", forward_pass, MODEL_INFERENCE, {2, 512, 83, 128, 100, CELL_LSTM}},
		{"sample\n", sample_characters, MODEL_INFERENCE, {2, 512, 83, 1, 1, CELL_LSTM}},
	};
	enum { KINDS = sizeof kinds / sizeof *kinds };
	struct work work[KINDS] = {0};
	char line[32];
	while (fgets(line, sizeof line, stdin)) {
		size_t k = 0;
		while (k < KINDS && strcmp(line, kinds[k].name) != 0)
			k++;
		if (k == KINDS) {
			fprintf(stderr, "bench: unknown work: %s", line);
			exit(STATUS_USAGE);
		}
		if (!work[k].device) {
			work_init(&work[k], kinds[k].shape, kinds[k].use, threads);
			kinds[k].act(&work[k]);
		}
		printf("%.6f\n", time_work(&work[k], kinds[k].act));
		fflush(stdout);
	}
	for (size_t k = 0; k < KINDS; k++)
		if (work[k].device)
			work_release(&work[k]);
}

static void describe(unsigned threads)
{
	struct error err;
	char text[256];
	struct device *device = cpu_open(threads, &err);
	check(device ? 0 : -1, &err);
	device->ops->describe(device, text, sizeof text);
	device->ops->release(device);
	printf("%s; %s\n", text, openblas_get_config());
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(unsigned threads);
	} modes[] = {{"", table}, {"--scaling", scaling}, {"--serve", serve},
		{"--describe", describe}, {NULL, NULL}};
	const char *mode = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
	const int operand = *mode ? 2 : 1;
	unsigned threads =
		argc > operand ? (unsigned)strtoul(argv[operand], NULL, 10) : pool_cores();
	size_t m = 0;
	while (modes[m].name && strcmp(modes[m].name, mode) != 0)
		m++;
	if (!modes[m].name || threads == 0 || threads > 1024) {
		fprintf(stderr, "usage: bench [--scaling|--serve|--describe] [THREADS]\n");
		return STATUS_USAGE;
	}
	modes[m].run(threads);
	return 0;
}

/* cpu.c: the operations of nn/ops.h on the CPU's cores: each is cut into tasks for the pool, and a
 * task calls kernels.
 *
 * How work is cut never shows in the results: a kernel computes each element the same way whatever
 * its range, and where sums run over rows (weight gradients, norms) the cut is made by the shape
 * alone. Weight gradients, the only products whose right-hand side is not a weight matrix, go to
 * OpenBLAS, one thread per call, unless they are small. */
#include "cpu/cpu.h"

#include "base/memory.h"
#include "base/pool.h"
#include "cpu/blas.h"
#include "cpu/kernels.h"
#include "nn/tree.h"

#if defined __x86_64__
#include <cpuid.h>
#elif defined __aarch64__ && defined __linux__
#include <sys/auxv.h>
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROW_BLOCK = 32,         /* rows in flight: as fast as more, and less memory */
	TILE_FLOATS = 16 << 10, /* of one task in elementwise loops: 64 KiB */
	TASK_FLOP = 1 << 19,    /* of the smallest task in products: some 10 microseconds */
	TILE_COLUMNS = 128,     /* of one task where rows are not cut */
	TILE_GRADIENT = 256,    /* rows of a weight gradient that one task computes */
	FACTOR_ROWS = 512,      /* of its factors, where they are packed first */
	SMALL_ROW = 256,        /* of a weight gradient that OpenBLAS isn't best at */
	ROUNDED_SQUARE = 32,    /* whose multiples all kernels' panels fill */
	SUM_PARTS = 256,        /* a sum is made of this many, joined in order */
};

struct cpu {
	struct device device; /* first: the device's pointer is the cpu's */
	struct pool *pool;
	const struct kernels *kernels;
	struct blas blas;
	bool prepared; /* by cpu_prepare_gradients(): blas is there */
};

static struct cpu *cpu_of(struct device *device)
{
	return (struct cpu *)device;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t quotient_up(size_t a, size_t b)
{
	return (a + b - 1) / b;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *cpu_alloc(struct device *device, size_t bytes, struct error *err)
{
	(void)device;
	void *p = memory_alloc(bytes);
	if (!p)
		error_memory(err, bytes, "the model's arrays");
	return p;
}

static void cpu_free(struct device *device, void *p)
{
	(void)device;
	memory_free(p);
}

static void *cpu_adopt(struct device *device, void *host, size_t bytes, struct error *err)
{
	(void)device, (void)bytes, (void)err;
	return host;
}

static int cpu_transfer(
	struct device *device, void *to, const void *from, size_t bytes, struct error *err)
{
	(void)device, (void)err;
	memcpy(to, from, bytes);
	return 0;
}

static void cpu_copy(struct device *device, float *to, const float *from, size_t n)
{
	(void)device;
	memcpy(to, from, n * sizeof *to);
}

static void cpu_zero(struct device *device, float *x, size_t n)
{
	(void)device;
	memset(x, 0, n * sizeof *x);
}

struct add_job {
	const struct kernels *kernels;
	size_t n;
	const float *x;
	float *y;
};

static void add_task(void *arg, size_t i)
{
	const struct add_job *job = arg;
	const size_t at = i * TILE_FLOATS;
	job->kernels->add(smaller(TILE_FLOATS, job->n - at), job->x + at, job->y + at);
}

static void cpu_add(struct device *device, size_t n, const float *x, float *y)
{
	struct cpu *cpu = cpu_of(device);
	struct add_job job = {cpu->kernels, n, x, y};
	pool_run(cpu->pool, quotient_up(n, TILE_FLOATS), add_task, &job);
}

/* Orders cost nothing here: sequences are issued each time. */
static bool cpu_begin(struct device *device, const struct sequence *sequence)
{
	(void)device, (void)sequence;
	return true;
}

static void cpu_end(struct device *device)
{
	(void)device;
}

/* --- products with weights -------------------------------------------------------------------- */

static size_t panels(const struct cpu *cpu, size_t n)
{
	return quotient_up(n, cpu->kernels->panel);
}

/* Bytes of the panels of a matrix (k,n). */
static size_t panel_bytes(const struct cpu *cpu, enum operand_type type, size_t k, size_t n)
{
	return panels(cpu, n) * cpu->kernels->panel * cpu->kernels->of[type].bytes(k);
}

/* A packed operand: for each column the sum of its biases (zero where there is none) and the scale
 * of its weights; then the panels; then room for FACTOR_ROWS rows of what its weights' gradient is
 * multiplied from: of both factors, where they are rounded, or of x, where dw is small. */
struct packed {
	const float *bias, *scale;
	const void *panels;
	void *factors;
};

static struct packed packed_of(const struct cpu *cpu, const struct operand *b)
{
	const size_t columns = panels(cpu, b->n) * cpu->kernels->panel;
	float *bias = b->packed, *weights = bias + 2 * columns;
	return (struct packed){bias, bias + columns, weights,
		(char *)weights + panel_bytes(cpu, b->type, b->k, b->n)};
}

/* Whether its weights' gradient, unless it is rounded, is left to product_tn_f32(): OpenBLAS takes long
 * to begin, and what follows from the units alone is the same for all of a model's matrices. */
static bool is_small(const struct operand *b)
{
	return b->k <= SMALL_ROW;
}

static int cpu_operand_bytes(
	struct device *device, const struct operand *b, size_t *bytes, struct error *err)
{
	const struct cpu *cpu = cpu_of(device);
	const size_t columns = panels(cpu, b->n) * cpu->kernels->panel;
	(void)err;
	*bytes = 2 * columns * sizeof(float) + panel_bytes(cpu, b->type, b->k, b->n);
	if (b->trained && (b->type == OPERAND_BF16 || is_small(b)))
		*bytes += panel_bytes(cpu, b->type, FACTOR_ROWS, b->k);
	if (b->trained && b->type == OPERAND_BF16)
		*bytes += panel_bytes(cpu, b->type, FACTOR_ROWS, b->n);
	return 0;
}

static void cpu_operand_seal(struct device *device, struct operand *b)
{
	(void)device;
	memory_discard(b->w, b->k * b->n * sizeof *b->w);
}

struct pack_job {
	const struct cpu *cpu;
	const struct operand *b;
};

static void pack_task(void *arg, size_t i)
{
	const struct pack_job *job = arg;
	const struct operand *b = job->b;
	const size_t columns = panels(job->cpu, b->n) * job->cpu->kernels->panel;
	float *scale = (float *)b->packed + columns;
	job->cpu->kernels->of[b->type].pack(
		b->k, b->n, b->transposed, b->w, i, i + 1, scale, scale + columns);
}

static void cpu_operand_update(struct device *device, struct operand *b)
{
	struct cpu *cpu = cpu_of(device);
	struct pack_job job = {cpu, b};
	if (b->bias1)
		memcpy(b->packed, b->bias1, b->n * sizeof *b->bias1);
	if (b->bias2)
		cpu->kernels->add(b->n, b->bias2, b->packed);
	pool_run(cpu->pool, panels(cpu, b->n), pack_task, &job);
}

/* A matrix of results cut into tiles of whole row groups and whole panels, for about four tasks a
 * thread, but none so small that waking a thread costs more; few rows are cut by columns, many by
 * rows, so that a tile reads its share of the operand once. */
struct tiles {
	size_t rows, columns;           /* of the matrix; columns in panels */
	size_t tile_rows, tile_columns; /* of a tile */
	size_t across;                  /* tiles side by side */
	size_t count;
};

/* `flop`: of the whole matrix. */
static struct tiles cut(const struct cpu *cpu, size_t rows, size_t columns, double flop)
{
	const size_t group = cpu->kernels->rows;
	const size_t wanted = (size_t)fmax(1, fmin(flop / TASK_FLOP, 4 * pool_threads(cpu->pool)));
	struct tiles t = {.rows = rows,
		.columns = columns,
		.tile_rows = rows,
		.tile_columns = columns,
		.across = 1,
		.count = 1};
	if (wanted == 1)
		return t;
	t.tile_rows = quotient_up(quotient_up(rows, wanted), group) * group;
	t.tile_rows = smaller(t.tile_rows, 8 * group);
	size_t down = quotient_up(rows, t.tile_rows);
	if (down < wanted)
		t.tile_columns = quotient_up(columns, quotient_up(wanted, down));
	t.across = quotient_up(columns, t.tile_columns);
	t.count = down * t.across;
	return t;
}

static double product_flop(size_t rows, const struct operand *b)
{
	return 2 * (double)rows * (double)b->k * (double)b->n;
}

/* Tile i: rows r0..r1-1, columns p0..p1-1. */
struct tile {
	size_t r0, r1, p0, p1;
};

static struct tile tile_of(const struct tiles *t, size_t i)
{
	struct tile tile = {
		.r0 = i / t->across * t->tile_rows, .p0 = i % t->across * t->tile_columns};
	tile.r1 = smaller(tile.r0 + t->tile_rows, t->rows);
	tile.p1 = smaller(tile.p0 + t->tile_columns, t->columns);
	return tile;
}

struct product_job {
	const struct kernels *kernels;
	struct tiles tiles;
	const struct operand *b;
	struct packed packed;
	const float *x;
	float *y;
};

static void product_task(void *arg, size_t i)
{
	const struct product_job *job = arg;
	const struct tile tile = tile_of(&job->tiles, i);
	const struct operand *b = job->b;
	job->kernels->of[b->type].product(tile.r1 - tile.r0, b->k, b->n, job->x + tile.r0 * b->k,
		job->packed.scale, job->packed.panels, job->packed.bias, 0, tile.p0, tile.p1,
		job->y + tile.r0 * b->n);
}

static void cpu_product(
	struct device *device, size_t rows, const float *x, const struct operand *b, float *y)
{
	struct cpu *cpu = cpu_of(device);
	struct product_job job = {.kernels = cpu->kernels,
		.tiles = cut(cpu, rows, panels(cpu, b->n), product_flop(rows, b)),
		.b = b,
		.packed = packed_of(cpu, b),
		.x = x,
		.y = y};
	pool_run(cpu->pool, job.tiles.count, product_task, &job);
}

/* --- weight gradients ------------------------------------------------------------------------- */

struct gradient_job {
	const struct kernels *kernels;
	const struct blas *blas;
	size_t rows, m, n;
	const float *dy, *x; /* (rows,m), (rows,n) */
	float *dw;           /* (m,n) */
	size_t tile_m, tile_n;
	void *dy_panels, *x_panels;
	struct tiles tiles; /* of a small one */
};

/* Cut by the rows of dw, or, if they are too few, by its columns. */
static void gradient_task(void *arg, size_t i)
{
	const struct gradient_job *job = arg;
	const size_t m0 = job->tile_m < job->m ? i * job->tile_m : 0;
	const size_t n0 = job->tile_n < job->n ? i * job->tile_n : 0;
	const size_t m = smaller(job->tile_m, job->m - m0), n = smaller(job->tile_n, job->n - n0);
	job->blas->sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n,
		(blasint)job->rows, 1, job->dy + m0, (blasint)job->m, job->x + n0, (blasint)job->n,
		1, job->dw + m0 * job->n + n0, (blasint)job->n);
}

static void round_task(void *arg, size_t i)
{
	const struct gradient_job *job = arg;
	const struct products *of = &job->kernels->of[OPERAND_BF16];
	const size_t count = quotient_up(job->m, job->kernels->panel);
	if (i < count)
		of->pack(job->rows, job->m, false, job->dy, i, i + 1, NULL, job->dy_panels);
	else
		of->pack(job->rows, job->n, false, job->x, i - count, i - count + 1, NULL,
			job->x_panels);
}

static void rounded_gradient_task(void *arg, size_t i)
{
	const struct gradient_job *job = arg;
	job->kernels->product_tn_bf16(
		job->rows, job->m, job->n, job->dy_panels, job->x_panels, i, i + 1, 0, job->dw);
}

/* FACTOR_ROWS at a time: both factors are rounded and packed, then multiplied. */
static void rounded_gradient(struct cpu *cpu, struct gradient_job *job, const struct operand *b)
{
	const size_t down = panels(cpu, job->m), rows = job->rows;
	job->dy_panels = packed_of(cpu, b).factors;
	job->x_panels = (char *)job->dy_panels + panel_bytes(cpu, b->type, FACTOR_ROWS, job->m);
	for (size_t r = 0; r < rows; r += job->rows) {
		job->rows = smaller(FACTOR_ROWS, rows - r);
		pool_run(cpu->pool, down + panels(cpu, job->n), round_task, job);
		pool_run(cpu->pool, down, rounded_gradient_task, job);
		job->dy += job->rows * job->m;
		job->x += job->rows * job->n;
	}
}

/* FACTOR_ROWS at a time: x is packed, then multiplied. */
static void small_gradient_task(void *arg, size_t step, size_t i)
{
	const struct gradient_job *job = arg;
	const size_t first = step / 2 * FACTOR_ROWS;
	const size_t rows = smaller(FACTOR_ROWS, job->rows - first);
	if (step % 2 == 0) {
		if (i * job->kernels->panel < job->n)
			job->kernels->of[OPERAND_F32].pack(rows, job->n, false,
				job->x + first * job->n, i, i + 1, NULL, job->x_panels);
	} else if (i < job->tiles.count) {
		const struct tile tile = tile_of(&job->tiles, i);
		job->kernels->product_tn_f32(rows, job->m, job->n, job->dy + first * job->m,
			job->x_panels, tile.r0, tile.r1, tile.p0, tile.p1, job->dw);
	}
}

static void small_gradient(struct cpu *cpu, struct gradient_job *job, const struct operand *b)
{
	const size_t across = panels(cpu, job->n);
	job->x_panels = packed_of(cpu, b).factors;
	job->tiles = cut(cpu, job->m, across, product_flop(smaller(job->rows, FACTOR_ROWS), b));
	pool_run_steps(cpu->pool, 2 * quotient_up(job->rows, FACTOR_ROWS),
		across > job->tiles.count ? across : job->tiles.count, small_gradient_task, job);
}

static int cpu_prepare_gradients(struct device *device, struct error *err)
{
	struct cpu *cpu = cpu_of(device);
	if (!cpu->prepared && blas_open(&cpu->blas, pool_threads(cpu->pool), err) < 0)
		return -1;
	cpu->prepared = true;
	return 0;
}

static void cpu_product_tn(struct device *device, size_t rows, const float *dy, const float *x,
	const struct operand *b, float *dw)
{
	struct cpu *cpu = cpu_of(device);
	struct gradient_job job = {.kernels = cpu->kernels,
		.blas = &cpu->blas,
		.rows = rows,
		.m = b->n,
		.n = b->k,
		.dy = dy,
		.x = x,
		.dw = dw,
		.tile_m = TILE_GRADIENT,
		.tile_n = b->n <= TILE_GRADIENT ? TILE_COLUMNS : b->k};
	if (b->type == OPERAND_BF16)
		rounded_gradient(cpu, &job, b);
	else if (is_small(b))
		small_gradient(cpu, &job, b);
	else
		pool_run(cpu->pool, quotient_up(job.m, job.tile_m) * quotient_up(job.n, job.tile_n),
			gradient_task, &job);
}

/* --- rows and columns ------------------------------------------------------------------------- */

/* gather is cut by rows, column_sums and scatter_add by columns: each sum then has one owner. */
struct rows_job {
	const struct kernels *kernels;
	size_t rows, n, tile, vocab;
	const float *bias1, *bias2, *table, *x;
	const uint32_t *ids;
	float *y;
};

static void gather_task(void *arg, size_t i)
{
	const struct rows_job *job = arg;
	const size_t n = job->n, last = smaller((i + 1) * job->tile, job->rows);
	for (size_t r = i * job->tile; r < last; r++) {
		const uint32_t id = job->ids[r];
		job->kernels->add_biases(n, id == TARGET_NONE ? NULL : job->table + id * n,
			job->bias1, job->bias2, job->y + r * n);
	}
}

static void cpu_gather(struct device *device, size_t rows, size_t n, const float *table,
	const uint32_t *ids, const float *bias1, const float *bias2, float *y)
{
	struct cpu *cpu = cpu_of(device);
	struct rows_job job = {.kernels = cpu->kernels,
		.rows = rows,
		.n = n,
		.tile = quotient_up(TILE_FLOATS, n),
		.table = table,
		.ids = ids,
		.bias1 = bias1,
		.bias2 = bias2,
		.y = y};
	pool_run(cpu->pool, quotient_up(rows, job.tile), gather_task, &job);
}

static void scatter_task(void *arg, size_t i)
{
	const struct rows_job *job = arg;
	const size_t n = job->n, first = i * TILE_COLUMNS, width = smaller(TILE_COLUMNS, n - first);
	job->kernels->add_rows(job->rows, width, n, job->x + first, job->ids, job->y + first);
}

static void run_by_columns(struct device *device, struct rows_job *job)
{
	struct cpu *cpu = cpu_of(device);
	job->kernels = cpu->kernels;
	pool_run(cpu->pool, quotient_up(job->n, TILE_COLUMNS), scatter_task, job);
}

static void cpu_column_sums(
	struct device *device, size_t rows, size_t n, const float *x, float *sum)
{
	run_by_columns(device, &(struct rows_job){.rows = rows, .n = n, .x = x, .y = sum});
}

static void cpu_scatter_add(struct device *device, size_t rows, size_t n, size_t vocab,
	const float *x, const uint32_t *ids, float *table)
{
	(void)vocab;
	run_by_columns(
		device, &(struct rows_job){.rows = rows, .n = n, .x = x, .ids = ids, .y = table});
}

/* --- the scan --------------------------------------------------------------------------------- */

/* With enough rows for all threads a task takes a group of rows through all time steps, and nobody
 * waits for anybody. With fewer, time steps are steps of the pool, cut by units too: forward one (a
 * unit's gates make its h), backward two (the product needs the gates of all units). */
struct scan_job {
	const struct kernels *kernels;
	const struct cell_kernels *cell;
	const struct scan *scan;
	struct packed packed;
	struct tiles tiles; /* of one time step; columns in panels of H */
	size_t tile_rows;   /* of a task that takes all time steps, or of gates backward */
};

static struct scan_job scan_job(const struct cpu *cpu, const struct scan *scan)
{
	return (struct scan_job){.kernels = cpu->kernels,
		.cell = &cpu->kernels->cells[scan->cell->type],
		.scan = scan,
		.packed = packed_of(cpu, scan->w_hh)};
}

/* h[t] W_hh^T for a tile of units, all gates, and what follows from it. Panels must not straddle
 * gates, else all are done. */
static void scan_forward_tile(const struct scan_job *job, size_t t, const struct tile *tile)
{
	const struct scan *s = job->scan;
	const struct kernels *k = job->kernels;
	const struct products *of = &k->of[s->w_hh->type];
	const struct packed *w = &job->packed;
	const size_t H = s->H, n = s->w_hh->n, rows = tile->r1 - tile->r0;
	const size_t row = t * s->N + tile->r0;
	float *const y = (s->cell->apart ? s->recurrent : s->gates) + row * n;
	const float *const base = s->cell->apart ? w->bias : y;
	const size_t stride = s->cell->apart ? 0 : n;
	struct part part = {t, tile->r0, tile->r1, 0, H};
	if (tile->p1 - tile->p0 == job->tiles.columns || H % k->panel != 0) {
		of->product(rows, H, n, s->h + row * H, w->scale, w->panels, base, stride, 0,
			quotient_up(n, k->panel), y);
	} else {
		const size_t per_gate = H / k->panel;
		for (size_t gate = 0; gate < s->cell->gates; gate++)
			of->product(rows, H, n, s->h + row * H, w->scale, w->panels, base, stride,
				gate * per_gate + tile->p0, gate * per_gate + tile->p1, y);
		part.u0 = tile->p0 * k->panel;
		part.u1 = tile->p1 * k->panel;
	}
	job->cell->forward(s, &part);
}

static struct tile rows_of(const struct scan_job *job, size_t i)
{
	return (struct tile){.r0 = i * job->tile_rows,
		.r1 = smaller((i + 1) * job->tile_rows, job->scan->N),
		.p1 = job->tiles.columns};
}

static void scan_forward_rows_task(void *arg, size_t i)
{
	const struct scan_job *job = arg;
	const struct tile tile = rows_of(job, i);
	for (size_t t = 0; t < job->scan->T; t++)
		scan_forward_tile(job, t, &tile);
}

static void scan_forward_step_task(void *arg, size_t t, size_t i)
{
	const struct scan_job *job = arg;
	const struct tile tile = tile_of(&job->tiles, i);
	scan_forward_tile(job, t, &tile);
}

/* Whether rows are cut, evenly over the threads, in whole groups if that loses no thread. Else a
 * time step is cut, `columns` wide. */
static bool cut_scan(const struct cpu *cpu, struct scan_job *job, size_t columns)
{
	const size_t threads = pool_threads(cpu->pool), group = cpu->kernels->rows;
	const size_t N = job->scan->N;
	job->tile_rows = quotient_up(N, threads);
	if (job->tile_rows > group)
		job->tile_rows = quotient_up(job->tile_rows, group) * group;
	job->tile_rows = smaller(job->tile_rows, 8 * group);
	job->tiles = cut(cpu, N, columns, product_flop(N, job->scan->w_hh));
	return N >= group * threads || job->tiles.count == 1;
}

static void cpu_scan_forward(struct device *device, const struct scan *scan)
{
	struct cpu *cpu = cpu_of(device);
	struct scan_job job = scan_job(cpu, scan);
	/* Panels of one gate; where they straddle gates, a unit range can't be cut out. */
	const size_t panel = cpu->kernels->panel;
	if (cut_scan(cpu, &job, scan->H % panel == 0 ? scan->H / panel : 1))
		pool_run(cpu->pool, quotient_up(scan->N, job.tile_rows), scan_forward_rows_task,
			&job);
	else
		pool_run_steps(cpu->pool, scan->T, job.tiles.count, scan_forward_step_task, &job);
}

/* Step t backward, the gates of a tile's rows (all units). */
static void scan_backward_gates(const struct scan_job *job, size_t t, size_t r0, size_t r1)
{
	const struct part part = {t, r0, r1, 0, job->scan->H};
	job->cell->backward(job->scan, &part);
}

/* ... and what it sends through the recurrence, db W_hh, which makes dh of step t - 1 whole. */
static void scan_backward_product(const struct scan_job *job, size_t t, const struct tile *tile)
{
	const struct scan *s = job->scan;
	const size_t H = s->H, k = s->w_hh->k, row = t * s->N + tile->r0;
	const float *db = (s->cell->apart ? s->recurrent : s->gates) + row * k;
	float *dh = s->dh + (row - s->N) * H;
	job->kernels->of[s->w_hh->type].product(tile->r1 - tile->r0, k, H, db, job->packed.scale,
		job->packed.panels, dh, H, tile->p0, tile->p1, dh);
}

static void scan_backward_rows_task(void *arg, size_t i)
{
	const struct scan_job *job = arg;
	const struct tile tile = rows_of(job, i);
	for (size_t t = job->scan->T; t-- > 0;) {
		scan_backward_gates(job, t, tile.r0, tile.r1);
		if (t > 0)
			scan_backward_product(job, t, &tile);
	}
}

/* Gates of time step T - 1, its product, gates of T - 2 ... Of each there may be fewer tasks. */
static void scan_backward_step_task(void *arg, size_t step, size_t i)
{
	const struct scan_job *job = arg;
	const size_t N = job->scan->N, t = job->scan->T - 1 - step / 2, first = i * job->tile_rows;
	if (step % 2 == 0) {
		if (first < N)
			scan_backward_gates(job, t, first, smaller(first + job->tile_rows, N));
	} else if (i < job->tiles.count) {
		const struct tile tile = tile_of(&job->tiles, i);
		scan_backward_product(job, t, &tile);
	}
}

static void cpu_scan_backward(struct device *device, const struct scan *scan)
{
	struct cpu *cpu = cpu_of(device);
	struct scan_job job = scan_job(cpu, scan);
	const size_t N = scan->N, T = scan->T;
	memset(scan->dc, 0, N * scan->H * sizeof *scan->dc);
	if (cut_scan(cpu, &job, panels(cpu, scan->H))) {
		pool_run(cpu->pool, quotient_up(N, job.tile_rows), scan_backward_rows_task, &job);
		return;
	}
	job.tile_rows = quotient_up(TILE_FLOATS, scan->w_hh->k);
	const size_t blocks = quotient_up(N, job.tile_rows);
	pool_run_steps(cpu->pool, 2 * T - 1, blocks > job.tiles.count ? blocks : job.tiles.count,
		scan_backward_step_task, &job);
}

/* --- elementwise ------------------------------------------------------------------------------ */

struct dropout_job {
	const struct kernels *kernels;
	size_t N, H, first_row;
	const struct dropout *dropout;
	const float *x;
	float *y;
};

static void dropout_task(void *arg, size_t t)
{
	const struct dropout_job *job = arg;
	for (size_t r = 0; r < job->N; r++) {
		size_t at = (t * job->N + r) * job->H;
		job->kernels->dropout(job->H, job->dropout, (uint32_t)(job->first_row + r),
			(uint32_t)t, job->x + at, job->y + at);
	}
}

static void cpu_dropout(struct device *device, size_t T, size_t N, size_t H, size_t first_row,
	const struct dropout *dropout, const float *x, float *y)
{
	struct cpu *cpu = cpu_of(device);
	struct dropout_job job = {cpu->kernels, N, H, first_row, dropout, x, y};
	if (dropout->p == 0) {
		if (x != y)
			cpu_copy(device, y, x, T * N * H);
		return;
	}
	pool_run(cpu->pool, T, dropout_task, &job);
}

struct cross_entropy_job {
	const struct kernels *kernels;
	size_t rows, vocab, tile;
	float *logits;
	const uint32_t *targets;
	float scale, *nats;
};

static void cross_entropy_task(void *arg, size_t i)
{
	const struct cross_entropy_job *job = arg;
	const size_t first = i * job->tile;
	job->kernels->cross_entropy(smaller(job->tile, job->rows - first), job->vocab,
		job->logits + first * job->vocab, job->targets + first, job->scale,
		job->nats + first);
}

static void cpu_cross_entropy(struct device *device, size_t rows, size_t vocab, float *logits,
	const uint32_t *targets, float scale, float *nats)
{
	struct cpu *cpu = cpu_of(device);
	struct cross_entropy_job job = {.kernels = cpu->kernels,
		.rows = rows,
		.vocab = vocab,
		.tile = quotient_up(TILE_FLOATS, vocab),
		.logits = logits,
		.targets = targets,
		.scale = scale,
		.nats = nats};
	pool_run(cpu->pool, quotient_up(rows, job.tile), cross_entropy_task, &job);
}

struct sum_job {
	double (*sum)(size_t n, const float *x);
	size_t n, part;
	const float *x;
	double parts[SUM_PARTS];
};

static void sum_task(void *arg, size_t i)
{
	struct sum_job *job = arg;
	job->parts[i] =
		job->sum(smaller(job->part, job->n - i * job->part), job->x + i * job->part);
}

static void run_sum(struct device *device, double (*sum)(size_t, const float *), size_t n,
	const float *x, double *total)
{
	struct sum_job job = {.sum = sum, .n = n, .part = quotient_up(n, SUM_PARTS), .x = x};
	size_t count = n > 0 ? quotient_up(n, job.part) : 0;
	pool_run(cpu_of(device)->pool, count, sum_task, &job);
	for (size_t i = 0; i < count; i++)
		*total += job.parts[i];
}

static void cpu_sum(struct device *device, size_t n, const float *x, double *total)
{
	run_sum(device, cpu_of(device)->kernels->sum, n, x, total);
}

static void cpu_sum_squares(struct device *device, size_t n, const float *x, double *total)
{
	run_sum(device, cpu_of(device)->kernels->sum_squares, n, x, total);
}

static void cpu_fold(struct device *device, size_t n, double *x, double *total)
{
	(void)device;
	*total = tree_sum(n, x);
}

/* --- updates ---------------------------------------------------------------------------------- */

/* Elementwise: a task has TILE_FLOATS of all of them. */
struct update_job {
	const struct kernels *kernels;
	size_t n;
	const struct adam_update *update;
	float scale; /* of the gradients */
	float keep, step_size, root_correction;
	float *w, *m, *v, *x;
	const float *dw, *to;
};

/* What is the same for all updates; false where they are to change nothing. */
static bool begin_update(struct device *device, struct update_job *job, size_t n,
	const struct adam_update *update, const double *nats, const double *squares)
{
	const double norm = sqrt(*squares);
	if (!isfinite(norm) || !isfinite(*nats))
		return false;
	job->kernels = cpu_of(device)->kernels;
	job->n = n;
	job->update = update;
	job->scale = update->clip > 0 ? (float)fmin(1, update->clip / (norm + 1e-6)) : 1;
	job->keep = (float)(1 - update->lr * update->factor * update->decay);
	return true;
}

static void run_update(struct device *device, struct update_job *job, void (*task)(void *, size_t))
{
	pool_run(cpu_of(device)->pool, quotient_up(job->n, TILE_FLOATS), task, job);
}

static void adam_task(void *arg, size_t i)
{
	const struct update_job *job = arg;
	const size_t at = i * TILE_FLOATS;
	job->kernels->adam(smaller(TILE_FLOATS, job->n - at), job->update, job->scale,
		job->step_size, job->root_correction, job->keep, job->w + at, job->dw + at,
		job->m + at, job->v + at);
}

static void cpu_adam(struct device *device, size_t n, const struct adam_update *update, float *w,
	const float *dw, float *m, float *v, const double *nats, const double *squares)
{
	const double step = (double)update->step, lr = update->lr * update->factor;
	struct update_job job = {.w = w, .dw = dw, .m = m, .v = v};
	if (!begin_update(device, &job, n, update, nats, squares))
		return;
	job.step_size = (float)(lr / (1 - pow(update->beta1, step)));
	job.root_correction = (float)sqrt(1 - pow(update->beta2, step));
	run_update(device, &job, adam_task);
}

static void momentum_task(void *arg, size_t i)
{
	const struct update_job *job = arg;
	const size_t at = i * TILE_FLOATS;
	job->kernels->momentum(smaller(TILE_FLOATS, job->n - at), job->update, job->scale,
		job->dw + at, job->m + at, job->x ? job->x + at : NULL);
}

static void cpu_momentum(struct device *device, size_t n, const struct adam_update *update,
	const float *dw, float *m, float *x, const double *nats, const double *squares)
{
	struct update_job job = {.dw = dw, .m = m, .x = x};
	if (begin_update(device, &job, n, update, nats, squares))
		run_update(device, &job, momentum_task);
}

static void descend_task(void *arg, size_t i)
{
	const struct update_job *job = arg;
	const size_t at = i * TILE_FLOATS, n = smaller(TILE_FLOATS, job->n - at);
	if (job->to)
		memcpy(job->x + at, job->to + at, n * sizeof *job->x);
	job->kernels->mix(n, job->keep, job->w + at, -job->step_size, job->x + at);
}

static void cpu_descend(struct device *device, size_t n, const struct adam_update *update, float *w,
	float *x, const float *to, const double *nats, const double *squares)
{
	struct update_job job = {.w = w, .x = x, .to = to};
	if (!begin_update(device, &job, n, update, nats, squares))
		return;
	job.step_size = (float)(update->lr * update->factor);
	run_update(device, &job, descend_task);
}

static void average_task(void *arg, size_t i)
{
	const struct update_job *job = arg;
	const size_t at = i * TILE_FLOATS;
	job->kernels->mix(smaller(TILE_FLOATS, job->n - at), (float)(1 - job->update->mix),
		job->x + at, (float)job->update->mix, job->to + at);
}

static void cpu_average(struct device *device, size_t n, const struct adam_update *update,
	const float *w, float *average, const double *nats, const double *squares)
{
	struct update_job job = {.x = average, .to = w};
	if (begin_update(device, &job, n, update, nats, squares))
		run_update(device, &job, average_task);
}

/* Each step of the iteration has these stages, in tiles of whole rows. Where products are of bfloat16,
 * their factors are rounded and packed before, in room that is free at that time; the left one is
 * transposed by the product, which changes nothing of A and b; and of these, which are symmetric, only
 * what lies right of the diagonal is computed. */
enum { ROUND_X, SQUARE, ROUND_A, POLYNOMIAL, ROUND_B, STEP, STAGES };

struct orthogonal_job {
	const struct kernels *kernels;
	const struct blas *blas;
	bool rounded;
	size_t n, tile, tiles; /* of a matrix: rows, of them in a tile, and tiles */
	float *x, *y, *a, *b;  /* (count,n,n) */
};

/* Rows `first`.. of to (n,n) = alpha x y + beta to; x is what the panels hold the transpose of, and y,
 * with OpenBLAS, may be transposed. */
static void multiply_square(const struct orthogonal_job *job, size_t first, float alpha,
	const float *x, const void *x_panels, const float *y, bool transposed, const void *y_panels,
	bool symmetric, float beta, float *to)
{
	const struct kernels *k = job->kernels;
	const size_t n = job->n, rows = smaller(job->tile, n - first), panel = first / k->panel;
	float *tile = to + first * n;
	if (!job->rounded) {
		job->blas->sgemm(CblasRowMajor, CblasNoTrans,
			transposed ? CblasTrans : CblasNoTrans, (blasint)rows, (blasint)n,
			(blasint)n, alpha, x + first * n, (blasint)n, y, (blasint)n, beta, tile,
			(blasint)n);
		return;
	}
	k->mix(rows * n, beta / alpha, tile, 0, tile);
	k->product_tn_bf16(
		n, n, n, x_panels, y_panels, panel, panel + 1, symmetric ? panel : 0, to);
	k->mix(rows * n, alpha, tile, 0, tile);
}

/* What is symmetric is made whole: columns `first`.. below their tile from the rows right of it. */
static void mirror(const struct orthogonal_job *job, size_t first, float *x)
{
	const size_t n = job->n, end = first + job->tile;
	for (size_t i = end; job->rounded && i < n; i++)
		for (size_t j = first; j < end; j++)
			x[i * n + j] = x[j * n + i];
}

static void round_square(const struct orthogonal_job *job, size_t first, const float *x,
	bool transposed, void *panels)
{
	const size_t n = job->n, panel = first / job->kernels->panel;
	if (job->rounded)
		job->kernels->of[OPERAND_BF16].pack(
			n, n, transposed, x, panel, panel + 1, NULL, panels);
}

static void orthogonal_task(void *arg, size_t step, size_t i)
{
	const struct orthogonal_job *job = arg;
	const size_t n = job->n, matrix = i / job->tiles * n * n;
	const size_t first = i % job->tiles * job->tile, at = first * n;
	const size_t bytes = smaller(job->tile, n - first) * n * sizeof(float);
	const bool odd = step / STAGES % 2;
	float *x = matrix + (odd ? job->y : job->x), *y = matrix + (odd ? job->x : job->y);
	float *a = matrix + job->a, *b = matrix + job->b, *half = a + n * n / 2;
	switch (step % STAGES) {
	case ROUND_X:
		round_square(job, first, x, true, y);
		break;
	case SQUARE:
		memset(a + at, 0, bytes);
		multiply_square(job, first, 1, x, y, x, true, y, true, 0, a);
		break;
	case ROUND_A:
		mirror(job, first, a);
		round_square(job, first, a, false, y);
		break;
	case POLYNOMIAL:
		memcpy(b + at, a + at, bytes);
		multiply_square(
			job, first, ORTHOGONALISE_C, a, y, a, false, y, true, ORTHOGONALISE_B, b);
		break;
	case ROUND_B:
		mirror(job, first, b);
		round_square(job, first, b, false, a);
		round_square(job, first, x, false, half);
		break;
	case STEP:
		memcpy(y + at, x + at, bytes);
		multiply_square(job, first, 1, b, a, x, false, half, false, ORTHOGONALISE_A, y);
		break;
	}
}

/* A matrix over its norm. */
static void normalise_task(void *arg, size_t i)
{
	const struct orthogonal_job *job = arg;
	const size_t n = job->n * job->n;
	float *x = job->x + i * n;
	const double norm = sqrt(job->kernels->sum_squares(n, x));
	job->kernels->mix(n, (float)(1 / (norm + 1e-12)), x, 0, x);
}

static void cpu_orthogonalise(struct device *device, enum operand_type type, size_t count, size_t n,
	float *x, float *scratch)
{
	struct cpu *cpu = cpu_of(device);
	const size_t size = count * n * n;
	struct orthogonal_job job = {.kernels = cpu->kernels,
		.blas = &cpu->blas,
		.rounded = type == OPERAND_BF16 && n % ROUNDED_SQUARE == 0,
		.n = n,
		.x = x,
		.y = scratch,
		.a = scratch + size,
		.b = scratch + 2 * size};
	job.tile = job.rounded ? cpu->kernels->panel : TILE_COLUMNS;
	job.tiles = quotient_up(n, job.tile);
	pool_run(cpu->pool, count, normalise_task, &job);
	pool_run_steps(
		cpu->pool, ORTHOGONALISE_STEPS * STAGES, count * job.tiles, orthogonal_task, &job);
	if (ORTHOGONALISE_STEPS % 2)
		memcpy(x, scratch, size * sizeof *x);
}

/* --- the device ------------------------------------------------------------------------------- */

#if defined __x86_64__
static bool runs_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Not all compilers can ask for this one. */
static bool runs_avx2vnni(void)
{
	unsigned a = 0, b, c, d;
	return runs_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

static bool runs_avx512(void)
{
	return runs_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}

static bool runs_avx512vnni(void)
{
	return runs_avx512() && __builtin_cpu_supports("avx512vnni");
}

static bool runs_avx512bf16(void)
{
	return runs_avx512vnni() && __builtin_cpu_supports("avx512bf16");
}
#endif

#if defined __aarch64__
static bool runs_neondot(void)
{
#if defined __ARM_FEATURE_DOTPROD
	return true; /* as everything that is compiled for this processor */
#elif defined __linux__
	return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
	return false;
#endif
}

static bool runs_neon(void)
{
	return true;
}
#else
static bool runs_generic(void)
{
	return true;
}
#endif

/* Those that the Makefile names, best first. */
#define K(name) extern const struct kernels kernels_##name;
ALL_KERNELS
#undef K
static const struct {
	const struct kernels *kernels;
	bool (*runs)(void);
} all_kernels[] = {
#define K(name) {&kernels_##name, runs_##name},
	ALL_KERNELS
#undef K
};

const struct kernels *kernels_next(const struct kernels *kernels)
{
	for (size_t i = 0; i < sizeof all_kernels / sizeof *all_kernels; i++) {
		if (!kernels && all_kernels[i].runs())
			return all_kernels[i].kernels;
		if (kernels == all_kernels[i].kernels)
			kernels = NULL;
	}
	return NULL;
}

const struct kernels *kernels_best(void)
{
	return kernels_next(NULL);
}

/* Those that the user names, or the best. */
static const struct kernels *chosen_kernels(struct error *err)
{
	const char *name = getenv("CHARPIPE_KERNELS");
	char list[128];
	size_t length = 0;
	for (const struct kernels *k = kernels_best(); k; k = kernels_next(k)) {
		if (!name || !*name || strcmp(name, k->name) == 0)
			return k;
		length += (size_t)snprintf(list + length, sizeof list - length, "%s%s",
			length > 0 ? ", " : "", k->name);
	}
	error_set(
		err, STATUS_NO_DEVICE, "CHARPIPE_KERNELS=%s: the kernels here are %s", name, list);
	return NULL;
}

static void cpu_describe(struct device *device, char *buf, size_t n)
{
	const struct cpu *cpu = cpu_of(device);
	const unsigned threads = pool_threads(cpu->pool);
	const char *kernel = cpu->blas.kernel;
	snprintf(buf, n, "cpu, %u thread%s, %s kernels%s%s%s%s", threads, threads == 1 ? "" : "s",
		cpu->kernels->name, kernel ? ", OpenBLAS kernel " : "", kernel ? kernel : "",
		kernel && getenv("OPENBLAS_CORETYPE") ? " (of $OPENBLAS_CORETYPE)" : "",
		cpu->kernels->bf16 ? "" : "; bfloat16 in fp32, no faster");
}

static void cpu_release(struct device *device)
{
	pool_free(cpu_of(device)->pool);
	free(device);
}

static const struct ops cpu_ops = {
	.name = "cpu",
	.describe = cpu_describe,
	.release = cpu_release,
	.alloc = cpu_alloc,
	.free = cpu_free,
	.host_alloc = cpu_alloc,
	.host_free = cpu_free,
	.adopt = cpu_adopt,
	.put = cpu_transfer,
	.get = cpu_transfer,
	.copy = cpu_copy,
	.zero = cpu_zero,
	.add = cpu_add,
	.begin = cpu_begin,
	.end = cpu_end,
	.operand_bytes = cpu_operand_bytes,
	.operand_update = cpu_operand_update,
	.operand_seal = cpu_operand_seal,
	.product = cpu_product,
	.prepare_gradients = cpu_prepare_gradients,
	.product_tn = cpu_product_tn,
	.column_sums = cpu_column_sums,
	.gather = cpu_gather,
	.scatter_add = cpu_scatter_add,
	.scan_forward = cpu_scan_forward,
	.scan_backward = cpu_scan_backward,
	.dropout = cpu_dropout,
	.cross_entropy = cpu_cross_entropy,
	.sum = cpu_sum,
	.sum_squares = cpu_sum_squares,
	.fold = cpu_fold,
	.adam = cpu_adam,
	.momentum = cpu_momentum,
	.descend = cpu_descend,
	.average = cpu_average,
	.orthogonalise = cpu_orthogonalise,
};

struct device *cpu_open(unsigned threads, struct error *err)
{
	struct cpu *cpu = calloc(1, sizeof *cpu);
	if (!cpu) {
		error_memory(err, sizeof *cpu, "the device");
		return NULL;
	}
	cpu->device = (struct device){.ops = &cpu_ops, .row_block = ROW_BLOCK};
	cpu->kernels = chosen_kernels(err);
	cpu->pool = cpu->kernels ? pool_new(threads, err) : NULL;
	if (!cpu->pool) {
		free(cpu);
		return NULL;
	}
	return &cpu->device;
}

/* run.c: see run.h. */
#include "tools/train/run.h"

#include "base/size.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const run_optimizers[] = {
	[RUN_OPTIMIZER_ADAM] = "adam",
	[RUN_OPTIMIZER_MUON] = "muon",
	NULL,
};

struct model_dropout run_dropout(double passes, uint32_t hidden)
{
	const double doublings = fmin(fmax(log2(passes), 0), 4), first = fmin(doublings, 1);
	const double tenths = fmin(fmax(doublings + first * log2(hidden / 256.), 0), 5);
	return (struct model_dropout){.between = round(10 * tenths) / 100,
		.output = round(10 * (tenths + fmin(tenths, 1))) / 100};
}

/* --- making ---------------------------------------------------------------------------------- */

/* The model keeps its own order of symbols; what was done to newlines is told by the new data. */
static int init_vocab(struct run *run, const struct model_file *from, struct error *err)
{
	const struct vocab *data = &run->shards->header.vocab;
	char names[128];
	if (!from || !from->has_vocab)
		return vocab_copy(&run->vocab, data, err);
	if (vocab_copy(&run->vocab, &from->vocab, err) < 0)
		return -1;
	run->vocab.newlines = data->newlines;
	int added = vocab_extend(&run->vocab, data, err);
	if (added < 0)
		return error_prefix(err, "the shards don't fit the model to start from: ");
	run->added = (uint32_t)added;
	if (added > 0 && !run->options->new_symbols)
		return error_set(err, STATUS_DATA,
			"the model lacks %d of the shards' symbols, %s: --new-symbols gives it "
			"these, tokenize --vocab MODEL --unknown skip leaves them out",
			added, vocab_names(&run->vocab, from->params.vocab, names, sizeof names));
	run->map = calloc(data->size, sizeof *run->map);
	if (!run->map)
		return error_memory(err, data->size * sizeof *run->map, "the map of symbols");
	return vocab_remap(data, &run->vocab, run->map, err);
}

/* The weights of a model that has fewer symbols, if not fewer of anything else. In memory the rows of
 * the new ones lie behind its own in each tensor. */
static void take_over(const struct params *params, float *arena, const struct model_file *from)
{
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &from->params.v[i];
		memcpy(arena + params->v[i].offset, from->weights + p->offset,
			p->size * sizeof *arena);
	}
}

/* An average begins with them too. */
static int set_weights(struct run *run, const float *arena, struct error *err)
{
	if (model_set_weights(&run->model, arena, err) < 0)
		return -1;
	if (!run->adam.arenas[ADAM_AVERAGE])
		return 0;
	return adam_set(&run->adam, ADAM_AVERAGE, arena, err);
}

static int init_weights(struct run *run, const struct model_file *from, struct error *err)
{
	const struct params *params = &run->model.params;
	assert(!from ||
		(from->params.cell == params->cell && from->params.hidden == params->hidden &&
			from->params.layers == params->layers));
	if (from && !run->added)
		return set_weights(run, from->weights, err);
	float *arena = calloc(params->total, sizeof *arena);
	if (!arena)
		return error_memory(err, params->total * sizeof *arena, "the initial weights");
	params_initialise(params, (uint32_t)run->options->seed, run->options->input_scale, arena);
	if (from)
		take_over(params, arena, from);
	int rc = set_weights(run, arena, err);
	free(arena);
	return rc;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t validation_rows(const struct shards_header *data)
{
	return data->batches[SHARDS_VALIDATION] ? data->rows[SHARDS_VALIDATION] : 0;
}

int run_make(struct run *run, const struct run_options *options, const struct shards_header *data,
	struct device *device, struct group *group, uint64_t vocab, struct error *err)
{
	const struct ops *ops = device->ops;
	size_t rows = data->rows[SHARDS_TRAIN], window = data->window;
	size_t validation = validation_rows(data), most = larger(rows, validation);
	const enum model_use use =
		options->precision == RUN_PRECISION_BF16 ? MODEL_TRAINING_BF16 : MODEL_TRAINING;
	if (model_init(&run->model, device, cell_of(options->cell), vocab, options->hidden,
		    options->layers, use, most, window, err) < 0 ||
		model_join(&run->model, group, err) < 0)
		return -1;
	run->group = group;
	run->model.dropout = options->dropout;
	run->model.seed = (uint32_t)options->seed;
	if (adam_init(&run->adam, &run->model, &options->adam, err) < 0)
		return -1;
	if (model_state_init(&run->state, &run->model, rows, err) < 0)
		return -1;
	if (validation && model_state_init(&run->validation, &run->model, validation, err) < 0)
		return -1;
	run->batch = ops->host_alloc(device, most * (window + 1) * sizeof *run->batch, err);
	run->result = ops->host_alloc(device, run->model.params.total * sizeof(float), err);
	if (!run->batch || !run->result)
		return -1;
	if (options->keep == RUN_KEEP_BEST && validation)
		run->best.weights = run->result;
	return 0;
}

int run_init(struct run *run, const struct run_options *options, const struct settings *settings,
	struct shards *shards, struct device *device, struct group *group,
	const struct model_file *from, struct error *err)
{
	const struct shards_header *data = &shards->header;
	*run = (struct run){
		.options = options, .settings = settings, .shards = shards, .best.loss = INFINITY};
	if (init_vocab(run, from, err) < 0)
		return -1;
	if (from && from->params.vocab + run->added != run->vocab.size)
		return error_set(err, STATUS_DATA,
			"the model has %" PRIu32 " symbols, the shards have %" PRIu32,
			from->params.vocab, run->vocab.size);
	if (run_make(run, options, data, device, group, run->vocab.size, err) < 0)
		return -1;
	return init_weights(run, from, err);
}

int run_reset(struct run *run, const struct model_file *from, struct error *err)
{
	adam_reset(&run->adam);
	model_state_zero(&run->state);
	run->skipped = 0;
	return init_weights(run, from, err);
}

void run_release(struct run *run)
{
	struct device *device = run->model.device;
	if (device) {
		device->ops->host_free(device, run->result);
		device->ops->host_free(device, run->batch);
	}
	model_state_release(&run->validation);
	model_state_release(&run->state);
	adam_release(&run->adam);
	model_release(&run->model);
	free(run->map);
	vocab_release(&run->vocab);
	*run = (struct run){0};
}

/* --- ranks ----------------------------------------------------------------------------------- */

enum task {
	TASK_END,
	TASK_SHARE,
	TASK_STEP,
	TASK_SCORE,
	TASK_SET_STATE,
	TASK_GET_STATE,
};

/* What rank 0 has the others do, who have no counters of their own. */
struct order {
	uint64_t task, step, skipped, batches;
	double rate;
};

/* What follows until done() is done by all ranks. */
static int begin(struct run *run, struct order order, struct error *err)
{
	order.step = run->adam.step;
	order.skipped = run->skipped;
	run->adrift = run->group;
	return group_broadcast(run->group, &order, sizeof order, err);
}

static int done(struct run *run, int rc)
{
	if (rc == 0)
		run->adrift = false;
	return rc;
}

int run_dismiss(struct group *group, struct error *err)
{
	struct order order = {.task = TASK_END};
	return group_broadcast(group, &order, sizeof order, err);
}

/* What is dropped; weights and arenas by way of `arena`. */
static int share(struct run *run, float *arena, struct error *err)
{
	const bool leads = group_leads(run->group);
	const size_t bytes = run->model.params.total * sizeof *arena;
	struct model_dropout *dropout = &run->model.dropout;
	if (group_broadcast(run->group, dropout, sizeof *dropout, err) < 0 ||
		(leads && model_get_weights(&run->model, arena, err) < 0) ||
		group_broadcast(run->group, arena, bytes, err) < 0 ||
		(!leads && model_set_weights(&run->model, arena, err) < 0))
		return -1;
	for (enum adam_arena i = 0; i < ADAM_ARENAS; i++)
		if (run->adam.arenas[i] &&
			((leads && adam_get(&run->adam, i, arena, err) < 0) ||
				group_broadcast(run->group, arena, bytes, err) < 0 ||
				(!leads && adam_set(&run->adam, i, arena, err) < 0)))
			return -1;
	return 0;
}

static int share_all(struct run *run, struct error *err)
{
	const size_t total = run->model.params.total;
	float *arena = malloc(total * sizeof *arena);
	if (!arena)
		return error_memory(err, total * sizeof *arena, "the weights for other ranks");
	int rc = share(run, arena, err);
	free(arena);
	return rc;
}

int run_share(struct run *run, struct error *err)
{
	if (!run->group)
		return 0;
	if (begin(run, (struct order){.task = TASK_SHARE}, err) < 0)
		return -1;
	return done(run, share_all(run, err));
}

size_t run_state_size(const struct run *run)
{
	return run->state.cut.rows * params_state_size(&run->model.params);
}

/* The state of this rank's rows, (S,L,n,H), and `all` of rank 0, (S,L,N,H), in others NULL, array by
 * array. */
static int move_state(struct run *run, float *own, float *all, bool gather, struct error *err)
{
	const struct model_state *state = &run->state;
	const size_t H = state->hidden, N = state->cut.rows, n = state->rows;
	const size_t arrays = params_state_size(&run->model.params) / H;
	for (size_t i = 0; i < arrays; i++) {
		float *part = own + i * n * H, *whole = all ? all + i * N * H : part;
		if (gather) {
			if (group_gather(run->group, &state->cut, H * sizeof *own, part,
				    all ? whole : NULL, err) < 0)
				return -1;
			continue;
		}
		if (group_scatter(run->group, &state->cut, H * sizeof *own, whole, err) < 0)
			return -1;
		if (all)
			memcpy(part, whole, n * H * sizeof *own);
	}
	return 0;
}

static int exchange_state(struct run *run, float *all, bool gather, struct error *err)
{
	const size_t size = run->state.size;
	float *own = malloc((size > 0 ? size : 1) * sizeof *own);
	if (!own)
		return error_memory(err, size * sizeof *own, "the state");
	int rc = gather ? model_state_get(&run->state, own, err) : 0;
	if (rc == 0)
		rc = move_state(run, own, all, gather, err);
	if (rc == 0 && !gather)
		rc = model_state_set(&run->state, own, err);
	free(own);
	return rc;
}

int run_set_state(struct run *run, float *from, struct error *err)
{
	if (!run->group)
		return model_state_set(&run->state, from, err);
	if (begin(run, (struct order){.task = TASK_SET_STATE}, err) < 0)
		return -1;
	return done(run, exchange_state(run, from, false, err));
}

int run_get_state(struct run *run, float *to, struct error *err)
{
	if (!run->group)
		return model_state_get(&run->state, to, err);
	if (begin(run, (struct order){.task = TASK_GET_STATE}, err) < 0)
		return -1;
	return done(run, exchange_state(run, to, true, err));
}

/* --- running --------------------------------------------------------------------------------- */

uint64_t run_steps(const struct run *run)
{
	return run->adam.step + run->skipped;
}

uint64_t run_epoch_steps(const struct run *run)
{
	return run->shards->header.batches[SHARDS_TRAIN];
}

uint64_t run_batch_characters(const struct run *run)
{
	const struct shards_header *data = &run->shards->header;
	return (uint64_t)data->rows[SHARDS_TRAIN] * data->window;
}

bool run_has_validation(const struct run *run)
{
	return run->validation.cut.rows > 0;
}

static int read_batch(struct run *run, enum shards_split split, uint64_t k, struct error *err)
{
	const struct shards_header *data = &run->shards->header;
	size_t count = (size_t)data->rows[split] * (data->window + 1);
	if (!group_leads(run->group))
		return 0;
	if (shards_read(run->shards, split, k, run->batch, err) < 0)
		return -1;
	for (size_t i = 0; run->map && i < count; i++)
		run->batch[i] = run->map[run->batch[i]];
	return 0;
}

/* Gives each rank its rows of what was read. */
static int share_batch(struct run *run, const struct model_state *state, struct error *err)
{
	const size_t row = (run->shards->header.window + 1) * sizeof *run->batch;
	return group_scatter(run->group, &state->cut, row, run->batch, err);
}

double run_rate(const struct run *run)
{
	return schedule_rate(&run->options->schedule, run_steps(run) + 1);
}

static int train_batch(struct run *run, double rate, double *nats, double *norm, struct error *err)
{
	if (run_steps(run) % run_epoch_steps(run) == 0)
		model_state_zero(&run->state);
	if (share_batch(run, &run->state, err) < 0)
		return -1;
	return adam_train(&run->adam, &run->state, run->batch, run->shards->header.window, rate,
		nats, norm, err);
}

static int lead_batch(struct run *run, double rate, double *nats, double *norm, struct error *err)
{
	if (read_batch(run, SHARDS_TRAIN, run_steps(run) % run_epoch_steps(run), err) < 0 ||
		begin(run, (struct order){.task = TASK_STEP, .rate = rate}, err) < 0)
		return -1;
	return done(run, train_batch(run, rate, nats, norm, err));
}

int run_rehearse(struct run *run, struct error *err)
{
	double nats, norm;
	return lead_batch(run, 0, &nats, &norm, err);
}

int run_step(struct run *run, double *nats, double *norm, struct error *err)
{
	if (lead_batch(run, run_rate(run), nats, norm, err) < 0)
		return -1;
	if (isfinite(*nats) && isfinite(*norm))
		return 0;
	if (run->options->on_nonfinite == RUN_NONFINITE_STOP)
		return error_set(err, STATUS_NUMERIC,
			"step %" PRIu64
			": the loss is %g and the gradient's norm %g, expected finite "
			"numbers; stopped before the update",
			run_steps(run) + 1, *nats, *norm);
	/* What is carried on may be as bad as what it led to. */
	model_state_zero(&run->state);
	run->skipped++;
	return 0;
}

static int score(struct run *run, uint64_t batches, double *nats, struct error *err)
{
	const struct shards_header *data = &run->shards->header;
	double total = 0;
	model_state_zero(&run->validation);
	for (uint64_t k = 0; k < batches; k++) {
		double sum;
		if (read_batch(run, SHARDS_VALIDATION, k, err) < 0 ||
			share_batch(run, &run->validation, err) < 0)
			return -1;
		if (model_score(&run->model, &run->validation, run->batch, data->window, &sum, NULL,
			    err) < 0)
			return -1;
		total += sum;
	}
	*nats = total / ((double)batches * data->rows[SHARDS_VALIDATION] * data->window);
	return 0;
}

static int score_average(struct run *run, uint64_t batches, double *nats, struct error *err)
{
	adam_exchange(&run->adam);
	int rc = score(run, batches, nats, err);
	adam_exchange(&run->adam);
	return rc;
}

int run_score(struct run *run, uint64_t batches, double *nats, struct error *err)
{
	if (begin(run, (struct order){.task = TASK_SCORE, .batches = batches}, err) < 0)
		return -1;
	return done(run, score_average(run, batches, nats, err));
}

int run_obey(struct run *run, struct error *err)
{
	for (;;) {
		struct order order;
		double nats, norm;
		int rc = 0;
		if (group_broadcast(run->group, &order, sizeof order, err) < 0)
			return -1;
		run->adam.step = order.step;
		run->skipped = order.skipped;
		switch ((enum task)order.task) {
		case TASK_END:
			return 0;
		case TASK_SHARE:
			rc = share_all(run, err);
			break;
		case TASK_STEP:
			rc = train_batch(run, order.rate, &nats, &norm, err);
			/* As in run_step(): or rank 0 ends the run. */
			if (rc == 0 && !(isfinite(nats) && isfinite(norm)))
				model_state_zero(&run->state);
			break;
		case TASK_SCORE:
			rc = score_average(run, order.batches, &nats, err);
			break;
		case TASK_SET_STATE:
		case TASK_GET_STATE:
			rc = exchange_state(run, NULL, order.task == TASK_GET_STATE, err);
			break;
		}
		if (rc < 0)
			return -1;
	}
}

uint64_t run_evaluation_batches(const struct run *run)
{
	const uint64_t all = run->shards->header.batches[SHARDS_VALIDATION];
	const uint64_t most = run->options->eval_batches;
	return most && most < all ? most : all;
}

int run_validate(struct run *run, double *nats, struct error *err)
{
	return run_score(run, run_evaluation_batches(run), nats, err);
}

/* What is kept and written of the weights of now. */
static int get_result(struct run *run, struct error *err)
{
	adam_exchange(&run->adam);
	int rc = model_get_weights(&run->model, run->result, err);
	adam_exchange(&run->adam);
	return rc;
}

uint64_t run_evaluation_steps(const struct run *run)
{
	return run->options->eval_every ? run->options->eval_every : run_epoch_steps(run);
}

bool run_evaluation_due(const struct run *run)
{
	return run_has_validation(run) && run_steps(run) > 0 &&
	       run_steps(run) % run_evaluation_steps(run) == 0;
}

int run_evaluated(struct run *run, double nats, struct error *err)
{
	if (!(nats < run->best.loss)) {
		run->stale++;
		return 0;
	}
	run->best.loss = nats;
	run->best.step = run_steps(run);
	run->stale = 0;
	return run->best.weights ? get_result(run, err) : 0;
}

bool run_stale(const struct run *run)
{
	return run->options->patience && run->stale >= run->options->patience;
}

/* --- the result ------------------------------------------------------------------------------ */

json_t *run_training(const struct run *run, uint64_t step, double validation)
{
	const struct shards_header *data = &run->shards->header;
	char crc[16];
	snprintf(crc, sizeof crc, "%08" PRIx32, run->shards->end.crc);
	json_t *training = settings_training(run->settings, step);
	json_t *more = json_pack("{s:I, s:f, s:s, s:I, s:I, s:s, s:s, s:o*}", "steps",
		(json_int_t)step, "epochs", (double)step / (double)run_epoch_steps(run),
		"optimizer", run_optimizers[run->options->optimizer], "rows",
		(json_int_t)data->rows[SHARDS_TRAIN], "window", (json_int_t)data->window,
		"data_crc32", crc, "keep", run->best.weights ? "best" : "last", "validation_loss",
		isfinite(validation) ? json_real(validation) : NULL);
	int rc = json_object_update(training, more);
	json_decref(more);
	if (rc == 0)
		return training;
	json_decref(training);
	return NULL;
}

int run_write(
	struct run *run, double validation, struct output *out, uint64_t *step, struct error *err)
{
	const struct params *params = &run->model.params;
	bool best = run->best.weights && isfinite(run->best.loss) && !(validation < run->best.loss);
	int rc = -1;
	/* Everything is lent to the file but `training`: it is never released as a whole. */
	struct model_file file = {.params = *params, .has_vocab = true, .vocab = run->vocab};
	*step = best ? run->best.step : run_steps(run);
	file.training = run_training(run, *step, best ? run->best.loss : validation);
	/* As it was at that step. */
	file.dropout = json_number_value(json_object_get(file.training, "dropout"));
	file.weights = run->result;
	if (!file.training)
		error_memory(err, 4096, "the model's metadata");
	else if (best || get_result(run, err) == 0)
		rc = model_file_write(&file, out, err);
	json_decref(file.training);
	return rc;
}

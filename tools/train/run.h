/* run.h: a training run: the network, its optimizer, and where it stands in the data.
 *
 * Truncated backpropagation through time as the notebooks do it: every step takes one batch; the
 * state is carried from batch to batch and zeroed at the start of each epoch; validation has a
 * state of its own. After any step everything that the next one depends on is in the structure (its
 * host part here, the rest in the model, the optimizer and the state), so that checkpoint.c can
 * save it. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "base/error.h"
#include "formats/model_file.h"
#include "formats/shards.h"
#include "nn/adam.h"
#include "nn/model.h"
#include "nn/schedule.h"
#include "tools/train/settings.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum run_nonfinite {
	RUN_NONFINITE_STOP,
	RUN_NONFINITE_SKIP, /* the step makes no update, the next one begins with a zero state */
};

enum run_optimizer {
	RUN_OPTIMIZER_ADAM,
	RUN_OPTIMIZER_MUON, /* for the matrices between hidden units, else Adam */
};
extern const char *const run_optimizers[]; /* their names, in their order; NULL ends them */

enum run_keep {
	RUN_KEEP_BEST, /* the weights with the smallest validation loss */
	RUN_KEEP_LAST,
};

enum run_precision {
	RUN_PRECISION_F32,
	RUN_PRECISION_BF16, /* MODEL_TRAINING_BF16 */
};

/* The options that shape a run's numbers. */
struct run_options {
	unsigned cell; /* enum cell_type */
	uint64_t hidden, layers;
	struct model_dropout dropout;
	struct schedule schedule;
	struct adam_options adam;
	unsigned optimizer; /* enum run_optimizer */
	uint64_t seed;
	double input_scale;    /* of the initial input weights; 0: that of the others */
	uint64_t eval_every;   /* steps; 0: at the end of each epoch */
	uint64_t eval_batches; /* that an evaluation takes; 0: all */
	unsigned precision;    /* enum run_precision */
	unsigned keep;         /* enum run_keep */
	unsigned on_nonfinite; /* enum run_nonfinite */
	bool new_symbols;      /* the model to start from gets those that it lacks */
	uint64_t patience; /* evaluations without a better one before the run ends; 0: any number */
};

struct run {
	struct group *group;               /* whose rank 0 this is, or another; not owned */
	const struct run_options *options; /* not owned */
	const struct settings *settings;   /* the same and more, for files; not owned */
	struct shards *shards;             /* not owned */
	struct vocab vocab;                /* the model's */
	uint32_t added; /* symbols at its end that the model to start from lacked */
	uint32_t *map;  /* the shards' ids to the model's, where that had its own; owned */
	struct model model;
	struct adam adam;              /* adam.step: updates since initialisation */
	uint64_t skipped;              /* steps since then that made none */
	struct model_state state;      /* carried through the training part */
	struct model_state validation; /* through the validation part; cut.rows 0 without one */
	uint32_t *batch;               /* (N,T+1); owned, as host memory of the device */
	float *result;                 /* an arena; likewise; what is written in the end */
	struct run_best {
		float *weights; /* they wait in `result`; NULL if the last ones are kept */
		double loss;    /* INFINITY before the first evaluation */
		uint64_t step;
	} best;
	uint64_t stale; /* evaluations since the best one */
	bool adrift;    /* the other ranks are in the middle of something that failed here */
};

/* What keeps a network of so many hidden units from learning by heart what it sees `passes` times:
 * nothing at once, then more with each doubling, and the more the wider it is, in hundredths. From
 * measurements, which examples/recipes/README.md has. */
struct model_dropout run_dropout(double passes, uint32_t hidden);

/* Makes a run over the training part of `shards`: weights, vocabulary, cell, hidden and layers
 * from `from`, or initialised from the seed where that is NULL. options->cell, ->hidden and ->layers must
 * be those of `from`. Its symbols may be in another order than the data's, and more; fewer with
 * options->new_symbols alone: what belongs to the new ones is initialised then. */
int run_init(struct run *run, const struct run_options *options, const struct settings *settings,
	struct shards *shards, struct device *device, struct group *group,
	const struct model_file *from, struct error *err);
void run_release(struct run *run);

/* Back to where run_init() left it, with the same `from`. */
int run_reset(struct run *run, const struct model_file *from, struct error *err);

/* The part of run_init() that takes memory, all that a run has until its result is written; weights
 * and vocabulary (but for its size) are still missing. On a counter (nn/counter.h) it says how much
 * that is. *run is zero before. */
int run_make(struct run *run, const struct run_options *options, const struct shards_header *data,
	struct device *device, struct group *group, uint64_t vocab, struct error *err);

/* In a group rank 0 calls the functions of this file, and the other ranks, each with a run of the same
 * options that run_make() has made, do with run_obey() what it then says, until it calls run_dismiss().
 * These keep nothing but the network, the optimizer and their rows' state; run_share() gives them
 * what rank 0 has of it before its first step, but for the state, which is zero or set by
 * run_set_state(). */
int run_obey(struct run *run, struct error *err);
int run_share(struct run *run, struct error *err);
int run_dismiss(struct group *group, struct error *err);

/* The state of the training part, (S,L,N,H), of all ranks' rows, from and to the host; its size.
 * *from is scratch afterwards. */
size_t run_state_size(const struct run *run);
int run_set_state(struct run *run, float *from, struct error *err);
int run_get_state(struct run *run, float *to, struct error *err);

/* Steps done since initialisation, with and without an update: the place in the schedule and in the
 * data. */
uint64_t run_steps(const struct run *run);

/* Batches of an epoch, and characters of a batch. */
uint64_t run_epoch_steps(const struct run *run);
uint64_t run_batch_characters(const struct run *run);
bool run_has_validation(const struct run *run);

/* The learning rate of the next step. */
double run_rate(const struct run *run);

/* One optimizer step. *nats: the batch's mean loss (dropout on); *norm: the gradient's norm before
 * the clip. Where one of them is not finite nothing is updated: status 70, or, if the options say
 * so, run->skipped counts the step. */
int run_step(struct run *run, double *nats, double *norm, struct error *err);

/* A step that moves no weights but all else, for the time that it takes. run_reset() is to follow. */
int run_rehearse(struct run *run, struct error *err);

/* Batches of the validation part that an evaluation takes. */
uint64_t run_evaluation_batches(const struct run *run);

/* The mean nats of their characters, dropout off, with the average of the weights where there is
 * one, as in all that is kept. The training goes on undisturbed. */
int run_validate(struct run *run, double *nats, struct error *err);

/* The same of its first batches alone, at least one. */
int run_score(struct run *run, uint64_t batches, double *nats, struct error *err);

/* Steps between two evaluations; and whether there is one after the step done last. */
uint64_t run_evaluation_steps(const struct run *run);
bool run_evaluation_due(const struct run *run);

/* Takes note of a scheduled evaluation: of the weights, if they are the best so far. */
int run_evaluated(struct run *run, double nats, struct error *err);

/* Whether --patience has run out. */
bool run_stale(const struct run *run);

/* What shaped the weights of that step, as a model file tells it; NULL without memory. validation:
 * NAN if not measured. */
json_t *run_training(const struct run *run, uint64_t step, double validation);

/* Writes the run's result: the best model, or the last where the last is kept, none has been
 * evaluated, or `validation` (of the last weights; NAN if not measured) is better than the best's.
 * *step: that model's. The run is then over: the last weights may have taken the best's place. */
int run_write(
	struct run *run, double validation, struct output *out, uint64_t *step, struct error *err);

#endif

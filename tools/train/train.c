/* train: reads shards, trains a network on them, writes the best model found.
 *
 * This file talks to people: options, messages, the order of things. The run itself is run.c, its
 * file checkpoint.c, its table log.c. */
#include "base/memory.h"
#include "base/show.h"
#include "nn/counter.h"
#include "tools/device.h"
#include "tools/network.h"
#include "tools/tool.h"
#include "tools/train/checkpoint.h"
#include "tools/train/log.h"
#include "tools/train/pace.h"
#include "tools/train/run.h"
#include "tools/train/settings.h"
#include "tools/train/signals.h"
#include "tools/train/team.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
	struct tool_common common;
	struct run_options run;
	struct device_options device;
	uint64_t epochs, steps, time, time_steps;
	bool auto_dropout;
	uint64_t print_every;
	uint64_t checkpoint_every, checkpoint_keep;
	const char *log, *checkpoint, *resume, *init;
	bool change;
	struct team team; /* of no option */
};

static const char *const keep_choices[] = {"best", "last", NULL};
static const char *const nonfinite_choices[] = {"stop", "skip", NULL};
static const char *const precision_choices[] = {"f32", "bf16", NULL};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.name = "cell", .argument = "lstm|gru|rnn", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(run.cell), .initial = "lstm",
	 .choices = cell_names, .also = "model rnn-type cell-type",
	 .help = "the kind of recurrent layer"},
	{.letter = 'H', .name = "hidden", .argument = "H", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(run.hidden), .initial = "512", .low = 1,
	 .high = PARAMS_HIDDEN_MAX, .also = "hidden-size n-hidden rnn-size hidden-dim",
	 .help = "units of each layer"},
	{.letter = 'L', .name = "layers", .argument = "L", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(run.layers), .initial = "2", .low = 1,
	 .high = PARAMS_LAYERS_MAX, .also = "num-layers n-layers", .help = "recurrent layers"},
	{.letter = 'd', .name = "dropout", .argument = "P", .type = OPTION_REAL,
	 .effect = EFFECT_TUNES, .offset = AT(run.dropout.between), .initial = "0.5", .low = 0,
	 .high = 0.999, .also = "drop-prob",
	 .help = "probability with which a layer's output is dropped while training"},
	{.name = "dropout-output", .argument = "P", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.dropout.output), .low = 0, .high = 0.999,
	 .help = "that of the last layer, before the output layer, if it isn't --dropout's"},
	{.name = "dropout-input", .argument = "P", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.dropout.input), .initial = "0", .low = 0,
	 .high = 0.999,
	 .help = "probability with which a character of the input is hidden while training"},
	{.name = "auto-dropout", .type = OPTION_FLAG, .newer = true, .effect = EFFECT_SHAPES,
	 .offset = AT(auto_dropout), .initial = "no",
	 .help = "choose --dropout and --dropout-output, if they aren't given, by the number of passes "
		"over the training part, and of units"},
	{.letter = 'e', .name = "epochs", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_LIMITS, .offset = AT(epochs), .initial = "20", .low = 1,
	 .high = UINT32_MAX, .group = "end", .also = "num-epochs n-epochs max-epochs",
	 .help = "passes over the training part; the first of --epochs and --steps ends the run"},
	{.name = "steps", .argument = "N", .type = OPTION_INTEGER, .effect = EFFECT_LIMITS,
	 .offset = AT(steps), .low = 0, .high = UINT32_MAX, .group = "end",
	 .also = "max-steps num-steps max-iters iterations",
	 .help = "optimizer steps in all since initialisation; given alone it lifts the default of "
		"--epochs; 0 writes the initial model"},
	{.name = "time", .argument = "TIME", .type = OPTION_TIME, .newer = true,
	 .effect = EFFECT_LIMITS, .offset = AT(time), .low = 1, .high = 1e7, .group = "end",
	 .also = "max-time duration",
	 .help = "end the run in about TIME, as 90s, 10m or 1h30m: the steps that fit into it are "
		"counted before the first one; given alone it lifts the default of --epochs"},
	/* What was counted, for those that go on. */
	{.name = "time-steps", .argument = "N", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_LIMITS, .offset = AT(time_steps), .low = 1, .high = UINT32_MAX,
	 .group = "end", .command_line_only = true},
	{.letter = 'r', .name = "lr", .argument = "RATE", .type = OPTION_REAL,
	 .effect = EFFECT_TUNES, .offset = AT(run.schedule.rate), .initial = "0.001", .low = 0,
	 .open_low = true, .high = 1e3, .also = "learning-rate",
	 .help = "the learning rate, the highest where it varies"},
	{.name = "schedule", .argument = "KIND", .type = OPTION_CHOICE, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.schedule.kind), .initial = "constant",
	 .choices = schedule_names, .also = "lr-schedule lr-scheduler lr-decay",
	 .help = "how the learning rate falls from --lr to --min-lr"},
	{.name = "warmup", .argument = "STEPS", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.schedule.warmup), .initial = "0", .low = 0,
	 .high = UINT32_MAX, .also = "warmup-steps warmup-iters",
	 .help = "steps in which the learning rate rises to --lr first"},
	{.name = "min-lr", .argument = "RATE", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.schedule.least), .initial = "0", .low = 0,
	 .high = 1e3, .also = "eta-min min-learning-rate",
	 .help = "the learning rate that the schedule falls towards"},
	{.name = "horizon", .argument = "STEPS", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.schedule.horizon), .low = 1,
	 .high = UINT32_MAX, .also = "lr-decay-iters t-max",
	 .help = "the step at which the schedule ends (the run's last as it was begun); later ones "
		"have the same learning rate"},
	{.name = "optimizer", .argument = "NAME", .type = OPTION_CHOICE, .newer = true,
	 .effect = EFFECT_SHAPES, .offset = AT(run.optimizer), .initial = "adam",
	 .choices = run_optimizers, .also = "optim",
	 .help = "what turns gradients into updates; muon: Adam, but for the matrices between hidden "
		"units Muon"},
	{.name = "muon-every", .argument = "N", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.muon_every), .initial = "1", .low = 1,
	 .high = UINT32_MAX,
	 .help = "steps between two of Muon's directions, which cost the most of it"},
	{.name = "beta1", .argument = "SHARE", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.beta1), .initial = "0.9", .low = 0,
	 .high = 0.9999999, .also = "adam-beta1",
	 .help = "share that Adam's mean of the gradients keeps of itself at each step"},
	{.name = "beta2", .argument = "SHARE", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.beta2), .initial = "0.999", .low = 0,
	 .high = 0.9999999, .also = "adam-beta2",
	 .help = "share that Adam's mean of their squares keeps of itself at each step"},
	{.name = "weight-decay", .argument = "RATE", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.decay), .initial = "0", .low = 0,
	 .high = 1e3, .also = "wd",
	 .help = "how much each matrix loses of itself at each step, times the learning rate"},
	{.name = "average", .argument = "SHARE", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_SHAPES, .offset = AT(run.adam.average), .initial = "0", .low = 0,
	 .high = 1, .also = "ema ema-decay weight-average",
	 .help = "validate and write an average of the weights that keeps SHARE of itself at each "
		"step (1: a plain mean; 0: the weights themselves)"},
	{.name = "average-from", .argument = "STEP", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.average_from), .initial = "0", .low = 0,
	 .high = UINT32_MAX, .help = "the step after which the average begins"},
	{.name = "input-lr", .argument = "FACTOR", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.adam.input_rate), .initial = "1", .low = 0,
	 .high = 1e3,
	 .help = "multiplies the learning rate of the first layer's input weights"},
	{.name = "input-scale", .argument = "X", .type = OPTION_REAL, .newer = true,
	 .effect = EFFECT_SHAPES, .offset = AT(run.input_scale), .low = 0, .open_low = true,
	 .high = 1e3,
	 .help = "initial weights of the first layer's input are drawn from -X to X (as all others: "
		"1 over the square root of --hidden)"},
	{.name = "clip", .argument = "NORM", .type = OPTION_REAL, .effect = EFFECT_TUNES,
	 .offset = AT(run.adam.clip), .initial = "5", .low = 0, .high = 1e30,
	 .also = "grad-clip max-grad-norm",
	 .help = "largest norm of the gradient, to which a larger one is scaled down (0: any)"},
	{.letter = 's', .name = "seed", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(run.seed), .initial = "1", .low = 0,
	 .high = UINT32_MAX, .also = "random-seed",
	 .help = "what initial weights and dropout masks follow from"},
	{.name = "precision", .argument = "f32|bf16", .type = OPTION_CHOICE, .newer = true,
	 .effect = EFFECT_TUNES, .offset = AT(run.precision), .initial = "f32",
	 .choices = precision_choices, .also = "dtype amp mixed-precision",
	 .help = "round the factors of all products to bfloat16 (8 bits): twice as fast where the "
		"processor multiplies such numbers, less exact"},
	DEVICE_OPTIONS(struct values),
	{.letter = 'l', .name = "log", .argument = "FILE", .type = OPTION_TEXT,
	 .effect = EFFECT_NONE, .file = OPTION_FILE_WRITTEN, .offset = AT(log),
	 .help = "write a table of the run to FILE, one row a step"},
	{.name = "print-every", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_REMEMBERED, .offset = AT(print_every), .initial = "10", .low = 0,
	 .high = UINT32_MAX, .also = "print-interval log-interval",
	 .help = "steps between two lines on stderr, beside those of evaluations (0: only those)"},
	{.name = "eval-every", .argument = "N", .type = OPTION_INTEGER, .effect = EFFECT_TUNES,
	 .offset = AT(run.eval_every), .initial = "0", .low = 0, .high = UINT32_MAX,
	 .also = "eval-interval",
	 .help = "steps between two evaluations of the validation part (0: at each epoch's end); "
		"the last step is followed by one too"},
	{.name = "eval-batches", .argument = "N", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_SHAPES, .offset = AT(run.eval_batches), .initial = "0", .low = 0,
	 .high = UINT32_MAX, .also = "eval-iters",
	 .help = "batches, from the validation part's first on, that an evaluation takes (0: all)"},
	{.name = "keep", .argument = "best|last", .type = OPTION_CHOICE, .effect = EFFECT_SHAPES,
	 .offset = AT(run.keep), .initial = "best", .choices = keep_choices,
	 .help = "the model to be written: the best by validation loss, or the last"},
	{.name = "patience", .argument = "N", .type = OPTION_INTEGER, .effect = EFFECT_LIMITS,
	 .offset = AT(run.patience), .initial = "0", .low = 0, .high = UINT32_MAX,
	 .also = "early-stopping",
	 .help = "end the run after N evaluations without a better one (0: never)"},
	{.name = "on-nonfinite", .argument = "stop|skip", .type = OPTION_CHOICE,
	 .effect = EFFECT_LIMITS, .offset = AT(run.on_nonfinite), .initial = "stop",
	 .choices = nonfinite_choices,
	 .help = "what to do when a loss or gradient is not finite: end the run before the update, "
		"or drop that update and go on"},
	{.name = "checkpoint", .argument = "FILE", .type = OPTION_TEXT, .effect = EFFECT_NONE,
	 .file = OPTION_FILE_SAVED, .offset = AT(checkpoint),
	 .help = "save the run in FILE at each epoch's end and whenever the run ends"},
	{.name = "checkpoint-every", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_REMEMBERED, .offset = AT(checkpoint_every), .initial = "0", .low = 0,
	 .high = UINT32_MAX, .also = "save-every save-interval",
	 .help = "save it every N steps too (0: only then)"},
	{.name = "checkpoint-keep", .argument = "N", .type = OPTION_INTEGER, .newer = true,
	 .effect = EFFECT_REMEMBERED, .offset = AT(checkpoint_keep), .initial = "0", .low = 0,
	 .high = 100, .also = "save-total-limit keep-checkpoints",
	 .help = "keep the N saved before it too, as FILE.STEP (0: only the last one, as FILE~)"},
	{.name = "resume", .argument = "FILE", .type = OPTION_TEXT, .effect = EFFECT_NONE,
	 .file = OPTION_FILE_SAVED, .offset = AT(resume), .also = "continue",
	 .help = "continue the run saved in FILE, and go on saving it there"},
	{.name = "change", .type = OPTION_FLAG, .effect = EFFECT_STARTS, .offset = AT(change),
	 .command_line_only = true,
	 .help = "with --resume: from here on the run has the values given now, of options that "
		"may change"},
	{.name = "init", .argument = "MODEL", .type = OPTION_TEXT, .effect = EFFECT_STARTS,
	 .file = OPTION_FILE_READ, .offset = AT(init), .also = "init-from pretrained",
	 .help = "start from the weights, dimensions, dropout and vocabulary of MODEL"},
	{.name = "new-symbols", .type = OPTION_FLAG, .effect = EFFECT_STARTS,
	 .offset = AT(run.new_symbols),
	 .help = "give the model of --init the symbols of the shards that it lacks"},
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

/* The shards are cut before. */
static const struct option_elsewhere elsewhere[] = {
	{"rows batch-size", "batchify --rows"},
	{"window seq-length seq-len sequence-length block-size bptt", "batchify --window"},
	{"val val-frac validation-split", "batchify --val"},
	{0},
};

/* Between a checkpoint that couldn't be saved and the next attempt, if none is due before. */
static const double retry_seconds = 60;

/* Everything that is open while the tool runs. */
struct train {
	struct tool *tool;
	struct values *values;
	struct device *device;
	struct input in;
	struct shards shards;
	struct settings settings;
	struct run run;
	struct log log;
	struct checkpoint checkpoint;
	struct output out;
	double started;  /* tool_seconds() of the program, and */
	uint64_t first;  /* the step that it began after */
	double began;    /* of the first step */
	uint64_t last;   /* the step that ends the run */
	double val_loss; /* of the last weights, if they were evaluated, else NAN */
	bool unlogged;   /* rows of the log couldn't be written so far, which has been told */
	double retry_at; /* when a checkpoint that couldn't be saved is tried again; 0: none waits
			  */
};

/* --- before ---------------------------------------------------------------------------------- */

static bool is_stdin(const char *path)
{
	return !path || strcmp(path, "-") == 0;
}

/* A run that goes on does without what its recipe says of its beginning. */
static void forget_beginning(struct options *options)
{
	if (!options_typed(options, "resume"))
		return;
	options_forget(options, "init");
	options_forget(options, "new-symbols");
}

static int check_options(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct values *values = tool->values;
	forget_beginning(&tool->options);
	/* Launchers have a terminal between a program and what it writes to. */
	if (values->team.group)
		values->common.force = true;
	if (argc > 1)
		return error_set(
			err, STATUS_USAGE, "one file of shards expected, not also %s", argv[1]);
	if (values->resume && values->init)
		return error_set(err, STATUS_USAGE, "--resume and --init: a run has one beginning");
	if (values->resume && values->checkpoint && strcmp(values->resume, values->checkpoint) != 0)
		return error_set(err, STATUS_USAGE,
			"--resume %s implies --checkpoint %s: another one can't be given",
			values->resume, values->resume);
	if (values->change && !values->resume)
		return error_set(err, STATUS_USAGE,
			"--change: only a run that --resume goes on with can be changed");
	if (values->run.new_symbols && !values->init)
		return error_set(err, STATUS_USAGE,
			"--new-symbols: only a model that --init starts from can get some");
	if (values->init && is_stdin(values->init) && is_stdin(argc ? argv[0] : NULL))
		return error_set(err, STATUS_USAGE,
			"standard input can't be both --init's model and the shards");
	if (values->log && strcmp(values->log, "-") == 0 && is_stdin(values->common.output))
		return error_set(err, STATUS_USAGE,
			"standard output can't take both the model and the log; give -o FILE");
	if (values->resume)
		values->checkpoint = values->resume;
	return 0;
}

/* A run that starts from a model drops what that did, unless --dropout is given. */
static int take_dropout(
	struct options *options, const struct model_file *from, const char *path, struct error *err)
{
	static const char *const names[] = {"dropout", "dropout-output", "dropout-input"};
	for (size_t i = 0; i < sizeof names / sizeof *names && !options_given(options, *names);
		i++) {
		const json_t *said = json_object_get(from->training, names[i]);
		bool known = i == 0 ? from->has_dropout : json_is_number(said);
		char text[SHOW_REAL];
		show_real(i == 0 ? from->dropout : json_number_value(said), text);
		if (known && options_set(options, options_find(options, names[i]), text,
				     SOURCE_MODEL, path, err) < 0)
			return -1;
	}
	return 0;
}

/* The network's dimensions are the initial model's; the command line may say so too, but nothing
 * else, and what a configuration says of them is for runs from nothing. Its dropout is the model's,
 * unless another is given, or is to be chosen. */
static int take_dimensions(struct tool *tool, const struct model_file *from, struct error *err)
{
	const struct params *params = &from->params;
	struct {
		const char *name;
		char value[32];
	} dimensions[] = {{.name = "cell"}, {.name = "hidden"}, {.name = "layers"}};
	const char *path = ((const struct values *)tool->values)->init;
	snprintf(dimensions[0].value, sizeof dimensions->value, "%s", cell_name(params->cell));
	snprintf(dimensions[1].value, sizeof dimensions->value, "%" PRIu32, params->hidden);
	snprintf(dimensions[2].value, sizeof dimensions->value, "%" PRIu32, params->layers);
	for (size_t i = 0; i < sizeof dimensions / sizeof *dimensions; i++) {
		const struct option *option = options_find(&tool->options, dimensions[i].name);
		const char *value = dimensions[i].value;
		char given[32];
		options_format(&tool->options, option, given, sizeof given);
		if (options_typed(&tool->options, option->name) && strcmp(given, value) != 0)
			return error_set(err, STATUS_USAGE, "--%s %s: %s has --%s %s", option->name,
				given, path, option->name, value);
		options_forget(&tool->options, option->name);
		if (options_set(&tool->options, option, value, SOURCE_MODEL, path, err) < 0)
			return -1;
	}
	return ((const struct values *)tool->values)->auto_dropout
		       ? 0
		       : take_dropout(&tool->options, from, path, err);
}

/* What the table can't say, once the options are those of the run. */
static int settle(struct tool *tool, struct error *err)
{
	struct run_options *run = &((struct values *)tool->values)->run;
	if (run->schedule.least > run->schedule.rate)
		return error_set(err, STATUS_USAGE, "--min-lr %g: above --lr %g",
			run->schedule.least, run->schedule.rate);
	if (!options_has(&tool->options, "dropout-output"))
		run->dropout.output = run->dropout.between;
	run->adam.epsilon = adam_defaults.epsilon;
	run->adam.muon = run->optimizer == RUN_OPTIMIZER_MUON;
	return 0;
}

/* A run that is given its own --time again goes on to the step that this was found to be. */
static int keep_time(struct tool *tool, const json_t *checkpoint, struct error *err)
{
	const json_t *values = json_object_get(checkpoint, "options");
	const char *time = json_string_value(json_object_get(values, "time"));
	const char *steps = json_string_value(json_object_get(values, "time-steps"));
	char given[32];
	options_format(&tool->options, options_find(&tool->options, "time"), given, sizeof given);
	if (!options_given(&tool->options, "time") || !time || !steps || strcmp(time, given) != 0)
		return 0;
	return options_set(&tool->options, options_find(&tool->options, "time-steps"), steps,
		SOURCE_CHECKPOINT, "the checkpoint's --time-steps", err);
}

/* Reads what the run starts from or goes on from, if it does. Afterwards the options are those of
 * the run. */
static int read_beginning(
	struct tool *tool, struct settings *settings, struct model_file *from, struct error *err)
{
	const struct values *values = tool->values;
	const char *path = values->resume ? values->resume : values->init;
	*settings = (struct settings){.options = &tool->options};
	if (path && network_read(from, path, err) < 0)
		return -1;
	if (values->init && take_dimensions(tool, from, err) < 0)
		return -1;
	if (values->resume &&
		(keep_time(tool, from->checkpoint, err) < 0 ||
			settings_restore(settings, from->checkpoint, values->change, err) < 0))
		return error_prefix(err, "%s: ", path);
	return settle(tool, err);
}

static int set_last_step(struct train *t, struct error *err)
{
	const struct options *options = &t->tool->options;
	uint64_t epoch = run_epoch_steps(&t->run);
	t->last = options_has(options, "steps") ? t->values->steps : UINT32_MAX;
	if (options_has(options, "time-steps") && t->values->time_steps < t->last)
		t->last = t->values->time_steps;
	if (!options_has(options, "epochs"))
		return 0;
	if (t->values->epochs > UINT32_MAX / epoch)
		return error_set(err, STATUS_USAGE,
			"--epochs %" PRIu64 ": more than %" PRIu32 " steps; give --steps",
			t->values->epochs, UINT32_MAX);
	uint64_t end = t->values->epochs * epoch;
	t->last = end < t->last ? end : t->last;
	return 0;
}

/* Finds out how long a step takes by some that count for nothing. */
static int measure(
	struct train *t, struct pace *pace, const struct model_file *from, struct error *err)
{
	const double share = 0.03, most = 15;
	const double seconds = fmin(share * (double)t->values->time, most);
	if (pace_measure(pace, &t->run, seconds, err) < 0)
		return -1;
	return run_reset(&t->run, from, err);
}

static int derive_steps(struct train *t, const char *name, uint64_t steps, struct error *err)
{
	char text[32];
	snprintf(text, sizeof text, "%" PRIu64, steps);
	return settings_derive(&t->settings, name, text, t->first, err);
}

static int derive_share(struct train *t, const char *name, double share, struct error *err)
{
	char text[SHOW_REAL];
	return settings_derive(&t->settings, name, show_real(share, text), t->first, err);
}

/* The step that --time ends the run with is then part of the run, whatever the clock says. */
static int set_time_steps(struct train *t, const struct pace *pace, struct error *err)
{
	const double kept_back = 0.02; /* for what was not measured */
	const double left = (double)t->values->time * (1 - kept_back);
	uint64_t last = pace_last_step(pace, &t->run, left - (tool_seconds() - t->started));
	tool_note(t->tool,
		"--time %" PRIu64
		"s: a step takes %.3g s, an evaluation %.3g s; the run ends after step "
		"%" PRIu64 " at the latest",
		t->values->time, pace->step, pace->evaluation, last);
	return derive_steps(t, "time-steps", last, err);
}

/* A schedule ends where the run does, unless it was told or that is the past: later it is where it
 * was. */
static int set_horizon(struct train *t, struct error *err)
{
	const struct schedule *schedule = &t->values->run.schedule;
	if (schedule->kind == SCHEDULE_CONSTANT || t->first >= t->last ||
		options_has(&t->tool->options, "horizon"))
		return 0;
	return derive_steps(t, "horizon", t->last, err);
}

/* What the run drops where that isn't said: the longer it is, the more. */
static int set_dropout(struct train *t, struct error *err)
{
	const double passes = (double)t->last / (double)run_epoch_steps(&t->run);
	const struct model_dropout chosen = run_dropout(passes, t->run.model.params.hidden);
	struct model_dropout *dropout = &t->values->run.dropout;
	if (!t->values->auto_dropout || t->first > 0)
		return 0;
	if (!options_given(&t->tool->options, "dropout") &&
		(derive_share(t, "dropout", chosen.between, err) < 0 ||
			derive_share(t, "dropout-output", chosen.output, err) < 0))
		return -1;
	tool_note(t->tool,
		"--auto-dropout, as the text is seen %.3g times: --dropout %.3g "
		"--dropout-output %.3g",
		passes, dropout->between, dropout->output);
	t->run.model.dropout = *dropout;
	return 0;
}

/* A schedule that never falls, or has done so, is rarely meant. */
static void tell_schedule(const struct train *t)
{
	const struct schedule *schedule = &t->values->run.schedule;
	if (schedule->kind == SCHEDULE_CONSTANT || t->first >= t->last)
		return;
	if (schedule->warmup >= schedule->horizon)
		tool_note(t->tool,
			"--warmup %" PRIu64 " is no shorter than the schedule of %" PRIu64
			" steps: the learning rate never falls",
			schedule->warmup, schedule->horizon);
	else if (t->first >= schedule->horizon)
		tool_note(t->tool,
			"the schedule ended at step %" PRIu64 ": the learning rate stays %.3g",
			schedule->horizon, schedule_rate(schedule, t->last));
}

/* 3366483 as 3,366,483. */
static const char *grouped(uint64_t n, char buf[32])
{
	char digits[24];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, n), used = 0;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

/* What --change has just changed. */
static void tell_changes(const struct train *t)
{
	const size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
	size_t i;
	json_t *change;
	json_array_foreach(t->settings.changes, i, change)
	{
		if ((uint64_t)json_integer_value(json_object_get(change, "step")) != t->first)
			continue;
		char *from = json_dumps(json_object_get(change, "from"), flags);
		char *to = json_dumps(json_object_get(change, "to"), flags);
		tool_note(t->tool, "changed from step %" PRIu64 " on: --%s %s (before: %s)",
			t->first + 1, json_string_value(json_object_get(change, "option")),
			to ? to : "?", from ? from : "?");
		free(from);
		free(to);
	}
}

/* Options that were given and do nothing in this run. */
static void tell_idle(const struct train *t)
{
	const bool validated = run_has_validation(&t->run);
	const struct run_options *run = &t->values->run;
	const bool scheduled = run->schedule.kind != SCHEDULE_CONSTANT;
	const struct {
		const char *name, *without;
		bool works;
	} options[] = {
		{"patience", "validation data", validated},
		{"eval-every", "validation data", validated},
		{"eval-batches", "validation data", validated},
		{"checkpoint-every", "--checkpoint", t->checkpoint.path},
		{"checkpoint-keep", "--checkpoint", t->checkpoint.path},
		{"min-lr", "--schedule", scheduled},
		{"horizon", "--schedule", scheduled},
		{"muon-every", "--optimizer muon", run->adam.muon},
		{"average-from", "--average", run->adam.average > 0},
		{"input-scale", "initial weights of its own", !t->values->init || t->run.added},
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (!options[i].works && options_given(&t->tool->options, options[i].name))
			tool_note(t->tool, "--%s does nothing without %s", options[i].name,
				options[i].without);
}

static void describe(const struct train *t)
{
	const struct shards_header *data = &t->shards.header;
	const struct params *params = &t->run.model.params;
	char size[32], names[160], validation[96] = "no validation batches";
	device_tell(t->tool, t->device);
	tool_note(t->tool,
		"network: %" PRIu32 " x %" PRIu32 " %s, %" PRIu32 " symbols, %s parameters",
		params->layers, params->hidden, params->cell->title, params->vocab,
		grouped(params->parameters, size));
	if (t->run.added > 0)
		tool_note(t->tool, "new symbols: %" PRIu32 ", which the model didn't know: %s",
			t->run.added,
			vocab_names(
				&t->run.vocab, params->vocab - t->run.added, names, sizeof names));
	if (run_has_validation(&t->run))
		snprintf(validation, sizeof validation,
			"%" PRIu64 " validation batches of %" PRIu32 " x %" PRIu32,
			data->batches[SHARDS_VALIDATION], data->rows[SHARDS_VALIDATION],
			data->window);
	tool_note(t->tool, "data: %" PRIu64 " training batches of %" PRIu32 " x %" PRIu32 ", %s",
		data->batches[SHARDS_TRAIN], data->rows[SHARDS_TRAIN], data->window, validation);
	if (!run_has_validation(&t->run) && t->values->run.keep == RUN_KEEP_BEST)
		tool_note(t->tool,
			"no validation part to choose the best model by: the last one is kept");
	if (t->checkpoint.path && !t->values->resume && access(t->checkpoint.target, F_OK) == 0)
		tool_note(t->tool, "%s exists and will be replaced; --resume would continue it",
			t->checkpoint.path);
	if (t->values->resume)
		tool_note(t->tool, "resumed after step %" PRIu64, t->first);
	tell_idle(t);
	tell_changes(t);
	tell_schedule(t);
	if (t->values->resume && (t->first >= t->last || run_stale(&t->run)))
		tool_note(t->tool, "nothing is left to do: %s; the model is written again",
			run_stale(&t->run) ? "--patience has run out"
					   : "--epochs, --steps or --time is reached");
}

/* The bytes that a run of these shards takes: of the host's memory, and of a device's own. */
struct demand {
	uint64_t host, apart;
};

static int count_demand(const struct values *values, const struct shards_header *data,
	struct device *device, struct demand *demand, struct error *err)
{
	enum { PROGRAM_BYTES = 7 << 20 }; /* the program, its libraries, and their buffers */
	struct counter counter;
	struct run run = {0};
	counter_init(&counter, device);
	int rc = run_make(&run, &values->run, data, &counter.device, values->team.group,
		data->vocab.size, err);
	if (rc == 0 && values->checkpoint)
		rc = checkpoint_room(&run, err);
	demand->host = PROGRAM_BYTES + counter.host_most + (device->apart ? 0 : counter.most);
	demand->apart = device->apart ? counter.most : 0;
	run_release(&run);
	return rc;
}

/* What a header asks for is told before it is taken, where it is more than there is. */
static int announce_demand(const struct train *t, struct error *err)
{
	const struct shards_header *data = &t->shards.header;
	const uint64_t available = memory_available();
	struct demand demand;
	char wanted[32], left[32];
	if (count_demand(t->values, data, t->device, &demand, err) < 0)
		return -1;
	if (demand.host > available)
		tool_note(t->tool,
			"memory: about %s bytes for batches of %" PRIu32 " x %" PRIu32
			", and %s are available; a smaller --hidden, or fewer rows or a shorter "
			"window of batchify, take less",
			grouped(demand.host, wanted), data->rows[SHARDS_TRAIN], data->window,
			grouped(available, left));
	return 0;
}

/* Only the CPU rounds factors to bfloat16. */
static struct device *open_device(
	const struct tool *tool, const struct values *values, struct error *err)
{
	struct device_options chosen = team_device(&values->team, &values->device);
	if (chosen.device == DEVICE_AUTO && values->run.precision == RUN_PRECISION_BF16)
		chosen.device = DEVICE_CPU;
	return device_open(tool, &chosen, err);
}

/* For --print-config: the memory that the run would take, which the header of named shards decides.
 */
static int foresee(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct values *values = tool->values;
	struct input in = {.fd = -1};
	struct shards shards = {0};
	struct settings settings = {0};
	struct model_file from = {0};
	struct demand demand;
	struct device *device = NULL;
	char bytes[32], more[64] = "", gpu[32];
	int rc = -1;
	if (check_options(tool, argc, argv, err) < 0)
		return -1;
	if (read_beginning(tool, &settings, &from, err) < 0)
		goto out;
	if (is_stdin(argc ? argv[0] : NULL)) {
		rc = 0;
		goto out;
	}
	device = open_device(tool, values, err);
	if (!device)
		goto out;
	if (input_open(&in, argv[0], INPUT_GUNZIP, err) < 0 || shards_open(&shards, &in, err) < 0 ||
		count_demand(values, &shards.header, device, &demand, err) < 0)
		goto out;
	if (device->apart)
		snprintf(more, sizeof more, " and %s on the GPU", grouped(demand.apart, gpu));
	snprintf(tool->forecast, sizeof tool->forecast,
		"memory: about %s bytes%s, for %" PRIu32 " symbols and batches of %" PRIu32
		" x %" PRIu32,
		grouped(demand.host, bytes), more, shards.header.vocab.size,
		shards.header.rows[SHARDS_TRAIN], shards.header.window);
	rc = 0;
out:
	model_file_release(&from);
	settings_release(&settings);
	shards_close(&shards);
	input_close(&in);
	if (device)
		device->ops->release(device);
	return rc;
}

/* Outputs first, so that one that can't be written fails at once; then everything there is to
 * read. */
static int open_all(struct train *t, const char *path, struct error *err)
{
	struct values *values = t->values;
	struct model_file from = {0};
	const char *begun = values->resume ? values->resume : values->init;
	struct pace pace;
	bool timed;
	uint64_t log_bytes = 0;
	uint32_t log_crc = 0;
	int rc = -1;
	if (tool_output(t->tool, &t->out, true, err) < 0)
		return -1;
	if (checkpoint_open(&t->checkpoint, values->checkpoint, values->resume, err) < 0)
		return -1;
	if (log_open(&t->log, values->log, err) < 0)
		return -1;
	if (read_beginning(t->tool, &t->settings, &from, err) < 0)
		goto out;
	t->device = open_device(t->tool, values, err);
	if (!t->device)
		goto out;
	if (input_open(&t->in, path, INPUT_GUNZIP, err) < 0 ||
		shards_open(&t->shards, &t->in, err) < 0)
		goto out;
	if (values->resume && checkpoint_check_data(&from, &t->shards, err) < 0) {
		error_prefix(err, "%s: ", begun);
		goto out;
	}
	if (announce_demand(t, err) < 0)
		goto out;
	if (run_init(&t->run, &values->run, &t->settings, &t->shards, t->device, values->team.group,
		    begun ? &from : NULL, err) < 0) {
		if (begun && err->status == STATUS_DATA)
			error_prefix(err, "%s: ", begun);
		goto out;
	}
	if (team_begin(&values->team, t->tool, &t->run, &values->device, err) < 0)
		goto out;
	timed = options_given(&t->tool->options, "time") &&
		!options_has(&t->tool->options, "time-steps");
	if (timed && measure(t, &pace, begun ? &from : NULL, err) < 0)
		goto out;
	if (values->resume &&
		checkpoint_restore(&t->checkpoint, &from, &t->run, &log_bytes, &log_crc, err) < 0) {
		error_prefix(err, "%s: ", begun);
		goto out;
	}
	t->checkpoint.keep = values->checkpoint_keep;
	t->first = run_steps(&t->run);
	if (timed && set_time_steps(t, &pace, err) < 0)
		goto out;
	if (set_last_step(t, err) < 0 || set_horizon(t, err) < 0 || set_dropout(t, err) < 0 ||
		run_share(&t->run, err) < 0)
		goto out;
	rc = log_begin(&t->log, values->resume, log_bytes, log_crc, err);
out:
	model_file_release(&from);
	return rc;
}

static void close_all(struct train *t)
{
	struct error ignored;
	run_release(&t->run);
	settings_release(&t->settings);
	shards_close(&t->shards);
	input_close(&t->in);
	if (t->device)
		t->device->ops->release(t->device);
	log_close(&t->log, &ignored);
	checkpoint_close(&t->checkpoint);
	output_discard(&t->out);
}

/* --- while it runs --------------------------------------------------------------------------- */

static void report(const struct train *t, const struct log_row *row)
{
	uint64_t epoch = run_epoch_steps(&t->run);
	uint64_t epochs = (t->last + epoch - 1) / epoch;
	if (isfinite(row->val_loss))
		tool_line(t->tool,
			"Epoch: %" PRIu64 "/%" PRIu64 "... Step: %" PRIu64
			"... Loss: %.4f... Val Loss: %.4f",
			row->epoch, epochs, row->step, row->loss, row->val_loss);
	else
		tool_line(t->tool,
			"Epoch: %" PRIu64 "/%" PRIu64 "... Step: %" PRIu64 "... Loss: %.4f...",
			row->epoch, epochs, row->step, row->loss);
}

static void show_progress(const struct train *t, const struct log_row *row)
{
	uint64_t done = row->step - t->first, left = t->last - row->step;
	double per_step = row->seconds / (double)done;
	uint64_t seconds = (uint64_t)(per_step * (double)left + 0.5);
	char rate[32];
	tool_progress(t->tool,
		"step %" PRIu64 "/%" PRIu64 "  loss %.4f  %s characters/s  %" PRIu64
		":%02u:%02u left",
		row->step, t->last, row->loss,
		grouped((uint64_t)((double)run_batch_characters(&t->run) / per_step), rate),
		seconds / 3600, (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
}

static int numeric_failure(const struct train *t, struct error *err)
{
	struct error cause = *err;
	if (cause.status != STATUS_NUMERIC || (!t->checkpoint.saved && t->first == 0))
		return -1;
	return error_set(err, cause.status, "%s; the last good checkpoint, %s, is of step %" PRIu64,
		cause.text, t->checkpoint.path, t->checkpoint.step);
}

static int save(struct train *t, struct error *err)
{
	int rc = checkpoint_save(&t->checkpoint, &t->run, &t->log, err);
	if (t->checkpoint.unkept.status != STATUS_OK)
		tool_warning(t->tool, "%s", t->checkpoint.unkept.text);
	return rc;
}

/* A save that fails must not end a run of hours: a later one may find room again. Numbers that are no
 * longer finite won't be again. */
static int save_on_the_way(struct train *t, struct error *err)
{
	t->retry_at = 0;
	if (save(t, err) == 0)
		return 0;
	if (err->status == STATUS_NUMERIC)
		return numeric_failure(t, err);
	t->retry_at = tool_seconds() + retry_seconds;
	tool_warning(
		t->tool, "%s; the run goes on, and the checkpoint is tried again later", err->text);
	return 0;
}

static bool checkpoint_due(const struct train *t)
{
	uint64_t step = run_steps(&t->run), every = t->values->checkpoint_every;
	bool asked = signals_save();
	if (!t->checkpoint.path) {
		if (asked)
			tool_note(t->tool, "SIGUSR1: there is no --checkpoint to save to");
		return false;
	}
	return asked || step % run_epoch_steps(&t->run) == 0 || (every && step % every == 0) ||
	       (t->retry_at > 0 && tool_seconds() >= t->retry_at);
}

/* A row that can't be written must not end it either: the log has it wait. */
static void log_or_warn(struct train *t, const struct log_row *row)
{
	struct error err;
	bool written = log_append(&t->log, row, &err) == 0;
	if (!written && !t->unlogged)
		tool_warning(t->tool, "%s; the run goes on%s", err.text,
			t->log.lost ? " without its log" : ", and the rows are tried again later");
	t->unlogged = !written;
}

/* One step and what goes with it: evaluation, log, lines. */
static int advance(struct train *t, struct error *err)
{
	struct run *run = &t->run;
	struct log_row row = {.lr = run_rate(run), .val_loss = NAN};
	double start = tool_seconds();
	uint64_t skipped = run->skipped;
	if (run_step(run, &row.loss, &row.grad_norm, err) < 0)
		return numeric_failure(t, err);
	if (run->skipped > skipped) {
		row.lr = NAN;
		tool_note(t->tool,
			"step %" PRIu64 ": the loss is %g and the gradient's norm %g: no update "
			"(%" PRIu64 " of %" PRIu64 " steps so far made none)",
			run_steps(run), row.loss, row.grad_norm, run->skipped, run_steps(run));
	}
	row.chars_per_s = (double)run_batch_characters(run) / (tool_seconds() - start);
	row.step = run_steps(run);
	row.epoch = (row.step - 1) / run_epoch_steps(run) + 1;
	row.tokens = row.step * run_batch_characters(run);
	bool due = run_evaluation_due(run);
	if (due || (row.step == t->last && run_has_validation(run))) {
		if (run_validate(run, &row.val_loss, err) < 0)
			return -1;
		if (due && run_evaluated(run, row.val_loss, err) < 0)
			return -1;
	}
	t->val_loss = row.val_loss;
	row.seconds = tool_seconds() - t->began;
	log_or_warn(t, &row);
	uint64_t every = t->values->print_every;
	if (isfinite(row.val_loss) || row.step == t->last || (every && row.step % every == 0))
		report(t, &row);
	show_progress(t, &row);
	return 0;
}

/* Why a run ended that neither --steps nor --epochs ended. */
static void tell_early_end(const struct train *t)
{
	const struct run *run = &t->run;
	if (run_steps(run) == t->first || run_steps(run) == t->last || !run_stale(run))
		return;
	tool_note(t->tool,
		"stopped early after step %" PRIu64 ": %" PRIu64 " evaluations were no better than "
		"that of step %" PRIu64 ", %.4f (--patience %" PRIu64 ")",
		run_steps(run), run->stale, run->best.step, run->best.loss, run->options->patience);
}

static int loop(struct train *t, struct error *err)
{
	t->began = tool_seconds();
	t->val_loss = NAN;
	while (run_steps(&t->run) < t->last && !run_stale(&t->run) && !signals_stop()) {
		if (advance(t, err) < 0)
			return -1;
		if (checkpoint_due(t) && save_on_the_way(t, err) < 0)
			return -1;
		signals_await_stop();
	}
	tool_progress_end(t->tool);
	tell_early_end(t);
	return 0;
}

/* --- after ----------------------------------------------------------------------------------- */

/* The last weights of a run that ends off the schedule are evaluated for the choice of the result
 * alone: the checkpoint knows nothing of it, so that a run that goes on from there chooses as if it
 * had never stopped. */
static int finish(struct train *t, struct error *err)
{
	struct run *run = &t->run;
	uint64_t step = run_steps(run);
	struct error unsaved = {.status = STATUS_OK}, unlogged = {.status = STATUS_OK};
	if (t->checkpoint.path && !(t->checkpoint.saved && t->checkpoint.step == step) &&
		save(t, &unsaved) < 0 && unsaved.status == STATUS_NUMERIC) {
		*err = unsaved;
		return numeric_failure(t, err);
	}
	if (unsaved.status != STATUS_OK)
		tool_warning(t->tool, "%s; the model is written all the same", unsaved.text);
	if (log_close(&t->log, &unlogged) < 0)
		tool_warning(t->tool, "%s; the model is written all the same", unlogged.text);
	if (run->best.weights && step > 0 && !run_evaluation_due(run) && !isfinite(t->val_loss) &&
		!run_stale(run) && !signals_stop() && run_validate(run, &t->val_loss, err) < 0)
		return -1;
	if (run_write(run, t->val_loss, &t->out, &step, err) < 0)
		return -1;
	if (output_commit(&t->out, err) < 0)
		return -1;
	tool_detail(t->tool, "wrote the model of step %" PRIu64, step);
	if (unsaved.status != STATUS_OK)
		return error_set(err, STATUS_IO, "the run's last checkpoint was not saved: %s",
			unsaved.text);
	/* Of a reader that went away the signal tells. */
	if (unlogged.status != STATUS_OK && signals_stop() != SIGPIPE)
		return error_set(err, STATUS_IO, "the log is not complete: %s", unlogged.text);
	return 0;
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct values *values = tool->values;
	struct train t = {.tool = tool,
		.values = values,
		.log.fd = -1,
		.checkpoint.lock = -1,
		.in.fd = -1,
		.started = tool_seconds()};
	int rc = -1;
	if (check_options(tool, argc, argv, err) < 0)
		return -1;
	if (open_all(&t, argc ? argv[0] : NULL, err) < 0)
		goto out;
	describe(&t);
	signals_catch();
	if (values->team.group)
		signals_catch_warning();
	if (loop(&t, err) < 0)
		goto out;
	rc = finish(&t, err);
out:
	tool_progress_end(tool);
	values->team.adrift = values->team.adrift || t.run.adrift;
	bool died = signals_stop() && (rc == 0 || (t.out.failed && signals_stop() == SIGPIPE));
	close_all(&t);
	if (died) {
		team_end(&values->team, STATUS_IO);
		signals_die(signals_stop());
	}
	return rc;
}

static int join(struct tool *tool, bool *done, struct error *err)
{
	struct values *values = tool->values;
	return team_join(&values->team, tool, done, err);
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "train",
		.synopsis = "[OPTION...] [SHARDS]",
		.summary =
			"Reads shards, trains a character-level network on them, writes the best "
			"model.",
		.table = table,
		.elsewhere = elsewhere,
		.values = &values,
		.run = run,
		.foresee = foresee,
		.join = join,
	};
	int status = tool_main(&tool, argc, argv);
	team_end(&values.team, status);
	return status;
}

/* settings.h: a run's options as its files tell them, and how they changed on its way.
 *
 * Which options those are stands in the table of options (enum option_effect): a checkpoint saves
 * all that a run goes on with, a model's metadata those that shaped its weights. */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H

#include "base/error.h"
#include "base/option.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct settings {
	struct options *options; /* not owned */
	/* What --change did to the run, in the order of its steps, as `changes` of a checkpoint
	 * (formats/model.md); NULL: nothing. Owned. */
	json_t *changes;
};

void settings_release(struct settings *settings);

/* As `options` of a checkpoint: object of strings. NULL without memory. */
json_t *settings_save(const struct settings *settings);

/* Sets the options to what a checkpoint says. An option that it lacks, as it was written before
 * there was one, has its default. What shapes the run can't be given otherwise, status 64, unless
 * `change` allows it and it may change on the way (EFFECT_TUNES): that is taken down. What limits
 * it, or is only remembered, yields to what is given. 65: an option that is not in the table, or a
 * value that it can't have. */
int settings_restore(
	struct settings *settings, const json_t *checkpoint, bool change, struct error *err);

/* Sets an option that has no value to what follows from the others and the data, for this run and
 * for those that go on with it; after the first step that is a change of the run. */
int settings_derive(struct settings *settings, const char *name, const char *value, uint64_t step,
	struct error *err);

/* What shaped the weights of that step, as `training` of a model: each option of EFFECT_SHAPES and
 * EFFECT_TUNES as it was then, and the changes before. NULL without memory. */
json_t *settings_training(const struct settings *settings, uint64_t step);

#endif

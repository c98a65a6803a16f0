/* door.h: what the files behind charpipe.h share. */
#ifndef DOOR_DOOR_H
#define DOOR_DOOR_H

#include "base/error.h"
#include "door/charpipe.h"
#include "formats/model_file.h"
#include "formats/plan.h"
#include "formats/shards.h"
#include "nn/adam.h"
#include "nn/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DOOR_WINDOW = 128 /* characters that a state reads at once */
};

struct charpipe_model {
	unsigned users; /* the caller, states, a trainer */
	struct device *device;
	struct model_file file; /* as it was read, but for what only a checkpoint has */
	/* The weights are newest in the trainer where `behind`, else in `file`; `net`, for inference
	 * on one row, has them where `ready`. */
	struct model net;
	bool ready, behind;
	struct charpipe_trainer *trainer; /* not owned */
};

struct charpipe_data {
	unsigned users;                     /* the caller, trainers */
	const struct shards_header *header; /* that of `shards`, or `own` */
	/* Shards from a file: */
	struct input in;
	struct shards shards;
	/* Those of a text: */
	struct shards_header own;
	struct plan_part parts[SHARDS_SPLITS];
	uint32_t *ids;
};

/* Fills in what the caller sees of an error, and returns -1. */
int door_error(struct charpipe_error *error, const struct error *err);

/* Takes the caller's options, which begin with their size and may be NULL, over the defaults in
 * `to`, `bytes` bytes. Options that only a later library knows are an error (64) unless they are
 * zero. */
int door_options(void *to, size_t bytes, const void *from, struct error *err);

/* Brings model->file, or also model->net, up to date with the training. */
int door_model_collect(struct charpipe_model *model, struct error *err);
int door_model_ready(struct charpipe_model *model, struct error *err);

/* Gives up what was held in common; the last one to do so frees it. */
void door_model_leave(struct charpipe_model *model);
void door_data_leave(struct charpipe_data *data);

/* Text to ids, of which there is room for `bytes`. */
int door_encode(const struct vocab *vocab, const char *text, size_t bytes, uint32_t *ids,
	size_t *count, struct error *err);
/* The model's vocabulary, where it has one. NULL on failure. */
const struct vocab *door_vocab(const struct charpipe_model *model, struct error *err);

/* Batch k of a part, as shards_read(). */
int door_data_read(struct charpipe_data *data, enum shards_split split, uint64_t k, uint32_t *batch,
	struct error *err);

/* Copies the trainer's weights into the arena, and tells what shaped them in `file`. */
int door_trainer_collect(
	struct charpipe_trainer *trainer, struct model_file *file, struct error *err);

#endif

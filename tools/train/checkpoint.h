/* checkpoint.h: a run in a file, from which it continues as if nothing had happened.
 *
 * A checkpoint is a model file (formats/model.md) of the current weights, with the rest of the run
 * beside them. It is replaced as a whole, the one before stays as FILE~, and FILE.lock keeps a
 * second trainer away while the run lasts. Those before it may be kept as FILE.STEP. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "base/error.h"
#include "formats/model_file.h"
#include "tools/train/log.h"
#include "tools/train/run.h"

struct checkpoint {
	const char *path; /* as the user gave it; NULL: none is kept; not owned */
	char *target;     /* the file itself, links followed; owned */
	char *previous;   /* target~; owned */
	char *lock_name;  /* target.lock; owned */
	int lock;         /* descriptor whose lock dies with this process; -1: none */
	bool saved;       /* this process has saved one */
	bool own;         /* what stands there is of this run: saved, or resumed from */
	uint64_t step;    /* of the last one saved or resumed from */
	uint64_t keep;    /* how many before it get a name of their own; the user's to set */
	json_t *kept;     /* which those are: `kept` of formats/model.md; NULL: none; owned */
	/* Why the one before the last that was saved did not get its own; STATUS_OK: it did. */
	struct error unkept;
};

/* Makes sure that the checkpoint can be written, and locks it. `resume`: the file must exist.
 * Status 66, 73, or 75 where another run holds the lock. */
int checkpoint_open(
	struct checkpoint *checkpoint, const char *path, bool resume, struct error *err);
void checkpoint_close(struct checkpoint *checkpoint);

/* Saves the run, durably; the checkpoint saved before is left alone if that fails. With `keep`, that
 * one gets its own name first, and in the end the oldest of these are removed, if they are still the
 * files that this run has written. */
int checkpoint_save(
	struct checkpoint *checkpoint, struct run *run, struct log *log, struct error *err);

/* Takes the memory that saving takes for a moment, and gives it back: on a counter (nn/counter.h),
 * where run_make() made the run, it says how much that is. */
int checkpoint_room(const struct run *run, struct error *err);

/* Resuming. First, 65 if the shards are not those that the run began with. */
int checkpoint_check_data(
	const struct model_file *file, const struct shards *shards, struct error *err);

/* Then, after settings_restore() and run_init(), the state of optimizer, network and best model. Sets the log's length and CRC to go
 * on from, and checkpoint->step. */
int checkpoint_restore(struct checkpoint *checkpoint, const struct model_file *file,
	struct run *run, uint64_t *log_bytes, uint32_t *log_crc, struct error *err);

#endif

/* checkpoint.c: see checkpoint.h. */
#include "tools/train/checkpoint.h"

#include "base/input.h"
#include "base/io.h"
#include "base/output.h"
#include "formats/kind.h"
#include "formats/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* --- the file on the disk -------------------------------------------------------------------- */

static char *with_suffix(const char *path, const char *suffix)
{
	char *name;
	return asprintf(&name, "%s%s", path, suffix) < 0 ? NULL : name;
}

static int no_file_error(const char *path, struct error *err)
{
	return error_set(err, STATUS_CANT_CREATE,
		"%s: a checkpoint must be a regular file: it is replaced as a whole", path);
}

/* Learns where the file really is by opening it for writing as output.h does, which changes
 * nothing. */
static int find_target(struct checkpoint *checkpoint, struct error *err)
{
	struct output probe;
	if (output_open(&probe, checkpoint->path, 0, err) < 0)
		return -1;
	checkpoint->target = probe.target ? strdup(probe.target) : NULL;
	bool file = probe.target;
	output_discard(&probe);
	if (!file)
		return no_file_error(checkpoint->path, err);
	checkpoint->previous = checkpoint->target ? with_suffix(checkpoint->target, "~") : NULL;
	return checkpoint->previous ? 0 : error_memory(err, 4096, "the checkpoint's name");
}

/* Saving replaces what stands there, which should be an earlier checkpoint and not, by a slip of the
 * hand, the shards. */
static int check_replaced(const char *path, struct error *err)
{
	enum kind kind;
	struct stat st;
	struct input in;
	int rc = -1;
	if (stat(path, &st) < 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return no_file_error(path, err);
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	if (kind_peek(&kind, &in, err) == 0)
		rc = kind == KIND_EMPTY || kind == KIND_MODEL
			     ? 0
			     : error_set(err, STATUS_CANT_CREATE,
				       "%s: is no checkpoint, and one would take its place; name "
				       "another file",
				       path);
	input_close(&in);
	return rc;
}

/* Whether the file of that name is the one that is open: a holder that ended meanwhile has removed
 * the one that was opened, and another run may hold a lock on the next. */
static bool is_named(int fd, const char *name)
{
	struct stat opened, named;
	return fstat(fd, &opened) == 0 && stat(name, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* An open-file-description lock goes with the descriptor, so that no crash leaves a stale one. */
static int take_lock(struct checkpoint *checkpoint, struct error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	checkpoint->lock_name = with_suffix(checkpoint->target, ".lock");
	if (!checkpoint->lock_name)
		return error_memory(err, 4096, "the lock's name");
	for (;;) {
		int fd = io_open(checkpoint->lock_name, O_RDWR | O_CREAT);
		if (fd < 0)
			return error_errno(err, STATUS_CANT_CREATE, "%s: can't be created",
				checkpoint->lock_name);
		if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
			int cause = errno;
			io_close(fd);
			errno = cause;
			if (cause == EAGAIN || cause == EACCES)
				return error_set(err, STATUS_LOCKED,
					"%s: another run holds this checkpoint", checkpoint->path);
			return error_errno(
				err, STATUS_IO, "%s: can't be locked", checkpoint->lock_name);
		}
		if (is_named(fd, checkpoint->lock_name)) {
			checkpoint->lock = fd;
			return 0;
		}
		io_close(fd);
	}
}

int checkpoint_open(struct checkpoint *checkpoint, const char *path, bool resume, struct error *err)
{
	*checkpoint = (struct checkpoint){.path = path, .lock = -1};
	if (!path)
		return 0;
	if (resume && access(path, F_OK) < 0)
		return error_errno(err, STATUS_NO_INPUT, "%s: can't be resumed from", path);
	if (check_replaced(path, err) < 0 || find_target(checkpoint, err) < 0 ||
		check_replaced(checkpoint->previous, err) < 0)
		return -1;
	return take_lock(checkpoint, err);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
	if (checkpoint->lock >= 0) {
		unlink(checkpoint->lock_name);
		io_close(checkpoint->lock);
	}
	free(checkpoint->lock_name);
	free(checkpoint->target);
	free(checkpoint->previous);
	json_decref(checkpoint->kept);
	*checkpoint = (struct checkpoint){.lock = -1};
}

/* --- those before it ------------------------------------------------------------------------- */

static char *numbered(const struct checkpoint *checkpoint, uint64_t step)
{
	char suffix[24];
	snprintf(suffix, sizeof suffix, ".%06" PRIu64, step);
	return with_suffix(checkpoint->target, suffix);
}

static uint64_t kept_step(const struct checkpoint *checkpoint, size_t i)
{
	const json_t *entry = json_array_get(checkpoint->kept, i);
	return (uint64_t)json_integer_value(json_object_get(entry, "step"));
}

/* The CRC that a checkpoint states, by which it is known again; false: it is none. */
static bool stated_crc(const char *path, char digits[SAFETENSORS_CRC_DIGITS + 1])
{
	unsigned char first[SAFETENSORS_CRC_OFFSET + SAFETENSORS_CRC_DIGITS];
	int fd = io_open(path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return false;
	bool whole = io_read_at(fd, first, sizeof first, 0) == (ssize_t)sizeof first;
	io_close(fd);
	return whole && safetensors_get_crc(first, digits);
}

static bool is_one_file(const char *a, const char *b)
{
	struct stat one, other;
	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* Gives what is about to be replaced its own name, unless something else has that. As it has both
 * names for a while, a run that is killed meanwhile has lost none. */
static int keep_old(struct checkpoint *checkpoint, struct error *err)
{
	const uint64_t step = checkpoint->step;
	const size_t count = json_array_size(checkpoint->kept);
	char crc[SAFETENSORS_CRC_DIGITS + 1];
	int rc = -1;
	if (count > 0 && kept_step(checkpoint, count - 1) == step)
		return 0; /* before a save that failed */
	char *name = numbered(checkpoint, step);
	if (!name)
		return error_memory(err, 4096, "a checkpoint's name");
	if (!checkpoint->kept)
		checkpoint->kept = json_array();
	if (!stated_crc(checkpoint->target, crc) ||
		(link(checkpoint->target, name) < 0 && !is_one_file(checkpoint->target, name)))
		error_errno(err, STATUS_CANT_CREATE, "%s: can't be kept under that name", name);
	else if (json_array_append_new(checkpoint->kept,
			 json_pack("{s:I, s:s}", "step", (json_int_t)step, "crc32", crc)) < 0)
		error_memory(err, 4096, "a list of checkpoints");
	else
		rc = 0;
	free(name);
	return rc;
}

/* Removes the oldest that are too many. */
static void drop_oldest(struct checkpoint *checkpoint)
{
	while (checkpoint->keep && json_array_size(checkpoint->kept) > checkpoint->keep) {
		const json_t *oldest = json_array_get(checkpoint->kept, 0);
		const char *expected = json_string_value(json_object_get(oldest, "crc32"));
		char crc[SAFETENSORS_CRC_DIGITS + 1];
		char *name = numbered(checkpoint, kept_step(checkpoint, 0));
		if (name && stated_crc(name, crc) && strcmp(crc, expected) == 0)
			unlink(name);
		free(name);
		json_array_remove(checkpoint->kept, 0);
	}
}

/* --- saving ---------------------------------------------------------------------------------- */

/* Of what the ids stand for: the same numbers over another vocabulary are other data. */
static uint32_t vocab_crc(const struct vocab *vocab)
{
	const unsigned char kind[] = {(unsigned char)vocab->unit, (unsigned char)vocab->newlines};
	uLong crc = crc32_z(0, kind, sizeof kind);
	for (uint32_t id = 0; id < vocab->size; id++) {
		uint32_t symbol = htole32(vocab->symbols[id]);
		crc = crc32_z(crc, (const unsigned char *)&symbol, sizeof symbol);
	}
	return (uint32_t)crc;
}

static json_t *save_data(const struct shards *shards)
{
	const struct shards_header *data = &shards->header;
	char crc[16], symbols[16];
	snprintf(crc, sizeof crc, "%08" PRIx32, shards->end.crc);
	snprintf(symbols, sizeof symbols, "%08" PRIx32, vocab_crc(&data->vocab));
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "crc32", crc, "vocab_crc32", symbols,
		"rows", (json_int_t)data->rows[SHARDS_TRAIN], "window", (json_int_t)data->window,
		"batches", (json_int_t)data->batches[SHARDS_TRAIN], "validation",
		(json_int_t)data->batches[SHARDS_VALIDATION]);
}

static json_t *save_counters(
	const struct checkpoint *checkpoint, const struct run *run, const struct log *log)
{
	char log_crc[16];
	json_t *best = isfinite(run->best.loss) ? json_pack("{s:f, s:I}", "loss", run->best.loss,
							  "step", (json_int_t)run->best.step)
						: json_null();
	snprintf(log_crc, sizeof log_crc, "%08" PRIx32, log->crc);
	/* "o" takes over its argument even when packing fails, and fails for NULL. */
	return json_pack("{s:o, s:O*, s:O*, s:I, s:I, s:o, s:o, s:I, s:{s:I, s:s}}", "options",
		settings_save(run->settings), "changes", run->settings->changes, "kept",
		checkpoint->kept, "step", (json_int_t)run_steps(run), "skipped",
		(json_int_t)run->skipped, "data", save_data(run->shards), "best", best, "stale",
		(json_int_t)run->stale, "log", "bytes", (json_int_t)log->bytes, "crc32", log_crc);
}

/* What the optimizer's arenas are called in files. */
static const char *const arena_names[ADAM_ARENAS] = {
	[ADAM_M] = "m.", [ADAM_V] = "v.", [ADAM_AVERAGE] = "average."};

/* Makes room for a tensor under "train.". */
static int add_tensor(struct model_file *file, struct device *device, const char *prefix,
	const char *name, const uint64_t shape[3], struct error *err)
{
	struct model_tensor *tensor = &file->tensors[file->tensor_count];
	size_t bytes = sizeof *tensor->data;
	*tensor = (struct model_tensor){0};
	snprintf(tensor->name, sizeof tensor->name, "%s%s", prefix, name);
	for (; tensor->dims < 3 && shape[tensor->dims]; tensor->dims++) {
		tensor->shape[tensor->dims] = shape[tensor->dims];
		bytes *= (size_t)shape[tensor->dims];
	}
	tensor->data = device->ops->host_alloc(device, bytes, err);
	if (!tensor->data)
		return -1;
	file->tensor_count++;
	return 0;
}

static int add_arena(
	struct model_file *file, const struct run *run, const char *prefix, struct error *err)
{
	const struct params *params = &run->model.params;
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		const uint64_t shape[3] = {p->rows, p->cols};
		if (add_tensor(file, run->model.device, prefix, p->name, shape, err) < 0)
			return -1;
	}
	return 0;
}

/* Makes room for copies of what the device holds. That of the weights is where everything passes
 * through. */
static int make_room(struct model_file *file, const struct run *run, bool best, struct error *err)
{
	struct device *device = run->model.device;
	const struct params *params = &run->model.params;
	const struct cell *cell = params->cell;
	const uint64_t shape[3] = {params->layers, run->state.cut.rows, params->hidden};
	const size_t state = run_state_size(run);
	const size_t most = params->total > state ? params->total : state;
	const size_t tensors = (ADAM_ARENAS + 1) * params->count + cell->states;
	file->tensors = calloc(tensors, sizeof *file->tensors);
	if (!file->tensors)
		return error_memory(err, tensors * sizeof *file->tensors, "a list of tensors");
	file->weights = device->ops->host_alloc(device, most * sizeof *file->weights, err);
	if (!file->weights)
		return -1;
	for (size_t i = 0; i < ADAM_ARENAS; i++)
		if (run->adam.arenas[i] && add_arena(file, run, arena_names[i], err) < 0)
			return -1;
	if (best && add_arena(file, run, "best.", err) < 0)
		return -1;
	for (size_t s = 0; s < cell->states; s++)
		if (add_tensor(file, device, "", cell->state_names[s], shape, err) < 0)
			return -1;
	return 0;
}

static void give_room_back(struct model_file *file, struct device *device)
{
	for (size_t i = 0; i < file->tensor_count; i++)
		device->ops->host_free(device, file->tensors[i].data);
	free(file->tensors);
	device->ops->host_free(device, file->weights);
}

/* Copies an arena into the tensors from *tensor on, which then is the one behind them. */
static void copy_arena(
	struct model_tensor **tensor, const struct params *params, const float *arena)
{
	for (size_t i = 0; i < params->count; i++)
		params_to_file(params, i, arena, (*tensor)++->data);
}

/* Fills `file` with copies of what the device holds. */
static int gather(struct model_file *file, struct run *run, struct error *err)
{
	const struct params *params = &run->model.params;
	const size_t states = params->cell->states, size = run_state_size(run) / states;
	const bool best = run->best.weights && isfinite(run->best.loss);
	if (make_room(file, run, best, err) < 0)
		return -1;
	struct model_tensor *tensor = file->tensors;
	for (enum adam_arena i = 0; i < ADAM_ARENAS; i++) {
		if (!run->adam.arenas[i])
			continue;
		if (adam_get(&run->adam, i, file->weights, err) < 0)
			return -1;
		copy_arena(&tensor, params, file->weights);
	}
	if (best)
		copy_arena(&tensor, params, run->best.weights);
	if (run_get_state(run, file->weights, err) < 0)
		return -1;
	for (size_t s = 0; s < states; s++)
		memcpy(tensor++->data, file->weights + s * size, size * sizeof *tensor->data);
	return model_get_weights(&run->model, file->weights, err);
}

int checkpoint_room(const struct run *run, struct error *err)
{
	struct model_file file = {0};
	int rc = make_room(&file, run, run->best.weights, err);
	give_room_back(&file, run->model.device);
	return rc;
}

/* Writes beside the old file, keeps that under its second name, and takes its place. */
static int replace(
	const struct checkpoint *checkpoint, const struct model_file *file, struct error *err)
{
	struct output out;
	if (output_open(&out, checkpoint->target, 0, err) < 0)
		return -1;
	if (model_file_write(file, &out, err) < 0)
		goto fail;
	/* Where there is no old file, or the file system has no links, there is no second name. */
	if (access(checkpoint->target, F_OK) == 0) {
		unlink(checkpoint->previous);
		if (link(checkpoint->target, checkpoint->previous) < 0)
			errno = 0;
	}
	if (output_commit(&out, err) < 0)
		goto fail;
	return 0;
fail:
	output_discard(&out);
	return -1;
}

int checkpoint_save(
	struct checkpoint *checkpoint, struct run *run, struct log *log, struct error *err)
{
	int rc = -1;
	/* Dimensions, vocabulary are lent, the rest is owned by `file`. */
	struct model_file file = {.params = run->model.params,
		.has_vocab = true,
		.vocab = run->vocab,
		.dropout = run->options->dropout.between};
	if (log_sync(log, err) < 0)
		return -1;
	checkpoint->unkept.status = STATUS_OK;
	if (checkpoint->keep && checkpoint->own && run_steps(run) > checkpoint->step)
		keep_old(checkpoint, &checkpoint->unkept);
	file.training = run_training(run, run_steps(run), NAN);
	file.checkpoint = save_counters(checkpoint, run, log);
	if (!file.training || !file.checkpoint) {
		error_memory(err, 4096, "a checkpoint's metadata");
		goto out;
	}
	if (gather(&file, run, err) < 0)
		goto out;
	rc = replace(checkpoint, &file, err);
	if (rc == 0) {
		checkpoint->saved = checkpoint->own = true;
		checkpoint->step = run_steps(run);
		drop_oldest(checkpoint);
	}
out:
	give_room_back(&file, run->model.device);
	json_decref(file.checkpoint);
	json_decref(file.training);
	return rc;
}

/* --- restoring ------------------------------------------------------------------------------- */

static const float *find_tensor(const struct model_file *file, const char *prefix, const char *name,
	const uint64_t shape[3], struct error *err)
{
	char full[sizeof file->tensors->name];
	snprintf(full, sizeof full, "%s%s", prefix, name);
	for (size_t i = 0; i < file->tensor_count; i++) {
		const struct model_tensor *tensor = &file->tensors[i];
		if (strcmp(tensor->name, full) == 0 &&
			memcmp(tensor->shape, shape, sizeof tensor->shape) == 0)
			return tensor->data;
	}
	error_set(err, STATUS_DATA, "the checkpoint has no tensor train.%s of the shape expected",
		full);
	return NULL;
}

static int find_arena(const struct model_file *file, const char *prefix,
	const struct params *params, float *arena, struct error *err)
{
	for (size_t i = 0; i < params->count; i++) {
		const struct param *p = &params->v[i];
		uint64_t shape[3] = {p->rows, p->cols};
		const float *data = find_tensor(file, prefix, p->name, shape, err);
		if (!data)
			return -1;
		params_from_file(params, i, data, arena);
	}
	return 0;
}

/* Second moments are means of squares; Muon has directions in their place. */
static int check_second_moments(const struct adam *adam, const float *v, struct error *err)
{
	for (const struct adam_range *r = adam->ranges; r < adam->ranges + adam->count; r++)
		for (size_t i = 0; i < r->n && r->squares == 0; i++)
			if (v[r->offset + i] < 0)
				return error_set(err, STATUS_DATA,
					"the optimizer's second moments are not all 0 or more");
	return 0;
}

static int restore_arenas(const struct model_file *file, struct run *run, struct error *err)
{
	const struct params *params = &run->model.params;
	int rc = 0;
	float *arena = calloc(params->total, sizeof *arena);
	if (!arena)
		return error_memory(err, params->total * sizeof *arena, "the optimizer's moments");
	for (enum adam_arena i = 0; i < ADAM_ARENAS && rc == 0; i++) {
		if (!run->adam.arenas[i])
			continue;
		rc = find_arena(file, arena_names[i], params, arena, err);
		if (rc == 0 && i == ADAM_V)
			rc = check_second_moments(&run->adam, arena, err);
		if (rc == 0)
			rc = adam_set(&run->adam, i, arena, err);
	}
	free(arena);
	return rc;
}

static int restore_state(const struct model_file *file, struct run *run, struct error *err)
{
	const struct params *params = &run->model.params;
	uint64_t shape[3] = {params->layers, run->state.cut.rows, params->hidden};
	const struct cell *cell = params->cell;
	const size_t size = run_state_size(run) / cell->states;
	int rc = -1;
	float *state = malloc(run_state_size(run) * sizeof *state);
	if (!state)
		return error_memory(err, run_state_size(run) * sizeof *state, "the state");
	for (size_t s = 0; s < cell->states; s++) {
		const float *data = find_tensor(file, cell->state_names[s], "", shape, err);
		if (!data)
			goto out;
		memcpy(state + s * size, data, size * sizeof *state);
	}
	rc = run_set_state(run, state, err);
out:
	free(state);
	return rc;
}

static int restore_best(
	const struct model_file *file, json_t *best, struct run *run, struct error *err)
{
	json_int_t step;
	if (json_is_null(best))
		return 0;
	if (json_unpack(best, "{s:F, s:I !}", "loss", &run->best.loss, "step", &step) < 0 ||
		!isfinite(run->best.loss) || step < 1)
		return error_set(err, STATUS_DATA, "the checkpoint's best model is not described");
	run->best.step = (uint64_t)step;
	if (!run->best.weights)
		return 0;
	return find_arena(file, "best.", &run->model.params, run->best.weights, err);
}

static int restore_crc(const char *text, uint32_t *crc)
{
	return strlen(text) == 8 && sscanf(text, "%8" SCNx32, crc) == 1 ? 0 : -1;
}

/* Names are made of it, of files that may be removed. */
static int restore_kept(struct checkpoint *checkpoint, json_t *kept, struct error *err)
{
	int64_t before = -1;
	uint32_t ignored;
	size_t i;
	json_t *entry;
	bool good = !kept || json_is_array(kept);
	json_array_foreach(kept, i, entry)
	{
		json_int_t step = -1;
		const char *crc = "";
		good = good &&
		       json_unpack(entry, "{s:I, s:s !}", "step", &step, "crc32", &crc) == 0 &&
		       step > before && (uint64_t)step < checkpoint->step &&
		       restore_crc(crc, &ignored) == 0;
		before = step;
	}
	if (!good)
		return error_set(err, STATUS_DATA,
			"the checkpoint's list of those before it is not as expected");
	checkpoint->kept = json_incref(kept);
	return 0;
}

/* The data are those that the run began with if they would be described in the same words. */
int checkpoint_check_data(
	const struct model_file *file, const struct shards *shards, struct error *err)
{
	const json_t *expected = json_object_get(file->checkpoint, "data");
	json_t *found = save_data(shards);
	bool same = json_equal(found, expected);
	json_decref(found);
	if (!found)
		return error_memory(err, 4096, "the description of the data");
	if (same)
		return 0;
	const char *crc = json_string_value(json_object_get(expected, "crc32"));
	return error_set(err, STATUS_DATA,
		"the run began with other data (CRC %s, not %08" PRIx32
		"): resume it with the same shards, or start a new one with --init",
		crc ? crc : "missing", shards->end.crc);
}

int checkpoint_restore(struct checkpoint *checkpoint, const struct model_file *file,
	struct run *run, uint64_t *log_bytes, uint32_t *log_crc, struct error *err)
{
	json_int_t step, skipped, stale, bytes;
	json_t *options, *changes = NULL, *kept = NULL, *data,
			 *best; /* options and data are checked before */
	const char *crc;
	if (json_unpack(file->checkpoint,
		    "{s:o, s?o, s?o, s:I, s:I, s:o, s:o, s:I, s:{s:I, s:s !} !}", "options",
		    &options, "changes", &changes, "kept", &kept, "step", &step, "skipped",
		    &skipped, "data", &data, "best", &best, "stale", &stale, "log", "bytes", &bytes,
		    "crc32", &crc) < 0 ||
		step < 0 || step > UINT32_MAX || skipped < 0 || skipped > step || stale < 0 ||
		bytes < 0 || restore_crc(crc, log_crc) < 0)
		return error_set(err, STATUS_DATA, "the checkpoint's counters are not as expected");
	*log_bytes = (uint64_t)bytes;
	run->stale = (uint64_t)stale;
	run->skipped = (uint64_t)skipped;
	checkpoint->step = (uint64_t)step;
	checkpoint->own = true;
	if (restore_kept(checkpoint, kept, err) < 0)
		return -1;
	run->adam.step = (uint64_t)(step - skipped);
	if (restore_arenas(file, run, err) < 0 || restore_state(file, run, err) < 0)
		return -1;
	return restore_best(file, best, run, err);
}

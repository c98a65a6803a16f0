/* charpipe_model.c: models: opened, made, saved, asked. */
#include "base/input.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/pool.h"
#include "cpu/cpu.h"
#include "door/door.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A model that has a device and nothing else; NULL on failure. */
static struct charpipe_model *begin(unsigned threads, struct error *err)
{
	struct charpipe_model *model = calloc(1, sizeof *model);
	if (!model) {
		error_memory(err, sizeof *model, "a model");
		return NULL;
	}
	model->users = 1;
	model->device = cpu_open(threads ? threads : pool_cores(), err);
	if (model->device)
		return model;
	free(model);
	return NULL;
}

void door_model_leave(struct charpipe_model *model)
{
	if (!model || --model->users > 0)
		return;
	model_release(&model->net);
	model_file_release(&model->file);
	model->device->ops->release(model->device);
	free(model);
}

void charpipe_model_free(struct charpipe_model *model)
{
	door_model_leave(model);
}

/* --- from a file ------------------------------------------------------------------------------ */

static void forget_run(struct model_file *file)
{
	for (size_t i = 0; i < file->tensor_count; i++)
		free(file->tensors[i].data);
	free(file->tensors);
	json_decref(file->checkpoint);
	file->tensors = NULL;
	file->tensor_count = 0;
	file->checkpoint = NULL;
}

/* Reads a model from an input, which is closed. */
static struct charpipe_model *read_model(struct input *in, unsigned threads, struct error *err)
{
	struct charpipe_model *model = begin(threads, err);
	if (model && model_file_read(&model->file, in, err) < 0) {
		door_model_leave(model);
		model = NULL;
	}
	input_close(in);
	if (model)
		forget_run(&model->file);
	return model;
}

struct charpipe_model *charpipe_model_open(
	const char *path, unsigned threads, struct charpipe_error *error)
{
	struct error err;
	struct input in;
	struct charpipe_model *model = NULL;
	if (input_open(&in, path, INPUT_GUNZIP, &err) == 0)
		model = read_model(&in, threads, &err);
	if (!model)
		door_error(error, &err);
	return model;
}

struct charpipe_model *charpipe_model_open_memory(
	const void *file, size_t bytes, unsigned threads, struct charpipe_error *error)
{
	struct error err;
	struct input in;
	struct charpipe_model *model = NULL;
	if (input_open_memory(&in, "a model in memory", file, bytes, INPUT_GUNZIP, &err) == 0)
		model = read_model(&in, threads, &err);
	if (!model)
		door_error(error, &err);
	return model;
}

static int save(struct charpipe_model *model, const char *path, struct error *err)
{
	struct output out;
	int rc = -1;
	if (door_model_collect(model, err) < 0 || output_open(&out, path, 0, err) < 0)
		return -1;
	if (model_file_write(&model->file, &out, err) == 0)
		rc = output_commit(&out, err);
	output_discard(&out);
	return rc;
}

int charpipe_model_save(
	struct charpipe_model *model, const char *path, struct charpipe_error *error)
{
	struct error err;
	return save(model, path, &err) < 0 ? door_error(error, &err) : 0;
}

/* --- from nothing ----------------------------------------------------------------------------- */

static int initialise(struct model_file *file, const struct vocab *vocab,
	const struct charpipe_network *network, struct error *err)
{
	/* Programs that fill in what they know leave NULL. */
	const struct cell *cell = network->cell ? cell_find(network->cell) : &lstm_cell;
	if (!cell)
		return error_set(
			err, STATUS_USAGE, "cell %s: expected lstm, gru or rnn", network->cell);
	if (!(network->dropout >= 0 && network->dropout < 1))
		return error_set(
			err, STATUS_USAGE, "dropout %g: expected 0 to below 1", network->dropout);
	if (params_init(&file->params, cell, vocab->size, network->hidden, network->layers, err) <
		0) {
		/* What is wrong data in a file is here what the caller asks for. */
		err->status = err->status == STATUS_DATA ? STATUS_USAGE : err->status;
		return -1;
	}
	file->weights = memory_alloc(file->params.total * sizeof *file->weights);
	if (!file->weights)
		return error_memory(
			err, file->params.total * sizeof *file->weights, "a model's weights");
	params_initialise(&file->params, network->seed, 0, file->weights);
	file->dropout = network->dropout;
	if (vocab_copy(&file->vocab, vocab, err) < 0)
		return -1;
	file->has_vocab = true;
	return 0;
}

struct charpipe_model *charpipe_model_new(const struct charpipe_data *data,
	const struct charpipe_network *network, unsigned threads, struct charpipe_error *error)
{
	struct charpipe_network options = CHARPIPE_NETWORK;
	struct error err;
	struct charpipe_model *model = NULL;
	if (door_options(&options, sizeof options, network, &err) == 0)
		model = begin(threads, &err);
	if (model && initialise(&model->file, &data->header->vocab, &options, &err) < 0) {
		door_model_leave(model);
		model = NULL;
	}
	if (!model)
		door_error(error, &err);
	return model;
}

/* --- the newest weights ----------------------------------------------------------------------- */

int door_model_collect(struct charpipe_model *model, struct error *err)
{
	if (!model->behind)
		return 0;
	if (door_trainer_collect(model->trainer, &model->file, err) < 0)
		return -1;
	model->behind = model->ready = false;
	return 0;
}

int door_model_ready(struct charpipe_model *model, struct error *err)
{
	const struct params *params = &model->file.params;
	if (door_model_collect(model, err) < 0)
		return -1;
	if (model->ready)
		return 0;
	/* Weights for inference are given once. */
	model_release(&model->net);
	if (model_init(&model->net, model->device, params->cell, params->vocab, params->hidden,
		    params->layers, MODEL_INFERENCE, 1, DOOR_WINDOW, err) < 0 ||
		model_set_weights(&model->net, model->file.weights, err) < 0)
		return -1;
	model->ready = true;
	return 0;
}

/* --- questions -------------------------------------------------------------------------------- */

uint32_t charpipe_model_vocab(const struct charpipe_model *model)
{
	return model->file.params.vocab;
}

uint32_t charpipe_model_hidden(const struct charpipe_model *model)
{
	return model->file.params.hidden;
}

uint32_t charpipe_model_layers(const struct charpipe_model *model)
{
	return model->file.params.layers;
}

const char *charpipe_model_cell(const struct charpipe_model *model)
{
	return cell_name(model->file.params.cell);
}

const struct vocab *door_vocab(const struct charpipe_model *model, struct error *err)
{
	if (model->file.has_vocab)
		return &model->file.vocab;
	error_set(err, STATUS_DATA, "the model doesn't say which symbols its ids stand for");
	return NULL;
}

size_t charpipe_model_symbol(const struct charpipe_model *model, uint32_t id, char text[5])
{
	int bytes = 0;
	if (model->file.has_vocab && id < model->file.vocab.size)
		bytes = vocab_text(&model->file.vocab, id, (unsigned char *)text);
	text[bytes] = '\0';
	return (size_t)bytes;
}

int charpipe_model_encode(const struct charpipe_model *model, const char *text, size_t bytes,
	uint32_t *ids, size_t *count, struct charpipe_error *error)
{
	struct error err;
	const struct vocab *vocab = door_vocab(model, &err);
	if (!vocab || door_encode(vocab, text, bytes, ids, count, &err) < 0)
		return door_error(error, &err);
	return 0;
}

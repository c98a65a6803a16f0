/* model_file.h: trained models and checkpoints as .safetensors files. Normative description: model.md.
 *
 * Weights are in host memory, in one arena laid out by nn/params.h. */
#ifndef FORMATS_MODEL_FILE_H
#define FORMATS_MODEL_FILE_H

#include "base/error.h"
#include "base/input.h"
#include "base/output.h"
#include "formats/vocab.h"
#include "nn/params.h"

#include <jansson.h>
#include <stdbool.h>

/* A tensor beside the model's own, named "train.NAME" in the file: F32. A checkpoint has some. */
struct model_tensor {
	char name[48];
	uint64_t shape[3];
	unsigned dims;
	float *data; /* in the file's order; owned */
};

struct model_file {
	struct params params;
	float *weights;     /* (params.total), padding zero; owned: memory_free() */
	bool has_vocab;     /* a bare state_dict has none */
	struct vocab vocab; /* owned */
	bool has_dropout;   /* nor perhaps that */
	double dropout;     /* drop_prob; 0 where the file doesn't say */
	json_t *training;   /* object: what shaped the weights; NULL where there is none; owned */
	json_t *checkpoint; /* object: a run's counters and positions; NULL in a model; owned */
	struct model_tensor *tensors; /* those under "train."; owned; none without `checkpoint` */
	size_t tensor_count;
};

/* Reads a whole model or checkpoint; everything in it is checked before it is believed. Accepts
 * what PyTorch users save: `fc_linear.*` for `fc.*`, no metadata at all. Beyond what it returns it
 * needs memory for the header and one tensor. Errors start with the input's name: 65, 71, 74. */
int model_file_read(struct model_file *model, struct input *in, struct error *err);

/* Writes it; the result is a function of the content alone (no time, host, path). Does not commit
 * `out`. Errors: 70, before anything is written, where a number isn't finite; 71, 74. */
int model_file_write(const struct model_file *model, struct output *out, struct error *err);

void model_file_release(struct model_file *model);

#endif

/* state_file.h: what a model holds after it has read a text, as a file: a long context is read once and
 * continued many times. Normative description: state.md. */
#ifndef FORMATS_STATE_FILE_H
#define FORMATS_STATE_FILE_H

#include "base/error.h"
#include "base/input.h"
#include "base/output.h"
#include "formats/model_file.h"

#include <stdint.h>

struct state_file {
	const struct cell *cell; /* not owned */
	uint32_t layers, hidden, vocab;
	size_t size;   /* floats of one row's state: params_state_size() */
	float *state;  /* (S,L,1,H); owned */
	float *logits; /* (V): of the next symbol; owned */
};

/* Of a model that has read nothing: zeros. Error 71. */
int state_file_init(struct state_file *state, const struct params *params, struct error *err);
void state_file_release(struct state_file *state);

/* What tells models apart: the CRC-32 of their weights in the file's order and layout, as F32. */
int state_file_model_crc(const struct model_file *model, uint32_t *crc, struct error *err);

/* Reads a state of the model with that CRC into an initialised `state`; another model's is refused.
 * Errors start with the input's name: 65, 71, 74. */
int state_file_read(
	struct state_file *state, uint32_t model_crc, struct input *in, struct error *err);

/* Reads a state of whatever model into a `state` that is not initialised; the caller releases it
 * unless this fails. The model's CRC goes to *model_crc. */
int state_file_read_any(
	struct state_file *state, uint32_t *model_crc, struct input *in, struct error *err);

/* Writes it; does not commit `out`. Errors 71, 74. */
int state_file_write(
	const struct state_file *state, uint32_t model_crc, struct output *out, struct error *err);

#endif

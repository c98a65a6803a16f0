/* context.h: what the model has read before it draws: primes, and states of earlier runs. */
#ifndef SAMPLE_CONTEXT_H
#define SAMPLE_CONTEXT_H

#include "base/error.h"
#include "formats/state_file.h"
#include "tools/network.h"
#include "tools/tool.h"

#include <stdbool.h>
#include <stddef.h>

struct context {
	const struct tool *tool;
	struct network *network; /* not owned */
	bool skip;               /* unknown characters are passed over; else they are an error */
	bool begun;              /* something was read: the state's logits say what may follow */
	struct state_file state;
};

/* Nothing read yet. The network must be prepared. */
int context_init(struct context *context, const struct tool *tool, struct network *network,
	bool skip, struct error *err);
void context_release(struct context *context);

/* `to`, initialised for the same network, has read the same. */
void context_copy(struct context *to, const struct context *from);

/* Goes on from the state in a file; writes the state to a file. model_crc: of the network's model
 * (state_file_model_crc()). */
int context_load(struct context *context, const char *path, uint32_t model_crc, struct error *err);
int context_save(
	const struct context *context, const char *path, uint32_t model_crc, struct error *err);

/* The model reads n bytes of text. */
int context_read(struct context *context, const unsigned char *text, size_t n, struct error *err);

/* If nothing has been read, the model reads a newline, as if a line had just ended; where the
 * vocabulary has none, its first symbol. */
int context_begin(struct context *context, struct error *err);

#endif

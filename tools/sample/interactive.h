/* interactive.h: sample --interactive: lines in, their continuations out. */
#ifndef SAMPLE_INTERACTIVE_H
#define SAMPLE_INTERACTIVE_H

#include "base/error.h"
#include "tools/sample/context.h"
#include "tools/sample/draw.h"

#include <stdint.h>

/* For each line of standard input the model, from what `context` has read, reads the line, and
 * `samples` continuations are drawn, a line each, and flushed before the next line is read. Lines
 * know nothing of each other. One that can't be read is told, and answered by empty lines; in the
 * end that is an error (65). */
int interactive(
	const struct context *context, struct draw *draw, uint64_t samples, struct error *err);

#endif

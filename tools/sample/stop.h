/* stop.h: finds a text in what goes by, one byte at a time. */
#ifndef SAMPLE_STOP_H
#define SAMPLE_STOP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct stop {
	const unsigned char *text; /* not owned */
	size_t bytes;              /* 0: never found */
	size_t *failure;           /* (bytes + 1): where to go on when the next byte is another */
};

/* `text` NULL or empty is never found. */
int stop_init(struct stop *stop, const char *text, struct error *err);
void stop_release(struct stop *stop);

/* One more byte; *matched, 0 at the start, is how many bytes of the text it ends in. Whether it is
 * all of it. */
bool stop_at(const struct stop *stop, unsigned char byte, size_t *matched);

#endif

/* spool.h: bytes written once, then read at any place: the contents of a pipe, kept to be read
 * again.
 *
 *     struct spool spool;
 *     if (spool_init(&spool, err) < 0) return -1;
 *     spool_write(&spool, buf, n, err) ...
 *     spool_read(&spool, offset, buf, n, err) ...
 *     spool_release(&spool);
 *
 * The first SPOOL_MEMORY bytes stay in memory, the rest goes to a temporary file without a name
 * in $TMPDIR (or /tmp), which vanishes with the process however it ends. */
#ifndef BASE_SPOOL_H
#define BASE_SPOOL_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { SPOOL_MEMORY = 8 << 20 };

struct spool {
	unsigned char *memory; /* (SPOOL_MEMORY); owned */
	int fd;                /* holds what follows; -1 until it is needed */
	uint64_t size;         /* bytes written */
};

/* Status 71. */
int spool_init(struct spool *spool, struct error *err);

/* Appends n bytes. Status 74, which tells where the file would be and that $TMPDIR moves it. */
int spool_write(struct spool *spool, const void *buf, size_t n, struct error *err);

/* Reads the n bytes at `offset`, all of which must have been written. Status 74. */
int spool_read(const struct spool *spool, uint64_t offset, void *buf, size_t n, struct error *err);

/* Releases everything; harmless twice. */
void spool_release(struct spool *spool);

#endif

/* fuzz.h: what the fuzz targets share.
 *
 * A target is a function of some bytes that must neither crash nor leak nor break what it asserts.
 * libFuzzer calls it (make fuzz), and so does replay.c, with every compiler, on the files in its
 * corpus (make check).
 *
 * Every parser has two targets of one source: with its checksums, which holds the door, and without
 * (no_crc.c), which shows what is behind it. Then both ways of reading are compared, a file, whose
 * size is known beforehand, and a pipe's like, whose size is not. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/input.h"
#include "base/output.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What must hold, in builds without assertions too. */
#define MUST(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* An error that a parser may end with for its input's sake; the text is one harmless line. */
static inline void must_be_refusal(const struct error *err, bool pipe)
{
	MUST(err->status == STATUS_DATA || err->status == STATUS_CONFIG ||
		(pipe && err->status == STATUS_NO_MEMORY));
	MUST(err->text[0] && strlen(err->text) < sizeof err->text);
	for (const char *s = err->text; *s; s++)
		MUST((unsigned char)*s >= 0x20 && *s != 0x7F);
}

/* A file in memory that holds the bytes; its path, as other names for it, goes into path[]. */
static inline int fuzz_file(const uint8_t *data, size_t n, char path[64])
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

/* Opens the bytes as an input; the descriptor returned is to be closed after it. As a pipe would
 * be: of unknown size, to be read once (a real one holds no more than 64 KiB). */
static inline int fuzz_open(
	struct input *in, const uint8_t *data, size_t n, enum input_mode mode, bool pipe)
{
	struct error err;
	char path[64];
	int fd = fuzz_file(data, n, path);
	if (input_open(in, path, mode, &err) < 0) {
		must_be_refusal(&err, false);
		close(fd);
		return -1;
	}
	if (pipe) {
		in->size = UINT64_MAX;
		in->from_start = false;
	}
	return fd;
}

#endif

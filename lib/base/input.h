/* input.h: reading a file, a pipe, standard input or memory to its end, gzip seen through, nothing lost.
 *
 *     struct input in;
 *     if (input_open(&in, path, INPUT_GUNZIP, err) < 0) return -1;
 *     while ((n = input_read(&in, buf, sizeof buf, err)) > 0) ...
 *     input_close(&in);
 *
 * EINTR and short reads are handled here. Memory: one buffer of 64 KiB, a second with gzip. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum input_mode {
	INPUT_RAW,    /* bytes as they are: text */
	INPUT_GUNZIP, /* gzip, if the first two bytes say so, is decompressed: charpipe's formats */
};

struct input_gzip; /* private to input.c */

struct input {
	int fd;
	char *name;      /* for messages: the path, or "standard input"; owned */
	uint64_t offset; /* bytes handed out so far (after decompression) */
	uint64_t size; /* when opened: bytes to the end of a plain regular file; else UINT64_MAX */
	struct timespec changed; /* the file, when opened */
	unsigned char *buffer;
	size_t begin, end; /* unread bytes of buffer */
	bool eof;
	bool from_start;             /* the descriptor stood at byte 0 when opened */
	struct input_gzip *gzip;     /* NULL unless the input is compressed */
	const unsigned char *memory; /* not yet read; not owned; NULL: they come from `fd` */
	size_t memory_bytes;
};

/* Opens `path`, or standard input for NULL and "-". A directory is refused. Status 66. With
 * INPUT_GUNZIP the first bytes are read here, so it waits for a pipe's writer and may fail as
 * input_read() does. */
int input_open(struct input *in, const char *path, enum input_mode mode, struct error *err);

/* The same of n bytes in memory, which stay the caller's and must outlive `in`; `name` is for
 * messages. */
int input_open_memory(struct input *in, const char *name, const void *bytes, size_t n,
	enum input_mode mode, struct error *err);

/* Reads at most n bytes: the count, 0 only at the end, -1 on failure (74; 65 for broken gzip, which
 * includes a truncated one and trailing garbage). Returns what there is without waiting for all n.
 * Messages begin with the input's name. */
ssize_t input_read(struct input *in, void *buf, size_t n, struct error *err);

/* Reads n bytes unless the input ends before: the count, or -1. */
ssize_t input_read_full(struct input *in, void *buf, size_t n, struct error *err);

/* Looks at the first n <= 64 bytes not yet read without consuming them: the count, less at the end
 * of the input, or -1. */
ssize_t input_peek(struct input *in, void *buf, size_t n, struct error *err);

/* True if the bytes can be read again at any offset with pread(in->fd): a plain regular file read
 * from its start. */
bool input_seekable(const struct input *in);

/* Whether the file of such an input has been written to, or changed otherwise, since it was opened. */
bool input_changed(const struct input *in);

/* Releases everything; harmless twice, after a failed open, and on a struct of zeros. */
void input_close(struct input *in);

#endif

/* safetensors.h: the container of models: named tensors behind a JSON header. What a model's
 * tensors mean is model.c's business. Format: https://github.com/huggingface/safetensors, and
 * model.md.
 *
 *     struct safetensors st;
 *     if (safetensors_open(&st, in, err) < 0) goto out;
 *     for (i = 0; i < st.count; i++)              tensors come in the order of their data
 *             if (safetensors_read(&st, buf, st.tensors[i].end - st.tensors[i].begin, err) < 0)
 *                     goto out;
 *     if (safetensors_end(&st, err) < 0) goto out;
 *     out: safetensors_close(&st);
 *
 * The data goes straight to where the caller wants it: no second copy of a model is in memory. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "base/error.h"
#include "base/input.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SAFETENSORS_LENGTH_BYTES = 8,     /* the header's length, u64, stands first */
	SAFETENSORS_HEADER_MAX = 2 << 20, /* 65,536 symbols, escaped twice, take 1.3 MB */
	SAFETENSORS_VALUES_MAX = 1 << 16, /* JSON values, punctuation counted: 12 a tensor */
	SAFETENSORS_DIMS_MAX = 8,
	SAFETENSORS_CRC_OFFSET = 34, /* of charpipe's CRC in the file (model.md) */
	SAFETENSORS_CRC_DIGITS = 8,
};

struct safetensors_tensor {
	const char *name;  /* not owned: the header's, or the writer's */
	const char *dtype; /* "F32", ...: one of those that the format knows */
	unsigned dims;     /* 0: a scalar */
	uint64_t shape[SAFETENSORS_DIMS_MAX];
	uint64_t begin, end; /* bytes, from the start of the data section */
};

/* A file being read: its header is in memory and checked, its data follows. */
struct safetensors {
	struct input *in;       /* not owned */
	unsigned char *head;    /* the file up to its data section; owned */
	size_t head_bytes;      /* ... its bytes */
	json_t *header;         /* owned */
	const json_t *metadata; /* in `header`: an object of strings; NULL where there is none */
	struct safetensors_tensor *tensors; /* (count), in the order of their data; owned */
	size_t count;
	uint64_t data_bytes; /* of the data section */
	uint64_t read;       /* ... read so far */
	uint32_t crc;        /* zlib's CRC-32 of all bytes read so far */
};

/* Reads the header and checks it: JSON without duplicate keys, metadata of strings, known types,
 * extents that equal shape times size of the type and cover the data without hole or overlap, and
 * the file's size, where there is one, just that of header and data: all this before memory is
 * taken for what the header claims. `in` stays the caller's and must outlive `st`. Errors start
 * with the input's name: 65, 71, 74. */
int safetensors_open(struct safetensors *st, struct input *in, struct error *err);

/* Refuses (65) a file whose metadata say that it is of a version beyond `newest`: key
 * "charpipe_KIND", a decimal number; absent, it is 1. */
int safetensors_check_version(
	const struct safetensors *st, const char *kind, unsigned newest, struct error *err);

/* Finds the CRC that the metadata state and restarts st->crc over the header, zeros in the CRC's
 * place, so that after safetensors_end() it must equal *crc. *has_crc is false where none is
 * stated. An error (65) has no name in front. */
int safetensors_begin_crc(struct safetensors *st, bool *has_crc, uint32_t *crc, struct error *err);

/* Reads the next bytes of the data section, no more than it has left. */
int safetensors_read(struct safetensors *st, void *to, size_t bytes, struct error *err);

/* For memory that there isn't, of the size that the header makes needed: reads on in a pipe, where what
 * the header claims may not come. -1: 65 if it doesn't, else 71. */
int safetensors_no_memory(
	struct safetensors *st, uint64_t bytes, const char *what, struct error *err);

/* Checks that the input ends where the data does; all data has been read. */
int safetensors_end(struct safetensors *st, struct error *err);

/* Releases everything; harmless after a failed open and when called twice. */
void safetensors_close(struct safetensors *st);

/* The text of a metadata key, or NULL. */
const char *safetensors_metadata(const struct safetensors *st, const char *key);

/* The tensor of that name, or NULL. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *st, const char *name);

/* Bounds the number of JSON values in a text by its punctuation, strings left out. As a tree each
 * value takes up to 200 bytes, in a text as few as two: to be asked before one is made of the other.
 */
size_t safetensors_count_values(const char *text, size_t n);

/* The error that a JSON text was refused with; `what` begins the message. Returns -1. */
int safetensors_json_error(const char *what, const json_error_t *cause, struct error *err);

/* "F32 (4,2)": for messages. Returns buf. */
const char *safetensors_describe(const struct safetensors_tensor *tensor, char buf[96]);

/* Lays out the tensors one behind the other in the order given (sets begin and end) and makes the
 * header, length included: metadata (an object of strings) first and in its own order, then the
 * tensors; spaces up to a multiple of `align` (a power of two >= 8). *header: *bytes bytes, the
 * caller's to free(). */
int safetensors_header(const json_t *metadata, struct safetensors_tensor *tensors, size_t count,
	unsigned align, unsigned char **header, size_t *bytes, struct error *err);

/* The CRC that a file states which begins with these SAFETENSORS_CRC_OFFSET +
 * SAFETENSORS_CRC_DIGITS bytes; false: none where safetensors_put_crc() puts it. */
bool safetensors_get_crc(const unsigned char *first, char digits[SAFETENSORS_CRC_DIGITS + 1]);

/* Puts the file's CRC into a header whose metadata begin with "crc32":"00000000". */
void safetensors_put_crc(unsigned char *header, uint32_t crc);

#endif

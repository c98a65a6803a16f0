/* input.c: see input.h. The buffer holds what the caller will get; with gzip a second one holds
 * what the file had. */
#include "base/input.h"

#include "base/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
	BUFFER_BYTES = 64 << 10,
	PEEK_MAX = 64,
	GZIP_WINDOW = 15 + 16,   /* zlib: the largest window, gzip's wrapper */
	GZIP_READ_MAX = 1 << 30, /* zlib counts in unsigned int */
};

struct input_gzip {
	z_stream z;
	bool member_ended; /* between two members, or at the end */
	unsigned char compressed[BUFFER_BYTES];
};

static ssize_t read_some(struct input *in, void *buf, size_t n, struct error *err)
{
	if (in->memory) {
		n = n < in->memory_bytes ? n : in->memory_bytes;
		memcpy(buf, in->memory, n);
		in->memory += n;
		in->memory_bytes -= n;
		return (ssize_t)n;
	}
	ssize_t got = io_read(in->fd, buf, n);
	if (got < 0)
		error_errno(
			err, STATUS_IO, "%s: can't read at byte %" PRIu64, in->name, in->offset);
	return got;
}

static int gzip_error(const struct input *in, const char *what, struct error *err)
{
	return error_set(err, STATUS_DATA, "%s: %s, after %" PRIu64 " decompressed bytes", in->name,
		what, (in->offset + (in->end - in->begin)));
}

/* Decompresses at most n bytes: as read_some(). */
static ssize_t read_gzip(struct input *in, void *buf, size_t n, struct error *err)
{
	struct input_gzip *gzip = in->gzip;
	z_stream *z = &gzip->z;

	if (n > GZIP_READ_MAX)
		n = GZIP_READ_MAX;
	z->next_out = buf;
	z->avail_out = (uInt)n;
	while (z->avail_out == n) {
		if (z->avail_in == 0) {
			ssize_t got = read_some(in, gzip->compressed, sizeof gzip->compressed, err);
			if (got < 0)
				return -1;
			if (got == 0 && gzip->member_ended)
				return 0;
			if (got == 0)
				return gzip_error(in, "compressed data is truncated", err);
			z->next_in = gzip->compressed;
			z->avail_in = (uInt)got;
		}
		if (gzip->member_ended) { /* gzip files may be concatenated */
			if (z->next_in[0] != 0x1F)
				return gzip_error(in, "garbage follows the compressed data", err);
			inflateReset(z);
			gzip->member_ended = false;
		}
		int rc = inflate(z, Z_NO_FLUSH);
		if (rc == Z_MEM_ERROR)
			return error_memory(err, 64 << 10, "decompression");
		if (rc == Z_STREAM_END)
			gzip->member_ended = true;
		else if (rc != Z_OK)
			return gzip_error(in, "compressed data is corrupt", err);
	}
	return (ssize_t)(n - z->avail_out);
}

static ssize_t read_source(struct input *in, void *buf, size_t n, struct error *err)
{
	if (in->eof)
		return 0;
	ssize_t got = in->gzip ? read_gzip(in, buf, n, err) : read_some(in, buf, n, err);
	in->eof = got == 0;
	return got;
}

/* Makes at least n bytes of the buffer available, fewer only at the end of the input. */
static int fill(struct input *in, size_t n, struct error *err)
{
	if (in->begin > 0) {
		memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
		in->end -= in->begin;
		in->begin = 0;
	}
	while (in->end < n) {
		ssize_t got = read_source(in, in->buffer + in->end, BUFFER_BYTES - in->end, err);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		in->end += (size_t)got;
	}
	return 0;
}

/* Looks for gzip's magic; what was read so far then becomes compressed data. */
static int detect_gzip(struct input *in, struct error *err)
{
	if (fill(in, 2, err) < 0)
		return -1;
	if (in->end < 2 || in->buffer[0] != 0x1F || in->buffer[1] != 0x8B)
		return 0;

	struct input_gzip *gzip = calloc(1, sizeof *gzip);
	if (!gzip || inflateInit2(&gzip->z, GZIP_WINDOW) != Z_OK) {
		free(gzip);
		return error_memory(err, sizeof *gzip, "decompression");
	}
	memcpy(gzip->compressed, in->buffer, in->end);
	gzip->z.next_in = gzip->compressed;
	gzip->z.avail_in = (uInt)in->end;
	in->gzip = gzip;
	in->end = 0;
	in->size = UINT64_MAX;
	return 0;
}

static int open_descriptor(struct input *in, const char *path, struct error *err)
{
	if (!path) {
		/* tool_main() opens a closed descriptor 0 for writing: not an empty input. */
		int mode = fcntl(STDIN_FILENO, F_GETFL);
		if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
			return error_set(
				err, STATUS_NO_INPUT, "%s: not open for reading", in->name);
		in->fd = io_duplicate(STDIN_FILENO);
	} else {
		in->fd = io_open(path, O_RDONLY);
	}
	if (in->fd < 0)
		return error_errno(err, STATUS_NO_INPUT, "%s: can't open", in->name);
	return 0;
}

/* The part of opening that is the same for all. */
static int begin(struct input *in, const char *name, struct error *err)
{
	*in = (struct input){.fd = -1, .size = UINT64_MAX};
	in->name = strdup(name);
	in->buffer = malloc(BUFFER_BYTES);
	return in->name && in->buffer ? 0 : error_memory(err, BUFFER_BYTES, "an input buffer");
}

int input_open_memory(struct input *in, const char *name, const void *bytes, size_t n,
	enum input_mode mode, struct error *err)
{
	if (begin(in, name, err) < 0)
		goto fail;
	in->memory = bytes;
	in->memory_bytes = n;
	in->size = n;
	if (mode == INPUT_GUNZIP && detect_gzip(in, err) < 0)
		goto fail;
	return 0;
fail:
	input_close(in);
	return -1;
}

int input_open(struct input *in, const char *path, enum input_mode mode, struct error *err)
{
	struct stat st;

	if (path && strcmp(path, "-") == 0)
		path = NULL;
	if (begin(in, path ? path : "standard input", err) < 0)
		goto fail;
	if (open_descriptor(in, path, err) < 0)
		goto fail;
	if (fstat(in->fd, &st) < 0) {
		error_errno(err, STATUS_NO_INPUT, "%s: can't stat", in->name);
		goto fail;
	}
	if (S_ISDIR(st.st_mode)) {
		error_set(err, STATUS_NO_INPUT, "%s: is a directory", in->name);
		goto fail;
	}
	in->changed = st.st_ctim;
	if (S_ISREG(st.st_mode)) {
		off_t at = lseek(in->fd, 0, SEEK_CUR);
		in->from_start = at == 0;
		/* Files under /proc say that they have no bytes, and have some. */
		if (st.st_size > 0)
			in->size = st.st_size > at ? (uint64_t)(st.st_size - at) : 0;
	}
	if (mode == INPUT_GUNZIP && detect_gzip(in, err) < 0)
		goto fail;
	return 0;
fail:
	input_close(in);
	return -1;
}

ssize_t input_read(struct input *in, void *buf, size_t n, struct error *err)
{
	size_t have = in->end - in->begin;

	if (n == 0)
		return 0;
	if (have == 0 && n >= BUFFER_BYTES) { /* no detour through the buffer */
		ssize_t got = read_source(in, buf, n < SSIZE_MAX ? n : SSIZE_MAX, err);
		if (got > 0)
			in->offset += (uint64_t)got;
		return got;
	}
	if (have == 0) {
		if (fill(in, 1, err) < 0)
			return -1;
		have = in->end;
	}
	if (n > have)
		n = have;
	memcpy(buf, in->buffer + in->begin, n);
	in->begin += n;
	in->offset += n;
	return (ssize_t)n;
}

ssize_t input_read_full(struct input *in, void *buf, size_t n, struct error *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = input_read(in, (unsigned char *)buf + done, n - done, err);
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

ssize_t input_peek(struct input *in, void *buf, size_t n, struct error *err)
{
	assert(n <= PEEK_MAX);
	if (in->end - in->begin < n && fill(in, n, err) < 0)
		return -1;
	if (n > in->end - in->begin)
		n = in->end - in->begin;
	memcpy(buf, in->buffer + in->begin, n);
	return (ssize_t)n;
}

bool input_seekable(const struct input *in)
{
	return in->from_start && in->size != UINT64_MAX;
}

bool input_changed(const struct input *in)
{
	struct stat st;
	return fstat(in->fd, &st) < 0 || st.st_ctim.tv_sec != in->changed.tv_sec ||
	       st.st_ctim.tv_nsec != in->changed.tv_nsec;
}

void input_close(struct input *in)
{
	if (in->gzip)
		inflateEnd(&in->gzip->z);
	free(in->gzip);
	free(in->buffer);
	free(in->name);
	if (in->fd > STDERR_FILENO) /* never 0..2: also right for a struct of zeros */
		io_close(in->fd);
	*in = (struct input){.fd = -1};
}

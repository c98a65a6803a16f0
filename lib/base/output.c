/* output.c: see output.h. Files become visible by linkat(2) and rename(2) only, after an fsync(2)
 * that succeeded. */
#include "base/output.h"

#include "base/io.h"
#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

enum {
	BUFFER_BYTES = 64 << 10,
	ATTEMPTS_MAX = 1000,   /* at a free temporary name */
	GZIP_WINDOW = 15 + 16, /* zlib: the largest window, gzip's wrapper, without name and time */
	GZIP_MEMORY = 8,       /* zlib's default */
	GZIP_WRITE_MAX = 1 << 30 /* zlib counts in unsigned int */
};

struct output_gzip {
	z_stream z;
	unsigned char compressed[BUFFER_BYTES];
};

/* --- opening ---------------------------------------------------------------------------------- */

/* Opens a new file beside out->target, under no name if the file system can. -1 with errno. */
static int open_temporary(struct output *out)
{
	char *folder = place_beside(out->target, ".");
	if (!folder)
		return -1;
	/* A file without a name gets one through /proc. */
	if (access("/proc/self/fd", X_OK) == 0)
		out->fd = io_open(folder, O_WRONLY | O_TMPFILE);
	else
		errno = EOPNOTSUPP;
	free(folder);
	if (out->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return out->fd;

	for (int i = 0; i < ATTEMPTS_MAX && out->fd < 0; i++) {
		char name[64];
		snprintf(name, sizeof name, ".charpipe-%ld-%d", (long)getpid(), i);
		free(out->temporary);
		out->temporary = place_beside(out->target, name);
		if (!out->temporary)
			return -1;
		out->fd = io_open(out->temporary, O_WRONLY | O_CREAT | O_EXCL);
		if (out->fd < 0 && errno != EEXIST)
			break;
	}
	if (out->fd < 0) { /* nothing of ours bears that name */
		free(out->temporary);
		out->temporary = NULL;
	}
	return out->fd;
}

/* 0 too where it may not be. */
static int give(int fd, uid_t owner, gid_t group)
{
	return fchown(fd, owner, group) < 0 && errno != EPERM && errno != EINVAL ? -1 : 0;
}

/* Gives a new file the old one's owner and group, as far as we may, and its permissions; those of a
 * group only if it is the same. */
static int keep_mode(int fd, const struct stat *old)
{
	struct stat now;
	mode_t mode = old->st_mode & 0777;
	if (give(fd, (uid_t)-1, old->st_gid) < 0 || give(fd, old->st_uid, (gid_t)-1) < 0 ||
		fstat(fd, &now) < 0)
		return -1;
	if (now.st_gid != old->st_gid)
		mode &= ~(mode_t)S_IRWXG;
	return fchmod(fd, mode);
}

static int open_path(struct output *out, const char *path, struct error *err)
{
	struct stat st;
	int descriptor;
	char *target = place_follow(path, &descriptor);

	if (!target)
		return error_errno(err, STATUS_CANT_CREATE, "%s: can't create", out->name);
	if (descriptor >= 0) {
		out->fd = io_duplicate(descriptor);
		free(target);
		goto check;
	}
	bool exists = stat(target, &st) == 0;
	if (exists && S_ISDIR(st.st_mode)) {
		free(target);
		return error_set(err, STATUS_CANT_CREATE, "%s: is a directory", out->name);
	}
	if (exists && !S_ISREG(st.st_mode)) {
		out->fd = io_open(target, O_WRONLY);
		free(target);
		goto check;
	}
	out->target = target;
	if (target[0] == '\0' || target[strlen(target) - 1] == '/')
		return error_set(err, STATUS_CANT_CREATE, "%s: not a file's name", out->name);
	/* rename(2) would replace a write-protected file. */
	if (exists && faccessat(AT_FDCWD, target, W_OK, AT_EACCESS) < 0)
		return error_errno(err, STATUS_CANT_CREATE, "%s: can't write", out->name);
	if (open_temporary(out) < 0)
		return error_errno(err, STATUS_CANT_CREATE,
			"%s: can't create a file in its directory", out->name);
	if (exists && keep_mode(out->fd, &st) < 0)
		return error_errno(
			err, STATUS_CANT_CREATE, "%s: can't set its permissions", out->name);
	return 0;
check:
	if (out->fd < 0)
		return error_errno(err, STATUS_CANT_CREATE, "%s: can't open", out->name);
	return 0;
}

static int open_gzip(struct output *out, struct error *err)
{
	out->gzip = calloc(1, sizeof *out->gzip);
	if (!out->gzip || deflateInit2(&out->gzip->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
				  GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(out->gzip);
		out->gzip = NULL;
		return error_memory(err, 256 << 10, "compression");
	}
	return 0;
}

int output_open(struct output *out, const char *path, unsigned flags, struct error *err)
{
	*out = (struct output){.fd = -1};
	if (path && strcmp(path, "-") == 0)
		path = NULL;
	out->name = strdup(path ? path : "standard output");
	out->buffer = malloc(BUFFER_BYTES);
	if (!out->name || !out->buffer) {
		error_memory(err, BUFFER_BYTES, "an output buffer");
		goto fail;
	}
	if (open_path(out, path ? path : "/dev/stdout", err) < 0)
		goto fail;
	if ((flags & OUTPUT_BINARY) != 0 && isatty(out->fd)) {
		error_set(err, STATUS_USAGE,
			"%s: is a terminal, and the output is binary: redirect it, pipe it into "
			"the next "
			"program with |, name a file with -o, or force it with -f",
			out->name);
		goto fail;
	}
	if ((flags & OUTPUT_GZIP) != 0 && open_gzip(out, err) < 0)
		goto fail;
	return 0;
fail:
	output_discard(out);
	return -1;
}

/* --- writing ---------------------------------------------------------------------------------- */

static int fail_with_errno(struct output *out, const char *what, struct error *err)
{
	out->failed = true;
	return error_errno(err, STATUS_IO, "%s: %s", out->name, what);
}

static int write_all(struct output *out, const unsigned char *s, size_t n, struct error *err)
{
	return io_write(out->fd, s, n) < 0 ? fail_with_errno(out, "can't write", err) : 0;
}

/* Compresses n bytes; `flush` as deflate(3) has it. */
static int write_gzip(
	struct output *out, const unsigned char *s, size_t n, int flush, struct error *err)
{
	z_stream *z = &out->gzip->z;
	int rc;

	z->next_in = s;
	z->avail_in = (uInt)n;
	do {
		z->next_out = out->gzip->compressed;
		z->avail_out = sizeof out->gzip->compressed;
		rc = deflate(z, flush);
		size_t made = sizeof out->gzip->compressed - z->avail_out;
		if (write_all(out, out->gzip->compressed, made, err) < 0)
			return -1;
	} while (z->avail_out == 0 || (flush == Z_FINISH && rc != Z_STREAM_END));
	return 0;
}

static int write_through(struct output *out, const unsigned char *s, size_t n, struct error *err)
{
	if (!out->gzip)
		return write_all(out, s, n, err);
	while (n > 0) {
		size_t piece = n < GZIP_WRITE_MAX ? n : GZIP_WRITE_MAX;
		if (write_gzip(out, s, piece, Z_NO_FLUSH, err) < 0)
			return -1;
		s += piece;
		n -= piece;
	}
	return 0;
}

static int check_usable(struct output *out, struct error *err)
{
	if (!out->failed)
		return 0;
	return error_set(err, STATUS_IO, "%s: an earlier write failed", out->name);
}

/* Empties the buffer. */
static int drain(struct output *out, struct error *err)
{
	size_t n = out->used;

	out->used = 0;
	return write_through(out, out->buffer, n, err);
}

int output_write(struct output *out, const void *buf, size_t n, struct error *err)
{
	if (check_usable(out, err) < 0)
		return -1;
	if (n > BUFFER_BYTES - out->used && drain(out, err) < 0)
		return -1;
	if (n >= BUFFER_BYTES) {
		if (write_through(out, buf, n, err) < 0)
			return -1;
	} else if (n > 0) {
		memcpy(out->buffer + out->used, buf, n);
		out->used += n;
	}
	out->offset += n;
	return 0;
}

int output_reserve(struct output *out, uint64_t bytes, struct error *err)
{
	if (!out->target || out->gzip || bytes == 0)
		return check_usable(out, err);
	if (check_usable(out, err) < 0)
		return -1;
	if (io_reserve(out->fd, bytes) < 0 && errno != EOPNOTSUPP && errno != ENOSYS &&
		errno != EINVAL)
		return fail_with_errno(out, "can't reserve its size", err);
	return 0;
}

int output_flush(struct output *out, struct error *err)
{
	if (check_usable(out, err) < 0 || drain(out, err) < 0)
		return -1;
	return out->gzip ? write_gzip(out, NULL, 0, Z_SYNC_FLUSH, err) : 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Gives the file its name, replacing what had it. */
static int publish(struct output *out)
{
	char self[64];

	if (!out->temporary) {
		snprintf(self, sizeof self, "/proc/self/fd/%d", out->fd);
		if (linkat(AT_FDCWD, self, AT_FDCWD, out->target, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		/* A link never replaces a file; rename(2) does, but needs a name to start from. */
		for (int i = 0; errno == EEXIST && i < ATTEMPTS_MAX; i++) {
			char name[64];
			snprintf(name, sizeof name, ".charpipe-%ld-%d", (long)getpid(), i);
			char *temporary = place_beside(out->target, name);
			if (!temporary)
				return -1;
			if (linkat(AT_FDCWD, self, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0) {
				out->temporary = temporary;
				break;
			}
			free(temporary);
		}
		if (!out->temporary)
			return -1;
	}
	if (rename(out->temporary, out->target) < 0)
		return -1;
	free(out->temporary);
	out->temporary = NULL;
	return 0;
}

int output_sync_folder(const char *path)
{
	char *folder = place_beside(path, ".");
	int fd, rc = 0;

	if (!folder)
		return -1;
	fd = io_open(folder, O_RDONLY | O_DIRECTORY);
	int number = errno;
	free(folder);
	errno = number;
	if (fd < 0)
		return errno == EACCES ? 0 : -1;
	if (io_sync(fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = -1;
	number = errno;
	io_close(fd);
	errno = number;
	return rc;
}

int output_commit(struct output *out, struct error *err)
{
	if (check_usable(out, err) < 0 || drain(out, err) < 0)
		return -1;
	if (out->gzip && write_gzip(out, NULL, 0, Z_FINISH, err) < 0)
		return -1;
	if (out->target) {
		if (io_sync(out->fd) < 0)
			return fail_with_errno(out, "can't sync", err);
		if (publish(out) < 0)
			return fail_with_errno(out, "can't give the finished file its name", err);
		if (output_sync_folder(out->target) < 0)
			return fail_with_errno(out,
				"is complete and in its place, but can't sync its directory", err);
	}
	const char *unclosed =
		out->target ? "is complete and in its place, but can't close it" : "can't close";
	int fd = out->fd;
	out->fd = -1;
	if (io_close(fd) < 0)
		return fail_with_errno(out, unclosed, err);
	output_discard(out);
	return 0;
}

void output_discard(struct output *out)
{
	if (out->fd > STDERR_FILENO) /* never 0..2: also right for a struct of zeros */
		io_close(out->fd);
	if (out->temporary)
		unlink(out->temporary);
	if (out->gzip)
		deflateEnd(&out->gzip->z);
	free(out->gzip);
	free(out->buffer);
	free(out->temporary);
	free(out->target);
	free(out->name);
	*out = (struct output){.fd = -1};
}

/* spool.c: memory first, then an unlinked temporary file. */
#include "base/spool.h"

#include "base/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *directory(void)
{
	const char *dir = secure_getenv("TMPDIR");
	return dir && *dir ? dir : "/tmp";
}

int spool_init(struct spool *spool, struct error *err)
{
	*spool = (struct spool){.fd = -1};
	spool->memory = malloc(SPOOL_MEMORY);
	if (!spool->memory)
		return error_memory(err, SPOOL_MEMORY, "the spool");
	return 0;
}

/* Opens a file that has no name, or loses it at once where the file system can't do without. */
static int open_unnamed(const char *dir, struct error *err)
{
	int fd = io_open(dir, O_TMPFILE | O_EXCL | O_RDWR);
	if (fd >= 0)
		return fd;
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/charpipe-XXXXXX", dir);
	if ((size_t)n >= sizeof path)
		return error_set(err, STATUS_IO, "$TMPDIR is too long for a path");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, STATUS_IO,
			"can't make a temporary file in %s (set TMPDIR to move it)", dir);
	unlink(path);
	return fd;
}

static int write_file(struct spool *spool, const unsigned char *buf, size_t n, struct error *err)
{
	if (spool->fd < 0 && (spool->fd = open_unnamed(directory(), err)) < 0)
		return -1;
	if (io_write(spool->fd, buf, n) < 0)
		return error_errno(err, STATUS_IO,
			"can't write a temporary file in %s (set TMPDIR to move it)", directory());
	spool->size += n;
	return 0;
}

int spool_write(struct spool *spool, const void *buf, size_t n, struct error *err)
{
	size_t kept = 0;
	if (spool->size < SPOOL_MEMORY) {
		size_t room = SPOOL_MEMORY - (size_t)spool->size;
		kept = n < room ? n : room;
		memcpy(spool->memory + spool->size, buf, kept);
		spool->size += kept;
	}
	return kept < n ? write_file(spool, (const unsigned char *)buf + kept, n - kept, err) : 0;
}

int spool_read(const struct spool *spool, uint64_t offset, void *buf, size_t n, struct error *err)
{
	unsigned char *to = buf;
	if (offset < SPOOL_MEMORY) {
		size_t room = SPOOL_MEMORY - (size_t)offset;
		size_t kept = n < room ? n : room;
		memcpy(to, spool->memory + offset, kept);
		to += kept;
		offset += kept;
		n -= kept;
	}
	if (n == 0)
		return 0;
	ssize_t got = io_read_at(spool->fd, to, n, offset - SPOOL_MEMORY);
	if (got < 0)
		return error_errno(err, STATUS_IO, "can't read the temporary file");
	if ((size_t)got < n)
		return error_set(err, STATUS_IO, "the temporary file became shorter");
	return 0;
}

void spool_release(struct spool *spool)
{
	if (spool->memory && spool->fd >= 0)
		io_close(spool->fd);
	free(spool->memory);
	*spool = (struct spool){.fd = -1};
}

/* log.c: see log.h. */
#include "tools/train/log.h"

#include "base/io.h"
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* How a log begins, of this version or another, and its first line. */
static const char magic[] = "epoch\tstep\t";
static const char header[] =
	"epoch\tstep\ttokens\tloss\tval_loss\tlr\tgrad_norm\tchars_per_s\tseconds\n";

/* A file that is no log keeps what it holds. */
static int check_kind(const struct log *log, struct error *err)
{
	char first[sizeof magic - 1];
	struct stat st;
	if (fstat(log->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		return 0;
	int fd = io_open(log->path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : io_read_at(fd, first, sizeof first, 0);
	if (n < 0)
		error_errno(err, STATUS_CANT_CREATE,
			"%s: can't be read, to see whether it is a log", log->path);
	if (fd >= 0)
		io_close(fd);
	if (n < 0)
		return -1;
	if ((size_t)n < sizeof first || memcmp(first, magic, sizeof first) != 0)
		return error_set(err, STATUS_CANT_CREATE,
			"%s: is no log, and one would take its place; name another file",
			log->path);
	return 0;
}

int log_open(struct log *log, const char *path, struct error *err)
{
	*log = (struct log){.fd = -1, .path = path};
	if (!path)
		return 0;
	log->stream = strcmp(path, "-") == 0;
	log->fd = log->stream ? io_duplicate(STDOUT_FILENO) : io_open(path, O_WRONLY | O_CREAT);
	if (log->fd < 0)
		return error_errno(
			err, STATUS_CANT_CREATE, "%s: can't be opened for writing", path);
	return log->stream ? 0 : check_kind(log, err);
}

/* Takes back what was written of a piece; false where that can't be. */
static bool take_back(const struct log *log)
{
	struct stat st;
	const off_t end = (off_t)log->bytes;
	return !log->stream && fstat(log->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       ftruncate(log->fd, end) == 0 && lseek(log->fd, end, SEEK_SET) == end;
}

static int put(struct log *log, const char *text, size_t n, struct error *err)
{
	if (io_write(log->fd, text, n) < 0) {
		error_errno(err, STATUS_IO, "%s: write failed", log->path);
		log->lost = !take_back(log);
		return -1;
	}
	log->crc = (uint32_t)crc32(log->crc, (const Bytef *)text, (uInt)n);
	log->bytes += n;
	return 0;
}

/* Writes what waits. */
static int drain(struct log *log, struct error *err)
{
	if (log->lost)
		return error_set(err, STATUS_IO, "%s: an earlier write failed", log->path);
	if (log->waits == 0)
		return 0;
	if (put(log, log->waiting, log->waits, err) < 0)
		return -1;
	log->waits = 0;
	return 0;
}

/* Checks that the file's first `bytes` bytes are the log that a checkpoint speaks of. */
static int check(struct log *log, uint64_t bytes, uint32_t expected, struct error *err)
{
	unsigned char buffer[4096];
	uint32_t crc = 0;
	uint64_t left = bytes;
	int fd = io_open(log->path, O_RDONLY);
	if (fd < 0)
		return error_errno(
			err, STATUS_NO_INPUT, "%s: can't be read to continue it", log->path);
	while (left > 0) {
		size_t want = left < sizeof buffer ? (size_t)left : sizeof buffer;
		ssize_t n = io_read(fd, buffer, want);
		if (n <= 0)
			break;
		crc = (uint32_t)crc32(crc, buffer, (uInt)n);
		left -= (uint64_t)n;
	}
	io_close(fd);
	if (left > 0 || crc != expected)
		return error_set(err, STATUS_DATA,
			"%s: is not the log of the run to be resumed: its first %" PRIu64
			" bytes are others; give another --log",
			log->path, bytes);
	return 0;
}

/* Rows that a checkpoint counts on must not vanish with the file's name. */
static int sync_name(const struct log *log, struct error *err)
{
	char *path = realpath(log->path, NULL);
	int rc = path ? output_sync_folder(path) : -1;
	if (rc < 0)
		error_errno(err, STATUS_IO, "%s: can't sync its directory", log->path);
	free(path);
	return rc;
}

int log_begin(struct log *log, bool resumed, uint64_t bytes, uint32_t crc, struct error *err)
{
	struct stat st;
	if (log->fd < 0)
		return 0;
	if (fstat(log->fd, &st) < 0)
		return error_errno(err, STATUS_IO, "%s: stat failed", log->path);
	if (log->stream || !S_ISREG(st.st_mode))
		return put(log, header, sizeof header - 1, err);
	if (sync_name(log, err) < 0)
		return -1;
	if (st.st_size == 0)
		return put(log, header, sizeof header - 1, err);
	if (resumed && bytes == 0)
		return error_set(err, STATUS_DATA,
			"%s: is not empty, and the run to be resumed kept no log; give another "
			"--log",
			log->path);
	if (bytes > 0 && check(log, bytes, crc, err) < 0)
		return -1;
	if (ftruncate(log->fd, (off_t)bytes) < 0 || lseek(log->fd, 0, SEEK_END) < 0)
		return error_errno(
			err, STATUS_IO, "%s: can't be cut to %" PRIu64 " bytes", log->path, bytes);
	log->bytes = bytes;
	log->crc = crc;
	return bytes > 0 ? 0 : put(log, header, sizeof header - 1, err);
}

/* A number, or what stands where there is none. */
static const char *number(char text[32], const char *format, double x)
{
	if (isfinite(x))
		snprintf(text, 32, format, x);
	else
		strcpy(text, "-");
	return text;
}

int log_append(struct log *log, const struct log_row *row, struct error *err)
{
	char line[512], loss[32], val_loss[32], lr[32], grad_norm[32];
	if (log->fd < 0)
		return 0;
	int n = snprintf(line, sizeof line,
		"%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%s\t%s\t%.0f\t%.3f\n", row->epoch,
		row->step, row->tokens, number(loss, "%.6f", row->loss),
		number(val_loss, "%.6f", row->val_loss), number(lr, "%g", row->lr),
		number(grad_norm, "%.6g", row->grad_norm), row->chars_per_s, row->seconds);
	if (!log->lost) {
		char *more = realloc(log->waiting, log->waits + (size_t)n);
		log->lost = !more;
		if (!more)
			return error_memory(err, log->waits + (size_t)n, "rows of the log");
		memcpy(more + log->waits, line, (size_t)n);
		log->waiting = more;
		log->waits += (size_t)n;
	}
	return drain(log, err);
}

int log_sync(struct log *log, struct error *err)
{
	if (log->fd >= 0 && !log->lost)
		(void)drain(log, err);
	/* EINVAL: a pipe or a terminal, which has no disk. */
	if (log->fd >= 0 && io_sync(log->fd) < 0 && errno != EINVAL && errno != EROFS)
		return error_errno(err, STATUS_IO, "%s: sync failed", log->path);
	return 0;
}

int log_close(struct log *log, struct error *err)
{
	int fd = log->fd, rc = 0;
	if (fd >= 0)
		rc = drain(log, err);
	free(log->waiting);
	log->waiting = NULL;
	log->waits = 0;
	log->fd = -1;
	if (fd >= 0 && io_close(fd) < 0 && rc == 0)
		rc = error_errno(err, STATUS_IO, "%s: close failed", log->path);
	return rc;
}

/* log.c: see log.h. */
#include "tools/train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char header[] =
	"epoch\tstep\ttokens\tloss\tval_loss\tlr\tgrad_norm\tchars_per_s\tseconds\n";

int log_open(struct log *log, const char *path, struct error *err)
{
	*log = (struct log){.fd = -1, .path = path};
	if (!path)
		return 0;
	if (strcmp(path, "-") == 0)
		log->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		log->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
	if (log->fd < 0)
		return error_errno(
			err, STATUS_CANT_CREATE, "%s: can't be opened for writing", path);
	return 0;
}

static int put(struct log *log, const char *text, size_t n, struct error *err)
{
	log->crc = (uint32_t)crc32(log->crc, (const Bytef *)text, (uInt)n);
	log->bytes += n;
	while (n > 0) {
		ssize_t done = write(log->fd, text, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_errno(err, STATUS_IO, "%s: write failed", log->path);
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

/* Checks that the file's first `bytes` bytes are the log that a checkpoint speaks of. */
static int check(struct log *log, uint64_t bytes, uint32_t expected, struct error *err)
{
	unsigned char buffer[4096];
	uint32_t crc = 0;
	uint64_t left = bytes;
	int fd = open(log->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_errno(
			err, STATUS_NO_INPUT, "%s: can't be read to continue it", log->path);
	while (left > 0) {
		size_t want = left < sizeof buffer ? (size_t)left : sizeof buffer;
		ssize_t n = read(fd, buffer, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		crc = (uint32_t)crc32(crc, buffer, (uInt)n);
		left -= (uint64_t)n;
	}
	close(fd);
	if (left > 0 || crc != expected)
		return error_set(err, STATUS_DATA,
			"%s: is not the log of the run to be resumed: its first %" PRIu64
			" bytes are others; give another --log",
			log->path, bytes);
	return 0;
}

int log_begin(struct log *log, uint64_t bytes, uint32_t crc, struct error *err)
{
	struct stat st;
	if (log->fd < 0)
		return 0;
	if (fstat(log->fd, &st) < 0)
		return error_errno(err, STATUS_IO, "%s: stat failed", log->path);
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return put(log, header, sizeof header - 1, err);
	if (bytes > 0 && check(log, bytes, crc, err) < 0)
		return -1;
	if (ftruncate(log->fd, (off_t)bytes) < 0 || lseek(log->fd, 0, SEEK_END) < 0)
		return error_errno(
			err, STATUS_IO, "%s: can't be cut to %" PRIu64 " bytes", log->path, bytes);
	log->bytes = bytes;
	log->crc = crc;
	return bytes > 0 ? 0 : put(log, header, sizeof header - 1, err);
}

int log_append(struct log *log, const struct log_row *row, struct error *err)
{
	char line[512], val_loss[32] = "-";
	if (log->fd < 0)
		return 0;
	if (isfinite(row->val_loss))
		snprintf(val_loss, sizeof val_loss, "%.6f", row->val_loss);
	int n = snprintf(line, sizeof line,
		"%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%.6f\t%s\t%g\t%.6g\t%.0f\t%.3f\n",
		row->epoch, row->step, row->tokens, row->loss, val_loss, row->lr, row->grad_norm,
		row->chars_per_s, row->seconds);
	return put(log, line, (size_t)n, err);
}

int log_sync(const struct log *log, struct error *err)
{
	/* EINVAL: a pipe or a terminal, which has no disk. */
	if (log->fd >= 0 && fdatasync(log->fd) < 0 && errno != EINVAL && errno != EROFS)
		return error_errno(err, STATUS_IO, "%s: sync failed", log->path);
	return 0;
}

int log_close(struct log *log, struct error *err)
{
	int fd = log->fd;
	log->fd = -1;
	if (fd >= 0 && close(fd) < 0 && errno != EINTR)
		return error_errno(err, STATUS_IO, "%s: close failed", log->path);
	return 0;
}

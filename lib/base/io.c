/* io.c: see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* Whether a call that failed is to be made again. */
static bool again(int fd, short events)
{
	if (errno == EINTR)
		return true;
	if (errno != EAGAIN)
		return false;
	struct pollfd p = {.fd = fd, .events = events};
	poll(&p, 1, -1);
	return true;
}

int io_open(const char *path, int flags)
{
	int fd;
	do {
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0666);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

int io_duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

int io_close(int fd)
{
	return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

ssize_t io_read(int fd, void *buf, size_t n)
{
	ssize_t got;
	do {
		got = read(fd, buf, n);
	} while (got < 0 && again(fd, POLLIN));
	return got;
}

ssize_t io_read_at(int fd, void *buf, size_t n, uint64_t offset)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got =
			pread(fd, (unsigned char *)buf + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int io_write(int fd, const void *buf, size_t n)
{
	const unsigned char *s = buf;
	while (n > 0) {
		ssize_t done = write(fd, s, n);
		if (done >= 0) {
			s += done;
			n -= (size_t)done;
		} else if (!again(fd, POLLOUT)) {
			return -1;
		}
	}
	return 0;
}

int io_reserve(int fd, uint64_t bytes)
{
	int rc;
	if (bytes > INT64_MAX) {
		errno = EFBIG;
		return -1;
	}
	/* Not posix_fallocate(3), which writes zeros where the file system can't reserve. */
	do {
		rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

bool io_waits(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 0;
}

int io_sync(int fd)
{
	int rc;
	do {
		rc = fsync(fd);
	} while (rc < 0 && errno == EINTR);
	return rc;
}

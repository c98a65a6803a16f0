/* io.h: the system's calls as everything else wants them: an interrupted one is made again, a
 * descriptor that somebody made non-blocking is waited for, and short reads and writes are gone on
 * with. They are made nowhere else.
 *
 * All return -1 with errno on failure. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A descriptor that other programs don't inherit, of a file that becomes no controlling terminal.
 * `flags` as for open(2); a file that is made gets the mode 0666 & ~umask. */
int io_open(const char *path, int flags);

/* A second descriptor of an open file, above those of the standard streams. */
int io_duplicate(int fd);

/* Closes it, once: it is gone after an interruption too. */
int io_close(int fd);

/* What there is, at most n bytes, as soon as there is something: the count, 0 at the end. */
ssize_t io_read(int fd, void *buf, size_t n);

/* All n bytes at `offset` of a regular file, fewer only where it ends: the count. */
ssize_t io_read_at(int fd, void *buf, size_t n, uint64_t offset);

/* All n bytes. */
int io_write(int fd, const void *buf, size_t n);

/* Makes room on the disk for `bytes` bytes of a file, whose size stays what it is. */
int io_reserve(int fd, uint64_t bytes);

/* Whether io_read() would have to wait. */
bool io_waits(int fd);

/* fsync(2). After any other failure than an interruption the kernel may have dropped what it
 * couldn't write, so that a second success would mean nothing. */
int io_sync(int fd);

#endif

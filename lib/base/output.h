/* output.h: writing a file, a pipe or standard output so that a failure can't go unseen and a file
 * appears under its name complete or not at all.
 *
 *     struct output out;
 *     if (output_open(&out, path, 0, err) < 0) return -1;
 *     if (output_write(&out, buf, n, err) < 0) goto fail;
 *     if (output_commit(&out, err) < 0) goto fail;
 *     fail: output_discard(&out);        (nothing after a commit)
 *
 * A regular file (or an absent one) is written under no name (O_TMPFILE; where the file system has
 * none, as .charpipe-PID-N in the same directory, which a killed program leaves behind), synced,
 * and renamed over `path` by output_commit(); a symbolic link is followed, so the link stays and
 * its target is replaced. Devices, FIFOs, descriptors (/dev/stdout, /dev/fd/N) and standard output
 * are written in place. */
#ifndef BASE_OUTPUT_H
#define BASE_OUTPUT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum output_flags {
	OUTPUT_GZIP = 1,   /* compress; the gzip header carries no name and no time */
	OUTPUT_BINARY = 2, /* refuse to write to a terminal (status 64) */
};

struct output_gzip; /* private to output.c */

struct output {
	int fd;
	char *name;      /* for messages: the path, or "standard output"; owned */
	char *target;    /* where commit renames to, links resolved; NULL: in place; owned */
	char *temporary; /* the temporary's name where it has one; owned */
	unsigned char *buffer;
	size_t used;
	uint64_t offset; /* bytes taken by output_write() so far, before compression */
	struct output_gzip *gzip;
	bool failed; /* a write failed: every later call fails too */
};

/* Opens `path`, or standard output for NULL and "-". Flags: enum output_flags, or-ed. Status 73. A
 * new file gets mode 0666 & ~umask; one that is replaced must be writable and keeps its permission
 * bits, and its owner and group where that is allowed; without the group its bits go. */
int output_open(struct output *out, const char *path, unsigned flags, struct error *err);

/* Takes n bytes; buffered. Status 74. EPIPE is reported as any other failure (a tool that keeps
 * SIGPIPE's default dies of it before). */
int output_write(struct output *out, const void *buf, size_t n, struct error *err);

/* Makes room on the disk for a file of `bytes` bytes before the first is written, so that a full
 * disk shows at once and not in the middle; what is written in place or compressed takes none.
 * Status 74. */
int output_reserve(struct output *out, uint64_t bytes, struct error *err);

/* Hands everything taken so far to the kernel (and a reader at the other end of a pipe). */
int output_flush(struct output *out, struct error *err);

/* Flushes, syncs and renames a file; flushes and closes the rest. No data is lost silently after it
 * returned 0. If it fails, the old file stands, unless the message says that the new one does. */
int output_commit(struct output *out, struct error *err);

/* Releases everything; what was not committed leaves no trace under the final name. Harmless twice,
 * after a failed open, and on a struct of zeros. */
void output_discard(struct output *out);

/* Makes the names in the path's directory survive a power cut. A directory that may not be read, or
 * can't be synced at all, is passed over. 0, or -1 with errno. */
int output_sync_folder(const char *path);

#endif

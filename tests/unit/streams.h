/* streams.h: what the tests of token streams and shards share: files in memory, golden files. */
#ifndef TESTS_STREAMS_H
#define TESTS_STREAMS_H

#include "base/input.h"
#include "base/output.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/streams/"

struct bytes {
	unsigned char *v;
	size_t n;
};

static inline struct bytes load(const char *path)
{
	struct bytes b = {NULL, 0};
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: can't open; run the tests from the repository's root", path);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	b.n = (size_t)ftell(f);
	b.v = malloc(b.n + 1);
	assert_non_null(b.v);
	rewind(f);
	assert_int_equal(fread(b.v, 1, b.n, f), b.n);
	fclose(f);
	return b;
}

/* Where the bytes of an input lie: a plain file, or a pipe (of at most 64 KiB). */
enum place { IN_FILE, IN_PIPE };

/* Opens bytes as an input. Returns a descriptor of the file in memory, or of the pipe; to be
 * closed. */
static inline int open_bytes(struct input *in, const void *bytes, size_t n, enum place place)
{
	struct error err;
	char path[64];
	int fd;
	if (place == IN_PIPE) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		assert_int_equal(write(ends[1], bytes, n), n);
		close(ends[1]);
		fd = ends[0];
	} else {
		fd = memfd_create("test", 0);
		assert_int_equal(write(fd, bytes, n), n);
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (input_open(in, path, INPUT_GUNZIP, &err) < 0)
		fail_msg("%s", err.text);
	return fd;
}

/* An output whose bytes can be looked at: a file in a folder of its own. */
struct written {
	struct output out;
	char folder[32], path[48];
};

static inline void written_open(struct written *w, unsigned flags)
{
	struct error err;
	strcpy(w->folder, "/tmp/charpipe-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof w->path, "%s/out", w->folder);
	if (output_open(&w->out, w->path, flags, &err) < 0)
		fail_msg("%s", err.text);
}

/* Commits the output, removes the file, returns what was in it. */
static inline struct bytes written_close(struct written *w)
{
	struct error err;
	if (output_commit(&w->out, &err) < 0)
		fail_msg("%s", err.text);
	struct bytes b = load(w->path);
	unlink(w->path);
	rmdir(w->folder);
	return b;
}

/* Calls test(name, bytes, status, message) for each golden file with that ending; returns how many
 * there were. */
static inline int each_golden(const char *ending,
	void (*test)(const char *name, struct bytes bytes, int status, const char *message))
{
	int count = 0;
	struct bytes table = load(GOLDEN "expected.tsv");
	table.v[table.n] = '\0';
	char *lines = (char *)table.v, *line;
	strsep(&lines, "\n"); /* the header */
	while ((line = strsep(&lines, "\n")) && *line) {
		char path[200], *name = strsep(&line, "\t"), *status = strsep(&line, "\t");
		if (!strstr(name, ending))
			continue;
		snprintf(path, sizeof path, GOLDEN "%s", name);
		struct bytes bytes = load(path);
		test(name, bytes, atoi(status), line);
		free(bytes.v);
		count++;
	}
	free(table.v);
	return count;
}

/* Calls test(what was done, bytes) for every proper prefix of the bytes and for each of their bits
 * turned over. */
static inline void each_damage(
	struct bytes good, void (*test)(const char *what, struct bytes bytes))
{
	char what[64];
	for (size_t n = 0; n < good.n; n++) {
		snprintf(what, sizeof what, "cut to %zu bytes", n);
		test(what, (struct bytes){good.v, n});
	}
	for (size_t bit = 0; bit < 8 * good.n; bit++) {
		snprintf(what, sizeof what, "bit %zu of byte %zu turned", bit % 8, bit / 8);
		good.v[bit / 8] ^= (unsigned char)(1u << bit % 8);
		test(what, good);
		good.v[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

/* Numbers that look random and are always the same (xorshift32). */
static inline uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif

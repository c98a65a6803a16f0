/* golden.h: reading tests/golden/torch, numbers that PyTorch computed (see make_golden.py there).
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct golden {
	char *index; /* lines "name <tab> count" */
	float *data;
};

/* A file of the golden folder, whole and with a zero byte behind it; ends the test program when it
 * can't be read. */
static inline void *golden_read(const char *name, const char *suffix)
{
	char path[200];
	snprintf(path, sizeof path, "tests/golden/torch/%s.%s", name, suffix);
	FILE *f = fopen(path, "rb");
	long size = -1;
	if (f && fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	char *text = size < 0 ? NULL : calloc((size_t)size + 1, 1);
	if (!text || fseek(f, 0, SEEK_SET) != 0 ||
		fread(text, 1, (size_t)size, f) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(f);
	return text;
}

/* The golden numbers called `name`; files are found from the root of the repository. */
static inline struct golden golden_open(const char *name)
{
	return (struct golden){golden_read(name, "txt"), golden_read(name, "f32")};
}

static inline void golden_close(struct golden *golden)
{
	free(golden->index);
	free(golden->data);
}

/* The `count` numbers of the part that is called prefix + name. Ends the test program if there is
 * none of that name and size. */
static inline const float *golden_part(
	const struct golden *golden, const char *prefix, const char *name, size_t count)
{
	char wanted[100];
	size_t at = 0;
	snprintf(wanted, sizeof wanted, "%s%s\t%zu\n", prefix, name, count);
	for (const char *line = golden->index; *line; line = strchr(line, '\n') + 1) {
		if (strncmp(line, wanted, strlen(wanted)) == 0)
			return golden->data + at;
		if (*line != '#')
			at += strtoul(strchr(line, '\t'), NULL, 10);
	}
	fprintf(stderr, "golden numbers lack %s", wanted);
	exit(1);
}

static inline size_t golden_size(const struct golden *golden, unsigned i)
{
	return (size_t)golden_part(golden, "shape", "", 6)[i];
}

#endif

/* files.c: see files.h. */
#include "tools/files.h"

#include "base/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
	const struct option *option; /* NULL: an operand or standard input */
	const char *path;            /* NULL or "-": a standard stream */
	const char *suffix;          /* of a second file beside it, or "" */
	bool written;
	struct place place;
};

struct files {
	struct file *v; /* (room); owned */
	size_t count;
};

static bool is_stream(const struct file *file)
{
	return !file->path || strcmp(file->path, "-") == 0;
}

/* Adds a file, or the one that has its name and a suffix. */
static int add(struct files *files, const struct option *option, const char *path,
	const char *suffix, bool written, struct error *err)
{
	struct file *file = &files->v[files->count++];
	char *second = NULL;
	int descriptor, rc = 0;
	*file = (struct file){.option = option, .path = path, .suffix = suffix, .written = written};
	if (is_stream(file)) {
		place_init_descriptor(&file->place, written ? STDOUT_FILENO : STDIN_FILENO);
	} else if (!*suffix) {
		rc = place_init(&file->place, path, err);
	} else {
		char *target = place_follow(path, &descriptor);
		if (target && asprintf(&second, "%s%s", target, suffix) < 0)
			second = NULL;
		if (second)
			rc = place_init(&file->place, second, err);
		free(second);
		free(target);
	}
	return rc;
}

static int add_option(
	struct files *files, const struct option *option, const char *path, struct error *err)
{
	bool written = option->file != OPTION_FILE_READ && option->file != OPTION_FILE_LOADED;
	if (add(files, option, path, "", written, err) < 0)
		return -1;
	if (option->file != OPTION_FILE_SAVED)
		return 0;
	if (add(files, option, path, "~", true, err) < 0)
		return -1;
	return add(files, option, path, ".lock", true, err);
}

static const char *describe(const struct file *file, char *buf, size_t n)
{
	if (is_stream(file))
		snprintf(buf, n, "standard %s", file->written ? "output" : "input");
	else if (file->option)
		snprintf(buf, n, "--%s %s%s%s", file->option->name, file->path,
			*file->suffix ? "'s " : "", file->suffix);
	else
		snprintf(buf, n, "the input %s", file->path);
	return buf;
}

static bool is_of(const struct file *file, enum option_file kind)
{
	return file->option && file->option->file == kind;
}

/* Whether an output is what another file is. A run has one checkpoint, which both its options may
 * name; what has been loaded may be stored again; that two outputs go to standard output is told by the tool that allows it for one. */
static bool clash(const struct file *output, const struct file *other)
{
	bool streams = is_stream(output) && is_stream(other) && other->written;
	bool saved = is_of(output, OPTION_FILE_SAVED) && is_of(other, OPTION_FILE_SAVED);
	bool stored = is_of(output, OPTION_FILE_STORED) && is_of(other, OPTION_FILE_LOADED);
	return !streams && !saved && !stored && place_same(&output->place, &other->place);
}

static int compare(const struct files *files, struct error *err)
{
	enum { NAME = 300 };
	char a[NAME], b[NAME];
	for (size_t i = 0; i < files->count; i++)
		for (size_t j = files->v[i].written ? 0 : files->count; j < files->count; j++)
			if (j != i && clash(&files->v[i], &files->v[j]))
				return error_set(err, STATUS_USAGE,
					"%s and %s are one file, which would be overwritten",
					describe(&files->v[i], a, sizeof a),
					describe(&files->v[j], b, sizeof b));
	return 0;
}

int files_check(const struct options *options, int argc, char **argv, struct error *err)
{
	enum { BESIDE = 3 }; /* files that one option may name */
	size_t room = BESIDE * OPTIONS_MAX + (size_t)argc + 1;
	struct files files = {.v = calloc(room, sizeof *files.v)};
	int rc = -1;
	if (!files.v)
		return error_memory(err, room * sizeof *files.v, "names of files");
	for (const struct option *o = options->table; o->name; o++) {
		const char *path = o->file ? options_text(options, o) : NULL;
		if ((path || o->file == OPTION_FILE_RESULT) && add_option(&files, o, path, err) < 0)
			goto out;
	}
	for (int i = 0; i < argc; i++)
		if (add(&files, NULL, argv[i], "", false, err) < 0)
			goto out;
	if (add(&files, NULL, NULL, "", false, err) == 0)
		rc = compare(&files, err);
out:
	for (size_t i = 0; i < files.count; i++)
		place_release(&files.v[i].place);
	free(files.v);
	return rc;
}

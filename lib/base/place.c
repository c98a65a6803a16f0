/* place.c: see place.h. */
#include "base/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 /* symbolic links followed, as the kernel does */ };

/* The descriptor that a path like /dev/fd/3 stands for, or -1. Opening such a path anew would start
 * at byte 0 of the file behind it; renaming over that file would lose what others write to it. */
static int descriptor_of(const char *path)
{
	static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};

	if (strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(path, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		size_t n = strlen(folders[i]);
		char *end;
		if (strncmp(path, folders[i], n) != 0 || path[n] < '0' || path[n] > '9')
			continue;
		unsigned long fd = strtoul(path + n, &end, 10);
		if (*end == '\0' && fd <= INT_MAX)
			return (int)fd;
	}
	return -1;
}

/* The path's directory with its slash: its length, 0 for the current directory. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

char *place_beside(const char *path, const char *name)
{
	char *s;
	return asprintf(&s, "%.*s%s", (int)folder_length(path), path, name) < 0 ? NULL : s;
}

char *place_shipped(const char *const *folders, const char *name)
{
	char program[PATH_MAX], *path;
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	if (n < 0)
		return NULL;
	program[n] = '\0';
	for (; *folders; folders++) {
		if (asprintf(&path, "%.*s%s%s", (int)folder_length(program), program, *folders,
			    name) < 0)
			return NULL;
		if (access(path, F_OK) == 0)
			return path;
		free(path);
	}
	errno = ENOENT;
	return NULL;
}

char *place_follow(const char *path, int *descriptor)
{
	char *at = strdup(path);

	for (int i = 0; at; i++) {
		char link[PATH_MAX];
		*descriptor = descriptor_of(at);
		if (*descriptor >= 0)
			return at;
		ssize_t n = readlink(at, link, sizeof link - 1);
		if (n < 0)
			return at; /* no link, or what open() will complain about */
		link[n] = '\0';
		char *next = link[0] == '/' ? strdup(link) : place_beside(at, link);
		free(at);
		at = next;
		if (i == LINKS_MAX) {
			free(at);
			errno = ELOOP;
			return NULL;
		}
	}
	return NULL;
}

static struct place place_of_status(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return (struct place){0};
	return (struct place){.known = true, .device = st->st_dev, .inode = st->st_ino};
}

int place_init(struct place *place, const char *path, struct error *err)
{
	struct stat st;
	int descriptor;
	*place = (struct place){0};
	if (stat(path, &st) == 0) {
		*place = place_of_status(&st);
		return 0;
	}
	if (errno != ENOENT)
		return 0;
	char *target = place_follow(path, &descriptor);
	char *folder = target ? place_beside(target, ".") : NULL;
	char *name = target ? strdup(target + folder_length(target)) : NULL;
	bool found = folder && name && stat(folder, &st) == 0;
	bool lost = errno == ENOMEM;
	if (found)
		*place = (struct place){
			.known = true, .device = st.st_dev, .inode = st.st_ino, .name = name};
	else
		free(name);
	free(folder);
	free(target);
	return !found && lost ? error_memory(err, PATH_MAX, "a file's name") : 0;
}

void place_init_descriptor(struct place *place, int fd)
{
	struct stat st;
	*place = fstat(fd, &st) == 0 ? place_of_status(&st) : (struct place){0};
}

bool place_same(const struct place *a, const struct place *b)
{
	return a->known && b->known && a->device == b->device && a->inode == b->inode &&
	       (a->name && b->name ? strcmp(a->name, b->name) == 0 : a->name == b->name);
}

void place_release(struct place *place)
{
	free(place->name);
	*place = (struct place){0};
}

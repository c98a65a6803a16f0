/* place.h: which file a path leads to, be it there already or not. */
#ifndef BASE_PLACE_H
#define BASE_PLACE_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct place {
	bool known;   /* false: no regular file is there, nor can one be made */
	dev_t device; /* the file's, or, if it isn't there, its folder's */
	ino_t inode;
	char *name; /* of a file that isn't there; else NULL; owned */
};

/* Finds out where the path leads through all links, also if the last one dangles. */
int place_init(struct place *place, const char *path, struct error *err);

/* What is open. */
void place_init_descriptor(struct place *place, int fd);

/* Whether two places are one file: never if one of them is not known. */
bool place_same(const struct place *a, const struct place *b);

/* Harmless twice, and on a struct of zeros. */
void place_release(struct place *place);

/* Follows the symbolic links at the path's end, also one that dangles, which realpath(3) refuses.
 * *descriptor becomes the one that a path like /dev/fd/3 stands for, if they lead there, else -1. A
 * new string, or NULL with errno. */
char *place_follow(const char *path, int *descriptor);

/* A new string: `path`'s directory, then `name`; NULL with ENOMEM. */
char *place_beside(const char *path, const char *name);

/* Where a file is that came with the program: its path in the first of the folders that has it, each
 * seen from the program's own folder ("../lib/charpipe/"; NULL ends them), so that a tree can be
 * moved. A new string, or NULL with errno, which is ENOENT where none of them has it. */
char *place_shipped(const char *const *folders, const char *name);

#endif

/* files.h: no output takes the place of an input, or of another output. */
#ifndef FILES_H
#define FILES_H

#include "base/error.h"
#include "base/option.h"

/* Looks at all files that the options say are read or written (enum option_file), the operands, all
 * of which are read, and the standard streams. Of two that are one regular file, by device and
 * inode or, if it is still to be made, by its folder and name, one must not be an output: status
 * 64, which names both. Nothing is opened. */
int files_check(const struct options *options, int argc, char **argv, struct error *err);

#endif

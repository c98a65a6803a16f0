/* plugin.h: parts of the programs that are loaded when they are needed: for GPUs, for MPI. */
#ifndef TOOLS_PLUGIN_H
#define TOOLS_PLUGIN_H

#include "base/error.h"

#include <stdint.h>

/* How what a plug-in shows begins, in every version. */
struct plugin {
	uint32_t abi;      /* counted up when plug-in and loader no longer understand each other */
	uint32_t ops_size; /* of the table of functions: says when somebody forgot to count up */
};

/* The path of a plug-in, a new string: in $CHARPIPE_PLUGIN_DIR if that is set, else beside the
 * program, as `make` leaves it, or in ../lib/charpipe, as `make install` does. NULL: it isn't there. */
char *plugin_find(const char *file);

/* What the plug-in at `path` shows under the name `symbol`; it stays loaded until the program ends.
 * flags: RTLD_LOCAL or RTLD_GLOBAL. NULL on failure (69: it can't be loaded, or is not as expected). */
const void *plugin_open(
	const char *path, const char *symbol, struct plugin expected, int flags, struct error *err);

#endif

/* plugin.c: see plugin.h. */
#include "tools/plugin.h"

#include "base/place.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *plugin_find(const char *file)
{
	static const char *const folders[] = {"", "../lib/charpipe/", NULL};
	const char *wanted = secure_getenv("CHARPIPE_PLUGIN_DIR");
	char *path;
	if (!wanted || !*wanted)
		return place_shipped(folders, file);
	if (asprintf(&path, "%s/%s", wanted, file) < 0)
		return NULL;
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

const void *plugin_open(
	const char *path, const char *symbol, struct plugin expected, int flags, struct error *err)
{
	void *library = dlopen(path, RTLD_NOW | flags);
	const struct plugin *plugin = library ? dlsym(library, symbol) : NULL;
	if (plugin && plugin->abi == expected.abi && plugin->ops_size == expected.ops_size)
		return plugin;
	if (!library)
		error_set(err, STATUS_NO_DEVICE, "%s", dlerror());
	else
		error_set(
			err, STATUS_NO_DEVICE, "%s: belongs to another version of charpipe", path);
	return NULL;
}

/* device.c: see device.h. */
#include "tools/device.h"

#include "base/place.h"
#include "base/pool.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const device_choices[] = {"auto", "cpu", "cuda", NULL};

/* The path of the plug-in, a new string: in $CHARPIPE_PLUGIN_DIR if that is set, else beside the
 * program, as `make` leaves it, or in lib/charpipe, as `make install` does. */
static char *find_plugin(struct error *err)
{
	static const char *const folders[] = {"", "../lib/charpipe/", NULL};
	const char *wanted = secure_getenv("CHARPIPE_PLUGIN_DIR");
	char *path;
	if (!wanted || !*wanted) {
		path = place_shipped(folders, CUDA_PLUGIN_FILE);
		if (!path)
			error_set(err, STATUS_NO_DEVICE,
				"no CUDA here: no " CUDA_PLUGIN_FILE
				" beside this program or in ../lib/charpipe ('make cuda' builds "
				"it); -D cpu does without");
		return path;
	}
	if (asprintf(&path, "%s/" CUDA_PLUGIN_FILE, wanted) < 0) {
		error_memory(err, strlen(wanted), "a file's name");
		return NULL;
	}
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	error_set(err, STATUS_NO_DEVICE, "no " CUDA_PLUGIN_FILE " in $CHARPIPE_PLUGIN_DIR (%s)",
		wanted);
	return NULL;
}

/* The plug-in stays loaded until the program ends. */
static struct device *open_cuda(const struct device_options *options, struct error *err)
{
	char *path = find_plugin(err);
	if (!path)
		return NULL;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct cuda_plugin *plugin = library ? dlsym(library, CUDA_PLUGIN_SYMBOL) : NULL;
	const bool fits =
		plugin && plugin->abi == CUDA_PLUGIN_ABI && plugin->ops_size == sizeof(struct ops);
	if (!library)
		error_set(err, STATUS_NO_DEVICE, "%s", dlerror());
	else if (!fits)
		error_set(
			err, STATUS_NO_DEVICE, "%s: belongs to another version of charpipe", path);
	free(path);
	return fits ? plugin->open(options->tf32, options->host_rank, err) : NULL;
}

/* The plug-in drags in cuBLAS, which takes longer to load than a small model takes to sample. */
static bool has_driver(void)
{
	return dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
}

static struct device *open_cpu(
	const struct tool *tool, const struct device_options *options, struct error *err)
{
	unsigned cores = pool_cores();
	unsigned share = options->host_share > 1 ? cores / options->host_share : cores;
	unsigned threads = options->threads != 0 ? (unsigned)options->threads : share;
	threads = threads > 0 ? threads : 1;
	if (threads > cores)
		tool_note(tool, "%u threads on %u cores are slower than %u", threads, cores, cores);
	return cpu_open(threads, err);
}

struct device *device_open(
	const struct tool *tool, const struct device_options *options, struct error *err)
{
	struct device *device = NULL;
	if (options->device == DEVICE_CUDA) {
		device = open_cuda(options, err);
		if (!device)
			return NULL;
	}
	if (options->device == DEVICE_AUTO && has_driver()) {
		device = open_cuda(options, err);
		if (!device)
			tool_detail(tool, "%s", err->text);
	}
	return device ? device : open_cpu(tool, options, err);
}

void device_tell(const struct tool *tool, struct device *device)
{
	char description[256];
	device->ops->describe(device, description, sizeof description);
	tool_detail(tool, "device: %s", description);
}

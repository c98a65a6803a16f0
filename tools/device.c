/* device.c: see device.h. */
#include "tools/device.h"

#include "base/pool.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "tools/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const device_choices[] = {"auto", "cpu", "cuda", NULL};

static struct device *open_cuda(const struct device_options *options, struct error *err)
{
	const struct plugin expected = {CUDA_PLUGIN_ABI, sizeof(struct ops)};
	const char *folder = secure_getenv("CHARPIPE_PLUGIN_DIR");
	char *path = plugin_find(CUDA_PLUGIN_FILE);
	if (!path) {
		if (folder && *folder)
			error_set(err, STATUS_NO_DEVICE,
				"no " CUDA_PLUGIN_FILE " in $CHARPIPE_PLUGIN_DIR (%s)", folder);
		else
			error_set(err, STATUS_NO_DEVICE,
				"no CUDA here: no " CUDA_PLUGIN_FILE
				" beside this program or in ../lib/charpipe ('make cuda' builds "
				"it); -D cpu does without");
		return NULL;
	}
	const struct cuda_plugin *plugin =
		plugin_open(path, CUDA_PLUGIN_SYMBOL, expected, RTLD_LOCAL, err);
	free(path);
	return plugin ? plugin->open(options->tf32, options->host_rank, err) : NULL;
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

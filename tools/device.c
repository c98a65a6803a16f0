/* device.c: see device.h. */
#include "tools/device.h"

#include "base/pool.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const device_choices[] = {"auto", "cpu", "cuda", NULL};

/* Where the plug-in may be: in $CHARPIPE_PLUGIN_DIR if that is set, else beside the program, as
 * `make` leaves it, or in lib/charpipe, as `make install` does. Fills in the path of the one that
 * is there. */
static int find_plugin(char path[PATH_MAX], struct error *err)
{
	static const char *const places[] = {"", "/../lib/charpipe"};
	const char *wanted = secure_getenv("CHARPIPE_PLUGIN_DIR");
	char program[PATH_MAX] = "";
	if (wanted && *wanted) {
		int n = snprintf(path, PATH_MAX, "%s/" CUDA_PLUGIN_FILE, wanted);
		if (n < PATH_MAX && access(path, F_OK) == 0)
			return 0;
		return error_set(err, STATUS_NO_DEVICE,
			"no " CUDA_PLUGIN_FILE " in $CHARPIPE_PLUGIN_DIR (%s)", wanted);
	}
	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return error_errno(err, STATUS_NO_DEVICE, "no CUDA: where is this program?");
	const char *folder = dirname(program);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		int n = snprintf(path, PATH_MAX, "%s%s/" CUDA_PLUGIN_FILE, folder, places[i]);
		if (n < PATH_MAX && access(path, F_OK) == 0)
			return 0;
	}
	return error_set(err, STATUS_NO_DEVICE,
		"no CUDA here: no " CUDA_PLUGIN_FILE
		" in %s or %s/../lib/charpipe ('make cuda' builds "
		"it); -D cpu does without",
		folder, folder);
}

/* The plug-in stays loaded until the program ends. */
static struct device *open_cuda(const struct device_options *options, struct error *err)
{
	char path[PATH_MAX];
	if (find_plugin(path, err) < 0)
		return NULL;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		error_set(err, STATUS_NO_DEVICE, "%s", dlerror());
		return NULL;
	}
	const struct cuda_plugin *plugin = dlsym(library, CUDA_PLUGIN_SYMBOL);
	if (!plugin || plugin->abi != CUDA_PLUGIN_ABI || plugin->ops_size != sizeof(struct ops)) {
		error_set(
			err, STATUS_NO_DEVICE, "%s: belongs to another version of charpipe", path);
		return NULL;
	}
	return plugin->open(options->tf32, err);
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
	unsigned threads = options->threads != 0 ? (unsigned)options->threads : cores;
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

/* device.c: see device.h. */
#include "tools/device.h"
#include "base/pool.h"
#include "cpu/cpu.h"

const char *const device_choices[] = {"auto", "cpu", "cuda", NULL};

struct device *device_open(
	const struct tool *tool, const struct device_options *options, struct error *err)
{
	unsigned cores = pool_cores();
	unsigned threads = options->threads != 0 ? (unsigned)options->threads : cores;
	char description[256];

	if (options->device == DEVICE_CUDA) {
		error_set(err, STATUS_NO_DEVICE,
			"no CUDA support in this build: use -D cpu, or -D auto for the best there "
			"is");
		return NULL;
	}
	if (threads > cores)
		tool_note(tool, "%u threads on %u cores are slower than %u", threads, cores, cores);
	struct device *device = cpu_open(threads, err);
	if (device == NULL)
		return NULL;
	device->ops->describe(device, description, sizeof description);
	tool_detail(tool, "device: %s", description);
	return device;
}

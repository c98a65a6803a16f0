/* device.h: -j and -D of the tools that compute. */
#ifndef DEVICE_H
#define DEVICE_H

#include "base/error.h"
#include "base/option.h"
#include "nn/ops.h"
#include "tools/tool.h"

#include <stdint.h>

enum device_kind {
	DEVICE_AUTO,
	DEVICE_CPU,
	DEVICE_CUDA,
};

struct device_options {
	uint64_t threads; /* 0: all that this process may use */
	unsigned device;  /* enum device_kind */
};

/* Opens the device asked for and describes it with -v. `auto` is the CPU where there is no other.
 * More threads than cores: a note. NULL on failure (69 when the device is not there). Released with
 * device->ops->release(device). */
struct device *device_open(
	const struct tool *tool, const struct device_options *options, struct error *err);

#endif

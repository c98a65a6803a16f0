/* device.h: -j, -D and --tf32 of the tools that compute. */
#ifndef DEVICE_H
#define DEVICE_H

#include "base/error.h"
#include "base/option.h"
#include "nn/ops.h"
#include "tools/tool.h"

#include <stdbool.h>
#include <stdint.h>

enum device_kind {
	DEVICE_AUTO,
	DEVICE_CPU,
	DEVICE_CUDA,
};

struct device_options {
	uint64_t threads; /* 0: all that this process may use */
	unsigned device;  /* enum device_kind */
	bool tf32;
	/* Of the ranks of a group on this host: this one's number, which GPU it takes, and how many
	 * share its cores (0: none but this one). */
	unsigned host_rank, host_share;
};

extern const char *const device_choices[];

/* The table entries of a struct device_options that is the member `device` of the tool's values. */
/* clang-format off */
#define DEVICE_OPTIONS(values) \
	{.letter = 'j', .name = "threads", .argument = "N", .type = OPTION_INTEGER, \
	 .effect = EFFECT_NONE, .offset = offsetof(values, device.threads), .low = 1, .high = 1024, \
	 .also = "num-threads jobs workers", \
	 .help = "threads to compute with (default: one for each core that it may use)"}, \
	{.letter = 'D', .name = "device", .argument = "auto|cpu|cuda", .type = OPTION_CHOICE, \
	 .effect = EFFECT_NONE, .offset = offsetof(values, device.device), .initial = "auto", \
	 .choices = device_choices, .also = "gpu cuda", \
	 .help = "what to compute on; auto is a GPU where there is one"}, \
	{.name = "tf32", .type = OPTION_FLAG, .effect = EFFECT_STARTS, \
	 .offset = offsetof(values, device.tf32), \
	 .help = "let a GPU round the factors of products to TF32 (10 bits): faster, less exact"}
/* clang-format on */

/* Opens the device asked for. `auto` is the CPU where there is no other.
 * More threads than cores: a note. NULL on failure (69 when the device is not there). Released with
 * device->ops->release(device). */
struct device *device_open(
	const struct tool *tool, const struct device_options *options, struct error *err);

/* Describes it with -v, best when it is all set up. */
void device_tell(const struct tool *tool, struct device *device);

#endif

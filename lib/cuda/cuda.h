/* cuda.h: an NVIDIA GPU as a device of nn/ops.h: cuBLAS for the products, kernels.cu for the rest.
 *
 * This is a plug-in, charpipe-cuda.so: no program links it or CUDA. tools/device.c loads it when a
 * GPU is wanted, and finds what it needs in the one symbol below. */
#ifndef CUDA_CUDA_H
#define CUDA_CUDA_H

#include "base/error.h"
#include "nn/ops.h"

#include <stdbool.h>
#include <stdint.h>

/* Opens GPU number `index` of those that there are, in turn; NULL on failure (69: no driver, no
 * device, or one that this can't run on). `tf32`: products may round their factors to TF32's 10 bits,
 * which is several times as fast. Released by its ops->release(). */
struct device *cuda_open(bool tf32, unsigned index, struct error *err);

/* To be counted up when the plug-in and its loader no longer understand each other: with every
 * change of struct ops, of what it refers to, and of struct cuda_plugin. */
#define CUDA_PLUGIN_ABI 7
#define CUDA_PLUGIN_FILE "charpipe-cuda.so"
#define CUDA_PLUGIN_SYMBOL "charpipe_cuda"

struct cuda_plugin {
	uint32_t abi;      /* first in every version */
	uint32_t ops_size; /* sizeof(struct ops): says when somebody forgot to count up */
	struct device *(*open)(bool tf32, unsigned index, struct error *err);
};

#endif

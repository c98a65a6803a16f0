/* plugin.c: the one symbol that the plug-in shows. */
#include "cuda/cuda.h"

extern const struct cuda_plugin charpipe_cuda;

__attribute__((visibility("default"))) const struct cuda_plugin charpipe_cuda = {
	.abi = CUDA_PLUGIN_ABI,
	.ops_size = sizeof(struct ops),
	.open = cuda_open,
};

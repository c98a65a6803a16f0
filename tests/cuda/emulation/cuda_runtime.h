/* cuda_runtime.h: CUDA's C++ as far as lib/cuda/kernels.cu goes, on the host: a kernel is a
 * function, run once for each thread. The threads of a block take turns at barriers; see
 * emulation.cc. */
#ifndef EMULATION_CUDA_RUNTIME_H
#define EMULATION_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>
#include <type_traits>

using std::isfinite;
using std::isnan;

#define __global__
#define __device__
/* Blocks run one after the other, so that what a block shares can be static. */
#define __shared__ static

struct dim3 {
	unsigned x, y, z;
	constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
	{
	}
};

extern dim3 threadIdx, blockIdx, blockDim, gridDim;

/* The barrier at this line: true for all threads if `value` is for one. */
bool emulation_barrier(int line, bool value);
#define __syncthreads() static_cast<void>(emulation_barrier(__LINE__, false))
#define __syncthreads_or(value) emulation_barrier(__LINE__, value)

struct cudaLaunchConfig_t {
	dim3 gridDim, blockDim;
	size_t dynamicSmemBytes;
	cudaStream_t stream;
};

/* Queues a kernel whose arguments are bound. */
cudaError_t emulation_launch(const cudaLaunchConfig_t *config, std::function<void()> thread);

/* Ends the program unless p is NULL or device memory. */
void emulation_check_argument(const void *p);

template <typename T> void emulation_check_value(const T &value)
{
	if constexpr (std::is_pointer_v<T>)
		emulation_check_argument(value);
}

template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(
	const cudaLaunchConfig_t *config, void (*kernel)(Parameters...), Arguments &&...arguments)
{
	(emulation_check_value<Parameters>(arguments), ...);
	return emulation_launch(config, [kernel, values = std::tuple<Parameters...>(arguments...)] {
		std::apply(kernel, values);
	});
}

#endif

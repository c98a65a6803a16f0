/* emulation.h: a GPU on the host, for tests of lib/cuda on machines without one. It is strict where
 * a GPU is merciless but silent:
 *
 * - Device memory can be touched by kernels and copies alone; the host that does gets SIGSEGV.
 *   Around each piece are guard pages, and what lies between it and them is watched.
 *   Fresh memory is full of NaN.
 * - Everything queued runs as late as it may, when its stream is waited for: who doesn't wait reads
 *   old data. A copy reads the host's memory then, too.
 * - Kernels get pointers into device memory only; launches have CUDA's limits; all threads of a
 *   block must meet at the same barrier.
 * - While a graph is captured, nothing may be allocated, freed or waited for, and cuBLAS must have
 *   been given its workspace.
 *
 * What a GPU would punish by an error is an error here; what it would punish by chance ends the
 * program with a line on stderr. One thread may use it. */
#ifndef EMULATION_H
#define EMULATION_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum emulation_call {
	EMULATION_ALLOC,
	EMULATION_FREE,
	EMULATION_LAUNCH, /* of a kernel, by itself; its limits are looked at */
	EMULATION_COPY,   /* and memset */
	EMULATION_SYNC,
	EMULATION_BLAS,
	EMULATION_CAPTURE, /* the beginning of one */
	EMULATION_INSTANTIATE,
	EMULATION_GRAPH_LAUNCH, /* of a graph that was captured */
	EMULATION_CALLS
};

/* How often each was called since the program began. */
unsigned long emulation_count(enum emulation_call call);

/* Makes the call number `nth` from now (1: the next) fail with a CUDA error (for BLAS, a status of
 * cuBLAS), once. 0 takes that back. */
void emulation_fail(enum emulation_call call, unsigned long nth, int error);

/* From the next wait on every call fails, as when the GPU fell off the bus; false brings it back.
 */
void emulation_lose(bool lost);

/* Which GPU there is: the errors of cudaGetDeviceCount, or an age. The environment variable
 * EMULATION_GPU says the same by name: "absent", "no-driver", "old-driver", "old". */
enum emulation_gpu {
	EMULATION_GPU_GOOD,
	EMULATION_GPU_ABSENT,
	EMULATION_GPU_NO_DRIVER,
	EMULATION_GPU_OLD_DRIVER,
	EMULATION_GPU_OLD,
};
void emulation_set_gpu(enum emulation_gpu gpu);

/* Threads and blocks run in descending order: what depends on the order has a race. */
void emulation_set_reverse(bool reverse);

/* Device memory in pieces and bytes: to see whether all is given back. */
size_t emulation_pieces(void);
size_t emulation_bytes(void);

#ifdef __cplusplus
}
#endif

#endif

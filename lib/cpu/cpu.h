/* cpu.h: the CPU as a device of nn/ops.h: vector kernels chosen at run time, OpenBLAS for the
 * weight gradients, loaded by what trains. */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "base/error.h"
#include "nn/ops.h"

/* A device of `threads` >= 1 threads; NULL on failure. Released by its ops->release(). */
struct device *cpu_open(unsigned threads, struct error *err);

#endif

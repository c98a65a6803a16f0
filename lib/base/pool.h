/* pool.h: a fixed set of threads that work through numbered tasks.
 *
 * Which thread runs a task is left to chance; what a task computes must therefore depend on its
 * number alone. Cut work into tasks by its shape, never by the number of threads, and the results
 * are the same bits for every number of threads. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/error.h"

#include <stddef.h>

struct pool;

/* A pool of `threads` >= 1, the caller's own included (so 1 starts none). Every thread, the caller
 * while it works, treats denormal floats as zero. NULL on failure. */
struct pool *pool_new(unsigned threads, struct error *err);
void pool_free(struct pool *pool);

unsigned pool_threads(const struct pool *pool);

/* Calls task(arg, i) for i = 0 .. count-1 and returns when all have returned. Not reentrant. */
void pool_run(struct pool *pool, size_t count, void (*task)(void *arg, size_t i), void *arg);

/* The same for each step of 0 .. steps-1, one after the other: when a task of a step is called, all
 * of the step before have returned. Cheaper than as many runs. steps * count is below 2^32 - 1. */
void pool_run_steps(struct pool *pool, size_t steps, size_t count,
	void (*task)(void *arg, size_t step, size_t i), void *arg);

/* The cores that this process may use: its affinity, the cgroup's quota rounded up; at least 1. */
unsigned pool_cores(void);

#endif

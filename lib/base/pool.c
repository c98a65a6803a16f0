/* pool.c: a fixed set of threads that work through numbered tasks; see pool.h.
 *
 * One run is one generation: the caller publishes the task, everybody takes numbers from one
 * counter until they are used up, and the caller waits for every worker to have said that it is
 * done. Waiting spins for some tens of microseconds, the length of the gaps inside a training step,
 * and then sleeps, so that an idle pool costs nothing. */
#include "base/pool.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined __SSE__
#include <xmmintrin.h>
#endif

struct pool {
	unsigned workers; /* threads beside the caller's */
	pthread_t *threads;
	/* The run in progress; written by the caller before it raises the generation. */
	void (*task)(void *arg, size_t i);
	void *arg;
	size_t count;
	_Atomic size_t next;         /* the first number not yet taken */
	_Atomic unsigned generation; /* of the run */
	_Atomic unsigned busy;       /* workers that have not finished it */
	_Atomic bool quit;
	pthread_mutex_t lock; /* for sleeping only */
	pthread_cond_t wake;  /* a generation began, or quit */
	pthread_cond_t done;  /* busy became 0 */
};

enum {
	SPINS = 2000, /* some 20 to 80 microseconds */
};

static inline void relax(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("yield");
#endif
}

/* Denormal floats are read and written as zero from now on in this thread; returns what to restore.
 * They are a hundred times slower than others on many processors and carry nothing here. */
static uint64_t flush_denormals(void)
{
#if defined __SSE__
	unsigned old = _mm_getcsr();
	_mm_setcsr(old | 0x8040); /* flush to zero, denormals are zero */
	return old;
#elif defined __aarch64__
	uint64_t old;
	__asm__ volatile("mrs %0, fpcr" : "=r"(old));
	__asm__ volatile("msr fpcr, %0" : : "r"(old | 1u << 24));
	return old;
#else
	return 0;
#endif
}

static void restore_denormals(uint64_t old)
{
#if defined __SSE__
	_mm_setcsr((unsigned)old);
#elif defined __aarch64__
	__asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
	(void)old;
#endif
}

static void work(struct pool *pool)
{
	size_t i;
	while ((i = atomic_fetch_add(&pool->next, 1)) < pool->count)
		pool->task(pool->arg, i);
}

static void *worker(void *arg)
{
	struct pool *pool = arg;
	flush_denormals();
	for (unsigned seen = 0;; seen++) {
		for (int i = 0; i < SPINS && atomic_load(&pool->generation) == seen; i++)
			relax();
		if (atomic_load(&pool->generation) == seen) {
			pthread_mutex_lock(&pool->lock);
			while (atomic_load(&pool->generation) == seen)
				pthread_cond_wait(&pool->wake, &pool->lock);
			pthread_mutex_unlock(&pool->lock);
		}
		if (atomic_load(&pool->quit))
			return NULL;
		work(pool);
		if (atomic_fetch_sub(&pool->busy, 1) == 1) {
			/* The caller may be between looking at `busy` and going to sleep. */
			pthread_mutex_lock(&pool->lock);
			pthread_cond_signal(&pool->done);
			pthread_mutex_unlock(&pool->lock);
		}
	}
}

static void begin(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	atomic_fetch_add(&pool->generation, 1);
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

struct pool *pool_new(unsigned threads, struct error *err)
{
	struct pool *pool = calloc(1, sizeof *pool);
	if (!pool || !(pool->threads = calloc(threads, sizeof *pool->threads))) {
		free(pool);
		error_memory(err, sizeof *pool + threads * sizeof *pool->threads, "threads");
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	pthread_cond_init(&pool->done, NULL);
	for (; pool->workers + 1 < threads; pool->workers++) {
		int failure = pthread_create(&pool->threads[pool->workers], NULL, worker, pool);
		if (failure) {
			error_set(err, STATUS_NO_MEMORY, "can't start thread %u of %u: %s",
				pool->workers + 2, threads, strerror(failure));
			pool_free(pool);
			return NULL;
		}
	}
	return pool;
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	atomic_store(&pool->quit, true);
	begin(pool);
	for (unsigned i = 0; i < pool->workers; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->done);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}

unsigned pool_threads(const struct pool *pool)
{
	return pool->workers + 1;
}

void pool_run(struct pool *pool, size_t count, void (*task)(void *arg, size_t i), void *arg)
{
	uint64_t old = flush_denormals();
	if (count <= 1 || pool->workers == 0) {
		for (size_t i = 0; i < count; i++)
			task(arg, i);
		restore_denormals(old);
		return;
	}
	pool->task = task;
	pool->arg = arg;
	pool->count = count;
	atomic_store(&pool->next, 0);
	atomic_store(&pool->busy, pool->workers);
	begin(pool);
	work(pool);
	for (int i = 0; i < SPINS && atomic_load(&pool->busy) > 0; i++)
		relax();
	if (atomic_load(&pool->busy) > 0) {
		pthread_mutex_lock(&pool->lock);
		while (atomic_load(&pool->busy) > 0)
			pthread_cond_wait(&pool->done, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
	}
	restore_denormals(old);
}

/* What the cgroup (version 2, seen from inside) lets this process have, rounded up; 0: no limit. */
static unsigned cgroup_cores(void)
{
	FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
	uint64_t quota, period;
	unsigned cores = 0;
	if (!f)
		return 0;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &quota, &period) == 2 && period > 0)
		cores = (unsigned)((quota + period - 1) / period);
	fclose(f);
	return cores;
}

unsigned pool_cores(void)
{
	cpu_set_t *set = CPU_ALLOC(4096);
	unsigned cores = 1, limit = cgroup_cores();
	if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(4096), set) == 0)
		cores = (unsigned)CPU_COUNT_S(CPU_ALLOC_SIZE(4096), set);
	if (set)
		CPU_FREE(set);
	return limit > 0 && limit < cores ? limit : cores;
}

/* pool.c: a fixed set of threads that work through numbered tasks; see pool.h.
 *
 * Everybody, the caller too, takes tickets from one counter until they are used up, and the caller
 * then waits for the tasks that others have taken; not for the others, who may be asleep, or have no
 * core at the moment: on a busy machine that would take milliseconds a run. So a worker may come when
 * the run is over, or the next one begins: the counter holds the run's number too, by which a worker
 * sees whose ticket it takes. Waiting spins for some tens of microseconds, the length of the gaps
 * inside a training step, and then sleeps, so that an idle pool costs nothing. */
#include "base/pool.h"

#include "base/denormals.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	unsigned workers; /* threads beside the caller's */
	pthread_t *threads;
	/* The run's number, and behind it the next ticket: step * count + i. CLOSED while the caller
	 * writes the next run. */
	_Atomic uint64_t ticket;
	/* The run. A worker may read these for the next one, but then its ticket is void. */
	void (*_Atomic task)(void *arg, size_t step, size_t i);
	void *_Atomic arg;
	_Atomic size_t count, tickets; /* of one step; of all */
	_Atomic size_t finished;       /* tasks */
	_Atomic bool quit;
	_Atomic unsigned sleepers; /* workers that wait for `wake` */
	_Atomic bool waiting;      /* the caller for `done` */
	pthread_mutex_t lock;      /* for sleeping only */
	pthread_cond_t wake;       /* a run began, or quit */
	pthread_cond_t done;       /* all tasks are finished */
};

enum {
	SPINS = 2000, /* some 20 to 80 microseconds */
};
#define CLOSED UINT32_MAX

static inline void relax(void)
{
#if defined __x86_64__ || defined __i386__
	__builtin_ia32_pause();
#elif defined __aarch64__
	__asm__ volatile("yield");
#endif
}

static uint32_t run_of(uint64_t ticket)
{
	return (uint32_t)(ticket >> 32);
}

/* All steps before this one are done. Whoever has taken their tickets is at work, or waits for a
 * core. */
static void await_step(struct pool *pool, size_t tasks_before)
{
	for (int i = 0; atomic_load(&pool->finished) < tasks_before; i++)
		if (i < SPINS)
			relax();
		else
			sched_yield();
}

static void work(struct pool *pool, uint32_t run)
{
	uint64_t ticket = atomic_load(&pool->ticket);
	while (run_of(ticket) == run) {
		const size_t n = (uint32_t)ticket, count = atomic_load(&pool->count);
		const size_t tickets = atomic_load(&pool->tickets);
		void (*task)(void *, size_t, size_t) = atomic_load(&pool->task);
		void *arg = atomic_load(&pool->arg);
		if (n >= tickets)
			return;
		if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket + 1))
			continue;
		const size_t step = n / count;
		await_step(pool, step * count);
		task(arg, step, n % count);
		if (atomic_fetch_add(&pool->finished, 1) + 1 == tickets &&
			atomic_load(&pool->waiting)) {
			pthread_mutex_lock(&pool->lock);
			pthread_cond_signal(&pool->done);
			pthread_mutex_unlock(&pool->lock);
		}
		ticket = atomic_load(&pool->ticket);
	}
}

static void *worker(void *arg)
{
	struct pool *pool = arg;
	uint32_t seen = 0;
	denormals_flush();
	for (;;) {
		for (int i = 0; i < SPINS && run_of(atomic_load(&pool->ticket)) == seen; i++)
			relax();
		if (run_of(atomic_load(&pool->ticket)) == seen) {
			pthread_mutex_lock(&pool->lock);
			atomic_fetch_add(&pool->sleepers, 1);
			while (run_of(atomic_load(&pool->ticket)) == seen)
				pthread_cond_wait(&pool->wake, &pool->lock);
			atomic_fetch_sub(&pool->sleepers, 1);
			pthread_mutex_unlock(&pool->lock);
		}
		/* In this order: who sees the run that ends the pool sees that it ends. */
		seen = run_of(atomic_load(&pool->ticket));
		if (atomic_load(&pool->quit))
			return NULL;
		/* It is closed for no longer than a few stores take. */
		while (atomic_load(&pool->ticket) == ((uint64_t)seen << 32 | CLOSED))
			relax();
		work(pool, seen);
	}
}

/* Opens the next run, whose numbers are written, and wakes who sleeps. */
static void begin(struct pool *pool, uint32_t run)
{
	atomic_store(&pool->ticket, (uint64_t)run << 32);
	if (atomic_load(&pool->sleepers) == 0)
		return;
	pthread_mutex_lock(&pool->lock);
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
	begin(pool, run_of(atomic_load(&pool->ticket)) + 1);
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

static void run(struct pool *pool, size_t steps, size_t count,
	void (*task)(void *arg, size_t step, size_t i), void *arg)
{
	const uint32_t number = run_of(atomic_load(&pool->ticket)) + 1;
	atomic_store(&pool->ticket, (uint64_t)number << 32 | CLOSED);
	atomic_store(&pool->task, task);
	atomic_store(&pool->arg, arg);
	atomic_store(&pool->count, count);
	atomic_store(&pool->tickets, steps * count);
	atomic_store(&pool->finished, 0);
	begin(pool, number);
	work(pool, number);
	for (int i = 0; i < SPINS && atomic_load(&pool->finished) < steps * count; i++)
		relax();
	if (atomic_load(&pool->finished) == steps * count)
		return;
	pthread_mutex_lock(&pool->lock);
	atomic_store(&pool->waiting, true);
	while (atomic_load(&pool->finished) < steps * count)
		pthread_cond_wait(&pool->done, &pool->lock);
	atomic_store(&pool->waiting, false);
	pthread_mutex_unlock(&pool->lock);
}

void pool_run_steps(struct pool *pool, size_t steps, size_t count,
	void (*task)(void *arg, size_t step, size_t i), void *arg)
{
	assert(count < CLOSED && steps < CLOSED && steps * count < CLOSED);
	const uint64_t old = denormals_flush();
	if (pool->workers > 0 && count > 1)
		run(pool, steps, count, task, arg);
	else
		for (size_t step = 0; step < steps; step++)
			for (size_t i = 0; i < count; i++)
				task(arg, step, i);
	denormals_restore(old);
}

struct plain {
	void (*task)(void *arg, size_t i);
	void *arg;
};

static void plain_task(void *arg, size_t step, size_t i)
{
	const struct plain *plain = arg;
	(void)step;
	plain->task(plain->arg, i);
}

void pool_run(struct pool *pool, size_t count, void (*task)(void *arg, size_t i), void *arg)
{
	struct plain plain = {task, arg};
	pool_run_steps(pool, 1, count, plain_task, &plain);
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

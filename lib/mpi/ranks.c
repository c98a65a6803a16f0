/* ranks.c: see ranks.h.
 *
 * All of MPI is spoken by one thread, which takes its orders from a queue, so that sums travel while
 * the others compute, and any MPI that knows of threads at all will do. It never blocks within MPI:
 * while it waits it looks after the other ranks too, which send a sign of life to rank 0 every second
 * and get one from it. */
#include "mpi/ranks.h"

#include "base/denormals.h"
#include "mpi/exchange.h"

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	PIECE = 1 << 30,  /* bytes that one call of MPI moves, whose counts are ints */
	SPINS = 400,      /* looks at a request before the thread naps between them */
	NAP = 20 * 1000,  /* nanoseconds */
	ABORT_SECONDS = 3 /* that MPI gets for ending all ranks */
};
static const double beat_seconds = 1, silent_seconds = 7;

struct job {
	int (*work)(struct ranks *ranks, struct job *job);
	void *data;
	const void *own;
	const struct group_cut *cut;
	size_t n; /* bytes, or of a row, or leaves */
	struct job *next;
	int rc;
	bool done;
};

/* Another rank that signs of life come from and go to. */
struct peer {
	int rank;
	char in, out;
	MPI_Request coming, going;
	double heard; /* when */
};

struct ranks {
	struct group group; /* first: the group's pointer is the ranks' */
	MPI_Comm comm, beats;
	MPI_Comm host; /* the ranks of this host */
	void (*lost)(const char *text);
	struct peer *peers; /* (peer_count): of rank 0 all others, of these rank 0; owned */
	size_t peer_count;
	double beat, looked;  /* when the last signs went out, and came in */
	int *counts, *places; /* (size): what each rank gets or gives, for MPI; owned */
	struct exchange exchange;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t order, done;
	/* Under the lock: */
	struct job *job;
	struct group_sum *sums, **last_sum;
	struct error failure; /* what the first sum or job to fail says */
};

static struct ranks *ranks_of(struct group *group)
{
	return (struct ranks *)group;
}

static int check(struct ranks *ranks, int code, const char *what)
{
	char text[MPI_MAX_ERROR_STRING];
	int length = 0;
	if (code == MPI_SUCCESS)
		return 0;
	MPI_Error_string(code, text, &length);
	pthread_mutex_lock(&ranks->lock);
	if (!ranks->group.broken)
		error_set(&ranks->failure, STATUS_NO_DEVICE,
			"rank %u can't reach the others (%s): %.*s", ranks->group.rank, what,
			length, text);
	ranks->group.broken = true;
	pthread_mutex_unlock(&ranks->lock);
	return -1;
}

/* --- signs of life ---------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Ends all ranks that can be reached, and this one in any case. */
static void end_all(int status)
{
	signal(SIGALRM, SIG_DFL);
	alarm(ABORT_SECONDS);
	MPI_Abort(MPI_COMM_WORLD, status);
	raise(SIGKILL);
}

static void silent(struct ranks *ranks, const struct peer *peer)
{
	char text[128];
	snprintf(text, sizeof text,
		"rank %d has not been heard of for %.0f seconds: its host or the network failed",
		peer->rank, silent_seconds);
	if (ranks->group.rank == 0)
		ranks->lost(text);
	end_all(STATUS_NO_DEVICE);
}

/* Called often while this thread waits for anything. Time in which this process was stopped, or had
 * no core, is nobody's silence. */
static void look_after(struct ranks *ranks)
{
	const double time = now();
	const bool away = time - ranks->looked > beat_seconds;
	if (time - ranks->looked < beat_seconds / 10)
		return;
	ranks->looked = time;
	for (struct peer *p = ranks->peers; p < ranks->peers + ranks->peer_count; p++) {
		int come = 0;
		MPI_Test(&p->coming, &come, MPI_STATUS_IGNORE);
		if (come || away)
			p->heard = time;
		if (come)
			MPI_Irecv(&p->in, 1, MPI_CHAR, p->rank, 0, ranks->beats, &p->coming);
		if (time - p->heard > silent_seconds)
			silent(ranks, p);
	}
	if (time - ranks->beat < beat_seconds)
		return;
	ranks->beat = time;
	for (struct peer *p = ranks->peers; p < ranks->peers + ranks->peer_count; p++) {
		int gone = 0;
		MPI_Test(&p->going, &gone, MPI_STATUS_IGNORE);
		if (gone)
			MPI_Isend(&p->out, 1, MPI_CHAR, p->rank, 0, ranks->beats, &p->going);
	}
}

static int begin_beats(struct ranks *ranks)
{
	const unsigned size = ranks->group.size, rank = ranks->group.rank;
	ranks->peers = calloc(size, sizeof *ranks->peers);
	if (!ranks->peers)
		return -1;
	ranks->peer_count = rank == 0 ? size - 1 : 1;
	ranks->looked = now();
	for (size_t i = 0; i < ranks->peer_count; i++) {
		struct peer *p = &ranks->peers[i];
		*p = (struct peer){.rank = rank == 0 ? (int)i + 1 : 0,
			.heard = ranks->looked,
			.going = MPI_REQUEST_NULL};
		MPI_Irecv(&p->in, 1, MPI_CHAR, p->rank, 0, ranks->beats, &p->coming);
	}
	return 0;
}

static void end_beats(struct ranks *ranks)
{
	for (struct peer *p = ranks->peers; p < ranks->peers + ranks->peer_count; p++) {
		MPI_Cancel(&p->coming);
		MPI_Request_free(&p->coming);
		if (p->going != MPI_REQUEST_NULL)
			MPI_Request_free(&p->going);
	}
	ranks->peer_count = 0;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void pass_time(struct ranks *ranks, unsigned turn)
{
	static const struct timespec nap = {.tv_nsec = NAP};
	if (turn < SPINS)
		sched_yield();
	else
		nanosleep(&nap, NULL);
	look_after(ranks);
}

int ranks_await(struct ranks *ranks, size_t count, MPI_Request *requests)
{
	for (unsigned turn = 0;; turn += turn < SPINS) {
		int done = 0;
		const int code = MPI_Testall((int)count, requests, &done, MPI_STATUSES_IGNORE);
		if (code != MPI_SUCCESS)
			return check(ranks, code, "waiting");
		if (done)
			return 0;
		pass_time(ranks, turn);
	}
}

static int await_one(struct ranks *ranks, int code, MPI_Request *request, const char *what)
{
	return check(ranks, code, what) < 0 ? -1 : ranks_await(ranks, 1, request);
}

/* --- what is asked for ------------------------------------------------------------------------ */

static int do_broadcast(struct ranks *ranks, struct job *job)
{
	char *data = job->data;
	for (size_t at = 0; at < job->n; at += PIECE) {
		const size_t n = job->n - at < PIECE ? job->n - at : PIECE;
		MPI_Request request;
		if (await_one(ranks,
			    MPI_Ibcast(data + at, (int)n, MPI_BYTE, 0, ranks->comm, &request),
			    &request, "sending to all") < 0)
			return -1;
	}
	return 0;
}

/* Where each rank's rows are, counted in rows. */
static void place_rows(struct ranks *ranks, const struct group_cut *cut)
{
	for (unsigned r = 0; r < ranks->group.size; r++) {
		size_t first, end;
		group_rows(r, ranks->group.size, cut, &first, &end);
		ranks->places[r] = (int)first;
		ranks->counts[r] = (int)(end - first);
	}
}

static int do_rows(struct ranks *ranks, struct job *job)
{
	const unsigned rank = ranks->group.rank;
	const bool gather = job->own;
	MPI_Request request;
	MPI_Datatype row;
	place_rows(ranks, job->cut);
	const int count = ranks->counts[rank];
	MPI_Type_contiguous((int)job->n, MPI_BYTE, &row);
	MPI_Type_commit(&row);
	int code = gather ? MPI_Igatherv(job->own, count, row, job->data, ranks->counts,
				    ranks->places, row, 0, ranks->comm, &request)
			  : MPI_Iscatterv(job->data, ranks->counts, ranks->places, row,
				    rank == 0 ? MPI_IN_PLACE : job->data, count, row, 0,
				    ranks->comm, &request);
	int rc = await_one(ranks, code, &request, gather ? "gathering rows" : "sharing out rows");
	MPI_Type_free(&row);
	return rc;
}

static int do_collect(struct ranks *ranks, struct job *job)
{
	MPI_Request request;
	for (unsigned r = 0; r < ranks->group.size; r++) {
		size_t first, end;
		group_share(r, ranks->group.size, job->n, &first, &end);
		ranks->places[r] = (int)first;
		ranks->counts[r] = (int)(end - first);
	}
	return await_one(ranks,
		MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, job->data, ranks->counts,
			ranks->places, MPI_DOUBLE, ranks->comm, &request),
		&request, "collecting numbers");
}

static int do_leave(struct ranks *ranks, struct job *job)
{
	(void)job;
	end_beats(ranks);
	MPI_Finalize();
	return 0;
}

static int do_sum(struct ranks *ranks, struct group_sum *sum)
{
	const char *what = NULL;
	const int code = exchange_sum(&ranks->exchange, ranks, sum, &what);
	return what ? check(ranks, code, what) : code;
}

/* --- the thread ------------------------------------------------------------------------------- */

static int start(struct ranks *ranks)
{
	int provided, rank, size, host_rank;
	if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
		return error_set(&ranks->failure, STATUS_NO_DEVICE, "MPI doesn't start");
	if (provided < MPI_THREAD_FUNNELED)
		return error_set(&ranks->failure, STATUS_NO_DEVICE,
			"this MPI knows nothing of threads: MPI_THREAD_FUNNELED is needed");
	ranks->comm = MPI_COMM_WORLD;
	MPI_Comm_set_errhandler(ranks->comm, MPI_ERRORS_RETURN);
	MPI_Comm_rank(ranks->comm, &rank);
	MPI_Comm_size(ranks->comm, &size);
	MPI_Comm_dup(ranks->comm, &ranks->beats);
	MPI_Comm_split_type(ranks->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &ranks->host);
	MPI_Comm_rank(ranks->host, &host_rank);
	ranks->group.rank = (unsigned)rank;
	ranks->group.size = (unsigned)size;
	ranks->group.host_rank = (unsigned)host_rank;
	ranks->counts = calloc((size_t)size, sizeof *ranks->counts);
	ranks->places = calloc((size_t)size, sizeof *ranks->places);
	if (!ranks->counts || !ranks->places || begin_beats(ranks) < 0 ||
		exchange_init(&ranks->exchange, ranks->comm, ranks->group.rank, ranks->group.size) <
			0)
		return error_memory(&ranks->failure, 1 << 20, "MPI's buffers");
	return 0;
}

/* How many ranks of this host may run on just the cores that this one may. */
static void count_share(struct ranks *ranks)
{
	cpu_set_t own, *all;
	int size;
	MPI_Comm_size(ranks->host, &size);
	ranks->group.host_share = (unsigned)size;
	all = calloc((size_t)size, sizeof *all);
	if (!all || sched_getaffinity(0, sizeof own, &own) < 0) {
		free(all);
		return;
	}
	MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, ranks->host);
	ranks->group.host_share = 0;
	for (int i = 0; i < size; i++)
		ranks->group.host_share += CPU_EQUAL(&own, &all[i]) ? 1 : 0;
	free(all);
}

/* The next thing to do; waits a little for one. */
static void next(struct ranks *ranks, struct group_sum **sum, struct job **job)
{
	pthread_mutex_lock(&ranks->lock);
	if (!ranks->sums && !ranks->job) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 200 * 1000 * 1000;
		if (until.tv_nsec >= 1000 * 1000 * 1000) {
			until.tv_nsec -= 1000 * 1000 * 1000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&ranks->order, &ranks->lock, &until);
	}
	*sum = ranks->sums;
	*job = *sum ? NULL : ranks->job;
	pthread_mutex_unlock(&ranks->lock);
}

static void finish_sum(struct ranks *ranks)
{
	pthread_mutex_lock(&ranks->lock);
	ranks->sums = ranks->sums->next;
	if (!ranks->sums) {
		ranks->last_sum = &ranks->sums;
		pthread_cond_signal(&ranks->done);
	}
	pthread_mutex_unlock(&ranks->lock);
}

static void finish_job(struct ranks *ranks, struct job *job, int rc)
{
	pthread_mutex_lock(&ranks->lock);
	job->rc = rc;
	job->done = true;
	ranks->job = NULL;
	pthread_cond_signal(&ranks->done);
	pthread_mutex_unlock(&ranks->lock);
}

static int do_start(struct ranks *ranks, struct job *job)
{
	(void)job;
	if (start(ranks) < 0)
		return -1;
	count_share(ranks);
	return 0;
}

static void *work(void *arg)
{
	struct ranks *ranks = arg;
	bool left = false;
	denormals_flush();
	while (!left) {
		struct group_sum *sum;
		struct job *job;
		next(ranks, &sum, &job);
		if (sum) {
			if (!ranks->group.broken)
				do_sum(ranks, sum);
			finish_sum(ranks);
		} else if (job) {
			left = job->work == do_leave;
			finish_job(ranks, job, job->work(ranks, job));
		} else {
			look_after(ranks);
		}
	}
	return NULL;
}

/* --- the group -------------------------------------------------------------------------------- */

static int order(struct ranks *ranks, struct job *job, struct error *err)
{
	pthread_mutex_lock(&ranks->lock);
	ranks->job = job;
	pthread_cond_signal(&ranks->order);
	while (!job->done)
		pthread_cond_wait(&ranks->done, &ranks->lock);
	if (job->rc < 0)
		*err = ranks->failure;
	pthread_mutex_unlock(&ranks->lock);
	return job->rc;
}

static int ranks_broadcast(struct group *group, void *data, size_t bytes, struct error *err)
{
	return order(ranks_of(group), &(struct job){.work = do_broadcast, .data = data, .n = bytes},
		err);
}

static int ranks_scatter(struct group *group, const struct group_cut *cut, size_t row_bytes,
	void *data, struct error *err)
{
	return order(ranks_of(group),
		&(struct job){.work = do_rows, .data = data, .cut = cut, .n = row_bytes}, err);
}

static int ranks_gather(struct group *group, const struct group_cut *cut, size_t row_bytes,
	const void *own, void *all, struct error *err)
{
	return order(ranks_of(group),
		&(struct job){.work = do_rows, .own = own, .data = all, .cut = cut, .n = row_bytes},
		err);
}

static int ranks_collect(struct group *group, size_t leaves, double *x, struct error *err)
{
	return order(
		ranks_of(group), &(struct job){.work = do_collect, .data = x, .n = leaves}, err);
}

static void ranks_sum(struct group *group, struct group_sum *sum)
{
	struct ranks *ranks = ranks_of(group);
	sum->next = NULL;
	pthread_mutex_lock(&ranks->lock);
	*ranks->last_sum = sum;
	ranks->last_sum = &sum->next;
	pthread_cond_signal(&ranks->order);
	pthread_mutex_unlock(&ranks->lock);
}

static int ranks_wait(struct group *group, struct error *err)
{
	struct ranks *ranks = ranks_of(group);
	pthread_mutex_lock(&ranks->lock);
	while (ranks->sums)
		pthread_cond_wait(&ranks->done, &ranks->lock);
	int rc = group->broken ? -1 : 0;
	if (rc < 0)
		*err = ranks->failure;
	pthread_mutex_unlock(&ranks->lock);
	return rc;
}

static void release(struct ranks *ranks)
{
	pthread_cond_destroy(&ranks->order);
	pthread_cond_destroy(&ranks->done);
	pthread_mutex_destroy(&ranks->lock);
	exchange_release(&ranks->exchange);
	free(ranks->peers);
	free(ranks->counts);
	free(ranks->places);
	free(ranks);
}

static void ranks_leave(struct group *group, int status)
{
	struct ranks *ranks = ranks_of(group);
	struct error ignored;
	if (status != 0 || group->broken)
		end_all(status != 0 ? status : STATUS_NO_DEVICE);
	order(ranks, &(struct job){.work = do_leave}, &ignored);
	pthread_join(ranks->thread, NULL);
	release(ranks);
}

static const struct group_ops ranks_ops = {
	.broadcast = ranks_broadcast,
	.scatter = ranks_scatter,
	.gather = ranks_gather,
	.collect = ranks_collect,
	.sum = ranks_sum,
	.wait = ranks_wait,
	.leave = ranks_leave,
};

/* Signals are for the other threads. */
static int start_thread(struct ranks *ranks)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&ranks->thread, NULL, work, ranks) == 0 ? 0 : -1;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct group *ranks_join(void (*lost)(const char *text), struct error *err)
{
	struct ranks *ranks = calloc(1, sizeof *ranks);
	pthread_condattr_t monotonic;
	if (!ranks) {
		error_memory(err, sizeof *ranks, "the group of ranks");
		return NULL;
	}
	ranks->group.ops = &ranks_ops;
	ranks->lost = lost;
	ranks->last_sum = &ranks->sums;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&ranks->lock, NULL);
	pthread_cond_init(&ranks->order, &monotonic);
	pthread_cond_init(&ranks->done, NULL);
	pthread_condattr_destroy(&monotonic);
	if (start_thread(ranks) < 0) {
		error_memory(err, 1 << 20, "the thread that speaks to other ranks");
		release(ranks);
		return NULL;
	}
	/* A thread that doesn't get MPI to start is of no use, and stays: so does MPI. */
	return order(ranks, &(struct job){.work = do_start}, err) < 0 ? NULL : &ranks->group;
}

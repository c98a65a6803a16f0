/* exchange.c: see exchange.h. */
#include "mpi/exchange.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK = 1 << 20, /* floats that are summed at a time */
	ALIGNED = 16,    /* a segment's floats are a multiple of this */
	/* In a node of some span a rank is next to its first leaf or its last one, if it doesn't have
	 * all: there are two nodes at the most of which it gets or gives a part. */
	BESIDE = 2,
};

struct exchange_add {
	float *to;
	const float *from;
	size_t n;
};

int exchange_init(struct exchange *exchange, MPI_Comm comm, unsigned rank, unsigned size)
{
	const size_t most = (size_t)2 * BESIDE * size;
	*exchange = (struct exchange){.comm = comm, .rank = rank, .size = size};
	exchange->buffer = malloc((size_t)BESIDE * CHUNK * sizeof *exchange->buffer);
	exchange->requests = calloc(most, sizeof(MPI_Request));
	exchange->adds = calloc(most, sizeof *exchange->adds);
	exchange->counts = calloc(size, sizeof *exchange->counts);
	exchange->places = calloc(size, sizeof *exchange->places);
	return exchange->buffer && exchange->requests && exchange->adds && exchange->counts &&
			       exchange->places
		       ? 0
		       : -1;
}

void exchange_release(struct exchange *exchange)
{
	free(exchange->buffer);
	free(exchange->requests);
	free(exchange->adds);
	free(exchange->counts);
	free(exchange->places);
}

/* The meeting of all nodes of a span, for floats at..at+n-1 of the sums. */
struct meeting {
	struct exchange *exchange;
	const struct group_sum *sum;
	size_t at, n, span;
	size_t segment, first, floats; /* the one at hand, its place and size */
	size_t taken, requests, adds;  /* of the exchange's */
	int code;                      /* the first of MPI's that isn't MPI_SUCCESS */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void set_segment(struct meeting *m, size_t segment)
{
	const size_t size = m->exchange->size;
	size_t share = (m->n + size - 1) / size;
	share = (share + ALIGNED - 1) / ALIGNED * ALIGNED;
	m->segment = segment;
	m->first = smaller(segment * share, m->n);
	m->floats = smaller(m->n - m->first, share);
}

/* Who has a leaf: group_share() the other way round. */
static size_t holder(const struct meeting *m, size_t leaf)
{
	return ((leaf + 1) * m->exchange->size - 1) / m->sum->walk.leaves;
}

/* This rank's sum over leaves of the node that begins with `first`: it is kept where the first of them
 * are. */
static float *own_sum(const struct meeting *m, size_t first)
{
	const struct tree_walk *walk = &m->sum->walk;
	size_t i = 0;
	while (i + 1 < walk->depth && walk->nodes[i].first < first)
		i++;
	return m->sum->sums[i] + m->at + m->first;
}

static void add_later(struct meeting *m, float *to, const float *from)
{
	m->exchange->adds[m->adds++] = (struct exchange_add){to, from, m->floats};
}

static void note(struct meeting *m, int code)
{
	if (m->code == MPI_SUCCESS)
		m->code = code;
}

static void take(struct meeting *m, size_t from, float *to)
{
	struct exchange *x = m->exchange;
	float *buffer = x->buffer + m->taken;
	m->taken += m->floats;
	note(m, MPI_Irecv(buffer, (int)m->floats, MPI_FLOAT, (int)from, (int)m->segment, x->comm,
			&x->requests[m->requests++]));
	add_later(m, to, buffer);
}

static void give(struct meeting *m, size_t to, const float *sum)
{
	struct exchange *x = m->exchange;
	note(m, MPI_Isend(sum, (int)m->floats, MPI_FLOAT, (int)to, (int)m->segment, x->comm,
			&x->requests[m->requests++]));
}

/* What this rank does for the node of these leaves, which `owner` owns, or for those of the meeting's
 * span below it. */
static void meet(struct meeting *m, size_t first, size_t span, size_t owner)
{
	const size_t half = span / 2, middle = first + half, me = m->exchange->rank;
	const size_t leaves = m->sum->walk.leaves;
	const size_t low = holder(m, first), high = holder(m, smaller(first + span, leaves) - 1);
	if (span < m->span || low == high || me < low || me > high)
		return;
	if (middle >= leaves) {
		meet(m, first, half, owner);
		return;
	}
	const size_t left_high = holder(m, middle - 1), right_low = holder(m, middle);
	const size_t left = owner <= left_high ? owner : low + m->segment % (left_high - low + 1);
	const size_t right =
		owner >= right_low ? owner : right_low + m->segment % (high - right_low + 1);
	if (span > m->span) {
		meet(m, first, half, left);
		meet(m, middle, half, right);
	} else if (left == right) {
		if (me == owner)
			add_later(m, own_sum(m, first), own_sum(m, middle));
	} else if (me == owner) {
		take(m, owner == left ? right : left, own_sum(m, owner == left ? first : middle));
	} else if (me == left) {
		give(m, owner, own_sum(m, first));
	} else if (me == right) {
		give(m, owner, own_sum(m, middle));
	}
}

static int sum_span(struct meeting *m, struct ranks *ranks, size_t root, const char **what)
{
	struct exchange *x = m->exchange;
	m->taken = m->requests = m->adds = 0;
	for (size_t s = 0; s < x->size; s++) {
		set_segment(m, s);
		if (m->floats > 0)
			meet(m, 0, root, s);
	}
	if (m->code != MPI_SUCCESS) {
		*what = "adding up";
		return m->code;
	}
	if (ranks_await(ranks, m->requests, x->requests) < 0)
		return -1;
	for (const struct exchange_add *add = x->adds; add < x->adds + m->adds; add++)
		for (size_t i = 0; i < add->n; i++)
			add->to[i] += add->from[i];
	return 0;
}

/* Each rank has the sum of its segment, and all get all of them. */
static int share_segments(struct meeting *m, struct ranks *ranks, const char **what)
{
	struct exchange *x = m->exchange;
	MPI_Request request;
	for (size_t s = 0; s < x->size; s++) {
		set_segment(m, s);
		x->places[s] = (int)m->first;
		x->counts[s] = (int)m->floats;
	}
	const int code = MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL,
		m->sum->sums[0] + m->at, x->counts, x->places, MPI_FLOAT, x->comm, &request);
	if (code != MPI_SUCCESS) {
		*what = "sharing sums";
		return code;
	}
	return ranks_await(ranks, 1, &request);
}

int exchange_sum(struct exchange *exchange, struct ranks *ranks, const struct group_sum *sum,
	const char **what)
{
	size_t root = 1;
	while (root < sum->walk.leaves)
		root *= 2;
	for (size_t at = 0; at < sum->n; at += CHUNK) {
		struct meeting m = {.exchange = exchange,
			.sum = sum,
			.at = at,
			.n = smaller(CHUNK, sum->n - at)};
		for (m.span = 2; m.span <= root; m.span *= 2) {
			int rc = sum_span(&m, ranks, root, what);
			if (rc != 0)
				return rc;
		}
		int rc = share_segments(&m, ranks, what);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* schedule.h: the learning rate of each step: warm-up, then constant, on a line, or along half a
 * cosine (I. Loshchilov, F. Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts, 2017). */
#ifndef NN_SCHEDULE_H
#define NN_SCHEDULE_H

#include <stdint.h>

enum schedule_kind {
	SCHEDULE_CONSTANT,
	SCHEDULE_LINEAR,
	SCHEDULE_COSINE,
};

extern const char *const schedule_names[]; /* of the kinds, in their order; NULL ends them */

struct schedule {
	unsigned kind;    /* enum schedule_kind */
	double rate;      /* the highest */
	double least;     /* what it falls towards; not for SCHEDULE_CONSTANT */
	uint64_t warmup;  /* W: steps until it is the highest */
	uint64_t horizon; /* S: the last step that changes it; not for SCHEDULE_CONSTANT */
};

/* The rate of step t, from 1. Up to W it is rate t / W. From there up to S, with x = (t - W - 1) /
 * (S - W), it is least + (rate - least) (1 + cos(pi x)) / 2, or least + (rate - least) (1 - x).
 * Steps beyond S have the rate of step S. */
double schedule_rate(const struct schedule *schedule, uint64_t t);

#endif

/* pace.h: how long the steps of a run take, and how many of them fit into a time. */
#ifndef TRAIN_PACE_H
#define TRAIN_PACE_H

#include "base/error.h"
#include "tools/train/run.h"

#include <stdint.h>

/* Wall clock, in seconds. */
struct pace {
	double step;       /* of a training step */
	double evaluation; /* of the whole validation part; 0 without one */
};

/* Measures for about that long, and at least for some steps. The run is to be set to its beginning
 * afterwards: run_reset(). */
int pace_measure(struct pace *pace, struct run *run, double seconds, struct error *err);

/* The step up to which the run comes in so many seconds, evaluations included: at least the next
 * one. */
uint64_t pace_last_step(const struct pace *pace, const struct run *run, double seconds);

#endif

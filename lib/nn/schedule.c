/* schedule.c: see schedule.h. */
#include "nn/schedule.h"

#include <math.h>
#include <stddef.h>

const char *const schedule_names[] = {
	[SCHEDULE_CONSTANT] = "constant",
	[SCHEDULE_LINEAR] = "linear",
	[SCHEDULE_COSINE] = "cosine",
	NULL,
};

double schedule_rate(const struct schedule *schedule, uint64_t t)
{
	const uint64_t W = schedule->warmup, S = schedule->horizon;
	if (schedule->kind != SCHEDULE_CONSTANT && t > S)
		t = S;
	if (t <= W && W > 0)
		return schedule->rate * ((double)t / (double)W);
	if (schedule->kind == SCHEDULE_CONSTANT)
		return schedule->rate;
	const double x = (double)(t - W - 1) / (double)(S - W);
	const double share = schedule->kind == SCHEDULE_COSINE ? (1 + cos(M_PI * x)) / 2 : 1 - x;
	return schedule->least + (schedule->rate - schedule->least) * share;
}

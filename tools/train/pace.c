/* pace.c: see pace.h. */
#include "tools/train/pace.h"

#include "tools/tool.h"

enum {
	UNMEASURED = 3, /* steps until memory is touched, and a GPU has recorded what it repeats */
	MEASURED = 3,   /* at the least */
	SETTLED = 1 << 20 /* updates, after which they cost what most of them do */
};

static int measure_steps(struct pace *pace, struct run *run, double seconds, struct error *err)
{
	const struct adam_options *adam = &run->options->adam;
	const uint64_t cycle = adam->muon ? adam->muon_every : 1;
	double start = 0, spent = 0;
	uint64_t n = 0;
	run->adam.step = SETTLED;
	for (int i = 0; i < UNMEASURED; i++)
		if (run_rehearse(run, err) < 0)
			return -1;
	start = tool_seconds();
	while (n < MEASURED || spent < seconds || (n % cycle && spent < 2 * seconds)) {
		if (run_rehearse(run, err) < 0)
			return -1;
		spent = tool_seconds() - start;
		n++;
	}
	pace->step = spent / (double)n;
	return 0;
}

/* Of more and more of the part, until that takes long enough to be measured. */
static int measure_evaluation(struct pace *pace, struct run *run, double seconds, struct error *err)
{
	const uint64_t all = run_evaluation_batches(run);
	double nats, spent = 0;
	for (uint64_t n = 1; n <= all && spent < seconds;
		n = n < all && 2 * n > all ? all : 2 * n) {
		double start = tool_seconds();
		if (run_score(run, n, &nats, err) < 0)
			return -1;
		spent = tool_seconds() - start;
		pace->evaluation = spent * ((double)all / (double)n);
	}
	return 0;
}

int pace_measure(struct pace *pace, struct run *run, double seconds, struct error *err)
{
	*pace = (struct pace){0};
	if (measure_steps(pace, run, seconds, err) < 0)
		return -1;
	return run_has_validation(run) ? measure_evaluation(pace, run, seconds / 4, err) : 0;
}

/* From where the run is up to step n, after which there is an evaluation in any case. */
static double cost(const struct pace *pace, const struct run *run, uint64_t n)
{
	const uint64_t done = run_steps(run), every = run_evaluation_steps(run);
	const uint64_t evaluations = (n + every - 1) / every - done / every;
	return (double)(n - done) * pace->step + (double)evaluations * pace->evaluation;
}

uint64_t pace_last_step(const struct pace *pace, const struct run *run, double seconds)
{
	uint64_t low = run_steps(run) + 1, high = UINT32_MAX;
	while (low < high) {
		const uint64_t middle = high - (high - low) / 2;
		if (cost(pace, run, middle) <= seconds)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

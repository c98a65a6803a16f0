/* team.h: train under a launcher of MPI programs: rank 0 is the program as ever, the other ranks compute
 * with it (nn/group.h, run_obey()). */
#ifndef TRAIN_TEAM_H
#define TRAIN_TEAM_H

#include "base/error.h"
#include "nn/group.h"
#include "tools/device.h"
#include "tools/tool.h"
#include "tools/train/run.h"

#include <stdbool.h>

struct team {
	struct group *group; /* NULL: one alone; owned */
	bool begun;          /* the others have made their runs */
	bool adrift;         /* they can't be told anything any more */
};

/* team->group: of the ranks that a launcher (mpirun, mpiexec, srun) started; NULL: it started one, or there
 * is none. Status 69 where the plug-in is missing or sees no other ranks. In a rank but 0 it returns
 * when rank 0 has done what it does, and *done is true; its errors have no text where rank 0 tells the
 * same. */
int team_join(struct team *team, const struct tool *tool, bool *done, struct error *err);

/* Rank 0: the others make a run like this one, which run_make() has made. Tells what they compute
 * on. */
int team_begin(struct team *team, const struct tool *tool, const struct run *run,
	const struct device_options *device, struct error *err);

/* Rank 0: the end of the program for all, with that status if they have to be stopped. Harmless
 * twice. */
void team_end(struct team *team, int status);

/* The options with which a rank opens its device. */
struct device_options team_device(const struct team *team, const struct device_options *options);

#endif

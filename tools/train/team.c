/* team.c: see team.h. */
#include "tools/train/team.h"

#include "mpi/ranks.h"
#include "tools/plugin.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the launcher ---------------------------------------------------------------------------- */

struct launch {
	const char *launcher; /* NULL: none */
	long rank, size;      /* 0: it doesn't say how many */
};

static long number(const char *name)
{
	const char *value = secure_getenv(name);
	return value ? strtol(value, NULL, 10) : 0;
}

/* What launchers tell those that they start, if they have no more rights than who starts them: an MPI
 * loads what its own variables name. A script that srun hasn't started has SLURM's variables
 * too, but not those of a step. */
static struct launch find_launch(void)
{
	static const struct {
		const char *launcher, *size, *rank;
	} known[] = {
		{"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
		{"mpiexec", "PMI_SIZE", "PMI_RANK"},
		{"srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (secure_getenv(known[i].size) && secure_getenv(known[i].rank))
			return (struct launch){
				known[i].launcher, number(known[i].rank), number(known[i].size)};
	if (secure_getenv("PMIX_RANK"))
		return (struct launch){"the launcher", number("PMIX_RANK"), 0};
	return (struct launch){.size = 1};
}

static void tell_lost(const char *text)
{
	fprintf(stderr, "train: %s\n", text);
}

/* Global: MPIs load parts of their own, which look for the rest. */
static struct group *join(const struct launch *launch, struct error *err)
{
	const struct plugin expected = {MPI_PLUGIN_ABI, sizeof(struct group_ops)};
	char *path = plugin_find(MPI_PLUGIN_FILE);
	if (!path) {
		error_set(err, STATUS_NO_DEVICE,
			"%s started %ld of this program, which can't join: no " MPI_PLUGIN_FILE
			" beside it or in ../lib/charpipe ('make mpi' builds it, where an MPI is)",
			launch->launcher, launch->size);
		return NULL;
	}
	const struct mpi_plugin *plugin =
		plugin_open(path, MPI_PLUGIN_SYMBOL, expected, RTLD_GLOBAL, err);
	free(path);
	return plugin ? plugin->join(tell_lost, err) : NULL;
}

/* --- the others ------------------------------------------------------------------------------ */

/* What rank 0 tells them to make. */
struct beginning {
	char version[32]; /* first in every version */
	uint64_t bytes;   /* of this structure; 0: there is nothing to be made */
	struct run_options options;
	struct device_options device;
	uint32_t vocab, window, rows[SHARDS_SPLITS];
	uint64_t batches[SHARDS_SPLITS];
};

/* What each tells rank 0. */
struct member {
	char host[64], device[192];
};

static struct group_cut members(const struct group *group)
{
	return (struct group_cut){.rows = group->size, .block = 1};
}

static struct member describe(struct device *device)
{
	struct member member = {0};
	gethostname(member.host, sizeof member.host - 1);
	device->ops->describe(device, member.device, sizeof member.device);
	return member;
}

struct device_options team_device(const struct team *team, const struct device_options *options)
{
	struct device_options own = *options;
	if (team->group) {
		own.host_rank = team->group->host_rank;
		own.host_share = team->group->host_share;
	}
	return own;
}

static int make(struct group *group, const struct tool *tool, struct beginning *beginning,
	struct device **device, struct error *err)
{
	struct run run = {0};
	struct shards shards = {.header = {.window = beginning->window}};
	const struct device_options options =
		team_device(&(struct team){.group = group}, &beginning->device);
	const struct group_cut cut = members(group);
	int rc = -1;
	memcpy(shards.header.rows, beginning->rows, sizeof beginning->rows);
	memcpy(shards.header.batches, beginning->batches, sizeof beginning->batches);
	*device = device_open(tool, &options, err);
	if (!*device)
		return -1;
	run.options = &beginning->options;
	run.shards = &shards;
	if (run_make(&run, &beginning->options, &shards.header, *device, group, beginning->vocab,
		    err) == 0) {
		const struct member own = describe(*device);
		rc = group_gather(group, &cut, sizeof own, &own, NULL, err);
	}
	if (rc == 0)
		rc = run_obey(&run, err);
	run_release(&run);
	return rc;
}

/* Signals are rank 0's, which tells what they ask for. */
static void ignore_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		signal(signals[i], SIG_IGN);
}

static int follow(struct group *group, const struct tool *tool, struct error *err)
{
	struct beginning beginning;
	struct device *device = NULL;
	int rc = 0;
	ignore_signals();
	if (group_broadcast(group, &beginning, sizeof beginning, err) < 0)
		return -1;
	if (strcmp(beginning.version, CHARPIPE_VERSION) != 0)
		return error_set(err, STATUS_NO_DEVICE,
			"rank %u is charpipe " CHARPIPE_VERSION ", rank 0 another version",
			group->rank);
	if (beginning.bytes > 0)
		rc = make(group, tool, &beginning, &device, err);
	if (device)
		device->ops->release(device);
	return rc;
}

static int finish(struct group *group, int rc, struct error *err)
{
	char host[64] = "";
	if (rc == 0) {
		group_leave(group, 0);
		return 0;
	}
	gethostname(host, sizeof host - 1);
	error_prefix(err, "rank %u (%s): ", group->rank, host);
	if (!group->broken)
		tell_lost(err->text);
	group_leave(group, (int)err->status);
	return -1;
}

int team_join(struct team *team, const struct tool *tool, bool *done, struct error *err)
{
	const struct launch launch = find_launch();
	*team = (struct team){0};
	*done = false;
	if (launch.size == 1)
		return 0;
	struct group *joined = join(&launch, err);
	if (joined && joined->size == 1 && launch.size > 1) {
		error_set(err, STATUS_NO_DEVICE,
			"%s started %ld of this program, but to its MPI each is alone: the "
			"launcher belongs to another MPI than " MPI_PLUGIN_FILE
			" was built with (srun: --mpi=pmix or pmi2)",
			launch.launcher, launch.size);
		group_leave(joined, 0);
		joined = NULL;
	}
	if (!joined) {
		if (launch.rank > 0)
			err->text[0] = '\0';
		return -1;
	}
	if (joined->size == 1) {
		group_leave(joined, 0);
		return 0;
	}
	if (joined->rank == 0) {
		team->group = joined;
		return 0;
	}
	*done = true;
	int rc = follow(joined, tool, err);
	return finish(joined, rc, err);
}

/* --- rank 0 ---------------------------------------------------------------------------------- */

/* Kernels as they stand in a description of the CPU, behind its threads. */
static const char *kernels_of(const struct member *member)
{
	const char *at = strstr(member->device, "thread");
	at = at ? strchr(at, ',') : NULL;
	return at ? at + 2 : member->device;
}

static void tell_members(
	const struct group *group, const struct tool *tool, const struct member *all)
{
	const struct member *first = NULL;
	for (unsigned r = 0; r < group->size; r++) {
		tool_detail(tool, "rank %u: %s: %s", r, all[r].host, all[r].device);
		if (!first && strcmp(kernels_of(&all[r]), kernels_of(all)) != 0) {
			first = &all[r];
			tool_note(tool,
				"rank %u (%s) computes with %s, rank 0 (%s) with %s: the result "
				"has "
				"the bits of neither",
				r, all[r].host, kernels_of(&all[r]), all->host, kernels_of(all));
		}
	}
}

int team_begin(struct team *team, const struct tool *tool, const struct run *run,
	const struct device_options *device, struct error *err)
{
	struct beginning beginning = {.version = CHARPIPE_VERSION, .bytes = sizeof beginning};
	const struct shards_header *data = &run->shards->header;
	struct group *group = team->group;
	int rc = -1;
	if (!group)
		return 0;
	const struct member own = describe(run->model.device);
	const struct group_cut cut = members(group);
	struct member *all = calloc(group->size, sizeof *all);
	if (!all)
		return error_memory(err, group->size * sizeof *all, "a list of ranks");
	beginning.options = *run->options;
	beginning.device = *device;
	beginning.vocab = run->model.params.vocab;
	beginning.window = data->window;
	memcpy(beginning.rows, data->rows, sizeof beginning.rows);
	memcpy(beginning.batches, data->batches, sizeof beginning.batches);
	team->adrift = true;
	if (group_broadcast(group, &beginning, sizeof beginning, err) == 0)
		rc = group_gather(group, &cut, sizeof own, &own, all, err);
	if (rc == 0) {
		team->begun = true;
		team->adrift = false;
		tell_members(group, tool, all);
	}
	free(all);
	return rc;
}

void team_end(struct team *team, int status)
{
	struct beginning nothing = {.version = CHARPIPE_VERSION};
	struct group *group = team->group;
	struct error ignored;
	if (!group)
		return;
	team->group = NULL;
	if (team->adrift ||
		(team->begun ? run_dismiss(group, &ignored)
			     : group_broadcast(group, &nothing, sizeof nothing, &ignored)) < 0)
		group_leave(group, status != 0 ? status : STATUS_NO_DEVICE);
	group_leave(group, 0);
}

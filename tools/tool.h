/* tool.h: what the programs share in talking to people: common options, messages, progress, the
 * end.
 *
 * A program is one table of options and one function:
 *
 *     struct values { struct tool_common common; uint64_t rows; ... };
 *     static const struct option table[] = {
 *             {.letter = 'n', .name = "rows", .argument = "N", .type = OPTION_INTEGER,
 *              .effect = EFFECT_SHAPES, .offset = offsetof(struct values, rows),
 *              .initial = "128", ...},
 *             TOOL_OPTIONS(struct values), {0}};
 *     static int run(struct tool *tool, int argc, char **argv, struct error *err) { ... }
 *     int main(int argc, char **argv)
 *     {
 *             struct values values;
 *             struct tool tool = {.name = "batchify", ..., .table = table, .values = &values,
 *                     .run = run};
 *             return tool_main(&tool, argc, argv);
 *     }
 */
#ifndef TOOL_H
#define TOOL_H

#include "base/error.h"
#include "base/option.h"
#include "base/output.h"

#include <stdbool.h>

enum tool_options_as {
	TOOL_OPTIONS_NOT,
	TOOL_OPTIONS_MAN,
	TOOL_OPTIONS_TSV,
};
extern const char *const tool_options_as_choices[];

/* The options that every tool has: the first member, `common`, of each tool's struct of values. */
struct tool_common {
	const char *output; /* NULL: standard output */
	const char *config;
	bool force, gzip, quiet, verbose, progress, no_progress;
	bool help, version, print_config;
	unsigned options_as; /* the hidden --options-as: enum tool_options_as */
};

/* clang-format off */
#define TOOL_FLAG(values, key, letter_, name_, only, help_) \
	{.letter = letter_, .name = name_, .type = OPTION_FLAG, \
	 .effect = EFFECT_NONE, .offset = offsetof(values, common.key), .command_line_only = only, \
	 .help = help_}
#define TOOL_FILE(values, key, letter_, name_, file_, only, help_) \
	{.letter = letter_, .name = name_, .argument = "FILE", .type = OPTION_TEXT, .file = file_, \
	 .effect = EFFECT_NONE, .offset = offsetof(values, common.key), .command_line_only = only, \
	 .help = help_}

/* The table entries of struct tool_common; goes last in each tool's table, before the empty entry.
 * The last one, without help, is for the Makefile: it makes man pages and completions with it. */
#define TOOL_OPTIONS(values) \
	TOOL_FILE(values, output, 'o', "output", OPTION_FILE_RESULT, false, \
		"write FILE, complete or not at all, instead of standard output"), \
	{.letter = 'z', .name = "gzip", .type = OPTION_FLAG, .effect = EFFECT_STARTS, \
	 .offset = offsetof(values, common.gzip), .help = "compress the output"}, \
	TOOL_FLAG(values, force, 'f', "force", true, "write binary output even to a terminal"), \
	TOOL_FILE(values, config, 'c', "config", OPTION_FILE_READ, true, \
		"take options from a YAML file, or from the recipe of that name (fast); the " \
		"command line wins over it, and --FLAG=no takes back a flag that it sets"), \
	TOOL_FLAG(values, print_config, 0, "print-config", true, \
		"print every option's value and where it came from, and exit"), \
	TOOL_FLAG(values, quiet, 'q', "quiet", false, "print errors only"), \
	TOOL_FLAG(values, verbose, 'v', "verbose", false, "print more of what is done"), \
	TOOL_FLAG(values, progress, 0, "progress", false, \
		"show progress even if standard error is not a terminal"), \
	TOOL_FLAG(values, no_progress, 0, "no-progress", false, "show no progress"), \
	TOOL_FLAG(values, help, 'h', "help", true, "print this help and exit"), \
	TOOL_FLAG(values, version, 'V', "version", true, "print the version and exit"), \
	{.name = "options-as", .argument = "FORMAT", .type = OPTION_CHOICE, \
	 .effect = EFFECT_NONE, .offset = offsetof(values, common.options_as), .initial = "none", \
	 .choices = tool_options_as_choices, .command_line_only = true}
/* clang-format on */

struct tool_terminal; /* private to tool.c */

struct tool {
	const char *name;     /* "batchify": that of its mapping in configuration files */
	const char *synopsis; /* "[OPTION...] [FILE]" */
	const char *summary;  /* one sentence for --help: what it reads, what it writes */
	const struct option *table;
	const struct option_elsewhere *elsewhere; /* what this program is asked for in vain */
	void *values;                             /* begins with a struct tool_common */
	/* Opens, loops, closes. Operands are argv[0..argc), files to be read. 0, or -1 with err
	 * filled in. */
	int (*run)(struct tool *tool, int argc, char **argv, struct error *err);
	/* First of all, before any option is looked at: where the program is one of several that do one
	 * thing together. *done: there is nothing else to do. May be NULL. An error without text is
	 * told by another. */
	int (*join)(struct tool *tool, bool *done, struct error *err);
	/* With --print-config: fills in `forecast`, a line for people on what run() would take. May
	 * be NULL. */
	int (*foresee)(struct tool *tool, int argc, char **argv, struct error *err);
	char forecast[160];
	/* Filled in by tool_main(): */
	const char *program; /* what it is called here: "batchify", or "charpipe-batchify" */
	struct options options;
	struct tool_terminal *terminal;
};

/* Makes sure that descriptors 0..2 are open, parses, reads the configuration, handles --help,
 * --version and --print-config, sees to it that no output is an input, calls run(), prints its
 * error as "PROGRAM: TEXT", and returns the exit status. */
int tool_main(struct tool *tool, int argc, char **argv);

/* Opens -o or standard output as the common options say (gzip; a terminal only with --force if
 * `binary`). */
int tool_output(const struct tool *tool, struct output *out, bool binary, struct error *err);

/* One line on stderr, prefixed with the program's name: a note (not with -q), a detail (only with
 * -v). A progress line on the terminal is cleared first and drawn anew with the next tool_progress(). */
void tool_note(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void tool_detail(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Something that went wrong and doesn't end the run: with -q too. */
void tool_warning(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line on stderr as it is, without prefix (train's own lines); not with -q. */
void tool_line(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether progress is to be shown; and the progress line itself: redrawn in place, without
 * escape sequences, at most ten times a second, cut to the terminal's width; where it can't be
 * redrawn (no terminal, or TERM=dumb), a line of its own at most once a second.
 * tool_progress_end() clears it. */
bool tool_shows_progress(const struct tool *tool);
void tool_progress(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void tool_progress_end(const struct tool *tool);

/* Seconds on the monotonic clock. */
double tool_seconds(void);

#endif

/* tool.h: what the programs share in talking to people: common options, messages, progress, the end.
 *
 * A program is one table of options and one function:
 *
 *     struct values { struct tool_common common; uint64_t rows; ... };
 *     static const struct option table[] = {
 *             {'n', "rows", "N", OPTION_INTEGER, offsetof(struct values, rows), "128", ...},
 *             TOOL_OPTIONS, {0}};
 *     static int run(struct tool *tool, int argc, char **argv, struct error *err) { ... }
 *     int main(int argc, char **argv)
 *     {
 *             struct values values;
 *             return tool_main(&(struct tool){.name = "batchify", ..., .run = run}, argc, argv);
 *     }
 */
#ifndef TOOL_H
#define TOOL_H

#include "base/error.h"
#include "base/option.h"
#include "base/output.h"

#include <signal.h>
#include <stdbool.h>

/* The options that every tool has; first member of each tool's struct of values. */
struct tool_common {
	const char *output; /* NULL: standard output */
	const char *config;
	bool force, gzip, quiet, verbose, progress, no_progress;
	bool help, version, print_config;
	unsigned options_as; /* the hidden --options-as: enum tool_options_as */
};

/* The table entries of struct tool_common; goes last in each tool's table, before the empty entry. */
#define TOOL_OPTIONS ... /* defined by tool.c's author below this comment */

struct tool {
	const char *name;     /* "batchify" */
	const char *synopsis; /* "[OPTION...] [FILE]" */
	const char *summary;  /* one sentence for --help: what it reads, what it writes */
	const struct option *table;
	void *values; /* begins with a struct tool_common */
	/* Opens, loops, closes. Operands are argv[0..argc). 0, or -1 with err filled in. */
	int (*run)(struct tool *tool, int argc, char **argv, struct error *err);
	struct options options; /* filled in by tool_main() */
};

/* Makes sure that descriptors 0..2 are open, parses, reads the configuration, handles --help, --version and
 * --print-config, calls run(), prints its error as "NAME: TEXT", and returns the exit status. */
int tool_main(struct tool *tool, int argc, char **argv);

/* Opens -o or standard output as the common options say (gzip; a terminal only with --force if `binary`). */
int tool_output(const struct tool *tool, struct output *out, bool binary, struct error *err);

/* One line on stderr, prefixed with the tool's name: a note (not with -q), a detail (only with -v). A progress line on the
 * terminal is cleared first and drawn anew with the next tool_progress(). */
void tool_note(const struct tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tool_detail(const struct tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A line on stderr as it is, without prefix (train's own lines); not with -q. */
void tool_line(const struct tool *tool, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether progress is to be shown; and the progress line itself: redrawn in place at most ten times a second
 * (`force` draws at once), cut to the terminal's width. tool_progress_end() clears it. */
bool tool_shows_progress(const struct tool *tool);
void tool_progress(const struct tool *tool, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void tool_progress_end(const struct tool *tool);

/* Seconds on the monotonic clock. */
double tool_seconds(void);

#endif

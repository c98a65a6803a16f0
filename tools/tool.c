/* tool.c: see tool.h. Everything the programs print on stderr goes through here, one write(2) a
 * line, made harmless for terminals by error_set(). */
#include "tools/tool.h"
#include "base/io.h"
#include "base/place.h"
#include "base/utf8.h"
#include "formats/config.h"
#include "tools/files.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

const char *const tool_options_as_choices[] = {"none", "man", "tsv", NULL};

enum { COLUMNS_DEFAULT = 80, COLUMNS_MAX = 400 };
static const double redraw_seconds = 0.1, append_seconds = 1.0;

/* The progress line. */
struct tool_terminal {
	bool redraws;    /* stderr can go back to the start of a line */
	size_t drawn;    /* columns of it that are on the screen */
	double drawn_at; /* when that was */
};

static const struct tool_common *common_of(const struct tool *tool)
{
	return tool->values;
}

double tool_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The width of the terminal at `fd`. */
static int columns_of(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

/* --- stderr ----------------------------------------------------------------------------------- */

/* A failure is not reported: there is nowhere left to report it to. */
static void write_stderr(const char *s, size_t n)
{
	(void)io_write(STDERR_FILENO, s, n);
}

/* "PREFIX: TEXT\n", or without a prefix. */
static void print_line(const struct tool *tool, const char *prefix, const char *text)
{
	char line[sizeof((struct error *)0)->text + 64];
	int n = snprintf(
		line, sizeof line, "%s%s%s\n", prefix ? prefix : "", prefix ? ": " : "", text);

	tool_progress_end(tool);
	write_stderr(line, (size_t)n);
}

static void print_format(
	const struct tool *tool, const char *prefix, const char *format, va_list args)
{
	struct error line;

	error_vset(&line, STATUS_OK, format, args);
	print_line(tool, prefix, line.text);
}

void tool_note(const struct tool *tool, const char *format, ...)
{
	va_list args;

	if (common_of(tool)->quiet)
		return;
	va_start(args, format);
	print_format(tool, tool->program, format, args);
	va_end(args);
}

void tool_warning(const struct tool *tool, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_format(tool, tool->program, format, args);
	va_end(args);
}

void tool_detail(const struct tool *tool, const char *format, ...)
{
	va_list args;

	if (!common_of(tool)->verbose)
		return;
	va_start(args, format);
	print_format(tool, tool->program, format, args);
	va_end(args);
}

void tool_line(const struct tool *tool, const char *format, ...)
{
	va_list args;

	if (common_of(tool)->quiet)
		return;
	va_start(args, format);
	print_format(tool, NULL, format, args);
	va_end(args);
}

/* --- progress --------------------------------------------------------------------------------- */

bool tool_shows_progress(const struct tool *tool)
{
	const struct tool_common *common = common_of(tool);

	if (common->progress || common->no_progress)
		return !common->no_progress;
	return !common->quiet && tool->terminal->redraws;
}

/* Cuts a line to as many characters (taken for columns) as fit; returns their number. */
static size_t cut(char *line, size_t columns)
{
	size_t n = strlen(line), used = 0, drawn = 0;

	while (used < n && drawn < columns) {
		uint32_t c;
		int length = utf8_decode((unsigned char *)line + used, n - used, &c);
		used += length > 0 ? (size_t)length : 1;
		drawn++;
	}
	line[used] = '\0';
	return drawn;
}

void tool_progress(const struct tool *tool, const char *format, ...)
{
	struct tool_terminal *terminal = tool->terminal;
	double now = tool_seconds();
	struct error text;
	va_list args;

	if (!tool_shows_progress(tool))
		return;
	if (now - terminal->drawn_at < (terminal->redraws ? redraw_seconds : append_seconds))
		return;
	va_start(args, format);
	error_vset(&text, STATUS_OK, format, args);
	va_end(args);
	if (terminal->redraws) {
		char line[sizeof text.text + COLUMNS_MAX];
		/* The last column stays free: some terminals would begin a new line. */
		size_t drawn = cut(text.text, (size_t)columns_of(STDERR_FILENO) - 1);
		size_t rest = drawn < terminal->drawn ? terminal->drawn - drawn : 0;
		int n = snprintf(line, sizeof line, "\r%s%*s", text.text, (int)rest, "");
		write_stderr(line, (size_t)n);
		terminal->drawn = drawn;
	} else {
		print_line(tool, NULL, text.text);
	}
	terminal->drawn_at = now;
}

void tool_progress_end(const struct tool *tool)
{
	struct tool_terminal *terminal = tool->terminal;
	char line[COLUMNS_MAX + 3];

	if (terminal->drawn == 0)
		return;
	int n = snprintf(line, sizeof line, "\r%*s\r", (int)terminal->drawn, "");
	write_stderr(line, (size_t)n);
	terminal->drawn = 0;
	terminal->drawn_at = 0; /* the next one is drawn at once */
}

/* --- start and end ---------------------------------------------------------------------------- */

/* A descriptor of 0..2 that is closed would become the first file we open. Its stand-in refuses
 * what the descriptor is for, so that a closed input is no empty one and a closed output an error;
 * only stderr takes, and drops, what it gets. */
static void open_standard_descriptors(void)
{
	static const int flags[] = {O_WRONLY, O_RDONLY, O_WRONLY};

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
			io_open("/dev/null", flags[fd]) != fd)
			_exit(STATUS_IO);
}

static void write_help(const struct tool *tool, FILE *f)
{
	int columns = columns_of(STDOUT_FILENO);

	fprintf(f, "Usage: %s %s\n", tool->program, tool->synopsis);
	options_wrap(tool->summary, f, 0, 0, columns);
	fputc('\n', f);
	options_help(&tool->options, f, columns);
	fprintf(f, "\nman %s says more.\n", tool->program);
}

static void write_version(const struct tool *tool, FILE *f)
{
	fprintf(f, "%s (charpipe) %s\n", tool->program, CHARPIPE_VERSION);
}

static void write_man(const struct tool *tool, FILE *f)
{
	options_man(&tool->options, f);
}

static void write_tsv(const struct tool *tool, FILE *f)
{
	options_tsv(&tool->options, f);
}

static void write_config(const struct tool *tool, FILE *f)
{
	options_yaml(&tool->options, f);
	if (tool->forecast[0])
		fprintf(f, "# %s\n", tool->forecast);
}

/* Writes a page on stdout, by way of memory, so that no failure goes unseen. */
static int print_page(
	const struct tool *tool, void (*write_page)(const struct tool *, FILE *), struct error *err)
{
	struct output out = {0};
	char *page = NULL;
	size_t n = 0;
	int rc = -1;
	FILE *f = open_memstream(&page, &n);

	if (!f) {
		error_memory(err, BUFSIZ, "a page of text");
		goto out;
	}
	write_page(tool, f);
	bool failed = ferror(f) != 0;
	if (fclose(f) != 0 || failed) {
		error_memory(err, BUFSIZ, "a page of text");
		goto out;
	}
	if (output_open(&out, NULL, 0, err) < 0 || output_write(&out, page, n, err) < 0 ||
		output_commit(&out, err) < 0)
		goto out;
	rc = 0;
out:
	output_discard(&out);
	free(page);
	return rc;
}

__attribute__((format(printf, 2, 3))) static void append(struct error *err, const char *format, ...)
{
	const size_t used = strlen(err->text);
	va_list args;
	va_start(args, format);
	vsnprintf(err->text + used, sizeof err->text - used, format, args);
	va_end(args);
}

/* --config NAME: a recipe that came with the programs, if it has that name; its path takes the
 * name's place. */
static int find_recipe(struct tool_common *common, char **path, struct error *err)
{
	static const char *const folders[] = {"recipes/", "../share/charpipe/recipes/", NULL};
	char *name;
	if (!common->config || strchr(common->config, '/'))
		return 0;
	if (asprintf(&name, "%s.yaml", common->config) < 0)
		return error_memory(err, strlen(common->config), "a recipe's name");
	*path = place_shipped(folders, name);
	free(name);
	if (*path)
		common->config = *path;
	return 0;
}

/* Does what the command line asks for: the status. */
static int start(struct tool *tool, int argc, char **argv, char **recipe, struct config **config,
	struct error *err)
{
	struct tool_common *common = tool->values;
	int first;

	if (options_parse(&tool->options, argc, argv, &first, err) < 0) {
		append(err, "; try '%s --help'", tool->program);
		return -1;
	}
	if (common->help)
		return print_page(tool, write_help, err);
	if (common->version)
		return print_page(tool, write_version, err);
	if (common->options_as == TOOL_OPTIONS_MAN)
		return print_page(tool, write_man, err);
	if (common->options_as == TOOL_OPTIONS_TSV)
		return print_page(tool, write_tsv, err);
	if (find_recipe(common, recipe, err) < 0)
		return -1;
	if (common->config && config_apply(common->config, &tool->options, config, err) < 0) {
		if (err->status == STATUS_NO_INPUT && !strchr(common->config, '/'))
			append(err, "; nor is there a recipe of that name");
		return -1;
	}
	argc -= first;
	argv += first;
	if (files_check(&tool->options, argc, argv, err) < 0)
		return -1;
	if (!common->print_config)
		return tool->run(tool, argc, argv, err);
	if (tool->foresee && tool->foresee(tool, argc, argv, err) < 0)
		return -1;
	return print_page(tool, write_config, err);
}

/* The name that the program was installed and called under, if it is the tool's behind a prefix of
 * letters, digits, dashes and dots; else the tool's. */
static const char *program_name(const char *path, const char *name)
{
	enum { PREFIX_MAX = 32 };
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	const char *slash = path ? strrchr(path, '/') : NULL;
	const char *base = slash ? slash + 1 : path ? path : "";
	size_t n = strlen(base), m = strlen(name);
	bool ends = n >= m && n - m <= PREFIX_MAX && strcmp(base + n - m, name) == 0;
	return ends && strspn(base, allowed) == n ? base : name;
}

int tool_main(struct tool *tool, int argc, char **argv)
{
	struct error err = {0};
	struct config *config = NULL;
	char *recipe = NULL;
	bool done = false;
	const char *term = getenv("TERM");
	struct tool_terminal terminal = {
		.redraws = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
	};

	open_standard_descriptors();
	/* A file that reaches its size limit is a failed write, not a signal. */
	signal(SIGXFSZ, SIG_IGN);
	tool->program = program_name(argc > 0 ? argv[0] : NULL, tool->name);
	tool->options = (struct options){.tool = tool->name,
		.table = tool->table,
		.values = tool->values,
		.elsewhere = tool->elsewhere};
	tool->terminal = &terminal;
	int rc = tool->join ? tool->join(tool, &done, &err) : 0;
	if (rc == 0 && !done)
		rc = start(tool, argc, argv, &recipe, &config, &err);
	if (rc < 0 && *err.text)
		print_line(tool, tool->program, err.text);
	tool_progress_end(tool);
	tool->terminal = NULL;
	if (config)
		config_release(config);
	free(recipe);
	assert(rc == 0 || err.status != STATUS_OK);
	return rc == 0 ? STATUS_OK : (int)err.status;
}

int tool_output(const struct tool *tool, struct output *out, bool binary, struct error *err)
{
	const struct tool_common *common = common_of(tool);
	bool compress = common->gzip;
	unsigned flags = compress ? OUTPUT_GZIP : 0;

	if ((binary || compress) && !common->force)
		flags |= OUTPUT_BINARY;
	return output_open(out, common->output, flags, err);
}

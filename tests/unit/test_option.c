/* test_option.c: the command line means what getopt_long's users expect, numbers are what they look
 * like, and all that is made of the option table agrees. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct values {
	uint64_t rows, length;
	double rate;
	bool quiet, force;
	const char *output, *separator;
	unsigned device;
};

static const char *const devices[] = {"auto", "cpu", "cuda", NULL};

/* clang-format off */
static const struct option table[] = {
	{.letter = 'n', .name = "rows", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES,
	 .offset = offsetof(struct values, rows), .initial = "128", .low = 1, .high = 65536,
	 .also = "batch-size lines",
	 .help = "rows of a batch"},
	{.name = "length", .argument = "N", .type = OPTION_INTEGER, .effect = EFFECT_LIMITS,
	 .offset = offsetof(struct values, length), .initial = "1000", .low = 0, .high = 0x1p53,
	 .infinite = true, .help = "new characters"},
	{.letter = 'r', .name = "rate", .argument = "RATE", .type = OPTION_REAL,
	 .effect = EFFECT_TUNES,
	 .offset = offsetof(struct values, rate), .initial = "0.001", .low = 0, .high = 1,
	 .open_low = true, .help = "learning rate"},
	{.letter = 'q', .name = "quiet", .type = OPTION_FLAG, .effect = EFFECT_NONE,
	 .offset = offsetof(struct values, quiet), .help = "print errors only"},
	{.letter = 'f', .name = "force", .type = OPTION_FLAG, .effect = EFFECT_NONE,
	 .offset = offsetof(struct values, force), .command_line_only = true, .help = "do it"},
	{.letter = 'o', .name = "output", .argument = "FILE", .type = OPTION_TEXT,
	 .effect = EFFECT_NONE,
	 .offset = offsetof(struct values, output), .help = "where to write - or not"},
	{.name = "separator", .argument = "STR", .type = OPTION_TEXT, .effect = EFFECT_SHAPES,
	 .offset = offsetof(struct values, separator), .initial = "\n", .help = "after each text"},
	{.letter = 'D', .name = "device", .argument = "DEVICE", .type = OPTION_CHOICE,
	 .effect = EFFECT_STARTS,
	 .offset = offsetof(struct values, device), .initial = "auto", .choices = devices,
	 .help = "where to compute"},
	{.name = "hidden", .type = OPTION_FLAG,
	 .effect = EFFECT_NONE, .offset = offsetof(struct values, force)},
	{0},
};
/* clang-format on */

static const struct option_elsewhere elsewhere[] = {{"window seq-length", "cut --window"}, {0}};

enum { WORDS_MAX = 16 };

struct fixture {
	struct values values;
	struct options options;
	struct error err;
	char tool[5], empty[1]; /* argv's strings are writable */
	char text[256];
	char *argv[WORDS_MAX];
	int argc, operands;
};

/* Parses a line of words separated by single spaces; "_" becomes an empty word. */
static int parse(struct fixture *f, const char *line)
{
	memset(f, 0xA5, sizeof *f); /* nothing may be left as it was */
	f->options = (struct options){
		.tool = "demo", .table = table, .values = &f->values, .elsewhere = elsewhere};
	snprintf(f->text, sizeof f->text, "%s", line);
	f->argc = 0;
	strcpy(f->tool, "demo");
	f->empty[0] = '\0';
	f->argv[f->argc++] = f->tool;
	for (char *word = strtok(f->text, " "); word; word = strtok(NULL, " "))
		f->argv[f->argc++] = strcmp(word, "_") == 0 ? f->empty : word;
	f->argv[f->argc] = NULL;
	return options_parse(&f->options, f->argc, f->argv, &f->operands, &f->err);
}

static void parse_well(struct fixture *f, const char *line)
{
	if (parse(f, line) < 0)
		fail_msg("%s: %s", line, f->err.text);
}

/* Parsing must fail with status 64 and a text that contains `text`. */
static void assert_refused(const char *line, const char *text)
{
	struct fixture f;

	if (parse(&f, line) == 0)
		fail_msg("%s: taken", line);
	assert_int_equal(f.err.status, STATUS_USAGE);
	if (!strstr(f.err.text, text))
		fail_msg("%s: expected \"%s\", found \"%s\"", line, text, f.err.text);
}

static void without_words_every_value_is_its_default(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "");
	assert_int_equal(f.values.rows, 128);
	assert_int_equal(f.values.length, 1000);
	assert_true(f.values.rate == 0.001);
	assert_false(f.values.quiet);
	assert_null(f.values.output);
	assert_string_equal(f.values.separator, "\n");
	assert_int_equal(f.values.device, 0);
	assert_int_equal(f.operands, f.argc);
	assert_false(options_given(&f.options, "rows"));
}

static void a_value_may_stand_in_every_usual_place(void **state)
{
	(void)state;
	static const char *const lines[] = {"-n 7", "-n7", "--rows 7", "--rows=7", "--row=7",
		"--ro 7", "-qn7", "-qn 7", "-fqn 7", "-n 9 -n 7", "x -n 7", "x y --rows=7 -- z"};
	struct fixture f;

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		parse_well(&f, lines[i]);
		if (f.values.rows != 7)
			fail_msg("%s: %" PRIu64, lines[i], f.values.rows);
		assert_true(options_given(&f.options, "rows"));
		assert_false(options_given(&f.options, "length"));
	}
}

static void operands_keep_their_order(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "a -n 7 - -q b -o c -- -d --rows");
	assert_int_equal(f.argc - f.operands, 5);
	assert_string_equal(f.argv[f.operands], "a");
	assert_string_equal(f.argv[f.operands + 1], "-");
	assert_string_equal(f.argv[f.operands + 2], "b");
	assert_string_equal(f.argv[f.operands + 3], "-d");
	assert_string_equal(f.argv[f.operands + 4], "--rows");
	assert_string_equal(f.values.output, "c");
	assert_true(f.values.quiet);
}

static void a_value_may_look_like_an_option_or_be_empty(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-o -q --separator _");
	assert_string_equal(f.values.output, "-q");
	assert_string_equal(f.values.separator, "");
	assert_false(f.values.quiet);
	parse_well(&f, "--separator=");
	assert_string_equal(f.values.separator, "");
	parse_well(&f, "--output=a=b");
	assert_string_equal(f.values.output, "a=b");
}

static void flags_can_be_taken_back(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-q --quiet=no");
	assert_false(f.values.quiet);
	assert_true(options_given(&f.options, "quiet"));
	parse_well(&f, "--quiet");
	assert_true(f.values.quiet);
	parse_well(&f, "-- -q");
	assert_false(f.values.quiet);
	parse_well(&f, "--quiet=true");
	assert_true(f.values.quiet);
	assert_refused("--quiet=maybe", "expected yes or no, found \"maybe\"");
}

static void integers_are_read_whole_and_within_bounds(void **state)
{
	(void)state;
	static const char *const bad[] = {"12abc", "_", "-5", "+5", "0", "65537", "1.5", "1e3",
		"0x10", "inf", "nan", "18446744073709551617", "99999999999999999999999", "7,"};
	struct fixture f;

	parse_well(&f, "-n 1");
	assert_int_equal(f.values.rows, 1);
	parse_well(&f, "-n 65536");
	assert_int_equal(f.values.rows, 65536);
	parse_well(&f, "-n 007");
	assert_int_equal(f.values.rows, 7);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char line[64];
		snprintf(line, sizeof line, "-n %s", bad[i]);
		assert_refused(line, "-n/--rows: expected a whole number from 1 to 65536, found");
	}
	parse_well(&f, "--length inf");
	assert_true(f.values.length == UINT64_MAX);
	assert_refused("--length 9007199254740993", "9007199254740992 or inf");
}

static void reals_are_read_whole_and_within_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		double value;
	} good[] = {{"1e-3", 1e-3}, {"1", 1}, {"0.5", 0.5}, {".5", .5}, {"1.", 1}, {"+1E-2", 0.01},
		{"1e-300", 1e-300}};
	static const char *const bad[] = {"0", "-0.1", "1.0001", "nan", "inf", "0x1p-3", "1e", "e5",
		".", "0.1x", "0,1", "_", "1e999", "1e-999", "-", "+", "0.1.2", "infinity", "--1"};
	struct fixture f;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		char line[64];
		snprintf(line, sizeof line, "-r %s", good[i].text);
		parse_well(&f, line);
		assert_true(f.values.rate == good[i].value);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char line[64];
		snprintf(line, sizeof line, "-r %s", bad[i]);
		assert_refused(line, "-r/--rate: expected a number above 0 and up to 1, found");
	}
}

static void choices_are_by_name(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-D cuda");
	assert_int_equal(f.values.device, 2);
	assert_refused("-D gpu", "-D/--device: expected one of auto, cpu, cuda, found \"gpu\"");
	assert_refused("-D CPU", "expected one of");
}

static void unknown_options_name_the_nearest(void **state)
{
	(void)state;
	assert_refused("--rwos 5", "unknown option --rwos, did you mean --rows");
	assert_refused("--sepparator=x", "did you mean --separator");
	assert_refused("--qiet", "did you mean --quiet");
	assert_refused("-y", "unknown option -y");
	assert_refused("-qy", "unknown option -y");
	assert_refused("-\xC3\xA9", "unknown option -\xC3\xA9");
	assert_refused("--r 5", "option --r is ambiguous: --rows or --rate");
	assert_refused("--=5",
		"is ambiguous: --rows, --length, --rate, --quiet, --force, --output, "
		"--separator or --device");
	assert_refused("--batch-size 5", "unknown option --batch-size, did you mean --rows");
	assert_refused("--batch_size=5", "unknown option --batch_size, did you mean --rows");
	assert_refused("--batchsize 5", "did you mean --rows");
	assert_refused("--line 5", "did you mean --rows");
	assert_refused("--seq_length 5", "unknown option --seq_length, that is cut --window");
	assert_refused("--window=5", "unknown option --window, that is cut --window");
	assert_refused("--hid", "unknown option --hid");
	struct fixture f;
	assert_int_equal(parse(&f, "--xyzzy"), -1);
	assert_string_equal(f.err.text, "unknown option --xyzzy");
	assert_null(options_nearest(&f.options, "completely-different"));
	char long_name[1000];
	memset(long_name, 'r', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = '\0';
	assert_null(options_nearest(&f.options, long_name));
	snprintf(long_name, 100, "--%080d", 0);
	assert_refused(long_name, "unknown option --0000");
}

static void a_missing_value_is_told(void **state)
{
	(void)state;
	assert_refused("-n", "-n/--rows: needs a value (N)");
	assert_refused("--length", "--length: needs a value (N)");
	assert_refused("--output", "--output: needs a value (FILE)");
}

static void a_configuration_yields_to_the_command_line(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-n 7");
	const struct option *rows = options_find(&f.options, "rows");
	const struct option *rate = options_find(&f.options, "rate");
	assert_null(options_find(&f.options, "row"));
	assert_int_equal(
		options_set(&f.options, rows, "9", SOURCE_CONFIG, "line 2: rows", &f.err), 0);
	assert_int_equal(
		options_set(&f.options, rate, "0.5", SOURCE_CONFIG, "line 3: rate", &f.err), 0);
	assert_int_equal(f.values.rows, 7);
	assert_true(f.values.rate == 0.5);
	assert_true(options_given(&f.options, "rate"));
	assert_int_equal(
		options_set(&f.options, rows, "x", SOURCE_CONFIG, "line 2: rows", &f.err), -1);
	assert_int_equal(f.err.status, STATUS_CONFIG);
	assert_string_equal(
		f.err.text, "line 2: rows: expected a whole number from 1 to 65536, found \"x\"");
}

/* What a writer writes; the caller frees. */
static char *written(void (*write)(const struct options *, FILE *), const struct options *options)
{
	static char *text; /* not on the stack: gcc 12 loses track of whose pointer it is */
	size_t n;
	FILE *f = open_memstream(&text, &n);

	assert_non_null(f);
	write(options, f);
	fclose(f);
	return text;
}

static void help_80(const struct options *options, FILE *f)
{
	options_help(options, f, 80);
}

static void help_50(const struct options *options, FILE *f)
{
	options_help(options, f, 50);
}

static void help_names_every_option_within_the_width(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "");
	for (int columns = 50; columns <= 80; columns += 30) {
		char *text = written(columns == 80 ? help_80 : help_50, &f.options);
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			if (strlen(line) > (size_t)columns)
				fail_msg("wider than %d: %s", columns, line);
		free(text);
	}
	char *text = written(help_80, &f.options);
	assert_non_null(strstr(text, "  -n, --rows=N            rows of a batch [128]\n"));
	assert_non_null(strstr(text, "      --separator=STR     after each text [\"\\n\"]\n"));
	assert_non_null(strstr(text, "  -D, --device=auto|cpu|cuda\n"));
	assert_non_null(strstr(text, "  -q, --quiet             print errors only\n"));
	assert_null(strstr(text, "hidden"));
	free(text);
}

static void the_man_page_escapes_what_roff_would_take(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "");
	char *text = written(options_man, &f.options);
	assert_non_null(strstr(text, ".TP\n\\fB\\-n\\fR, \\fB\\-\\-rows\\fR=\\fIN\\fR\n"
				     "\\&Rows of a batch.\nDefault: 128.\n"));
	assert_non_null(strstr(text, "Where to write \\- or not."));
	assert_non_null(strstr(text, "Default: \"\\en\"."));
	assert_null(strstr(text, "hidden"));
	free(text);
}

static void the_configuration_is_printed_with_its_sources(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-n 7 --length inf -q");
	const struct option *rate = options_find(&f.options, "rate");
	const struct option *separator = options_find(&f.options, "separator");
	const char *nasty = "a\"b\\c\t\x01\xC3\xA9\xFF\xE2\x80\xA8";
	assert_int_equal(options_set(&f.options, rate, "1e-1", SOURCE_CONFIG, "", &f.err), 0);
	assert_int_equal(options_set(&f.options, separator, nasty, SOURCE_CONFIG, "", &f.err), 0);
	char *text = written(options_yaml, &f.options);
	assert_string_equal(text, "demo:\n"
				  "  rows: 7 # command line\n"
				  "  length: inf # command line; limits the run\n"
				  "  rate: 0.1 # configuration file\n"
				  "  quiet: true # command line; shapes nothing\n"
				  "  # output: not set; shapes nothing\n"
				  "  separator: \"a\\\"b\\\\c\\t\\x01\xC3\xA9\\ufffd\\u2028\" # "
				  "configuration file\n"
				  "  device: auto # default\n");
	free(text);
}

static void completions_get_one_line_an_option(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "");
	char *text = written(options_tsv, &f.options);
	static const char head[] = "letter\tname\targument\tdefault\tchoices\thelp\teffect\n"
				   "n\trows\tN\t128\t\trows of a batch\tshapes\n";
	assert_int_equal(strncmp(text, head, sizeof head - 1), 0);
	assert_non_null(strstr(
		text, "\nD\tdevice\tDEVICE\tauto\tauto|cpu|cuda\twhere to compute\tstarts\n"));
	assert_non_null(strstr(text, "\n\tseparator\tSTR\t\"\\n\"\t\tafter each text\tshapes\n"));
	size_t lines = 0;
	for (const char *s = text; *s != '\0'; s++)
		lines += *s == '\n';
	assert_int_equal(lines, 9); /* the head, and all but the hidden one */
	free(text);
}

static void the_man_page_ends_with_what_options_do(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "");
	char *text = written(options_man, &f.options);
	assert_non_null(strstr(text,
		".PP\nNone of these shapes the result:\n\\fB\\-\\-quiet\\fR,\n"
		"\\fB\\-\\-output\\fR.\n"
		".PP\nA run that is resumed may have other limits:\n\\fB\\-\\-length\\fR.\n"
		".PP\nWith \\fB\\-\\-change\\fR it may have another value of\n"
		"\\fB\\-\\-rate\\fR.\n"));
	free(text);
}

/* Every program refuses to start with such a table: options_parse() asserts it, and common.t looks
 * at each program's. */
static void an_option_says_what_it_does_to_the_result(void **state)
{
	(void)state;
	static const struct option lacking[] = {
		{.name = "rows", .type = OPTION_FLAG, .effect = EFFECT_SHAPES},
		{.name = "schedule", .type = OPTION_FLAG},
		{0},
	};

	assert_true(options_complete(table));
	assert_false(options_complete(lacking));
}

/* The stronger source wins, whatever the order. */
static void values_have_the_source_that_set_them(void **state)
{
	(void)state;
	struct fixture f;

	parse_well(&f, "-n 7");
	const struct option *rows = options_find(&f.options, "rows");
	const struct option *rate = options_find(&f.options, "rate");
	const struct option *length = options_find(&f.options, "length");
	assert_int_equal(options_set(&f.options, rows, "9", SOURCE_CHECKPOINT, "", &f.err), 0);
	assert_int_equal(options_set(&f.options, rate, "0.5", SOURCE_CHECKPOINT, "", &f.err), 0);
	assert_int_equal(options_set(&f.options, rate, "0.1", SOURCE_MODEL, "", &f.err), 0);
	assert_int_equal(options_set(&f.options, length, "3", SOURCE_MODEL, "", &f.err), 0);
	assert_true(options_given(&f.options, "rows"));
	assert_false(options_given(&f.options, "rate"));
	assert_false(options_given(&f.options, "length"));
	char *text = written(options_yaml, &f.options);
	assert_non_null(strstr(text, "  rows: 7 # command line\n"));
	assert_non_null(strstr(text, "  rate: 0.5 # checkpoint\n"));
	assert_non_null(strstr(text, "  length: 3 # model; limits the run\n"));
	free(text);
	assert_int_equal(options_set(&f.options, rate, "x", SOURCE_CHECKPOINT, "it", &f.err), -1);
	assert_int_equal(f.err.status, STATUS_DATA);
	options_forget(&f.options, "rows");
	options_forget(&f.options, "rate");
	assert_int_equal(f.values.rows, 7);
	assert_true(f.values.rate == 0.001);
	assert_int_equal(options_set(&f.options, rate, "0.1", SOURCE_MODEL, "", &f.err), 0);
	assert_true(f.values.rate == 0.1);
}

static void a_default_yields_to_another_of_its_group(void **state)
{
	(void)state;
	static const struct option ends[] = {
		{.name = "rows",
			.type = OPTION_INTEGER,
			.effect = EFFECT_LIMITS,
			.group = "end",
			.offset = offsetof(struct values, rows),
			.initial = "20",
			.high = 99,
			.help = ""},
		{.name = "length",
			.type = OPTION_INTEGER,
			.effect = EFFECT_LIMITS,
			.group = "end",
			.offset = offsetof(struct values, length),
			.high = 99,
			.help = ""},
		{0},
	};
	static const struct {
		const char *word;
		enum option_source source;
		bool rows, length, given;
	} cases[] = {
		{NULL, SOURCE_DEFAULT, true, false, false},
		{"length", SOURCE_COMMAND_LINE, false, true, true},
		{"length", SOURCE_CHECKPOINT, false, true, false},
		{"rows", SOURCE_CONFIG, true, false, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct values values;
		struct options options = {.tool = "demo", .table = ends, .values = &values};
		struct error err;
		int operands;
		assert_int_equal(options_parse(&options, 0, NULL, &operands, &err), 0);
		if (cases[i].word)
			assert_int_equal(
				options_set(&options, options_find(&options, cases[i].word), "5",
					cases[i].source, "", &err),
				0);
		assert_int_equal(options_has(&options, "rows"), cases[i].rows);
		assert_int_equal(options_has(&options, "length"), cases[i].length);
		const bool typed = cases[i].given && cases[i].source == SOURCE_COMMAND_LINE;
		assert_int_equal(options_group_given(&options, "rows"),
			typed || options_given(&options, "rows"));
		assert_int_equal(options_group_given(&options, "length"),
			typed || options_given(&options, "length"));
		char *yaml = written(options_yaml, &options);
		assert_int_equal(strstr(yaml, "  # rows: not set; limits the run\n") != NULL,
			!cases[i].rows);
		free(yaml);
	}
}

/* The text of a value, given again, is the same value. */
static void formatted_values_read_back_the_same(void **state)
{
	(void)state;
	static const double rates[] = {0.1, 1e-3, 1.0 / 3, 0x1p-1074 * 1e300, 5e-324, 1};
	struct fixture f;

	parse_well(&f, "");
	const struct option *rate = options_find(&f.options, "rate");
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		char text[64];
		f.values.rate = rates[i];
		options_format(&f.options, rate, text, sizeof text);
		f.values.rate = 0;
		assert_int_equal(
			options_set(&f.options, rate, text, SOURCE_COMMAND_LINE, "", &f.err), 0);
		assert_true(f.values.rate == rates[i]);
	}
	f.values.rate = 0.1;
	char text[64];
	options_format(&f.options, rate, text, sizeof text);
	assert_string_equal(text, "0.1");
	options_format(&f.options, options_find(&f.options, "device"), text, sizeof text);
	assert_string_equal(text, "auto");
	options_format(&f.options, options_find(&f.options, "output"), text, sizeof text);
	assert_string_equal(text, "");
	options_format(&f.options, options_find(&f.options, "quiet"), text, sizeof text);
	assert_string_equal(text, "no");
}

/* A table at its edges: long texts, marks that terminals obey, values that aren't numbers. */
/* clang-format off */
static const struct option edges[] = {
	{.name = "steps", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .infinite = true, .initial = "inf",
	 .offset = offsetof(struct values, length), .low = 1, .high = 9,
	 .help = "Capitals, and more words than a line of fifty columns can hold beside a name"},
	{.name = "verbose", .type = OPTION_FLAG, .effect = EFFECT_NONE, .initial = "yes",
	 .offset = offsetof(struct values, quiet), .help = "7 is a digit"},
	{.name = "text", .type = OPTION_TEXT,
	 .effect = EFFECT_SHAPES, .offset = offsetof(struct values, separator),
	 .initial = "\t\"\\\001\x7f\xc2\x9f\xc2\xa0\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xaf"
		    "\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xaa\xef\xbb\xbf\xff\xe2\x82", .help = "{text}"},
	{.name = "device", .type = OPTION_CHOICE,
	 .effect = EFFECT_STARTS, .offset = offsetof(struct values, device),
	 .initial = "cpu", .choices = devices, .help = "a choice"},
	{0},
};
/* clang-format on */

static void help_1(const struct options *options, FILE *f)
{
	options_help(options, f, 1);
}

static void tables_at_their_edges_are_written_too(void **state)
{
	(void)state;
	struct values values;
	struct options options = {.tool = "demo", .table = edges, .values = &values};
	struct error err;
	char *argv[] = {NULL}, text[100];
	int operands;

	assert_int_equal(options_parse(&options, 0, argv, &operands, &err), 0);
	assert_int_equal(operands, 0);
	options_format(&options, &edges[0], text, sizeof text);
	assert_string_equal(text, "inf");
	values.length = 5;
	options_format(&options, &edges[0], text, sizeof text);
	assert_string_equal(text, "5");

	char *help = written(help_1, &options), *same = written(help_50, &options);
	assert_string_equal(help, same); /* no narrower than that */
	assert_non_null(strstr(help, "\n                          than a line"));
	free(help);
	free(same);

	char *yaml = written(options_yaml, &options);
	assert_non_null(strstr(yaml, "  verbose: true # default; shapes nothing\n"));
	assert_non_null(
		strstr(yaml, "text: \"\\t\\\"\\\\\\x01\\x7f\\x9f\\xa0\xe2\x80\xa7\\u2028\\u202f"
			     "\\u2065\\u2066\\u206a\\ufeff\\ufffd\\ufffd\" # default\n"));
	free(yaml);

	char *man = written(options_man, &options);
	assert_non_null(strstr(man, "\n\\&Capitals"));
	assert_non_null(strstr(man, "\n\\&7 is a digit"));
	assert_non_null(strstr(man, "\n\\&{text}"));
	free(man);
}

/* What is only shown may be cut. */
static void a_long_text_is_cut_where_it_is_shown(void **state)
{
	(void)state;
	struct fixture f;
	char text[10000];

	parse_well(&f, "");
	memset(text, '"', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	f.values.separator = text;
	char *yaml = written(options_yaml, &f.options);
	assert_in_range(strcspn(strstr(yaml, "separator: "), "\n"), 8000, 8300);
	assert_non_null(strstr(yaml, "\\\"\\\"\" # default\n"));
	free(yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_words_every_value_is_its_default),
		cmocka_unit_test(a_value_may_stand_in_every_usual_place),
		cmocka_unit_test(operands_keep_their_order),
		cmocka_unit_test(a_value_may_look_like_an_option_or_be_empty),
		cmocka_unit_test(flags_can_be_taken_back),
		cmocka_unit_test(integers_are_read_whole_and_within_bounds),
		cmocka_unit_test(reals_are_read_whole_and_within_bounds),
		cmocka_unit_test(choices_are_by_name),
		cmocka_unit_test(unknown_options_name_the_nearest),
		cmocka_unit_test(a_missing_value_is_told),
		cmocka_unit_test(a_configuration_yields_to_the_command_line),
		cmocka_unit_test(help_names_every_option_within_the_width),
		cmocka_unit_test(the_man_page_escapes_what_roff_would_take),
		cmocka_unit_test(the_configuration_is_printed_with_its_sources),
		cmocka_unit_test(completions_get_one_line_an_option),
		cmocka_unit_test(the_man_page_ends_with_what_options_do),
		cmocka_unit_test(an_option_says_what_it_does_to_the_result),
		cmocka_unit_test(values_have_the_source_that_set_them),
		cmocka_unit_test(a_default_yields_to_another_of_its_group),
		cmocka_unit_test(formatted_values_read_back_the_same),
		cmocka_unit_test(tables_at_their_edges_are_written_too),
		cmocka_unit_test(a_long_text_is_cut_where_it_is_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

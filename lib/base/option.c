/* option.c: see option.h. */
#include "base/option.h"
#include "base/show.h"
#include "base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 64, /* longer words are near no option's name */
	FORMAT_MAX = 4096    /* of a value as text; a longer text is cut where it is only shown */
};

/* --- values ----------------------------------------------------------------------------------- */

static void *value_of(const struct options *options, const struct option *option)
{
	return (char *)options->values + option->offset;
}

static size_t index_of(const struct options *options, const struct option *option)
{
	return (size_t)(option - options->table);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits and nothing else, of a value that fits. */
static bool parse_integer(const char *s, uint64_t *value)
{
	*value = 0;
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (!is_digit(*s) || __builtin_mul_overflow(*value, 10u, value) ||
			__builtin_add_overflow(*value, (uint64_t)(*s - '0'), value))
			return false;
	}
	return true;
}

/* Hours, minutes and seconds with their letters, or seconds alone, of a value that fits. */
static bool parse_time(const char *s, uint64_t *value)
{
	static const struct {
		char letter;
		unsigned seconds;
	} units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
	const size_t count = sizeof units / sizeof *units;
	size_t unit = 0;
	if (parse_integer(s, value))
		return true;
	*value = 0;
	while (*s != '\0') {
		const size_t digits = strspn(s, "0123456789");
		while (unit < count && units[unit].letter != s[digits])
			unit++;
		if (digits < 1 || digits > 9 || unit == count)
			return false;
		*value += strtoul(s, NULL, 10) * units[unit++].seconds;
		s += digits + 1;
	}
	return true;
}

/* A decimal number such as -1, 0.5, .5, 1e-3. strtod(3) alone would also take hex, inf and nan. */
static bool parse_real(const char *s, double *value)
{
	const char *p = s;
	size_t digits = 0;

	if (*p == '-' || *p == '+')
		p++;
	for (; is_digit(*p); p++)
		digits++;
	if (*p == '.')
		p++;
	for (; is_digit(*p); p++)
		digits++;
	if (digits == 0)
		return false;
	if (*p == 'e' || *p == 'E') {
		p++;
		if (*p == '-' || *p == '+')
			p++;
		if (!is_digit(*p))
			return false;
		while (is_digit(*p))
			p++;
	}
	if (*p != '\0')
		return false;
	*value = strtod(s, NULL);
	return isfinite(*value);
}

static bool parse_flag(const char *s, bool *value)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(s, words[i]) == 0) {
			*value = i % 2 == 1;
			return true;
		}
	}
	return false;
}

static bool in_range(const struct option *option, double x)
{
	return (option->open_low ? x > option->low : x >= option->low) && x <= option->high;
}

/* Stores `text` as the option's value, if it is one. */
static bool store(const struct options *options, const struct option *option, const char *text)
{
	const uint64_t exact_max = UINT64_C(1)
				   << 53; /* above it the bounds, doubles, are not exact */
	void *value = value_of(options, option);
	uint64_t integer;
	double real;

	switch (option->type) {
	case OPTION_FLAG:
		return parse_flag(text, value);
	case OPTION_INTEGER:
		if (option->infinite && strcmp(text, "inf") == 0)
			integer = UINT64_MAX;
		else if (!parse_integer(text, &integer) || integer > exact_max ||
			 !in_range(option, (double)integer))
			return false;
		*(uint64_t *)value = integer;
		return true;
	case OPTION_TIME:
		if (!parse_time(text, &integer) || !in_range(option, (double)integer))
			return false;
		*(uint64_t *)value = integer;
		return true;
	case OPTION_REAL:
		if (!parse_real(text, &real) || !in_range(option, real))
			return false;
		*(double *)value = real;
		return true;
	case OPTION_TEXT:
		*(const char **)value = text;
		return true;
	case OPTION_CHOICE:
		for (unsigned i = 0; option->choices[i]; i++) {
			if (strcmp(text, option->choices[i]) == 0) {
				*(unsigned *)value = i;
				return true;
			}
		}
		return false;
	}
	return false;
}

static void store_default(const struct options *options, const struct option *option)
{
	static const size_t sizes[] = {
		[OPTION_FLAG] = sizeof(bool),
		[OPTION_INTEGER] = sizeof(uint64_t),
		[OPTION_REAL] = sizeof(double),
		[OPTION_TEXT] = sizeof(const char *),
		[OPTION_CHOICE] = sizeof(unsigned),
		[OPTION_TIME] = sizeof(uint64_t),
	};

	memset(value_of(options, option), 0, sizes[option->type]);
	bool fits = !option->initial || store(options, option, option->initial);
	assert(fits);
	(void)fits; /* with NDEBUG */
}

/* "auto|cpu|cuda" with the given separator. */
static void join_choices(const struct option *option, const char *separator, char *buf, size_t n)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; option->choices[i] && used < n; i++)
		used += (size_t)snprintf(
			buf + used, n - used, "%s%s", i > 0 ? separator : "", option->choices[i]);
}

/* What the option takes, for messages: "a whole number from 1 to 65536 or inf". */
static void describe(const struct option *option, char *buf, size_t n)
{
	char list[256];

	switch (option->type) {
	case OPTION_FLAG:
		snprintf(buf, n, "yes or no");
		break;
	case OPTION_INTEGER:
		snprintf(buf, n, "a whole number from %.0f to %.0f%s", option->low, option->high,
			option->infinite ? " or inf" : "");
		break;
	case OPTION_REAL:
		snprintf(buf, n,
			option->open_low ? "a number above %g and up to %g"
					 : "a number from %g to %g",
			option->low, option->high);
		break;
	case OPTION_TIME:
		snprintf(buf, n, "a time such as 90s, 10m or 1h30m, from %.0f to %.0f seconds",
			option->low, option->high);
		break;
	case OPTION_TEXT:
		snprintf(buf, n, "text");
		break;
	case OPTION_CHOICE:
		join_choices(option, ", ", list, sizeof list);
		snprintf(buf, n, "one of %s", list);
		break;
	}
}

int options_check(const struct options *options, const struct option *option, const char *text,
	enum option_source source, const char *what, struct error *err)
{
	static const enum status statuses[] = {
		[SOURCE_DEFAULT] = STATUS_USAGE,
		[SOURCE_RUN] = STATUS_USAGE,
		[SOURCE_MODEL] = STATUS_DATA,
		[SOURCE_CHECKPOINT] = STATUS_DATA,
		[SOURCE_CONFIG] = STATUS_CONFIG,
		[SOURCE_COMMAND_LINE] = STATUS_USAGE,
	};
	union {
		bool flag;
		uint64_t integer;
		double real;
		const char *text;
		unsigned choice;
	} ignored;
	struct options scratch = *options;
	struct option copy = *option;
	char expected[320];

	scratch.values = &ignored;
	copy.offset = 0;
	if (store(&scratch, &copy, text))
		return 0;
	describe(option, expected, sizeof expected);
	return error_set(
		err, statuses[source], "%s: expected %s, found \"%s\"", what, expected, text);
}

int options_set(struct options *options, const struct option *option, const char *text,
	enum option_source source, const char *what, struct error *err)
{
	size_t i = index_of(options, option);

	if (options_check(options, option, text, source, what, err) < 0)
		return -1;
	if (options->source[i] <= source) {
		store(options, option, text);
		options->source[i] = (unsigned char)source;
	}
	return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

const struct option *options_find(const struct options *options, const char *name)
{
	for (const struct option *o = options->table; o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

/* The option of a name that the program itself uses: one that isn't there is a mistake of ours. */
static const struct option *known(const struct options *options, const char *name)
{
	const struct option *option = options_find(options, name);

	assert(option);
	return option;
}

static unsigned source_of(const struct options *options, const char *name)
{
	return options->source[index_of(options, known(options, name))];
}

bool options_given(const struct options *options, const char *name)
{
	return source_of(options, name) >= SOURCE_CONFIG;
}

bool options_typed(const struct options *options, const char *name)
{
	return source_of(options, name) == SOURCE_COMMAND_LINE;
}

void options_forget(struct options *options, const char *name)
{
	const struct option *option = known(options, name);

	if (options_typed(options, name))
		return;
	store_default(options, option);
	options->source[index_of(options, option)] = SOURCE_DEFAULT;
}

/* Whether another option of the group has a value from `source` or a stronger one. */
static bool rival(const struct options *options, const char *name, enum option_source source)
{
	const char *group = known(options, name)->group;

	for (const struct option *o = options->table; group && o->name; o++)
		if (o->group && strcmp(o->group, group) == 0 && strcmp(o->name, name) != 0 &&
			options->source[index_of(options, o)] >= source)
			return true;
	return false;
}

bool options_group_given(const struct options *options, const char *name)
{
	return options_given(options, name) || rival(options, name, SOURCE_COMMAND_LINE);
}

bool options_has(const struct options *options, const char *name)
{
	const struct option *option = known(options, name);

	if (source_of(options, name) > SOURCE_DEFAULT)
		return true;
	return (option->initial || option->type == OPTION_FLAG) &&
	       !rival(options, name, SOURCE_DEFAULT + 1);
}

bool options_complete(const struct option *table)
{
	for (const struct option *o = table; o->name; o++)
		if (o->effect == EFFECT_UNSAID)
			return false;
	return true;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that make b of a (Damerau 1964,
 * in the restricted form). */
static size_t edit_distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);
	size_t row[3][NAME_MAX_BYTES + 1];
	size_t *before = row[0], *previous = row[1], *current = row[2];

	for (size_t j = 0; j <= n; j++)
		previous[j] = j;
	for (size_t i = 1; i <= m; i++) {
		current[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t d = previous[j - 1] + (a[i - 1] != b[j - 1]);
			d = smaller(d, smaller(previous[j], current[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = smaller(d, before[j - 2] + 1);
			current[j] = d;
		}
		size_t *oldest = before;
		before = previous;
		previous = current;
		current = oldest;
	}
	return previous[n];
}

/* The name with "-" for "_", in `buf`; false: longer than any. */
static bool normalise(const char *name, char buf[NAME_MAX_BYTES + 1])
{
	if (strlen(name) > NAME_MAX_BYTES)
		return false;
	strcpy(buf, name);
	for (char *s = buf; (s = strchr(s, '_'));)
		*s = '-';
	return true;
}

/* The distance of a name from the nearest of the words between blanks; `far` without any. */
static size_t nearest_word(const char *name, const char *words, size_t far)
{
	size_t nearest = far;
	char word[NAME_MAX_BYTES + 1];
	while (words && *words != '\0') {
		size_t n = strcspn(words, " ");
		snprintf(word, sizeof word, "%.*s", (int)n, words);
		nearest = smaller(nearest, edit_distance(name, word));
		words += n + (words[n] == ' ');
	}
	return nearest;
}

/* A distance at which a name is another word. */
static size_t too_far(const char *name)
{
	return strlen(name) / 3 + 2;
}

const char *options_nearest(const struct options *options, const char *name)
{
	char wanted[NAME_MAX_BYTES + 1];
	const char *nearest = NULL;
	if (!normalise(name, wanted))
		return NULL;
	size_t best = too_far(wanted);
	for (const struct option *o = options->table; o->name; o++) {
		if (!o->help)
			continue;
		size_t d = nearest_word(wanted, o->also, best);
		d = smaller(d, edit_distance(wanted, o->name));
		if (d < best) {
			best = d;
			nearest = o->name;
		}
	}
	return nearest;
}

const char *options_elsewhere(const struct options *options, const char *name)
{
	char wanted[NAME_MAX_BYTES + 1];
	if (!normalise(name, wanted))
		return NULL;
	for (const struct option_elsewhere *e = options->elsewhere; e && e->also; e++)
		if (nearest_word(wanted, e->also, 1) == 0)
			return e->where;
	return NULL;
}

/* --- the command line ------------------------------------------------------------------------- */

/* Writes "option --s is ambiguous: --seed, --samples or --stop". */
static void ambiguous(const struct options *options, const char *word, size_t n, struct error *err)
{
	char list[sizeof err->text] = "";
	size_t used = 0, count = 0, left = 0;
	for (const struct option *o = options->table; o->name; o++)
		left += o->help && strncmp(o->name, word, n) == 0;
	for (const struct option *o = options->table; o->name && used < sizeof list; o++)
		if (o->help && strncmp(o->name, word, n) == 0)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s--%s",
				count++ == 0  ? ""
				: --left == 1 ? " or "
					      : ", ",
				o->name);
	error_set(err, STATUS_USAGE, "option --%.*s is ambiguous: %s", (int)n, word, list);
}

/* The option whose long name is the first n bytes of `word`, or the only one that begins so. */
static const struct option *find_long(
	const struct options *options, const char *word, size_t n, struct error *err)
{
	const struct option *found = NULL;
	size_t count = 0;
	char name[NAME_MAX_BYTES + 2]; /* one byte more than the longest shows that it is none */

	for (const struct option *o = options->table; o->name; o++) {
		if (strncmp(o->name, word, n) != 0)
			continue;
		if (o->name[n] == '\0')
			return o;
		if (!o->help)
			continue;
		found = o;
		count++;
	}
	if (count == 1)
		return found;
	if (count > 1) {
		ambiguous(options, word, n, err);
		return NULL;
	}
	snprintf(name, sizeof name, "%.*s", (int)smaller(n, NAME_MAX_BYTES + 1), word);
	const char *elsewhere = options_elsewhere(options, name);
	const char *nearest = elsewhere ? NULL : options_nearest(options, name);
	error_set(err, STATUS_USAGE, "unknown option --%.*s%s%s", (int)n, word,
		elsewhere ? ", that is " : (nearest ? ", did you mean --" : ""),
		elsewhere ? elsewhere : (nearest ? nearest : ""));
	return NULL;
}

/* Takes --name, --name=value, or --name and the next word. */
static int parse_long(struct options *options, int argc, char **argv, int *i, struct error *err)
{
	const char *word = argv[*i] + 2;
	size_t n = strcspn(word, "=");
	char what[NAME_MAX_BYTES + 3];
	const struct option *option = find_long(options, word, n, err);

	if (!option)
		return -1;
	const char *text = word[n] == '=' ? word + n + 1 : NULL;
	snprintf(what, sizeof what, "--%s", option->name);
	if (!text && option->type == OPTION_FLAG)
		text = "yes";
	if (!text) {
		if (*i + 1 == argc)
			return error_set(err, STATUS_USAGE, "%s: needs a value (%s)", what,
				option->argument);
		text = argv[++*i];
	}
	return options_set(options, option, text, SOURCE_COMMAND_LINE, what, err);
}

/* Takes -abc, -n5, or -n and the next word. */
static int parse_short(struct options *options, int argc, char **argv, int *i, struct error *err)
{
	for (const char *s = argv[*i] + 1; *s != '\0'; s++) {
		const struct option *option = options->table;
		char what[NAME_MAX_BYTES + 6];

		while (option->name && option->letter != *s)
			option++;
		if (!option->name) {
			uint32_t c;
			int n = utf8_decode((const unsigned char *)s, strlen(s), &c);
			return error_set(
				err, STATUS_USAGE, "unknown option -%.*s", n > 0 ? n : 1, s);
		}
		snprintf(what, sizeof what, "-%c/--%s", option->letter, option->name);
		const char *text = "yes";
		if (option->type != OPTION_FLAG) {
			if (s[1] == '\0' && *i + 1 == argc)
				return error_set(err, STATUS_USAGE, "%s: needs a value (%s)", what,
					option->argument);
			text = s[1] != '\0' ? s + 1 : argv[++*i];
		}
		if (options_set(options, option, text, SOURCE_COMMAND_LINE, what, err) < 0)
			return -1;
		if (option->type != OPTION_FLAG)
			break;
	}
	return 0;
}

int options_parse(struct options *options, int argc, char **argv, int *operands, struct error *err)
{
	int kept = 1; /* argv[1..kept) are operands */
	bool ended = false;

	assert(options_complete(options->table));
	for (const struct option *o = options->table; o->name; o++) {
		assert(index_of(options, o) < OPTIONS_MAX && strlen(o->name) <= NAME_MAX_BYTES);
		store_default(options, o);
		options->source[index_of(options, o)] = SOURCE_DEFAULT;
	}
	for (int i = 1; i < argc; i++) {
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0')
			argv[kept++] = argv[i];
		else if (strcmp(argv[i], "--") == 0)
			ended = true;
		else if ((argv[i][1] == '-' ? parse_long : parse_short)(
				 options, argc, argv, &i, err) < 0)
			return -1;
	}
	*operands = argc > 0 ? argc - (kept - 1) : 0;
	if (kept > 1)
		memmove(argv + *operands, argv + 1, (size_t)(kept - 1) * sizeof *argv);
	return 0;
}

/* --- writers ---------------------------------------------------------------------------------- */

const char *options_text(const struct options *options, const struct option *option)
{
	assert(option->type == OPTION_TEXT);
	return *(const char *const *)value_of(options, option);
}

void options_format(const struct options *options, const struct option *option, char *buf, size_t n)
{
	const void *value = value_of(options, option);
	const char *text;
	char real[SHOW_REAL];

	switch (option->type) {
	case OPTION_FLAG:
		snprintf(buf, n, "%s", *(const bool *)value ? "yes" : "no");
		break;
	case OPTION_INTEGER:
		if (option->infinite && *(const uint64_t *)value == UINT64_MAX)
			snprintf(buf, n, "inf");
		else
			snprintf(buf, n, "%" PRIu64, *(const uint64_t *)value);
		break;
	case OPTION_TIME:
		snprintf(buf, n, "%" PRIu64 "s", *(const uint64_t *)value);
		break;
	case OPTION_REAL:
		snprintf(buf, n, "%s", show_real(*(const double *)value, real));
		break;
	case OPTION_TEXT:
		text = *(const char *const *)value;
		snprintf(buf, n, "%s", text ? text : "");
		break;
	case OPTION_CHOICE:
		snprintf(buf, n, "%s", option->choices[*(const unsigned *)value]);
		break;
	}
}

/* The default for people: "" if there is none worth a word. */
static void format_default(const struct option *option, char *buf, size_t n)
{
	buf[0] = '\0';
	if (!option->initial || option->type == OPTION_FLAG)
		return;
	FILE *f = option->type == OPTION_TEXT ? fmemopen(buf, n, "w") : NULL;
	if (!f) {
		snprintf(buf, n, "%s", option->initial);
		return;
	}
	show_quoted(f, option->initial, strlen(option->initial));
	fclose(f);
}

/* What stands for the value: its name, or the choices. */
static void format_argument(const struct option *option, char *buf, size_t n)
{
	if (option->type == OPTION_CHOICE)
		join_choices(option, "|", buf, n);
	else
		snprintf(buf, n, "%s", option->argument ? option->argument : "");
}

void options_wrap(const char *text, FILE *f, int column, int indent, int columns)
{
	bool first = true;

	while (*text != '\0') {
		int n = (int)strcspn(text, " ");
		if (!first && column + 1 + n > columns) {
			fprintf(f, "\n%*s", indent, "");
			column = indent;
			first = true;
		}
		fprintf(f, "%s%.*s", first ? "" : " ", n, text);
		column += n + !first;
		first = false;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

void options_help(const struct options *options, FILE *f, int columns)
{
	enum { INDENT = 26, COLUMNS_MIN = 50 };

	if (columns < COLUMNS_MIN)
		columns = COLUMNS_MIN;
	for (const struct option *o = options->table; o->name; o++) {
		char argument[256], initial[256], text[1024];
		if (!o->help)
			continue;
		format_argument(o, argument, sizeof argument);
		format_default(o, initial, sizeof initial);
		int n = o->letter != '\0' ? fprintf(f, "  -%c, ", o->letter) : fprintf(f, "      ");
		n += fprintf(f, "--%s%s%s", o->name, argument[0] != '\0' ? "=" : "", argument);
		if (n > INDENT - 2) {
			fputc('\n', f);
			n = 0;
		}
		fprintf(f, "%*s", INDENT - n, "");
		snprintf(
			text, sizeof text, initial[0] != '\0' ? "%s [%s]" : "%s", o->help, initial);
		options_wrap(text, f, INDENT, INDENT, columns);
	}
}

/* Text as roff takes it literally. */
static void man_text(FILE *f, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else
			fputc(*s, f);
	}
}

/* A paragraph that names the options of one effect or another. */
static void man_list(const struct options *options, const char *begin, enum option_effect effect,
	enum option_effect other, FILE *f)
{
	const char *separator = begin;

	for (const struct option *o = options->table; o->name; o++) {
		if (!o->help || o->command_line_only || (o->effect != effect && o->effect != other))
			continue;
		fprintf(f, separator == begin ? ".PP\n%s\n" : "%s\n", separator);
		fprintf(f, "\\fB\\-\\-");
		man_text(f, o->name);
		fprintf(f, "\\fR");
		separator = ",";
	}
	if (separator != begin)
		fprintf(f, ".\n");
}

void options_man(const struct options *options, FILE *f)
{
	for (const struct option *o = options->table; o->name; o++) {
		char argument[256], initial[256];
		if (!o->help)
			continue;
		format_argument(o, argument, sizeof argument);
		format_default(o, initial, sizeof initial);
		fprintf(f, ".TP\n");
		if (o->letter != '\0')
			fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
		fprintf(f, "\\fB\\-\\-");
		man_text(f, o->name);
		fprintf(f, "\\fR");
		if (argument[0] != '\0') {
			fprintf(f, "=\\fI");
			man_text(f, argument);
			fprintf(f, "\\fR");
		}
		/* A sentence; \& keeps a leading dot from being a request. */
		fprintf(f, "\n\\&%c",
			o->help[0] >= 'a' && o->help[0] <= 'z' ? o->help[0] - 'a' + 'A'
							       : o->help[0]);
		man_text(f, o->help + 1);
		fprintf(f, ".\n");
		if (initial[0] != '\0') {
			fprintf(f, "Default: ");
			man_text(f, initial);
			fprintf(f, ".\n");
		}
	}
	man_list(options, "None of these shapes the result:", EFFECT_NONE, EFFECT_REMEMBERED, f);
	man_list(options, "A run that is resumed may have other limits:", EFFECT_LIMITS,
		EFFECT_LIMITS, f);
	man_list(options, "With \\fB\\-\\-change\\fR it may have another value of", EFFECT_TUNES,
		EFFECT_TUNES, f);
}

void options_yaml(const struct options *options, FILE *f)
{
	static const char *const sources[] = {
		[SOURCE_DEFAULT] = "default",
		[SOURCE_RUN] = "run",
		[SOURCE_MODEL] = "model",
		[SOURCE_CHECKPOINT] = "checkpoint",
		[SOURCE_CONFIG] = "configuration file",
		[SOURCE_COMMAND_LINE] = "command line",
	};
	static const char *const effects[EFFECT_NONE + 1] = {
		[EFFECT_LIMITS] = "; limits the run",
		[EFFECT_REMEMBERED] = "; shapes nothing",
		[EFFECT_NONE] = "; shapes nothing",
	};

	fprintf(f, "%s:\n", options->tool);
	for (const struct option *o = options->table; o->name; o++) {
		char text[FORMAT_MAX];
		const char *effect = effects[o->effect] ? effects[o->effect] : "";
		if (o->command_line_only || !o->help)
			continue;
		if (!options_has(options, o->name)) {
			fprintf(f, "  # %s: not set%s\n", o->name, effect);
			continue;
		}
		options_format(options, o, text, sizeof text);
		fprintf(f, "  %s: ", o->name);
		if (o->type == OPTION_TEXT)
			show_quoted(f, text, strlen(text));
		else if (o->type == OPTION_FLAG)
			fputs(strcmp(text, "yes") == 0 ? "true" : "false", f);
		else
			fputs(text, f);
		fprintf(f, " # %s%s\n", sources[options->source[index_of(options, o)]], effect);
	}
}

void options_tsv(const struct options *options, FILE *f)
{
	static const char *const effects[] = {
		[EFFECT_UNSAID] = "",
		[EFFECT_SHAPES] = "shapes",
		[EFFECT_TUNES] = "tunes",
		[EFFECT_STARTS] = "starts",
		[EFFECT_LIMITS] = "limits",
		[EFFECT_REMEMBERED] = "remembered",
		[EFFECT_NONE] = "none",
	};

	fprintf(f, "letter\tname\targument\tdefault\tchoices\thelp\teffect\n");
	for (const struct option *o = options->table; o->name; o++) {
		char initial[256], choices[256] = "";
		if (!o->help)
			continue;
		format_default(o, initial, sizeof initial);
		if (o->type == OPTION_CHOICE)
			join_choices(o, "|", choices, sizeof choices);
		fprintf(f, "%.*s\t%s\t%s\t%s\t%s\t%s\t%s\n", o->letter != '\0', &o->letter, o->name,
			o->argument ? o->argument : "", initial, choices, o->help,
			effects[o->effect]);
	}
}

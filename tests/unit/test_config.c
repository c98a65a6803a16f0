/* Configuration files: what they set, who wins, what is refused. */
#include "formats/config.h"
#include "streams.h"

struct values {
	bool bytes;
	uint64_t rows, length;
	double lr;
	const char *prime;
	unsigned device;
	const char *config;
};

static const char *const devices[] = {"auto", "cpu", "cuda", NULL};
static const struct option table[] = {
	{.letter = 'b',
		.name = "bytes",
		.type = OPTION_FLAG,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, bytes),
		.help = "a flag"},
	{.letter = 'n',
		.name = "rows",
		.argument = "N",
		.type = OPTION_INTEGER,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, rows),
		.initial = "128",
		.low = 1,
		.high = 1e6,
		.help = "an integer"},
	{.name = "length",
		.argument = "N",
		.type = OPTION_INTEGER,
		.effect = EFFECT_SHAPES,
		.infinite = true,
		.offset = offsetof(struct values, length),
		.initial = "10",
		.low = 1,
		.high = 1e6,
		.help = "an integer or inf"},
	{.letter = 'r',
		.name = "lr",
		.argument = "RATE",
		.type = OPTION_REAL,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, lr),
		.initial = "0.001",
		.low = 0,
		.high = 1,
		.help = "a real"},
	{.letter = 'p',
		.name = "prime",
		.argument = "STR",
		.type = OPTION_TEXT,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, prime),
		.help = "a text"},
	{.letter = 'D',
		.name = "device",
		.argument = "DEV",
		.type = OPTION_CHOICE,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, device),
		.initial = "auto",
		.choices = devices,
		.help = "a choice"},
	{.letter = 'c',
		.name = "config",
		.argument = "FILE",
		.type = OPTION_TEXT,
		.effect = EFFECT_SHAPES,
		.offset = offsetof(struct values, config),
		.command_line_only = true,
		.help = "not for files"},
	{0},
};

/* Applies a file with this text, after the command line. */
static int apply(const char *text, char **argv, struct values *values, struct options *options,
	struct config **config, struct error *err)
{
	char path[64];
	int argc = 0, operands, fd = memfd_create("config", 0);
	while (argv[argc])
		argc++;
	*options = (struct options){.tool = "train", .table = table, .values = values};
	*values = (struct values){0};
	if (options_parse(options, argc, argv, &operands, err) < 0)
		fail_msg("%s", err->text);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int result = config_apply(path, options, config, err);
	close(fd);
	return result;
}

static char *no_arguments[] = {(char[]){"train"}, NULL};

static void values_of_every_type_are_set(void **state)
{
	static const char *const files[] = {
		"train:\n  bytes: true\n  rows: 64\n  length: inf\n  lr: 1e-4\n  prime: Anna K.\n"
		"  device: cpu\n",
		"sample: {nonsense: 1}\n"
		"train: {bytes: true, rows: 64, length: inf, lr: 0.0001, prime: \"Anna K.\", "
		"device: 'cpu'}\n"
		"batchify:\n",
	};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct values v;
		struct options options;
		struct config *config;
		struct error err;
		if (apply(files[i], no_arguments, &v, &options, &config, &err) < 0)
			fail_msg("%s", err.text);
		assert_true(v.bytes);
		assert_int_equal(v.rows, 64);
		assert_true(v.length == UINT64_MAX);
		assert_true(v.lr == 1e-4);
		assert_string_equal(v.prime, "Anna K.");
		assert_int_equal(v.device, 1);
		for (int k = 0; k < 6; k++)
			assert_int_equal(options.source[k], SOURCE_CONFIG);
		config_release(config);
	}
}

static void the_command_line_wins_over_the_file_and_the_file_over_defaults(void **state)
{
	char *arguments[] = {(char[]){"train"}, (char[]){"--rows=7"}, NULL};
	struct values v;
	struct options options;
	struct config *config;
	struct error err;
	(void)state;
	if (apply("train: {rows: 64, lr: 0.5}\n", arguments, &v, &options, &config, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(v.rows, 7);
	assert_true(v.lr == 0.5);
	assert_int_equal(v.length, 10);
	config_release(config);
}

static void an_empty_file_or_section_sets_nothing(void **state)
{
	static const char *const files[] = {"", "# nothing yet\n", "train:\n  # rows: 64\n",
		"sample: {rows: 1}\n", "train: {bytes: false}\n"};
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct values v;
		struct options options;
		struct config *config;
		struct error err;
		if (apply(files[i], no_arguments, &v, &options, &config, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(v.rows, 128);
		assert_false(v.bytes);
		config_release(config);
	}
}

static void nonsense_is_refused_with_its_line_and_the_nearest_key(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"train:\n  rwos: 64\n", "line 2: unknown key \"rwos\"; did you mean \"rows\"?"},
		{"train:\n  xyzzy: 64\n", "line 2: unknown key \"xyzzy\""},
		{"\ntrian: {}\n", "line 2: unknown tool \"trian\"; did you mean \"train\"?"},
		{"rows: 64\n", "line 1: unknown tool \"rows\""},
		{"train: 64\n", "line 1: train: expected a mapping"},
		{"train: [rows]\n", "line 1: train: expected a mapping"},
		{"- train\n", "line 1: expected one mapping"},
		{"train: {config: x.yaml}\n",
			"line 1: config: can only be given on the command line"},
		{"train: {rows: [64]}\n", "line 1: rows: expected a single value"},
		{"train: {rows: \"64\"}\n", "line 1: rows: expected a number, found the text"},
		{"train: {rows: 0}\n", "line 1: rows: "},
		{"train: {rows: many}\n", "line 1: rows: "},
		{"train: {rows: 1.5}\n", "line 1: rows: "},
		{"train: {lr: 2}\n", "line 1: lr: "},
		{"train: {lr: \"0.1\"}\n", "line 1: lr: expected a number"},
		{"train: {bytes: yes}\n", "line 1: bytes: expected true or false"},
		{"train: {bytes: \"true\"}\n", "line 1: bytes: expected true or false"},
		{"train: {bytes: 1}\n", "line 1: bytes: expected true or false"},
		{"train: {device: gpu}\n", "line 1: device: "},
		{"train: {prime: }\n", "line 1: prime: has no value"},
		{"train: {prime: ~}\n", "line 1: prime: has no value"},
		{"train: {prime: \"a\\0b\"}\n", "line 1: prime: a NUL"},
		{"train: {rows: 1}\ntrain: {rows: 2}\n", "line 2: key \"train\" again"},
		{"train: {rows: 1, rows: 2}\n", "line 1: key \"rows\" again"},
		{"train: {rows: &x 1}\n", "line 1: anchors"},
		{"train: {rows: !!int 1}\n", "line 1: tags"},
		{"train: {rows: 1\n", "line 2: "},
		{"train: \"\"\n", "line 1: train: expected a mapping"},
		{"\"train\\0\": {}\n", "line 1: unknown tool"},
		{"train: {\"rows\\0\": 1}\n", "line 1: unknown key"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct values v;
		struct options options;
		struct config *config;
		struct error err = {0};
		if (apply(cases[i].text, no_arguments, &v, &options, &config, &err) == 0)
			fail_msg("accepted: %s", cases[i].text);
		if (!strstr(err.text, cases[i].message))
			fail_msg("expected \"%s\" in \"%s\"", cases[i].message, err.text);
		assert_int_equal(err.status, STATUS_CONFIG);
		assert_memory_equal(err.text, "/proc/self/fd/", 14);
		assert_null(config);
	}
}

static void a_value_is_checked_even_where_the_command_line_wins(void **state)
{
	char *arguments[] = {(char[]){"train"}, (char[]){"--rows=7"}, NULL};
	struct values v;
	struct options options;
	struct config *config;
	struct error err;
	(void)state;
	assert_int_equal(apply("train: {rows: 0}\n", arguments, &v, &options, &config, &err), -1);
	assert_int_equal(err.status, STATUS_CONFIG);
}

static void a_file_of_more_than_a_mebibyte_is_refused(void **state)
{
	static char text[(1 << 20) + 2];
	struct values v;
	struct options options;
	struct config *config;
	struct error err;
	(void)state;
	memset(text, '#', sizeof text - 1);
	assert_int_equal(apply(text, no_arguments, &v, &options, &config, &err), -1);
	assert_int_equal(err.status, STATUS_CONFIG);
	assert_non_null(strstr(err.text, "larger than 1048576 bytes"));
	text[1 << 20] = '\0';
	assert_int_equal(apply(text, no_arguments, &v, &options, &config, &err), 0);
	config_release(config);
}

static void standard_input_is_named_in_errors(void **state)
{
	struct values v = {0};
	struct options options = {.tool = "train", .table = table, .values = &v};
	struct config *config;
	struct error err;
	int saved = dup(STDIN_FILENO), fd = memfd_create("config", 0);
	(void)state;
	assert_int_equal(pwrite(fd, "trian: {}", 9, 0), 9);
	dup2(fd, STDIN_FILENO);
	assert_int_equal(config_apply("-", &options, &config, &err), -1);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fd);
	assert_memory_equal(err.text, "standard input: line 1: ", 24);
}

static void a_file_that_is_not_there_has_a_status_of_its_own(void **state)
{
	struct values v = {0};
	struct options options = {.tool = "train", .table = table, .values = &v};
	struct config *config;
	struct error err;
	(void)state;
	assert_int_equal(config_apply("/nowhere/at/all.yaml", &options, &config, &err), -1);
	assert_int_equal(err.status, STATUS_NO_INPUT);
	assert_null(config);
	config_release(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_type_are_set),
		cmocka_unit_test(the_command_line_wins_over_the_file_and_the_file_over_defaults),
		cmocka_unit_test(an_empty_file_or_section_sets_nothing),
		cmocka_unit_test(nonsense_is_refused_with_its_line_and_the_nearest_key),
		cmocka_unit_test(a_value_is_checked_even_where_the_command_line_wins),
		cmocka_unit_test(a_file_of_more_than_a_mebibyte_is_refused),
		cmocka_unit_test(standard_input_is_named_in_errors),
		cmocka_unit_test(a_file_that_is_not_there_has_a_status_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

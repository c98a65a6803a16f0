/* fuzz_config.c: configuration files. What is accepted leaves every value within its range. */
#include "formats/config.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

struct values {
	bool flag;
	uint64_t rows;
	double val;
	const char *output;
	unsigned targets;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const targets[] = {"row-wrap", "next", NULL};
	static const struct option table[] = {
		{.name = "gzip",
			.type = OPTION_FLAG,
			.effect = EFFECT_SHAPES,
			.offset = offsetof(struct values, flag),
			.help = ""},
		{.name = "rows",
			.type = OPTION_INTEGER,
			.effect = EFFECT_SHAPES,
			.offset = offsetof(struct values, rows),
			.initial = "128",
			.low = 1,
			.high = 1000,
			.help = ""},
		{.name = "val",
			.type = OPTION_REAL,
			.effect = EFFECT_SHAPES,
			.offset = offsetof(struct values, val),
			.initial = "0.1",
			.high = 1,
			.help = ""},
		{.name = "output",
			.type = OPTION_TEXT,
			.effect = EFFECT_SHAPES,
			.offset = offsetof(struct values, output),
			.help = ""},
		{.name = "targets",
			.type = OPTION_CHOICE,
			.effect = EFFECT_SHAPES,
			.offset = offsetof(struct values, targets),
			.choices = targets,
			.initial = "next",
			.help = ""},
		{0},
	};
	struct values values = {0};
	struct options options = {.tool = "batchify", .table = table, .values = &values};
	struct config *config;
	struct error err = {0};
	char path[64], name[] = "batchify", *argv[] = {name, NULL};
	int operands, fd = fuzz_file(data, n, path);
	MUST(options_parse(&options, 1, argv, &operands, &err) == 0);
	if (config_apply(path, &options, &config, &err) < 0) {
		must_be_refusal(&err, false);
	} else {
		MUST(values.rows >= 1 && values.rows <= 1000);
		MUST(values.val >= 0 && values.val <= 1);
		MUST(values.targets <= 1);
		MUST(!values.output || strlen(values.output) <= n);
		config_release(config);
	}
	close(fd);
	return 0;
}

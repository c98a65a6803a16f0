/* config.c: a YAML file's values, handed to the table of options as if they had been typed. */
#include "formats/config.h"
#include "base/input.h"
#include "formats/yaml.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

struct config {
	struct yaml yaml;
};

/* The mappings that a file may have, in the form that options_nearest() searches. */
static const struct option tools[] = {
	{.name = "tokenize", .help = ""},
	{.name = "batchify", .help = ""},
	{.name = "train", .help = ""},
	{.name = "sample", .help = ""},
	{.name = "evalloss", .help = ""},
	{.name = "inspect", .help = ""},
	{0},
};

/* Reads all of `path` into *text, which the caller frees. */
static int read_file(const char *path, char **text, size_t *bytes, struct error *err)
{
	struct input in;
	int rc = -1;
	*text = NULL;
	if (input_open(&in, path, INPUT_RAW, err) < 0)
		return -1;
	*text = malloc(CONFIG_BYTES_MAX + 1);
	if (!*text) {
		error_memory(err, CONFIG_BYTES_MAX, "a configuration");
		goto out;
	}
	ssize_t n = input_read_full(&in, *text, CONFIG_BYTES_MAX + 1, err);
	if (n < 0)
		goto out;
	if (n > CONFIG_BYTES_MAX) {
		error_set(
			err, STATUS_CONFIG, "%s: larger than %d bytes", in.name, CONFIG_BYTES_MAX);
		goto out;
	}
	*bytes = (size_t)n;
	rc = 0;
out:
	input_close(&in);
	return rc;
}

static int unknown(const struct yaml *y, const struct yaml_node *key, const char *what,
	const struct options *options, struct error *err)
{
	const char *name = yaml_text(y, key), *nearest = options_nearest(options, name);
	const char *elsewhere = options_elsewhere(options, name);
	if (elsewhere)
		return yaml_error(
			y, key, err, "unknown %s \"%s\": that is %s", what, name, elsewhere);
	return yaml_error(y, key, err, "unknown %s \"%s\"%s%s%s", what, name,
		nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Sets one option. Numbers and truth values stand without quotes; texts may have them. */
static int apply(const struct yaml *y, const struct yaml_node *key, const struct yaml_node *value,
	struct options *options, struct error *err)
{
	const char *name = yaml_text(y, key), *text;
	const struct option *option = options_find(options, name);
	char what[64];

	if (!option || strlen(name) != key->count)
		return unknown(y, key, "key", options, err);
	if (option->command_line_only)
		return yaml_error(y, key, err, "%s: can only be given on the command line", name);
	if (value->kind != YAML_SCALAR)
		return yaml_error(y, value, err, "%s: expected a single value", name);
	text = yaml_text(y, value);
	if (strlen(text) != value->count)
		return yaml_error(y, value, err, "%s: a NUL can't be part of a value", name);
	if (value->plain && (value->count == 0 || strcmp(text, "~") == 0))
		return yaml_error(
			y, value, err, "%s: has no value (an empty text is written \"\")", name);
	if (!value->plain && option->type != OPTION_TEXT && option->type != OPTION_CHOICE &&
		option->type != OPTION_TIME)
		return yaml_error(y, value, err, "%s: expected %s, found the text \"%s\"", name,
			option->type == OPTION_FLAG ? "true or false" : "a number", text);
	if (option->type == OPTION_FLAG && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return yaml_error(
			y, value, err, "%s: expected true or false, found \"%s\"", name, text);
	snprintf(what, sizeof what, "line %u: %s", value->line, name);
	return options_set(options, option, text, SOURCE_CONFIG, what, err);
}

static int apply_all(const struct yaml *y, struct options *options, struct error *err)
{
	const struct options all = {.table = tools};
	const struct yaml_node *root = yaml_root(y);
	if (!root)
		return 0; /* nothing but comments */
	if (root->kind != YAML_MAPPING)
		return yaml_error(y, root, err, "expected one mapping per tool");
	for (const struct yaml_node *tool = yaml_first(y, root), *keys; tool;
		tool = yaml_next(y, keys)) {
		const char *name = yaml_text(y, tool);
		keys = yaml_next(y, tool);
		if (!options_find(&all, name) || strlen(name) != tool->count)
			return unknown(y, tool, "tool", &all, err);
		if (keys->kind == YAML_SCALAR && keys->plain && keys->count == 0)
			continue; /* a tool whose keys are all commented out */
		if (keys->kind != YAML_MAPPING)
			return yaml_error(y, keys, err, "%s: expected a mapping", name);
		if (strcmp(name, options->tool) != 0)
			continue;
		for (const struct yaml_node *key = yaml_first(y, keys), *value; key;
			key = yaml_next(y, value)) {
			value = yaml_next(y, key);
			if (apply(y, key, value, options, err) < 0)
				return -1;
		}
	}
	return 0;
}

int config_apply(
	const char *path, struct options *options, struct config **storage, struct error *err)
{
	char *text;
	size_t bytes;
	struct config *config = NULL;
	int rc = -1;

	*storage = NULL;
	if (read_file(path, &text, &bytes, err) < 0)
		goto out;
	config = calloc(1, sizeof *config);
	if (!config) {
		error_memory(err, sizeof *config, "a configuration");
		goto out;
	}
	if (yaml_parse(&config->yaml, text, bytes, 1, STATUS_CONFIG, err) < 0 ||
		apply_all(&config->yaml, options, err) < 0) {
		error_prefix(err, "%s: ", strcmp(path, "-") == 0 ? "standard input" : path);
		goto out;
	}
	*storage = config;
	config = NULL;
	rc = 0;
out:
	config_release(config);
	free(text);
	return rc;
}

void config_release(struct config *config)
{
	if (!config)
		return;
	yaml_release(&config->yaml);
	free(config);
}

/* settings.c: see settings.h. */
#include "tools/train/settings.h"

#include "base/show.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 64 };

void settings_release(struct settings *settings)
{
	json_decref(settings->changes);
	*settings = (struct settings){0};
}

static bool shapes(const struct option *option)
{
	return option->effect == EFFECT_SHAPES || option->effect == EFFECT_TUNES;
}

static bool saved(const struct option *option)
{
	return shapes(option) || option->effect == EFFECT_LIMITS ||
	       option->effect == EFFECT_REMEMBERED;
}

/* The value as it would be typed; false: it has none. Texts are no settings: they name files, and
 * would point into the JSON that they were read from. */
static bool format(const struct settings *settings, const struct option *option, char *buf)
{
	assert(option->type != OPTION_TEXT);
	if (!options_has(settings->options, option->name))
		return false;
	options_format(settings->options, option, buf, VALUE_BYTES);
	return true;
}

/* The value as a file tells it; false: it doesn't. */
static bool told(const struct settings *settings, const struct option *option, char *buf)
{
	return format(settings, option, buf) &&
	       !(option->newer && option->initial && strcmp(buf, option->initial) == 0);
}

/* Numbers as numbers; what is not set as null. */
static json_t *typed(const struct option *option, const char *text)
{
	if (!text)
		return json_null();
	switch (option->type) {
	case OPTION_FLAG:
		return json_boolean(strcmp(text, "yes") == 0);
	case OPTION_INTEGER:
		return strcmp(text, "inf") == 0 ? json_string(text)
						: json_integer(strtoll(text, NULL, 10));
	case OPTION_REAL:
		return json_real(strtod(text, NULL));
	case OPTION_TEXT:
	case OPTION_CHOICE:
	case OPTION_TIME:
		break;
	}
	return json_string(text);
}

json_t *settings_save(const struct settings *settings)
{
	json_t *object = json_object();
	char value[VALUE_BYTES];
	int rc = 0;
	for (const struct option *o = settings->options->table; o->name && rc == 0; o++)
		if (saved(o) && told(settings, o, value))
			rc = json_object_set_new(object, o->name, json_string(value));
	if (rc == 0)
		return object;
	json_decref(object);
	return NULL;
}

static int take_down(struct settings *settings, const struct option *option, const char *from,
	const char *to, uint64_t step, struct error *err)
{
	if (!settings->changes)
		settings->changes = json_array();
	json_t *change = json_pack("{s:I, s:s, s:o, s:o}", "step", (json_int_t)step, "option",
		option->name, "from", typed(option, from), "to", typed(option, to));
	if (json_array_append_new(settings->changes, change) < 0)
		return error_memory(err, 4096, "a change of the run");
	return 0;
}

int settings_derive(struct settings *settings, const char *name, const char *value, uint64_t step,
	struct error *err)
{
	const struct option *option = options_find(settings->options, name);
	if (options_set(settings->options, option, value, SOURCE_RUN, option->name, err) < 0)
		return -1;
	return step > 0 && shapes(option) ? take_down(settings, option, NULL, value, step, err) : 0;
}

/* --- restoring ------------------------------------------------------------------------------- */

/* A value that was given beside one of the run's, which is NULL where it is not set. */
static int compare(struct settings *settings, const struct option *option, const char *value,
	bool change, uint64_t step, struct error *err)
{
	char given[VALUE_BYTES];
	bool tunes = option->effect == EFFECT_TUNES;
	format(settings, option, given);
	if (value && strcmp(given, value) == 0)
		return 0;
	if (change && tunes)
		return take_down(settings, option, value, given, step, err);
	return error_set(err, STATUS_USAGE, "--%s %s: the run to be resumed has --%s %s, which %s",
		option->name, given, option->name, value ? value : "not set",
		tunes ? "only changes with --change" : "can't change in its middle");
}

static int restore(struct settings *settings, const struct option *option, const char *value,
	bool change, uint64_t step, struct error *err)
{
	const char *initial = option->type == OPTION_FLAG ? "no" : option->initial;
	char what[VALUE_BYTES + 32];
	if (shapes(option) && options_given(settings->options, option->name))
		return compare(settings, option, value ? value : initial, change, step, err);
	if (!value || options_group_given(settings->options, option->name))
		return 0;
	snprintf(what, sizeof what, "the checkpoint's --%s", option->name);
	return options_set(settings->options, option, value, SOURCE_CHECKPOINT, what, err);
}

static int check_names(json_t *values, const struct options *options, struct error *err)
{
	const char *name;
	json_t *value;
	json_object_foreach(values, name, value)
	{
		if (!json_is_string(value))
			return error_set(
				err, STATUS_DATA, "the checkpoint's --%s is no text", name);
		if (!options_find(options, name))
			return error_set(err, STATUS_DATA,
				"the run has an option that this program doesn't know, --%s %s: it "
				"goes on with a newer charpipe",
				name, json_string_value(value));
	}
	return 0;
}

/* A value of the option as typed() wrote it; null: it was not set. What a change was from becomes a
 * model's metadata. */
static int check_value(const struct settings *settings, const struct option *option,
	const json_t *value, struct error *err)
{
	char text[VALUE_BYTES] = "", what[VALUE_BYTES + 32];
	if (json_is_null(value))
		return 0;
	if (json_is_integer(value))
		snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		show_real(json_real_value(value), text);
	else if (json_is_boolean(value))
		snprintf(text, sizeof text, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_string(value))
		snprintf(text, sizeof text, "%s", json_string_value(value));
	snprintf(what, sizeof what, "the checkpoint's change of --%s", option->name);
	return options_check(settings->options, option, text, SOURCE_CHECKPOINT, what, err);
}

static int restore_changes(
	struct settings *settings, const json_t *changes, uint64_t last, struct error *err)
{
	size_t i;
	json_t *change;
	json_array_foreach(changes, i, change)
	{
		json_int_t step;
		const char *name;
		json_t *from, *to;
		const struct option *option = NULL;
		if (json_unpack(change, "{s:I, s:s, s:o, s:o !}", "step", &step, "option", &name,
			    "from", &from, "to", &to) == 0 &&
			step >= 0 && (uint64_t)step <= last)
			option = options_find(settings->options, name);
		if (!option || option->effect != EFFECT_TUNES)
			return error_set(
				err, STATUS_DATA, "the checkpoint's changes are not as expected");
		if (check_value(settings, option, from, err) < 0 ||
			check_value(settings, option, to, err) < 0)
			return -1;
	}
	settings->changes = json_deep_copy(changes);
	return changes && !settings->changes ? error_memory(err, 4096, "the run's changes") : 0;
}

int settings_restore(
	struct settings *settings, const json_t *checkpoint, bool change, struct error *err)
{
	json_t *values = json_object_get(checkpoint, "options");
	/* checkpoint_restore() checks it. */
	uint64_t step = (uint64_t)json_integer_value(json_object_get(checkpoint, "step"));
	if (!values)
		return error_set(err, STATUS_DATA,
			"this is a model, not a checkpoint: --init starts a new run from it");
	if (check_names(values, settings->options, err) < 0 ||
		restore_changes(settings, json_object_get(checkpoint, "changes"), step, err) < 0)
		return -1;
	for (const struct option *o = settings->options->table; o->name; o++)
		if (saved(o) &&
			restore(settings, o, json_string_value(json_object_get(values, o->name)),
				change, step, err) < 0)
			return -1;
	return 0;
}

/* --- metadata -------------------------------------------------------------------------------- */

json_t *settings_training(const struct settings *settings, uint64_t step)
{
	json_t *object = json_object(), *before = json_array();
	char value[VALUE_BYTES];
	int rc = 0;
	for (const struct option *o = settings->options->table; o->name && rc == 0; o++)
		if (shapes(o) && told(settings, o, value))
			rc = json_object_set_new(object, o->name, typed(o, value));
	/* Backwards: what changed only after that step is undone. */
	for (size_t i = json_array_size(settings->changes); i-- > 0 && rc == 0;) {
		json_t *change = json_array_get(settings->changes, i);
		if ((uint64_t)json_integer_value(json_object_get(change, "step")) < step)
			rc = json_array_insert(before, 0, change);
		else
			rc = json_object_set(object,
				json_string_value(json_object_get(change, "option")),
				json_object_get(change, "from"));
	}
	if (rc == 0 && json_array_size(before) > 0)
		rc = json_object_set(object, "changes", before);
	json_decref(before);
	if (rc == 0)
		return object;
	json_decref(object);
	return NULL;
}

/* yaml.c: libyaml's events to a flat tree. One array holds the nodes and one the texts, both
 * indexed by 32 bits, so that a list of many entries costs two allocations that grow. */
#include "formats/yaml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
	struct yaml *y;
	size_t node_room, text_room, text_bytes;
	unsigned first_line;
	unsigned depth; /* open containers */
	struct {
		uint32_t node; /* the container */
		uint32_t last; /* its last child so far, 0: none */
	} open[YAML_DEPTH_MAX];
};

static int bad(const struct builder *b, yaml_mark_t mark, struct error *err, const char *text)
{
	return error_set(err, b->y->status, "line %zu: %s", mark.line + b->first_line, text);
}

/* Room for `need` elements of `size` bytes, in steps that keep the whole linear; NULL on failure,
 * which leaves the array as it was. */
static void *grow(void *array, size_t *room, size_t need, size_t size, struct error *err)
{
	if (need <= *room)
		return array;
	size_t more = *room + *room / 2 + 64;
	if (more < need)
		more = need;
	void *larger = realloc(array, more * size);
	if (larger)
		*room = more;
	else
		error_memory(err, more * size, "a YAML document");
	return larger;
}

/* The key behind `key` and its value. */
static const struct yaml_node *next_key(const struct yaml *y, const struct yaml_node *key)
{
	const struct yaml_node *value = yaml_next(y, key);
	assert(value);
	return yaml_next(y, value);
}

static int check_key(const struct builder *b, const struct yaml_node *mapping,
	const yaml_event_t *event, struct error *err)
{
	const struct yaml *y = b->y;
	if (event->type != YAML_SCALAR_EVENT)
		return bad(b, event->start_mark, err, "a key must be a scalar");
	if (mapping->count / 2 == YAML_KEYS_MAX)
		return bad(b, event->start_mark, err, "too many keys in one mapping");
	for (const struct yaml_node *key = yaml_first(y, mapping); key; key = next_key(y, key))
		if (key->count == event->data.scalar.length &&
			memcmp(yaml_text(y, key), event->data.scalar.value, key->count) == 0)
			return error_set(err, y->status,
				"line %zu: key \"%s\" again, after line %u",
				event->start_mark.line + b->first_line, yaml_text(y, key),
				key->line);
	return 0;
}

/* Appends a node for the event, as the next child of the innermost open container. */
static int add(struct builder *b, const yaml_event_t *event, struct error *err)
{
	struct yaml *y = b->y;
	struct yaml_node node = {.line = (uint32_t)event->start_mark.line + b->first_line};
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (event->type == YAML_SCALAR_EVENT) {
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		node.kind = YAML_SCALAR;
		node.plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		node.kind = YAML_SEQUENCE;
	} else {
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		node.kind = YAML_MAPPING;
	}
	if (anchor)
		return bad(b, event->start_mark, err, "anchors (&) are not accepted here");
	if (tag)
		return bad(b, event->start_mark, err, "tags (!) are not accepted here");
	if (node.kind != YAML_SCALAR && b->depth == YAML_DEPTH_MAX)
		return bad(b, event->start_mark, err, "nested too deep");
	if (y->count == YAML_NODES_MAX)
		return bad(b, event->start_mark, err, "too many values");
	struct yaml_node *nodes = grow(y->nodes, &b->node_room, y->count + 1, sizeof *nodes, err);
	if (!nodes)
		return -1;
	y->nodes = nodes;

	if (b->depth > 0) {
		struct yaml_node *container = &y->nodes[b->open[b->depth - 1].node];
		if (container->kind == YAML_MAPPING && container->count % 2 == 0 &&
			check_key(b, container, event, err) < 0)
			return -1;
		uint32_t last = b->open[b->depth - 1].last;
		if (last)
			y->nodes[last].next = (uint32_t)y->count;
		else
			container->first = (uint32_t)y->count;
		b->open[b->depth - 1].last = (uint32_t)y->count;
		container->count++;
	}
	if (node.kind != YAML_SCALAR) {
		b->open[b->depth].node = (uint32_t)y->count;
		b->open[b->depth++].last = 0;
	} else {
		size_t bytes = event->data.scalar.length;
		char *text = grow(y->text, &b->text_room, b->text_bytes + bytes + 1, 1, err);
		if (!text)
			return -1;
		y->text = text;
		node.first = (uint32_t)b->text_bytes;
		node.count = (uint32_t)bytes;
		memcpy(y->text + b->text_bytes, event->data.scalar.value, bytes);
		y->text[b->text_bytes + bytes] = '\0';
		b->text_bytes += bytes + 1;
	}
	y->nodes[y->count++] = node;
	return 0;
}

/* 1 to go on, 0 at the end, -1 on failure. */
static int take(struct builder *b, const yaml_event_t *event, struct error *err)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return add(b, event, err) < 0 ? -1 : 1;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		assert(b->depth > 0);
		b->depth--;
		return 1;
	case YAML_ALIAS_EVENT:
		return bad(b, event->start_mark, err, "aliases (*) are not accepted here");
	case YAML_DOCUMENT_START_EVENT:
		if (event->data.document_start.version_directive ||
			event->data.document_start.tag_directives.start !=
				event->data.document_start.tag_directives.end)
			return bad(
				b, event->start_mark, err, "directives (%) are not accepted here");
		if (b->y->count > 0)
			return bad(b, event->start_mark, err, "a second document");
		return 1;
	case YAML_STREAM_END_EVENT:
		return 0;
	default:
		return 1;
	}
}

/* libyaml compares each %TAG with all before it and shows none of them until it has read the last:
 * where there are many, none of them gets there. */
static int check_tags(
	const char *text, size_t bytes, enum status status, unsigned line, struct error *err)
{
	const char *end = text + bytes, *from = text;
	unsigned count = 0;
	for (const char *at; (at = memmem(from, (size_t)(end - from), "%TAG", 4)); from = at + 4) {
		for (; from < at; from++)
			line += *from == '\n';
		if (count++ == YAML_TAGS_MAX)
			return error_set(err, status,
				"line %u: too many %%TAG: directives (%%) are not accepted here",
				line);
	}
	return 0;
}

int yaml_parse(struct yaml *y, const char *text, size_t bytes, unsigned first_line,
	enum status status, struct error *err)
{
	struct builder b = {.y = y, .first_line = first_line};
	yaml_parser_t parser;
	int more = -1;

	*y = (struct yaml){.status = status};
	if (bytes > YAML_BYTES_MAX) {
		error_set(err, status, "%zu bytes of YAML, at most %d are accepted", bytes,
			YAML_BYTES_MAX);
		goto out;
	}
	if (check_tags(text, bytes, status, first_line, err) < 0)
		goto out;
	if (!yaml_parser_initialize(&parser)) {
		error_memory(err, sizeof parser, "the YAML parser");
		goto out;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	do {
		yaml_event_t event;
		if (yaml_parser_parse(&parser, &event)) {
			more = take(&b, &event, err);
			yaml_event_delete(&event);
		} else if (parser.error == YAML_MEMORY_ERROR) {
			more = error_memory(err, bytes, "parsing YAML");
		} else if (parser.error == YAML_READER_ERROR) {
			more = error_set(err, status, "byte %zu of the YAML: %s",
				parser.problem_offset, parser.problem);
		} else {
			more = bad(&b, parser.problem_mark, err, parser.problem);
		}
	} while (more > 0);
	yaml_parser_delete(&parser);
out:
	if (more < 0)
		yaml_release(y);
	return more;
}

void yaml_release(struct yaml *y)
{
	free(y->nodes);
	free(y->text);
	*y = (struct yaml){.status = y->status};
}

const struct yaml_node *yaml_root(const struct yaml *y)
{
	return y->count > 0 ? y->nodes : NULL;
}

const struct yaml_node *yaml_first(const struct yaml *y, const struct yaml_node *container)
{
	return container->kind != YAML_SCALAR && container->first ? &y->nodes[container->first]
								  : NULL;
}

const struct yaml_node *yaml_next(const struct yaml *y, const struct yaml_node *node)
{
	return node->next ? &y->nodes[node->next] : NULL;
}

const char *yaml_text(const struct yaml *y, const struct yaml_node *scalar)
{
	assert(scalar->kind == YAML_SCALAR);
	return y->text + scalar->first;
}

int yaml_error(const struct yaml *y, const struct yaml_node *node, struct error *err,
	const char *format, ...)
{
	va_list args;
	va_start(args, format);
	error_vset(err, y->status, format, args);
	va_end(args);
	return error_prefix(err, "line %u: ", node ? node->line : 1);
}

static bool is_text(const struct yaml *y, const struct yaml_node *scalar, const char *text)
{
	return scalar->count == strlen(text) &&
	       memcmp(yaml_text(y, scalar), text, scalar->count) == 0;
}

int yaml_keys(const struct yaml *y, const struct yaml_node *mapping, const char *const *keys,
	struct error *err)
{
	if (!mapping || mapping->kind != YAML_MAPPING)
		return yaml_error(y, mapping, err, "expected a mapping");
	for (const struct yaml_node *key = yaml_first(y, mapping); key; key = next_key(y, key)) {
		const char *const *known = keys;
		while (*known && !is_text(y, key, *known + (**known == '?')))
			known++;
		if (!*known)
			return yaml_error(y, key, err, "unknown key \"%s\"", yaml_text(y, key));
	}
	for (; *keys; keys++)
		if (**keys != '?' && !yaml_get(y, mapping, *keys))
			return yaml_error(y, mapping, err, "key \"%s\" is missing", *keys);
	return 0;
}

const struct yaml_node *yaml_get(
	const struct yaml *y, const struct yaml_node *mapping, const char *key)
{
	if (!mapping || mapping->kind != YAML_MAPPING)
		return NULL;
	for (const struct yaml_node *k = yaml_first(y, mapping); k; k = next_key(y, k))
		if (is_text(y, k, key))
			return yaml_next(y, k);
	return NULL;
}

int yaml_unsigned(const struct yaml *y, const struct yaml_node *node, const char *what,
	uint64_t low, uint64_t high, uint64_t *value, struct error *err)
{
	if (!node || node->kind != YAML_SCALAR || !node->plain)
		return yaml_error(y, node, err, "%s: expected a number", what);
	const char *text = yaml_text(y, node);
	bool valid = node->count > 0 && (text[0] != '0' || node->count == 1);
	uint64_t n = 0;
	for (size_t i = 0; valid && i < node->count; i++)
		valid = text[i] >= '0' && text[i] <= '9' && !__builtin_mul_overflow(n, 10u, &n) &&
			!__builtin_add_overflow(n, (unsigned)(text[i] - '0'), &n);
	if (!valid || n < low || n > high)
		return yaml_error(y, node, err,
			"%s: expected a number from %" PRIu64 " to %" PRIu64 ", found \"%s\"", what,
			low, high, text);
	*value = n;
	return 0;
}

int yaml_choice(const struct yaml *y, const struct yaml_node *node, const char *what,
	const char *const *words, unsigned *value, struct error *err)
{
	if (!node || node->kind != YAML_SCALAR)
		return yaml_error(y, node, err, "%s: expected a word", what);
	for (unsigned i = 0; words[i]; i++)
		if (is_text(y, node, words[i])) {
			*value = i;
			return 0;
		}
	char list[128] = "";
	for (unsigned i = 0; words[i]; i++) {
		size_t n = strlen(list);
		snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", words[i]);
	}
	return yaml_error(y, node, err, "%s: expected one of %s, found \"%s\"", what, list,
		yaml_text(y, node));
}

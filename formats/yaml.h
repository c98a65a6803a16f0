/* yaml.h: the strict part of YAML that headers and configurations use, as a small tree.
 *
 * One document of mappings, sequences and scalars. Refused: duplicate keys, keys that are not
 * scalars, anchors, aliases, tags, directives, a second document, deep nesting.
 * Nothing is converted while parsing: a scalar is its text, and whether it was quoted, so that 1
 * and "1" stay apart. The parser is libyaml's, driven event by event: stack and memory don't depend
 * on how the input nests. What libyaml is given is bounded, as it takes its time.
 *
 * Errors start with "line N: ". */
#ifndef FORMATS_YAML_H
#define FORMATS_YAML_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	YAML_BYTES_MAX = 1 << 20,          /* of a document */
	YAML_NODES_MAX = (1 << 16) + 1024, /* a vocabulary's symbols, and all the rest */
	YAML_DEPTH_MAX = 8,                /* containers within containers */
	YAML_KEYS_MAX = 256, /* of one mapping: finding duplicates takes quadratic time */
	YAML_TAGS_MAX = 64,  /* times that "%TAG" may occur in a text: as well */
};

enum yaml_kind {
	YAML_SCALAR,
	YAML_SEQUENCE,
	YAML_MAPPING, /* its children are key, value, key, value, ... */
};

struct yaml_node {
	uint32_t next;  /* index of the next child of the same container; 0: it is the last */
	uint32_t first; /* a container: index of its first child, 0: none; a scalar: where its text
			   is */
	uint32_t count; /* a container: children; a scalar: bytes */
	uint32_t line;  /* from 1 */
	unsigned char kind; /* enum yaml_kind */
	bool plain;         /* a scalar without quotes */
};

struct yaml {
	struct yaml_node *nodes; /* (count); the root is the first; owned */
	size_t count;            /* 0: the document is empty */
	char *text;              /* the scalars' texts, each with a NUL behind it; owned */
	enum status status;      /* of errors in what is read: STATUS_DATA or STATUS_CONFIG */
};

/* Parses text[0..bytes), whose first line is line `first_line` of the file that messages speak of.
 * Fails with `status`, or 71. yaml_release() is harmless after a failure and when called twice. */
int yaml_parse(struct yaml *y, const char *text, size_t bytes, unsigned first_line,
	enum status status, struct error *err);
void yaml_release(struct yaml *y);

/* The document's root, a container's first child and its followers; NULL where there is none. */
const struct yaml_node *yaml_root(const struct yaml *y);
const struct yaml_node *yaml_first(const struct yaml *y, const struct yaml_node *container);
const struct yaml_node *yaml_next(const struct yaml *y, const struct yaml_node *node);

/* A scalar's text, valid until yaml_release(): scalar->count bytes, NULs among them, and a NUL. */
const char *yaml_text(const struct yaml *y, const struct yaml_node *scalar);

/* Sets an error of the document's status, prefixed with the node's line; returns -1. */
int yaml_error(const struct yaml *y, const struct yaml_node *node, struct error *err,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Makes sure that `mapping` is a mapping of these keys, in any order. `keys` ends with NULL; one
 * that begins with a question mark, which is not part of it, may be absent. */
int yaml_keys(const struct yaml *y, const struct yaml_node *mapping, const char *const *keys,
	struct error *err);

/* The value of a key, NULL where there is none or `mapping` is no mapping. */
const struct yaml_node *yaml_get(
	const struct yaml *y, const struct yaml_node *mapping, const char *key);

/* A number: plain decimal digits without a leading zero, low..high. `what` names it in messages. */
int yaml_unsigned(const struct yaml *y, const struct yaml_node *node, const char *what,
	uint64_t low, uint64_t high, uint64_t *value, struct error *err);

/* One of a few words, quoted or not: its index in `words`, which ends with NULL. */
int yaml_choice(const struct yaml *y, const struct yaml_node *node, const char *what,
	const char *const *words, unsigned *value, struct error *err);

#endif

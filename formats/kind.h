/* kind.h: what a file is, by its first bytes, and what to say where another one was expected. The
 * formats themselves are stream.md's, model.md's and state.md's business. */
#ifndef FORMATS_KIND_H
#define FORMATS_KIND_H

#include "base/error.h"
#include "base/input.h"

#include <stddef.h>
#include <stdint.h>

enum kind {
	/* In the order in which programs make one of the other. */
	KIND_TEXT, /* or anything else that is not recognised */
	KIND_TOKENS,
	KIND_SHARDS,
	KIND_MODEL, /* a checkpoint and a state_dict too: what reads them tells them apart */

	KIND_STATE,
	KIND_STREAM, /* a container of neither tokens nor shards */
	KIND_EMPTY,
	KIND_GZIP,
	KIND_UTF16,
	KIND_PICKLE,
	KIND_ARCHIVE, /* zip, as of torch.save() */

	/* What is expected where several will do. */
	KIND_WITH_VOCAB,
	KIND_OF_CHARPIPE,
	KIND_SCORED,
};

enum { KIND_BYTES = 64 }; /* that tell all kinds apart */

/* What a file is whose first n bytes (fewer than KIND_BYTES only if it has no more) are these. */
enum kind kind_of(const void *first, size_t n);

/* What an input is, nothing of it being read; waits for five bytes, and for KIND_BYTES only where
 * they are not text. -1 (74, or 65 for gzip that is damaged) on failure. */
int kind_peek(enum kind *kind, struct input *in, struct error *err);

/* Sets an error (65): what the input is, what was expected, and the way from the one to the other
 * where there is one. Returns -1. */
int kind_error(enum kind found, enum kind expected, const struct input *in, struct error *err);

/* Checks that an input is of a kind; an error where it isn't. */
int kind_expect(enum kind expected, struct input *in, struct error *err);

/* Refuses (65) a file of a version beyond `newest`; `what` names its kind. */
int kind_check_version(const char *what, uint64_t version, unsigned newest, struct error *err);

#endif

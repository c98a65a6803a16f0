/* door.c: what all of charpipe.h needs: errors and options. */
#include "door/door.h"

#include "formats/encode.h"

#include <string.h>

_Static_assert(sizeof((struct error *)0)->text <= sizeof((struct charpipe_error *)0)->text,
	"an error's text fits");
_Static_assert((int)CHARPIPE_USAGE == STATUS_USAGE && (int)CHARPIPE_DATA == STATUS_DATA &&
		       (int)CHARPIPE_NO_INPUT == STATUS_NO_INPUT &&
		       (int)CHARPIPE_NO_DEVICE == STATUS_NO_DEVICE &&
		       (int)CHARPIPE_NUMERIC == STATUS_NUMERIC &&
		       (int)CHARPIPE_NO_MEMORY == STATUS_NO_MEMORY &&
		       (int)CHARPIPE_CANT_CREATE == STATUS_CANT_CREATE &&
		       (int)CHARPIPE_IO == STATUS_IO,
	"the statuses are the programs'");
_Static_assert((int)CHARPIPE_TRAIN == SHARDS_TRAIN &&
		       (int)CHARPIPE_VALIDATION == SHARDS_VALIDATION &&
		       (int)CHARPIPE_TEST == SHARDS_TEST,
	"the parts are those of shards");

const char *charpipe_version(void)
{
	return CHARPIPE_VERSION;
}

int door_error(struct charpipe_error *error, const struct error *err)
{
	if (error) {
		error->status = (int)err->status;
		memcpy(error->text, err->text, sizeof err->text);
	}
	return -1;
}

int door_options(void *to, size_t bytes, const void *from, struct error *err)
{
	size_t given;
	if (!from)
		return 0;
	memcpy(&given, from, sizeof given);
	if (given < sizeof given)
		return error_set(err, STATUS_USAGE,
			"options of %zu bytes: their first member is their size", given);
	for (size_t i = bytes; i < given; i++)
		if (((const unsigned char *)from)[i])
			return error_set(err, STATUS_USAGE,
				"options of a newer charpipe, which version " CHARPIPE_VERSION
				" doesn't know");
	memcpy(to, from, given < bytes ? given : bytes);
	return 0;
}

int door_encode(const struct vocab *vocab, const char *text, size_t bytes, uint32_t *ids,
	size_t *count, struct error *err)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t unknown;
	*count = encode(vocab, s, bytes, ids, &unknown);
	if (unknown == bytes)
		return 0;
	encode_error(vocab, s + unknown, bytes - unknown, err);
	return error_prefix(err, "text: byte %zu: ", unknown);
}

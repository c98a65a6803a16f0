/* kind.c: see kind.h. */
#include "formats/kind.h"

#include "formats/stream.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *is;   /* after the file's name */
	const char *noun; /* as what is expected */
	const char *out;  /* the way out, whatever is expected */
} kinds[] = {
	[KIND_TEXT] = {"this is not a charpipe file", "text", NULL},
	[KIND_TOKENS] = {"this is a token stream", "a token stream", NULL},
	[KIND_SHARDS] = {"these are shards", "shards", NULL},
	[KIND_MODEL] = {"this is a model", "a model", NULL},
	[KIND_STATE] = {"this is a model's state", "a state",
		"sample --state FILE goes on from it"},
	[KIND_STREAM] = {"this is a charpipe file of another kind", NULL, NULL},
	[KIND_EMPTY] = {"this is empty", NULL, NULL},
	[KIND_GZIP] = {"this is compressed (gzip)", NULL, "zcat it"},
	[KIND_UTF16] = {"this is UTF-16", NULL, "iconv -f UTF-16 -t UTF-8 makes text of it"},
	[KIND_PICKLE] = {"this is a Python pickle", NULL,
		"load it in Python and write it with "
		"safetensors.torch.save_file(net.state_dict(), FILE)"},
	[KIND_ARCHIVE] = {"this is an archive, as of torch.save()", NULL,
		"load it in Python and write it with "
		"safetensors.torch.save_file(net.state_dict(), FILE)"},
	[KIND_WITH_VOCAB] = {.noun = "a token stream, shards or a model"},
	[KIND_OF_CHARPIPE] = {.noun = "a token stream, shards, a model or a state"},
	[KIND_SCORED] = {.noun = "shards, a token stream or text"},
};

static bool begins(const unsigned char *p, size_t n, const char *bytes, size_t count)
{
	return n >= count && memcmp(p, bytes, count) == 0;
}

/* A byte order mark, or ASCII with a zero in every other byte. */
static bool is_utf16(const unsigned char *p, size_t n)
{
	if (begins(p, n, "\xff\xfe", 2) || begins(p, n, "\xfe\xff", 2))
		return true;
	return n >= 4 && ((p[0] && !p[1] && p[2] && !p[3]) || (!p[0] && p[1] && !p[2] && p[3]));
}

enum kind kind_of(const void *first, size_t n)
{
	/* A state's metadata have this behind the CRC (state.md). */
	static const char state[] = "\",\"charpipe_state\":\"";
	const unsigned char *p = first;
	const size_t magic = strlen(STREAM_MAGIC);
	if (n == 0)
		return KIND_EMPTY;
	if (begins(p, n, STREAM_MAGIC "tokens ", magic + 7))
		return KIND_TOKENS;
	if (begins(p, n, STREAM_MAGIC "shards ", magic + 7))
		return KIND_SHARDS;
	if (begins(p, n, STREAM_MAGIC, magic))
		return KIND_STREAM;
	/* safetensors: the length of its JSON in eight bytes, then the JSON, which is an object. */
	if (n >= 9 && memcmp(p + 4, "\0\0\0\0", 4) == 0 && p[8] == '{')
		return n > 42 && begins(p + 42, n - 42, state, strlen(state)) ? KIND_STATE
									      : KIND_MODEL;
	if (begins(p, n, "\x1f\x8b", 2))
		return KIND_GZIP;
	if (is_utf16(p, n))
		return KIND_UTF16;
	if (n >= 2 && p[0] == 0x80 && p[1] >= 2 && p[1] <= 5)
		return KIND_PICKLE;
	return begins(p, n, "PK\3\4", 4) ? KIND_ARCHIVE : KIND_TEXT;
}

int kind_peek(enum kind *kind, struct input *in, struct error *err)
{
	/* Streams begin with # and models with a length below 2^32, so that lines of text in a pipe
	 * needn't wait for more than five bytes. */
	unsigned char first[KIND_BYTES];
	ssize_t n = input_peek(in, first, 5, err);
	if (n == 5 && (first[0] == '#' || first[4] == 0))
		n = input_peek(in, first, sizeof first, err);
	if (n < 0)
		return -1;
	*kind = kind_of(first, (size_t)n);
	return 0;
}

/* "run tokenize, batchify and train": the programs between two kinds; false where there are none. */
static bool advise(enum kind found, enum kind expected, char *buf, size_t n)
{
	static const char *const makers[] = {
		[KIND_TOKENS] = "tokenize", [KIND_SHARDS] = "batchify", [KIND_MODEL] = "train"};
	size_t used = 0;
	if (expected > KIND_MODEL || found >= expected)
		return false;
	for (enum kind k = found + 1; k <= expected && used < n; k++)
		used += (size_t)snprintf(buf + used, n - used, "%s%s",
			k == found + 1  ? found == KIND_TEXT ? "if it is text, run " : "run "
			: k == expected ? " and "
					: ", ",
			makers[k]);
	return true;
}

int kind_error(enum kind found, enum kind expected, const struct input *in, struct error *err)
{
	char advice[96];
	if (advise(found, expected, advice, sizeof advice))
		return error_set(err, STATUS_DATA, "%s: %s; %s", in->name, kinds[found].is, advice);
	return error_set(err, STATUS_DATA, "%s: %s; expected %s%s%s", in->name, kinds[found].is,
		kinds[expected].noun, kinds[found].out ? "; " : "",
		kinds[found].out ? kinds[found].out : "");
}

int kind_expect(enum kind expected, struct input *in, struct error *err)
{
	enum kind found;
	if (kind_peek(&found, in, err) < 0)
		return -1;
	return found == expected ? 0 : kind_error(found, expected, in, err);
}

int kind_check_version(const char *what, uint64_t version, unsigned newest, struct error *err)
{
	if (version <= newest)
		return 0;
	return error_set(err, STATUS_DATA,
		"written by a newer charpipe (%s version %" PRIu64
		"); this program reads up to %u: upgrade it",
		what, version, newest);
}

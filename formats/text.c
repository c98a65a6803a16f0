/* text.c: text to ids, in blocks. Characters that need no care (valid, whole, known) go through
 * short loops, UTF8_BLOCK bytes at once where none of them needs any; every other one goes through
 * take_character() and put_symbol(), which know about errors, replacements, and characters that two
 * blocks share. */
#include "formats/text.h"

#include "base/io.h"
#include "base/utf8.h"
#include "formats/kind.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 128 << 10,
	BUFFER_BYTES = BLOCK_BYTES + UTF8_MAX, /* a block behind the start of a character */
	UNROLLED = 8, /* times that compilers are led to unroll the loops over all characters */
};

/* --- where we are ----------------------------------------------------------------------------- */

static uint64_t count_line_feeds(const unsigned char *s, size_t n)
{
	enum { STRIDE = 64 };
	uint64_t count = 0;
	size_t i = 0;
	for (; n - i >= STRIDE; i += STRIDE) {
		unsigned char here = 0; /* a byte: compilers make vectors of this */
		for (int k = 0; k < STRIDE; k++)
			here = (unsigned char)(here + (s[i + (size_t)k] == '\n'));
		count += here;
	}
	for (; i < n; i++)
		count += s[i] == '\n';
	return count;
}

/* The place of buffer[at]. A sequence that began in an earlier block began at the buffer's front:
 * nothing in its middle is ever asked for. */
static struct text_place place_of(const struct text *t, size_t at)
{
	if (at < t->carried)
		return t->first;
	struct text_place place = t->block;
	size_t n = at - t->carried;
	place.offset += n;
	place.line += count_line_feeds(t->buffer + t->carried, n);
	return place;
}

static int changed_error(const struct text *t, struct error *err)
{
	return error_set(err, STATUS_IO, "%s: changed while it was being read", t->in.name);
}

static int invalid_error(const struct text *t, struct error *err)
{
	if (t->replay)
		return changed_error(t, err);
	struct text_place place = place_of(t, t->begin);
	if (place.offset < 2 && place.offset <= t->begin) {
		size_t start = t->begin - (size_t)place.offset;
		enum kind kind = kind_of(t->buffer + start, t->end - start);
		if (kind != KIND_TEXT)
			return kind_error(kind, KIND_TEXT, &t->in, err);
	}
	return error_set(err, STATUS_DATA,
		"%s: line %" PRIu64 ", byte offset %" PRIu64 ": invalid UTF-8 (0x%02X%s)%s",
		place.name, place.line, place.offset, t->buffer[t->begin],
		t->ended ? ", an unfinished character at the end" : "",
		t->invalid_advice ? t->invalid_advice : "");
}

static int unknown_error(const struct text *t, const struct vocab *vocab, size_t at,
	uint32_t symbol, struct error *err)
{
	if (t->replay)
		return changed_error(t, err);
	char name[32];
	struct text_place place = place_of(t, at);
	return error_set(err, STATUS_DATA,
		"%s: line %" PRIu64 ", byte offset %" PRIu64 ": %s is not in the vocabulary%s",
		place.name, place.line, place.offset, vocab_name(vocab, symbol, name),
		t->unknown_advice ? t->unknown_advice : "");
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int open_next(struct text *t, struct error *err)
{
	const char *path = t->count > 0 ? t->files[t->next] : "-";
	t->next++;
	input_close(&t->in);
	if (input_open(&t->in, path, INPUT_RAW, err) < 0)
		return -1;
	t->block = (struct text_place){strcmp(path, "-") == 0 ? "standard input" : path, 0, 1};
	return 0;
}

/* Bytes of the only file, read again. */
static int reread(const struct text *t, uint64_t offset, void *buf, size_t n, struct error *err)
{
	ssize_t got = io_read_at(t->in.fd, buf, n, offset);
	if (got < 0)
		return error_errno(err, STATUS_IO, "%s: can't read", t->in.name);
	return (size_t)got < n ? changed_error(t, err) : 0;
}

/* The next bytes, at most a block, of what the survey read. */
static ssize_t replay_block(struct text *t, unsigned char *to, struct error *err)
{
	uint64_t left = t->surveyed - t->bytes;
	size_t n = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
	int rc = t->keep ? spool_read(&t->spool, t->bytes, to, n, err)
			 : reread(t, t->bytes, to, n, err);
	return rc < 0 ? -1 : (ssize_t)n;
}

/* The same of the files. */
static ssize_t file_block(struct text *t, unsigned char *to, struct error *err)
{
	for (;;) {
		bool begins = t->in.offset == 0;
		ssize_t got = input_read(&t->in, to, BLOCK_BYTES, err);
		if (begins && got > 0)
			t->utf16 |= kind_of(to, (size_t)got) == KIND_UTF16;
		if (got != 0)
			return got;
		if (t->next >= t->count)
			return 0;
		if (open_next(t, err) < 0)
			return -1;
	}
}

/* Puts the next block behind what is left in the buffer, which is less than a character: its bytes,
 * 0 at the end, or -1. */
static ssize_t fill(struct text *t, struct error *err)
{
	size_t left = t->end - t->begin;
	assert(left < UTF8_MAX);
	if (!t->replay) {
		struct text_place end = place_of(t, t->end);
		t->first = place_of(t, t->begin);
		t->block = end;
	}
	memmove(t->buffer, t->buffer + t->begin, left);
	t->begin = 0;
	t->end = t->carried = left;

	unsigned char *to = t->buffer + left;
	ssize_t got = t->replay ? replay_block(t, to, err) : file_block(t, to, err);
	if (got <= 0) {
		t->ended = got == 0;
		return got;
	}
	if (t->keep && !t->replay && spool_write(&t->spool, to, (size_t)got, err) < 0)
		return -1;
	t->bytes += (uint64_t)got;
	t->end += (size_t)got;
	return got;
}

/* --- characters ------------------------------------------------------------------------------- */

/* Decodes the character at *s, of which four bytes can be read, and moves *s behind it; or returns
 * false if it needs care. A surrogate passes: no vocabulary has it. Each length adds a constant to
 * *s: the processor can guess where the next character begins and needn't wait for this one. */
static inline bool decode_quickly(const unsigned char **s, uint32_t *codepoint)
{
	const unsigned char *b = *s;
	uint32_t c = b[0];
	if (c < 0x80) {
		*codepoint = c;
		*s += 1;
		return true;
	}
	if (c < 0xE0) {
		if (c < 0xC2 || !utf8_continues(b[1]))
			return false;
		*codepoint = (c & 0x1F) << 6 | (b[1] & 0x3F);
		*s += 2;
		return true;
	}
	if (c < 0xF0) {
		c = (c & 0xF) << 12 | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3F);
		if (c < 0x800 || !utf8_continues(b[1]) || !utf8_continues(b[2]))
			return false;
		*codepoint = c;
		*s += 3;
		return true;
	}
	c = (c & 0xF) << 18 | (b[1] & 0x3Fu) << 12 | (b[2] & 0x3Fu) << 6 | (b[3] & 0x3F);
	if (b[0] > 0xF4 || c < 0x10000 || c >= UTF8_CODEPOINTS || !utf8_continues(b[1]) ||
		!utf8_continues(b[2]) || !utf8_continues(b[3]))
		return false;
	*codepoint = c;
	*s += 4;
	return true;
}

/* --- blocks of characters --------------------------------------------------------------------- */

static inline bool has_block(const unsigned char *s, const unsigned char *end)
{
	return end - s >= UTF8_BLOCK;
}

/* Whether s[0..n) is nothing but ASCII; n is a multiple of 8. */
static inline bool is_ascii(const unsigned char *s, size_t n)
{
	uint64_t word, all = 0;
	for (size_t i = 0; i < n; i += sizeof word) {
		memcpy(&word, s + i, sizeof word);
		all |= word;
	}
	return (all & 0x8080808080808080) == 0;
}

/* The same of a block that doesn't continue a character either. */
static inline bool block_is_ascii(const unsigned char *s)
{
	return s[-1] < 0x80 && is_ascii(s, UTF8_BLOCK);
}

/* Blocks before s having been decoded: where the character begins whose last byte was not among
 * them, or s if there is none such. */
static inline const unsigned char *begin_of(const unsigned char *s)
{
	const unsigned char *first = s - 1;
	while (utf8_continues(*first))
		first--;
	int length = *first < 0x80 ? 1 : *first < 0xE0 ? 2 : *first < 0xF0 ? 3 : 4;
	return s - first < length ? first : s;
}

/* Takes the character at the buffer's begin: 1, or 0 if the buffer ends inside it, or -1. */
static int take_character(struct text *t, uint32_t *symbol, struct error *err)
{
	const unsigned char *s = t->buffer + t->begin;
	size_t left = t->end - t->begin;
	if (t->unit == VOCAB_BYTE) {
		*symbol = *s;
		t->begin++;
		return 1;
	}
	int bytes = utf8_decode(s, left, symbol);
	if (bytes == 0 && !t->ended)
		return 0;
	if (bytes <= 0) {
		if (!t->replace_invalid)
			return invalid_error(t, err);
		t->invalid_count++;
		*symbol = TEXT_REPLACEMENT;
		bytes = bytes < 0 ? -bytes : (int)left;
	}
	t->begin += (size_t)bytes;
	return 1;
}

/* --- the survey: which characters occur ------------------------------------------------------- */

/* Marks the characters of whole blocks from s on, until one needs care; returns where the first
 * character begins that was not marked. */
static const unsigned char *see_blocks(
	unsigned char *seen, const unsigned char *s, const unsigned char *end)
{
	uint32_t codepoints[UTF8_BLOCK];
	for (; has_block(s, end); s += UTF8_BLOCK)
		if (block_is_ascii(s)) {
			for (int i = 0; i < UTF8_BLOCK; i += UNROLLED)
				for (int k = i; k < i + UNROLLED; k++)
					seen[s[k]] = 1;
		} else {
			if (utf8_decode_block(s, codepoints) < 0)
				break;
			for (int i = 0; i < UTF8_BLOCK; i += UNROLLED)
				for (int k = i; k < i + UNROLLED; k++)
					seen[codepoints[k]] = 1;
		}
	return begin_of(s);
}

/* Marks characters from s on until `end` or one that needs care; returns where that is. Blocks are
 * tried only behind as many characters that needed none: where many do, nothing is decoded twice.
 */
static const unsigned char *see(
	unsigned char *seen, const unsigned char *s, const unsigned char *end)
{
	while (s < end) {
		const unsigned char *stop = end - s < UTF8_BLOCK ? end : s + UTF8_BLOCK;
		while (s < stop) {
			uint32_t c;
			const unsigned char *next = s;
			if (end - s < UTF8_MAX || !decode_quickly(&next, &c) ||
				(c & 0x1FF800) == 0xD800)
				return s;
			seen[c] = 1;
			s = next;
		}
		if (has_block(s, end))
			s = see_blocks(seen, s, end);
	}
	return s;
}

static int see_everything(struct text *t, unsigned char *seen, struct error *err)
{
	for (;;) {
		uint32_t c;
		const unsigned char *s = t->buffer + t->begin;
		t->begin += (size_t)(see(seen, s, t->buffer + t->end) - s);
		int taken = t->begin < t->end ? take_character(t, &c, err) : 0;
		if (taken < 0)
			return -1;
		if (taken > 0) {
			seen[c] = 1;
			continue;
		}
		ssize_t got = fill(t, err);
		if (got < 0)
			return -1;
		if (t->begin == t->end)
			return 0;
	}
}

static int vocab_of_seen(
	struct text *t, unsigned char *seen, struct vocab *vocab, struct error *err)
{
	t->carriage_returns = seen['\r'];
	if (t->newlines == VOCAB_UNIVERSAL && seen['\r']) {
		seen['\r'] = 0;
		seen['\n'] = 1;
	}
	size_t size = 0;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++)
		size += seen[c];
	if (size > VOCAB_SIZE_MAX)
		return error_set(err, STATUS_DATA,
			"%s: %zu different characters in all; a vocabulary has at most %d%s",
			t->block.name, size, VOCAB_SIZE_MAX,
			t->too_many_advice ? t->too_many_advice : "");
	uint32_t *symbols = malloc((size + 1) * sizeof *symbols);
	if (!symbols)
		return error_memory(err, (size + 1) * sizeof *symbols, "the vocabulary");
	size = 0;
	for (uint32_t c = 0; c < UTF8_CODEPOINTS; c++)
		if (seen[c])
			symbols[size++] = c;
	int rc = vocab_init(vocab, t->unit, t->newlines, symbols, size, err);
	free(symbols);
	return rc;
}

static int empty_error(const struct text *t, struct error *err)
{
	return kind_error(KIND_EMPTY, KIND_TEXT, &t->in, err);
}

static int vocab_of_bytes(const struct text *t, struct vocab *vocab, struct error *err)
{
	uint32_t symbols[256];
	for (uint32_t c = 0; c < 256; c++)
		symbols[c] = c;
	return vocab_init(vocab, VOCAB_BYTE, t->newlines, symbols, 256, err);
}

int text_survey(struct text *t, struct vocab *vocab, struct error *err)
{
	if (t->unit == VOCAB_BYTE)
		return vocab_of_bytes(t, vocab, err);

	unsigned char *seen = calloc(UTF8_CODEPOINTS, 1);
	int rc = -1;
	if (!seen) {
		error_memory(err, UTF8_CODEPOINTS, "the survey");
		goto out;
	}
	t->keep = t->count > 1 || !input_seekable(&t->in);
	if (t->keep && spool_init(&t->spool, err) < 0)
		goto out;
	if (see_everything(t, seen, err) < 0)
		goto out;
	seen[UTF8_INSIDE] = 0;
	if (t->bytes == 0) {
		empty_error(t, err);
		goto out;
	}
	rc = vocab_of_seen(t, seen, vocab, err);
	t->replay = true;
	t->ended = false;
	t->surveyed = t->bytes;
	t->bytes = t->invalid_count = 0;
	t->begin = t->end = t->carried = 0;
out:
	free(seen);
	return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Maps n characters of ASCII, a multiple of UNROLLED: false, and nothing is done, if one is
 * unknown.
 */
static inline bool map_ascii(const uint32_t *table, const unsigned char *s, int n, uint32_t **to)
{
	uint32_t *ids = *to, all = 0;
	for (int i = 0; i < n; i += UNROLLED)
		for (int k = i; k < i + UNROLLED; k++)
			all |= ids[k] = vocab_id(table, s[k]);
	if (all >> 31) /* as VOCAB_NONE alone has it */
		return false;
	*to += n;
	return true;
}

/* Maps the characters that end in the block at s: false, and nothing is done, if one needs care. */
static inline bool map_block(const uint32_t *table, const unsigned char *s, uint32_t **to)
{
	uint32_t codepoints[UTF8_BLOCK], *ids = *to;
	if (block_is_ascii(s))
		return map_ascii(table, s, UTF8_BLOCK, to);
	/* An id takes the place of the one before, where that is none. */
	int count = utf8_decode_block(s, codepoints);
	for (int i = 0; i < UTF8_BLOCK && count >= 0; i += UNROLLED)
		for (int k = i; k < i + UNROLLED; k++) {
			*ids = vocab_id(table, codepoints[k]);
			ids += *ids != VOCAB_NONE;
		}
	if (ids - *to != count)
		return false;
	*to = ids;
	return true;
}

/* Maps characters from s on to ids until `stop` or one that needs care: not valid, not whole within
 * `end`, or unknown. Returns where that is. Blocks come second as in see(). */
static const unsigned char *map_characters(const uint32_t *table, const unsigned char *s,
	const unsigned char *stop, const unsigned char *end, uint32_t **to)
{
	while (s < stop) {
		const unsigned char *slow = stop - s < UTF8_BLOCK ? stop : s + UTF8_BLOCK;
		while (s < slow) {
			if (slow - s >= UNROLLED && is_ascii(s, UNROLLED) &&
				map_ascii(table, s, UNROLLED, to)) {
				s += UNROLLED;
				continue;
			}
			uint32_t c;
			const unsigned char *next = s;
			if (end - s < UTF8_MAX || !decode_quickly(&next, &c) ||
				vocab_id(table, c) == VOCAB_NONE)
				return s;
			*(*to)++ = vocab_id(table, c);
			s = next;
		}
		if (!has_block(s, stop))
			continue;
		while (has_block(s, stop) && map_block(table, s, to))
			s += UTF8_BLOCK;
		s = begin_of(s);
	}
	return s;
}

static const unsigned char *map_bytes(
	const uint32_t *table, const unsigned char *s, const unsigned char *stop, uint32_t **to)
{
	uint32_t *ids = *to;
	while (s < stop && vocab_id(table, *s) != VOCAB_NONE)
		*ids++ = vocab_id(table, *s++);
	*to = ids;
	return s;
}

/* Appends the id of a symbol that came from buffer[at]. */
static int put_symbol(struct text *t, const struct vocab *vocab, uint32_t symbol, size_t at,
	uint32_t **to, struct error *err)
{
	uint32_t id = vocab_find(vocab, symbol);
	if (id == VOCAB_NONE) {
		if (t->unknown == TEXT_UNKNOWN_ERROR)
			return unknown_error(t, vocab, at, symbol, err);
		t->unknown_count++;
		if (t->unknown == TEXT_UNKNOWN_SKIP)
			return 0;
		id = t->unknown;
	}
	*(*to)++ = id;
	return 0;
}

/* Maps what lies between the buffer's begin and `stop`, where no line end needs care: 1, or 0 if
 * the buffer ends inside a character, or -1. */
static int map_run(
	struct text *t, const struct vocab *vocab, size_t stop, uint32_t **to, struct error *err)
{
	while (t->begin < stop) {
		const unsigned char *s = t->buffer + t->begin, *end = t->buffer + t->end;
		const unsigned char *next =
			t->unit == VOCAB_BYTE
				? map_bytes(vocab->ids, s, t->buffer + stop, to)
				: map_characters(vocab->ids, s, t->buffer + stop, end, to);
		t->begin += (size_t)(next - s);
		if (t->begin >= stop)
			break;
		uint32_t symbol;
		size_t at = t->begin;
		int taken = take_character(t, &symbol, err);
		if (taken <= 0)
			return taken;
		if (put_symbol(t, vocab, symbol, at, to, err) < 0)
			return -1;
	}
	return 1;
}

/* The same for at most n characters with universal newlines: carriage returns end the runs. */
static int map_lines(
	struct text *t, const struct vocab *vocab, size_t n, uint32_t **to, struct error *err)
{
	const uint32_t *ids = *to;
	while (t->begin < t->end && (size_t)(*to - ids) < n) {
		const unsigned char *s = t->buffer + t->begin;
		bool joined = t->after_cr && *s == '\n';
		t->after_cr = false;
		if (joined) {
			t->begin++;
			continue;
		}
		size_t room = n - (size_t)(*to - ids), left = t->end - t->begin;
		size_t run = room < left ? room : left;
		const unsigned char *cr = memchr(s, '\r', run);
		size_t stop = t->begin + (cr ? (size_t)(cr - s) : run);
		int mapped = map_run(t, vocab, stop, to, err);
		if (mapped <= 0)
			return mapped;
		if (cr) {
			if (put_symbol(t, vocab, '\n', t->begin, to, err) < 0)
				return -1;
			t->begin++;
			t->after_cr = true;
		}
	}
	return 1;
}

ssize_t text_read(
	struct text *t, const struct vocab *vocab, uint32_t *ids, size_t n, struct error *err)
{
	assert(vocab->unit == t->unit && vocab->newlines == t->newlines);
	uint32_t *to = ids;
	while (to == ids) {
		size_t left = t->end - t->begin;
		int mapped =
			t->newlines == VOCAB_UNIVERSAL
				? map_lines(t, vocab, n, &to, err)
				: map_run(t, vocab, t->begin + (n < left ? n : left), &to, err);
		if (mapped < 0)
			return -1;
		if (to > ids)
			break;
		if (mapped > 0 && t->begin < t->end)
			continue; /* characters were skipped */
		if (fill(t, err) < 0)
			return -1;
		if (t->begin == t->end && t->bytes == 0)
			return empty_error(t, err);
		if (t->begin == t->end)
			break;
	}
	return to - ids;
}

/* --- open and close --------------------------------------------------------------------------- */

int text_open(struct text *t, struct error *err)
{
	t->in.fd = t->spool.fd = -1;
	t->buffer = malloc(BUFFER_BYTES);
	if (!t->buffer)
		return error_memory(err, BUFFER_BYTES, "a text buffer");
	if (open_next(t, err) < 0) {
		text_close(t);
		return -1;
	}
	return 0;
}

void text_close(struct text *t)
{
	if (!t->buffer)
		return;
	input_close(&t->in);
	spool_release(&t->spool);
	free(t->buffer);
	t->buffer = NULL;
}

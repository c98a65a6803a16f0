/* tokenize: text to a token stream, and back. */
#include "base/input.h"
#include "base/utf8.h"
#include "formats/text.h"
#include "formats/tokens.h"
#include "formats/vocab_file.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { IDS = 16 << 10 }; /* at a time */

struct values {
	struct tool_common common;
	bool bytes, universal_newlines, decode, text;
	const char *vocab, *unknown;
	unsigned invalid; /* index in invalid_choices */
};

static const char *const invalid_choices[] = {"error", "replace", NULL};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.letter = 'b', .name = "bytes", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(bytes), .also = "byte-level",
	 .help = "take bytes as symbols, all 256 of them, instead of UTF-8 characters"},
	{.letter = 'u', .name = "universal-newlines", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(universal_newlines),
	 .help = "read CRLF and CR as LF, as Python's text mode does"},
	{.name = "vocab", .argument = "FILE", .type = OPTION_TEXT, .effect = EFFECT_SHAPES,
	 .file = OPTION_FILE_READ, .offset = AT(vocab), .also = "vocabulary vocab-file",
	 .help = "take the symbols, their order, unit and newlines from a token stream, shards or "
		"a model"},
	{.name = "unknown", .argument = "error|skip|CHAR", .type = OPTION_TEXT,
	 .effect = EFFECT_SHAPES, .offset = AT(unknown), .initial = "error",
	 .help = "what becomes of characters that --vocab lacks: an error, nothing, or CHAR"},
	{.name = "invalid", .argument = "error|replace", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(invalid), .initial = "error",
	 .choices = invalid_choices,
	 .help = "what becomes of bytes that are not UTF-8: an error, or U+FFFD"},
	{.letter = 'd', .name = "decode", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(decode), .also = "detokenize", .help = "turn token streams back into text"},
	{.letter = 't', .name = "text", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(text), .help = "write the ids as decimal numbers, one a line"},
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

/* --- ids out: a token stream or lines of text ---------------------------------------------- */

struct sink {
	struct output out;
	bool text;
	struct tokens_writer tokens;
	uint64_t count; /* of ids */
};

static int put_decimal(struct output *out, const uint32_t *ids, size_t n, struct error *err)
{
	char lines[512 * sizeof "4294967295"];
	for (size_t i = 0; i < n;) {
		char *to =
			lines + sizeof lines; /* filled from the back: digits come out last first */
		size_t stop = n - i < 512 ? n : i + 512;
		for (size_t k = stop; k-- > i;) {
			uint32_t id = ids[k];
			*--to = '\n';
			do
				*--to = (char)('0' + id % 10);
			while ((id /= 10) > 0);
		}
		if (output_write(out, to, (size_t)(lines + sizeof lines - to), err) < 0)
			return -1;
		i = stop;
	}
	return 0;
}

static int sink_put(struct sink *sink, const uint32_t *ids, size_t n, struct error *err)
{
	sink->count += n;
	return sink->text ? put_decimal(&sink->out, ids, n, err)
			  : tokens_write(&sink->tokens, ids, n, err);
}

/* --- text to ids --------------------------------------------------------------------------- */

/* The vocabulary of --vocab, with which the other options have to agree. */
static int read_vocab(const struct values *v, int files, struct vocab *vocab, struct error *err)
{
	if (strcmp(v->vocab, "-") == 0 && files == 0)
		return error_set(
			err, STATUS_USAGE, "--vocab and the text can't both be standard input");
	if (vocab_file_read(vocab, v->vocab, err) < 0)
		return -1;
	if (v->bytes && vocab->unit != VOCAB_BYTE)
		error_set(err, STATUS_USAGE, "--bytes contradicts %s, whose symbols are characters",
			v->vocab);
	else if (v->universal_newlines && vocab->newlines != VOCAB_UNIVERSAL)
		error_set(err, STATUS_USAGE,
			"--universal-newlines contradicts %s, which keeps newlines as they are",
			v->vocab);
	else
		return 0;
	return -1;
}

/* What --unknown says: TEXT_UNKNOWN_ERROR, TEXT_UNKNOWN_SKIP or a symbol. */
static int parse_unknown(
	const char *word, enum vocab_unit unit, uint32_t *unknown, struct error *err)
{
	const unsigned char *s = (const unsigned char *)word;
	size_t n = strlen(word);
	if (strcmp(word, "error") == 0) {
		*unknown = TEXT_UNKNOWN_ERROR;
	} else if (strcmp(word, "skip") == 0) {
		*unknown = TEXT_UNKNOWN_SKIP;
	} else if (unit == VOCAB_BYTE && n == 1) {
		*unknown = *s;
	} else if (unit != VOCAB_CODEPOINT || n == 0 || utf8_decode(s, n, unknown) != (int)n) {
		return error_set(err, STATUS_USAGE,
			"--unknown: \"%s\" is neither error nor skip nor a single %s", word,
			unit == VOCAB_BYTE ? "byte" : "character");
	}
	return 0;
}

/* Takes over what --vocab and --unknown say. */
static int settle(const struct values *v, struct text *text, struct vocab *vocab, struct error *err)
{
	uint32_t unknown;
	if (v->vocab) {
		if (read_vocab(v, (int)text->count, vocab, err) < 0)
			return -1;
		text->unit = vocab->unit;
		text->newlines = vocab->newlines;
	}
	if (parse_unknown(v->unknown, text->unit, &unknown, err) < 0)
		return -1;
	if (!v->vocab && unknown != TEXT_UNKNOWN_ERROR)
		return error_set(err, STATUS_USAGE,
			"--unknown %s: without --vocab every character is known", v->unknown);
	if (!v->vocab)
		return 0;
	if (unknown != TEXT_UNKNOWN_ERROR && unknown != TEXT_UNKNOWN_SKIP) {
		unknown = vocab_find(vocab, unknown);
		if (unknown == VOCAB_NONE)
			return error_set(err, STATUS_USAGE,
				"--unknown: \"%s\" itself is not in the vocabulary", v->unknown);
	}
	text->unknown = unknown;
	return 0;
}

static void report(const struct tool *tool, const struct text *text, const struct vocab *vocab,
	const struct sink *sink)
{
	const struct values *v = tool->values;
	if (text->utf16 && text->unit == VOCAB_CODEPOINT)
		tool_note(tool, "the text looks like UTF-16, full of zeros; iconv -f UTF-16LE (or "
				"BE) -t UTF-8 makes text of it");
	if (text->invalid_count > 0)
		tool_note(tool, "invalid UTF-8 sequences replaced by U+FFFD: %" PRIu64,
			text->invalid_count);
	if (text->unknown_count > 0 && text->unknown == TEXT_UNKNOWN_SKIP)
		tool_note(tool, "characters skipped that are not in the vocabulary: %" PRIu64,
			text->unknown_count);
	else if (text->unknown_count > 0)
		tool_note(tool,
			"characters replaced by \"%s\" that are not in the vocabulary: %" PRIu64,
			v->unknown, text->unknown_count);
	if (text->carriage_returns && text->newlines == VOCAB_KEEP)
		tool_note(tool, "the text has carriage returns (CRLF line ends?); "
				"-u reads them as line feeds, as Python's text mode does");
	tool_detail(tool, "%" PRIu64 " bytes, %" PRIu64 " ids over %lu symbols", text->bytes,
		sink->count, (unsigned long)vocab->size);
}

static int pump(const struct tool *tool, struct text *text, const struct vocab *vocab,
	struct sink *sink, struct error *err)
{
	uint32_t *ids = calloc(IDS, sizeof *ids);
	ssize_t n;
	if (!ids)
		return error_memory(err, IDS * sizeof *ids, "ids");
	while ((n = text_read(text, vocab, ids, IDS, err)) > 0) {
		if (sink_put(sink, ids, (size_t)n, err) < 0) {
			n = -1;
			break;
		}
		tool_progress(tool, "%.1f MB", (double)text->bytes / 1e6);
	}
	free(ids);
	tool_progress_end(tool);
	if (n == 0 && sink->count == 0)
		return error_set(err, STATUS_DATA, "no character of the text is in the vocabulary");
	return (int)n;
}

/* Writes everything but what output_commit() adds. */
static int write_tokens(const struct tool *tool, struct text *text, const struct vocab *vocab,
	struct sink *sink, struct error *err)
{
	if (sink->text)
		return pump(tool, text, vocab, sink, err);
	if (tokens_write_header(&sink->tokens, &sink->out, vocab, err) < 0)
		return -1;
	int rc = pump(tool, text, vocab, sink, err);
	if (rc == 0)
		rc = tokens_write_end(&sink->tokens, err);
	tokens_writer_release(&sink->tokens);
	return rc;
}

static int encode(struct tool *tool, int argc, char **argv, struct error *err)
{
	const struct values *v = tool->values;
	struct text text = {
		.files = argv,
		.count = (size_t)argc,
		.unit = v->bytes ? VOCAB_BYTE : VOCAB_CODEPOINT,
		.newlines = v->universal_newlines ? VOCAB_UNIVERSAL : VOCAB_KEEP,
		.replace_invalid = v->invalid == 1,
		.unknown = TEXT_UNKNOWN_ERROR,
		.invalid_advice = "; --invalid replace makes it U+FFFD, -b takes any bytes",
		.unknown_advice = "; --unknown skip leaves such characters out",
		.too_many_advice = "; -b takes bytes as symbols, --vocab FILE with --unknown those "
				   "of another file",
	};
	struct vocab vocab = {0};
	struct sink sink = {.text = v->text};
	int rc = -1;

	if (settle(v, &text, &vocab, err) < 0 || text_open(&text, err) < 0)
		goto out;
	if (tool_output(tool, &sink.out, !v->text, err) < 0)
		goto close_text;
	if (!v->vocab && text_survey(&text, &vocab, err) < 0)
		goto close_output;
	rc = write_tokens(tool, &text, &vocab, &sink, err);
	if (rc == 0)
		rc = output_commit(&sink.out, err);
	if (rc == 0)
		report(tool, &text, &vocab, &sink);
close_output:
	output_discard(&sink.out);
close_text:
	text_close(&text);
out:
	vocab_release(&vocab);
	return rc;
}

/* --- ids to text --------------------------------------------------------------------------- */

static int decode_file(const char *path, struct output *out, struct error *err)
{
	struct input in;
	struct tokens_reader reader;
	enum { PIECE = 1024 };
	uint32_t ids[PIECE];
	unsigned char text[PIECE * UTF8_MAX];
	ssize_t n = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) < 0)
		return -1;
	if (tokens_read_header(&reader, &in, err) < 0)
		goto out;
	while ((n = tokens_read(&reader, ids, PIECE, err)) > 0) {
		unsigned char *to = text;
		for (ssize_t i = 0; i < n; i++)
			to += vocab_text(&reader.vocab, ids[i], to);
		n = output_write(out, text, (size_t)(to - text), err);
		if (n < 0)
			break;
	}
	tokens_reader_release(&reader);
out:
	input_close(&in);
	return (int)n;
}

/* --decode reads a vocabulary with each stream: what says how to read text has no meaning there. */
static int refuse_with_decode(const struct tool *tool, struct error *err)
{
	static const char *const others[] = {
		"bytes", "universal-newlines", "vocab", "unknown", "invalid", "text", NULL};
	for (const char *const *name = others; *name; name++)
		if (options_given(&tool->options, *name))
			return error_set(err, STATUS_USAGE, "--decode takes no --%s", *name);
	return 0;
}

static int decode(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct output out;
	if (refuse_with_decode(tool, err) < 0)
		return -1;
	if (tool_output(tool, &out, false, err) < 0)
		return -1;
	int rc = argc == 0 ? decode_file("-", &out, err) : 0;
	for (int i = 0; i < argc && rc == 0; i++)
		rc = decode_file(argv[i], &out, err);
	if (rc == 0)
		rc = output_commit(&out, err);
	output_discard(&out);
	return rc;
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	const struct values *v = tool->values;
	return v->decode ? decode(tool, argc, argv, err) : encode(tool, argc, argv, err);
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "tokenize",
		.synopsis = "[OPTION...] [FILE...]",
		.summary = "Reads text, writes a token stream: a vocabulary, and each character's "
			   "place "
			   "in it.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

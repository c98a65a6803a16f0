/* fuzz_text.c: UTF-8 text in blocks against the plain way, one character after the other, with
 * newlines and invalid bytes treated in each way. */
#include "base/utf8.h"
#include "formats/text.h"
#include "tests/fuzz/fuzz.h"

/* The text's characters by definition: their number, -1 where one is invalid and that is an error.
 */
static ssize_t decode(const uint8_t *s, size_t n, bool universal, bool replace, uint32_t *to)
{
	ssize_t count = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		unsigned char again[UTF8_MAX];
		int bytes = utf8_decode(s + i, n - i, &c);
		if (bytes > 0)
			MUST(utf8_encode(c, again) == bytes &&
				memcmp(again, s + i, (size_t)bytes) == 0);
		else if (!replace)
			return -1;
		else
			c = TEXT_REPLACEMENT;
		i += bytes > 0 ? (size_t)bytes : bytes < 0 ? (size_t)-bytes : n - i;
		if (universal && c == '\n' && i >= 2 && s[i - 2] == '\r')
			continue;
		to[count++] = universal && c == '\r' ? '\n' : c;
	}
	return count;
}

/* A vocabulary that is made once: surveys take their time. */
static struct vocab *some_of_unicode(bool universal)
{
	static struct vocab vocabs[2];
	static uint32_t symbols[0x500];
	struct error err;
	if (vocabs[0].size == 0) {
		uint32_t n = 0;
		for (uint32_t c = 0; c < 0x400; c++)
			symbols[n++] = c;
		for (uint32_t c = 0xFFF0; c < 0x10010; c++)
			symbols[n++] = c;
		for (unsigned i = 0; i < 2; i++)
			MUST(vocab_init(&vocabs[i], VOCAB_CODEPOINT,
				     i ? VOCAB_UNIVERSAL : VOCAB_KEEP, symbols, n, &err) == 0);
	}
	return &vocabs[universal];
}

/* Unknown characters get id 0. */
static uint32_t id_of(const struct vocab *vocab, uint32_t symbol)
{
	uint32_t id = vocab_find(vocab, symbol);
	return id == VOCAB_NONE ? 0 : id;
}

static void compare(const uint8_t *data, size_t n, const char *path, unsigned ways)
{
	struct error err = {0};
	struct vocab vocab = {0};
	char *files[2] = {(char *)(uintptr_t)path, (char *)(uintptr_t)path};
	bool universal = ways & 1, replace = ways & 2, twice = ways & 4;
	bool survey = (ways & 0xF0) == 0x10; /* which goes over all of Unicode */
	size_t piece = ways & 8 ? 3 : 4096;
	uint32_t ids[4096];
	uint32_t *expected = malloc((2 * n + 1) * sizeof *expected);
	uint8_t *both = malloc(2 * n + 1);
	MUST(expected && both);
	memcpy(both, data, n);
	memcpy(both + n, data, n);
	ssize_t count = decode(both, twice ? 2 * n : n, universal, replace, expected), at = 0,
		got = 0;
	const struct vocab *known = survey ? &vocab : some_of_unicode(universal);
	struct text text = {.files = files,
		.count = twice ? 2 : 1,
		.unit = VOCAB_CODEPOINT,
		.newlines = universal ? VOCAB_UNIVERSAL : VOCAB_KEEP,
		.replace_invalid = replace,
		.unknown = survey ? TEXT_UNKNOWN_ERROR : 0};
	MUST(text_open(&text, &err) == 0);
	if (survey && text_survey(&text, &vocab, &err) < 0) {
		must_be_refusal(&err, false);
		MUST(count <= 0);
	} else {
		while ((got = text_read(&text, known, ids, piece, &err)) > 0)
			for (ssize_t i = 0; i < got; i++, at++)
				MUST(count < 0 ||
					(at < count && ids[i] == id_of(known, expected[at])));
		MUST(got < 0 ? count <= 0 : at == count);
	}
	text_close(&text);
	vocab_release(&vocab);
	free(both);
	free(expected);
}

/* The last byte chooses the way. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[64];
	if (n == 0)
		return 0;
	int fd = fuzz_file(data, n - 1, path);
	compare(data, n - 1, path, data[n - 1]);
	close(fd);
	return 0;
}

/* Reading text: whatever the blocks, the files and the pieces it is asked for in, the characters
 * are those that utf8_decode() finds one by one; and every complaint names the right place. */
#include "base/utf8.h"
#include "formats/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILES_MAX = 8 };

/* Files that together hold a text. */
struct pieces {
	char names[FILES_MAX][32];
	char *paths[FILES_MAX];
	size_t count;
};

static void add_piece(struct pieces *p, const void *bytes, size_t n)
{
	char *name = p->names[p->count];
	strcpy(name, "/tmp/charpipe-text-XXXXXX");
	int fd = mkstemp(name);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	p->paths[p->count++] = name;
}

static void remove_pieces(struct pieces *p)
{
	for (size_t i = 0; i < p->count; i++)
		unlink(p->paths[i]);
	p->count = 0;
}

/* The symbols of valid text, the plain way. */
static size_t plain_symbols(const unsigned char *s, size_t n, bool universal, uint32_t *symbols)
{
	size_t count = 0;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		int bytes = utf8_decode(s + i, n - i, &c);
		assert_true(bytes > 0);
		i += (size_t)bytes;
		if (universal && c == '\r') {
			i += i < n && s[i] == '\n';
			c = '\n';
		}
		symbols[count++] = c;
	}
	return count;
}

static void assert_read(const struct pieces *p, bool universal, size_t capacity,
	const uint32_t *symbols, size_t count)
{
	struct text text = {
		.files = p->paths,
		.count = p->count,
		.newlines = universal ? VOCAB_UNIVERSAL : VOCAB_KEEP,
		.unknown = TEXT_UNKNOWN_ERROR,
	};
	struct vocab vocab;
	struct error err;
	uint32_t *ids = malloc(capacity * sizeof *ids);
	size_t at = 0;
	ssize_t n;
	assert_int_equal(text_open(&text, &err), 0);
	assert_int_equal(text_survey(&text, &vocab, &err), 0);
	for (uint32_t i = 1; i < vocab.size; i++)
		assert_true(vocab.symbols[i - 1] < vocab.symbols[i]);
	while ((n = text_read(&text, &vocab, ids, capacity, &err)) > 0) {
		assert_true((size_t)n <= capacity && (size_t)n <= count - at);
		for (ssize_t i = 0; i < n; i++)
			if (vocab.symbols[ids[i]] != symbols[at + (size_t)i])
				fail_msg("symbol %zu differs", at + (size_t)i);
		at += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, count);
	assert_int_equal(text_read(&text, &vocab, ids, capacity, &err), 0);
	text_close(&text);
	text_close(&text);
	vocab_release(&vocab);
	free(ids);
}

/* Half a megabyte, with characters of all lengths and newlines of all kinds at odd places. */
static size_t make_text(unsigned char *s, size_t size)
{
	static const char *const parts[] = {"Happy families are all alike", "\r\n", "\r", "\n",
		"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF",
		"\xEE\x80\x80", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xF0\x90\x80\x80"};
	uint32_t random = 1;
	size_t n = 0;
	while (n + 40 < size) {
		random = random * 1664525 + 1013904223;
		const char *part = parts[(random >> 16) % (sizeof parts / sizeof *parts)];
		memcpy(s + n, part, strlen(part));
		n += strlen(part);
	}
	return n;
}

static void blocks_and_pieces_do_not_show(void **state)
{
	static const size_t capacities[] = {1, 2, 7, 1000, 100000};
	static unsigned char s[500000];
	static uint32_t symbols[sizeof s];
	size_t n = make_text(s, sizeof s);
	(void)state;
	for (int universal = 0; universal < 2; universal++) {
		size_t count = plain_symbols(s, n, universal, symbols);
		struct pieces whole = {0}, cut = {0};
		add_piece(&whole, s, n);
		for (size_t i = 0; i < 7; i++) {
			size_t from = i * n / 7, to = (i + 1) * n / 7;
			add_piece(&cut, s + from, to - from);
		}
		for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
			assert_read(&whole, universal, capacities[i], symbols, count);
			assert_read(&cut, universal, capacities[i], symbols, count);
		}
		remove_pieces(&whole);
		remove_pieces(&cut);
	}
}

static void files_may_be_cut_anywhere(void **state)
{
	static const unsigned char s[] = "a\xC3\xA9\r\n\xE2\x82\xAC\r\xF0\x9F\x98\x80\n\r\n";
	const size_t n = sizeof s - 1;
	uint32_t symbols[sizeof s];
	(void)state;
	for (int universal = 0; universal < 2; universal++) {
		size_t count = plain_symbols(s, n, universal, symbols);
		for (size_t i = 0; i <= n; i++)
			for (size_t k = i; k <= n; k++) {
				struct pieces p = {0};
				add_piece(&p, s, i);
				add_piece(&p, s + i, k - i);
				add_piece(&p, s + k, n - k);
				assert_read(&p, universal, 3, symbols, count);
				remove_pieces(&p);
			}
	}
}

static void assert_complaint(const struct pieces *p, const char *place)
{
	struct text text = {.files = p->paths, .count = p->count, .invalid_advice = "; so there"};
	struct vocab vocab;
	struct error err = {0};
	assert_int_equal(text_open(&text, &err), 0);
	assert_int_equal(text_survey(&text, &vocab, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	if (!strstr(err.text, place) || !strstr(err.text, "; so there"))
		fail_msg("\"%s\" doesn't say \"%s\"", err.text, place);
	text_close(&text);
}

/* An invalid byte is put at places before, at and behind the borders of blocks. */
static void invalid_bytes_are_told_with_their_place(void **state)
{
	static unsigned char s[400000];
	size_t n = make_text(s, sizeof s);
	(void)state;
	for (size_t at = 1; at < n; at += 4999) {
		while ((s[at] & 0xC0) == 0x80) /* to the start of a character */
			at++;
		unsigned char kept = s[at];
		char place[96];
		size_t line = 1;
		for (size_t i = 0; i < at; i++)
			line += s[i] == '\n';
		s[at] = 0xFF;
		struct pieces p = {0};
		add_piece(&p, "before\n", 7);
		add_piece(&p, s, n);
		snprintf(place, sizeof place, "%s: line %zu, byte offset %zu: invalid UTF-8 (0xFF)",
			p.paths[1], line, at);
		assert_complaint(&p, place);
		remove_pieces(&p);
		s[at] = kept;
	}
}

/* Whatever needs care, be it rare or everywhere, is replaced or skipped at its place. */
static void invalid_bytes_and_unknown_characters_are_passed_over_one_by_one(void **state)
{
	static unsigned char s[100000];
	static uint32_t ids[sizeof s], expected[sizeof s];
	static const uint32_t known[] = {'a', 0xE9, 0x20AC, TEXT_REPLACEMENT, 0x1F600};
	static const char *const parts[] = {"aaaa", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
		"b", "\xC3\xA8", "\xE2\x82\xAD", "\xF0\x9F\x98\x81", "\xA9", "\xC3", "\xE2\x82",
		"\xF0\x9F", "\xC0\x80", "\xFF"};
	uint32_t random = 1;
	struct vocab vocab;
	struct error err;
	(void)state;
	assert_int_equal(vocab_init(&vocab, VOCAB_CODEPOINT, VOCAB_KEEP, known, 5, &err), 0);
	for (uint32_t rarity = 1; rarity < 2000; rarity *= 3) {
		size_t n = 0, count = 0;
		while (n + 8 < sizeof s) {
			random = random * 1664525 + 1013904223;
			size_t choices = (random >> 8) % rarity ? 4 : sizeof parts / sizeof *parts;
			const char *part = parts[(random >> 16) % choices];
			memcpy(s + n, part, strlen(part));
			n += strlen(part);
		}
		for (size_t i = 0; i < n;) {
			uint32_t c;
			int bytes = utf8_decode(s + i, n - i, &c);
			uint32_t id = vocab_find(&vocab, bytes > 0 ? c : TEXT_REPLACEMENT);
			i += bytes > 0 ? (size_t)bytes : bytes < 0 ? (size_t)-bytes : n - i;
			if (id != VOCAB_NONE)
				expected[count++] = id;
		}
		struct pieces p = {0};
		add_piece(&p, s, n);
		struct text text = {.files = p.paths,
			.count = 1,
			.replace_invalid = true,
			.unknown = TEXT_UNKNOWN_SKIP};
		size_t got = 0;
		ssize_t more;
		assert_int_equal(text_open(&text, &err), 0);
		while ((more = text_read(&text, &vocab, ids + got, sizeof s - got, &err)) > 0)
			got += (size_t)more;
		assert_int_equal(more, 0);
		assert_int_equal(got, count);
		assert_memory_equal(ids, expected, count * sizeof *ids);
		text_close(&text);
		remove_pieces(&p);
	}
	vocab_release(&vocab);
}

/* The first file has the first bytes of a character that the second doesn't finish. */
static void a_character_cut_by_files_is_told_where_it_begins(void **state)
{
	struct pieces p = {0};
	char place[64];
	(void)state;
	add_piece(&p, "one\ntwo\xF0\x9F", 9);
	add_piece(&p, "\x98", 1);
	add_piece(&p, "three", 5);
	snprintf(place, sizeof place, "%s: line 2, byte offset 7: ", p.paths[0]);
	assert_complaint(&p, place);
	remove_pieces(&p);
}

static void a_file_that_changes_under_way_is_told(void **state)
{
	static const char *const texts[] = {"abcabc", "abc", "abxabc",
		("ab\xFF"
		 "abc")};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct pieces p = {0};
		add_piece(&p, "abcabc", 6);
		struct text text = {.files = p.paths, .count = 1, .unknown = TEXT_UNKNOWN_ERROR};
		struct vocab vocab;
		struct error err = {0};
		uint32_t ids[10];
		assert_int_equal(text_open(&text, &err), 0);
		assert_int_equal(text_survey(&text, &vocab, &err), 0);
		FILE *f = fopen(p.paths[0], "w");
		assert_true(f && fputs(texts[i], f) >= 0 && fclose(f) == 0);
		ssize_t n = text_read(&text, &vocab, ids, 10, &err);
		if (i == 0) {
			assert_int_equal(n, 6);
		} else {
			assert_int_equal(n, -1);
			assert_int_equal(err.status, STATUS_IO);
			assert_non_null(strstr(err.text, "changed"));
		}
		text_close(&text);
		vocab_release(&vocab);
		remove_pieces(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_and_pieces_do_not_show),
		cmocka_unit_test(files_may_be_cut_anywhere),
		cmocka_unit_test(invalid_bytes_are_told_with_their_place),
		cmocka_unit_test(invalid_bytes_and_unknown_characters_are_passed_over_one_by_one),
		cmocka_unit_test(a_character_cut_by_files_is_told_where_it_begins),
		cmocka_unit_test(a_file_that_changes_under_way_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a file is, and what is said where another was expected. */
#include "formats/kind.h"
#include "streams.h"

#define SAFE "\x40\1\0\0\0\0\0\0{"
#define STATE SAFE "\"__metadata__\":{\"crc32\":\"00000000\",\"charpipe_state\":\"1\""

static const struct {
	const char *bytes;
	size_t n;
	enum kind kind;
} files[] = {
#define FILE_OF(bytes, kind) \
	{ \
		bytes, sizeof bytes - 1, kind \
	}
	FILE_OF("#charpipe tokens 1 header=", KIND_TOKENS),
	FILE_OF("#charpipe shards 9 header=", KIND_SHARDS),
	FILE_OF("#charpipe corpus 1 header=", KIND_STREAM),
	FILE_OF("#charpipe tokens", KIND_STREAM),
	FILE_OF("#charpipe", KIND_TEXT),
	FILE_OF("#", KIND_TEXT),
	FILE_OF(SAFE "\"a\":", KIND_MODEL),
	FILE_OF(SAFE, KIND_MODEL),
	FILE_OF(STATE, KIND_STATE),
	FILE_OF("\x40\1\0\0\0\0\0\0[\"a\":", KIND_TEXT),
	FILE_OF("\x40\1\0\0\1\0\0\0{\"a\":", KIND_TEXT),
	FILE_OF("Happy families are all alike", KIND_TEXT),
	FILE_OF("a", KIND_TEXT),
	FILE_OF("\0\0\0\0\0", KIND_TEXT),
	FILE_OF("", KIND_EMPTY),
	FILE_OF("\x1f\x8b\x08", KIND_GZIP),
	FILE_OF("\xff\xfe"
		"a\0",
		KIND_UTF16),
	FILE_OF("\xfe\xff\0a", KIND_UTF16),
	FILE_OF("a\0b\0", KIND_UTF16),
	FILE_OF("\0a\0b\0", KIND_UTF16),
	FILE_OF("\x80\4\x95", KIND_PICKLE),
	FILE_OF("PK\3\4", KIND_ARCHIVE),
};
enum { FILES = sizeof files / sizeof *files };

static void first_bytes_tell_what_a_file_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		if (kind_of(files[i].bytes, files[i].n) != files[i].kind)
			fail_msg("file %zu: %d", i, kind_of(files[i].bytes, files[i].n));
		for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
			struct input in;
			struct error err;
			enum kind kind;
			char first[1];
			if (files[i].kind == KIND_GZIP)
				continue; /* which open_bytes() sees through */
			int fd = open_bytes(&in, files[i].bytes, files[i].n, place);
			assert_int_equal(kind_peek(&kind, &in, &err), 0);
			assert_int_equal(kind, files[i].kind);
			assert_int_equal(input_read(&in, first, 1, &err), files[i].n > 0);
			input_close(&in);
			close(fd);
		}
	}
	for (size_t n = 0; n < sizeof STATE - 1; n++) /* a part of it is never something else */
		assert_in_range(kind_of(STATE, n), KIND_TEXT, KIND_EMPTY);
}

static void errors_say_what_it_is_and_the_way_out(void **state)
{
	static const struct {
		enum kind found, expected;
		const char *message;
	} cases[] = {
		{KIND_TOKENS, KIND_SHARDS, "this is a token stream; run batchify"},
		{KIND_TOKENS, KIND_MODEL, "a token stream; run batchify and train"},
		{KIND_SHARDS, KIND_MODEL, "these are shards; run train"},
		{KIND_SHARDS, KIND_TOKENS, "these are shards; expected a token stream"},
		{KIND_TEXT, KIND_TOKENS, "; if it is text, run tokenize"},
		{KIND_TEXT, KIND_SHARDS, "; if it is text, run tokenize and batchify"},
		{KIND_TEXT, KIND_MODEL, "; if it is text, run tokenize, batchify and train"},
		{KIND_TEXT, KIND_STATE, "this is not a charpipe file; expected a state"},
		{KIND_STATE, KIND_MODEL,
			"a model's state; expected a model; sample --state FILE goes on"},
		{KIND_ARCHIVE, KIND_MODEL, "torch.save(); expected a model; load it in Python"},
		{KIND_GZIP, KIND_TEXT, "compressed (gzip); expected text; zcat it"},
		{KIND_UTF16, KIND_TEXT, "this is UTF-16; expected text; iconv -f UTF-16"},
		{KIND_EMPTY, KIND_WITH_VOCAB, "empty; expected a token stream, shards or a model"},
	};
	char name[] = "file";
	const struct input in = {.name = name};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error err;
		size_t n = strlen(cases[i].message);
		assert_int_equal(kind_error(cases[i].found, cases[i].expected, &in, &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		assert_memory_equal(err.text, "file: ", 6);
		const char *said = strstr(err.text, cases[i].message);
		if (!said || (cases[i].expected <= KIND_MODEL && cases[i].found <= KIND_MODEL &&
				     said[n]))
			fail_msg("expected \"%s\" in \"%s\"", cases[i].message, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_bytes_tell_what_a_file_is),
		cmocka_unit_test(errors_say_what_it_is_and_the_way_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

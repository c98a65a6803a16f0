/* Token streams: what is written, what is read back, what is refused. The golden files were made by
 * tests/golden/streams/make.py, which knows formats/stream.md but none of this code. */
#include "formats/tokens.h"
#include "streams.h"

/* Reads a whole token stream: 0 and the ids (the caller's), or -1. */
static int read_all(const void *bytes, size_t n, enum place place, uint32_t **ids, size_t *count,
	struct vocab *vocab, struct error *err)
{
	struct input in;
	struct tokens_reader r;
	int fd = open_bytes(&in, bytes, n, place), result = -1;
	size_t room = 1 << 16;
	*count = 0;
	*ids = malloc(room * sizeof **ids);
	if (tokens_read_header(&r, &in, err) == 0) {
		ssize_t got;
		while ((got = tokens_read(&r, *ids + *count, room - *count, err)) > 0) {
			*count += (size_t)got;
			if (room - *count < 1000)
				*ids = realloc(*ids, (room *= 2) * sizeof **ids);
		}
		result = got < 0 ? -1 : 0;
		if (result == 0) { /* the end stays the end */
			assert_int_equal(tokens_read(&r, *ids, 1, err), 0);
			if (vocab)
				assert_int_equal(vocab_copy(vocab, &r.vocab, err), 0);
		}
		tokens_reader_release(&r);
	}
	input_close(&in);
	close(fd);
	return result;
}

static struct bytes write_all(
	const struct vocab *vocab, const uint32_t *ids, size_t n, size_t step, unsigned flags)
{
	struct written file;
	struct tokens_writer w;
	struct error err;
	written_open(&file, flags);
	assert_int_equal(tokens_write_header(&w, &file.out, vocab, &err), 0);
	for (size_t i = 0; i < n; i += step)
		assert_int_equal(tokens_write(&w, ids + i, n - i < step ? n - i : step, &err), 0);
	assert_int_equal(tokens_write_end(&w, &err), 0);
	tokens_writer_release(&w);
	return written_close(&file);
}

static void golden_file(const char *name, struct bytes bytes, int status, const char *message)
{
	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		struct error err = {0};
		uint32_t *ids;
		size_t count;
		int result = read_all(bytes.v, bytes.n, place, &ids, &count, NULL, &err);
		free(ids);
		if (result == 0 ? status != 0 : (int)err.status != status)
			fail_msg("%s: status %d, expected %d (%s)", name,
				result < 0 ? (int)err.status : 0, status, err.text);
		/* A pipe's size is not known, so that some things come to light later there. */
		if (status != 0 && place == IN_FILE && !strstr(err.text, message))
			fail_msg("%s: expected \"%s\" in \"%s\"", name, message, err.text);
	}
}

static void golden_files_are_read_or_refused_as_listed(void **state)
{
	(void)state;
	assert_in_range(each_golden(".tokens", golden_file), 60, 1000);
}

static void writing_gives_the_golden_bytes(void **state)
{
	static const char *const names[] = {
		"hello.tokens", "bytes.tokens", "han.tokens", "no-ids.tokens", "few.tokens"};
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[100];
		struct error err = {0};
		struct vocab vocab;
		uint32_t *ids;
		size_t count;
		snprintf(path, sizeof path, GOLDEN "%s", names[i]);
		struct bytes golden = load(path);
		if (read_all(golden.v, golden.n, IN_FILE, &ids, &count, &vocab, &err) < 0)
			fail_msg("%s", err.text);
		struct bytes again = write_all(&vocab, ids, count, 7, 0);
		assert_int_equal(again.n, golden.n);
		assert_memory_equal(again.v, golden.v, golden.n);
		vocab_release(&vocab);
		free(ids);
		free(again.v);
		free(golden.v);
	}
}

static void the_golden_greeting_is_what_it_says(void **state)
{
	static const uint32_t hello[] = {'h', 'e', 'l', 'l', 'o', ',', ' ', 'w', 0xF6, 'r', 'l',
		'd', ' ', 0x1F642, '\n', '"', '\\', '"', 0xA0, 0x301, '\r'};
	struct bytes golden = load(GOLDEN "hello.tokens");
	struct vocab vocab;
	struct error err;
	uint32_t *ids;
	size_t count;
	(void)state;
	assert_int_equal(read_all(golden.v, golden.n, IN_FILE, &ids, &count, &vocab, &err), 0);
	assert_int_equal(count, sizeof hello / sizeof *hello);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(vocab.symbols[ids[i]], hello[i]);
	assert_int_equal(vocab.unit, VOCAB_CODEPOINT);
	assert_int_equal(vocab.newlines, VOCAB_KEEP);
	vocab_release(&vocab);
	free(ids);
	free(golden.v);
}

static void must_be_refused(const char *name, struct bytes bytes)
{
	struct error err = {0};
	uint32_t *ids;
	size_t count;
	if (read_all(bytes.v, bytes.n, IN_FILE, &ids, &count, NULL, &err) == 0)
		fail_msg("accepted: %s", name);
	if (err.status != STATUS_DATA)
		fail_msg("%s: status %d (%s)", name, (int)err.status, err.text);
	free(ids);
}

static void every_truncation_and_every_flipped_bit_is_refused(void **state)
{
	struct bytes good = load(GOLDEN "few.tokens");
	(void)state;
	each_damage(good, must_be_refused);
	free(good.v);
}

/* A vocabulary of code points that takes ids of one or two bytes. */
static void make_vocab(struct vocab *vocab, size_t size)
{
	struct error err;
	uint32_t *symbols = malloc(size * sizeof *symbols);
	for (size_t i = 0; i < size; i++)
		symbols[i] = (uint32_t)(0x10FFFF - i);
	assert_int_equal(vocab_init(vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, size, &err), 0);
	free(symbols);
}

static void any_ids_come_back(void **state)
{
	static const size_t sizes[] = {1, 83, 256, 257, 65536};
	(void)state;
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		struct vocab vocab, read;
		struct error err = {0};
		make_vocab(&vocab, sizes[k]);
		size_t frame = TOKENS_FRAME_BYTES / vocab_id_bytes(&vocab);
		size_t counts[] = {0, 1, 1000, frame - 1, frame, frame + 1, 2 * frame};
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
			uint32_t random = 1, *again, *ids = malloc((counts[c] + 1) * sizeof *ids);
			size_t n;
			for (size_t i = 0; i < counts[c]; i++)
				ids[i] = next_random(&random) % vocab.size;
			struct bytes file = write_all(&vocab, ids, counts[c], 70001, 0);
			if (read_all(file.v, file.n, IN_FILE, &again, &n, &read, &err) < 0)
				fail_msg("%s", err.text);
			assert_int_equal(n, counts[c]);
			assert_memory_equal(again, ids, n * sizeof *ids);
			assert_true(vocab_equal(&read, &vocab));
			vocab_release(&read);
			free(again);
			free(ids);
			free(file.v);
		}
		vocab_release(&vocab);
	}
}

static void a_compressed_stream_is_read_as_a_plain_one(void **state)
{
	struct vocab vocab;
	struct error err = {0};
	uint32_t *again, ids[5000];
	size_t n;
	(void)state;
	make_vocab(&vocab, 300);
	for (uint32_t i = 0; i < 5000; i++)
		ids[i] = i % 300;
	struct bytes file = write_all(&vocab, ids, 5000, 5000, OUTPUT_GZIP);
	assert_memory_equal(file.v, "\x1f\x8b", 2);
	if (read_all(file.v, file.n, IN_FILE, &again, &n, NULL, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(n, 5000);
	assert_memory_equal(again, ids, sizeof ids);
	free(again);
	assert_int_equal(read_all(file.v, file.n - 9, IN_FILE, &again, &n, NULL, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	free(again);
	free(file.v);
	vocab_release(&vocab);
}

static void packed_reading_gives_the_same_ids(void **state)
{
	struct vocab vocab;
	struct error err = {0};
	struct input in;
	struct tokens_reader r;
	uint32_t random = 7, ids[700], first[100], rest[600];
	const void *packed;
	(void)state;
	make_vocab(&vocab, 1000);
	for (size_t i = 0; i < 700; i++)
		ids[i] = next_random(&random) % 1000;
	struct bytes file = write_all(&vocab, ids, 700, 700, 0);
	int fd = open_bytes(&in, file.v, file.n, IN_PIPE);
	assert_int_equal(tokens_read_header(&r, &in, &err), 0);
	assert_int_equal(tokens_read(&r, first, 100, &err), 100);
	assert_int_equal(tokens_read_packed(&r, &packed, &err), 600);
	vocab_unpack(&vocab, packed, 600, rest);
	assert_memory_equal(first, ids, sizeof first);
	assert_memory_equal(rest, ids + 100, sizeof rest);
	assert_int_equal(tokens_read_packed(&r, &packed, &err), 0);
	tokens_reader_release(&r);
	input_close(&in);
	close(fd);
	free(file.v);
	vocab_release(&vocab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_files_are_read_or_refused_as_listed),
		cmocka_unit_test(writing_gives_the_golden_bytes),
		cmocka_unit_test(the_golden_greeting_is_what_it_says),
		cmocka_unit_test(every_truncation_and_every_flipped_bit_is_refused),
		cmocka_unit_test(any_ids_come_back),
		cmocka_unit_test(a_compressed_stream_is_read_as_a_plain_one),
		cmocka_unit_test(packed_reading_gives_the_same_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

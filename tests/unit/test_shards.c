/* Shards: what is written, what is read back in any order, what is refused. The golden files were
 * made by tests/golden/streams/make.py, which knows formats/shards.md but none of this code. */
#include "formats/shards.h"
#include "streams.h"

#include <zlib.h>

/* Opens shards and reads every batch, last one first: 0, or -1. */
static int read_all(const void *bytes, size_t n, enum place place, struct error *err)
{
	struct input in;
	struct shards shards;
	int fd = open_bytes(&in, bytes, n, place), result = shards_open(&shards, &in, err);
	if (result == 0) {
		uint32_t *ids =
			malloc(shards_batch_ids(&shards.header, SHARDS_TRAIN) * sizeof *ids);
		for (int split = SHARDS_SPLITS - 1; split >= 0; split--)
			for (uint64_t k = shards.header.batches[split]; k-- > 0 && result == 0;)
				result =
					shards_read(&shards, (enum shards_split)split, k, ids, err);
		free(ids);
		shards_close(&shards);
	}
	input_close(&in);
	close(fd);
	return result;
}

static void golden_file(const char *name, struct bytes bytes, int status, const char *message)
{
	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		struct error err = {0};
		int result = read_all(bytes.v, bytes.n, place, &err);
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
	assert_in_range(each_golden(".shards", golden_file), 25, 1000);
}

static void must_be_refused(const char *name, struct bytes bytes)
{
	struct error err = {0};
	if (read_all(bytes.v, bytes.n, IN_FILE, &err) == 0)
		fail_msg("accepted: %s", name);
	if (err.status != STATUS_DATA)
		fail_msg("%s: status %d (%s)", name, (int)err.status, err.text);
}

static void every_truncation_and_every_flipped_bit_is_refused(void **state)
{
	struct bytes good = load(GOLDEN "few.shards");
	(void)state;
	each_damage(good, must_be_refused);
	free(good.v);
}

/* Opens shards, which must be good. */
static int open_good(struct shards *shards, struct input *in, struct bytes bytes, enum place place)
{
	struct error err;
	int fd = open_bytes(in, bytes.v, bytes.n, place);
	if (shards_open(shards, in, &err) < 0)
		fail_msg("%s", err.text);
	return fd;
}

static void close_good(struct shards *shards, struct input *in, int fd)
{
	shards_close(shards);
	input_close(in);
	close(fd);
}

/* Writes the next batch of ids that are not packed. */
static void write_batch(struct shards_writer *w, enum shards_split split, const uint32_t *ids)
{
	struct error err;
	size_t n = shards_batch_ids(w->header, split);
	unsigned char *packed = malloc(2 * n);
	vocab_pack(&w->header->vocab, ids, n, packed);
	assert_int_equal(shards_write(w, split, packed, &err), 0);
	free(packed);
}

static void writing_gives_the_golden_bytes(void **state)
{
	static const char *const names[] = {"wrap.shards", "next.shards", "few.shards"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char path[100];
		struct error err;
		struct input in;
		struct shards shards;
		struct shards_writer w;
		struct written file;
		uint32_t ids[100];
		snprintf(path, sizeof path, GOLDEN "%s", names[i]);
		struct bytes golden = load(path);
		int fd = open_good(&shards, &in, golden, IN_FILE);
		written_open(&file, 0);
		assert_int_equal(shards_write_header(&w, &file.out, &shards.header, &err), 0);
		for (enum shards_split split = SHARDS_TRAIN; split < SHARDS_SPLITS; split++) {
			for (uint64_t k = 0; k < shards.header.batches[split]; k++) {
				assert_int_equal(shards_read(&shards, split, k, ids, &err), 0);
				write_batch(&w, split, ids);
			}
		}
		assert_int_equal(shards_write_end(&w, &err), 0);
		struct bytes again = written_close(&file);
		assert_int_equal(again.n, golden.n);
		assert_memory_equal(again.v, golden.v, golden.n);
		close_good(&shards, &in, fd);
		free(again.v);
		free(golden.v);
	}
}

/* The golden script's text, 40 ids over 10 symbols: 30 to train on, 10 held out. */
static uint32_t text(uint32_t i)
{
	return (i * i + i / 3) % 10;
}

static void batches_hold_inputs_and_targets_as_the_notebooks_cut_them(void **state)
{
	struct bytes golden = load(GOLDEN "wrap.shards");
	(void)state;
	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		struct input in;
		struct shards s;
		struct error err;
		uint32_t ids[16];
		int fd = open_good(&s, &in, golden, place);
		assert_int_equal(s.header.window, 3);
		assert_int_equal(s.header.rows[SHARDS_TRAIN], 4);
		assert_int_equal(s.header.rows[SHARDS_VALIDATION], 2);
		assert_int_equal(s.header.rows[SHARDS_TEST], 0);
		assert_int_equal(s.header.batches[SHARDS_TRAIN], 2);
		assert_int_equal(s.header.batches[SHARDS_VALIDATION], 1);
		assert_int_equal(s.header.batches[SHARDS_TEST], 0);
		assert_int_equal(s.header.targets, SHARDS_ROW_WRAP);
		assert_int_equal(s.header.tokens_used, 30);
		assert_int_equal(s.header.tokens_dropped, 10);
		for (uint32_t k = 2; k-- > 0;) {
			assert_int_equal(shards_read(&s, SHARDS_TRAIN, k, ids, &err), 0);
			for (uint32_t r = 0; r < 4; r++)
				for (uint32_t t = 0; t <= 3; t++)
					assert_int_equal(
						ids[r * 4 + t], text(r * 6 + (k * 3 + t) % 6));
		}
		assert_int_equal(shards_read(&s, SHARDS_VALIDATION, 0, ids, &err), 0);
		for (uint32_t r = 0; r < 2; r++)
			for (uint32_t t = 0; t <= 3; t++)
				assert_int_equal(ids[r * 4 + t], text(30 + r * 3 + t % 3));
		close_good(&s, &in, fd);
	}
	free(golden.v);
}

/* Shards of `batches` random batches of `rows` x (`window` + 1); the ids come from the same seed.
 */
static struct bytes make_shards(
	uint32_t size, uint32_t rows, uint32_t window, uint64_t batches, unsigned flags)
{
	struct shards_header header = {.window = window,
		.rows = {rows, rows, 1},
		.batches = {batches, 2, 1},
		.tokens_used = (uint64_t)rows * window * (batches + 2) + window};
	struct error err;
	struct shards_writer w;
	struct written file;
	uint32_t *symbols = malloc(size * sizeof *symbols), random = 5;
	for (uint32_t i = 0; i < size; i++)
		symbols[i] = 0x10000 + i;
	assert_int_equal(
		vocab_init(&header.vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, size, &err), 0);
	uint32_t *ids = malloc((size_t)rows * (window + 1) * sizeof *ids);
	written_open(&file, flags);
	assert_int_equal(shards_write_header(&w, &file.out, &header, &err), 0);
	for (enum shards_split split = SHARDS_TRAIN; split < SHARDS_SPLITS; split++) {
		for (uint64_t k = 0; k < header.batches[split]; k++) {
			for (size_t i = 0; i < shards_batch_ids(&header, split); i++)
				ids[i] = next_random(&random) % size;
			write_batch(&w, split, ids);
		}
	}
	assert_int_equal(shards_write_end(&w, &err), 0);
	vocab_release(&header.vocab);
	free(ids);
	free(symbols);
	return written_close(&file);
}

static void any_ids_come_back_from_a_file_a_pipe_and_gzip(void **state)
{
	static const uint32_t sizes[] = {2, 256, 257, 65536};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (unsigned way = 0; way < 3; way++) {
			if (way == IN_PIPE && sizes[i] > 257)
				continue; /* its header is larger than a pipe */
			struct input in;
			struct shards s;
			struct error err;
			struct bytes file =
				make_shards(sizes[i], 7, 31, 5, way == 2 ? OUTPUT_GZIP : 0);
			int fd = open_good(&s, &in, file, way == IN_PIPE ? IN_PIPE : IN_FILE);
			uint32_t random = 5, ids[7 * 32];
			for (enum shards_split split = SHARDS_TRAIN; split < SHARDS_SPLITS;
				split++) {
				for (uint64_t k = 0; k < s.header.batches[split]; k++) {
					assert_int_equal(shards_read(&s, split, k, ids, &err), 0);
					for (size_t j = 0; j < shards_batch_ids(&s.header, split);
						j++)
						assert_int_equal(
							ids[j], next_random(&random) % sizes[i]);
				}
			}
			close_good(&s, &in, fd);
			free(file.v);
		}
	}
}

static void the_data_s_identity_is_the_crc_of_its_payloads(void **state)
{
	struct input in;
	struct shards s;
	struct bytes golden = load(GOLDEN "wrap.shards");
	uint32_t crc[3];
	(void)state;
	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		int fd = open_good(&s, &in, golden, place);
		crc[place] = s.end.crc;
		close_good(&s, &in, fd);
	}
	assert_int_equal(crc[IN_FILE], crc[IN_PIPE]);
	const unsigned char *end = golden.v + golden.n - 64 + 32 + 16;
	for (int i = 0; i < 4; i++)
		assert_int_equal(end[i], crc[IN_FILE] >> 8 * i & 0xFF);
	free(golden.v);
}

static void the_header_alone_can_be_read(void **state)
{
	struct bytes golden = load(GOLDEN "next.shards");
	struct shards_header header;
	struct input in;
	struct error err;
	int fd = open_bytes(&in, golden.v, golden.n, IN_FILE);
	(void)state;
	assert_int_equal(shards_read_header(&header, &in, &err), 0);
	assert_int_equal(header.vocab.unit, VOCAB_BYTE);
	assert_int_equal(header.vocab.size, 256);
	assert_int_equal(header.targets, SHARDS_NEXT);
	vocab_release(&header.vocab);
	input_close(&in);
	close(fd);
	free(golden.v);
}

/* Also where it is well-formed, but for an id that isn't below the vocabulary's size. */
static void an_id_that_changes_is_refused(void **state)
{
	struct bytes golden = load(GOLDEN "wrap.shards");
	struct input in;
	struct shards s;
	struct error err;
	uint32_t ids[16];
	unsigned char bytes[64];
	int fd = open_good(&s, &in, golden, IN_FILE);
	off_t place = (off_t)s.first[SHARDS_TRAIN];
	(void)state;
	assert_int_equal(pread(fd, bytes, sizeof bytes, place), sizeof bytes);
	bytes[32 + 6] = 10; /* of 16 ids, four a row; there are 10 symbols */
	struct stream_frame frame = {.type = "TRN ", .bytes = 16};
	frame.crc = (uint32_t)crc32_z(0, bytes + 32, 16);
	stream_make_head(&frame, bytes);
	assert_int_equal(pwrite(fd, bytes, sizeof bytes, place), sizeof bytes);
	assert_int_equal(shards_read(&s, SHARDS_TRAIN, 0, ids, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "frame 0, row 1, column 2"));
	close_good(&s, &in, fd);
	free(golden.v);
}

/* wrap.shards's header with a line replaced. */
static void a_header_s_numbers_and_words_are_checked(void **state)
{
	static const char *const lines[] = {"kind: shards", "unit: codepoint", "newlines: keep",
		"dtype: \"|u1\"", "rows: {train: 4, validation: 2, test: 0}", "window: 3",
		"batches: {train: 2, validation: 1, test: 0}", "targets: row-wrap",
		"tokens: {used: 30, dropped: 10}", "vocab: [\"a\"]"};
	enum { LINES = sizeof lines / sizeof *lines };
	static const struct {
		const char *line, *message;
	} cases[] = {
		{"kind: tokens", "kind"},
		{"kinds: shards", "unknown key"},
		{"unit: 1", "unit"},
		{"rows: 4", "rows: "},
		{"rows: {train: 4}", "rows: "},
		{"rows: {train: x, validation: 2, test: 0}", "rows: expected a number"},
		{"rows: {train: 4294967296, validation: 2, test: 0}", "rows: expected a number"},
		{"window: 0", "window"},
		{"window: 4294967295", "more than 1073741824 bytes"},
		{"batches: {train: 2, validation: 1, test: 9223372036854775808}", "batches"},
		{"batches: {train: 9223372036854775807, validation: 1, test: 0}", "too many"},
		{"batches: {train: 144115188075855870, validation: 1, test: 0}", "too many"},
		{"targets: last", "targets"},
		{"tokens: []", "expected a mapping"},
		{"tokens: {used: 30}", "dropped"},
		{"tokens: {used: -1, dropped: 10}", "used"},
		{"tokens: {used: 30, dropped: 1.5}", "dropped"},
		{"tokens: {used: 31, dropped: 10}", "31 tokens used"},
		{"vocab: [a]", "vocab"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char yaml[1000] = "";
		static const struct stream_format format = {.name = "shards", .version = 1};
		struct shards_header header;
		struct stream_writer w;
		struct written file;
		struct input in;
		struct error err;
		for (size_t k = 0; k < LINES; k++) {
			bool same = strncmp(lines[k], cases[i].line, 3) == 0;
			strcat(strcat(yaml, same ? cases[i].line : lines[k]), "\n");
		}
		written_open(&file, 0);
		assert_int_equal(
			stream_write_header(&w, &file.out, &format, yaml, strlen(yaml), &err), 0);
		struct bytes bytes = written_close(&file);
		int fd = open_bytes(&in, bytes.v, bytes.n, IN_PIPE);
		if (shards_read_header(&header, &in, &err) == 0)
			fail_msg("%s: accepted", cases[i].line);
		assert_int_equal(err.status, STATUS_DATA);
		if (!strstr(err.text, cases[i].message))
			fail_msg("%s: %s", cases[i].line, err.text);
		input_close(&in);
		close(fd);
		free(bytes.v);
	}
	assert_string_equal(shards_split_name(SHARDS_TRAIN), "train");
	assert_string_equal(shards_split_name(SHARDS_TEST), "test");
}

static void a_file_that_changes_after_it_was_checked_is_refused(void **state)
{
	struct bytes golden = load(GOLDEN "wrap.shards");
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct input in;
		struct shards s;
		struct error err = {0};
		uint32_t ids[16];
		int fd = open_good(&s, &in, golden, IN_FILE);
		off_t place = (off_t)s.first[SHARDS_TRAIN] + (way == 0 ? 2 : way == 1 ? 40 : 63);
		if (way < 2)
			assert_int_equal(pwrite(fd, "?", 1, place), 1);
		else
			assert_int_equal(ftruncate(fd, place), 0);
		assert_int_equal(shards_read(&s, SHARDS_TRAIN, 0, ids, &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		close_good(&s, &in, fd);
	}
	free(golden.v);
}

static void a_header_that_could_not_be_read_is_not_written(void **state)
{
	const struct shards_header good = {
		.window = 3, .rows = {4, 2, 0}, .batches = {2, 1, 0}, .tokens_used = 30};
	const uint32_t symbols[] = {'a', 'b'};
	struct shards_header bad[6];
	(void)state;
	for (size_t i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].window = 0;
	bad[1].tokens_used = 31;
	bad[2].rows[SHARDS_TEST] = 1;
	bad[3].rows[SHARDS_VALIDATION] = 5;
	bad[4].batches[SHARDS_TRAIN] = 0;
	bad[5].window = UINT32_MAX;
	for (size_t i = 0; i < 6; i++) {
		struct shards_writer w;
		struct written file;
		struct error err = {0};
		assert_int_equal(
			vocab_init(&bad[i].vocab, VOCAB_CODEPOINT, VOCAB_KEEP, symbols, 2, &err),
			0);
		written_open(&file, 0);
		assert_int_equal(shards_write_header(&w, &file.out, &bad[i], &err), -1);
		assert_int_equal(err.status, STATUS_DATA);
		struct bytes nothing = written_close(&file);
		assert_int_equal(nothing.n, 0);
		free(nothing.v);
		vocab_release(&bad[i].vocab);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_files_are_read_or_refused_as_listed),
		cmocka_unit_test(every_truncation_and_every_flipped_bit_is_refused),
		cmocka_unit_test(writing_gives_the_golden_bytes),
		cmocka_unit_test(batches_hold_inputs_and_targets_as_the_notebooks_cut_them),
		cmocka_unit_test(any_ids_come_back_from_a_file_a_pipe_and_gzip),
		cmocka_unit_test(the_data_s_identity_is_the_crc_of_its_payloads),
		cmocka_unit_test(the_header_alone_can_be_read),
		cmocka_unit_test(a_file_that_changes_after_it_was_checked_is_refused),
		cmocka_unit_test(an_id_that_changes_is_refused),
		cmocka_unit_test(a_header_s_numbers_and_words_are_checked),
		cmocka_unit_test(a_header_that_could_not_be_read_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

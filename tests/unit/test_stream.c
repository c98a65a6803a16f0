/* The container by itself: headers of any length, frames of any size, what a file is. What is
 * refused is tested with golden files, in test_tokens.c and test_shards.c. */
#include "formats/stream.h"
#include "streams.h"

#include <zlib.h>

/* Two kinds that there are not, and one that there is. */
static const struct stream_format things = {
	.name = "things", .version = 3, .types = "ONE TWO Ab3 "};
static const struct stream_format fewer = {.name = "things", .version = 3, .types = "ONE TWO "};
static const struct stream_format tokens = {.name = "tokens", .version = 1, .types = "TOKN"};

static void frames_are_multiples_of_64_bytes(void **state)
{
	(void)state;
	assert_int_equal(stream_frame_size(0), 64);
	assert_int_equal(stream_frame_size(32), 64);
	assert_int_equal(stream_frame_size(33), 128);
	assert_int_equal(stream_frame_size(STREAM_FRAME_BYTES_MAX), (1ULL << 30) + 64);
}

static void headers_of_every_length_are_padded_and_come_back(void **state)
{
	char yaml[200];
	struct error err = {0};
	(void)state;
	for (size_t n = 3; n < 200; n++) {
		struct written file;
		struct stream_writer w;
		struct stream_reader r;
		struct input in;
		struct stream_frame frame;
		memset(yaml, 'k', n);
		memcpy(yaml + n - 3, ": 1\n", 3);
		yaml[n - 1] = '\n';
		written_open(&file, 0);
		assert_int_equal(stream_write_header(&w, &file.out, &tokens, yaml, n, &err), 0);
		assert_int_equal(file.out.offset % 64, 0);
		assert_int_equal(stream_write_end(&w, &err), 0);
		struct bytes bytes = written_close(&file);
		assert_memory_equal(bytes.v, "#charpipe tokens 1 header=00000", 31);
		assert_int_equal(bytes.v[63], '\n');
		assert_memory_equal(bytes.v + bytes.n - 64 - 5, "\n...\n", 5);

		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE);
		assert_int_equal(stream_read_header(&r, &in, &tokens, &err), 0);
		assert_int_equal(r.version, 1);
		assert_int_equal(r.yaml_bytes, bytes.n - 128);
		assert_memory_equal(r.yaml, "---\n", 4);
		assert_memory_equal(r.yaml + 4, yaml, n);
		assert_memory_equal(r.yaml + 4 + n, "# padding", 9);
		assert_int_equal(stream_read_frame(&r, &frame, NULL, 0, &err), 0);
		assert_int_equal(r.end.ids, 0);
		assert_int_equal(r.end.crc, 0);
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
		free(bytes.v);
	}
}

static void frames_come_back_in_order_with_their_places(void **state)
{
	static const char *const types[] = {"ONE ", "TWO ", "ONE ", "Ab3 "};
	static const size_t sizes[] = {0, 1, 32, 1000};
	unsigned char payload[1000], read[1000];
	struct written file;
	struct stream_writer w;
	struct stream_reader r;
	struct stream_frame frame;
	struct input in;
	struct error err = {0};
	uLong all = 0;
	(void)state;

	written_open(&file, 0);
	assert_int_equal(stream_write_header(&w, &file.out, &things, "a: 1\n", 5, &err), 0);
	for (int i = 0; i < 4; i++) {
		memset(payload, 'a' + i, sizes[i]);
		assert_int_equal(stream_write_frame(&w, types[i], payload, sizes[i], 7, &err), 0);
		all = crc32(all, payload, (uInt)sizes[i]);
	}
	assert_int_equal(stream_write_end(&w, &err), 0);
	struct bytes bytes = written_close(&file);

	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		int fd = open_bytes(&in, bytes.v, bytes.n, place);
		assert_int_equal(stream_read_header(&r, &in, &things, &err), 0);
		for (int i = 0; i < 4; i++) {
			unsigned char again[2048];
			assert_int_equal(stream_read_frame(&r, &frame, read, sizeof read, &err), 1);
			assert_string_equal(frame.type, types[i]);
			assert_int_equal(frame.bytes, sizes[i]);
			assert_int_equal(frame.sequence, i);
			memset(payload, 'a' + i, sizes[i]);
			assert_memory_equal(read, payload, sizes[i]);
			assert_memory_equal(bytes.v + frame.offset, payload, sizes[i]);

			/* Its bytes, read again, are the same frame; with any bit turned they are
			 * not. */
			size_t whole = (size_t)stream_frame_size(frame.bytes);
			memcpy(again, bytes.v + frame.offset - 32, whole);
			assert_int_equal(stream_check_frame(&frame, again, &err), 0);
			for (size_t bit = 0; bit < 8 * whole; bit++) {
				again[bit / 8] ^= (unsigned char)(1u << bit % 8);
				assert_int_equal(stream_check_frame(&frame, again, &err), -1);
				assert_int_equal(err.status, STATUS_DATA);
				again[bit / 8] ^= (unsigned char)(1u << bit % 8);
			}
		}
		assert_int_equal(stream_read_frame(&r, &frame, read, sizeof read, &err), 0);
		assert_int_equal(r.end.frames, 4);
		assert_int_equal(r.end.ids, 28);
		assert_int_equal(r.end.crc, all);
		if (place == IN_FILE) {
			struct stream_end end;
			assert_int_equal(stream_find_end(&in, &end, &err), 0);
			assert_memory_equal(&end.frames, &r.end.frames, 2 * sizeof end.frames);
			assert_int_equal(end.crc, all);
		}
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
	}

	/* A frame that the caller has no room for, or doesn't know, is refused. */
	for (int i = 0; i < 2; i++) {
		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE), more = 1;
		assert_int_equal(stream_read_header(&r, &in, i == 0 ? &things : &fewer, &err), 0);
		while (more > 0)
			more = stream_read_frame(&r, &frame, read, i == 0 ? 999 : 1000, &err);
		assert_int_equal(more, -1);
		assert_int_equal(r.end.frames, 3);
		assert_int_equal(err.status, STATUS_DATA);
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
	}
	free(bytes.v);
}

static void errors_name_the_file_the_frame_and_the_byte(void **state)
{
	struct bytes bytes = load(GOLDEN "flipped-payload.tokens");
	struct stream_reader r;
	struct stream_frame frame;
	struct input in;
	struct error err;
	unsigned char payload[100];
	int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE);
	(void)state;
	assert_int_equal(stream_read_header(&r, &in, &tokens, &err), 0);
	assert_int_equal(stream_read_frame(&r, &frame, payload, sizeof payload, &err), -1);
	assert_non_null(strstr(err.text, in.name));
	assert_non_null(strstr(err.text, "frame 0 at byte 256:"));
	stream_reader_release(&r);
	input_close(&in);
	close(fd);
	free(bytes.v);
}

/* What reading a header says of bytes. */
static void header_refused(const void *bytes, size_t n, const char *message)
{
	struct stream_reader r;
	struct input in;
	struct error err;
	int fd = open_bytes(&in, bytes, n, IN_FILE);
	assert_int_equal(stream_read_header(&r, &in, &tokens, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	if (!strstr(err.text, message))
		fail_msg("expected \"%s\" in \"%s\"", message, err.text);
	stream_reader_release(&r);
	input_close(&in);
	close(fd);
}

static void a_first_line_has_one_spelling(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{"#charpipe tokens 2 header=00000192 crc=00000000", "upgrade"},
		{"#charpipe tokens 999999999 header=00000192 crc=00000000", "upgrade"},
		{"#charpipe tokens 9999999999 header=00000192 crc=00000000", "damaged"},
		{"#charpipe tokens 02 header=00000192 crc=00000000", "damaged"},
		{"#charpipe tokens 2, header=00000192 crc=00000000", "damaged"},
		{"#charpipe tokens v2 header=00000192 crc=00000000", "damaged"},
		{"#charpipe tokens 1 header=0000019a crc=00000000", "damaged"},
		{"#charpipe tokens 1 header=00000192 crc=0000000g", "damaged"},
		{"#charpipe tokens 1 header=00000192 crc=0000000A", "damaged"},
		{"#charpipe tokens 1 header=00000192 crc=00000000 ,", "damaged"},
		{"#charpipe tokens 1 header=00000128 crc=00000001", "the header is damaged"},
		{"#charpipe tokens 1 header=00000000 crc=00000000", "multiple of 64"},
		{"#charpipe tokens 1 header=00000064 crc=00000000", "multiple of 64"},
		{"#charpipe tokens 1 header=00000129 crc=00000000", "multiple of 64"},
		{"#charpipe tokens 1 header=16777280 crc=00000000", "multiple of 64"},
		{"#charpipe tokens 1 header=01048576 crc=00000000", "incomplete"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char file[129];
		snprintf(file, sizeof file, "%-63s\n%64s", cases[i].line, "");
		header_refused(file, 128, cases[i].message);
	}
}

/* Files of every version up to the newest are read; what is newer is told. */
static void older_versions_are_read(void **state)
{
	struct written file;
	struct stream_writer w;
	struct stream_reader r;
	struct input in;
	struct error err;
	(void)state;
	written_open(&file, 0);
	assert_int_equal(stream_write_header(&w, &file.out, &things, "a: 1\n", 5, &err), 0);
	assert_int_equal(stream_write_end(&w, &err), 0);
	struct bytes bytes = written_close(&file);
	for (char version = '0'; version <= '4'; version++) {
		bytes.v[strlen("#charpipe things ")] = (unsigned char)version;
		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE);
		int rc = stream_read_header(&r, &in, &things, &err);
		assert_int_equal(rc, version >= '1' && version <= '3' ? 0 : -1);
		if (rc == 0)
			assert_int_equal(r.version, version - '0');
		else
			assert_non_null(strstr(err.text,
				version == '0' ? "first line is damaged"
					       : "written by a newer charpipe (things version 4); "
						 "this program reads up to 3"));
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
	}
	free(bytes.v);
}

static void a_header_begins_and_ends_with_its_marks(void **state)
{
	static const char *const begins[] = {"--- ", "---\n"}, *const ends[] = {
								       "\n...\n", " ...\n"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char file[128], line[64];
		memset(file, ' ', sizeof file);
		memcpy(file + 64, begins[i], 4);
		memcpy(file + 123, ends[i], 5);
		int n = snprintf(line, sizeof line, "#charpipe tokens 1 header=00000128 crc=%08x",
			(unsigned)crc32_z(0, (const unsigned char *)file + 64, 64));
		memcpy(file, line, (size_t)n);
		file[63] = '\n';
		header_refused(file, sizeof file, "must begin with a line");
	}
}

static void types_are_a_letter_and_letters_digits_or_spaces(void **state)
{
	static const struct {
		const char *type, *message;
	} cases[] = {
		{"Ab3 ", "unknown"},
		{"z   ", NULL},
		{"[bcd", "no type"},
		{"{bcd", "no type"},
		{"`bcd", "no type"},
		{"@bcd", "no type"},
		{"1bcd", "no type"},
		{" bcd", "no type"},
		{"a/cd", "no type"},
		{"a:cd", "no type"},
		{"ab{d", "no type"},
		{"abc[", "no type"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct stream_writer w;
		struct stream_reader r;
		struct stream_frame frame;
		struct written file;
		struct input in;
		struct error err;
		written_open(&file, 0);
		assert_int_equal(stream_write_header(&w, &file.out, &tokens, "a: 1\n", 5, &err), 0);
		assert_int_equal(stream_write_frame(&w, cases[i].type, "x", 1, 0, &err), 0);
		assert_int_equal(stream_write_end(&w, &err), 0);
		struct bytes bytes = written_close(&file);
		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE);
		assert_int_equal(stream_read_header(&r, &in, &tokens, &err), 0);
		int more = stream_read_frame(&r, &frame, NULL, 0, &err);
		assert_int_equal(more, cases[i].message ? -1 : 0);
		if (cases[i].message && !strstr(err.text, cases[i].message))
			fail_msg("%s: %s", cases[i].type, err.text);
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
		free(bytes.v);
	}
}

static void another_frame_is_not_taken_for_the_one_that_was_read(void **state)
{
	unsigned char bytes[64] = {0};
	struct stream_frame frame = {.type = "ONE ", .bytes = 8, .sequence = 3};
	struct error err;
	(void)state;
	frame.crc = (uint32_t)crc32_z(0, bytes + 32, 8);
	stream_make_head(&frame, bytes);
	assert_int_equal(stream_check_frame(&frame, bytes, &err), 0);
	for (int i = 0; i < 3; i++) {
		struct stream_frame other = frame;
		if (i == 0)
			other.type[2] = 'F';
		else if (i == 1)
			other.bytes = 7;
		else
			other.sequence = 4;
		assert_int_equal(stream_check_frame(&other, bytes, &err), -1);
		assert_non_null(strstr(err.text, "another frame stands in its place"));
	}
}

static void a_header_beyond_the_cap_is_not_written(void **state)
{
	char *yaml = calloc(1, STREAM_HEADER_MAX);
	struct written file;
	struct stream_writer w;
	struct error err;
	(void)state;
	written_open(&file, 0);
	assert_int_equal(
		stream_write_header(&w, &file.out, &tokens, yaml, STREAM_HEADER_MAX - 80, &err),
		-1);
	assert_int_equal(err.status, STATUS_DATA);
	struct bytes bytes = written_close(&file);
	assert_int_equal(bytes.n, 0);
	free(bytes.v);
	free(yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_multiples_of_64_bytes),
		cmocka_unit_test(headers_of_every_length_are_padded_and_come_back),
		cmocka_unit_test(frames_come_back_in_order_with_their_places),
		cmocka_unit_test(errors_name_the_file_the_frame_and_the_byte),
		cmocka_unit_test(a_first_line_has_one_spelling),
		cmocka_unit_test(older_versions_are_read),
		cmocka_unit_test(a_header_begins_and_ends_with_its_marks),
		cmocka_unit_test(types_are_a_letter_and_letters_digits_or_spaces),
		cmocka_unit_test(another_frame_is_not_taken_for_the_one_that_was_read),
		cmocka_unit_test(a_header_beyond_the_cap_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

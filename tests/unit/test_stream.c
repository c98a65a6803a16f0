/* The container by itself: headers of any length, frames of any size, what a file is. What is
 * refused is tested with golden files, in test_tokens.c and test_shards.c. */
#include "formats/stream.h"
#include "streams.h"

#include <zlib.h>

static void first_bytes_tell_what_a_file_is(void **state)
{
	(void)state;
	assert_int_equal(stream_identify("#charpipe tokens 1 header=", 26), STREAM_TOKENS);
	assert_int_equal(stream_identify("#charpipe shards 9 header=", 26), STREAM_SHARDS);
	assert_int_equal(stream_identify("\x40\1\0\0\0\0\0\0{\"a\":", 13), STREAM_MODEL);
	static const char saved[] = "\x40\1\0\0\0\0\0\0{\"__metadata__\":{\"crc32\":\"00000000\","
				    "\"format\":\"pt\",\"charpipe_state";
	assert_int_equal(stream_identify(saved, 64), STREAM_STATE);
	assert_int_equal(stream_identify(saved, 63), STREAM_MODEL);
	assert_int_equal(stream_identify("\x40\1\0\0\0\0\0\0[\"a\":", 13), STREAM_UNKNOWN);
	assert_int_equal(stream_identify("#charpipe tokens", 16), STREAM_UNKNOWN);
	assert_int_equal(stream_identify("#charpipe corpus 1", 18), STREAM_UNKNOWN);
	assert_int_equal(stream_identify("Happy families are all", 22), STREAM_UNKNOWN);
	assert_int_equal(stream_identify("", 0), STREAM_UNKNOWN);
}

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
		assert_int_equal(stream_write_header(&w, &file.out, "tokens", yaml, n, &err), 0);
		assert_int_equal(file.out.offset % 64, 0);
		assert_int_equal(stream_write_end(&w, &err), 0);
		struct bytes bytes = written_close(&file);
		assert_memory_equal(bytes.v, "#charpipe tokens 1 header=00000", 31);
		assert_int_equal(bytes.v[63], '\n');
		assert_memory_equal(bytes.v + bytes.n - 64 - 5, "\n...\n", 5);

		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE);
		assert_int_equal(stream_read_header(&r, &in, "tokens", &err), 0);
		assert_string_equal(r.kind, "tokens");
		assert_int_equal(r.yaml_bytes, bytes.n - 128);
		assert_memory_equal(r.yaml, "---\n", 4);
		assert_memory_equal(r.yaml + 4, yaml, n);
		assert_memory_equal(r.yaml + 4 + n, "# padding", 9);
		assert_int_equal(stream_read_frame(&r, "TOKN", &frame, NULL, 0, &err), 0);
		assert_int_equal(r.ids, 0);
		assert_int_equal(r.crc, 0);
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
	assert_int_equal(stream_write_header(&w, &file.out, "shards", "a: 1\n", 5, &err), 0);
	for (int i = 0; i < 4; i++) {
		memset(payload, 'a' + i, sizes[i]);
		assert_int_equal(stream_write_frame(&w, types[i], payload, sizes[i], 7, &err), 0);
		all = crc32(all, payload, (uInt)sizes[i]);
	}
	assert_int_equal(stream_write_end(&w, &err), 0);
	struct bytes bytes = written_close(&file);

	for (enum place place = IN_FILE; place <= IN_PIPE; place++) {
		int fd = open_bytes(&in, bytes.v, bytes.n, place);
		assert_int_equal(stream_read_header(&r, &in, "shards", &err), 0);
		for (int i = 0; i < 4; i++) {
			unsigned char again[2048];
			assert_int_equal(stream_read_frame(&r, "ONE TWO Ab3 ", &frame, read,
						 sizeof read, &err),
				1);
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
		assert_int_equal(
			stream_read_frame(&r, "ONE TWO Ab3 ", &frame, read, sizeof read, &err), 0);
		assert_int_equal(r.frames, 4);
		assert_int_equal(r.ids, 28);
		assert_int_equal(r.crc, all);
		stream_reader_release(&r);
		input_close(&in);
		close(fd);
	}

	/* A frame that the caller has no room for, or doesn't know, is refused. */
	for (int i = 0; i < 2; i++) {
		int fd = open_bytes(&in, bytes.v, bytes.n, IN_FILE), more = 1;
		assert_int_equal(stream_read_header(&r, &in, "shards", &err), 0);
		while (more > 0)
			more = stream_read_frame(&r, i == 0 ? "ONE TWO Ab3 " : "ONE TWO ", &frame,
				read, i == 0 ? 999 : 1000, &err);
		assert_int_equal(more, -1);
		assert_int_equal(r.frames, 3);
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
	assert_int_equal(stream_read_header(&r, &in, "tokens", &err), 0);
	assert_int_equal(stream_read_frame(&r, "TOKN", &frame, payload, sizeof payload, &err), -1);
	assert_non_null(strstr(err.text, in.name));
	assert_non_null(strstr(err.text, "frame 0 at byte 256:"));
	stream_reader_release(&r);
	input_close(&in);
	close(fd);
	free(bytes.v);
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
		stream_write_header(&w, &file.out, "tokens", yaml, STREAM_HEADER_MAX - 80, &err),
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
		cmocka_unit_test(first_bytes_tell_what_a_file_is),
		cmocka_unit_test(frames_are_multiples_of_64_bytes),
		cmocka_unit_test(headers_of_every_length_are_padded_and_come_back),
		cmocka_unit_test(frames_come_back_in_order_with_their_places),
		cmocka_unit_test(errors_name_the_file_the_frame_and_the_byte),
		cmocka_unit_test(a_header_beyond_the_cap_is_not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

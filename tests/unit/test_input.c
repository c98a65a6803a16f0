/* test_input.c: input arrives whole, from files, pipes and gzip, and what is broken is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

enum { TEXT_BYTES = 300000 };

/* A folder, and bytes that gzip can't squeeze to nothing. */
struct fixture {
	char folder[64];
	char path[96];
	unsigned char text[TEXT_BYTES];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	uint32_t x = 1;

	if (!f)
		return -1;
	snprintf(f->folder, sizeof f->folder, "/tmp/charpipe-input.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/file", f->folder);
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		f->text[i] = (unsigned char)("abcdefgh\n"[(x >> 24) % 9]);
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->folder);
	free(f);
	return 0;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

/* `members` gzip members holding the text's equal parts; the caller frees. */
static unsigned char *compress_text(const struct fixture *f, size_t members, size_t *n)
{
	size_t part = TEXT_BYTES / members, room = 2 * TEXT_BYTES;
	unsigned char *bytes = malloc(room);

	assert_non_null(bytes);
	*n = 0;
	for (size_t i = 0; i < members; i++) {
		unsigned char copy[TEXT_BYTES];
		z_stream z = {0};
		memcpy(copy, f->text + i * part, part);
		assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
		z.next_in = copy;
		z.avail_in = (uInt)part;
		z.next_out = bytes + *n;
		z.avail_out = (uInt)(room - *n);
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		*n = room - z.avail_out;
		deflateEnd(&z);
	}
	return bytes;
}

/* Reads to the end in pieces of `piece` bytes and compares with the fixture's text. */
static void assert_reads_text(struct input *in, const struct fixture *f, size_t piece)
{
	unsigned char *all = malloc(TEXT_BYTES + piece);
	struct error err;
	size_t n = 0;

	assert_non_null(all);
	for (;;) {
		ssize_t got = input_read(in, all + n, piece, &err);
		if (got < 0)
			fail_msg("%s", err.text);
		if (got == 0)
			break;
		n += (size_t)got;
		assert_int_equal(in->offset, n);
		assert_true(n <= TEXT_BYTES);
	}
	assert_int_equal(n, TEXT_BYTES);
	assert_memory_equal(all, f->text, TEXT_BYTES);
	assert_int_equal(input_read(in, all, piece, &err), 0);
	free(all);
}

static void a_file_is_read_whole_in_pieces_of_any_size(void **state)
{
	const struct fixture *f = *state;
	static const size_t pieces[] = {1, 7, 4096, 65535, 65536, 100000, TEXT_BYTES + 1};
	struct input in;
	struct error err;

	write_file(f->path, f->text, TEXT_BYTES);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
		assert_int_equal(in.size, TEXT_BYTES);
		assert_true(input_seekable(&in));
		assert_reads_text(&in, f, pieces[i]);
		input_close(&in);
	}
}

static void gzip_is_seen_through_in_one_member_or_several(void **state)
{
	const struct fixture *f = *state;
	static const size_t members[] = {1, 2, 100};
	struct input in;
	struct error err;

	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		size_t n;
		unsigned char *bytes = compress_text(f, members[i], &n);
		write_file(f->path, bytes, n);
		free(bytes);
		for (size_t piece = 1; piece <= 100000; piece = piece * 10) {
			assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
			assert_true(in.size == UINT64_MAX);
			assert_false(input_seekable(&in));
			assert_reads_text(&in, f, piece);
			input_close(&in);
		}
	}
}

static void text_is_never_decompressed(void **state)
{
	const struct fixture *f = *state;
	size_t n;
	unsigned char *bytes = compress_text(f, 1, &n), *back = malloc(n + 1);
	struct input in;
	struct error err;

	write_file(f->path, bytes, n);
	assert_int_equal(input_open(&in, f->path, INPUT_RAW, &err), 0);
	assert_int_equal(input_read_full(&in, back, n + 1, &err), (ssize_t)n);
	assert_memory_equal(back, bytes, n);
	input_close(&in);
	free(back);
	free(bytes);
}

/* Reads the file to its end; returns the status of the failure, 0 without one. */
static int read_to_the_end(const char *path, struct error *err)
{
	struct input in;
	char buf[10000];
	ssize_t n = -1;

	if (input_open(&in, path, INPUT_GUNZIP, err) == 0)
		do {
			n = input_read(&in, buf, sizeof buf, err);
		} while (n > 0);
	input_close(&in);
	return n < 0 ? (int)err->status : 0;
}

static void gzip_cut_anywhere_is_an_error(void **state)
{
	const struct fixture *f = *state;
	size_t n;
	unsigned char *bytes = compress_text(f, 1, &n);
	struct error err;

	for (size_t cut = 2; cut < n; cut += cut < 40 || n - cut < 40 ? 1 : 1009) {
		write_file(f->path, bytes, cut);
		if (read_to_the_end(f->path, &err) != STATUS_DATA)
			fail_msg("cut to %zu of %zu bytes: no error", cut, n);
		assert_non_null(strstr(err.text, "truncated"));
	}
	free(bytes);
}

static void garbage_behind_gzip_is_an_error(void **state)
{
	const struct fixture *f = *state;
	size_t n;
	unsigned char *bytes = compress_text(f, 1, &n);
	struct error err;

	bytes[n] = 'x';
	write_file(f->path, bytes, n + 1);
	assert_int_equal(read_to_the_end(f->path, &err), STATUS_DATA);
	assert_non_null(strstr(err.text, "garbage"));
	bytes[n] = 0x1F; /* the beginning of another member, and no more */
	write_file(f->path, bytes, n + 1);
	assert_int_equal(read_to_the_end(f->path, &err), STATUS_DATA);
	free(bytes);
}

static void a_flipped_byte_in_gzip_is_an_error(void **state)
{
	const struct fixture *f = *state;
	size_t n;
	unsigned char *bytes = compress_text(f, 1, &n);
	struct error err;

	for (size_t at = 10; at < n; at += 4999) {
		bytes[at] ^= 0x10;
		write_file(f->path, bytes, n);
		if (read_to_the_end(f->path, &err) != STATUS_DATA)
			fail_msg("byte %zu of %zu flipped: no error", at, n);
		bytes[at] ^= 0x10;
	}
	free(bytes);
}

static void peeking_consumes_nothing(void **state)
{
	const struct fixture *f = *state;
	unsigned char first[64];
	struct input in;
	struct error err;

	write_file(f->path, f->text, TEXT_BYTES);
	assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_peek(&in, first, 5, &err), 5);
	assert_int_equal(input_peek(&in, first, sizeof first, &err), sizeof first);
	assert_memory_equal(first, f->text, sizeof first);
	assert_int_equal(in.offset, 0);
	assert_reads_text(&in, f, 3000);
	assert_int_equal(input_peek(&in, first, sizeof first, &err), 0);
	input_close(&in);
}

static void a_peek_beyond_the_end_gives_what_there_is(void **state)
{
	const struct fixture *f = *state;
	unsigned char first[64];
	struct input in;
	struct error err;

	for (size_t n = 0; n < 4; n++) {
		write_file(f->path, f->text, n);
		assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
		assert_int_equal(input_peek(&in, first, sizeof first, &err), n);
		assert_int_equal(input_read_full(&in, first, sizeof first, &err), n);
		assert_int_equal(input_read(&in, first, sizeof first, &err), 0);
		input_close(&in);
	}
}

static void a_pipe_fed_in_drips_is_read_whole(void **state)
{
	const struct fixture *f = *state;
	int ends[2], saved = dup(STDIN_FILENO), status;
	struct input in;
	struct error err;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		size_t done = 0;
		for (size_t n = 1; done < TEXT_BYTES; n = n % 5000 + 7) {
			if (n > TEXT_BYTES - done)
				n = TEXT_BYTES - done;
			ssize_t rc = write(ends[1], f->text + done, n);
			if (rc < 0)
				_exit(1);
			done += (size_t)rc;
		}
		_exit(0);
	}
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(input_open(&in, "-", INPUT_GUNZIP, &err), 0);
	assert_string_equal(in.name, "standard input");
	assert_false(input_seekable(&in));
	assert_reads_text(&in, f, 4096);
	input_close(&in);
	dup2(saved, STDIN_FILENO);
	close(saved);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void what_cannot_be_opened_is_status_66(void **state)
{
	const struct fixture *f = *state;
	struct input in;
	struct error err;

	assert_int_equal(input_open(&in, f->folder, INPUT_RAW, &err), -1);
	assert_int_equal(err.status, STATUS_NO_INPUT);
	assert_non_null(strstr(err.text, "is a directory"));
	input_close(&in);
	assert_int_equal(input_open(&in, "/nonexistent/a", INPUT_RAW, &err), -1);
	assert_int_equal(err.status, STATUS_NO_INPUT);
	assert_string_equal(err.text, "/nonexistent/a: can't open: No such file or directory");
	input_close(&in);
}

static void an_input_read_from_its_middle_is_not_seekable(void **state)
{
	const struct fixture *f = *state;
	int saved = dup(STDIN_FILENO), fd;
	struct input in;
	struct error err;

	write_file(f->path, f->text, TEXT_BYTES);
	fd = open(f->path, O_RDONLY);
	assert_int_equal(lseek(fd, 1000, SEEK_SET), 1000);
	dup2(fd, STDIN_FILENO);
	close(fd);
	assert_int_equal(input_open(&in, NULL, INPUT_GUNZIP, &err), 0);
	assert_int_equal(in.size, TEXT_BYTES - 1000);
	assert_false(input_seekable(&in));
	input_close(&in);
	dup2(saved, STDIN_FILENO);
	close(saved);
}

static void an_input_read_from_beyond_its_end_is_empty(void **state)
{
	const struct fixture *f = *state;
	int saved = dup(STDIN_FILENO), fd;
	struct input in;
	struct error err;
	char byte;

	write_file(f->path, "abc", 3);
	fd = open(f->path, O_RDONLY);
	assert_int_equal(lseek(fd, 10, SEEK_SET), 10);
	dup2(fd, STDIN_FILENO);
	close(fd);
	assert_int_equal(input_open(&in, NULL, INPUT_GUNZIP, &err), 0);
	assert_int_equal(in.size, 0);
	assert_int_equal(input_read(&in, &byte, 1, &err), 0);
	input_close(&in);
	dup2(saved, STDIN_FILENO);
	close(saved);
}

static void standard_input_must_be_open_for_reading(void **state)
{
	const struct fixture *f = *state;
	int saved = dup(STDIN_FILENO), fd;
	struct input in;
	struct error err;

	write_file(f->path, "abc", 3);
	for (int way = 0; way < 2; way++) {
		close(STDIN_FILENO);
		if (way == 1) {
			fd = open(f->path, O_WRONLY);
			assert_int_equal(fd, STDIN_FILENO);
		}
		assert_int_equal(input_open(&in, NULL, INPUT_RAW, &err), -1);
		assert_int_equal(err.status, STATUS_NO_INPUT);
		assert_string_equal(err.text, "standard input: not open for reading");
		input_close(&in);
	}
	dup2(saved, STDIN_FILENO);
	close(saved);
}

static void nothing_is_read_where_nothing_is_asked_for(void **state)
{
	const struct fixture *f = *state;
	struct input in;
	struct error err;
	char byte;

	write_file(f->path, "a", 1);
	assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_read(&in, NULL, 0, &err), 0);
	assert_int_equal(input_read(&in, &byte, 1, &err), 1);
	assert_int_equal(byte, 'a');
	input_close(&in);
}

static void half_of_gzip_s_magic_is_text(void **state)
{
	const struct fixture *f = *state;
	struct input in;
	struct error err;
	char bytes[2];

	write_file(f->path,
		"\x1f"
		"A",
		2);
	assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_read(&in, bytes, 2, &err), 2);
	assert_memory_equal(bytes,
		"\x1f"
		"A",
		2);
	input_close(&in);
}

static void a_peek_at_broken_gzip_is_an_error(void **state)
{
	const struct fixture *f = *state;
	struct input in;
	struct error err;
	char bytes[8];

	write_file(f->path, "\x1f\x8b\x08\0\0\0\0\0\0\x03\xff\xff\xff", 13);
	assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_peek(&in, bytes, 8, &err), -1);
	assert_int_equal(err.status, STATUS_DATA);
	assert_non_null(strstr(err.text, "corrupt"));
	input_close(&in);
}

/* Of which zlib can count but a part: no page of it is touched but the first ones. */
static void more_than_a_gibibyte_may_be_asked_for(void **state)
{
	const struct fixture *f = *state;
	size_t n, room = (size_t)3 << 29;
	unsigned char *bytes = compress_text(f, 1, &n);
	struct input in;
	struct error err;

	write_file(f->path, bytes, n);
	free(bytes);
	bytes = mmap(NULL, room, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(bytes != MAP_FAILED);
	assert_int_equal(input_open(&in, f->path, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_read_full(&in, bytes, room, &err), TEXT_BYTES);
	assert_memory_equal(bytes, f->text, TEXT_BYTES);
	input_close(&in);
	munmap(bytes, room);
}

static void closing_a_zeroed_input_leaves_stdin_open(void **state)
{
	(void)state;
	struct input in = {0};
	int before = fcntl(STDIN_FILENO, F_GETFD);

	input_close(&in);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), before);
}

static void memory_is_read_as_a_file_is(void **state)
{
	struct fixture *f = *state;
	struct error err;
	struct input in;
	size_t n;
	unsigned char *z = compress_text(f, 2, &n), first[64], more;

	assert_int_equal(input_open_memory(&in, "here", f->text, TEXT_BYTES, INPUT_RAW, &err), 0);
	assert_int_equal(in.size, TEXT_BYTES);
	assert_false(input_seekable(&in));
	assert_int_equal(input_peek(&in, first, sizeof first, &err), sizeof first);
	assert_memory_equal(first, f->text, sizeof first);
	assert_reads_text(&in, f, 1000);
	input_close(&in);
	assert_int_equal(input_open_memory(&in, "here", z, n, INPUT_GUNZIP, &err), 0);
	assert_reads_text(&in, f, TEXT_BYTES);
	input_close(&in);
	assert_int_equal(input_open_memory(&in, "here", z, n - 1, INPUT_GUNZIP, &err), 0);
	while (input_read(&in, first, sizeof first, &err) > 0)
		;
	assert_int_equal(input_read(&in, &more, 1, &err), -1);
	assert_string_equal(
		err.text, "here: compressed data is truncated, after 300000 decompressed bytes");
	input_close(&in);
	assert_int_equal(input_open_memory(&in, "here", "", 0, INPUT_GUNZIP, &err), 0);
	assert_int_equal(input_read(&in, &more, 1, &err), 0);
	input_close(&in);
	free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_whole_in_pieces_of_any_size),
		cmocka_unit_test(gzip_is_seen_through_in_one_member_or_several),
		cmocka_unit_test(text_is_never_decompressed),
		cmocka_unit_test(gzip_cut_anywhere_is_an_error),
		cmocka_unit_test(garbage_behind_gzip_is_an_error),
		cmocka_unit_test(a_flipped_byte_in_gzip_is_an_error),
		cmocka_unit_test(memory_is_read_as_a_file_is),
		cmocka_unit_test(peeking_consumes_nothing),
		cmocka_unit_test(a_peek_beyond_the_end_gives_what_there_is),
		cmocka_unit_test(a_pipe_fed_in_drips_is_read_whole),
		cmocka_unit_test(what_cannot_be_opened_is_status_66),
		cmocka_unit_test(an_input_read_from_its_middle_is_not_seekable),
		cmocka_unit_test(an_input_read_from_beyond_its_end_is_empty),
		cmocka_unit_test(standard_input_must_be_open_for_reading),
		cmocka_unit_test(nothing_is_read_where_nothing_is_asked_for),
		cmocka_unit_test(half_of_gzip_s_magic_is_text),
		cmocka_unit_test(a_peek_at_broken_gzip_is_an_error),
		cmocka_unit_test(more_than_a_gibibyte_may_be_asked_for),
		cmocka_unit_test(closing_a_zeroed_input_leaves_stdin_open),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

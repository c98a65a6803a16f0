/* test_output.c: a file appears complete or not at all, and no failed write goes unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/input.h"
#include "base/output.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BIG = 1000000 };

/* Each test gets an empty folder, which is also the current one. */
struct fixture {
	char folder[64];
	int home; /* the folder before */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	if (!f)
		return -1;
	snprintf(f->folder, sizeof f->folder, "/tmp/charpipe-output.XXXXXX");
	f->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->home < 0 || !mkdtemp(f->folder) || chdir(f->folder) < 0)
		return -1;
	umask(022);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
	int rc = system(command);
	if (fchdir(f->home) < 0)
		rc = -1;
	close(f->home);
	free(f);
	return rc;
}

/* Stands before the C library's: output.c asks it whether a file without a name could get one. */
static bool proc_is_hidden;
int access(const char *path, int mode)
{
	if (proc_is_hidden && strncmp(path, "/proc/", 6) == 0)
		return -1;
	return faccessat(AT_FDCWD, path, mode, 0);
}

/* The entries of the current folder. */
static int count_files(void)
{
	DIR *d = opendir(".");
	int n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void assert_content(const char *path, const void *bytes, size_t n)
{
	struct input in;
	struct error err;
	unsigned char *got = malloc(n + 1);

	assert_non_null(got);
	if (input_open(&in, path, INPUT_GUNZIP, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(input_read_full(&in, got, n + 1, &err), n);
	assert_memory_equal(got, bytes, n);
	input_close(&in);
	free(got);
}

static void write_text(const char *path, const char *text)
{
	struct output out;
	struct error err;

	if (output_open(&out, path, 0, &err) < 0 ||
		output_write(&out, text, strlen(text), &err) < 0 || output_commit(&out, &err) < 0)
		fail_msg("%s", err.text);
	output_discard(&out);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void a_file_appears_when_it_is_committed(void **state)
{
	(void)state;
	struct output out;
	struct error err;

	assert_int_equal(output_open(&out, "a", OUTPUT_BINARY, &err), 0);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	assert_int_equal(output_flush(&out, &err), 0);
	assert_int_equal(count_files(), 0);
	assert_int_equal(output_commit(&out, &err), 0);
	assert_int_equal(count_files(), 1);
	assert_content("a", "text", 4);
	assert_int_equal(mode_of("a"), S_IFREG | 0644);
}

static void a_discarded_file_leaves_nothing(void **state)
{
	(void)state;
	struct output out;
	struct error err;

	write_text("old", "old");
	assert_int_equal(output_open(&out, "new", 0, &err), 0);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	output_discard(&out);
	output_discard(&out);
	assert_int_equal(output_open(&out, "old", 0, &err), 0);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	output_discard(&out);
	assert_int_equal(count_files(), 1);
	assert_content("old", "old", 3);
}

static void without_nameless_files_a_temporary_name_is_used(void **state)
{
	(void)state;
	struct output out;
	struct error err;

	proc_is_hidden = true;
	write_text("a", "old");
	assert_content("a", "old", 3);
	assert_int_equal(output_open(&out, "a", 0, &err), 0);
	assert_int_equal(output_write(&out, "new", 3, &err), 0);
	assert_int_equal(count_files(), 2);
	output_discard(&out);
	assert_int_equal(count_files(), 1);
	assert_content("a", "old", 3);
	umask(077);
	write_text("b", "text");
	proc_is_hidden = false;
	assert_int_equal(mode_of("b"), S_IFREG | 0600);
	assert_int_equal(count_files(), 2);
}

static void the_umask_is_obeyed(void **state)
{
	(void)state;
	umask(077);
	write_text("private", "");
	umask(0);
	write_text("public", "");
	assert_int_equal(mode_of("private"), S_IFREG | 0600);
	assert_int_equal(mode_of("public"), S_IFREG | 0666);
}

static void a_replaced_file_keeps_its_permissions(void **state)
{
	(void)state;
	write_text("a", "old");
	assert_int_equal(chmod("a", 0750), 0);
	write_text("a", "new");
	assert_content("a", "new", 3);
	assert_int_equal(mode_of("a"), S_IFREG | 0750);
	assert_int_equal(count_files(), 1);
}

static void an_open_reader_of_the_old_file_keeps_it(void **state)
{
	(void)state;
	char text[3];

	write_text("a", "old");
	int fd = open("a", O_RDONLY);
	write_text("a", "new");
	assert_int_equal(read(fd, text, 3), 3);
	assert_memory_equal(text, "old", 3);
	close(fd);
}

static void symbolic_links_stay_and_their_targets_are_replaced(void **state)
{
	(void)state;
	assert_int_equal(mkdir("folder", 0777), 0);
	write_text("folder/target", "old");
	assert_int_equal(symlink("second", "first"), 0);
	assert_int_equal(symlink("folder/target", "second"), 0);
	write_text("first", "new");
	assert_true(S_ISLNK(mode_of("first")));
	assert_content("folder/target", "new", 3);
	assert_int_equal(count_files(), 3);
}

static void a_dangling_link_is_filled(void **state)
{
	(void)state;
	char to[16] = {0};

	assert_int_equal(mkdir("folder", 0777), 0);
	assert_int_equal(symlink("folder/new", "link"), 0);
	write_text("link", "text");
	assert_content("folder/new", "text", 4);
	assert_int_equal(readlink("link", to, sizeof to - 1), 10);
	assert_string_equal(to, "folder/new");
}

static void assert_open_fails(const char *path, enum status status, const char *text)
{
	struct output out;
	struct error err;

	assert_int_equal(output_open(&out, path, 0, &err), -1);
	assert_int_equal(err.status, status);
	assert_non_null(strstr(err.text, text));
	output_discard(&out);
}

static void what_cannot_be_created_is_status_73(void **state)
{
	(void)state;
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_open_fails("/", STATUS_CANT_CREATE, "is a directory");
	assert_open_fails(".", STATUS_CANT_CREATE, "is a directory");
	assert_open_fails("absent/a", STATUS_CANT_CREATE, "No such file");
	assert_open_fails("a/", STATUS_CANT_CREATE, "a/: ");
	assert_open_fails("", STATUS_CANT_CREATE, ": ");
	assert_open_fails("loop", STATUS_CANT_CREATE, "symbolic links");
	assert_open_fails("/dev/fd/99", STATUS_CANT_CREATE, "Bad file descriptor");
	if (geteuid() != 0) {
		write_text("protected", "");
		chmod("protected", 0444);
		assert_open_fails("protected", STATUS_CANT_CREATE, "Permission denied");
	}
}

static void a_fifo_is_written_in_place(void **state)
{
	(void)state;
	char text[5] = {0};

	assert_int_equal(mkfifo("fifo", 0666), 0);
	int fd = open("fifo", O_RDWR);
	write_text("fifo", "text");
	assert_int_equal(read(fd, text, 4), 4);
	assert_string_equal(text, "text");
	close(fd);
	assert_true(S_ISFIFO(mode_of("fifo")));
}

static void a_descriptor_by_name_is_written_where_it_stands(void **state)
{
	(void)state;
	char path[32];
	int fd = open("a", O_WRONLY | O_CREAT, 0666);

	assert_int_equal(write(fd, "head ", 5), 5);
	snprintf(path, sizeof path, "/dev/fd/%d", fd);
	write_text(path, "text ");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	assert_int_equal(symlink(path, "link"), 0);
	write_text("link", "more");
	assert_int_equal(fcntl(fd, F_GETFD), 0); /* not closed */
	close(fd);
	assert_content("a", "head text more", 14);
}

/* What /dev/stdout and its like stand for; other names beside them are files. */
static void standard_output_has_four_names(void **state)
{
	(void)state;
	static const char *const names[] = {NULL, "-", "/dev/stdout", "/dev/fd/1", "/dev/stderr"};
	static const char *const others[] = {"/dev/fd/x", "/dev/fd/", "/dev/fd/1x", "/dev/fd/1/2",
		"/dev/fd/99999999999", "/proc/self/fd/:"};
	struct output out;
	struct error err;
	struct stat found, expected;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(output_open(&out, names[i], 0, &err), 0);
		assert_true(out.fd > STDERR_FILENO);
		assert_int_equal(fstat(out.fd, &found), 0);
		assert_int_equal(fstat(i == 4 ? STDERR_FILENO : STDOUT_FILENO, &expected), 0);
		assert_true(found.st_dev == expected.st_dev && found.st_ino == expected.st_ino);
		assert_null(out.target);
		output_discard(&out);
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_open_fails(others[i], STATUS_CANT_CREATE, others[i]);
}

static void room_is_reserved_for_files_alone(void **state)
{
	(void)state;
	struct output out;
	struct error err;

	assert_int_equal(output_open(&out, "a", 0, &err), 0);
	assert_int_equal(output_reserve(&out, 0, &err), 0);
	assert_int_equal(output_reserve(&out, 10000, &err), 0);
	assert_int_equal(output_reserve(&out, UINT64_MAX, &err), -1);
	assert_int_equal(err.status, STATUS_IO);
	assert_int_equal(output_reserve(&out, 10000, &err), -1); /* and so for ever after */
	assert_non_null(strstr(err.text, "an earlier write failed"));
	output_discard(&out);
	assert_int_equal(output_open(&out, "a", OUTPUT_GZIP, &err), 0);
	assert_int_equal(output_reserve(&out, UINT64_MAX, &err), 0);
	output_discard(&out);
	assert_int_equal(output_open(&out, "/dev/full", 0, &err), 0);
	assert_int_equal(output_reserve(&out, UINT64_MAX, &err), 0);
	output_discard(&out);
}

static void a_full_device_is_status_74_and_stays_failed(void **state)
{
	(void)state;
	static char big[BIG];
	struct output out;
	struct error err;

	assert_int_equal(output_open(&out, "/dev/full", 0, &err), 0);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	assert_int_equal(output_commit(&out, &err), -1);
	assert_int_equal(err.status, STATUS_IO);
	assert_string_equal(err.text, "/dev/full: can't write: No space left on device");
	assert_int_equal(output_write(&out, "text", 4, &err), -1);
	assert_int_equal(output_flush(&out, &err), -1);
	assert_int_equal(output_commit(&out, &err), -1);
	assert_int_equal(err.status, STATUS_IO);
	output_discard(&out);

	assert_int_equal(output_open(&out, "/dev/full", OUTPUT_GZIP, &err), 0);
	assert_true(output_write(&out, big, sizeof big, &err) < 0 || output_commit(&out, &err) < 0);
	assert_int_equal(err.status, STATUS_IO);
	output_discard(&out);
}

static void a_reader_that_went_away_is_status_74(void **state)
{
	(void)state;
	int ends[2];
	char path[32];
	struct output out;
	struct error err;
	void (*old)(int) = signal(SIGPIPE, SIG_IGN);

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
	assert_int_equal(output_open(&out, path, 0, &err), 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	assert_int_equal(output_flush(&out, &err), -1);
	assert_int_equal(err.status, STATUS_IO);
	output_discard(&out);
	signal(SIGPIPE, old);
}

static void a_file_over_the_size_limit_leaves_the_old_one(void **state)
{
	(void)state;
	static char big[BIG];
	struct rlimit old, low;
	struct output out;
	struct error err;
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

	write_text("a", "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = BIG / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	assert_int_equal(output_open(&out, "a", 0, &err), 0);
	int rc = output_write(&out, big, sizeof big, &err);
	output_discard(&out);
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, handler);
	assert_int_equal(rc, -1);
	assert_int_equal(err.status, STATUS_IO);
	assert_content("a", "old", 3);
	assert_int_equal(count_files(), 1);
}

/* A million bytes in pieces of all sizes, plain and compressed. */
static void everything_written_arrives(void **state)
{
	(void)state;
	unsigned char *bytes = malloc(BIG);
	struct output out;
	struct error err;
	uint32_t x = 1;

	assert_non_null(bytes);
	for (size_t i = 0; i < BIG; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(x >> 29);
	}
	for (unsigned flags = 0; flags <= OUTPUT_GZIP; flags += OUTPUT_GZIP) {
		assert_int_equal(output_open(&out, "a", flags, &err), 0);
		for (size_t at = 0, n = 0; at < BIG; at += n, n = n * 3 % 200001 + 1) {
			if (n > BIG - at)
				n = BIG - at;
			assert_int_equal(output_write(&out, bytes + at, n, &err), 0);
			if (n % 5 == 0)
				assert_int_equal(output_flush(&out, &err), 0);
		}
		assert_int_equal(out.offset, BIG);
		assert_int_equal(output_commit(&out, &err), 0);
		assert_content("a", bytes, BIG);
	}
	free(bytes);
}

static void compressed_output_tells_no_time_and_no_name(void **state)
{
	(void)state;
	static const unsigned char expected[] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0};
	unsigned char head[8];
	struct output out;
	struct error err;

	assert_int_equal(output_open(&out, "a", OUTPUT_GZIP, &err), 0);
	assert_int_equal(output_write(&out, "text", 4, &err), 0);
	assert_int_equal(output_commit(&out, &err), 0);
	int fd = open("a", O_RDONLY);
	assert_int_equal(read(fd, head, sizeof head), sizeof head);
	assert_memory_equal(head, expected, sizeof head);
	close(fd);
}

static void a_flush_reaches_the_reader_of_a_pipe(void **state)
{
	(void)state;
	int ends[2];
	char path[32], c = 0;
	struct output out;
	struct error err;

	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
	assert_int_equal(output_open(&out, path, 0, &err), 0);
	assert_int_equal(output_write(&out, "x", 1, &err), 0);
	assert_int_equal(output_flush(&out, &err), 0);
	assert_int_equal(read(ends[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(output_commit(&out, &err), 0);
	close(ends[0]);
	close(ends[1]);
}

static void a_terminal_gets_no_binary(void **state)
{
	(void)state;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	struct output out;
	struct error err;

	if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0)
		skip();
	const char *path = ptsname(terminal);
	assert_int_equal(output_open(&out, path, OUTPUT_BINARY, &err), -1);
	assert_int_equal(err.status, STATUS_USAGE);
	assert_non_null(strstr(err.text, "-o"));
	assert_non_null(strstr(err.text, "-f"));
	assert_non_null(strstr(err.text, "|"));
	assert_int_equal(output_open(&out, path, 0, &err), 0);
	output_discard(&out);
	close(terminal);
}

static void discarding_a_zeroed_output_leaves_stdout_open(void **state)
{
	(void)state;
	struct output out = {0};
	int before = fcntl(STDIN_FILENO, F_GETFD);

	output_discard(&out);
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_file_appears_when_it_is_committed),
		TEST(a_discarded_file_leaves_nothing),
		TEST(without_nameless_files_a_temporary_name_is_used),
		TEST(the_umask_is_obeyed),
		TEST(a_replaced_file_keeps_its_permissions),
		TEST(an_open_reader_of_the_old_file_keeps_it),
		TEST(symbolic_links_stay_and_their_targets_are_replaced),
		TEST(a_dangling_link_is_filled),
		TEST(what_cannot_be_created_is_status_73),
		TEST(a_fifo_is_written_in_place),
		TEST(a_descriptor_by_name_is_written_where_it_stands),
		TEST(standard_output_has_four_names),
		TEST(room_is_reserved_for_files_alone),
		TEST(a_full_device_is_status_74_and_stays_failed),
		TEST(a_reader_that_went_away_is_status_74),
		TEST(a_file_over_the_size_limit_leaves_the_old_one),
		TEST(everything_written_arrives),
		TEST(compressed_output_tells_no_time_and_no_name),
		TEST(a_flush_reaches_the_reader_of_a_pipe),
		TEST(a_terminal_gets_no_binary),
		TEST(discarding_a_zeroed_output_leaves_stdout_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Interruptions, descriptors that don't block, short reads and writes. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

enum { BYTES = 300000, PIPE_BYTES = 4096 };

static unsigned char bytes[BYTES];

struct end {
	int fd;
	size_t count;
	bool same;
};

/* Takes what comes, slowly at first, and compares it. */
static void *take(void *arg)
{
	struct end *end = arg;
	unsigned char buf[1000];
	ssize_t n;
	end->same = true;
	usleep(20000);
	while ((n = io_read(end->fd, buf, sizeof buf)) > 0) {
		end->same &= end->count + (size_t)n <= BYTES &&
			     memcmp(buf, bytes + end->count, (size_t)n) == 0;
		end->count += (size_t)n;
	}
	return NULL;
}

static void on_alarm(int number)
{
	(void)number;
}

/* A timer that interrupts every call that waits. */
static void interrupt(long microseconds)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval timer = {{0, microseconds}, {0, microseconds}};
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void through_a_pipe(int flags, long microseconds)
{
	int fd[2];
	pthread_t thread;
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 16);
	assert_int_equal(pipe2(fd, flags), 0);
	assert_true(fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES) >= 0);
	struct end end = {.fd = fd[0]};
	interrupt(microseconds);
	assert_int_equal(pthread_create(&thread, NULL, take, &end), 0);
	assert_int_equal(io_write(fd[1], bytes, BYTES), 0);
	assert_int_equal(io_close(fd[1]), 0);
	pthread_join(thread, NULL);
	interrupt(0);
	assert_int_equal(end.count, BYTES);
	assert_true(end.same);
	io_close(fd[0]);
}

static void test_pipe(void **state)
{
	(void)state;
	through_a_pipe(0, 0);
}

static void test_nonblocking(void **state)
{
	(void)state;
	through_a_pipe(O_NONBLOCK, 0);
}

static void test_interrupted(void **state)
{
	(void)state;
	through_a_pipe(0, 500);
	through_a_pipe(O_NONBLOCK, 500);
}

static void test_read_at(void **state)
{
	char path[] = "/tmp/charpipe-io-XXXXXX", buf[8];
	int fd = mkostemp(path, O_CLOEXEC);
	(void)state;
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(io_write(fd, "abcdef", 6), 0);
	assert_int_equal(io_read_at(fd, buf, 3, 2), 3);
	assert_memory_equal(buf, "cde", 3);
	assert_int_equal(io_read_at(fd, buf, 8, 4), 2);
	assert_memory_equal(buf, "ef", 2);
	assert_int_equal(io_read_at(fd, buf, 8, 6), 0);
	assert_int_equal(io_close(fd), 0);
	assert_int_equal(io_read_at(fd, buf, 8, 0), -1);
	assert_int_equal(errno, EBADF);
}

/* Failures that waiting can't mend are told. */
static void test_failures(void **state)
{
	int fd[2];
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	assert_true(io_waits(fd[0]));
	assert_int_equal(io_write(fd[1], "x", 1), 0);
	assert_false(io_waits(fd[0]));
	io_close(fd[0]);
	assert_int_equal(io_write(fd[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	io_close(fd[1]);
	assert_int_equal(io_open("/nonexistent/file", O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(io_reserve(0, UINT64_MAX), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(io_close(-1), -1);
}

static void test_inheritance(void **state)
{
	int fd = io_open("/dev/null", O_RDONLY), second = io_duplicate(fd);
	(void)state;
	assert_true(second > STDERR_FILENO);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(second, F_GETFD), FD_CLOEXEC);
	io_close(fd);
	io_close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_nonblocking),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_read_at),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_inheritance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

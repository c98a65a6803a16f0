/* The spool: what was written is read back from any place, in memory, in the file, across both. */
#include "base/spool.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The byte at an offset: no period divides a power of two. */
static unsigned char byte_at(uint64_t offset)
{
	return (unsigned char)(offset % 251);
}

static void spool_of(struct spool *spool, uint64_t size, size_t step)
{
	struct error err;
	unsigned char *buf = malloc(step);
	assert_int_equal(spool_init(spool, &err), 0);
	while (spool->size < size) {
		size_t n = size - spool->size < step ? (size_t)(size - spool->size) : step;
		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(spool->size + i);
		assert_int_equal(spool_write(spool, buf, n, &err), 0);
	}
	free(buf);
}

static void assert_range(const struct spool *spool, uint64_t offset, size_t n)
{
	struct error err;
	unsigned char *buf = malloc(n + 1);
	buf[n] = 77;
	assert_int_equal(spool_read(spool, offset, buf, n, &err), 0);
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(offset + i))
			fail_msg("byte %" PRIu64 " is wrong", offset + i);
	assert_int_equal(buf[n], 77);
	free(buf);
}

static void what_fits_stays_in_memory(void **state)
{
	struct spool spool;
	(void)state;
	spool_of(&spool, SPOOL_MEMORY, 100000);
	assert_int_equal(spool.fd, -1);
	assert_range(&spool, 0, SPOOL_MEMORY);
	assert_range(&spool, SPOOL_MEMORY - 1, 1);
	assert_range(&spool, 12345, 0);
	spool_release(&spool);
	spool_release(&spool);
}

static void the_rest_goes_to_a_file(void **state)
{
	static const size_t steps[] = {99991, SPOOL_MEMORY, 3 * SPOOL_MEMORY};
	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		struct spool spool;
		spool_of(&spool, SPOOL_MEMORY * 5 / 2, steps[i]);
		assert_true(spool.fd >= 0);
		assert_int_equal(spool.size, SPOOL_MEMORY * 5 / 2);
		assert_range(&spool, 0, SPOOL_MEMORY * 5 / 2);
		assert_range(&spool, SPOOL_MEMORY - 10, 20);
		assert_range(&spool, SPOOL_MEMORY, 10);
		assert_range(&spool, SPOOL_MEMORY * 2 + 3, 1000);
		assert_range(&spool, SPOOL_MEMORY * 5 / 2 - 1, 1);
		spool_release(&spool);
	}
}

static void a_directory_that_is_not_there_is_told(void **state)
{
	struct spool spool;
	struct error err = {0};
	(void)state;
	spool_of(&spool, SPOOL_MEMORY, 1 << 20);
	setenv("TMPDIR", "/nowhere/at/all", 1);
	assert_int_equal(spool_write(&spool, "x", 1, &err), -1);
	unsetenv("TMPDIR");
	assert_int_equal(err.status, STATUS_IO);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	assert_non_null(strstr(err.text, "TMPDIR"));
	spool_release(&spool);
}

static void tmpdir_may_be_empty_but_not_longer_than_a_path(void **state)
{
	char name[5000];
	struct spool spool;
	struct error err = {0};
	(void)state;
	memset(name, 'd', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	spool_of(&spool, SPOOL_MEMORY, 1 << 20);
	setenv("TMPDIR", name, 1);
	assert_int_equal(spool_write(&spool, "x", 1, &err), -1);
	assert_int_equal(err.status, STATUS_IO);
	assert_non_null(strstr(err.text, "$TMPDIR is too long"));
	setenv("TMPDIR", "", 1); /* as if it were not set */
	assert_int_equal(spool_write(&spool, "x", 1, &err), 0);
	unsetenv("TMPDIR");
	spool_release(&spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_stays_in_memory),
		cmocka_unit_test(the_rest_goes_to_a_file),
		cmocka_unit_test(a_directory_that_is_not_there_is_told),
		cmocka_unit_test(tmpdir_may_be_empty_but_not_longer_than_a_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

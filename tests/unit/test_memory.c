/* Large arrays: zero, aligned, not there before they are touched, nor after they are discarded. */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void memory_is_zero_and_aligned_whatever_its_size(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 100000, 5 << 20};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned char *p = memory_alloc(sizes[i]);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % MEMORY_ALIGNMENT, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xa5, sizes[i]);
		memory_free(p);
	}
	memory_free(NULL);
}

static void more_than_there_is_is_refused(void **state)
{
	(void)state;
	assert_null(memory_alloc(SIZE_MAX));
	assert_null(memory_alloc(SIZE_MAX - MEMORY_ALIGNMENT));
}

/* Pages of [p, p + bytes), a whole number of them, that are resident. */
static size_t resident(void *p, size_t bytes)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *vector = malloc(bytes / page);
	size_t count = 0;
	assert_non_null(vector);
	assert_int_equal(mincore(p, bytes, vector), 0);
	for (size_t i = 0; i < bytes / page; i++)
		count += vector[i] & 1;
	free(vector);
	return count;
}

static void what_is_discarded_goes_back_and_what_lies_beside_it_stays(void **state)
{
	(void)state;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 1000 * page;
	unsigned char *p = memory_alloc(bytes + page);
	assert_non_null(p);
	unsigned char *pages = p + (page - (uintptr_t)p % page) % page;
	memset(pages, 1, bytes);
	assert_int_equal(resident(pages, bytes), 1000);

	/* From the middle of page 100 to the middle of page 900. */
	memory_discard(pages + 100 * page + page / 2, 800 * page);
	assert_int_equal(resident(pages, bytes), 1000 - 799);
	for (size_t i = 0; i < 100 * page + page / 2; i++)
		assert_int_equal(pages[i], 1);
	for (size_t i = 900 * page + page / 2; i < bytes; i++)
		assert_int_equal(pages[i], 1);
	memset(pages, 2, bytes);
	assert_int_equal(pages[500 * page], 2);

	memory_discard(pages + 1, page); /* no whole page */
	assert_int_equal(pages[0] + pages[1] + pages[page] + pages[page + 1], 8);
	memory_free(p);
}

static void put(const char *folder, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void a_group_has_left_what_it_does_not_hold(void **state)
{
	(void)state;
	char folder[] = "/tmp/charpipe-memory-XXXXXX", path[256];
	static const char *const files[] = {"memory.max", "memory.current", "memory.stat"};
	assert_non_null(mkdtemp(folder));
	assert_true(memory_left_to_group(folder) == UINT64_MAX);
	put(folder, "memory.max", "max\n");
	put(folder, "memory.current", "700\n");
	assert_true(memory_left_to_group(folder) == UINT64_MAX);
	put(folder, "memory.max", "1000\n");
	assert_true(memory_left_to_group(folder) == 300);
	put(folder, "memory.stat", "anon 400\nfile 350\ninactive_file 200\nactive_file 50\n");
	assert_true(memory_left_to_group(folder) == 550);
	put(folder, "memory.current", "2000\n");
	assert_true(memory_left_to_group(folder) == 0);
	put(folder, "memory.current", "100\n");
	assert_true(memory_left_to_group(folder) == 1000);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zero_and_aligned_whatever_its_size),
		cmocka_unit_test(more_than_there_is_is_refused),
		cmocka_unit_test(what_is_discarded_goes_back_and_what_lies_beside_it_stays),
		cmocka_unit_test(a_group_has_left_what_it_does_not_hold),
	};
	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}

/* One file by many paths is one place; files that are not there yet have places too. */
#include "base/place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/charpipe-place-XXXXXX";

static int enter(void **state)
{
	(void)state;
	return mkdtemp(folder) && chdir(folder) == 0 && mkdir("d", 0777) == 0 &&
			       close(open("a", O_WRONLY | O_CREAT, 0666)) == 0 &&
			       close(open("b", O_WRONLY | O_CREAT, 0666)) == 0 &&
			       link("a", "d/hard") == 0 && symlink("../a", "d/soft") == 0 &&
			       symlink("d", "e") == 0 && symlink("d/soft", "softer") == 0 &&
			       symlink("../new", "d/dangling") == 0 &&
			       symlink("circle", "circle") == 0 && mkfifo("fifo", 0666) == 0
		       ? 0
		       : -1;
}

static int leave(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return chdir("/") || system(command);
}

static bool same(const char *a, const char *b)
{
	struct place x, y;
	struct error err;
	assert_int_equal(place_init(&x, a, &err), 0);
	assert_int_equal(place_init(&y, b, &err), 0);
	bool found = place_same(&x, &y);
	assert_int_equal(found, place_same(&y, &x));
	place_release(&x);
	place_release(&y);
	return found;
}

static void files_are_one_by_any_path(void **state)
{
	(void)state;
	assert_true(same("a", "a"));
	assert_true(same("a", "./d/../a"));
	assert_true(same("a", "d/hard"));
	assert_true(same("a", "d/soft"));
	assert_true(same("e/soft", "softer"));
	assert_false(same("a", "b"));
	assert_false(same("a", "d"));
}

static void files_that_are_not_there_are_one_by_folder_and_name(void **state)
{
	(void)state;
	assert_true(same("new", "./new"));
	assert_true(same("new", "d/dangling"));
	assert_true(same("d/new", "e/new"));
	assert_false(same("new", "newer"));
	assert_false(same("new", "d/new"));
	assert_false(same("new", "a"));
	assert_false(same("new", "."));
	assert_false(same("nowhere/new", "nowhere/new"));
	assert_false(same("circle", "circle"));
}

static void what_is_no_regular_file_is_never_the_same(void **state)
{
	(void)state;
	assert_false(same("fifo", "fifo"));
	assert_false(same("/dev/null", "/dev/null"));
	assert_false(same("d", "e"));
}

static void what_is_open_has_a_place(void **state)
{
	struct place path, open_file;
	struct error err;
	int fd = open("a", O_RDONLY);
	(void)state;
	assert_int_equal(place_init(&path, "d/soft", &err), 0);
	place_init_descriptor(&open_file, fd);
	assert_true(place_same(&path, &open_file));
	close(fd);
	place_init_descriptor(&open_file, fd);
	assert_false(place_same(&path, &open_file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_one_by_any_path),
		cmocka_unit_test(files_that_are_not_there_are_one_by_folder_and_name),
		cmocka_unit_test(what_is_no_regular_file_is_never_the_same),
		cmocka_unit_test(what_is_open_has_a_place),
	};
	return cmocka_run_group_tests(tests, enter, leave);
}

/* test_crc.c: crc_add() beside zlib's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc.h"

#include <zlib.h>

static void it_is_zlibs_of_any_bytes(void **state)
{
	(void)state;
	unsigned char bytes[1200];
	uint32_t random = 2026;
	for (size_t i = 0; i < sizeof bytes; i++) {
		random = random * 1664525 + 1013904223;
		bytes[i] = (unsigned char)(random >> 24);
	}
	for (size_t n = 0; n <= 1100; n++)
		for (size_t at = 0; at < 17; at += 1 + n / 300)
			for (uint32_t crc = 0; crc < 3; crc++) {
				const uint32_t before = crc * 0x87654321;
				assert_int_equal(crc_add(before, bytes + at, n),
					crc32_z(before, bytes + at, n));
			}
}

/* "The check" of the catalogues of CRCs. */
static void it_is_that_of_the_catalogues(void **state)
{
	(void)state;
	assert_int_equal(crc_add(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc_add(crc_add(0, "1234", 4), "56789", 5), 0xcbf43926);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_zlibs_of_any_bytes),
		cmocka_unit_test(it_is_that_of_the_catalogues),
	};
	return cmocka_run_group_tests_name("crc", tests, NULL, NULL);
}

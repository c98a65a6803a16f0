/* no_crc.c: linked in front of zlib, it makes every CRC 0, so that a fuzzer's changes get past the
 * checksums: files whose CRCs say 0 are intact, whatever else they hold. */
#include <zlib.h>

uLong crc32_z(uLong crc, const Bytef *buf, z_size_t n)
{
	(void)crc, (void)buf, (void)n;
	return 0;
}

/* What crc32_combine() is with 64-bit offsets. */
uLong crc32_combine64(uLong a, uLong b, off64_t n)
{
	(void)a, (void)b, (void)n;
	return 0;
}

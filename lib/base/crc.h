/* crc.h: the CRC-32 of gzip and of charpipe's formats. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what `crc` is of (0: nothing), followed by n bytes: zlib's crc32_z(), but five times as
 * fast where the processor multiplies polynomials. */
uint32_t crc_add(uint32_t crc, const void *bytes, size_t n);

#endif

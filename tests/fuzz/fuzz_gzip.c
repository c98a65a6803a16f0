/* fuzz_gzip.c: compressed input. However it is read, it has the same bytes and the same end; and
 * what is compressed here comes back as it was. */
#include "tests/fuzz/fuzz.h"

enum { LIMIT = 1 << 20 }; /* of what is decompressed: 20 KB can hold 20 MB */

/* Reads all in pieces of that size: the bytes' number and sum, -1 after an error. */
static int64_t read_all(const uint8_t *data, size_t n, size_t piece, uint64_t *sum)
{
	static uint8_t buffer[100000];
	struct input in;
	struct error err = {0};
	int64_t count = 0;
	ssize_t got = -1;
	int fd = fuzz_open(&in, data, n, INPUT_GUNZIP, false);
	*sum = 0;
	if (fd < 0)
		return -1;
	while (count < LIMIT && (got = input_read_full(&in, buffer, piece, &err)) > 0) {
		for (ssize_t i = 0; i < got && count < LIMIT; i++, count++)
			*sum = *sum * 31 + buffer[i];
	}
	if (got < 0)
		must_be_refusal(&err, false);
	input_close(&in);
	close(fd);
	return got < 0 ? -1 : count;
}

static void compress_and_read(const uint8_t *data, size_t n)
{
	struct output out;
	struct error err = {0};
	uint64_t plain = 0, sum;
	char path[64];
	int fd = fuzz_file(NULL, 0, path);
	for (size_t i = 0; i < n; i++)
		plain = plain * 31 + data[i];
	MUST(output_open(&out, path, OUTPUT_GZIP, &err) == 0);
	MUST(output_write(&out, data, n / 2, &err) == 0 && output_flush(&out, &err) == 0);
	MUST(output_write(&out, data + n / 2, n - n / 2, &err) == 0);
	MUST(output_commit(&out, &err) == 0);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	MUST(bytes != MAP_FAILED && read_all(bytes, (size_t)size, 1000, &sum) == (int64_t)n);
	MUST(sum == plain);
	munmap(bytes, (size_t)size);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t sum, again;
	int64_t count = read_all(data, n, 100000, &sum);
	int64_t small = read_all(data, n, 7, &again);
	/* Near the limit a longer piece may meet what is broken behind it. */
	MUST(count == small || count >= LIMIT || small >= LIMIT);
	MUST(count != small || count < 0 || sum == again);
	compress_and_read(data, n);
	return 0;
}

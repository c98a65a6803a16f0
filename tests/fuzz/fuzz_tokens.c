/* fuzz_tokens.c: token streams. What is accepted has every id within its vocabulary, and means the
 * same when it is written and read again. */
#include "formats/tokens.h"
#include "tests/fuzz/fuzz.h"

/* Reads a whole stream: the ids' number, or -1. Their sum goes into *sum, the vocabulary into
 * *vocab. */
static int64_t read_all(
	const uint8_t *data, size_t n, bool pipe, struct vocab *vocab, uint64_t *sum)
{
	struct tokens_reader reader;
	struct input in;
	struct error err = {0};
	uint32_t ids[1000];
	int64_t count = 0;
	ssize_t got = -1;
	int fd = fuzz_open(&in, data, n, INPUT_GUNZIP, pipe);
	*sum = 0;
	if (fd < 0)
		return -1;
	if (tokens_read_header(&reader, &in, &err) == 0) {
		while ((got = tokens_read(&reader, ids, pipe ? 1000 : 77, &err)) > 0) {
			for (ssize_t i = 0; i < got; i++) {
				MUST(ids[i] < reader.vocab.size);
				*sum = *sum * 31 + ids[i];
			}
			count += got;
		}
		if (got == 0)
			MUST(vocab_copy(vocab, &reader.vocab, &err) == 0);
		tokens_reader_release(&reader);
	}
	if (got < 0)
		must_be_refusal(&err, pipe);
	input_close(&in);
	close(fd);
	return got < 0 ? -1 : count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vocab vocab, same;
	uint64_t sum, again;
	int64_t count = read_all(data, n, false, &vocab, &sum);
	MUST(read_all(data, n, true, &same, &again) == count && sum == again);
	if (count < 0)
		return 0;
	MUST(vocab_equal(&vocab, &same));
	vocab_release(&vocab);
	vocab_release(&same);
	return 0;
}

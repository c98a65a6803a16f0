/* fuzz_shards.c: shards. Every batch of what is accepted can be read, in any order, and has every
 * id within the vocabulary. */
#include "formats/shards.h"
#include "tests/fuzz/fuzz.h"

static void read_batches(struct shards *shards, uint64_t *sum)
{
	struct error err;
	uint32_t *ids = malloc(shards_batch_ids(&shards->header, SHARDS_TRAIN) * sizeof *ids);
	MUST(ids);
	for (int split = SHARDS_SPLITS - 1; split >= 0; split--)
		for (uint64_t k = shards->header.batches[split]; k-- > 0;) {
			size_t count = shards_batch_ids(&shards->header, (enum shards_split)split);
			MUST(shards_read(shards, (enum shards_split)split, k, ids, &err) == 0);
			for (size_t i = 0; i < count; i++) {
				MUST(ids[i] < shards->header.vocab.size);
				*sum = *sum * 31 + ids[i];
			}
		}
	free(ids);
}

static bool read_all(const uint8_t *data, size_t n, bool pipe, uint64_t *sum)
{
	struct shards shards;
	struct input in;
	struct error err = {0};
	int fd = fuzz_open(&in, data, n, INPUT_GUNZIP, pipe);
	*sum = 0;
	if (fd < 0)
		return false;
	bool valid = shards_open(&shards, &in, &err) == 0;
	if (valid) {
		read_batches(&shards, sum);
		shards_close(&shards);
	} else {
		must_be_refusal(&err, pipe);
	}
	input_close(&in);
	close(fd);
	return valid;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t sum, again;
	bool valid = read_all(data, n, false, &sum);
	MUST(read_all(data, n, true, &again) == valid && sum == again);
	return 0;
}

/* fuzz_model.c: models and checkpoints. What is accepted is the same after it was written and read
 * again. */
#include "formats/model_file.h"
#include "tests/fuzz/fuzz.h"

static bool read_model(struct model_file *model, const uint8_t *data, size_t n, bool pipe)
{
	struct input in;
	struct error err = {0};
	int fd = fuzz_open(&in, data, n, INPUT_GUNZIP, pipe);
	if (fd < 0)
		return false;
	bool valid = model_file_read(model, &in, &err) == 0;
	if (!valid)
		must_be_refusal(&err, pipe);
	input_close(&in);
	close(fd);
	return valid;
}

static void must_be_equal(const struct model_file *a, const struct model_file *b)
{
	MUST(a->params.total == b->params.total && a->params.layers == b->params.layers);
	MUST(memcmp(a->weights, b->weights, a->params.total * sizeof *a->weights) == 0);
	MUST(a->has_vocab == b->has_vocab && a->dropout == b->dropout);
	MUST(!a->has_vocab || vocab_equal(&a->vocab, &b->vocab));
	MUST(a->tensor_count == b->tensor_count);
}

/* Writes the model into a file in memory and reads that. */
static void write_and_read(const struct model_file *model)
{
	struct model_file same;
	struct output out;
	struct error err = {0};
	char path[64];
	int fd = fuzz_file(NULL, 0, path);
	MUST(output_open(&out, path, 0, &err) == 0);
	MUST(model_file_write(model, &out, &err) == 0 && output_commit(&out, &err) == 0);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	MUST(bytes != MAP_FAILED && read_model(&same, bytes, (size_t)size, false));
	must_be_equal(model, &same);
	model_file_release(&same);
	munmap(bytes, (size_t)size);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct model_file model, same;
	bool valid = read_model(&model, data, n, false);
	MUST(read_model(&same, data, n, true) == valid);
	if (!valid)
		return 0;
	must_be_equal(&model, &same);
	write_and_read(&model);
	model_file_release(&model);
	model_file_release(&same);
	return 0;
}

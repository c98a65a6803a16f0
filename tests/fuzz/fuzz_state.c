/* fuzz_state.c: states, of one small model and of any. What is accepted is finite, and the same
 * after it was written and read again. */
#include "formats/state_file.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

/* The model whose states are read; seeds.py writes some of them. */
enum { LAYERS = 2, HIDDEN = 3, SYMBOLS = 4 };
static const uint32_t model_crc = 0x01234567;

/* Reads a state into *state, initialised unless the state may be of any model. */
static bool read_state(
	struct state_file *state, uint32_t *any, const uint8_t *data, size_t n, bool pipe)
{
	struct input in;
	struct error err = {0};
	int fd = fuzz_open(&in, data, n, INPUT_GUNZIP, pipe);
	if (fd < 0)
		return false;
	bool valid = any ? state_file_read_any(state, any, &in, &err) == 0
			 : state_file_read(state, model_crc, &in, &err) == 0;
	if (!valid)
		must_be_refusal(&err, pipe);
	input_close(&in);
	close(fd);
	return valid;
}

static void must_be_equal(const struct state_file *a, const struct state_file *b)
{
	MUST(a->layers == b->layers && a->hidden == b->hidden && a->vocab == b->vocab);
	MUST(a->size == b->size && memcmp(a->state, b->state, a->size * sizeof *a->state) == 0);
	MUST(memcmp(a->logits, b->logits, a->vocab * sizeof *a->logits) == 0);
	for (size_t i = 0; i < a->size; i++)
		MUST(isfinite(a->state[i]));
	for (size_t i = 0; i < a->vocab; i++)
		MUST(isfinite(a->logits[i]));
}

/* Writes the state into a file in memory and reads that. */
static void write_and_read(const struct state_file *state, uint32_t crc)
{
	struct state_file same;
	struct output out;
	struct error err = {0};
	char path[64];
	uint32_t found;
	int fd = fuzz_file(NULL, 0, path);
	MUST(output_open(&out, path, 0, &err) == 0);
	MUST(state_file_write(state, crc, &out, &err) == 0);
	MUST(output_commit(&out, &err) == 0);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	MUST(bytes != MAP_FAILED && read_state(&same, &found, bytes, (size_t)size, false));
	MUST(found == crc);
	must_be_equal(state, &same);
	state_file_release(&same);
	munmap(bytes, (size_t)size);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct params params;
	struct state_file state, any, same;
	struct error err;
	uint32_t crc = 0, again = 0;
	MUST(params_init(&params, &lstm_cell, SYMBOLS, HIDDEN, LAYERS, &err) == 0);
	MUST(state_file_init(&state, &params, &err) == 0);
	bool own = read_state(&state, NULL, data, n, false);
	bool valid = read_state(&any, &crc, data, n, false);
	MUST(read_state(&same, &again, data, n, true) == valid);
	/* The model's own are those of any that have its CRC, cell and sizes. */
	MUST(own == (valid && crc == model_crc && any.cell == params.cell && any.layers == LAYERS &&
			    any.hidden == HIDDEN && any.vocab == SYMBOLS));
	if (own)
		must_be_equal(&state, &any);
	if (valid) {
		MUST(crc == again);
		must_be_equal(&any, &same);
		write_and_read(&any, crc);
		state_file_release(&any);
		state_file_release(&same);
	}
	state_file_release(&state);
	params_release(&params);
	return 0;
}

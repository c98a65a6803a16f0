/* fuzz_sample.c: sample draws from any model: one text and, as a batch, several. A model without a
 * vocabulary borrows one. */
#include "tests/fuzz/fuzz_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *model = program_file("model", data, n);
	if (program_run("-q", "-j", "1", "-s", "1", "-n", "5", "-p", "a", "-o", "/dev/null", model,
		    NULL) == STATUS_DATA)
		program_run("-q", "-j", "1", "-s", "1", "-n", "5", "--vocab", program_shards(),
			"-o", "/dev/null", model, NULL);
	program_run("-q", "-j", "1", "-s", "1", "-n", "3", "-N", "3", "-k", "2", "--weights", "i8",
		"-o", "/dev/null", model, NULL);
	return 0;
}

/* fuzz_init.c: train --init: a step from any model. Where it succeeds, what it leaves can be read. */
#include "tests/fuzz/fuzz_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *from = program_file("from", data, n);
	const char *model = program_path("model"), *checkpoint = program_path("new.checkpoint");
	if (program_run("-q", "-j", "1", "--steps", "1", "--init", from, "-o", model,
		    "--checkpoint", checkpoint, program_shards(), NULL) != STATUS_OK)
		return 0;
	program_must_read_model(model);
	program_must_read_model(checkpoint);
	return 0;
}

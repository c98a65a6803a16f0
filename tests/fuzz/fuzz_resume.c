/* fuzz_resume.c: train --resume: a step or some from any checkpoint. Where it succeeds, what it leaves
 * can be read, and resumed again. */
#include "tests/fuzz/fuzz_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *checkpoint = program_file("run.checkpoint", data, n);
	const char *model = program_path("model");
	unlink(program_path("run.checkpoint~"));
	if (program_run("-q", "-j", "1", "--steps", "3", "--resume", checkpoint, "-o", model,
		    program_shards(), NULL) != STATUS_OK)
		return 0;
	program_must_read_model(model);
	program_must_read_model(checkpoint);
	MUST(program_run("-q", "-j", "1", "--steps", "4", "--resume", checkpoint, "-o", model,
		     program_shards(), NULL) != STATUS_DATA);
	return 0;
}

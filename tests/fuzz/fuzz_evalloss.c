/* fuzz_evalloss.c: evalloss with any model over shards, a text, and its lines; and with a good
 * model over anything. */
#include "tests/fuzz/fuzz_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t text[] = "abc\nde\n\nfgh";
	const char *model = program_file("model", data, n);
	const char *lines = program_file("text", text, sizeof text - 1);
	program_run("-q", "-j", "1", "-o", "/dev/null", model, program_shards(), NULL);
	program_run("-q", "-j", "1", "-o", "/dev/null", model, lines, NULL);
	program_run(
		"-q", "-j", "1", "-l", "--unknown", "price", "-o", "/dev/null", model, lines, NULL);
	program_run("-q", "-j", "1", "-o", "/dev/null", program_model(), model, NULL);
	return 0;
}

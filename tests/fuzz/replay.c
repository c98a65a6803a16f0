/* replay.c: runs a fuzz target on every file of the folders and files given, and prints TAP. */
#include "tests/fuzz/fuzz.h"

#include <fts.h>

int main(int argc, char **argv)
{
	int count = 0;
	FTS *files = argc > 1 ? fts_open(argv + 1, FTS_LOGICAL | FTS_NOCHDIR, NULL) : NULL;
	if (!files) {
		perror("replay");
		return 1;
	}
	for (FTSENT *file; (file = fts_read(files));) {
		if (file->fts_info != FTS_F)
			continue;
		size_t n = (size_t)file->fts_statp->st_size;
		uint8_t *bytes = malloc(n + 1);
		FILE *f = fopen(file->fts_path, "rb");
		if (!bytes || !f || fread(bytes, 1, n, f) != n) {
			perror(file->fts_path);
			return 1;
		}
		fclose(f);
		/* If it crashes, the last line says on what. */
		fprintf(stderr, "# %s\n", file->fts_path);
		/* Its own copy, so that a sanitizer sees a read behind it. */
		uint8_t *exact = malloc(n);
		memcpy(exact, bytes, n);
		LLVMFuzzerTestOneInput(exact, n);
		free(exact);
		free(bytes);
		count++;
	}
	fts_close(files);
	printf("%sok 1 - %d inputs\n1..1\n", count > 0 ? "" : "not ", count);
	return count > 0 ? 0 : 1;
}

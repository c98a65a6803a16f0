/* fuzz_program.c: see fuzz_program.h. */
#include "tests/fuzz/fuzz_program.h"

#include "formats/model_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <zlib.h>

enum { FILES_MAX = 8, ARGUMENTS_MAX = 32 };

static char folder[PATH_MAX];

static void make_folder(void)
{
	if (folder[0])
		return;
	snprintf(folder, sizeof folder, "%s/charpipe-fuzz.XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	MUST(mkdtemp(folder));
}

/* The folder goes with the process, whatever ends it normally. */
__attribute__((destructor)) static void remove_folder(void)
{
	char command[PATH_MAX + 16];
	if (!folder[0])
		return;
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	if (system(command) != 0)
		fprintf(stderr, "%s: left behind\n", folder);
}

const char *program_path(const char *name)
{
	static char paths[FILES_MAX][PATH_MAX + 32];
	static size_t next;
	make_folder();
	char *path = paths[next++ % FILES_MAX];
	snprintf(path, sizeof *paths, "%s/%s", folder, name);
	return path;
}

const char *program_file(const char *name, const uint8_t *data, size_t n)
{
	const char *path = program_path(name);
	FILE *f = fopen(path, "wb");
	MUST(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
	return path;
}

/* The seed of that kind. Where there are no checksums every CRC is 0, that of something too. */
static const char *seed(char path[PATH_MAX], const char *kind, const char *name)
{
	bool checksums = crc32_z(0, (const Bytef *)"x", 1) != 0;
	snprintf(path, PATH_MAX, "%s/%s%s/%s", FUZZ_CORPUS, kind, checksums ? "" : "-nocrc", name);
	return path;
}

const char *program_shards(void)
{
	static char path[PATH_MAX];
	return seed(path, "shards", "wrap.shards");
}

const char *program_model(void)
{
	static char path[PATH_MAX];
	return seed(path, "model", "trained");
}

int program_run(const char *argument, ...)
{
	static const int expected[] = {STATUS_OK, STATUS_USAGE, STATUS_DATA, STATUS_CANT_CREATE,
		STATUS_NUMERIC, STATUS_NO_MEMORY};
	char words[ARGUMENTS_MAX][PATH_MAX + 32], *argv[ARGUMENTS_MAX + 1];
	int argc = 0;
	va_list args;
	snprintf(words[argc++], sizeof *words, "program");
	va_start(args, argument);
	for (const char *a = argument; a; a = va_arg(args, const char *)) {
		MUST(argc < ARGUMENTS_MAX);
		snprintf(words[argc++], sizeof *words, "%s", a);
	}
	va_end(args);
	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	argv[argc] = NULL;
	int status = program_main(argc, argv);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		if (status == expected[i])
			return status;
	fprintf(stderr, "exit status %d\n", status);
	abort();
}

void program_must_read_model(const char *path)
{
	struct input in;
	struct error err = {0};
	struct model_file model;
	MUST(input_open(&in, path, INPUT_GUNZIP, &err) == 0);
	if (model_file_read(&model, &in, &err) < 0) {
		fprintf(stderr, "broken: what was written can't be read: %s\n", err.text);
		abort();
	}
	model_file_release(&model);
	input_close(&in);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned random);

/* Every second time a digit of the metadata is changed, and nothing else: most of what it says is
 * numbers, and few other changes leave it readable. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned random)
{
	static const char end[] = "\"},\"";
	enum { TRIES = 64 };
	const uint8_t *behind = memmem(data, n, end, sizeof end - 1);
	const size_t metadata = behind ? (size_t)(behind - data) : 0;
	if (random % 2 == 0)
		for (int i = 0; metadata > 0 && i < TRIES; i++) {
			random = random * 1664525 + 1013904223; /* Numerical Recipes' generator */
			uint8_t *at = data + (random >> 8) % metadata;
			if (*at < '0' || *at > '9')
				continue;
			*at = (uint8_t)('0' + (random >> 4) % 10);
			return n;
		}
	return LLVMFuzzerMutate(data, n, most);
}

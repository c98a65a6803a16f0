/* fuzz_program.h: a whole program as a fuzz target: what it does with a file is what a user's does.
 *
 * The program's main() is linked as program_main() and called again and again in one process. Its
 * files are in a folder of memory; the shards are the golden wrap.shards (10 symbols, 2 batches of 4 x
 * 3), in the targets without checksums with all CRCs 0. */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include "tests/fuzz/fuzz.h"

int program_main(int argc, char **argv);

/* The path of `name` in the folder of this process, made anew with these bytes. */
const char *program_file(const char *name, const uint8_t *data, size_t n);

/* The path of `name` there, which may not be there. */
const char *program_path(const char *name);

/* The shards, and a small model that was trained on them. */
const char *program_shards(void);
const char *program_model(void);

/* Runs the program with these arguments after its name, up to NULL: its exit status, which is 0 or one
 * that a file may lead to. */
int program_run(const char *argument, ...) __attribute__((sentinel));

/* What a program wrote as a model or checkpoint can be read. */
void program_must_read_model(const char *path);

#endif

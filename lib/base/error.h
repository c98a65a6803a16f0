/* error.h: one error, complete enough to print, and the exit status it means.
 *
 * Library functions return 0 (or a count) on success and -1 on failure, and fill the struct error
 * that the caller gave. They never print and never exit; only the programs under tools/ do. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

/* Exit statuses of every charpipe program: sysexits(3) where it has a fitting one. */
enum status {
	STATUS_OK = 0,
	STATUS_USAGE = 64,     /* nonsense on the command line */
	STATUS_DATA = 65,      /* input corrupt, truncated, of the wrong kind, or not fitting */
	STATUS_NO_INPUT = 66,  /* an input can't be opened */
	STATUS_NO_DEVICE = 69, /* the compute device asked for is not there */
	STATUS_NUMERIC = 70,   /* loss or gradient norm not finite */
	STATUS_NO_MEMORY = 71,
	STATUS_CANT_CREATE = 73, /* an output can't be created */
	STATUS_IO = 74,          /* a read, write, fsync, rename or close failed */
	STATUS_LOCKED = 75,      /* another run holds the checkpoint */
	STATUS_CONFIG = 78,      /* nonsense in a configuration file */
};

struct error {
	enum status status;
	char text[512]; /* one line of valid UTF-8 without control characters, no newline */
};

/* Sets the error and returns -1, so that a failing function can end with
 *     return error_set(err, STATUS_DATA, "frame %u: ...", k);
 * Control characters and invalid UTF-8 in the formatted text (which may come from hostile files and
 * file names) become \xNN; what does not fit is cut and ends in "...". */
int error_set(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, enum status status, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

/* The same with ": " and strerror(errno) appended. */
int error_errno(struct error *err, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts more context in front of the text ("anna.shards: " before "frame 3: ..."), keeps the status,
 * returns -1. */
int error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "out of memory (SIZE bytes for WHAT)"; returns -1. */
int error_memory(struct error *err, uint64_t bytes, const char *what);

/* Lets compilers and analysers see that the result is -1, as git does with its error(). */
static inline int error_result(void)
{
	return -1;
}
#define error_set(...) (error_set(__VA_ARGS__), error_result())
#define error_errno(...) (error_errno(__VA_ARGS__), error_result())
#define error_prefix(...) (error_prefix(__VA_ARGS__), error_result())
#define error_memory(...) (error_memory(__VA_ARGS__), error_result())

#endif

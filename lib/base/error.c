/* error.c: formatting errors so that no file's content can play tricks on the terminal. */
#include "base/error.h"
#include "base/show.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Here are the functions themselves. */
#undef error_set
#undef error_errno
#undef error_prefix
#undef error_memory

enum {
	/* A formatted text before escaping: holds the longest path. vsnprintf() always makes one:
	 * it fails for wide characters and beyond 2 GiB, and there are no such things here. */
	RAW_BYTES = 8192
};

/* Sets err->text to `raw`, escaped and cut. `raw` may hold a copy of the old text: escaping twice
 * changes nothing. */
static void set_text(struct error *err, const char *raw)
{
	static const char ellipsis[] = "...";
	const unsigned char *s = (const unsigned char *)raw;
	size_t n = strlen(raw), used = 0, fits = 0; /* fits: where an ellipsis could start */
	const size_t room = sizeof err->text - 1;

	while (n > 0) {
		char piece[4 * UTF8_MAX + 1];
		bool harmless;
		size_t bytes, taken = show_next(s, n, &harmless);

		if (harmless) {
			memcpy(piece, s, taken);
			bytes = taken;
		} else {
			bytes = 0;
			for (size_t i = 0; i < taken; i++)
				bytes += (size_t)snprintf(
					piece + bytes, sizeof piece - bytes, "\\x%02X", s[i]);
		}
		if (used + bytes > room) {
			memcpy(err->text + fits, ellipsis, sizeof ellipsis);
			return;
		}
		memcpy(err->text + used, piece, bytes);
		used += bytes;
		if (used + sizeof ellipsis - 1 <= room)
			fits = used;
		s += taken;
		n -= taken;
	}
	err->text[used] = '\0';
}

int error_vset(struct error *err, enum status status, const char *format, va_list args)
{
	char raw[RAW_BYTES];

	vsnprintf(raw, sizeof raw, format, args);
	err->status = status;
	set_text(err, raw);
	return -1;
}

int error_set(struct error *err, enum status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	error_vset(err, status, format, args);
	va_end(args);
	return -1;
}

int error_errno(struct error *err, enum status status, const char *format, ...)
{
	int number = errno;
	char raw[RAW_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	return error_set(err, status, "%s: %s", raw, strerror(number));
}

int error_prefix(struct error *err, const char *format, ...)
{
	char raw[RAW_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(raw, sizeof raw, format, args);
	va_end(args);
	return error_set(err, err->status, "%s%s", raw, err->text);
}

int error_memory(struct error *err, uint64_t bytes, const char *what)
{
	return error_set(
		err, STATUS_NO_MEMORY, "out of memory (%" PRIu64 " bytes for %s)", bytes, what);
}

/* table.c: see table.h. */
#include "tools/table.h"

#include "base/show.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

int table_text(struct output *out, const unsigned char *s, size_t n, struct error *err)
{
	static const char plain[] = "\\\t\n\r", letters[] = "\\tnr";
	while (n > 0) {
		char text[5 * UTF8_MAX + 1];
		bool harmless;
		const char *found = *s ? strchr(plain, *s) : NULL;
		size_t bytes = 0, taken = show_next(s, n, &harmless);
		if (found)
			bytes = (size_t)snprintf(text, sizeof text, "\\%c", letters[found - plain]);
		for (size_t i = 0; i < taken && !found; i++)
			bytes += (size_t)snprintf(text + bytes, sizeof text - bytes,
				harmless ? "%c" : "\\0%03o", s[i]);
		if (output_write(out, text, bytes, err) < 0)
			return -1;
		s += taken;
		n -= taken;
	}
	return 0;
}

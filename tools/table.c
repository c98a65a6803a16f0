/* table.c: see table.h. */
#include "tools/table.h"

#include <stdio.h>
#include <string.h>

int table_text(struct output *out, const unsigned char *s, size_t n, struct error *err)
{
	static const char plain[] = "\\\t\n\r", letters[] = "\\tnr";
	for (size_t i = 0; i < n; i++) {
		char text[8] = {(char)s[i], '\0'};
		const char *found = strchr(plain, s[i]);
		if (s[i] != '\0' && found)
			snprintf(text, sizeof text, "\\%c", letters[found - plain]);
		else if (s[i] < ' ' || s[i] == 0x7F)
			snprintf(text, sizeof text, "\\0%03o", s[i]);
		if (output_write(out, text, strlen(text), err) < 0)
			return -1;
	}
	return 0;
}

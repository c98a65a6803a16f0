/* unescape.c: see unescape.h. */
#include "tools/sample/unescape.h"

#include <stdlib.h>
#include <string.h>

char *unescape(const char *option, const char *text, struct error *err)
{
	static const char letters[] = "ntr\\", meant[] = "\n\t\r\\";
	char *plain = malloc(strlen(text) + 1), *to = plain;
	if (!plain) {
		error_memory(err, strlen(text) + 1, option);
		return NULL;
	}
	while (*text) {
		if (*text != '\\') {
			*to++ = *text++;
			continue;
		}
		const char *letter = strchr(letters, text[1]);
		if (!letter || !*letter) {
			error_set(err, STATUS_USAGE,
				"%s: a backslash stands before n, t or r, or is doubled", option);
			free(plain);
			return NULL;
		}
		*to++ = meant[letter - letters];
		text += 2;
	}
	*to = '\0';
	return plain;
}

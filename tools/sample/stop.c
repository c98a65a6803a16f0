/* stop.c: D. E. Knuth, J. H. Morris, V. R. Pratt: Fast Pattern Matching in Strings, 1977. */
#include "tools/sample/stop.h"

#include <stdlib.h>
#include <string.h>

int stop_init(struct stop *stop, const char *text, struct error *err)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "");
	size_t n = strlen((const char *)s);
	*stop = (struct stop){.text = s, .bytes = n};
	stop->failure = calloc(n + 1, sizeof *stop->failure);
	if (!stop->failure)
		return error_memory(err, (n + 1) * sizeof *stop->failure, "--stop");
	for (size_t i = 1, k = 0; i < n; i++) {
		while (k > 0 && s[k] != s[i])
			k = stop->failure[k];
		k += s[k] == s[i];
		stop->failure[i + 1] = k;
	}
	return 0;
}

void stop_release(struct stop *stop)
{
	free(stop->failure);
	stop->failure = NULL;
}

bool stop_at(const struct stop *stop, unsigned char byte, size_t *matched)
{
	if (stop->bytes == 0)
		return false;
	while (*matched > 0 && stop->text[*matched] != byte)
		*matched = stop->failure[*matched];
	if (stop->text[*matched] == byte)
		++*matched;
	return *matched == stop->bytes;
}

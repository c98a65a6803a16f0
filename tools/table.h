/* table.h: text as the last column of a table of tab-separated values. */
#ifndef TABLE_H
#define TABLE_H

#include "base/error.h"
#include "base/output.h"

#include <stddef.h>

/* Writes the n bytes at s on one line: \\ for a backslash, \t, \n and \r for tab, line feed and
 * carriage return, \0 and three octal digits for each byte of what show_harmful() says or that is
 * no UTF-8. printf '%b' of sh(1) restores them. */
int table_text(struct output *out, const unsigned char *s, size_t n, struct error *err);

#endif

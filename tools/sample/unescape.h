/* unescape.h: texts as they are written in options. */
#ifndef SAMPLE_UNESCAPE_H
#define SAMPLE_UNESCAPE_H

#include "base/error.h"

/* The text with \n, \t, \r and \\ replaced by what they stand for: the caller's to free(). NULL on
 * failure: 64, where a backslash stands before something else; 71. `option` is for the message. */
char *unescape(const char *option, const char *text, struct error *err);

#endif

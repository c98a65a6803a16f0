/* config.h: options from a YAML file, one mapping per tool. Normative description: config.md. */
#ifndef FORMATS_CONFIG_H
#define FORMATS_CONFIG_H

#include "base/error.h"
#include "base/option.h"

/* Reads `path` ("-": standard input) and sets the options of options->tool from its mapping of that
 * name, except those given on the command line. Every mapping's name must be a charpipe tool's;
 * keys of other tools are not looked at. Errors name line, key and the nearest known key: status 66
 * if the file can't be opened, else 78. Texts that options then point to are kept in *storage,
 * which the caller frees with config_release() after the last use of the options (NULL after a
 * failure). */
struct config;
int config_apply(
	const char *path, struct options *options, struct config **storage, struct error *err);
void config_release(struct config *storage);

#endif

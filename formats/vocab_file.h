/* vocab_file.h: the vocabulary of any charpipe file: token stream, shards, model or checkpoint. */
#ifndef FORMATS_VOCAB_FILE_H
#define FORMATS_VOCAB_FILE_H

#include "base/error.h"
#include "formats/vocab.h"

/* Reads what the file at `path` ("-": standard input; gzip is seen through) says about its symbols.
 * Of a stream only the header is read. Errors name the file: 65 (also for a model that says nothing
 * of its symbols), 66, 71, 74. */
int vocab_file_read(struct vocab *vocab, const char *path, struct error *err);

#endif

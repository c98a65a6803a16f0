/* charpipe.h: all of the library, for programs of your own: `pkg-config --cflags --libs charpipe`
 * says how to compile them, examples/embed shows two. Each of these headers describes what it
 * declares.
 *
 * Functions return 0 or a count, or -1 (NULL) after they have filled in a struct error; they never
 * print and never end the process. Names begin with that of their header (model_, error_, STATUS_),
 * without a prefix in front; where that won't do, `ld -r` and `objcopy --keep-global-symbol=YOURS`
 * make one object of your functions and the library that shows no name but yours. The library is
 * version 0: what it declares may yet change. */
#ifndef CHARPIPE_H
#define CHARPIPE_H

#include "base/error.h"         /* what went wrong */
#include "base/input.h"         /* files, pipes, gzip */
#include "base/memory.h"        /* arrays of weights */
#include "base/output.h"        /* ... and back, complete or not at all */
#include "base/pool.h"          /* threads */
#include "cpu/cpu.h"            /* the CPU as a device */
#include "formats/model_file.h" /* models and checkpoints */
#include "formats/shards.h"     /* batches */
#include "formats/text.h"       /* text to ids */
#include "formats/tokens.h"     /* token streams */
#include "formats/vocab_file.h" /* the vocabulary of any of them */
#include "nn/adam.h"            /* the optimizer */
#include "nn/model.h"           /* the network */
#include "nn/sampler.h"         /* from its scores to the next character */

#endif

/* whole.h: a text's characters, read, encoded and handed on to be scored and shown. */
#ifndef EVALLOSS_WHOLE_H
#define EVALLOSS_WHOLE_H

#include "base/error.h"
#include "formats/vocab.h"
#include "tools/evalloss/score.h"
#include "tools/evalloss/view.h"
#include "tools/reader.h"

#include <stdbool.h>

/* Adds everything that the reader reads to the score. Unknown characters are an error, or are
 * priced. `view` NULL: shown to nobody. */
int whole_score(const struct vocab *vocab, struct reader *reader, bool price, struct score *score,
	struct view *view, struct error *err);

#endif

/* whole.c: see whole.h. */
#include "tools/evalloss/whole.h"

#include "formats/encode.h"

static int add_symbol(const struct vocab *vocab, uint32_t symbol, uint32_t id, struct score *score,
	struct view *view, struct error *err)
{
	bool known = id != VOCAB_NONE;
	if (view && view_add(view, symbol, vocab->unit == VOCAB_BYTE, known, err) < 0)
		return -1;
	if (known)
		return score_add(score, &id, 1, err);
	score_add_unknown(score, 1);
	return 0;
}

int whole_score(const struct vocab *vocab, struct reader *reader, bool price, struct score *score,
	struct view *view, struct error *err)
{
	const unsigned char *piece;
	ssize_t n;
	while ((n = reader_block(reader, &piece, err)) > 0)
		for (size_t i = 0, bytes = (size_t)n, length; i < bytes; i += length) {
			uint32_t symbol, id;
			length = encode_symbol(vocab, piece + i, bytes - i, &symbol, &id);
			if (id == VOCAB_NONE && !price) {
				encode_error(vocab, piece + i, bytes - i, err);
				return reader_error(reader, piece, i, err);
			}
			if (add_symbol(vocab, symbol, id, score, view, err) < 0)
				return -1;
		}
	return (int)n;
}

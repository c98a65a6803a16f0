/* encode.c: see encode.h. */
#include "formats/encode.h"

#include "base/utf8.h"

size_t encode_read(enum vocab_unit unit, enum vocab_newlines newlines, const unsigned char *s,
	size_t n, uint32_t *symbol)
{
	*symbol = *s;
	if (newlines == VOCAB_UNIVERSAL && *s == '\r') {
		*symbol = '\n';
		return n > 1 && s[1] == '\n' ? 2 : 1;
	}
	if (unit == VOCAB_BYTE || *s < 0x80)
		return 1;
	int length = utf8_decode(s, n, symbol);
	if (length > 0)
		return (size_t)length;
	*symbol = VOCAB_NONE;
	return length < 0 ? (size_t)-length : n;
}

size_t encode_symbol(
	const struct vocab *vocab, const unsigned char *s, size_t n, uint32_t *symbol, uint32_t *id)
{
	size_t length = encode_read(vocab->unit, vocab->newlines, s, n, symbol);
	*id = vocab_find(vocab, *symbol);
	return length;
}

size_t encode(
	const struct vocab *vocab, const unsigned char *s, size_t n, uint32_t *ids, size_t *unknown)
{
	size_t count = 0;
	*unknown = n;
	for (size_t i = 0, length; i < n; i += length) {
		uint32_t symbol;
		length = encode_symbol(vocab, s + i, n - i, &symbol, &ids[count]);
		if (ids[count++] == VOCAB_NONE && *unknown == n)
			*unknown = i;
	}
	return count;
}

int encode_error(const struct vocab *vocab, const unsigned char *s, size_t n, struct error *err)
{
	uint32_t symbol;
	char name[32];
	encode_read(vocab->unit, vocab->newlines, s, n, &symbol);
	if (symbol == VOCAB_NONE)
		return error_set(err, STATUS_DATA, "byte 0x%02X is not UTF-8", *s);
	return error_set(err, STATUS_DATA, "%s is not in the model's vocabulary",
		vocab_name(vocab, symbol, name));
}

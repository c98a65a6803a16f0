/* symbols.c: see symbols.h. */
#include "formats/symbols.h"

#include "base/utf8.h"

#include <string.h>

bool symbols_visible(uint32_t codepoint)
{
	/* What a terminal doesn't show as one mark of its own, or what libyaml's readers refuse
	 * raw. */
	static const struct {
		uint32_t low, high;
	} hidden[] = {
		{0x0000, 0x001F},     /* controls */
		{0x007F, 0x00A0},     /* controls, the no-break space */
		{0x00AD, 0x00AD},     /* soft hyphen */
		{0x0300, 0x036F},     /* combining marks */
		{0x2000, 0x200F},     /* spaces, joiners, directions */
		{0x2028, 0x202F},     /* line ends, directions */
		{0x205F, 0x206F},     /* invisible operators, isolates */
		{0x3000, 0x3000},     /* wide space */
		{0xD800, 0xF8FF},     /* surrogates, private use */
		{0xFE00, 0xFE0F},     /* variation selectors */
		{0xFEFF, 0xFEFF},     /* byte order mark */
		{0xFFF0, 0xFFFF},     /* specials */
		{0xE0000, UINT32_MAX} /* tags, private planes, and beyond Unicode */
	};
	if ((codepoint & 0xFFFE) == 0xFFFE)
		return false;
	for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
		if (codepoint >= hidden[i].low && codepoint <= hidden[i].high)
			return false;
	return true;
}

/* The number that `digits` hex digits make, or -1. */
static int64_t hex(const char *s, const char *end, ptrdiff_t digits)
{
	int64_t value = 0;
	if (end - s < digits)
		return -1;
	for (ptrdiff_t i = 0; i < digits; i++) {
		char letter = (char)(s[i] | 0x20);
		if (s[i] >= '0' && s[i] <= '9')
			value = value * 16 + (s[i] - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value * 16 + (letter - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* What a backslash and a letter mean, to YAML and JSON alike: 2, their bytes, or 0. */
static size_t short_escape(char letter, uint32_t *codepoint)
{
	switch (letter) {
	case '"':
	case '\\':
	case '/':
		*codepoint = (unsigned char)letter;
		return 2;
	case 'b':
		*codepoint = '\b';
		return 2;
	case 'f':
		*codepoint = '\f';
		return 2;
	case 'n':
		*codepoint = '\n';
		return 2;
	case 'r':
		*codepoint = '\r';
		return 2;
	case 't':
		*codepoint = '\t';
		return 2;
	default:
		return 0;
	}
}

static size_t raw(const char *s, const char *end, uint32_t *codepoint)
{
	int bytes = utf8_decode((const unsigned char *)s, (size_t)(end - s), codepoint);
	return bytes > 0 && *codepoint >= 0x20 && *codepoint != '"' ? (size_t)bytes : 0;
}

static bool is_surrogate(int64_t unit, unsigned first)
{
	return unit >= first && unit < first + 0x400;
}

size_t symbols_json(const char *s, const char *end, uint32_t *codepoint)
{
	if (s == end)
		return 0;
	if (*s != '\\')
		return raw(s, end, codepoint);
	if (end - s < 2)
		return 0;
	if (s[1] != 'u')
		return short_escape(s[1], codepoint);
	int64_t high = hex(s + 2, end, 4), low;
	*codepoint = (uint32_t)high;
	if (high < 0 || is_surrogate(high, 0xDC00))
		return 0;
	if (!is_surrogate(high, 0xD800))
		return 6;
	if (end - s < 8 || s[6] != '\\' || s[7] != 'u')
		return 0;
	low = hex(s + 8, end, 4);
	*codepoint = 0x10000 + (uint32_t)((high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
	return is_surrogate(low, 0xDC00) ? 12 : 0;
}

size_t symbols_yaml(const char *s, const char *end, uint32_t *codepoint)
{
	if (s == end)
		return 0;
	if (*s != '\\') {
		size_t bytes = raw(s, end, codepoint);
		return bytes && symbols_visible(*codepoint) ? bytes : 0;
	}
	if (end - s < 2)
		return 0;
	ptrdiff_t digits = s[1] == 'x' ? 2 : s[1] == 'u' ? 4 : s[1] == 'U' ? 8 : 0;
	if (digits == 0)
		return short_escape(s[1], codepoint);
	int64_t value = hex(s + 2, end, digits);
	*codepoint = (uint32_t)value;
	bool valid = value >= 0 && value < UTF8_CODEPOINTS && !is_surrogate(value, 0xD800) &&
		     !is_surrogate(value, 0xDC00);
	return valid ? 2 + (size_t)digits : 0;
}

bool symbols_entry(size_t (*read)(const char *s, const char *end, uint32_t *codepoint),
	const char **at, const char *end, uint32_t *codepoint)
{
	const char *s = *at;
	if (s == end || *s++ != '"')
		return false;
	size_t bytes = read(s, end, codepoint);
	s += bytes;
	if (bytes == 0 || s == end || *s != '"')
		return false;
	*at = s + 1;
	return true;
}

size_t symbols_rest_read(struct symbols_rest *rest, void *to, size_t n)
{
	if (rest->at == rest->begin && rest->lines > 0) {
		n = n < rest->lines ? n : rest->lines;
		rest->lines -= n;
		memset(to, '\n', n);
		return n;
	}
	if (rest->at == rest->begin)
		rest->at = rest->end;
	size_t left = (rest->at < rest->begin ? rest->begin : rest->bytes) - rest->at;
	n = n < left ? n : left;
	memcpy(to, rest->text + rest->at, n);
	rest->at += n;
	return n;
}

/* show.c: see show.h. */
#include "base/show.h"

#include "base/utf8.h"

#include <stdlib.h>

const char *show_real(double x, char buf[SHOW_REAL])
{
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(buf, SHOW_REAL, "%.*g", digits, x);
		if (strtod(buf, NULL) == x)
			break;
	}
	return buf;
}

/* What a terminal doesn't show as one mark of its own, or what libyaml's readers refuse raw, in
 * order. */
static const struct hidden {
	uint32_t low, high;
	bool harmful;
} hidden[] = {
	{0x0000, 0x001F, true},      /* controls */
	{0x007F, 0x009F, true},      /* controls */
	{0x00A0, 0x00A0, false},     /* no-break space */
	{0x00AD, 0x00AD, false},     /* soft hyphen */
	{0x0300, 0x036F, false},     /* combining marks */
	{0x061C, 0x061C, true},      /* direction */
	{0x2000, 0x200D, false},     /* spaces, joiners */
	{0x200E, 0x200F, true},      /* directions */
	{0x2028, 0x202E, true},      /* line ends, directions */
	{0x202F, 0x202F, false},     /* narrow space */
	{0x205F, 0x2065, false},     /* invisible operators */
	{0x2066, 0x206F, true},      /* isolates, deprecated directions and shapes */
	{0x3000, 0x3000, false},     /* wide space */
	{0xD800, 0xF8FF, false},     /* surrogates, private use */
	{0xFE00, 0xFE0F, false},     /* variation selectors */
	{0xFEFF, 0xFEFF, false},     /* byte order mark */
	{0xFFF0, 0xFFFF, false},     /* specials */
	{0xE0000, UINT32_MAX, false} /* tags, private planes, and beyond Unicode */
};

static const struct hidden *find_hidden(uint32_t codepoint)
{
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden && hidden[i].low <= codepoint; i++)
		if (codepoint <= hidden[i].high)
			return &hidden[i];
	return NULL;
}

bool show_harmful(uint32_t codepoint)
{
	const struct hidden *found = find_hidden(codepoint);
	return found && found->harmful;
}

bool show_visible(uint32_t codepoint)
{
	return (codepoint & 0xFFFE) != 0xFFFE && !find_hidden(codepoint);
}

size_t show_next(const unsigned char *s, size_t n, bool *harmless)
{
	uint32_t codepoint;
	int length = utf8_decode(s, n, &codepoint);
	*harmless = length > 0 && !show_harmful(codepoint);
	return length > 0 ? (size_t)length : 1;
}

static void write_character(FILE *f, uint32_t codepoint)
{
	unsigned char text[UTF8_MAX];
	if (codepoint == '"' || codepoint == '\\')
		fprintf(f, "\\%c", (int)codepoint);
	else if (codepoint == '\t' || codepoint == '\n' || codepoint == '\r')
		fprintf(f, "\\%c", "tn  r"[codepoint - '\t']);
	else if (show_visible(codepoint))
		fprintf(f, "%.*s", utf8_encode(codepoint, text), (const char *)text);
	else if (codepoint < 0x100)
		fprintf(f, "\\x%02x", (unsigned)codepoint);
	else if (codepoint < 0x10000)
		fprintf(f, "\\u%04x", (unsigned)codepoint);
	else
		fprintf(f, "\\U%08x", (unsigned)codepoint);
}

void show_quoted_symbol(FILE *f, uint32_t codepoint)
{
	fputc('"', f);
	write_character(f, codepoint);
	fputc('"', f);
}

void show_quoted(FILE *f, const char *text, size_t bytes)
{
	const unsigned char *s = (const unsigned char *)text;
	fputc('"', f);
	while (bytes > 0) {
		uint32_t codepoint;
		int n = utf8_decode(s, bytes, &codepoint);
		if (n <= 0) {
			codepoint = 0xFFFD;
			n = n < 0 ? -n : (int)bytes;
		}
		write_character(f, codepoint);
		s += n;
		bytes -= (size_t)n;
	}
	fputc('"', f);
}

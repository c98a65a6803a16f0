/* interactive.c: see interactive.h. */
#include "tools/sample/interactive.h"

#include "tools/reader.h"

/* The line without its end, CRLF being one where the model's text had universal newlines. */
static size_t without_end(const struct context *context, const unsigned char *line, size_t n)
{
	if (n > 0 && line[n - 1] == '\n')
		n--;
	if (n > 0 && line[n - 1] == '\r' &&
		context->network->file.vocab.newlines == VOCAB_UNIVERSAL)
		n--;
	return n;
}

static int answer(const struct context *base, struct context *context, struct draw *draw,
	const unsigned char *line, size_t n, uint64_t first, uint64_t samples, struct error *err)
{
	context_copy(context, base);
	if (context_read(context, line, n, err) < 0 || context_begin(context, err) < 0 ||
		draw_texts(draw, &context->state, NULL, 0, first, samples, err) < 0)
		return -1;
	return output_flush(draw->out, err);
}

int interactive(const struct context *base, struct draw *draw, uint64_t samples, struct error *err)
{
	struct context context = {0};
	struct reader reader = {0};
	struct input in;
	const unsigned char *line;
	ssize_t n = -1;
	if (input_open(&in, NULL, INPUT_RAW, err) < 0)
		return -1;
	if (context_init(&context, base->tool, base->network, base->skip, err) < 0 ||
		reader_init(&reader, &in, err) < 0)
		goto out;
	for (uint64_t first = 0; (n = reader_line(&reader, &line, err)) > 0; first += samples) {
		size_t bytes = without_end(base, line, (size_t)n);
		if (answer(base, &context, draw, line, bytes, first, samples, err) < 0) {
			n = -1;
			break;
		}
	}
out:
	reader_release(&reader);
	context_release(&context);
	input_close(&in);
	return (int)n;
}

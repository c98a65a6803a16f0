/* interactive.c: see interactive.h. */
#include "tools/sample/interactive.h"

#include "tools/reader.h"

#include <inttypes.h>

struct dialogue {
	const struct context *base;
	struct context context; /* of one line */
	struct draw *draw;
	uint64_t samples, lines, unanswered;
};

static int answer(struct dialogue *dialogue, const unsigned char *line, size_t n, struct error *err)
{
	struct context *context = &dialogue->context;
	const uint64_t samples = dialogue->samples, first = dialogue->lines++ * samples;
	context_copy(context, dialogue->base);
	if (context_read(context, line, n, err) == 0) {
		if (context_begin(context, err) < 0 || draw_texts(dialogue->draw, &context->state,
							       NULL, 0, first, samples, err) < 0)
			return -1;
	} else {
		if (err->status != STATUS_DATA)
			return -1;
		tool_warning(context->tool, "line %" PRIu64 ": %s", dialogue->lines, err->text);
		dialogue->unanswered++;
		if (draw_nothing(dialogue->draw, samples, err) < 0)
			return -1;
	}
	return output_flush(dialogue->draw->out, err);
}

int interactive(const struct context *base, struct draw *draw, uint64_t samples, struct error *err)
{
	struct dialogue dialogue = {.base = base, .draw = draw, .samples = samples};
	struct reader reader = {0};
	struct input in;
	const unsigned char *line;
	ssize_t n = -1;
	if (input_open(&in, NULL, INPUT_RAW, err) < 0)
		return -1;
	if (context_init(&dialogue.context, base->tool, base->network, base->skip, err) < 0 ||
		reader_init(&reader, &in, err) < 0)
		goto out;
	while ((n = reader_line(&reader, &line, err)) > 0) {
		size_t bytes = reader_without_end(
			line, (size_t)n, base->network->file.vocab.newlines == VOCAB_UNIVERSAL);
		if (answer(&dialogue, line, bytes, err) < 0) {
			n = -1;
			break;
		}
	}
	if (n == 0 && dialogue.unanswered > 0)
		n = error_set(err, STATUS_DATA,
			"not answered: %" PRIu64 " of %" PRIu64
			" lines; --unknown skip passes over what the model doesn't know",
			dialogue.unanswered, dialogue.lines);
out:
	reader_release(&reader);
	context_release(&dialogue.context);
	input_close(&in);
	return (int)n;
}

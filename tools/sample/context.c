/* context.c: see context.h. */
#include "tools/sample/context.h"

#include "base/input.h"
#include "formats/encode.h"

#include <stdlib.h>
#include <string.h>

int context_init(struct context *context, const struct tool *tool, struct network *network,
	bool skip, struct error *err)
{
	*context = (struct context){.tool = tool, .network = network, .skip = skip};
	return state_file_init(&context->state, &network->file.params, err);
}

void context_release(struct context *context)
{
	state_file_release(&context->state);
}

void context_copy(struct context *to, const struct context *from)
{
	const struct state_file *state = &from->state;
	memcpy(to->state.state, state->state, state->size * sizeof *state->state);
	memcpy(to->state.logits, state->logits, state->vocab * sizeof *state->logits);
	to->begun = from->begun;
}

int context_load(struct context *context, const char *path, uint32_t model_crc, struct error *err)
{
	struct input in;
	int rc = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) == 0)
		rc = state_file_read(&context->state, model_crc, &in, err);
	input_close(&in);
	context->begun = true;
	return rc;
}

int context_save(
	const struct context *context, const char *path, uint32_t model_crc, struct error *err)
{
	const struct tool_common *common = context->tool->values;
	struct output out;
	int rc = -1;
	if (output_open(&out, path, common->force ? 0 : OUTPUT_BINARY, err) < 0)
		return -1;
	if (state_file_write(&context->state, model_crc, &out, err) == 0)
		rc = output_commit(&out, err);
	output_discard(&out);
	return rc;
}

/* One row that holds the state reads n ids, a window after the other. */
static int feed(struct context *context, const uint32_t *ids, size_t n, struct error *err)
{
	struct model *model = &context->network->model;
	struct state_file *held = &context->state;
	struct model_state state;
	int rc = -1;
	if (model_state_init(&state, model, 1, err) < 0)
		return -1;
	if (model_state_set(&state, held->state, err) < 0)
		goto out;
	for (size_t i = 0, T; i < n; i += T) {
		T = n - i < model->window ? n - i : model->window;
		if (model_feed(model, &state, ids + i, T, held->logits, err) < 0)
			goto out;
	}
	context->begun |= n > 0;
	rc = model_state_get(&state, held->state, err);
out:
	model_state_release(&state);
	return rc;
}

/* Takes what is not known out of n ids; returns how many are left. */
static size_t drop_unknown(uint32_t *ids, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (ids[i] != VOCAB_NONE)
			ids[kept++] = ids[i];
	return kept;
}

int context_read(struct context *context, const unsigned char *text, size_t n, struct error *err)
{
	const struct vocab *vocab = &context->network->file.vocab;
	size_t unknown;
	int rc = -1;
	uint32_t *ids = calloc(n + 1, sizeof *ids);
	if (!ids)
		return error_memory(err, (n + 1) * sizeof *ids, "the prime");
	size_t count = encode(vocab, text, n, ids, &unknown);
	if (unknown < n && !context->skip) {
		encode_error(vocab, text + unknown, n - unknown, err);
		error_prefix(err, "prime: byte %zu: ", unknown);
		if (text[unknown] == '\\') {
			const struct error found = *err;
			error_set(err, found.status,
				"%s; a prime has no escapes: --prime-file reads "
				"one with line ends",
				found.text);
		}
		goto out;
	}
	size_t known = drop_unknown(ids, count);
	if (known < count)
		tool_note(context->tool, "prime: %zu of %zu characters are unknown, and skipped",
			count - known, count);
	rc = feed(context, ids, known, err);
out:
	free(ids);
	return rc;
}

int context_begin(struct context *context, struct error *err)
{
	const struct vocab *vocab = &context->network->file.vocab;
	uint32_t id = vocab_find(vocab, '\n');
	char name[32];
	if (context->begun)
		return 0;
	if (id == VOCAB_NONE) {
		id = 0;
		tool_note(context->tool,
			"the model knows no newline to begin after: it begins after %s; -p names "
			"another",
			vocab_name(vocab, vocab->symbols[0], name));
	}
	return feed(context, &id, 1, err);
}

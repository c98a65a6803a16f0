/* sample: draws text from a model, one character after the other.
 *
 * The prime is read once by one row; groups of texts then start from the state it left. Texts of a
 * group are drawn as one batch, whose rows do not depend on each other (nn/ops.h), and by random
 * numbers that belong to the text (nn/sampler.h): the i-th text is the same whatever -N is. */
#include "base/input.h"
#include "nn/sampler.h"
#include "tools/device.h"
#include "tools/encode.h"
#include "tools/network.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	GROUP = 64,                /* texts drawn at once */
	PRIME_BYTES_MAX = 1 << 30, /* of --prime-file */
};

struct values {
	struct tool_common common;
	struct device_options device;
	uint64_t length, top_k, seed, samples;
	double temperature;
	const char *prime, *prime_file, *stop, *separator, *vocab;
	bool no_prime;
};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{'n', "length", "N", OPTION_INTEGER, AT(length), "1000",
	 .low = 0, .high = 1e15, .infinite = true,
	 .help = "characters to draw, the prime not counted; inf draws until the reader goes away"},
	{'k', "top-k", "K", OPTION_INTEGER, AT(top_k), NULL, .low = 1, .high = PARAMS_VOCAB_MAX,
	 .help = "draw from the K likeliest characters only (default: all)"},
	{'t', "temperature", "T", OPTION_REAL, AT(temperature), "1",
	 .low = 0, .open_low = true, .high = 1e6,
	 .help = "divide the scores by T before the softmax: below 1 safer, above 1 wilder"},
	{'p', "prime", "TEXT", OPTION_TEXT, AT(prime), NULL,
	 .help = "text that the model reads first (default: a newline, which is not printed)"},
	{'P', "prime-file", "FILE", OPTION_TEXT, AT(prime_file), NULL,
	 .help = "the same from a file"},
	{'s', "seed", "N", OPTION_INTEGER, AT(seed), NULL, .low = 0, .high = UINT32_MAX,
	 .help = "what the draws follow from (default: a random one, which -v prints)"},
	{0, "stop", "TEXT", OPTION_TEXT, AT(stop), NULL,
	 .help = "end a text when TEXT has been drawn; TEXT is still printed"},
	{'N', "samples", "N", OPTION_INTEGER, AT(samples), "1", .low = 1, .high = UINT32_MAX,
	 .help = "texts to draw"},
	{0, "separator", "TEXT", OPTION_TEXT, AT(separator), "\n",
	 .help = "what follows each text where there are several"},
	{0, "no-prime", NULL, OPTION_FLAG, AT(no_prime), NULL, .help = "do not print the prime"},
	{0, "vocab", "FILE", OPTION_TEXT, AT(vocab), NULL,
	 .help = "take the symbols of a model that doesn't name them from a token stream, shards "
		"or another model"},
	DEVICE_OPTIONS(struct values),
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

/* One text of a group. */
struct text {
	unsigned char *waiting; /* drawn while an earlier text is being printed; owned */
	size_t used, room;
	size_t matched; /* bytes of --stop that the text ends in */
	bool done;
};

struct sample {
	const struct tool *tool;
	const struct values *values;
	struct network network;
	struct sampler sampler;
	struct output out;
	bool live;   /* somebody may be reading along */
	char *prime; /* text to be read first, and its length; owned */
	size_t prime_bytes;
	size_t *failure; /* (bytes of --stop + 1): Knuth, Morris and Pratt's table; owned */
	size_t stop_bytes;
	/* What one row holds after the prime: */
	float *h, *c;  /* (L,1,H); owned */
	float *logits; /* (GROUP,V), of which the prime leaves the first row; owned */
	float *start;  /* (V): that row; owned */
	/* The group being drawn: */
	struct model_state state;
	struct text *texts; /* (GROUP); owned */
	size_t count;       /* of texts in it */
	size_t printing;    /* the text whose characters go straight to the output */
};

/* --- the prime ------------------------------------------------------------------------------- */

static int read_prime_file(struct sample *s, struct error *err)
{
	struct input in;
	size_t room = 0;
	ssize_t n = -1;
	if (input_open(&in, s->values->prime_file, INPUT_RAW, err) < 0)
		return -1;
	do {
		if (s->prime_bytes == room) {
			room = room ? 2 * room : 4096;
			char *larger = room <= PRIME_BYTES_MAX ? realloc(s->prime, room) : NULL;
			if (!larger) {
				n = error_memory(err, room, "the prime");
				break;
			}
			s->prime = larger;
		}
		n = input_read(&in, s->prime + s->prime_bytes, room - s->prime_bytes, err);
		s->prime_bytes += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	input_close(&in);
	return (int)n;
}

static int read_prime(struct sample *s, struct error *err)
{
	if (s->values->prime_file)
		return read_prime_file(s, err);
	s->prime = strdup(s->values->prime ? s->values->prime : "");
	if (!s->prime)
		return error_memory(err, 4096, "the prime");
	s->prime_bytes = strlen(s->prime);
	return 0;
}

/* Without a prime a newline is read, as if a line had just ended; where the vocabulary has none,
 * its first symbol. */
static uint32_t silent_prime(const struct sample *s)
{
	const struct vocab *vocab = &s->network.file.vocab;
	uint32_t id = vocab_find(vocab, '\n');
	char name[32];
	if (id != VOCAB_NONE)
		return id;
	tool_note(s->tool,
		"the model knows no newline to begin after: it begins after %s; -p names another",
		vocab_name(vocab, vocab->symbols[0], name));
	return 0;
}

/* The prime's ids, at least one; owned by the caller. */
static uint32_t *encode_prime(const struct sample *s, size_t *count, struct error *err)
{
	const struct vocab *vocab = &s->network.file.vocab;
	const unsigned char *text = (const unsigned char *)s->prime;
	size_t unknown;
	uint32_t *ids = calloc(s->prime_bytes + 1, sizeof *ids);
	if (!ids) {
		error_memory(err, (s->prime_bytes + 1) * sizeof *ids, "the prime");
		return NULL;
	}
	*count = encode(vocab, text, s->prime_bytes, ids, &unknown);
	if (unknown < s->prime_bytes) {
		encode_error(vocab, text + unknown, s->prime_bytes - unknown, err);
		error_prefix(err, "prime: byte %zu: ", unknown);
		free(ids);
		return NULL;
	}
	if (*count == 0)
		ids[(*count)++] = silent_prime(s);
	return ids;
}

/* Feeds the prime to one row and keeps what it leaves behind. */
static int feed_prime(struct sample *s, struct error *err)
{
	struct model *model = &s->network.model;
	struct model_state state = {0};
	size_t count, V = model->params.vocab;
	int status = -1;
	uint32_t *ids = encode_prime(s, &count, err);
	if (!ids || model_state_init(&state, model, 1, err) < 0)
		goto out;
	for (size_t i = 0; i < count;) {
		size_t T = count - i < model->window ? count - i : model->window;
		if (model_feed(model, &state, ids + i, T, s->start, err) < 0)
			goto out;
		i += T;
	}
	s->h = calloc(state.size, sizeof *s->h);
	s->c = calloc(state.size, sizeof *s->c);
	s->logits = calloc(GROUP * V, sizeof *s->logits);
	if (!s->h || !s->c || !s->logits)
		error_memory(err, (2 * state.size + GROUP * V) * sizeof *s->h, "the state");
	else
		status = model_state_get(&state, s->h, s->c, err);
out:
	model_state_release(&state);
	free(ids);
	return status;
}

/* --- printing -------------------------------------------------------------------------------- */

static int append(struct text *text, const unsigned char *bytes, size_t n, struct error *err)
{
	if (n > text->room - text->used) {
		size_t room = 2 * text->room + 256;
		unsigned char *larger = realloc(text->waiting, room);
		if (!larger)
			return error_memory(err, room, "a text");
		text->waiting = larger;
		text->room = room;
	}
	memcpy(text->waiting + text->used, bytes, n);
	text->used += n;
	return 0;
}

/* What stands before a text. */
static int begin_text(struct sample *s, struct error *err)
{
	if (s->values->no_prime)
		return 0;
	return output_write(&s->out, s->prime, s->prime_bytes, err);
}

static int end_text(struct sample *s, struct error *err)
{
	if (s->values->samples == 1)
		return 0;
	return output_write(&s->out, s->values->separator, strlen(s->values->separator), err);
}

/* Prints what waits, up to and including the first text that isn't done. */
static int print_waiting(struct sample *s, struct error *err)
{
	while (s->printing < s->count && s->texts[s->printing].done) {
		if (end_text(s, err) < 0)
			return -1;
		if (++s->printing == s->count)
			break;
		struct text *text = &s->texts[s->printing];
		if (begin_text(s, err) < 0 ||
			output_write(&s->out, text->waiting, text->used, err) < 0)
			return -1;
	}
	return s->live ? output_flush(&s->out, err) : 0;
}

/* Whether the text with this byte behind it ends in --stop. */
static bool stops(const struct sample *s, struct text *text, unsigned char byte)
{
	const char *stop = s->values->stop;
	if (s->stop_bytes == 0)
		return false;
	while (text->matched > 0 && (unsigned char)stop[text->matched] != byte)
		text->matched = s->failure[text->matched];
	if ((unsigned char)stop[text->matched] == byte)
		text->matched++;
	return text->matched == s->stop_bytes;
}

static int take(struct sample *s, size_t row, uint32_t id, struct error *err)
{
	struct text *text = &s->texts[row];
	unsigned char bytes[4];
	size_t n = (size_t)vocab_text(&s->network.file.vocab, id, bytes);
	for (size_t i = 0; i < n; i++)
		text->done |= stops(s, text, bytes[i]);
	if (row == s->printing)
		return output_write(&s->out, bytes, n, err);
	return append(text, bytes, n, err);
}

/* --- drawing --------------------------------------------------------------------------------- */

/* All rows of a group start from what the prime left. */
static int start_group(struct sample *s, size_t count, struct error *err)
{
	const struct params *params = &s->network.model.params;
	size_t H = params->hidden, V = params->vocab, size = count * params->layers * H;
	float *h = calloc(size, sizeof *h), *c = calloc(size, sizeof *c);
	int status = -1;
	if (!h || !c) {
		error_memory(err, 2 * size * sizeof *h, "the state");
		goto out;
	}
	for (size_t l = 0; l < params->layers; l++)
		for (size_t r = 0; r < count; r++) {
			memcpy(h + (l * count + r) * H, s->h + l * H, H * sizeof *h);
			memcpy(c + (l * count + r) * H, s->c + l * H, H * sizeof *c);
		}
	for (size_t r = 0; r < count; r++) {
		memcpy(s->logits + r * V, s->start, V * sizeof *s->logits);
		s->texts[r].used = s->texts[r].matched = 0;
		s->texts[r].done = s->values->length == 0;
	}
	s->count = count;
	s->printing = 0;
	model_state_release(&s->state);
	if (model_state_init(&s->state, &s->network.model, count, err) == 0)
		status = model_state_set(&s->state, h, c, err);
out:
	free(h);
	free(c);
	return status;
}

static int sample_group(struct sample *s, uint32_t first, size_t count, struct error *err)
{
	struct model *model = &s->network.model;
	uint64_t length = s->values->length;
	uint32_t ids[GROUP] = {0};
	if (start_group(s, count, err) < 0 || begin_text(s, err) < 0 || print_waiting(s, err) < 0)
		return -1;
	for (uint64_t position = 0; s->printing < count; position++) {
		if (position > 0 && model_feed(model, &s->state, ids, 1, s->logits, err) < 0)
			return -1;
		for (size_t row = 0; row < count; row++) {
			if (s->texts[row].done)
				continue;
			ids[row] = sampler_draw(&s->sampler, s->logits + row * model->params.vocab,
				first + (uint32_t)row, position);
			if (take(s, row, ids[row], err) < 0)
				return -1;
			s->texts[row].done |= position + 1 == length;
		}
		if (print_waiting(s, err) < 0)
			return -1;
	}
	return 0;
}

/* --- start and end --------------------------------------------------------------------------- */

static int check_options(struct values *values, const struct options *options, int argc,
	char **argv, struct error *err)
{
	bool model_is_stdin = argc == 0 || strcmp(argv[0], "-") == 0;
	if (argc > 1)
		return error_set(err, STATUS_USAGE, "one model expected, not also %s", argv[1]);
	if (values->prime && values->prime_file)
		return error_set(err, STATUS_USAGE, "--prime and --prime-file: give one of them");
	if (values->prime_file && strcmp(values->prime_file, "-") == 0 && model_is_stdin)
		return error_set(
			err, STATUS_USAGE, "standard input can't be both the model and the prime");
	if (values->length == UINT64_MAX && values->samples > 1 && !values->stop)
		return error_set(err, STATUS_USAGE,
			"--length inf --samples %" PRIu64
			": the second text would never come; --stop ends "
			"the first",
			values->samples);
	uint32_t seed;
	if (options_given(options, "seed"))
		return 0;
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		return error_errno(err, STATUS_IO, "no random seed to be had; give --seed");
	values->seed = seed;
	return 0;
}

/* The table of D. E. Knuth, J. H. Morris, V. R. Pratt: Fast Pattern Matching in Strings, 1977:
 * where to go on in --stop when the next byte isn't its next one. */
static int prepare_stop(struct sample *s, struct error *err)
{
	const char *stop = s->values->stop ? s->values->stop : "";
	s->stop_bytes = strlen(stop);
	s->failure = calloc(s->stop_bytes + 1, sizeof *s->failure);
	if (!s->failure)
		return error_memory(err, (s->stop_bytes + 1) * sizeof *s->failure, "--stop");
	for (size_t i = 1, k = 0; i < s->stop_bytes; i++) {
		while (k > 0 && stop[k] != stop[i])
			k = s->failure[k];
		k += stop[k] == stop[i];
		s->failure[i + 1] = k;
	}
	return 0;
}

static int open_all(struct sample *s, const char *path, struct error *err)
{
	const struct values *values = s->values;
	size_t rows = values->samples < GROUP ? (size_t)values->samples : GROUP;
	struct stat st;
	if (tool_output(s->tool, &s->out, false, err) < 0)
		return -1;
	s->live = !values->common.gzip && fstat(s->out.fd, &st) == 0 && !S_ISREG(st.st_mode);
	if (network_open(&s->network, s->tool, path, values->vocab, &values->device, err) < 0 ||
		network_prepare(&s->network, rows, GROUP / rows, err) < 0)
		return -1;
	size_t V = s->network.model.params.vocab;
	s->texts = calloc(GROUP, sizeof *s->texts);
	s->start = calloc(V, sizeof *s->start);
	if (!s->texts || !s->start)
		return error_memory(err, GROUP * sizeof *s->texts, "texts");
	if (sampler_init(&s->sampler, (uint32_t)V, (uint32_t)values->top_k, values->temperature,
		    (uint32_t)values->seed, err) < 0)
		return -1;
	if (prepare_stop(s, err) < 0 || read_prime(s, err) < 0 || feed_prime(s, err) < 0)
		return -1;
	tool_detail(s->tool, "seed %" PRIu64, values->seed);
	return 0;
}

static void close_all(struct sample *s)
{
	for (size_t i = 0; s->texts && i < GROUP; i++)
		free(s->texts[i].waiting);
	free(s->texts);
	free(s->prime);
	free(s->failure);
	free(s->h);
	free(s->c);
	free(s->logits);
	free(s->start);
	model_state_release(&s->state);
	sampler_release(&s->sampler);
	network_close(&s->network);
	output_discard(&s->out);
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct sample s = {.tool = tool, .values = tool->values, .out.fd = -1};
	uint64_t samples;
	int status = -1;
	if (check_options(tool->values, &tool->options, argc, argv, err) < 0)
		return -1;
	if (open_all(&s, argc ? argv[0] : NULL, err) < 0)
		goto out;
	samples = s.values->samples;
	for (uint64_t first = 0; first < samples; first += GROUP) {
		size_t count = samples - first < GROUP ? (size_t)(samples - first) : GROUP;
		if (sample_group(&s, (uint32_t)first, count, err) < 0)
			goto out;
	}
	status = output_commit(&s.out, err);
out:
	close_all(&s);
	return status;
}

int main(int argc, char **argv)
{
	struct values values;
	struct tool tool = {
		.name = "sample",
		.synopsis = "[OPTION...] [MODEL]",
		.summary = "Reads a model, writes text that it draws from it, one character at a "
			   "time.",
		.table = table,
		.values = &values,
		.run = run,
	};
	return tool_main(&tool, argc, argv);
}

/* sample: draws text from a model, one character after the other. */
#include "base/input.h"
#include "base/utf8.h"
#include "nn/sampler.h"
#include "tools/device.h"
#include "tools/network.h"
#include "tools/sample/context.h"
#include "tools/sample/draw.h"
#include "tools/sample/interactive.h"
#include "tools/sample/unescape.h"
#include "tools/tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PRIME_BYTES_MAX = 1 << 30, /* of --prime-file */
	WINDOW = 64,               /* characters of a prime read at once */
	UNKNOWN_ERROR = 0,
	UNKNOWN_SKIP = 1,
};

struct values {
	struct tool_common common;
	struct device_options device;
	struct network_options network;
	uint64_t length, top_k, seed, samples;
	double temperature, top_p, min_p;
	const char *prime, *prime_file, *stop, *separator, *state, *save_state;
	unsigned unknown;
	bool no_prime, logprob, interactive;
};

static const char *const unknown_choices[] = {"error", "skip", NULL};

#define AT(member) offsetof(struct values, member)
/* clang-format off */
static const struct option table[] = {
	{.letter = 'n', .name = "length", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(length), .initial = "1000", .low = 0, .high = 1e15,
	 .infinite = true, .also = "max-length num-chars max-new-tokens",
	 .help = "characters to draw, the prime not counted; inf draws until the reader goes away"},
	{.letter = 'k', .name = "top-k", .argument = "K", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(top_k), .low = 1, .high = PARAMS_VOCAB_MAX,
	 .help = "draw from the K likeliest characters only (default: all)"},
	{.name = "top-p", .argument = "P", .type = OPTION_REAL, .effect = EFFECT_SHAPES,
	 .offset = AT(top_p), .initial = "1", .low = 0, .open_low = true, .high = 1,
	 .help = "of these, from the fewest likeliest that have probability P together"},
	{.name = "min-p", .argument = "P", .type = OPTION_REAL, .effect = EFFECT_SHAPES,
	 .offset = AT(min_p), .initial = "0", .low = 0, .high = 1,
	 .help = "of these, from those that are at least P times as likely as the likeliest"},
	{.letter = 't', .name = "temperature", .argument = "T", .type = OPTION_REAL,
	 .effect = EFFECT_SHAPES, .offset = AT(temperature), .initial = "1", .low = 0, .high = 1e6,
	 .also = "temp",
	 .help = "divide the scores by T before the softmax: below 1 safer, above 1 wilder; 0 "
		"always takes the likeliest"},
	{.letter = 'p', .name = "prime", .argument = "TEXT", .type = OPTION_TEXT,
	 .effect = EFFECT_SHAPES, .offset = AT(prime), .also = "prompt primetext start-text",
	 .help = "text that the model reads first (default: a newline, which is not printed)"},
	{.letter = 'P', .name = "prime-file", .argument = "FILE", .type = OPTION_TEXT,
	 .effect = EFFECT_SHAPES, .file = OPTION_FILE_READ, .offset = AT(prime_file),
	 .help = "the same from a file"},
	{.name = "unknown", .argument = "error|skip", .type = OPTION_CHOICE,
	 .effect = EFFECT_SHAPES, .offset = AT(unknown), .initial = "error",
	 .choices = unknown_choices,
	 .help = "what a character of the prime is that the model doesn't know: an error, or one "
		"that it does not read"},
	{.name = "save-state", .argument = "FILE", .type = OPTION_TEXT, .effect = EFFECT_NONE,
	 .file = OPTION_FILE_STORED, .offset = AT(save_state),
	 .help = "write what the model holds after the prime, for --state"},
	{.name = "state", .argument = "FILE", .type = OPTION_TEXT, .effect = EFFECT_SHAPES,
	 .file = OPTION_FILE_LOADED, .offset = AT(state),
	 .help = "go on from there, as if that prime had been read again, before this one"},
	{.letter = 'i', .name = "interactive", .type = OPTION_FLAG, .effect = EFFECT_SHAPES,
	 .offset = AT(interactive),
	 .help = "for each line of standard input, read as a prime, write a line that continues "
		"it"},
	{.letter = 's', .name = "seed", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(seed), .low = 0, .high = UINT32_MAX,
	 .help = "what the draws follow from (default: a random one, which -v prints)"},
	{.name = "stop", .argument = "TEXT", .type = OPTION_TEXT, .effect = EFFECT_SHAPES,
	 .offset = AT(stop),
	 .help = "end a text when TEXT has been drawn; TEXT, in which \\n, \\t, \\r and \\\\ stand "
		"for control characters and a backslash, is still printed"},
	{.letter = 'N', .name = "samples", .argument = "N", .type = OPTION_INTEGER,
	 .effect = EFFECT_SHAPES, .offset = AT(samples), .initial = "1", .low = 1,
	 .high = UINT32_MAX, .also = "num-samples n-samples", .help = "texts to draw"},
	{.name = "separator", .argument = "TEXT", .type = OPTION_TEXT, .effect = EFFECT_SHAPES,
	 .offset = AT(separator), .initial = "\n",
	 .help = "what follows each text where there are several, written as for --stop"},
	{.name = "no-prime", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(no_prime),
	 .help = "do not print the prime"},
	{.name = "logprob", .type = OPTION_FLAG, .effect = EFFECT_SHAPES, .offset = AT(logprob),
	 .help = "print a table: each text's log-probability in nats, its length, and itself on "
		"one line"},
	NETWORK_OPTIONS(struct values),
	DEVICE_OPTIONS(struct values),
	TOOL_OPTIONS(struct values),
	{0},
};
/* clang-format on */

struct sample {
	const struct tool *tool;
	const struct values *values;
	struct network network;
	uint32_t model_crc; /* for states */
	struct sampler sampler;
	struct context context;
	struct draw draw;
	struct output out;
	char *stop, *separator; /* without escapes; owned */
	unsigned char *prime;   /* text to be read first, and its length; owned */
	size_t prime_bytes;
};

/* --- options --------------------------------------------------------------------------------- */

/* Which options want standard input: it can be one thing only. */
static int check_stdin(const struct values *values, const char *model, struct error *err)
{
	const char *const wants[] = {
		!model || strcmp(model, "-") == 0 ? "the model" : NULL,
		values->prime_file && strcmp(values->prime_file, "-") == 0 ? "the prime" : NULL,
		values->state && strcmp(values->state, "-") == 0 ? "the state" : NULL,
		values->interactive ? "the prompts" : NULL,
	};
	const char *first = NULL;
	for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
		if (first && wants[i])
			return error_set(err, STATUS_USAGE,
				"standard input can't be both %s and %s", first, wants[i]);
		first = first ? first : wants[i];
	}
	return 0;
}

/* Texts that never end can't be followed by anything. */
static int check_endless(const struct values *values, struct error *err)
{
	if (values->length != UINT64_MAX || values->stop || values->interactive)
		return 0;
	if (values->samples > 1)
		return error_set(err, STATUS_USAGE,
			"--length inf --samples %" PRIu64
			": the second text would never come; --stop ends the first",
			values->samples);
	if (values->logprob)
		return error_set(err, STATUS_USAGE,
			"--length inf --logprob: a text is printed when it ends; --stop ends it");
	return 0;
}

static int check_options(struct values *values, const struct options *options, int argc,
	char **argv, struct error *err)
{
	uint32_t seed;
	if (argc > 1)
		return error_set(err, STATUS_USAGE, "one model expected, not also %s", argv[1]);
	if (values->prime && values->prime_file)
		return error_set(err, STATUS_USAGE, "--prime and --prime-file: give one of them");
	if (values->interactive && options_given(options, "separator"))
		return error_set(err, STATUS_USAGE,
			"--interactive and --separator: each text is a line, whose end follows it");
	if (values->logprob && options_given(options, "separator"))
		return error_set(err, STATUS_USAGE,
			"--logprob and --separator: each text is a row of a table");
	if (values->interactive && values->save_state && !values->prime && !values->prime_file &&
		!values->state)
		return error_set(err, STATUS_USAGE,
			"--interactive --save-state: nothing has been read yet; --prime names it");
	if (check_stdin(values, argc ? argv[0] : NULL, err) < 0 || check_endless(values, err) < 0)
		return -1;
	if (options_given(options, "seed"))
		return 0;
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		return error_errno(err, STATUS_IO, "no random seed to be had; give --seed");
	values->seed = seed;
	return 0;
}

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
			unsigned char *larger =
				room <= PRIME_BYTES_MAX ? realloc(s->prime, room) : NULL;
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
	s->prime = (unsigned char *)strdup(s->values->prime ? s->values->prime : "");
	if (!s->prime)
		return error_memory(err, 4096, "the prime");
	s->prime_bytes = strlen((const char *)s->prime);
	return 0;
}

/* What the model reads before it draws. Prompts begin after it as they are. */
static int read_context(struct sample *s, struct error *err)
{
	const struct values *values = s->values;
	if (context_init(&s->context, s->tool, &s->network, values->unknown == UNKNOWN_SKIP, err) <
		0)
		return -1;
	if (values->state && context_load(&s->context, values->state, s->model_crc, err) < 0)
		return -1;
	if (read_prime(s, err) < 0 || context_read(&s->context, s->prime, s->prime_bytes, err) < 0)
		return -1;
	if (!values->interactive && context_begin(&s->context, err) < 0)
		return -1;
	return values->save_state ? context_save(&s->context, values->save_state, s->model_crc, err)
				  : 0;
}

/* --- start and end --------------------------------------------------------------------------- */

/* Whether each character is to be seen when it is drawn. */
static bool is_live(const struct sample *s)
{
	struct stat st;
	if (s->values->common.gzip || fstat(s->out.fd, &st) < 0 || S_ISREG(st.st_mode))
		return false;
	return !s->values->interactive || isatty(s->out.fd);
}

/* A text that holds something which the model never draws never comes. */
static void check_stop(const struct sample *s)
{
	const struct vocab *vocab = &s->network.file.vocab;
	const unsigned char *stop = (const unsigned char *)s->stop;
	for (size_t n = stop ? strlen(s->stop) : 0, length; n > 0; n -= length, stop += length) {
		uint32_t symbol = *stop;
		char name[32];
		int bytes = vocab->unit == VOCAB_BYTE ? 1 : utf8_decode(stop, n, &symbol);
		length = bytes > 0 ? (size_t)bytes : 1;
		if (bytes <= 0 || vocab_find(vocab, symbol) != VOCAB_NONE)
			continue;
		tool_note(s->tool, "--stop never comes: %s is not in the model's vocabulary",
			vocab_name(vocab, symbol, name));
		return;
	}
}

static int open_all(struct sample *s, const char *path, struct error *err)
{
	const struct values *values = s->values;
	size_t rows = draw_rows(values->samples);
	if ((values->stop && !(s->stop = unescape("--stop", values->stop, err))) ||
		!(s->separator = unescape("--separator", values->separator, err)))
		return -1;
	if (tool_output(s->tool, &s->out, false, err) < 0)
		return -1;
	if (network_open(&s->network, s->tool, path, &values->network, &values->device, err) < 0)
		return -1;
	if ((values->state || values->save_state) &&
		state_file_model_crc(&s->network.file, &s->model_crc, err) < 0)
		return -1;
	if (network_prepare(&s->network, rows, WINDOW / rows, err) < 0)
		return -1;
	if (sampler_init(&s->sampler, s->network.file.params.vocab, (uint32_t)values->top_k,
		    values->temperature, (uint32_t)values->seed, err) < 0)
		return -1;
	s->sampler.top_p = values->top_p;
	s->sampler.min_p = values->min_p;
	s->draw = (struct draw){
		.network = &s->network,
		.sampler = &s->sampler,
		.out = &s->out,
		.length = values->length,
		.lines = values->interactive,
		.table = values->logprob,
		.live = is_live(s),
		.stop = s->stop,
		.separator = values->interactive   ? "\n"
			     : values->samples > 1 ? s->separator
						   : NULL,
	};
	check_stop(s);
	if (draw_init(&s->draw, err) < 0 || read_context(s, err) < 0)
		return -1;
	tool_detail(s->tool, "seed %" PRIu64, values->seed);
	return 0;
}

static void close_all(struct sample *s)
{
	free(s->prime);
	free(s->stop);
	free(s->separator);
	draw_release(&s->draw);
	context_release(&s->context);
	sampler_release(&s->sampler);
	network_close(&s->network);
	output_discard(&s->out);
}

static int write_texts(struct sample *s, struct error *err)
{
	static const char header[] = "logprob\tchars\ttext\n";
	size_t prime_bytes = s->values->no_prime ? 0 : s->prime_bytes;
	if (s->values->interactive)
		return interactive(&s->context, &s->draw, s->values->samples, err);
	if (s->values->logprob && output_write(&s->out, header, strlen(header), err) < 0)
		return -1;
	if (draw_texts(&s->draw, &s->context.state, s->prime, prime_bytes, 0, s->values->samples,
		    err) < 0)
		return -1;
	/* A shell's prompt would stand behind the text. */
	return s->draw.within && isatty(s->out.fd) ? output_write(&s->out, "\n", 1, err) : 0;
}

static int run(struct tool *tool, int argc, char **argv, struct error *err)
{
	struct sample s = {.tool = tool, .values = tool->values, .out.fd = -1};
	int rc = -1;
	if (check_options(tool->values, &tool->options, argc, argv, err) < 0)
		return -1;
	if (open_all(&s, argc ? argv[0] : NULL, err) == 0 && write_texts(&s, err) == 0)
		rc = output_commit(&s.out, err);
	close_all(&s);
	return rc;
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

/* charpipe.h: character-level language models for programs of one's own: `pkg-config --cflags
 * --libs charpipe` says how to compile them, charpipe(3) is the manual, examples/embed shows some.
 *
 *     struct charpipe_error error;
 *     struct charpipe_model *model = charpipe_model_open("anna.model", 0, &error);
 *     struct charpipe_state *state = charpipe_state_new(model, &error);
 *     char text[4 * 100 + 1];
 *     charpipe_state_sample(state, NULL, 100, text, NULL, &error);
 *     charpipe_state_free(state);
 *     charpipe_model_free(model);
 *
 * Functions return 0, or -1 (NULL) after they have filled in the error; they never print and never
 * end the process. Everywhere the error may be NULL. What is freed may be NULL, too, and things may
 * be freed in any order: each keeps what it needs.
 *
 * A model, what was made from it, and the data it learns from are used by one thread at a time;
 * different ones by different threads as they like. A model computes with threads of its own.
 *
 * Text is UTF-8, or bytes where the model's symbols are bytes; ids are 0 to the vocabulary's size,
 * exclusive. The library is version 0: what it declares may yet change. */
#ifndef CHARPIPE_H
#define CHARPIPE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#pragma GCC visibility push(default)
#endif

/* What an error is about: the exit statuses of the programs. */
enum charpipe_status {
	CHARPIPE_OK = 0,
	CHARPIPE_USAGE = 64,     /* an argument is out of range */
	CHARPIPE_DATA = 65,      /* a file or text is damaged, of the wrong kind, or doesn't fit */
	CHARPIPE_NO_INPUT = 66,  /* a file can't be opened */
	CHARPIPE_NO_DEVICE = 69, /* there is no OpenBLAS to train with, or are no such kernels */
	CHARPIPE_NUMERIC = 70,   /* the loss or the gradient is not finite */
	CHARPIPE_NO_MEMORY = 71, /* or no threads */
	CHARPIPE_CANT_CREATE = 73, /* a file can't be created */
	CHARPIPE_IO = 74           /* a file can't be read or written */
};

struct charpipe_error {
	int status;     /* enum charpipe_status */
	char text[512]; /* one line, without its end */
};

/* The options below begin with their own size, so that programs go on working with libraries that
 * know more of them. The macros are their defaults; so is NULL in the place of a pointer to some. */

/* Of a new network: what train(1) calls --hidden, --layers, --dropout, --seed and --cell. */
struct charpipe_network {
	size_t size;
	uint32_t hidden, layers;
	double dropout;
	uint32_t seed;
	const char *cell;
};
#define CHARPIPE_NETWORK \
	{ \
		sizeof(struct charpipe_network), 512, 2, 0.5, 1, "lstm" \
	}

/* How a text becomes batches: --rows, --window, --val and --test of batchify(1), --bytes and
 * --universal-newlines of tokenize(1). */
struct charpipe_batching {
	size_t size;
	uint32_t rows, window;
	double validation, test;
	int bytes, universal_newlines;
};
#define CHARPIPE_BATCHING \
	{ \
		sizeof(struct charpipe_batching), 128, 100, 0.1, 0, 0, 0 \
	}

/* How a model learns: --lr, --clip, --seed, --beta1, --beta2, --weight-decay and --muon-every of
 * train(1). Both betas 0: their defaults. */
struct charpipe_training {
	size_t size;
	double lr, clip;
	uint32_t seed;
	double beta1, beta2, weight_decay;
	uint32_t muon_every; /* 0: Adam alone */
};
#define CHARPIPE_TRAINING \
	{ \
		sizeof(struct charpipe_training), 0.001, 5, 1, 0.9, 0.999, 0, 0 \
	}

/* How characters are drawn: --top-k (0: all), --seed, --temperature, --top-p and --min-p of
 * sample(1). */
struct charpipe_sampling {
	size_t size;
	uint32_t top_k, seed;
	double temperature, top_p, min_p;
};
#define CHARPIPE_SAMPLING \
	{ \
		sizeof(struct charpipe_sampling), 0, 1, 1, 1, 0 \
	}

struct charpipe_model;   /* a network, its weights and its vocabulary */
struct charpipe_state;   /* what a model holds of one text */
struct charpipe_data;    /* batches to learn from */
struct charpipe_trainer; /* the training of a model on data */

/* "0.1.0" */
const char *charpipe_version(void);

/* --- models: charpipe_model(3) ---------------------------------------------------------------- */

/* Reads a model, checkpoint, or PyTorch state_dict (.safetensors, gzipped or not) from a file, or
 * from `bytes` bytes, which are not needed afterwards. Here and below: threads to compute with, 0
 * for as many as there are cores. */
struct charpipe_model *charpipe_model_open(
	const char *path, unsigned threads, struct charpipe_error *error);
struct charpipe_model *charpipe_model_open_memory(
	const void *file, size_t bytes, unsigned threads, struct charpipe_error *error);

/* A network with random weights and the vocabulary of `data`. */
struct charpipe_model *charpipe_model_new(const struct charpipe_data *data,
	const struct charpipe_network *network, unsigned threads, struct charpipe_error *error);

void charpipe_model_free(struct charpipe_model *model);

/* Writes the model as it is now into a file, whole or not at all. */
int charpipe_model_save(
	struct charpipe_model *model, const char *path, struct charpipe_error *error);

/* Its dimensions: symbols of the vocabulary, units of a layer, layers. */
uint32_t charpipe_model_vocab(const struct charpipe_model *model);
uint32_t charpipe_model_hidden(const struct charpipe_model *model);
uint32_t charpipe_model_layers(const struct charpipe_model *model);

/* The kind of its layers: "lstm", "gru" or "rnn". */
const char *charpipe_model_cell(const struct charpipe_model *model);

/* The text of an id, 1 to 4 bytes and a NUL, into `text`. Returns the bytes without the NUL: 0 where
 * there is no such id, or the model doesn't say what its ids stand for. */
size_t charpipe_model_symbol(const struct charpipe_model *model, uint32_t id, char text[5]);

/* Turns a text into ids, of which there are at most as many as bytes; their number into *count. A
 * character that the model doesn't know is an error (65) that names it and its place. */
int charpipe_model_encode(const struct charpipe_model *model, const char *text, size_t bytes,
	uint32_t *ids, size_t *count, struct charpipe_error *error);

/* --- states: charpipe_state(3) ---------------------------------------------------------------- */

/* A state that has read nothing. */
struct charpipe_state *charpipe_state_new(
	struct charpipe_model *model, struct charpipe_error *error);
/* Another one that has read the same. */
struct charpipe_state *charpipe_state_copy(
	const struct charpipe_state *state, struct charpipe_error *error);
/* Forgets everything. */
void charpipe_state_reset(struct charpipe_state *state);
void charpipe_state_free(struct charpipe_state *state);

/* Reads on: ids, or text. An error (65) leaves the state as it was. */
int charpipe_state_feed(struct charpipe_state *state, const uint32_t *ids, size_t count,
	struct charpipe_error *error);
int charpipe_state_read(
	struct charpipe_state *state, const char *text, size_t bytes, struct charpipe_error *error);

/* What the model expects next: one logit for each id, valid until the state reads on. NULL before
 * anything was read. */
const float *charpipe_state_logits(const struct charpipe_state *state);

/* Draws characters, each of which the state then reads, and writes them into `text`, which has room
 * for 4 * characters + 1 bytes; their bytes into *bytes (NULL: not wanted), and a NUL behind them.
 * The draws follow from the seed and from how many the state has seen before. A state that has read
 * nothing first reads a newline, as sample(1) does. */
int charpipe_state_sample(struct charpipe_state *state, const struct charpipe_sampling *sampling,
	size_t characters, char *text, size_t *bytes, struct charpipe_error *error);

/* Reads on, and gives in *nats the sum of what the characters cost, -ln p each, in *characters how
 * many were scored: all, but the very first one that a state reads. */
int charpipe_state_score(struct charpipe_state *state, const char *text, size_t bytes, double *nats,
	size_t *characters, struct charpipe_error *error);

/* --- data: charpipe_data(3) ------------------------------------------------------------------- */

enum charpipe_split { CHARPIPE_TRAIN, CHARPIPE_VALIDATION, CHARPIPE_TEST };

/* The shards that batchify(1) writes. */
struct charpipe_data *charpipe_data_open(const char *path, struct charpipe_error *error);

/* Batches of a text, which is not needed afterwards. Ids are those of the model, which may be NULL:
 * then the vocabulary is what occurs in the text, sorted. */
struct charpipe_data *charpipe_data_new(const char *text, size_t bytes,
	const struct charpipe_model *model, const struct charpipe_batching *batching,
	struct charpipe_error *error);

void charpipe_data_free(struct charpipe_data *data);

/* Batches of a part; 0 where there is none. */
uint64_t charpipe_data_batches(const struct charpipe_data *data, enum charpipe_split split);

/* --- training: charpipe_trainer(3) ------------------------------------------------------------ */

/* A model has one trainer at a time. Data whose symbols are the model's in another order fit. */
struct charpipe_trainer *charpipe_trainer_new(struct charpipe_model *model,
	struct charpipe_data *data, const struct charpipe_training *training,
	struct charpipe_error *error);
void charpipe_trainer_free(struct charpipe_trainer *trainer);

/* One step on the next batch; after the last the first follows, from state zero. *nats: the mean
 * loss of a character before the step. A loss or gradient that isn't finite (70) changes nothing. */
int charpipe_trainer_step(
	struct charpipe_trainer *trainer, double *nats, struct charpipe_error *error);

/* Another learning rate from the next step on. */
int charpipe_trainer_set_lr(
	struct charpipe_trainer *trainer, double lr, struct charpipe_error *error);

/* The mean loss of a character of another part, which leaves the training undisturbed. */
int charpipe_trainer_evaluate(struct charpipe_trainer *trainer, enum charpipe_split split,
	double *nats, struct charpipe_error *error);

#if defined __GNUC__
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif

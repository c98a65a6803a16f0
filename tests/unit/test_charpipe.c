/* The library's door, seen from outside: charpipe.h and libcharpipe.a, nothing else. */
#include "door/charpipe.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/"
#define MODEL GOLDEN "model/small.safetensors"

static const char rhyme[] = "one two three four five, once I caught a fish alive;\n"
			    "six seven eight nine ten, then I let it go again.\n";

static struct charpipe_error error;

static void good(int rc)
{
	if (rc < 0)
		fail_msg("%d: %s", error.status, error.text);
}

static void bad(int rc, int status, const char *words)
{
	assert_int_equal(rc, -1);
	assert_int_equal(error.status, status);
	if (!strstr(error.text, words))
		fail_msg("\"%s\", expected \"%s\"", error.text, words);
}

static void no(const void *made, int status, const char *words)
{
	assert_null(made);
	bad(-1, status, words);
}

static struct charpipe_data *new_data(void)
{
	struct charpipe_batching batching = CHARPIPE_BATCHING;
	batching.rows = 2;
	batching.window = 8;
	batching.validation = 0.2;
	struct charpipe_data *data =
		charpipe_data_new(rhyme, strlen(rhyme), NULL, &batching, &error);
	good(data ? 0 : -1);
	return data;
}

static struct charpipe_model *new_model(const struct charpipe_data *data)
{
	struct charpipe_network network = CHARPIPE_NETWORK;
	network.hidden = 12;
	network.layers = 2;
	network.dropout = 0.1;
	struct charpipe_model *model = charpipe_model_new(data, &network, 1, &error);
	good(model ? 0 : -1);
	return model;
}

static struct charpipe_model *made(void)
{
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	charpipe_data_free(data);
	return model;
}

static struct charpipe_state *new_state(struct charpipe_model *model)
{
	struct charpipe_state *state = charpipe_state_new(model, &error);
	good(state ? 0 : -1);
	return state;
}

static void read_text(struct charpipe_state *state, const char *text)
{
	good(charpipe_state_read(state, text, strlen(text), &error));
}

static void expect_the_same(
	const struct charpipe_model *model, const float *a, const float *b, double most)
{
	for (uint32_t id = 0; id < charpipe_model_vocab(model); id++)
		if (!(fabs((double)a[id] - (double)b[id]) <= most))
			fail_msg("logit %u: %g and %g", (unsigned)id, (double)a[id], (double)b[id]);
}

/* --- models ----------------------------------------------------------------------------------- */

static void a_model_has_the_cells_that_it_was_made_with(void **unused)
{
	static const char *const names[] = {NULL, "lstm", "gru", "rnn"};
	struct charpipe_data *data = new_data();
	(void)unused;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct charpipe_network network = CHARPIPE_NETWORK;
		double first, nats = 0;
		network.hidden = 12;
		network.cell = names[i];
		struct charpipe_model *model = charpipe_model_new(data, &network, 1, &error);
		good(model ? 0 : -1);
		assert_string_equal(charpipe_model_cell(model), names[i] ? names[i] : "lstm");
		struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, NULL, &error);
		good(trainer ? 0 : -1);
		good(charpipe_trainer_set_lr(trainer, 0.02, &error));
		good(charpipe_trainer_step(trainer, &first, &error));
		for (int step = 0; step < 50; step++)
			good(charpipe_trainer_step(trainer, &nats, &error));
		assert_true(nats < first * 0.9);
		charpipe_trainer_free(trainer);
		struct charpipe_state *state = new_state(model), *copy;
		read_text(state, "the");
		copy = charpipe_state_copy(state, &error);
		good(copy ? 0 : -1);
		read_text(state, " ");
		read_text(copy, " ");
		expect_the_same(
			model, charpipe_state_logits(state), charpipe_state_logits(copy), 0);
		charpipe_state_free(state);
		charpipe_state_free(copy);
		charpipe_model_free(model);
	}
	charpipe_data_free(data);
}

static void a_model_says_what_it_is(void **unused)
{
	struct charpipe_model *model = charpipe_model_open(MODEL, 1, &error);
	char text[5];
	uint32_t ids[8];
	size_t count;
	(void)unused;
	good(model ? 0 : -1);
	const uint32_t V = charpipe_model_vocab(model);
	assert_true(V > 1);
	assert_true(charpipe_model_hidden(model) > 0);
	assert_true(charpipe_model_layers(model) > 0);
	for (uint32_t id = 0; id < V; id++) {
		size_t n = charpipe_model_symbol(model, id, text);
		assert_int_equal(n, strlen(text));
		good(charpipe_model_encode(model, text, n, ids, &count, &error));
		assert_int_equal(count, 1);
		assert_int_equal(ids[0], id);
	}
	assert_int_equal(charpipe_model_symbol(model, V, text), 0);
	assert_string_equal(text, "");
	charpipe_model_free(model);
}

static void what_is_no_model_is_refused(void **unused)
{
	(void)unused;
	no(charpipe_model_open("no/such/file", 1, &error), CHARPIPE_NO_INPUT, "no/such/file");
	no(charpipe_model_open("README.md", 1, &error), CHARPIPE_DATA, "README.md");
	no(charpipe_model_open(GOLDEN "streams/hello.tokens", 1, &error), CHARPIPE_DATA,
		"token stream");
	no(charpipe_model_open_memory("{}", 2, 1, &error), CHARPIPE_DATA, "a model in memory");
	no(charpipe_model_open_memory("", 0, 1, &error), CHARPIPE_DATA, "a model in memory");
	no(charpipe_data_open(MODEL, &error), CHARPIPE_DATA, "model");
	no(charpipe_data_open("no/such/file", &error), CHARPIPE_NO_INPUT, "no/such/file");
	assert_null(charpipe_model_open("no/such/file", 1, NULL));
	charpipe_model_free(NULL);
	charpipe_state_free(NULL);
	charpipe_data_free(NULL);
	charpipe_trainer_free(NULL);
}

static void a_model_without_vocabulary_reads_ids_only(void **unused)
{
	struct charpipe_model *model =
		charpipe_model_open(GOLDEN "model/state_dict.safetensors", 1, &error);
	const uint32_t id = 0;
	char text[5];
	(void)unused;
	good(model ? 0 : -1);
	struct charpipe_state *state = new_state(model);
	good(charpipe_state_feed(state, &id, 1, &error));
	assert_int_equal(charpipe_model_symbol(model, 0, text), 0);
	bad(charpipe_state_read(state, "a", 1, &error), CHARPIPE_DATA, "doesn't say");
	bad(charpipe_state_sample(state, NULL, 1, text, NULL, &error), CHARPIPE_DATA,
		"doesn't say");
	no(charpipe_data_new("aa", 2, model, NULL, &error), CHARPIPE_DATA, "doesn't say");
	charpipe_state_free(state);
	charpipe_model_free(model);
}

static void a_saved_model_is_the_same_from_a_file_and_from_memory(void **unused)
{
	char path[] = "/tmp/charpipe-test.XXXXXX";
	int fd = mkstemp(path);
	struct charpipe_model *models[3] = {made()};
	struct charpipe_state *states[3];
	unsigned char *file = malloc(1 << 20);
	(void)unused;
	assert_true(fd >= 0);
	good(charpipe_model_save(models[0], path, &error));
	close(fd);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	size_t n = fread(file, 1, 1 << 20, f);
	fclose(f);
	models[1] = charpipe_model_open(path, 2, &error);
	good(models[1] ? 0 : -1);
	unlink(path);
	models[2] = charpipe_model_open_memory(file, n, 1, &error);
	good(models[2] ? 0 : -1);
	file[n - 1] ^= 1;
	no(charpipe_model_open_memory(file, n, 1, &error), CHARPIPE_DATA, "damaged");
	free(file);
	for (int i = 0; i < 3; i++) {
		states[i] = new_state(models[i]);
		read_text(states[i], "then I let");
		expect_the_same(models[0], charpipe_state_logits(states[0]),
			charpipe_state_logits(states[i]), 0);
	}
	bad(charpipe_model_save(models[0], "no/such/folder/model", &error), CHARPIPE_CANT_CREATE,
		"no/such/folder/model");
	for (int i = 0; i < 3; i++) {
		charpipe_model_free(models[i]);
		charpipe_state_free(states[i]);
	}
}

/* --- states ----------------------------------------------------------------------------------- */

static void reading_in_pieces_is_reading(void **unused)
{
	struct charpipe_model *model = made();
	struct charpipe_state *whole = new_state(model), *pieces = new_state(model);
	(void)unused;
	assert_null(charpipe_state_logits(whole));
	read_text(whole, rhyme);
	for (const char *c = rhyme; *c; c++)
		good(charpipe_state_read(pieces, c, 1, &error));
	expect_the_same(model, charpipe_state_logits(whole), charpipe_state_logits(pieces), 1e-5);
	charpipe_state_free(whole);
	charpipe_state_free(pieces);
	charpipe_model_free(model);
}

static void what_it_does_not_know_leaves_a_state_as_it_was(void **unused)
{
	struct charpipe_model *model = made();
	struct charpipe_state *state = new_state(model), *other = new_state(model);
	const uint32_t ids[] = {0, charpipe_model_vocab(model)};
	double nats;
	size_t count;
	(void)unused;
	bad(charpipe_state_read(state, "Z", 1, &error), CHARPIPE_DATA, "'Z'");
	assert_null(charpipe_state_logits(state));
	read_text(state, "one two");
	read_text(other, "one two");
	bad(charpipe_state_read(state, "one Q", 5, &error), CHARPIPE_DATA, "byte 4: 'Q'");
	bad(charpipe_state_read(state, "\xff", 1, &error), CHARPIPE_DATA, "UTF-8");
	bad(charpipe_state_feed(state, ids, 2, &error), CHARPIPE_DATA, "at place 1");
	bad(charpipe_state_score(state, "Q", 1, &nats, &count, &error), CHARPIPE_DATA, "'Q'");
	good(charpipe_state_read(state, "", 0, &error));
	expect_the_same(model, charpipe_state_logits(state), charpipe_state_logits(other), 0);
	charpipe_state_free(other);
	charpipe_state_free(state);
	charpipe_model_free(model);
}

static void draws_follow_from_seed_and_place(void **unused)
{
	struct charpipe_sampling how = CHARPIPE_SAMPLING;
	struct charpipe_model *model = made();
	struct charpipe_state *state = new_state(model);
	char whole[4 * 40 + 1], pieces[4 * 40 + 1], copied[4 * 20 + 1];
	size_t bytes, more;
	(void)unused;
	how.top_k = 5;
	how.seed = 7;
	good(charpipe_state_sample(state, &how, 40, whole, &bytes, &error));
	assert_int_equal(bytes, 40);
	assert_int_equal(strlen(whole), 40);
	charpipe_state_reset(state);
	assert_null(charpipe_state_logits(state));
	good(charpipe_state_sample(state, &how, 20, pieces, &bytes, &error));
	struct charpipe_state *copy = charpipe_state_copy(state, &error);
	good(charpipe_state_sample(state, &how, 20, pieces + bytes, &more, &error));
	assert_string_equal(whole, pieces);
	good(charpipe_state_sample(copy, &how, 20, copied, NULL, &error));
	assert_string_equal(pieces + bytes, copied);
	how.seed = 8;
	charpipe_state_reset(copy);
	good(charpipe_state_sample(copy, &how, 40, pieces, NULL, &error));
	assert_string_not_equal(whole, pieces);
	charpipe_state_free(copy);
	charpipe_state_free(state);
	charpipe_model_free(model);
}

static void a_score_is_what_the_logits_say(void **unused)
{
	struct charpipe_model *model = made();
	struct charpipe_state *state = new_state(model), *scorer = new_state(model);
	const uint32_t V = charpipe_model_vocab(model);
	double expected = 0, nats, more;
	size_t count, bytes = strlen(rhyme);
	(void)unused;
	for (size_t i = 0; i < bytes; i++) {
		const float *logits = charpipe_state_logits(state);
		uint32_t id;
		double sum = 0;
		good(charpipe_model_encode(model, rhyme + i, 1, &id, &count, &error));
		for (uint32_t v = 0; logits && v < V; v++)
			sum += exp((double)logits[v]);
		expected += logits ? log(sum) - (double)logits[id] : 0;
		good(charpipe_state_feed(state, &id, 1, &error));
	}
	good(charpipe_state_score(scorer, rhyme, bytes, &nats, &count, &error));
	assert_int_equal(count, bytes - 1);
	assert_true(fabs(nats - expected) < 1e-3);
	expect_the_same(model, charpipe_state_logits(state), charpipe_state_logits(scorer), 1e-5);
	/* In two pieces. */
	charpipe_state_reset(scorer);
	good(charpipe_state_score(scorer, rhyme, 10, &nats, &count, &error));
	assert_int_equal(count, 9);
	good(charpipe_state_score(scorer, rhyme + 10, bytes - 10, &more, &count, &error));
	assert_int_equal(count, bytes - 10);
	assert_true(fabs(nats + more - expected) < 1e-3);
	good(charpipe_state_score(scorer, "", 0, &nats, &count, &error));
	assert_true(nats == 0 && count == 0);
	charpipe_state_free(scorer);
	charpipe_state_free(state);
	charpipe_model_free(model);
}

/* --- data and training ------------------------------------------------------------------------ */

static void data_are_batches(void **unused)
{
	struct charpipe_batching batching = CHARPIPE_BATCHING;
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	(void)unused;
	assert_int_equal(charpipe_data_batches(data, CHARPIPE_TRAIN), 5);
	assert_int_equal(charpipe_data_batches(data, CHARPIPE_VALIDATION), 1);
	assert_int_equal(charpipe_data_batches(data, CHARPIPE_TEST), 0);
	assert_int_equal(charpipe_data_batches(data, (enum charpipe_split)9), 0);
	charpipe_data_free(data);
	no(charpipe_data_new(rhyme, strlen(rhyme), NULL, NULL, &error), CHARPIPE_DATA,
		"fewer than one batch of 128 x 100");
	no(charpipe_data_new("", 0, NULL, NULL, &error), CHARPIPE_DATA, "empty");
	batching.rows = batching.window = 1;
	no(charpipe_data_new("ab\xff", 3, NULL, &batching, &error), CHARPIPE_DATA, "byte 2");
	no(charpipe_data_new("Zoo", 3, model, &batching, &error), CHARPIPE_DATA, "'Z'");
	batching.bytes = 1;
	data = charpipe_data_new("ab\xff", 3, NULL, &batching, &error);
	good(data ? 0 : -1);
	charpipe_data_free(data);
	batching.rows = 0;
	no(charpipe_data_new("aa", 2, NULL, &batching, &error), CHARPIPE_USAGE, "0 x 1");
	batching.rows = 1;
	batching.test = NAN;
	no(charpipe_data_new("aa", 2, NULL, &batching, &error), CHARPIPE_USAGE, "validation");
	charpipe_model_free(model);
}

static void carriage_returns_are_read_as_asked(void **unused)
{
	struct charpipe_batching batching = CHARPIPE_BATCHING;
	char text[5];
	(void)unused;
	batching.rows = batching.window = 1;
	for (int universal = 0; universal < 2; universal++) {
		batching.universal_newlines = universal;
		struct charpipe_data *data =
			charpipe_data_new("a\r\nb\rc", 6, NULL, &batching, &error);
		good(data ? 0 : -1);
		struct charpipe_model *model = new_model(data);
		assert_int_equal(charpipe_model_vocab(model), universal ? 4 : 5);
		charpipe_model_symbol(model, 0, text);
		assert_string_equal(text, "\n");
		charpipe_data_free(data);
		charpipe_model_free(model);
	}
}

static void training_teaches_the_model_itself(void **unused)
{
	struct charpipe_training training = CHARPIPE_TRAINING;
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	struct charpipe_state *state = new_state(model);
	struct charpipe_trainer *other;
	double first, nats = 0, before, after, untrained, trained, later;
	size_t count;
	(void)unused;
	training.lr = 0.03;
	struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, &training, &error);
	good(trainer ? 0 : -1);
	no(charpipe_trainer_new(model, data, NULL, &error), CHARPIPE_USAGE, "has a trainer");
	good(charpipe_state_score(state, rhyme, strlen(rhyme), &untrained, &count, &error));
	good(charpipe_trainer_evaluate(trainer, CHARPIPE_TRAIN, &before, &error));
	good(charpipe_trainer_step(trainer, &first, &error));
	for (int i = 0; i < 200; i++)
		good(charpipe_trainer_step(trainer, &nats, &error));
	good(charpipe_trainer_evaluate(trainer, CHARPIPE_TRAIN, &after, &error));
	assert_true(nats < first / 2);
	assert_true(after < before / 2);
	good(charpipe_trainer_evaluate(trainer, CHARPIPE_VALIDATION, &nats, &error));
	bad(charpipe_trainer_evaluate(trainer, CHARPIPE_TEST, &nats, &error), CHARPIPE_USAGE,
		"no such part");
	/* The model knows it at once, and after the trainer is gone. */
	charpipe_state_reset(state);
	good(charpipe_state_score(state, rhyme, strlen(rhyme), &trained, &count, &error));
	assert_true(trained < untrained * 0.8);
	good(charpipe_trainer_set_lr(trainer, 0.001, &error));
	bad(charpipe_trainer_set_lr(trainer, NAN, &error), CHARPIPE_USAGE, "lr");
	good(charpipe_trainer_step(trainer, &nats, &error));
	charpipe_trainer_free(trainer);
	charpipe_state_reset(state);
	good(charpipe_state_score(state, rhyme, strlen(rhyme), &later, &count, &error));
	assert_true(later != trained && later < untrained * 0.8);
	/* Another may go on. */
	other = charpipe_trainer_new(model, data, NULL, &error);
	good(other ? 0 : -1);
	good(charpipe_trainer_step(other, &nats, &error));
	assert_true(nats < first / 2);
	charpipe_trainer_free(other);
	charpipe_state_free(state);
	charpipe_model_free(model);
	charpipe_data_free(data);
}

/* The loss of a new model's fourth step. */
static double fourth_loss(const struct charpipe_training *training)
{
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, training, &error);
	double nats = 0;
	good(trainer ? 0 : -1);
	for (int i = 0; i < 4; i++)
		good(charpipe_trainer_step(trainer, &nats, &error));
	charpipe_trainer_free(trainer);
	charpipe_model_free(model);
	charpipe_data_free(data);
	return nats;
}

static void the_optimizers_options_change_what_is_learned(void **unused)
{
	struct charpipe_training all[6];
	(void)unused;
	for (size_t i = 0; i < 6; i++)
		all[i] = (struct charpipe_training)CHARPIPE_TRAINING;
	all[1].beta1 = 0.5;
	all[2].beta2 = 0.5;
	all[3].weight_decay = 1;
	all[4].muon_every = 1;
	all[5].size = offsetof(struct charpipe_training, beta1); /* an older program's */
	all[5].beta1 = 17;
	const double plain = fourth_loss(NULL);
	for (size_t i = 0; i < 6; i++)
		assert_true((fourth_loss(&all[i]) == plain) == (i == 0 || i == 5));
}

static void a_loss_that_is_no_number_stops_training(void **unused)
{
	struct charpipe_training training = CHARPIPE_TRAINING;
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	double nats;
	int rc = 0;
	(void)unused;
	training.lr = 1e300;
	struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, &training, &error);
	for (int i = 0; i < 5 && rc == 0; i++)
		rc = charpipe_trainer_step(trainer, &nats, &error);
	bad(rc, CHARPIPE_NUMERIC, "stopped before the update");
	charpipe_model_free(model);
	charpipe_trainer_free(trainer);
	charpipe_data_free(data);
}

/* hello.shards-like data of a file: other symbols, and those of the model in another order. */
static void data_that_do_not_fit_are_refused(void **unused)
{
	struct charpipe_model *model = made();
	struct charpipe_data *data = charpipe_data_open(GOLDEN "streams/few.shards", &error);
	(void)unused;
	good(data ? 0 : -1);
	assert_true(charpipe_data_batches(data, CHARPIPE_TRAIN) > 0);
	no(charpipe_trainer_new(model, data, NULL, &error), CHARPIPE_DATA, "");
	charpipe_model_free(model);
	/* Its own model learns from it. */
	double nats;
	model = new_model(data);
	struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, NULL, &error);
	good(trainer ? 0 : -1);
	good(charpipe_trainer_step(trainer, &nats, &error));
	charpipe_trainer_free(trainer);
	charpipe_model_free(model);
	charpipe_data_free(data);
}

/* --- options ---------------------------------------------------------------------------------- */

static void options_of_other_versions_are_understood(void **unused)
{
	struct {
		struct charpipe_sampling known;
		double unknown;
	} newer = {.known = CHARPIPE_SAMPLING};
	struct charpipe_sampling how = CHARPIPE_SAMPLING;
	struct charpipe_model *model = made();
	struct charpipe_state *state = new_state(model);
	char a[4 * 30 + 1], b[4 * 30 + 1];
	(void)unused;
	good(charpipe_state_sample(state, &how, 30, a, NULL, &error));
	/* Older: min_p was not known, and is what it is by default. */
	how.size = offsetof(struct charpipe_sampling, min_p);
	how.min_p = 17;
	charpipe_state_reset(state);
	good(charpipe_state_sample(state, &how, 30, b, NULL, &error));
	assert_string_equal(a, b);
	newer.known.size = sizeof newer;
	charpipe_state_reset(state);
	good(charpipe_state_sample(state, &newer.known, 30, b, NULL, &error));
	assert_string_equal(a, b);
	newer.unknown = 1;
	bad(charpipe_state_sample(state, &newer.known, 30, b, NULL, &error), CHARPIPE_USAGE,
		"newer");
	how.size = 0;
	bad(charpipe_state_sample(state, &how, 30, b, NULL, &error), CHARPIPE_USAGE, "size");
	charpipe_state_free(state);
	charpipe_model_free(model);
}

static void options_out_of_range_are_refused(void **unused)
{
	struct charpipe_network network = CHARPIPE_NETWORK;
	struct charpipe_training training = CHARPIPE_TRAINING;
	struct charpipe_sampling how = CHARPIPE_SAMPLING;
	struct charpipe_data *data = new_data();
	struct charpipe_model *model = new_model(data);
	struct charpipe_state *state = new_state(model);
	char text[9];
	(void)unused;
	network.hidden = 0;
	no(charpipe_model_new(data, &network, 1, &error), CHARPIPE_USAGE, "hidden");
	network.hidden = 4;
	network.cell = "lstn";
	no(charpipe_model_new(data, &network, 1, &error), CHARPIPE_USAGE, "lstm, gru or rnn");
	network.cell = "lstm";
	network.dropout = 1;
	no(charpipe_model_new(data, &network, 1, &error), CHARPIPE_USAGE, "dropout");
	training.lr = 0;
	no(charpipe_trainer_new(model, data, &training, &error), CHARPIPE_USAGE, "lr");
	training.lr = 1;
	training.clip = NAN;
	no(charpipe_trainer_new(model, data, &training, &error), CHARPIPE_USAGE, "clip");
	training.clip = 5;
	training.beta2 = 1;
	no(charpipe_trainer_new(model, data, &training, &error), CHARPIPE_USAGE, "betas");
	training.beta2 = 0.9;
	training.weight_decay = -1;
	no(charpipe_trainer_new(model, data, &training, &error), CHARPIPE_USAGE, "weight_decay");
	how.temperature = 0;
	bad(charpipe_state_sample(state, &how, 2, text, NULL, &error), CHARPIPE_USAGE,
		"temperature");
	assert_string_equal(text, "");
	how.temperature = 1;
	how.top_p = 0;
	bad(charpipe_state_sample(state, &how, 2, text, NULL, &error), CHARPIPE_USAGE, "top_p");
	how.top_p = 1;
	how.min_p = 2;
	bad(charpipe_state_sample(state, &how, 2, text, NULL, &error), CHARPIPE_USAGE, "min_p");
	charpipe_state_free(state);
	charpipe_model_free(model);
	charpipe_data_free(data);
}

/* --- who frees what --------------------------------------------------------------------------- */

/* Every order in which four things can be freed, each of the others used in between. */
static void things_are_freed_in_any_order(void **unused)
{
	(void)unused;
	for (int order = 0; order < 256; order++) {
		const int at[] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
		unsigned seen = 0;
		for (int i = 0; i < 4; i++)
			seen |= 1u << at[i];
		if (seen != 15)
			continue;
		struct charpipe_data *data = new_data();
		struct charpipe_model *model = new_model(data);
		struct charpipe_state *state = new_state(model);
		struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, NULL, &error);
		double nats;
		good(charpipe_trainer_step(trainer, &nats, &error));
		for (int i = 0; i < 4; i++) {
			if (at[i] == 0) {
				charpipe_data_free(data);
			} else if (at[i] == 1) {
				charpipe_model_free(model);
			} else if (at[i] == 2) {
				charpipe_state_free(state);
				state = NULL;
			} else {
				charpipe_trainer_free(trainer);
				trainer = NULL;
			}
			if (state)
				read_text(state, "ten");
			if (trainer)
				good(charpipe_trainer_step(trainer, &nats, &error));
		}
	}
}

static void *draw_alone(void *text)
{
	struct charpipe_error alone;
	struct charpipe_model *model = charpipe_model_open(MODEL, 2, &alone);
	struct charpipe_state *state = charpipe_state_new(model, &alone);
	charpipe_state_sample(state, NULL, 50, text, NULL, &alone);
	charpipe_model_free(model);
	charpipe_state_free(state);
	return NULL;
}

static void models_of_different_threads_know_nothing_of_each_other(void **unused)
{
	pthread_t threads[3];
	char texts[3][4 * 50 + 1];
	(void)unused;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw_alone, texts[i]), 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_string_equal(texts[i], texts[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_has_the_cells_that_it_was_made_with),
		cmocka_unit_test(a_model_says_what_it_is),
		cmocka_unit_test(what_is_no_model_is_refused),
		cmocka_unit_test(a_model_without_vocabulary_reads_ids_only),
		cmocka_unit_test(a_saved_model_is_the_same_from_a_file_and_from_memory),
		cmocka_unit_test(reading_in_pieces_is_reading),
		cmocka_unit_test(what_it_does_not_know_leaves_a_state_as_it_was),
		cmocka_unit_test(draws_follow_from_seed_and_place),
		cmocka_unit_test(a_score_is_what_the_logits_say),
		cmocka_unit_test(data_are_batches),
		cmocka_unit_test(carriage_returns_are_read_as_asked),
		cmocka_unit_test(training_teaches_the_model_itself),
		cmocka_unit_test(the_optimizers_options_change_what_is_learned),
		cmocka_unit_test(a_loss_that_is_no_number_stops_training),
		cmocka_unit_test(data_that_do_not_fit_are_refused),
		cmocka_unit_test(options_of_other_versions_are_understood),
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test(things_are_freed_in_any_order),
		cmocka_unit_test(models_of_different_threads_know_nothing_of_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

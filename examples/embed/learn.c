/* learn FILE.shards FILE.model: trains a small network for one pass over the shards. */
#include <charpipe.h>
#include <err.h>
#include <stdlib.h>

static struct error error;

static void check(int result)
{
	if (result < 0)
		errx(1, "%s", error.text);
}

int main(int argc, char **argv)
{
	struct input in;
	struct shards shards;
	struct model model;
	struct model_state state;
	struct adam adam;
	struct output out;
	double nats = 0, norm;
	struct device *device = cpu_open(pool_cores(), &error);
	check(device ? 0 : -1);
	if (argc != 3)
		errx(64, "usage: learn FILE.shards FILE.model");
	check(input_open(&in, argv[1], INPUT_GUNZIP, &error));
	check(shards_open(&shards, &in, &error));
	const struct shards_header *h = &shards.header;
	const uint32_t rows = h->rows[SHARDS_TRAIN], window = h->window;
	check(model_init(
		&model, device, h->vocab.size, 128, 1, MODEL_TRAINING, rows, window, &error));
	check(model_state_init(&state, &model, rows, &error));
	check(adam_init(&adam, &model, 0.003, 5, &error));
	float *weights = calloc(model.params.total, sizeof *weights);
	uint32_t *batch = calloc(shards_batch_ids(h, SHARDS_TRAIN), sizeof *batch);
	if (!weights || !batch)
		err(1, NULL);
	params_initialise(&model.params, 1, weights);
	check(model_set_weights(&model, weights, &error));
	for (uint64_t k = 0; k < h->batches[SHARDS_TRAIN]; k++) {
		check(shards_read(&shards, SHARDS_TRAIN, k, batch, &error));
		check(adam_train(&adam, &state, batch, window, &nats, &norm, &error));
	}
	printf("loss of the last batch: %.4f nats\n", nats);
	check(model_get_weights(&model, weights, &error));
	struct model_file file = {
		.params = model.params, .weights = weights, .has_vocab = true, .vocab = h->vocab};
	check(output_open(&out, argv[2], 0, &error));
	check(model_file_write(&file, &out, &error));
	check(output_commit(&out, &error));
}

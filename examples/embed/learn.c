/* learn FILE.shards FILE.model: trains a small network for one pass over the shards. */
#include <charpipe.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct error err;
	struct input in;
	struct output out;
	struct shards shards;
	struct model model;
	struct model_state state;
	struct adam adam;
	double nats = 0, norm;
	struct device *device = argc == 3 ? cpu_open(pool_cores(), &err) : NULL;
	if (!device || input_open(&in, argv[1], INPUT_GUNZIP, &err) < 0 ||
		shards_open(&shards, &in, &err) < 0)
		goto failed;
	const struct shards_header *h = &shards.header;
	if (model_init(&model, device, h->vocab.size, 128, 1, MODEL_TRAINING, h->rows[SHARDS_TRAIN],
		    h->window, &err) < 0)
		goto failed;
	float *weights = calloc(model.params.total, sizeof *weights);
	uint32_t *batch = calloc(shards_batch_ids(h, SHARDS_TRAIN), sizeof *batch);
	if (!weights || !batch) {
		error_memory(&err, model.params.total * sizeof *weights, "the weights");
		goto failed;
	}
	params_initialise(&model.params, 1, weights);
	if (model_set_weights(&model, weights, &err) < 0 ||
		model_state_init(&state, &model, h->rows[SHARDS_TRAIN], &err) < 0 ||
		adam_init(&adam, &model, 0.003, 5, &err) < 0)
		goto failed;
	for (uint64_t k = 0; k < h->batches[SHARDS_TRAIN]; k++)
		if (shards_read(&shards, SHARDS_TRAIN, k, batch, &err) < 0 ||
			adam_train(&adam, &state, batch, h->window, &nats, &norm, &err) < 0)
			goto failed;
	printf("loss of the last batch: %.4f nats\n", nats);
	struct model_file file = {
		.params = model.params, .weights = weights, .has_vocab = true, .vocab = h->vocab};
	if (model_get_weights(&model, weights, &err) < 0 ||
		output_open(&out, argv[2], 0, &err) < 0 ||
		model_file_write(&file, &out, &err) < 0 || output_commit(&out, &err) < 0)
		goto failed;
	return 0;
failed:
	fprintf(stderr, "learn: %s\n",
		argc == 3 ? err.text : "usage: learn FILE.shards FILE.model");
	return 1;
}

/* learn TEXT MODEL: trains a small network for ten passes over a text (the first 4 MiB of it), and
 * saves it. */
#include <charpipe.h>
#include <stdio.h>
#include <stdlib.h>

static struct charpipe_error error;

static void check(int ok)
{
	if (!ok) {
		fprintf(stderr, "learn: %s\n", error.text);
		exit(error.status);
	}
}

int main(int argc, char **argv)
{
	static char text[1 << 22];
	struct charpipe_batching batching = CHARPIPE_BATCHING;
	struct charpipe_network network = CHARPIPE_NETWORK;
	struct charpipe_training training = CHARPIPE_TRAINING;
	FILE *file = argc == 3 ? fopen(argv[1], "r") : NULL;
	if (!file) {
		fprintf(stderr, "usage: learn TEXT MODEL\n");
		return 64;
	}
	size_t bytes = fread(text, 1, sizeof text, file);
	batching.rows = 32;
	batching.window = 64;
	network.hidden = 128;
	network.layers = 1;
	network.dropout = 0;
	training.lr = 0.003;

	struct charpipe_data *data = charpipe_data_new(text, bytes, NULL, &batching, &error);
	check(!!data);
	struct charpipe_model *model = charpipe_model_new(data, &network, 0, &error);
	check(!!model);
	struct charpipe_trainer *trainer = charpipe_trainer_new(model, data, &training, &error);
	check(!!trainer);
	for (int epoch = 1; epoch <= 10; epoch++) {
		double nats = 0;
		for (uint64_t k = charpipe_data_batches(data, CHARPIPE_TRAIN); k > 0; k--)
			check(charpipe_trainer_step(trainer, &nats, &error) == 0);
		printf("epoch %d: %.4f nats\n", epoch, nats);
	}
	check(charpipe_model_save(model, argv[2], &error) == 0);
	charpipe_trainer_free(trainer);
	charpipe_model_free(model);
	charpipe_data_free(data);
	return fclose(file);
}

/* write FILE.model N: draws N characters from a model, each of the five likeliest. */
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
	struct model_file file;
	struct model model;
	struct model_state state;
	struct sampler sampler;
	struct device *device = cpu_open(1, &error);
	check(device ? 0 : -1);
	if (argc != 3)
		errx(64, "usage: write FILE.model N");
	check(input_open(&in, argv[1], INPUT_GUNZIP, &error));
	check(model_file_read(&file, &in, &error));
	const uint32_t V = file.params.vocab, H = file.params.hidden, L = file.params.layers;
	check(model_init(&model, device, V, H, L, MODEL_INFERENCE, 1, 1, &error));
	check(model_adopt_weights(&model, file.weights, &error));
	check(model_state_init(&state, &model, 1, &error));
	check(sampler_init(&sampler, V, 5, 1, 1, &error));
	float *logits = calloc(V, sizeof *logits);
	if (!logits)
		err(1, NULL);
	for (uint32_t i = 0, id = 0; i < (uint32_t)atoi(argv[2]); i++) {
		unsigned char text[4];
		check(model_feed(&model, &state, &id, 1, logits, &error));
		id = sampler_draw(&sampler, logits, 0, i);
		int n = vocab_text(&file.vocab, id, text);
		fwrite(text, 1, (size_t)n, stdout);
	}
	return fflush(stdout) != 0;
}

/* write FILE.model N: draws N characters from a model, of those that are among the five likeliest.
 */
#include <charpipe.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct error err;
	struct input in;
	struct model_file file;
	struct model model;
	struct model_state state;
	struct sampler sampler;
	struct device *device = argc == 3 ? cpu_open(1, &err) : NULL;
	if (!device || input_open(&in, argv[1], INPUT_GUNZIP, &err) < 0 ||
		model_file_read(&file, &in, &err) < 0)
		goto failed;
	const struct params *p = &file.params;
	float *logits = calloc(p->vocab, sizeof *logits);
	if (!logits) {
		error_memory(&err, p->vocab * sizeof *logits, "the scores");
		goto failed;
	}
	if (model_init(&model, device, p->vocab, p->hidden, p->layers, MODEL_INFERENCE, 1, 1,
		    &err) < 0 ||
		model_set_weights(&model, file.weights, &err) < 0 ||
		model_state_init(&state, &model, 1, &err) < 0 ||
		sampler_init(&sampler, p->vocab, 5, 1, 1, &err) < 0)
		goto failed;
	uint32_t id = 0;
	for (long i = 0; i < atol(argv[2]); i++) {
		unsigned char text[4];
		if (model_feed(&model, &state, &id, 1, logits, &err) < 0)
			goto failed;
		id = sampler_draw(&sampler, logits, 0, (uint64_t)i);
		int n = vocab_text(&file.vocab, id, text);
		fwrite(text, 1, (size_t)n, stdout);
	}
	return fflush(stdout) != 0;
failed:
	fprintf(stderr, "write: %s\n", argc == 3 ? err.text : "usage: write FILE.model N");
	return 1;
}

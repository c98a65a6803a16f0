/* write MODEL N [PRIME]: draws N characters from a model, each of the five likeliest. */
#include <charpipe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct charpipe_error error;
	struct charpipe_sampling sampling = CHARPIPE_SAMPLING;
	char text[5];
	if (argc < 3) {
		fprintf(stderr, "usage: write MODEL N [PRIME]\n");
		return 64;
	}
	struct charpipe_model *model = charpipe_model_open(argv[1], 1, &error);
	struct charpipe_state *state = model ? charpipe_state_new(model, &error) : NULL;
	if (!state || (argc > 3 && charpipe_state_read(state, argv[3], strlen(argv[3]), &error)))
		goto fail;
	sampling.top_k = 5;
	for (int i = atoi(argv[2]); i > 0; i--) {
		if (charpipe_state_sample(state, &sampling, 1, text, NULL, &error) < 0)
			goto fail;
		fputs(text, stdout);
	}
	charpipe_state_free(state);
	charpipe_model_free(model);
	return fflush(stdout) != 0;
fail:
	fprintf(stderr, "write: %s\n", error.text);
	return error.status;
}

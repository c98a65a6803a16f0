/* score MODEL <TEXT: the mean nats of a character of each line, and the line. */
#include <charpipe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct charpipe_error error;
	char *line = NULL;
	size_t room = 0, characters;
	double nats;
	struct charpipe_model *model = argc == 2 ? charpipe_model_open(argv[1], 1, &error) : NULL;
	struct charpipe_state *state = model ? charpipe_state_new(model, &error) : NULL;
	if (!state) {
		fprintf(stderr, "score: %s\n", argc == 2 ? error.text : "a model expected");
		return argc == 2 ? error.status : 64;
	}
	for (ssize_t n; (n = getline(&line, &room, stdin)) > 0;) {
		/* Each line on its own: behind the end of one that nobody saw. */
		charpipe_state_reset(state);
		if (charpipe_state_read(state, "\n", 1, &error) < 0 ||
			charpipe_state_score(state, line, (size_t)n, &nats, &characters, &error) <
				0)
			printf("-\t%s\n", error.text);
		else
			printf("%.4f\t%s", nats / (double)characters, line);
	}
	free(line);
	charpipe_state_free(state);
	charpipe_model_free(model);
	return fflush(stdout) != 0;
}

/* network.c: see network.h. */
#include "tools/network.h"

#include "base/input.h"
#include "formats/vocab_file.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const network_weights[] = {"f32", "f16", "i8", NULL};

int network_read(struct model_file *file, const char *path, struct error *err)
{
	struct input in;
	int rc = -1;
	if (input_open(&in, path, INPUT_GUNZIP, err) == 0)
		rc = model_file_read(file, &in, err);
	input_close(&in);
	return rc;
}

static int take_vocab(struct model_file *file, const char *path, struct error *err)
{
	struct vocab vocab;
	if (!path && !file->has_vocab)
		return error_set(err, STATUS_DATA,
			"the model doesn't say which symbols its ids stand for: --vocab FILE does");
	if (!path)
		return 0;
	if (vocab_file_read(&vocab, path, err) < 0)
		return -1;
	if (file->has_vocab && !vocab_equal(&vocab, &file->vocab))
		error_set(err, STATUS_USAGE,
			"--vocab %s: the model has a vocabulary of its own, and it is another",
			path);
	else if (vocab.size != file->params.vocab)
		error_set(err, STATUS_DATA, "%s: has %" PRIu32 " symbols, the model %" PRIu32, path,
			vocab.size, file->params.vocab);
	else {
		vocab_release(&file->vocab);
		file->vocab = vocab;
		file->has_vocab = true;
		return 0;
	}
	vocab_release(&vocab);
	return -1;
}

static void on_interrupt(int number)
{
	(void)number;
}

/* Reads a model that train sends through a pipe. Ctrl-C interrupts all programs of a pipeline at
 * once; train then sends its best model so far, which is worth waiting for: the first interrupt is
 * left to train, the second one ends this program too. */
static int read_sent(struct model_file *file, struct error *err)
{
	struct sigaction once = {.sa_handler = on_interrupt,
				 .sa_flags = (int)(SA_RESTART | SA_RESETHAND)},
			 before;
	sigemptyset(&once.sa_mask);
	bool heeded = sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN &&
		      sigaction(SIGINT, &once, NULL) == 0;
	int rc = network_read(file, NULL, err);
	if (heeded)
		sigaction(SIGINT, &before, NULL);
	return rc;
}

static int read_model(struct model_file *file, const char *path, struct error *err)
{
	struct stat st;
	bool standard = !path || strcmp(path, "-") == 0;
	bool sent = standard && fstat(STDIN_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
	return sent ? read_sent(file, err) : network_read(file, path, err);
}

int network_open(struct network *network, const struct tool *tool, const char *path,
	const struct network_options *options, const struct device_options *device,
	struct error *err)
{
	struct device_options chosen = *device;
	*network = (struct network){.use = MODEL_INFERENCE + options->weights};
	/* Only the CPU knows other weights than those of a file. */
	if (chosen.device == DEVICE_AUTO && network->use != MODEL_INFERENCE)
		chosen.device = DEVICE_CPU;
	if (read_model(&network->file, path, err) < 0 ||
		take_vocab(&network->file, options->vocab, err) < 0)
		return -1;
	network->device = device_open(tool, &chosen, err);
	if (!network->device)
		return -1;
	device_tell(tool, network->device);
	return 0;
}

int network_prepare(struct network *network, size_t rows, size_t window, struct error *err)
{
	const struct params *params = &network->file.params;
	struct model *model = &network->model;
	float *weights = network->file.weights;
	if (rows <= model->rows && window <= model->window)
		return 0;
	if (!weights)
		return model_resize(model, rows, window, err);
	if (model_init(model, network->device, params->cell, params->vocab, params->hidden,
		    params->layers, network->use, rows, window, err) < 0)
		return -1;
	network->file.weights = NULL;
	if (model_adopt_weights(model, weights, err) == 0)
		return 0;
	model_release(model);
	return -1;
}

void network_close(struct network *network)
{
	model_release(&network->model);
	if (network->device)
		network->device->ops->release(network->device);
	model_file_release(&network->file);
	*network = (struct network){0};
}

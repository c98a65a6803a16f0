/* network.h: a trained model on a device, ready to be fed: what sample and evalloss begin with. */
#ifndef NETWORK_H
#define NETWORK_H

#include "base/error.h"
#include "formats/model_file.h"
#include "nn/model.h"
#include "tools/device.h"

struct network_options {
	const char *vocab; /* the charpipe file that names the model's symbols; NULL: itself */
	unsigned weights;  /* index in network_weights[], and offset of an enum model_use */
};

extern const char *const network_weights[];

/* The table entries of a struct network_options that is the member `network` of the tool's
 * values. */
/* clang-format off */
#define NETWORK_OPTIONS(values) \
	{.name = "vocab", .argument = "FILE", .type = OPTION_TEXT, .file = OPTION_FILE_READ, \
	 .effect = EFFECT_SHAPES, .offset = offsetof(values, network.vocab), \
	 .help = "take the symbols of a model that doesn't name them from a token stream, shards " \
		"or another model"}, \
	{.name = "weights", .argument = "f32|f16|i8", .type = OPTION_CHOICE, \
	 .effect = EFFECT_SHAPES, .offset = offsetof(values, network.weights), .initial = "f32", \
	 .choices = network_weights, \
	 .help = "round the weights to floats of 16 bits or integers of 8: less memory, faster where " \
		"few texts are computed at once, less exact"}
/* clang-format on */

struct network {
	struct device *device;  /* owned */
	struct model_file file; /* owned; its weights only until `model` has them */
	enum model_use use;
	struct model model; /* owned */
};

/* Reads a model or checkpoint from `path` (NULL and "-": standard input; gzip is seen through) into
 * host memory. */
int network_read(struct model_file *file, const char *path, struct error *err);

/* Reads the model, gives it its vocabulary (options->vocab is for one that has none of its own),
 * and opens the device. While a pipe brings the model, the first SIGINT is let pass. */
int network_open(struct network *network, const struct tool *tool, const char *path,
	const struct network_options *options, const struct device_options *device,
	struct error *err);
/* Makes network->model for inference on batches of up to rows x window characters, unless it is
 * one already. States made for it before are then void; file.weights are gone. */
int network_prepare(struct network *network, size_t rows, size_t window, struct error *err);
void network_close(struct network *network);

#endif

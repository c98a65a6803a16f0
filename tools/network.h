/* network.h: a trained model on a device, ready to be fed: what sample and evalloss begin with. */
#ifndef NETWORK_H
#define NETWORK_H

#include "base/error.h"
#include "formats/model.h"
#include "nn/model.h"
#include "tools/device.h"

struct network {
	struct device *device;  /* owned */
	struct model_file file; /* owned; its weights only until `model` has them */
	struct model model;     /* owned */
};

/* Reads a model or checkpoint from `path` (NULL and "-": standard input; gzip is seen through) into
 * host memory. */
int network_read(struct model_file *file, const char *path, struct error *err);

/* Reads the model, gives it its vocabulary (that of the charpipe file `vocab`, which only a model
 * without one of its own needs; else NULL), and opens the device. */
int network_open(struct network *network, const struct tool *tool, const char *path,
	const char *vocab, const struct device_options *options, struct error *err);
/* Makes network->model for inference on batches of up to rows x window characters, unless it is
 * one already. States made for it before are then void. */
int network_prepare(struct network *network, size_t rows, size_t window, struct error *err);
/* Makes sure that file.weights are in host memory: network_prepare() leaves them in the model
 * alone.
 */
int network_weights(struct network *network, struct error *err);
void network_close(struct network *network);

#endif

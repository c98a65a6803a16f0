/* counter.c: see counter.h. Only what is called while models, optimizers and states are made and
 * released is there; to call another operation is a mistake that ends the program. */
#include "nn/counter.h"

#include <stdlib.h>

/* What stands for a block: what free() has to know. */
struct block {
	uint64_t bytes;
};

static struct counter *counter_of(struct device *device)
{
	return (struct counter *)device;
}

static void *take(uint64_t *now, uint64_t *most, size_t bytes, struct error *err)
{
	struct block *block = malloc(sizeof *block);
	if (!block) {
		error_memory(err, sizeof *block, "counting memory");
		return NULL;
	}
	block->bytes = bytes;
	*now += bytes;
	*most = *now > *most ? *now : *most;
	return block;
}

static void give_back(uint64_t *now, struct block *block)
{
	if (block)
		*now -= block->bytes;
	free(block);
}

static void *counter_alloc(struct device *device, size_t bytes, struct error *err)
{
	struct counter *counter = counter_of(device);
	return take(&counter->bytes, &counter->most, bytes, err);
}

static void counter_free(struct device *device, void *p)
{
	give_back(&counter_of(device)->bytes, p);
}

static void *counter_host_alloc(struct device *device, size_t bytes, struct error *err)
{
	struct counter *counter = counter_of(device);
	return take(&counter->host_bytes, &counter->host_most, bytes, err);
}

static void counter_host_free(struct device *device, void *p)
{
	give_back(&counter_of(device)->host_bytes, p);
}

static int counter_operand_bytes(
	struct device *device, const struct operand *b, size_t *bytes, struct error *err)
{
	struct device *like = counter_of(device)->like;
	return like->ops->operand_bytes(like, b, bytes, err);
}

static int counter_prepare_gradients(struct device *device, struct error *err)
{
	(void)device, (void)err;
	return 0;
}

void counter_init(struct counter *counter, struct device *like)
{
	static const struct ops ops = {
		.name = "counter",
		.alloc = counter_alloc,
		.free = counter_free,
		.host_alloc = counter_host_alloc,
		.host_free = counter_host_free,
		.operand_bytes = counter_operand_bytes,
		.prepare_gradients = counter_prepare_gradients,
	};
	*counter = (struct counter){.device = *like, .like = like};
	counter->device.ops = &ops;
}

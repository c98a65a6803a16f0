/* operand.c: see operand.h. */
#include "nn/operand.h"

int operand_init(struct operand *b, struct device *device, struct error *err)
{
	size_t bytes;
	if (device->ops->operand_bytes(device, b, &bytes, err) < 0)
		return -1;
	if (bytes == 0)
		return 0;
	b->packed = device->ops->alloc(device, bytes, err);
	return b->packed ? 0 : -1;
}

void operand_release(struct operand *b, struct device *device)
{
	device->ops->free(device, b->packed);
	*b = (struct operand){0};
}

/* operand.h: making and releasing operands (struct operand in ops.h, as devices fill it in). */
#ifndef NN_OPERAND_H
#define NN_OPERAND_H

#include "base/error.h"
#include "nn/ops.h"

/* Makes room for the device's own form of b, whose k, n, transposed and type are set; w and the
 * biases may still be missing. 71, or 69 where the device doesn't know the type. */
int operand_init(struct operand *b, struct device *device, struct error *err);
void operand_release(struct operand *b, struct device *device);

#endif

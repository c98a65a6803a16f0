/* adam.h: the optimizer: Adam with a global-norm clip in front.
 *
 * D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015; the form and order of
 * operations are PyTorch's (torch.optim.Adam, torch.nn.utils.clip_grad_norm_). */
#ifndef NN_ADAM_H
#define NN_ADAM_H

#include "base/error.h"
#include "nn/model.h"

struct adam {
	struct model *model; /* not owned */
	double lr, beta1, beta2, epsilon, clip;
	uint64_t step; /* updates done */
	float *m, *v;  /* device, arenas: first and second moments */
};

/* Moments zero, betas 0.9 and 0.999, epsilon 1e-8. clip 0: none. */
int adam_init(struct adam *adam, struct model *model, double lr, double clip, struct error *err);
void adam_release(struct adam *adam);

/* Updates the model's weights from the gradients of the last model_gradient(), whose loss and norm
 * the caller has found to be finite. */
void adam_step(struct adam *adam);

/* One whole training step: model_gradient() with the masks of step adam->step, then adam_step(),
 * queued at one go. When the loss or the norm is not finite, weights, moments and adam->step stay
 * as they were: the caller looks at both. */
int adam_train(struct adam *adam, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, double *norm, struct error *err);

/* Copies both moments, whole arenas, from and to the host (checkpoints). */
int adam_set(struct adam *adam, const float *m, const float *v, uint64_t step, struct error *err);
int adam_get(const struct adam *adam, float *m, float *v, struct error *err);

#endif

/* adam.h: the optimizer: Adam with a global-norm clip in front.
 *
 * D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015; the form and order of
 * operations are PyTorch's (torch.optim.Adam, torch.nn.utils.clip_grad_norm_). */
#ifndef NN_ADAM_H
#define NN_ADAM_H

#include "base/error.h"
#include "nn/model.h"

/* What it holds beside the weights, one arena each. */
enum adam_arena {
	ADAM_M, /* the first moments */
	ADAM_V, /* the second ones */
	ADAM_ARENAS
};

struct adam {
	struct model *model; /* not owned */
	double lr, beta1, beta2, epsilon, clip;
	uint64_t step;              /* updates done */
	float *arenas[ADAM_ARENAS]; /* device */
};

/* Moments zero, betas 0.9 and 0.999, epsilon 1e-8. clip 0: none. */
int adam_init(struct adam *adam, struct model *model, double lr, double clip, struct error *err);
void adam_release(struct adam *adam);

/* One training step on a batch (N,T+1) of exactly state->rows rows: the gradients (model->gradients,
 * overwritten) of the mean loss, dropout on with the masks of step adam->step, state carried on,
 * and the update, queued at one go. *nats: the mean loss; *norm: the gradient's global norm,
 * unclipped. When one of them is not finite, weights, moments and adam->step stay as they were: the
 * caller looks at both. */
int adam_train(struct adam *adam, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, double *norm, struct error *err);

/* Copies a whole arena from and to the host (checkpoints); adam->step is the caller's to set. */
int adam_set(struct adam *adam, enum adam_arena which, const float *from, struct error *err);
int adam_get(const struct adam *adam, enum adam_arena which, float *to, struct error *err);

#endif

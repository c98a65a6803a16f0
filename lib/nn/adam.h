/* adam.h: the optimizer: Adam with a global-norm clip in front, and, for those who ask, decoupled
 * weight decay, Muon for the matrices between hidden units, and an average of the weights.
 *
 * D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015; the form and order of
 * operations are PyTorch's (torch.optim.Adam, AdamW, torch.nn.utils.clip_grad_norm_). Muon: K.
 * Jordan et al., 2024; its updates are scaled so that they are as large as Adam's (J. Liu et al.:
 * Muon is Scalable for LLM Training, 2025), so that one rate does for both. */
#ifndef NN_ADAM_H
#define NN_ADAM_H

#include "base/error.h"
#include "nn/model.h"

struct adam_options {
	double beta1, beta2, epsilon;
	double clip;       /* the gradient's largest norm; 0: any */
	double decay;      /* of matrices, at each step by rate * decay of themselves */
	double input_rate; /* what the rate is multiplied by for the first layer's input weights */
	bool muon;         /* for the matrices between hidden units, gate by gate */
	uint64_t muon_every; /* updates between two new directions, once the first few are done */
	double average;      /* 0: none; the share that an average of the weights keeps of itself */
	uint64_t average_from; /* updates before it begins */
};

/* The notebooks': beta1 0.9, beta2 0.999, epsilon 1e-8, clip 5, no decay, Adam alone. */
extern const struct adam_options adam_defaults;

/* What it holds beside the weights, one arena each. */
enum adam_arena {
	ADAM_M,       /* the first moments */
	ADAM_V,       /* the second ones; of what Muon moves the direction of the last update */
	ADAM_AVERAGE, /* of the weights */
	ADAM_ARENAS
};

/* Neighbours in the arenas that are updated alike. */
struct adam_range {
	size_t offset, n;     /* floats */
	size_t squares;       /* that many (H,H) matrices, for Muon; 0: Adam's */
	double factor, decay; /* of the rate */
};

struct adam {
	struct model *model; /* not owned */
	struct adam_options options;
	uint64_t step;              /* updates done */
	float *arenas[ADAM_ARENAS]; /* device; ADAM_AVERAGE is NULL without one */
	struct adam_range *ranges;  /* (count); owned */
	size_t count;
	float *scratch; /* device, (4,gates,H,H), for Muon */
};

/* Everything that it holds is zero. */
int adam_init(struct adam *adam, struct model *model, const struct adam_options *options,
	struct error *err);
void adam_release(struct adam *adam);
/* As after adam_init(), but for the average. */
void adam_reset(struct adam *adam);

/* One training step on a batch (N,T+1) of exactly state->rows rows, at that learning rate: the
 * gradients (model->gradients, overwritten) of the mean loss, dropout on with the masks of step
 * adam->step, state carried on, and the update, queued at one go. *nats: the mean loss; *norm: the
 * gradient's global norm, unclipped. When one of them is not finite, weights, arenas and adam->step
 * stay as they were: the caller looks at both. */
int adam_train(struct adam *adam, struct model_state *state, const uint32_t *batch, size_t T,
	double rate, double *nats, double *norm, struct error *err);

/* With an average: exchanges it and the model's weights, so that it is what the model scores with
 * and gives out, until they are exchanged again, which must be before the next step. Without: does
 * nothing. */
void adam_exchange(struct adam *adam);

/* Copies a whole arena from and to the host (checkpoints); adam->step is the caller's to set. */
int adam_set(struct adam *adam, enum adam_arena which, const float *from, struct error *err);
int adam_get(const struct adam *adam, enum adam_arena which, float *to, struct error *err);

#endif

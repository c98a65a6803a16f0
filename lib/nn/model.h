/* model.h: the character-level language model: one-hot input, L recurrent layers with dropout
 * behind each, a linear output layer, softmax.
 *
 * Equations and conventions are those of the notebooks' CharRNN (see doc: formats/model.md for
 * names and layouts). A model owns its weights on the device and everything a step needs; nothing
 * is allocated after model_init(). Batches are host arrays of ids, row-major, as shards store them:
 * (N, T + 1), inputs being the first T columns and targets the last T. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "base/error.h"
#include "nn/group.h"
#include "nn/ops.h"
#include "nn/params.h"
#include "nn/tree.h"

#include <stdbool.h>
#include <stdint.h>

struct layer;

/* What goes to the device for one batch, in one piece; the sums come back. Behind it come the ids of
 * each block of rows: inputs (T,n), then targets (T,n). */
struct batch {
	double nats, squares; /* of all characters; of all gradients; go down as 0 */
	/* (model->blocks): nats of each block of rows, of the whole batch; likewise */
	double blocks[];
};

/* Probabilities with which a model in training doesn't get to see: a symbol of its input (M. Iyyer
 * et al.: Deep Unordered Composition Rivals Syntactic Methods, 2015: word dropout, not scaled), a
 * unit of a layer's output where the next layer sees it, and one where the output layer does. */
struct model_dropout {
	double input, between, output;
};

struct model {
	struct device *device;        /* not owned */
	struct group *group;          /* that it is a part of (model_join()); not owned */
	struct params params;         /* owned */
	struct model_dropout dropout; /* in training only */
	uint32_t seed;                /* of the dropout masks */
	size_t rows, window;          /* the largest N and T it was made for */
	size_t block;                 /* rows in flight in one pass */
	size_t blocks;                /* of the most rows */
	float *weights;               /* device, arena; for inference NULL until they are set */
	float *gradients;             /* device, arena; NULL in a model for inference */
	/* Sums over some of a batch's blocks on their way to `gradients` (tree.h), which is the
	 * lowest of them: device, arenas; and what a block adds to one of these, (the largest
	 * tensor); NULL where there is no need. */
	float *sums[TREE_DEPTH], *addend;
	/* In a group: the sums over all ranks, of each layer and the output layer, (L+1); owned. They
	 * are made in `carried`, on the host, an arena, where the device's memory is another. */
	struct group_sum *travels;
	float *carried;
	struct layer *layers; /* (L); owned */
	struct operand fc, fc_backward;
	struct batch *batch; /* device */
	float *nats;         /* device; of each block of rows: (T,n) */
	/* Workspace of one block of rows n <= block, all on the device: */
	/* (T,n,H): a layer's outputs with dropout, where what is above it has yet to see them, else
	 * their gradient; NULL for inference. */
	float *flow;
	float *dc;     /* (n,H); NULL for inference */
	float *logits; /* (T,n,V), then their gradient; what model_feed() gives: (N,V) */
	/* Copies on the host: */
	struct batch *sent;
	float *scored; /* of nats */
};

/* What every layer carries from window to window. */
struct model_state {
	struct device *device; /* not owned */
	size_t rows, hidden;   /* N, H */
	struct group_cut cut;  /* of the rows of all ranks, and */
	size_t first;          /* the one among them that is this rank's first */
	size_t size;           /* floats: N params_state_size() */
	float *data;           /* device, (S,L,N,H) */
};

enum model_use {
	MODEL_INFERENCE,
	MODEL_INFERENCE_F16, /* with weights of fewer bits (enum operand_type), */
	MODEL_INFERENCE_I8,  /* those of the first layer's table and the biases apart */
	MODEL_TRAINING,
	MODEL_TRAINING_BF16, /* all products of bfloat16, sums of floats */
};

/* Makes a model of these dimensions, for batches of at most `rows` x `window` characters; weights
 * zero for training, not yet there for inference. Errors 65, 71; 69 where the device doesn't know
 * that use. */
int model_init(struct model *model, struct device *device, const struct cell *cell, uint64_t vocab,
	uint64_t hidden, uint64_t layers, enum model_use use, size_t rows, size_t window,
	struct error *err);
void model_release(struct model *model);

/* From here on it is a part of a group, each rank having the same model: a step, or a score, is that of
 * a batch whose rows all ranks have together. Batches, states and their rows are then this rank's
 * share. States are to be made anew. Error 71; 64: there are more ranks than blocks. */
int model_join(struct model *model, struct group *group, struct error *err);

/* The same model for other batches; states are to be made anew. On failure (71) it is fit for
 * model_release() and for another try. */
int model_resize(struct model *model, size_t rows, size_t window, struct error *err);

/* Copies a whole arena (params.total floats) from and to the host. A model for inference doesn't
 * give its weights back. */
int model_set_weights(struct model *model, const float *arena, struct error *err);
int model_get_weights(struct model *model, float *arena, struct error *err);
/* Takes the arena itself, which memory_alloc() made: on the CPU the weights are then in memory
 * once, and not twice. It is gone for the caller, even on failure. */
int model_adopt_weights(struct model *model, float *arena, struct error *err);

/* State of N rows, zero; in a group N is that of all ranks, and the state that of this one's share,
 * maybe of none. */
int model_state_init(
	struct model_state *state, const struct model *model, size_t rows, struct error *err);
void model_state_zero(struct model_state *state);
void model_state_release(struct model_state *state);
/* Copies all of it, (S,L,N,H), from and to the host: for an LSTM h (L,N,H), then c. */
int model_state_set(struct model_state *state, const float *from, struct error *err);
int model_state_get(const struct model_state *state, float *to, struct error *err);
/* Gives every row the state of one, (S,L,1,H), host. */
int model_state_fill(struct model_state *state, const float *row, struct error *err);

/* Scores a batch of state->rows rows without dropout, state carried on: *nats is the sum over all
 * scored characters. `each` (N,T), host, receives every character's nats unless NULL. Targets may
 * be TARGET_NONE, from there to the row's end; as an input it reads as 0. In a group *nats is that of
 * all ranks. */
int model_score(struct model *model, struct model_state *state, const uint32_t *batch, size_t T,
	double *nats, float *each, struct error *err);

/* Feeds `ids` (N,T), host, row-major, to state->rows rows, and gives the logits (N,V), host, that
 * follow the last one. */
int model_feed(struct model *model, struct model_state *state, const uint32_t *ids, size_t T,
	float *logits, struct error *err);

/* The parts of a training step (adam_train()) that are the model's: a batch (N,T+1) of exactly
 * state->rows rows goes to the device, its inputs with the mask of step `step`; the sequence to
 * begin; the operations that leave the gradients of the mean loss, dropout on with the masks of
 * optimizer step `step`, state carried on; those that follow once the gradients are whole, their norm
 * last; what they come to, for `characters` scored ones: the mean loss and the gradient's global
 * norm. */
enum model_sequence {
	MODEL_STEP,
	MODEL_UPDATE, /* in a group, its second half */
	MODEL_SCORE,
	MODEL_FEED,
};
int model_load(struct model *model, const struct model_state *state, const uint32_t *batch,
	size_t T, uint32_t step, struct error *err);
struct sequence model_sequence(const struct model *model, enum model_sequence kind,
	const struct model_state *state, size_t T);
void model_queue_gradient(struct model *model, struct model_state *state, size_t T, uint32_t step);
/* In a group, between the two: makes gradient and loss those of all ranks. */
int model_exchange(struct model *model, const struct model_state *state, struct error *err);
void model_queue_norm(struct model *model);
int model_totals(
	struct model *model, size_t characters, double *nats, double *norm, struct error *err);

/* Takes another arena on the device for its weights, and gives back the one it had. */
float *model_bind_weights(struct model *model, float *weights);

/* To be called after the weights changed on the device; model_set_weights() and adam_train()
 * do it. */
void model_weights_changed(struct model *model);

#endif

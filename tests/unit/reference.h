/* reference.h: the language model once more, for the tests: loops in double precision straight from
 * the equations, to be compared with everything that computes the same fast.
 *
 * Nothing here is shared with lib/nn but the order of the tensors (params.h), in the layouts that
 * files have: weight_ih_l (GH,V) or (GH,H), weight_hh_l (GH,H), bias_ih_l and bias_hh_l (GH) of
 * each layer, then fc.weight (V,H) and fc.bias (V), one behind the other without padding. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include "nn/adam.h"
#include "nn/ops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reference {
	enum cell_type cell;
	size_t G; /* its gates */
	size_t V, H, L, N, T;
	size_t parameters;
	double *w, *dw;     /* (parameters): weights; gradient of the mean loss */
	double *m, *v;      /* (parameters): Adam's moments */
	double *h, *c;      /* (L,N,H): the state carried from window to window */
	const double *mask; /* (L,T,N,H): factors on each layer's outputs; NULL: none. Not owned */
	const bool *hidden; /* (T,N): inputs that aren't seen; NULL: none. Not owned */
	/* The last forward pass, for the backward pass: */
	uint32_t *inputs, *targets; /* (T,N) */
	double *gates;              /* (L,T,N,4H): of reference_cell_forward() */
	double *hs, *cs;            /* (L,T+1,N,H); [l][0] is the state before */
	double *out;                /* (L,T,N,H): outputs behind the mask */
	double *logits;             /* (T,N,V) */
	double *nats;               /* (T,N) */
};

/* A model with zero weights, moments and state for windows of N rows and T steps. Ends the test
 * program when there is no memory. */
void reference_init(
	struct reference *r, enum cell_type cell, size_t V, size_t H, size_t L, size_t N, size_t T);
void reference_release(struct reference *r);

/* Where tensor i (in the order above) begins in w, and how many numbers it has. */
size_t reference_offset(const struct reference *r, size_t i);
size_t reference_size(const struct reference *r, size_t i);

/* Runs over a batch (N,T+1), whose first T columns are inputs and last T targets, and carries the
 * state on. Returns the sum of all characters' nats. A target UINT32_MAX is not scored; as an input
 * it reads as 0. */
double reference_forward(struct reference *r, const uint32_t *batch);

/* dw = gradient of the mean nats of the last forward pass; nothing flows into the initial state. */
void reference_backward(struct reference *r);

/* The global norm of dw. */
double reference_norm(const struct reference *r);

/* Update number `step` (from 1) at that rate, as the options say, after scaling dw by min(1, clip /
 * (norm + 1e-6)); clip 0 doesn't scale. v of what Muon moves is its direction. No average. */
void reference_update(
	struct reference *r, const struct adam_options *options, double rate, unsigned step);

/* f of nn/cell.h, one row: from a and b (GH) each, h0 and c0 to h1 and c1, (H) each. gates (4H): what
 * the way back needs: i, f, g, o of an LSTM, r, z, n, b_n of a GRU. */
void reference_cell_forward(enum cell_type cell, size_t H, const double *a, const double *b,
	const double *h0, const double *c0, double *gates, double *h1, double *c1);

/* The same backward. dh: gradient of h1 in, out what of it comes to h0, but for what comes through b;
 * dc: of c1 in, of c0 out; da and db (GH). */
void reference_cell_backward(enum cell_type cell, size_t H, const double *gates, const double *h0,
	const double *c0, const double *h1, const double *c1, double *dh, double *dc, double *da,
	double *db);

/* Of ops.h, of one matrix (n,n); rounded: the factors of products to bfloat16. */
void reference_orthogonalise(size_t n, bool rounded, double *x);

/* Whether a mask, as nn/ops.h defines it, keeps unit u of row n at time t. */
bool reference_keeps(const struct dropout *dropout, uint32_t t, uint32_t n, uint32_t u);

/* The factors, (L,T,N,H), that dropout puts on outputs, and what it hides of inputs, (T,N). To be
 * freed. */
double *reference_masks(const struct reference *r, const struct model_dropout *dropout,
	uint32_t seed, uint32_t step);
bool *reference_hidden(const struct reference *r, const struct model_dropout *dropout,
	uint32_t seed, uint32_t step);

#endif

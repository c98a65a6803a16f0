/* tree.h: the order in which what the blocks of a batch give is added up, whoever computes them: leaves
 * 0..n-1 of the binary tree that x[i] += x[i + s] makes for s = 1, 2, 4, ... and i = 0, 2 s, 4 s, ...
 *
 * So a sum depends on the number of its leaves alone. */
#ifndef NN_TREE_H
#define NN_TREE_H

#include <stddef.h>

enum { TREE_DEPTH = 64 /* of a stack: twice the bits of a number of rows */ };

/* Leaves first..first+span-1, those from the tree's end on left out. */
struct tree_node {
	size_t first, span;
};

/* A walk over neighbouring leaves, from left to right, that keeps no more sums than it has to. */
struct tree_walk {
	size_t leaves, first, next; /* of the whole tree; where it began; not walked over yet */
	size_t depth;               /* sums kept */
	struct tree_node nodes[TREE_DEPTH]; /* (depth): of which leaves they are */
};

void tree_begin(struct tree_walk *walk, size_t leaves, size_t first);

/* Puts the next leaf's sum on top. Returns how many joins follow, each of which adds the top sum to
 * the one below it and drops it; walk->depth is that after them. */
size_t tree_push(struct tree_walk *walk);

/* The most sums that a walk over leaves first..end-1 keeps, besides that of the leaf it is at. */
size_t tree_most(size_t leaves, size_t first, size_t end);

/* The sum of x (n), which is overwritten. */
double tree_sum(size_t n, double *x);

#endif

/* tree.c: see tree.h. */
#include "nn/tree.h"

void tree_begin(struct tree_walk *walk, size_t leaves, size_t first)
{
	*walk = (struct tree_walk){.leaves = leaves, .first = first, .next = first};
}

size_t tree_push(struct tree_walk *walk)
{
	size_t joins = 0;
	walk->nodes[walk->depth++] = (struct tree_node){walk->next++, 1};
	for (;;) {
		struct tree_node *top = &walk->nodes[walk->depth - 1];
		if (top->first / top->span % 2 == 1) {
			if (top->first - top->span < walk->first)
				return joins; /* what is left of it isn't walked over here */
			walk->depth--;
			top[-1].span = 2 * top->span;
			joins++;
		} else if (top->first > 0 && top->first + top->span >= walk->leaves) {
			top->span *= 2; /* nothing is right of it */
		} else {
			return joins;
		}
	}
}

size_t tree_most(size_t leaves, size_t first, size_t end)
{
	struct tree_walk walk;
	size_t most = 0;
	tree_begin(&walk, leaves, first);
	while (walk.next < end) {
		tree_push(&walk);
		most = walk.depth > most ? walk.depth : most;
	}
	return most;
}

double tree_sum(size_t n, double *x)
{
	for (size_t s = 1; s < n; s *= 2)
		for (size_t i = 0; i + s < n; i += 2 * s)
			x[i] += x[i + s];
	return n > 0 ? x[0] : 0;
}

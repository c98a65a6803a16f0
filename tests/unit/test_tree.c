/* The order in which blocks are added up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nn/tree.h"

#include <math.h>

enum { LEAVES = 70 };

/* Numbers whose sums round, so that each order has a sum of its own. */
static void fill(size_t n, double *x)
{
	for (size_t i = 0; i < n; i++)
		x[i] = sin((double)i) * pow(10, (double)(i % 7));
}

/* The sum of leaves first..first+span-1 by the definition: halves, of which the left one is whole. */
static double define(size_t n, size_t first, size_t span, const double *x)
{
	if (span == 1)
		return x[first];
	double left = define(n, first, span / 2, x);
	return first + span / 2 < n ? left + define(n, first + span / 2, span / 2, x) : left;
}

static size_t span_of(size_t n)
{
	size_t span = 1;
	while (span < n)
		span *= 2;
	return span;
}

static void a_sum_is_that_of_the_definition(void **state)
{
	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		double x[LEAVES], expected;
		fill(n, x);
		expected = define(n, 0, span_of(n), x);
		assert_true(tree_sum(n, x) == expected);
	}
	assert_true(tree_sum(0, NULL) == 0);
}

/* Joins what a walk over leaves first..end-1 puts on top, as whoever walks does. */
static size_t walk_over(struct tree_walk *walk, size_t n, size_t first, size_t end, double *sums)
{
	double x[LEAVES];
	size_t most = 0;
	fill(n, x);
	tree_begin(walk, n, first);
	while (walk->next < end) {
		size_t top = walk->depth;
		sums[top] = x[walk->next];
		for (size_t joins = tree_push(walk); joins > 0; joins--, top--)
			sums[top - 1] += sums[top];
		assert_int_equal(walk->depth, top + 1);
		most = walk->depth > most ? walk->depth : most;
	}
	return most;
}

static void a_walk_over_all_leaves_ends_with_their_sum(void **state)
{
	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		struct tree_walk walk;
		double x[LEAVES], sums[TREE_DEPTH];
		fill(n, x);
		assert_int_equal(walk_over(&walk, n, 0, n, sums), tree_most(n, 0, n));
		assert_int_equal(walk.depth, 1);
		assert_true(sums[0] == tree_sum(n, x));
	}
	assert_int_equal(tree_most(4, 0, 4), 2);
	assert_int_equal(tree_most(64, 0, 64), 6);
}

/* ... and one over some of them with sums of whole nodes of the tree, which cover them. */
static void a_walk_over_some_leaves_keeps_sums_of_nodes(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 21; n++)
		for (size_t first = 0; first < n; first++)
			for (size_t end = first + 1; end <= n; end++) {
				struct tree_walk walk;
				double x[LEAVES], sums[TREE_DEPTH];
				size_t next = first;
				fill(n, x);
				walk_over(&walk, n, first, end, sums);
				for (size_t i = 0; i < walk.depth; i++) {
					const struct tree_node *node = &walk.nodes[i];
					assert_int_equal(node->first, next);
					assert_int_equal(node->first % node->span, 0);
					assert_true(sums[i] == define(n, next, node->span, x));
					next += node->span;
				}
				assert_true(next == end || (end == n && next > n));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sum_is_that_of_the_definition),
		cmocka_unit_test(a_walk_over_all_leaves_ends_with_their_sum),
		cmocka_unit_test(a_walk_over_some_leaves_keeps_sums_of_nodes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

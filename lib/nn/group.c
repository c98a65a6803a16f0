/* group.c: see group.h. */
#include "nn/group.h"

#include <string.h>

void group_share(unsigned rank, unsigned size, size_t blocks, size_t *first, size_t *end)
{
	*first = rank * blocks / size;
	*end = (rank + 1) * blocks / size;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void group_rows(
	unsigned rank, unsigned size, const struct group_cut *cut, size_t *first, size_t *end)
{
	group_share(rank, size, (cut->rows + cut->block - 1) / cut->block, first, end);
	*first = smaller(*first * cut->block, cut->rows);
	*end = smaller(*end * cut->block, cut->rows);
}

int group_broadcast(struct group *group, void *data, size_t bytes, struct error *err)
{
	return group ? group->ops->broadcast(group, data, bytes, err) : 0;
}

int group_scatter(struct group *group, const struct group_cut *cut, size_t row_bytes, void *data,
	struct error *err)
{
	return group ? group->ops->scatter(group, cut, row_bytes, data, err) : 0;
}

int group_gather(struct group *group, const struct group_cut *cut, size_t row_bytes,
	const void *own, void *all, struct error *err)
{
	if (group)
		return group->ops->gather(group, cut, row_bytes, own, all, err);
	memcpy(all, own, cut->rows * row_bytes);
	return 0;
}

int group_collect(struct group *group, size_t leaves, double *x, struct error *err)
{
	return group ? group->ops->collect(group, leaves, x, err) : 0;
}

void group_sum(struct group *group, struct group_sum *sum)
{
	if (group)
		group->ops->sum(group, sum);
}

int group_wait(struct group *group, struct error *err)
{
	return group ? group->ops->wait(group, err) : 0;
}

void group_leave(struct group *group, int status)
{
	if (group)
		group->ops->leave(group, status);
}

/* plan.c: see plan.h. */
#include "formats/plan.h"

uint64_t plan_usable(const struct plan *plan, const struct plan_part *part)
{
	return plan->targets == SHARDS_NEXT && part->tokens > 0 ? part->tokens - 1 : part->tokens;
}

static void hold_out(const struct plan *plan, enum shards_split split, uint64_t tokens,
	struct shards_header *header)
{
	uint64_t rows = tokens / plan->window;
	header->rows[split] = (uint32_t)(rows < plan->rows ? rows : plan->rows);
	header->batches[split] = rows < plan->rows ? rows > 0 : rows / plan->rows;
}

void plan_make(const struct plan *plan, uint64_t n, struct plan_part parts[SHARDS_SPLITS],
	struct shards_header *header)
{
	uint64_t train_end = (uint64_t)((double)n * (1 - plan->validation - plan->test));
	uint64_t validation_end = (uint64_t)((double)n * (1 - plan->test));
	parts[SHARDS_TRAIN] = (struct plan_part){0, train_end};
	parts[SHARDS_VALIDATION] = (struct plan_part){train_end, validation_end - train_end};
	parts[SHARDS_TEST] = (struct plan_part){validation_end, n - validation_end};

	*header =
		(struct shards_header){.window = (uint32_t)plan->window, .targets = plan->targets};
	header->rows[SHARDS_TRAIN] = (uint32_t)plan->rows;
	header->batches[SHARDS_TRAIN] =
		plan_usable(plan, &parts[SHARDS_TRAIN]) / plan->window / plan->rows;
	if (plan->validation > 0)
		hold_out(plan, SHARDS_VALIDATION, plan_usable(plan, &parts[SHARDS_VALIDATION]),
			header);
	if (plan->test > 0)
		hold_out(plan, SHARDS_TEST, plan_usable(plan, &parts[SHARDS_TEST]), header);
	for (enum shards_split s = 0; s < SHARDS_SPLITS; s++)
		header->tokens_used += header->batches[s] * header->rows[s] * plan->window;
	header->tokens_dropped = n - header->tokens_used;
}

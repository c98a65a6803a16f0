/* memory.c: see memory.h. */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE_PAGE = 2 << 20 };

/* Advises the system about the pages of this size that lie wholly in a block. It need not listen.
 */
static void advise(char *block, size_t bytes, size_t page, int advice)
{
	const uintptr_t mask = page - 1;
	const uintptr_t first = ((uintptr_t)block + mask) & ~mask;
	const uintptr_t end = ((uintptr_t)block + bytes) & ~mask;
	if (first < end)
		madvise(block + (first - (uintptr_t)block), end - first, advice);
}

/* From calloc(), whose large blocks are zero without having been touched; where one begins stands
 * just before what is handed out. With small pages most of the time that sample takes to start
 * would go into page faults. */
void *memory_alloc(size_t bytes)
{
	const size_t size = bytes + 2 * MEMORY_ALIGNMENT;
	char *block = size > bytes ? calloc(1, size) : NULL;
	if (!block)
		return NULL;
	advise(block, size, LARGE_PAGE, MADV_HUGEPAGE);
	void **p = (void **)(block + 2 * MEMORY_ALIGNMENT - (uintptr_t)block % MEMORY_ALIGNMENT);
	p[-1] = block;
	return p;
}

void memory_free(void *p)
{
	if (p)
		free(((void **)p)[-1]);
}

void memory_discard(void *p, size_t bytes)
{
	advise(p, bytes, (size_t)sysconf(_SC_PAGESIZE), MADV_DONTNEED);
}

/* The number that follows `key` at the start of a line of the file, times `unit`. */
static uint64_t number_in(const char *path, const char *key, uint64_t unit)
{
	char line[256];
	uint64_t found = UINT64_MAX;
	FILE *f = fopen(path, "re");
	if (!f)
		return UINT64_MAX;
	while (found == UINT64_MAX && fgets(line, sizeof line, f)) {
		char *end;
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		uint64_t number = strtoull(line + strlen(key), &end, 10);
		if (end > line + strlen(key) && number < UINT64_MAX / unit)
			found = number * unit;
	}
	fclose(f);
	return found;
}

/* What a file of the folder says of `key`, or `otherwise`. */
static uint64_t group_number(
	const char *folder, const char *file, const char *key, uint64_t otherwise)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, file);
	uint64_t number = number_in(path, key, 1);
	return number == UINT64_MAX ? otherwise : number;
}

uint64_t memory_left_to_group(const char *folder)
{
	const uint64_t limit = group_number(folder, "memory.max", "", UINT64_MAX);
	const uint64_t used = group_number(folder, "memory.current", "", 0);
	/* Pages of files, which the group gives back before anything of it is refused. */
	const uint64_t cache = group_number(folder, "memory.stat", "active_file ", 0) +
			       group_number(folder, "memory.stat", "inactive_file ", 0);
	const uint64_t held = used > cache ? used - cache : 0;
	if (limit == UINT64_MAX)
		return UINT64_MAX;
	return limit > held ? limit - held : 0;
}

uint64_t memory_available(void)
{
	uint64_t machine = number_in("/proc/meminfo", "MemAvailable:", 1024);
	uint64_t group = memory_left_to_group("/sys/fs/cgroup");
	return machine < group ? machine : group;
}

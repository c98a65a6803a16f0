/* memory.h: large arrays of numbers. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum { MEMORY_ALIGNMENT = 64 };

/* `bytes` zero bytes, aligned for vectors, not resident until they are touched, in large pages
 * where the system has some. NULL without memory. The caller's to memory_free(). */
void *memory_alloc(size_t bytes);
void memory_free(void *p);

/* What p holds is not needed any more: pages that lie wholly in it go back to the system. Reading
 * them gives anything, writing them is fine. */
void memory_discard(void *p, size_t bytes);

/* Bytes that the machine could give to programs without swapping, or that its cgroup still lets this
 * one have where that is less; UINT64_MAX where nobody says. */
uint64_t memory_available(void);

/* The latter, of the cgroup (version 2) in that folder: its limit less what it holds, pages of files
 * not counted, which it would give back. UINT64_MAX: no limit. */
uint64_t memory_left_to_group(const char *folder);

#endif

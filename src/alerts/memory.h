/* What a block of the heap costs: glibc keeps 8 bytes with each and hands out multiples of 16, at least 32. */
#ifndef HL_ALERTS_MEMORY_H
#define HL_ALERTS_MEMORY_H

#include <stddef.h>

static inline size_t hl_memory_block(size_t n)
{
	size_t whole = (n + 8 + 15) & ~(size_t)15;
	return n == 0 ? 0 : whole < 32 ? 32 : whole;
}

#endif

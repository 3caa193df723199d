/* How much room the store has: pages in use against the quota, and a reserve of allocated bytes beyond the last
 * page, so that outcomes and deletions still commit when the disk is full. Numbers are written by the storage thread
 * and read by any. */
#ifndef HL_STORE_ROOM_H
#define HL_STORE_ROOM_H

#include <hookline/types.h>
#include <stdatomic.h>

struct hl_room {
	uint64_t max_bytes;           /* quota */
	uint64_t reserve_bytes;       /* least that is kept allocated */
	uint32_t page_size;
	_Atomic uint64_t pages;       /* of the environment */
	_Atomic uint64_t free_pages;  /* of those, free at the last measure */
	atomic_bool disk_full;        /* the reserve could not be kept */
	atomic_bool spent;            /* and of it and the free pages together less than a quarter of it is left */
	uint64_t reserved_to;         /* bytes of the file known to be allocated */
	bool no_fallocate;            /* the file system cannot: free blocks are asked for instead */
};

/* Keeps max(reserve, 4 × batch_bytes) beyond the last page of fd. HL_EFULL when the disk has no room for it; `spent` is told
 * anew then, too. */
int hl_room_reserve(struct hl_room *r, int fd, uint64_t batch_bytes);
uint64_t hl_room_used(const struct hl_room *r); /* bytes */
bool hl_room_full(const struct hl_room *r);     /* from 85 % of the quota, or the disk is full */

#endif

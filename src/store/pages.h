/* The pages of data.mdb, read by ourselves: LMDB believes what they say and follows a damaged page out of its map. Knows the
 * format of LMDB 0.9 (data version 1) and nothing of what is stored in it. */
#ifndef HL_STORE_PAGES_H
#define HL_STORE_PAGES_H

#include <hookline/error.h>
#include <hookline/types.h>

/* Whether LMDB may be let at the file at all: both first pages are what they should be. HL_ECORRUPT says what is wrong.
 * *out_page_size: 0 for a file without a page yet. */
HL_MUST_CHECK int hl_pages_head(int fd, uint32_t *out_page_size, struct hl_err *err);

struct hl_pages_check {
	int fd;
	uint64_t txnid;               /* the snapshot to read, which somebody keeps from being written over; 0 = the newest */
	bool branches_only;           /* what leads to other pages: trees without their leaves, and the free list */
	void (*damage)(void *data, const char *text); /* once for each damage */
	void *data;
	/* counted */
	uint64_t pages, damages;
};
/* Walks every tree and the free list: each page is what it should be, used once, in order, within bounds. 0 whether or not
 * damage was found; HL_EIO, HL_ENOMEM when the reading failed. */
HL_MUST_CHECK int hl_pages_check(struct hl_pages_check *c, struct hl_err *err);

#endif

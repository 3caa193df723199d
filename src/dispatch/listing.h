/* A page of something numbered, newest first: which numbers are on it, whether there are more on either side, how many
 * match in all. What the numbers mean is its owner's business. */
#ifndef HL_DISPATCH_LISTING_H
#define HL_DISPATCH_LISTING_H

#include "dispatch/walks.h"

enum { HL_PAGE_MAX = 250 };

/* A walk in one direction; kept as numbers only, so it goes on in a later snapshot. */
struct hl_listing_walk {
	bool oldest_first;
	uint64_t after, before;          /* exclusive; 0 = open. Narrowed as the walk goes */
	bool done;                       /* nothing is left */
};

enum hl_listing_phase { HL_LISTING_COLLECT, HL_LISTING_NEWER, HL_LISTING_OLDER, HL_LISTING_COUNT };

struct hl_listing {
	struct hl_long_walk walk;
	struct hl_page page;
	/* Looks at up to max_steps entries of *w and calls hl_listing_take for each that matches, until that says false. */
	int (*look)(struct hl_listing *l, struct hl_txn *txn, struct hl_listing_walk *w, size_t max_steps);
	/* How many match, when counters know; false: they do not. */
	bool (*counted)(struct hl_listing *l, struct hl_txn *txn, uint64_t *out);
	/* Calls back and frees. status 0: numbers, n and info are set. */
	void (*answer)(struct hl_listing *l, int status);
	/* the result */
	uint64_t numbers[HL_PAGE_MAX];   /* newest first */
	size_t n;
	struct hl_page_info info;
	/* on the way */
	enum hl_listing_phase phase;
	bool entered;                    /* the walk of this phase was begun */
	struct hl_listing_walk at;
	uint64_t skipped;
	bool more, newer_known, older_known;
};

/* page, look, counted and answer are set, the rest is zero. HL_EINVAL: the page's limit; HL_ECLOSED. */
HL_MUST_CHECK int hl_listing_begin(struct hl_dispatcher *d, struct hl_listing *l);
/* A match. false: enough, stop the walk here. */
bool hl_listing_take(struct hl_listing *l, uint64_t number);

#endif

/* Reads that look at many rows: cut into slices, some in each turn of the loop, so that nothing else waits for them. */
#ifndef HL_DISPATCH_WALKS_H
#define HL_DISPATCH_WALKS_H

#include "dispatch/core.h"

/* One such read; embedded in what knows its purpose. */
struct hl_long_walk {
	struct hl_list link;             /* in d->walks */
	struct hl_dispatcher *d;
	/* One slice: looks at max_steps entries at most, in the snapshot of this turn. status != 0: the dispatcher closes, answer
	 * with it. true: go on in a later turn; false: it has answered and is gone. */
	bool (*step)(struct hl_long_walk *w, size_t max_steps, int status);
};

/* The first slice runs in the next turn, never before this returned. HL_ECLOSED. */
HL_MUST_CHECK int hl_walks_begin(struct hl_dispatcher *d, struct hl_long_walk *w);
/* Part of hl_engine_tick, whatever the state: a turn's share of the walks under way. After it none is left when closing. */
void hl_walks_tick(struct hl_dispatcher *d);

#endif

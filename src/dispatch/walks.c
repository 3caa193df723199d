/* Walks take turns: each gets a slice, the unfinished go to the end of the line, and together they look at no more entries
 * in a turn of the loop than one long walk may. A walk that was begun from a callback of this turn waits for the next.
 * Closing ends them all with HL_ECANCELED. */
#include "dispatch/walks.h"

enum { SLICE_MIN = 500, SHORT_COST = 250 }; /* entries: of one slice; reckoned for a walk that ended */

int hl_walks_begin(struct hl_dispatcher *d, struct hl_long_walk *w)
{
	if (d->state != HL_CORE_OPEN)
		return HL_ECLOSED;
	w->d = d;
	hl_list_push_back(&d->walks, &w->link);
	d->n_walks++;
	hl_core_soon(d);
	return 0;
}

void hl_walks_tick(struct hl_dispatcher *d)
{
	uint32_t n = d->n_walks;
	size_t left = HL_SCAN_STEPS;
	size_t slice = n ? HL_MAX((size_t)HL_SCAN_STEPS / n, (size_t)SLICE_MIN) : 0;
	int status = d->state == HL_CORE_OPEN ? 0 : HL_ECANCELED;
	for (; n > 0 && (left > 0 || status); n--) {
		struct hl_long_walk *w = HL_LIST_ENTRY(hl_list_pop_front(&d->walks), struct hl_long_walk, link);
		d->n_walks--;
		size_t cost = SHORT_COST;
		if (w->step(w, slice, status)) {
			hl_list_push_back(&d->walks, &w->link);
			d->n_walks++;
			cost = slice;
		}
		left -= HL_MIN(left, cost);
	}
	if (d->n_walks > 0)
		hl_core_soon(d);
}

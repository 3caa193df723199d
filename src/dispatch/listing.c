/* Four walks at most, one after the other, each over as many turns as it needs:
 *
 *   COLLECT  from the page's start: passes over `offset`, takes `limit`, and looks one further
 *   NEWER    is anything on the newer side of the page? Only asked when the page began at a cursor
 *   OLDER    the same on the older side
 *   COUNT    everything that matches, when the total is wanted and no counter knows it
 *
 * A page after x is walked upwards and turned round at the end. */
#include "dispatch/listing.h"

#include "base/check.h"

static bool upwards(const struct hl_listing *l)
{
	return l->page.after != 0;
}

/* ---- what a match means ---- */

bool hl_listing_take(struct hl_listing *l, uint64_t number)
{
	switch (l->phase) {
	case HL_LISTING_COLLECT:
		if (l->skipped < l->page.offset) {
			l->skipped++;
			return true;
		}
		if (l->n == l->page.limit) {
			l->more = true;
			return false;
		}
		l->numbers[l->n++] = number;
		return true;
	case HL_LISTING_NEWER:
		l->info.has_newer = true;
		return false;
	case HL_LISTING_OLDER:
		l->info.has_older = true;
		return false;
	case HL_LISTING_COUNT:
		l->info.total++;
		return true;
	}
	HL_NEVER("a phase that does not exist");
}

/* ---- the phases ---- */

/* Sets the walk of the phase up; false: there is nothing to walk for. */
static bool enter(struct hl_listing *l, struct hl_txn *txn)
{
	const struct hl_page *p = &l->page;
	l->at = (struct hl_listing_walk){ 0 };
	switch (l->phase) {
	case HL_LISTING_COLLECT:
		l->at = (struct hl_listing_walk){ .oldest_first = upwards(l), .after = p->after, .before = p->before };
		return true;
	case HL_LISTING_NEWER:
		l->at = (struct hl_listing_walk){ .oldest_first = true, .after = p->before ? p->before - 1 : 0 };
		return !l->newer_known && p->before != 0;
	case HL_LISTING_OLDER:
		l->at = (struct hl_listing_walk){ .before = p->after + 1 };
		return !l->older_known && p->after != 0;
	case HL_LISTING_COUNT:
		return p->want_total && !l->counted(l, txn, &l->info.total);
	}
	HL_NEVER("a phase that does not exist");
}

static void leave(struct hl_listing *l)
{
	if (l->phase != HL_LISTING_COLLECT)
		return;
	bool up = upwards(l);
	if (l->more) {
		*(up ? &l->info.has_newer : &l->info.has_older) = true;
		*(up ? &l->newer_known : &l->older_known) = true;
	}
	if (l->skipped) {
		*(up ? &l->info.has_older : &l->info.has_newer) = true;
		*(up ? &l->older_known : &l->newer_known) = true;
	}
	for (size_t i = 0; up && i < l->n / 2; i++) {
		uint64_t n = l->numbers[i];
		l->numbers[i] = l->numbers[l->n - 1 - i];
		l->numbers[l->n - 1 - i] = n;
	}
}

static bool enough(const struct hl_listing *l)
{
	switch (l->phase) {
	case HL_LISTING_COLLECT:
		return l->more;
	case HL_LISTING_NEWER:
		return l->info.has_newer;
	case HL_LISTING_OLDER:
		return l->info.has_older;
	default:
		return false;
	}
}

/* One slice of the phase; *out_over: it is over. */
static int look(struct hl_listing *l, struct hl_txn *txn, size_t max_steps, bool *out_over)
{
	if (!l->entered && !enter(l, txn)) {
		*out_over = true;
		return hl_txn_status(txn);
	}
	l->entered = true;
	int rc = l->look(l, txn, &l->at, max_steps);
	*out_over = rc == 0 && (l->at.done || enough(l));
	return rc;
}

static bool step(struct hl_long_walk *w, size_t max_steps, int status)
{
	struct hl_listing *l = HL_CONTAINER_OF(w, struct hl_listing, walk);
	struct hl_txn *txn = hl_core_read(w->d);
	bool over = true;
	while (status == 0 && over && l->phase <= HL_LISTING_COUNT) {
		status = look(l, txn, max_steps, &over);
		if (status == 0 && over) {
			leave(l);
			l->entered = false;
			l->phase++;
		}
	}
	if (status == 0 && !over)
		return true;
	l->answer(l, status);
	return false;
}

int hl_listing_begin(struct hl_dispatcher *d, struct hl_listing *l)
{
	if (l->page.limit < 1 || l->page.limit > HL_PAGE_MAX)
		return HL_EINVAL;
	l->walk.step = step;
	return hl_walks_begin(d, &l->walk);
}

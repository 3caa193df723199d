/* Finding deliveries and events: a queue's next work, and the listings. Every reader merges the index (numbers below
 * the bound) with a scan of the tail. Works in read and write transactions; nothing here writes. */
#ifndef HL_STORE_SCAN_H
#define HL_STORE_SCAN_H

#include "store/deliveries.h"
#include "store/events.h"

/* ---- a queue's work ---------------------------------------------------------------------------------------------- */

struct hl_fresh {
	uint64_t delivery;
	uint64_t event;
};

/* Never-attempted deliveries of a webhook with number ≥ from, ascending. *out_next is where to go on; *out_more: not
 * all was looked at (the limit was reached, or HL_SCAN_STEPS rows were examined). Returns hl_txn_status. */
enum { HL_SCAN_STEPS = 10000 };
HL_MUST_CHECK int hl_scan_fresh(struct hl_txn *txn, uint32_t webhook, uint64_t from, size_t limit, struct hl_fresh *out,
		size_t *out_n, uint64_t *out_next, bool *out_more);
/* Waiting deliveries of a webhook after (after_due_ms, after_delivery), ascending by (due, delivery); (0, 0) = from the
 * start. *out_more: there is at least one more. */
HL_MUST_CHECK int hl_scan_due(struct hl_txn *txn, uint32_t webhook, hl_ms_t after_due_ms, uint64_t after_delivery,
		size_t limit, struct hl_due *out, size_t *out_n, bool *out_more);
/* The smallest number of a pending delivery of the webhook (0 = every webhook's). False when there is none within
 * HL_SCAN_STEPS rows of the tail. */
bool hl_scan_oldest_pending(struct hl_txn *txn, uint32_t webhook, uint64_t *out_delivery);

/* ---- listings ---------------------------------------------------------------------------------------------------- */

/* A walk keeps only numbers, so it may be continued in a later transaction. Set the filter, call hl_walk_step until
 * done. */
struct hl_walk {
	/* filter; 0 = any */
	uint32_t account;
	uint32_t webhook;
	uint64_t event;
	unsigned states;              /* bit set of 1 << enum hl_delivery_state; 0 = any */
	int dialect;                  /* -1 = any (zeroed memory means HL_DIALECT_HOOKLINE: set it!) */
	bool oldest_first;
	uint64_t after, before;       /* exclusive bounds; 0 = open. Narrowed as the walk goes */
	bool done;                    /* nothing is left */
};
typedef bool (*hl_walk_cb)(void *data, uint64_t number, const struct hl_delivery_row *row); /* false = enough for now */
/* Looks at up to max_steps entries (0 = HL_SCAN_STEPS), calls each for those that match. After a stop or a full step
 * the walk continues behind the last entry looked at. Returns hl_txn_status; each must not write. */
HL_MUST_CHECK int hl_walk_step(struct hl_txn *txn, struct hl_walk *w, size_t max_steps, hl_walk_cb each, void *data);

struct hl_event_walk {
	uint32_t account;             /* 0 = any */
	bool oldest_first;
	uint64_t after, before;
	bool done;
};
typedef bool (*hl_event_walk_cb)(void *data, uint64_t number, const struct hl_event_row *row);
HL_MUST_CHECK int hl_event_walk_step(struct hl_txn *txn, struct hl_event_walk *w, size_t max_steps,
		hl_event_walk_cb each,
		void *data);

#endif

/* Building the by_* tables behind the hot path: rows are gathered, sorted and put in key order, because scattered puts
 * cost twenty times more. One run takes up to HL_INDEX_RUN numbers and is cut into slices, each in a transaction of its
 * own (a job-priority command). The bounds advance when the run is complete; a crash in between only repeats it.
 *
 * Storage thread only (or wherever the write transaction is). */
#ifndef HL_STORE_INDEX_H
#define HL_STORE_INDEX_H

#include "store/deliveries.h"
#include "store/events.h"

enum { HL_INDEX_RUN = 32768 };

struct hl_index_entry {
	uint64_t number;
	uint32_t account, webhook;    /* webhook 0 = an event's entry */
	uint8_t dialect;
};

/* gather rows → put by webhook → put by account → gather events → put events → idle */
enum hl_index_phase { HL_INDEX_IDLE, HL_INDEX_GATHER, HL_INDEX_WEBHOOK, HL_INDEX_ACCOUNT, HL_INDEX_EVENT_GATHER,
		HL_INDEX_EVENT };

/* What a run knows between its slices; zeroed memory is an idle one. Lost memory only means a repeated run. */
struct hl_index_run {
	enum hl_index_phase phase;
	struct hl_index_entry *entries; /* HL_INDEX_RUN of them, from malloc, while a run is on */
	size_t n_entries;
	size_t at;                    /* next entry to put, or… */
	uint64_t next;                /* …next number to gather */
	uint64_t slice;               /* bounds.slice as this run left it */
};
void hl_index_run_fini(struct hl_index_run *run);

/* Rows of the tail, deliveries plus events, as far as numbers tell. */
uint64_t hl_index_pending(struct hl_txn *txn);
/* Deliveries below this number are indexed, or gone; UINT64_MAX when that is true of all. */
uint64_t hl_index_deliveries_bound(struct hl_txn *txn);
/* One slice of about budget_us. *out_done: nothing is left to index, or nothing worth a run (fewer than min_rows in the
 * tail and no run on). Returns hl_txn_status. A run whose slice was rolled back with its transaction notices and starts
 * again. Uses and frees the transaction's arena. */
HL_MUST_CHECK int hl_index_step(struct hl_txn *txn, struct hl_index_run *run, uint64_t min_rows, uint32_t budget_us,
		bool *out_done);

#endif

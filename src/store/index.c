/* Building the by_* tables.
 *
 * A run: gather up to 32,768 rows of the tail into an array (the bound `running` is raised first, in the same
 * transaction, so that from then on hl_delivery_change keeps by_status for those rows itself); sort by webhook and
 * put by_webhook and the webhooks' half of by_status; sort by account and put by_account and the accounts' half;
 * then the same for events. At the end `upto` follows `running`.
 *
 * Between two slices rows of the run may change or vanish: by_status is put from the row as it is now, and a row
 * that is gone gets no entries. Puts are idempotent, so a run that was lost begins again: its bound is still
 * `running`. A crash loses the array; an aborted transaction takes a slice back that the array believes done, which
 * the stored count of slices tells. */
#include "store/index.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/defs.h"
#include <stdlib.h>

/* A slice is counted in rows, not in time, so that a simulated run repeats itself; a put in key order takes about 1
 * µs. */
enum { GATHER_NS = 150, PUT_NS = 1200 };

void hl_index_run_fini(struct hl_index_run *run)
{
	free(run->entries);
	*run = (struct hl_index_run){ .phase = HL_INDEX_IDLE };
}

static uint64_t next_number(struct hl_txn *txn, enum hl_table t)
{
	struct hl_cursor c;
	uint64_t n = 1;
	hl_cursor_open(&c, txn, t);
	if (hl_cursor_last(&c) && c.key.len == 8)
		n = hl_be64_get((const uint8_t *)c.key.ptr) + 1;
	hl_cursor_close(&c);
	return n;
}

static uint64_t tail(struct hl_txn *txn, enum hl_table t, uint64_t upto)
{
	uint64_t next = next_number(txn, t);
	return next > upto ? next - upto : 0;
}

uint64_t hl_index_pending(struct hl_txn *txn)
{
	const struct hl_index_bounds *b = hl_txn_bounds(txn);
	return tail(txn, HL_TABLE_DELIVERY, b->deliveries_upto) + tail(txn, HL_TABLE_EVENT, b->events_upto);
}

uint64_t hl_index_deliveries_bound(struct hl_txn *txn)
{
	uint64_t upto = hl_txn_bounds(txn)->deliveries_upto;
	return tail(txn, HL_TABLE_DELIVERY, upto) ? upto : UINT64_MAX;
}

static int by_webhook(const void *a, const void *b)
{
	const struct hl_index_entry *x = a, *y = b;
	if (x->webhook != y->webhook)
		return x->webhook < y->webhook ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int by_account(const void *a, const void *b)
{
	const struct hl_index_entry *x = a, *y = b;
	if (x->account != y->account)
		return x->account < y->account ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Raises the running bounds over the next part of the tail. A bound left by a lost run is kept: rows below it are
 * treated as indexed already. */
static int run_begin(struct hl_txn *txn, struct hl_index_run *run)
{
	struct hl_index_bounds b = *hl_txn_bounds(txn);
	uint64_t deliveries = next_number(txn, HL_TABLE_DELIVERY), events = next_number(txn, HL_TABLE_EVENT);
	if (b.deliveries_running == b.deliveries_upto)
		b.deliveries_running = HL_MAX(b.deliveries_upto, HL_MIN(deliveries, b.deliveries_upto + HL_INDEX_RUN));
	if (b.events_running == b.events_upto)
		b.events_running = HL_MAX(b.events_upto, HL_MIN(events, b.events_upto + HL_INDEX_RUN));
	hl_txn_bounds_put(txn, &b);
	run->entries = malloc(HL_INDEX_RUN * sizeof(*run->entries));
	if (!run->entries)
		return hl_txn_fail(txn, HL_ENOMEM);
	run->n_entries = run->at = 0;
	run->next = b.deliveries_upto;
	run->phase = HL_INDEX_GATHER;
	HL_CRASH_POINT(INDEX_BEGUN);
	return hl_txn_status(txn);
}

/* Reads one row into an entry. */
static int gather_one(struct hl_index_run *run, uint64_t number, struct hl_str value, bool events)
{
	struct hl_delivery_row d;
	struct hl_event_row e;
	int rc = events ? hl_event_row_decode(value, &e) : hl_delivery_row_decode(value, &d);
	if (rc)
		return rc;
	struct hl_index_entry *x = &run->entries[run->n_entries++];
	if (events)
		*x = (struct hl_index_entry){ .number = number, .account = e.account };
	else
		*x = (struct hl_index_entry){ .number = number, .account = d.account, .webhook = d.webhook, .dialect = d.dialect };
	return 0;
}

/* Rows [run->next, upto) into the array; true when all are there. */
static bool gather(struct hl_txn *txn, struct hl_index_run *run, bool events, uint64_t upto, size_t rows)
{
	struct hl_cursor c;
	hl_cursor_open(&c, txn, events ? HL_TABLE_EVENT : HL_TABLE_DELIVERY);
	bool ok = hl_cursor_seek(&c, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, run->next)));
	for (; ok && rows && c.key.len == 8; rows--, ok = hl_cursor_next(&c)) {
		uint64_t number = hl_be64_get((const uint8_t *)c.key.ptr);
		if (number >= upto)
			break;
		HL_CHECK(run->n_entries < HL_INDEX_RUN);
		int rc = gather_one(run, number, c.value, events);
		if (rc)
			hl_txn_fail(txn, rc);
		run->next = number + 1;
	}
	hl_cursor_close(&c);
	return rows > 0 && hl_txn_status(txn) == 0;
}

static void put_entry(struct hl_txn *txn, enum hl_index_phase phase, const struct hl_index_entry *x)
{
	struct hl_delivery_row row;
	struct hl_event_row event;
	uint8_t kind = phase == HL_INDEX_WEBHOOK ? 'w' : 'a';
	uint32_t owner = phase == HL_INDEX_WEBHOOK ? x->webhook : x->account;
	struct hl_dbkey pair = hl_pair_key(owner, x->number);
	if (phase == HL_INDEX_EVENT) {
		if (hl_event_row_get(txn, x->number, &event))
			hl_txn_put(txn, HL_TABLE_EVENT_BY_ACCOUNT, HL_DBKEY(pair), HL_STR_NONE);
		return;
	}
	if (!hl_delivery_row_get(txn, x->number, &row))
		return;
	if (phase == HL_INDEX_WEBHOOK)
		hl_txn_put(txn, HL_TABLE_BY_WEBHOOK, HL_DBKEY(pair), HL_STR_NONE);
	else
		hl_txn_put(txn, HL_TABLE_BY_ACCOUNT, HL_DBKEY(pair), hl_str_make(&x->dialect, 1));
	if (hl_status_indexed(row.state))
		hl_txn_put(txn, HL_TABLE_BY_STATUS, HL_DBKEY(hl_status_key(kind, owner, row.state, x->number)), HL_STR_NONE);
}

/* Puts the next `rows` entries; true when all are put. */
static bool put_some(struct hl_txn *txn, struct hl_index_run *run, size_t rows)
{
	for (; run->at < run->n_entries && rows && hl_txn_status(txn) == 0; rows--) {
		put_entry(txn, run->phase, &run->entries[run->at++]);
		HL_CRASH_POINT(INDEX_HALF);
		hl_txn_next_command(txn);
	}
	return run->at == run->n_entries && hl_txn_status(txn) == 0;
}

static void next_phase(struct hl_txn *txn, struct hl_index_run *run)
{
	struct hl_index_bounds b = *hl_txn_bounds(txn);
	run->at = 0;
	switch (run->phase) {
	case HL_INDEX_GATHER:
		run->phase = HL_INDEX_WEBHOOK;
		qsort(run->entries, run->n_entries, sizeof(*run->entries), by_webhook);
		break;
	case HL_INDEX_WEBHOOK:
		run->phase = HL_INDEX_ACCOUNT;
		qsort(run->entries, run->n_entries, sizeof(*run->entries), by_account);
		break;
	case HL_INDEX_ACCOUNT:
		b.deliveries_upto = b.deliveries_running;
		hl_txn_bounds_put(txn, &b);
		run->phase = HL_INDEX_EVENT_GATHER;
		run->n_entries = 0;
		run->next = b.events_upto;
		break;
	case HL_INDEX_EVENT_GATHER:
		run->phase = HL_INDEX_EVENT;
		qsort(run->entries, run->n_entries, sizeof(*run->entries), by_account);
		break;
	case HL_INDEX_EVENT:
		b.events_upto = b.events_running;
		hl_txn_bounds_put(txn, &b);
		hl_index_run_fini(run);
		break;
	case HL_INDEX_IDLE:
		HL_NEVER("an idle run has no next phase");
	}
}

/* What the run does in this slice. */
static void run_slice(struct hl_txn *txn, struct hl_index_run *run, uint32_t budget_us)
{
	const struct hl_index_bounds *b = hl_txn_bounds(txn);
	size_t gather_rows = HL_MAX(1u, budget_us * 1000u / GATHER_NS), put_rows = HL_MAX(1u, budget_us * 1000u / PUT_NS);
	bool complete;
	if (run->phase == HL_INDEX_GATHER)
		complete = gather(txn, run, false, b->deliveries_running, gather_rows);
	else if (run->phase == HL_INDEX_EVENT_GATHER)
		complete = gather(txn, run, true, b->events_running, gather_rows);
	else
		complete = put_some(txn, run, put_rows);
	if (complete)
		next_phase(txn, run);
}

int hl_index_step(struct hl_txn *txn, struct hl_index_run *run, uint64_t min_rows, uint32_t budget_us, bool *out_done)
{
	struct hl_index_bounds b = *hl_txn_bounds(txn);
	bool lost = b.deliveries_running > b.deliveries_upto || b.events_running > b.events_upto;
	*out_done = false;
	if (run->phase != HL_INDEX_IDLE && run->slice != b.slice)
		hl_index_run_fini(run);
	if (run->phase == HL_INDEX_IDLE) {
		uint64_t pending = hl_index_pending(txn);
		*out_done = !lost && (pending == 0 || pending < min_rows);
		if (*out_done || hl_txn_status(txn) || run_begin(txn, run))
			return hl_txn_status(txn);
	} else {
		run_slice(txn, run, budget_us);
	}
	b = *hl_txn_bounds(txn);
	b.slice++;
	hl_txn_bounds_put(txn, &b);
	run->slice = b.slice;
	return hl_txn_status(txn);
}

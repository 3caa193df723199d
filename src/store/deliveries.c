/* Delivery rows and what moves with them.
 *
 * Publish appends rows and counts them, nothing else: the by_* tables are built behind (index.c). An outcome changes
 * one row: hl_delivery_change compares old and new and moves the due entry, the by_status entries (only of rows the
 * index holds, or a run is just putting there) and the counters, so that no caller can forget one of them.
 *
 * Attempt records: most deliveries end with their first attempt, so a short first record lives inside the row and
 * costs no put of its own. The others go to `attempt`; beyond the kept count the one that stands between the first
 * ten and the last forty is deleted.
 *
 * Everything a wrong row could break (a delete of a due entry that is not there) fails the transaction with
 * HL_ECORRUPT: better one command refused than an index that lies. */
#include "store/deliveries.h"
#include "base/check.h"

static struct hl_dbkey row_key(uint64_t number)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, number);
}

static struct hl_dbkey attempt_key(uint64_t delivery, uint32_t n)
{
	struct hl_dbkey k = hl_dbkey_u64(HL_DBKEY_NONE, delivery);
	hl_be16_put(k.bytes + k.len, (uint16_t)n);
	k.len += 2;
	return k;
}

static void row_put(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row, bool append)
{
	hl_buf_reset(&txn->scratch);
	hl_delivery_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_DELIVERY, HL_DBKEY(row_key(number)), append);
}

/* Adds (sign 1) or takes away (-1) a row in the counters. */
static void count(struct hl_txn *txn, const struct hl_delivery_row *r, int sign)
{
	struct hl_counts *c = hl_counts_edit(txn, r->webhook);
	struct hl_totals *account = hl_totals_edit(txn, r->account), *whole = hl_totals_edit(txn, 0);
	uint64_t n = (uint64_t)(int64_t)sign;
	c->by_state[r->state] += n;
	account->by_state[r->state] += n;
	whole->by_state[r->state] += n;
	account->deliveries[r->dialect] += n;
	whole->deliveries[r->dialect] += n;
	if (r->state == HL_DELIVERY_PENDING)
		c->pending_by_class[r->last_class] += n;
}

/* The fresh cursor of the webhook stays at or below every fresh delivery. */
static void keep_cursor(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	if (r->state != HL_DELIVERY_PENDING || r->next_at_ms)
		return;
	struct hl_counts *c = hl_counts_edit(txn, r->webhook);
	if (number < c->fresh_from)
		c->fresh_from = number;
}

/* ---- due --------------------------------------------------------------------------------------------------------- */

static void due_put(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r, hl_ms_t set_at_ms,
		uint32_t drain_gen)
{
	struct hl_due d = { .why = r->wait, .attempts = r->n_attempts, .event = r->event, .expires_at_ms = r->expires_at_ms,
		.set_at_ms = set_at_ms, .drain_gen = drain_gen };
	hl_buf_reset(&txn->scratch);
	hl_due_encode(&txn->scratch, &d);
	hl_txn_put_scratch(txn, HL_TABLE_DUE, HL_DBKEY(hl_due_key(r->webhook, r->next_at_ms, number)), false);
}

static void due_del(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	if (!hl_txn_del(txn, HL_TABLE_DUE, HL_DBKEY(hl_due_key(r->webhook, r->next_at_ms, number))))
		hl_txn_fail(txn, HL_ECORRUPT);
}

/* The wait goes on (same time): its value keeps when it was decided, unless the caller decides anew. */
static void due_keep(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	struct hl_dbkey key = hl_due_key(r->webhook, r->next_at_ms, number);
	struct hl_str bytes;
	struct hl_due d;
	uint32_t webhook;
	if (!hl_txn_get(txn, HL_TABLE_DUE, HL_DBKEY(key), &bytes) || hl_due_decode(HL_DBKEY(key), bytes, &webhook, &d)) {
		hl_txn_fail(txn, HL_ECORRUPT);
		return;
	}
	due_put(txn, number, r, d.set_at_ms, d.drain_gen);
}

static void due_move(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *old,
		const struct hl_delivery_row *new_row)
{
	if (old->next_at_ms && old->next_at_ms == new_row->next_at_ms && !new_row->set_at_ms) {
		if (old->n_attempts != new_row->n_attempts || old->wait != new_row->wait)
			due_keep(txn, number, new_row);
		return;
	}
	if (old->next_at_ms && old->next_at_ms != new_row->next_at_ms)
		due_del(txn, number, old);
	if (new_row->next_at_ms)
		due_put(txn, number, new_row, new_row->set_at_ms, hl_counts_edit(txn, new_row->webhook)->drain_gen);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

void hl_delivery_append(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row)
{
	row_put(txn, number, row, true);
	count(txn, row, 1);
	keep_cursor(txn, number, row);
	if (row->next_at_ms)
		due_put(txn, number, row, row->set_at_ms, hl_counts_edit(txn, row->webhook)->drain_gen);
	if (row->flags & HL_DF_LATER)
		hl_txn_put(txn, HL_TABLE_BY_EVENT, HL_DBKEY(hl_dbkey_u64(row_key(row->event), number)), HL_STR_NONE);
}

bool hl_delivery_row_get(struct hl_txn *txn, uint64_t number, struct hl_delivery_row *out)
{
	struct hl_str bytes;
	if (!hl_txn_get_kept(txn, HL_TABLE_DELIVERY, HL_DBKEY(row_key(number)), &bytes))
		return false;
	int rc = hl_delivery_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

void hl_status_put(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	if (!hl_status_indexed(r->state))
		return;
	hl_txn_put(txn, HL_TABLE_BY_STATUS, HL_DBKEY(hl_status_key('a', r->account, r->state, number)), HL_STR_NONE);
	hl_txn_put(txn, HL_TABLE_BY_STATUS, HL_DBKEY(hl_status_key('w', r->webhook, r->state, number)), HL_STR_NONE);
}

/* Entries may be missing: a run may not have put them yet. */
static void status_del(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	if (!hl_status_indexed(r->state))
		return;
	(void)hl_txn_del(txn, HL_TABLE_BY_STATUS, HL_DBKEY(hl_status_key('a', r->account, r->state, number)));
	(void)hl_txn_del(txn, HL_TABLE_BY_STATUS, HL_DBKEY(hl_status_key('w', r->webhook, r->state, number)));
}

void hl_delivery_change(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *old,
		const struct hl_delivery_row *new_row)
{
	HL_CHECK(old->event == new_row->event && old->account == new_row->account && old->webhook == new_row->webhook &&
			old->dialect == new_row->dialect && old->created_at_ms == new_row->created_at_ms);
	HL_CHECK((new_row->state == HL_DELIVERY_PENDING) == (new_row->completed_at_ms == 0));
	HL_CHECK(new_row->state == HL_DELIVERY_PENDING || new_row->next_at_ms == 0);
	row_put(txn, number, new_row, false);
	due_move(txn, number, old, new_row);
	if (old->state != new_row->state && number < hl_txn_bounds(txn)->deliveries_running) {
		status_del(txn, number, old);
		hl_status_put(txn, number, new_row);
	}
	if (old->state != new_row->state || old->last_class != new_row->last_class) {
		count(txn, old, -1);
		count(txn, new_row, 1);
	}
	keep_cursor(txn, number, new_row);
}

static void attempts_del(struct hl_txn *txn, uint64_t number)
{
	struct hl_cursor c;
	uint32_t found[HL_ATTEMPTS_KEPT_FIRST + HL_ATTEMPTS_KEPT_LAST + 1];
	size_t n = 0;
	struct hl_dbkey prefix = row_key(number);
	hl_cursor_open(&c, txn, HL_TABLE_ATTEMPT);
	for (bool ok = hl_cursor_seek(&c, HL_DBKEY(prefix)); ok && hl_cursor_under(&c, HL_DBKEY(prefix)) && c.key.len == 10 &&
			n < sizeof(found) / sizeof(found[0]); ok = hl_cursor_next(&c))
		found[n++] = hl_be16_get((const uint8_t *)c.key.ptr + 8);
	hl_cursor_close(&c);
	for (size_t i = 0; i < n; i++)
		(void)hl_txn_del(txn, HL_TABLE_ATTEMPT, HL_DBKEY(attempt_key(number, found[i])));
}

void hl_delivery_del(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *r)
{
	hl_meta_numbers_keep(txn, HL_TABLE_DELIVERY, number);
	if (!hl_txn_del(txn, HL_TABLE_DELIVERY, HL_DBKEY(row_key(number))))
		return;
	if (number < hl_txn_bounds(txn)->deliveries_running) {
		(void)hl_txn_del(txn, HL_TABLE_BY_WEBHOOK, HL_DBKEY(hl_pair_key(r->webhook, number)));
		(void)hl_txn_del(txn, HL_TABLE_BY_ACCOUNT, HL_DBKEY(hl_pair_key(r->account, number)));
		status_del(txn, number, r);
	}
	if (r->next_at_ms)
		due_del(txn, number, r);
	if (r->n_attempts > 1 || (r->n_attempts == 1 && !r->first_attempt.len))
		attempts_del(txn, number);
	if (r->flags & HL_DF_LATER)
		(void)hl_txn_del(txn, HL_TABLE_BY_EVENT, HL_DBKEY(hl_dbkey_u64(row_key(r->event), number)));
	count(txn, r, -1);
}

/* ---- attempts ---------------------------------------------------------------------------------------------------- */

void hl_attempt_add(struct hl_txn *txn, uint64_t number, struct hl_delivery_row *new_row, const struct hl_attempt *a)
{
	HL_CHECK(a->number == new_row->n_attempts && a->number > 0 && a->number <= UINT16_MAX);
	hl_buf_reset(&txn->scratch);
	hl_attempt_encode(&txn->scratch, a);
	if (a->number == 1 && hl_buf_ok(&txn->scratch) && txn->scratch.len <= HL_FIRST_ATTEMPT_MAX) {
		new_row->first_attempt = hl_txn_dup(txn, hl_buf_all(&txn->scratch));
		return;
	}
	hl_txn_put_scratch(txn, HL_TABLE_ATTEMPT, HL_DBKEY(attempt_key(number, a->number)), false);
	uint32_t kept = HL_ATTEMPTS_KEPT_FIRST + HL_ATTEMPTS_KEPT_LAST;
	if (a->number > kept)
		(void)hl_txn_del(txn, HL_TABLE_ATTEMPT, HL_DBKEY(attempt_key(number, a->number - HL_ATTEMPTS_KEPT_LAST)));
}

int hl_attempt_list(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *row,
		const struct hl_attempt **out,
		size_t *out_n)
{
	struct hl_cursor c;
	struct hl_dbkey prefix = row_key(number);
	size_t n = 0, max = HL_ATTEMPTS_KEPT_FIRST + HL_ATTEMPTS_KEPT_LAST + 1;
	int rc = 0;
	struct hl_attempt *list = hl_txn_alloc(txn, max * sizeof(*list));
	if (!list)
		return HL_ENOMEM;
	if (row->first_attempt.len) {
		rc = hl_attempt_decode(row->first_attempt, &list[0]);
		n = 1;
	}
	hl_cursor_open(&c, txn, HL_TABLE_ATTEMPT);
	for (bool ok = hl_cursor_seek(&c, HL_DBKEY(prefix)); !rc && ok && n < max && hl_cursor_under(&c, HL_DBKEY(prefix));
			ok = hl_cursor_next(&c))
		rc = hl_attempt_decode(txn->write ? hl_txn_dup(txn, c.value) : c.value, &list[n++]);
	hl_cursor_close(&c);
	if (rc)
		return hl_txn_fail(txn, rc);
	*out = list;
	*out_n = n;
	return hl_txn_status(txn);
}

/* The audit of deliveries, events, indexes and counters.
 *
 * Every table is read once from end to end. From a row we look at every entry it must have; from an entry we look at
 * the row it speaks of: so a missing, a stray and a wrong entry are each found. The counters are made anew from the
 * rows and compared. Beside a running server the snapshot is renewed every thousand entries, so that old pages are
 * not kept from reuse; what is compared lies within one snapshot, and the counters, which belong to a whole one, are
 * left out.
 *
 * A damaged row is reported by the pass over its own table; to the others it counts as missing. Only a failure to
 * read the environment itself ends the audit. */
#include "base/defs.h"
#include "base/err.h"
#include "base/json.h"
#include "store/audit_private.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { SLICE = 1000, KEY_MAX = 512 };

void hl_audit_damage(struct hl_audit_run *a, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	if (a->sum.damages++ >= HL_AUDIT_REPORTS_MAX || !a->o->report)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	a->o->report(a->o->data, HL_AUDIT_DAMAGE, text);
}

/* Up to SLICE entries from key on; false at the end of the table. The key to go on with replaces *key. */
static bool audit_slice(struct hl_audit_run *a, enum hl_table t, hl_audit_each each, char *key, size_t *key_len)
{
	struct hl_cursor c;
	hl_cursor_open(&c, &a->txn, t);
	bool ok = *key_len ? hl_cursor_seek(&c, hl_str_make(key, *key_len)) : hl_cursor_first(&c);
	for (size_t n = 0; ok && (n < SLICE || !a->o->live); n++) {
		each(a, c.key, c.value);
		hl_txn_next_command(&a->txn);
		ok = hl_cursor_next(&c);
	}
	if (ok && c.key.len > 0 && c.key.len <= KEY_MAX) {
		*key_len = c.key.len;
		memcpy(key, c.key.ptr, c.key.len);
	}
	hl_cursor_close(&c);
	return ok;
}

int hl_audit_table(struct hl_audit_run *a, enum hl_table t, hl_audit_each each)
{
	char key[KEY_MAX];
	size_t key_len = 0;
	int rc = 0;
	while (!rc && audit_slice(a, t, each, key, &key_len))
		rc = hl_txn_renew(&a->txn);
	return rc ? rc : hl_txn_status(&a->txn);
}

bool hl_audit_has(struct hl_audit_run *a, enum hl_table t, struct hl_dbkey key)
{
	struct hl_str bytes;
	return hl_txn_get(&a->txn, t, HL_DBKEY(key), &bytes);
}

static bool row_bytes(struct hl_audit_run *a, enum hl_table t, uint64_t number, struct hl_str *out)
{
	return hl_txn_get(&a->txn, t, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, number)), out);
}

bool hl_audit_delivery(struct hl_audit_run *a, uint64_t number, struct hl_delivery_row *out)
{
	struct hl_str bytes;
	return row_bytes(a, HL_TABLE_DELIVERY, number, &bytes) && hl_delivery_row_decode(bytes, out) == 0;
}

bool hl_audit_event(struct hl_audit_run *a, uint64_t number, struct hl_event_row *out)
{
	struct hl_str bytes;
	return row_bytes(a, HL_TABLE_EVENT, number, &bytes) && hl_event_row_decode(bytes, out) == 0;
}

bool hl_audit_webhook(struct hl_audit_run *a, uint32_t number, struct hl_webhook_row *out)
{
	struct hl_str bytes;
	return hl_txn_get(&a->txn, HL_TABLE_WEBHOOK, HL_DBKEY(hl_dbkey_u32(HL_DBKEY_NONE, number)), &bytes) &&
			hl_webhook_row_decode(bytes, hl_txn_arena(&a->txn), out) == 0;
}

/* A zeroed record in a map, made on first use. */
static void *counted(struct hl_audit_run *a, struct hl_map_u64 *map, uint64_t key, size_t size)
{
	void *v = hl_map_u64_get(map, key);
	if (v)
		return v;
	v = hl_arena_alloc(&a->memory, size);
	if (v && hl_map_u64_put(map, key, v) == 0)
		return v;
	hl_txn_fail(&a->txn, HL_ENOMEM);
	return NULL;
}

struct hl_counts *hl_audit_counts(struct hl_audit_run *a, uint32_t webhook)
{
	static _Thread_local struct hl_counts nowhere;
	void *v = a->o->live ? NULL : counted(a, &a->webhooks, webhook, sizeof(struct hl_counts));
	return v ? v : &nowhere;
}

struct hl_totals *hl_audit_totals(struct hl_audit_run *a, uint32_t account)
{
	static _Thread_local struct hl_totals nowhere;
	void *v = a->o->live ? NULL : counted(a, &a->accounts, account, sizeof(struct hl_totals));
	return v ? v : &nowhere;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static void count_delivery(struct hl_audit_run *a, const struct hl_delivery_row *r)
{
	struct hl_counts *c = hl_audit_counts(a, r->webhook);
	struct hl_totals *both[] = { hl_audit_totals(a, r->account), hl_audit_totals(a, 0) };
	c->by_state[r->state]++;
	if (r->state == HL_DELIVERY_PENDING)
		c->pending_by_class[r->last_class]++;
	for (size_t i = 0; i < HL_ARRAY_LEN(both); i++) {
		both[i]->by_state[r->state]++;
		both[i]->deliveries[r->dialect]++;
	}
}

static void check_due(struct hl_audit_run *a, uint64_t n, const struct hl_delivery_row *r)
{
	struct hl_dbkey key = hl_due_key(r->webhook, r->next_at_ms, n);
	struct hl_str bytes;
	struct hl_due d;
	uint32_t webhook;
	if (!hl_txn_get(&a->txn, HL_TABLE_DUE, HL_DBKEY(key), &bytes))
		hl_audit_damage(a, "delivery %" PRIu64 ": no due entry", n);
	else if (hl_due_decode(HL_DBKEY(key), bytes, &webhook, &d) || d.event != r->event || d.attempts != r->n_attempts ||
			d.why != r->wait || d.expires_at_ms != r->expires_at_ms)
		hl_audit_damage(a, "delivery %" PRIu64 ": the due entry tells something else than the row", n);
}

static void check_indexed(struct hl_audit_run *a, uint64_t n, const struct hl_delivery_row *r)
{
	struct hl_str dialect;
	if (!hl_audit_has(a, HL_TABLE_BY_WEBHOOK, hl_pair_key(r->webhook, n)))
		hl_audit_damage(a, "delivery %" PRIu64 ": missing in by_webhook", n);
	if (!hl_txn_get(&a->txn, HL_TABLE_BY_ACCOUNT, HL_DBKEY(hl_pair_key(r->account, n)), &dialect))
		hl_audit_damage(a, "delivery %" PRIu64 ": missing in by_account", n);
	else if (dialect.len != 1 || (uint8_t)dialect.ptr[0] != r->dialect)
		hl_audit_damage(a, "delivery %" PRIu64 ": another dialect in by_account", n);
	if (hl_status_indexed(r->state) &&
			!(hl_audit_has(a, HL_TABLE_BY_STATUS, hl_status_key('a', r->account, r->state, n)) &&
			  hl_audit_has(a, HL_TABLE_BY_STATUS, hl_status_key('w', r->webhook, r->state, n))))
		hl_audit_damage(a, "delivery %" PRIu64 ": missing in by_status", n);
}

static void check_owner(struct hl_audit_run *a, uint64_t n, const struct hl_delivery_row *r)
{
	struct hl_event_row e;
	struct hl_webhook_row w;
	if (!hl_audit_event(a, r->event, &e))
		hl_audit_damage(a, "delivery %" PRIu64 ": event %" PRIu64 " is not there", n, r->event);
	else if (e.account != r->account)
		hl_audit_damage(a, "delivery %" PRIu64 ": another account than event %" PRIu64, n, r->event);
	else if (!(r->flags & HL_DF_LATER) && (n < e.first_delivery || n - e.first_delivery >= e.n_deliveries))
		hl_audit_damage(a, "delivery %" PRIu64 ": outside the numbers of event %" PRIu64, n, r->event);
	if (r->flags & HL_DF_LATER &&
			!hl_audit_has(a, HL_TABLE_BY_EVENT, hl_dbkey_u64(hl_dbkey_u64(HL_DBKEY_NONE, r->event), n)))
		hl_audit_damage(a, "delivery %" PRIu64 ": missing in by_event", n);
	if (!hl_audit_webhook(a, r->webhook, &w))
		hl_audit_damage(a, "delivery %" PRIu64 ": webhook %" PRIu32 " is not there", n, r->webhook);
	else if (w.w.account != r->account)
		hl_audit_damage(a, "delivery %" PRIu64 ": another account than webhook %" PRIu32, n, r->webhook);
}

static void check_cursor(struct hl_audit_run *a, uint64_t n, const struct hl_delivery_row *r)
{
	struct hl_str bytes;
	struct hl_counts c;
	struct hl_dbkey key = hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, 'w'), r->webhook);
	if (hl_txn_get(&a->txn, HL_TABLE_COUNTS, HL_DBKEY(key), &bytes) && hl_counts_decode(bytes, &c) == 0 &&
			n < c.fresh_from)
		hl_audit_damage(a, "delivery %" PRIu64 ": fresh, but below its webhook's cursor", n);
}

static void each_delivery(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	struct hl_attempt first;
	a->sum.deliveries++;
	if (key.len != 8 || hl_delivery_row_decode(value, &r)) {
		hl_audit_damage(a, "a delivery row is damaged");
		return;
	}
	uint64_t n = hl_be64_get((const uint8_t *)key.ptr);
	const struct hl_index_bounds *b = hl_txn_bounds(&a->txn);
	a->sum.pending += r.state == HL_DELIVERY_PENDING;
	a->sum.tail += n >= b->deliveries_upto;
	count_delivery(a, &r);
	check_owner(a, n, &r);
	if (r.next_at_ms)
		check_due(a, n, &r);
	if (n < b->deliveries_upto)
		check_indexed(a, n, &r);
	if (r.first_attempt.len && (hl_attempt_decode(r.first_attempt, &first) || first.number != 1 || !r.n_attempts))
		hl_audit_damage(a, "delivery %" PRIu64 ": the first attempt's record is damaged", n);
	if (r.state == HL_DELIVERY_PENDING && !r.next_at_ms)
		check_cursor(a, n, &r);
}

static void each_event(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_event_row e;
	struct hl_json data;
	a->sum.events++;
	if (key.len != 8 || hl_event_row_decode(value, &e)) {
		hl_audit_damage(a, "an event row is damaged");
		return;
	}
	uint64_t n = hl_be64_get((const uint8_t *)key.ptr);
	bool indexed = n < hl_txn_bounds(&a->txn)->events_upto;
	if (hl_json_check(e.data, HL_JSON_DEPTH_MAX, &data, NULL)) /* it was checked when it came */
		hl_audit_damage(a, "event %" PRIu64 ": its data is no JSON", n);
	hl_audit_totals(a, e.account)->events++;
	hl_audit_totals(a, 0)->events++;
	a->sum.tail += !indexed;
	if (indexed && !hl_audit_has(a, HL_TABLE_EVENT_BY_ACCOUNT, hl_pair_key(e.account, n)))
		hl_audit_damage(a, "event %" PRIu64 ": missing in event_by_account", n);
}

static void each_attempt(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	struct hl_attempt at;
	a->sum.attempts++;
	if (key.len != 10 || hl_attempt_decode(value, &at)) {
		hl_audit_damage(a, "an attempt record is damaged");
		return;
	}
	uint64_t n = hl_be64_get((const uint8_t *)key.ptr);
	if (!hl_audit_delivery(a, n, &r))
		hl_audit_damage(a, "attempt of delivery %" PRIu64 ", which is not there", n);
	else if (at.number != hl_be16_get((const uint8_t *)key.ptr + 8) || at.number > r.n_attempts)
		hl_audit_damage(a, "delivery %" PRIu64 ": attempt %" PRIu32 " of %" PRIu32, n, at.number, r.n_attempts);
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

static void each_due(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_due d;
	struct hl_delivery_row r;
	uint32_t webhook;
	a->sum.due++;
	if (hl_due_decode(key, value, &webhook, &d))
		hl_audit_damage(a, "a due entry is damaged");
	else if (!hl_audit_delivery(a, d.delivery, &r))
		hl_audit_damage(a, "due entry of delivery %" PRIu64 ", which is not there", d.delivery);
	else if (r.webhook != webhook || r.next_at_ms != d.due_at_ms)
		hl_audit_damage(a, "delivery %" PRIu64 ": a due entry that is not the row's", d.delivery);
}

/* What the three tables have in common: the entry's row is there and within the index. */
static bool entry_row(struct hl_audit_run *a, enum hl_table t, uint64_t n, struct hl_delivery_row *out)
{
	a->sum.index_entries++;
	if (n >= hl_txn_bounds(&a->txn)->deliveries_running)
		hl_audit_damage(a, "%s: delivery %" PRIu64 " is beyond the index", hl_table_name(t), n);
	else if (!hl_audit_delivery(a, n, out))
		hl_audit_damage(a, "%s: delivery %" PRIu64 " is not there", hl_table_name(t), n);
	else
		return true;
	return false;
}

static void each_by_webhook(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	const uint8_t *k = (const uint8_t *)key.ptr;
	if (key.len != 12 || value.len)
		hl_audit_damage(a, "by_webhook: a damaged entry");
	else if (entry_row(a, HL_TABLE_BY_WEBHOOK, hl_be64_get(k + 4), &r) && r.webhook != hl_be32_get(k))
		hl_audit_damage(a, "by_webhook: delivery %" PRIu64 " is another webhook's", hl_be64_get(k + 4));
}

static void each_by_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	const uint8_t *k = (const uint8_t *)key.ptr;
	if (key.len != 12 || value.len != 1)
		hl_audit_damage(a, "by_account: a damaged entry");
	else if (entry_row(a, HL_TABLE_BY_ACCOUNT, hl_be64_get(k + 4), &r) && r.account != hl_be32_get(k))
		hl_audit_damage(a, "by_account: delivery %" PRIu64 " is another account's", hl_be64_get(k + 4));
}

static void each_by_status(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	const uint8_t *k = (const uint8_t *)key.ptr;
	if (key.len != 14 || value.len || (k[0] != 'a' && k[0] != 'w')) {
		hl_audit_damage(a, "by_status: a damaged entry");
		return;
	}
	uint64_t n = hl_be64_get(k + 6);
	if (entry_row(a, HL_TABLE_BY_STATUS, n, &r) &&
			(r.state != k[5] || (k[0] == 'a' ? r.account : r.webhook) != hl_be32_get(k + 1)))
		hl_audit_damage(a, "by_status: delivery %" PRIu64 " has another state or owner", n);
}

static void each_by_event(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_delivery_row r;
	const uint8_t *k = (const uint8_t *)key.ptr;
	a->sum.index_entries++;
	if (key.len != 16 || value.len)
		hl_audit_damage(a, "by_event: a damaged entry");
	else if (!hl_audit_delivery(a, hl_be64_get(k + 8), &r) || r.event != hl_be64_get(k) || !(r.flags & HL_DF_LATER))
		hl_audit_damage(a, "by_event: delivery %" PRIu64 " is not there, or not this event's", hl_be64_get(k + 8));
}

static void each_event_by_account(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	struct hl_event_row e;
	const uint8_t *k = (const uint8_t *)key.ptr;
	a->sum.index_entries++;
	if (key.len != 12 || value.len) {
		hl_audit_damage(a, "event_by_account: a damaged entry");
		return;
	}
	uint64_t n = hl_be64_get(k + 4);
	if (n >= hl_txn_bounds(&a->txn)->events_running)
		hl_audit_damage(a, "event_by_account: event %" PRIu64 " is beyond the index", n);
	else if (!hl_audit_event(a, n, &e) || e.account != hl_be32_get(k))
		hl_audit_damage(a, "event_by_account: event %" PRIu64 " is not there, or another account's", n);
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

static void check_counts(struct hl_audit_run *a, uint32_t webhook, const struct hl_counts *stored)
{
	const struct hl_counts *c = hl_audit_counts(a, webhook);
	if (memcmp(c->by_state, stored->by_state, sizeof(c->by_state)) != 0)
		hl_audit_damage(a, "webhook %" PRIu32 ": deliveries by state are miscounted (%" PRIu64 " pending, %" PRIu64
				" stored)", webhook, c->by_state[HL_DELIVERY_PENDING], stored->by_state[HL_DELIVERY_PENDING]);
	if (memcmp(c->pending_by_class, stored->pending_by_class, sizeof(c->pending_by_class)) != 0)
		hl_audit_damage(a, "webhook %" PRIu32 ": pending deliveries by class are miscounted", webhook);
}

static void check_totals(struct hl_audit_run *a, uint32_t account, const struct hl_totals *stored)
{
	const struct hl_totals *t = hl_audit_totals(a, account);
	if (t->events != stored->events || memcmp(t->webhooks, stored->webhooks, sizeof(t->webhooks)) != 0 ||
			memcmp(t->deliveries, stored->deliveries, sizeof(t->deliveries)) != 0 ||
			memcmp(t->by_state, stored->by_state, sizeof(t->by_state)) != 0)
		hl_audit_damage(a, "account %" PRIu32 "%s: events, webhooks or deliveries are miscounted", account,
				account ? "" : " (the store)");
	if (t->alerts_enabled != stored->alerts_enabled || memcmp(t->alerts, stored->alerts, sizeof(t->alerts)) != 0 ||
			memcmp(t->alert_events, stored->alert_events, sizeof(t->alert_events)) != 0)
		hl_audit_damage(a, "account %" PRIu32 "%s: alerts or their events are miscounted", account, account ? "" : " (the store)");
}

/* Records without rows must say zero; rows without a record are found afterwards. */
static void each_counts(struct hl_audit_run *a, struct hl_str key, struct hl_str value)
{
	const uint8_t *k = (const uint8_t *)key.ptr;
	struct hl_counts c;
	struct hl_totals t;
	bool good = key.len == 5 && (k[0] == 'w' || k[0] == 'a' || k[0] == 't');
	if (!good || (k[0] == 'w' ? hl_counts_decode(value, &c) : hl_totals_decode(value, &t)))
		hl_audit_damage(a, "a counters record is damaged");
	else if (!a->o->live && k[0] == 'w')
		check_counts(a, hl_be32_get(k + 1), &c);
	else if (!a->o->live)
		check_totals(a, hl_be32_get(k + 1), &t);
}

static void check_records_exist(struct hl_audit_run *a)
{
	uint64_t n;
	void *v;
	for (size_t pos = 0; hl_map_u64_next(&a->webhooks, &pos, &n, &v);)
		if (!hl_audit_has(a, HL_TABLE_COUNTS, hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, 'w'), (uint32_t)n)))
			hl_audit_damage(a, "webhook %" PRIu64 ": no counters", n);
	for (size_t pos = 0; hl_map_u64_next(&a->accounts, &pos, &n, &v);)
		if (!hl_audit_has(a, HL_TABLE_COUNTS, hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, n ? 'a' : 't'), (uint32_t)n)))
			hl_audit_damage(a, "account %" PRIu64 ": no counters", n);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static int audit_all(struct hl_audit_run *a)
{
	static const struct {
		enum hl_table table;
		hl_audit_each each;
	} passes[] = {
		{ HL_TABLE_DELIVERY, each_delivery },
		{ HL_TABLE_EVENT, each_event },
		{ HL_TABLE_ATTEMPT, each_attempt },
		{ HL_TABLE_DUE, each_due },
		{ HL_TABLE_BY_WEBHOOK, each_by_webhook },
		{ HL_TABLE_BY_ACCOUNT, each_by_account },
		{ HL_TABLE_BY_STATUS, each_by_status },
		{ HL_TABLE_BY_EVENT, each_by_event },
		{ HL_TABLE_EVENT_BY_ACCOUNT, each_event_by_account },
	};
	int rc = 0;
	for (size_t i = 0; !rc && i < HL_ARRAY_LEN(passes); i++)
		rc = hl_audit_table(a, passes[i].table, passes[i].each);
	rc = rc ? rc : hl_audit_conf(a);
	rc = rc ? rc : hl_audit_alerts(a);
	rc = rc ? rc : hl_audit_table(a, HL_TABLE_COUNTS, each_counts); /* the rows are all counted by now */
	if (!rc)
		check_records_exist(a);
	return rc ? rc : hl_txn_status(&a->txn);
}

int hl_audit(struct hl_store *s, const struct hl_audit_options *o, struct hl_audit_summary *out, struct hl_err *err)
{
	struct hl_audit_run a = { .store = s, .o = o };
	int rc = hl_store_begin_read(s, &a.txn);
	if (rc)
		return hl_err_set(err, rc, "audit: cannot begin a transaction");
	hl_map_u64_init(&a.webhooks);
	hl_map_u64_init(&a.accounts);
	hl_arena_init(&a.memory, 0);
	rc = audit_all(&a);
	hl_store_end_read(&a.txn);
	hl_map_u64_fini(&a.webhooks);
	hl_map_u64_fini(&a.accounts);
	hl_arena_fini(&a.memory);
	hl_buf_fini(&a.plain);
	if (rc)
		return hl_err_set(err, rc, "audit: the store cannot be read");
	if (a.sum.damages > HL_AUDIT_REPORTS_MAX && o->report)
		o->report(o->data, HL_AUDIT_NOTE, "more damage than is told here");
	*out = a.sum;
	return 0;
}

/* Finding rows. Everything here is one idea: the numbers that may match lie in one or two segments, each a range of
 * numbers in one table (an index below its bound, or the rows themselves), and a walk passes through the segments up
 * or down, looks at each entry's row, and remembers only the last number it saw. The index may grow between two
 * steps: rows then move from the second segment to the first, and the walk finds them there.
 *
 *   all but events:  by_status | by_webhook | by_account  [1 … bound)   then  delivery [bound …]
 *   of one event:    delivery [first … first + n)                       then  by_event (replays, new tries)
 *   events:          event_by_account [1 … bound)                       then  event [bound …]
 *
 * An entry whose row is missing is passed over: readers go on, the audit reports it. */
#include "store/scan.h"
#include "base/defs.h"

struct segment {
	enum hl_table table;
	struct hl_dbkey prefix;       /* the number follows it in the key */
	uint64_t from, upto;          /* numbers, upto exclusive */
};

/* Called for each entry; value "" when the table is an index. false = stop behind this one. */
typedef bool (*segment_cb)(void *data, uint64_t number, struct hl_str value);

struct pass {
	struct hl_txn *txn;
	bool up;
	uint64_t *after, *before;     /* the walk's bounds, narrowed here; 0 = open */
	size_t steps;                 /* entries that may still be looked at */
	segment_cb each;
	void *data;
};

/* true: the segment holds nothing more within the bounds. */
static bool segment_pass(struct pass *p, const struct segment *s)
{
	struct hl_cursor c;
	bool more = true;
	uint64_t from = HL_MAX(s->from, *p->after + 1);
	uint64_t upto = *p->before ? HL_MIN(s->upto, *p->before) : s->upto;
	if (from >= upto)
		return true;
	hl_cursor_open(&c, p->txn, s->table);
	bool ok = p->up ? hl_cursor_seek(&c, HL_DBKEY(hl_dbkey_u64(s->prefix, from)))
			: hl_cursor_seek_before(&c, HL_DBKEY(hl_dbkey_u64(s->prefix, upto)));
	while (ok && more && hl_cursor_under(&c, HL_DBKEY(s->prefix)) && c.key.len == s->prefix.len + 8) {
		uint64_t number = hl_be64_get((const uint8_t *)c.key.ptr + s->prefix.len);
		if (number < from || number >= upto)
			break;
		if (p->steps == 0) {
			more = false;
			break;
		}
		p->steps--;
		*(p->up ? p->after : p->before) = number;
		more = p->each(p->data, number, c.value);
		ok = p->up ? hl_cursor_next(&c) : hl_cursor_prev(&c);
	}
	hl_cursor_close(&c);
	return more;
}

/* Passes through n segments (given upwards); true: all of them are exhausted. */
static bool segments_pass(struct pass *p, const struct segment *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!segment_pass(p, &s[p->up ? i : n - 1 - i]))
			return false;
	return true;
}

/* ---- listings ---------------------------------------------------------------------------------------------------- */

static struct segment rows(uint64_t from, uint64_t upto)
{
	return (struct segment){ .table = HL_TABLE_DELIVERY, .from = from, .upto = upto };
}

static struct segment later_ones(uint64_t event, uint64_t from)
{
	return (struct segment){ .table = HL_TABLE_BY_EVENT, .prefix = hl_dbkey_u64(HL_DBKEY_NONE, event), .from = from,
		.upto = UINT64_MAX };
}

/* The state a walk asks for when by_status can answer, else -1. */
static int indexed_state(unsigned states)
{
	if (states == 1u << HL_DELIVERY_PENDING)
		return HL_DELIVERY_PENDING;
	return states == 1u << HL_DELIVERY_FAILED ? HL_DELIVERY_FAILED : -1;
}

static struct segment index_of(const struct hl_walk *w, uint64_t bound)
{
	int state = indexed_state(w->states);
	uint32_t owner = w->webhook ? w->webhook : w->account;
	struct segment s = { .from = 1, .upto = bound };
	if (state >= 0) {
		s.table = HL_TABLE_BY_STATUS;
		s.prefix = hl_dbkey_u32(hl_dbkey_u8(HL_DBKEY_NONE, w->webhook ? 'w' : 'a'), owner);
		s.prefix = hl_dbkey_u8(s.prefix, (uint8_t)state);
	} else {
		s.table = w->webhook ? HL_TABLE_BY_WEBHOOK : HL_TABLE_BY_ACCOUNT;
		s.prefix = hl_dbkey_u32(HL_DBKEY_NONE, owner);
	}
	return s;
}

static size_t walk_segments(struct hl_txn *txn, const struct hl_walk *w, struct segment out[2])
{
	uint64_t bound = hl_txn_bounds(txn)->deliveries_upto;
	struct hl_event_row e;
	if (w->event) {
		uint64_t from = 0, upto = 1;
		/* the place of none says nothing: numbers given out behind it and never stored are given out again */
		if (hl_event_row_get(txn, w->event, &e) && e.n_deliveries) {
			from = e.first_delivery;
			upto = e.first_delivery + e.n_deliveries;
		}
		out[0] = rows(from, upto);
		out[1] = later_ones(w->event, upto);
		return 2;
	}
	if (!w->webhook && !w->account) {
		out[0] = rows(1, UINT64_MAX);
		return 1;
	}
	out[0] = index_of(w, bound);
	out[1] = rows(bound, UINT64_MAX);
	return 2;
}

struct walk_state {
	struct hl_txn *txn;
	const struct hl_walk *w;
	hl_walk_cb each;
	void *data;
};

static bool matches(const struct hl_walk *w, const struct hl_delivery_row *r)
{
	return (!w->account || r->account == w->account) && (!w->webhook || r->webhook == w->webhook) &&
			(!w->event || r->event == w->event) && (w->dialect < 0 || r->dialect == w->dialect) &&
			(!w->states || (w->states >> r->state & 1));
}

static bool walk_entry(void *data, uint64_t number, struct hl_str value)
{
	struct walk_state *s = data;
	struct hl_delivery_row row;
	if (value.len <= 1) { /* an index entry */
		if (s->w->dialect >= 0 && value.len == 1 && (uint8_t)value.ptr[0] != s->w->dialect)
			return true;
		if (!hl_delivery_row_get(s->txn, number, &row))
			return hl_txn_status(s->txn) == 0;
	} else {
		int rc = hl_delivery_row_decode(value, &row);
		if (rc) {
			hl_txn_fail(s->txn, rc);
			return false;
		}
	}
	return !matches(s->w, &row) || s->each(s->data, number, &row);
}

int hl_walk_step(struct hl_txn *txn, struct hl_walk *w, size_t max_steps, hl_walk_cb each, void *data)
{
	struct segment segments[2];
	struct hl_walk filter = *w;
	struct walk_state s = { .txn = txn, .w = &filter, .each = each, .data = data };
	struct pass p = { .txn = txn, .up = w->oldest_first, .after = &w->after, .before = &w->before,
		.steps = max_steps ? max_steps : HL_SCAN_STEPS, .each = walk_entry, .data = &s };
	if (w->done)
		return 0;
	size_t n = walk_segments(txn, w, segments);
	bool exhausted = segments_pass(&p, segments, n);
	w->done = exhausted && hl_txn_status(txn) == 0;
	return hl_txn_status(txn);
}

struct event_state {
	struct hl_txn *txn;
	uint32_t account;
	hl_event_walk_cb each;
	void *data;
};

static bool event_entry(void *data, uint64_t number, struct hl_str value)
{
	struct event_state *s = data;
	struct hl_event_row row;
	int rc = 0;
	if (!value.len && !hl_event_row_get(s->txn, number, &row))
		return hl_txn_status(s->txn) == 0;
	if (value.len)
		rc = hl_event_row_decode(value, &row);
	if (rc) {
		hl_txn_fail(s->txn, rc);
		return false;
	}
	return (s->account && row.account != s->account) || s->each(s->data, number, &row);
}

int hl_event_walk_step(struct hl_txn *txn, struct hl_event_walk *w, size_t max_steps, hl_event_walk_cb each, void *data)
{
	struct event_state s = { .txn = txn, .account = w->account, .each = each, .data = data };
	struct pass p = { .txn = txn, .up = w->oldest_first, .after = &w->after, .before = &w->before,
		.steps = max_steps ? max_steps : HL_SCAN_STEPS, .each = event_entry, .data = &s };
	uint64_t bound = w->account ? hl_txn_bounds(txn)->events_upto : 1;
	struct segment segments[2] = {
		{ .table = HL_TABLE_EVENT_BY_ACCOUNT, .prefix = hl_dbkey_u32(HL_DBKEY_NONE, w->account), .from = 1, .upto = bound },
		{ .table = HL_TABLE_EVENT, .from = bound, .upto = UINT64_MAX },
	};
	if (w->done)
		return 0;
	bool exhausted = segments_pass(&p, segments, 2);
	w->done = exhausted && hl_txn_status(txn) == 0;
	return hl_txn_status(txn);
}

/* ---- a queue's work ---------------------------------------------------------------------------------------------- */

struct fresh_state {
	struct hl_fresh *out;
	size_t n, limit;
};

static bool fresh_entry(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct fresh_state *s = data;
	if (row->next_at_ms)
		return true;
	s->out[s->n++] = (struct hl_fresh){ .delivery = number, .event = row->event };
	return s->n < s->limit;
}

int hl_scan_fresh(struct hl_txn *txn, uint32_t webhook, uint64_t from, size_t limit, struct hl_fresh *out,
		size_t *out_n,
		uint64_t *out_next, bool *out_more)
{
	struct fresh_state s = { .out = out, .limit = limit };
	struct hl_walk w = { .webhook = webhook, .states = 1u << HL_DELIVERY_PENDING, .dialect = -1, .oldest_first = true,
		.after = from ? from - 1 : 0, .done = limit == 0 };
	int rc = hl_walk_step(txn, &w, 0, fresh_entry, &s);
	if (rc)
		return rc;
	*out_n = s.n;
	*out_next = HL_MAX(from, w.after + 1);
	*out_more = limit == 0 || !w.done;
	return 0;
}

int hl_scan_due(struct hl_txn *txn, uint32_t webhook, hl_ms_t after_due_ms, uint64_t after_delivery, size_t limit,
		struct hl_due *out, size_t *out_n, bool *out_more)
{
	struct hl_cursor c;
	struct hl_dbkey prefix = hl_dbkey_u32(HL_DBKEY_NONE, webhook);
	struct hl_dbkey from = hl_due_key(webhook, after_due_ms, after_delivery);
	size_t n = 0;
	bool more = false;
	hl_cursor_open(&c, txn, HL_TABLE_DUE);
	bool ok = hl_cursor_seek(&c, HL_DBKEY(from));
	if (ok && c.key.len == from.len && memcmp(c.key.ptr, from.bytes, from.len) == 0)
		ok = hl_cursor_next(&c);
	for (; ok && hl_cursor_under(&c, HL_DBKEY(prefix)); ok = hl_cursor_next(&c)) {
		uint32_t owner;
		more = n == limit;
		if (more)
			break;
		int rc = hl_due_decode(c.key, c.value, &owner, &out[n]);
		if (rc)
			hl_txn_fail(txn, rc);
		n++;
	}
	hl_cursor_close(&c);
	*out_n = n;
	*out_more = more;
	return hl_txn_status(txn);
}

/* The smallest pending number in by_status over all accounts: one seek per account. */
static bool oldest_of_all(struct hl_txn *txn, uint64_t bound, uint64_t *out)
{
	struct hl_cursor c;
	struct hl_dbkey kind = hl_dbkey_u8(HL_DBKEY_NONE, 'a');
	struct hl_dbkey at = hl_dbkey_u32(kind, 0);
	uint64_t best = UINT64_MAX;
	hl_cursor_open(&c, txn, HL_TABLE_BY_STATUS);
	for (size_t i = 0; i < HL_SCAN_STEPS && hl_cursor_seek(&c, HL_DBKEY(at)) && hl_cursor_under(&c, HL_DBKEY(kind)) &&
			c.key.len == 14; i++) {
		const uint8_t *k = (const uint8_t *)c.key.ptr;
		uint32_t account = hl_be32_get(k + 1);
		uint64_t number = hl_be64_get(k + 6);
		if (k[5] == HL_DELIVERY_PENDING && number < bound)
			best = HL_MIN(best, number);
		if (account == UINT32_MAX)
			break;
		at = hl_dbkey_u32(kind, account + 1);
	}
	hl_cursor_close(&c);
	*out = best;
	return best != UINT64_MAX;
}

static bool oldest_entry(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	(void)row;
	*(uint64_t *)data = number;
	return false;
}

bool hl_scan_oldest_pending(struct hl_txn *txn, uint32_t webhook, uint64_t *out_delivery)
{
	uint64_t bound = hl_txn_bounds(txn)->deliveries_upto, found = 0;
	struct hl_walk w = { .webhook = webhook, .states = 1u << HL_DELIVERY_PENDING, .dialect = -1, .oldest_first = true };
	if (!webhook) {
		if (oldest_of_all(txn, bound, out_delivery))
			return true;
		w.after = bound - 1;
	}
	if (hl_walk_step(txn, &w, 0, oldest_entry, &found) || !found)
		return false;
	*out_delivery = found;
	return true;
}

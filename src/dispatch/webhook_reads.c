/* Reading webhooks: one, as it was at a revision, the listing, what is undelivered and why.
 *
 * An account's webhooks are few enough to be looked through for a listing (some thousands at most, in slices); the ones
 * that match are kept as numbers, the page is cut out of them at the end. */
#include "dispatch/listing.h"
#include "dispatch/view.h"
#include "dispatch/queues.h"

#include <stdlib.h>

/* ---- one ---- */

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

static void show(struct hl_dispatcher *d, struct hl_txn *txn, const struct hl_webhook *w, struct hl_webhook *out)
{
	*out = *w;
	hl_webhook_view(d, txn, out);
	if (out->previous_secret_until_ms <= hl_core_wall(d))
		out->previous_secret_until_ms = 0; /* the overlap is over; the row is tidied by the next rotation */
}

int hl_webhook_get(struct hl_dispatcher *d, uint32_t account, uint32_t number, bool include_deleted, struct hl_webhook *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	if (!hl_webhook_row_get(txn, number, &row))
		return absent(txn);
	if (row.w.account != account || (row.w.state == HL_WEBHOOK_DELETED && !include_deleted))
		return HL_ENOTFOUND;
	show(d, txn, &row.w, out);
	return hl_txn_status(txn);
}

int hl_webhook_get_revision(struct hl_dispatcher *d, uint32_t account, uint32_t number, uint32_t revision,
		struct hl_webhook *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	if (!hl_webhook_revision_get(txn, number, revision, &row))
		return absent(txn);
	if (row.w.account != account)
		return HL_ENOTFOUND;
	*out = row.w;
	hl_core_id(d, HL_ID_WEBHOOK, number, row.w.created_at_ms, out->id);
	return 0;
}

/* ---- the listing ---- */

struct list {
	struct hl_long_walk walk;
	struct hl_webhook_query q;
	uint32_t at;                 /* looked through up to here */
	size_t left;                 /* of this slice */
	uint32_t *numbers;           /* that match, ascending */
	size_t n, cap;
	int status;
	hl_webhooks_cb cb;
	void *data;
};

static bool matches(const struct hl_webhook_query *q, const struct hl_webhook *w)
{
	if (q->state < 0 ? w->state == HL_WEBHOOK_DELETED : w->state != (enum hl_webhook_state)q->state)
		return false;
	return q->dialect < 0 || w->dialect == (enum hl_dialect)q->dialect;
}

static bool look_at(void *data, const struct hl_webhook_row *row)
{
	struct list *l = data;
	l->at = row->w.number;
	if (matches(&l->q, &row->w)) {
		if (l->n == l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 64;
			uint32_t *p = realloc(l->numbers, cap * sizeof(*p));
			if (!p) {
				l->status = HL_ENOMEM;
				return false;
			}
			l->numbers = p;
			l->cap = cap;
		}
		l->numbers[l->n++] = row->w.number;
	}
	return --l->left > 0;
}

/* The page as a range [*from, *upto) of the ascending numbers. */
static void cut_page(const struct list *l, size_t *from, size_t *upto, struct hl_page_info *info)
{
	const struct hl_page *p = &l->q.page;
	size_t lo = 0, hi = l->n;
	while (lo < hi && p->after && l->numbers[lo] <= p->after)
		lo++;
	while (hi > lo && p->before && l->numbers[hi - 1] >= p->before)
		hi--;
	size_t skip = HL_MIN((size_t)p->offset, hi - lo);
	if (p->after) { /* nearest to x: from the old end */
		lo += skip;
		hi = HL_MIN(hi, lo + p->limit);
	} else {
		hi -= skip;
		lo = HL_MAX(lo, hi > p->limit ? hi - p->limit : 0);
	}
	*from = lo;
	*upto = hi;
	*info = (struct hl_page_info){ .has_older = lo > 0, .has_newer = hi < l->n, .total = p->want_total ? l->n : 0 };
}

static void answer(struct list *l)
{
	struct hl_dispatcher *d = l->walk.d;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_page_info info = { 0 };
	struct hl_webhook_row row;
	struct hl_webhook *v = NULL;
	size_t n = 0, from = 0, upto = 0;
	int status = l->status;
	if (status == 0) {
		cut_page(l, &from, &upto, &info);
		v = HL_ARENA_ARRAY(&d->turn, struct hl_webhook, upto - from + 1);
		status = v ? 0 : HL_ENOMEM;
	}
	for (size_t i = upto; status == 0 && i > from; i--)
		if (hl_webhook_row_get(txn, l->numbers[i - 1], &row))
			show(d, txn, &row.w, &v[n++]);
	if (status == 0)
		status = hl_txn_status(txn);
	hl_webhooks_cb cb = l->cb;
	void *data = l->data;
	free(l->numbers);
	free(l);
	cb(data, status, status ? NULL : v, status ? 0 : n, status ? NULL : &info);
}

static bool step(struct hl_long_walk *w, size_t max_steps, int status)
{
	struct list *l = HL_CONTAINER_OF(w, struct list, walk);
	struct hl_txn *txn = hl_core_read(w->d);
	l->left = max_steps;
	l->status = status;
	if (status == 0)
		hl_webhook_each(txn, l->q.account, l->at, look_at, l);
	if (l->status == 0)
		l->status = hl_txn_status(txn);
	if (l->status == 0 && l->left == 0)
		return true;
	answer(l);
	return false;
}

int hl_webhook_list(struct hl_dispatcher *d, const struct hl_webhook_query *q, hl_webhooks_cb cb, void *data)
{
	if (!q->account || q->page.limit < 1 || q->page.limit > HL_PAGE_MAX || q->dialect >= HL_DIALECT_N ||
			q->state >= HL_WEBHOOK_STATE_N)
		return HL_EINVAL;
	struct list *l = calloc(1, sizeof(*l));
	if (!l)
		return HL_ENOMEM;
	l->q = *q;
	l->cb = cb;
	l->data = data;
	l->walk.step = step;
	int rc = hl_walks_begin(d, &l->walk);
	if (rc)
		free(l);
	return rc;
}

/* ---- counters ---- */

/* When its queue will send next, as far as is known now. */
static hl_ms_t next_attempt(struct hl_dispatcher *d, struct hl_txn *txn, uint32_t number, const struct hl_counts *c)
{
	struct hl_queue *q = hl_queues_get(d, number);
	hl_ms_t now = hl_core_wall(d);
	struct hl_due due;
	size_t n = 0;
	bool more;
	if (q && q->state == HL_QUEUE_PARKED)
		return now + HL_MAX(q->probe_mono_ms - hl_core_mono(d), (hl_ms_t)0);
	if (q && (q->fresh_count > 0 || q->fresh_more))
		return now;
	if (hl_scan_due(txn, number, 0, 0, 1, &due, &n, &more) || n == 0)
		return 0;
	if (due.why == HL_WAIT_BACKOFF && due.drain_gen < c->drain_gen)
		return now;
	return HL_MAX(due.due_at_ms, now);
}

int hl_webhook_stats(struct hl_dispatcher *d, uint32_t account, uint32_t number, struct hl_webhook_stats *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	struct hl_counts c;
	struct hl_delivery_row oldest;
	uint64_t oldest_number;
	if (!hl_webhook_row_get(txn, number, &row))
		return absent(txn);
	if (row.w.account != account || row.w.state == HL_WEBHOOK_DELETED)
		return HL_ENOTFOUND;
	hl_counts_get(txn, number, &c);
	struct hl_queue *q = hl_queues_get(d, number);
	*out = (struct hl_webhook_stats){
		.webhook = number, .parked = q ? q->state == HL_QUEUE_PARKED : c.parked, .in_flight = q ? q->busy : 0,
		.concurrency = q ? q->window : HL_QUEUE_START_WINDOW, .last_attempt_at_ms = c.last_attempt_at_ms,
		.last_success_at_ms = c.last_success_at_ms, .last_failure_at_ms = c.last_failure_at_ms,
		.last_class = (enum hl_class)c.last_class, .last_http_status = c.last_status,
	};
	memcpy(out->by_state, c.by_state, sizeof(out->by_state));
	memcpy(out->pending_by_class, c.pending_by_class, sizeof(out->pending_by_class));
	if (c.by_state[HL_DELIVERY_PENDING] == 0)
		return hl_txn_status(txn);
	if (hl_scan_oldest_pending(txn, number, &oldest_number) && hl_delivery_row_get(txn, oldest_number, &oldest))
		out->oldest_pending_at_ms = oldest.created_at_ms;
	if (row.w.state == HL_WEBHOOK_ENABLED)
		out->next_attempt_at_ms = next_attempt(d, txn, number, &c);
	return hl_txn_status(txn);
}

int hl_account_stats(struct hl_dispatcher *d, uint32_t account, struct hl_account_stats *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_totals t;
	hl_totals_get(txn, account, &t);
	*out = (struct hl_account_stats){ .events = t.events,
		.webhooks = t.webhooks[HL_WEBHOOK_ENABLED] + t.webhooks[HL_WEBHOOK_PAUSED] + t.webhooks[HL_WEBHOOK_DISABLED] };
	memcpy(out->deliveries, t.deliveries, sizeof(out->deliveries));
	return hl_txn_status(txn);
}

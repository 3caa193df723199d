/* Reading webhooks: one, as it was at a revision, the listing, what is undelivered and why.
 *
 * A listing walks from where its page begins, in slices, and looks at each row for what the filter asks; only a total that is
 * wanted makes it look at all of an account's. */
#include "dispatch/listing.h"
#include "dispatch/view.h"
#include "dispatch/queues.h"

#include <stdlib.h>

/* ---- one ---- */

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

int hl_webhook_get(struct hl_dispatcher *d, uint32_t account, uint32_t number, bool include_deleted, struct hl_webhook *out)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	if (!hl_webhook_row_get(txn, number, &row))
		return absent(txn);
	if (row.w.account != account || (row.w.state == HL_WEBHOOK_DELETED && !include_deleted))
		return HL_ENOTFOUND;
	*out = row.w;
	hl_webhook_view(d, txn, out);
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
	struct hl_listing l;
	struct hl_webhook_query q;
	struct hl_listing_walk *at;  /* the walk under way */
	size_t left;                 /* of this slice */
	bool enough;                 /* the listing wants no more of this walk */
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
	struct hl_listing_walk *at = l->at;
	uint64_t number = row->w.number;
	at->done = at->oldest_first ? at->before && number >= at->before : number <= at->after;
	if (at->done)
		return false;
	*(at->oldest_first ? &at->after : &at->before) = number;
	l->enough = matches(&l->q, &row->w) && !hl_listing_take(&l->l, number);
	return --l->left > 0 && !l->enough;
}

static uint32_t clamped(uint64_t number)
{
	return (uint32_t)HL_MIN(number, (uint64_t)UINT32_MAX);
}

static int look(struct hl_listing *listing, struct hl_txn *txn, struct hl_listing_walk *at, size_t max_steps)
{
	struct list *l = HL_CONTAINER_OF(listing, struct list, l);
	l->at = at;
	l->left = max_steps;
	l->enough = false;
	if (at->oldest_first)
		hl_webhook_each(txn, l->q.account, clamped(at->after), look_at, l);
	else
		hl_webhook_each_back(txn, l->q.account, clamped(at->before), look_at, l);
	at->done = at->done || (l->left > 0 && !l->enough);
	return hl_txn_status(txn);
}

/* A total costs a walk. */
static bool counted(struct hl_listing *listing, struct hl_txn *txn, uint64_t *out)
{
	(void)listing;
	(void)txn;
	*out = 0;
	return false;
}

static void answer(struct hl_listing *listing, int status)
{
	struct list *l = HL_CONTAINER_OF(listing, struct list, l);
	struct hl_dispatcher *d = l->l.walk.d;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook *v = status ? NULL : HL_ARENA_ARRAY(&d->turn, struct hl_webhook, l->l.n + 1);
	struct hl_page_info info = l->l.info;
	struct hl_webhook_row row;
	size_t n = 0;
	status = status ? status : v ? 0 : HL_ENOMEM;
	for (size_t i = 0; !status && i < l->l.n; i++)
		if (hl_webhook_row_get(txn, (uint32_t)l->l.numbers[i], &row)) {
			v[n] = row.w;
			hl_webhook_view(d, txn, &v[n++]);
		}
	status = status ? status : hl_txn_status(txn);
	hl_webhooks_cb cb = l->cb;
	void *data = l->data;
	free(l);
	cb(data, status, status ? NULL : v, status ? 0 : n, status ? NULL : &info);
}

int hl_webhook_list(struct hl_dispatcher *d, const struct hl_webhook_query *q, hl_webhooks_cb cb, void *data)
{
	if (!q->account || q->dialect >= HL_DIALECT_N || q->state >= HL_WEBHOOK_STATE_N)
		return HL_EINVAL;
	struct list *l = calloc(1, sizeof(*l));
	if (!l)
		return HL_ENOMEM;
	l->q = *q;
	l->cb = cb;
	l->data = data;
	l->l.page = q->page;
	l->l.look = look;
	l->l.counted = counted;
	l->l.answer = answer;
	int rc = hl_listing_begin(d, &l->l);
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
	if (!hl_webhook_row_peek(txn, number, &row))
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

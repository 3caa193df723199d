/* One function for every way a webhook can change (create, update, pause, resume, disable, delete, rotate): it looks at the
 * row as stored and makes memory agree. So no path can forget a part.
 *
 * When memory does not suffice for that (or the row cannot be read), the dispatcher is behind: nothing new is admitted, no
 * generation is raised (so what was matched before does not pass either), and each tick looks at everything again, as a start
 * does, until all of it was followed. */
#include "dispatch/webhook_state.h"

#include "dispatch/destination.h"
#include "dispatch/queues.h"
#include "base/crash.h"

enum { CATCH_UP_MS = 1000 }; /* between two tries, when nothing else calls for a turn */

static void forget_queue(struct hl_dispatcher *d, struct hl_queue *q)
{
	hl_scheduler_forget(&d->scheduler, q);
	if (q->state != HL_QUEUE_GONE)
		hl_queue_move(q, HL_QUEUE_GONE);
	hl_queues_drop(d, q);
}

static void change_queue(struct hl_dispatcher *d, struct hl_queue *q, const struct hl_webhook *w, const struct hl_counts *c)
{
	struct hl_queue_limits limits;
	hl_destination_release(q->destination);
	q->destination = NULL;
	hl_destination_limits(d, w, &limits);
	hl_queue_set_limits(q, &limits);
	bool deliver = w->state == HL_WEBHOOK_ENABLED;
	if (!deliver && q->state != HL_QUEUE_HELD) {
		hl_queue_move(q, HL_QUEUE_HELD);
	} else if (deliver && q->state == HL_QUEUE_HELD) {
		hl_queue_move(q, HL_QUEUE_OPEN);
		hl_queue_drain(q, c->drain_gen, hl_core_wall(d), hl_core_mono(d));
	} else if (q->state == HL_QUEUE_PARKED) {
		hl_queue_probe_now(q, hl_core_mono(d)); /* its owner changed something: perhaps it is reachable now */
	}
	hl_scheduler_touch(&d->scheduler, q);
}

static bool make_queue(struct hl_dispatcher *d, const struct hl_webhook *w)
{
	struct hl_queue *q = hl_queues_make(d, w, true);
	if (q)
		hl_scheduler_touch(&d->scheduler, q);
	return q != NULL;
}

/* Everything but the account's generation. The row may be gone already: the storage thread drops a webhook with its history
 * without waiting for the loop to hear of the deletion. */
static int follow(struct hl_dispatcher *d, uint32_t account, uint32_t webhook)
{
	struct hl_webhook_row row;
	struct hl_counts counts;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_queue *q = hl_queues_get(d, webhook);
	bool found = hl_webhook_row_peek(txn, webhook, &row);
	int rc = hl_txn_status(txn);
	if (rc)
		return rc;
	if (!found || row.w.state == HL_WEBHOOK_DELETED) {
		hl_subscriptions_remove(d->subscriptions, account, webhook);
		if (q)
			forget_queue(d, q);
		return 0;
	}
	hl_counts_get(txn, webhook, &counts);
	rc = hl_subscriptions_put(d->subscriptions, &row.w);
	if (q)
		change_queue(d, q, &row.w, &counts);
	else if (counts.by_state[HL_DELIVERY_PENDING] > 0) /* held ones too: their windows must end */
		rc = make_queue(d, &row.w) ? rc : HL_ENOMEM;
	return rc;
}

void hl_webhook_state_changed(struct hl_dispatcher *d, uint32_t account, uint32_t webhook)
{
	int rc = follow(d, account, webhook);
	HL_CRASH_POINT(WEBHOOK_DURABLE);
	if (rc == 0 && !d->behind)
		rc = hl_core_set_generation(d, account, hl_account_generation(hl_core_read(d), account));
	if (rc)
		hl_log(&d->log, HL_LOG_ERROR, "webhook.change_unseen", "webhook=%u code=%s", webhook, hl_errname(rc));
	if (rc) {
		hl_subscriptions_remove(d->subscriptions, account, webhook); /* put there again if it is not gone */
		hl_core_behind(d, rc);
	}
	hl_core_soon(d);
}

/* ---- behind ---- */

struct catch_up {
	struct hl_dispatcher *d;
	int rc;
};

static bool follow_type(void *data, const struct hl_event_type *t)
{
	struct catch_up *c = data;
	c->rc = hl_catalogue_put(&c->d->catalogue, t);
	return c->rc == 0;
}

static bool follow_one(void *data, const struct hl_webhook_row *row)
{
	struct catch_up *c = data;
	c->rc = follow(c->d, row->w.account, row->w.number);
	return c->rc == 0;
}

hl_ms_t hl_webhook_state_catch_up(struct hl_dispatcher *d)
{
	struct catch_up c = { .d = d };
	struct hl_totals totals;
	uint32_t account = 0;
	if (!d->behind)
		return INT64_MAX;
	struct hl_txn *txn = hl_core_read(d);
	hl_event_type_row_each(txn, follow_type, &c);
	hl_subscriptions_catalogue_changed(d->subscriptions);
	if (!c.rc)
		hl_webhook_each(txn, 0, 0, follow_one, &c);
	while (!c.rc && hl_totals_next(txn, account, &account, &totals))
		c.rc = hl_core_set_generation(d, account, totals.generation);
	c.rc = c.rc ? c.rc : hl_txn_status(txn);
	if (c.rc) {
		d->behind = c.rc;
		return hl_core_mono(d) + CATCH_UP_MS;
	}
	d->behind = 0;
	hl_log(&d->log, HL_LOG_WARN, "dispatcher.caught_up", "changes are accepted again");
	return INT64_MAX;
}

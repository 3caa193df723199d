/* One function for every way a webhook can change (create, update, pause, resume, disable, delete, rotate): it looks at the
 * row as stored and makes memory agree. So no path can forget a part. */
#include "dispatch/webhook_state.h"

#include "dispatch/destination.h"
#include "dispatch/queues.h"
#include "base/crash.h"

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

static bool make_queue(struct hl_dispatcher *d, const struct hl_webhook *w, const struct hl_counts *c)
{
	struct hl_queue *q = hl_queues_make(d, w, c);
	if (q)
		hl_scheduler_touch(&d->scheduler, q);
	return q != NULL;
}

void hl_webhook_state_changed(struct hl_dispatcher *d, uint32_t webhook)
{
	struct hl_webhook_row row;
	struct hl_counts counts;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_queue *q = hl_queues_get(d, webhook);
	bool found = hl_webhook_row_get(txn, webhook, &row);
	int rc = 0;
	HL_CRASH_POINT(WEBHOOK_DURABLE);
	if (!found || row.w.state == HL_WEBHOOK_DELETED) {
		if (found)
			hl_subscriptions_remove(d->subscriptions, row.w.account, webhook);
		if (q)
			forget_queue(d, q);
	} else {
		hl_counts_get(txn, webhook, &counts);
		rc = hl_subscriptions_put(d->subscriptions, &row.w);
		if (q)
			change_queue(d, q, &row.w, &counts);
		else if (counts.by_state[HL_DELIVERY_PENDING] > 0) /* held ones too: their windows must end */
			rc = make_queue(d, &row.w, &counts) ? rc : HL_ENOMEM;
	}
	if (found && rc == 0)
		rc = hl_core_set_generation(d, row.w.account, hl_account_generation(txn, row.w.account));
	if (rc)
		hl_log(&d->log, HL_LOG_ERROR, "webhook.change_unseen", "webhook=%u code=%s", webhook, hl_errname(rc));
	hl_core_soon(d);
}

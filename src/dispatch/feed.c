/* Refills and the start.
 *
 * A refill is a command of its own: it runs on the storage thread after every outcome handed over before it, so it never
 * shows a delivery as waiting whose end is already on its way. What is in flight when its answer arrives is skipped by the
 * queue, which knows its claims. A queue that changed meanwhile (paused, reloaded) has a new epoch and ignores the answer.
 *
 * At start every webhook goes into the subscription index; those with pending deliveries get a queue that reads its windows
 * from the store when its turn comes: nothing is read per delivery. */
#include "dispatch/feed.h"

#include "dispatch/destination.h"
#include "dispatch/queues.h"
#include "base/crash.h"
#include <stdlib.h>

enum { SPREAD_MAX_MS = 60000, SPREAD_PER_S = 4000 }; /* after a restart: about so many pending deliveries a second at first */

struct refill {
	struct hl_command command;
	struct hl_dispatcher *d;
	uint32_t webhook;
	uint32_t epoch;
	/* what to read, and what came */
	bool want_fresh, want_due;
	uint64_t fresh_from, fresh_next;
	hl_ms_t after_due_ms;
	uint64_t after_delivery;
	size_t n_fresh, n_due;
	bool fresh_more, due_more;
	struct hl_fresh fresh[HL_FEED_FRESH];
	struct hl_due due[HL_FEED_DUE];
};

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct refill *r = HL_CONTAINER_OF(c, struct refill, command);
	int rc = 0;
	if (r->want_fresh)
		rc = hl_scan_fresh(txn, r->webhook, r->fresh_from, HL_FEED_FRESH, r->fresh, &r->n_fresh, &r->fresh_next,
				&r->fresh_more);
	if (rc == 0 && r->want_due)
		rc = hl_scan_due(txn, r->webhook, r->after_due_ms, r->after_delivery, HL_FEED_DUE, r->due, &r->n_due,
				&r->due_more);
	return rc;
}

static void done(struct hl_command *c, int status)
{
	struct refill *r = HL_CONTAINER_OF(c, struct refill, command);
	struct hl_dispatcher *d = r->d;
	hl_core_command_done(d);
	struct hl_queue *q = hl_queues_get(d, r->webhook);
	if (q && status == 0) {
		int rc = 0;
		if (r->want_fresh)
			rc = hl_queue_load_fresh(q, r->epoch, r->fresh, r->n_fresh, r->fresh_next, r->fresh_more);
		if (rc == 0 && r->want_due)
			rc = hl_queue_load_due(q, r->epoch, r->due, r->n_due, r->due_more, hl_core_wall(d), hl_core_mono(d));
		if (rc)
			hl_queue_drop_windows(q);
		HL_CRASH_POINT(REFILL_DONE);
	} else if (q) {
		q->fresh_loading = q->fresh_loading && !r->want_fresh;
		q->due_loading = q->due_loading && !r->want_due;
		q->hold_mono_ms = hl_core_mono(d) + HL_QUEUE_HOLD_MS;
		hl_log(&d->log, HL_LOG_ERROR, "refill.failed", "webhook=%u code=%s", r->webhook, hl_errname(status));
	}
	if (q)
		hl_scheduler_touch(&d->scheduler, q);
	free(r);
	hl_core_soon(d);
}

void hl_feed_refill(void *dispatcher, struct hl_queue *q)
{
	struct hl_dispatcher *d = dispatcher;
	if (d->state != HL_CORE_OPEN || d->failed)
		return;
	struct refill *r = malloc(sizeof(*r));
	if (!r) {
		q->hold_mono_ms = hl_core_mono(d) + HL_QUEUE_HOLD_MS;
		return;
	}
	r->command = (struct hl_command){ .priority = HL_PRIO_API, .apply = apply, .done = done };
	r->d = d;
	r->webhook = q->webhook;
	r->epoch = q->epoch;
	r->want_fresh = hl_queue_wants_fresh(q);
	r->want_due = hl_queue_wants_due(q);
	r->fresh_from = r->fresh_next = q->fresh_next;
	r->after_due_ms = HL_MAX(q->upto_due_ms, (hl_ms_t)0);
	r->after_delivery = q->upto_delivery;
	r->n_fresh = r->n_due = 0;
	r->fresh_more = r->due_more = false;
	q->fresh_loading |= r->want_fresh;
	q->due_loading |= r->want_due;
	hl_core_submit(d, &r->command);
}

/* ---- start ---- */

struct start {
	struct hl_dispatcher *d;
	uint64_t pending;   /* of all webhooks */
	int rc;
};

static bool start_type(void *data, const struct hl_event_type *t)
{
	struct start *s = data;
	s->rc = hl_catalogue_put(&s->d->catalogue, t);
	return s->rc == 0;
}

/* Of every account that ever had a webhook, whether it has a row or not: a publish carries the generation. */
static int start_generations(struct start *s, struct hl_txn *txn)
{
	struct hl_totals totals;
	uint32_t account = 0;
	int rc = 0;
	while (!rc && hl_totals_next(txn, account, &account, &totals))
		rc = hl_core_set_generation(s->d, account, totals.generation);
	return rc;
}

static bool start_webhook(void *data, const struct hl_webhook_row *row)
{
	struct start *s = data;
	struct hl_dispatcher *d = s->d;
	struct hl_counts counts;
	if (row->w.state == HL_WEBHOOK_DELETED)
		return true;
	s->rc = hl_subscriptions_put(d->subscriptions, &row->w);
	hl_counts_get(hl_core_read(d), row->w.number, &counts);
	uint64_t pending = counts.by_state[HL_DELIVERY_PENDING];
	if (s->rc || pending == 0)
		return s->rc == 0;
	s->pending += pending;
	if (!hl_queues_make(d, &row->w, true))
		s->rc = HL_ENOMEM;
	HL_CRASH_POINT(START_WEBHOOK);
	return s->rc == 0;
}

/* Each queue begins at a moment of its own, so that a large backlog does not start all at once. */
static void spread(struct start *s)
{
	struct hl_dispatcher *d = s->d;
	uint64_t spread_ms = HL_MIN(s->pending * 1000 / SPREAD_PER_S, (uint64_t)SPREAD_MAX_MS);
	hl_ms_t now = hl_core_mono(d);
	size_t pos = 0;
	void *v;
	while (hl_map_u64_next(&d->queues, &pos, NULL, &v)) {
		struct hl_queue *q = v;
		q->hold_mono_ms = now + hl_env_random_below(d->env, (uint32_t)spread_ms + 1);
		hl_scheduler_touch(&d->scheduler, q);
	}
}

int hl_feed_start(struct hl_dispatcher *d, struct hl_err *err)
{
	struct start s = { .d = d };
	struct hl_txn *txn = hl_core_read(d);
	hl_event_type_row_each(txn, start_type, &s);
	if (s.rc == 0)
		s.rc = start_generations(&s, txn);
	if (s.rc == 0)
		hl_webhook_each(txn, 0, 0, start_webhook, &s);
	if (s.rc == 0)
		s.rc = hl_txn_status(txn);
	if (s.rc) {
		if (err && !err->code)
			*err = (struct hl_err){ .code = s.rc };
		return s.rc;
	}
	spread(&s);
	hl_store_read_reset(d->store);
	return 0;
}

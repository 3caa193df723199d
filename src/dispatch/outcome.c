/* What an attempt leaves behind, in one command: the record, the delivery's new state and due time, its queue's cursor, the
 * webhook's counters, and the webhook's own state when the receiver said it is gone.
 *
 * apply works from the row as it finds it, not from what the loop knew when the attempt began: meanwhile the delivery may
 * have been cancelled (a success still counts, a failure leaves it cancelled), retried by hand (a new window), or removed
 * with its webhook (nothing is written). The new due time is computed here for the same reason. */
#include "dispatch/attempt.h"
#include "dispatch/stats.h"
#include "dispatch/view.h"
#include "dispatch/webhook_state.h"
#include "dispatch/queues.h"

#include "base/check.h"
#include "base/crash.h"

static void end_row(struct hl_delivery_row *row, enum hl_delivery_state state, hl_ms_t now_ms)
{
	row->state = (uint8_t)state;
	row->completed_at_ms = now_ms;
	row->next_at_ms = 0;
}

/* A probe made before the delivery's own time leaves that time alone, unless its receiver asked for another. */
static bool keeps_its_time(const struct hl_attempt_run *run)
{
	return run->early && !run->judgement.hint_ms;
}

/* Pending, and may be tried again: when. */
static void schedule(const struct hl_attempt_run *run, struct hl_delivery_row *row, hl_ms_t now_ms)
{
	const struct hl_policy *p = &run->destination->policy;
	if (keeps_its_time(run) && row->next_at_ms)
		return; /* the entry stays as it is */
	struct hl_policy_state s = {
		.expires_at_ms = row->expires_at_ms,
		.n_attempts = row->n_scheduled,
		.n_scheduled = row->n_scheduled,
		.n_hints = row->n_hints,
		.started_at_ms = run->attempt.started_at_ms,
	};
	hl_ms_t from = row->window_from_ms ? row->window_from_ms : row->created_at_ms;
	hl_ms_t after = row->window_from_ms ? 0 : run->event->event.deliver_after_ms;
	hl_policy_window(p, from, after, row->expires_at_ms, &s.window_from_ms, &s.window_until_ms);
	row->next_at_ms = hl_policy_next(p, &s, now_ms, run->judgement.hint_ms, run->rnd);
	row->set_at_ms = now_ms;
	row->wait = run->judgement.hint_ms ? HL_WAIT_HINT : HL_WAIT_BACKOFF;
	if (run->judgement.hint_ms && row->n_hints < UINT8_MAX)
		row->n_hints++;
	if (!row->next_at_ms)
		end_row(row, HL_DELIVERY_FAILED, now_ms);
}

static void advance(struct hl_attempt_run *run, struct hl_delivery_row *row, hl_ms_t now_ms)
{
	const struct hl_attempt *a = &run->attempt;
	bool pending = row->state == HL_DELIVERY_PENDING;
	row->n_attempts++;
	if (!run->early)
		row->n_scheduled++;
	row->revision = run->destination->revision;
	row->last_class = (uint8_t)a->error_class;
	row->last_status = a->http_status;
	row->last_error = a->error;
	if (a->succeeded)
		end_row(row, HL_DELIVERY_SUCCEEDED, now_ms);
	else if (pending && run->judgement.verdict == HL_VERDICT_RETRY && !(row->flags & HL_DF_SINGLE_SHOT))
		schedule(run, row, now_ms);
	else if (pending)
		end_row(row, HL_DELIVERY_FAILED, now_ms);
}

/* The receiver says it is gone: the webhook stops, with the reason. */
static void disable_webhook(struct hl_attempt_run *run, struct hl_txn *txn, hl_ms_t now_ms)
{
	struct hl_webhook_row row;
	if (!hl_webhook_row_get(txn, run->webhook, &row) || row.w.state != HL_WEBHOOK_ENABLED)
		return;
	row.w.state = HL_WEBHOOK_DISABLED;
	row.w.reason = hl_str_from(run->judgement.reason);
	row.w.revision++;
	row.w.updated_at_ms = now_ms;
	hl_webhook_row_put(txn, &row);
	run->disabled_now = true;
	HL_CRASH_POINT(DISABLE_APPLIED);
}

static void note_queue(struct hl_attempt_run *run, struct hl_counts *c)
{
	c->fresh_from = HL_MAX(c->fresh_from, run->fresh_floor);
	if (run->change == HL_QUEUE_WAS_PARKED)
		c->parked = true;
	if (run->change == HL_QUEUE_WAS_OPENED) {
		c->parked = false;
		c->drain_gen = HL_MAX(c->drain_gen, run->drain_gen);
	}
}

static int apply_end(struct hl_attempt_run *run, struct hl_txn *txn, const struct hl_delivery_row *old)
{
	run->after = *old;
	if (old->state != HL_DELIVERY_PENDING)
		return 0;
	struct hl_delivery_row row = *old;
	row.last_class = (uint8_t)run->end_class;
	row.last_error = run->error[0] ? hl_str_from(run->error) : hl_str_from(hl_class_sentence(run->end_class));
	end_row(&row, HL_DELIVERY_FAILED, hl_core_store_wall(run->d));
	hl_delivery_change(txn, run->delivery, old, &row);
	note_queue(run, hl_counts_edit(txn, run->webhook));
	run->after = row;
	run->ended_now = true;
	return hl_txn_status(txn);
}

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct hl_attempt_run *run = HL_CONTAINER_OF(c, struct hl_attempt_run, command);
	struct hl_delivery_row old, row;
	run->stored = run->ended_now = run->disabled_now = false;
	if (!hl_delivery_row_get(txn, run->delivery, &old)) {
		struct hl_counts *counts = hl_counts_edit(txn, run->webhook);
		note_queue(run, counts);
		return hl_txn_status(txn);
	}
	run->stored = true;
	if (run->end_class != HL_CLASS_NONE)
		return apply_end(run, txn, &old);
	row = old;
	advance(run, &row, run->attempt.started_at_ms + HL_MAX(run->attempt.total_ms, 0));
	run->attempt.number = row.n_attempts;
	run->attempt.next_at_ms = row.next_at_ms;
	hl_attempt_add(txn, run->delivery, &row, &run->attempt);
	hl_delivery_change(txn, run->delivery, &old, &row);
	struct hl_counts *counts = hl_counts_edit(txn, run->webhook);
	hl_counts_note_attempt(counts, &run->attempt);
	note_queue(run, counts);
	if (run->judgement.verdict == HL_VERDICT_FINAL_DISABLE)
		disable_webhook(run, txn, row.completed_at_ms);
	run->after = row;
	run->ended_now = old.state == HL_DELIVERY_PENDING && row.state != HL_DELIVERY_PENDING;
	HL_CRASH_POINT(OUTCOME_APPLIED);
	return hl_txn_status(txn);
}

/* ---- on the loop again ---- */

static void count_end(struct hl_attempt_run *run)
{
	struct hl_stats *st = &run->d->stats;
	if (run->ended_now)
		*(run->after.state == HL_DELIVERY_SUCCEEDED ? &st->deliveries_succeeded : &st->deliveries_failed) += 1;
}

/* Still pending: back into its queue's window, if it lies in it. */
static void requeue(struct hl_attempt_run *run)
{
	struct hl_dispatcher *d = run->d;
	const struct hl_delivery_row *row = &run->after;
	struct hl_queue *q = hl_queues_get(d, run->webhook);
	if (!q || row->state != HL_DELIVERY_PENDING || !row->next_at_ms)
		return;
	struct hl_due due = {
		.due_at_ms = row->next_at_ms, .delivery = run->delivery, .event = row->event, .why = row->wait,
		.attempts = row->n_attempts, .expires_at_ms = row->expires_at_ms,
		.set_at_ms = keeps_its_time(run) ? run->due.set_at_ms : row->set_at_ms,
		.drain_gen = keeps_its_time(run) ? run->due.drain_gen : q->drain_gen,
	};
	hl_map_u64_del(&d->shared.claims, run->delivery);
	if (hl_queue_push_due(q, &due, run->early, hl_core_wall(d), hl_core_mono(d)) != 0)
		hl_queue_reload_due(q);
	hl_scheduler_touch(&d->scheduler, q);
	HL_CRASH_POINT(OUTCOME_REQUEUED);
}

static void tell(struct hl_attempt_run *run, const struct hl_delivery *view)
{
	struct hl_dispatcher *d = run->d;
	if (!d->on_attempt || !run->event)
		return;
	struct hl_outcome o = { .event = &run->event->event, .delivery = view, .attempt = &run->attempt };
	d->on_attempt(d->hook_data, &o);
}

static void log_end(const struct hl_attempt_run *run, const struct hl_delivery *view)
{
	const struct hl_log *log = &run->d->log;
	const struct hl_attempt *a = &run->attempt;
	char reason[200];
	if (run->end_class != HL_CLASS_NONE)
		hl_log(log, HL_LOG_DEBUG, "delivery.ended", "delivery=%s webhook=%s class=%s", view->id, run->destination->id,
				hl_class_name(run->end_class));
	else
		hl_log(log, HL_LOG_DEBUG, "attempt.ended", "delivery=%s event=%s webhook=%s number=%u trigger=%s class=%s status=%u "
				"ms=%d delivery_status=%s next_in_ms=%lld", view->id, view->event_id, run->destination->id, a->number,
				hl_trigger_name(a->trigger), hl_class_name(a->error_class), a->http_status, a->total_ms,
				hl_delivery_state_name(view->state),
				view->next_at_ms ? (long long)(view->next_at_ms - hl_core_wall(run->d)) : 0LL);
	if (run->disabled_now)
		hl_log(log, HL_LOG_WARN, "webhook.disabled", "webhook=%s status=%u reason=%s", run->destination->id, a->http_status,
				hl_log_quote(hl_str_from(run->judgement.reason), reason, sizeof(reason)));
}

/* Nothing was stored, so the delivery waits in the store as it did before its attempt: it is read again. */
static void lost(struct hl_attempt_run *run, int status)
{
	struct hl_dispatcher *d = run->d;
	struct hl_queue *q = hl_queues_get(d, run->webhook);
	hl_log(&d->log, HL_LOG_ERROR, "outcome.lost", "delivery=%llu code=%s", (unsigned long long)run->delivery,
			hl_errname(status));
	if (d->failed)
		return;
	if (q) {
		hl_queue_put_back(q, &(struct hl_work){ .delivery = run->delivery, .fresh = run->fresh }, hl_core_mono(d));
		hl_scheduler_touch(&d->scheduler, q);
	} else {
		hl_webhook_state_changed(d, run->event->event.account, run->webhook);
	}
}

static void done(struct hl_command *c, int status)
{
	struct hl_attempt_run *run = HL_CONTAINER_OF(c, struct hl_attempt_run, command);
	struct hl_dispatcher *d = run->d;
	HL_CRASH_POINT(OUTCOME_DURABLE);
	d->n_uncommitted--;
	hl_core_hold(d);
	hl_core_soon(d);
	struct hl_delivery view = { 0 };
	bool stored = status == 0 && run->stored;
	if (stored) {
		count_end(run);
		requeue(run);
		hl_delivery_from_row(d, run->delivery, &run->after, &run->event->event, run->destination, &view);
		log_end(run, &view);
		if (run->end_class == HL_CLASS_NONE)
			tell(run, &view);
		if (run->disabled_now)
			hl_webhook_state_changed(d, run->event->event.account, run->webhook);
	} else if (status != 0) {
		lost(run, status);
	}
	hl_attempt_cb cb = run->cb;
	void *cb_data = run->cb_data;
	if (cb)
		cb(cb_data, status ? status : stored ? 0 : HL_ENOTFOUND, stored ? &view : NULL, stored ? &run->attempt : NULL);
	hl_attempt_release(run);
}

/* A test: nothing to store, the answer goes straight to its caller (not from inside the call that began it). */
static void tell_test(struct hl_attempt_run *run)
{
	hl_attempt_cb cb = run->cb;
	run->attempt.number = 1;
	if (cb)
		cb(run->cb_data, 0, NULL, &run->attempt);
	hl_attempt_release(run);
}

void hl_outcome_submit(struct hl_attempt_run *run)
{
	struct hl_dispatcher *d = run->d;
	if (!run->delivery) {
		tell_test(run);
		return;
	}
	run->state = HL_RUN_COMMITTING;
	run->command = (struct hl_command){
		.priority = HL_PRIO_OUTCOME, .apply = apply, .done = done,
		.bytes = (uint32_t)(256 + run->attempt.response_body.len),
	};
	d->n_uncommitted++;
	hl_core_hold(d);
	hl_commit_submit(d->commit, &run->command);
}

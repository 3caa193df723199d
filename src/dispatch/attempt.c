/* One attempt.
 *
 * Happy path: the scheduler hands over a delivery; its event is in memory (or read), the webhook's destination is ready, the
 * body is rendered around the published bytes, signed, sent; the answer is judged, the slot is freed, the record and the new
 * state of the delivery go to the storage thread (outcome.c).
 *
 * Otherwise:
 *  - The delivery no longer waits (it was cancelled while in the window): nothing is sent.
 *  - Its window is over, it expired: an outcome without attempt is stored, or one attempt marked late is made.
 *  - The webhook cannot be used (its secret does not open: a damaged store) or memory is short: the queue forgets its
 *    windows, pauses for some seconds and reads them again; the log says why.
 *  - Closing: the exchange is cancelled, nothing is stored, the delivery is attempted again after the next start. */
#include "dispatch/attempt.h"

#include "dispatch/stats.h"
#include "dispatch/view.h"
#include "dispatch/queues.h"

#include "base/crash.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>

enum { FREE_RUNS_MAX = 4096, RUN_BUF_KEEP = 64 * 1024 };

/* ---- pool of runs ---- */

static struct hl_attempt_run *take_run(struct hl_dispatcher *d)
{
	struct hl_list *n = hl_list_pop_front(&d->free_runs);
	struct hl_attempt_run *run;
	if (n) {
		run = HL_LIST_ENTRY(n, struct hl_attempt_run, link);
		d->n_free_runs--;
	} else {
		run = calloc(1, sizeof(*run));
		if (!run)
			return NULL;
		hl_exchange_init(&run->exchange);
		hl_body_init(&run->body);
	}
	run->d = d;
	run->slot = (struct hl_slot){ 0 };
	run->due = (struct hl_due){ 0 };
	run->attempt = (struct hl_attempt){ 0 };
	run->judgement = (struct hl_judgement){ 0 };
	run->end_class = HL_CLASS_NONE;
	run->fresh_floor = 0;
	run->change = HL_QUEUE_SAME;
	run->stored = run->ended_now = run->disabled_now = run->early = run->fresh = run->single_shot = false;
	run->cb = NULL;
	run->error[0] = run->address[0] = '\0';
	hl_buf_reset(&run->fields);
	hl_buf_reset(&run->response);
	hl_list_push_back(&d->runs, &run->link);
	d->n_runs++;
	return run;
}

static void free_run(struct hl_attempt_run *run)
{
	hl_exchange_fini(&run->exchange);
	hl_body_fini(&run->body);
	hl_buf_fini(&run->fields);
	hl_buf_fini(&run->response);
	free(run);
}

void hl_attempt_release(struct hl_attempt_run *run)
{
	struct hl_dispatcher *d = run->d;
	if (run->delivery)
		hl_map_u64_del(&d->shared.claims, run->delivery);
	hl_destination_release(run->destination);
	hl_event_cache_release(&d->events, run->event);
	run->destination = NULL;
	run->event = NULL;
	run->state = HL_RUN_FREE;
	if (!run->slot.queue && run->cb)
		d->n_direct--;
	hl_list_remove(&run->slot.fresh);
	hl_list_remove(&run->link);
	d->n_runs--;
	if (d->n_free_runs >= FREE_RUNS_MAX || run->response.cap > RUN_BUF_KEEP || run->exchange.body.cap > RUN_BUF_KEEP) {
		free_run(run);
		return;
	}
	hl_list_push_front(&d->free_runs, &run->link);
	d->n_free_runs++;
}

void hl_attempt_free_all(struct hl_dispatcher *d)
{
	struct hl_list *n;
	while ((n = hl_list_pop_front(&d->free_runs)))
		free_run(HL_LIST_ENTRY(n, struct hl_attempt_run, link));
	d->n_free_runs = 0;
}

/* ---- the answer ---- */

static void note_stats(struct hl_attempt_run *run)
{
	struct hl_stats *st = &run->d->stats;
	const struct hl_attempt *a = &run->attempt;
	unsigned hundred = a->http_status / 100;
	st->attempts[a->error_class][hundred < 6 ? hundred : 0]++;
	hl_stats_note(&st->attempt, a->total_ms);
	hl_stats_note(&st->dns, a->dns_ms);
	if (a->succeeded && run->event)
		hl_stats_note(&st->latency, a->started_at_ms + a->total_ms - run->event->event.created_at_ms);
}

/* Judges and records; then the slot is free. */
static void finish(struct hl_attempt_run *run, const struct hl_answer *answer)
{
	struct hl_dispatcher *d = run->d;
	struct hl_destination *x = run->destination;
	hl_policy_judge(&x->policy, x->format, &d->set.finals, answer, hl_core_wall(d), &run->judgement);
	struct hl_attempt *a = &run->attempt;
	a->succeeded = run->judgement.verdict == HL_VERDICT_SUCCEEDED;
	a->error_class = run->judgement.error_class;
	a->http_status = answer->http_status;
	if (!a->succeeded) {
		if (!run->error[0])
			snprintf(run->error, sizeof(run->error), "%s", run->judgement.error);
		a->error = hl_str_from(run->error);
	}
	if (!a->succeeded)
		hl_env_random(d->env, &run->rnd, sizeof(run->rnd));
	note_stats(run);
	struct hl_queue *q = run->slot.queue;
	if (q) {
		run->change = hl_scheduler_finish(&d->scheduler, &run->slot, &run->judgement);
		run->drain_gen = q->drain_gen;
		run->fresh_floor = hl_queue_fresh_floor(q, &run->slot); /* goes on from here when this outcome is stored */
		if (run->change == HL_QUEUE_WAS_PARKED)
			d->stats.queues_parked++;
		else if (run->change == HL_QUEUE_WAS_OPENED)
			d->stats.queues_opened++;
		if (run->change != HL_QUEUE_SAME)
			hl_log(&d->log, HL_LOG_INFO, run->change == HL_QUEUE_WAS_PARKED ? "queue.parked" : "queue.opened",
					"webhook=%s class=%s status=%u", x->id, hl_class_name(a->error_class), a->http_status);
	}
	HL_CRASH_POINT(ATTEMPT_ANSWERED);
	hl_outcome_submit(run);
	HL_CRASH_POINT(OUTCOME_SUBMITTED);
	if (q)
		hl_queues_retire(d, q);
	hl_core_soon(d);
}

static void on_answer(void *data, struct hl_exchange *x, const struct hl_exchange_result *r)
{
	struct hl_attempt_run *run = data;
	struct hl_dispatcher *d = run->d;
	(void)x;
	if (r->error == HL_ECANCELED) {
		if (run->slot.queue) {
			hl_scheduler_drop(&d->scheduler, &run->slot);
			hl_queues_retire(d, run->slot.queue);
		}
		hl_attempt_cb cb = run->cb;
		void *cb_data = run->cb_data;
		hl_attempt_release(run);
		hl_core_soon(d);
		if (cb)
			cb(cb_data, HL_ECANCELED, NULL, NULL);
		return;
	}
	struct hl_attempt *a = &run->attempt;
	a->dns_ms = r->dns_ms;
	a->connect_ms = r->connect_ms;
	a->tls_ms = r->tls_ms;
	a->first_byte_ms = r->first_byte_ms;
	a->total_ms = r->total_ms;
	memcpy(run->address, r->address, sizeof(run->address));
	a->address = hl_str_from(run->address);
	a->tls = hl_str_from(r->tls); /* a literal */
	if (r->body.len) {
		hl_utf8_repair(&run->response, r->body, HL_RESPONSE_CHARS_MAX);
		if (hl_buf_ok(&run->response))
			a->response_body = hl_buf_all(&run->response);
	}
	if (r->error_class != HL_CLASS_NONE)
		snprintf(run->error, sizeof(run->error), "%s", r->text);
	if (r->detail[0])
		hl_log(&d->log, HL_LOG_WARN, "attempt.blocked", "webhook=%s detail=\"%s\"", run->destination->id, r->detail);
	if (r->resent)
		d->stats.attempts_resent++;
	if (r->reused)
		d->stats.connections_reused++;
	else if (r->address[0])
		d->stats.connections_opened++;
	if (r->tls && r->tls[0] && !r->reused)
		*(r->resumed ? &d->stats.tls_handshakes_resumed : &d->stats.tls_handshakes_full) += 1;
	finish(run, &(struct hl_answer){ .error_class = r->error_class, .http_status = r->status, .body = r->body,
					.location = r->location, .retry_after = r->retry_after });
}

/* ---- the request ---- */

static bool find_server(struct hl_attempt_run *run, struct hl_render_server *out, char id[HL_ID_CAP])
{
	struct hl_server_row row;
	uint64_t number = run->event->event.server;
	if (!number || !hl_server_row_get(hl_core_read(run->d), number, &row) || row.account != run->event->event.account)
		return false;
	hl_core_id(run->d, HL_ID_SERVER, number, row.created_at_ms, id);
	*out = (struct hl_render_server){ hl_str_from(id), row.name, row.status };
	return true;
}

static int build_request(struct hl_attempt_run *run, uint32_t number, struct hl_exchange_request *out)
{
	struct hl_destination *x = run->destination;
	struct hl_event *e = &run->event->event;
	char delivery_id[HL_ID_CAP], server_id[HL_ID_CAP];
	struct hl_render_server server;
	struct hl_render render = { .dialect = x->dialect, .format = x->format, .event = e, .webhook = x->webhook };
	if (hl_render_wants_server(x->dialect) && find_server(run, &server, server_id))
		render.server = &server;
	int rc = hl_render_body(&render, &run->body);
	if (rc)
		return rc;
	size_t n = hl_body_slices(&run->body, run->parts);
	hl_core_id(run->d, HL_ID_DELIVERY, run->delivery, run->created_at_ms, delivery_id);
	hl_buf_str(&run->fields, x->fields);
	hl_ms_t now = run->attempt.started_at_ms;
	struct hl_sign sign = {
		.dialect = x->dialect, .format = x->format, .current = &x->current,
		.previous = x->has_previous && now < x->previous_until_ms ? &x->previous : NULL,
		.event_id = { e->id, HL_ID_LEN }, .delivery_id = { delivery_id, HL_ID_LEN }, .event_type = e->type,
		.attempt = number, .timestamp_s = now / 1000, .body = run->parts, .n_body = n,
	};
	rc = hl_sign_headers(&run->fields, &sign);
	if (rc == 0 && !hl_buf_ok(&run->fields))
		rc = HL_ENOMEM;
	*out = (struct hl_exchange_request){ .url = &x->url, .method = HL_STR("POST"), .fields = hl_buf_all(&run->fields),
		.body = run->parts, .n_body = n, .timeout_ms = x->timeout_ms };
	return rc;
}

static int send_request(struct hl_attempt_run *run, uint32_t number)
{
	struct hl_dispatcher *d = run->d;
	struct hl_exchange_request request;
	run->attempt.started_at_ms = hl_core_wall(d);
	int rc = build_request(run, number, &request);
	if (rc == 0)
		rc = d->transport.start(d->transport.data, &run->exchange, &request, on_answer, run);
	if (rc == 0)
		run->state = HL_RUN_SENDING;
	return rc;
}

/* ---- starting ---- */

/* The event in memory: from the work, from the cache, or from the store. NULL: not there (or no memory). */
static struct hl_event_ref *find_event(struct hl_dispatcher *d, struct hl_work *work)
{
	if (work->ref)
		return work->ref;
	struct hl_event_ref *ref = hl_event_cache_find(&d->events, work->event);
	if (ref)
		return ref;
	struct hl_event_row row;
	if (!hl_event_row_get(hl_core_read(d), work->event, &row))
		return NULL;
	struct hl_event e;
	hl_event_from_row(d, work->event, &row, &e);
	return hl_event_cache_add(&d->events, &e);
}

static enum hl_trigger trigger_of(const struct hl_work *w, enum hl_at_dispatch at)
{
	if (at == HL_AT_ATTEMPT_LATE)
		return HL_TRIGGER_LATE;
	if (w->probe)
		return HL_TRIGGER_PROBE;
	if (w->fresh || w->due.attempts == 0)
		return HL_TRIGGER_PUBLISH;
	return w->due.why == HL_WAIT_MANUAL ? HL_TRIGGER_MANUAL : HL_TRIGGER_RETRY;
}

static enum hl_class end_class(struct hl_attempt_run *run, enum hl_at_dispatch at, const struct hl_delivery_row *row)
{
	struct hl_counts counts;
	switch (at) {
	case HL_AT_END_EXPIRED:
		return HL_CLASS_EXPIRED;
	case HL_AT_END_PAUSED:
		return HL_CLASS_PAUSED;
	case HL_AT_END_PARKED:
		hl_counts_get(hl_core_read(run->d), run->webhook, &counts);
		snprintf(run->error, sizeof(run->error), "%.*s", (int)counts.last_failure_len, counts.last_failure);
		return counts.last_class ? (enum hl_class)counts.last_class : HL_CLASS_TIMEOUT;
	default: /* END_STRICT keeps its last outcome */
		snprintf(run->error, sizeof(run->error), "%.*s", HL_FMT(row->last_error));
		return row->last_class ? (enum hl_class)row->last_class : HL_CLASS_TIMEOUT;
	}
}

/* Reads what memory does not know of the delivery. 0, HL_ECONFLICT (it no longer waits), or an error. */
static int read_row(struct hl_dispatcher *d, const struct hl_work *w, const struct hl_event *e, struct hl_delivery_row *row)
{
	bool published = w->delivery >= e->first_delivery && w->delivery < e->first_delivery + e->n_deliveries;
	if (w->fresh && published) { /* never attempted: everything follows from the event */
		*row = (struct hl_delivery_row){ .event = w->event, .created_at_ms = e->created_at_ms,
			.expires_at_ms = e->expires_at_ms };
		return 0;
	}
	struct hl_txn *txn = hl_core_read(d);
	if (!hl_delivery_row_get(txn, w->delivery, row))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ECONFLICT;
	return row->state == HL_DELIVERY_PENDING ? 0 : HL_ECONFLICT;
}

static enum hl_at_dispatch judge_time(struct hl_attempt_run *run, const struct hl_work *w, const struct hl_delivery_row *row)
{
	const struct hl_event *e = &run->event->event;
	hl_ms_t from, until;
	if (row->window_from_ms)
		hl_policy_window(&run->destination->policy, row->window_from_ms, 0, row->expires_at_ms, &from, &until);
	else
		hl_policy_window(&run->destination->policy, row->created_at_ms, e->deliver_after_ms, row->expires_at_ms, &from,
				&until);
	return hl_policy_at_dispatch(&run->destination->policy, until, row->expires_at_ms, HL_WEBHOOK_ENABLED, w->probe,
			hl_core_wall(run->d));
}

/* With run's event and destination set. */
static enum hl_start begin(struct hl_attempt_run *run, struct hl_queue *q, struct hl_work *work, struct hl_slot **out_slot)
{
	struct hl_dispatcher *d = run->d;
	struct hl_delivery_row row;
	int rc = read_row(d, work, &run->event->event, &row);
	if (rc) {
		hl_attempt_release(run);
		return rc == HL_ECONFLICT ? HL_START_ENDED : HL_START_FAILED;
	}
	run->created_at_ms = row.created_at_ms;
	run->fresh = work->fresh;
	run->early = work->early;
	run->due = work->due;
	enum hl_at_dispatch at = judge_time(run, work, &row);
	if (at != HL_AT_ATTEMPT && at != HL_AT_ATTEMPT_LATE && at != HL_AT_HOLD) {
		run->end_class = end_class(run, at, &row);
		run->fresh_floor = hl_queue_fresh_floor(q, NULL);
		run->slot.delivery = run->delivery;
		if (run->fresh)
			hl_queue_note_fresh(q, &run->slot);
		hl_outcome_submit(run);
		return HL_START_ENDED;
	}
	run->attempt.trigger = trigger_of(work, at);
	rc = send_request(run, row.n_attempts + 1);
	if (rc) {
		hl_attempt_release(run);
		return HL_START_FAILED;
	}
	run->slot.queue = q;
	*out_slot = &run->slot;
	return HL_START_OK;
}

enum hl_start hl_attempt_start(void *dispatcher, struct hl_queue *q, struct hl_work *work, struct hl_slot **out_slot)
{
	struct hl_dispatcher *d = dispatcher;
	struct hl_event_ref *event = find_event(d, work);
	struct hl_destination *x = NULL;
	struct hl_attempt_run *run = event ? take_run(d) : NULL;
	if (!run) {
		hl_event_cache_release(&d->events, event);
		return HL_START_FAILED;
	}
	run->event = event;
	run->delivery = work->delivery;
	run->webhook = q->webhook;
	int rc = hl_destination_of_queue(d, q, &x);
	if (rc == 0) {
		run->destination = hl_destination_hold(x);
		rc = hl_map_u64_put(&d->shared.claims, work->delivery, run);
	}
	if (rc) {
		hl_attempt_release(run);
		return HL_START_FAILED;
	}
	HL_CRASH_POINT(ATTEMPT_BEGUN);
	return begin(run, q, work, out_slot);
}

int hl_attempt_direct(struct hl_dispatcher *d, struct hl_destination *destination, struct hl_event_ref *event,
		uint64_t delivery, hl_ms_t created_at_ms, enum hl_trigger trigger, hl_attempt_cb cb, void *cb_data)
{
	struct hl_attempt_run *run = take_run(d);
	if (!run) {
		hl_destination_release(destination);
		hl_event_cache_release(&d->events, event);
		return HL_ENOMEM;
	}
	run->event = event;
	run->destination = destination;
	run->delivery = delivery;
	run->webhook = destination->webhook;
	run->single_shot = true;
	run->created_at_ms = created_at_ms;
	run->attempt.trigger = trigger;
	int rc = delivery ? hl_map_u64_put(&d->shared.claims, delivery, run) : 0;
	if (rc == 0)
		rc = send_request(run, 1);
	if (rc) {
		hl_attempt_release(run);
		return rc;
	}
	run->cb = cb;
	run->cb_data = cb_data;
	d->n_direct++;
	return 0;
}

void hl_attempt_cancel_all(struct hl_dispatcher *d)
{
	HL_LIST_EACH(n, &d->runs)
	{
		struct hl_attempt_run *run = HL_LIST_ENTRY(n, struct hl_attempt_run, link);
		if (run->state == HL_RUN_SENDING)
			d->transport.cancel(d->transport.data, &run->exchange);
	}
}

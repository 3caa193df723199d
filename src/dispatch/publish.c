/* Publishing: one command stores the event, all its deliveries and its idempotency records; the callback says durable.
 *
 * Happy path: the targets are matched on the loop and travel with the account's generation; apply finds the generation
 * unchanged and appends. When the batch is on disk the deliveries go straight into their queues' windows with the event's
 * bytes, so nothing is read back.
 *
 * Otherwise: a webhook of the account changed in between (apply says HL_EAGAIN, the loop matches again and hands over anew,
 * with new numbers); the same id or key was used before (the first answer again, or HL_EMISMATCH); store or disk full
 * (HL_EFULL, nothing stored). Replay of an event is the same command without a new event. A rider (publish.h) adds a change
 * of its own to the transaction, or refuses it. */
#include "dispatch/publish.h"

#include "dispatch/idempotency.h"
#include "dispatch/janitor.h"
#include "dispatch/validate.h"
#include "dispatch/view.h"
#include "dispatch/queues.h"

#include "base/crash.h"
#include "base/err.h"
#include <openssl/evp.h>
#include <stdlib.h>

enum { MATCH_TRIES_MAX = 16 };

struct publish {
	struct hl_command command;
	struct hl_dispatcher *d;
	uint32_t account;
	bool replay;                  /* deliveries of an event that is already stored */
	struct hl_event_ref *event;   /* owned until durable; not in the cache before */
	struct hl_targets *targets;   /* held */
	struct hl_targets *only;      /* replay to one webhook: owned, in place of targets */
	struct hl_targets *all;       /* what apply writes: one of the two */
	uint64_t generation;
	uint64_t first_delivery;
	hl_ms_t created_at_ms;        /* of the deliveries */
	uint32_t tries;
	const struct hl_publish_rider *rider; /* NULL = none */
	struct hl_idem_use idem;      /* Idempotency-Key */
	struct hl_idem_use own_id;    /* the publisher's own id */
	hl_publish_cb cb;
	void *data;
	/* found by apply: an earlier publish */
	uint64_t found_event;
	uint32_t found_n;
	hl_ms_t found_created_at_ms;
	bool id_clashed;              /* HL_EMISMATCH is about own_id */
};

/* ---- apply, on the storage thread ---- */

static int find_earlier(struct publish *p, struct hl_txn *txn)
{
	int rc = hl_idem_use_check(&p->idem, p->d->store, txn);
	uint64_t number = p->idem.number;
	if (rc == 0) {
		rc = hl_idem_use_check(&p->own_id, p->d->store, txn);
		number = p->own_id.number;
		p->id_clashed = rc == HL_EMISMATCH;
	}
	if (rc != HL_EEXIST)
		return rc;
	struct hl_event_row row;
	p->found_event = number;
	p->found_n = 0;
	p->found_created_at_ms = 0;
	if (hl_event_row_get(txn, number, &row)) {
		p->found_n = row.n_deliveries;
		p->found_created_at_ms = row.created_at_ms;
	}
	return HL_EEXIST;
}

static bool delayed(const struct hl_event *e)
{
	return e->deliver_after_ms || e->expires_at_ms;
}

static void delivery_row(const struct publish *p, uint32_t i, struct hl_delivery_row *row)
{
	const struct hl_event *e = &p->event->event;
	*row = (struct hl_delivery_row){
		.event = e->number, .account = p->account, .webhook = p->all->items[i].webhook,
		.revision = p->all->items[i].revision, .dialect = p->all->items[i].dialect,
		.flags = p->replay ? HL_DF_LATER : 0, .created_at_ms = p->created_at_ms, .expires_at_ms = e->expires_at_ms,
	};
	if (p->replay)
		row->window_from_ms = p->created_at_ms;
	if (delayed(e)) { /* has a time to be looked at: waits among the due ones */
		row->next_at_ms = HL_MAX(p->created_at_ms, e->deliver_after_ms);
		row->wait = HL_WAIT_DELIVER_AFTER;
		row->set_at_ms = p->created_at_ms;
	}
}

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct publish *p = HL_CONTAINER_OF(c, struct publish, command);
	const struct hl_event *e = &p->event->event;
	int rc = find_earlier(p, txn);
	if (rc)
		return rc;
	struct hl_event_row known;
	if (p->replay && !hl_event_row_get(txn, e->number, &known)) /* retention was here meanwhile */
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	if (hl_account_generation(txn, p->account) != p->generation)
		return HL_EAGAIN;
	rc = p->rider ? p->rider->apply(p->rider->data, txn, e) : 0;
	if (rc)
		return rc;
	if (!p->replay) {
		struct hl_event_row row = {
			.account = e->account, .server = e->server, .created_at_ms = e->created_at_ms,
			.occurred_at_ms = e->occurred_at_ms, .deliver_after_ms = e->deliver_after_ms,
			.expires_at_ms = e->expires_at_ms, .first_delivery = e->first_delivery,
			.n_deliveries = e->n_deliveries, .type = e->type, .external_id = e->external_id, .data = e->data,
		};
		hl_event_append(txn, e->number, &row);
	}
	for (uint32_t i = 0; i < p->all->n; i++) {
		struct hl_delivery_row row;
		delivery_row(p, i, &row);
		hl_delivery_append(txn, p->first_delivery + i, &row);
		if (i == p->all->n / 2)
			HL_CRASH_POINT(PUBLISH_HALF);
	}
	hl_idem_use_put(&p->idem, txn, e->number);
	hl_idem_use_put(&p->own_id, txn, e->number);
	if (p->replay)
		HL_CRASH_POINT(REPLAY_APPLIED);
	return hl_txn_status(txn);
}

/* ---- on the loop ---- */

static void destroy(struct publish *p)
{
	if (p->event)
		hl_event_cache_release(&p->d->events, p->event);
	if (p->targets)
		hl_targets_release(p->targets);
	free(p->only);
	hl_idem_use_fini(&p->idem);
	hl_idem_use_fini(&p->own_id);
	free(p);
}

static struct hl_queue *queue_for(struct hl_dispatcher *d, uint32_t webhook)
{
	struct hl_queue *q = hl_queues_get(d, webhook);
	if (q)
		return q;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	if (!hl_webhook_row_peek(txn, webhook, &row)) {
		if (hl_txn_status(txn))
			hl_core_behind(d, hl_txn_status(txn)); /* what was just stored for it is found again then */
		return NULL;
	}
	if (row.w.state == HL_WEBHOOK_DELETED)
		return NULL;
	return hl_queues_make(d, &row.w, false); /* it had no queue, so nothing of it was pending */
}

static void enqueue(struct publish *p, uint32_t i, bool in_memory)
{
	struct hl_dispatcher *d = p->d;
	const struct hl_event *e = &p->event->event;
	uint64_t delivery = p->first_delivery + i;
	struct hl_queue *q = queue_for(d, p->all->items[i].webhook);
	if (!q)
		return;
	if (delayed(e)) {
		struct hl_delivery_row row;
		delivery_row(p, i, &row);
		struct hl_due due = { .due_at_ms = row.next_at_ms, .delivery = delivery, .event = e->number, .why = row.wait,
			.expires_at_ms = row.expires_at_ms, .set_at_ms = row.set_at_ms, .drain_gen = q->drain_gen };
		if (hl_queue_push_due(q, &due, false, hl_core_wall(d), hl_core_mono(d)) != 0)
			hl_queue_reload_due(q);
	} else {
		struct hl_event_ref *ref = in_memory ? hl_event_ref_hold(p->event) : NULL;
		if (!hl_queue_push_fresh(q, delivery, e->number, ref))
			hl_event_cache_release(&d->events, ref);
	}
	hl_scheduler_touch(&d->scheduler, q);
}

static void stored(struct publish *p)
{
	struct hl_dispatcher *d = p->d;
	HL_CRASH_POINT(PUBLISH_DURABLE);
	bool in_memory = !p->replay && hl_event_cache_room(&d->events) && hl_event_cache_insert(&d->events, p->event);
	d->stats.deliveries_created += p->all->n;
	if (!p->replay)
		d->stats.events_accepted++;
	for (uint32_t i = 0; i < p->all->n; i++)
		enqueue(p, i, in_memory);
	HL_CRASH_POINT(PUBLISH_QUEUED);
	hl_janitor_note(d);
	hl_core_soon(d);
}

static int match_again(struct publish *p);
static int render_again(struct publish *p);

static void answer(struct publish *p, int status)
{
	const struct hl_event *e = &p->event->event;
	struct hl_published out = { 0 };
	if (status == HL_OK) {
		out.event = e->number;
		out.n_deliveries = p->all->n;
		out.created_at_ms = e->created_at_ms;
	} else if (status == HL_EEXIST) {
		out.event = p->found_event;
		out.n_deliveries = p->found_n;
		out.created_at_ms = p->found_created_at_ms;
		out.replayed = true;
		out.answer = hl_buf_all(&p->idem.answer);
		status = HL_OK;
	}
	if (status == HL_OK) {
		hl_core_id(p->d, HL_ID_EVENT, out.event, out.created_at_ms, out.event_id);
		hl_log(&p->d->log, HL_LOG_DEBUG, p->replay ? "event.replayed" : "event.accepted", "event=%s account=%u deliveries=%u%s",
				out.event_id, p->account, out.n_deliveries, out.replayed ? " known=1" : "");
	}
	out.id_clashed = status == HL_EMISMATCH && p->id_clashed;
	p->cb(p->data, status, status == HL_OK || status == HL_EMISMATCH ? &out : NULL);
	destroy(p);
}

static void done(struct hl_command *c, int status)
{
	struct publish *p = HL_CONTAINER_OF(c, struct publish, command);
	struct hl_dispatcher *d = p->d;
	if (status == HL_EAGAIN && p->tries < MATCH_TRIES_MAX) {
		status = match_again(p);
		if (status == 0)
			status = render_again(p);
		if (status == 0) {
			hl_commit_submit(d->commit, &p->command);
			return;
		}
	}
	hl_core_command_done(d);
	if (status == HL_OK)
		stored(p);
	else if (status == HL_EFULL)
		d->stats.events_refused_full++;
	answer(p, status);
}

/* The one webhook of a replay as it is now. */
static int look_at_only(struct publish *p)
{
	struct hl_target *t = &p->only->items[0];
	struct hl_txn *txn = hl_core_read(p->d);
	struct hl_webhook_row row;
	if (!hl_webhook_row_peek(txn, t->webhook, &row) || row.w.account != p->account || row.w.state == HL_WEBHOOK_DELETED)
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	t->revision = row.w.revision;
	t->dialect = (uint8_t)row.w.dialect;
	return 0;
}

static int look_at_all(struct publish *p)
{
	const struct hl_event *e = &p->event->event;
	if (p->targets)
		hl_targets_release(p->targets);
	p->targets = NULL;
	return hl_subscriptions_match(p->d->subscriptions, p->account, e->type, e->server, &p->targets);
}

/* Numbers and targets as they are now; called again when the account changed under way. */
static int match_again(struct publish *p)
{
	struct hl_dispatcher *d = p->d;
	struct hl_event *e = &p->event->event;
	p->tries++;
	int rc = p->only ? look_at_only(p) : look_at_all(p);
	if (rc)
		return rc;
	p->all = p->only ? p->only : p->targets;
	p->generation = hl_core_generation(d, p->account);
	p->first_delivery = d->numbers.delivery;
	d->numbers.delivery += p->all->n;
	if (!p->replay) {
		e->number = d->numbers.event++;
		e->first_delivery = p->first_delivery;
		e->n_deliveries = p->all->n;
		hl_core_id(d, HL_ID_EVENT, e->number, e->created_at_ms, e->id);
		if (p->rider && p->rider->id_at) /* our own copy, which nobody else has seen yet */
			memcpy((char *)e->data.ptr + p->rider->id_at, e->id, HL_ID_LEN);
	}
	return 0;
}

/* What the publisher will be told, and told again by its Idempotency-Key. */
static struct hl_published promise(const struct publish *p)
{
	const struct hl_event *e = &p->event->event;
	struct hl_published out = { .event = e->number, .n_deliveries = p->all->n, .created_at_ms = e->created_at_ms };
	memcpy(out.event_id, e->id, sizeof(e->id));
	return out;
}

/* After match_again: the event has another number, so another id, and perhaps other deliveries. */
static int render_again(struct publish *p)
{
	struct hl_published out = promise(p);
	return hl_idem_use_render(p->d, &p->idem, &out, HL_STR_NONE);
}

static struct publish *new_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_event *e, hl_publish_cb cb,
		void *data)
{
	struct publish *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->d = d;
	p->account = account;
	p->cb = cb;
	p->data = data;
	p->event = hl_event_ref_create(e);
	if (!p->event) {
		free(p);
		return NULL;
	}
	return p;
}

static int hand_over(struct publish *p, const struct hl_idempotency *idem)
{
	struct hl_event *e = &p->event->event;
	int rc = match_again(p);
	if (rc == 0) {
		struct hl_published out = promise(p);
		rc = hl_idem_use_init(p->d, &p->idem, p->account, idem, &out, HL_STR_NONE);
	}
	if (rc) {
		destroy(p);
		return rc;
	}
	p->command = (struct hl_command){
		.priority = HL_PRIO_PUBLISH, .grows = true, .apply = apply, .done = done,
		.bytes = (uint32_t)HL_MIN(e->data.len + 256 + (size_t)p->all->n * 80, (size_t)UINT32_MAX),
	};
	hl_core_submit(p->d, &p->command);
	HL_CRASH_POINT(PUBLISH_SUBMITTED);
	return 0;
}

/* What must be equal when a publisher uses an id again. */
static bool own_fingerprint(const struct hl_publish *p, uint8_t out[32])
{
	uint8_t fixed[32];
	hl_be64_put(fixed, p->server);
	hl_be64_put(fixed + 8, (uint64_t)p->occurred_at_ms);
	hl_be64_put(fixed + 16, (uint64_t)p->deliver_after_ms);
	hl_be64_put(fixed + 24, (uint64_t)p->expires_at_ms);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(ctx, fixed, sizeof(fixed)) == 1 &&
		  EVP_DigestUpdate(ctx, p->type.ptr, p->type.len) == 1 && EVP_DigestUpdate(ctx, "", 1) == 1 &&
		  EVP_DigestUpdate(ctx, p->data.ptr, p->data.len) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static int use_own_id(struct publish *p, const struct hl_publish *in)
{
	struct hl_idempotency own = { .scope = HL_IDEM_SCOPE_ID, .key = in->external_id };
	if (in->external_id.len == 0)
		return 0;
	if (!own_fingerprint(in, own.fingerprint))
		return HL_EIO;
	return hl_idem_use_init(p->d, &p->own_id, p->account, &own, NULL, HL_STR_NONE);
}

static int begin(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *in, const struct hl_publish_rider *rider,
		hl_publish_cb cb, void *data, struct hl_err *err)
{
	hl_ms_t now = hl_core_wall(d);
	struct hl_event e = {
		.account = account, .type = in->type, .external_id = in->external_id, .server = in->server, .data = in->data,
		.created_at_ms = now, .occurred_at_ms = in->occurred_at_ms ? in->occurred_at_ms : now,
		.deliver_after_ms = in->deliver_after_ms, .expires_at_ms = in->expires_at_ms,
	};
	struct publish *p = new_publish(d, account, &e, cb, data);
	if (!p)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	p->created_at_ms = now;
	p->rider = rider;
	int rc = use_own_id(p, in);
	if (rc) {
		destroy(p);
		return hl_err_set(err, rc, "%s", hl_strerror(rc));
	}
	rc = hand_over(p, in->idempotency);
	return rc ? hl_err_set(err, rc, "%s", hl_strerror(rc)) : 0;
}

int hl_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *in, hl_publish_cb cb, void *data,
		struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc == 0)
		rc = hl_validate_publish(in, d->set.data_max, hl_core_wall(d), err);
	return rc ? rc : begin(d, account, in, NULL, cb, data, err);
}

int hl_publish_with(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *in, const struct hl_publish_rider *rider,
		hl_publish_cb cb, void *data, struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	return rc ? rc : begin(d, account, in, rider, cb, data, err);
}

/* ---- replay ---- */

static int only_target(struct publish *p, uint32_t webhook)
{
	p->only = calloc(1, sizeof(*p->only) + sizeof(p->only->items[0]));
	if (!p->only)
		return HL_ENOMEM;
	p->only->n = 1;
	p->only->items[0].webhook = webhook;
	return look_at_only(p);
}

int hl_event_replay(struct hl_dispatcher *d, uint32_t account, const struct hl_replay *r, hl_publish_cb cb, void *data,
		struct hl_err *err)
{
	struct hl_event_row row;
	struct hl_event e;
	int rc = hl_core_admit(d, err);
	if (rc)
		return rc;
	if (!hl_event_row_get(hl_core_read(d), r->event, &row) || row.account != account)
		return hl_err_set(err, HL_ENOTFOUND, "no such event");
	hl_event_from_row(d, r->event, &row, &e);
	e.deliver_after_ms = e.expires_at_ms = 0; /* said about the first delivery, long ago */
	struct publish *p = new_publish(d, account, &e, cb, data);
	if (!p)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	p->replay = true;
	p->created_at_ms = hl_core_wall(d);
	rc = r->webhook ? only_target(p, r->webhook) : 0;
	if (rc) {
		destroy(p);
		return hl_err_field(err, rc, "/webhook", "%s", rc == HL_ENOTFOUND ? "no such webhook" : hl_strerror(rc));
	}
	rc = hand_over(p, r->idempotency);
	return rc ? hl_err_set(err, rc, "%s", hl_strerror(rc)) : 0;
}

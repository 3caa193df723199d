/* Retrying and cancelling one delivery. apply decides from the row as it finds it; done brings the queue in step, unless an
 * attempt of the delivery is under way: its outcome, which also works from the stored row, does that then. */
#include "dispatch/delivery_changes.h"

#include "dispatch/view.h"
#include "dispatch/webhook_state.h"
#include "dispatch/queues.h"

#include "base/err.h"
#include <stdlib.h>

struct change {
	struct hl_command command;
	struct hl_dispatcher *d;
	uint32_t account;
	uint64_t number;
	hl_ms_t now_ms;
	hl_delivery_cb cb;
	void *data;
	bool changed;                    /* found by apply: there was something to do */
	struct hl_delivery_row row;      /* as retry's apply left it, without last_error */
};

void hl_delivery_requeue(struct hl_dispatcher *d, uint64_t number, const struct hl_delivery_row *row)
{
	struct hl_queue *q = hl_queues_get(d, row->webhook);
	if (hl_map_u64_get(&d->shared.claims, number))
		return;
	if (!q) { /* had nothing to do until now; its windows are read from the store */
		hl_webhook_state_changed(d, row->account, row->webhook);
		return;
	}
	struct hl_due due = {
		.due_at_ms = row->next_at_ms, .delivery = number, .event = row->event, .why = row->wait,
		.attempts = row->n_attempts, .expires_at_ms = row->expires_at_ms, .set_at_ms = hl_core_wall(d),
		.drain_gen = q->drain_gen,
	};
	(void)hl_queue_remove(q, number);
	if (hl_queue_push_due(q, &due, false, hl_core_wall(d), hl_core_mono(d)) != 0)
		hl_queue_reload_due(q);
	hl_scheduler_touch(&d->scheduler, q);
	hl_core_soon(d);
}

/* ---- the common part ---- */

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

/* In apply: the row, and whether its webhook lives. */
static int find(const struct change *c, struct hl_txn *txn, struct hl_delivery_row *out)
{
	struct hl_webhook_row w;
	if (!hl_delivery_row_get(txn, c->number, out))
		return absent(txn);
	if (out->account != c->account)
		return HL_ENOTFOUND;
	if (!hl_webhook_row_peek(txn, out->webhook, &w))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ECONFLICT;
	return w.w.state == HL_WEBHOOK_DELETED ? HL_ECONFLICT : 0;
}

static void finish(struct change *c, int status, const char *conflict)
{
	struct hl_dispatcher *d = c->d;
	struct hl_err err = { 0 };
	struct hl_delivery v;
	if (status == 0)
		status = hl_delivery_get(d, c->account, c->number, &v);
	if (status == HL_ECONFLICT)
		hl_err_set(&err, status, "%s", conflict);
	else if (status)
		hl_err_set(&err, status, "%s", status == HL_ENOTFOUND ? "no such delivery" : hl_strerror(status));
	c->cb(c->data, status, status ? &err : NULL, status ? NULL : &v);
	free(c);
}

static int begin(struct hl_dispatcher *d, uint32_t account, uint64_t number, int (*apply)(struct hl_command *, struct hl_txn *),
		void (*done)(struct hl_command *, int), hl_delivery_cb cb, void *data, struct hl_err *err)
{
	struct hl_delivery_row row;
	int rc = hl_core_admit(d, err);
	if (rc)
		return rc;
	rc = hl_delivery_visible(d, account, number, &row);
	if (rc)
		return hl_err_set(err, rc, "%s", rc == HL_ENOTFOUND ? "no such delivery" : hl_strerror(rc));
	struct change *c = calloc(1, sizeof(*c));
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	*c = (struct change){ .d = d, .account = account, .number = number, .now_ms = hl_core_wall(d), .cb = cb, .data = data };
	c->command = (struct hl_command){ .priority = HL_PRIO_API, .apply = apply, .done = done, .bytes = 512 };
	hl_core_submit(d, &c->command);
	return 0;
}

/* ---- retry ---- */

static int retry_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_delivery_row old;
	c->changed = false;
	int rc = find(c, txn, &old);
	if (rc)
		return rc;
	struct hl_delivery_row row = old;
	bool pending = old.state == HL_DELIVERY_PENDING;
	if (pending && !old.next_at_ms)
		return 0; /* never attempted: it is due anyway */
	row.next_at_ms = row.set_at_ms = c->now_ms;
	row.wait = HL_WAIT_MANUAL;
	if (!pending) { /* from the start, with the whole policy */
		row.state = HL_DELIVERY_PENDING;
		row.completed_at_ms = 0;
		row.window_from_ms = c->now_ms;
		row.n_scheduled = 0;
		row.n_hints = 0;
		row.flags &= (uint8_t)~HL_DF_SINGLE_SHOT;
		if (row.expires_at_ms && row.expires_at_ms <= c->now_ms)
			row.expires_at_ms = 0; /* who asks for it now wants it although it is late */
	}
	hl_delivery_change(txn, c->number, &old, &row);
	c->changed = true;
	c->row = row;
	c->row.last_error = HL_STR_NONE;
	return hl_txn_status(txn);
}

/* What is stored now counts; when it cannot be read, what was stored by us is tried. */
static void retry_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_dispatcher *d = c->d;
	struct hl_txn *txn = hl_core_read(d);
	struct hl_delivery_row row;
	hl_core_command_done(d);
	if (status == 0 && c->changed) {
		bool found = hl_delivery_row_get(txn, c->number, &row);
		if (!found && hl_txn_status(txn)) {
			row = c->row;
			found = true;
		}
		if (found && row.state == HL_DELIVERY_PENDING && row.next_at_ms)
			hl_delivery_requeue(d, c->number, &row);
	}
	finish(c, status, "the webhook of this delivery is deleted");
}

int hl_delivery_retry(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_delivery_cb cb, void *data,
		struct hl_err *err)
{
	return begin(d, account, number, retry_apply, retry_done, cb, data, err);
}

/* ---- cancel ---- */

static int cancel_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_delivery_row old;
	int rc = find(c, txn, &old);
	if (rc)
		return rc;
	if (old.state != HL_DELIVERY_PENDING)
		return HL_ECONFLICT;
	struct hl_delivery_row row = old;
	row.state = HL_DELIVERY_CANCELLED;
	row.next_at_ms = 0;
	row.completed_at_ms = c->now_ms;
	row.last_class = HL_CLASS_CANCELLED;
	row.last_error = hl_str_from(hl_class_sentence(HL_CLASS_CANCELLED));
	hl_delivery_change(txn, c->number, &old, &row);
	return hl_txn_status(txn);
}

static void cancel_done(struct hl_command *command, int status)
{
	struct change *c = HL_CONTAINER_OF(command, struct change, command);
	struct hl_dispatcher *d = c->d;
	struct hl_delivery_row row;
	hl_core_command_done(d);
	if (status == 0) {
		d->stats.deliveries_cancelled++;
		bool found = hl_delivery_row_get(hl_core_read(d), c->number, &row);
		struct hl_queue *q = found ? hl_queues_get(d, row.webhook) : NULL;
		if (q && hl_queue_remove(q, c->number))
			hl_scheduler_touch(&d->scheduler, q);
	}
	finish(c, status, "the delivery has ended already");
}

int hl_delivery_cancel(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_delivery_cb cb, void *data,
		struct hl_err *err)
{
	return begin(d, account, number, cancel_apply, cancel_done, cb, data, err);
}

/* Requests outside every queue and limit: tests, verifications, and new tries somebody waits for. At most HL_DIRECT_MAX at
 * once, those whose delivery still waits for its commit included.
 *
 * A test stores nothing: its event lives in memory only and has an id of another maker, so nobody finds it. A new try is
 * stored first, as a delivery that is due now: should the process die before its outcome is durable, it is found among the
 * due ones after the next start, like any other. The same way out is taken when its request cannot be made now. */
#include "dispatch/attempt.h"
#include "dispatch/delivery_changes.h"
#include "dispatch/janitor.h"
#include "dispatch/validate.h"
#include "dispatch/view.h"

#include "base/err.h"
#include <stdlib.h>

#define PING_TYPE HL_STR("hookline.ping")
#define PING_DATA HL_STR("{\"message\":\"ping\"}")

static int absent(struct hl_txn *txn)
{
	return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
}

static int admit(struct hl_dispatcher *d, struct hl_err *err)
{
	int rc = hl_core_admit(d, err);
	if (rc == 0 && d->n_direct >= HL_DIRECT_MAX)
		rc = hl_err_set(err, HL_EBUSY, "%d such requests are under way already", HL_DIRECT_MAX);
	return rc;
}

/* ---- tests ---- */

/* A version 7 UUID of random bits: no number, and no check of ours in it. */
static void foreign_id(const struct hl_dispatcher *d, hl_ms_t at_ms, char out[HL_ID_CAP])
{
	uint8_t b[16];
	char hex[32];
	size_t n = 0;
	hl_be64_put(b, (uint64_t)at_ms << 16);
	hl_env_random(d->env, b + 6, sizeof(b) - 6);
	b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
	b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
	hl_hex_encode(b, sizeof(b), hex);
	for (size_t i = 0; i < sizeof(hex); i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			out[n++] = '-';
		out[n++] = hex[i];
	}
	out[n] = '\0';
}

static int send_test(struct hl_dispatcher *d, uint32_t account, uint32_t number, struct hl_str type, struct hl_str data,
		hl_attempt_cb cb, void *cb_data, struct hl_err *err)
{
	struct hl_txn *txn = hl_core_read(d);
	struct hl_webhook_row row;
	struct hl_destination *x;
	if (!hl_webhook_row_peek(txn, number, &row) || row.w.account != account || row.w.state == HL_WEBHOOK_DELETED)
		return hl_err_set(err, absent(txn), "no such webhook");
	hl_ms_t now = hl_core_wall(d);
	struct hl_event e = { .account = account, .type = type, .data = data, .created_at_ms = now, .occurred_at_ms = now };
	foreign_id(d, now, e.id);
	int rc = hl_destination_load(d, number, &x, err);
	if (rc)
		return hl_err_set(err, rc, "the webhook cannot be used: %s", hl_strerror(rc));
	struct hl_event_ref *ref = hl_event_ref_create(&e);
	if (!ref) {
		hl_destination_release(x);
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	}
	rc = hl_attempt_direct(d, x, ref, 0, now, HL_TRIGGER_TEST, cb, cb_data);
	return rc ? hl_err_set(err, rc, "%s", hl_strerror(rc)) : 0;
}

int hl_webhook_test(struct hl_dispatcher *d, uint32_t account, uint32_t number, struct hl_str type, struct hl_str data,
		hl_attempt_cb cb, void *cb_data, struct hl_err *err)
{
	int rc = admit(d, err);
	if (rc)
		return rc;
	if (type.len == 0)
		type = HL_STR(HL_RENDER_TEST_TYPE);
	if (data.len == 0)
		data = HL_STR(HL_RENDER_TEST_DATA);
	struct hl_publish as_published = { .type = type, .data = data };
	rc = hl_validate_publish(&as_published, d->set.data_max, hl_core_wall(d), err);
	return rc ? rc : send_test(d, account, number, type, data, cb, cb_data, err);
}

struct verification {
	hl_verify_cb cb;
	void *data;
};

static void verified(void *data, int status, const struct hl_delivery *delivery, const struct hl_attempt *a)
{
	struct verification v = *(struct verification *)data;
	(void)delivery;
	free(data);
	if (status) {
		v.cb(v.data, status, NULL);
		return;
	}
	struct hl_verify out = { .url_allowed = a->error_class != HL_CLASS_BLOCKED_ADDRESS, .address = a->address,
		.attempt = a };
	v.cb(v.data, HL_OK, &out);
}

int hl_webhook_verify(struct hl_dispatcher *d, uint32_t account, uint32_t number, hl_verify_cb cb, void *data,
		struct hl_err *err)
{
	int rc = admit(d, err);
	if (rc)
		return rc;
	struct verification *v = malloc(sizeof(*v));
	if (!v)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	*v = (struct verification){ cb, data };
	rc = send_test(d, account, number, PING_TYPE, PING_DATA, verified, v, err);
	if (rc)
		free(v);
	return rc;
}

/* ---- a new try of a delivery ---- */

struct again {
	struct hl_command command;
	struct hl_dispatcher *d;
	uint32_t account;
	uint64_t of;                     /* the delivery this is a new try of */
	uint64_t number;                 /* of the new one */
	hl_ms_t now_ms;
	hl_attempt_cb cb;
	void *data;
};

static int again_apply(struct hl_command *command, struct hl_txn *txn)
{
	struct again *a = HL_CONTAINER_OF(command, struct again, command);
	struct hl_delivery_row old;
	struct hl_event_row e;
	struct hl_webhook_row w;
	if (!hl_delivery_row_get(txn, a->of, &old) || !hl_event_row_get(txn, old.event, &e))
		return absent(txn);
	if (!hl_webhook_row_peek(txn, old.webhook, &w) || w.w.state == HL_WEBHOOK_DELETED)
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ECONFLICT;
	struct hl_delivery_row row = {
		.event = old.event, .account = old.account, .webhook = old.webhook, .revision = w.w.revision,
		.dialect = old.dialect, .flags = HL_DF_SINGLE_SHOT | HL_DF_LATER, .wait = HL_WAIT_MANUAL,
		.created_at_ms = a->now_ms, .window_from_ms = a->now_ms, .next_at_ms = a->now_ms, .set_at_ms = a->now_ms,
		.retry_of = a->of,
	};
	hl_delivery_append(txn, a->number, &row);
	return hl_txn_status(txn);
}

/* The event in memory; held. NULL: gone, or no memory. */
static struct hl_event_ref *find_event(struct hl_dispatcher *d, uint64_t number)
{
	struct hl_event_row row;
	struct hl_event e;
	struct hl_event_ref *ref = hl_event_cache_find(&d->events, number);
	if (ref || !hl_event_row_get(hl_core_read(d), number, &row))
		return ref;
	hl_event_from_row(d, number, &row, &e);
	return hl_event_cache_add(&d->events, &e);
}

static int start(struct again *a, const struct hl_delivery_row *row)
{
	struct hl_dispatcher *d = a->d;
	struct hl_destination *x;
	if (d->state != HL_CORE_OPEN)
		return HL_ECANCELED; /* made after the next start */
	int rc = hl_destination_load(d, row->webhook, &x, NULL);
	if (rc)
		return rc;
	struct hl_event_ref *ref = find_event(d, row->event);
	if (!ref) {
		hl_destination_release(x);
		return HL_ENOMEM;
	}
	return hl_attempt_direct(d, x, ref, a->number, a->now_ms, HL_TRIGGER_MANUAL, a->cb, a->data);
}

static void again_done(struct hl_command *command, int status)
{
	struct again *a = HL_CONTAINER_OF(command, struct again, command);
	struct hl_dispatcher *d = a->d;
	struct hl_delivery_row row;
	hl_core_command_done(d);
	d->n_direct--; /* hl_attempt_direct counts it again */
	if (status == 0) {
		d->stats.deliveries_created++;
		hl_janitor_note(d);
		bool found = hl_delivery_row_get(hl_core_read(d), a->number, &row);
		status = found ? start(a, &row) : absent(hl_core_read(d));
		if (found && status && d->state == HL_CORE_OPEN)
			hl_delivery_requeue(d, a->number, &row);
	}
	hl_attempt_cb cb = a->cb;
	void *data = a->data;
	free(a);
	if (status)
		cb(data, status, NULL, NULL);
}

int hl_delivery_retry_new(struct hl_dispatcher *d, uint32_t account, uint64_t number, hl_attempt_cb cb, void *data,
		struct hl_err *err)
{
	struct hl_delivery_row row;
	struct hl_webhook_row w;
	struct hl_txn *txn = hl_core_read(d);
	int rc = admit(d, err);
	if (rc)
		return rc;
	rc = hl_delivery_visible(d, account, number, &row);
	if (rc)
		return hl_err_set(err, rc, "%s", rc == HL_ENOTFOUND ? "no such delivery" : hl_strerror(rc));
	bool found = hl_webhook_row_peek(txn, row.webhook, &w);
	if (hl_txn_status(txn))
		return hl_err_set(err, hl_txn_status(txn), "%s", hl_strerror(hl_txn_status(txn)));
	if (!found || w.w.state == HL_WEBHOOK_DELETED)
		return hl_err_set(err, HL_ECONFLICT, "the webhook of this delivery is deleted");
	struct again *a = malloc(sizeof(*a));
	if (!a)
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	*a = (struct again){ .d = d, .account = account, .of = number, .number = d->numbers.delivery++,
		.now_ms = hl_core_wall(d), .cb = cb, .data = data };
	a->command = (struct hl_command){ .priority = HL_PRIO_PUBLISH, .grows = true, .apply = again_apply, .done = again_done,
		.bytes = 512 };
	d->n_direct++;
	hl_core_submit(d, &a->command);
	return 0;
}

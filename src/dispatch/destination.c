/* Turns a stored webhook into what attempts need.
 *
 * What can go wrong: the secret does not open (wrong key: cannot happen after the gate, so it is logged as damage), the URL
 * no longer passes (the rules became stricter): both make every attempt end with class INTERNAL or BLOCKED_ADDRESS, which
 * the caller records like any other failure. */
#include "dispatch/destination.h"

#include "base/check.h"
#include "base/err.h"
#include <stdlib.h>

struct hl_destination *hl_destination_hold(struct hl_destination *x)
{
	x->refs++;
	return x;
}

void hl_destination_release(struct hl_destination *x)
{
	if (!x || --x->refs > 0)
		return;
	hl_signer_fini(&x->current);
	hl_signer_fini(&x->previous);
	hl_arena_fini(&x->arena);
	free(x);
}

void hl_destination_limits(const struct hl_dispatcher *d, const struct hl_webhook *w, struct hl_queue_limits *out)
{
	*out = (struct hl_queue_limits){
		.max_in_flight = w->max_in_flight ? w->max_in_flight : d->set.max_in_flight_per_webhook,
		.rate_per_s = w->rate_limit,
		.park_after = d->set.park_after,
		.strict = w->strict,
	};
}

static int build_fields(const struct hl_dispatcher *d, const struct hl_webhook *w, struct hl_destination *x)
{
	struct hl_buf b = { 0 };
	hl_buf_fmt(&b, "User-Agent: %s\r\nContent-Type: application/json\r\nAccept-Encoding: identity\r\n", d->set.user_agent);
	for (size_t i = 0; i < w->n_headers; i++)
		hl_buf_fmt(&b, "%.*s: %.*s\r\n", HL_FMT(w->headers[i].name), HL_FMT(w->headers[i].value));
	if (hl_buf_ok(&b))
		x->fields = hl_arena_dup(&x->arena, hl_buf_all(&b));
	hl_buf_fini(&b);
	return x->fields.ptr ? 0 : HL_ENOMEM;
}

static int key_signer(struct hl_dispatcher *d, struct hl_destination *x, struct hl_str sealed, struct hl_signer *out,
		struct hl_err *err)
{
	struct hl_buf plain = { 0 };
	int rc = hl_store_unseal(d->store, HL_SEAL_SECRET, x->webhook, sealed, &plain);
	if (rc == 0)
		rc = hl_signer_init(out, x->dialect, hl_buf_all(&plain), err);
	else
		hl_err_set(err, rc, "the webhook's secret does not open");
	if (plain.data)
		hl_secret_wipe(plain.data, plain.cap);
	hl_buf_fini(&plain);
	return rc;
}

static int fill(struct hl_dispatcher *d, const struct hl_webhook_row *row, struct hl_destination *x, struct hl_err *err)
{
	const struct hl_webhook *w = &row->w;
	x->webhook = w->number;
	x->account = w->account;
	x->revision = w->revision;
	x->dialect = w->dialect;
	x->format = w->format;
	hl_policy_init(&x->policy, w, &d->set.policy);
	x->timeout_ms = w->timeout_ms ? w->timeout_ms :
			w->dialect == HL_DIALECT_HOOKLINE ? d->set.timeout_ms : d->set.timeout_dialects_ms;
	hl_core_id(d, HL_ID_WEBHOOK, w->number, w->created_at_ms, x->id);
	int rc = hl_url_parse(w->url, &x->arena, &x->url, err);
	if (rc == 0)
		rc = build_fields(d, w, x);
	if (rc == 0 && row->secret.len)
		rc = key_signer(d, x, row->secret, &x->current, err);
	if (rc == 0 && row->previous_secret.len && w->previous_secret_until_ms > hl_core_wall(d)) {
		rc = key_signer(d, x, row->previous_secret, &x->previous, err);
		x->has_previous = rc == 0;
		x->previous_until_ms = w->previous_secret_until_ms;
	}
	return rc;
}

int hl_destination_load(struct hl_dispatcher *d, uint32_t webhook, struct hl_destination **out, struct hl_err *err)
{
	struct hl_webhook_row row;
	struct hl_txn *txn = hl_core_read(d);
	if (!hl_webhook_row_get(txn, webhook, &row) || row.w.state == HL_WEBHOOK_DELETED)
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	struct hl_destination *x = calloc(1, sizeof(*x));
	if (!x)
		return HL_ENOMEM;
	x->refs = 1;
	hl_arena_init(&x->arena, 0);
	int rc = fill(d, &row, x, err);
	if (rc) {
		hl_destination_release(x);
		return rc;
	}
	*out = x;
	return 0;
}

int hl_destination_of_queue(struct hl_dispatcher *d, struct hl_queue *q, struct hl_destination **out)
{
	struct hl_err err = { 0 };
	if (!q->destination) {
		int rc = hl_destination_load(d, q->webhook, &q->destination, &err);
		if (rc) {
			hl_log(&d->log, HL_LOG_ERROR, "webhook.unusable", "webhook=%u code=%s", q->webhook, hl_errname(rc));
			return rc;
		}
	}
	*out = q->destination;
	return 0;
}

/* From rows to the vocabulary of the public headers. */
#include "dispatch/view.h"

void hl_event_from_row(const struct hl_dispatcher *d, uint64_t number, const struct hl_event_row *row, struct hl_event *out)
{
	*out = (struct hl_event){
		.number = number, .account = row->account, .type = row->type, .external_id = row->external_id,
		.server = row->server, .data = row->data, .created_at_ms = row->created_at_ms,
		.occurred_at_ms = row->occurred_at_ms, .deliver_after_ms = row->deliver_after_ms,
		.expires_at_ms = row->expires_at_ms, .first_delivery = row->first_delivery, .n_deliveries = row->n_deliveries,
	};
	hl_core_id(d, HL_ID_EVENT, number, row->created_at_ms, out->id);
}

/* What the listing of a delivery needs of its webhook. */
static void webhook_part(struct hl_dispatcher *d, const struct hl_destination *x, struct hl_delivery *out,
		struct hl_policy *policy)
{
	if (x) {
		memcpy(out->webhook_id, x->id, sizeof(x->id));
		*policy = x->policy;
		return;
	}
	struct hl_webhook_row row;
	if (!hl_webhook_row_peek(hl_core_read(d), out->webhook, &row)) {
		*policy = (struct hl_policy){ .window_s = 48 * 3600 };
		return;
	}
	hl_core_id(d, HL_ID_WEBHOOK, out->webhook, row.w.created_at_ms, out->webhook_id);
	hl_policy_init(policy, &row.w, &d->set.policy);
}

void hl_delivery_from_row(struct hl_dispatcher *d, uint64_t number, const struct hl_delivery_row *row,
		const struct hl_event *event, const struct hl_destination *destination, struct hl_delivery *out)
{
	struct hl_event read = { 0 };
	struct hl_event_row event_row;
	struct hl_policy policy;
	if (!event && hl_event_row_get(hl_core_read(d), row->event, &event_row)) {
		hl_event_from_row(d, row->event, &event_row, &read);
		read.type = hl_arena_dup(&d->turn, event_row.type);
	}
	const struct hl_event *e = event ? event : &read;
	*out = (struct hl_delivery){
		.number = number, .account = row->account, .event = row->event, .event_type = e->type, .webhook = row->webhook,
		.webhook_revision = row->revision, .dialect = (enum hl_dialect)row->dialect,
		.state = (enum hl_delivery_state)row->state, .single_shot = row->flags & HL_DF_SINGLE_SHOT,
		.n_attempts = row->n_attempts, .last_http_status = row->last_status,
		.last_class = (enum hl_class)row->last_class, .last_error = row->last_error,
		.created_at_ms = row->created_at_ms, .next_at_ms = row->next_at_ms, .completed_at_ms = row->completed_at_ms,
		.retry_of = row->retry_of,
	};
	memcpy(out->event_id, e->id, sizeof(e->id));
	hl_core_id(d, HL_ID_DELIVERY, number, row->created_at_ms, out->id);
	webhook_part(d, destination, out, &policy);
	if (row->window_from_ms)
		hl_policy_window(&policy, row->window_from_ms, 0, row->expires_at_ms, &out->window_from_ms, &out->window_until_ms);
	else
		hl_policy_window(&policy, row->created_at_ms, e->deliver_after_ms, row->expires_at_ms, &out->window_from_ms,
				&out->window_until_ms);
	if (row->state == HL_DELIVERY_PENDING && !row->next_at_ms)
		out->next_at_ms = out->window_from_ms; /* fresh: due since then */
	if (row->state != HL_DELIVERY_PENDING)
		out->next_at_ms = 0;
}

void hl_webhook_view(struct hl_dispatcher *d, struct hl_txn *txn, struct hl_webhook *w)
{
	struct hl_counts counts;
	hl_counts_get(txn, w->number, &counts);
	hl_core_id(d, HL_ID_WEBHOOK, w->number, w->created_at_ms, w->id);
	w->last_attempt_at_ms = counts.last_attempt_at_ms;
	w->last_success_at_ms = counts.last_success_at_ms;
	w->last_failure_at_ms = counts.last_failure_at_ms;
	w->last_failure_message = hl_arena_dup(&d->turn, hl_str_make(counts.last_failure, counts.last_failure_len));
	if (w->previous_secret_until_ms <= hl_core_wall(d))
		w->previous_secret_until_ms = 0; /* the overlap is over; the row is tidied by the next rotation */
}

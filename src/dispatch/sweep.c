/* The sweep of one queue.
 *
 * Never-attempted deliveries come in the order of their creation, so the pass stops at the first whose window is open (a
 * delivery that expires earlier than the others waits among the due ones). A waiting delivery's due time never lies past the
 * end of its window, so only entries due by now are looked at. What is in flight is left alone: its outcome decides. */
#include "dispatch/sweep.h"

enum { SLICE = 500 };

static void window_end(const struct hl_sweep *s, struct hl_txn *txn, const struct hl_delivery_row *row, hl_ms_t *out_until_ms)
{
	struct hl_event_row e = { 0 };
	hl_ms_t from;
	if (!row->window_from_ms && hl_event_row_get(txn, row->event, &e) && e.deliver_after_ms)
		from = HL_MAX(row->created_at_ms, e.deliver_after_ms);
	else
		from = row->window_from_ms ? row->window_from_ms : row->created_at_ms;
	hl_policy_window(&s->policy, from, 0, row->expires_at_ms, &from, out_until_ms);
}

/* Ends the delivery when its window is over; false: the window is open. */
static bool end_if_over(struct hl_sweep *s, struct hl_txn *txn, uint64_t number, hl_ms_t now_ms)
{
	struct hl_delivery_row old;
	hl_ms_t until;
	if (!hl_delivery_row_get(txn, number, &old) || old.state != HL_DELIVERY_PENDING)
		return true;
	window_end(s, txn, &old, &until);
	enum hl_at_dispatch at = hl_policy_at_dispatch(&s->policy, until, old.expires_at_ms,
			s->parked ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED, s->parked, now_ms);
	if (at == HL_AT_HOLD || at == HL_AT_ATTEMPT)
		return false;
	struct hl_delivery_row row = old;
	struct hl_counts *c = hl_counts_edit(txn, s->webhook);
	row.state = HL_DELIVERY_FAILED;
	row.completed_at_ms = now_ms;
	row.next_at_ms = 0;
	row.last_class = HL_CLASS_PAUSED;
	if (at == HL_AT_END_EXPIRED)
		row.last_class = HL_CLASS_EXPIRED;
	else if (s->parked)
		row.last_class = c->last_class ? c->last_class : HL_CLASS_TIMEOUT;
	row.last_error = s->parked && at != HL_AT_END_EXPIRED ? hl_txn_dup(txn, hl_str_make(c->last_failure, c->last_failure_len)) :
			hl_str_from(hl_class_sentence((enum hl_class)row.last_class));
	hl_delivery_change(txn, number, &old, &row);
	s->ended++;
	return true;
}

static int sweep_fresh(struct hl_sweep *s, struct hl_txn *txn, hl_ms_t now_ms)
{
	struct hl_fresh *v = hl_txn_alloc(txn, SLICE * sizeof(*v));
	size_t n = 0;
	uint64_t next = s->fresh_from;
	bool more = false;
	int rc = v ? hl_scan_fresh(txn, s->webhook, s->fresh_from, SLICE, v, &n, &next, &more) : HL_ENOMEM;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (!end_if_over(s, txn, v[i].delivery, now_ms)) {
			s->fresh_done = true;
			break;
		}
	}
	s->fresh_from = next;
	if (!more)
		s->fresh_done = true;
	return rc ? rc : hl_txn_status(txn);
}

static int sweep_due(struct hl_sweep *s, struct hl_txn *txn, hl_ms_t now_ms)
{
	struct hl_due *v = hl_txn_alloc(txn, SLICE * sizeof(*v));
	size_t n = 0;
	bool more = false;
	int rc = v ? hl_scan_due(txn, s->webhook, s->due_ms, s->due_delivery, SLICE, v, &n, &more) : HL_ENOMEM;
	s->done = !more;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (v[i].due_at_ms > now_ms) {
			s->done = true;
			break;
		}
		(void)end_if_over(s, txn, v[i].delivery, now_ms);
		s->due_ms = v[i].due_at_ms;
		s->due_delivery = v[i].delivery;
	}
	return rc ? rc : hl_txn_status(txn);
}

int hl_sweep_step(struct hl_sweep *s, struct hl_txn *txn, hl_ms_t now_ms)
{
	return s->fresh_done ? sweep_due(s, txn, now_ms) : sweep_fresh(s, txn, now_ms);
}

/* See random_model.h. What a publish leaves; what must be true when every receiver answers again and time enough has passed. */
#include "random_model.h"

#include "store/audit.h"

enum { MINUTE = 60000 };

void rm_check_targets(struct rm *m, uint32_t account, uint64_t event)
{
	struct hl_event e;
	struct hl_delivery v;
	struct hl_webhook w;
	RM_CHECK(m, hl_event_get(m->f.d, account, event, &e) == 0, "event %llu", (unsigned long long)event);
	for (uint32_t i = 0; i < e.n_deliveries; i++) {
		if (hl_delivery_get(m->f.d, account, e.first_delivery + i, &v) != 0)
			continue;
		int rc = hl_webhook_get(m->f.d, account, v.webhook, true, &w);
		RM_CHECK(m, rc == 0 && w.state == HL_WEBHOOK_ENABLED, "event %llu went to webhook %u, which is %s",
				(unsigned long long)event, v.webhook, rc ? "gone" : hl_webhook_state_name(w.state));
	}
}

static bool lives(struct rm *m, const struct hl_delivery_row *row)
{
	return rm_webhook(m, row->webhook)->state != HL_WEBHOOK_DELETED;
}

hl_ms_t rm_expect_success(struct rm *m)
{
	hl_ms_t longest = 0;
	struct hl_totals t;
	hl_totals_get(hl_core_read(m->f.d), 0, &t);
	hl_ms_t slack = 15 * MINUTE + (hl_ms_t)t.by_state[HL_DELIVERY_PENDING] * 1000;
	for (uint64_t n = 1; n < m->f.d->numbers.delivery; n++) {
		struct hl_delivery_row row;
		struct hl_delivery v;
		if (!hl_delivery_row_get(hl_core_read(m->f.d), n, &row) || row.state != HL_DELIVERY_PENDING || !lives(m, &row) ||
				row.flags & HL_DF_SINGLE_SHOT)
			continue;
		int rc = hl_delivery_get(m->f.d, row.account, n, &v);
		RM_CHECK(m, rc == 0, "delivery %llu: %s", (unsigned long long)n, hl_errname(rc));
		hl_ms_t left = v.window_until_ms - fx_now(&m->f);
		rm_delivery(m, n)->must_succeed = left > slack;
		longest = HL_MAX(longest, left);
	}
	return longest;
}

static void check_open(struct rm *m, struct hl_queue *q)
{
	bool may_probe = q->fresh_count > 0;
	for (size_t i = 0; i < q->due.count; i++)
		may_probe |= HL_CONTAINER_OF(q->due.nodes[i], struct hl_due_entry, node)->due.why == HL_WAIT_BACKOFF;
	RM_CHECK(m, q->state != HL_QUEUE_PARKED || q->limits.strict || !may_probe, "webhook %u is still parked", q->webhook);
}

void rm_check_drained(struct rm *m)
{
	struct hl_delivery_row row;
	size_t pos = 0;
	void *q;
	while (hl_map_u64_next(&m->f.d->queues, &pos, NULL, &q))
		check_open(m, q);
	for (uint64_t n = 1; n < m->cap; n++) {
		const struct rm_delivery *d = &m->deliveries[n];
		const struct rm_webhook *w = &m->webhooks[d->webhook];
		if (d->known && d->told && !d->hint && !w->strict && d->told_mono_ms < w->opened_mono_ms &&
				hl_delivery_row_get(hl_core_read(m->f.d), n, &row) && row.wait == HL_WAIT_BACKOFF)
			RM_CHECK(m, row.state != HL_DELIVERY_PENDING || w->state == HL_WEBHOOK_DELETED,
					"delivery %llu was not drained", (unsigned long long)n);
	}
}

static void check_row(struct rm *m, uint64_t n, const struct hl_delivery_row *row, const struct rm_delivery *d)
{
	const char *state = hl_delivery_state_name((enum hl_delivery_state)row->state);
	RM_CHECK(m, row->state != HL_DELIVERY_PENDING, "delivery %llu of webhook %u was forgotten (next at %lld, %u attempts)",
			(unsigned long long)n, row->webhook, row->next_at_ms ? (long long)(row->next_at_ms - fx_now(&m->f)) : 0LL,
			row->n_attempts);
	RM_CHECK(m, !d->must_succeed || row->state == HL_DELIVERY_SUCCEEDED, "delivery %llu had time and ended as %s: %.*s",
			(unsigned long long)n, state, HL_FMT(row->last_error));
	RM_CHECK(m, d->n_requests == d->n_lost + row->n_attempts, "delivery %llu: %u sent, %u stored, %u lost",
			(unsigned long long)n, d->n_requests, row->n_attempts, d->n_lost);
	bool final = d->state == HL_DELIVERY_SUCCEEDED || (d->state == HL_DELIVERY_CANCELLED && row->state != HL_DELIVERY_SUCCEEDED);
	RM_CHECK(m, !final || d->hand || row->state == d->state, "delivery %llu was told to be %s and is %s",
			(unsigned long long)n, hl_delivery_state_name((enum hl_delivery_state)d->state), state);
}

void rm_check_end(struct rm *m)
{
	struct hl_dispatcher *d = m->f.d;
	struct hl_txn *txn = hl_core_read(d);
	for (uint64_t n = 1; n < d->numbers.delivery; n++) {
		struct hl_delivery_row row;
		if (hl_delivery_row_get(txn, n, &row))
			check_row(m, n, &row, rm_delivery(m, n));
		else
			RM_CHECK(m, !rm_delivery(m, n)->known || m->dropped_history, "delivery %llu is gone", (unsigned long long)n);
	}
	for (size_t i = 0; i < m->n_events; i++) {
		uint64_t by[HL_DELIVERY_STATE_N], sum = 0;
		int rc = hl_event_summary(d, m->events[i].account, m->events[i].number, by);
		RM_CHECK(m, rc == 0, "event %llu: %s", (unsigned long long)m->events[i].number, hl_errname(rc));
		for (int s = 0; s < HL_DELIVERY_STATE_N; s++)
			sum += by[s];
		RM_CHECK(m, m->dropped_history || sum >= m->events[i].n + m->events[i].n_replays,
				"event %llu: %llu deliveries, %u and %u acknowledged", (unsigned long long)m->events[i].number,
				(unsigned long long)sum, m->events[i].n, m->events[i].n_replays);
	}
	RM_CHECK(m, d->n_runs == 0 && d->shared.claims.count == 0 && d->scheduler.fast == 0 && d->scheduler.slow == 0,
			"attempts are still counted");
	RM_CHECK(m, d->events.map.count == 0, "%zu events stay in memory", d->events.map.count);
	RM_CHECK(m, m->n_outstanding == 0, "%llu calls were never answered", (unsigned long long)m->n_outstanding);
}

static void report(void *data, enum hl_audit_severity severity, const char *text)
{
	struct rm *m = data;
	if (severity == HL_AUDIT_DAMAGE)
		rm_fail(m, "audit: %s", text);
}

void rm_audit(struct rm *m)
{
	struct hl_store_options o = { .dir = m->f.dir.path, .read_only = true, .env = &m->f.world.env };
	struct hl_audit_options how = { .report = report, .data = m };
	struct hl_audit_summary sum;
	struct hl_store *s;
	struct hl_err err = { 0 };
	int rc = hl_store_open(&s, &o, &err);
	RM_CHECK(m, rc == 0, "open for the audit: %s %s", hl_errname(rc), err.text);
	rc = hl_audit(s, &how, &sum, &err);
	RM_CHECK(m, rc == 0, "audit: %s %s", hl_errname(rc), err.text);
	hl_store_close(s);
}

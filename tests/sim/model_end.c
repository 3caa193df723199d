/* What a publish leaves; what must be true when every receiver answers again and time enough has passed. */
#include "sim.h"

#include "store/audit.h"

void sim_check_targets(struct sim *m, uint32_t account, uint64_t event)
{
	struct hl_event e;
	struct hl_delivery v;
	struct hl_webhook w;
	SIM_CHECK(m, hl_event_get(m->f.d, account, event, &e) == 0, "event %llu", (sim_ull)event);
	for (uint32_t i = 0; i < e.n_deliveries; i++) {
		if (hl_delivery_get(m->f.d, account, e.first_delivery + i, &v) != 0)
			continue;
		int rc = hl_webhook_get(m->f.d, account, v.webhook, true, &w);
		SIM_CHECK(m, rc == 0 && w.state == HL_WEBHOOK_ENABLED, "event %llu went to webhook %u, which is %s",
				(sim_ull)event, v.webhook, rc ? "gone" : hl_webhook_state_name(w.state));
	}
}

static bool lives(struct sim *m, const struct hl_delivery_row *row)
{
	return sim_webhook(m, row->webhook)->state != HL_WEBHOOK_DELETED;
}

hl_ms_t sim_expect_success(struct sim *m)
{
	hl_ms_t longest = 0;
	struct hl_totals t;
	hl_totals_get(hl_core_read(m->f.d), 0, &t);
	hl_ms_t slack = 15 * SIM_MINUTE + (hl_ms_t)t.by_state[HL_DELIVERY_PENDING] * 1000;
	for (uint64_t n = 1; n < m->f.d->numbers.delivery; n++) {
		struct hl_delivery_row row;
		struct hl_delivery v;
		if (!hl_delivery_row_get(hl_core_read(m->f.d), n, &row) || row.state != HL_DELIVERY_PENDING || !lives(m, &row) ||
				row.flags & HL_DF_SINGLE_SHOT)
			continue;
		int rc = hl_delivery_get(m->f.d, row.account, n, &v);
		SIM_CHECK(m, rc == 0, "delivery %llu: %s", (sim_ull)n, hl_errname(rc));
		hl_ms_t left = v.window_until_ms - fx_now(&m->f);
		sim_delivery(m, n)->must_succeed = left > slack;
		longest = HL_MAX(longest, left);
	}
	return longest;
}

static void check_open(struct sim *m, struct hl_queue *q)
{
	bool may_probe = q->fresh_count > 0;
	for (size_t i = 0; i < q->due.count; i++)
		may_probe |= HL_CONTAINER_OF(q->due.nodes[i], struct hl_due_entry, node)->due.why == HL_WAIT_BACKOFF;
	SIM_CHECK(m, q->state != HL_QUEUE_PARKED || q->limits.strict || !may_probe, "webhook %u is still parked", q->webhook);
}

void sim_check_drained(struct sim *m)
{
	struct hl_delivery_row row;
	size_t pos = 0;
	void *q;
	while (hl_map_u64_next(&m->f.d->queues, &pos, NULL, &q))
		check_open(m, q);
	for (uint64_t n = 1; n < m->cap; n++) {
		const struct sim_delivery *d = &m->deliveries[n];
		const struct sim_webhook *w = &m->webhooks[d->webhook];
		if (d->known && d->told && !d->hint && !w->strict && d->told_mono_ms < w->opened_mono_ms &&
				hl_delivery_row_get(hl_core_read(m->f.d), n, &row) && row.wait == HL_WAIT_BACKOFF)
			SIM_CHECK(m, row.state != HL_DELIVERY_PENDING || w->state == HL_WEBHOOK_DELETED,
					"delivery %llu was not drained", (sim_ull)n);
	}
}

static void check_row(struct sim *m, uint64_t n, const struct hl_delivery_row *row, const struct sim_delivery *d)
{
	const char *state = hl_delivery_state_name((enum hl_delivery_state)row->state);
	SIM_CHECK(m, row->state != HL_DELIVERY_PENDING, "delivery %llu of webhook %u was forgotten (next at %lld, %u attempts)",
			(sim_ull)n, row->webhook, row->next_at_ms ? (long long)(row->next_at_ms - fx_now(&m->f)) : 0LL,
			row->n_attempts);
	SIM_CHECK(m, !d->must_succeed || row->state == HL_DELIVERY_SUCCEEDED, "delivery %llu had time and ended as %s: %.*s",
			(sim_ull)n, state, HL_FMT(row->last_error));
	SIM_CHECK(m, d->n_requests == d->n_lost + row->n_attempts, "delivery %llu: %u sent, %u stored, %u lost",
			(sim_ull)n, d->n_requests, row->n_attempts, d->n_lost);
	bool final = d->state == HL_DELIVERY_SUCCEEDED || (d->state == HL_DELIVERY_CANCELLED && row->state != HL_DELIVERY_SUCCEEDED);
	SIM_CHECK(m, !final || d->hand || row->state == d->state, "delivery %llu was told to be %s and is %s",
			(sim_ull)n, hl_delivery_state_name((enum hl_delivery_state)d->state), state);
}

void sim_check_end(struct sim *m)
{
	struct hl_dispatcher *d = m->f.d;
	struct hl_txn *txn = hl_core_read(d);
	for (uint64_t n = 1; n < d->numbers.delivery; n++) {
		struct hl_delivery_row row;
		if (hl_delivery_row_get(txn, n, &row))
			check_row(m, n, &row, sim_delivery(m, n));
		else
			SIM_CHECK(m, !sim_delivery(m, n)->known || sim_may_be_gone(m, n), "delivery %llu is gone", (sim_ull)n);
	}
	for (size_t i = 0; i < m->n_events; i++) {
		uint64_t by[HL_DELIVERY_STATE_N], sum = 0;
		int rc = hl_event_summary(d, m->events[i].account, m->events[i].number, by);
		if (rc == HL_ENOTFOUND && m->retention)
			continue;
		SIM_CHECK(m, rc == 0, "event %llu: %s", (sim_ull)m->events[i].number, hl_errname(rc));
		for (int s = 0; s < HL_DELIVERY_STATE_N; s++)
			sum += by[s];
		SIM_CHECK(m, m->dropped_history || m->retention || sum >= m->events[i].n + m->events[i].n_replays,
				"event %llu: %llu deliveries, %u and %u acknowledged", (sim_ull)m->events[i].number,
				(sim_ull)sum, m->events[i].n, m->events[i].n_replays);
	}
	SIM_CHECK(m, d->n_runs == 0 && d->shared.claims.count == 0 && d->scheduler.fast == 0 && d->scheduler.slow == 0,
			"attempts are still counted");
	SIM_CHECK(m, d->events.map.count == 0, "%zu events stay in memory", d->events.map.count);
	SIM_CHECK(m, m->n_outstanding == 0, "%llu calls were never answered", (sim_ull)m->n_outstanding);
}

static void report(void *data, enum hl_audit_severity severity, const char *text)
{
	struct sim *m = data;
	if (severity == HL_AUDIT_DAMAGE)
		sim_fail(m, "audit: %s", text);
}

static void check_known(struct sim *m, uint64_t n, const struct sim_delivery *d)
{
	struct hl_delivery_row row;
	if (!hl_delivery_row_get(hl_core_read(m->f.d), n, &row)) {
		SIM_CHECK(m, sim_may_be_gone(m, n), "delivery %llu is gone", (sim_ull)n);
		return;
	}
	bool final = d->state == HL_DELIVERY_SUCCEEDED || d->state == HL_DELIVERY_CANCELLED;
	SIM_CHECK(m, !final || d->hand || row.state == d->state || row.state == HL_DELIVERY_SUCCEEDED,
			"delivery %llu was told to be %s and is %s", (sim_ull)n,
			hl_delivery_state_name((enum hl_delivery_state)d->state),
			hl_delivery_state_name((enum hl_delivery_state)row.state));
	SIM_CHECK(m, row.n_attempts >= d->n_told && row.n_attempts + d->n_lost <= d->n_requests,
			"delivery %llu: %u attempts stored, %u told, %u sent, %u lost", (sim_ull)n, row.n_attempts, d->n_told,
			d->n_requests, d->n_lost);
}

void sim_check_stored(struct sim *m)
{
	struct hl_audit_options how = { .report = report, .data = m };
	struct hl_audit_summary sum;
	struct hl_err err = { 0 };
	if (m->f.fatal || m->f.d->failed || m->unsynced) /* cannot be read: the next start tells */
		return;
	if (m->audited_writes != disk_counts()->writes) { /* else it is as it was */
		int rc = hl_audit(m->f.d->store, &how, &sum, &err);
		SIM_CHECK(m, rc == 0, "audit of the open store: %s %s", hl_errname(rc), err.text);
		m->audited_writes = disk_counts()->writes;
	}
	for (uint64_t n = 1; n < m->cap; n++)
		if (m->deliveries[n].known)
			check_known(m, n, &m->deliveries[n]);
	for (size_t i = 0; i < m->n_events; i++)
		sim_learn_event(m, m->events[i].account, m->events[i].number, m->events[i].n);
}

void sim_audit(struct sim *m)
{
	struct hl_store_options o = { .dir = m->f.dir.path, .read_only = true, .env = &m->f.world.env };
	struct hl_audit_options how = { .report = report, .data = m };
	struct hl_audit_summary sum;
	struct hl_store *s;
	struct hl_err err = { 0 };
	int rc = hl_store_open(&s, &o, &err);
	if (rc && !m->ever_open) /* ended while it was made */
		return;
	SIM_CHECK(m, rc == 0, "open for the audit: %s %s", hl_errname(rc), err.text);
	rc = hl_audit(s, &how, &sum, &err);
	SIM_CHECK(m, rc == 0, "audit: %s %s", hl_errname(rc), err.text);
	hl_store_close(s);
}

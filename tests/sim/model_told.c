/* An outcome is told; and what holds at every moment. */
#include "sim.h"

#include "dispatch/attempt.h"
#include "dispatch/queues.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- an outcome is told ---- */

/* A delivery fails with an attempt only for one of these reasons. The last: it ended with its window, in a commit the loop had not
 * heard of when the clock went back into that window. */
static bool may_fail(const struct sim *m, const struct sim_webhook *w, const struct sim_delivery *d, const struct hl_outcome *o)
{
	enum { SLACK_MS = 2000 };
	const struct hl_delivery *v = o->delivery;
	hl_ms_t slots = (v->window_until_ms - v->window_from_ms + SIM_HOUR - 1) / SIM_HOUR + 1; /* no more, whatever the clock does */
	hl_ms_t last = v->window_until_ms - HL_POLICY_EXPIRY_LEAD_MS - SLACK_MS;
	return o->attempt->http_status == 400 || o->attempt->http_status == 410 || d->single ||
	       o->attempt->trigger == HL_TRIGGER_LATE || v->n_attempts >= HL_ATTEMPTS_MAX || d->hand ||
	       (w->hourly && v->n_attempts >= slots) || o->attempt->started_at_ms >= last || v->completed_at_ms > fx_now(&m->f);
}

/* The receiver asked for a pause, and gets it or the end of the window. A clock that jumped may have been read before. */
static void check_hint(struct sim *m, const struct sim_webhook *w, const struct sim_delivery *d, const struct hl_delivery *v)
{
	if (!d->asked_ms || w->strict || d->hand || m->n_clocks > 1 || v->state != HL_DELIVERY_PENDING)
		return;
	hl_ms_t least = HL_MIN(d->asked_ms, v->window_until_ms - HL_POLICY_EXPIRY_LEAD_MS);
	SIM_CHECK(m, v->next_at_ms >= least, "delivery %llu: next attempt %lld ms before its receiver wants it", (sim_ull)v->number,
			(long long)(least - v->next_at_ms));
}

static void check_outcome(struct sim *m, const struct sim_webhook *w, const struct sim_delivery *d, const struct hl_outcome *o)
{
	const struct hl_delivery *v = o->delivery;
	sim_ull n = v->number;
	const char *state = hl_delivery_state_name(v->state);
	SIM_CHECK(m, d->known, "an outcome of delivery %llu, which was not sent", n);
	SIM_CHECK(m, v->n_attempts == d->n_requests - d->n_lost, "delivery %llu: %u attempts told, %u sent, %u lost", n,
			v->n_attempts, d->n_requests, d->n_lost);
	SIM_CHECK(m, o->attempt->number == v->n_attempts, "delivery %llu: attempt %u of %u", n, o->attempt->number, v->n_attempts);
	SIM_CHECK(m, o->attempt->trigger != HL_TRIGGER_LATE || v->state != HL_DELIVERY_PENDING || d->hand,
			"delivery %llu goes on after its late attempt", n);
	SIM_CHECK(m, !o->attempt->succeeded || v->state == HL_DELIVERY_SUCCEEDED, "delivery %llu: success, but %s", n, state);
	SIM_CHECK(m, v->state != HL_DELIVERY_PENDING || (v->next_at_ms && v->next_at_ms <= v->window_until_ms),
			"delivery %llu: next attempt %lld ms past its window", n, (long long)(v->next_at_ms - v->window_until_ms));
	SIM_CHECK(m, v->state != HL_DELIVERY_FAILED || may_fail(m, w, d, o), "delivery %llu failed after %u attempts (%s), %lld ms after its creation, with %lld ms left", n, v->n_attempts,
			hl_trigger_name(o->attempt->trigger), (long long)(o->attempt->started_at_ms - v->created_at_ms),
			(long long)(v->window_until_ms - o->attempt->started_at_ms));
	SIM_CHECK(m, v->state != HL_DELIVERY_CANCELLED || d->cancelling || w->state == HL_WEBHOOK_DELETED || w->n_unsure,
			"delivery %llu is cancelled, and nobody did that", n);
}

void sim_on_attempt(void *fixture, const struct hl_outcome *o)
{
	struct sim *m = fixture;
	uint64_t n = o->delivery->number;
	if (sim_ghost(m))
		return;
	sim_catch_up(m);
	sim_note(m, "outcome: delivery, status, state", n, o->attempt->http_status, o->delivery->state);
	struct sim_delivery *d = sim_delivery(m, n);
	struct sim_webhook *w = &m->webhooks[d->webhook];
	if (!d->known && m->dropped_history) /* was hidden with its webhook when it was sent */
		return;
	check_outcome(m, w, d, o);
	check_hint(m, w, d, o->delivery);
	d->n_told = o->delivery->n_attempts;
	d->told_mono_ms = m->f.world.mono_ms;
	d->state = o->delivery->state;
	if (!d->early || !d->told || d->asked_ms) {
		d->told = true;
		d->due_at_ms = o->delivery->next_at_ms;
		d->since_mono_ms = d->early && !d->asked_ms ? 0 : d->sent_mono_ms; /* 0: due as an attempt said that a crash kept from us */
		d->hint = d->asked_ms != 0;
	}
	w->parked |= w->parking_mono_ms && d->sent_mono_ms + o->attempt->total_ms >= w->parking_mono_ms;
	if (o->attempt->http_status == 410) {
		w->n_unsure -= w->n_unsure > 0;
		sim_learn_states(m);
	}
}

/* The webhook a line is about. */
static struct sim_webhook *webhook_of(struct sim *m, const char *line, const char *event)
{
	uint64_t number;
	const char *at = strstr(line, event);
	if (!at || !m->f.d || hl_id_parse(m->f.d, HL_ID_WEBHOOK, hl_str_make(at + strlen(event), HL_ID_LEN), &number) != 0)
		return NULL;
	return sim_webhook(m, (uint32_t)number);
}

static void on_lost(struct sim *m, const char *at)
{
	struct sim_delivery *d = sim_delivery(m, strtoull(at, NULL, 10));
	bool fatal = strstr(at, "EFATAL") != NULL; /* it may be stored all the same: the next start tells */
	d->n_lost += !fatal && d->n_requests > d->n_lost + d->n_told; /* else: it was to end without a request */
	m->webhooks[d->webhook].parking_mono_ms = 0;
}

/* No other way tells of these. */
void sim_on_log(void *fixture, enum hl_log_level level, const char *line)
{
	static const char lost[] = "ev=outcome.lost delivery=";
	struct sim *m = fixture;
	struct sim_webhook *w;
	(void)level;
	if (m->trace)
		printf("%10llu %4u    %s\n", (sim_ull)m->f.world.mono_ms, m->step, line);
	if (sim_ghost(m))
		return;
	sim_catch_up(m);
	if (strstr(line, lost))
		on_lost(m, strstr(line, lost) + strlen(lost));
	if ((w = webhook_of(m, line, "ev=queue.opened webhook="))) {
		w->opened_mono_ms = m->f.world.mono_ms;
		w->parking_mono_ms = 0;
		w->parked = false;
	}
	if ((w = webhook_of(m, line, "ev=queue.parked webhook=")))
		w->parking_mono_ms = m->f.world.mono_ms;
}

/* ---- at every moment ---- */

/* Nothing is left to do at this moment, or a little later (waits of rate limits are rounded up): whatever could be sent is held back by a limit, whatever waits for a time has its alarm. */
static void check_quiet(struct sim *m, const struct hl_queue *q)
{
	const struct hl_scheduler *s = &m->f.d->scheduler;
	struct hl_queue copy = *q; /* asking changes it */
	hl_ms_t wake = 0;
	enum hl_ready ready = hl_queue_ready(&copy, m->f.world.mono_ms, &wake);
	SIM_CHECK(m, ready == HL_READY_NOT || s->held || s->fast + s->slow > 0, "webhook %u has work that nobody begins", q->webhook);
	SIM_CHECK(m, ready == HL_READY_NOT || q->lane >= 0, "webhook %u has work and no turn", q->webhook);
	SIM_CHECK(m, !wake || m->f.alarm_mono_ms <= wake + 2, "webhook %u has work in %lld ms and the alarm is in %lld", q->webhook,
			(long long)(wake - m->f.world.mono_ms), (long long)(m->f.alarm_mono_ms - m->f.world.mono_ms));
}

void sim_check_engine(struct sim *m)
{
	struct hl_dispatcher *d = m->f.d;
	const struct hl_scheduler *s = &d->scheduler;
	uint64_t fresh = 0, due = 0, busy = 0, in_store = 0;
	size_t pos = 0;
	void *v;
	bool quiet = !d->failed && !m->f.soon && hl_commit_backlog(d->commit) == 0 && m->f.alarm_mono_ms > m->f.world.mono_ms + 2;
	while (hl_map_u64_next(&d->queues, &pos, NULL, &v)) {
		struct hl_queue *q = v;
		SIM_CHECK(m, hl_queue_check(q), "the queue of webhook %u is not right", q->webhook);
		fresh += q->fresh_count;
		due += q->due.count;
		busy += q->busy;
		if (quiet)
			check_quiet(m, q);
	}
	struct hl_totals t;
	hl_totals_get(hl_core_read(d), 0, &t);
	for (int i = 0; i < HL_DELIVERY_STATE_N; i++)
		in_store += t.by_state[i];
	SIM_CHECK(m, hl_scheduler_check(s), "the scheduler is not right");
	SIM_CHECK(m, fresh == d->shared.n_fresh && due == d->shared.waiting.count, "windows are miscounted");
	SIM_CHECK(m, busy <= (uint64_t)s->fast + s->slow, "%llu busy, %u fast, %u slow", (sim_ull)busy, s->fast, s->slow);
	SIM_CHECK(m, s->fast + s->slow <= s->max_total, "%u + %u attempts", s->fast, s->slow);
	SIM_CHECK(m, d->n_uncommitted <= d->n_runs && d->n_direct <= HL_DIRECT_MAX, "runs are miscounted");
	SIM_CHECK(m, in_store < (uint64_t)1 << 40, "a counter went below zero");
	SIM_CHECK(m, m->f.n_fatals <= 1, "fatal was told %u times", m->f.n_fatals);
}

void sim_check_held(struct sim *m)
{
	struct hl_delivery v;
	hl_ms_t now = m->f.world.mono_ms;
	if (m->f.disk_stalled)
		m->disturbed_mono_ms = now;
	if (m->n_clocks > 1 || now - m->disturbed_mono_ms < 5 * SIM_MINUTE || now - m->held_mono_ms < 10 * SIM_MINUTE)
		return;
	m->held_mono_ms = now;
	for (uint64_t n = 1; n < m->cap; n++) {
		const struct sim_delivery *d = &m->deliveries[n];
		const struct sim_webhook *w = &m->webhooks[d->webhook];
		if (!d->known || (w->state != HL_WEBHOOK_PAUSED && w->state != HL_WEBHOOK_DISABLED) ||
				hl_delivery_get(m->f.d, w->account, n, &v) != 0)
			continue;
		SIM_CHECK(m, v.state != HL_DELIVERY_PENDING || v.window_until_ms + 5 * SIM_MINUTE > fx_now(&m->f),
				"delivery %llu is held %lld ms past its window", (sim_ull)n, (long long)(fx_now(&m->f) - v.window_until_ms));
	}
}

void sim_settle_recoveries(struct sim *m)
{
	struct hl_txn *txn = hl_core_read(m->f.d);
	struct hl_job_row job;
	struct hl_delivery_row row;
	if (m->n_outstanding || hl_job_next(txn, 0, &job))
		return;
	for (uint64_t n = 1; n < m->cap; n++) {
		struct sim_delivery *d = &m->deliveries[n];
		if (!d->known || d->state != HL_DELIVERY_FAILED || !m->webhooks[d->webhook].recovering)
			continue;
		if (hl_delivery_row_get(txn, n, &row) && row.state == HL_DELIVERY_PENDING) {
			d->state = HL_DELIVERY_PENDING;
			d->hand = true;
		}
	}
	for (unsigned i = 0; i < m->n_webhooks; i++)
		m->webhooks[i].recovering = false;
}

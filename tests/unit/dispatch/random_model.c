/* See random_model.h. Checks at the moment a request leaves, when an outcome is told, after each start, in every moment. */
#include "random_model.h"

#include "dispatch/attempt.h"
#include "dispatch/queues.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

void rm_init(struct rm *m, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	fx_init(&m->f);
	m->f.world.state = seed;
	m->f.decide = rm_on_request;
	m->f.decide_data = m;
	m->f.options.on_attempt = rm_on_attempt;
	m->f.options.on_log = rm_on_log;
	m->seed = seed;
	m->dice = seed * 0x9e3779b97f4a7c15u + 1;
	m->doing = "start";
	m->n_clocks = 1;
	m->clocks[0].ahead_ms = m->f.world.wall_ms - m->f.world.mono_ms;
}

void rm_fini(struct rm *m)
{
	fx_fini(&m->f);
	free(m->deliveries);
	free(m->events);
}

uint64_t rm_random(struct rm *m)
{
	uint64_t z = m->dice += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) >> 8;
}

void rm_fail(struct rm *m, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "HL_SEED=%llu step %u (%s) at %lld ms: ", (unsigned long long)m->seed, m->step, m->doing,
			(long long)m->f.world.mono_ms);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	tmpdir_remove(&m->f.dir);
	abort();
}

bool rm_ghost(const struct rm *m)
{
	return m->crashing && (!m->f.d || m->f.d->state != HL_CORE_OPEN);
}

struct rm_delivery *rm_delivery(struct rm *m, uint64_t number)
{
	if (number >= m->cap) {
		size_t cap = (number + 1) * 2;
		m->deliveries = realloc(m->deliveries, cap * sizeof(*m->deliveries));
		if (!m->deliveries)
			abort();
		memset(m->deliveries + m->cap, 0, (cap - m->cap) * sizeof(*m->deliveries));
		m->cap = cap;
	}
	return &m->deliveries[number];
}

struct rm_webhook *rm_webhook(struct rm *m, uint32_t number)
{
	for (unsigned i = 0; i < m->n_webhooks; i++)
		if (m->webhooks[i].number == number)
			return &m->webhooks[i];
	rm_fail(m, "webhook %u is nobody's", number);
}

/* ---- what is known ---- */

/* Fills in what never changes of a delivery; false: its row is gone. */
static bool learn_delivery(struct rm *m, uint64_t number, uint32_t account)
{
	struct rm_delivery *d = rm_delivery(m, number);
	struct hl_delivery v;
	struct hl_event e;
	if (d->known)
		return true;
	if (hl_delivery_get(m->f.d, account, number, &v) != 0)
		return false;
	struct rm_webhook *w = rm_webhook(m, v.webhook);
	RM_CHECK(m, w->account == account, "delivery %llu: webhook of another account", (unsigned long long)number);
	d->known = true;
	d->webhook = (uint8_t)(w - m->webhooks);
	d->event = v.event;
	d->since_mono_ms = m->f.world.mono_ms;
	d->state = HL_DELIVERY_PENDING;
	if (hl_event_get(m->f.d, account, v.event, &e) == 0 && number - e.first_delivery < e.n_deliveries) {
		d->due_at_ms = e.deliver_after_ms;
		d->expires_at_ms = e.expires_at_ms;
	}
	return true;
}

void rm_learn_event(struct rm *m, uint32_t account, uint64_t number, uint32_t n)
{
	struct hl_event e;
	int rc = hl_event_get(m->f.d, account, number, &e);
	RM_CHECK(m, rc == 0, "acknowledged event %llu is not there: %s", (unsigned long long)number, hl_errname(rc));
	RM_CHECK(m, e.n_deliveries == n, "event %llu: %u deliveries stored, %u told", (unsigned long long)number, e.n_deliveries, n);
	for (uint64_t i = e.first_delivery; i < e.first_delivery + n; i++) {
		bool there = learn_delivery(m, i, account);
		RM_CHECK(m, there || m->dropped_history, "delivery %llu of event %llu is not there", (unsigned long long)i,
				(unsigned long long)number);
	}
	for (size_t i = 0; i < m->n_events; i++)
		if (m->events[i].number == number)
			return;
	if ((m->n_events & (m->n_events - 1)) == 0)
		m->events = realloc(m->events, (m->n_events ? m->n_events * 2 : 1) * sizeof(*m->events));
	m->events[m->n_events++] = (struct rm_event){ .number = number, .first = e.first_delivery, .account = account, .n = n };
}

void rm_learn_states(struct rm *m)
{
	for (unsigned i = 0; i < m->n_webhooks; i++) {
		struct rm_webhook *w = &m->webhooks[i];
		struct hl_webhook v;
		if (!w->number)
			continue;
		bool there = hl_webhook_get(m->f.d, w->account, w->number, true, &v) == 0;
		enum hl_webhook_state state = there ? v.state : HL_WEBHOOK_DELETED; /* with its history */
		if (state != w->state)
			m->disturbed_mono_ms = m->f.world.mono_ms;
		if (state != w->state && state == HL_WEBHOOK_ENABLED)
			w->opened_mono_ms = m->f.world.mono_ms;
		w->state = state;
	}
}

/* ---- after a start ---- */

/* Attempts that were sent and are not stored: at most one of each delivery for each start. */
static void compare_attempts(struct rm *m)
{
	struct hl_txn *txn = hl_core_read(m->f.d);
	for (uint64_t n = 1; n < m->cap; n++) {
		struct rm_delivery *d = &m->deliveries[n];
		struct hl_delivery_row row;
		if (d->known && d->hand)
			d->state = HL_DELIVERY_PENDING; /* the retry may be stored although nobody heard of it */
		if (!d->n_requests || !hl_delivery_row_get(txn, n, &row))
			continue;
		uint32_t lost = d->n_requests - d->n_lost - row.n_attempts;
		RM_CHECK(m, lost <= 1, "delivery %llu: %u requests, %u stored, %u lost before", (unsigned long long)n,
				d->n_requests, row.n_attempts, d->n_lost);
		d->n_lost += lost;
		d->n_told = row.n_attempts;
	}
}

static void catch_up(struct rm *m)
{
	if (!m->unsynced)
		return;
	m->unsynced = m->crashing = false;
	m->n_flights = 0;
	m->disturbed_mono_ms = m->f.world.mono_ms;
	rm_learn_states(m);
	compare_attempts(m);
	for (unsigned i = 0; i < m->n_webhooks; i++) {
		m->webhooks[i].tokens = m->webhooks[i].rate;
		m->webhooks[i].tokens_mono_ms = m->f.world.mono_ms;
		m->webhooks[i].opened_mono_ms = 0;
	}
}

void rm_reopened(struct rm *m)
{
	catch_up(m);
	for (size_t i = 0; i < m->n_events; i++)
		rm_learn_event(m, m->events[i].account, m->events[i].number, m->events[i].n);
}

/* ---- a request leaves ---- */

static void choose_answer(struct rm *m, enum rm_mood mood, struct fx_answer *a)
{
	static char hint[16];
	*a = (struct fx_answer){ .latency_ms = 1 + rm_below(m, 20) };
	snprintf(hint, sizeof(hint), "%u", 1 + rm_below(m, 300));
	switch (mood) {
	case RM_SLOW:
		a->latency_ms = 100 + rm_below(m, 4000);
		break;
	case RM_500:
		a->status = 500;
		break;
	case RM_503:
		a->status = 503;
		break;
	case RM_BUSY:
	case RM_HINT_503:
		a->status = mood == RM_BUSY ? 429 : 503;
		a->retry_after = hint;
		break;
	case RM_CONNECT:
		a->error_class = HL_CLASS_CONNECT;
		break;
	case RM_DNS:
		a->error_class = HL_CLASS_DNS;
		break;
	case RM_HANG:
		a->hang = true;
		break;
	case RM_FINAL:
		a->status = 400;
		break;
	case RM_GONE:
		a->status = 410;
		break;
	default:
		break;
	}
}

static void take_off(struct rm *m, uint64_t delivery, struct rm_webhook *w, bool direct, const struct fx_request *r,
		const struct fx_answer *a)
{
	hl_ms_t took = a->hang ? r->timeout_ms : HL_MIN(a->latency_ms, (hl_ms_t)r->timeout_ms);
	size_t n = 0;
	uint32_t same = 0;
	for (size_t i = 0; i < m->n_flights; i++) {
		struct rm_flight *p = &m->flights[i];
		if (p->end_mono_ms <= r->mono_ms)
			continue;
		RM_CHECK(m, !delivery || p->delivery != delivery, "delivery %llu is in flight already", (unsigned long long)delivery);
		same += !p->direct && p->webhook == (uint8_t)(w - m->webhooks);
		m->flights[n++] = *p;
	}
	m->n_flights = n;
	uint32_t most = w->max_in_flight ? w->max_in_flight : m->f.options.max_in_flight_per_webhook;
	RM_CHECK(m, direct || same < most, "webhook %u has %u in flight already", w->number, same);
	RM_CHECK(m, n < RM_FLIGHTS_MAX, "too much in flight");
	m->flights[m->n_flights++] = (struct rm_flight){ delivery, (uint8_t)(w - m->webhooks), direct, r->mono_ms + took };
}

static void take_token(struct rm *m, struct rm_webhook *w, const struct hl_queue *q)
{
	hl_ms_t now = m->f.world.mono_ms;
	if (!w->rate || q->state == HL_QUEUE_PARKED)
		return;
	w->tokens += (double)(now - w->tokens_mono_ms) * w->rate / 1000.0;
	w->tokens = HL_MIN(w->tokens, (double)w->rate);
	w->tokens_mono_ms = now;
	RM_CHECK(m, w->tokens > 0.99, "webhook %u: more than %u a second (%g, the queue has %g)", w->number, w->rate,
			w->tokens, q->tokens);
	w->tokens -= 1.0;
}

/* The wall clock may be set; the engine may go by what it showed at any moment since. */
static hl_ms_t most_ahead(const struct rm *m, hl_ms_t since_mono_ms)
{
	hl_ms_t most = m->clocks[0].ahead_ms;
	for (unsigned i = 1; i < m->n_clocks; i++)
		most = m->clocks[i].mono_ms < since_mono_ms ? m->clocks[i].ahead_ms : HL_MAX(most, m->clocks[i].ahead_ms);
	return most;
}

void rm_jump(struct rm *m, hl_ms_t by_ms)
{
	if (m->n_clocks == RM_JUMPS_MAX)
		return;
	fakeenv_jump(&m->f.world, by_ms);
	m->disturbed_mono_ms = m->f.world.mono_ms;
	m->clocks[m->n_clocks].mono_ms = m->f.world.mono_ms;
	m->clocks[m->n_clocks++].ahead_ms = m->f.world.wall_ms - m->f.world.mono_ms;
}

static void check_time(struct rm *m, uint64_t n, const struct rm_webhook *w, const struct rm_delivery *d,
		const struct hl_attempt_run *run, const struct hl_queue *q, const struct fx_request *r)
{
	enum hl_trigger t = run->attempt.trigger;
	struct hl_delivery v;
	if (d->hand || t == HL_TRIGGER_MANUAL || hl_delivery_get(m->f.d, w->account, n, &v) != 0)
		return;
	RM_CHECK(m, !d->expires_at_ms || r->at_ms < d->expires_at_ms, "delivery %llu has expired", (unsigned long long)n);
	RM_CHECK(m, t == HL_TRIGGER_LATE || r->at_ms <= v.window_until_ms + HL_POLICY_GRACE_MS,
			"delivery %llu: %s %lld ms past its window", (unsigned long long)n, hl_trigger_name(t),
			(long long)(r->at_ms - v.window_until_ms));
	RM_CHECK(m, t != HL_TRIGGER_LATE || !w->strict, "delivery %llu: late, but strict", (unsigned long long)n);
	hl_ms_t early_ms = d->due_at_ms - most_ahead(m, d->since_mono_ms) - r->mono_ms;
	bool drained = run->due.why == HL_WAIT_BACKOFF && run->due.drain_gen < q->drain_gen;
	bool may_hurry = d->told && !w->strict && !d->hint && (drained || (t == HL_TRIGGER_PROBE && run->early));
	RM_CHECK(m, early_ms <= 0 || may_hurry, "delivery %llu: %s %lld ms before its time%s", (unsigned long long)n,
			hl_trigger_name(t), (long long)early_ms, d->told ? "" : ", the first");
}

static void check_queued(struct rm *m, uint64_t n, struct rm_webhook *w, struct rm_delivery *d,
		const struct hl_attempt_run *run, const struct fx_request *r)
{
	const struct hl_queue *q = hl_queues_get(m->f.d, w->number);
	RM_CHECK(m, w->state == HL_WEBHOOK_ENABLED, "delivery %llu: webhook %u is %s", (unsigned long long)n, w->number,
			hl_webhook_state_name(w->state));
	RM_CHECK(m, d->state == HL_DELIVERY_PENDING || (d->state == HL_DELIVERY_FAILED && w->unsure),
			"delivery %llu has ended: %s", (unsigned long long)n, hl_delivery_state_name((enum hl_delivery_state)d->state));
	RM_CHECK(m, q, "delivery %llu: webhook %u has no queue", (unsigned long long)n, w->number);
	if (d->state != HL_DELIVERY_PENDING) { /* recovered */
		d->state = HL_DELIVERY_PENDING;
		d->hand = true;
	}
	take_token(m, w, q);
	check_time(m, n, w, d, run, q, r);
}

bool rm_on_request(void *model, const struct fx_request *r, struct fx_answer *out)
{
	struct rm *m = model;
	unsigned index;
	uint64_t n = 0;
	catch_up(m);
	RM_CHECK(m, sscanf(r->url, "https://w%u.", &index) == 1 && index < m->n_webhooks, "a request to %s", r->url);
	struct rm_webhook *w = &m->webhooks[index];
	RM_CHECK(m, fx_header(r, "webhook-signature")[0], "a request to %s is not signed", r->url);
	choose_answer(m, w->mood, out);
	if (hl_id_parse(m->f.d, HL_ID_DELIVERY, hl_str_from(fx_header(r, "hookline-delivery-id")), &n) != 0)
		n = 0; /* a test's */
	const struct hl_attempt_run *run = n ? hl_map_u64_get(&m->f.d->shared.claims, n) : NULL;
	RM_CHECK(m, !n || run, "delivery %llu is sent unclaimed", (unsigned long long)n);
	bool direct = !run || run->single_shot;
	take_off(m, n, w, direct, r, out);
	if (!n)
		return true;
	RM_CHECK(m, learn_delivery(m, n, w->account), "delivery %llu is sent and not there", (unsigned long long)n);
	struct rm_delivery *d = rm_delivery(m, n);
	RM_CHECK(m, d->webhook == index, "delivery %llu goes to webhook %u", (unsigned long long)n, w->number);
	if (!direct)
		check_queued(m, n, w, d, run, r);
	d->n_requests++;
	d->early = run->early;
	d->sent_mono_ms = r->mono_ms;
	d->asked = out->retry_after != NULL;
	return true;
}

/* ---- an outcome is told ---- */

void rm_on_attempt(void *fixture, const struct hl_outcome *o)
{
	struct rm *m = fixture;
	uint64_t n = o->delivery->number;
	if (rm_ghost(m))
		return;
	catch_up(m);
	struct rm_delivery *d = rm_delivery(m, n);
	RM_CHECK(m, d->known, "an outcome of delivery %llu, which was not sent", (unsigned long long)n);
	RM_CHECK(m, o->delivery->n_attempts == d->n_requests - d->n_lost, "delivery %llu: %u attempts told, %u sent, %u lost",
			(unsigned long long)n, o->delivery->n_attempts, d->n_requests, d->n_lost);
	RM_CHECK(m, o->attempt->trigger != HL_TRIGGER_LATE || o->delivery->state != HL_DELIVERY_PENDING,
			"delivery %llu goes on after its late attempt", (unsigned long long)n);
	RM_CHECK(m, !o->attempt->succeeded || o->delivery->state == HL_DELIVERY_SUCCEEDED, "delivery %llu: success, but %s",
			(unsigned long long)n, hl_delivery_state_name(o->delivery->state));
	d->n_told = o->delivery->n_attempts;
	d->told_mono_ms = m->f.world.mono_ms;
	d->state = o->delivery->state;
	if (!d->early || !d->told) {
		d->told = true;
		d->due_at_ms = o->delivery->next_at_ms;
		d->since_mono_ms = d->sent_mono_ms;
		d->hint = d->asked;
	}
	if (o->attempt->http_status == 410)
		rm_learn_states(m);
}

/* No other way tells of these. */
void rm_on_log(void *fixture, enum hl_log_level level, const char *line)
{
	static const char lost[] = "ev=outcome.lost delivery=", opened[] = "ev=queue.opened webhook=";
	struct rm *m = fixture;
	const char *at;
	uint64_t number;
	(void)level;
	if (rm_ghost(m))
		return;
	catch_up(m);
	if ((at = strstr(line, lost))) {
		struct rm_delivery *d = rm_delivery(m, strtoull(at + strlen(lost), NULL, 10));
		d->n_lost += d->n_requests > d->n_lost + d->n_told; /* else: it was to end without a request */
	} else if ((at = strstr(line, opened)) && m->f.d &&
			hl_id_parse(m->f.d, HL_ID_WEBHOOK, hl_str_make(at + strlen(opened), HL_ID_LEN), &number) == 0) {
		rm_webhook(m, (uint32_t)number)->opened_mono_ms = m->f.world.mono_ms;
	}
}

/* ---- at every moment ---- */

void rm_check_engine(struct rm *m)
{
	struct hl_dispatcher *d = m->f.d;
	const struct hl_scheduler *s = &d->scheduler;
	uint64_t fresh = 0, due = 0, busy = 0, in_store = 0;
	size_t pos = 0;
	void *v;
	while (hl_map_u64_next(&d->queues, &pos, NULL, &v)) {
		struct hl_queue *q = v;
		RM_CHECK(m, hl_queue_check(q), "the queue of webhook %u is not right", q->webhook);
		fresh += q->fresh_count;
		due += q->due.count;
		busy += q->busy;
	}
	struct hl_totals t;
	hl_totals_get(hl_core_read(d), 0, &t);
	for (int i = 0; i < HL_DELIVERY_STATE_N; i++)
		in_store += t.by_state[i];
	RM_CHECK(m, hl_scheduler_check(s), "the scheduler is not right");
	RM_CHECK(m, fresh == d->shared.n_fresh && due == d->shared.waiting.count, "windows are miscounted");
	RM_CHECK(m, busy <= (uint64_t)s->fast + s->slow, "%llu busy, %u fast, %u slow", (unsigned long long)busy, s->fast, s->slow);
	RM_CHECK(m, s->fast + s->slow <= s->max_total, "%u + %u attempts", s->fast, s->slow);
	RM_CHECK(m, d->n_uncommitted <= d->n_runs && d->n_direct <= HL_DIRECT_MAX, "runs are miscounted");
	RM_CHECK(m, in_store < (uint64_t)1 << 40, "a counter went below zero");
}

void rm_check_held(struct rm *m)
{
	enum { MINUTE = 60000 };
	struct hl_delivery v;
	hl_ms_t now = m->f.world.mono_ms;
	if (m->f.disk_stalled)
		m->disturbed_mono_ms = now;
	if (m->n_clocks > 1 || now - m->disturbed_mono_ms < 5 * MINUTE || now - m->held_mono_ms < 10 * MINUTE)
		return;
	m->held_mono_ms = now;
	for (uint64_t n = 1; n < m->cap; n++) {
		const struct rm_delivery *d = &m->deliveries[n];
		const struct rm_webhook *w = &m->webhooks[d->webhook];
		if (!d->known || (w->state != HL_WEBHOOK_PAUSED && w->state != HL_WEBHOOK_DISABLED) ||
				hl_delivery_get(m->f.d, w->account, n, &v) != 0)
			continue;
		RM_CHECK(m, v.state != HL_DELIVERY_PENDING || v.window_until_ms + 5 * MINUTE > fx_now(&m->f),
				"delivery %llu is held %lld ms past its window", (unsigned long long)n,
				(long long)(fx_now(&m->f) - v.window_until_ms));
	}
}

void rm_settle_recoveries(struct rm *m)
{
	struct hl_txn *txn = hl_core_read(m->f.d);
	struct hl_job_row job;
	struct hl_delivery_row row;
	if (m->n_outstanding || hl_job_next(txn, 0, &job))
		return;
	for (uint64_t n = 1; n < m->cap; n++) {
		struct rm_delivery *d = &m->deliveries[n];
		if (!d->known || d->state != HL_DELIVERY_FAILED || !m->webhooks[d->webhook].unsure)
			continue;
		if (hl_delivery_row_get(txn, n, &row) && row.state == HL_DELIVERY_PENDING) {
			d->state = HL_DELIVERY_PENDING;
			d->hand = true;
		}
	}
	for (unsigned i = 0; i < m->n_webhooks; i++)
		m->webhooks[i].unsure = false;
}

/* A request leaves: everything that must be so at this moment. */
#include "sim.h"

#include "base/codec.h"
#include "dispatch/attempt.h"
#include "dispatch/queues.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- limits ---- */

static bool slow_now(const struct sim_flight *p, hl_ms_t now)
{
	return p->slow || p->start_mono_ms + HL_QUEUE_OLD_MS <= now;
}

struct in_flight {
	uint32_t same;             /* of this webhook */
	uint32_t fast, slow;
	uint32_t retries;          /* among the fast ones */
};

/* What is in flight now; what has landed is forgotten. */
static struct in_flight look_around(struct sim *m, uint16_t webhook, uint64_t delivery, hl_ms_t now)
{
	struct in_flight sum = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < m->n_flights; i++) {
		struct sim_flight *p = &m->flights[i];
		if (p->end_mono_ms <= now)
			continue;
		SIM_CHECK(m, !delivery || p->delivery != delivery, "delivery %llu is in flight already", (sim_ull)delivery);
		bool slow = slow_now(p, now);
		if (!p->direct) {
			sum.same += p->webhook == webhook;
			sum.slow += slow;
			sum.fast += !slow;
			sum.retries += !slow && p->retry;
		}
		m->flights[n++] = *p;
	}
	m->n_flights = n;
	return sum;
}

static void check_limits(struct sim *m, const struct sim_webhook *w, const struct in_flight *in, bool slow, bool retry)
{
	const struct hl_options *o = &m->f.options;
	const struct hl_scheduler *s = &m->f.d->scheduler;
	uint32_t most = w->max_in_flight ? w->max_in_flight : o->max_in_flight_per_webhook;
	SIM_CHECK(m, in->same < most, "webhook %u has %u in flight already", w->number, in->same);
	SIM_CHECK(m, in->fast + in->slow < o->max_connections, "%u + %u in flight already", in->fast, in->slow);
	if (slow)
		SIM_CHECK(m, in->slow < o->max_slow, "%u slow ones in flight already", in->slow);
	else
		SIM_CHECK(m, in->fast < o->max_in_flight, "%u in flight already", in->fast);
	bool share = slow || !retry || hl_list_empty(&s->lanes[HL_LANE_FRESH]);
	SIM_CHECK(m, share || in->retries * 100 < o->max_in_flight * HL_SCHEDULER_RETRY_PERCENT,
			"%u retries in flight while first attempts wait", in->retries);
}

static void take_off(struct sim *m, uint64_t delivery, struct sim_webhook *w, const struct hl_attempt_run *run,
		const struct fx_request *r, const struct fx_answer *a)
{
	hl_ms_t took = a->hang ? r->timeout_ms : HL_MIN(a->latency_ms, (hl_ms_t)r->timeout_ms);
	uint16_t index = (uint16_t)(w - m->webhooks);
	struct sim_flight p = { .delivery = delivery, .webhook = index, .start_mono_ms = r->mono_ms,
		.end_mono_ms = r->mono_ms + took, .direct = !run || run->single_shot };
	struct in_flight in = look_around(m, index, delivery, r->mono_ms);
	if (!p.direct) {
		const struct hl_queue *q = hl_queues_get(m->f.d, w->number);
		SIM_CHECK(m, q, "delivery %llu: webhook %u has no queue", (sim_ull)delivery, w->number);
		p.slow = q->lane == HL_LANE_SLOW;
		p.retry = !run->fresh;
		check_limits(m, w, &in, p.slow, p.retry);
	}
	SIM_CHECK(m, m->n_flights < SIM_FLIGHTS_MAX, "too much in flight");
	m->flights[m->n_flights++] = p;
}

static void take_token(struct sim *m, struct sim_webhook *w, const struct hl_queue *q)
{
	hl_ms_t now = m->f.world.mono_ms;
	if (!w->rate || q->state == HL_QUEUE_PARKED)
		return;
	w->tokens += (double)(now - w->tokens_mono_ms) * w->rate / 1000.0;
	w->tokens = HL_MIN(w->tokens, (double)w->rate);
	w->tokens_mono_ms = now;
	SIM_CHECK(m, w->tokens > 0.99, "webhook %u: more than %u a second (%g, the queue has %g)", w->number, w->rate,
			w->tokens, q->tokens);
	w->tokens -= 1.0;
}

/* ---- time ---- */

/* The wall clock may be set; the engine may go by what it showed at any moment since. */
static hl_ms_t most_ahead(const struct sim *m, hl_ms_t since_mono_ms)
{
	hl_ms_t most = m->clocks[0].ahead_ms;
	for (unsigned i = 1; i < m->n_clocks; i++)
		most = m->clocks[i].mono_ms < since_mono_ms ? m->clocks[i].ahead_ms : HL_MAX(most, m->clocks[i].ahead_ms);
	return most;
}

static void check_time(struct sim *m, uint64_t n, const struct sim_webhook *w, const struct sim_delivery *d,
		const struct hl_attempt_run *run, const struct hl_queue *q, const struct fx_request *r)
{
	enum hl_trigger t = run->attempt.trigger;
	struct hl_delivery v;
	if (d->hand || t == HL_TRIGGER_MANUAL || hl_delivery_get(m->f.d, w->account, n, &v) != 0)
		return;
	SIM_CHECK(m, !d->expires_at_ms || r->at_ms < d->expires_at_ms, "delivery %llu has expired", (sim_ull)n);
	SIM_CHECK(m, t == HL_TRIGGER_LATE || r->at_ms <= v.window_until_ms + HL_POLICY_GRACE_MS,
			"delivery %llu: %s %lld ms past its window", (sim_ull)n, hl_trigger_name(t),
			(long long)(r->at_ms - v.window_until_ms));
	SIM_CHECK(m, t != HL_TRIGGER_LATE || r->at_ms > v.window_until_ms, "delivery %llu: late inside its window", (sim_ull)n);
	SIM_CHECK(m, t != HL_TRIGGER_LATE || !w->strict, "delivery %llu: late, but strict", (sim_ull)n);
	hl_ms_t early_ms = d->due_at_ms - most_ahead(m, d->since_mono_ms) - r->mono_ms;
	bool drained = run->due.why == HL_WAIT_BACKOFF && run->due.drain_gen < q->drain_gen;
	bool may_hurry = d->told && !w->strict && !d->hint && (drained || (t == HL_TRIGGER_PROBE && run->early));
	SIM_CHECK(m, early_ms <= 0 || may_hurry, "delivery %llu: %s %lld ms before its time%s", (sim_ull)n,
			hl_trigger_name(t), (long long)early_ms, d->told ? "" : ", the first");
}

/* ---- what is sent ---- */

static bool signed_with(const char *secret, const struct fx_request *r, const char *signature)
{
	uint8_t key[128], sum[32];
	char text[64];
	size_t key_len;
	unsigned sum_len;
	struct hl_str id = hl_str_from(fx_header(r, "webhook-id"));
	char head[HL_ID_CAP + 32];
	int n = snprintf(head, sizeof(head), "%.*s.", HL_FMT(id));
	n += snprintf(head + n, sizeof(head) - (size_t)n, "%s.", fx_header(r, "webhook-timestamp"));
	if (!hl_base64_decode(hl_str_from(secret + strlen("whsec_")), key, sizeof(key), &key_len))
		return false;
	uint8_t *whole = malloc((size_t)n + r->body_len);
	memcpy(whole, head, (size_t)n);
	memcpy(whole + n, r->body, r->body_len);
	HMAC(EVP_sha256(), key, (int)key_len, whole, (size_t)n + r->body_len, sum, &sum_len);
	free(whole);
	memcpy(text, "v1,", 3);
	text[3 + hl_base64_encode(sum, 32, text + 3)] = '\0';
	return strstr(signature, text) != NULL;
}

static void check_content(struct sim *m, const struct sim_webhook *w, uint64_t event, const struct fx_request *r)
{
	char signature[256], data[64];
	uint64_t number;
	snprintf(signature, sizeof(signature), "%s", fx_header(r, "webhook-signature"));
	SIM_CHECK(m, signature[0], "a request to %s is not signed", r->url);
	if (w->secret[0] && !w->n_unsure)
		SIM_CHECK(m, signed_with(w->secret, r, signature), "a request to %s is not signed with its secret", r->url);
	if (!event)
		return;
	SIM_CHECK(m, hl_id_parse(m->f.d, HL_ID_EVENT, hl_str_from(fx_header(r, "webhook-id")), &number) == 0 && number == event,
			"a request to %s has another event's id", r->url);
	const struct sim_event *e = sim_event(m, event);
	if (e && e->value) {
		snprintf(data, sizeof(data), "{\"n\":%u}", e->value);
		SIM_CHECK(m, strstr(r->body, data), "event %llu was published as %s and sent as %s", (sim_ull)event, data, r->body);
	}
}

/* ---- the whole ---- */

static void check_queued(struct sim *m, uint64_t n, struct sim_webhook *w, struct sim_delivery *d,
		const struct hl_attempt_run *run, const struct fx_request *r)
{
	const struct hl_queue *q = hl_queues_get(m->f.d, w->number);
	SIM_CHECK(m, w->state == HL_WEBHOOK_ENABLED, "delivery %llu: webhook %u is %s", (sim_ull)n, w->number,
			hl_webhook_state_name(w->state));
	SIM_CHECK(m, d->state == HL_DELIVERY_PENDING || (d->state == HL_DELIVERY_FAILED && w->recovering),
			"delivery %llu has ended: %s", (sim_ull)n, hl_delivery_state_name((enum hl_delivery_state)d->state));
	if (d->state != HL_DELIVERY_PENDING) { /* recovered */
		d->state = HL_DELIVERY_PENDING;
		d->hand = true;
	}
	take_token(m, w, q);
	check_time(m, n, w, d, run, q, r);
}

bool sim_on_request(void *model, const struct fx_request *r, struct fx_answer *out)
{
	struct sim *m = model;
	unsigned index;
	uint64_t n = 0;
	sim_catch_up(m);
	SIM_CHECK(m, sscanf(r->url, "https://w%u.", &index) == 1 && index < m->n_webhooks, "a request to %s", r->url);
	struct sim_webhook *w = &m->webhooks[index];
	hl_ms_t asked_ms = sim_choose_answer(m, w->mood, out);
	if (hl_id_parse(m->f.d, HL_ID_DELIVERY, hl_str_from(fx_header(r, "hookline-delivery-id")), &n) != 0)
		n = 0; /* a test's */
	const struct hl_attempt_run *run = n ? hl_map_u64_get(&m->f.d->shared.claims, n) : NULL;
	sim_note(m, "request: delivery, webhook, trigger", n, w->number, run ? run->attempt.trigger : 0);
	SIM_CHECK(m, !n || run, "delivery %llu is sent unclaimed", (sim_ull)n);
	take_off(m, n, w, run, r, out);
	w->n_unsure += out->status == 410; /* until told */
	if (!n) {
		check_content(m, w, 0, r);
		return true;
	}
	bool heard = sim_delivery(m, n)->known;
	bool there = sim_learn_delivery(m, n, w->account);
	if (!there && m->dropped_history && w->n_unsure) /* deleted, and the loop does not know yet */
		return true;
	SIM_CHECK(m, there, "delivery %llu is sent and not there", (sim_ull)n);
	struct sim_delivery *d = sim_delivery(m, n);
	if (!heard) /* stored at any time before, and a crash kept us from hearing of it */
		d->since_mono_ms = 0;
	SIM_CHECK(m, d->webhook == index, "delivery %llu goes to webhook %u", (sim_ull)n, w->number);
	SIM_CHECK(m, d->n_requests - d->n_lost == d->n_told, "delivery %llu: the outcome of its attempt before is not stored",
			(sim_ull)n);
	check_content(m, w, d->event, r);
	if (!run->single_shot)
		check_queued(m, n, w, d, run, r);
	d->n_requests++;
	d->early = run->early;
	d->sent_mono_ms = r->mono_ms;
	d->asked_ms = asked_ms;
	return true;
}

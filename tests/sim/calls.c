/* What people do: publishers, owners of webhooks, operators. Each call is remembered until it is answered; what an answer says is
 * learned, unless the process that gives it is one that was killed. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

enum { BURST_MAX = 60 };

const char *const sim_types[4] = { "order.created", "order.paid", "item.sold", "other" };

struct call {
	struct sim *m;
	struct sim_webhook *webhook;     /* that changes; NULL = none does */
	uint32_t account;
	uint64_t number;
	int id;                          /* the publisher's own, -1 = none */
	hl_ms_t began_at_ms;             /* wall clock */
	uint32_t value;                  /* in the data */
	bool replay, create, resume;     /* resume: the webhook was to be enabled */
};

static struct call *begin(struct sim *m, uint32_t account, uint64_t number)
{
	struct call *c = calloc(1, sizeof(*c));
	*c = (struct call){ .m = m, .account = account, .number = number, .id = -1, .began_at_ms = fx_now(&m->f) };
	m->n_outstanding++;
	return c;
}

static struct call *begin_change(struct sim *m, struct sim_webhook *w)
{
	struct call *c = begin(m, w->account, w->number);
	c->webhook = w;
	w->n_unsure++;
	return c;
}

/* status: what the call was answered with. True: there is something to learn. */
static bool told(struct call *c, const char *what, int status)
{
	struct sim *m = c->m;
	if (sim_ghost(m))
		return false;
	sim_catch_up(m);
	sim_note(m, what, c->number, (uint64_t)-status, c->account);
	if (c->webhook && status != HL_EFATAL)
		c->webhook->n_unsure -= c->webhook->n_unsure > 0;
	return status == 0;
}

static void end(struct call *c)
{
	c->m->n_outstanding--;
	free(c);
}

/* A call that was refused at once is never answered. */
static void refused(struct call *c, int rc)
{
	struct sim *m = c->m;
	if (rc == 0)
		return;
	SIM_CHECK(m, rc == HL_ENOTFOUND || rc == HL_ECONFLICT || rc == HL_EBUSY || rc == HL_EINVAL || rc == HL_EFATAL,
			"refused: %s", hl_errname(rc));
	sim_note(m, "refused:", (uint64_t)-rc, 0, 0);
	if (c->webhook)
		c->webhook->n_unsure--;
	end(c);
}

/* ---- answers ---- */

/* The publisher's own id gives the first answer for 48 hours, whatever happens to the clock meanwhile. */
static void check_id(struct call *c, const struct hl_published *p)
{
	struct sim *m = c->m;
	struct sim_id *id = &m->ids[c->account][c->id];
	hl_ms_t looked_ms = HL_MIN(c->began_at_ms, fx_now(&m->f)); /* the clock may have been set since */
	bool lasts = id->event && m->wall_max_ms - id->at_ms < 47 * SIM_HOUR && looked_ms - id->at_ms > -20 * SIM_HOUR;
	SIM_CHECK(m, !lasts || (p->replayed && (id->twice || (p->event == id->event && (m->retention || p->n_deliveries == id->n)))),
			"id %d of account %u: event %llu first, now %llu", c->id, c->account, (sim_ull)id->event, (sim_ull)p->event);
	if (!lasts)
		*id = (struct sim_id){ p->event, p->n_deliveries, p->created_at_ms, id->event != 0 };
}

static void on_publish(void *data, int status, const struct hl_published *p)
{
	struct call *c = data;
	struct sim *m = c->m;
	if (status == 0)
		c->number = p->event;
	if (told(c, c->replay ? "replayed: event, status, account" : "published: event, status, account", status)) {
		if (c->replay) {
			struct sim_event *e = sim_event(m, p->event);
			if (e)
				e->n_replays += p->n_deliveries;
		} else {
			bool gone = p->replayed && m->retention;
			struct sim_event *e = gone ? NULL : sim_learn_event(m, c->account, p->event, p->n_deliveries);
			if (e && c->value)
				e->value = c->value;
			if (!p->replayed && !m->f.disk_late && !m->f.fatal)
				sim_check_targets(m, c->account, p->event);
			if (c->id >= 0)
				check_id(c, p);
		}
	}
	end(c);
}

static void on_webhook(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r)
{
	struct call *c = data;
	struct sim *m = c->m;
	(void)err;
	if (told(c, c->create ? "made: webhook, status, account" : "changed: webhook, status, account", status)) {
		if (c->create) {
			SIM_CHECK(m, r->webhook && r->webhook->number == c->webhook->number, "webhook %u, not %u",
					r->webhook->number, c->webhook->number);
			c->webhook->made = true;
		}
		if (r->secret.len)
			snprintf(c->webhook->secret, sizeof(c->webhook->secret), "%.*s", HL_FMT(r->secret));
		sim_learn_states(m);
		if (c->resume) { /* paused and resumed in one commit, its state looks unchanged, but its queue was opened */
			c->webhook->parking_mono_ms = 0;
			c->webhook->parked = false;
		}
	} else if (!sim_ghost(m) && c->create && status != HL_EFATAL) {
		c->webhook->number = 0;
	}
	end(c);
}

static void on_retry(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct call *c = data;
	(void)err;
	(void)v;
	if (told(c, "retried: delivery, status, account", status))
		sim_delivery(c->m, c->number)->state = HL_DELIVERY_PENDING;
	end(c);
}

static void on_cancel(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct call *c = data;
	(void)err;
	if (told(c, "cancelled: delivery, status, account", status))
		sim_delivery(c->m, c->number)->state = v->state;
	end(c);
}

static void on_attempt(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	(void)v;
	(void)a;
	(void)told(data, "tried: number, status, account", status);
	end(data);
}

static void on_count(void *data, int status, uint64_t n)
{
	(void)n;
	(void)told(data, "counted: webhook, status, account", status);
	end(data);
}

/* ---- calls ---- */

static uint32_t any_account(struct sim *m) { return 1 + sim_below(m, SIM_ACCOUNTS); }

struct sim_webhook *sim_any_webhook(struct sim *m)
{
	for (int tries = 0; tries < 20; tries++) {
		struct sim_webhook *w = &m->webhooks[sim_below(m, m->n_webhooks)];
		if (w->number && w->made)
			return w;
	}
	return NULL;
}

/* A delivery that is known, rather a young one; 0 = none. */
static uint64_t any_delivery(struct sim *m)
{
	uint64_t upto = m->f.d->numbers.delivery;
	for (int tries = 0; upto > 1 && tries < 10; tries++) {
		uint64_t range = sim_chance(m, 70) && upto > 100 ? 100 : upto - 1;
		uint64_t n = upto - 1 - sim_random(m) % range;
		if (n > 0 && sim_delivery(m, n)->known)
			return n;
	}
	return 0;
}

void sim_publish(struct sim *m, bool simple)
{
	char text[64], id[16];
	uint32_t account = any_account(m);
	struct call *c = begin(m, account, 0);
	struct hl_publish p = { .type = hl_str_from(sim_types[sim_below(m, 4)]) };
	hl_ms_t now = fx_now(&m->f);
	c->value = 1 + sim_below(m, 1000000);
	if (!simple && sim_chance(m, 15)) {
		c->id = (int)sim_below(m, SIM_IDS);
		c->value = (uint32_t)c->id + 1;
		snprintf(id, sizeof(id), "id-%d", c->id);
		p.external_id = hl_str_from(id);
		p.type = hl_str_from(sim_types[c->id % 4]);
	} else if (!simple) {
		if (sim_chance(m, 10))
			p.deliver_after_ms = now + 1 + sim_below(m, 2 * SIM_HOUR);
		if (sim_chance(m, 10))
			p.expires_at_ms = HL_MAX(now, p.deliver_after_ms) + 1 +
					sim_below(m, sim_chance(m, 50) ? SIM_MINUTE : 5 * SIM_HOUR);
	}
	snprintf(text, sizeof(text), "{\"n\":%u}", c->value);
	p.data = hl_str_from(text);
	refused(c, hl_publish(m->f.d, account, &p, on_publish, c, NULL));
}

void sim_burst(struct sim *m)
{
	if (m->f.d->numbers.delivery > SIM_ROWS_MAX)
		return;
	for (unsigned n = 1 + sim_below(m, BURST_MAX); n > 0; n--)
		sim_publish(m, true);
}

static void choose_policy(struct sim *m, struct hl_webhook *w)
{
	static const uint32_t windows_s[] = { 600, 3600, 4 * 3600, 12 * 3600 };
	if (m->usual && sim_chance(m, 80))
		return;
	w->window_s = windows_s[sim_below(m, 4)];
	w->retry.kind = (enum hl_retry_kind)sim_below(m, 4);
	if (w->retry.kind == HL_RETRY_DELAYS) {
		w->retry.n_delays = 1 + sim_below(m, 4);
		for (uint32_t i = 0; i < w->retry.n_delays; i++)
			w->retry.delays_s[i] = 1 + sim_below(m, sim_chance(m, 50) ? 10 : 2000);
	}
	if (sim_chance(m, m->seed % 4 ? 0 : 25)) {
		w->dialect = HL_DIALECT_ABOUTYOU;
		w->strict = true;
		w->retry.kind = HL_RETRY_DEFAULT;
		w->window_s = 0;
	}
}

void sim_create(struct sim *m)
{
	if (m->n_webhooks >= m->max_webhooks)
		return;
	struct sim_webhook *r = &m->webhooks[m->n_webhooks];
	char url[64];
	snprintf(url, sizeof(url), "https://w%u.example/0", m->n_webhooks);
	struct hl_webhook w = { .account = any_account(m), .url = hl_str_from(url), .name = hl_str_from(url) };
	struct hl_str filter[2];
	filter[0] = hl_str_from(sim_types[sim_below(m, 4)]);
	filter[1] = hl_str_from(sim_types[sim_below(m, 3)]);
	if (sim_chance(m, 30)) {
		w.event_types = filter;
		w.n_event_types = 1 + (filter[0].ptr != filter[1].ptr);
	}
	choose_policy(m, &w);
	w.rate_limit = sim_chance(m, 20) ? 1 + sim_below(m, 20) : 0;
	w.max_in_flight = sim_chance(m, 30) ? 1 + sim_below(m, 8) : 0;
	*r = (struct sim_webhook){ .number = m->f.d->numbers.webhook, .account = w.account, .strict = w.strict, .rate = w.rate_limit,
		.max_in_flight = w.max_in_flight, .hourly = w.strict || w.retry.kind == HL_RETRY_HOURLY, .tokens = w.rate_limit,
		.tokens_mono_ms = m->f.world.mono_ms };
	m->n_webhooks++;
	struct call *c = begin_change(m, r);
	c->create = true;
	int rc = hl_webhook_create(m->f.d, &w, HL_STR_NONE, 0, NULL, on_webhook, c, NULL);
	if (rc)
		r->number = 0;
	refused(c, rc);
}

void sim_set_state(struct sim *m, struct sim_webhook *w, enum hl_webhook_state state)
{
	struct hl_webhook values = { .state = state };
	if (!w || !w->made)
		return;
	struct call *c = begin_change(m, w);
	c->resume = state == HL_WEBHOOK_ENABLED;
	refused(c, hl_webhook_update(m->f.d, w->account, w->number, HL_WF_STATE, &values, on_webhook, c, NULL));
}

void sim_move(struct sim *m)
{
	struct sim_webhook *w = sim_any_webhook(m);
	char url[64];
	if (!w)
		return;
	snprintf(url, sizeof(url), "https://w%u.example/%u", (unsigned)(w - m->webhooks), sim_below(m, 1000));
	struct hl_webhook values = { .url = hl_str_from(url) };
	struct call *c = begin_change(m, w);
	refused(c, hl_webhook_update(m->f.d, w->account, w->number, HL_WF_URL, &values, on_webhook, c, NULL));
}

void sim_delete(struct sim *m)
{
	struct sim_webhook *w = sim_any_webhook(m);
	if (!w)
		return;
	struct call *c = begin_change(m, w);
	bool drop = sim_chance(m, 40);
	m->dropped_history |= drop;
	refused(c, hl_webhook_delete(m->f.d, w->account, w->number, drop, on_webhook, c, NULL));
}

void sim_rotate(struct sim *m)
{
	struct sim_webhook *w = sim_any_webhook(m);
	if (!w)
		return;
	struct call *c = begin_change(m, w);
	refused(c, hl_webhook_rotate(m->f.d, w->account, w->number, sim_below(m, 2) * 3600, HL_STR_NONE, NULL, on_webhook, c, NULL));
}

void sim_recover(struct sim *m)
{
	struct sim_webhook *w = sim_any_webhook(m);
	if (!w)
		return;
	struct hl_recover r = { .webhook = w->number, .error_class = -1 };
	struct call *c = begin(m, w->account, w->number);
	if (sim_chance(m, 30))
		r.type = hl_str_from(sim_types[0]);
	w->recovering = true;
	for (uint64_t n = 1; n < m->cap; n++) /* what expired may come back */
		if (m->deliveries[n].known && m->webhooks[m->deliveries[n].webhook].number == w->number)
			m->deliveries[n].expires_at_ms = 0;
	refused(c, hl_webhook_recover(m->f.d, w->account, &r, on_count, c, NULL));
}

/* Any, or with retention rather one that is about to go. */
static const struct sim_event *any_event(struct sim *m)
{
	struct hl_event e;
	const struct sim_event *any = &m->events[sim_random(m) % m->n_events];
	if (!m->retention || sim_chance(m, 30))
		return any;
	for (size_t i = 0; i < m->n_events; i++)
		if (hl_event_get(m->f.d, m->events[i].account, m->events[i].number, &e) == 0)
			return &m->events[i];
	return any;
}

void sim_replay(struct sim *m)
{
	if (m->n_events == 0 || m->f.d->numbers.delivery > SIM_ROWS_MAX)
		return;
	const struct sim_event *e = any_event(m);
	const struct sim_webhook *w = sim_any_webhook(m);
	struct hl_replay r = { .event = e->number, .webhook = w && sim_chance(m, 50) ? w->number : 0 };
	struct call *c = begin(m, e->account, e->number);
	c->replay = true;
	refused(c, hl_event_replay(m->f.d, e->account, &r, on_publish, c, NULL));
}

void sim_touch_delivery(struct sim *m, unsigned what)
{
	uint64_t n = any_delivery(m);
	struct sim_delivery *d = sim_delivery(m, n);
	struct sim_webhook *w = &m->webhooks[d->webhook];
	if (!n)
		return;
	struct call *c = begin(m, w->account, n);
	if (what == 0) {
		d->hand = true;
		refused(c, hl_delivery_retry(m->f.d, w->account, n, on_retry, c, NULL));
	} else if (what == 1) {
		d->cancelling = true;
		refused(c, hl_delivery_cancel(m->f.d, w->account, n, on_cancel, c, NULL));
	} else {
		refused(c, hl_delivery_retry_new(m->f.d, w->account, n, on_attempt, c, NULL));
	}
}

void sim_test(struct sim *m)
{
	struct sim_webhook *w = sim_any_webhook(m);
	if (!w)
		return;
	struct call *c = begin(m, w->account, w->number);
	refused(c, hl_webhook_test(m->f.d, w->account, w->number, HL_STR_NONE, HL_STR_NONE, on_attempt, c, NULL));
}

/* Random days: accounts, webhooks and receivers in changing moods, publishers and people who pause, retry, cancel, replay,
 * recover and delete, clocks that jump, disks that stall, processes that are killed. Against random_model.c, which knows what
 * was promised.
 *
 * Each seed is a run of its own and repeats exactly:
 *   HL_SEED=17 test_dispatch_random        that one
 *   HL_SEEDS=5000 HL_FIRST=1000 …          many */
#include "random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, SEEDS = 150, BURST_MAX = 120, ROWS_MAX = 4000 };

static const char *const types[] = { "order.created", "order.paid", "item.sold", "other" };

/* ---- calls under way ---- */

struct call {
	struct rm *m;
	uint32_t account, n;
	uint64_t number;
	int id;                          /* the publisher's own, -1 = none */
	bool replay, drop;
};

static struct call *begin(struct rm *m, uint32_t account, uint64_t number)
{
	struct call *c = calloc(1, sizeof(*c));
	*c = (struct call){ .m = m, .account = account, .number = number, .id = -1 };
	m->n_outstanding++;
	return c;
}

static void end(struct call *c)
{
	c->m->n_outstanding--;
	free(c);
}

/* A call that was refused at once is never answered. */
static void refused(struct call *c, int rc)
{
	struct rm *m = c->m;
	if (rc == 0)
		return;
	RM_CHECK(m, rc == HL_ENOTFOUND || rc == HL_ECONFLICT || rc == HL_EBUSY || rc == HL_EINVAL ||
			rc == HL_EFATAL, "refused: %s", hl_errname(rc));
	end(c);
}

/* The publisher's own id gives the first answer for 48 hours, whatever happens to the clock meanwhile. */
static void check_id(struct call *c, const struct hl_published *p)
{
	struct rm *m = c->m;
	struct rm_id *id = &m->ids[c->account][c->id];
	bool lasts = id->event && m->wall_max_ms - id->at_ms < 47 * HOUR && fx_now(&m->f) - id->at_ms > -20 * HOUR;
	RM_CHECK(m, !lasts || (p->replayed && (id->twice || (p->event == id->event && p->n_deliveries == id->n))),
			"id %d of account %u: event %llu first, now %llu", c->id, c->account, (unsigned long long)id->event,
			(unsigned long long)p->event);
	if (!lasts)
		*id = (struct rm_id){ p->event, p->n_deliveries, p->created_at_ms, id->event != 0 };
}

/* Whether batches are told some turns after they are durable. */
static bool late(const struct rm *m)
{
	return m->seed % 5 > 1;
}

static void on_publish(void *data, int status, const struct hl_published *p)
{
	struct call *c = data;
	struct rm *m = c->m;
	if (!rm_ghost(m) && status == 0) {
		if (c->replay) {
			for (size_t i = 0; i < m->n_events; i++)
				if (m->events[i].number == p->event)
					m->events[i].n_replays += p->n_deliveries;
		} else {
			rm_learn_event(m, c->account, p->event, p->n_deliveries);
			if (!p->replayed && !late(m))
				rm_check_targets(m, c->account, p->event);
			if (c->id >= 0)
				check_id(c, p);
		}
	}
	end(c);
}

static void on_webhook(void *data, int status, const struct hl_err *err, const struct hl_webhook_result *r)
{
	struct call *c = data;
	struct rm *m = c->m;
	(void)err;
	(void)r;
	if (!rm_ghost(m) && status == 0)
		rm_learn_states(m);
	end(c);
}

static void on_retry(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct call *c = data;
	(void)err;
	(void)v;
	if (!rm_ghost(c->m) && status == 0)
		rm_delivery(c->m, c->number)->state = HL_DELIVERY_PENDING;
	end(c);
}

static void on_cancel(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct call *c = data;
	(void)err;
	if (!rm_ghost(c->m) && status == 0)
		rm_delivery(c->m, c->number)->state = v->state;
	end(c);
}

static void on_attempt(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	(void)status;
	(void)v;
	(void)a;
	end(data);
}

static void on_count(void *data, int status, uint64_t n)
{
	(void)status;
	(void)n;
	end(data);
}

/* ---- what people do ---- */

static uint32_t any_account(struct rm *m) { return 1 + rm_below(m, RM_ACCOUNTS); }
static struct rm_webhook *any_webhook(struct rm *m) { return &m->webhooks[rm_below(m, m->n_webhooks)]; }

/* A delivery that is known, rather a young one; 0 = none. */
static uint64_t any_delivery(struct rm *m)
{
	uint64_t upto = m->f.d->numbers.delivery;
	for (int tries = 0; upto > 1 && tries < 10; tries++) {
		uint64_t back = rm_random(m) % (rm_chance(m, 70) && upto > 100 ? 100 : upto - 1), n = upto - 1 - back;
		if (n > 0 && rm_delivery(m, n)->known)
			return n;
	}
	return 0;
}

static void publish(struct rm *m, bool simple)
{
	char text[64], id[16];
	uint32_t account = any_account(m);
	struct call *c = begin(m, account, 0);
	struct hl_publish p = { .type = hl_str_from(types[rm_below(m, 4)]) };
	hl_ms_t now = fx_now(&m->f);
	snprintf(text, sizeof(text), "{\"n\":%u}", rm_below(m, 1000000));
	if (!simple && rm_chance(m, 15)) {
		c->id = (int)rm_below(m, RM_IDS);
		snprintf(id, sizeof(id), "id-%d", c->id);
		snprintf(text, sizeof(text), "{\"id\":%d}", c->id);
		p.external_id = hl_str_from(id);
		p.type = hl_str_from(types[c->id % 4]);
	} else if (!simple) {
		if (rm_chance(m, 10))
			p.deliver_after_ms = now + 1 + rm_below(m, 2 * HOUR);
		if (rm_chance(m, 10))
			p.expires_at_ms = HL_MAX(now, p.deliver_after_ms) + 1 + rm_below(m, rm_chance(m, 50) ? MINUTE : 5 * HOUR);
	}
	p.data = hl_str_from(text);
	refused(c, hl_publish(m->f.d, account, &p, on_publish, c, NULL));
}

static void burst(struct rm *m)
{
	if (m->f.d->numbers.delivery > ROWS_MAX)
		return;
	for (unsigned n = 1 + rm_below(m, BURST_MAX); n > 0; n--)
		publish(m, true);
}

static void create(struct rm *m)
{
	static const uint32_t windows_s[] = { 600, 3600, 4 * 3600, 12 * 3600 };
	if (m->n_webhooks == RM_WEBHOOKS_MAX)
		return;
	struct rm_webhook *r = &m->webhooks[m->n_webhooks];
	char url[64];
	snprintf(url, sizeof(url), "https://w%u.example/0", m->n_webhooks);
	struct hl_webhook w = { .account = any_account(m), .url = hl_str_from(url), .name = hl_str_from(url),
		.window_s = windows_s[rm_below(m, 4)] };
	struct hl_str filter[2] = { hl_str_from(types[rm_below(m, 4)]), hl_str_from(types[rm_below(m, 3)]) };
	if (rm_chance(m, 30)) {
		w.event_types = filter;
		w.n_event_types = 1;
	}
	w.retry.kind = (enum hl_retry_kind)rm_below(m, 4);
	if (w.retry.kind == HL_RETRY_DELAYS) {
		w.retry.n_delays = 1 + rm_below(m, 4);
		for (uint32_t i = 0; i < w.retry.n_delays; i++)
			w.retry.delays_s[i] = 1 + rm_below(m, rm_chance(m, 50) ? 10 : 2000);
	}
	if (rm_chance(m, m->seed % 4 ? 0 : 25)) {
		w.dialect = HL_DIALECT_ABOUTYOU;
		w.strict = true;
		w.retry.kind = HL_RETRY_DEFAULT;
		w.window_s = 0;
	}
	w.rate_limit = rm_chance(m, 20) ? 1 + rm_below(m, 20) : 0;
	w.max_in_flight = rm_chance(m, 30) ? 1 + rm_below(m, 8) : 0;
	*r = (struct rm_webhook){ .number = m->f.d->numbers.webhook, .account = w.account, .strict = w.strict, .rate = w.rate_limit, .max_in_flight = w.max_in_flight,
		.tokens = w.rate_limit, .tokens_mono_ms = m->f.world.mono_ms };
	bool late = m->f.disk_late;
	m->f.disk_late = m->f.disk_stalled = false;
	m->n_webhooks++; /* requests of others may leave on the way */
	uint32_t number = fx_webhook_make(&m->f, &w);
	RM_CHECK(m, number == r->number, "webhook %u, not %u", number, r->number);
	m->f.disk_late = late;
}

static void update(struct rm *m, uint32_t fields, const struct hl_webhook *values)
{
	struct rm_webhook *w = any_webhook(m);
	struct call *c = begin(m, w->account, w->number);
	refused(c, hl_webhook_update(m->f.d, w->account, w->number, fields, values, on_webhook, c, NULL));
}

static void move(struct rm *m)
{
	struct rm_webhook *w = any_webhook(m);
	char url[64];
	snprintf(url, sizeof(url), "https://w%u.example/%u", (unsigned)(w - m->webhooks), rm_below(m, 1000));
	struct hl_webhook values = { .url = hl_str_from(url) };
	struct call *c = begin(m, w->account, w->number);
	refused(c, hl_webhook_update(m->f.d, w->account, w->number, HL_WF_URL, &values, on_webhook, c, NULL));
}

static void delete(struct rm *m)
{
	struct rm_webhook *w = any_webhook(m);
	struct call *c = begin(m, w->account, w->number);
	bool drop = rm_chance(m, 40);
	m->dropped_history |= drop;
	refused(c, hl_webhook_delete(m->f.d, w->account, w->number, drop, on_webhook, c, NULL));
}

static void rotate(struct rm *m)
{
	struct rm_webhook *w = any_webhook(m);
	struct call *c = begin(m, w->account, w->number);
	refused(c, hl_webhook_rotate(m->f.d, w->account, w->number, rm_below(m, 2) * 3600, HL_STR_NONE, NULL, on_webhook, c, NULL));
}

static void recover(struct rm *m)
{
	struct rm_webhook *w = any_webhook(m);
	struct hl_recover r = { .webhook = w->number, .error_class = -1 };
	struct call *c = begin(m, w->account, w->number);
	if (rm_chance(m, 30))
		r.type = hl_str_from(types[0]);
	w->unsure = true;
	for (uint64_t n = 1; n < m->cap; n++) /* what expired may come back */
		if (m->deliveries[n].known && m->webhooks[m->deliveries[n].webhook].number == w->number)
			m->deliveries[n].expires_at_ms = 0;
	refused(c, hl_webhook_recover(m->f.d, w->account, &r, on_count, c, NULL));
}

static void replay(struct rm *m)
{
	if (m->n_events == 0 || m->f.d->numbers.delivery > ROWS_MAX)
		return;
	const struct rm_event *e = &m->events[rm_random(m) % m->n_events];
	struct hl_replay r = { .event = e->number, .webhook = rm_chance(m, 50) ? any_webhook(m)->number : 0 };
	struct call *c = begin(m, e->account, e->number);
	c->replay = true;
	refused(c, hl_event_replay(m->f.d, e->account, &r, on_publish, c, NULL));
}

static void touch_delivery(struct rm *m, unsigned what)
{
	uint64_t n = any_delivery(m);
	struct rm_delivery *d = rm_delivery(m, n);
	struct rm_webhook *w = &m->webhooks[d->webhook];
	if (!n)
		return;
	struct call *c = begin(m, w->account, n);
	if (what == 0) {
		d->hand = true;
		refused(c, hl_delivery_retry(m->f.d, w->account, n, on_retry, c, NULL));
	} else if (what == 1) {
		refused(c, hl_delivery_cancel(m->f.d, w->account, n, on_cancel, c, NULL));
	} else {
		refused(c, hl_delivery_retry_new(m->f.d, w->account, n, on_attempt, c, NULL));
	}
}

static void test(struct rm *m)
{
	struct rm_webhook *w = any_webhook(m);
	struct call *c = begin(m, w->account, w->number);
	refused(c, hl_webhook_test(m->f.d, w->account, w->number, HL_STR_NONE, HL_STR_NONE, on_attempt, c, NULL));
}

static void change_mood(struct rm *m)
{
	enum rm_mood mood = rm_chance(m, 50) ? RM_OK : (enum rm_mood)rm_below(m, RM_MOODS);
	if (mood == RM_GONE && rm_chance(m, 70))
		mood = RM_HANG;
	any_webhook(m)->mood = mood;
	if (rm_chance(m, 5)) /* the network is down, or up again */
		for (unsigned i = 0; i < m->n_webhooks; i++)
			m->webhooks[i].mood = mood == RM_GONE ? RM_OK : mood;
}

/* ---- what happens to the process ---- */

static void squeeze(struct rm *m)
{
	struct hl_dispatcher *d = m->f.d;
	if (m->seed % 2)
		d->shared.n_fresh_max = d->shared.n_due_max = rm_below(m, 60);
	if (m->seed % 3)
		d->events.bytes_max = rm_below(m, 3000);
}

static void restart(struct rm *m, bool crash)
{
	m->crashing = crash;
	if (!crash)
		fx_close(&m->f);
	m->unsynced = true;
	if (crash)
		fx_crash(&m->f);
	else if (rm_chance(m, 30))
		fakeenv_advance(&m->f.world, rm_below(m, 30 * HOUR));
	if (!crash)
		fx_open(&m->f);
	rm_reopened(m);
	squeeze(m);
}

static void jump(struct rm *m)
{
	hl_ms_t by = rm_chance(m, 50) ? (hl_ms_t)rm_below(m, 3 * HOUR) : (hl_ms_t)rm_below(m, 72) * HOUR;
	rm_jump(m, rm_chance(m, 50) ? by : -by);
}

static void pass_time(struct rm *m)
{
	unsigned kind = rm_below(m, 10);
	if (kind < 2)
		return; /* the next step shares the turn */
	if (kind < 4) {
		for (unsigned n = rm_below(m, 4); n > 0; n--)
			(void)fx_turn(&m->f);
		return;
	}
	static const unsigned longest[] = { 5, 100, 2 * SECOND, 20 * SECOND, 5 * MINUTE, HOUR };
	fx_advance(&m->f, rm_below(m, longest[kind - 4]));
}

/* ---- a run ---- */

#define STEPS(X)                                                                        \
	X(24, publish(m, false)) X(8, burst(m)) X(14, change_mood(m)) X(2, create(m))    \
	X(4, update(m, HL_WF_STATE, &(struct hl_webhook){ .state = HL_WEBHOOK_PAUSED }))  \
	X(6, update(m, HL_WF_STATE, &(struct hl_webhook){ .state = HL_WEBHOOK_ENABLED })) \
	X(1, delete(m)) X(1, rotate(m)) X(2, move(m)) X(2, recover(m)) X(3, replay(m))   \
	X(6, touch_delivery(m, 0)) X(6, touch_delivery(m, 1)) X(3, touch_delivery(m, 2)) \
	X(2, test(m)) X(2, m->f.disk_stalled = true) X(5, m->f.disk_stalled = false)     \
	X(1, restart(m, true)) X(1, restart(m, false)) X(1, jump(m))

static void step(struct rm *m)
{
#define X(weight, call) + (weight)
	unsigned dice = rm_below(m, 0 STEPS(X));
#undef X
#define X(weight, call)                                         \
	if (dice < (weight)) {                                  \
		m->doing = #call;                               \
		call;                                           \
		return;                                         \
	}                                                       \
	dice -= (weight);
	STEPS(X)
#undef X
}

static void set_up(struct rm *m)
{
	struct hl_options *o = &m->f.options;
	o->max_in_flight = 1 + rm_below(m, 40);
	o->max_slow = 1 + rm_below(m, 8);
	o->max_connections = 8 + rm_below(m, 60);
	o->max_uncommitted = 1 + rm_below(m, 60);
	o->park_after = 2 + rm_below(m, 5);
	fx_open(&m->f);
	for (unsigned i = 0; i < 2; i++) {
		struct fx_result r = { 0 };
		struct hl_event_type t = { .name = hl_str_from(types[i]), .title = HL_STR("t") };
		t.dialect_categories[HL_DIALECT_ABOUTYOU] = HL_STR("x");
		assert_int_equal(hl_event_type_put(m->f.d, &t, fx_on_done, &r, NULL), 0);
		fx_pump(&m->f);
	}
	for (unsigned n = 3 + rm_below(m, 12); n > 0; n--)
		create(m);
	squeeze(m);
	m->f.disk_late = late(m);
	rm_faults(m->seed % 4 == 3 ? 15 : 0, m->seed);
}

static bool all_ended(struct fx *f, void *data)
{
	struct hl_totals t;
	struct hl_job_row job;
	struct hl_txn *txn = hl_core_read(f->d);
	(void)data;
	hl_totals_get(txn, 0, &t);
	return t.by_state[HL_DELIVERY_PENDING] == 0 && f->d->n_runs == 0 && !hl_job_next(txn, 0, &job);
}

/* All receivers answer, nobody is paused: everything ends. */
static void heal(struct rm *m)
{
	m->doing = "healing";
	rm_faults(0, 0);
	m->f.disk_stalled = false;
	for (unsigned i = 0; i < m->n_webhooks; i++)
		m->webhooks[i].mood = RM_OK;
	fx_advance(&m->f, 20 * SECOND);
	for (unsigned i = 0; i < m->n_webhooks; i++) {
		struct rm_webhook *w = &m->webhooks[i];
		struct call *c = begin(m, w->account, w->number);
		struct hl_webhook values = { .state = HL_WEBHOOK_ENABLED };
		refused(c, hl_webhook_update(m->f.d, w->account, w->number, HL_WF_STATE, &values, on_webhook, c, NULL));
	}
	fx_pump(&m->f);
	hl_ms_t longest = rm_expect_success(m);
	fx_advance(&m->f, 8 * MINUTE + (hl_ms_t)m->f.d->numbers.delivery * SECOND);
	rm_check_drained(m);
	(void)fx_until(&m->f, all_ended, NULL, longest + HOUR);
	rm_settle_recoveries(m);
	rm_check_engine(m);
	rm_check_end(m);
}

static void run(uint64_t seed)
{
	struct rm *m = malloc(sizeof(*m));
	rm_init(m, seed);
	set_up(m);
	unsigned steps = 20 + rm_below(m, 180);
	for (m->step = 1; m->step <= steps; m->step++) {
		step(m);
		pass_time(m);
		if (m->f.fatal) /* a transaction could not even begin */
			restart(m, true);
		m->wall_max_ms = HL_MAX(m->wall_max_ms, fx_now(&m->f));
		rm_check_engine(m);
		rm_check_held(m);
		if (m->step % 16 == 0)
			rm_settle_recoveries(m);
		fx_forget(&m->f);
	}
	heal(m);
	fx_close(&m->f);
	rm_audit(m);
	rm_fini(m);
	free(m);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);
	return s ? strtoull(s, NULL, 10) : otherwise;
}

static void random_days(void **state)
{
	uint64_t one = number_of("HL_SEED", 0), first = number_of("HL_FIRST", 1), n = number_of("HL_SEEDS", SEEDS);
	(void)state;
	for (uint64_t seed = one ? one : first; seed < (one ? one + 1 : first + n); seed++)
		run(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(random_days) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

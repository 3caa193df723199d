/* Exactly one event per enabled period, whatever happens between a price and its event: floods, changes, deletions, disabled
 * accounts, a full store, crashes. The disk commits when a turn is made, so each test says exactly what was durable when. */
#include "engine.h"

#include "dispatch/engine.h"
#include "store/store_private.h"
#include <string.h>

enum { USD_20 = 20000000 };

static int setup(void **state)
{
	static struct ax x;
	ax_init(&x);
	*state = &x;
	return 0;
}

static int teardown(void **state)
{
	ax_fini(*state);
	return 0;
}

static uint64_t rule_below_20(struct ax *x)
{
	return ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
}

/* A price that makes the rule true, durable and judged; its event is not handed over yet. */
static void price_judged(struct ax *x, int64_t cents)
{
	const struct hl_market_quote q = ax_quote(1, "a", cents);
	struct ax_result r;
	ax_quotes_begin(x, false, &q, 1, &r);
	fx_turn(&x->f);
	assert_true(r.called && r.status == 0);
}

/* ---- floods ---- */

static void test_flood(void **state)
{
	struct ax *x = *state;
	struct hl_market_quote q[1000];
	struct ax_result r;
	uint64_t n = rule_below_20(x);
	for (size_t i = 0; i < 1000; i++)
		q[i] = ax_quote(1, i % 2 ? "a" : "b", 1000 + (int64_t)(i % 7));
	ax_quotes_begin(x, false, q, 1000, &r);
	fx_pump(&x->f);
	assert_int_equal(ax_events_of(x, n), 1);
	struct hl_alerts_stats s;
	hl_alerts_stats(x->a, &s);
	assert_int_equal(s.ticks, 1000);
	for (size_t i = 0; i < 50; i++) { /* many blocks of one batch */
		struct ax_result each;
		ax_enable(x, n, i % 2 == 0);
		ax_quotes_begin(x, false, &q[i], 1, &each);
		fx_pump(&x->f);
	}
	assert_int_equal(ax_events_of(x, n), 26);
}

/* True for one quote in the middle of a block only: each is judged. */
static void test_blink(void **state)
{
	struct ax *x = *state;
	const struct hl_market_quote q[] = { ax_quote(1, "a", 3000), ax_quote(1, "a", 1999), ax_quote(1, "a", 3000) };
	struct hl_alert_event e;
	struct ax_result r;
	uint64_t n = rule_below_20(x);
	ax_quotes_begin(x, false, q, 3, &r);
	fx_pump(&x->f);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1);
	assert_int_equal(e.best_ask, 1999);
}

/* ---- changes on the way ---- */

/* when: 0 the trigger waits, 1 its transaction is handed over, the change comes before it (changes are committed first), 2 the
 * trigger is durable. */
static void at_stage(struct ax *x, int when)
{
	price_judged(x, 1500);
	if (when >= 1)
		hl_engine_tick(x->f.d);
	if (when == 2)
		fx_pump(&x->f);
}

static void test_deleted(void **state)
{
	struct ax *x = *state;
	for (int when = 0; when <= 2; when++) {
		struct ax_result r;
		uint64_t n = rule_below_20(x);
		at_stage(x, when);
		ax_delete_begin(x, n, &r);
		fx_pump(&x->f);
		assert_int_equal(r.status, 0);
		assert_int_equal(ax_events_of(x, n), when == 2);
		assert_false(hl_rules_get(x->a->rules, n, &(struct hl_rule){ 0 }));
		ax_ask(x, 1, "a", 1400 + when);
		assert_int_equal(ax_events_of(x, n), when == 2);
		ax_ask(x, 1, "a", 5000);
	}
	assert_int_equal(ax_events(x), 1); /* and it stays listed */
}

static void test_switched_off(void **state)
{
	struct ax *x = *state;
	for (int when = 0; when <= 2; when++) {
		struct ax_result r;
		uint64_t n = rule_below_20(x);
		at_stage(x, when);
		ax_update_begin(x, n, HL_ALF_ENABLED, &(struct hl_alert){ .enabled = false }, &r);
		fx_pump(&x->f);
		assert_int_equal(r.status, 0);
		assert_int_equal(ax_events_of(x, n), when == 2);
		ax_enable(x, n, true); /* still true */
		assert_int_equal(ax_events_of(x, n), 1 + (when == 2));
		assert_false(ax_get(x, n).enabled);
		ax_ask(x, 1, "a", 5000);
	}
}

/* Off and on again before the event is stored: two enabled periods, but nothing was seen in the second. */
static void test_off_and_on(void **state)
{
	struct ax *x = *state;
	struct ax_result off, on;
	uint64_t n = rule_below_20(x);
	const struct hl_market_quote back = ax_quote(1, "a", 9000);
	struct ax_result r;
	price_judged(x, 1500);
	hl_engine_tick(x->f.d);
	ax_update_begin(x, n, HL_ALF_ENABLED, &(struct hl_alert){ .enabled = false }, &off);
	ax_update_begin(x, n, HL_ALF_ENABLED, &(struct hl_alert){ .enabled = true }, &on);
	ax_quotes_begin(x, false, &back, 1, &r);
	fx_pump(&x->f);
	assert_true(off.status == 0 && on.status == 0 && r.status == 0);
	/* enabling judged it against the price of then, which was still true */
	assert_int_equal(ax_events_of(x, n), 1);
	assert_false(ax_get(x, n).enabled);
}

/* The same while it waits for its turn: what it saw belongs to the period that is over. */
static void test_off_and_on_waiting(void **state)
{
	struct ax *x = *state;
	uint64_t n = rule_below_20(x);
	uint32_t flights = x->a->triggers.n_flights;
	price_judged(x, 1500);
	x->a->triggers.n_flights = 1000000; /* no turn yet */
	ax_enable(x, n, false);
	ax_ask(x, 1, "a", 9000);
	ax_enable(x, n, true);
	x->a->triggers.n_flights = flights;
	hl_core_soon(x->f.d);
	fx_pump(&x->f);
	assert_int_equal(ax_events(x), 0);
	assert_true(ax_get(x, n).enabled);
	ax_ask(x, 1, "a", 1500);
	assert_int_equal(ax_events_of(x, n), 1);
}

/* Deleted before it fires: the index does not keep it. */
static void test_deleted_quietly(void **state)
{
	struct ax *x = *state;
	struct ax_result r;
	struct hl_rule rule;
	uint64_t n = rule_below_20(x);
	assert_true(hl_rules_get(x->a->rules, n, &rule));
	ax_delete_begin(x, n, &r);
	fx_pump(&x->f);
	assert_false(hl_rules_get(x->a->rules, n, &rule));
	ax_ask(x, 1, "a", 1);
	assert_int_equal(ax_events(x), 0);
}

static void test_threshold_moved_away(void **state)
{
	struct ax *x = *state;
	for (int when = 0; when <= 1; when++) {
		struct ax_result r;
		uint64_t n = rule_below_20(x);
		at_stage(x, when);
		ax_update_begin(x, n, HL_ALF_THRESHOLD, &(struct hl_alert){ .threshold = 10000000 }, &r);
		fx_pump(&x->f);
		assert_int_equal(r.status, 0);
		assert_int_equal(ax_events_of(x, n), 0);
		assert_true(ax_get(x, n).enabled);
		ax_ask(x, 1, "a", 1000);
		assert_int_equal(ax_events_of(x, n), 1);
		ax_ask(x, 1, "a", 5000);
	}
}

static void test_two_updates_one_batch(void **state)
{
	struct ax *x = *state;
	struct ax_result a, b;
	uint64_t n = rule_below_20(x);
	ax_ask(x, 1, "a", 2500);
	ax_update_begin(x, n, HL_ALF_THRESHOLD, &(struct hl_alert){ .threshold = 26000000 }, &a); /* true */
	ax_update_begin(x, n, HL_ALF_THRESHOLD, &(struct hl_alert){ .threshold = 24000000 }, &b); /* not any more */
	fx_pump(&x->f);
	assert_true(a.status == 0 && b.status == 0);
	assert_int_equal(ax_events_of(x, n), 0);
	ax_ask(x, 1, "a", 2400);
	assert_int_equal(ax_events_of(x, n), 1);
	assert_int_equal(ax_get(x, n).threshold, 24000000);
}

/* ---- accounts ---- */

static void test_disabled_account(void **state)
{
	struct ax *x = *state;
	struct hl_account_row row = { .number = HL_ACCOUNT_DEFAULT, .id = HL_STR("default"), .disabled = true };
	uint64_t n = rule_below_20(x), late;
	ax_account(x, &row);
	ax_ask(x, 1, "a", 1500);
	late = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	assert_int_equal(ax_events(x), 0);
	assert_true(ax_get(x, n).enabled && ax_get(x, late).enabled);
	ax_close(x); /* its rules stay out over a restart */
	ax_open(x);
	ax_ask(x, 1, "a", 1400);
	assert_int_equal(ax_events(x), 0);
	row.disabled = false;
	ax_account(x, &row);
	assert_int_equal(ax_events_of(x, n), 1);
	assert_int_equal(ax_events_of(x, late), 1);
	ax_enable(x, n, true);
	assert_int_equal(ax_events_of(x, n), 2);
}

/* The account is disabled while the trigger is on its way, and enabled before we hear of it. */
static void test_account_blinks(void **state)
{
	struct ax *x = *state;
	struct hl_account_row row = { .number = HL_ACCOUNT_DEFAULT, .id = HL_STR("default"), .disabled = true };
	uint64_t n = rule_below_20(x);
	price_judged(x, 1500);
	hl_engine_tick(x->f.d);
	ax_account(x, &row);
	assert_int_equal(ax_events(x), 0);
	row.disabled = false;
	ax_account(x, &row);
	fx_advance(&x->f, 5000);
	assert_int_equal(ax_events_of(x, n), 1);
	assert_false(ax_get(x, n).enabled);
}

/* The same with all of it durable before any of it is told: at every look the account seems enabled. */
static void test_account_blinks_unseen(void **state)
{
	struct ax *x = *state;
	struct hl_account_row row = { .number = HL_ACCOUNT_DEFAULT, .id = HL_STR("default"), .disabled = true };
	uint64_t n = rule_below_20(x);
	price_judged(x, 1500);
	ax_account_begin(x, &row);
	assert_true(hl_commit_run(x->f.d->commit));
	hl_engine_tick(x->f.d);
	assert_int_equal(x->a->triggers.n_flights, 1);
	assert_true(hl_commit_run(x->f.d->commit)); /* refused: disabled */
	row.disabled = false;
	ax_account_begin(x, &row);
	assert_true(hl_commit_run(x->f.d->commit));
	fx_pump(&x->f);
	assert_int_equal(x->a->triggers.n_flights, 0);
	fx_advance(&x->f, 5000);
	assert_int_equal(ax_events_of(x, n), 1);
}

/* ---- a full store ---- */

static int no_room(void *data, enum hl_fault at)
{
	(void)data;
	return at == HL_FAULT_RESERVE;
}

static void test_full(void **state)
{
	struct ax *x = *state;
	struct hl_alert_event e;
	struct hl_alerts_stats stats;
	uint64_t n = rule_below_20(x), other = ax_rule(x, HL_ALERT_PRICE_BELOW, 1, 19000000, "USD");
	price_judged(x, 1950);
	x->f.d->store->o.fault = no_room;
	fx_pump(&x->f);
	assert_int_equal(ax_events(x), 0);
	assert_true(ax_get(x, n).enabled);
	const struct hl_market_quote q = ax_quote(1, "a", 1800);
	struct ax_result r;
	ax_quotes_begin(x, false, &q, 1, &r); /* ticks are refused too */
	fx_pump(&x->f);
	assert_int_equal(r.status, HL_EFULL);
	fx_advance(&x->f, 60000);
	assert_int_equal(ax_events(x), 0);
	hl_alerts_stats(x->a, &stats);
	assert_int_equal(stats.firing, 1);
	x->f.d->store->o.fault = NULL;
	fx_advance(&x->f, 10000);
	assert_int_equal(ax_list_events(x, n, &e, 1), 1); /* with what it saw */
	assert_int_equal(e.best_ask, 1950);
	assert_int_equal(ax_events_of(x, other), 0);
	ax_ask(x, 1, "a", 1800);
	assert_int_equal(ax_events_of(x, other), 1);
	assert_int_equal(ax_events_of(x, n), 1);
}

/* Changed while it waits for room: the change decides. */
static void test_full_and_changed(void **state)
{
	struct ax *x = *state;
	struct ax_result r, deleted;
	uint64_t n = rule_below_20(x), gone = rule_below_20(x);
	price_judged(x, 1950);
	x->f.d->store->o.fault = no_room;
	fx_advance(&x->f, 10000);
	ax_delete_begin(x, gone, &deleted);
	ax_update_begin(x, n, HL_ALF_THRESHOLD, &(struct hl_alert){ .threshold = 10000000 }, &r);
	fx_pump(&x->f);
	assert_true(r.status == 0 && deleted.status == 0);
	x->f.d->store->o.fault = NULL;
	fx_advance(&x->f, 10000);
	assert_int_equal(ax_events(x), 0);
	ax_ask(x, 1, "a", 999);
	assert_int_equal(ax_events_of(x, n), 1);
}

/* ---- crashes ---- */

static void test_crash(void **state)
{
	struct ax *x = *state;
	/* before the tick is durable: it never happened */
	uint64_t n = rule_below_20(x);
	const struct hl_market_quote q = ax_quote(1, "a", 1500);
	struct hl_market_view view;
	struct ax_result r;
	ax_quotes_begin(x, false, &q, 1, &r);
	ax_crash(x);
	assert_int_equal(hl_market_get(x->a, 1, &view), 0);
	assert_int_equal(view.best_ask, 0);
	assert_int_equal(ax_events(x), 0);
	/* between tick and event */
	price_judged(x, 1500);
	ax_crash(x);
	assert_int_equal(ax_events_of(x, n), 1);
	assert_int_equal(hl_market_get(x->a, 1, &view), 0);
	assert_int_equal(view.best_ask, 1500);
	/* the event is under way */
	ax_enable(x, n, false);
	ax_ask(x, 1, "a", 5000);
	ax_enable(x, n, true);
	price_judged(x, 1400);
	hl_engine_tick(x->f.d);
	assert_int_equal(x->a->triggers.n_flights, 1);
	ax_crash(x);
	assert_int_equal(ax_events_of(x, n), 2);
	/* durable, nobody was told */
	ax_enable(x, n, true);
	assert_int_equal(ax_events_of(x, n), 3);
	ax_ask(x, 1, "a", 5000);
	ax_enable(x, n, true);
	price_judged(x, 1300);
	hl_engine_tick(x->f.d);
	assert_true(hl_commit_run(x->f.d->commit));
	ax_crash(x);
	assert_int_equal(ax_events_of(x, n), 4);
	assert_false(ax_get(x, n).enabled);
	ax_crash(x);
	assert_int_equal(ax_events_of(x, n), 4);
}

static void test_restart(void **state)
{
	struct ax *x = *state;
	struct hl_alert_event e;
	uint64_t eur = ax_rule(x, HL_ALERT_PRICE_BELOW, 2, 10000000, "EUR"), n = rule_below_20(x);
	struct hl_market_view view;
	ax_ask(x, 2, "a", 2100);
	ax_bid(x, 2, "c", 1000);
	ax_ask(x, 2, "b", 2200);
	ax_close(x);
	ax_open(x);
	assert_int_equal(hl_market_get(x->a, 2, &view), 0);
	assert_true(view.best_ask == 2100 && view.best_bid == 1000);
	assert_true(hl_str_eq(view.item.name, HL_STR("AK-47 | Redline 2")) && hl_str_eq(view.bid_provider, HL_STR("c")));
	assert_true(hl_str_eq(view.ask_link, HL_STR("https://market.example/item")));
	ax_ask(x, 2, "a", 2000);
	assert_int_equal(ax_list_events(x, eur, &e, 1), 1);
	ax_ask(x, 1, "a", 2000);
	assert_int_equal(ax_events_of(x, n), 1);
	uint64_t next = ax_rule(x, HL_ALERT_PRICE_BELOW, 3, 1, "USD");
	struct ax_result r;
	ax_delete_begin(x, next, &r);
	fx_pump(&x->f);
	ax_close(x);
	ax_open(x);
	assert_int_equal(ax_rule(x, HL_ALERT_PRICE_BELOW, 3, 1, "USD"), next + 1); /* numbers do not come back */
}

static void on_closed(void *data)
{
	*(bool *)data = true;
}

/* Closed with calls under way: they end first, with their results; what waited to fire does so after the start. */
static void test_close_busy(void **state)
{
	struct ax *x = *state;
	const struct hl_market_quote q = ax_quote(1, "a", 1500);
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 2, USD_20, "USD");
	struct ax_result tick, made, late;
	bool closed = false;
	uint64_t n = rule_below_20(x);
	ax_quotes_begin(x, false, &q, 1, &tick);
	ax_rule_begin(x, &v, NULL, &made);
	hl_alerts_close(x->a, on_closed, &closed);
	assert_false(closed);
	ax_quotes_begin(x, false, &q, 1, &late);
	assert_int_equal(late.status, HL_ECLOSED);
	fx_pump(&x->f);
	assert_true(closed && tick.called && made.called && made.status == 0);
	x->a = NULL;
	fx_close(&x->f);
	ax_open(x);
	assert_int_equal(ax_events_of(x, n), 1);
	assert_true(ax_get(x, made.alert.number).enabled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blink, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_switched_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off_and_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threshold_moved_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_updates_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disabled_account, setup, teardown),
		cmocka_unit_test_setup_teardown(test_account_blinks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_off_and_on_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deleted_quietly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_account_blinks_unseen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_and_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_busy, setup, teardown),
	};
	return cmocka_run_group_tests_name("alerts: races", tests, NULL, NULL);
}

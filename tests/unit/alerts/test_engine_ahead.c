/* Turns between a commit and its callbacks: what the loop reads is ahead of what it was told. In the real program that is any turn
 * the storage thread was quicker than. */
#include "engine.h"

#include "dispatch/engine.h"
#include "store/commit.h"
#include <string.h>

enum { USD_20 = 20000000 };

/* fx_pump with turns between every commit and its callbacks; in the first, a walk over the account begins. */
static void pump_ahead(struct ax *x)
{
	struct fx *f = &x->f;
	bool any = true;
	for (unsigned n = 0; any; n++) {
		assert_true(n < 10000);
		f->disk_stalled = true;
		any = fx_turn(f);
		bool committed = hl_commit_run(f->d->commit);
		if (committed)
			hl_rejudge_account(x->a, HL_ACCOUNT_DEFAULT, false);
		for (int i = 0; committed && i < 3; i++) {
			hl_engine_turn_end(f->d);
			hl_engine_tick(f->d);
		}
		any = hl_commit_tell(f->d->commit) || committed || any;
	}
	f->disk_stalled = false;
}

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

/* A walk over the account finds a rule whose maker has not been told of it. */
static void test_made_during_a_walk(void **state)
{
	struct ax *x = *state;
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	struct ax_result made;
	ax_ask(x, 1, "a", 3000);
	ax_rule_begin(x, &v, NULL, &made);
	pump_ahead(x);
	assert_true(made.called && made.status == 0);
	struct hl_alerts_stats s;
	hl_alerts_stats(x->a, &s);
	assert_int_equal(s.rules_enabled, 1);
	ax_ask(x, 1, "a", 1900);
	assert_int_equal(ax_events(x), 1);
}

/* The same with one that is true already: it fires from the walk, and not once more from its making. */
static void test_fires_during_a_walk(void **state)
{
	struct ax *x = *state;
	struct hl_alert v = ax_alert(HL_ALERT_PRICE_BELOW, 1, USD_20, "USD");
	struct ax_result made;
	ax_ask(x, 1, "a", 1900);
	ax_rule_begin(x, &v, NULL, &made);
	pump_ahead(x);
	assert_true(made.called && made.status == 0);
	assert_int_equal(ax_events(x), 1);
	assert_false(ax_get(x, made.alert.number).enabled);
}

/* Rules switched on and off by the hundred, prices beside, walks all the while. */
static void test_everything_ahead(void **state)
{
	struct ax *x = *state;
	enum { N = 40 };
	uint64_t numbers[N], expected[N] = { 0 };
	struct ax_result r[N], q;
	uint64_t dice = 88172645463325252u;
	for (size_t i = 0; i < N; i++)
		numbers[i] = ax_rule(x, HL_ALERT_PRICE_BELOW, 1 + i % 3, USD_20, "USD");
	for (int round = 0; round < 200; round++) {
		struct hl_market_quote quote = ax_quote(1 + (uint64_t)round % 3, "a", round % 2 ? 1900 : 2100);
		ax_quotes_begin(x, false, &quote, 1, &q);
		for (size_t i = 0; i < N; i++) {
			dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
			bool on = dice % 4 == 0;
			if (dice >> 32 & 1)
				ax_update_begin(x, numbers[i], HL_ALF_ENABLED, &(struct hl_alert){ .enabled = on }, &r[i]);
			if (dice % 7 == 0)
				fx_turn(&x->f);
		}
		pump_ahead(x);
	}
	/* let all fire that are on: then as many periods have ended as there are events, and none is on */
	for (uint64_t item = 1; item <= 3; item++)
		ax_ask(x, item, "a", 1500);
	for (size_t i = 0; i < N; i++) {
		expected[i] = ax_events_of(x, numbers[i]);
		assert_false(ax_get(x, numbers[i]).enabled);
		ax_enable(x, numbers[i], true); /* true at once */
		assert_int_equal(ax_events_of(x, numbers[i]), expected[i] + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_during_a_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fires_during_a_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_everything_ahead, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

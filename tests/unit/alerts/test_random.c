/* Random days of a market beside a twin that looks at everything every time.
 *
 * The twin keeps rules and quotes in plain arrays; after each step it goes through all rules of the item (or of all items) and
 * through all quotes, and divides instead of multiplying. Index and twin must agree on who fires, on every best price and
 * on what is left, after each of many thousand steps. A failing day names its seed: HL_SEED=n runs that day alone. */
#include "alerts/rules.h"
#include "base/defs.h"
#include "base/str.h"
#include <hookline/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ITEMS = 12, PROVIDERS = 7, CURRENCIES = 6, RULES = 700, STEPS = 6000, DAYS = 100 };

struct twin_quote {
	int64_t cents;
	int link;
};
struct twin_rule {
	struct hl_rule v;
	bool enabled;
};
static struct {
	struct twin_quote quotes[2][ITEMS][PROVIDERS];
	struct twin_rule rules[RULES];
	int64_t rates[CURRENCIES];
	uint16_t currencies[CURRENCIES];
} twin;

static struct hl_market *market;
static struct hl_rules *rules;
static uint64_t x;
static uint64_t fired_in_all;

static size_t n_fired;        /* in this judgement */
static size_t fail_after;     /* the callback takes so many */

static uint64_t dice(uint64_t n)
{
	x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	return (x >> 11) % n;
}

static int64_t twin_best(bool bids, uint32_t item, int *out_provider)
{
	int64_t best = 0;
	for (int p = 0; p < PROVIDERS; p++) {
		int64_t c = twin.quotes[bids][item][p].cents;
		if (c > 0 && (best == 0 || (bids ? c > best : c < best))) {
			best = c;
			*out_provider = p;
		}
	}
	return best;
}

/* Compares a / b with c by quotient and remainder: -1, 0, 1. */
static int compare(__int128 a, __int128 b, __int128 c)
{
	__int128 q = a / b, rest = a % b;
	if (q != c)
		return q < c ? -1 : 1;
	return rest > 0;
}

static bool twin_holds(const struct hl_rule *v)
{
	int p;
	int64_t ask = twin_best(false, v->item, &p), bid = twin_best(true, v->item, &p), rate = 0;
	if (ask == 0)
		return false;
	if (v->kind == HL_ALERT_SPREAD_EXCEEDS)
		return bid > 0 && bid < ask && compare((__int128)(ask - bid) * 100 * HL_ALERT_THRESHOLD_SCALE, ask, v->threshold) >= 0;
	for (int c = 0; c < CURRENCIES; c++)
		rate = v->currency == twin.currencies[c] ? twin.rates[c] : rate;
	if (rate == 0)
		return false;
	int side = compare((__int128)ask * rate, 10000, v->threshold);
	return v->kind == HL_ALERT_PRICE_BELOW ? side <= 0 : side >= 0;
}

static bool same(const struct hl_rule *a, const struct hl_rule *b)
{
	return a->number == b->number && a->item == b->item && a->kind == b->kind && a->currency == b->currency &&
			a->threshold == b->threshold;
}

static int on_fired(void *data, const struct hl_rule_fired *f)
{
	(void)data;
	if (n_fired == fail_after)
		return HL_ENOMEM;
	struct twin_rule *t = &twin.rules[f->rule.number % RULES];
	int p;
	assert_true(t->enabled && t->v.number == f->rule.number);
	assert_true(same(&t->v, &f->rule));
	assert_true(twin_holds(&t->v));
	assert_int_equal(f->ask, twin_best(false, f->rule.item, &p));
	assert_int_equal(f->bid, twin_best(true, f->rule.item, &p));
	t->enabled = false; /* a second time would be noticed */
	n_fired++;
	fired_in_all++;
	return 0;
}

/* After a judgement: whoever holds has fired. ITEMS: of all items. */
static void check_none_left(uint32_t item)
{
	for (int i = 0; i < RULES; i++) {
		const struct twin_rule *t = &twin.rules[i];
		if (t->enabled && (item == ITEMS || t->v.item == item))
			assert_false(twin_holds(&t->v));
	}
}

static const char *const link_texts[] = { "", "https://p.example/item/1", "https://p.example/item/12345", "https://q.example/", "?" };

static void check_view(uint32_t item)
{
	struct hl_market_view v;
	char buf[HL_MARKET_LINK_MAX];
	int p = 0;
	hl_market_view_of(market, item, &v, buf);
	int64_t ask = twin_best(false, item, &p);
	assert_int_equal(v.best_ask, ask);
	if (ask) {
		assert_true(hl_str_eq(v.ask_provider, hl_market_provider_name(market, (uint32_t)p)));
		assert_true(hl_str_eq(v.ask_link, hl_str_from(link_texts[twin.quotes[0][item][p].link])));
	}
	int64_t bid = twin_best(true, item, &p);
	assert_int_equal(v.best_bid, bid);
	if (bid)
		assert_true(hl_str_eq(v.bid_provider, hl_market_provider_name(market, (uint32_t)p)));
}

/* Judges as long as the callback refuses, as somebody without memory would. */
static void judge_item(uint32_t item)
{
	int rc;
	do {
		n_fired = 0;
		fail_after = dice(4) == 0 ? dice(3) : SIZE_MAX;
		rc = hl_rules_judge(rules, market, item, on_fired, NULL);
		assert_true(rc == 0 || rc == HL_ENOMEM);
	} while (rc);
	check_none_left(item);
}

static void tick(void)
{
	bool bids = dice(3) == 0, moved;
	uint32_t item = (uint32_t)dice(ITEMS), p = (uint32_t)dice(PROVIDERS);
	int link = (int)dice(HL_ARRAY_LEN(link_texts)), q = 0;
	int64_t cents = dice(8) == 0 ? -(int64_t)dice(2) : 1 + (int64_t)dice(dice(4) == 0 ? 2000 : 60);
	uint32_t count = dice(10) != 0;
	int64_t before = twin_best(bids, item, &q);
	struct hl_market_quote v = { .cents = cents, .count = count, .link = hl_str_from(link_texts[link]), .at_ms = (hl_ms_t)dice(1u << 30) };
	assert_int_equal(hl_market_set(market, bids, item, p, &v, &moved), 0);
	twin.quotes[bids][item][p] = (struct twin_quote){ cents > 0 && count ? cents : 0, link };
	assert_int_equal(moved, before != twin_best(bids, item, &q));
	check_view(item);
	if (moved)
		judge_item(item);
	else
		check_none_left(item);
}

static void new_rates(void)
{
	struct hl_rate v[CURRENCIES];
	uint16_t changed[HL_MARKET_CURRENCIES_MAX];
	size_t n = 0, n_changed = 0;
	for (int c = 1; c < CURRENCIES; c++) {
		if (dice(2))
			twin.rates[c] = dice(4) ? (int64_t)(HL_RATE_SCALE / 2 + dice(HL_RATE_SCALE)) : 0;
		if (twin.rates[c] == 0)
			continue;
		v[n].rate = twin.rates[c];
		hl_currency_code(twin.currencies[c], v[n++].currency);
	}
	hl_market_set_rates(market, v, n, changed, &n_changed);
	int rc;
	do {
		n_fired = 0;
		fail_after = dice(4) == 0 ? dice(3) : SIZE_MAX;
		rc = hl_rules_judge_currencies(rules, market, changed, n_changed, on_fired, NULL);
	} while (rc);
	check_none_left(ITEMS); /* those whose rate did not change cannot have become true */
}

static void add_rule(void)
{
	struct twin_rule *t = &twin.rules[dice(RULES)];
	if (t->enabled)
		return;
	uint64_t slot = (uint64_t)(t - twin.rules);
	t->v.number = slot + RULES * dice(1u << 20);
	t->v.item = (uint32_t)dice(ITEMS);
	t->v.kind = (enum hl_alert_kind)dice(HL_ALERT_KIND_N);
	t->v.currency = t->v.kind == HL_ALERT_SPREAD_EXCEEDS ? HL_CURRENCY_NONE : twin.currencies[dice(CURRENCIES)];
	int64_t hundredths = 1 + (int64_t)dice(t->v.kind == HL_ALERT_SPREAD_EXCEEDS ? 10000 : 100);
	t->v.threshold = dice(3) ? hundredths * 10000 : 1 + (int64_t)dice(1000000);
	t->enabled = true;
	assert_int_equal(hl_rules_add(rules, &t->v), 0);
	bool holds = twin_holds(&t->v);
	n_fired = 0;
	fail_after = SIZE_MAX;
	assert_int_equal(hl_rules_judge_one(rules, market, t->v.number, on_fired, NULL), 0);
	assert_int_equal(n_fired, holds);
	assert_int_equal(t->enabled, !holds);
}

static void remove_rule(void)
{
	struct twin_rule *t = &twin.rules[dice(RULES)];
	struct hl_rule v = { 0 };
	assert_int_equal(hl_rules_get(rules, t->v.number, &v), t->enabled);
	if (t->enabled)
		assert_true(same(&v, &t->v));
	assert_int_equal(hl_rules_remove(rules, t->v.number), t->enabled);
	t->enabled = false;
}

static void check_counts(void)
{
	size_t enabled = 0;
	uint64_t quotes = 0;
	for (int i = 0; i < RULES; i++)
		enabled += twin.rules[i].enabled;
	for (int i = 0; i < 2 * ITEMS * PROVIDERS; i++)
		quotes += (&twin.quotes[0][0][0])[i].cents > 0;
	assert_int_equal(hl_rules_count(rules), enabled);
	assert_int_equal(hl_market_quotes(market), quotes);
}

static void day(uint64_t s)
{
	memset(&twin, 0, sizeof twin);
	x = (s + 1) * 0x9E3779B97F4A7C15u;
	assert_int_equal(hl_market_create(&market), 0);
	assert_int_equal(hl_rules_create(&rules), 0);
	for (uint64_t i = 0; i < ITEMS; i++)
		assert_int_equal(hl_market_put_item(market, &(struct hl_market_item){ i + 1, HL_STR("n"), HL_STR("") }, NULL), 0);
	for (int p = 0; p < PROVIDERS; p++) {
		char name[16];
		snprintf(name, sizeof name, "p%d", p);
		assert_int_equal(hl_market_provider_put(market, hl_str_from(name)), p);
	}
	twin.currencies[0] = (uint16_t)hl_currency_number(HL_STR("USD"));
	twin.rates[0] = HL_RATE_SCALE;
	for (int c = 1; c < CURRENCIES; c++)
		twin.currencies[c] = (uint16_t)(c * 2711);
	for (int i = 0; i < RULES; i++)
		twin.rules[i].v.number = (uint64_t)i;
	uint64_t busy = 1 + dice(6); /* how much more is added than removed */
	for (int i = 0; i < STEPS; i++) {
		uint64_t d = dice(12);
		if (d < 3)
			tick();
		else if (d == 3 && dice(20) == 0)
			new_rates();
		else if (d < 4 + busy)
			add_rule();
		else
			remove_rule();
		check_counts();
	}
	hl_rules_destroy(rules);
	hl_market_destroy(market);
}

static void days(void **state)
{
	(void)state;
	const char *one = getenv("HL_SEED");
	if (one) {
		day(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t s = 0; s < DAYS; s++) {
		print_message("HL_SEED=%d\n", (int)s);
		day(s);
	}
	print_message("%lu fired\n", (unsigned long)fired_in_all);
	assert_true(fired_in_all > 40000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(days) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

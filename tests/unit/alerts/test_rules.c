/* The index: what fires when, order, removal, errors of the callback, what it weighs. */
#include "alerts/rules.h"
#include "base/defs.h"
#include "base/str.h"
#include <hookline/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct hl_market *market;
static struct hl_rules *rules;
static uint16_t usd, eur;

/* What the callback was told. */
static struct hl_rule_fired told[64];
static size_t n_told;
static int answer;            /* given from the call `answer_from` on */
static size_t answer_from;

static int on_fired(void *data, const struct hl_rule_fired *f)
{
	assert_ptr_equal(data, told);
	if (answer && n_told >= answer_from)
		return answer;
	assert_true(hl_rules_get(rules, f->rule.number, &(struct hl_rule){ 0 }));
	assert_true(n_told < HL_ARRAY_LEN(told));
	told[n_told++] = *f;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	n_told = answer_from = 0;
	answer = 0;
	usd = (uint16_t)hl_currency_number(HL_STR("USD"));
	eur = (uint16_t)hl_currency_number(HL_STR("EUR"));
	if (hl_market_create(&market) != 0 || hl_rules_create(&rules) != 0)
		return -1;
	for (uint64_t i = 1; i <= 10; i++) {
		struct hl_market_item v = { i, HL_STR("n"), HL_STR("") };
		if (hl_market_put_item(market, &v, NULL) != 0)
			return -1;
	}
	return hl_market_provider_put(market, HL_STR("p"));
}

static int teardown(void **state)
{
	(void)state;
	hl_rules_destroy(rules);
	hl_market_destroy(market);
	return 0;
}

static void add(uint64_t number, uint32_t item, enum hl_alert_kind kind, uint16_t currency, int64_t threshold)
{
	struct hl_rule v = { number, item, kind, currency, threshold };
	assert_int_equal(hl_rules_add(rules, &v), 0);
}

static void price(bool bids, uint32_t item, int64_t cents)
{
	struct hl_market_quote q = { .cents = cents, .count = 1 };
	assert_int_equal(hl_market_set(market, bids, item, 0, &q, NULL), 0);
}

static void set_eur(int64_t rate)
{
	uint16_t changed[HL_MARKET_CURRENCIES_MAX];
	size_t n;
	hl_market_set_rates(market, (struct hl_rate[]){ { "EUR", rate } }, 1, changed, &n);
}

/* Judges the item and checks who fired, in this order. */
static void fires(int rc, const char *expected)
{
	char text[256] = "";
	size_t len = 0;
	for (size_t i = 0; i < n_told; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s%d", i ? " " : "", (int)told[i].rule.number);
	assert_int_equal(rc, 0);
	assert_string_equal(text, expected);
	for (size_t i = 0; i < n_told; i++)
		assert_false(hl_rules_remove(rules, told[i].rule.number));
	n_told = 0;
}
#define JUDGE(item) hl_rules_judge(rules, market, item, on_fired, told)

static void below_and_above(void **state)
{
	(void)state;
	for (int i = 1; i <= 5; i++) {
		add((uint64_t)i, 3, HL_ALERT_PRICE_BELOW, usd, i * 1000000);
		add((uint64_t)(i + 10), 3, HL_ALERT_PRICE_ABOVE, usd, i * 1000000);
	}
	add(99, 4, HL_ALERT_PRICE_ABOVE, usd, 1);
	fires(JUDGE(3), ""); /* no price yet */
	price(false, 3, 300);
	fires(JUDGE(3), "11 12 13 5 4 3");
	fires(JUDGE(3), "");
	assert_int_equal(hl_rules_count(rules), 5);
	price(false, 3, 299);
	fires(JUDGE(3), "");
	price(false, 3, 200);
	fires(JUDGE(3), "2");
	price(false, 3, 0);
	fires(JUDGE(3), "");
	price(false, 3, 100000);
	fires(JUDGE(3), "14 15");
	fires(JUDGE(4), "");
	price(false, 4, 1);
	fires(JUDGE(4), "99");
	price(false, 3, 1);
	fires(JUDGE(3), "1");
	assert_int_equal(hl_rules_count(rules), 0);
}

static void spreads(void **state)
{
	(void)state;
	add(1, 0, HL_ALERT_SPREAD_EXCEEDS, HL_CURRENCY_NONE, 10000000);
	add(2, 0, HL_ALERT_SPREAD_EXCEEDS, HL_CURRENCY_NONE, 20000000);
	add(3, 0, HL_ALERT_SPREAD_EXCEEDS, HL_CURRENCY_NONE, 10000000);
	price(false, 0, 1000);
	fires(JUDGE(0), "");
	price(true, 0, 901);
	fires(JUDGE(0), "");
	price(true, 0, 900);
	assert_int_equal(JUDGE(0), 0);
	assert_int_equal(told[0].ask, 1000);
	assert_int_equal(told[0].bid, 900);
	assert_int_equal(told[0].rate, 0);
	fires(0, "1 3");
	price(true, 0, 2000);
	fires(JUDGE(0), "");
	price(true, 0, 0);
	fires(JUDGE(0), "");
	price(true, 0, 1);
	fires(JUDGE(0), "2");
}

static void currencies(void **state)
{
	(void)state;
	add(1, 1, HL_ALERT_PRICE_BELOW, eur, 9000000);
	add(2, 2, HL_ALERT_PRICE_BELOW, eur, 9000000);
	add(3, 1, HL_ALERT_PRICE_BELOW, usd, 9000000);
	add(4, 1, HL_ALERT_SPREAD_EXCEEDS, HL_CURRENCY_NONE, 1);
	price(false, 1, 1000);
	price(false, 2, 1000);
	fires(JUDGE(1), ""); /* the rate of EUR is unknown */
	set_eur(90000001);
	price(true, 1, 1);
	fires(hl_rules_judge_currencies(rules, market, &eur, 1, on_fired, told), "");
	set_eur(90000000);
	fires(hl_rules_judge_currencies(rules, market, &usd, 1, on_fired, told), "");
	assert_int_equal(hl_rules_judge_currencies(rules, market, (uint16_t[]){ usd, eur }, 2, on_fired, told), 0);
	assert_int_equal(told[0].rate, 90000000);
	fires(0, "1 2");
	fires(JUDGE(1), "4");
	price(false, 1, 900);
	fires(JUDGE(1), "3");
}

static void one_alone(void **state)
{
	(void)state;
	price(false, 5, 1000);
	add(1, 5, HL_ALERT_PRICE_BELOW, usd, 10000000);
	add(2, 5, HL_ALERT_PRICE_BELOW, usd, 9999999);
	add(3, 5, HL_ALERT_PRICE_BELOW, usd, 20000000);
	fires(hl_rules_judge_one(rules, market, 2, on_fired, told), "");
	fires(hl_rules_judge_one(rules, market, 1, on_fired, told), "1");
	fires(hl_rules_judge_one(rules, market, 1, on_fired, told), "");
	fires(JUDGE(5), "3");
	assert_true(hl_rules_remove(rules, 2));
	assert_false(hl_rules_remove(rules, 2));
	/* enabled again while it still holds */
	add(1, 5, HL_ALERT_PRICE_BELOW, usd, 10000000);
	fires(hl_rules_judge_one(rules, market, 1, on_fired, told), "1");
}

/* What could not be taken over stays and fires with the next judgement; what was taken over before does not. */
static void callback_fails(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		add(i, 6, HL_ALERT_PRICE_ABOVE, usd, (int64_t)i * 1000000);
	add(9, 6, HL_ALERT_SPREAD_EXCEEDS, HL_CURRENCY_NONE, 1);
	price(false, 6, 1000);
	price(true, 6, 1);
	answer = HL_ENOMEM;
	assert_int_equal(JUDGE(6), HL_ENOMEM);
	assert_int_equal(hl_rules_judge_one(rules, market, 2, on_fired, told), HL_ENOMEM);
	assert_int_equal(hl_rules_judge_currencies(rules, market, &usd, 1, on_fired, told), HL_ENOMEM);
	assert_int_equal(n_told, 0);
	assert_int_equal(hl_rules_count(rules), 5);
	answer_from = 3;
	assert_int_equal(JUDGE(6), HL_ENOMEM);
	fires(0, "9 1 2");
	answer = 0;
	fires(JUDGE(6), "3 4");
}

static void get(void **state)
{
	(void)state;
	struct hl_rule v;
	add(UINT64_MAX, 9, HL_ALERT_PRICE_BELOW, eur, HL_ALERT_THRESHOLD_MAX);
	assert_true(hl_rules_get(rules, UINT64_MAX, &v));
	assert_true(v.number == UINT64_MAX && v.item == 9 && v.kind == HL_ALERT_PRICE_BELOW && v.currency == eur &&
			v.threshold == HL_ALERT_THRESHOLD_MAX);
	assert_false(hl_rules_get(rules, 1, &v));
}

/* Fills the index as a large installation would; numbers as they are given out. */
static size_t weight(size_t n, uint32_t items, uint16_t n_currencies)
{
	struct hl_rules *r;
	uint64_t x = 88172645463325252u;
	assert_int_equal(hl_rules_create(&r), 0);
	for (size_t i = 1; i <= n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		struct hl_rule v = { .number = i, .item = (uint32_t)(x % items), .kind = (x >> 32) % HL_ALERT_KIND_N,
			.currency = (uint16_t)((x >> 40) % n_currencies), .threshold = 1 + (int64_t)(x >> 20) % 1000000000 };
		if (v.kind == HL_ALERT_SPREAD_EXCEEDS)
			v.currency = HL_CURRENCY_NONE;
		assert_int_equal(hl_rules_add(r, &v), 0);
	}
	size_t each = hl_rules_memory_bytes(r) / n;
	size_t whole = hl_rules_memory_bytes(r);
	for (size_t i = 1; i <= n; i++)
		assert_true(hl_rules_remove(r, i));
	assert_int_equal(hl_rules_count(r), 0);
	/* what stays is the table's: ready for the next */
	assert_true(hl_rules_memory_bytes(r) < whole);
	hl_rules_destroy(r);
	print_message("%zu rules, %u items, %u currencies: %zu bytes each\n", n, items, n_currencies, each);
	return each;
}

static void memory(void **state)
{
	(void)state;
	assert_true(weight(200000, 20000, 1) < 80);
	assert_true(weight(200000, 4000, 1) < 60);
	assert_true(weight(200000, 20000, 30) < 110); /* most alone in their group */
	assert_true(weight(200000, 1, 1) < 60);
	assert_true(weight(200000, 200000, 250) < 150); /* nearly every one alone with its item */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(below_and_above), T(spreads), T(currencies), T(one_alone), T(callback_fails), T(get), cmocka_unit_test(memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

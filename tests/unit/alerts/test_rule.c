/* One rule against one moment: equality, a hair to either side, the limits of every number, and what is said of it. */
#include "alerts/decimal.h"
#include "alerts/rule.h"
#include "base/defs.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DOLLAR ((int64_t)HL_RATE_SCALE)
#define BELOW HL_ALERT_PRICE_BELOW
#define ABOVE HL_ALERT_PRICE_ABOVE
#define SPREAD HL_ALERT_SPREAD_EXCEEDS

static void kinds(void **state)
{
	(void)state;
	for (int k = 0; k < HL_ALERT_KIND_N; k++)
		assert_int_equal(hl_alert_kind_parse(hl_str_from(hl_alert_kind_name(k))), k);
	assert_string_equal(hl_alert_kind_name(BELOW), "price_below");
	assert_string_equal(hl_alert_kind_name(HL_ALERT_KIND_N), "?");
	assert_int_equal(hl_alert_kind_parse(HL_STR("price")), -1);
	assert_int_equal(hl_alert_kind_parse(HL_STR("PRICE_BELOW")), -1);
}

static void equality_fires(void **state)
{
	(void)state;
	/* 20.00 USD */
	assert_true(hl_rule_holds(BELOW, 20000000, 2000, 0, DOLLAR));
	assert_true(hl_rule_holds(ABOVE, 20000000, 2000, 0, DOLLAR));
	assert_false(hl_rule_holds(BELOW, 20000000, 2001, 0, DOLLAR));
	assert_true(hl_rule_holds(BELOW, 20000000, 1999, 0, DOLLAR));
	assert_false(hl_rule_holds(ABOVE, 20000000, 1999, 0, DOLLAR));
	assert_false(hl_rule_holds(BELOW, 19999999, 2000, 0, DOLLAR));
	assert_false(hl_rule_holds(ABOVE, 20000001, 2000, 0, DOLLAR));
	/* 12.34 USD at 0.5 are 6.17; one 10^-8 of the rate more or less decides */
	assert_true(hl_rule_holds(BELOW, 6170000, 1234, 0, DOLLAR / 2) && hl_rule_holds(ABOVE, 6170000, 1234, 0, DOLLAR / 2));
	assert_false(hl_rule_holds(BELOW, 6170000, 1234, 0, DOLLAR / 2 + 1));
	assert_false(hl_rule_holds(ABOVE, 6170000, 1234, 0, DOLLAR / 2 - 1));
	/* 10 % */
	assert_true(hl_rule_holds(SPREAD, 10000000, 2000, 1800, 0));
	assert_false(hl_rule_holds(SPREAD, 10000000, 2000, 1801, 0));
	assert_false(hl_rule_holds(SPREAD, 10000001, 2000, 1800, 0));
	/* a third: 33.333333… is at or above 33.333333 and below 33.333334 */
	assert_true(hl_rule_holds(SPREAD, 33333333, 3, 2, 0));
	assert_false(hl_rule_holds(SPREAD, 33333334, 3, 2, 0));
}

static void what_is_missing(void **state)
{
	(void)state;
	for (int k = 0; k < HL_ALERT_KIND_N; k++) {
		assert_false(hl_rule_holds(k, 1, 0, 100, DOLLAR));
		assert_false(hl_rule_holds(k, HL_ALERT_THRESHOLD_MAX, 0, 0, DOLLAR));
	}
	assert_false(hl_rule_holds(SPREAD, 1, 100, 0, DOLLAR)); /* no bid is not a bid of nothing */
	assert_false(hl_rule_holds(SPREAD, 1, 100, 200, DOLLAR));
	assert_false(hl_rule_holds(SPREAD, 1, 100, 100, DOLLAR));
	assert_false(hl_rule_holds(BELOW, HL_ALERT_THRESHOLD_MAX, 1, 0, 0));
	assert_false(hl_rule_holds(ABOVE, 1, HL_MARKET_CENTS_MAX, 0, 0));
}

/* The extremes of every factor: a product that overflowed would change its sign. */
static void limits(void **state)
{
	(void)state;
	const int64_t top = HL_MARKET_CENTS_MAX, far = HL_ALERT_THRESHOLD_MAX;
	assert_true(hl_rule_holds(ABOVE, far, top, 0, INT64_MAX));
	assert_false(hl_rule_holds(BELOW, far, top, 0, INT64_MAX));
	assert_true(hl_rule_holds(ABOVE, 1, top, 0, INT64_MAX));
	assert_false(hl_rule_holds(ABOVE, far, 1, 0, 1));
	assert_true(hl_rule_holds(BELOW, far, 1, 0, 1));
	assert_true(hl_rule_holds(BELOW, 1, 1, 0, 1)); /* 10^-10 units */
	assert_true(hl_rule_holds(BELOW, 1, 1, 0, 10000) && hl_rule_holds(ABOVE, 1, 1, 0, 10000)); /* a millionth */
	assert_false(hl_rule_holds(BELOW, 1, 1, 0, 10001));
	/* 10^10 dollars at a hundred each: the largest threshold there is */
	assert_true(hl_rule_holds(BELOW, far, top, 0, 100 * DOLLAR) && hl_rule_holds(ABOVE, far, top, 0, 100 * DOLLAR));
	assert_false(hl_rule_holds(ABOVE, far, top, 0, 100 * DOLLAR - 1));
	assert_false(hl_rule_holds(BELOW, far, top, 0, 100 * DOLLAR + 1));
	assert_false(hl_rule_holds(SPREAD, far, top, 1, 0));
	assert_true(hl_rule_holds(SPREAD, 99999999, top, 1, 0));
	assert_false(hl_rule_holds(SPREAD, 100000000, top, 1, 0));
	assert_false(hl_rule_holds(SPREAD, 1, 1, top, 0));
	assert_true(hl_rule_holds(SPREAD, 1, 100000000, 99999999, 0));
	assert_false(hl_rule_holds(SPREAD, 1, 100000001, 100000000, 0));
}

static void check_said(enum hl_alert_kind kind, const char *threshold, const char *currency, int64_t ask, int64_t bid,
		int64_t rate, const char *triggered, const char *reason)
{
	struct hl_rule_fired f = { .rule = { .kind = kind, .currency = HL_CURRENCY_NONE }, .ask = ask, .bid = bid, .rate = rate };
	char text[HL_RULE_REASON_CAP], value[HL_DECIMAL_CAP];
	if (currency)
		f.rule.currency = (uint16_t)hl_currency_number(hl_str_from(currency));
	assert_int_equal(hl_decimal_parse(hl_str_from(threshold), &f.rule.threshold), 0);
	assert_true(hl_rule_holds(kind, f.rule.threshold, ask, bid, rate));
	hl_decimal_format(hl_rule_triggered(&f), value);
	assert_string_equal(value, triggered);
	assert_int_equal(hl_rule_reason(&f, text), strlen(reason));
	assert_string_equal(text, reason);
}

static void words(void **state)
{
	(void)state;
	check_said(BELOW, "20", "USD", 1950, 0, DOLLAR, "19.50", "Best ask 19.50 USD is at or below 20.00 USD");
	check_said(ABOVE, "19.5", "USD", 1950, 1, DOLLAR, "19.50", "Best ask 19.50 USD is at or above 19.50 USD");
	check_said(SPREAD, "10", NULL, 2000, 1754, 0, "12.30", "Spread 12.30% is at or above 10.00%");
	check_said(BELOW, "18.36", "EUR", 1995, 0, 92000000, "18.35", "Best ask 18.35 EUR is at or below 18.36 EUR");
	/* 19.995 EUR: rounded to hundredths the sentence would be untrue */
	check_said(BELOW, "19.996", "EUR", 1999, 0, 100025013, "20.00", "Best ask 19.995 EUR is at or below 19.996 EUR");
	check_said(ABOVE, "20.003", "EUR", 2000, 0, 100020000, "20.00", "Best ask 20.004 EUR is at or above 20.003 EUR");
	check_said(SPREAD, "33.333333", NULL, 3, 2, 0, "33.33", "Spread 33.333333% is at or above 33.333333%");
	check_said(BELOW, "0.000001", "XAU", 1, 0, 1, "0.00", "Best ask 0.000000 XAU is at or below 0.000001 XAU");
	check_said(ABOVE, "1000000000000", "ZZZ", HL_MARKET_CENTS_MAX, 0, INT64_MAX, "9223372036854.77",
			"Best ask 922337203685477580700.00 ZZZ is at or above 1000000000000.00 ZZZ");
	check_said(ABOVE, "999999999999.999999", "ZZZ", HL_MARKET_CENTS_MAX, 0, INT64_MAX, "9223372036854.77",
			"Best ask 922337203685477580700.000000 ZZZ is at or above 999999999999.999999 ZZZ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds), cmocka_unit_test(equality_fires), cmocka_unit_test(what_is_missing), cmocka_unit_test(limits),
		cmocka_unit_test(words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

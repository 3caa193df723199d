/* Amounts: text to number and back, rounding. What is expected was worked out with exact fractions. */
#include "alerts/decimal.h"
#include "base/defs.h"
#include "base/str.h"
#include <hookline/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void reads(void **state)
{
	(void)state;
	static const struct { const char *text; int64_t value; } good[] = {
		{ "20", 20000000 }, { "+020.50", 20500000 }, { ".5", 500000 }, { "0", 0 }, { "-0.0", 0 }, { "7.", 7000000 },
		{ "0.123456", 123456 }, { "0.1234560000000000000000000000", 123456 }, { "-5", -5000000 }, { "00000000000001", 1000000 },
		{ "000000000000000000000000000000000000000000000000000000000000.000001", 1 }, { "1000000000000", 1000000000000000000 },
		{ "9223372036854.775807", INT64_MAX }, { "-9223372036854.775807", -INT64_MAX }, { "0.000000", 0 },
	};
	static const struct { const char *text; int code; } bad[] = {
		{ "", HL_ESYNTAX }, { "+", HL_ESYNTAX }, { "-.", HL_ESYNTAX }, { ".", HL_ESYNTAX }, { "1e3", HL_ESYNTAX },
		{ "1.2.3", HL_ESYNTAX }, { " 1", HL_ESYNTAX }, { "1 ", HL_ESYNTAX }, { "--1", HL_ESYNTAX }, { "1-", HL_ESYNTAX },
		{ "1,5", HL_ESYNTAX }, { "NaN", HL_ESYNTAX }, { "0x10", HL_ESYNTAX }, { "\xd9\xa1", HL_ESYNTAX },
		{ "0.1234567", HL_EINVAL }, { "0.00000000000001", HL_EINVAL }, { "9223372036854.775808", HL_EINVAL },
		{ "9223372036855", HL_EINVAL }, { "99999999999999999999999999999999999999999999999999", HL_EINVAL },
		{ "99999999999999999999999999999999999999999999999999x", HL_ESYNTAX }, { "0.1234567x", HL_ESYNTAX },
	};
	int64_t v;
	for (size_t i = 0; i < HL_ARRAY_LEN(good); i++) {
		assert_int_equal(hl_decimal_parse(hl_str_from(good[i].text), &v), 0);
		assert_int_equal(v, good[i].value);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		v = 42;
		assert_int_equal(hl_decimal_parse(hl_str_from(bad[i].text), &v), bad[i].code);
		assert_int_equal(v, 42);
	}
	assert_int_equal(hl_decimal_parse(HL_STR("1\0"), &v), HL_ESYNTAX);
}

static void writes(void **state)
{
	(void)state;
	static const struct { int64_t value; const char *text; } t[] = {
		{ 20000000, "20.00" }, { 20500000, "20.50" }, { 123456, "0.123456" }, { 120000, "0.12" }, { 123000, "0.123" }, { 1, "0.000001" },
		{ 0, "0.00" }, { 10, "0.00001" }, { 100, "0.0001" }, { -5000000, "-5.00" }, { -1, "-0.000001" },
		{ 1000000000000000000, "1000000000000.00" }, { INT64_MAX, "9223372036854.775807" }, { INT64_MIN, "-9223372036854.775808" },
		{ HL_ALERT_THRESHOLD_SCALE, "1.00" },
	};
	char out[HL_DECIMAL_CAP];
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++) {
		hl_decimal_format(t[i].value, out);
		assert_string_equal(out, t[i].text);
	}
}

static void there_and_back(void **state)
{
	(void)state;
	uint64_t x = 88172645463325252u;
	for (int i = 0; i < 200000; i++) {
		char out[HL_DECIMAL_CAP];
		int64_t back;
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		int64_t v = (int64_t)(x >> (x & 63));
		v = v < 0 ? -(v / 2) : v;
		hl_decimal_format(v, out);
		assert_int_equal(hl_decimal_parse(hl_str_from(out), &back), 0);
		assert_int_equal(back, v);
	}
}

static void check_text(unsigned __int128 value, unsigned places, const char *text)
{
	char out[HL_DECIMAL_WIDE_CAP];
	assert_int_equal(hl_decimal_format_wide(value, places, out), strlen(text));
	assert_string_equal(out, text);
}

static void prices(void **state)
{
	(void)state;
	static const struct { int64_t cents, rate; unsigned places; const char *text; } t[] = {
		{ 1950, 100000000, 2, "19.50" }, { 1, 100000000, 2, "0.01" }, { 1995, 92000000, 2, "18.35" },
		{ 12345, 92345678, 2, "114.00" }, { 12345, 92345678, 6, "114.000739" }, { 1, 1, 6, "0.000000" },
		{ HL_MARKET_CENTS_MAX, INT64_MAX, 2, "922337203685477580700.00" },
		{ HL_MARKET_CENTS_MAX, INT64_MAX, 6, "922337203685477580700.000000" },
		{ HL_MARKET_CENTS_MAX, HL_RATE_SCALE, 6, "10000000000.000000" }, { 50, 1000000, 2, "0.01" }, { 49, 1000000, 2, "0.00" },
		{ 150, 1000000, 2, "0.02" }, { 7, 14285714, 6, "0.010000" }, { 999999, 99999999, 2, "9999.99" }, { 0, 100000000, 2, "0.00" },
		{ 1, 499999, 4, "0.0000" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++)
		check_text(hl_decimal_price(t[i].cents, t[i].rate, t[i].places), t[i].places, t[i].text);
}

static void percentages(void **state)
{
	(void)state;
	static const struct { int64_t ask, bid; unsigned places; const char *text; } t[] = {
		{ 2000, 1800, 2, "10.00" }, { 3, 1, 2, "66.67" }, { 3, 2, 2, "33.33" }, { 3, 2, 6, "33.333333" }, { 1000, 1000, 2, "0.00" },
		{ HL_MARKET_CENTS_MAX, 1, 2, "100.00" }, { HL_MARKET_CENTS_MAX, 1, 6, "100.000000" },
		{ HL_MARKET_CENTS_MAX, HL_MARKET_CENTS_MAX - 1, 6, "0.000000" }, { 20000, 19999, 2, "0.01" }, { 20000, 19999, 6, "0.005000" },
		{ 40000, 39999, 2, "0.00" }, { 200, 0, 2, "100.00" }, { 8, 7, 2, "12.50" }, { 16, 15, 3, "6.250" },
		{ 999999999999, 333333333333, 6, "66.666667" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(t); i++)
		check_text(hl_decimal_percent(t[i].ask, t[i].bid, t[i].places), t[i].places, t[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads), cmocka_unit_test(writes), cmocka_unit_test(there_and_back), cmocka_unit_test(prices),
		cmocka_unit_test(percentages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

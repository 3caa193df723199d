/* Times as text: the C library as a second opinion, round trips over all years, the three HTTP forms, refusals. */
#include "base_test.h"
#include "base/timefmt.h"

#include <stdio.h>
#include <time.h>

#define LAST ((hl_ms_t)253402300799999)

static void check_round_trip(hl_ms_t at)
{
	char text[HL_RFC3339_CAP], want[96];
	hl_ms_t back = -1;
	time_t t = (time_t)(at / 1000);
	struct tm tm;
	size_t n = hl_rfc3339_format(at, text);
	gmtime_r(&t, &tm);
	snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(at % 1000));
	assert_string_equal(text, want);
	assert_int_equal(n, 24);
	assert_true(hl_rfc3339_parse((struct hl_str){ text, n }, &back));
	assert_true(back == at);

	n = hl_http_date_format(at, text);
	strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	assert_string_equal(text, want);
	assert_int_equal(n, 29);
	assert_true(hl_http_date_parse((struct hl_str){ text, n }, 0, &back));
	assert_true(back == at - at % 1000);

	strftime(want, sizeof want, "%a %b %e %H:%M:%S %Y", &tm);
	assert_true(hl_http_date_parse(hl_str_from(want), 0, &back));
	assert_true(back == at - at % 1000);

	char day[32], clock[32];
	strftime(day, sizeof day, "%A, %d-%b", &tm);
	strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	snprintf(want, sizeof want, "%s-%02d %s GMT", day, tm.tm_year % 100, clock);
	assert_true(hl_http_date_parse(hl_str_from(want), at, &back));
	assert_true(back == at - at % 1000);
}

static void round_trips(void **state)
{
	(void)state;
	struct rnd r = { 4 };
	check_round_trip(0);
	check_round_trip(LAST);
	for (hl_ms_t day = 0; day <= LAST / 86400000; day += 17) {
		check_round_trip(day * 86400000);
		check_round_trip(day * 86400000 + 86399999);
	}
	for (int i = 0; i < 20000; i++)
		check_round_trip((hl_ms_t)(rnd_u64(&r) % (uint64_t)(LAST + 1)));
	for (int year = 1970; year <= 9999; year++) { /* the ends of February */
		struct tm tm = { .tm_year = year - 1900, .tm_mon = 1, .tm_mday = 28 };
		hl_ms_t feb28 = (hl_ms_t)timegm(&tm) * 1000;
		check_round_trip(feb28 + 86400000);
		check_round_trip(feb28 + 2 * 86400000);
	}
}

static void clamped(void **state)
{
	(void)state;
	char text[HL_RFC3339_CAP];
	hl_rfc3339_format(-5, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	hl_rfc3339_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	hl_http_date_format(INT64_MIN, text);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void rfc3339_good(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		hl_ms_t at;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-04-12T18:20:11.123Z", 1776018011123 },
		{ "2026-04-12t18:20:11.1z", 1776018011100 },
		{ "2026-04-12T18:20:11.123999999Z", 1776018011123 },
		{ "2026-04-12T20:20:11.123+02:00", 1776018011123 },
		{ "2026-04-12T12:35:11.123-05:45", 1776018011123 },
		{ "2026-04-13T18:19:11.123+23:59", 1776018011123 },
		{ "2026-04-12T18:20:11.123-00:00", 1776018011123 },
		{ "1969-12-31T23:00:00-01:00", 0 },
		{ "2016-12-31T23:59:60Z", 1483228799000 },
		{ "2000-02-29T00:00:00Z", 951782400000 },
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		hl_ms_t at = -1;
		assert_true(hl_rfc3339_parse(hl_str_from(good[i].text), &at));
		if (at != good[i].at)
			fail_msg("%s gives %lld", good[i].text, (long long)at);
	}
}

static void rfc3339_bad(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "2026", "2026-04-12", "2026-04-12T18:20:11", "2026-04-12 18:20:11Z",
		"2026-04-12T18:20Z", "2026-4-12T18:20:11Z", "2026-04-12T18:20:11.Z", "2026-04-12T18:20:11.1234567890Z",
		"2026-04-12T18:20:11,5Z", "2026-04-12T18:20:11+0200", "2026-04-12T18:20:11+02",
		"2026-04-12T18:20:11+24:00",
		"2026-04-12T18:20:11+02:60", "2026-04-12T18:20:11ZZ", "2026-04-12T18:20:11Z ", " 2026-04-12T18:20:11Z",
		"2026-00-12T18:20:11Z", "2026-13-12T18:20:11Z", "2026-04-00T18:20:11Z", "2026-04-31T18:20:11Z",
		"2025-02-29T18:20:11Z", "2100-02-29T18:20:11Z", "2026-04-12T24:00:00Z", "2026-04-12T18:60:11Z",
		"2026-04-12T18:20:61Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01",
		"+2026-04-12T18:20:11Z", "2026-04-12T18:20:-1Z", "0000-01-01T00:00:00Z", "12026-04-12T18:20:11Z",
		"2026-04-12T18:20:1\xb2Z" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		hl_ms_t at = 77;
		if (hl_rfc3339_parse(hl_str_from(bad[i]), &at))
			fail_msg("accepted %s", bad[i]);
		assert_true(at == 77);
	}
	struct guard g;
	guard_open(&g, 64);
	struct hl_str whole = HL_STR("2026-04-12T18:20:11.123+02:00");
	for (size_t n = 0; n < whole.len; n++) {
		hl_ms_t at;
		assert_false(hl_rfc3339_parse(guard_put(&g, (struct hl_str){ whole.ptr, n }), &at));
	}
	guard_close(&g);
}

static void http_forms(void **state)
{
	(void)state;
	static const char *const good[] = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994" };
	static const char *const bad[] = { "", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT", "Sun, 06 Nov 1969 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Xxx, 06 Nov 1994 08:49:37 GMT", "120", "Sun, 00 Nov 1994 08:49:37 GMT" };
	hl_ms_t now = 1776018011123, at;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		at = -1;
		assert_true(hl_http_date_parse(hl_str_from(good[i]), now, &at));
		assert_true(at == 784111777000);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		at = 77;
		if (hl_http_date_parse(hl_str_from(bad[i]), now, &at))
			fail_msg("accepted %s", bad[i]);
		assert_true(at == 77);
	}
}

/* The two-digit year: at most 50 years ahead of now, else in the past. */
static void two_digit_years(void **state)
{
	(void)state;
	static const struct {
		const char *now, *text, *want;
	} cases[] = {
		{ "2026-04-12T00:00:00Z", "Sunday, 12-Apr-76 00:00:00 GMT", "2076-04-12T00:00:00Z" },
		{ "2026-04-12T00:00:00Z", "Monday, 12-Apr-76 00:00:01 GMT", "1976-04-12T00:00:01Z" },
		{ "2026-04-12T00:00:00Z", "Monday, 01-Jan-26 00:00:00 GMT", "2026-01-01T00:00:00Z" },
		{ "2026-04-12T00:00:00Z", "Monday, 31-Dec-99 00:00:00 GMT", "1999-12-31T00:00:00Z" },
		{ "2099-12-31T00:00:00Z", "Monday, 01-Jan-05 00:00:00 GMT", "2105-01-01T00:00:00Z" },
		{ "2080-06-01T00:00:00Z", "Monday, 01-Jan-79 00:00:00 GMT", "2079-01-01T00:00:00Z" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		hl_ms_t now, got = -1, want;
		assert_true(hl_rfc3339_parse(hl_str_from(cases[i].now), &now));
		assert_true(hl_rfc3339_parse(hl_str_from(cases[i].want), &want));
		assert_true(hl_http_date_parse(hl_str_from(cases[i].text), now, &got));
		if (got != want)
			fail_msg("%s at %s", cases[i].text, cases[i].now);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips),
		cmocka_unit_test(clamped),
		cmocka_unit_test(rfc3339_good),
		cmocka_unit_test(rfc3339_bad),
		cmocka_unit_test(http_forms),
		cmocka_unit_test(two_digit_years),
	};
	return RUN(tests);
}

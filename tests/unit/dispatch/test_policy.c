/* The rules of delivery, as tables. */
#include "dispatch/policy.h"
#include "base/defs.h"
#include "base/str.h"
#include "base/timefmt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 86400 * 1000 };
static const hl_ms_t t0 = 1767225600000; /* 2026-01-01T00:00:00Z */

static struct hl_policy_finals finals_default(void)
{
	struct hl_policy_finals f;
	assert_int_equal(hl_policy_finals_parse(HL_STR("400,405,411,413,414,415,422,431"), &f, NULL), 0);
	return f;
}

static struct hl_policy make(enum hl_dialect dialect, struct hl_retry retry, bool strict)
{
	struct hl_webhook w = { .dialect = dialect, .retry = retry, .strict = strict };
	struct hl_policy_defaults d = { .window_s = 0 };
	struct hl_policy p;
	hl_policy_init(&p, &w, &d);
	return p;
}

static struct hl_policy native(void) { return make(HL_DIALECT_HOOKLINE, (struct hl_retry){ 0 }, false); }
static struct hl_policy hourly(void) { return make(HL_DIALECT_BITNOB, (struct hl_retry){ 0 }, false); }
static struct hl_policy strict(void) { return make(HL_DIALECT_ABOUTYOU, (struct hl_retry){ 0 }, true); }

/* ---- settings ---- */

static void finals(void **state)
{
	(void)state;
	static const char *const bad[] = { "4o0", "399", "600", "200", "400,400", "400,", ",400", "400,,405", "-400",
			"99999999999999999999" };
	struct hl_policy_finals f = finals_default();
	for (unsigned s = 0; s < 1000; s++) {
		bool want = s == 400 || s == 405 || s == 411 || (s >= 413 && s <= 415) || s == 422 || s == 431;
		assert_int_equal(hl_policy_finals_has(&f, s), want);
	}
	assert_int_equal(hl_policy_finals_parse(HL_STR(" 401 , 599 "), &f, NULL), 0);
	assert_true(hl_policy_finals_has(&f, 401) && hl_policy_finals_has(&f, 599) && !hl_policy_finals_has(&f, 400));
	assert_int_equal(hl_policy_finals_parse(HL_STR(""), &f, NULL), 0);
	assert_false(hl_policy_finals_has(&f, 401));
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		struct hl_err err = { 0 };
		assert_int_equal(hl_policy_finals_parse(hl_str_from(bad[i]), &f, &err), HL_EINVAL);
		assert_true(err.text[0]);
	}
}

static void init(void **state)
{
	(void)state;
	struct hl_policy p = native();
	assert_int_equal(p.kind, HL_RETRY_EXPONENTIAL);
	assert_int_equal(p.n_delays, 11);
	assert_int_equal(p.window_s, 172800);
	assert_int_equal(p.jitter_percent, 10);
	p = hourly();
	assert_int_equal(p.kind, HL_RETRY_HOURLY);
	struct hl_retry list = { .kind = HL_RETRY_DELAYS, .n_delays = 2, .delays_s = { 7, 9 } };
	p = make(HL_DIALECT_CS2CAP, list, false);
	assert_int_equal(p.kind, HL_RETRY_DELAYS);
	assert_int_equal(p.n_delays, 2);
	assert_int_equal(p.delays_s[1], 9);
	assert_int_equal(p.jitter_percent, 0);
	p = make(HL_DIALECT_ABOUTYOU, list, true);
	assert_int_equal(p.kind, HL_RETRY_HOURLY);
	assert_true(p.strict);

	/* configuration, then the webhook's own */
	struct hl_policy_defaults d = { .native = list, .dialects = { .kind = HL_RETRY_EXPONENTIAL }, .window_s = 600 };
	struct hl_webhook w = { .dialect = HL_DIALECT_HOOKLINE };
	hl_policy_init(&p, &w, &d);
	assert_int_equal(p.kind, HL_RETRY_DELAYS);
	assert_int_equal(p.window_s, 600);
	w.dialect = HL_DIALECT_BITNOB;
	w.window_s = 60;
	hl_policy_init(&p, &w, &d);
	assert_int_equal(p.kind, HL_RETRY_EXPONENTIAL);
	assert_int_equal(p.window_s, 60);
	w.strict = true;
	hl_policy_init(&p, &w, &d);
	assert_int_equal(p.window_s, 172800);
	/* a list without entries (a damaged record) is no division by zero */
	w = (struct hl_webhook){ .retry = { .kind = HL_RETRY_DELAYS } };
	hl_policy_init(&p, &w, &d);
	assert_int_equal(p.kind, HL_RETRY_EXPONENTIAL);
}

/* ---- verdicts ---- */

#define GAS "https://script.googleusercontent.com/macros/echo?x=1"

static const struct {
	enum hl_format format;
	enum hl_class class;
	uint16_t status;
	const char *body, *location;
	enum hl_verdict verdict;
	enum hl_class want_class;
	enum hl_feedback feedback;
	bool unavailable;
} verdicts[] = {
#define STD HL_FORMAT_STANDARD, HL_CLASS_NONE
#define TG HL_FORMAT_TELEGRAM, HL_CLASS_NONE
#define DC HL_FORMAT_DISCORD, HL_CLASS_NONE
#define GS HL_FORMAT_GOOGLE_SHEETS, HL_CLASS_NONE
#define OK HL_VERDICT_SUCCEEDED, HL_CLASS_NONE, HL_FEEDBACK_SUCCESS, false
#define AGAIN HL_VERDICT_RETRY, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_NEUTRAL, false
#define NO HL_VERDICT_FINAL, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_NEUTRAL, false
#define GONE HL_VERDICT_FINAL_DISABLE, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_NEUTRAL, false
#define SAID_NO HL_VERDICT_RETRY, HL_CLASS_RECEIVER_SAID_NO, HL_FEEDBACK_NEUTRAL, false
	{ STD, 200, "", "", OK },
	{ STD, 202, "", "", OK },
	{ STD, 299, "{\"ok\":false}", "", OK },
	{ STD, 100, "", "", AGAIN },
	{ STD, 301, "", GAS, AGAIN },
	{ STD, 302, "", GAS, AGAIN },
	{ STD, 400, "", "", NO },
	{ STD, 401, "", "", AGAIN },
	{ STD, 403, "{\"description\":\"Forbidden: bot was blocked by the user\"}", "", AGAIN },
	{ STD, 404, "{\"code\":10015}", "", AGAIN },
	{ STD, 405, "", "", NO },
	{ STD, 408, "", "", AGAIN },
	{ STD, 409, "", "", AGAIN },
	{ STD, 410, "", "", GONE },
	{ STD, 413, "", "", NO },
	{ STD, 422, "", "", NO },
	{ STD, 425, "", "", AGAIN },
	{ STD, 429, "", "", HL_VERDICT_RETRY, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_BACK_OFF, false },
	{ STD, 431, "", "", NO },
	{ STD, 500, "", "", AGAIN },
	{ STD, 501, "", "", AGAIN },
	{ STD, 502, "", "", HL_VERDICT_RETRY, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_NEUTRAL, true },
	{ STD, 503, "", "", HL_VERDICT_RETRY, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_BACK_OFF, true },
	{ STD, 504, "", "", HL_VERDICT_RETRY, HL_CLASS_HTTP_STATUS, HL_FEEDBACK_NEUTRAL, true },
	{ STD, 505, "", "", AGAIN },
	{ STD, 999, "", "", AGAIN },
	{ TG, 200, "{\"ok\":true,\"result\":{}}", "", OK },
	{ TG, 200, " { \"ok\" : true } ", "", OK },
	{ TG, 200, "{\"ok\":false}", "", SAID_NO },
	{ TG, 200, "{\"ok\":\"true\"}", "", SAID_NO },
	{ TG, 200, "{\"result\":{\"ok\":true}}", "", SAID_NO },
	{ TG, 200, "{\"ok\":true", "", SAID_NO },
	{ TG, 200, "[true]", "", SAID_NO },
	{ TG, 200, "", "", SAID_NO },
	{ TG, 400, "{\"ok\":false}", "", NO },
	{ TG, 403, "{\"ok\":false,\"error_code\":403,\"description\":\"Forbidden: bot was blocked by the user\"}", "",
			GONE },
	{ TG, 403, "{\"ok\":false,\"description\":\"Forbidden: something else\"}", "", AGAIN },
	{ TG, 403, "bot was blocked", "", AGAIN },
	{ TG, 404, "{\"code\":10015}", "", AGAIN },
	{ DC, 204, "", "", OK },
	{ DC, 404, "{\"message\": \"Unknown Webhook\", \"code\": 10015}", "", GONE },
	{ DC, 404, "{\"message\": \"404: Not Found\", \"code\": 0}", "", AGAIN },
	{ DC, 404, "{\"code\": \"10015\"}", "", AGAIN },
	{ DC, 404, "<html>", "", AGAIN },
	{ DC, 403, "{\"description\":\"bot was blocked\"}", "", AGAIN },
	{ DC, 410, "", "", GONE },
	{ GS, 200, "", "", OK },
	{ GS, 302, "", GAS, OK },
	{ GS, 302, "", "HTTPS://Script.GoogleUserContent.com:443/x", OK },
	{ GS, 302, "", "https://script.googleusercontent.com", OK },
	{ GS, 302, "", "https://script.googleusercontent.com?x", OK },
	{ GS, 302, "", "https://accounts.google.com/signin", AGAIN },
	{ GS, 302, "", "http://script.googleusercontent.com/", AGAIN },
	{ GS, 302, "", "https://script.googleusercontent.com@evil.example/", AGAIN },
	{ GS, 302, "", "https://script.googleusercontent.com.evil.example/", AGAIN },
	{ GS, 302, "", "https://evil.example/https://script.googleusercontent.com/", AGAIN },
	{ GS, 302, "", "//script.googleusercontent.com/", AGAIN },
	{ GS, 302, "", "", AGAIN },
	{ GS, 301, "", GAS, AGAIN },
	{ GS, 303, "", GAS, AGAIN },
#define LOST HL_FEEDBACK_BACK_OFF, true
	{ HL_FORMAT_STANDARD, HL_CLASS_DNS, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_DNS, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_CONNECT, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_CONNECT, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_TLS, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_TLS, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_RESET, 200, "", "", HL_VERDICT_RETRY, HL_CLASS_RESET, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_PROTOCOL, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_PROTOCOL, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_BLOCKED_ADDRESS, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_BLOCKED_ADDRESS, LOST },
	{ HL_FORMAT_STANDARD, HL_CLASS_TIMEOUT, 410, "", "", HL_VERDICT_RETRY, HL_CLASS_TIMEOUT, HL_FEEDBACK_HALVE,
			true },
	{ HL_FORMAT_STANDARD, HL_CLASS_INTERNAL, 0, "", "", HL_VERDICT_RETRY, HL_CLASS_INTERNAL, HL_FEEDBACK_NEUTRAL,
			false },
};

static void judge(void **state)
{
	(void)state;
	struct hl_policy p = native();
	struct hl_policy_finals f = finals_default();
	for (size_t i = 0; i < HL_ARRAY_LEN(verdicts); i++) {
		struct hl_answer a = { .error_class = verdicts[i].class, .http_status = verdicts[i].status,
			.body = hl_str_from(verdicts[i].body), .location = hl_str_from(verdicts[i].location) };
		struct hl_judgement j;
		hl_policy_judge(&p, verdicts[i].format, &f, &a, t0, &j);
		if (j.verdict != verdicts[i].verdict || j.error_class != verdicts[i].want_class
				|| j.feedback != verdicts[i].feedback || j.unavailable != verdicts[i].unavailable)
			fail_msg("row %zu (%u %s %s): verdict %d class %d feedback %d unavailable %d", i,
					verdicts[i].status, verdicts[i].body, verdicts[i].location, j.verdict,
					j.error_class, j.feedback, j.unavailable);
		assert_int_equal(j.reason[0] != 0, j.verdict == HL_VERDICT_FINAL_DISABLE);
		assert_int_equal(j.error[0] != 0,
				j.verdict != HL_VERDICT_SUCCEEDED && verdicts[i].class == HL_CLASS_NONE);
		assert_int_equal(j.hint_ms, 0);
	}
}

static void judge_text(void **state)
{
	(void)state;
	struct hl_policy p = native();
	struct hl_policy_finals f = finals_default();
	struct hl_answer a = { .http_status = 503 };
	struct hl_judgement j;
	hl_policy_judge(&p, HL_FORMAT_STANDARD, &f, &a, t0, &j);
	assert_string_equal(j.error, "HTTP 503");
	/* a status taken off or put on the list */
	assert_int_equal(hl_policy_finals_parse(HL_STR("404,503"), &f, NULL), 0);
	hl_policy_judge(&p, HL_FORMAT_STANDARD, &f, &a, t0, &j);
	assert_int_equal(j.verdict, HL_VERDICT_FINAL);
	a.http_status = 400;
	hl_policy_judge(&p, HL_FORMAT_STANDARD, &f, &a, t0, &j);
	assert_int_equal(j.verdict, HL_VERDICT_RETRY);
}

/* ---- hints ---- */

static const struct {
	enum hl_format format;
	uint16_t status;
	const char *header, *body;
	hl_ms_t want_ms;
} hints[] = {
	{ HL_FORMAT_STANDARD, 429, "120", "", 120000 },
	{ HL_FORMAT_STANDARD, 503, " 7 ", "", 7000 },
	{ HL_FORMAT_STANDARD, 500, "120", "", 0 },
	{ HL_FORMAT_STANDARD, 200, "120", "", 0 },
	{ HL_FORMAT_STANDARD, 400, "120", "", 0 },
	{ HL_FORMAT_STANDARD, 429, "0", "", 1 },
	{ HL_FORMAT_STANDARD, 429, "", "", 0 },
	{ HL_FORMAT_STANDARD, 429, "-5", "", 0 },
	{ HL_FORMAT_STANDARD, 429, "1.5", "", 0 },
	{ HL_FORMAT_STANDARD, 429, "soon", "", 0 },
	{ HL_FORMAT_STANDARD, 429, "99999999999999999999999999", "", HL_POLICY_HINT_MAX_MS },
	{ HL_FORMAT_STANDARD, 429, "9223372036854775807", "", HL_POLICY_HINT_MAX_MS },
	{ HL_FORMAT_STANDARD, 429, "Thu, 01 Jan 2026 00:01:00 GMT", "", 60000 },
	{ HL_FORMAT_STANDARD, 429, "Wed, 31 Dec 2025 23:00:00 GMT", "", 1 },
	{ HL_FORMAT_STANDARD, 429, "Fri, 31 Dec 9999 23:59:59 GMT", "", HL_POLICY_HINT_MAX_MS },
	{ HL_FORMAT_STANDARD, 429, "Thu Jan  1 00:00:05 2026", "", 5000 },
	{ HL_FORMAT_STANDARD, 429, "Thursday, 01-Jan-26 00:00:09 GMT", "", 9000 },
	{ HL_FORMAT_STANDARD, 429, "", "{\"retry_after\":5}", 0 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"message\":\"x\",\"retry_after\":0.529,\"global\":false}", 529 },
	{ HL_FORMAT_DISCORD, 429, "9", "{\"retry_after\":64.57}", 64570 },
	{ HL_FORMAT_DISCORD, 429, "9", "{\"retry_after\":\"64\"}", 9000 },
	{ HL_FORMAT_DISCORD, 429, "9", "{\"retry_after\":-1}", 9000 },
	{ HL_FORMAT_DISCORD, 429, "9", "not json", 9000 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":1.5e3}", 1500000 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":25E-1}", 2500 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":1e+2}", 100000 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":1e999999999999}", HL_POLICY_HINT_MAX_MS },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":1e-999999999999}", 1 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"retry_after\":0}", 1 },
	{ HL_FORMAT_DISCORD, 429, "", "{\"parameters\":{\"retry_after\":3}}", 0 },
	{ HL_FORMAT_TELEGRAM, 429, "", "{\"ok\":false,\"parameters\":{\"retry_after\":35}}", 35000 },
	{ HL_FORMAT_TELEGRAM, 429, "4", "{\"ok\":false,\"retry_after\":35}", 4000 },
	{ HL_FORMAT_TELEGRAM, 429, "4", "{\"ok\":false,\"parameters\":[35]}", 4000 },
	{ HL_FORMAT_TELEGRAM, 200, "4", "{\"ok\":false,\"parameters\":{\"retry_after\":35}}", 0 },
};

static void hint(void **state)
{
	(void)state;
	struct hl_policy p = native(), s = strict();
	struct hl_policy_finals f = finals_default();
	for (size_t i = 0; i < HL_ARRAY_LEN(hints); i++) {
		struct hl_answer a = { .http_status = hints[i].status, .body = hl_str_from(hints[i].body),
			.retry_after = hl_str_from(hints[i].header) };
		struct hl_judgement j;
		hl_policy_judge(&p, hints[i].format, &f, &a, t0, &j);
		if (j.hint_ms != hints[i].want_ms)
			fail_msg("row %zu (%s %s): %lld", i, hints[i].header, hints[i].body, (long long)j.hint_ms);
		hl_policy_judge(&s, hints[i].format, &f, &a, t0, &j);
		assert_int_equal(j.hint_ms, 0);
	}
}

static void hint_of_many_digits(void **state)
{
	(void)state;
	struct hl_policy p = native();
	struct hl_policy_finals f = finals_default();
	struct hl_judgement j;
	static char body[3000];
	int n = snprintf(body, sizeof body, "{\"retry_after\":");
	memset(body + n, '9', 1000);
	body[n + 1000] = '.';
	memset(body + n + 1001, '9', 1000);
	body[n + 2001] = '}';
	struct hl_answer a = { .http_status = 429, .body = hl_str_from(body) };
	hl_policy_judge(&p, HL_FORMAT_DISCORD, &f, &a, t0, &j);
	assert_int_equal(j.hint_ms, HL_POLICY_HINT_MAX_MS);
	memset(body + n + 1, '0', 1000); /* 900…, no fraction: a long number without a dot */
	hl_policy_judge(&p, HL_FORMAT_DISCORD, &f, &a, t0, &j);
	assert_int_equal(j.hint_ms, HL_POLICY_HINT_MAX_MS);
}

/* ---- schedules ---- */

/* Plays a receiver that always fails: attempts start at their due time plus `lag` and take `took`; returns how many
 * were made, with their starts since t0. */
static unsigned play(const struct hl_policy *p, hl_ms_t lag_ms, hl_ms_t took_ms, hl_ms_t expires_at_ms, hl_ms_t *starts,
		unsigned max)
{
	struct hl_policy_state s = { .expires_at_ms = expires_at_ms };
	hl_policy_window(p, t0, 0, expires_at_ms, &s.window_from_ms, &s.window_until_ms);
	hl_ms_t due = s.window_from_ms;
	unsigned n = 0;
	while (due) {
		assert_true(n < max);
		assert_true(due <= s.window_until_ms);
		s.started_at_ms = due + lag_ms;
		starts[n++] = s.started_at_ms - t0;
		s.n_attempts = s.n_scheduled = n;
		due = hl_policy_next(p, &s, s.started_at_ms + took_ms, 0, 0);
	}
	return n;
}

static void next_hourly(void **state)
{
	(void)state;
	hl_ms_t at[300];
	struct hl_policy p = hourly(), s = strict();
	const hl_ms_t lags[] = { 0, 3, 45000, 1800000 };
	for (size_t i = 0; i < HL_ARRAY_LEN(lags); i++) {
		for (int took = 0; took <= 15000; took += 15000) {
			assert_int_equal(play(&p, lags[i], took, 0, at, 300), 49);
			for (int k = 0; k < 49; k++)
				assert_int_equal(at[k], (hl_ms_t)k * HOUR_MS + lags[i]);
			assert_int_equal(play(&s, lags[i], took, 0, at, 300), 49);
		}
	}
	/* a clock nudged back by 40 ms during an attempt does not make its slot twice */
	struct hl_policy_state st = { .window_from_ms = t0, .window_until_ms = t0 + 2 * (hl_ms_t)DAY_MS,
			.n_attempts = 2,
		.n_scheduled = 2, .started_at_ms = t0 + HOUR_MS };
	assert_int_equal(hl_policy_next(&p, &st, t0 + HOUR_MS - 40, 0, 0), t0 + 2 * HOUR_MS);
	/* set back by a day: within the hour, still on the grid */
	assert_int_equal(hl_policy_next(&p, &st, t0 - DAY_MS + 5, 0, 0), t0 - DAY_MS + HOUR_MS);
	/* as many attempts as slots, whatever the clock says; hinted ones are not among them */
	st.n_attempts = st.n_scheduled = 49;
	assert_int_equal(hl_policy_next(&p, &st, t0 + HOUR_MS, 0, 0), 0);
	st.n_hints = 1;
	assert_int_equal(hl_policy_next(&p, &st, t0 + HOUR_MS, 0, 0), t0 + 2 * HOUR_MS);
	st.n_hints = 0;
	st.n_attempts = st.n_scheduled = 3;
	/* a window that is no whole number of hours ends with a slot of its own */
	st.window_until_ms = t0 + 5 * HOUR_MS / 2;
	assert_int_equal(hl_policy_next(&p, &st, t0 + 2 * HOUR_MS, 0, 0), t0 + 5 * HOUR_MS / 2);
	st.n_attempts = st.n_scheduled = 4;
	assert_int_equal(hl_policy_next(&p, &st, t0 + 2 * HOUR_MS, 0, 0), 0);
	st.window_until_ms = t0 + 2 * (hl_ms_t)DAY_MS;
	/* one that the clock made come early stands for its slot: the same one must not follow it */
	assert_int_equal(hl_policy_next(&p, &st, t0 + HOUR_MS - 1999, 0, 0), t0 + 2 * HOUR_MS);
	/* an attempt between slots (a probe) moves nothing */
	st.started_at_ms = t0 + HOUR_MS + 600000;
	assert_int_equal(hl_policy_next(&p, &st, t0 + HOUR_MS + 601000, 0, 0), t0 + 2 * HOUR_MS);
}

static void next_exponential(void **state)
{
	(void)state;
	static const hl_ms_t want_s[] = { 0, 5, 35, 155, 755, 2555, 6155, 13355, 27755, 56555, 99755, 171755, 172800 };
	hl_ms_t at[300];
	struct hl_policy p = native();
	unsigned n = play(&p, 0, 0, 0, at, 300);
	assert_int_equal(n, HL_ARRAY_LEN(want_s));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(at[i], want_s[i] * 1000);
	/* delays run from the attempt's end */
	struct hl_policy_state s = { .window_from_ms = t0, .window_until_ms = t0 + DAY_MS, .n_attempts = 1,
			.n_scheduled = 1,
		.started_at_ms = t0 };
	assert_int_equal(hl_policy_next(&p, &s, t0 + 15000, 0, 0), t0 + 20000);
	/* jitter: 0 to 10 % */
	assert_int_equal(hl_policy_next(&p, &s, t0, 0, UINT32_MAX), t0 + 5500);
	assert_int_equal(hl_policy_next(&p, &s, t0, 0, UINT32_MAX / 2), t0 + 5249);
	s.n_scheduled = 11;
	assert_int_equal(hl_policy_next(&p, &s, t0, 0, UINT32_MAX), t0 + 22 * HOUR_MS);
	/* a probe was made before its first turn */
	s.n_scheduled = 0;
	assert_int_equal(hl_policy_next(&p, &s, t0, 0, 0), t0 + 5000);
}

static void next_delays(void **state)
{
	(void)state;
	hl_ms_t at[300];
	struct hl_retry r = { .kind = HL_RETRY_DELAYS, .n_delays = 2, .delays_s = { 10, 100 } };
	struct hl_webhook w = { .retry = r, .window_s = 400 };
	struct hl_policy_defaults d = { .window_s = 0 };
	struct hl_policy p;
	static const hl_ms_t want_s[] = { 0, 10, 110, 210, 310, 400 };
	hl_policy_init(&p, &w, &d);
	assert_int_equal(play(&p, 0, 0, 0, at, 300), HL_ARRAY_LEN(want_s));
	for (unsigned i = 0; i < HL_ARRAY_LEN(want_s); i++)
		assert_int_equal(at[i], want_s[i] * 1000);
	/* the cap on attempts */
	p.delays_s[0] = p.delays_s[1] = 1;
	assert_int_equal(play(&p, 0, 0, 0, at, 300), HL_ATTEMPTS_MAX);
	assert_int_equal(at[HL_ATTEMPTS_MAX - 2], (HL_ATTEMPTS_MAX - 2) * 1000);
	assert_int_equal(at[HL_ATTEMPTS_MAX - 1], 400000); /* kept for the end */
	/* a window that ended while the last attempt ran still gets its last slot */
	struct hl_policy_state s = { .window_from_ms = t0, .window_until_ms = t0 + 400000, .n_attempts = 5,
			.n_scheduled = 5,
		.started_at_ms = t0 + 395000 };
	assert_int_equal(hl_policy_next(&p, &s, t0 + 410000, 0, 0), t0 + 400000);
	s.started_at_ms = t0 + 400000;
	assert_int_equal(hl_policy_next(&p, &s, t0 + 400001, 0, 0), 0);
}

static void next_expiring(void **state)
{
	(void)state;
	hl_ms_t at[300];
	struct hl_policy p = native();
	unsigned n = play(&p, 0, 0, t0 + 60000, at, 300);
	assert_int_equal(n, 4);
	assert_int_equal(at[2], 35000);
	assert_int_equal(at[3], 59000); /* before it expires, not at that moment */
	assert_int_equal(hl_policy_at_dispatch(&p, t0 + 60000, t0 + 60000, HL_WEBHOOK_ENABLED, false, t0 + 59000),
			HL_AT_ATTEMPT);
	/* shorter than the lead: one attempt */
	assert_int_equal(play(&p, 0, 0, t0 + 500, at, 300), 1);
	/* expiring long after the window changes nothing */
	assert_int_equal(play(&p, 0, 0, t0 + 9 * (hl_ms_t)DAY_MS, at, 300), 13);
}

static void next_hint(void **state)
{
	(void)state;
	struct hl_policy p = native(), st = strict();
	struct hl_policy_state s = { .window_from_ms = t0, .window_until_ms = t0 + 2 * (hl_ms_t)DAY_MS, .n_attempts = 1,
		.n_scheduled = 1, .started_at_ms = t0 };
	hl_ms_t now = t0 + 1000;
	assert_int_equal(hl_policy_next(&p, &s, now, 120000, 0), now + 120000);
	assert_int_equal(hl_policy_next(&p, &s, now, 1, 0), now + 1000);
	s.n_hints = 2;
	s.n_scheduled = 3;
	assert_int_equal(hl_policy_next(&p, &s, now, 1, 0), now + 1000);
	assert_int_equal(hl_policy_next(&p, &s, now, 0, 0), now + 5000); /* the hints took no steps */
	s.n_scheduled = 4;
	assert_int_equal(hl_policy_next(&p, &s, now, 0, 0), now + 30000);
	s.n_hints = 3;
	assert_int_equal(hl_policy_next(&p, &s, now, 1, 0), now + 60000);
	assert_int_equal(hl_policy_next(&p, &s, now, 90000, 0), now + 90000);
	assert_int_equal(hl_policy_next(&p, &s, now, 3 * (hl_ms_t)DAY_MS, 0), s.window_until_ms);
	s.n_attempts = HL_ATTEMPTS_MAX;
	assert_int_equal(hl_policy_next(&p, &s, now, 120000, 0), 0);
	s.n_attempts = 1;
	assert_int_equal(hl_policy_next(&st, &s, now, 120000, 0), t0 + HOUR_MS);
	s.started_at_ms = s.window_until_ms;
	assert_int_equal(hl_policy_next(&p, &s, now, 120000, 0), 0);
}

static void window(void **state)
{
	(void)state;
	struct hl_policy p = native();
	static const struct {
		hl_ms_t deliver_after, expires, from, until;
	} rows[] = {
		{ 0, 0, 0, 2 * (hl_ms_t)DAY_MS },
		{ -5, 0, 0, 2 * (hl_ms_t)DAY_MS },
		{ DAY_MS, 0, DAY_MS, 3 * (hl_ms_t)DAY_MS },
		{ 0, HOUR_MS, 0, HOUR_MS },
		{ DAY_MS, DAY_MS + 5, DAY_MS, DAY_MS + 5 },
		{ 0, 9 * (hl_ms_t)DAY_MS, 0, 2 * (hl_ms_t)DAY_MS },
		{ DAY_MS, HOUR_MS, DAY_MS, DAY_MS },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
		hl_ms_t from, until;
		hl_policy_window(&p, t0, rows[i].deliver_after ? t0 + rows[i].deliver_after : 0,
				rows[i].expires ? t0 + rows[i].expires : 0, &from, &until);
		assert_int_equal(from - t0, rows[i].from);
		assert_int_equal(until - t0, rows[i].until);
	}
}

static void due(void **state)
{
	(void)state;
	static const struct {
		hl_ms_t next, decided, now, want;
	} rows[] = {
		{ 100, 50, 60, 100 },      /* the clock runs as it should */
		{ 100, 50, 100, 100 },
		{ 100, 50, 5000, 100 },
		{ 100, 50, 50, 100 },
		{ 100, 50, 40, 90 },       /* set back behind the decision: the wait of 50 starts now */
		{ 100, 50, -100000, -99950 },
		{ 40, 50, 45, 40 },        /* due before it was decided (a slot at the end): at once */
		{ 40, 50, 30, 30 },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++)
		assert_int_equal(hl_policy_due(t0 + rows[i].next, t0 + rows[i].decided, t0 + rows[i].now),
				t0 + rows[i].want);
}

static void at_dispatch(void **state)
{
	(void)state;
	enum { ENDED = 1000, G = HL_POLICY_GRACE_MS };
	static const struct {
		bool strict, parked;
		enum hl_webhook_state state;
		hl_ms_t expires, now;
		enum hl_at_dispatch want;
	} rows[] = {
		{ false, false, HL_WEBHOOK_ENABLED, 0, 0, HL_AT_ATTEMPT },
		{ false, false, HL_WEBHOOK_ENABLED, 0, ENDED, HL_AT_ATTEMPT },
		{ false, false, HL_WEBHOOK_ENABLED, 0, ENDED + G, HL_AT_ATTEMPT },
		{ false, false, HL_WEBHOOK_ENABLED, 0, ENDED + G + 1, HL_AT_ATTEMPT_LATE },
		{ true, false, HL_WEBHOOK_ENABLED, 0, ENDED + G, HL_AT_ATTEMPT },
		{ true, false, HL_WEBHOOK_ENABLED, 0, ENDED + G + 1, HL_AT_END_STRICT },
		{ false, false, HL_WEBHOOK_ENABLED, ENDED, ENDED - 1, HL_AT_ATTEMPT },
		{ false, false, HL_WEBHOOK_ENABLED, ENDED, ENDED, HL_AT_END_EXPIRED },
		{ false, true, HL_WEBHOOK_PAUSED, ENDED, ENDED, HL_AT_END_EXPIRED },
		{ true, false, HL_WEBHOOK_ENABLED, ENDED, ENDED + G + 1, HL_AT_END_EXPIRED },
		{ false, false, HL_WEBHOOK_PAUSED, 0, ENDED, HL_AT_HOLD },
		{ false, false, HL_WEBHOOK_DISABLED, 0, 0, HL_AT_HOLD },
		{ false, false, HL_WEBHOOK_PAUSED, 0, ENDED + 1, HL_AT_END_PAUSED },
		{ false, true, HL_WEBHOOK_DISABLED, 0, ENDED + 1, HL_AT_END_PAUSED },
		{ false, true, HL_WEBHOOK_ENABLED, 0, ENDED + G, HL_AT_HOLD },
		{ false, true, HL_WEBHOOK_ENABLED, 0, ENDED + G + 1, HL_AT_END_PARKED },
		{ true, true, HL_WEBHOOK_ENABLED, 0, ENDED + G + 1, HL_AT_END_PARKED },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
		struct hl_policy p = rows[i].strict ? strict() : native();
		enum hl_at_dispatch got = hl_policy_at_dispatch(&p, t0 + ENDED,
				rows[i].expires ? t0 + rows[i].expires : 0,
				rows[i].state, rows[i].parked, t0 + rows[i].now);
		if (got != rows[i].want)
			fail_msg("row %zu: %d", i, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finals), cmocka_unit_test(init), cmocka_unit_test(judge), cmocka_unit_test(judge_text),
		cmocka_unit_test(hint), cmocka_unit_test(hint_of_many_digits), cmocka_unit_test(next_hourly),
		cmocka_unit_test(next_exponential), cmocka_unit_test(next_delays), cmocka_unit_test(next_expiring),
		cmocka_unit_test(next_hint), cmocka_unit_test(window), cmocka_unit_test(due),
		cmocka_unit_test(at_dispatch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

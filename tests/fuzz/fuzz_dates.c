/* Times and waits: RFC 3339, HTTP dates, Retry-After in a header and in the bodies of chat services.
 *
 * Every text that is read comes back as a text that means the same, every time formatted comes back as itself, and a second,
 * slower reader agrees. The first byte chooses: a text in RFC 3339, an HTTP date, a number of milliseconds, an answer. */
#include "base/json.h"
#include "base/timefmt.h"
#include "dispatch/policy.h"
#include "fuzz.h"

#include <stdio.h>
#include <time.h>

#define NOW_MS ((hl_ms_t)1767225600000) /* 2026-01-01T00:00:00Z */
#define LAST_MS ((hl_ms_t)253402300799999) /* 9999-12-31T23:59:59.999Z */

static hl_ms_t at_of(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute,
		.tm_sec = second };
	return (hl_ms_t)timegm(&tm) * 1000;
}

/* Two digits, or -1. */
static int two(const char *p)
{
	bool digits = p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9';
	return digits ? (p[0] - '0') * 10 + p[1] - '0' : -1;
}

/* ".ddd…" at *p; -1: malformed. */
static int slow_fraction(const char **p)
{
	char digits[4] = "000";
	size_t n = 0;
	if (**p != '.')
		return 0;
	for (++*p; **p >= '0' && **p <= '9'; ++*p, n++)
		if (n < 3)
			digits[n] = **p;
	return n >= 1 && n <= 9 ? atoi(digits) : -1;
}

/* Without leap seconds; the C library counts the days. */
static bool slow_rfc3339(struct hl_str s, hl_ms_t *out)
{
	char text[64], shape[] = "....-..-..T..:..:..";
	if (s.len >= sizeof(text) || s.len < 20)
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	for (size_t i = 0; i < 19; i++)
		if (shape[i] != '.' && text[i] != shape[i] && (i != 10 || text[i] != 't'))
			return false;
	int y = two(text) * 100 + two(text + 2), mo = two(text + 5), d = two(text + 8);
	int h = two(text + 11), mi = two(text + 14), sec = two(text + 17);
	const char *p = text + 19;
	int ms = slow_fraction(&p), oh = 0, om = 0, sign = *p == '-' ? -1 : 1;
	if (two(text) < 0 || two(text + 2) < 0 || y < 1 || mo < 1 || mo > 12 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59)
		return false;
	if (sec < 0 || sec > 59 || ms < 0 || !strchr("Zz+-", *p) || !*p)
		return false;
	if ((*p == '+' || *p == '-') && (strlen(p) != 6 || p[3] != ':' || (oh = two(p + 1)) < 0 || (om = two(p + 4)) < 0))
		return false;
	if (((*p | 0x20) == 'z' && p[1]) || oh > 23 || om > 59)
		return false;
	if (at_of(y, mo, d, 0, 0, 0) >= (mo == 12 ? at_of(y + 1, 1, 1, 0, 0, 0) : at_of(y, mo + 1, 1, 0, 0, 0)))
		return false;
	*out = at_of(y, mo, d, h, mi, sec) + ms - sign * (hl_ms_t)(oh * 60 + om) * 60000;
	return *out >= 0 && *out <= LAST_MS;
}

static void rfc3339(struct hl_str s)
{
	hl_ms_t at = -1, slow = -1, again;
	char text[HL_RFC3339_CAP];
	bool ok = hl_rfc3339_parse(s, &at), leap = s.len > 18 && s.ptr[17] == '6';
	if (!leap && !memchr(s.ptr, '\0', s.len)) {
		bool want = slow_rfc3339(s, &slow);
		HL_CHECK(ok == want && (!ok || at == slow));
	}
	if (!ok)
		return;
	HL_CHECK(at >= 0 && at <= LAST_MS);
	HL_CHECK(hl_rfc3339_parse(hl_str_make(text, hl_rfc3339_format(at, text)), &again) && again == at);
}

static void http_date(struct hl_str s)
{
	hl_ms_t at, again;
	char text[HL_HTTP_DATE_CAP];
	if (!hl_http_date_parse(s, NOW_MS, &at))
		return;
	HL_CHECK(at >= 0 && at <= LAST_MS && at % 1000 == 0);
	HL_CHECK(hl_http_date_parse(hl_str_make(text, hl_http_date_format(at, text)), NOW_MS, &again) && again == at);
}

/* The texts are those of strftime. */
static void format(hl_ms_t at_ms)
{
	char text[HL_RFC3339_CAP], date[HL_HTTP_DATE_CAP], want[64];
	hl_ms_t back, kept = HL_MAX(0, HL_MIN(at_ms, LAST_MS));
	time_t t = (time_t)(kept / 1000);
	struct tm tm;
	size_t n = hl_rfc3339_format(at_ms, text);
	HL_CHECK(hl_rfc3339_parse(hl_str_make(text, n), &back) && back == kept && gmtime_r(&t, &tm));
	size_t k = strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S", &tm);
	k += (size_t)snprintf(want + k, sizeof(want) - k, ".%03dZ", (int)(kept % 1000));
	HL_CHECK(k == n && !memcmp(text, want, n));
	n = hl_http_date_format(at_ms, date);
	k = strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	HL_CHECK(k == n && !memcmp(date, want, n));
	HL_CHECK(hl_http_date_parse(hl_str_make(date, n), NOW_MS, &back) && back == kept / 1000 * 1000);
}

/* What Retry-After means, said once more. */
static hl_ms_t slow_hint(struct hl_str v)
{
	hl_ms_t at;
	uint64_t s = 0;
	v = hl_str_trim(v);
	if (!v.len)
		return 0;
	if (hl_str_all_between(v, '0', '9')) {
		for (size_t i = 0; i < v.len && s < 10000000; i++)
			s = s * 10 + (uint64_t)(v.ptr[i] - '0');
		at = (hl_ms_t)s * 1000;
	} else if (hl_http_date_parse(v, NOW_MS, &at)) {
		at -= NOW_MS;
	} else {
		return 0;
	}
	return at < 1 ? 1 : at > HL_POLICY_HINT_MAX_MS ? HL_POLICY_HINT_MAX_MS : at;
}

/* status, format, Retry-After in a line, Location in a line, body. */
static void answer(struct hl_str in)
{
	static const uint16_t statuses[] = { 200, 204, 302, 400, 404, 410, 429, 429, 429, 500, 503, 503 };
	struct hl_webhook w = { .dialect = HL_DIALECT_HOOKLINE };
	struct hl_policy_defaults d = { .window_s = 0 };
	struct hl_policy_finals finals = { { 0 } };
	struct hl_policy p;
	struct hl_judgement j;
	struct hl_answer a = { .http_status = statuses[fuzz_u8(&in) % HL_ARRAY_LEN(statuses)] };
	enum hl_format format = (enum hl_format)(fuzz_u8(&in) % HL_FORMAT_N);
	w.strict = fuzz_u8(&in) & 1;
	a.retry_after = fuzz_line(&in);
	a.location = fuzz_line(&in);
	a.body = fuzz_own(in);
	hl_policy_init(&p, &w, &d);
	hl_policy_judge(&p, format, &finals, &a, NOW_MS, &j);
	bool asks = a.http_status == 429 || a.http_status == 503;
	HL_CHECK(j.hint_ms >= 0 && j.hint_ms <= HL_POLICY_HINT_MAX_MS);
	HL_CHECK((asks && !w.strict) || j.hint_ms == 0);
	if (asks && !w.strict && format != HL_FORMAT_DISCORD && format != HL_FORMAT_TELEGRAM && j.verdict == HL_VERDICT_RETRY)
		HL_CHECK(j.hint_ms == slow_hint(a.retry_after));
	HL_CHECK(strlen(j.error) < sizeof(j.error) && strlen(j.reason) < sizeof(j.reason));
	free((void *)(uintptr_t)a.body.ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hl_str in = hl_str_make(data, len), text;
	unsigned how = fuzz_u8(&in) % 4;
	if (how == 2) {
		format((hl_ms_t)fuzz_u64(&in));
		return 0;
	}
	if (how == 3) {
		answer(in);
		return 0;
	}
	text = fuzz_own(in);
	if (how)
		http_date(text);
	else
		rfc3339(text);
	free((void *)(uintptr_t)text.ptr);
	return 0;
}

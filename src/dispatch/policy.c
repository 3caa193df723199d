/* The rules of delivery.
 *
 * A webhook's retry settings become a `struct hl_policy` once. After each exchange hl_policy_judge says what the answer
 * means; when that is "try again", hl_policy_next says when. Before each attempt hl_policy_at_dispatch says whether it
 * may still be made.
 *
 *   success       the delivery ends
 *   final         the receiver will never take this request: the delivery fails
 *   disable       the receiver is gone for good: the delivery fails and the webhook stops
 *   retry         everything else, until the window ends: a slot past the end moves to the end, and an attempt made at
 *   the
 *                 end is the last one
 *
 * Clocks: due times are wall times. One that lies further ahead than the wait it was meant to be (the clock was set
 * back) is cut to that wait by hl_policy_due. One found long past the end of its window (the process was down, the
 * clock was set forward) gets one late attempt. Bodies and headers come from strangers: what does not parse is no hint
 * and no reason. */
#include "dispatch/policy.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"
#include <stdio.h>

enum { FINAL_FIRST = 400, FINAL_LAST = 599 };
enum { DISCORD_UNKNOWN_WEBHOOK = 10015 };
/* An hourly attempt made this much before a slot counts as that slot's. The clock may be set back by as much without being
 * seen to jump (CLOCK_JUMP_MS in engine.c): timers then ring early by it. */
enum { SLOT_SLACK_MS = 2000 };
/* Likewise one made this much before the window's end, which a timer and a clock read apart can do: it was the last. */
enum { END_SLACK_MS = 20 };

static const uint32_t exponential_s[] = {
	5, 30, 2 * 60, 10 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600, 20 * 3600,
};

/* ---- the statuses that end a delivery -------------------------------------------------------------------------- */

int hl_policy_finals_parse(struct hl_str text, struct hl_policy_finals *out, struct hl_err *err)
{
	struct hl_policy_finals f = { { 0 } };
	struct hl_str rest = hl_str_trim(text);
	while (rest.ptr && rest.len) {
		struct hl_str entry = hl_str_trim(hl_str_split(&rest, ','));
		uint64_t status;
		if (!hl_str_u64(entry, &status) || status < FINAL_FIRST || status > FINAL_LAST)
			return hl_err_set(err, HL_EINVAL, "\"%.*s\" is not a status from %d to %d",
					(int)HL_MIN(entry.len, 20), entry.ptr ? entry.ptr : "",
					FINAL_FIRST, FINAL_LAST);
		if (hl_policy_finals_has(&f, (unsigned)status))
			return hl_err_set(err, HL_EINVAL, "%u is listed twice", (unsigned)status);
		unsigned bit = (unsigned)status - FINAL_FIRST;
		f.bits[bit / 64] |= (uint64_t)1 << (bit % 64);
		if (rest.ptr && rest.len == 0)
			return hl_err_set(err, HL_EINVAL, "the list ends in a comma");
	}
	*out = f;
	return HL_OK;
}

bool hl_policy_finals_has(const struct hl_policy_finals *f, unsigned status)
{
	if (status < FINAL_FIRST || status > FINAL_LAST)
		return false;
	unsigned bit = status - FINAL_FIRST;
	return f->bits[bit / 64] >> (bit % 64) & 1;
}

/* ---- the retry policy of a webhook ----------------------------------------------------------------------------- */

static void set_exponential(struct hl_policy *p)
{
	_Static_assert(HL_ARRAY_LEN(exponential_s) <= HL_DELAYS_MAX, "fits");
	p->kind = HL_RETRY_EXPONENTIAL;
	p->jitter_percent = HL_POLICY_JITTER_PERCENT;
	p->n_delays = HL_ARRAY_LEN(exponential_s);
	memcpy(p->delays_s, exponential_s, sizeof exponential_s);
}

void hl_policy_init(struct hl_policy *p, const struct hl_webhook *w, const struct hl_policy_defaults *d)
{
	bool native = w->dialect == HL_DIALECT_HOOKLINE;
	const struct hl_retry *retry = &w->retry;
	memset(p, 0, sizeof *p);
	p->strict = w->strict;
	p->window_s = w->window_s ? w->window_s : d->window_s ? d->window_s : HL_POLICY_STRICT_WINDOW_S;
	if (retry->kind == HL_RETRY_DEFAULT)
		retry = native ? &d->native : &d->dialects;
	enum hl_retry_kind kind = retry->kind;
	if (kind == HL_RETRY_DEFAULT)
		kind = native ? HL_RETRY_EXPONENTIAL : HL_RETRY_HOURLY;
	if (p->strict) {
		kind = HL_RETRY_HOURLY;
		p->window_s = HL_POLICY_STRICT_WINDOW_S;
	}
	if (kind == HL_RETRY_HOURLY) {
		p->kind = HL_RETRY_HOURLY;
	} else if (kind == HL_RETRY_DELAYS && retry->n_delays > 0) {
		p->kind = HL_RETRY_DELAYS;
		p->n_delays = HL_MIN(retry->n_delays, (uint32_t)HL_DELAYS_MAX);
		memcpy(p->delays_s, retry->delays_s, p->n_delays * sizeof p->delays_s[0]);
	} else {
		set_exponential(p);
	}
}

/* ---- reading answers ------------------------------------------------------------------------------------------- */

/* The body as a JSON object; false when it is none. */
static bool body_object(struct hl_str body, struct hl_json *out)
{
	return hl_json_check(body, HL_JSON_DEPTH_MAX, out, NULL) == HL_OK && out->type == HL_JSON_OBJECT;
}

/* A JSON number of seconds as milliseconds, rounded up and cut to the longest hint; false when negative. By hand,
 * because strtod obeys the embedding program's locale. */
static bool seconds_to_ms(struct hl_json v, hl_ms_t *out_ms)
{
	if (v.type != HL_JSON_NUMBER || v.raw.len == 0 || v.raw.ptr[0] == '-')
		return false;
	double value = 0, scale = 1;
	size_t i = 0;
	bool fraction = false;
	for (; i < v.raw.len && v.raw.ptr[i] != 'e' && v.raw.ptr[i] != 'E'; i++) {
		if (v.raw.ptr[i] == '.') {
			fraction = true;
			continue;
		}
		value = value * 10 + (v.raw.ptr[i] - '0');
		scale = fraction ? scale * 10 : scale;
	}
	value /= scale;
	if (i < v.raw.len) {
		bool minus = ++i < v.raw.len && v.raw.ptr[i] == '-';
		i += i < v.raw.len && (v.raw.ptr[i] == '-' || v.raw.ptr[i] == '+');
		int exponent = 0;
		for (; i < v.raw.len; i++)
			exponent = HL_MIN(exponent * 10 + (v.raw.ptr[i] - '0'), 400);
		for (; exponent > 0; exponent--)
			value = minus ? value / 10 : value * 10;
	}
	/* also catches infinity and, by the negation, NaN (a thousand digits over a thousand digits) */
	if (!(value < HL_POLICY_HINT_MAX_MS / 1000))
		*out_ms = HL_POLICY_HINT_MAX_MS;
	else
		*out_ms = (hl_ms_t)(value * 1000 + 0.999);
	return true;
}

/* Retry-After: delta-seconds or an HTTP-date (RFC 9110 §10.2.3). */
static bool header_hint(struct hl_str value, hl_ms_t now_ms, hl_ms_t *out_ms)
{
	value = hl_str_trim(value);
	if (value.len == 0)
		return false;
	if (hl_str_all_between(value, '0', '9')) {
		uint64_t s;
		bool huge = !hl_str_u64(value, &s) || s >= HL_POLICY_HINT_MAX_MS / 1000;
		*out_ms = huge ? HL_POLICY_HINT_MAX_MS : (hl_ms_t)s * 1000;
		return true;
	}
	hl_ms_t at_ms;
	if (!hl_http_date_parse(value, now_ms, &at_ms))
		return false;
	*out_ms = at_ms - now_ms;
	return true;
}

/* Discord and Telegram say it more exactly in the body. */
static bool body_hint(enum hl_format format, struct hl_str body, hl_ms_t *out_ms)
{
	struct hl_json root, holder, v;
	if (format != HL_FORMAT_DISCORD && format != HL_FORMAT_TELEGRAM)
		return false;
	if (!body_object(body, &root))
		return false;
	holder = root;
	if (format == HL_FORMAT_TELEGRAM
			&& (!hl_json_get(root, HL_STR("parameters"), &holder) || holder.type != HL_JSON_OBJECT))
		return false;
	return hl_json_get(holder, HL_STR("retry_after"), &v) && seconds_to_ms(v, out_ms);
}

/* The pause the receiver asks for, 1 ms … the maximum; 0 = it asks for none. */
static hl_ms_t find_hint(enum hl_format format, const struct hl_answer *a, hl_ms_t now_ms)
{
	hl_ms_t ms;
	if (!body_hint(format, a->body, &ms) && !header_hint(a->retry_after, now_ms, &ms))
		return 0;
	return HL_MAX(HL_MIN(ms, (hl_ms_t)HL_POLICY_HINT_MAX_MS), (hl_ms_t)1);
}

/* Apps Script answers a doPost that worked by sending the browser to this host. The authority is compared whole, so
 * that "https://script.googleusercontent.com@elsewhere/" does not pass. */
static bool is_apps_script_redirect(struct hl_str location)
{
	location = hl_str_trim(location);
	struct hl_str scheme = HL_STR("https://");
	if (location.len < scheme.len || !hl_str_ieq(hl_str_make(location.ptr, scheme.len), scheme))
		return false;
	struct hl_str host = hl_str_make(location.ptr + scheme.len, location.len - scheme.len);
	size_t n = 0;
	while (n < host.len && !memchr("/?#", host.ptr[n], 3))
		n++;
	host.len = n;
	return hl_str_ieq(host, HL_STR("script.googleusercontent.com"))
			|| hl_str_ieq(host, HL_STR("script.googleusercontent.com:443"));
}

static bool telegram_says_ok(struct hl_str body)
{
	struct hl_json root, ok;
	bool value = false;
	return body_object(body, &root) && hl_json_get(root, HL_STR("ok"), &ok) && hl_json_bool(ok, &value) && value;
}

/* Why the webhook is to be disabled, NULL when the answer is no such thing. */
static const char *reason_to_disable(enum hl_format format, const struct hl_answer *a)
{
	struct hl_json root, v;
	int64_t code;
	if (a->http_status == 410)
		return "the receiver answered 410 Gone";
	if (format == HL_FORMAT_DISCORD && a->http_status == 404 && body_object(a->body, &root)
			&& hl_json_get(root, HL_STR("code"), &v) && hl_json_i64(v, &code)
			&& code == DISCORD_UNKNOWN_WEBHOOK)
		return "Discord does not know this webhook any more";
	if (format == HL_FORMAT_TELEGRAM && a->http_status == 403 && body_object(a->body, &root)
			&& hl_json_get(root, HL_STR("description"), &v) && v.type == HL_JSON_STRING
			&& hl_str_contains(v.raw, HL_STR("bot was blocked")))
		return "the Telegram user blocked the bot";
	return NULL;
}

/* ---- what an answer means -------------------------------------------------------------------------------------- */

/* No HTTP answer: always worth another try. */
static void judge_no_answer(const struct hl_answer *a, struct hl_judgement *out)
{
	out->verdict = HL_VERDICT_RETRY;
	out->error_class = a->error_class;
	switch (a->error_class) {
	case HL_CLASS_TIMEOUT:
		out->feedback = HL_FEEDBACK_HALVE;
		out->unavailable = true;
		break;
	case HL_CLASS_DNS:
	case HL_CLASS_CONNECT:
	case HL_CLASS_TLS:
	case HL_CLASS_RESET:
	case HL_CLASS_PROTOCOL:
	case HL_CLASS_BLOCKED_ADDRESS:
		out->feedback = HL_FEEDBACK_BACK_OFF;
		out->unavailable = true;
		break;
	default: /* our own trouble says nothing about the receiver */
		out->feedback = HL_FEEDBACK_NEUTRAL;
		break;
	}
}

static void judge_success(struct hl_judgement *out)
{
	out->verdict = HL_VERDICT_SUCCEEDED;
	out->error_class = HL_CLASS_NONE;
	out->feedback = HL_FEEDBACK_SUCCESS;
}

void hl_policy_judge(const struct hl_policy *p, enum hl_format format, const struct hl_policy_finals *finals,
		const struct hl_answer *a, hl_ms_t now_ms, struct hl_judgement *out)
{
	unsigned status = a->http_status;
	memset(out, 0, sizeof *out);
	if (a->error_class != HL_CLASS_NONE) {
		judge_no_answer(a, out);
		return;
	}
	HL_CHECK(status >= 100);
	out->verdict = HL_VERDICT_RETRY;
	out->error_class = HL_CLASS_HTTP_STATUS;
	out->feedback = HL_FEEDBACK_NEUTRAL;
	if (status / 100 == 2) {
		if (format != HL_FORMAT_TELEGRAM || telegram_says_ok(a->body)) {
			judge_success(out);
			return;
		}
		out->error_class = HL_CLASS_RECEIVER_SAID_NO;
		snprintf(out->error, sizeof out->error, "HTTP %u, but the answer lacks \"ok\": true", status);
		return;
	}
	if (status == 302 && format == HL_FORMAT_GOOGLE_SHEETS && is_apps_script_redirect(a->location)) {
		judge_success(out);
		return;
	}
	snprintf(out->error, sizeof out->error, "HTTP %u", status);
	const char *reason = reason_to_disable(format, a);
	if (reason) {
		out->verdict = HL_VERDICT_FINAL_DISABLE;
		snprintf(out->reason, sizeof out->reason, "%s", reason);
		return;
	}
	out->unavailable = status >= 502 && status <= 504;
	if (hl_policy_finals_has(finals, status)) {
		out->verdict = HL_VERDICT_FINAL;
	} else if (status == 429 || status == 503) {
		out->feedback = HL_FEEDBACK_BACK_OFF;
		out->hint_ms = p->strict ? 0 : find_hint(format, a, now_ms);
	}
}

/* ---- when to try again ----------------------------------------------------------------------------------------- */

void hl_policy_window(const struct hl_policy *p, hl_ms_t created_at_ms, hl_ms_t deliver_after_ms, hl_ms_t expires_at_ms,
		hl_ms_t *out_from_ms, hl_ms_t *out_until_ms)
{
	hl_ms_t from_ms = HL_MAX(created_at_ms, deliver_after_ms);
	hl_ms_t until_ms = from_ms + (hl_ms_t)p->window_s * 1000;
	if (expires_at_ms && expires_at_ms < until_ms)
		until_ms = HL_MAX(expires_at_ms, from_ms);
	*out_from_ms = from_ms;
	*out_until_ms = until_ms;
}

/* The last moment an attempt may be due: the window's end, but far enough before expires_at to be made before it. */
static hl_ms_t last_slot(const struct hl_policy_state *s)
{
	hl_ms_t end_ms = s->window_until_ms;
	if (s->expires_at_ms)
		end_ms = HL_MIN(end_ms, s->expires_at_ms - HL_POLICY_EXPIRY_LEAD_MS);
	return HL_MAX(end_ms, s->window_from_ms);
}

/* The first full hour since `from` that lies after now; also right when the clock was set back before `from`. */
static hl_ms_t hourly_slot(hl_ms_t from_ms, hl_ms_t now_ms)
{
	hl_ms_t past_ms = (now_ms + SLOT_SLACK_MS - from_ms) % HL_POLICY_HOUR_MS;
	if (past_ms < 0)
		past_ms += HL_POLICY_HOUR_MS;
	return now_ms + SLOT_SLACK_MS - past_ms + HL_POLICY_HOUR_MS;
}

/* Steps taken in the schedule: an attempt that followed a hint is none. */
static uint32_t steps(const struct hl_policy_state *s)
{
	return s->n_scheduled > s->n_hints ? s->n_scheduled - s->n_hints : 0;
}

/* Slots of an hourly window: its start, each full hour, its end. */
static hl_ms_t hourly_slots(const struct hl_policy_state *s)
{
	return (s->window_until_ms - s->window_from_ms + HL_POLICY_HOUR_MS - 1) / HL_POLICY_HOUR_MS + 1;
}

static hl_ms_t delay_ms(const struct hl_policy *p, uint32_t n_steps, uint32_t rnd)
{
	uint32_t i = HL_MIN(HL_MAX(n_steps, 1u) - 1, p->n_delays - 1);
	uint64_t ms = (uint64_t)p->delays_s[i] * 1000;
	uint64_t jitter_max_ms = ms * p->jitter_percent / 100;
	return (hl_ms_t)(ms + jitter_max_ms * rnd / UINT32_MAX);
}

hl_ms_t hl_policy_next(const struct hl_policy *p, const struct hl_policy_state *s, hl_ms_t now_ms, hl_ms_t hint_ms,
		uint32_t rnd)
{
	hl_ms_t end_ms = last_slot(s), at_ms;
	if (s->n_attempts >= HL_ATTEMPTS_MAX || s->started_at_ms + END_SLACK_MS >= end_ms)
		return 0;
	if (p->kind == HL_RETRY_HOURLY && steps(s) >= hourly_slots(s))
		return 0;
	if (s->n_attempts == HL_ATTEMPTS_MAX - 1)
		return end_ms;
	if (hint_ms > 0 && !p->strict) {
		hl_ms_t least_ms = s->n_hints < HL_POLICY_HINTS_SHORT ? HL_POLICY_HINT_MIN_MS : HL_POLICY_HINT_LONG_MS;
		at_ms = now_ms + HL_MAX(hint_ms, least_ms);
	} else if (p->kind == HL_RETRY_HOURLY) {
		at_ms = hourly_slot(s->window_from_ms, now_ms);
	} else {
		at_ms = now_ms + delay_ms(p, steps(s), rnd);
	}
	return HL_MIN(at_ms, end_ms);
}

hl_ms_t hl_policy_due(hl_ms_t next_at_ms, hl_ms_t decided_at_ms, hl_ms_t now_ms)
{
	if (decided_at_ms <= now_ms || next_at_ms <= now_ms)
		return next_at_ms;
	return HL_MIN(next_at_ms, now_ms + HL_MAX(next_at_ms - decided_at_ms, (hl_ms_t)0));
}

/* ---- whether to try at all ------------------------------------------------------------------------------------- */

enum hl_at_dispatch hl_policy_at_dispatch(const struct hl_policy *p, hl_ms_t window_until_ms, hl_ms_t expires_at_ms,
		enum hl_webhook_state state, bool parked, hl_ms_t now_ms)
{
	if (expires_at_ms && now_ms >= expires_at_ms)
		return HL_AT_END_EXPIRED;
	if (state != HL_WEBHOOK_ENABLED)
		return now_ms > window_until_ms ? HL_AT_END_PAUSED : HL_AT_HOLD;
	if (now_ms <= window_until_ms + HL_POLICY_GRACE_MS)
		return parked ? HL_AT_HOLD : HL_AT_ATTEMPT;
	if (parked)
		return HL_AT_END_PARKED;
	return p->strict ? HL_AT_END_STRICT : HL_AT_ATTEMPT_LATE;
}

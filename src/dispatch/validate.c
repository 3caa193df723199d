/* The limits of what callers hand in.
 *
 * Each check looks at one member and, when it is wrong, says which (a JSON pointer) and what would be right. Checks
 * stop at the first wrong member. Nothing is changed or kept. The messages quote no value: values may be secret or
 * long. */
#include "dispatch/validate.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"
#include "dispatch/sign.h"
#include <stdio.h>

/* 9999-12-31T23:59:59.999Z: later times have no RFC 3339 text. */
static const hl_ms_t time_max_ms = 253402300799999;

/* ---- texts ----------------------------------------------------------------------------------------------------- */

bool hl_validate_type_ok(struct hl_str type)
{
	for (size_t i = 0; i < type.len; i++) {
		char c = type.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return type.len >= 1 && type.len <= HL_EVENT_TYPE_MAX;
}

static int check_type(struct hl_str type, const char *field, struct hl_err *err)
{
	if (hl_validate_type_ok(type))
		return HL_OK;
	return hl_err_field(err, HL_EINVAL, field, "must be 1 to %d letters, digits, '.', '_' or '-'",
			HL_EVENT_TYPE_MAX);
}

static bool has_control(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7F)
			return true;
	}
	return false;
}

/* Text for people: valid UTF-8, at most max characters; a single line unless `lines`. */
static int check_text(struct hl_str s, size_t max, bool lines, const char *field, struct hl_err *err)
{
	if (s.len == 0)
		return HL_OK;
	if (s.len > 4 * max || !hl_utf8_valid(s) || hl_utf8_count(s) > max)
		return hl_err_field(err, HL_EINVAL, field, "must be valid UTF-8 of at most %zu characters", max);
	if (!lines && has_control(s))
		return hl_err_field(err, HL_EINVAL, field, "must not hold control characters");
	if (lines && memchr(s.ptr, '\0', s.len))
		return hl_err_field(err, HL_EINVAL, field, "must not hold U+0000");
	return HL_OK;
}

/* ---- extra headers --------------------------------------------------------------------------------------------- */

/* RFC 9110 §5.6.2. */
static bool is_token(struct hl_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= 0x20 || c >= 0x7F || memchr("\"(),/:;<=>?@[\\]{}", c, 17))
			return false;
	}
	return s.len > 0;
}

/* Names a webhook may not set: they frame the message, belong to one hop, or are Hookline's own. */
static bool is_reserved(enum hl_dialect dialect, struct hl_str name)
{
	static const char *const names[] = {
		"host", "content-length", "content-type", "content-encoding", "transfer-encoding", "user-agent",
		"expect", "connection", "keep-alive", "te", "trailer", "upgrade",
	};
	static const char *const prefixes[] = { "proxy-", "webhook-", "hookline-" };
	for (size_t i = 0; i < HL_ARRAY_LEN(names); i++) {
		if (hl_str_ieq(name, hl_str_from(names[i])))
			return true;
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(prefixes); i++) {
		struct hl_str p = hl_str_from(prefixes[i]);
		if (name.len >= p.len && hl_str_ieq(hl_str_make(name.ptr, p.len), p))
			return true;
	}
	return hl_sign_owns_header(dialect, name);
}

/* "/headers/" and the name, '~' as JSON Pointer wants it ('/' is not in a token); just "/headers" when it does not
 * fit. */
static void header_field(struct hl_str name, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "/headers");
	size_t bare = n;
	if (!is_token(name))
		return;
	out[n++] = '/';
	for (size_t i = 0; i < name.len; i++) {
		if (n + 3 > cap) {
			n = bare;
			break;
		}
		out[n++] = name.ptr[i];
		if (name.ptr[i] == '~')
			out[n++] = '0';
	}
	out[n] = '\0';
}

static int check_header(const struct hl_webhook *w, size_t i, struct hl_err *err)
{
	const struct hl_header *h = &w->headers[i];
	char field[64];
	header_field(h->name, field, sizeof field);
	if (!is_token(h->name))
		return hl_err_field(err, HL_EINVAL, field, "a header name must be an HTTP token");
	if (is_reserved(w->dialect, h->name))
		return hl_err_field(err, HL_EINVAL, field, "this header is Hookline's or belongs to the connection");
	if (!hl_str_all_between(h->value, 0x20, 0x7E) || hl_str_trim(h->value).len != h->value.len)
		return hl_err_field(err, HL_EINVAL, field,
				"a header value must be visible ASCII without spaces at its ends");
	for (size_t j = 0; j < i; j++) {
		if (hl_str_ieq(w->headers[j].name, h->name))
			return hl_err_field(err, HL_EINVAL, field, "is given twice");
	}
	return HL_OK;
}

static int check_headers(const struct hl_webhook *w, struct hl_err *err)
{
	size_t bytes = 0;
	if (w->n_headers > HL_HEADERS_MAX)
		return hl_err_field(err, HL_EINVAL, "/headers", "must be at most %d headers", HL_HEADERS_MAX);
	for (size_t i = 0; i < w->n_headers; i++) {
		int rc = check_header(w, i, err);
		if (rc)
			return rc;
		bytes += w->headers[i].name.len + w->headers[i].value.len;
	}
	if (bytes > HL_HEADERS_BYTES_MAX)
		return hl_err_field(err, HL_EINVAL, "/headers", "names and values must be at most %d bytes together",
				HL_HEADERS_BYTES_MAX);
	return HL_OK;
}

/* ---- the other members of a webhook ---------------------------------------------------------------------------- */

/* Whether the query of a URL has a non-empty chat_id. */
static bool has_chat_id(struct hl_str url)
{
	struct hl_str rest = url, name = HL_STR("chat_id=");
	struct hl_str before_fragment = hl_str_split(&rest, '#');
	rest = before_fragment;
	hl_str_split(&rest, '?');
	while (rest.ptr) {
		struct hl_str pair = hl_str_split(&rest, '&');
		if (hl_str_starts(pair, name) && pair.len > name.len)
			return true;
	}
	return false;
}

static int check_url(const struct hl_webhook *w, struct hl_err *err)
{
	struct hl_str https = HL_STR("https://");
	if (w->url.len == 0 || w->url.len > HL_URL_MAX)
		return hl_err_field(err, HL_EINVAL, "/url", "must be 1 to %d bytes", HL_URL_MAX);
	if (w->https_only && !(w->url.len > https.len && hl_str_ieq(hl_str_make(w->url.ptr, https.len), https)))
		return hl_err_field(err, HL_EINVAL, "/url", "must be an https URL");
	return HL_OK;
}

/* The one format of a dialect's webhooks; HL_FORMAT_N = any. Their clients have no word for another. */
static enum hl_format only_format(enum hl_dialect d)
{
	switch (d) {
	case HL_DIALECT_ABOUTYOU:
	case HL_DIALECT_BITNOB:
		return HL_FORMAT_STANDARD;
	case HL_DIALECT_STELLARSTACK:
		return HL_FORMAT_DISCORD;
	default:
		return HL_FORMAT_N;
	}
}

static int check_format(const struct hl_webhook *w, struct hl_err *err)
{
	enum hl_format only = only_format(w->dialect);
	if ((unsigned)w->format >= HL_FORMAT_N)
		return hl_err_field(err, HL_EINVAL, "/format", "is not a known format");
	if (only != HL_FORMAT_N && w->format != only)
		return hl_err_field(err, HL_EINVAL, "/format", "must be %s: this webhook is of dialect %s", hl_format_name(only),
				hl_dialect_name(w->dialect));
	if (w->format == HL_FORMAT_TELEGRAM && !has_chat_id(w->url))
		return hl_err_field(err, HL_EINVAL, "/url",
				"a telegram URL must name the chat in its query: ?chat_id=...");
	return HL_OK;
}

static int check_event_types(const struct hl_webhook *w, struct hl_err *err)
{
	char field[48];
	if (w->n_event_types > HL_EVENT_TYPES_MAX)
		return hl_err_field(err, HL_EINVAL, "/event_types", "must be at most %d types", HL_EVENT_TYPES_MAX);
	if (w->dialect == HL_DIALECT_STELLARSTACK && !w->n_event_types)
		return hl_err_field(err, HL_EINVAL, "/event_types", "must name a type: this webhook is of dialect %s",
				hl_dialect_name(w->dialect));
	for (size_t i = 0; i < w->n_event_types; i++) {
		snprintf(field, sizeof field, "/event_types/%zu", i);
		int rc = check_type(w->event_types[i], field, err);
		if (rc)
			return rc;
		for (size_t j = 0; j < i; j++) {
			if (hl_str_eq(w->event_types[j], w->event_types[i]))
				return hl_err_field(err, HL_EINVAL, field, "is given twice");
		}
	}
	return HL_OK;
}

static int check_state(const struct hl_webhook *w, struct hl_err *err)
{
	if (w->state != HL_WEBHOOK_ENABLED && w->state != HL_WEBHOOK_PAUSED && w->state != HL_WEBHOOK_DISABLED)
		return hl_err_field(err, HL_EINVAL, "/state", "must be enabled, paused or disabled");
	if (w->state != HL_WEBHOOK_DISABLED)
		return HL_OK;
	if (w->reason.len == 0 || w->reason.len > HL_REASON_MAX || !hl_utf8_valid(w->reason) || has_control(w->reason))
		return hl_err_field(err, HL_EINVAL, "/reason",
				"disabling needs a reason: 1 to %d bytes of text on one line", HL_REASON_MAX);
	return HL_OK;
}

static int check_most(uint32_t value, uint32_t max, const char *field, const char *unit, struct hl_err *err)
{
	if (value <= max)
		return HL_OK;
	return hl_err_field(err, HL_EINVAL, field, "must be at most %u%s", max, unit);
}

int hl_validate_retry(const struct hl_retry *r, const char *field, struct hl_err *err)
{
	char member[64];
	if ((unsigned)r->kind >= HL_RETRY_N)
		return hl_err_field(err, HL_EINVAL, field, "is not a known retry policy");
	if (r->kind != HL_RETRY_DELAYS)
		return HL_OK;
	snprintf(member, sizeof member, "%s/delays", field);
	if (r->n_delays == 0 || r->n_delays > HL_DELAYS_MAX)
		return hl_err_field(err, HL_EINVAL, member, "must be 1 to %d delays", HL_DELAYS_MAX);
	for (uint32_t i = 0; i < r->n_delays; i++) {
		if (r->delays_s[i] >= 1 && r->delays_s[i] <= HL_VALIDATE_DELAY_MAX_S)
			continue;
		snprintf(member, sizeof member, "%s/delays/%u", field, i);
		return hl_err_field(err, HL_EINVAL, member, "must be 1 to %d seconds", HL_VALIDATE_DELAY_MAX_S);
	}
	return HL_OK;
}

/* A strict webhook takes no policy of its own. */
static int check_retry(const struct hl_webhook *w, struct hl_err *err)
{
	if (w->strict && w->retry.kind != HL_RETRY_DEFAULT && w->retry.kind != HL_RETRY_HOURLY)
		return hl_err_field(err, HL_EINVAL, "/retry", "this webhook is retried hourly for 48 hours");
	return hl_validate_retry(&w->retry, "/retry", err);
}

static int check_window(const struct hl_webhook *w, struct hl_err *err)
{
	if (w->strict && w->window_s != 0 && w->window_s != 172800)
		return hl_err_field(err, HL_EINVAL, "/window", "this webhook is retried hourly for 48 hours");
	return check_most(w->window_s, HL_WINDOW_MAX_S, "/window", " seconds", err);
}

static int check_metadata(struct hl_str m, struct hl_err *err)
{
	struct hl_json v;
	if (m.len == 0)
		return HL_OK;
	if (m.len > HL_METADATA_MAX || hl_json_check(m, HL_JSON_DEPTH_MAX, &v, NULL) || v.type != HL_JSON_OBJECT)
		return hl_err_field(err, HL_EINVAL, "/metadata", "must be a JSON object of at most %d bytes",
				HL_METADATA_MAX);
	return HL_OK;
}

/* One member; `field` is a single bit. */
static int check_member(const struct hl_webhook *w, enum hl_webhook_field field, struct hl_err *err)
{
	switch (field) {
	case HL_WF_NAME:
		return check_text(w->name, HL_NAME_MAX, false, "/name", err);
	case HL_WF_DESCRIPTION:
		return check_text(w->description, HL_DESCRIPTION_MAX, true, "/description", err);
	case HL_WF_URL:
		return check_url(w, err);
	case HL_WF_FORMAT:
		return check_format(w, err);
	case HL_WF_EVENT_TYPES:
		return check_event_types(w, err);
	case HL_WF_SERVER:
		return HL_OK; /* any number; whether the account has such a server is its owner's to know */
	case HL_WF_STATE:
		return check_state(w, err);
	case HL_WF_HEADERS:
		return check_headers(w, err);
	case HL_WF_TIMEOUT:
		return check_most(w->timeout_ms, HL_TIMEOUT_MAX_MS, "/timeout", " ms", err);
	case HL_WF_RATE_LIMIT:
		return check_most(w->rate_limit, HL_RATE_MAX, "/rate_limit", " per second", err);
	case HL_WF_MAX_IN_FLIGHT:
		return check_most(w->max_in_flight, HL_IN_FLIGHT_MAX, "/max_in_flight", "", err);
	case HL_WF_RETRY:
		return check_retry(w, err);
	case HL_WF_WINDOW:
		return check_window(w, err);
	case HL_WF_METADATA:
		return check_metadata(w->metadata, err);
	}
	return HL_OK;
}

int hl_validate_webhook(const struct hl_webhook *w, uint32_t fields, struct hl_err *err)
{
	if ((unsigned)w->dialect >= HL_DIALECT_N)
		return hl_err_field(err, HL_EINVAL, "/dialect", "is not a known dialect");
	if (fields & HL_WF_URL)
		fields |= HL_WF_FORMAT; /* a new URL must suit the format */
	for (uint32_t bit = HL_WF_NAME; bit <= HL_WF_METADATA; bit <<= 1) {
		int rc = fields & bit ? check_member(w, (enum hl_webhook_field)bit, err) : HL_OK;
		if (rc)
			return rc;
	}
	return HL_OK;
}

/* ---- publishing ------------------------------------------------------------------------------------------------ */

static int check_times(const struct hl_publish *p, hl_ms_t now_ms, struct hl_err *err)
{
	hl_ms_t defer_max_ms = (hl_ms_t)HL_VALIDATE_DEFER_MAX_DAYS * 86400 * 1000;
	if (p->occurred_at_ms < 0 || p->occurred_at_ms > time_max_ms)
		return hl_err_field(err, HL_EINVAL, "/occurred_at", "must lie between the years 1970 and 9999");
	if (p->deliver_after_ms < 0 || p->deliver_after_ms > now_ms + defer_max_ms)
		return hl_err_field(err, HL_EINVAL, "/deliver_after", "must be at most %d days ahead",
				HL_VALIDATE_DEFER_MAX_DAYS);
	if (p->expires_at_ms == 0)
		return HL_OK;
	if (p->expires_at_ms <= now_ms || p->expires_at_ms <= p->deliver_after_ms || p->expires_at_ms > time_max_ms)
		return hl_err_field(err, HL_EINVAL, "/expires_at", "must lie after now and after deliver_after");
	return HL_OK;
}

int hl_validate_publish(const struct hl_publish *p, size_t data_max, hl_ms_t now_ms, struct hl_err *err)
{
	struct hl_json v;
	struct hl_err why;
	int rc = check_type(p->type, "/type", err);
	if (rc)
		return rc;
	if (p->external_id.len > HL_EXTERNAL_ID_MAX || !hl_str_all_between(p->external_id, 0x21, 0x7E))
		return hl_err_field(err, HL_EINVAL, "/id", "must be 1 to %d printable ASCII characters without spaces",
				HL_EXTERNAL_ID_MAX);
	rc = check_times(p, now_ms, err);
	if (rc)
		return rc;
	if (p->data.len > data_max)
		return hl_err_field(err, HL_ETOOBIG, "/data", "must be at most %zu bytes", data_max);
	rc = p->data_checked ? 0 : hl_json_check(p->data, HL_JSON_DEPTH_MAX, &v, &why);
	if (rc)
		return hl_err_field(err, rc, "/data", "%s", why.text);
	return p->idempotency ? hl_validate_idempotency(p->idempotency, err) : HL_OK;
}

int hl_validate_idempotency(const struct hl_idempotency *i, struct hl_err *err)
{
	if (i->key.len < 1 || i->key.len > 255 || !hl_str_all_between(i->key, 0x20, 0x7E))
		return hl_err_field(err, HL_EINVAL, "Idempotency-Key", "must be 1 to 255 printable ASCII characters");
	if (i->scope.len > 255)
		return hl_err_field(err, HL_EINVAL, "scope", "must be at most 255 bytes");
	return HL_OK;
}

/* ---- the catalogue --------------------------------------------------------------------------------------------- */

int hl_validate_event_type(const struct hl_event_type *t, struct hl_err *err)
{
	char field[64];
	int rc = check_type(t->name, "/name", err);
	if (rc == HL_OK)
		rc = check_text(t->title, HL_VALIDATE_TITLE_MAX, false, "/title", err);
	if (rc == HL_OK)
		rc = check_text(t->description, HL_DESCRIPTION_MAX, true, "/description", err);
	if (rc == HL_OK)
		rc = check_text(t->category, HL_VALIDATE_TITLE_MAX, false, "/category", err);
	for (unsigned d = 0; rc == HL_OK && d < HL_DIALECT_N; d++) {
		snprintf(field, sizeof field, "/dialects/%s", hl_dialect_name((enum hl_dialect)d));
		rc = check_text(t->dialect_categories[d], HL_VALIDATE_TITLE_MAX, false, field, err);
	}
	return rc;
}

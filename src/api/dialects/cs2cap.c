/* Dialect cs2cap: where it is mounted, how it says no, and what webhooks, deliveries and alerts write alike.
 *
 * Errors are {"code":…,"detail":"…"}; what the original's framework checks before its handlers run (JSON, types, ids,
 * numbers in the query) is 422 with a list of {type, loc, msg} as detail. URLs and platforms are judged by its handlers:
 * 400. */
#include "api/dialects/cs2cap.h"

#include "api/auth.h"
#include "api/resources.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"

/* ---- errors ------------------------------------------------------------------------------------------------------- */

enum { UNPROCESSABLE = 422 };

/* detail NULL: the problem's own. */
static const struct {
	unsigned status;
	const char *code;
	const char *detail;
} answers[HL_PROBLEM_N] = {
	[HL_PROBLEM_BAD_JSON] = { UNPROCESSABLE, "VALIDATION_ERROR", NULL },
	[HL_PROBLEM_BAD_PARAMETER] = { UNPROCESSABLE, "VALIDATION_ERROR", NULL },
	[HL_PROBLEM_BAD_REQUEST] = { 400, "BAD_REQUEST", NULL },
	[HL_PROBLEM_MISSING_KEY] = { 401, "UNAUTHORIZED", "Missing Authorization header" },
	[HL_PROBLEM_INVALID_KEY] = { 401, "AUTH_INVALID_API_KEY", "Invalid API key" },
	[HL_PROBLEM_KEY_REVOKED] = { 401, "AUTH_API_KEY_REVOKED", "API key has been revoked" },
	[HL_PROBLEM_KEY_EXPIRED] = { 401, "AUTH_INVALID_API_KEY", "API key has expired" },
	[HL_PROBLEM_MISSING_SCOPE] = { 403, "FORBIDDEN", "The API key may not do this" },
	[HL_PROBLEM_ACCOUNT_DISABLED] = { 403, "FORBIDDEN", "Account is disabled" },
	[HL_PROBLEM_FOREIGN_ACCOUNT] = { 403, "FORBIDDEN", NULL },
	[HL_PROBLEM_NOT_IN_TIER] = { 403, "ACCOUNT_WEBHOOKS_NOT_AVAILABLE", "Webhooks are not available for this tier" },
	[HL_PROBLEM_NOT_FOUND] = { 404, NULL, NULL },
	[HL_PROBLEM_NO_ROUTE] = { 404, "NOT_FOUND", "Not Found" },
	[HL_PROBLEM_METHOD_NOT_ALLOWED] = { 405, "METHOD_NOT_ALLOWED", "Method Not Allowed" },
	[HL_PROBLEM_TIMEOUT] = { 408, "REQUEST_TIMEOUT", NULL },
	[HL_PROBLEM_CONFLICT] = { 409, "CONFLICT", NULL },
	[HL_PROBLEM_ALREADY_EXISTS] = { 409, "CONFLICT", NULL },
	[HL_PROBLEM_IDEMPOTENCY_MISMATCH] = { 409, "CONFLICT", NULL },
	[HL_PROBLEM_IDEMPOTENCY_IN_PROGRESS] = { 409, "CONFLICT", NULL },
	[HL_PROBLEM_LIMIT_REACHED] = { 409, "ACCOUNT_WEBHOOK_LIMIT_REACHED", "Webhook limit reached for this account" },
	[HL_PROBLEM_TOO_LARGE] = { 413, "PAYLOAD_TOO_LARGE", NULL },
	[HL_PROBLEM_UNSUPPORTED_MEDIA_TYPE] = { 415, "UNSUPPORTED_MEDIA_TYPE", NULL },
	[HL_PROBLEM_INVALID] = { UNPROCESSABLE, "VALIDATION_ERROR", NULL },
	[HL_PROBLEM_URL_NOT_ALLOWED] = { 400, "BAD_REQUEST", NULL },
	[HL_PROBLEM_ADDRESS_BLOCKED] = { 400, "BAD_REQUEST", NULL },
	[HL_PROBLEM_RATE_LIMITED] = { 429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded" },
	[HL_PROBLEM_INTERNAL] = { 500, "INTERNAL_ERROR", "Internal server error" },
	[HL_PROBLEM_BUSY] = { 503, "SERVICE_UNAVAILABLE", NULL },
	[HL_PROBLEM_STORE_FAILED] = { 503, "SERVICE_UNAVAILABLE", NULL },
	[HL_PROBLEM_SHUTTING_DOWN] = { 503, "SERVICE_UNAVAILABLE", NULL },
	[HL_PROBLEM_STORE_FULL] = { 503, "SERVICE_UNAVAILABLE", NULL },
};

/* Members as the library calls them, and as this dialect does. */
static const struct {
	const char *library, *dialect;
} members[] = { { "name", "label" }, { "format", "platform" }, { "state", "is_active" } };

/* The library found fault with the URL, alone or with the platform; reading had none with its type. */
static bool is_judged(const struct hl_call *c, const struct hl_problem *p)
{
	struct hl_str member = hl_dialect_member(p->pointer);
	return c->flag && (hl_str_eq(member, HL_STR("url")) || hl_str_eq(member, HL_STR("format")));
}

static const char *own_name(struct hl_str member)
{
	for (size_t i = 0; i < HL_ARRAY_LEN(members); i++)
		if (hl_str_eq(member, hl_str_from(members[i].library)))
			return members[i].dialect;
	return NULL;
}

/* What is missing for whom. */
static const char *absent(const struct hl_call *c)
{
	struct hl_str pattern = hl_str_from(c->route ? c->route->pattern : "");
	if (hl_str_starts(pattern, HL_STR("/alerts")))
		return "ACCOUNT_ALERT_NOT_FOUND";
	if (hl_str_starts(pattern, HL_STR("/webhooks/deliveries")))
		return "ACCOUNT_WEBHOOK_DELIVERY_NOT_FOUND";
	return "ACCOUNT_WEBHOOK_NOT_FOUND";
}

static const char *absent_text(const struct hl_call *c)
{
	struct hl_str pattern = hl_str_from(c->route ? c->route->pattern : "");
	if (hl_str_starts(pattern, HL_STR("/alerts")))
		return "Alert not found";
	return hl_str_starts(pattern, HL_STR("/webhooks/deliveries")) ? "Webhook delivery not found" : "Webhook not found";
}

/* "/alerts/3/item_id" → "alerts", 3, "item_id". */
static void write_path(struct hl_jsonw *w, struct hl_str pointer)
{
	bool first = true;
	hl_str_split(&pointer, '/');
	while (pointer.ptr) {
		struct hl_str part = hl_str_split(&pointer, '/');
		uint64_t index;
		const char *own = first ? own_name(part) : NULL;
		first = false;
		if (own)
			hl_jsonw_cstr(w, own);
		else if (hl_str_u64(part, &index))
			hl_jsonw_u64(w, index);
		else
			hl_jsonw_str(w, part);
	}
}

/* The list of what is invalid; there is always one entry, the first that was found. */
static void write_validation(struct hl_jsonw *w, const struct hl_problem *p)
{
	struct hl_str msg = hl_problem_detail(p);
	bool in_query = p->kind == HL_PROBLEM_BAD_PARAMETER, is_json = p->kind != HL_PROBLEM_BAD_JSON;
	/* How the library says it (base/json.h); everything else is about a value. */
	bool missing = hl_str_eq(msg, HL_STR("is missing"));
	const char *type = !is_json ? "json_invalid" : missing ? "missing" : in_query ? "int_parsing" : "value_error";
	hl_jsonw_array(w);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "type");
	hl_jsonw_cstr(w, type);
	hl_jsonw_key(w, "loc");
	hl_jsonw_array(w);
	hl_jsonw_cstr(w, in_query ? "query" : "body");
	if (in_query)
		hl_jsonw_str(w, p->extra);
	else if (p->pointer.len)
		write_path(w, p->pointer);
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "msg");
	hl_jsonw_str(w, msg);
	hl_jsonw_object_end(w);
	hl_jsonw_array_end(w);
}

static unsigned write_error(struct hl_call *c, const struct hl_problem *p)
{
	struct hl_jsonw w;
	HL_CHECK(p->kind < HL_PROBLEM_N && answers[p->kind].status);
	unsigned status = p->status ? p->status : answers[p->kind].status;
	const char *code = p->code ? p->code : answers[p->kind].code;
	const char *detail = p->code ? NULL : answers[p->kind].detail;
	if (p->kind == HL_PROBLEM_NOT_FOUND && !p->code) {
		code = absent(c);
		detail = absent_text(c);
	} else if (p->kind == HL_PROBLEM_INVALID && !p->code && is_judged(c, p)) {
		status = 400;
		code = "BAD_REQUEST";
	}
	hl_jsonw_init(&w, &c->out);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "code");
	hl_jsonw_cstr(&w, code);
	hl_jsonw_key(&w, "detail");
	if (status == UNPROCESSABLE && !p->code)
		write_validation(&w, p);
	else if (detail)
		hl_jsonw_cstr(&w, detail);
	else
		hl_jsonw_str(&w, hl_problem_detail(p));
	hl_jsonw_object_end(&w);
	return status;
}

void hl_cs2cap_bad_id(struct hl_call *c, const char *name)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "code");
	hl_jsonw_cstr(&w, "VALIDATION_ERROR");
	hl_jsonw_key(&w, "detail");
	hl_jsonw_array(&w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "type");
	hl_jsonw_cstr(&w, "uuid_parsing");
	hl_jsonw_key(&w, "loc");
	hl_jsonw_array(&w);
	hl_jsonw_cstr(&w, "path");
	hl_jsonw_cstr(&w, name);
	hl_jsonw_array_end(&w);
	hl_jsonw_key(&w, "msg");
	hl_jsonw_cstr(&w, "must be a UUID");
	hl_jsonw_object_end(&w);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, UNPROCESSABLE);
}

void hl_cs2cap_fail_id(struct hl_call *c, int code, const char *name)
{
	if (code == HL_ESYNTAX)
		hl_cs2cap_bad_id(c, name);
	else
		hl_call_fail(c, code, NULL);
}

bool hl_cs2cap_may_use_webhooks(struct hl_call *c)
{
	if (hl_auth_tier(c)->webhooks)
		return true;
	hl_call_problem_kind(c, HL_PROBLEM_NOT_IN_TIER);
	return false;
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

static const char *const platforms[HL_FORMAT_N] = {
	[HL_FORMAT_STANDARD] = "custom", [HL_FORMAT_DISCORD] = "discord", [HL_FORMAT_TELEGRAM] = "telegram",
	[HL_FORMAT_GOOGLE_SHEETS] = "google_sheets",
};

const char *hl_cs2cap_platform(enum hl_format f)
{
	return platforms[f];
}

int hl_cs2cap_platform_parse(struct hl_str text)
{
	text = hl_str_trim(text);
	for (int i = 0; i < HL_FORMAT_N; i++)
		if (hl_str_ieq(text, hl_str_from(platforms[i])))
			return i;
	return -1;
}

const char *hl_cs2cap_status(enum hl_delivery_state s)
{
	switch (s) {
	case HL_DELIVERY_PENDING:
		return "pending";
	case HL_DELIVERY_SUCCEEDED:
		return "succeeded";
	default:
		return "failed";
	}
}

void hl_cs2cap_error_write(struct hl_jsonw *w, const struct hl_delivery *v)
{
	if (v->state == HL_DELIVERY_CANCELLED)
		hl_jsonw_cstr(w, v->last_class == HL_CLASS_DELETED ? "cancelled: webhook deleted" : "cancelled: by request");
	else if (v->state == HL_DELIVERY_SUCCEEDED || v->last_class == HL_CLASS_NONE)
		hl_jsonw_null(w);
	else
		hl_jsonw_str(w, hl_dialect_failure(v));
}

void hl_cs2cap_pagination_write(struct hl_call *c, struct hl_jsonw *w, size_t n, uint64_t total)
{
	hl_jsonw_key(w, "pagination");
	hl_jsonw_object(w);
	hl_jsonw_key(w, "limit");
	hl_jsonw_u64(w, c->page.limit);
	hl_jsonw_key(w, "offset");
	hl_jsonw_u64(w, c->page.offset);
	hl_jsonw_key(w, "total");
	hl_jsonw_u64(w, total);
	hl_jsonw_key(w, "has_next");
	hl_jsonw_bool(w, c->page.offset + n < total);
	hl_jsonw_key(w, "has_prev");
	hl_jsonw_bool(w, c->page.offset > 0);
	hl_jsonw_key(w, "next_cursor");
	hl_jsonw_null(w);
	hl_jsonw_object_end(w);
}

/* ---- the mount ---------------------------------------------------------------------------------------------------- */

static const struct hl_routes *const tables[] = {
	&hl_routes_cs2cap_webhooks,
	&hl_routes_cs2cap_deliveries,
	&hl_routes_cs2cap_alerts,
};
struct hl_mount hl_mount_cs2cap = {
	.prefixes = { "/account", "/v1/account" }, .dialect = HL_DIALECT_CS2CAP, .credentials = HL_CREDENTIAL_BEARER,
	.documented = HL_CREDENTIAL_BEARER, .flags = HL_MOUNT_EITHER_SLASH | HL_MOUNT_LENIENT | HL_MOUNT_TELLS_TIER,
	.tables = tables, .n_tables = HL_ARRAY_LEN(tables), .write_error = write_error,
};

/* From the request's head to an account and a set of scopes.
 *
 *   credential ─► key ─► dialect of the mount? ─► account (Hookline-Account) ─► not disabled ─► scope ─► limit
 *
 * The control socket stands for a key with every scope that belongs to account default. A key of another dialect answers
 * like an unknown one. A disabled account shuts its keys out; an operator acting for it gets through, to look and repair. */
#include "api/auth.h"

#include "base/str.h"

static bool refuse(struct hl_call *c, enum hl_problem_kind kind)
{
	hl_call_problem_kind(c, kind);
	return false;
}

/* The presented text; ptr NULL: none. false: answered. */
static bool credential(struct hl_call *c, struct hl_str *out)
{
	struct hl_str bearer, key;
	bool has_bearer = hl_headers_get(c->request->headers, HL_STR("authorization"), &bearer);
	bool has_key = hl_headers_get(c->request->headers, HL_STR("x-api-key"), &key);
	*out = HL_STR_NONE;
	if (hl_headers_count(c->request->headers, HL_STR("authorization")) + hl_headers_count(c->request->headers,
			HL_STR("x-api-key")) > 1) {
		struct hl_problem p = {
			.kind = HL_PROBLEM_BAD_REQUEST, .detail = HL_STR("more than one credential: send Authorization or X-API-Key"),
		};
		hl_call_problem(c, &p);
		return false;
	}
	if (has_key)
		*out = key;
	if (has_bearer) {
		struct hl_str scheme = hl_str_split(&bearer, ' ');
		if (!hl_str_ieq(scheme, HL_STR("bearer")) || !bearer.ptr)
			return refuse(c, HL_PROBLEM_INVALID_KEY);
		*out = hl_str_trim(bearer);
	}
	return true;
}

/* Sets key, scopes and the key's own account. */
static bool identify(struct hl_call *c)
{
	struct hl_str text;
	struct hl_key k;
	if (c->trusted) {
		c->scopes = HL_SCOPE_ALL;
		c->account = HL_ACCOUNT_DEFAULT;
		return true;
	}
	if (!credential(c, &text))
		return false;
	if (!text.ptr)
		return refuse(c, HL_PROBLEM_MISSING_KEY);
	switch (hl_key_authenticate(c->api->service, text, &k)) {
	case HL_OK:
		break;
	case HL_EPERM:
		return refuse(c, HL_PROBLEM_KEY_REVOKED);
	case HL_ETIMEDOUT:
		return refuse(c, HL_PROBLEM_KEY_EXPIRED);
	case HL_ENOTFOUND:
		return refuse(c, HL_PROBLEM_INVALID_KEY);
	case HL_ENOMEM:
		return refuse(c, HL_PROBLEM_BUSY);
	default:
		return refuse(c, HL_PROBLEM_STORE_FAILED);
	}
	if ((int)k.dialect != c->mount->dialect)
		return refuse(c, HL_PROBLEM_INVALID_KEY);
	c->key = k.number;
	c->scopes = k.scopes;
	c->account = k.account;
	return true;
}

/* An admin acts for whom the header names, without it for account default; others only for themselves. */
static bool choose_account(struct hl_call *c)
{
	struct hl_str id;
	struct hl_account a;
	bool named = hl_headers_get(c->request->headers, HL_STR("hookline-account"), &id);
	bool admin = (c->scopes & HL_SCOPE_ADMIN) != 0;
	uint32_t own = c->account;
	int rc;
	if (named)
		rc = hl_account_find(c->api->service, id, &a);
	else
		rc = hl_account_get(c->api->service, admin && !c->mount->dialect ? HL_ACCOUNT_DEFAULT : own, &a);
	if (rc && rc != HL_ENOTFOUND)
		return refuse(c, HL_PROBLEM_STORE_FAILED);
	if (named && !admin && (rc || a.number != own))
		return refuse(c, HL_PROBLEM_FOREIGN_ACCOUNT);
	if (rc && named) {
		struct hl_problem p = { .kind = HL_PROBLEM_NOT_FOUND, .detail = HL_STR("Hookline-Account: there is no such account") };
		hl_call_problem(c, &p);
		return false;
	}
	if (rc) /* a key without its account: not a state anything here leads to */
		return refuse(c, HL_PROBLEM_INTERNAL);
	if (a.disabled && !admin)
		return refuse(c, HL_PROBLEM_ACCOUNT_DISABLED);
	c->account = a.number;
	return true;
}

static bool may(struct hl_call *c)
{
	unsigned need = c->route->scope;
	if (!need || (c->scopes & (need | HL_SCOPE_ADMIN)))
		return true;
	struct hl_problem p = {
		.kind = HL_PROBLEM_MISSING_SCOPE, .extra_name = "scope", .extra = hl_str_from(hl_scope_name(need)),
	};
	hl_call_problem(c, &p);
	return false;
}

/* One window per key; the control socket has none. */
static bool within_limit(struct hl_call *c)
{
	struct hl_limit_state s;
	uint32_t rpm = hl_auth_tier(c)->rpm;
	if (c->trusted || !rpm)
		return true;
	bool pass = hl_limits_take(hl_service_limits(c->api->service), c->key, (uint16_t)c->mount->dialect, rpm,
			hl_env_mono_ms(c->api->env), &s);
	hl_call_header_fmt(c, "RateLimit-Policy", "\"default\";q=%u;w=%d", s.limit, HL_LIMIT_WINDOW_MS / 1000);
	hl_call_header_fmt(c, "RateLimit", "\"default\";r=%u;t=%u", s.remaining, s.reset_s);
	hl_call_header_fmt(c, "X-RateLimit-Limit", "%u", s.limit);
	hl_call_header_fmt(c, "X-RateLimit-Remaining", "%u", s.remaining);
	hl_call_header_fmt(c, "X-RateLimit-Reset", "%u", s.reset_s);
	if (pass)
		return true;
	hl_call_header_fmt(c, "Retry-After", "%u", s.reset_s);
	return refuse(c, HL_PROBLEM_RATE_LIMITED);
}

const struct hl_tier *hl_auth_tier(struct hl_call *c)
{
	struct hl_account a;
	if (hl_account_get(c->api->service, c->account, &a))
		a.tier = HL_STR("");
	return hl_service_tier(c->api->service, &a);
}

bool hl_auth(struct hl_call *c)
{
	return identify(c) && choose_account(c) && may(c) && within_limit(c);
}

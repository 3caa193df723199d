/* From the request's head to an account and a set of scopes.
 *
 *   credential ─► key ─► dialect of the mount? ─► account (Hookline-Account) ─► not disabled ─► scope ─► limit
 *
 * A mount reads only the credentials its API knows; others are as good as none. The control socket stands for a key with
 * every scope that belongs to account default. A key of another dialect answers like an unknown one. A disabled account
 * shuts its keys out; an operator acting for it gets through, to look and repair. */
#include "api/auth.h"

#include "base/check.h"
#include "base/str.h"

static bool refuse(struct hl_call *c, enum hl_problem_kind kind)
{
	hl_call_problem_kind(c, kind);
	return false;
}

enum presented { PRESENTED_NONE, PRESENTED_TEXT, PRESENTED_MALFORMED, PRESENTED_TWICE };

/* What is presented in one of the ways of the set `credentials`; *out_way: which. */
static enum presented credential(const struct hl_request *r, unsigned credentials, struct hl_str *out, enum hl_credential *out_way)
{
	size_t n_bearer = hl_headers_count(r->headers, HL_STR("authorization"));
	size_t n_key = hl_headers_count(r->headers, HL_STR("x-api-key"));
	if (!(credentials & HL_CREDENTIAL_BEARER))
		n_bearer = 0;
	if (!(credentials & HL_CREDENTIAL_API_KEY))
		n_key = 0;
	if (n_bearer + n_key != 1)
		return n_bearer + n_key ? PRESENTED_TWICE : PRESENTED_NONE;
	*out_way = n_key ? HL_CREDENTIAL_API_KEY : HL_CREDENTIAL_BEARER;
	if (n_key)
		return hl_headers_get(r->headers, HL_STR("x-api-key"), out) ? PRESENTED_TEXT : PRESENTED_NONE;
	if (!hl_headers_get(r->headers, HL_STR("authorization"), out))
		return PRESENTED_NONE;
	struct hl_str scheme = hl_str_split(out, ' ');
	if (!hl_str_ieq(scheme, HL_STR("bearer")) || !out->ptr)
		return PRESENTED_MALFORMED;
	*out = hl_str_trim(*out);
	return PRESENTED_TEXT;
}

struct hl_mount *hl_auth_choose(struct hl_call *c, struct hl_mount *const *mounts, size_t n)
{
	enum hl_credential way = 0;
	struct hl_str text;
	struct hl_key k;
	if (n > 1 && credential(c->request, ~0u, &text, &way) == PRESENTED_TEXT && !hl_key_authenticate(c->api->service, text, &k))
		for (size_t i = 0; i < n; i++)
			if (mounts[i]->dialect == (int)k.dialect && (mounts[i]->credentials & way))
				return mounts[i];
	for (size_t i = 0; n > 1 && i < n; i++)
		if (mounts[i]->documented == way)
			return mounts[i];
	return mounts[0];
}

static bool refuse_twice(struct hl_call *c)
{
	struct hl_problem p = {
		.kind = HL_PROBLEM_BAD_REQUEST, .detail = HL_STR("more than one credential: send Authorization or X-API-Key"),
	};
	hl_call_problem(c, &p);
	return false;
}

/* Sets key, scopes and the key's own account. */
static bool identify(struct hl_call *c)
{
	enum hl_credential way;
	struct hl_str text;
	struct hl_key k;
	if (c->trusted) {
		c->scopes = HL_SCOPE_ALL;
		c->account = HL_ACCOUNT_DEFAULT;
		return true;
	}
	switch (credential(c->request, c->mount->credentials, &text, &way)) {
	case PRESENTED_TEXT:
		break;
	case PRESENTED_NONE:
		return refuse(c, HL_PROBLEM_MISSING_KEY);
	case PRESENTED_MALFORMED:
		return refuse(c, HL_PROBLEM_INVALID_KEY);
	case PRESENTED_TWICE:
		return refuse_twice(c);
	}
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
	struct hl_problem p = { /* the scope meant to be enough: the highest bit */
		.kind = HL_PROBLEM_MISSING_SCOPE, .extra_name = "scope",
		.extra = hl_str_from(hl_scope_name(1u << (31 - __builtin_clz(need)))),
	};
	hl_call_problem(c, &p);
	return false;
}

/* One window per key and mount, or per key and route where the route has a limit of its own. The control socket has none. */
static bool within_limit(struct hl_call *c)
{
	struct hl_limit_state s;
	const struct hl_tier *tier = hl_auth_tier(c);
	uint32_t rpm = c->route->rpm ? c->route->rpm : tier->rpm;
	size_t bucket = c->route->rpm ? HL_DIALECT_N + c->route_index : (size_t)c->mount->dialect;
	if (c->trusted || !rpm)
		return true;
	HL_CHECK(bucket <= UINT16_MAX);
	bool pass = hl_limits_take(hl_service_limits(c->api->service), c->key, (uint16_t)bucket, rpm,
			hl_env_mono_ms(c->api->env), &s);
	hl_call_header_fmt(c, "RateLimit-Policy", "\"default\";q=%u;w=%d", s.limit, HL_LIMIT_WINDOW_MS / 1000);
	hl_call_header_fmt(c, "RateLimit", "\"default\";r=%u;t=%u", s.remaining, s.reset_s);
	hl_call_header_fmt(c, "X-RateLimit-Limit", "%u", s.limit);
	hl_call_header_fmt(c, "X-RateLimit-Remaining", "%u", s.remaining);
	hl_call_header_fmt(c, "X-RateLimit-Reset", "%u", s.reset_s);
	if (c->mount->flags & HL_MOUNT_TELLS_TIER)
		hl_call_header(c, "X-RateLimit-Tier", hl_str_from(tier->name));
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

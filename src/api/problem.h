/* What went wrong, told in the shape of RFC 9457. One table: the code is the contract, status follows from it. */
#ifndef HL_API_PROBLEM_H
#define HL_API_PROBLEM_H

#include "base/buf.h"
#include "base/json.h"
#include <hookline/error.h>

/* X(NAME, status, code, seconds of Retry-After or 0, usual detail) */
#define HL_PROBLEM_TABLE(X)                                                                                    \
	X(BAD_JSON, 400, "bad_json", 0, "the body is empty or not JSON")                                       \
	X(BAD_PARAMETER, 400, "bad_parameter", 0, "a parameter is wrong")                                      \
	X(BAD_REQUEST, 400, "bad_request", 0, "the request is malformed")                                      \
	X(MISSING_KEY, 401, "missing_key", 0, "an API key is needed: Authorization: Bearer or X-API-Key")      \
	X(INVALID_KEY, 401, "invalid_key", 0, "the API key is not valid here")                                 \
	X(KEY_REVOKED, 401, "key_revoked", 0, "the API key was revoked")                                       \
	X(KEY_EXPIRED, 401, "key_expired", 0, "the API key has expired")                                       \
	X(MISSING_SCOPE, 403, "missing_scope", 0, "the API key may not do this")                               \
	X(ACCOUNT_DISABLED, 403, "account_disabled", 0, "the account is disabled")                             \
	X(FOREIGN_ACCOUNT, 403, "foreign_account", 0, "only an admin key may act for another account")         \
	X(NOT_IN_TIER, 403, "not_in_tier", 0, "the account's tier does not include this")                      \
	X(NOT_FOUND, 404, "not_found", 0, "there is no such object")                                           \
	X(NO_ROUTE, 404, "no_route", 0, "there is nothing at this path")                                       \
	X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", 0, "not with this method; see Allow")                 \
	X(TIMEOUT, 408, "timeout", 0, "the request did not arrive in time")                                    \
	X(CONFLICT, 409, "conflict", 0, "the object's state does not allow this")                              \
	X(ALREADY_EXISTS, 409, "already_exists", 0, "there is one already")                                    \
	X(IDEMPOTENCY_MISMATCH, 409, "idempotency_mismatch", 0, "the Idempotency-Key was used for a different request") \
	X(IDEMPOTENCY_IN_PROGRESS, 409, "idempotency_in_progress", 0, "the first request with this key has not ended") \
	X(LIMIT_REACHED, 409, "limit_reached", 0, "a limit of the account would be exceeded")                  \
	X(TOO_LARGE, 413, "too_large", 0, "the body is too large")                                             \
	X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", 0,                                            \
	  "Content-Type must be application/json; for a batch also application/x-ndjson")                      \
	X(INVALID, 422, "invalid", 0, "a member is wrong")                                                     \
	X(URL_NOT_ALLOWED, 422, "url_not_allowed", 0, "the URL is not allowed")                                \
	X(ADDRESS_BLOCKED, 422, "address_blocked", 0, "the address is not allowed")                            \
	X(RATE_LIMITED, 429, "rate_limited", 1, "too many requests for this key")                              \
	X(INTERNAL, 500, "internal", 0, "something went wrong here")                                           \
	X(BUSY, 503, "busy", 1, "too much waits for the disk; nothing was stored")                             \
	X(STORE_FAILED, 503, "store_failed", 5, "the store failed; nothing was stored")                        \
	X(SHUTTING_DOWN, 503, "shutting_down", 2, "the server is stopping")                                    \
	X(STORE_FULL, 507, "store_full", 60, "the store is full (its quota or the disk); nothing was stored")

#define HL_X(name, status, code, retry_s, detail) HL_PROBLEM_##name,
enum hl_problem_kind { HL_PROBLEM_TABLE(HL_X) HL_PROBLEM_N };
#undef HL_X

struct hl_problem {
	enum hl_problem_kind kind;
	unsigned status;            /* instead of the kind's, 0 = that one */
	const char *code;           /* likewise, NULL = the kind's; a dialect's own word */
	struct hl_str detail;       /* "" = the usual one */
	struct hl_str pointer;      /* JSON pointer of the member to blame, "" = none */
	const char *extra_name;     /* one more member, NULL = none: "parameter", "scope" */
	struct hl_str extra;
};

unsigned hl_problem_status(const struct hl_problem *p);
const char *hl_problem_code(const struct hl_problem *p);
struct hl_str hl_problem_detail(const struct hl_problem *p);
unsigned hl_problem_retry_s(enum hl_problem_kind k);
/* The problem an error of the library is; err may be NULL. The slices live as long as *err. */
struct hl_problem hl_problem_from(int code, const struct hl_err *err);

/* application/problem+json */
const char *hl_problem_write(struct hl_buf *out, const struct hl_problem *p);
/* The members code, detail, errors and the extra one into an object that is open (results of a batch use it too). */
void hl_problem_members(struct hl_jsonw *w, const struct hl_problem *p);

#endif

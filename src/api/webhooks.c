/* /v1/webhooks: list, create, get, change, delete. */
#include "api/auth.h"
#include "api/query.h"
#include "api/resources.h"
#include "api/webhook_json.h"
#include "base/defs.h"
#include "base/str.h"

static struct hl_webhook_scope scope_of(const struct hl_call *c)
{
	return (struct hl_webhook_scope){ .api = c->api, .account = c->account };
}

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_webhook_write(&w, &scope, object, secret);
	return hl_buf_all(&c->out);
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

static int state_parse(struct hl_str text)
{
	for (int i = 0; i < HL_WEBHOOK_DELETED; i++)
		if (hl_str_eq(text, hl_str_from(hl_webhook_state_name((enum hl_webhook_state)i))))
			return i;
	return -1;
}

static void listed(void *data, int status, const struct hl_webhook *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		hl_webhook_write(&w, &scope, &v[i], HL_STR(""));
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, info);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "dialect" }, { "state" }, { "limit" }, { "cursor" } };
	struct hl_webhook_query find = { .account = c->account, .dialect = -1, .state = -1 };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) ||
			!hl_query_name(c, &q[0], hl_dialect_parse, "hookline, cs2cap, aboutyou, stellarstack, bitnob", &find.dialect) ||
			!hl_query_name(c, &q[1], state_parse, "enabled, paused, disabled", &find.state) ||
			!hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	find.page = c->page;
	int rc = hl_webhook_list(c->api->dispatcher, &find, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void get(struct hl_call *c)
{
	struct hl_webhook v;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_WEBHOOK, &number))
		return;
	int rc = hl_webhook_get(c->api->dispatcher, c->account, (uint32_t)number, false, &v);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	write_one(c, &v, HL_STR(""));
	hl_call_send(c, 200);
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_webhook_input in;
	const struct hl_tier *tier = hl_auth_tier(c);
	if (!hl_query_none(c))
		return;
	if (!tier->webhooks) {
		hl_call_problem_kind(c, HL_PROBLEM_NOT_IN_TIER);
		return;
	}
	int rc = hl_webhook_read(&r, &scope, c->body, true, &in);
	if (!rc)
		rc = hl_webhook_create(c->api->dispatcher, &in.w, in.secret, tier->max_webhooks, hl_call_expect(c, 201, write_one),
				hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_webhook_input in;
	struct hl_webhook now;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_WEBHOOK, &number))
		return;
	int rc = hl_webhook_get(c->api->dispatcher, c->account, (uint32_t)number, false, &now);
	if (!rc)
		rc = hl_webhook_read(&r, &scope, c->body, false, &in);
	if (!rc && !in.fields) {
		write_one(c, &now, HL_STR(""));
		hl_call_send(c, 200);
		return;
	}
	hl_call_expect(c, 200, write_one);
	if (!rc)
		rc = hl_webhook_update(c->api->dispatcher, c->account, (uint32_t)number, in.fields, &in.w, hl_call_webhook_changed, c,
				&err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void delete(struct hl_call *c)
{
	struct hl_query q[] = { { "drop_history" } };
	struct hl_err err = { .code = 0 };
	bool drop = false;
	uint64_t number;
	if (!hl_query_read(c, q, 1) || !hl_query_bool(c, &q[0], &drop) || !hl_call_id(c, 0, HL_ID_WEBHOOK, &number))
		return;
	hl_call_expect(c, 204, NULL);
	int rc = hl_webhook_delete(c->api->dispatcher, c->account, (uint32_t)number, drop, hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/webhooks", HL_SCOPE_READ, 0, list },
	{ HL_METHOD_POST, "/webhooks", HL_SCOPE_MANAGE, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create },
	{ HL_METHOD_GET, "/webhooks/{webhook}", HL_SCOPE_READ, 0, get },
	{ HL_METHOD_PATCH, "/webhooks/{webhook}", HL_SCOPE_MANAGE, HL_ROUTE_BODY, patch },
	{ HL_METHOD_DELETE, "/webhooks/{webhook}", HL_SCOPE_MANAGE, 0, delete },
};
const struct hl_routes hl_routes_webhooks = { routes, HL_ARRAY_LEN(routes) };

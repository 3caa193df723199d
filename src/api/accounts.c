/* /v1/accounts: the operator's tenants. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

static void write_members(struct hl_jsonw *w, const struct hl_account *a)
{
	hl_jsonw_key(w, "id");
	hl_jsonw_str(w, a->id);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, a->name);
	hl_jsonw_key(w, "disabled");
	hl_jsonw_bool(w, a->disabled);
	hl_jsonw_key(w, "tier");
	hl_text_or_null(w, a->tier);
	hl_jsonw_key(w, "email");
	hl_text_or_null(w, a->email);
	hl_jsonw_key(w, "email_verified");
	hl_jsonw_bool(w, a->email_verified);
	hl_jsonw_key(w, "alert_emails");
	hl_jsonw_bool(w, a->alert_emails);
	hl_jsonw_key(w, "preferred_currency");
	hl_text_or_null(w, a->preferred_currency);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, a->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, a->updated_at_ms);
}

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(&w, object);
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "cursor" } };
	struct hl_page_info info;
	struct hl_jsonw w;
	size_t n;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	struct hl_account *v = HL_ARENA_ARRAY(c->request->arena, struct hl_account, c->page.limit);
	int rc = v ? hl_account_list(c->api->service, &c->page, v, &n, &info) : HL_ENOMEM;
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_object(&w);
		write_members(&w, &v[i]);
		hl_jsonw_object_end(&w);
	}
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, &info);
}

static void get(struct hl_call *c)
{
	struct hl_account_stats s;
	struct hl_account a;
	struct hl_jsonw w;
	if (!hl_query_none(c))
		return;
	int rc = hl_account_find(c->api->service, c->params[0], &a);
	if (!rc)
		rc = hl_account_stats(c->api->dispatcher, a.number, &s);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(&w, &a);
	hl_jsonw_key(&w, "totals");
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "events");
	hl_jsonw_u64(&w, s.events);
	hl_jsonw_key(&w, "webhooks");
	hl_jsonw_u64(&w, s.webhooks);
	hl_jsonw_key(&w, "deliveries");
	hl_jsonw_object(&w);
	for (int i = 0; i < HL_DIALECT_N; i++) {
		hl_jsonw_key(&w, hl_dialect_name((enum hl_dialect)i));
		hl_jsonw_u64(&w, s.deliveries[i]);
	}
	hl_jsonw_object_end(&w);
	hl_jsonw_object_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

/* The same members for create and patch; create also takes an id. */
static int read_one(struct hl_reader *r, struct hl_str body, bool create, struct hl_account *out, uint32_t *out_fields)
{
	enum { NAME, DISABLED, TIER, EMAIL, VERIFIED, ALERTS, CURRENCY, ID, N };
	static const uint32_t bits[N] = {
		HL_AF_NAME, HL_AF_DISABLED, HL_AF_TIER, HL_AF_EMAIL, HL_AF_EMAIL_VERIFIED, HL_AF_ALERT_EMAILS,
		HL_AF_PREFERRED_CURRENCY, 0,
	};
	struct hl_json_field f[N] = {
		[NAME] = { .name = "name", .types = HL_T_STRING | HL_T_NULL },
		[DISABLED] = { .name = "disabled", .types = HL_T_BOOL },
		[TIER] = { .name = "tier", .types = HL_T_STRING | HL_T_NULL },
		[EMAIL] = { .name = "email", .types = HL_T_STRING | HL_T_NULL },
		[VERIFIED] = { .name = "email_verified", .types = HL_T_BOOL },
		[ALERTS] = { .name = "alert_emails", .types = HL_T_BOOL },
		[CURRENCY] = { .name = "preferred_currency", .types = HL_T_STRING | HL_T_NULL },
		[ID] = { .name = "id", .types = HL_T_STRING | HL_T_NULL },
	};
	struct hl_account a = { .id = HL_STR(""), .name = HL_STR(""), .tier = HL_STR(""), .email = HL_STR(""),
			.preferred_currency = HL_STR("") };
	int rc = hl_read_object(r, body, false, f, create ? N : N - 1);
	if (rc || (rc = hl_read_text(r, &f[NAME], HL_NAME_MAX, &a.name)) || (rc = hl_read_bool(r, &f[DISABLED], &a.disabled)) ||
			(rc = hl_read_text(r, &f[TIER], HL_TIER_NAME_MAX, &a.tier)) ||
			(rc = hl_read_text(r, &f[EMAIL], HL_EMAIL_MAX, &a.email)) ||
			(rc = hl_read_bool(r, &f[VERIFIED], &a.email_verified)) ||
			(rc = hl_read_bool(r, &f[ALERTS], &a.alert_emails)) ||
			(rc = hl_read_text(r, &f[CURRENCY], HL_CURRENCY_LEN, &a.preferred_currency)) ||
			(rc = hl_read_text(r, &f[ID], HL_ACCOUNT_WORD_MAX, &a.id)))
		return rc;
	if (f[ID].seen && f[ID].value.type == HL_JSON_STRING && !a.id.len)
		return hl_read_fail(r, &f[ID], "must be 1 to %d of A-Z a-z 0-9 _ . -", HL_ACCOUNT_WORD_MAX);
	*out_fields = 0;
	for (size_t i = 0; i < N; i++)
		if (f[i].seen)
			*out_fields |= bits[i];
	*out = a;
	return HL_OK;
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_account a;
	uint32_t fields;
	if (!hl_query_none(c))
		return;
	int rc = read_one(&r, c->body, true, &a, &fields);
	if (!rc)
		rc = hl_account_create(c->api->service, &a, hl_call_expect(c, 201, write_one), hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_account now, a;
	uint32_t fields = 0;
	if (!hl_query_none(c))
		return;
	int rc = hl_account_find(c->api->service, c->params[0], &now);
	if (!rc)
		rc = read_one(&r, c->body, false, &a, &fields);
	hl_call_expect(c, 200, write_one);
	if (!rc)
		rc = hl_account_update(c->api->service, now.number, fields, &a, hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/accounts", HL_SCOPE_ADMIN, 0, list },
	{ HL_METHOD_POST, "/accounts", HL_SCOPE_ADMIN, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create },
	{ HL_METHOD_GET, "/accounts/{account}", HL_SCOPE_ADMIN, 0, get },
	{ HL_METHOD_PATCH, "/accounts/{account}", HL_SCOPE_ADMIN, HL_ROUTE_BODY, patch },
};
const struct hl_routes hl_routes_accounts = { routes, HL_ARRAY_LEN(routes) };

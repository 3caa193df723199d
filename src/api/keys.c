/* /v1/keys: the operator's keys, of all accounts. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

static void write_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_key *k)
{
	struct hl_account a;
	char id[HL_ID_CAP];
	hl_id_format(c->api->dispatcher, HL_ID_KEY, k->number, k->created_at_ms, id);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, id);
	hl_jsonw_key(w, "account");
	hl_text_or_null(w, hl_account_get(c->api->service, k->account, &a) ? HL_STR("") : a.id);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, k->name);
	hl_jsonw_key(w, "prefix");
	hl_jsonw_cstr(w, k->prefix);
	hl_jsonw_key(w, "last4");
	hl_jsonw_cstr(w, k->last4);
	hl_jsonw_key(w, "dialect");
	hl_jsonw_cstr(w, hl_dialect_name(k->dialect));
	hl_jsonw_key(w, "scopes");
	hl_jsonw_array(w);
	for (unsigned bit = 1; bit <= HL_SCOPE_ALL; bit <<= 1)
		if (k->scopes & bit)
			hl_jsonw_cstr(w, hl_scope_name(bit));
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, k->created_at_ms);
	hl_jsonw_key(w, "expires_at");
	hl_jsonw_time(w, k->expires_at_ms);
	hl_jsonw_key(w, "revoked_at");
	hl_jsonw_time(w, k->revoked_at_ms);
	hl_jsonw_key(w, "last_used_at");
	hl_jsonw_time(w, k->last_used_at_ms);
}

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(c, &w, object);
	if (secret.len) {
		hl_jsonw_key(&w, "key");
		hl_jsonw_str(&w, secret);
	}
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "account" }, { "limit" }, { "cursor" } };
	struct hl_account a = { .number = 0 };
	struct hl_page_info info;
	struct hl_jsonw w;
	size_t n;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	if (q[0].seen && hl_account_find(c->api->service, q[0].value, &a)) {
		hl_page_empty(c);
		return;
	}
	struct hl_key *v = HL_ARENA_ARRAY(c->request->arena, struct hl_key, c->page.limit);
	int rc = v ? hl_key_list(c->api->service, a.number, &c->page, v, &n, &info) : HL_ENOMEM;
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_object(&w);
		write_members(c, &w, &v[i]);
		hl_jsonw_object_end(&w);
	}
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, &info);
}

/* The path names a key by id or by prefix. false: answered. */
static bool find(struct hl_call *c, struct hl_key *out)
{
	uint64_t number = 0;
	uint32_t by_prefix;
	if (!hl_key_prefix_parse(c->params[0], &by_prefix))
		number = by_prefix;
	else if (!hl_call_id(c, 0, HL_ID_KEY, &number))
		return false;
	int rc = hl_key_get(c->api->service, (uint32_t)number, out);
	if (rc)
		hl_call_fail(c, rc, NULL);
	return !rc;
}

static void get(struct hl_call *c)
{
	struct hl_key k;
	if (!hl_query_none(c) || !find(c, &k))
		return;
	write_one(c, &k, HL_STR(""));
	hl_call_send(c, 200);
}

static int read_scopes(struct hl_reader *r, const struct hl_json_field *f, unsigned *out)
{
	struct hl_json_iter it = { .at = NULL };
	for (hl_json_each(&it, f->value); hl_json_next(&it);) {
		struct hl_str name;
		unsigned bit = 0;
		if (it.value.type == HL_JSON_STRING && !hl_json_string(r->arena, it.value, false, &name))
			bit = hl_scope_parse(name);
		if (!bit || (*out & bit))
			return hl_read_fail(r, f, "must hold admin, publish, manage, read, each at most once");
		*out |= bit;
	}
	return HL_OK;
}

static int read_account(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f, uint32_t *out)
{
	struct hl_account a;
	struct hl_str id;
	if (!f->seen)
		return HL_OK;
	int rc = hl_read_text(r, f, HL_ACCOUNT_WORD_MAX, &id);
	if (rc)
		return rc;
	if (hl_account_find(c->api->service, id, &a))
		return hl_read_fail(r, f, "is not the id of an account");
	*out = a.number;
	return HL_OK;
}

static int read_one(struct hl_call *c, struct hl_reader *r, struct hl_key *out)
{
	enum { ACCOUNT, NAME, SCOPES, DIALECT, EXPIRES, N };
	struct hl_json_field f[N] = {
		[ACCOUNT] = { .name = "account", .types = HL_T_STRING },
		[NAME] = { .name = "name", .types = HL_T_STRING | HL_T_NULL },
		[SCOPES] = { .name = "scopes", .types = HL_T_ARRAY, .required = true },
		[DIALECT] = { .name = "dialect", .types = HL_T_STRING },
		[EXPIRES] = { .name = "expires_at", .types = HL_T_STRING | HL_T_NULL },
	};
	struct hl_key k = { .account = c->account, .name = HL_STR("") };
	int dialect = HL_DIALECT_HOOKLINE;
	int rc = hl_read_object(r, c->body, false, f, N);
	if (rc || (rc = read_account(c, r, &f[ACCOUNT], &k.account)) || (rc = hl_read_text(r, &f[NAME], HL_NAME_MAX, &k.name)) ||
			(rc = read_scopes(r, &f[SCOPES], &k.scopes)) ||
			(rc = hl_read_name(r, &f[DIALECT], hl_dialect_parse, "hookline, cs2cap, aboutyou, stellarstack, bitnob",
					&dialect)) ||
			(rc = hl_read_time(r, &f[EXPIRES], &k.expires_at_ms)))
		return rc;
	k.dialect = (enum hl_dialect)dialect;
	*out = k;
	return HL_OK;
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_key k;
	if (!hl_query_none(c))
		return;
	int rc = read_one(c, &r, &k);
	if (!rc)
		rc = hl_key_create(c->api->service, &k, hl_call_expect(c, 201, write_one), hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void delete(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_key k;
	if (!hl_query_none(c) || !find(c, &k))
		return;
	hl_call_expect(c, 204, NULL);
	int rc = hl_key_revoke(c->api->service, k.number, hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/keys", HL_SCOPE_ADMIN, 0, list },
	{ HL_METHOD_POST, "/keys", HL_SCOPE_ADMIN, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create },
	{ HL_METHOD_GET, "/keys/{key}", HL_SCOPE_ADMIN, 0, get },
	{ HL_METHOD_DELETE, "/keys/{key}", HL_SCOPE_ADMIN, 0, delete },
};
const struct hl_routes hl_routes_keys = { routes, HL_ARRAY_LEN(routes) };

/* /v1/servers: what events may be about. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

static void write_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_subject *v)
{
	struct hl_account a;
	char id[HL_ID_CAP];
	hl_id_format(c->api->dispatcher, HL_ID_SERVER, v->number, v->created_at_ms, id);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, id);
	hl_jsonw_key(w, "account");
	hl_text_or_null(w, hl_account_get(c->api->service, v->account, &a) ? HL_STR("") : a.id);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, v->name);
	hl_jsonw_key(w, "status");
	hl_text_or_null(w, v->status);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, v->updated_at_ms);
}

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(c, &w, object);
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
	struct hl_subject *v = HL_ARENA_ARRAY(c->request->arena, struct hl_subject, c->page.limit);
	int rc = v ? hl_subject_list(c->api->service, c->account, &c->page, v, &n, &info) : HL_ENOMEM;
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

static void get(struct hl_call *c)
{
	struct hl_subject v;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_SERVER, &number))
		return;
	int rc = hl_subject_get(c->api->service, c->account, number, &v);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	write_one(c, &v, HL_STR(""));
	hl_call_send(c, 200);
}

static int read_one(struct hl_reader *r, struct hl_str body, bool create, struct hl_subject *out, uint32_t *out_fields)
{
	struct hl_json_field f[] = {
		{ .name = "name", .types = HL_T_STRING, .required = create },
		{ .name = "status", .types = HL_T_STRING | HL_T_NULL },
	};
	struct hl_subject v = { .name = HL_STR(""), .status = HL_STR("") };
	int rc = hl_read_object(r, body, false, f, HL_ARRAY_LEN(f));
	if (rc || (rc = hl_read_text(r, &f[0], HL_NAME_MAX, &v.name)) ||
			(rc = hl_read_text(r, &f[1], HL_SUBJECT_STATUS_MAX, &v.status)))
		return rc;
	*out_fields = (f[0].seen ? HL_SF_NAME : 0) | (f[1].seen ? HL_SF_STATUS : 0);
	*out = v;
	return HL_OK;
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_subject v;
	uint32_t fields;
	if (!hl_query_none(c))
		return;
	int rc = read_one(&r, c->body, true, &v, &fields);
	if (!rc) {
		v.account = c->account;
		rc = hl_subject_create(c->api->service, &v, hl_call_expect(c, 201, write_one), hl_call_changed, c, &err);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_subject v;
	uint64_t number;
	uint32_t fields = 0;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_SERVER, &number))
		return;
	int rc = read_one(&r, c->body, false, &v, &fields);
	hl_call_expect(c, 200, write_one);
	if (!rc)
		rc = hl_subject_update(c->api->service, c->account, number, fields, &v, hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void delete(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_SERVER, &number))
		return;
	hl_call_expect(c, 204, NULL);
	int rc = hl_subject_delete(c->api->service, c->account, number, hl_call_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/servers", HL_SCOPE_READ, 0, list },
	{ HL_METHOD_POST, "/servers", HL_SCOPE_ADMIN, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create },
	{ HL_METHOD_GET, "/servers/{server}", HL_SCOPE_READ, 0, get },
	{ HL_METHOD_PATCH, "/servers/{server}", HL_SCOPE_ADMIN, HL_ROUTE_BODY, patch },
	{ HL_METHOD_DELETE, "/servers/{server}", HL_SCOPE_ADMIN, 0, delete },
};
const struct hl_routes hl_routes_servers = { routes, HL_ARRAY_LEN(routes) };

/* /v1/event-types: the catalogue of the instance. */
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

static void write_one(struct hl_jsonw *w, const struct hl_event_type *t)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, t->name);
	hl_jsonw_key(w, "title");
	hl_jsonw_str(w, t->title);
	hl_jsonw_key(w, "description");
	hl_jsonw_str(w, t->description);
	hl_jsonw_key(w, "category");
	hl_jsonw_str(w, t->category);
	hl_jsonw_key(w, "dialects");
	hl_jsonw_object(w);
	for (int i = 0; i < HL_DIALECT_N; i++)
		if (t->dialect_categories[i].len) {
			hl_jsonw_key(w, hl_dialect_name((enum hl_dialect)i));
			hl_jsonw_str(w, t->dialect_categories[i]);
		}
	hl_jsonw_object_end(w);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, t->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, t->updated_at_ms);
	hl_jsonw_object_end(w);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "dialect" } };
	const struct hl_event_type *v;
	struct hl_page_info info = { .has_older = false };
	struct hl_jsonw w;
	int dialect = -1;
	size_t n;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) ||
			!hl_query_name(c, &q[0], hl_dialect_parse, "hookline, cs2cap, aboutyou, stellarstack, bitnob", &dialect))
		return;
	int rc = hl_event_type_list(c->api->dispatcher, dialect, &v, &n);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		write_one(&w, &v[i]);
	hl_page_end(c, &w, 0, 0, &info);
}

/* Also the end of a PUT: c->number is the status. */
static void send_one(struct hl_call *c, struct hl_str name, unsigned status)
{
	struct hl_event_type t;
	struct hl_jsonw w;
	int rc = hl_event_type_get(c->api->dispatcher, name, &t);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	write_one(&w, &t);
	hl_call_send(c, status);
}

static void get(struct hl_call *c)
{
	if (hl_query_none(c))
		send_one(c, c->params[0], 200);
}

static void put_done(void *data, int status, const struct hl_err *err)
{
	struct hl_call *c = data;
	struct hl_buf name = c->out; /* kept there by put() */
	if (status) {
		hl_call_fail(c, status, err);
		return;
	}
	memset(&c->out, 0, sizeof(c->out));
	send_one(c, hl_buf_all(&name), (unsigned)c->number);
	hl_buf_fini(&name);
}

static int read_dialects(struct hl_reader *r, const struct hl_json_field *f, struct hl_event_type *t)
{
	struct hl_json_iter it = { .at = NULL };
	if (!f->seen || f->value.type == HL_JSON_NULL)
		return HL_OK;
	for (hl_json_each(&it, f->value); hl_json_next(&it);) {
		struct hl_json_field category = { .name = "dialects", .types = HL_T_STRING, .seen = true, .value = it.value };
		int d = hl_dialect_parse(it.key);
		if (d < 0 || it.value.type != HL_JSON_STRING)
			return hl_read_fail(r, f, "must map hookline, cs2cap, aboutyou, stellarstack or bitnob to a category");
		if (t->dialect_categories[d].len)
			return hl_read_fail(r, f, "names %s twice", hl_dialect_name((enum hl_dialect)d));
		int rc = hl_read_text(r, &category, HL_NAME_MAX, &t->dialect_categories[d]);
		if (rc)
			return rc;
		if (!t->dialect_categories[d].len)
			return hl_read_fail(r, f, "must not map to an empty category");
	}
	return HL_OK;
}

static int read_one(struct hl_call *c, struct hl_reader *r, struct hl_event_type *t)
{
	enum { NAME, TITLE, DESCRIPTION, CATEGORY, DIALECTS, N };
	struct hl_json_field f[N] = {
		[NAME] = { .name = "name", .types = HL_T_STRING },
		[TITLE] = { .name = "title", .types = HL_T_STRING | HL_T_NULL },
		[DESCRIPTION] = { .name = "description", .types = HL_T_STRING | HL_T_NULL },
		[CATEGORY] = { .name = "category", .types = HL_T_STRING | HL_T_NULL },
		[DIALECTS] = { .name = "dialects", .types = HL_T_OBJECT | HL_T_NULL },
	};
	*t = (struct hl_event_type){ .name = c->params[0] };
	int rc = hl_read_object(r, c->body, true, f, N);
	if (rc || (rc = hl_read_text(r, &f[NAME], HL_EVENT_TYPE_MAX, &t->name)) ||
			(rc = hl_read_text(r, &f[TITLE], HL_NAME_MAX, &t->title)) ||
			(rc = hl_read_text(r, &f[DESCRIPTION], HL_DESCRIPTION_MAX, &t->description)) ||
			(rc = hl_read_text(r, &f[CATEGORY], HL_NAME_MAX, &t->category)) || (rc = read_dialects(r, &f[DIALECTS], t)))
		return rc;
	if (!hl_word_valid(c->params[0], HL_EVENT_TYPE_MAX) || !hl_str_eq(t->name, c->params[0]))
		return hl_err_field(r->err, HL_EINVAL, "/name", "must be the name in the path, 1 to %d of A-Z a-z 0-9 _ . -",
				HL_EVENT_TYPE_MAX);
	return HL_OK;
}

static void put(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_event_type t, old;
	if (!hl_query_none(c))
		return;
	int rc = read_one(c, &r, &t);
	if (!rc) {
		c->number = hl_event_type_get(c->api->dispatcher, t.name, &old) ? 201 : 200;
		hl_buf_str(&c->out, t.name);
		rc = hl_event_type_put(c->api->dispatcher, &t, put_done, c, &err);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void deleted(void *data, int status, const struct hl_err *err)
{
	struct hl_call *c = data;
	if (status)
		hl_call_fail(c, status, err);
	else
		hl_call_send_empty(c, 204);
}

static void delete(struct hl_call *c)
{
	if (!hl_query_none(c))
		return;
	int rc = hl_event_type_delete(c->api->dispatcher, c->params[0], deleted, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/event-types", HL_SCOPE_READ, 0, list },
	{ HL_METHOD_GET, "/event-types/{name}", HL_SCOPE_READ, 0, get },
	{ HL_METHOD_PUT, "/event-types/{name}", HL_SCOPE_ADMIN, HL_ROUTE_BODY_MAY, put },
	{ HL_METHOD_DELETE, "/event-types/{name}", HL_SCOPE_ADMIN, 0, delete },
};
const struct hl_routes hl_routes_event_types = { routes, HL_ARRAY_LEN(routes) };

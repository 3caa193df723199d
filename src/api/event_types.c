/* /v1/event-types: the catalogue of the instance. */
#include "api/event_type_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

static void send_list(struct hl_call *c, int dialect)
{
	const struct hl_event_type *v;
	struct hl_page_info info = { .has_older = false };
	struct hl_jsonw w;
	size_t n;
	int rc = hl_event_type_list(c->api->dispatcher, dialect, &v, &n);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		hl_event_type_write(&w, &v[i]);
	hl_page_end(c, &w, 0, 0, &info);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "dialect" } };
	int dialect = -1;
	if (hl_query_read(c, q, HL_ARRAY_LEN(q)) &&
			hl_query_name(c, &q[0], hl_dialect_parse, "hookline, cs2cap, aboutyou, stellarstack, bitnob", &dialect))
		send_list(c, dialect);
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
	hl_event_type_write(&w, &t);
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

static void put(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_event_type t, old;
	if (!hl_query_none(c))
		return;
	int rc = hl_event_type_read(&r, c->body, c->params[0], &t);
	if (!rc) {
		c->number = hl_event_type_get(c->api->dispatcher, t.name, &old) ? 201 : 200;
		hl_buf_str(&c->out, t.name);
		rc = hl_event_type_put(c->api->dispatcher, &t, put_done, c, &err);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void put_all_done(void *data, int status, const struct hl_err *err)
{
	struct hl_call *c = data;
	if (status)
		hl_call_fail(c, status, err);
	else
		send_list(c, -1);
}

/* Adds and replaces what the array names; other entries stay. */
static void put_all(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	const struct hl_event_type *v;
	size_t n;
	if (!hl_query_none(c))
		return;
	int rc = hl_event_types_read(&r, c->body, &v, &n);
	if (!rc)
		rc = hl_event_type_put_all(c->api->dispatcher, v, n, put_all_done, c, &err);
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
	{ HL_METHOD_PUT, "/event-types", HL_SCOPE_ADMIN, HL_ROUTE_BODY, put_all },
	{ HL_METHOD_GET, "/event-types/{name}", HL_SCOPE_READ, 0, get },
	{ HL_METHOD_PUT, "/event-types/{name}", HL_SCOPE_ADMIN, HL_ROUTE_BODY_MAY, put },
	{ HL_METHOD_DELETE, "/event-types/{name}", HL_SCOPE_ADMIN, 0, delete },
};
const struct hl_routes hl_routes_event_types = { routes, HL_ARRAY_LEN(routes) };

/* Dialect aboutyou: webhook subscriptions of a sellers' centre. Six routes, integer ids (a webhook's number), the key in
 * X-API-Key, 50 requests per minute for each route and key (100 for PATCH).
 *
 * A subscription to every event is stored without a filter and printed with the whole catalogue, so types that come later
 * belong to it. Its webhooks are strict: hourly for 48 hours, whatever the options say.
 *
 *   a member, the URL or the number in the path is wrong    400, as everything a client can mend is in this dialect
 *   no such subscription, not ours, not of this dialect     404
 * Errors are {"message": …}. */
#include "api/auth.h"
#include "api/dialects/dialect.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

enum { RPM = 50, RPM_PATCH = 100 };

/* ---- writing ------------------------------------------------------------------------------------------------------ */

/* The library's names of members, where this dialect has others. */
static struct hl_str own_name(struct hl_str member)
{
	if (hl_str_eq(member, HL_STR("event_types")))
		return HL_STR("events");
	return hl_str_eq(member, HL_STR("state")) ? HL_STR("enabled") : member;
}

static unsigned write_error(struct hl_call *c, const struct hl_problem *p)
{
	unsigned status = hl_problem_status(p);
	struct hl_str member = own_name(hl_dialect_member(p->pointer));
	struct hl_str detail = p->kind == HL_PROBLEM_MISSING_KEY ? HL_STR("an API key is needed in X-API-Key") : hl_problem_detail(p);
	struct hl_buf text = { .data = NULL };
	struct hl_jsonw w;
	if (member.len)
		hl_buf_fmt(&text, "%.*s: ", HL_FMT(member));
	hl_buf_str(&text, detail);
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "message");
	hl_jsonw_str(&w, hl_buf_ok(&text) ? hl_buf_all(&text) : detail);
	hl_jsonw_object_end(&w);
	hl_buf_fini(&text);
	return status == 422 ? 400 : status;
}

static void write_events(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	const struct hl_event_type *all;
	size_t n;
	hl_jsonw_array(w);
	for (size_t i = 0; i < v->n_event_types; i++)
		hl_jsonw_str(w, v->event_types[i]);
	if (!v->n_event_types && hl_dialect_catalogue(c, &all, &n) == HL_OK)
		for (size_t i = 0; i < n; i++)
			hl_jsonw_str(w, all[i].name);
	hl_jsonw_array_end(w);
}

static void write_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	hl_jsonw_key(w, "events");
	write_events(c, w, v);
	hl_jsonw_key(w, "url");
	hl_jsonw_str(w, v->url);
	hl_jsonw_key(w, "id");
	hl_jsonw_u64(w, v->number);
	hl_jsonw_key(w, "description");
	if (v->description.len)
		hl_jsonw_str(w, v->description);
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "enabled");
	hl_jsonw_bool(w, v->state == HL_WEBHOOK_ENABLED);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
}

static void write_item(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	hl_jsonw_object(w);
	write_members(c, w, v);
	hl_jsonw_object_end(w);
}

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(c, &w, object);
	if (secret.len) {
		hl_jsonw_key(&w, "client_secret");
		hl_jsonw_str(&w, secret);
	}
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* The subscription in the path. false: answered. Whole numbers nobody has, 0 and negative ones too, are unknown. */
static bool find(struct hl_call *c, struct hl_webhook *out)
{
	struct hl_query id = { .name = "subscription_id", .seen = true, .value = c->params[0] };
	int64_t number = 0;
	if (hl_dialect_integer(&id, &number)) {
		hl_call_bad_parameter(c, id.name, "must be an integer");
		return false;
	}
	int rc = number < 1 ? HL_ENOTFOUND : hl_dialect_webhook_numbered(c, (uint64_t)number, out);
	if (rc)
		hl_call_fail(c, rc, NULL);
	return rc == HL_OK;
}

/* null clears the description and leaves everything else as it is. */
static int read_members(struct hl_call *c, struct hl_reader *r, bool create, struct hl_webhook *out, uint32_t *out_fields)
{
	enum { EVENTS, URL, DESCRIPTION, ENABLED, N };
	struct hl_json_field f[N] = {
		[EVENTS] = { .name = "events", .types = HL_T_ARRAY | HL_T_NULL },
		[URL] = { .name = "url", .types = create ? HL_T_STRING : HL_T_STRING | HL_T_NULL, .required = create },
		[DESCRIPTION] = { .name = "description", .types = HL_T_STRING | HL_T_NULL },
		[ENABLED] = { .name = "enabled", .types = HL_T_BOOL | HL_T_NULL },
	};
	bool enabled = true;
	int rc = hl_read_object(r, c->body, false, f, create ? ENABLED : N);
	if (rc || (rc = hl_dialect_read_known_types(c, r, &f[EVENTS], out)) || (rc = hl_read_text(r, &f[URL], HL_URL_MAX, &out->url)) ||
			(rc = hl_read_text(r, &f[DESCRIPTION], HL_DESCRIPTION_MAX, &out->description)))
		return rc;
	if (hl_dialect_given(&f[ENABLED]) && (rc = hl_read_bool(r, &f[ENABLED], &enabled)))
		return rc;
	out->state = enabled ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED;
	*out_fields = (hl_dialect_given(&f[EVENTS]) ? HL_WF_EVENT_TYPES : 0) | (hl_dialect_given(&f[URL]) ? HL_WF_URL : 0) |
			(f[DESCRIPTION].seen ? HL_WF_DESCRIPTION : 0) | (hl_dialect_given(&f[ENABLED]) ? HL_WF_STATE : 0);
	return HL_OK;
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static void types(struct hl_call *c)
{
	const struct hl_event_type *v;
	struct hl_jsonw w;
	size_t n;
	int rc = hl_dialect_catalogue(c, &v, &n);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_object(&w);
		hl_jsonw_key(&w, "event");
		hl_jsonw_str(&w, v[i].name);
		hl_jsonw_key(&w, "description");
		hl_jsonw_str(&w, v[i].description);
		hl_jsonw_object_end(&w);
	}
	hl_jsonw_array_end(&w);
	hl_call_send(c, 200);
}

static void list(struct hl_call *c)
{
	hl_dialect_list_webhooks(c, NULL, true, write_item);
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook w = { .strict = true };
	uint32_t fields;
	int rc = read_members(c, &r, true, &w, &fields);
	if (rc)
		hl_call_fail(c, rc, &err);
	else
		hl_dialect_create(c, &w, 200, write_one);
}

static void get(struct hl_call *c)
{
	struct hl_webhook v;
	if (!find(c, &v))
		return;
	write_one(c, &v, HL_STR(""));
	hl_call_send(c, 200);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook now, w = { .n_event_types = 0 };
	uint32_t fields;
	if (!find(c, &now))
		return;
	int rc = read_members(c, &r, false, &w, &fields);
	if (rc)
		hl_call_fail(c, rc, &err);
	else
		hl_dialect_update(c, &now, fields, &w, write_one);
}

static void delete(struct hl_call *c)
{
	struct hl_webhook v;
	if (find(c, &v))
		hl_dialect_delete(c, v.number, false, NULL);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/types", HL_MAY_READ, 0, types, RPM },
	{ HL_METHOD_GET, "", HL_MAY_READ, 0, list, RPM },
	{ HL_METHOD_POST, "", HL_MAY_CHANGE, HL_ROUTE_BODY, create, RPM },
	{ HL_METHOD_GET, "/{subscription_id}", HL_MAY_READ, 0, get, RPM },
	{ HL_METHOD_PATCH, "/{subscription_id}", HL_MAY_CHANGE, HL_ROUTE_BODY, patch, RPM_PATCH },
	{ HL_METHOD_DELETE, "/{subscription_id}", HL_MAY_CHANGE, 0, delete, RPM },
};
static const struct hl_routes table = { routes, HL_ARRAY_LEN(routes) };
static const struct hl_routes *const tables[] = { &table };
struct hl_mount hl_mount_aboutyou = {
	.prefixes = { "/api/v1/webhooks" }, .dialect = HL_DIALECT_ABOUTYOU, .credentials = HL_CREDENTIAL_API_KEY,
	.documented = HL_CREDENTIAL_API_KEY, .flags = HL_MOUNT_EITHER_SLASH | HL_MOUNT_LENIENT, .tables = tables,
	.n_tables = HL_ARRAY_LEN(tables), .write_error = write_error,
};

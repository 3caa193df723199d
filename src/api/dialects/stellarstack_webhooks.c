/* Dialect stellarstack: listing, making, changing and deleting webhooks, and the catalogue of events.
 *
 * What is wrong with a body is gathered member by member, as the original's validator does, and told at once. Then the
 * webhook must exist, the events be known ("Invalid events"), the server be the account's own; then the library has its
 * say on the URL. Deleting takes the history along. */
#include "api/dialects/stellarstack.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include "http/url.h"

/* ---- reading ------------------------------------------------------------------------------------------------------ */

/* A body taken apart. Of several members of one name the last counts, as in JavaScript. */
struct input {
	struct hl_call *c;
	struct hl_json root;
	struct hl_stellarstack_issues issues;
	struct hl_webhook w;          /* values; slices and arrays live in the request's arena */
	uint32_t fields;              /* set of enum hl_webhook_field that were given */
	struct hl_json_field events;
	struct hl_str server_id;      /* ptr NULL = not given */
};

static const char *type_name(enum hl_json_type t)
{
	static const char *const names[] = {
		[HL_JSON_NULL] = "null", [HL_JSON_BOOL] = "boolean", [HL_JSON_NUMBER] = "number", [HL_JSON_STRING] = "string",
		[HL_JSON_ARRAY] = "array", [HL_JSON_OBJECT] = "object",
	};
	return names[t];
}

/* member NULL: the body itself. index SIZE_MAX: no entry of it. */
static void issue(struct input *in, const char *member, size_t index, const char *code, const char *fmt, ...)
		HL_PRINTF(5, 6);

static void issue(struct input *in, const char *member, size_t index, const char *code, const char *fmt, ...)
{
	struct hl_buf text = { .data = NULL };
	va_list ap;
	va_start(ap, fmt);
	hl_buf_vfmt(&text, fmt, ap);
	va_end(ap);
	hl_stellarstack_issue_begin(&in->issues, code);
	if (member)
		hl_jsonw_cstr(&in->issues.w, member);
	if (index != SIZE_MAX)
		hl_jsonw_u64(&in->issues.w, index);
	hl_stellarstack_issue_end(&in->issues, hl_buf_all(&text));
	hl_buf_fini(&text);
}

static void issue_type(struct input *in, const char *member, size_t index, enum hl_json_type want, struct hl_json got)
{
	issue(in, member, index, "invalid_type", "Expected %s, received %s", type_name(want), type_name(got.type));
}

/* Looks a member up and checks its type. false: not there (an issue if it must be) or of another type. */
static bool take(struct input *in, const char *member, enum hl_json_type want, bool required, struct hl_json *out)
{
	if (!hl_json_get(in->root, hl_str_from(member), out)) {
		if (required)
			issue(in, member, SIZE_MAX, "invalid_type", "Required");
		return false;
	}
	if (out->type != want)
		issue_type(in, member, SIZE_MAX, want, *out);
	return out->type == want;
}

static void read_url(struct input *in, bool required)
{
	struct hl_arena *a = in->c->request->arena;
	struct hl_url url;
	struct hl_json v;
	if (!take(in, "url", HL_JSON_STRING, required, &v))
		return;
	if (hl_json_string(a, v, false, &in->w.url) || hl_url_parse(in->w.url, a, &url, NULL))
		issue(in, "url", SIZE_MAX, "invalid_string", "Invalid url");
	else if (in->w.url.len > HL_DIALECT_URL_MAX)
		issue(in, "url", SIZE_MAX, "too_big", "String must contain at most %d character(s)", HL_DIALECT_URL_MAX);
	in->fields |= HL_WF_URL;
}

static void read_events(struct input *in, bool required)
{
	struct hl_json_iter it = { .at = NULL };
	struct hl_json v;
	size_t n = 0;
	if (!take(in, "events", HL_JSON_ARRAY, required, &v))
		return;
	for (hl_json_each(&it, v); hl_json_next(&it) && n < HL_EVENT_TYPES_MAX; n++) /* more are refused by their reader */
		if (it.value.type != HL_JSON_STRING)
			issue_type(in, "events", n, HL_JSON_STRING, it.value);
	if (!n)
		issue(in, "events", SIZE_MAX, "too_small", "Array must contain at least 1 element(s)");
	in->events = (struct hl_json_field){ .name = "events", .seen = true, .value = v };
	in->fields |= HL_WF_EVENT_TYPES;
}

static void read_server_id(struct input *in)
{
	struct hl_json v;
	if (take(in, "serverId", HL_JSON_STRING, false, &v) &&
			hl_json_string(in->c->request->arena, v, false, &in->server_id))
		issue(in, "serverId", SIZE_MAX, "invalid_string", "Invalid");
}

static void read_enabled(struct input *in)
{
	struct hl_json v;
	bool enabled;
	if (!take(in, "enabled", HL_JSON_BOOL, false, &v) || !hl_json_bool(v, &enabled))
		return;
	in->w.state = enabled ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED;
	in->fields |= HL_WF_STATE;
}

/* false: answered. */
static bool read_body(struct input *in, struct hl_call *c, bool create)
{
	struct hl_err err = { .code = 0 };
	*in = (struct input){ .c = c, .issues.c = c };
	struct hl_str body = !create && !c->body.len ? HL_STR("{}") : c->body;
	int rc = hl_json_check(body, HL_JSON_DEPTH_MAX, &in->root, &err);
	if (rc) {
		hl_call_fail(c, HL_ESYNTAX, &err);
		return false;
	}
	if (in->root.type != HL_JSON_OBJECT) {
		issue_type(in, NULL, SIZE_MAX, HL_JSON_OBJECT, in->root);
	} else {
		read_url(in, create);
		read_events(in, create);
		if (create)
			read_server_id(in);
		else
			read_enabled(in);
	}
	if (!in->issues.n)
		return true;
	hl_stellarstack_issues_end(&in->issues);
	hl_call_send(c, 400);
	return false;
}

/* "SERVER_AUTO_SHUTDOWN": the constant that stands for server.auto_shutdown in the original's program. */
static struct hl_str spell(struct hl_arena *a, struct hl_str text)
{
	struct hl_str name = hl_arena_dup(a, text);
	bool dotted = false;
	for (size_t i = 0; name.ptr && i < name.len; i++) {
		char *k = (char *)name.ptr + i;
		if (*k >= 'A' && *k <= 'Z')
			*k = (char)(*k - 'A' + 'a');
		else if (*k != '_')
			return HL_STR_NONE;
		else if (!dotted) {
			dotted = true;
			*k = '.';
		}
	}
	return name;
}

/* Names against the catalogue. false: answered. */
static bool check_events(struct input *in)
{
	struct hl_call *c = in->c;
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_dialect_types t;
	struct hl_jsonw w;
	int rc = hl_dialect_read_types(c, &r, &in->events, spell, &t);
	if (rc) {
		hl_call_fail(c, rc, &err);
		return false;
	}
	in->w.event_types = t.v;
	in->w.n_event_types = t.n;
	if (!t.n_unknown)
		return true;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "error");
	hl_jsonw_cstr(&w, "Invalid events");
	hl_jsonw_key(&w, "invalidEvents");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < t.n_unknown; i++)
		hl_jsonw_str(&w, t.unknown[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 400);
	return false;
}

/* false: answered. */
static bool check_server(struct input *in)
{
	struct hl_call *c = in->c;
	struct hl_subject s;
	if (!in->server_id.ptr)
		return true;
	int rc = hl_id_parse(c->api->dispatcher, HL_ID_SERVER, in->server_id, &in->w.server);
	if (!rc)
		rc = hl_subject_get(c->api->service, c->account, in->w.server, &s);
	if (rc == HL_ENOTFOUND || rc == HL_ESYNTAX)
		hl_dialect_error(c, 404, NULL, "Server not found or not owned by you");
	else if (rc)
		hl_call_fail(c, rc, NULL);
	return !rc;
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret; /* it has one; this API never shows it */
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_stellarstack_webhook_members(c, &w, object);
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

static bool known_before(const struct hl_event_type *v, size_t n, struct hl_str category)
{
	for (size_t i = 0; i < n; i++)
		if (hl_str_eq(v[i].dialect_categories[HL_DIALECT_STELLARSTACK], category))
			return true;
	return false;
}

static void write_category(struct hl_jsonw *w, const struct hl_event_type *v, size_t n, struct hl_str category)
{
	hl_jsonw_key_str(w, category);
	hl_jsonw_array(w);
	for (size_t i = 0; i < n; i++)
		if (hl_str_eq(v[i].dialect_categories[HL_DIALECT_STELLARSTACK], category))
			hl_jsonw_str(w, v[i].name);
	hl_jsonw_array_end(w);
}

/* The five categories clients know are always there; others follow as the catalogue has them. */
static void events(struct hl_call *c)
{
	static const char *const categories[] = { "server", "backup", "transfer", "file", "resource" };
	const struct hl_event_type *v;
	struct hl_jsonw w;
	size_t n;
	int rc = hl_dialect_catalogue(c, &v, &n);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "events");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		hl_jsonw_str(&w, v[i].name);
	hl_jsonw_array_end(&w);
	hl_jsonw_key(&w, "categorized");
	hl_jsonw_object(&w);
	for (size_t k = 0; k < HL_ARRAY_LEN(categories); k++)
		write_category(&w, v, n, hl_str_from(categories[k]));
	for (size_t i = 0; i < n; i++) {
		struct hl_str category = v[i].dialect_categories[HL_DIALECT_STELLARSTACK];
		bool written = known_before(v, i, category);
		for (size_t k = 0; k < HL_ARRAY_LEN(categories); k++)
			written = written || hl_str_eq(category, hl_str_from(categories[k]));
		if (!written)
			write_category(&w, v, n, category);
	}
	hl_jsonw_object_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void write_item(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	struct hl_webhook_stats s;
	uint64_t n = 0;
	if (!hl_webhook_stats(c->api->dispatcher, c->account, v->number, &s))
		for (int i = 0; i < HL_DELIVERY_STATE_N; i++)
			n += s.by_state[i];
	hl_jsonw_object(w);
	hl_stellarstack_webhook_members(c, w, v);
	hl_jsonw_key(w, "_count");
	hl_jsonw_object(w);
	hl_jsonw_key(w, "deliveries");
	hl_jsonw_u64(w, n);
	hl_jsonw_object_end(w);
	hl_jsonw_object_end(w);
}

static void list(struct hl_call *c)
{
	hl_dialect_list_webhooks(c, NULL, false, write_item);
}

static void create(struct hl_call *c)
{
	struct input in;
	if (!read_body(&in, c, true) || !check_events(&in) || !check_server(&in))
		return;
	in.w.format = HL_FORMAT_DISCORD;
	hl_dialect_create(c, &in.w, 201, write_one);
}

static void patch(struct hl_call *c)
{
	struct hl_webhook now;
	struct input in;
	if (read_body(&in, c, false) && hl_dialect_find_webhook(c, 0, &now) && check_events(&in))
		hl_dialect_update(c, &now, in.fields, &in.w, write_one);
}

static void delete(struct hl_call *c)
{
	struct hl_webhook v;
	if (hl_dialect_find_webhook(c, 0, &v))
		hl_dialect_delete(c, v.number, true, "{\"success\":true}");
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/events", HL_MAY_READ, 0, events, 0 },
	{ HL_METHOD_GET, "", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_POST, "", HL_MAY_CHANGE, HL_ROUTE_BODY, create, 0 },
	{ HL_METHOD_PATCH, "/{id}", HL_MAY_CHANGE, HL_ROUTE_BODY_MAY, patch, 0 },
	{ HL_METHOD_DELETE, "/{id}", HL_MAY_CHANGE, 0, delete, 0 },
};
const struct hl_routes hl_routes_stellarstack_webhooks = { routes, HL_ARRAY_LEN(routes) };

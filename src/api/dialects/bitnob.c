/* Dialect bitnob: webhooks of a wallet platform. Webhooks here, their deliveries ("events") in bitnob_events.c.
 *
 * Lists are pages with cursors: a cursor is a place between rows of one list with its filters, so it is good in both
 * directions and rows that come or go in between shift nothing. Creation takes an Idempotency-Key; the answer is kept with
 * the change, secret included. Deletion leaves the deliveries readable.
 *
 *   whatever a client can mend is wrong (JSON, members, URL, cursors, key of idempotency)   400
 *   no such webhook or delivery, not ours, not of this dialect, or no id at all             404
 *   the idempotency key was used for another body; a retry for a deleted webhook            409
 *   the tier allows no more webhooks                                                        403: 409 speaks of keys here */
#include "api/dialects/bitnob.h"

#include "api/resources.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

/* ---- errors ------------------------------------------------------------------------------------------------------- */

static unsigned status_of(const struct hl_problem *p)
{
	unsigned status = hl_problem_status(p);
	if (p->kind == HL_PROBLEM_LIMIT_REACHED)
		return 403;
	return status == 422 ? 400 : status;
}

static unsigned write_error(struct hl_call *c, const struct hl_problem *p)
{
	struct hl_buf text = { .data = NULL };
	struct hl_str member = hl_dialect_member(p->pointer), message = hl_problem_detail(p);
	struct hl_jsonw w;
	if (member.len) {
		hl_buf_fmt(&text, "%.*s: %.*s", HL_FMT(member), HL_FMT(message));
		if (hl_buf_ok(&text))
			message = hl_buf_all(&text);
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "object");
	hl_jsonw_cstr(&w, "error");
	hl_jsonw_key(&w, "error");
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "code");
	hl_jsonw_cstr(&w, hl_problem_code(p));
	hl_jsonw_key(&w, "message");
	hl_jsonw_str(&w, message);
	hl_jsonw_object_end(&w);
	hl_jsonw_key(&w, "message");
	hl_jsonw_str(&w, message);
	hl_jsonw_object_end(&w);
	hl_buf_fini(&text);
	return status_of(p);
}

/* ---- pages -------------------------------------------------------------------------------------------------------- */

bool hl_bitnob_page_read(struct hl_call *c, const struct hl_query *q, size_t n)
{
	enum { LIMIT, AFTER, BEFORE, FILTERS };
	struct hl_page_cursor after, before;
	int64_t limit = HL_BITNOB_PAGE_USUAL;
	HL_CHECK(n >= FILTERS);
	if (hl_dialect_integer(&q[LIMIT], &limit)) {
		hl_call_bad_parameter(c, q[LIMIT].name, "must be a whole number");
		return false;
	}
	if (q[AFTER].seen && q[BEFORE].seen) {
		hl_call_bad_parameter(c, q[AFTER].name, "does not go together with %s", q[BEFORE].name);
		return false;
	}
	hl_query_select(c, q + FILTERS, n - FILTERS);
	if (!hl_query_cursor(c, &q[AFTER], &after) || !hl_query_cursor(c, &q[BEFORE], &before))
		return false;
	c->page = (struct hl_page){
		.limit = (uint32_t)HL_MIN(HL_MAX(limit, (int64_t)1), (int64_t)HL_BITNOB_PAGE_MAX), .before = after.number,
		.after = before.number,
	};
	return true;
}

void hl_bitnob_page_begin(struct hl_call *c, struct hl_jsonw *w)
{
	hl_call_writer(c, w);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "object");
	hl_jsonw_cstr(w, "list");
	hl_jsonw_key(w, "data");
	hl_jsonw_array(w);
}

void hl_bitnob_page_end(struct hl_call *c, struct hl_jsonw *w, uint64_t first, uint64_t last, const struct hl_page_info *info)
{
	char text[HL_PAGE_CURSOR_CAP];
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "has_more");
	hl_jsonw_bool(w, c->page.after ? info->has_newer : info->has_older);
	hl_page_cursor_member(c, w, "next_cursor", false, info->has_older ? last : 0, text);
	hl_page_cursor_member(c, w, "prev_cursor", true, info->has_newer ? first : 0, text);
	hl_jsonw_object_end(w);
	hl_call_send(c, 200);
}

/* ---- the webhook object ------------------------------------------------------------------------------------------- */

static void write_object(struct hl_jsonw *w, const struct hl_webhook *v, struct hl_str secret)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "object");
	hl_jsonw_cstr(w, "webhook");
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, v->name);
	hl_jsonw_key(w, "url");
	hl_jsonw_str(w, v->url);
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, v->state == HL_WEBHOOK_ENABLED ? "active" : "inactive");
	hl_jsonw_key(w, "event_types");
	hl_jsonw_array(w);
	for (size_t i = 0; i < v->n_event_types; i++)
		hl_jsonw_str(w, v->event_types[i]);
	hl_jsonw_array_end(w);
	hl_jsonw_key(w, "has_signing_secret");
	hl_jsonw_bool(w, v->secret_last4[0]);
	hl_jsonw_key(w, "signing_secret_last4");
	hl_jsonw_cstr(w, v->secret_last4);
	if (v->last_attempt_at_ms) {
		hl_jsonw_key(w, "last_triggered_at");
		hl_jsonw_time(w, v->last_attempt_at_ms);
	}
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, v->updated_at_ms);
	if (secret.len) {
		hl_jsonw_key(w, "signing_secret");
		hl_jsonw_str(w, secret);
	}
	hl_jsonw_object_end(w);
}

static struct hl_str write_webhook(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	write_object(&w, object, secret);
	return hl_buf_all(&c->out);
}

static struct hl_str write_rotated(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)object;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "object");
	hl_jsonw_cstr(&w, "signing_secret");
	hl_jsonw_key(&w, "signing_secret");
	hl_jsonw_str(&w, secret);
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int read_name(struct hl_reader *r, const struct hl_json_field *f, struct hl_webhook *w)
{
	int rc = hl_read_text(r, f, HL_NAME_MAX, &w->name);
	if (!rc && !hl_str_trim(w->name).len)
		rc = hl_read_fail(r, f, "must not be empty");
	return rc;
}

static int read_url(struct hl_reader *r, const struct hl_json_field *f, struct hl_webhook *w)
{
	int rc = hl_read_text(r, f, HL_DIALECT_URL_MAX, &w->url);
	if (!rc && !w->url.len)
		rc = hl_read_fail(r, f, "must not be empty");
	return rc;
}

/* What was given, and not null, goes to *w and *fields. create: name and url are needed. */
static int read_webhook(struct hl_call *c, struct hl_reader *r, bool create, struct hl_webhook *w, uint32_t *fields)
{
	enum { NAME, URL, TYPES, N };
	struct hl_json_field f[N] = {
		[NAME] = { .name = "name", .types = HL_T_STRING | HL_T_NULL },
		[URL] = { .name = "url", .types = HL_T_STRING | HL_T_NULL },
		[TYPES] = { .name = "event_types", .types = HL_T_ARRAY | HL_T_NULL },
	};
	int rc = hl_read_object(r, c->body, !create, f, N);
	for (size_t i = NAME; !rc && create && i <= URL; i++)
		if (!hl_dialect_given(&f[i]))
			rc = hl_read_fail(r, &f[i], "is required");
	*fields = 0;
	if (!rc && hl_dialect_given(&f[NAME])) {
		*fields |= HL_WF_NAME;
		rc = read_name(r, &f[NAME], w);
	}
	if (!rc && hl_dialect_given(&f[URL])) {
		*fields |= HL_WF_URL;
		rc = read_url(r, &f[URL], w);
	}
	if (!rc && hl_dialect_given(&f[TYPES])) {
		*fields |= HL_WF_EVENT_TYPES;
		rc = hl_dialect_read_known_types(c, r, &f[TYPES], w);
	}
	return rc;
}

/* ---- routes ------------------------------------------------------------------------------------------------------- */

static void listed(void *data, int status, const struct hl_webhook *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_bitnob_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		write_object(&w, &v[i], HL_STR(""));
	hl_bitnob_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, info);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "starting_after" }, { "ending_before" } };
	struct hl_webhook_query what = { .account = c->account, .dialect = HL_DIALECT_BITNOB, .state = -1 };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_bitnob_page_read(c, q, HL_ARRAY_LEN(q)))
		return;
	what.page = c->page;
	int rc = hl_webhook_list(c->api->dispatcher, &what, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook w = { .https_only = true };
	uint32_t fields;
	int rc = read_webhook(c, &r, true, &w, &fields);
	if (rc)
		hl_call_fail(c, rc, &err);
	else
		hl_dialect_create(c, &w, 201, write_webhook);
}

static void get(struct hl_call *c)
{
	struct hl_webhook v;
	if (!hl_dialect_find_webhook(c, 0, &v))
		return;
	write_webhook(c, &v, HL_STR(""));
	hl_call_send(c, 200);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook now, w = { .account = c->account };
	uint32_t fields;
	if (!hl_dialect_find_webhook(c, 0, &now))
		return;
	int rc = read_webhook(c, &r, false, &w, &fields);
	if (rc)
		hl_call_fail(c, rc, &err);
	else
		hl_dialect_update(c, &now, fields, &w, write_webhook);
}

static void delete(struct hl_call *c)
{
	struct hl_webhook v;
	if (hl_dialect_find_webhook(c, 0, &v))
		hl_dialect_delete(c, v.number, false, NULL);
}

static void rotate(struct hl_call *c)
{
	struct hl_webhook v;
	if (hl_dialect_find_webhook(c, 0, &v))
		hl_dialect_rotate(c, v.number, write_rotated);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_POST, "", HL_MAY_CHANGE, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create, 0 },
	{ HL_METHOD_GET, "/{id}", HL_MAY_READ, 0, get, 0 },
	{ HL_METHOD_PATCH, "/{id}", HL_MAY_CHANGE, HL_ROUTE_BODY_MAY, patch, 0 },
	{ HL_METHOD_DELETE, "/{id}", HL_MAY_CHANGE, 0, delete, 0 },
	{ HL_METHOD_POST, "/{id}/rotate-secret", HL_MAY_CHANGE, 0, rotate, 0 },
};
static const struct hl_routes table = { routes, HL_ARRAY_LEN(routes) };
static const struct hl_routes *const tables[] = { &table, &hl_bitnob_events };
struct hl_mount hl_mount_bitnob = {
	.prefixes = { "/bitnob/webhooks", "/webhooks" }, .dialect = HL_DIALECT_BITNOB,
	.credentials = HL_CREDENTIAL_API_KEY | HL_CREDENTIAL_BEARER, .documented = HL_CREDENTIAL_API_KEY,
	.flags = HL_MOUNT_EITHER_SLASH | HL_MOUNT_LENIENT, .tables = tables, .n_tables = HL_ARRAY_LEN(tables),
	.write_error = write_error,
};

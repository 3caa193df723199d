/* Dialect cs2cap, /account/webhooks: destinations. Each takes every alert.triggered of the account; its platform is the
 * webhook's format. */
#include "api/auth.h"
#include "api/dialects/cs2cap.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void write_webhook(struct hl_call *c, struct hl_jsonw *w, const struct hl_webhook *v)
{
	(void)c;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "label");
	hl_jsonw_str(w, v->name);
	hl_jsonw_key(w, "url");
	hl_jsonw_str(w, v->url);
	hl_jsonw_key(w, "platform");
	hl_jsonw_cstr(w, hl_cs2cap_platform(v->format));
	hl_jsonw_key(w, "secret_last4");
	hl_jsonw_cstr(w, v->secret_last4);
	hl_jsonw_key(w, "is_active");
	hl_jsonw_bool(w, v->state == HL_WEBHOOK_ENABLED);
	hl_jsonw_key(w, "last_success_at");
	hl_jsonw_time(w, v->last_success_at_ms);
	hl_jsonw_key(w, "last_failure_at");
	hl_jsonw_time(w, v->last_failure_at_ms);
	hl_jsonw_key(w, "last_failure_message");
	if (v->last_failure_message.len)
		hl_jsonw_str(w, v->last_failure_message);
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, HL_MAX(v->updated_at_ms, HL_MAX(v->last_success_at_ms, v->last_failure_at_ms)));
	hl_jsonw_object_end(w);
}

static struct hl_str write_bare(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret;
	hl_call_writer(c, &w);
	write_webhook(c, &w, object);
	return hl_buf_all(&c->out);
}

static struct hl_str write_with_secret(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "webhook");
	write_webhook(c, &w, object);
	hl_jsonw_key(&w, "secret");
	hl_jsonw_str(&w, secret);
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

enum { LABEL, URL, PLATFORM, IS_ACTIVE, N_MEMBERS };

static int read_label(struct hl_reader *r, const struct hl_json_field *f, struct hl_str *out)
{
	int rc = hl_read_text(r, f, HL_NAME_MAX, out);
	if (rc)
		return rc;
	*out = hl_str_trim(*out);
	return out->len ? HL_OK : hl_read_fail(r, f, "must not be blank");
}

static int read_url(struct hl_reader *r, const struct hl_json_field *f, struct hl_str *out)
{
	int rc = hl_read_text(r, f, SIZE_MAX, out);
	if (rc)
		return rc;
	if (!out->len || out->len > HL_DIALECT_URL_MAX)
		return hl_err_field(r->err, HL_EURL, "/url", "url must be an http or https URL of at most %d bytes", HL_DIALECT_URL_MAX);
	return HL_OK;
}

static int read_platform(struct hl_reader *r, const struct hl_json_field *f, enum hl_format *out)
{
	struct hl_str text;
	int rc = hl_read_text(r, f, SIZE_MAX, &text);
	if (rc)
		return rc;
	int v = hl_cs2cap_platform_parse(text);
	if (v < 0) /* 400, as for a URL that is wrong */
		return hl_err_field(r->err, HL_EURL, "/platform", "platform must be custom, discord, telegram or google_sheets");
	*out = (enum hl_format)v;
	return HL_OK;
}

/* What is given and not null; *out_fields says which. create: label and url must be. */
static int read_webhook(struct hl_call *c, struct hl_reader *r, bool create, struct hl_webhook *out, uint32_t *out_fields)
{
	unsigned null = create ? 0 : HL_T_NULL;
	struct hl_json_field f[N_MEMBERS] = {
		[LABEL] = { .name = "label", .types = HL_T_STRING | null, .required = create },
		[URL] = { .name = "url", .types = HL_T_STRING | null, .required = create },
		[PLATFORM] = { .name = "platform", .types = HL_T_STRING | null },
		[IS_ACTIVE] = { .name = "is_active", .types = HL_T_BOOL | null },
	};
	bool active = true;
	*out = (struct hl_webhook){ .account = c->account };
	*out_fields = 0;
	int rc = hl_read_object(r, c->body, false, f, N_MEMBERS);
	if (!rc && hl_dialect_given(&f[LABEL])) {
		rc = read_label(r, &f[LABEL], &out->name);
		*out_fields |= HL_WF_NAME;
	}
	if (!rc && hl_dialect_given(&f[URL])) {
		rc = read_url(r, &f[URL], &out->url);
		*out_fields |= HL_WF_URL;
	}
	if (!rc && hl_dialect_given(&f[PLATFORM])) {
		rc = read_platform(r, &f[PLATFORM], &out->format);
		*out_fields |= HL_WF_FORMAT;
	}
	if (!rc && hl_dialect_given(&f[IS_ACTIVE])) {
		rc = hl_read_bool(r, &f[IS_ACTIVE], &active);
		*out_fields |= HL_WF_STATE;
	}
	out->state = active ? HL_WEBHOOK_ENABLED : HL_WEBHOOK_PAUSED;
	c->flag = !rc;
	return rc;
}

/* The webhook of the path. false: answered. */
static bool find(struct hl_call *c, struct hl_webhook *out)
{
	int rc = hl_dialect_webhook(c, 0, out);
	if (rc)
		hl_cs2cap_fail_id(c, rc, "webhook_id");
	return !rc;
}

/* ---- the routes --------------------------------------------------------------------------------------------------- */

static void list(struct hl_call *c)
{
	if (hl_cs2cap_may_use_webhooks(c))
		hl_dialect_list_webhooks(c, "webhooks", false, write_webhook);
}

static void create(struct hl_call *c)
{
	static const struct hl_str types[] = { { "alert.triggered", 15 } };
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook v;
	uint32_t fields;
	if (!hl_cs2cap_may_use_webhooks(c))
		return;
	int rc = read_webhook(c, &r, true, &v, &fields);
	v.event_types = types;
	v.n_event_types = HL_ARRAY_LEN(types);
	if (rc)
		hl_call_fail(c, rc, &err);
	else
		hl_dialect_create(c, &v, 201, write_with_secret);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook now, v;
	uint32_t fields;
	if (!hl_cs2cap_may_use_webhooks(c) || !find(c, &now))
		return;
	int rc = read_webhook(c, &r, false, &v, &fields);
	if (rc)
		hl_call_fail(c, rc, &err);
	else if (!fields)
		hl_dialect_error(c, 400, "BAD_REQUEST", "at least one of label, url, platform and is_active must be given");
	else
		hl_dialect_update(c, &now, fields, &v, write_bare);
}

static void delete(struct hl_call *c)
{
	struct hl_webhook now;
	if (hl_cs2cap_may_use_webhooks(c) && find(c, &now))
		hl_dialect_delete(c, now.number, false, "{\"ok\":true}");
}

static void rotate(struct hl_call *c)
{
	struct hl_webhook now;
	if (hl_cs2cap_may_use_webhooks(c) && find(c, &now))
		hl_dialect_rotate(c, now.number, write_with_secret);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/webhooks", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_POST, "/webhooks", HL_MAY_CHANGE, HL_ROUTE_BODY, create, 0 },
	{ HL_METHOD_PATCH, "/webhooks/{webhook_id}", HL_MAY_CHANGE, HL_ROUTE_BODY, patch, 0 },
	{ HL_METHOD_DELETE, "/webhooks/{webhook_id}", HL_MAY_CHANGE, 0, delete, 0 },
	{ HL_METHOD_POST, "/webhooks/{webhook_id}/rotate-secret", HL_MAY_CHANGE, 0, rotate, 0 },
};
const struct hl_routes hl_routes_cs2cap_webhooks = { routes, HL_ARRAY_LEN(routes) };

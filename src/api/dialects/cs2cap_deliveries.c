/* Dialect cs2cap, /account/webhooks/deliveries: what was sent, account-wide. Label, URL and platform are those of the
 * webhook's revision the latest attempt used, so they outlive changes and deletion. */
#include "api/delivery_json.h"
#include "api/dialects/cs2cap.h"
#include "base/defs.h"
#include "base/utf8.h"

enum { DELIVERIES_USUAL = 25, DELIVERIES_MAX = 100, EXCERPT_CHARS = 1000 };

static void write_members(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v)
{
	struct hl_webhook then;
	hl_dialect_snapshot(c, v, &then);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "event_id");
	hl_jsonw_cstr(w, v->event_id);
	hl_jsonw_key(w, "endpoint_id");
	hl_jsonw_cstr(w, v->webhook_id);
	hl_jsonw_key(w, "endpoint_label");
	hl_jsonw_str(w, then.name);
	hl_jsonw_key(w, "endpoint_url");
	hl_jsonw_str(w, then.url);
	hl_jsonw_key(w, "platform");
	hl_jsonw_cstr(w, hl_cs2cap_platform(then.format));
	hl_jsonw_key(w, "event_type");
	hl_jsonw_str(w, v->event_type);
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, hl_cs2cap_status(v->state));
	hl_jsonw_key(w, "attempt_count");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "last_http_status");
	hl_status_write(w, v->last_http_status);
	hl_jsonw_key(w, "error");
	hl_cs2cap_error_write(w, v);
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, hl_dialect_next_at(c, v));
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "completed_at");
	hl_jsonw_time(w, v->completed_at_ms);
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

static void listed(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "deliveries");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_object(&w);
		write_members(c, &w, &v[i]);
		hl_jsonw_object_end(&w);
	}
	hl_jsonw_array_end(&w);
	hl_cs2cap_pagination_write(c, &w, n, info->total);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "offset" } };
	struct hl_delivery_query find = { .account = c->account, .dialect = HL_DIALECT_CS2CAP, .state = -1 };
	if (!hl_cs2cap_may_use_webhooks(c) || !hl_query_read(c, q, HL_ARRAY_LEN(q)) ||
			!hl_dialect_offset_page(c, &q[0], &q[1], DELIVERIES_USUAL, DELIVERIES_MAX))
		return;
	find.page = c->page;
	int rc = hl_delivery_list(c->api->dispatcher, &find, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void write_attempt(struct hl_jsonw *w, const struct hl_attempt *a)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "attempt_number");
	hl_jsonw_u64(w, a->number);
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, a->succeeded ? "succeeded" : "failed");
	hl_jsonw_key(w, "http_status");
	hl_status_write(w, a->http_status);
	hl_jsonw_key(w, "error");
	hl_text_or_null(w, a->succeeded ? (struct hl_str){ "", 0 } : a->error);
	hl_jsonw_key(w, "response_body_excerpt");
	if (a->http_status)
		hl_jsonw_str(w, hl_utf8_cut(a->response_body, EXCERPT_CHARS));
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, a->started_at_ms);
	hl_jsonw_object_end(w);
}

static void write_detail(struct hl_call *c, const struct hl_delivery *v, struct hl_str body, const struct hl_attempt *attempts,
		size_t n)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	write_members(c, &w, v);
	hl_jsonw_key(&w, "payload");
	hl_jsonw_raw(&w, body.len ? body : HL_STR("{}"));
	hl_jsonw_key(&w, "attempts");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		write_attempt(&w, &attempts[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
}

static void get(struct hl_call *c)
{
	struct hl_delivery v;
	const struct hl_attempt *attempts = NULL;
	size_t n = 0;
	struct hl_str body = HL_STR("");
	if (!hl_cs2cap_may_use_webhooks(c))
		return;
	int rc = hl_dialect_delivery(c, 0, &v);
	if (rc) {
		hl_cs2cap_fail_id(c, rc, "delivery_id");
		return;
	}
	rc = hl_delivery_attempts(c->api->dispatcher, c->account, v.number, &attempts, &n);
	if (!rc && hl_delivery_body(c->api->dispatcher, c->account, v.number, &body))
		body = HL_STR(""); /* the webhook's rows have gone: the delivery still tells its story */
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	write_detail(c, &v, body, attempts, n);
	hl_call_send(c, 200);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/webhooks/deliveries", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_GET, "/webhooks/deliveries/{delivery_id}", HL_MAY_READ, 0, get, 0 },
};
const struct hl_routes hl_routes_cs2cap_deliveries = { routes, HL_ARRAY_LEN(routes) };

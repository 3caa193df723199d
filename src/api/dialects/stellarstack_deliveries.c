/* Dialect stellarstack: the history of a webhook, trying a delivery again, testing.
 *
 * A delivery is shown with the plain event and the answer to its latest attempt: status and body, or, when there was no
 * whole answer, what went wrong instead of a body. Payloads are built when they are asked for, so a page of large events
 * is cut short at HL_DIALECT_PAGE_BYTES; its `limit` says so.
 *
 * Trying again makes a new delivery, sends it at once whatever the webhook's state, and answers when its attempt has
 * ended; testing does the same and leaves nothing behind. Both are the library's direct requests: a request that waits
 * costs a call and nothing else, 64 may wait at once, the next one is told 503. The webhook may be deleted meanwhile
 * (404), and the client may go away (the attempt is made all the same).
 *
 *   the receiver answers, not with 2xx    200 with success false and "HTTP <status>"
 *   it does not answer                    trying again: 500 with the new delivery's id; testing: 200 */
#include "api/dialects/stellarstack.h"

#include "api/delivery_json.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

enum { LIMIT_USUAL = 50, LIMIT_MAX = 100, DETAILS_N = 10 };

/* ---- the object --------------------------------------------------------------------------------------------------- */

/* Whether the receiver gave a whole answer. */
static bool is_answer(enum hl_class class)
{
	return class == HL_CLASS_NONE || class == HL_CLASS_HTTP_STATUS || class == HL_CLASS_RECEIVER_SAID_NO;
}

static void write_status(struct hl_jsonw *w, const struct hl_delivery *v)
{
	hl_jsonw_key(w, "statusCode");
	hl_status_write(w, is_answer(v->last_class) ? v->last_http_status : 0);
}

static void write_times(struct hl_jsonw *w, const struct hl_delivery *v)
{
	hl_jsonw_key(w, "attempts");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "deliveredAt");
	hl_jsonw_time(w, v->state == HL_DELIVERY_SUCCEEDED ? v->completed_at_ms : 0);
	hl_jsonw_key(w, "createdAt");
	hl_jsonw_time(w, v->created_at_ms);
}

/* In the webhook's details. */
static void write_short(struct hl_jsonw *w, const struct hl_delivery *v)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "event");
	hl_jsonw_str(w, v->event_type);
	write_status(w, v);
	write_times(w, v);
	hl_jsonw_object_end(w);
}

/* Also of one that ended without an attempt: why. */
static void write_response(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v)
{
	const struct hl_attempt *attempts;
	size_t n = 0;
	hl_jsonw_key(w, "response");
	if (!is_answer(v->last_class))
		hl_jsonw_str(w, hl_dialect_failure(v));
	else if (!hl_delivery_attempts(c->api->dispatcher, c->account, v->number, &attempts, &n) && n)
		hl_jsonw_str(w, attempts[n - 1].response_body);
	else
		hl_jsonw_null(w);
}

static void write_whole(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v)
{
	struct hl_str payload;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "webhookId");
	hl_jsonw_cstr(w, v->webhook_id);
	hl_jsonw_key(w, "event");
	hl_jsonw_str(w, v->event_type);
	hl_jsonw_key(w, "payload");
	if (hl_delivery_payload(c->api->dispatcher, c->account, v->number, &payload))
		hl_jsonw_null(w); /* its event has gone since the delivery was read */
	else
		hl_jsonw_raw(w, payload);
	write_status(w, v);
	write_response(c, w, v);
	write_times(w, v);
	hl_jsonw_object_end(w);
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

static int begin_list(struct hl_call *c, uint32_t webhook, hl_deliveries_cb cb)
{
	struct hl_delivery_query find = {
		.account = c->account, .webhook = webhook, .dialect = -1, .state = -1, .page = c->page,
	};
	c->number = webhook;
	return hl_delivery_list(c->api->dispatcher, &find, cb, c);
}

static void detailed(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_webhook webhook;
	struct hl_jsonw w;
	(void)info;
	if (!status)
		status = hl_dialect_webhook_numbered(c, c->number, &webhook);
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_stellarstack_webhook_members(c, &w, &webhook);
	hl_jsonw_key(&w, "deliveries");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		write_short(&w, &v[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void details(struct hl_call *c)
{
	struct hl_webhook webhook;
	if (!hl_dialect_find_webhook(c, 0, &webhook))
		return;
	c->page = (struct hl_page){ .limit = DETAILS_N };
	int rc = begin_list(c, webhook.number, detailed);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

static void listed(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	size_t i = 0;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "deliveries");
	hl_jsonw_array(&w);
	for (; i < n && c->out.len < HL_DIALECT_PAGE_BYTES; i++)
		write_whole(c, &w, &v[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_key(&w, "total");
	hl_jsonw_u64(&w, info->total);
	hl_jsonw_key(&w, "limit");
	hl_jsonw_u64(&w, i < n ? i : c->page.limit);
	hl_jsonw_key(&w, "offset");
	hl_jsonw_u64(&w, c->page.offset);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

/* What is no number, and what makes no sense, is as good as not given. */
static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "offset" } };
	struct hl_webhook webhook;
	int64_t limit = LIMIT_USUAL, offset = 0;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_dialect_find_webhook(c, 0, &webhook))
		return;
	if (hl_dialect_integer(&q[0], &limit) || limit < 1)
		limit = LIMIT_USUAL;
	if (hl_dialect_integer(&q[1], &offset) || offset < 0)
		offset = 0;
	c->page = (struct hl_page){
		.limit = (uint32_t)HL_MIN(limit, (int64_t)LIMIT_MAX), .offset = (uint32_t)HL_MIN(offset, (int64_t)UINT32_MAX),
		.want_total = true,
	};
	int rc = begin_list(c, webhook.number, listed);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* The delivery in the path, of the webhook in the path. false: answered. */
static bool find(struct hl_call *c, struct hl_delivery *out)
{
	struct hl_webhook webhook;
	if (!hl_dialect_find_webhook(c, 0, &webhook))
		return false;
	int rc = hl_dialect_delivery(c, 1, out);
	if (rc == HL_ENOTFOUND || rc == HL_ESYNTAX || (!rc && out->webhook != webhook.number)) {
		hl_dialect_error(c, 404, NULL, "Delivery not found");
		return false;
	}
	if (rc)
		hl_call_fail(c, rc, NULL);
	return !rc;
}

static void get(struct hl_call *c)
{
	struct hl_delivery v;
	struct hl_jsonw w;
	if (!find(c, &v))
		return;
	hl_call_writer(c, &w);
	write_whole(c, &w, &v);
	hl_call_send(c, 200);
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

/* delivery "" = not shown. */
static void write_outcome(struct hl_call *c, const char *delivery, const struct hl_attempt *a)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "success");
	hl_jsonw_bool(&w, a->succeeded);
	if (delivery[0]) {
		hl_jsonw_key(&w, "deliveryId");
		hl_jsonw_cstr(&w, delivery);
	}
	if (is_answer(a->error_class)) {
		hl_jsonw_key(&w, "statusCode");
		hl_jsonw_u64(&w, a->http_status);
	}
	if (!a->succeeded) {
		char text[20];
		snprintf(text, sizeof(text), "HTTP %u", a->http_status);
		hl_jsonw_key(&w, "error");
		hl_jsonw_str(&w, is_answer(a->error_class) ? hl_str_from(text) : a->error);
	}
	hl_jsonw_object_end(&w);
}

static void retried(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	struct hl_call *c = data;
	if (status) {
		hl_call_fail(c, status == HL_ECONFLICT ? HL_ENOTFOUND : status, NULL);
		return;
	}
	write_outcome(c, v->id, a);
	hl_call_send(c, is_answer(a->error_class) ? 200 : 500);
}

static void retry(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_delivery v;
	if (!find(c, &v))
		return;
	int rc = hl_delivery_retry_new(c->api->dispatcher, c->account, v.number, retried, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void tested(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	struct hl_call *c = data;
	(void)v;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	write_outcome(c, "", a);
	hl_call_send(c, 200);
}

static void test(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_webhook webhook;
	if (!hl_dialect_find_webhook(c, 0, &webhook))
		return;
	int rc = hl_webhook_test(c->api->dispatcher, c->account, webhook.number, HL_STR(""), HL_STR(""), tested, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/{id}", HL_MAY_READ, 0, details, 0 },
	{ HL_METHOD_GET, "/{id}/deliveries", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_GET, "/{id}/deliveries/{deliveryId}", HL_MAY_READ, 0, get, 0 },
	{ HL_METHOD_POST, "/{id}/deliveries/{deliveryId}/retry", HL_MAY_CHANGE, 0, retry, 0 },
	{ HL_METHOD_POST, "/{id}/test", HL_MAY_CHANGE, 0, test, 0 },
};
const struct hl_routes hl_routes_stellarstack_deliveries = { routes, HL_ARRAY_LEN(routes) };

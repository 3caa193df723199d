/* /v1/deliveries: history, one with payload and attempts, retry, cancel.
 *
 * A new try that is waited for is work with an answer that comes late; its idempotency key is therefore held by the
 * service (answers.h) and the answer kept when the attempt has ended. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

static struct hl_webhook_scope scope_of(const struct hl_call *c)
{
	return (struct hl_webhook_scope){ .api = c->api, .account = c->account };
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

static void listed(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		hl_delivery_write(&w, &scope, &v[i]);
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, info);
}

/* A webhook or event that is not the account's has no deliveries to show. */
static bool own(struct hl_call *c, uint32_t webhook, uint64_t event)
{
	struct hl_webhook w;
	struct hl_event e;
	return (!webhook || !hl_webhook_get(c->api->dispatcher, c->account, webhook, true, &w)) &&
			(!event || !hl_event_get(c->api->dispatcher, c->account, event, &e));
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = {
		{ "webhook" }, { "event" }, { "type" }, { "status" }, { "since" }, { "until" }, { "limit" }, { "cursor" },
	};
	struct hl_delivery_query find = { .account = c->account, .dialect = -1, .state = -1 };
	uint64_t webhook;
	bool known_webhook, known_event;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_id(c, &q[0], HL_ID_WEBHOOK, &webhook, &known_webhook) ||
			!hl_query_id(c, &q[1], HL_ID_EVENT, &find.event, &known_event) ||
			!hl_query_word(c, &q[2], HL_EVENT_TYPE_MAX, &find.type) ||
			!hl_query_name(c, &q[3], hl_delivery_state_parse, "pending, succeeded, failed, cancelled", &find.state) ||
			!hl_query_time(c, &q[4], &find.since_ms) || !hl_query_time(c, &q[5], &find.until_ms) ||
			!hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	find.webhook = (uint32_t)webhook;
	find.page = c->page;
	if (!known_webhook || !known_event || !own(c, find.webhook, find.event)) {
		hl_page_empty(c);
		return;
	}
	int rc = hl_delivery_list(c->api->dispatcher, &find, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void write_detail(struct hl_call *c, const struct hl_delivery *v, struct hl_str body, const struct hl_attempt *attempts,
		size_t n)
{
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_delivery_members(&w, &scope, v);
	hl_jsonw_key(&w, "attempts");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		hl_attempt_write(&w, &attempts[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_key(&w, "payload");
	if (body.len)
		hl_jsonw_raw(&w, body);
	else
		hl_jsonw_null(&w);
	hl_jsonw_object_end(&w);
}

static void get(struct hl_call *c)
{
	struct hl_delivery v;
	const struct hl_attempt *attempts = NULL;
	size_t n = 0;
	struct hl_str body = HL_STR("");
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_DELIVERY, &number))
		return;
	int rc = hl_delivery_get(c->api->dispatcher, c->account, number, &v);
	if (!rc)
		rc = hl_delivery_attempts(c->api->dispatcher, c->account, number, &attempts, &n);
	if (!rc) {
		rc = hl_delivery_body(c->api->dispatcher, c->account, number, &body);
		if (rc == HL_ENOTFOUND) { /* the webhook's rows have gone: the delivery still tells its story */
			rc = HL_OK;
			body = HL_STR("");
		}
	}
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	write_detail(c, &v, body, attempts, n);
	hl_call_send(c, 200);
}

/* ---- retry and cancel --------------------------------------------------------------------------------------------- */

static void changed(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, err);
		return;
	}
	hl_call_writer(c, &w);
	hl_delivery_write(&w, &scope, v);
	hl_call_send(c, 200);
}

static void tried(void *data, int status, const struct hl_delivery *v, const struct hl_attempt *a)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = scope_of(c);
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "success");
	hl_jsonw_bool(&w, a->succeeded);
	hl_jsonw_key(&w, "http_status");
	hl_status_write(&w, a->http_status);
	hl_jsonw_key(&w, "delivery");
	hl_delivery_write(&w, &scope, v);
	hl_jsonw_key(&w, "attempt");
	hl_attempt_write(&w, a);
	hl_jsonw_object_end(&w);
	hl_call_send_held(c);
}

static void retry_new(struct hl_call *c, uint64_t number)
{
	struct hl_err err = { .code = 0 };
	if (!hl_call_hold(c))
		return;
	int rc = hl_delivery_retry_new(c->api->dispatcher, c->account, number, tried, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void retry(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f[] = { { .name = "new", .types = HL_T_BOOL }, { .name = "wait", .types = HL_T_BOOL } };
	bool new = false, wait = false;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_DELIVERY, &number))
		return;
	int rc = hl_read_object(&r, c->body, true, f, HL_ARRAY_LEN(f));
	if (rc || (rc = hl_read_bool(&r, &f[0], &new)) || (rc = hl_read_bool(&r, &f[1], &wait))) {
		hl_call_fail(c, rc, &err);
		return;
	}
	if (new != wait) {
		hl_call_fail(c, hl_read_fail(&r, &f[1], "\"new\" and \"wait\" come together: a new try is answered when its attempt "
				"has ended"), &err);
		return;
	}
	if (new) {
		retry_new(c, number);
		return;
	}
	rc = hl_delivery_retry(c->api->dispatcher, c->account, number, changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void cancel(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_DELIVERY, &number))
		return;
	int rc = hl_read_object(&r, c->body, true, NULL, 0);
	if (!rc)
		rc = hl_delivery_cancel(c->api->dispatcher, c->account, number, changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/deliveries", HL_SCOPE_READ, 0, list },
	{ HL_METHOD_GET, "/deliveries/{delivery}", HL_SCOPE_READ, 0, get },
	{ HL_METHOD_POST, "/deliveries/{delivery}/retry", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY | HL_ROUTE_IDEMPOTENT, retry },
	{ HL_METHOD_POST, "/deliveries/{delivery}/cancel", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY, cancel },
};
const struct hl_routes hl_routes_deliveries = { routes, HL_ARRAY_LEN(routes) };

/* What can be done with a webhook besides changing it: rotate its secret, test, verify, recover, look at its numbers. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "api/stats_json.h"
#include "base/defs.h"
#include "base/str.h"

/* Every action names the webhook in its path and takes no query. false: answered. */
static bool begin(struct hl_call *c, uint32_t *out_webhook)
{
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_WEBHOOK, &number))
		return false;
	*out_webhook = (uint32_t)number;
	return true;
}

/* ---- rotate-secret ------------------------------------------------------------------------------------------------ */

static struct hl_str write_rotated(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = { .api = c->api, .account = c->account };
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_webhook_write(&w, &scope, object, secret);
	return hl_buf_all(&c->out);
}

static void rotate(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f[] = {
		{ .name = "secret", .types = HL_T_STRING | HL_T_NULL },
		{ .name = "overlap", .types = HL_T_NUMBER | HL_T_NULL },
	};
	struct hl_str secret = HL_STR("");
	uint32_t webhook, overlap_s = UINT32_MAX;
	if (!begin(c, &webhook))
		return;
	int rc = hl_read_object(&r, c->body, true, f, HL_ARRAY_LEN(f));
	if (!rc)
		rc = hl_read_text(&r, &f[0], HL_SECRET_TEXT_MAX, &secret);
	if (!rc && f[1].value.type != HL_JSON_NULL)
		rc = hl_read_u32(&r, &f[1], 0, 604800, &overlap_s);
	if (!rc)
		rc = hl_webhook_rotate(c->api->dispatcher, c->account, webhook, overlap_s, secret, hl_call_expect(c, 200, write_rotated),
				hl_call_webhook_changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- test and verify ---------------------------------------------------------------------------------------------- */

static void tested(void *data, int status, const struct hl_delivery *delivery, const struct hl_attempt *a)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)delivery;
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
	hl_jsonw_key(&w, "attempt");
	hl_attempt_write(&w, a);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void test(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f[] = {
		{ .name = "type", .types = HL_T_STRING | HL_T_NULL },
		{ .name = "data", .types = HL_T_ANY },
	};
	struct hl_str type = HL_STR("");
	uint32_t webhook;
	if (!begin(c, &webhook))
		return;
	int rc = hl_read_object(&r, c->body, true, f, HL_ARRAY_LEN(f));
	if (!rc)
		rc = hl_read_text(&r, &f[0], HL_EVENT_TYPE_MAX, &type);
	if (!rc && type.len && !hl_word_valid(type, HL_EVENT_TYPE_MAX))
		rc = hl_read_fail(&r, &f[0], "must be 1 to %d of A-Z a-z 0-9 _ . -", HL_EVENT_TYPE_MAX);
	if (!rc)
		rc = hl_webhook_test(c->api->dispatcher, c->account, webhook, type, f[1].seen ? f[1].value.raw : HL_STR(""), tested,
				c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void verified(void *data, int status, const struct hl_verify *v)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "success");
	hl_jsonw_bool(&w, v->attempt && v->attempt->succeeded);
	hl_jsonw_key(&w, "url_allowed");
	hl_jsonw_bool(&w, v->url_allowed);
	hl_jsonw_key(&w, "address");
	hl_text_or_null(&w, v->address);
	hl_jsonw_key(&w, "attempt");
	if (v->attempt)
		hl_attempt_write(&w, v->attempt);
	else
		hl_jsonw_null(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void verify(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	uint32_t webhook;
	if (!begin(c, &webhook))
		return;
	int rc = hl_read_object(&r, c->body, true, NULL, 0);
	if (!rc)
		rc = hl_webhook_verify(c->api->dispatcher, c->account, webhook, verified, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- recover ------------------------------------------------------------------------------------------------------ */

/* All but "none", which no failed delivery has. */
static int class_parse(struct hl_str text)
{
	for (int i = HL_CLASS_NONE + 1; i < HL_CLASS_N; i++)
		if (hl_str_eq(text, hl_str_from(hl_class_name((enum hl_class)i))))
			return i;
	return -1;
}

#define HL_X(number, name, text, sentence) ", " text
static const char classes[] = HL_CLASS_TABLE(HL_X);
#undef HL_X

static void recovered(void *data, int status, uint64_t n)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "matching");
	hl_jsonw_u64(&w, n);
	hl_jsonw_key(&w, "dry_run");
	hl_jsonw_bool(&w, c->flag);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 202);
}

static void recover(struct hl_call *c)
{
	enum { SINCE, UNTIL, TYPE, CLASS, DRY, N };
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f[N] = {
		[SINCE] = { .name = "since", .types = HL_T_STRING | HL_T_NULL },
		[UNTIL] = { .name = "until", .types = HL_T_STRING | HL_T_NULL },
		[TYPE] = { .name = "type", .types = HL_T_STRING | HL_T_NULL },
		[CLASS] = { .name = "error_class", .types = HL_T_STRING | HL_T_NULL },
		[DRY] = { .name = "dry_run", .types = HL_T_BOOL },
	};
	struct hl_recover what = { .type = HL_STR(""), .error_class = -1 };
	if (!begin(c, &what.webhook))
		return;
	int rc = hl_read_object(&r, c->body, true, f, N);
	if (rc || (rc = hl_read_time(&r, &f[SINCE], &what.since_ms)) || (rc = hl_read_time(&r, &f[UNTIL], &what.until_ms)) ||
			(rc = hl_read_text(&r, &f[TYPE], HL_EVENT_TYPE_MAX, &what.type)) ||
			(rc = hl_read_bool(&r, &f[DRY], &what.dry_run))) {
		hl_call_fail(c, rc, &err);
		return;
	}
	if (f[CLASS].seen && f[CLASS].value.type != HL_JSON_NULL)
		rc = hl_read_name(&r, &f[CLASS], class_parse, classes + sizeof(", none, ") - 1, &what.error_class);
	c->flag = what.dry_run;
	if (!rc)
		rc = hl_webhook_recover(c->api->dispatcher, c->account, &what, recovered, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- stats -------------------------------------------------------------------------------------------------------- */

static void stats(struct hl_call *c)
{
	struct hl_webhook v;
	struct hl_webhook_stats s;
	struct hl_jsonw w;
	uint32_t webhook;
	if (!begin(c, &webhook))
		return;
	int rc = hl_webhook_get(c->api->dispatcher, c->account, webhook, false, &v);
	if (!rc)
		rc = hl_webhook_stats(c->api->dispatcher, c->account, webhook, &s);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "webhook_id");
	hl_jsonw_cstr(&w, v.id);
	hl_jsonw_key(&w, "deliveries");
	hl_states_write(&w, s.by_state);
	hl_pending_members(&w, &v, &s, hl_env_wall_ms(c->api->env));
	hl_jsonw_key(&w, "concurrency");
	hl_tenths_write(&w, s.concurrency * 10);
	hl_jsonw_key(&w, "last_attempt_at");
	hl_jsonw_time(&w, s.last_attempt_at_ms);
	hl_jsonw_key(&w, "last_success_at");
	hl_jsonw_time(&w, s.last_success_at_ms);
	hl_jsonw_key(&w, "last_failure_at");
	hl_jsonw_time(&w, s.last_failure_at_ms);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_POST, "/webhooks/{webhook}/rotate-secret", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY | HL_ROUTE_IDEMPOTENT, rotate },
	{ HL_METHOD_POST, "/webhooks/{webhook}/test", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY, test },
	{ HL_METHOD_POST, "/webhooks/{webhook}/verify", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY, verify },
	{ HL_METHOD_POST, "/webhooks/{webhook}/recover", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY, recover },
	{ HL_METHOD_GET, "/webhooks/{webhook}/stats", HL_SCOPE_READ, 0, stats },
};
const struct hl_routes hl_routes_webhook_actions = { routes, HL_ARRAY_LEN(routes) };

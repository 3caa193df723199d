/* /v1/alerts: the rules over market prices of the account acted for, whichever API made them, and what fired. */
#include "api/alert_batch.h"
#include "api/alert_events.h"
#include "api/alert_json.h"
#include "api/auth.h"
#include "api/delivery_json.h"
#include "api/market_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret;
	hl_call_writer(c, &w);
	hl_alert_write(&w, object);
	return hl_buf_all(&c->out);
}

static void changed(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r)
{
	struct hl_change_result result = { .object = NULL, .secret = HL_STR("") };
	if (r) {
		result.object = r->alert;
		result.replayed = r->replayed;
		result.answer = r->answer;
	}
	hl_call_changed(data, status, err, &result);
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

static void listed(void *data, int status, const struct hl_alert *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++)
		hl_alert_write(&w, &v[i]);
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, info);
}

#define DIALECTS "hookline, cs2cap, aboutyou, stellarstack, bitnob"

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "dialect" }, { "search" }, { "limit" }, { "cursor" } };
	struct hl_alert_query find = { .account = c->account, .dialect = -1 };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_name(c, &q[0], hl_dialect_parse, DIALECTS, &find.dialect) ||
			!hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	find.search = q[1].value;
	find.page = c->page;
	int rc = hl_alert_list(c->api->alerts, &find, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void get(struct hl_call *c)
{
	struct hl_alert v;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_ALERT, &number))
		return;
	int rc = hl_alert_get(c->api->alerts, c->account, -1, number, &v);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	write_one(c, &v, HL_STR(""));
	hl_call_send(c, 200);
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_alert_gate gate;
	struct hl_alert_input in;
	if (!hl_query_none(c))
		return;
	int rc = hl_alert_read(c, &r, c->body, NULL, &in);
	if (!rc)
		rc = hl_alert_gate_of(c, &gate);
	if (!rc)
		rc = hl_alert_create(c->api->alerts, &in.v, &gate, hl_call_expect(c, 201, write_one), changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_alert_gate gate;
	struct hl_alert_input in;
	struct hl_alert now;
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_ALERT, &number))
		return;
	int rc = hl_alert_get(c->api->alerts, c->account, -1, number, &now);
	if (!rc)
		rc = hl_alert_read(c, &r, c->body, &now, &in);
	if (!rc && !in.fields) {
		write_one(c, &now, HL_STR(""));
		hl_call_send(c, 200);
		return;
	}
	hl_call_expect(c, 200, write_one);
	if (!rc)
		rc = hl_alert_gate_of(c, &gate);
	if (!rc)
		rc = hl_alert_update(c->api->alerts, c->account, -1, number, in.fields, &in.v, &gate, changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static void delete(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	uint64_t number;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_ALERT, &number))
		return;
	hl_call_expect(c, 204, NULL);
	int rc = hl_alert_delete(c->api->alerts, c->account, -1, number, changed, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- many --------------------------------------------------------------------------------------------------------- */

static void write_entry(struct hl_jsonw *w, size_t index, const struct hl_alert_batch_entry *e)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "index");
	hl_jsonw_u64(w, index);
	hl_jsonw_key(w, "status");
	if (e->status) {
		struct hl_problem p = hl_problem_from(e->status, &e->err);
		hl_jsonw_u64(w, hl_problem_status(&p));
		hl_problem_members(w, &p);
	} else {
		hl_jsonw_u64(w, 201);
		hl_jsonw_key(w, "alert");
		hl_alert_write(w, &e->alert);
	}
	hl_jsonw_object_end(w);
}

static void batch_write(struct hl_alert_batch *b)
{
	struct hl_call *c = b->call;
	struct hl_jsonw w;
	size_t made = hl_alert_batch_made(b);
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "created");
	hl_jsonw_u64(&w, made);
	hl_jsonw_key(&w, "failed");
	hl_jsonw_u64(&w, b->n - made);
	hl_jsonw_key(&w, "results");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < b->n; i++)
		write_entry(&w, i, &b->v[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
}

static void batch_answer(struct hl_alert_batch *b, int status, const struct hl_err *err)
{
	struct hl_call *c = b->call;
	if (status) {
		hl_call_fail(c, status, err);
	} else if (b->kept.ptr) {
		hl_call_replay(c, 200, b->kept);
	} else {
		batch_write(b);
		hl_call_send(c, 200);
	}
}

/* false: answered. */
static bool read_list(struct hl_call *c, struct hl_json *out, size_t *out_n)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f = { .name = "alerts", .types = HL_T_ARRAY, .required = true };
	struct hl_json_iter it;
	size_t n = 0;
	int rc = hl_read_object(&r, c->body, false, &f, 1);
	if (!rc) {
		for (hl_json_each(&it, f.value); n <= HL_ALERT_BATCH_MAX && hl_json_next(&it);)
			n++;
		if (n < 1 || n > HL_ALERT_BATCH_MAX)
			rc = hl_read_fail(&r, &f, "must have 1 to %d entries", HL_ALERT_BATCH_MAX);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
	*out = f.value;
	*out_n = n;
	return !rc;
}

static void create_batch(struct hl_call *c)
{
	struct hl_alert_gate gate;
	struct hl_json_iter it;
	struct hl_json list;
	size_t n, i = 0;
	if (!hl_query_none(c))
		return;
	if (!hl_auth_tier(c)->batch) {
		hl_call_problem_kind(c, HL_PROBLEM_NOT_IN_TIER);
		return;
	}
	if (!read_list(c, &list, &n))
		return;
	struct hl_alert_batch *b = hl_alert_batch_new(c, n, batch_answer);
	int rc = b ? hl_alert_gate_of(c, &gate) : HL_ENOMEM;
	if (rc) {
		if (b)
			hl_alert_batch_free(b);
		hl_call_fail(c, rc, NULL);
		return;
	}
	b->write = batch_write;
	for (hl_json_each(&it, list); hl_json_next(&it); i++) {
		struct hl_reader r = hl_call_reader(c, &b->v[i].err);
		struct hl_alert_input in;
		b->v[i].status = hl_alert_read(c, &r, it.value.raw, NULL, &in);
		b->v[i].alert = in.v;
	}
	hl_alert_batch_go(b, &gate);
}

/* ---- what fired --------------------------------------------------------------------------------------------------- */

static void write_event(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e)
{
	(void)c;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, e->id);
	hl_jsonw_key(w, "alert_id");
	hl_jsonw_cstr(w, e->alert_id);
	hl_jsonw_key(w, "dialect");
	hl_jsonw_cstr(w, hl_dialect_name(e->dialect));
	hl_jsonw_key(w, "kind");
	hl_jsonw_cstr(w, hl_alert_kind_name(e->kind));
	hl_alert_item_write(w, &e->item);
	hl_jsonw_key(w, "threshold");
	hl_decimal_write(w, e->threshold);
	hl_jsonw_key(w, "currency");
	hl_currency_write(w, e->currency);
	hl_jsonw_key(w, "triggered");
	hl_decimal_write(w, e->triggered);
	hl_jsonw_key(w, "best_ask");
	hl_market_cents_write(w, e->best_ask);
	hl_jsonw_key(w, "best_bid");
	hl_market_cents_write(w, e->best_bid);
	hl_jsonw_key(w, "reason");
	hl_jsonw_str(w, e->reason);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, e->created_at_ms);
	hl_jsonw_key(w, "deliveries");
	hl_jsonw_array(w);
}

/* v NULL: the mail that did not go. */
static void write_delivery_row(struct hl_jsonw *w, const struct hl_delivery *v, hl_ms_t created_at_ms)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "channel");
	hl_jsonw_cstr(w, v ? "webhook" : "email");
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, v ? hl_delivery_state_name(v->state) : "skipped");
	hl_jsonw_key(w, "delivery_id");
	hl_text_or_null(w, hl_str_from(v ? v->id : ""));
	hl_jsonw_key(w, "webhook_id");
	hl_text_or_null(w, hl_str_from(v ? v->webhook_id : ""));
	hl_jsonw_key(w, "attempt_count");
	if (v)
		hl_jsonw_u64(w, v->n_attempts);
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "last_http_status");
	hl_status_write(w, v ? v->last_http_status : 0);
	hl_jsonw_key(w, "last_error");
	hl_class_write(w, v ? v->last_class : HL_CLASS_NONE, v ? v->last_error : HL_STR(""));
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, v ? v->next_at_ms : 0);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, created_at_ms);
	hl_jsonw_object_end(w);
}

static void write_delivery(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v)
{
	(void)c;
	write_delivery_row(w, v, v->created_at_ms);
}

static void write_event_end(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e)
{
	(void)c;
	if (e->email == HL_ALERT_EMAIL_SKIPPED)
		write_delivery_row(w, NULL, e->created_at_ms);
	hl_jsonw_array_end(w);
	hl_jsonw_object_end(w);
}

static void write_events_end(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *v, size_t n,
		const struct hl_page_info *info)
{
	hl_page_end(c, w, n ? v[0].event : 0, n ? v[n - 1].event : 0, info);
}

static void events(struct hl_call *c)
{
	static const struct hl_alert_events_shape shape = {
		.dialect = -1, .begin = hl_page_begin, .event = write_event, .delivery = write_delivery,
		.event_end = write_event_end, .end = write_events_end,
	};
	struct hl_query q[] = { { "alert" }, { "dialect" }, { "limit" }, { "cursor" } };
	struct hl_alert_event_query find = { .account = c->account, .dialect = -1 };
	bool known;
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_id(c, &q[0], HL_ID_ALERT, &find.alert, &known) ||
			!hl_query_name(c, &q[1], hl_dialect_parse, DIALECTS, &find.dialect) || !hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	find.page = c->page;
	if (known)
		hl_alert_events_answer(c, &find, &shape);
	else
		hl_page_empty(c);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/alerts", HL_SCOPE_READ, 0, list, 0 },
	{ HL_METHOD_POST, "/alerts", HL_SCOPE_MANAGE, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create, 0 },
	{ HL_METHOD_POST, "/alerts/batch", HL_SCOPE_MANAGE, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, create_batch, 0 },
	{ HL_METHOD_GET, "/alerts/events", HL_SCOPE_READ, 0, events, 0 },
	{ HL_METHOD_GET, "/alerts/{alert}", HL_SCOPE_READ, 0, get, 0 },
	{ HL_METHOD_PATCH, "/alerts/{alert}", HL_SCOPE_MANAGE, HL_ROUTE_BODY, patch, 0 },
	{ HL_METHOD_DELETE, "/alerts/{alert}", HL_SCOPE_MANAGE, 0, delete, 0 },
};
const struct hl_routes hl_routes_alerts = { routes, HL_ARRAY_LEN(routes) };

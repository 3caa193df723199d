/* Dialect cs2cap, GET /account/alerts/events: what fired, with a row for every webhook it went to and one for the mail. */
#include "api/alert_events.h"
#include "api/alert_json.h"
#include "api/delivery_json.h"
#include "api/dialects/cs2cap.h"
#include "base/defs.h"
#include "base/str.h"

enum { EVENTS_USUAL = 50, EVENTS_MAX = 100 };

static void begin(struct hl_call *c, struct hl_jsonw *w)
{
	hl_call_writer(c, w);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "events");
	hl_jsonw_array(w);
}

static void event(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e)
{
	(void)c;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, e->id);
	hl_jsonw_key(w, "alert_id");
	hl_jsonw_cstr(w, e->alert_id);
	hl_jsonw_key(w, "kind");
	hl_jsonw_cstr(w, hl_alert_kind_name(e->kind));
	hl_alert_item_write(w, &e->item);
	hl_jsonw_key(w, "triggered_value");
	hl_decimal_write(w, e->triggered);
	hl_jsonw_key(w, "triggered_currency");
	hl_currency_write(w, e->currency);
	hl_jsonw_key(w, "reason");
	hl_text_or_null(w, e->reason);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, e->created_at_ms);
	hl_jsonw_key(w, "deliveries");
	hl_jsonw_array(w);
}

static void delivery(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v)
{
	struct hl_webhook then;
	hl_dialect_snapshot(c, v, &then);
	hl_jsonw_object(w);
	hl_jsonw_key(w, "channel");
	hl_jsonw_cstr(w, "webhook");
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, hl_cs2cap_status(v->state));
	hl_jsonw_key(w, "delivery_id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "endpoint_id");
	hl_jsonw_cstr(w, v->webhook_id);
	hl_jsonw_key(w, "endpoint_label");
	hl_jsonw_str(w, then.name);
	hl_jsonw_key(w, "platform");
	hl_jsonw_cstr(w, hl_cs2cap_platform(then.format));
	hl_jsonw_key(w, "attempt_count");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "last_http_status");
	hl_status_write(w, v->last_http_status);
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, hl_dialect_next_at(c, v));
	hl_jsonw_key(w, "error");
	hl_cs2cap_error_write(w, v);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_object_end(w);
}

static void mail(struct hl_jsonw *w, hl_ms_t created_at_ms)
{
	static const char *const nothing[] = {
		"delivery_id", "endpoint_id", "endpoint_label", "platform", "attempt_count", "last_http_status", "next_attempt_at",
		"error",
	};
	hl_jsonw_object(w);
	hl_jsonw_key(w, "channel");
	hl_jsonw_cstr(w, "email");
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, "skipped");
	for (size_t i = 0; i < HL_ARRAY_LEN(nothing); i++) {
		hl_jsonw_key(w, nothing[i]);
		hl_jsonw_null(w);
	}
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, created_at_ms);
	hl_jsonw_object_end(w);
}

static void event_end(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e)
{
	(void)c;
	if (e->email == HL_ALERT_EMAIL_SKIPPED)
		mail(w, e->created_at_ms);
	hl_jsonw_array_end(w);
	hl_jsonw_object_end(w);
}

static void end(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *v, size_t n,
		const struct hl_page_info *info)
{
	(void)v;
	hl_jsonw_array_end(w);
	hl_cs2cap_pagination_write(c, w, n, info->total);
	hl_jsonw_object_end(w);
	hl_call_send(c, 200);
}

void hl_cs2cap_alert_events(struct hl_call *c)
{
	static const struct hl_alert_events_shape shape = {
		.dialect = HL_DIALECT_CS2CAP, .begin = begin, .event = event, .delivery = delivery, .event_end = event_end, .end = end,
	};
	struct hl_query q[] = { { "limit" }, { "offset" } };
	struct hl_alert_event_query find = { .account = c->account, .dialect = HL_DIALECT_CS2CAP };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_dialect_offset_page(c, &q[0], &q[1], EVENTS_USUAL, EVENTS_MAX))
		return;
	find.page = c->page;
	hl_alert_events_answer(c, &find, &shape);
}

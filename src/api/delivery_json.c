/* Writers only; every member is always there, null when there is nothing to say. */
#include "api/delivery_json.h"

#include "base/str.h"

void hl_status_write(struct hl_jsonw *w, unsigned status)
{
	if (status)
		hl_jsonw_u64(w, status);
	else
		hl_jsonw_null(w);
}

void hl_text_or_null(struct hl_jsonw *w, struct hl_str s)
{
	if (s.len)
		hl_jsonw_str(w, s);
	else
		hl_jsonw_null(w);
}

void hl_class_write(struct hl_jsonw *w, enum hl_class class, struct hl_str message)
{
	if (class == HL_CLASS_NONE) {
		hl_jsonw_null(w);
		return;
	}
	hl_jsonw_object(w);
	hl_jsonw_key(w, "class");
	hl_jsonw_cstr(w, hl_class_name(class));
	hl_jsonw_key(w, "message");
	hl_jsonw_str(w, message.len ? message : hl_str_from(hl_class_sentence(class)));
	hl_jsonw_object_end(w);
}

void hl_states_write(struct hl_jsonw *w, const uint64_t by_state[HL_DELIVERY_STATE_N])
{
	hl_jsonw_object(w);
	for (int i = 0; i < HL_DELIVERY_STATE_N; i++) {
		hl_jsonw_key(w, hl_delivery_state_name((enum hl_delivery_state)i));
		hl_jsonw_u64(w, by_state[i]);
	}
	hl_jsonw_object_end(w);
}

void hl_event_members(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_event *e)
{
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, e->id);
	hl_jsonw_key(w, "type");
	hl_jsonw_str(w, e->type);
	hl_jsonw_key(w, "external_id");
	hl_text_or_null(w, e->external_id);
	hl_jsonw_key(w, "server");
	hl_server_id_write(w, scope, e->server);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, e->created_at_ms);
	hl_jsonw_key(w, "occurred_at");
	hl_jsonw_time(w, e->occurred_at_ms);
	hl_jsonw_key(w, "deliver_after");
	hl_jsonw_time(w, e->deliver_after_ms);
	hl_jsonw_key(w, "expires_at");
	hl_jsonw_time(w, e->expires_at_ms);
	hl_jsonw_key(w, "deliveries");
	hl_jsonw_u64(w, e->n_deliveries);
}

static void write_retry_of(struct hl_jsonw *w, const struct hl_webhook_scope *scope, uint64_t number)
{
	struct hl_delivery old;
	if (number && !hl_delivery_get(scope->api->dispatcher, scope->account, number, &old))
		hl_jsonw_cstr(w, old.id);
	else
		hl_jsonw_null(w);
}

void hl_delivery_members(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_delivery *v)
{
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "event_id");
	hl_jsonw_cstr(w, v->event_id);
	hl_jsonw_key(w, "event_type");
	hl_jsonw_str(w, v->event_type);
	hl_jsonw_key(w, "webhook_id");
	hl_jsonw_cstr(w, v->webhook_id);
	hl_jsonw_key(w, "webhook_revision");
	hl_jsonw_u64(w, v->webhook_revision);
	hl_jsonw_key(w, "dialect");
	hl_jsonw_cstr(w, hl_dialect_name(v->dialect));
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, hl_delivery_state_name(v->state));
	hl_jsonw_key(w, "single_shot");
	hl_jsonw_bool(w, v->single_shot);
	hl_jsonw_key(w, "attempt_count");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "last_http_status");
	hl_status_write(w, v->last_http_status);
	hl_jsonw_key(w, "last_error");
	hl_class_write(w, v->last_class, v->last_error);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "window_from");
	hl_jsonw_time(w, v->window_from_ms);
	hl_jsonw_key(w, "window_until");
	hl_jsonw_time(w, v->window_until_ms);
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, v->next_at_ms);
	hl_jsonw_key(w, "completed_at");
	hl_jsonw_time(w, v->completed_at_ms);
	hl_jsonw_key(w, "retry_of");
	write_retry_of(w, scope, v->retry_of);
}

void hl_delivery_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_delivery *v)
{
	hl_jsonw_object(w);
	hl_delivery_members(w, scope, v);
	hl_jsonw_object_end(w);
}

static void write_phase(struct hl_jsonw *w, const char *name, int32_t ms)
{
	hl_jsonw_key(w, name);
	if (ms < 0)
		hl_jsonw_null(w);
	else
		hl_jsonw_i64(w, ms);
}

void hl_attempt_write(struct hl_jsonw *w, const struct hl_attempt *a)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "number");
	hl_jsonw_u64(w, a->number);
	hl_jsonw_key(w, "trigger");
	hl_jsonw_cstr(w, hl_trigger_name(a->trigger));
	hl_jsonw_key(w, "started_at");
	hl_jsonw_time(w, a->started_at_ms);
	hl_jsonw_key(w, "outcome");
	hl_jsonw_cstr(w, a->succeeded ? "succeeded" : "failed");
	hl_jsonw_key(w, "http_status");
	hl_status_write(w, a->http_status);
	hl_jsonw_key(w, "error");
	hl_class_write(w, a->error_class, a->error);
	hl_jsonw_key(w, "response_body");
	if (a->http_status)
		hl_jsonw_str(w, a->response_body);
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "address");
	hl_text_or_null(w, a->address);
	hl_jsonw_key(w, "tls");
	hl_text_or_null(w, a->tls);
	hl_jsonw_key(w, "times_ms");
	hl_jsonw_object(w);
	write_phase(w, "dns", a->dns_ms);
	write_phase(w, "connect", a->connect_ms);
	write_phase(w, "tls", a->tls_ms);
	write_phase(w, "first_byte", a->first_byte_ms);
	write_phase(w, "total", a->total_ms);
	hl_jsonw_object_end(w);
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, a->next_at_ms);
	hl_jsonw_object_end(w);
}

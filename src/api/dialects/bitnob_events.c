/* Dialect bitnob: event types, and the deliveries of all webhooks of the account, which this API calls events.
 *
 * An event shows the message as it is sent, so a page of large ones is cut short by size; its cursors go on from where it
 * was cut. A retry makes the same delivery due again and answers at once. */
#include "api/dialects/bitnob.h"

#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

enum { ATTEMPTS_USUAL = 49 }; /* of an hourly schedule over 48 hours */

/* ---- event types -------------------------------------------------------------------------------------------------- */

static void write_type(struct hl_jsonw *w, const struct hl_event_type *t)
{
	struct hl_str name = t->title.len ? t->title : t->name;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "object");
	hl_jsonw_cstr(w, "event_type");
	hl_jsonw_key(w, "type");
	hl_jsonw_str(w, t->name);
	hl_jsonw_key(w, "value");
	hl_jsonw_str(w, t->name);
	hl_jsonw_key(w, "category");
	hl_jsonw_str(w, t->dialect_categories[HL_DIALECT_BITNOB]);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, name);
	hl_jsonw_key(w, "label");
	hl_jsonw_str(w, name);
	hl_jsonw_key(w, "description");
	hl_jsonw_str(w, t->description);
	hl_jsonw_object_end(w);
}

static void list_types(struct hl_call *c)
{
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
	hl_jsonw_key(&w, "object");
	hl_jsonw_cstr(&w, "list");
	hl_jsonw_key(&w, "data");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		write_type(&w, &v[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

/* ---- the event object --------------------------------------------------------------------------------------------- */

static const char *status_name(enum hl_delivery_state s)
{
	if (s == HL_DELIVERY_PENDING)
		return "pending";
	return s == HL_DELIVERY_SUCCEEDED ? "delivered" : "failed";
}

static int status_parse(struct hl_str text)
{
	static const enum hl_delivery_state states[] = { HL_DELIVERY_PENDING, HL_DELIVERY_SUCCEEDED, HL_DELIVERY_FAILED };
	for (size_t i = 0; i < HL_ARRAY_LEN(states); i++)
		if (hl_str_eq(text, hl_str_from(status_name(states[i]))))
			return (int)states[i];
	return -1;
}

/* When something last happened to it: its end, its latest attempt, its being queued again. */
static hl_ms_t updated_at(struct hl_call *c, const struct hl_delivery *v)
{
	const struct hl_attempt *a;
	size_t n;
	if (v->completed_at_ms)
		return v->completed_at_ms;
	if (!v->n_attempts || hl_delivery_attempts(c->api->dispatcher, c->account, v->number, &a, &n) || !n)
		return v->created_at_ms;
	hl_ms_t tried_at_ms = a[n - 1].started_at_ms + HL_MAX(a[n - 1].total_ms, 0);
	return HL_MAX(tried_at_ms, v->window_from_ms);
}

static void time_unless_0(struct hl_jsonw *w, const char *name, hl_ms_t at_ms)
{
	if (!at_ms)
		return;
	hl_jsonw_key(w, name);
	hl_jsonw_time(w, at_ms);
}

static void twice(struct hl_jsonw *w, const char *name, const char *alias, struct hl_str text)
{
	hl_jsonw_key(w, name);
	hl_jsonw_str(w, text);
	hl_jsonw_key(w, alias);
	hl_jsonw_str(w, text);
}

static void write_event(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v, struct hl_str payload)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "object");
	hl_jsonw_cstr(w, "webhook_event");
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "webhook_id");
	hl_jsonw_cstr(w, v->webhook_id);
	twice(w, "event_type", "type", v->event_type);
	twice(w, "status", "delivery_status", hl_str_from(status_name(v->state)));
	hl_jsonw_key(w, "attempts");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "delivery_attempts");
	hl_jsonw_u64(w, v->n_attempts);
	hl_jsonw_key(w, "max_attempts");
	hl_jsonw_u64(w, HL_MAX(v->n_attempts, (uint32_t)ATTEMPTS_USUAL));
	hl_jsonw_key(w, "http_status_code");
	hl_jsonw_u64(w, v->last_http_status);
	hl_jsonw_key(w, "error_message");
	hl_jsonw_str(w, hl_dialect_failure(v));
	hl_jsonw_key(w, "payload");
	hl_jsonw_raw(w, payload);
	time_unless_0(w, "next_attempt_at", hl_dialect_next_at(c, v));
	time_unless_0(w, "delivered_at", v->state == HL_DELIVERY_SUCCEEDED ? v->completed_at_ms : 0);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, updated_at(c, v));
	hl_jsonw_object_end(w);
}

/* The message of a delivery; an empty object once nothing is left to make it from. */
static int payload_of(struct hl_call *c, const struct hl_delivery *v, struct hl_str *out)
{
	int rc = hl_delivery_payload(c->api->dispatcher, c->account, v->number, out);
	if (rc != HL_ENOTFOUND)
		return rc;
	*out = HL_STR("{}");
	return HL_OK;
}

/* ---- the listing -------------------------------------------------------------------------------------------------- */

/* Rows [*from, *upto) have room in one page, counted from where the walk came from: the newest, or with ending_before the
 * oldest. What is cut off is there to be had with the next cursor. */
static int fit(struct hl_call *c, const struct hl_delivery *v, size_t n, struct hl_str *payloads, size_t *from, size_t *upto,
		struct hl_page_info *info)
{
	size_t bytes = 0, k;
	for (k = 0; k < n; k++) {
		size_t i = c->page.after ? n - 1 - k : k;
		int rc = payload_of(c, &v[i], &payloads[i]);
		if (rc)
			return rc;
		bytes += payloads[i].len;
		if (k && bytes > HL_DIALECT_PAGE_BYTES)
			break;
	}
	*from = c->page.after ? n - k : 0;
	*upto = c->page.after ? n : k;
	info->has_newer |= *from > 0;
	info->has_older |= *upto < n;
	return HL_OK;
}

static void listed(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_str payloads[HL_BITNOB_PAGE_MAX];
	struct hl_page_info result;
	struct hl_jsonw w;
	size_t from = 0, upto = 0;
	if (!status) {
		result = *info;
		status = fit(c, v, n, payloads, &from, &upto, &result);
	}
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_bitnob_page_begin(c, &w);
	for (size_t i = from; i < upto; i++)
		write_event(c, &w, &v[i], payloads[i]);
	hl_bitnob_page_end(c, &w, n ? v[from].number : 0, n ? v[upto - 1].number : 0, &result);
}

/* A webhook nobody knows here has no deliveries to show; a deleted one has. */
static bool known(struct hl_call *c, const struct hl_query *q, uint32_t *out_number)
{
	struct hl_webhook w;
	uint64_t number;
	if (hl_id_parse(c->api->dispatcher, HL_ID_WEBHOOK, q->value, &number) ||
			hl_webhook_get(c->api->dispatcher, c->account, (uint32_t)number, true, &w))
		return false;
	*out_number = (uint32_t)number;
	return true;
}

static void list(struct hl_call *c)
{
	enum { LIMIT, AFTER, BEFORE, STATUS, WEBHOOK, N };
	struct hl_query q[N] = {
		[LIMIT] = { "limit" }, [AFTER] = { "starting_after" }, [BEFORE] = { "ending_before" }, [STATUS] = { "status" },
		[WEBHOOK] = { "webhook_id" },
	};
	struct hl_delivery_query what = {
		.account = c->account, .dialect = HL_DIALECT_BITNOB, .state = -1, .failed_or_cancelled = true, .type = HL_STR(""),
	};
	if (!hl_query_read(c, q, N) || !hl_query_name(c, &q[STATUS], status_parse, "pending, delivered, failed", &what.state) ||
			!hl_bitnob_page_read(c, q, N))
		return;
	if (q[WEBHOOK].seen && !known(c, &q[WEBHOOK], &what.webhook)) {
		struct hl_page_info none = { .has_older = false };
		struct hl_jsonw w;
		hl_bitnob_page_begin(c, &w);
		hl_bitnob_page_end(c, &w, 0, 0, &none);
		return;
	}
	what.page = c->page;
	int rc = hl_delivery_list(c->api->dispatcher, &what, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void get(struct hl_call *c)
{
	struct hl_delivery v;
	struct hl_str payload;
	struct hl_jsonw w;
	if (!hl_dialect_find_delivery(c, 0, &v))
		return;
	int rc = payload_of(c, &v, &payload);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	write_event(c, &w, &v, payload);
	hl_call_send(c, 200);
}

static void queued(void *data, int status, const struct hl_err *err, const struct hl_delivery *v)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, err);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "object");
	hl_jsonw_cstr(&w, "webhook_event");
	hl_jsonw_key(&w, "id");
	hl_jsonw_cstr(&w, v->id);
	hl_jsonw_key(&w, "status");
	hl_jsonw_cstr(&w, "queued");
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void retry(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_delivery v;
	if (!hl_dialect_find_delivery(c, 0, &v))
		return;
	int rc = hl_delivery_retry(c->api->dispatcher, c->account, v.number, queued, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/event-types", HL_MAY_READ, 0, list_types, 0 },
	{ HL_METHOD_GET, "/events", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_GET, "/events/{id}", HL_MAY_READ, 0, get, 0 },
	{ HL_METHOD_POST, "/events/{id}/retry", HL_MAY_CHANGE, 0, retry, 0 },
};
const struct hl_routes hl_bitnob_events = { routes, HL_ARRAY_LEN(routes) };

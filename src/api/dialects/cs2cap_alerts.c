/* Dialect cs2cap, /account/alerts: rules over market prices and what fired.
 *
 * A body is read in two steps, as the original does: its shape first (types, missing members: 422), then what it says
 * (kind, threshold, currency: 400; item: 404). In a batch the shape of every entry is checked before anything happens; what
 * an entry says spoils only that entry. No channel (409) and too many enabled alerts (402) refuse a request as a whole. */
#include "api/alert_batch.h"
#include "api/alert_events.h"
#include "api/alert_json.h"
#include "api/auth.h"
#include "api/delivery_json.h"
#include "api/dialects/cs2cap.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

enum { ALERTS_USUAL = 50, ALERTS_MAX = 200 };

/* ---- errors ------------------------------------------------------------------------------------------------------- */

/* Of a create, a batch or what a body says. */
static void fail(struct hl_call *c, int code, const struct hl_err *err)
{
	switch (code) {
	case HL_EINVAL:
		hl_dialect_error(c, 400, "BAD_REQUEST", "%s", err->text);
		break;
	case HL_ENOTFOUND:
		hl_dialect_error(c, 404, "ITEM_NOT_FOUND", "%s", err->text);
		break;
	case HL_ECONFLICT:
		hl_dialect_error(c, 409, "ACCOUNT_ALERT_DELIVERY_CHANNEL_REQUIRED", "An enabled alert needs a delivery channel: a "
				"verified account email with alert emails on, or an active webhook destination");
		break;
	case HL_ELIMIT:
		hl_dialect_error(c, 402, "ACCOUNT_ALERT_LIMIT_REACHED", "Enabled alert limit reached for this tier");
		break;
	default:
		hl_call_fail(c, code, err);
	}
}

static const char *code_of(int code)
{
	return code == HL_ENOTFOUND ? "ITEM_NOT_FOUND" : code == HL_EDUPLICATE ? "DUPLICATE_ALERT" : "BAD_REQUEST";
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

enum { ITEM, KIND, THRESHOLD, CURRENCY, ENABLED, N };

/* A body whose members have the right types; what is not given has no `seen`. */
struct input {
	int64_t item_id;
	struct hl_str kind, currency;
	int64_t threshold;
	int threshold_rc;            /* HL_EINVAL: a decimal, but not one that can be kept */
	bool has_threshold, has_currency, has_enabled, enabled;
};

/* Types. HL_ESYNTAX, HL_EINVAL with the member in err->field: 422. */
static int read_shape(struct hl_reader *r, struct hl_str text, bool create, struct input *out)
{
	const unsigned null = create ? 0 : HL_T_NULL;
	struct hl_json_field f[N] = {
		[ITEM] = { .name = "item_id", .types = HL_T_NUMBER, .required = true },
		[KIND] = { .name = "kind", .types = HL_T_STRING, .required = true },
		[THRESHOLD] = { .name = "threshold_value", .types = HL_T_STRING | HL_T_NUMBER | null, .required = create },
		[CURRENCY] = { .name = "threshold_currency", .types = HL_T_STRING | HL_T_NULL },
		[ENABLED] = { .name = "is_enabled", .types = HL_T_BOOL | null },
	};
	size_t first = create ? 0 : THRESHOLD;
	struct hl_str s;
	*out = (struct input){ .enabled = true };
	int rc = hl_read_object(r, text, false, f + first, N - first);
	if (rc)
		return rc;
	if (create && !hl_json_i64(f[ITEM].value, &out->item_id))
		return hl_read_fail(r, &f[ITEM], "must be a whole number");
	if ((create && (rc = hl_read_text(r, &f[KIND], 128, &out->kind))) ||
			(rc = hl_read_text(r, &f[CURRENCY], 128, &out->currency)))
		return rc;
	out->has_currency = hl_dialect_given(&f[CURRENCY]);
	out->has_threshold = hl_dialect_given(&f[THRESHOLD]);
	out->has_enabled = hl_dialect_given(&f[ENABLED]);
	if (out->has_enabled && (rc = hl_read_bool(r, &f[ENABLED], &out->enabled)))
		return rc;
	if (!out->has_threshold)
		return HL_OK;
	s = f[THRESHOLD].value.raw;
	if (f[THRESHOLD].value.type == HL_JSON_STRING && (rc = hl_read_text(r, &f[THRESHOLD], 128, &s)))
		return rc;
	out->threshold_rc = hl_decimal_parse(s, &out->threshold);
	return out->threshold_rc == HL_ESYNTAX ? hl_read_fail(r, &f[THRESHOLD], "must be a plain decimal") : HL_OK;
}

/* In capitals; the account's own when none was given. */
static int judge_currency(struct hl_call *c, const struct input *in, char out[4], struct hl_err *err)
{
	if (!in->has_currency) {
		int rc = hl_alert_currency_of(c, out);
		if (rc)
			return hl_err_set(err, rc, "the account cannot be read");
	} else if (in->currency.len == 3) {
		for (size_t i = 0; i < 3; i++)
			out[i] = (char)(in->currency.ptr[i] >= 'a' && in->currency.ptr[i] <= 'z' ? in->currency.ptr[i] - 32 :
					in->currency.ptr[i]);
	} else {
		return hl_err_set(err, HL_EINVAL, "threshold_currency must be an ISO 4217 code");
	}
	out[3] = '\0';
	if (!hl_market_knows_currency(c->api->alerts, hl_str_from(out)))
		return hl_err_set(err, HL_EINVAL, "Unsupported currency");
	return HL_OK;
}

static int judge_threshold(const struct input *in, struct hl_err *err)
{
	if (in->threshold_rc || in->threshold > HL_ALERT_THRESHOLD_MAX)
		return hl_err_set(err, HL_EINVAL, "threshold_value must be at most 1000000000000, with at most six decimals");
	return in->threshold > 0 ? HL_OK : hl_err_set(err, HL_EINVAL, "threshold_value must be greater than 0");
}

/* What a new alert says. */
static int judge(struct hl_call *c, const struct input *in, struct hl_alert *out, struct hl_err *err)
{
	struct hl_market_view view;
	int kind = hl_alert_kind_parse(in->kind);
	*out = (struct hl_alert){
		.account = c->account, .dialect = HL_DIALECT_CS2CAP, .item.item_id = (uint64_t)in->item_id,
		.threshold = in->threshold, .enabled = in->enabled,
	};
	if (kind < 0)
		return hl_err_set(err, HL_EINVAL, "kind must be one of price_below, price_above, spread_exceeds");
	out->kind = (enum hl_alert_kind)kind;
	int rc = judge_threshold(in, err);
	if (!rc && kind != HL_ALERT_SPREAD_EXCEEDS)
		rc = judge_currency(c, in, out->currency, err);
	if (!rc && (in->item_id < 1 || hl_market_get(c->api->alerts, (uint64_t)in->item_id, &view)))
		rc = hl_err_set(err, HL_ENOTFOUND, "Item not found: %" PRId64, in->item_id);
	return rc;
}

/* ---- one ---------------------------------------------------------------------------------------------------------- */

static void write_alert(struct hl_jsonw *w, const struct hl_alert *v)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "kind");
	hl_jsonw_cstr(w, hl_alert_kind_name(v->kind));
	hl_jsonw_key(w, "threshold_value");
	hl_decimal_write(w, v->threshold);
	hl_jsonw_key(w, "threshold_currency");
	hl_currency_write(w, v->currency);
	hl_jsonw_key(w, "is_enabled");
	hl_jsonw_bool(w, v->enabled);
	hl_jsonw_key(w, "last_triggered_at");
	hl_jsonw_time(w, v->last_triggered_at_ms);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, v->updated_at_ms);
	hl_alert_item_write(w, &v->item);
	hl_jsonw_object_end(w);
}

static void send_alert(struct hl_call *c, unsigned status, const struct hl_alert *v)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	write_alert(&w, v);
	hl_call_send(c, status);
}

static void created(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r)
{
	struct hl_call *c = data;
	if (status)
		fail(c, status, err);
	else
		send_alert(c, 201, r->alert);
}

static void create(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_alert_gate gate;
	struct hl_alert v;
	struct input in;
	int rc = read_shape(&r, c->body, true, &in);
	if (rc) {
		hl_call_fail(c, rc, &err);
		return;
	}
	rc = judge(c, &in, &v, &err);
	if (!rc)
		rc = hl_alert_gate_of(c, &gate);
	if (!rc)
		rc = hl_alert_create(c->api->alerts, &v, &gate, NULL, created, c, &err);
	if (rc)
		fail(c, rc, &err);
}

/* The alert of the path. false: answered. */
static bool find(struct hl_call *c, struct hl_alert *out)
{
	uint64_t number;
	int rc = hl_id_parse(c->api->dispatcher, HL_ID_ALERT, c->params[0], &number);
	if (!rc)
		rc = hl_alert_get(c->api->alerts, c->account, HL_DIALECT_CS2CAP, number, out);
	if (rc)
		hl_cs2cap_fail_id(c, rc, "alert_id");
	return !rc;
}

static void updated(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r)
{
	struct hl_call *c = data;
	if (status == HL_ENOTFOUND)
		hl_call_fail(c, status, NULL);
	else if (status)
		fail(c, status, err);
	else
		send_alert(c, 200, r->alert);
}

static void patch(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_alert_gate gate;
	struct hl_alert now, v = { .enabled = true };
	struct input in;
	if (!find(c, &now))
		return;
	int rc = read_shape(&r, c->body, false, &in);
	if (rc) {
		hl_call_fail(c, rc, &err);
		return;
	}
	bool spread = now.kind == HL_ALERT_SPREAD_EXCEEDS;
	uint32_t fields = (in.has_threshold ? HL_ALF_THRESHOLD : 0u) | (in.has_enabled ? HL_ALF_ENABLED : 0u) |
			(in.has_currency && !spread ? HL_ALF_CURRENCY : 0u);
	v.threshold = in.threshold;
	v.enabled = in.enabled;
	if (!in.has_threshold && !in.has_enabled && !in.has_currency)
		rc = hl_err_set(&err, HL_EINVAL, "No fields to update");
	if (!rc && in.has_threshold)
		rc = judge_threshold(&in, &err);
	if (!rc && (fields & HL_ALF_CURRENCY))
		rc = judge_currency(c, &in, v.currency, &err);
	if (!rc && !fields) { /* the currency of a spread, which has none */
		send_alert(c, 200, &now);
		return;
	}
	if (!rc)
		rc = hl_alert_gate_of(c, &gate);
	if (!rc)
		rc = hl_alert_update(c->api->alerts, c->account, HL_DIALECT_CS2CAP, now.number, fields, &v, &gate, updated, c, &err);
	if (rc)
		fail(c, rc, &err);
}

static void deleted(void *data, int status, const struct hl_err *err, const struct hl_alert_result *r)
{
	struct hl_call *c = data;
	(void)r;
	if (status) {
		hl_call_fail(c, status, err);
		return;
	}
	hl_buf_reset(&c->out);
	hl_buf_cstr(&c->out, "{\"ok\":true}");
	hl_call_send(c, 200);
}

static void delete(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_alert v;
	if (!find(c, &v))
		return;
	int rc = hl_alert_delete(c->api->alerts, c->account, HL_DIALECT_CS2CAP, v.number, deleted, c, &err);
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* ---- many --------------------------------------------------------------------------------------------------------- */

static void listed(void *data, int status, const struct hl_alert *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "alerts");
	hl_jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		write_alert(&w, &v[i]);
	hl_jsonw_array_end(&w);
	hl_cs2cap_pagination_write(c, &w, n, info->total);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "offset" }, { "search" } };
	struct hl_alert_query what = { .account = c->account, .dialect = HL_DIALECT_CS2CAP };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_dialect_offset_page(c, &q[0], &q[1], ALERTS_USUAL, ALERTS_MAX))
		return;
	what.search = q[2].value;
	what.page = c->page;
	int rc = hl_alert_list(c->api->alerts, &what, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

static void write_result(struct hl_jsonw *w, size_t index, const struct hl_alert_batch_entry *e)
{
	bool good = e->status == HL_OK;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "index");
	hl_jsonw_u64(w, index);
	hl_jsonw_key(w, "status");
	hl_jsonw_cstr(w, good ? "created" : "error");
	hl_jsonw_key(w, "alert_id");
	hl_text_or_null(w, hl_str_from(good ? e->alert.id : ""));
	hl_jsonw_key(w, "code");
	hl_text_or_null(w, hl_str_from(good ? "" : code_of(e->status)));
	hl_jsonw_key(w, "message");
	hl_text_or_null(w, hl_str_from(good ? "" : e->err.text));
	hl_jsonw_object_end(w);
}

static void batch_made(struct hl_alert_batch *b, int status, const struct hl_err *err)
{
	struct hl_call *c = b->call;
	struct hl_jsonw w;
	if (status) {
		fail(c, status, err);
		return;
	}
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
		write_result(&w, i, &b->v[i]);
	hl_jsonw_array_end(&w);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

/* The shapes of all entries. false: answered. */
static bool read_entries(struct hl_call *c, struct input v[HL_ALERT_BATCH_MAX], size_t *out_n)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f = { .name = "alerts", .types = HL_T_ARRAY, .required = true };
	struct hl_json_iter it;
	size_t n = 0;
	int rc = hl_read_object(&r, c->body, false, &f, 1);
	for (hl_json_each(&it, f.value); !rc && hl_json_next(&it); n++) {
		struct input in;
		char pointer[sizeof(err.field)];
		if (it.value.type != HL_JSON_OBJECT)
			rc = hl_err_field(&err, HL_EINVAL, "", "must be an object");
		else
			rc = read_shape(&r, it.value.raw, true, n < HL_ALERT_BATCH_MAX ? &v[n] : &in);
		if (rc && snprintf(pointer, sizeof(pointer), "/alerts/%zu%.40s", n, err.field) > 0)
			memcpy(err.field, pointer, sizeof(pointer));
	}
	*out_n = n;
	if (!rc && !n)
		rc = hl_read_fail(&r, &f, "must have at least 1 entry");
	if (rc)
		hl_call_fail(c, rc, &err);
	else if (n > HL_ALERT_BATCH_MAX)
		hl_dialect_error(c, 400, "BAD_REQUEST", "At most %d alerts per batch", HL_ALERT_BATCH_MAX);
	return !rc && n <= HL_ALERT_BATCH_MAX;
}

static bool same(const struct hl_alert *a, const struct hl_alert *b)
{
	return a->item.item_id == b->item.item_id && a->kind == b->kind && a->threshold == b->threshold &&
			!strcmp(a->currency, b->currency) && a->enabled == b->enabled;
}

static void judge_entry(struct hl_alert_batch *b, size_t i, const struct input *in)
{
	struct hl_alert_batch_entry *e = &b->v[i];
	e->status = judge(b->call, in, &e->alert, &e->err);
	for (size_t k = 0; !e->status && k < i; k++)
		if (!b->v[k].status && same(&b->v[k].alert, &e->alert))
			e->status = hl_err_set(&e->err, HL_EDUPLICATE, "Duplicate of the alert at index %zu", k);
}

static void create_batch(struct hl_call *c)
{
	struct hl_alert_gate gate;
	size_t n;
	if (!hl_auth_tier(c)->batch) {
		hl_dialect_error(c, 403, "FORBIDDEN", "Batch creation of alerts is not available for this tier");
		return;
	}
	struct input *in = HL_ARENA_ARRAY(c->request->arena, struct input, HL_ALERT_BATCH_MAX);
	if (!in) {
		hl_call_fail(c, HL_ENOMEM, NULL);
		return;
	}
	if (!read_entries(c, in, &n))
		return;
	struct hl_alert_batch *b = hl_alert_batch_new(c, n, batch_made);
	int rc = b ? hl_alert_gate_of(c, &gate) : HL_ENOMEM;
	if (rc) {
		if (b)
			hl_alert_batch_free(b);
		hl_call_fail(c, rc, NULL);
		return;
	}
	for (size_t i = 0; i < n; i++)
		judge_entry(b, i, &in[i]);
	hl_alert_batch_go(b, &gate);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/alerts", HL_MAY_READ, 0, list, 0 },
	{ HL_METHOD_POST, "/alerts", HL_MAY_CHANGE, HL_ROUTE_BODY, create, 0 },
	{ HL_METHOD_POST, "/alerts/batch", HL_MAY_CHANGE, HL_ROUTE_BODY, create_batch, 0 },
	{ HL_METHOD_GET, "/alerts/events", HL_MAY_READ, 0, hl_cs2cap_alert_events, 0 },
	{ HL_METHOD_PATCH, "/alerts/{alert_id}", HL_MAY_CHANGE, HL_ROUTE_BODY, patch, 0 },
	{ HL_METHOD_DELETE, "/alerts/{alert_id}", HL_MAY_CHANGE, 0, delete, 0 },
};
const struct hl_routes hl_routes_cs2cap_alerts = { routes, HL_ARRAY_LEN(routes) };

/* Create and patch read the same members; what is fixed at creation is only known to create. */
#include "api/alert_json.h"

#include "api/auth.h"
#include "api/market_json.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"

/* ---- the owner ---------------------------------------------------------------------------------------------------- */

int hl_alert_gate_of(struct hl_call *c, struct hl_alert_gate *out)
{
	struct hl_account a;
	const struct hl_tier *tier = hl_auth_tier(c);
	int rc = hl_account_get(c->api->service, c->account, &a);
	if (rc)
		return rc;
	*out = (struct hl_alert_gate){
		.email = a.email.len && a.email_verified && a.alert_emails, .webhooks = tier->webhooks,
		.max_enabled = tier->max_enabled_alerts,
	};
	return HL_OK;
}

int hl_alert_currency_of(struct hl_call *c, char out[4])
{
	struct hl_account a;
	int rc = hl_account_get(c->api->service, c->account, &a);
	if (rc)
		return rc;
	memcpy(out, a.preferred_currency.len == HL_CURRENCY_LEN ? a.preferred_currency.ptr : "USD", HL_CURRENCY_LEN);
	out[HL_CURRENCY_LEN] = '\0';
	return HL_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

enum { THRESHOLD, CURRENCY, ENABLED, ITEM, KIND, N };

static int read_threshold(struct hl_reader *r, const struct hl_json_field *f, int64_t *out)
{
	struct hl_str s = f->value.raw;
	if (f->value.type == HL_JSON_STRING) {
		int rc = hl_read_text(r, f, 64, &s);
		if (rc)
			return rc;
	}
	int rc = hl_decimal_parse(s, out);
	if (rc == HL_ESYNTAX)
		return hl_read_fail(r, f, "must be a decimal without exponent, such as \"20.50\"");
	if (rc || *out <= 0 || *out > HL_ALERT_THRESHOLD_MAX)
		return hl_read_fail(r, f, "must be greater than 0, at most 1000000000000, with at most six decimals");
	return HL_OK;
}

static int read_currency(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f, enum hl_alert_kind kind,
		char out[4])
{
	struct hl_str s = HL_STR("");
	int rc = hl_read_text(r, f, 64, &s);
	if (rc)
		return rc;
	if (kind == HL_ALERT_SPREAD_EXCEEDS)
		return s.len ? hl_read_fail(r, f, "is for prices: the threshold of a spread is a percentage") : HL_OK;
	if (!f->seen || f->value.type == HL_JSON_NULL) {
		rc = hl_alert_currency_of(c, out);
		if (rc)
			return hl_err_set(r->err, rc, "the account cannot be read");
		s = hl_str_from(out);
	}
	if (!hl_market_knows_currency(c->api->alerts, s))
		return hl_read_fail(r, f, "%.*s has no exchange rate here", (int)HL_MIN(s.len, (size_t)8), s.ptr);
	memcpy(out, s.ptr, 3);
	out[3] = '\0';
	return HL_OK;
}

static int read_item(struct hl_call *c, struct hl_reader *r, const struct hl_json_field *f, uint64_t *out)
{
	struct hl_market_view view;
	int64_t id = 0;
	if (!hl_json_i64(f->value, &id) || id < 1 || hl_market_get(c->api->alerts, (uint64_t)id, &view))
		return hl_read_fail(r, f, "is not the id of an item");
	*out = (uint64_t)id;
	return HL_OK;
}

int hl_alert_read(struct hl_call *c, struct hl_reader *r, struct hl_str text, const struct hl_alert *now,
		struct hl_alert_input *out)
{
	struct hl_json_field f[N] = {
		[THRESHOLD] = { .name = "threshold", .types = HL_T_STRING | HL_T_NUMBER, .required = !now },
		[CURRENCY] = { .name = "currency", .types = HL_T_STRING | HL_T_NULL },
		[ENABLED] = { .name = "enabled", .types = HL_T_BOOL },
		[ITEM] = { .name = "item_id", .types = HL_T_NUMBER, .required = true },
		[KIND] = { .name = "kind", .types = HL_T_STRING, .required = true },
	};
	static const uint32_t bits[] = { HL_ALF_THRESHOLD, HL_ALF_CURRENCY, HL_ALF_ENABLED };
	int kind = now ? (int)now->kind : 0;
	*out = (struct hl_alert_input){ .v = { .account = c->account, .dialect = HL_DIALECT_HOOKLINE, .enabled = true } };
	int rc = hl_read_object(r, text, false, f, now ? N - 2 : N);
	if (rc || (rc = hl_read_name(r, &f[KIND], hl_alert_kind_parse, "price_below, price_above, spread_exceeds", &kind)) ||
			(!now && (rc = read_item(c, r, &f[ITEM], &out->v.item.item_id))) ||
			(f[THRESHOLD].seen && (rc = read_threshold(r, &f[THRESHOLD], &out->v.threshold))) ||
			((!now || f[CURRENCY].seen) && (rc = read_currency(c, r, &f[CURRENCY], (enum hl_alert_kind)kind, out->v.currency))) ||
			(rc = hl_read_bool(r, &f[ENABLED], &out->v.enabled)))
		return rc;
	out->v.kind = (enum hl_alert_kind)kind;
	for (size_t i = 0; i < HL_ARRAY_LEN(bits); i++)
		if (f[i].seen)
			out->fields |= bits[i];
	if (kind == HL_ALERT_SPREAD_EXCEEDS)
		out->fields &= ~(uint32_t)HL_ALF_CURRENCY;
	return HL_OK;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

void hl_decimal_write(struct hl_jsonw *w, int64_t scaled)
{
	char text[HL_DECIMAL_CAP];
	hl_decimal_format(scaled, text);
	hl_jsonw_cstr(w, text);
}

void hl_currency_write(struct hl_jsonw *w, const char currency[4])
{
	if (currency[0])
		hl_jsonw_cstr(w, currency);
	else
		hl_jsonw_null(w);
}

void hl_alert_item_write(struct hl_jsonw *w, const struct hl_market_item *v)
{
	hl_jsonw_key(w, "item");
	hl_jsonw_object(w);
	hl_market_item_members(w, v);
	hl_jsonw_object_end(w);
}

void hl_alert_write(struct hl_jsonw *w, const struct hl_alert *v)
{
	hl_jsonw_object(w);
	hl_jsonw_key(w, "id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "dialect");
	hl_jsonw_cstr(w, hl_dialect_name(v->dialect));
	hl_jsonw_key(w, "kind");
	hl_jsonw_cstr(w, hl_alert_kind_name(v->kind));
	hl_alert_item_write(w, &v->item);
	hl_jsonw_key(w, "threshold");
	hl_decimal_write(w, v->threshold);
	hl_jsonw_key(w, "currency");
	hl_currency_write(w, v->currency);
	hl_jsonw_key(w, "enabled");
	hl_jsonw_bool(w, v->enabled);
	hl_jsonw_key(w, "last_triggered_at");
	hl_jsonw_time(w, v->last_triggered_at_ms);
	hl_jsonw_key(w, "created_at");
	hl_jsonw_time(w, v->created_at_ms);
	hl_jsonw_key(w, "updated_at");
	hl_jsonw_time(w, v->updated_at_ms);
	hl_jsonw_object_end(w);
}

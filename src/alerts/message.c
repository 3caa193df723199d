/* The data of an event "alert.triggered": everything a receiver of any dialect and format is shown. The texts of chat messages
 * are made of these members (render_chat.c); what the dialect cs2cap repeats beside data is copied out of it (render.c).
 *
 * It holds the event's id, which is not known before the event is numbered: HL_ID_LEN digits 0 stand in its place. */
#include "alerts/message.h"

#include "alerts/decimal.h"
#include "base/json.h"
#include "base/str.h"

#define NO_ID "00000000-0000-0000-0000-000000000000"

static void scaled(struct hl_jsonw *w, const char *key, int64_t value)
{
	char text[HL_DECIMAL_CAP];
	hl_decimal_format(value, text);
	hl_jsonw_key(w, key);
	hl_jsonw_cstr(w, text);
}

/* US cents as dollars; null: there is no such price. */
static void price(struct hl_jsonw *w, const char *key, int64_t cents)
{
	if (cents > 0) {
		scaled(w, key, cents * (HL_ALERT_THRESHOLD_SCALE / 100));
		return;
	}
	hl_jsonw_key(w, key);
	hl_jsonw_null(w);
}

/* Spreads have no currency. */
static void currency(struct hl_jsonw *w, const char *key, uint16_t number)
{
	char code[4];
	hl_currency_code(number, code);
	hl_jsonw_key(w, key);
	if (code[0])
		hl_jsonw_cstr(w, code);
	else
		hl_jsonw_null(w);
}

static void item(struct hl_jsonw *w, const struct hl_market_item *v)
{
	hl_jsonw_key(w, "item");
	hl_jsonw_object(w);
	hl_jsonw_key(w, "item_id");
	hl_jsonw_u64(w, v->item_id);
	hl_jsonw_key(w, "market_hash_name");
	hl_jsonw_str(w, v->name);
	hl_jsonw_key(w, "phase");
	if (v->phase.len)
		hl_jsonw_str(w, v->phase);
	else
		hl_jsonw_null(w);
	hl_jsonw_object_end(w);
}

static void text(struct hl_jsonw *w, const char *key, struct hl_str value)
{
	hl_jsonw_key(w, key);
	hl_jsonw_str(w, value);
}

void hl_alert_message_write(struct hl_buf *out, const struct hl_alert_message *m, size_t *out_id_at)
{
	const struct hl_rule *r = &m->fired->rule;
	struct hl_jsonw w;
	hl_jsonw_init(&w, out);
	hl_jsonw_object(&w);
	text(&w, "event_id", HL_STR(NO_ID));
	*out_id_at = out->len - 1 - HL_ID_LEN; /* before the closing quote */
	text(&w, "alert_id", hl_str_from(m->alert_id));
	text(&w, "kind", hl_str_from(hl_alert_kind_name(r->kind)));
	hl_jsonw_key(&w, "item_id");
	hl_jsonw_u64(&w, m->item.item_id);
	text(&w, "market_hash_name", m->item.name);
	item(&w, &m->item);
	scaled(&w, "threshold_value", r->threshold);
	currency(&w, "threshold_currency", r->currency);
	scaled(&w, "triggered_value", hl_rule_triggered(m->fired));
	currency(&w, "triggered_currency", r->currency);
	price(&w, "best_ask", m->fired->ask);
	price(&w, "best_bid", m->fired->bid);
	text(&w, "observed_provider", m->provider);
	text(&w, "observed_link", m->link);
	text(&w, "reason", m->reason);
	hl_jsonw_object_end(&w);
}

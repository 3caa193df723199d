/* An alert from JSON and to JSON, for the native API; and what every API asks about the owner of one. */
#ifndef HL_API_ALERT_JSON_H
#define HL_API_ALERT_JSON_H

#include "api/call.h"
#include <hookline/alert.h>

struct hl_alert_input {
	struct hl_alert v;
	uint32_t fields;        /* set of enum hl_alert_field that were given */
};

/* now: the alert that is changed, NULL to make one. HL_ESYNTAX, HL_EINVAL, HL_EDUPLICATE with the member in err->field.
 * HL_ENOTFOUND is never said: an item that is not there is a wrong member. */
HL_MUST_CHECK int hl_alert_read(struct hl_call *c, struct hl_reader *r, struct hl_str text, const struct hl_alert *now,
		struct hl_alert_input *out);
void hl_alert_write(struct hl_jsonw *w, const struct hl_alert *v);
/* "item": {"item_id", "market_hash_name", "phase"} */
void hl_alert_item_write(struct hl_jsonw *w, const struct hl_market_item *v);
/* Scaled, as a string; and a currency, null when there is none. */
void hl_decimal_write(struct hl_jsonw *w, int64_t scaled);
void hl_currency_write(struct hl_jsonw *w, const char currency[4]);

/* What the account acted for may do. */
HL_MUST_CHECK int hl_alert_gate_of(struct hl_call *c, struct hl_alert_gate *out);
/* The currency of thresholds that name none: the account's preferred one, else USD. */
HL_MUST_CHECK int hl_alert_currency_of(struct hl_call *c, char out[4]);

#endif

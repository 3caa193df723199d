/* What an event "alert.triggered" says. Pure. */
#ifndef HL_ALERTS_MESSAGE_H
#define HL_ALERTS_MESSAGE_H

#include "alerts/rule.h"
#include "base/buf.h"

#define HL_ALERT_EVENT_TYPE "alert.triggered"

struct hl_alert_message {
	const char *alert_id;
	const struct hl_rule_fired *fired;
	struct hl_market_item item;
	struct hl_str provider, link; /* of the best ask */
	struct hl_str reason;
};
/* Appends the event's data. out_id_at: where its own id is missing, HL_ID_LEN bytes. */
void hl_alert_message_write(struct hl_buf *out, const struct hl_alert_message *m, size_t *out_id_at);

#endif

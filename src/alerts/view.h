/* Stored rows of alerts as the public structs show them. Slices live until the end of the loop's turn. */
#ifndef HL_ALERTS_VIEW_H
#define HL_ALERTS_VIEW_H

#include "alerts/internal.h"

void hl_alert_view(struct hl_alerts *a, const struct hl_alert_row *row, struct hl_alert *out);
void hl_alert_event_view(struct hl_alerts *a, uint32_t account, uint64_t event, const struct hl_alert_event_row *row,
		struct hl_alert_event *out);

#endif

/* Alerts of dialect cs2cap: the table of their routes, and the one handler that has a file of its own. */
#ifndef HL_API_DIALECTS_CS2CAP_ALERTS_H
#define HL_API_DIALECTS_CS2CAP_ALERTS_H

#include "api/dialects/cs2cap.h"

extern const struct hl_routes hl_routes_cs2cap_alerts;

void hl_cs2cap_alert_events(struct hl_call *c);

#endif

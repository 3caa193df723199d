/* What the files of dialect cs2cap share: its tables, and the pieces of its answers. */
#ifndef HL_API_DIALECTS_CS2CAP_H
#define HL_API_DIALECTS_CS2CAP_H

#include "api/dialects/dialect.h"

/* c->flag of a webhook route: its body has been read without fault. */

extern const struct hl_routes hl_routes_cs2cap_webhooks;
extern const struct hl_routes hl_routes_cs2cap_deliveries;
extern const struct hl_routes hl_routes_cs2cap_alerts;

/* GET /account/alerts/events, which has a file of its own. */
void hl_cs2cap_alert_events(struct hl_call *c);

/* May the account's tier use webhooks? false: answered (403). */
bool hl_cs2cap_may_use_webhooks(struct hl_call *c);
/* 422 for a path parameter that is no UUID. */
void hl_cs2cap_bad_id(struct hl_call *c, const char *name);
/* Of what hl_dialect_webhook and its like said: HL_ESYNTAX is 422 for the parameter, the rest goes to hl_call_fail. */
void hl_cs2cap_fail_id(struct hl_call *c, int code, const char *name);

/* "custom", "discord", "telegram", "google_sheets", and back in any case with space around; -1 when unknown. */
const char *hl_cs2cap_platform(enum hl_format f);
int hl_cs2cap_platform_parse(struct hl_str text);
/* "pending", "succeeded", "failed": cancelled ones have failed. */
const char *hl_cs2cap_status(enum hl_delivery_state s);
/* Why a delivery failed last, as a JSON string: null when it succeeded or was not attempted. */
void hl_cs2cap_error_write(struct hl_jsonw *w, const struct hl_delivery *v);

/* Member "pagination" of a listing by offset: n rows shown of total, paged as c->page says. */
void hl_cs2cap_pagination_write(struct hl_call *c, struct hl_jsonw *w, size_t n, uint64_t total);

#endif

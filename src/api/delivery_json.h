/* Events, deliveries and attempts to JSON. */
#ifndef HL_API_DELIVERY_JSON_H
#define HL_API_DELIVERY_JSON_H

#include "api/webhook_json.h"

/* Members of an event into an open object; without `data` and the summary. */
void hl_event_members(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_event *e);
void hl_delivery_members(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_delivery *v);
void hl_delivery_write(struct hl_jsonw *w, const struct hl_webhook_scope *scope, const struct hl_delivery *v);
void hl_attempt_write(struct hl_jsonw *w, const struct hl_attempt *a);
/* {"pending":n,"succeeded":n,"failed":n,"cancelled":n} */
void hl_states_write(struct hl_jsonw *w, const uint64_t by_state[HL_DELIVERY_STATE_N]);
/* {"class":…,"message":…}, or null for class NONE. message "" = the class's own sentence. */
void hl_class_write(struct hl_jsonw *w, enum hl_class class, struct hl_str message);
/* A status code, null for 0. */
void hl_status_write(struct hl_jsonw *w, unsigned status);
void hl_text_or_null(struct hl_jsonw *w, struct hl_str s);

#endif

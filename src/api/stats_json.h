/* What waits at a webhook and why: shared by its stats and by /v1/undelivered. */
#ifndef HL_API_STATS_JSON_H
#define HL_API_STATS_JSON_H

#include "base/json.h"
#include <hookline/dispatcher.h>

/* pending_by_error, oldest_pending_at and _age, next_attempt_at, parked, in_flight, last_error, last_http_status. */
void hl_pending_members(struct hl_jsonw *w, const struct hl_webhook *v, const struct hl_webhook_stats *s, hl_ms_t now_ms);
/* A number with one decimal: 125 → 12.5 */
void hl_tenths_write(struct hl_jsonw *w, double tenths);

#endif

#include "api/stats_json.h"

#include "api/delivery_json.h"
#include "base/str.h"

#include <stdio.h>

void hl_tenths_write(struct hl_jsonw *w, double tenths)
{
	char text[32];
	uint64_t v = tenths > 0 ? (uint64_t)tenths : 0;
	int n = snprintf(text, sizeof(text), "%llu.%llu", (unsigned long long)(v / 10), (unsigned long long)(v % 10));
	hl_jsonw_raw(w, hl_str_make(text, (size_t)n));
}

void hl_pending_members(struct hl_jsonw *w, const struct hl_webhook *v, const struct hl_webhook_stats *s, hl_ms_t now_ms)
{
	hl_jsonw_key(w, "pending_by_error");
	hl_jsonw_object(w);
	for (int i = 0; i < HL_CLASS_N; i++)
		if (s->pending_by_class[i]) {
			hl_jsonw_key(w, hl_class_name((enum hl_class)i));
			hl_jsonw_u64(w, s->pending_by_class[i]);
		}
	hl_jsonw_object_end(w);
	hl_jsonw_key(w, "oldest_pending_at");
	hl_jsonw_time(w, s->oldest_pending_at_ms);
	hl_jsonw_key(w, "oldest_pending_age");
	if (s->oldest_pending_at_ms)
		hl_tenths_write(w, (double)(now_ms - s->oldest_pending_at_ms) / 100);
	else
		hl_jsonw_null(w);
	hl_jsonw_key(w, "next_attempt_at");
	hl_jsonw_time(w, s->next_attempt_at_ms);
	hl_jsonw_key(w, "parked");
	hl_jsonw_bool(w, s->parked);
	hl_jsonw_key(w, "in_flight");
	hl_jsonw_u64(w, s->in_flight);
	hl_jsonw_key(w, "last_error");
	hl_class_write(w, s->last_class, v->last_failure_message);
	hl_jsonw_key(w, "last_http_status");
	hl_status_write(w, s->last_http_status);
}

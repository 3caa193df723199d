/* A page of fired alerts with what became of each: the events, and under every event its deliveries. */
#ifndef HL_API_ALERT_EVENTS_H
#define HL_API_ALERT_EVENTS_H

#include "api/call.h"
#include <hookline/alert.h>

/* How one API writes it. The writer is on c->out; only the call may be used besides the arguments. */
struct hl_alert_events_shape {
	int dialect;                 /* whose deliveries are shown, -1 = all */
	void (*begin)(struct hl_call *c, struct hl_jsonw *w);
	/* Opens the event's object and the array of its deliveries. */
	void (*event)(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e);
	void (*delivery)(struct hl_call *c, struct hl_jsonw *w, const struct hl_delivery *v);
	/* The mail, if one should have gone; closes both. */
	void (*event_end)(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *e);
	/* Ends the call. v: the n events of the page. */
	void (*end)(struct hl_call *c, struct hl_jsonw *w, const struct hl_alert_event *v, size_t n,
			const struct hl_page_info *info);
};

/* Answers q; the call is ended in any case. */
void hl_alert_events_answer(struct hl_call *c, const struct hl_alert_event_query *q, const struct hl_alert_events_shape *shape);

#endif

/* The page first, then event after event its deliveries, page by page; each turn writes what it got and asks for the next.
 * Events are copied, since they must outlive the turn they came in. Whatever fails ends the call with that error; a client
 * that went away ends it early. */
#include "api/alert_events.h"

#include <stdlib.h>

struct walk {
	struct hl_call *call;
	const struct hl_alert_events_shape *shape;
	struct hl_arena arena;       /* the events and their text */
	struct hl_alert_event *v;
	size_t n, at;                /* the event whose deliveries are read */
	struct hl_page_info info;
	struct hl_delivery_query find;
	struct hl_jsonw w;
};

static void walk_destroy(struct walk *w)
{
	hl_arena_fini(&w->arena);
	free(w);
}

static void walk_fail(struct walk *w, int code)
{
	struct hl_call *c = w->call;
	walk_destroy(w);
	hl_call_fail(c, code, NULL);
}

static void next_event(struct walk *w);

static void next_deliveries(struct walk *w);

static void delivered(void *data, int status, const struct hl_delivery *v, size_t n, const struct hl_page_info *info)
{
	struct walk *w = data;
	struct hl_call *c = w->call;
	if (status) {
		walk_fail(w, status);
		return;
	}
	for (size_t i = 0; i < n; i++)
		w->shape->delivery(c, &w->w, &v[i]);
	if (info->has_older && n) {
		w->find.page.before = v[n - 1].number;
		next_deliveries(w);
		return;
	}
	w->shape->event_end(c, &w->w, &w->v[w->at++]);
	next_event(w);
}

static void next_deliveries(struct walk *w)
{
	int rc = hl_delivery_list(w->call->api->dispatcher, &w->find, delivered, w);
	if (rc)
		walk_fail(w, rc);
}

static void next_event(struct walk *w)
{
	struct hl_call *c = w->call;
	if (w->at == w->n || !c->request) {
		w->shape->end(c, &w->w, w->v, w->n, &w->info);
		walk_destroy(w);
		return;
	}
	const struct hl_alert_event *e = &w->v[w->at];
	w->shape->event(c, &w->w, e);
	w->find = (struct hl_delivery_query){
		.account = e->account, .event = e->event, .dialect = w->shape->dialect, .state = -1, .page.limit = HL_LIMIT_MAX,
	};
	next_deliveries(w);
}

static bool keep(struct walk *w, const struct hl_alert_event *v, size_t n)
{
	w->v = HL_ARENA_ARRAY(&w->arena, struct hl_alert_event, n ? n : 1);
	for (size_t i = 0; w->v && i < n; i++) {
		w->v[i] = v[i];
		w->v[i].item.name = hl_arena_dup(&w->arena, v[i].item.name);
		w->v[i].item.phase = hl_arena_dup(&w->arena, v[i].item.phase);
		w->v[i].reason = hl_arena_dup(&w->arena, v[i].reason);
		if (!w->v[i].item.name.ptr || !w->v[i].item.phase.ptr || !w->v[i].reason.ptr)
			return false;
	}
	w->n = n;
	return w->v != NULL;
}

static void listed(void *data, int status, const struct hl_alert_event *v, size_t n, const struct hl_page_info *info)
{
	struct walk *w = data;
	if (!status && !keep(w, v, n))
		status = HL_ENOMEM;
	if (status) {
		walk_fail(w, status);
		return;
	}
	w->info = *info;
	w->shape->begin(w->call, &w->w);
	next_event(w);
}

void hl_alert_events_answer(struct hl_call *c, const struct hl_alert_event_query *q, const struct hl_alert_events_shape *shape)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (!w) {
		hl_call_fail(c, HL_ENOMEM, NULL);
		return;
	}
	w->call = c;
	w->shape = shape;
	hl_arena_init(&w->arena, 0);
	int rc = hl_alert_event_list(c->api->alerts, q, listed, w);
	if (rc)
		walk_fail(w, rc);
}

/* /v1/events: the history of what was published. */
#include "api/delivery_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"

static void listed(void *data, int status, const struct hl_event *v, size_t n, const struct hl_page_info *info)
{
	struct hl_call *c = data;
	struct hl_webhook_scope scope = { .api = c->api, .account = c->account };
	struct hl_jsonw w;
	if (status) {
		hl_call_fail(c, status, NULL);
		return;
	}
	hl_page_begin(c, &w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_object(&w);
		hl_event_members(&w, &scope, &v[i]);
		hl_jsonw_object_end(&w);
	}
	hl_page_end(c, &w, n ? v[0].number : 0, n ? v[n - 1].number : 0, info);
}

static void list(struct hl_call *c)
{
	struct hl_query q[] = { { "type" }, { "since" }, { "until" }, { "limit" }, { "cursor" } };
	struct hl_event_query find = { .account = c->account };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_word(c, &q[0], HL_EVENT_TYPE_MAX, &find.type) ||
			!hl_query_time(c, &q[1], &find.since_ms) || !hl_query_time(c, &q[2], &find.until_ms) ||
			!hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	find.page = c->page;
	int rc = hl_event_list(c->api->dispatcher, &find, listed, c);
	if (rc)
		hl_call_fail(c, rc, NULL);
}

static void get(struct hl_call *c)
{
	struct hl_webhook_scope scope = { .api = c->api, .account = c->account };
	struct hl_event e;
	uint64_t number, states[HL_DELIVERY_STATE_N];
	struct hl_jsonw w;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_EVENT, &number))
		return;
	int rc = hl_event_get(c->api->dispatcher, c->account, number, &e);
	if (!rc)
		rc = hl_event_summary(c->api->dispatcher, c->account, number, states);
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_event_members(&w, &scope, &e);
	hl_jsonw_key(&w, "summary");
	hl_states_write(&w, states);
	hl_jsonw_key(&w, "data");
	hl_jsonw_raw(&w, e.data);
	hl_jsonw_object_end(&w);
	hl_call_send(c, 200);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/events", HL_SCOPE_READ, 0, list },
	{ HL_METHOD_GET, "/events/{event}", HL_SCOPE_READ, 0, get },
};
const struct hl_routes hl_routes_events = { routes, HL_ARRAY_LEN(routes) };

/* GET /v1/undelivered: what has not arrived and why, a line per webhook that has pending deliveries. O(1) per webhook: the
 * numbers are kept by the store.
 *
 * Webhooks are walked page by page; those with nothing pending are left out. The walk goes on until the page is full or
 * WALK_MAX webhooks were looked at; the next cursor then names the last one looked at. */
#include "api/query.h"
#include "api/resources.h"
#include "api/stats_json.h"
#include "base/defs.h"
#include "base/check.h"
#include "base/str.h"

#include <stdlib.h>

enum { WALK_MAX = 2500 };

struct walk {
	struct hl_call *call;
	struct hl_jsonw w;       /* writes into call->out */
	size_t n_seen, n_shown;
	uint64_t first, last;    /* webhooks at the ends of what was looked at */
};

static void finish(struct walk *k, struct hl_page_info info)
{
	struct hl_call *c = k->call;
	struct hl_jsonw w = k->w;
	uint64_t first = k->first, last = k->last;
	free(k);
	hl_page_end(c, &w, first, last, &info);
}

static void fail(struct walk *k, int status)
{
	struct hl_call *c = k->call;
	free(k);
	hl_call_fail(c, status, NULL);
}

static void show(struct walk *k, const struct hl_webhook *v)
{
	struct hl_webhook_stats s;
	struct hl_jsonw *w = &k->w;
	if (hl_webhook_stats(k->call->api->dispatcher, k->call->account, v->number, &s) || !s.by_state[HL_DELIVERY_PENDING])
		return;
	hl_jsonw_object(w);
	hl_jsonw_key(w, "webhook_id");
	hl_jsonw_cstr(w, v->id);
	hl_jsonw_key(w, "name");
	hl_jsonw_str(w, v->name);
	hl_jsonw_key(w, "state");
	hl_jsonw_cstr(w, hl_webhook_state_name(v->state));
	hl_jsonw_key(w, "pending");
	hl_jsonw_u64(w, s.by_state[HL_DELIVERY_PENDING]);
	hl_pending_members(w, v, &s, hl_env_wall_ms(k->call->api->env));
	hl_jsonw_object_end(w);
	k->n_shown++;
}

static void next_page(struct walk *k);

/* Towards newer webhooks a page is shown whole, so that its rows stay newest first: no second page is fetched then. */
static void walked(void *data, int status, const struct hl_webhook *v, size_t n, const struct hl_page_info *info)
{
	struct walk *k = data;
	struct hl_call *c = k->call;
	size_t i;
	if (status) {
		fail(k, status);
		return;
	}
	for (i = 0; i < n && (k->n_shown < c->page.limit || c->page.after); i++) {
		show(k, &v[i]);
		if (!k->first)
			k->first = v[i].number;
		k->last = v[i].number;
		k->n_seen++;
	}
	struct hl_page_info result = {
		.has_older = info->has_older || i < n, .has_newer = c->page.after ? info->has_newer : c->flag,
	};
	if (k->n_shown >= c->page.limit || !info->has_older || k->n_seen >= WALK_MAX || c->page.after || !c->request)
		finish(k, result);
	else
		next_page(k);
}

static void next_page(struct walk *k)
{
	struct hl_webhook_query find = { .account = k->call->account, .dialect = -1, .state = -1, .page = k->call->page };
	if (!k->call->page.after) {
		find.page.limit = HL_LIMIT_MAX;
		if (k->last)
			find.page.before = k->last;
	}
	int rc = hl_webhook_list(k->call->api->dispatcher, &find, walked, k);
	if (rc)
		fail(k, rc);
}

static void undelivered(struct hl_call *c)
{
	struct hl_query q[] = { { "limit" }, { "cursor" } };
	if (!hl_query_read(c, q, HL_ARRAY_LEN(q)) || !hl_query_page(c, q, HL_ARRAY_LEN(q)))
		return;
	struct walk *k = calloc(1, sizeof(*k));
	if (!k) {
		hl_call_fail(c, HL_ENOMEM, NULL);
		return;
	}
	k->call = c;
	c->flag = c->page.before != 0;
	hl_page_begin(c, &k->w);
	next_page(k);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/undelivered", HL_SCOPE_READ, 0, undelivered },
};
const struct hl_routes hl_routes_undelivered = { routes, HL_ARRAY_LEN(routes) };

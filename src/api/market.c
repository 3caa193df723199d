/* /v1/market: what the alert engine watches. It belongs to the whole instance: an admin writes it, every key may look. */
#include "api/market_json.h"
#include "api/market_stream.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"
#include "base/str.h"

static void get_item(struct hl_call *c)
{
	struct hl_market_view v;
	struct hl_jsonw w;
	uint64_t id;
	if (!hl_query_none(c))
		return;
	int rc = hl_str_u64(c->params[0], &id) ? hl_market_get(c->api->alerts, id, &v) : HL_ENOTFOUND;
	if (rc) {
		hl_call_fail(c, rc, NULL);
		return;
	}
	hl_call_writer(c, &w);
	hl_market_view_write(&w, &v);
	hl_call_send(c, 200);
}

/* c->out holds the answer already. */
static void rates_put(void *data, int status, const struct hl_err *err)
{
	struct hl_call *c = data;
	if (status)
		hl_call_fail(c, status, err);
	else
		hl_call_send(c, 200);
}

static void write_rates(struct hl_call *c, const struct hl_rate *v, size_t n, hl_ms_t at_ms)
{
	struct hl_jsonw w;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "timestamp");
	hl_jsonw_time(&w, at_ms);
	hl_jsonw_key(&w, "rates");
	hl_jsonw_object(&w);
	for (size_t i = 0; i < n; i++) {
		hl_jsonw_key_str(&w, hl_str_from(v[i].currency));
		hl_rate_write(&w, v[i].rate);
	}
	hl_jsonw_object_end(&w);
	hl_jsonw_object_end(&w);
}

static void put_fx(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	const struct hl_rate *v = NULL;
	size_t n = 0;
	hl_ms_t at_ms;
	if (!hl_query_none(c))
		return;
	int rc = hl_market_read_rates(&r, c->body, &v, &n, &at_ms);
	if (!rc) {
		write_rates(c, v, n, at_ms);
		rc = hl_market_put_rates(c->api->alerts, v, n, at_ms, rates_put, c, &err);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_PUT, "/market/items", HL_SCOPE_ADMIN, HL_ROUTE_STREAM, hl_market_stream_items, 0 },
	{ HL_METHOD_GET, "/market/items/{item}", 0, 0, get_item, 0 },
	{ HL_METHOD_POST, "/market/asks", HL_SCOPE_ADMIN, HL_ROUTE_STREAM, hl_market_stream_asks, 0 },
	{ HL_METHOD_POST, "/market/bids", HL_SCOPE_ADMIN, HL_ROUTE_STREAM, hl_market_stream_bids, 0 },
	{ HL_METHOD_PUT, "/market/fx", HL_SCOPE_ADMIN, HL_ROUTE_BODY, put_fx, 0 },
};
const struct hl_routes hl_routes_market = { routes, HL_ARRAY_LEN(routes) };

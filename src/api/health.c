/* /livez, /readyz, /healthz: for load balancers and supervisors. No key, and nothing that tells about the inside. */
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"

static void answer(struct hl_call *c, const char *reason)
{
	struct hl_jsonw w;
	hl_call_header(c, "Cache-Control", HL_STR("no-store"));
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "status");
	hl_jsonw_cstr(&w, reason ? "unavailable" : "ok");
	if (reason) {
		hl_jsonw_key(&w, "reason");
		hl_jsonw_cstr(&w, reason);
	}
	hl_jsonw_object_end(&w);
	hl_call_send(c, reason ? 503 : 200);
}

/* That it is answered at all says that the loop turns. */
static void live(struct hl_call *c)
{
	answer(c, NULL);
}

static void ready(struct hl_call *c)
{
	int rc = c->api->draining ? HL_ECLOSED : hl_dispatcher_ready(c->api->dispatcher, NULL);
	struct hl_problem p = hl_problem_from(rc, NULL);
	answer(c, rc ? hl_problem_code(&p) : NULL);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_GET, "/livez", 0, HL_ROUTE_PUBLIC, live },
	{ HL_METHOD_GET, "/readyz", 0, HL_ROUTE_PUBLIC, ready },
	{ HL_METHOD_GET, "/healthz", 0, HL_ROUTE_PUBLIC, ready },
};
const struct hl_routes hl_routes_health = { routes, HL_ARRAY_LEN(routes) };

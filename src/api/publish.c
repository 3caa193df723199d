/* POST /v1/events, the hot path: one validation, one hand-over, one write. 202 means that event and deliveries are on
 * disk. A client that leaves meanwhile changes nothing: what was handed over is stored. */
#include "api/publish_json.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/defs.h"

static struct hl_str write_one(void *data, const void *object, struct hl_str secret)
{
	struct hl_call *c = data;
	struct hl_jsonw w;
	(void)secret;
	hl_call_writer(c, &w);
	hl_jsonw_object(&w);
	hl_published_members(&w, object);
	hl_jsonw_object_end(&w);
	return hl_buf_all(&c->out);
}

static void published(void *data, int status, const struct hl_published *p)
{
	struct hl_call *c = data;
	struct hl_err err;
	if (status)
		hl_call_fail(c, status, hl_published_error(status, p, &err));
	else if (p->answer.len)
		hl_call_replay(c, 202, p->answer);
	else {
		/* What was written for the idempotency key is the answer, unless the event's own id was known already. */
		if (!c->once || p->replayed)
			write_one(c, p, HL_STR(""));
		hl_call_send(c, 202);
	}
}

static void publish(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_webhook_scope scope = { .api = c->api, .account = c->account };
	struct hl_publish p;
	if (!hl_query_none(c))
		return;
	int rc = hl_publish_read(&r, &scope, c->body, &p);
	if (!rc) {
		p.idempotency = hl_call_expect(c, 202, write_one);
		rc = hl_publish(c->api->dispatcher, c->account, &p, published, c, &err);
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

/* POST /v1/events/{event}/replay */
static void replay(struct hl_call *c)
{
	struct hl_err err = { .code = 0 };
	struct hl_reader r = hl_call_reader(c, &err);
	struct hl_json_field f = { .name = "webhook", .types = HL_T_STRING | HL_T_NULL };
	struct hl_replay what = { .webhook = 0 };
	struct hl_str id = HL_STR("");
	uint64_t webhook = 0;
	if (!hl_query_none(c) || !hl_call_id(c, 0, HL_ID_EVENT, &what.event))
		return;
	int rc = hl_read_object(&r, c->body, true, &f, 1);
	if (!rc)
		rc = hl_read_text(&r, &f, HL_ID_LEN, &id);
	if (!rc && f.seen && f.value.type != HL_JSON_NULL && hl_id_parse(c->api->dispatcher, HL_ID_WEBHOOK, id, &webhook))
		rc = hl_read_fail(&r, &f, "is not the id of a webhook");
	if (!rc) {
		what.webhook = (uint32_t)webhook;
		what.idempotency = hl_call_expect(c, 202, write_one);
		rc = hl_event_replay(c->api->dispatcher, c->account, &what, published, c, &err);
		if (rc == HL_ENOTFOUND && err.field[0]) /* of another account: the same words as for no id at all */
			rc = hl_read_fail(&r, &f, "is not the id of a webhook");
	}
	if (rc)
		hl_call_fail(c, rc, &err);
}

static const struct hl_route routes[] = {
	{ HL_METHOD_POST, "/events", HL_SCOPE_PUBLISH, HL_ROUTE_BODY | HL_ROUTE_IDEMPOTENT, publish },
	{ HL_METHOD_POST, "/events/{event}/replay", HL_SCOPE_MANAGE, HL_ROUTE_BODY_MAY | HL_ROUTE_IDEMPOTENT, replay },
};
const struct hl_routes hl_routes_publish = { routes, HL_ARRAY_LEN(routes) };

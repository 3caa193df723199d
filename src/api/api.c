/* From the HTTP server's events to calls.
 *
 *   on_head     mount, route, caller, limit, idempotency key, type of the body; says how the body is wanted
 *   on_request  hands the collected body to the route's handler
 *   on_abort    the client has gone: a call that only waits for its body ends; one at work ends with its work
 *
 * Whatever is wrong with the head is answered before the body is read. */
#include "api/api.h"

#include "api/auth.h"
#include "api/call.h"
#include "api/query.h"
#include "api/resources.h"
#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include "service/digest.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the head ----------------------------------------------------------------------------------------------------- */

/* What of the path follows the mount's prefix. */
static struct hl_str path_below(const struct hl_call *c)
{
	struct hl_str path = c->request->path;
	return hl_str_make(path.ptr + c->prefix_len, path.len - c->prefix_len);
}

/* false: answered. */
static bool find_route(struct hl_call *c)
{
	struct hl_match m = { .route = NULL };
	struct hl_mount *mounts[HL_MOUNTS_MAX];
	size_t n = hl_router_mounts(hl_api_mounts, c->request->path, mounts, &c->prefix_len);
	if (n) {
		c->mount = hl_auth_choose(c, mounts, n);
		hl_router_match(c->mount, c->method, path_below(c), &m);
	}
	if (!m.allow) {
		hl_call_problem_kind(c, HL_PROBLEM_NO_ROUTE);
		return false;
	}
	if (!m.route) {
		struct hl_buf allow = { .data = NULL };
		hl_router_allow(m.allow, &allow);
		hl_call_header(c, "Allow", hl_buf_all(&allow));
		hl_buf_fini(&allow);
		if (c->method == HL_METHOD_OPTIONS)
			hl_call_send_empty(c, 204);
		else
			hl_call_problem_kind(c, HL_PROBLEM_METHOD_NOT_ALLOWED);
		return false;
	}
	c->route = m.route;
	c->route_index = c->mount->first + m.index;
	for (size_t i = 0; i < m.n_params; i++) {
		c->params[i] = hl_percent_decode(c->request->arena, m.params[i], false);
		if (!c->params[i].ptr) {
			hl_call_problem_kind(c, HL_PROBLEM_NO_ROUTE);
			return false;
		}
	}
	c->n_params = m.n_params;
	return true;
}

static bool has_body(const struct hl_request *r)
{
	return r->chunked || r->content_length > 0;
}

static bool is_json(const struct hl_request *r)
{
	struct hl_str params;
	if (hl_headers_count(r->headers, HL_STR("content-type")) != 1 ||
			!hl_headers_get(r->headers, HL_STR("content-type"), &params))
		return false;
	struct hl_str type = hl_str_trim(hl_str_split(&params, ';'));
	if (!hl_str_ieq(type, HL_STR("application/json")))
		return false;
	params = params.ptr ? hl_str_trim(params) : HL_STR("");
	return !params.len || hl_str_ieq(params, HL_STR("charset=utf-8")) || hl_str_ieq(params, HL_STR("charset=\"utf-8\""));
}

/* false: answered. */
static bool check_body(struct hl_call *c)
{
	if (!(c->route->flags & (HL_ROUTE_BODY | HL_ROUTE_BODY_MAY)))
		return true;
	if (!has_body(c->request)) {
		if (c->route->flags & HL_ROUTE_BODY_MAY)
			return true;
		hl_call_problem_kind(c, HL_PROBLEM_BAD_JSON);
		return false;
	}
	if ((c->mount->flags & HL_MOUNT_LENIENT) || is_json(c->request))
		return true;
	hl_call_header(c, "Accept-Post", HL_STR("application/json"));
	hl_call_problem_kind(c, HL_PROBLEM_UNSUPPORTED_MEDIA_TYPE);
	return false;
}

/* false: answered. The fingerprint waits for the body. */
static bool take_idempotency_key(struct hl_call *c)
{
	struct hl_str key;
	if (!(c->route->flags & HL_ROUTE_IDEMPOTENT) || !hl_headers_get(c->request->headers, HL_STR("idempotency-key"), &key))
		return true;
	if (!key.len || key.len > 255 || !hl_str_all_between(key, 0x20, 0x7e) ||
			hl_headers_count(c->request->headers, HL_STR("idempotency-key")) > 1) {
		hl_call_bad_parameter(c, "Idempotency-Key", "must be 1 to 255 printable ASCII characters, once");
		return false;
	}
	struct hl_buf scope = { .data = NULL };
	hl_call_route_name(c->mount, c->route, &scope);
	c->once = true;
	c->idem.key = key;
	c->idem.scope = hl_arena_dup(c->request->arena, hl_buf_all(&scope));
	hl_buf_fini(&scope);
	if (c->idem.scope.ptr)
		return true;
	hl_call_problem_kind(c, HL_PROBLEM_BUSY);
	return false;
}

static enum hl_body_mode on_head(void *data, struct hl_request *r)
{
	struct hl_api *api = *(struct hl_api **)data;
	struct hl_call *c = calloc(1, sizeof(*c));
	if (!c) {
		hl_response_send(r, 503, NULL, 0, HL_STR(""));
		return HL_BODY_NONE;
	}
	api->n_calls++;
	c->api = api;
	c->request = r;
	c->method = r->method;
	c->trusted = data == &api->doors[1];
	c->started_ns = uv_hrtime();
	c->route_index = SIZE_MAX;
	r->data = c;
	if (!find_route(c))
		return HL_BODY_NONE;
	if (!(c->route->flags & HL_ROUTE_PUBLIC) && !hl_auth(c))
		return HL_BODY_NONE;
	if (c->route->flags & HL_ROUTE_STREAM) {
		size_t n_calls = api->n_calls;
		c->route->handler(c);
		return api->n_calls == n_calls ? HL_BODY_STREAM : HL_BODY_NONE; /* one less: it was answered */
	}
	if (!check_body(c) || !take_idempotency_key(c))
		return HL_BODY_NONE;
	return c->route->flags & (HL_ROUTE_BODY | HL_ROUTE_BODY_MAY) ? HL_BODY_WHOLE : HL_BODY_NONE;
}

/* ---- the body and the rest ---------------------------------------------------------------------------------------- */

static void on_body(void *data, struct hl_request *r, struct hl_str piece)
{
	struct hl_call *c = r->data;
	(void)data;
	c->stream->on_body(c->stream_data, piece);
}

static void on_request(void *data, struct hl_request *r)
{
	struct hl_call *c = r->data;
	(void)data;
	if (c->stream) {
		c->stream->on_end(c->stream_data);
		return;
	}
	c->body = r->body;
	c->working = true;
	if (c->once) { /* the same request at another of the mount's places is the same */
		struct hl_str parts[] = {
			hl_str_from(hl_method_name(c->method)), hl_str_from(c->mount->prefixes[0]), path_below(c), HL_STR("\n"), r->body,
		};
		hl_sha256(parts, HL_ARRAY_LEN(parts), c->idem.fingerprint);
	}
	c->route->handler(c);
}

static void on_writable(void *data, struct hl_request *r)
{
	struct hl_call *c = r->data;
	(void)data;
	if (c->stream)
		c->stream->on_writable(c->stream_data);
}

static void on_refused(void *data, struct hl_request *r, unsigned status, const char *reason)
{
	struct hl_call *c = r->data;
	(void)data;
	HL_CHECK(!c->working);
	struct hl_problem p = { .kind = HL_PROBLEM_BAD_REQUEST, .detail = hl_str_from(reason) };
	char too_large[80];
	if (status == 413) {
		snprintf(too_large, sizeof(too_large), "the body is larger than %u bytes (limits.body_max)", c->api->body_max);
		p.kind = HL_PROBLEM_TOO_LARGE;
		p.detail = hl_str_from(too_large);
	} else if (status == 408)
		p.kind = HL_PROBLEM_TIMEOUT;
	else if (status >= 500)
		p.kind = HL_PROBLEM_BUSY;
	if (!c->stream) {
		hl_call_problem(c, &p);
		return;
	}
	hl_call_part(c, &p); /* what it handed over comes back first */
	c->stream->on_abort(c->stream_data);
}

static void on_abort(void *data, struct hl_request *r)
{
	struct hl_call *c = r->data;
	(void)data;
	c->request = NULL;
	if (c->stream)
		c->stream->on_abort(c->stream_data);
	else if (!c->working)
		hl_call_finish(c, 499);
}

/* ---- the api ------------------------------------------------------------------------------------------------------ */

int hl_api_create(struct hl_api **out, const struct hl_api_options *o, struct hl_err *err)
{
	struct hl_api *api = calloc(1, sizeof(*api));
	if (!api)
		return hl_err_set(err, HL_ENOMEM, "no memory for the API");
	api->loop = o->loop;
	api->dispatcher = o->dispatcher;
	api->service = o->service;
	api->alerts = o->alerts;
	api->env = o->env ? o->env : &hl_env_real;
	api->log = o->log;
	api->version = o->version ? o->version : "";
	api->body_max = o->body_max ? o->body_max : HL_BODY_MAX_DEFAULT;
	for (size_t i = 0; hl_api_mounts[i]; i++) {
		hl_api_mounts[i]->first = api->n_routes;
		api->n_routes += hl_router_count(hl_api_mounts[i]);
	}
	api->counts = calloc(api->n_routes + 1, sizeof(*api->counts));
	if (!api->counts) {
		free(api);
		return hl_err_set(err, HL_ENOMEM, "no memory for the API");
	}
	api->doors[0].api = api->doors[1].api = api;
	api->doors[1].trusted = true;
	*out = api;
	return HL_OK;
}

void hl_api_destroy(struct hl_api *api)
{
	HL_CHECK(api->n_calls == 0);
	free(api->counts);
	free(api);
}

struct hl_request_handler hl_api_handler(struct hl_api *api, bool trusted)
{
	return (struct hl_request_handler){
		.data = &api->doors[trusted], .on_head = on_head, .on_body = on_body, .on_request = on_request,
		.on_writable = on_writable, .on_refused = on_refused, .on_abort = on_abort,
	};
}

void hl_api_add_server(struct hl_api *api, const struct hl_server *server)
{
	for (size_t i = 0; i < HL_API_SERVERS_MAX; i++)
		if (!api->servers[i]) {
			api->servers[i] = server;
			return;
		}
	HL_NEVER("more servers than the metrics can hold");
}

void hl_api_remove_server(struct hl_api *api, const struct hl_server *server)
{
	for (size_t i = 0; i < HL_API_SERVERS_MAX; i++)
		if (api->servers[i] == server)
			api->servers[i] = NULL;
}

void hl_api_drain(struct hl_api *api)
{
	api->draining = true;
}

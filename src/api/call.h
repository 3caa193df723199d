/* One API request on its way: who asks, for which route, and the one door out.
 *
 *   head ─► route found, caller known, limit taken ─► (body) ─► handler ─► … ─► answer
 *
 * A handler either answers before it returns or has started exactly one piece of work whose callback answers. Answering
 * ends the call: c is gone afterwards. When the client goes away meanwhile, `request` becomes NULL and the callback ends
 * the call by answering into the void; everything that lives in the request (arena, params, body, query) is gone then, so
 * callbacks may use only what is in the call itself. */
#ifndef HL_API_CALL_H
#define HL_API_CALL_H

#include "api/problem.h"
#include "api/reader.h"
#include "api/router.h"
#include "http/server.h"
#include "service/service.h"
#include <hookline/alert.h>

struct hl_api;

enum { HL_CALL_HEADERS_MAX = 16, HL_BODY_MAX_DEFAULT = 1 << 20, HL_LIMIT_DEFAULT = 50, HL_LIMIT_MAX = 250 };

/* Writes an object into the emptied c->out (data is the call); `secret` is shown with it when it is not "". */
typedef struct hl_str (*hl_write)(void *data, const void *object, struct hl_str secret);

/* A route that takes its body in pieces. Its handler begins the answer at once. */
struct hl_stream {
	void (*on_body)(void *data, struct hl_str piece);
	void (*on_end)(void *data);
	void (*on_writable)(void *data);
	void (*on_abort)(void *data); /* no more of the body, nobody to answer; c->request is NULL already */
};

struct hl_call {
	struct hl_api *api;
	struct hl_request *request;      /* NULL: the client has gone */
	const struct hl_mount *mount;    /* NULL: no API owns the path */
	size_t prefix_len;               /* of the mount's prefix in the request's path */
	const struct hl_route *route;    /* NULL: none fits */
	size_t route_index;              /* for the counters; SIZE_MAX = none */
	enum hl_method method;
	bool trusted;                    /* came over the control socket */
	bool working;                    /* the handler has it: only an answer ends the call */
	uint64_t started_ns;
	/* who */
	uint32_t key;                    /* 0 = none (public route, control socket) */
	uint32_t account;                /* acted for */
	unsigned scopes;
	/* the request; these live as long as `request` */
	size_t n_params;
	struct hl_str params[HL_ROUTE_PARAMS_MAX]; /* decoded */
	struct hl_str body;
	bool once;                       /* an Idempotency-Key was given: */
	struct hl_idempotency idem;
	/* of a listing */
	struct hl_page page;
	uint32_t filter;                 /* hash of what selects the rows */
	/* the answer */
	struct hl_buf out;
	struct hl_header headers[HL_CALL_HEADERS_MAX];
	size_t n_headers;
	struct hl_buf header_text;       /* values made for this answer, NUL between them */
	/* of a streamed route */
	const struct hl_stream *stream;
	void *stream_data;
	/* of a change: see hl_call_expect */
	unsigned success;
	hl_write write;
	/* a handler's own, for its callbacks */
	uint64_t number;
	bool flag;
	const char *text;                /* a literal to answer with */
	struct hl_answer *answer;        /* an idempotency key held, see hl_call_hold; free again when the call ends */
};

/* ---- answering: each ends the call -------------------------------------------------------------------------------- */

void hl_call_send(struct hl_call *c, unsigned status);          /* c->out as application/json */
void hl_call_send_as(struct hl_call *c, unsigned status, const char *content_type);
void hl_call_send_empty(struct hl_call *c, unsigned status);    /* 204 */
/* The answer kept for the idempotency key, byte for byte. */
void hl_call_replay(struct hl_call *c, unsigned status, struct hl_str answer);
void hl_call_problem(struct hl_call *c, const struct hl_problem *p);
void hl_call_problem_kind(struct hl_call *c, enum hl_problem_kind kind);
/* hl_mount.write_error of the native API. */
unsigned hl_call_write_problem(struct hl_call *c, const struct hl_problem *p);
void hl_call_bad_parameter(struct hl_call *c, const char *name, const char *fmt, ...) HL_PRINTF(3, 4);
/* An error of the library; err may be NULL. */
void hl_call_fail(struct hl_call *c, int code, const struct hl_err *err);
/* Begins a streamed answer; the call goes on. */
void hl_call_begin(struct hl_call *c, unsigned status, const char *content_type);
/* Tells the client why its body is not read on; the call goes on without a client, as if that had gone away. */
void hl_call_part(struct hl_call *c, const struct hl_problem *p);
/* After a streamed answer was ended or dropped (r is gone): counts and frees. */
void hl_call_finish(struct hl_call *c, unsigned status);

/* ---- on the way --------------------------------------------------------------------------------------------------- */

/* Adds a field to the answer; the value is copied. Literals only as names. */
void hl_call_header(struct hl_call *c, const char *name, struct hl_str value);
void hl_call_header_fmt(struct hl_call *c, const char *name, const char *fmt, ...) HL_PRINTF(3, 4);
/* The route as metrics and logs show it, "/v1/webhooks/{webhook}": appended. */
void hl_call_route_name(const struct hl_mount *m, const struct hl_route *r, struct hl_buf *out);
/* What Content-Type says of a body that is streamed. */
enum hl_content { HL_CONTENT_OTHER, HL_CONTENT_JSON, HL_CONTENT_NDJSON };
enum hl_content hl_call_content(const struct hl_call *c);
/* A writer on the emptied c->out. */
void hl_call_writer(struct hl_call *c, struct hl_jsonw *w);
struct hl_reader hl_call_reader(struct hl_call *c, struct hl_err *err);
/* Before a change: what to answer when it is durable, `success` with the object as `write` writes it (NULL: no body).
 * Returns what to give the library for its Idempotency-Key; NULL without one. */
const struct hl_idempotency *hl_call_expect(struct hl_call *c, unsigned success, hl_write write);
/* The same for work that is no single change of the store: holds the key (false: answered, from what was kept or because
 * somebody is at it) until hl_call_send_held answers 200 with c->out and keeps that; any other end frees the key. */
bool hl_call_hold(struct hl_call *c);
void hl_call_send_held(struct hl_call *c);
/* The callbacks to go with hl_call_expect. */
void hl_call_changed(void *call, int status, const struct hl_err *err, const struct hl_change_result *r);
void hl_call_webhook_changed(void *call, int status, const struct hl_err *err, const struct hl_webhook_result *r);
/* The path's i-th parameter as an id. false: answered 404. */
bool hl_call_id(struct hl_call *c, size_t i, enum hl_id_kind kind, uint64_t *out_number);

/* ---- the rest of the API ------------------------------------------------------------------------------------------ */

enum { HL_API_SERVERS_MAX = 4, HL_API_CODES_MAX = 12 };

/* Answers of one route by status code. */
struct hl_route_count {
	uint16_t status[HL_API_CODES_MAX];  /* 0 = free */
	uint64_t n[HL_API_CODES_MAX];
};

struct hl_api {
	uv_loop_t *loop;
	struct hl_dispatcher *dispatcher;
	struct hl_service *service;
	struct hl_alerts *alerts;
	const struct hl_env *env;
	const struct hl_log *log;
	const char *version;
	uint32_t body_max;
	bool draining;
	size_t n_calls;                     /* not ended yet */
	size_t n_routes;
	struct hl_route_count *counts;      /* by route_index; the last one counts requests without a route */
	struct hl_histogram durations;
	const struct hl_server *servers[HL_API_SERVERS_MAX]; /* for their counters */
	struct { struct hl_api *api; bool trusted; } doors[2];
};

#endif

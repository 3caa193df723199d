/* From the reader's steps to the handler's callbacks, and from an answer to the next request.
 *
 * HEAD fills the request and asks the handler what becomes of the body; BODY collects, streams or drops a piece; END
 * hands the request over. When the answer is complete, hl_connection_answered() decides what becomes of the connection:
 * the next request, the rest of a body nobody waits for, or the end.
 *
 *   BAD in the head: the server answers. BAD in the body, or a deadline: the handler may answer, else the server does.
 *   Too many requests under way: 503 to everything but health and metrics, before the handler hears of it. */
#include "base/defs.h"
#include "base/str.h"
#include "http/connection.h"

enum {
	KEEP_CAP = 32768,          /* a body buffer beyond this is given back after the request */
	REQUESTS_MAX = 1000000,    /* on one connection */
};

static void next_request(struct hl_connection *c)
{
	hl_connection_move(c, HL_CONNECTION_IDLE);
	hl_message_next(&c->message, false);
	hl_arena_reset(&c->arena);
	if (c->body.cap > KEEP_CAP)
		hl_buf_fini(&c->body);
	else
		hl_buf_reset(&c->body);
	c->answer = HL_ANSWER_NONE;
	c->paused = c->body_chunked = c->above_mark = c->requested = false;
	if (c->input.len && !c->running)
		hl_connection_due(c);
}

/* A body nobody waits for is read to its end when that is near, so that the connection can be kept. */
bool hl_connection_ends(const struct hl_connection *c)
{
	if (c->close_after || c->hub->draining || c->n_requests >= REQUESTS_MAX || (c->eof && c->input.len == 0))
		return true;
	return c->state == HL_CONNECTION_BODY
			&& (c->message.content_length > (int64_t)c->hub->o.body_max || c->message.expects_continue);
}

void hl_connection_answered(struct hl_connection *c)
{
	c->answer = HL_ANSWER_DONE;
	c->close_after = hl_connection_ends(c);
	if (c->state == HL_CONNECTION_BODY && !c->close_after) {
		c->message.body_max = c->hub->o.body_max;
		hl_connection_move(c, HL_CONNECTION_DISCARD);
		if (c->paused && !c->running)
			hl_connection_due(c);
		c->paused = false;
	} else if (c->close_after) {
		hl_connection_linger(c);
		if (!c->running)
			hl_connection_due(c); /* reading may have stopped, and what still comes must be read to be thrown away */
	} else {
		next_request(c);
	}
	if (!c->running)
		hl_connection_arm(c);
}

/* Health and metrics stay reachable when everything else is taken. */
static bool always_served(struct hl_str path)
{
	return hl_str_eq(path, HL_STR("/livez")) || hl_str_eq(path, HL_STR("/readyz")) || hl_str_eq(path, HL_STR("/healthz"))
			|| hl_str_eq(path, HL_STR("/metrics"));
}

static void fill_request(struct hl_connection *c)
{
	struct hl_message *m = &c->message;
	const char *mark = memchr(m->target.ptr, '?', m->target.len);
	size_t path_len = mark ? (size_t)(mark - m->target.ptr) : m->target.len;
	c->request = (struct hl_request){
		.method = m->method,
		.target = m->target,
		.path = { m->target.ptr, path_len },
		.query = mark ? hl_str_make(mark + 1, m->target.len - path_len - 1) : HL_STR_NONE,
		.headers = &m->headers,
		.minor = m->minor,
		.peer = hl_str_from(c->peer),
		.peer_is_unix = c->stream.type == UV_NAMED_PIPE,
		.content_length = m->content_length,
		.chunked = m->chunked,
		.arena = &c->arena,
	};
}

/* The body cannot be had. The handler may word the answer; the connection ends with it. */
void hl_connection_refuse_body(struct hl_connection *c, unsigned status, const char *reason)
{
	const struct hl_request_handler *h = &c->hub->handler;
	c->close_after = true;
	if (c->state == HL_CONNECTION_DISCARD) {
		hl_connection_linger(c);
		return;
	}
	c->hub->stats.refused++;
	if (c->requested) { /* it was at work without the body: what it answers still goes out */
		hl_connection_move(c, HL_CONNECTION_ANSWER);
		return;
	}
	if (c->answer == HL_ANSWER_STREAMED) {
		hl_connection_abort(c);
		return;
	}
	if (h->on_refused)
		h->on_refused(h->data, &c->request, status, reason);
	else
		h->on_abort(h->data, &c->request);
	if (hl_connection_live(c))
		hl_connection_refuse(c, status, reason);
}

static void call_on_request(struct hl_connection *c)
{
	if (c->requested)
		return;
	c->requested = true;
	c->hub->handler.on_request(c->hub->handler.data, &c->request);
}

static void on_head(struct hl_connection *c)
{
	const struct hl_request_handler *h = &c->hub->handler;
	fill_request(c);
	c->n_requests++;
	c->close_after = !c->message.keep_alive;
	if (c->hub->n_live >= c->hub->o.connections_soft) {
		if (!always_served(c->request.path)) {
			c->hub->stats.overloaded++;
			hl_connection_refuse(c, 503, "too many requests are under way");
			return;
		}
		c->close_after = true;
	}
	c->hub->stats.requests++;
	c->rate_until_ms = (hl_ms_t)uv_now(c->hub->loop) + c->hub->o.body_timeout_ms;
	c->mode = HL_BODY_NONE; /* until the handler says otherwise */
	hl_connection_move(c, HL_CONNECTION_BODY);
	c->mode = h->on_head ? h->on_head(h->data, &c->request) : HL_BODY_WHOLE;
	if (c->state != HL_CONNECTION_BODY)
		return;
	if (c->mode == HL_BODY_NONE) {
		call_on_request(c);
		return;
	}
	if (c->mode == HL_BODY_WHOLE) {
		c->message.body_max = c->hub->o.body_max;
		if (c->message.content_length > (int64_t)c->hub->o.body_max) {
			hl_connection_refuse_body(c, 413, "the body is too large");
			return;
		}
	}
}

static void on_body(struct hl_connection *c)
{
	const struct hl_request_handler *h = &c->hub->handler;
	struct hl_str piece = c->message.chunk;
	if (c->state == HL_CONNECTION_DISCARD || c->mode == HL_BODY_NONE)
		return;
	c->message.expects_continue = false; /* it did not wait */
	if (c->mode == HL_BODY_STREAM) {
		h->on_body(h->data, &c->request, piece);
		return;
	}
	if (c->body.len == 0 && c->message.content_length > 0)
		(void)hl_buf_reserve(&c->body, (size_t)c->message.content_length);
	hl_buf_str(&c->body, piece);
	if (!hl_buf_ok(&c->body))
		hl_connection_refuse_body(c, 503, "out of memory");
}

static void on_end(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_DISCARD) {
		next_request(c);
		return;
	}
	hl_connection_move(c, HL_CONNECTION_ANSWER);
	c->message.expects_continue = false;
	if (c->mode == HL_BODY_WHOLE)
		c->request.body = hl_buf_all(&c->body);
	call_on_request(c);
}

static void on_bad(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_HEAD) {
		c->hub->stats.refused++;
		hl_connection_refuse(c, c->message.status, c->message.reason);
	} else {
		hl_connection_refuse_body(c, c->message.status, c->message.reason);
	}
}

void hl_connection_step(struct hl_connection *c, enum hl_step step)
{
	switch (step) {
	case HL_STEP_HEAD:
		on_head(c);
		break;
	case HL_STEP_BODY:
		on_body(c);
		break;
	case HL_STEP_END:
		on_end(c);
		break;
	case HL_STEP_BAD:
		on_bad(c);
		break;
	case HL_STEP_MORE:
		break;
	}
}

/* ---- the handler's side of a streamed body ---------------------------------------------------------------------------- */

void hl_request_pause(struct hl_request *r)
{
	struct hl_connection *c = HL_CONTAINER_OF(r, struct hl_connection, request);
	if (c->state != HL_CONNECTION_BODY || c->paused)
		return;
	c->paused = true;
	if (!c->running)
		hl_connection_arm(c);
}

void hl_request_resume(struct hl_request *r)
{
	struct hl_connection *c = HL_CONTAINER_OF(r, struct hl_connection, request);
	if (!c->paused)
		return;
	c->paused = false;
	c->rate_until_ms = (hl_ms_t)uv_now(c->hub->loop) + c->hub->o.body_timeout_ms;
	hl_connection_due(c);
}

void hl_request_drop(struct hl_request *r)
{
	hl_connection_close(HL_CONTAINER_OF(r, struct hl_connection, request));
}

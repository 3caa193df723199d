/* Inbound connections: bytes to steps, steps to callbacks of the handler.
 *
 * A client sends a request in one piece: the read callback runs the message reader over the shared read buffer, on_head
 * and on_request run, the handler answers at once or later, answer.c writes head and body with one writev, and the
 * connection waits for the next request. Nothing was allocated: arena, head and body buffers are kept.
 *
 *   Bytes of the next request arrive while an answer is pending: they are kept in `input` and reading stops. When the
 *     request is over, hl_connection_due() has the input run before the loop sleeps, never from inside the answer call.
 *   The handler pauses a streamed body: likewise.
 *   Malformed head: answered with its status, Connection: close. Malformed, too large or too slow body: on_refused may
 *     word the answer; once a streamed answer has begun the connection is broken off instead (on_abort).
 *   FIN in the middle of a request, reset, failed write: on_abort, closed. FIN after a complete request is a client that
 *     only shut down its sending side: it still gets its answer.
 *   Deadlines: one per direction. A phase sets its deadline when the bytes at hand are used up, so a request that comes
 *     whole sets none but the idle one, which costs a store.
 *
 *
 * The handler may drop the request or answer from inside any of its callbacks; `running` tells that run() is on the
 * stack, which then looks at the state again before every step. Handles are freed by the close callback only. */
#include "http/connection.h"
#include "base/check.h"
#include "base/defs.h"
#include "base/str.h"
#include "net/addr.h"
#include <netinet/tcp.h>
#include <stdlib.h>

enum {
	ARENA_MAX = 16 << 20,      /* of one request */
	KEEP_CAP = 32768,          /* an input buffer beyond this is given back once empty */
	PIPELINE_MARK = 65536,     /* bytes of answers not taken at which the next pipelined request is not begun */
	UNSENT_MAX = 65536,        /* bytes the kernel keeps for a client who does not read, beyond what is on its way */
	PIPELINE_TURN = 1,         /* pipelined requests in one turn; the others have theirs in between */
};

/* Where the state puts it: among those with a request under way, or at the end of those who rest. */
static void settle(struct hl_connection *c, bool was_live)
{
	struct hl_connection_hub *hub = c->hub;
	bool live = hl_connection_live(c);
	hub->n_live = hub->n_live + live - was_live;
	hl_list_remove(&c->rest_node);
	if (!live && c->state != HL_CONNECTION_CLOSING)
		hl_list_push_back(&hub->resting, &c->rest_node);
}

void hl_connection_move(struct hl_connection *c, enum hl_connection_state to)
{
#define TO(s) (1u << HL_CONNECTION_##s)
	static const unsigned edges[HL_CONNECTION_STATE_N] = {
		[HL_CONNECTION_IDLE] = TO(HEAD) | TO(CLOSING),
		[HL_CONNECTION_HEAD] = TO(BODY) | TO(LINGER) | TO(CLOSING),
		[HL_CONNECTION_BODY] = TO(ANSWER) | TO(DISCARD) | TO(LINGER) | TO(CLOSING),
		[HL_CONNECTION_ANSWER] = TO(IDLE) | TO(LINGER) | TO(CLOSING),
		[HL_CONNECTION_DISCARD] = TO(IDLE) | TO(LINGER) | TO(CLOSING),
		[HL_CONNECTION_LINGER] = TO(CLOSING),
	};
#undef TO
	HL_CHECK(edges[c->state] & 1u << to);
	bool was_live = hl_connection_live(c);
	c->state = to;
	settle(c, was_live);
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *h)
{
	struct hl_connection *c = h->data;
	struct hl_connection_hub *hub = c->hub;
	bool accepted = c->accepted;
	hl_message_fini(&c->message);
	hl_arena_fini(&c->arena);
	hl_buf_fini(&c->body);
	hl_buf_fini(&c->input);
	hl_buf_fini(&c->unsent);
	hl_buf_fini(&c->sending);
	free(c);
	hub->stats.connections--;
	hub->on_gone(hub, accepted);
}

void hl_connection_close(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_CLOSING)
		return;
	hl_connection_move(c, HL_CONNECTION_CLOSING);
	c->hub->n_open--;
	hl_list_remove(&c->node);
	hl_list_remove(&c->due_node);
	hl_deadline_remove(&c->hub->deadlines, &c->read_by);
	hl_deadline_remove(&c->hub->deadlines, &c->write_by);
	uv_close((uv_handle_t *)&c->stream, on_closed);
}

void hl_connection_abort(struct hl_connection *c)
{
	if (hl_connection_live(c)) {
		c->hub->stats.aborted++;
		c->hub->handler.on_abort(c->hub->handler.data, &c->request);
	}
	hl_connection_close(c);
}

/* No more requests: the answer goes out, our side is shut down, what still comes is thrown away until the client closes. */
void hl_connection_linger(struct hl_connection *c)
{
	hl_connection_move(c, HL_CONNECTION_LINGER);
	hl_buf_reset(&c->input);
	hl_connection_flush(c);
}

/* ---- deadlines ------------------------------------------------------------------------------------------------------- */

static void set_read_by(struct hl_connection *c, hl_ms_t in_ms)
{
	if (hl_deadline_set(&c->hub->deadlines, &c->read_by, in_ms))
		c->broken = true, hl_connection_due(c);
}

/* The deadline that belongs to the phase reading is in now; the clock of a phase goes on, a new phase sets its own. */
void hl_connection_arm(struct hl_connection *c)
{
	const struct hl_server_options *o = &c->hub->o;
	bool stream = c->state == HL_CONNECTION_BODY && c->mode == HL_BODY_STREAM;
	if (stream) {
		hl_ms_t now_ms = (hl_ms_t)uv_now(c->hub->loop);
		if (c->paused)
			hl_deadline_clear(&c->read_by);
		else
			set_read_by(c, c->rate_until_ms - now_ms);
	} else if (c->armed_state == c->state && c->armed_request == c->n_requests) {
		return;
	} else {
		switch (c->state) {
		case HL_CONNECTION_IDLE:
			set_read_by(c, c->n_requests ? o->idle_timeout_ms : o->head_timeout_ms);
			break;
		case HL_CONNECTION_HEAD:
			set_read_by(c, o->head_timeout_ms);
			break;
		case HL_CONNECTION_BODY:
		case HL_CONNECTION_DISCARD:
			set_read_by(c, o->body_timeout_ms);
			break;
		case HL_CONNECTION_LINGER: /* set when our side is shut down */
			if (!c->shut)
				hl_deadline_clear(&c->read_by);
			break;
		case HL_CONNECTION_ANSWER:
			hl_deadline_clear(&c->read_by);
			break;
		case HL_CONNECTION_CLOSING:
		case HL_CONNECTION_STATE_N:
			return;
		}
	}
	c->armed_state = c->state;
	c->armed_request = c->n_requests;
}

/* A streamed body buys time with its bytes, at stream_rate_min per second, and cannot hoard more than body_timeout_ms. */
static void pay(struct hl_connection *c, size_t bytes)
{
	hl_ms_t now_ms = (hl_ms_t)uv_now(c->hub->loop);
	hl_ms_t bought_ms = (hl_ms_t)(bytes * 1000 / c->hub->o.stream_rate_min) + 1;
	c->rate_until_ms = HL_MIN(c->rate_until_ms + bought_ms, now_ms + c->hub->o.body_timeout_ms);
}

/* ---- bytes ----------------------------------------------------------------------------------------------------------- */

/* May the reader go on? A client that does not take its answers gets no further ones begun. */
static bool ready(const struct hl_connection *c)
{
	switch (c->state) {
	case HL_CONNECTION_IDLE:
		return c->n_requests < c->turn_ends_at && hl_connection_unwritten(c) <= PIPELINE_MARK;
	case HL_CONNECTION_HEAD:
	case HL_CONNECTION_DISCARD:
		return true;
	case HL_CONNECTION_BODY:
		return !c->paused;
	default:
		return false;
	}
}

/* Runs the reader over *in as far as it may go. */
static void run(struct hl_connection *c, struct hl_str *in)
{
	c->running = true;
	c->turn_ends_at = c->n_requests + PIPELINE_TURN;
	while (ready(c)) {
		if (c->state == HL_CONNECTION_IDLE) {
			if (in->len == 0)
				break;
			hl_connection_move(c, HL_CONNECTION_HEAD);
		}
		enum hl_step step = hl_message_step(&c->message, in);
		if (step == HL_STEP_MORE)
			break;
		hl_connection_step(c, step);
	}
	c->running = false;
	if (c->state == HL_CONNECTION_IDLE && in->len && c->n_requests == c->turn_ends_at)
		hl_connection_due(c);
	if (c->state == HL_CONNECTION_BODY && c->mode != HL_BODY_NONE && c->message.expects_continue && !c->paused)
		hl_connection_continue(c);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *buf)
{
	(void)hint;
	struct hl_connection *c = h->data;
	*buf = uv_buf_init(c->hub->read_buf, HL_CONNECTION_READ_CAP);
}

/* Reading goes on while nothing waits in `input`; a client in LINGER is read until it closes. */
static void set_reading(struct hl_connection *c)
{
	bool want = !c->eof && c->state != HL_CONNECTION_CLOSING && c->input.len == 0;
	if (want == c->reading || c->state == HL_CONNECTION_CLOSING)
		return;
	c->reading = want;
	if (!want)
		(void)uv_read_stop(&c->stream);
	else if (uv_read_start(&c->stream, on_alloc, on_read))
		hl_connection_abort(c);
}

static void after_run(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_CLOSING)
		return;
	if (c->state == HL_CONNECTION_LINGER)
		hl_buf_reset(&c->input);
	else if (c->input.len == 0 && c->input.cap > KEEP_CAP)
		hl_buf_fini(&c->input);
	hl_connection_arm(c);
	set_reading(c);
}

/* The client sent FIN and everything before it was run. */
static void at_eof(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_ANSWER || (hl_connection_live(c) && c->paused))
		return; /* it can still take its answer */
	if (c->state == HL_CONNECTION_BODY) {
		hl_connection_abort(c);
	} else if (hl_connection_unwritten(c) && c->state == HL_CONNECTION_DISCARD) {
		hl_connection_linger(c);
	} else if (!hl_connection_unwritten(c)) {
		hl_connection_close(c);
	} /* else when the last byte is written, or at the write deadline */
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct hl_connection *c = s->data;
	if (n == 0)
		return;
	if (n == UV_EOF) {
		c->eof = true;
		set_reading(c);
		if (c->input.len == 0)
			at_eof(c);
		return;
	}
	if (n < 0) {
		hl_connection_abort(c);
		return;
	}
	if (c->state == HL_CONNECTION_LINGER)
		return;
	struct hl_str in = { buf->base, (size_t)n };
	if (c->state == HL_CONNECTION_BODY && c->mode == HL_BODY_STREAM)
		pay(c, in.len);
	if (c->input.len == 0)
		run(c, &in);
	if (in.len && c->state != HL_CONNECTION_LINGER && c->state != HL_CONNECTION_CLOSING) {
		hl_buf_str(&c->input, in);
		if (!hl_buf_ok(&c->input)) {
			hl_connection_abort(c);
			return;
		}
	}
	after_run(c);
}

static void on_read_by(struct hl_deadline *d)
{
	struct hl_connection *c = HL_CONTAINER_OF(d, struct hl_connection, read_by);
	switch (c->state) {
	case HL_CONNECTION_HEAD:
		c->hub->stats.refused++;
		hl_connection_refuse(c, 408, "the head of the request took too long");
		break;
	case HL_CONNECTION_BODY:
		hl_connection_refuse_body(c, 408, c->mode == HL_BODY_STREAM ? "the body comes too slowly" : "the body took too long");
		break;
	case HL_CONNECTION_DISCARD:
		hl_connection_linger(c);
		break;
	default:
		hl_connection_close(c);
		break;
	}
	if (c->state != HL_CONNECTION_CLOSING)
		after_run(c);
}

static void on_write_by(struct hl_deadline *d)
{
	struct hl_connection *c = HL_CONTAINER_OF(d, struct hl_connection, write_by);
	size_t left = hl_connection_unwritten(c);
	if (left == 0)
		return;
	if (left >= c->write_left || hl_deadline_set(&c->hub->deadlines, d, c->hub->o.write_timeout_ms)) {
		hl_connection_abort(c);
		return;
	}
	c->write_left = left;
}

/* ---- what waits until the handler is off the stack -------------------------------------------------------------------- */

static void serve(struct hl_connection *c)
{
	if (c->broken) {
		hl_connection_abort(c);
		return;
	}
	hl_connection_flush(c);
	if (c->state == HL_CONNECTION_CLOSING)
		return;
	size_t unwritten = hl_connection_unwritten(c);
	if (c->above_mark && unwritten < c->hub->o.writable_mark) {
		c->above_mark = false;
		if (hl_connection_live(c) && c->hub->handler.on_writable)
			c->hub->handler.on_writable(c->hub->handler.data, &c->request);
	}
	c->turn_ends_at = c->n_requests + PIPELINE_TURN;
	if (ready(c) && c->input.len) {
		struct hl_str in = hl_buf_unread(&c->input);
		size_t before = in.len;
		if (c->state == HL_CONNECTION_BODY && c->mode == HL_BODY_STREAM)
			pay(c, before);
		run(c, &in);
		if (c->state != HL_CONNECTION_CLOSING && c->input.len)
			hl_buf_consume(&c->input, before - in.len);
	} else if (c->state == HL_CONNECTION_BODY && !c->paused) {
		struct hl_str in = HL_STR_NONE;
		run(c, &in); /* the handler may have paused on the last piece: the end of the body is still to be told */
	}
	after_run(c);
	if (c->eof && c->state != HL_CONNECTION_CLOSING && c->input.len == 0)
		at_eof(c);
	else if (c->hub->draining && hl_connection_quiet(c))
		hl_connection_close(c);
}

static void on_idle(uv_idle_t *idle)
{
	struct hl_connection_hub *hub = idle->data;
	struct hl_list now;
	hl_list_init(&now);
	while (!hl_list_empty(&hub->due)) /* what becomes due meanwhile waits for the next turn */
		hl_list_push_back(&now, hl_list_pop_front(&hub->due));
	while (!hl_list_empty(&now))
		serve(HL_LIST_ENTRY(hl_list_pop_front(&now), struct hl_connection, due_node));
	if (hl_list_empty(&hub->due))
		(void)uv_idle_stop(&hub->idle);
}

/* An idle handle, because it keeps the loop from sleeping: a prepare handle started by another prepare callback would
 * run only after the next sleep. */
void hl_connection_due(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_CLOSING || hl_list_linked(&c->due_node))
		return;
	hl_list_push_back(&c->hub->due, &c->due_node);
	(void)uv_idle_start(&c->hub->idle, on_idle);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

struct hl_connection *hl_connection_create(struct hl_connection_hub *hub, bool pipe)
{
	struct hl_connection *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	if (pipe ? uv_pipe_init(hub->loop, &c->pipe, 0) : uv_tcp_init(hub->loop, &c->tcp)) {
		free(c);
		return NULL;
	}
	c->stream.data = c;
	c->hub = hub;
	hl_message_init(&c->message, HL_MESSAGE_REQUEST, &hub->o.limits);
	hl_arena_init(&c->arena, ARENA_MAX);
	hl_deadline_init(&c->read_by, on_read_by);
	hl_deadline_init(&c->write_by, on_write_by);
	c->armed_state = HL_CONNECTION_STATE_N;
	hl_list_push_back(&hub->connections, &c->node);
	hub->n_open++;
	settle(c, false);
	hub->stats.connections++;
	return c;
}

static void name_peer(struct hl_connection *c)
{
	struct sockaddr_storage ss;
	int len = sizeof(ss);
	struct hl_addr addr;
	char text[HL_ADDR_TEXT_CAP] = "unix:";
	if (c->stream.type == UV_TCP) {
		text[0] = '\0';
		if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len) == 0
				&& hl_addr_from_sockaddr((struct sockaddr *)&ss, (socklen_t)len, &addr))
			(void)hl_addr_format(&addr, text);
	}
	size_t n = HL_MIN(strlen(text), sizeof(c->peer) - 1);
	memcpy(c->peer, text, n);
}

void hl_connection_start(struct hl_connection *c)
{
	c->accepted = true;
	c->hub->stats.accepted++;
	uv_os_fd_t fd;
	int most = UNSENT_MAX;
	if (c->stream.type == UV_TCP && uv_fileno((uv_handle_t *)&c->stream, &fd) == 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof(most)); /* nodelay is set by the listener */
	name_peer(c);
	after_run(c);
}

int hl_connection_hub_init(struct hl_connection_hub *hub, uv_loop_t *loop, const struct hl_server_options *o,
		const struct hl_request_handler *handler)
{
	*hub = (struct hl_connection_hub){ .loop = loop, .o = *o, .handler = *handler };
	hl_list_init(&hub->connections);
	hl_list_init(&hub->resting);
	hl_list_init(&hub->owing);
	hl_list_init(&hub->due);
	hub->read_buf = malloc(HL_CONNECTION_READ_CAP);
	if (!hub->read_buf)
		return HL_ENOMEM;
	int rc = hl_deadlines_init(&hub->deadlines, loop);
	if (rc) {
		free(hub->read_buf);
		return rc;
	}
	(void)uv_idle_init(loop, &hub->idle); /* cannot fail */
	hub->idle.data = hub;
	return 0;
}

static void on_idle_closed(uv_handle_t *h)
{
	struct hl_connection_hub *hub = h->data;
	free(hub->read_buf);
	hl_buf_fini(&hub->head);
	hub->on_closed(hub->on_closed_data);
}

static void on_deadlines_closed(void *data)
{
	struct hl_connection_hub *hub = data;
	uv_close((uv_handle_t *)&hub->idle, on_idle_closed);
}

void hl_connection_hub_close(struct hl_connection_hub *hub, void (*cb)(void *data), void *data)
{
	HL_CHECK(hub->stats.connections == 0);
	hub->on_closed = cb;
	hub->on_closed_data = data;
	hl_deadlines_close(&hub->deadlines, on_deadlines_closed, hub);
}

/* Answers to inbound requests: heads are built, bytes leave.
 *
 * A whole answer is one head (built in the hub's scratch buffer) and one body (the handler's memory), given to the kernel
 * in one hl_send_now. What it does not take is copied into `unsent` and goes out with one uv_write at a time; libuv
 * 1.44 sends only one queued write per turn, so there is never a second one in its queue.
 * A streamed answer is appended to `unsent` and leaves before the loop sleeps: many small pieces written in one turn
 * become one system call.
 *
 *   A write fails: the client is gone. The handler may be on the stack, so the connection is marked broken and the next
 *     serve() tells on_abort.
 *   A client that does not read: write_by breaks it off; a streamed answer past answer_max likewise. */
#include "base/check.h"
#include "base/crash.h"
#include "base/defs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "http/connection.h"
#include "net/send.h"
#include <stdio.h>

enum { KEEP_CAP = 65536 }; /* send buffers beyond this are given back */

static struct hl_connection *connection_of(const struct hl_request *r)
{
	return HL_CONTAINER_OF(r, struct hl_connection, request);
}

static void broken(struct hl_connection *c)
{
	c->broken = true;
	hl_connection_due(c);
}

/* ---- sending --------------------------------------------------------------------------------------------------------- */

size_t hl_connection_unwritten(const struct hl_connection *c)
{
	return c->unsent.len - c->unsent.rd + (c->writing ? uv_stream_get_write_queue_size(&c->stream) : 0);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	struct hl_connection *c = req->data;
	if (c->state != HL_CONNECTION_CLOSING && (status < 0 || c->eof))
		hl_connection_close(c);
}

static void shut(struct hl_connection *c)
{
	c->shut = true;
	c->shutdown_req.data = c;
	if (uv_shutdown(&c->shutdown_req, &c->stream, on_shutdown)
			|| hl_deadline_set(&c->hub->deadlines, &c->read_by, c->hub->o.linger_timeout_ms))
		broken(c);
}

static void on_written(uv_write_t *req, int status)
{
	struct hl_connection *c = req->data;
	c->writing = false;
	if (c->sending.cap > KEEP_CAP)
		hl_buf_fini(&c->sending);
	else
		hl_buf_reset(&c->sending);
	if (c->state == HL_CONNECTION_CLOSING)
		return;
	hl_deadline_clear(&c->write_by);
	if (status < 0)
		c->broken = true;
	hl_connection_due(c);
}

/* Lends everything unsent to libuv. */
static void start_write(struct hl_connection *c)
{
	struct hl_buf spare = c->sending;
	c->sending = c->unsent;
	c->unsent = spare;
	struct hl_str rest = hl_buf_unread(&c->sending);
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)rest.ptr, (unsigned)rest.len);
	c->write_req.data = c;
	if (uv_write(&c->write_req, &c->stream, &b, 1, on_written)) {
		broken(c);
		return;
	}
	c->writing = true;
	c->write_left = hl_connection_unwritten(c);
	if (hl_deadline_set(&c->hub->deadlines, &c->write_by, c->hub->o.write_timeout_ms))
		broken(c);
}

void hl_connection_flush(struct hl_connection *c)
{
	if (c->state == HL_CONNECTION_CLOSING || c->broken)
		return;
	struct hl_str rest = hl_buf_unread(&c->unsent);
	if (!c->writing && rest.len) {
		uv_buf_t b = uv_buf_init((char *)(uintptr_t)rest.ptr, (unsigned)rest.len);
		int n = hl_send_now(&c->stream, &b, 1);
		if (n < 0 && n != UV_EAGAIN) {
			broken(c);
			return;
		}
		if (n > 0)
			hl_buf_consume(&c->unsent, (size_t)n);
		if (hl_buf_unread(&c->unsent).len)
			start_write(c);
		else if (c->unsent.cap > KEEP_CAP)
			hl_buf_fini(&c->unsent);
	}
	if (c->state == HL_CONNECTION_LINGER && !c->shut && !c->broken && hl_connection_unwritten(c) == 0)
		shut(c);
}

/* Head and body in one system call when the kernel takes them. */
static void send_parts(struct hl_connection *c, struct hl_str head, struct hl_str body)
{
	size_t sent = 0;
	if (!c->writing && c->unsent.len == 0 && !c->broken) {
		uv_buf_t bufs[2] = {
			uv_buf_init((char *)(uintptr_t)head.ptr, (unsigned)head.len),
			uv_buf_init((char *)(uintptr_t)body.ptr, (unsigned)body.len),
		};
		int n = hl_send_now(&c->stream, bufs, body.len ? 2 : 1);
		if (n < 0 && n != UV_EAGAIN) {
			broken(c);
			return;
		}
		sent = n > 0 ? (size_t)n : 0;
		HL_CRASH_POINT(ANSWER_SENT);
		if (sent == head.len + body.len)
			return;
	}
	size_t of_head = HL_MIN(sent, head.len), of_body = sent - of_head;
	hl_buf_add(&c->unsent, head.ptr + of_head, head.len - of_head);
	hl_buf_add(&c->unsent, body.ptr ? body.ptr + of_body : NULL, body.len - of_body);
	if (!hl_buf_ok(&c->unsent))
		broken(c);
	else
		hl_connection_flush(c);
}

/* ---- heads ----------------------------------------------------------------------------------------------------------- */

/* The Date field, written once a second. */
static struct hl_str date(struct hl_connection_hub *hub)
{
	hl_ms_t now_ms = hl_env_wall_ms(hub->o.env);
	if (hub->date_len == 0 || now_ms / 1000 != hub->date_s) {
		hub->date_s = now_ms / 1000;
		hub->date_len = hl_http_date_format(now_ms, hub->date);
	}
	return hl_str_make(hub->date, hub->date_len);
}

static bool bodiless(unsigned status)
{
	return status < 200 || status == 204 || status == 304;
}

/* Begins a head in the hub's scratch buffer; fields that describe the body and the empty line are still to come. */
static struct hl_buf *begin_head(struct hl_connection *c, unsigned status, const struct hl_header *headers, size_t n)
{
	struct hl_buf *b = &c->hub->head;
	hl_buf_reset(b);
	hl_head_status(b, status);
	hl_head_field(b, HL_STR("Date"), date(c->hub));
	c->close_after = hl_connection_ends(c);
	if (c->close_after)
		hl_buf_str(b, HL_STR("Connection: close\r\n"));
	else if (c->message.minor == 0)
		hl_buf_str(b, HL_STR("Connection: keep-alive\r\n"));
	for (size_t i = 0; i < n; i++)
		hl_head_field(b, headers[i].name, headers[i].value);
	return b;
}

static void send_whole(struct hl_connection *c, unsigned status, const struct hl_header *headers, size_t n, struct hl_str body)
{
	struct hl_buf *b = begin_head(c, status, headers, n);
	if (!bodiless(status))
		hl_head_field_u64(b, HL_STR("Content-Length"), body.len);
	hl_head_end(b);
	if (bodiless(status) || c->message.method == HL_METHOD_HEAD)
		body = HL_STR_NONE;
	if (!hl_buf_ok(b))
		broken(c);
	else
		send_parts(c, hl_buf_all(b), body);
}

void hl_response_send(struct hl_request *r, unsigned status, const struct hl_header *headers, size_t n, struct hl_str body)
{
	struct hl_connection *c = connection_of(r);
	HL_CHECK(c->answer == HL_ANSWER_NONE);
	send_whole(c, status, headers, n, body);
	hl_connection_answered(c);
}

/* ---- streamed answers ------------------------------------------------------------------------------------------------ */

void hl_connection_continue(struct hl_connection *c)
{
	if (!c->message.expects_continue || c->answer != HL_ANSWER_NONE)
		return;
	c->message.expects_continue = false;
	hl_buf_str(&c->unsent, HL_STR("HTTP/1.1 100 Continue\r\n\r\n"));
	if (!hl_buf_ok(&c->unsent))
		broken(c);
	else
		hl_connection_flush(c);
}

void hl_response_begin(struct hl_request *r, unsigned status, const struct hl_header *headers, size_t n)
{
	struct hl_connection *c = connection_of(r);
	HL_CHECK(c->answer == HL_ANSWER_NONE);
	hl_connection_continue(c); /* a client that waits for it would take the final status for a refusal */
	c->answer = HL_ANSWER_STREAMED;
	c->body_none = bodiless(status) || c->message.method == HL_METHOD_HEAD;
	c->body_chunked = c->message.minor == 1 && !c->body_none;
	if (c->message.minor == 0 && !c->body_none)
		c->close_after = true; /* the end of the body is the end of the connection */
	struct hl_buf *b = begin_head(c, status, headers, n);
	if (c->message.minor == 1 && !bodiless(status))
		hl_buf_str(b, HL_STR("Transfer-Encoding: chunked\r\n"));
	hl_head_end(b);
	hl_buf_str(&c->unsent, hl_buf_all(b));
	if (!hl_buf_ok(b) || !hl_buf_ok(&c->unsent))
		broken(c);
	else
		hl_connection_due(c);
}

void hl_response_write(struct hl_request *r, struct hl_str bytes)
{
	struct hl_connection *c = connection_of(r);
	HL_CHECK(c->answer == HL_ANSWER_STREAMED);
	if (c->body_none || bytes.len == 0 || c->broken)
		return;
	if (c->body_chunked) {
		char size[24];
		int n = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
		hl_buf_add(&c->unsent, size, (size_t)n);
	}
	hl_buf_str(&c->unsent, bytes);
	if (c->body_chunked)
		hl_buf_str(&c->unsent, HL_STR("\r\n"));
	size_t unwritten = hl_connection_unwritten(c);
	c->above_mark |= unwritten >= c->hub->o.writable_mark;
	if (!hl_buf_ok(&c->unsent) || unwritten > c->hub->o.answer_max)
		broken(c);
	else
		hl_connection_due(c);
}

void hl_response_end(struct hl_request *r)
{
	struct hl_connection *c = connection_of(r);
	HL_CHECK(c->answer == HL_ANSWER_STREAMED);
	if (c->body_chunked)
		hl_buf_str(&c->unsent, HL_STR("0\r\n\r\n"));
	if (!hl_buf_ok(&c->unsent))
		broken(c);
	hl_connection_flush(c);
	hl_connection_answered(c);
}

size_t hl_response_unwritten(const struct hl_request *r)
{
	return hl_connection_unwritten(connection_of(r));
}

/* ---- the server's own answers ---------------------------------------------------------------------------------------- */

/* Stable codes for programs, as the API's own problems have them. */
static const char *problem_code(unsigned status)
{
	switch (status) {
	case 408: return "timeout";
	case 413: return "too_large";
	case 414: return "target_too_long";
	case 417: return "expectation_failed";
	case 431: return "head_too_large";
	case 501: return "method_not_supported";
	case 503: return "busy";
	case 505: return "version_not_supported";
	default: return "bad_request";
	}
}

void hl_connection_refuse(struct hl_connection *c, unsigned status, const char *reason)
{
	static const struct hl_header headers[] = {
		{ HL_STR("Content-Type"), HL_STR("application/problem+json") },
		{ HL_STR("Retry-After"), HL_STR("1") }, /* 503 only */
	};
	struct hl_buf body = { 0 };
	struct hl_jsonw w;
	hl_jsonw_init(&w, &body);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "type");
	hl_jsonw_cstr(&w, "about:blank");
	hl_jsonw_key(&w, "title");
	hl_jsonw_cstr(&w, hl_status_phrase(status));
	hl_jsonw_key(&w, "status");
	hl_jsonw_u64(&w, status);
	hl_jsonw_key(&w, "code");
	hl_jsonw_cstr(&w, problem_code(status));
	hl_jsonw_key(&w, "detail");
	hl_jsonw_cstr(&w, reason);
	hl_jsonw_object_end(&w);
	c->close_after = true;
	send_whole(c, status, headers, status == 503 ? 2 : 1, hl_buf_ok(&body) ? hl_buf_all(&body) : HL_STR_NONE);
	hl_buf_fini(&body);
	hl_connection_answered(c);
}

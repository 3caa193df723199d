/* One outbound request: judged, connected, sent, answered.
 *
 * Start: port and host are judged, the name is looked up (mostly cached), every address of the answer is judged, a kept
 * connection to one of them is taken and the request leaves with one writev. Without one, a connection is made to the
 * addresses in turn, each with its share of the connect timeout. The answer is read to its end, the connection goes back
 * to the pool, the callback runs.
 *
 *   Any address not allowed: BLOCKED_ADDRESS; the owner is told no more than that, operators get the rule.
 *   Pool full: WAITING in line. The deadline passing there is our fault: INTERNAL.
 *   Connect refused or timed out: next address; TLS refused: no other one is tried.
 *   Connection over before a byte of the answer: on a kept connection, sent once more on a fresh one (the server had
 *     closed it while the request was on its way); else RESET.
 *   Over in the middle: RESET. An answer without length ends with the connection, but under TLS only after close_notify.
 *   Not HTTP, too long a head, too many 1xx, 101: PROTOCOL. Body past 64 KiB: cut there, the connection is not kept.
 *   Deadline: TIMEOUT, whatever was known already.
 *
 * The callback runs directly from whatever event ended the exchange, but from the client's idle handle when that was
 * start or cancel. hl_exchange_end() is the one exit; after it x is not touched.
 * How a URL becomes a connection is in route.c. */
#include "http/exchange.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/defs.h"
#include "base/err.h"
#include "base/str.h"
#include <stdarg.h>
#include <stdio.h>

enum {
	TIMEOUT_MS = 15000,
	KEEP_CAP = 16384,   /* a body buffer beyond this is given back before the next exchange */
};

void hl_exchange_move(struct hl_exchange *x, enum hl_exchange_state to)
{
#define TO(s) (1u << HL_EXCHANGE_##s)
	static const unsigned edges[HL_EXCHANGE_STATE_N] = {
		[HL_EXCHANGE_IDLE] = TO(RESOLVING),
		[HL_EXCHANGE_RESOLVING] = TO(WAITING) | TO(CONNECTING) | TO(ANSWER) | TO(ENDED),
		[HL_EXCHANGE_WAITING] = TO(CONNECTING) | TO(ANSWER) | TO(ENDED),
		[HL_EXCHANGE_CONNECTING] = TO(CONNECTING) | TO(WAITING) | TO(ANSWER) | TO(ENDED),
		[HL_EXCHANGE_ANSWER] = TO(BODY) | TO(RESOLVING) | TO(ENDED),
		[HL_EXCHANGE_BODY] = TO(ENDED),
		[HL_EXCHANGE_ENDED] = TO(IDLE),
	};
#undef TO
	HL_CHECK(edges[x->state] & 1u << to);
	x->state = to;
}

static hl_ms_t mono_ms(const struct hl_exchange *x)
{
	return hl_env_mono_ms(x->client->env);
}

int32_t hl_exchange_since_ms(const struct hl_exchange *x, hl_ms_t from_ms)
{
	return (int32_t)HL_MIN(mono_ms(x) - from_ms, INT32_MAX);
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static void finish(struct hl_client_user *u)
{
	struct hl_exchange *x = HL_CONTAINER_OF(u, struct hl_exchange, user);
	hl_exchange_move(x, HL_EXCHANGE_IDLE);
	x->cb(x->data, x, &x->result);
}

/* Lets go of everything and has the callback run. */
void hl_exchange_end(struct hl_exchange *x)
{
	struct hl_client *c = x->client;
	hl_exchange_move(x, HL_EXCHANGE_ENDED);
	hl_resolve_cancel(&x->resolve);
	hl_pool_wait_cancel(&x->waiter);
	hl_deadline_remove(&c->deadlines, &x->deadline);
	hl_deadline_remove(&c->deadlines, &x->connect_until);
	if (x->pc)
		hl_pool_drop(&c->pool, x->pc);
	x->pc = NULL;
	x->result.total_ms = hl_exchange_since_ms(x, x->started_ms);
	x->result.body = hl_buf_all(&x->body);
	hl_list_remove(&x->user.node);
	if (!x->in_call) {
		finish(&x->user);
		return;
	}
	hl_list_push_back(&c->ended, &x->user.node);
	hl_client_wake(c);
}

void hl_exchange_fail(struct hl_exchange *x, enum hl_class class, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(x->result.text, sizeof(x->result.text), fmt, ap);
	va_end(ap);
	x->result.error_class = class;
	hl_exchange_end(x);
}

/* `Keep-Alive: timeout=5, max=100` → 5; -1 without it. */
static int64_t keep_alive_s(const struct hl_headers *h)
{
	struct hl_str rest;
	uint64_t s;
	if (!hl_headers_get(h, HL_STR("keep-alive"), &rest))
		return -1;
	while (rest.ptr) {
		struct hl_str value = hl_str_trim(hl_str_split(&rest, ',')), name = hl_str_split(&value, '=');
		if (hl_str_ieq(hl_str_trim(name), HL_STR("timeout")) && hl_str_u64(hl_str_trim(value), &s))
			return (int64_t)HL_MIN(s, 86400u);
	}
	return -1;
}

/* The answer is complete, or as complete as it needs to be. */
static void complete(struct hl_exchange *x, bool keep)
{
	struct hl_pool_conn *pc = x->pc;
	if (keep && hl_conn_is_open(&pc->conn) && hl_conn_unsent(&pc->conn) == 0) {
		x->pc = NULL;
		hl_pool_give(&x->client->pool, pc, keep_alive_s(&x->message.headers));
	}
	hl_exchange_end(x);
}

/* ---- the answer ------------------------------------------------------------------------------------------------------ */

static void read_head(struct hl_exchange *x)
{
	const struct hl_headers *h = &x->message.headers;
	hl_exchange_move(x, HL_EXCHANGE_BODY);
	x->result.status = x->message.status;
	(void)hl_headers_get(h, HL_STR("retry-after"), &x->result.retry_after);
	(void)hl_headers_get(h, HL_STR("location"), &x->result.location);
	(void)hl_headers_get(h, HL_STR("content-type"), &x->result.content_type);
}

static void on_read(struct hl_conn *conn, struct hl_str in)
{
	struct hl_exchange *x = conn->data;
	if (!hl_message_started(&x->message))
		x->result.first_byte_ms = hl_exchange_since_ms(x, x->phase_ms);
	for (;;) {
		switch (hl_message_step(&x->message, &in)) {
		case HL_STEP_MORE:
			return;
		case HL_STEP_HEAD:
			read_head(x);
			break;
		case HL_STEP_BODY:
			if (x->message.body_len <= HL_EXCHANGE_ANSWER_MAX) {
				hl_buf_str(&x->body, x->message.chunk);
				break;
			}
			hl_buf_str(&x->body, hl_str_make(x->message.chunk.ptr, HL_EXCHANGE_ANSWER_MAX - x->body.len));
			x->result.body_cut = true;
			complete(x, false);
			return;
		case HL_STEP_END:
			complete(x, x->message.keep_alive && in.len == 0);
			return;
		case HL_STEP_BAD:
			hl_exchange_fail(x, HL_CLASS_PROTOCOL, "the answer is not acceptable HTTP: %s", x->message.reason);
			return;
		}
	}
}

/* ---- sending --------------------------------------------------------------------------------------------------------- */

static void write_head(struct hl_exchange *x, struct hl_buf *b)
{
	const struct hl_exchange_request *r = &x->request;
	uint64_t body_len = 0;
	for (size_t i = 0; i < r->n_body; i++)
		body_len += r->body[i].len;
	hl_buf_reset(b);
	hl_buf_str(b, r->method);
	hl_buf_char(b, ' ');
	hl_buf_str(b, r->url->target);
	hl_buf_str(b, HL_STR(" HTTP/1.1\r\n"));
	hl_head_field(b, HL_STR("Host"), r->url->authority);
	hl_buf_str(b, r->fields);
	for (size_t i = 0; i < r->n_headers; i++)
		hl_head_field(b, r->headers[i].name, r->headers[i].value);
	if (body_len || !hl_str_eq(r->method, HL_STR("GET")))
		hl_head_field_u64(b, HL_STR("Content-Length"), body_len);
	hl_head_end(b);
}

/* x->pc is open and ours. */
void hl_exchange_send(struct hl_exchange *x)
{
	struct hl_buf *head = &x->client->head;
	struct hl_str parts[1 + HL_EXCHANGE_BODY_PARTS_MAX];
	hl_exchange_move(x, HL_EXCHANGE_ANSWER);
	(void)snprintf(x->result.address, sizeof(x->result.address), "%s", x->pc->conn.address);
	x->result.tls = x->pc->conn.tls_version;
	write_head(x, head);
	parts[0] = hl_buf_all(head);
	for (size_t i = 0; i < x->request.n_body; i++)
		parts[i + 1] = x->request.body[i];
	int rc = hl_buf_ok(head) ? hl_conn_write(&x->pc->conn, parts, x->request.n_body + 1) : HL_ENOMEM;
	if (rc) {
		hl_exchange_fail(x, HL_CLASS_INTERNAL, "%s", hl_strerror(rc));
		return;
	}
	x->phase_ms = mono_ms(x);
	HL_CRASH_POINT(ATTEMPT_SENT);
}

/* ---- the connection's events ------------------------------------------------------------------------------------------- */

static void on_open(struct hl_conn *conn)
{
	struct hl_exchange *x = conn->data;
	hl_deadline_clear(&x->connect_until);
	x->result.connect_ms = conn->connect_ms;
	x->result.tls_ms = conn->tls_ms;
	x->result.resumed = conn->resumed;
	HL_CRASH_POINT(ATTEMPT_CONNECTED);
	x->result.error_class = HL_CLASS_NONE; /* of an address tried before */
	x->result.text[0] = '\0';
	hl_exchange_send(x);
}

void hl_exchange_let_go(struct hl_exchange *x)
{
	hl_pool_drop(&x->client->pool, x->pc);
	x->pc = NULL;
}

/* The stream is over in the middle of an answer, or before it. */
static void answer_ended(struct hl_exchange *x, const struct hl_err *err)
{
	if (x->result.reused && !hl_message_started(&x->message)) {
		x->client->n_resent++;
		x->result.resent = true;
		x->result.reused = false;
		x->fresh = true;
		hl_exchange_let_go(x);
		hl_exchange_move(x, HL_EXCHANGE_RESOLVING);
		hl_exchange_resolve(x);
		return;
	}
	if (err->code == HL_OK && hl_message_eof(&x->message) == HL_STEP_END) {
		complete(x, false);
		return;
	}
	const char *when = !hl_message_started(&x->message) ? "without an answer"
			: x->state == HL_EXCHANGE_BODY ? "in the middle of the answer's body" : "in the middle of the answer's head";
	if (err->code == HL_ERESET || err->code == HL_OK || err->code == HL_ECLOSED)
		hl_exchange_fail(x, HL_CLASS_RESET, "the connection was %s %s", err->code == HL_ERESET ? "reset" : "closed", when);
	else
		hl_exchange_fail(x, hl_conn_class(err->code), "%.190s", *err->text ? err->text : hl_strerror(err->code));
}

static void on_end(struct hl_conn *conn, const struct hl_err *err)
{
	struct hl_exchange *x = conn->data;
	struct hl_err copy = *err; /* err may lie in the connection, which is let go of */
	if (x->state == HL_EXCHANGE_CONNECTING)
		hl_exchange_connect_failed(x, &copy);
	else
		answer_ended(x, &copy);
}

static void on_never_closed(struct hl_conn *conn)
{
	(void)conn;
	HL_NEVER("a connection closed in the hands of an exchange");
}

const struct hl_conn_ops hl_exchange_ops = {
	.on_open = on_open, .on_read = on_read, .on_end = on_end, .on_closed = on_never_closed,
};

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static void on_deadline(struct hl_deadline *d)
{
	static const char *const doing[HL_EXCHANGE_STATE_N] = {
		[HL_EXCHANGE_RESOLVING] = "looking up the name",
		[HL_EXCHANGE_WAITING] = "waiting for a free connection",
		[HL_EXCHANGE_CONNECTING] = "connecting",
		[HL_EXCHANGE_ANSWER] = "waiting for the answer",
		[HL_EXCHANGE_BODY] = "reading the answer",
	};
	struct hl_exchange *x = HL_CONTAINER_OF(d, struct hl_exchange, deadline);
	if (x->pc)
		(void)snprintf(x->result.address, sizeof(x->result.address), "%s", x->pc->conn.address);
	hl_exchange_fail(x, x->state == HL_EXCHANGE_WAITING ? HL_CLASS_INTERNAL : HL_CLASS_TIMEOUT, "timed out after %u ms %s",
			x->request.timeout_ms, doing[x->state]);
}

static void cancel(struct hl_client_user *u)
{
	hl_exchange_cancel(HL_CONTAINER_OF(u, struct hl_exchange, user));
}

void hl_exchange_init(struct hl_exchange *x)
{
	*x = (struct hl_exchange){ .user = { .cancel = cancel, .finish = finish } };
	hl_message_init(&x->message, HL_MESSAGE_RESPONSE, &hl_response_limits);
	hl_deadline_init(&x->deadline, on_deadline);
	hl_exchange_route_init(x);
}

void hl_exchange_fini(struct hl_exchange *x)
{
	HL_CHECK(x->state == HL_EXCHANGE_IDLE);
	hl_message_fini(&x->message);
	hl_buf_fini(&x->body);
}

static void reset(struct hl_exchange *x)
{
	x->result = (struct hl_exchange_result){
		.tls = "", .dns_ms = -1, .connect_ms = -1, .tls_ms = -1, .first_byte_ms = -1, .total_ms = -1,
	};
	if (x->body.cap > KEEP_CAP)
		hl_buf_fini(&x->body);
	else
		hl_buf_reset(&x->body);
	hl_message_next(&x->message, hl_str_eq(x->request.method, HL_STR("HEAD")));
	x->n_addrs = x->addr_next = 0;
	x->trusted = x->fresh = false;
	x->connect_by_ms = 0;
	x->pc = NULL;
}

int hl_exchange_start(struct hl_exchange *x, struct hl_client *c, const struct hl_exchange_request *request,
		hl_exchange_cb cb, void *data)
{
	HL_CHECK(x->state == HL_EXCHANGE_IDLE);
	if (!request->url || request->method.len == 0 || request->n_body > HL_EXCHANGE_BODY_PARTS_MAX)
		return HL_EINVAL;
	if (c->state != HL_CLIENT_OPEN)
		return HL_ECLOSED;
	x->client = c;
	x->request = *request;
	if (!x->request.timeout_ms)
		x->request.timeout_ms = TIMEOUT_MS;
	int rc = hl_deadline_set(&c->deadlines, &x->deadline, x->request.timeout_ms);
	if (rc)
		return rc;
	x->cb = cb;
	x->data = data;
	reset(x);
	hl_exchange_move(x, HL_EXCHANGE_RESOLVING);
	hl_list_push_back(&c->users, &x->user.node);
	c->n_exchanges++;
	x->started_ms = x->phase_ms = mono_ms(x);
	x->in_call = true;
	hl_exchange_route(x);
	x->in_call = false;
	return 0;
}

void hl_exchange_cancel(struct hl_exchange *x)
{
	if (x->state == HL_EXCHANGE_IDLE || x->state == HL_EXCHANGE_ENDED)
		return;
	x->result.error = HL_ECANCELED;
	x->in_call = true;
	hl_exchange_end(x);
	x->in_call = false;
}

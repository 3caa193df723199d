/* One outbound byte stream.
 *
 * The happy path: hl_conn_open starts the connect; when it is there, the kernel's idea of the peer is judged, reading
 * starts and, for TLS, the connection takes one of the hub's handshake slots (or waits in line for one) and shakes
 * hands; then on_open. From there bytes read go straight to the owner, for TLS after one pass through the shared
 * plain-text buffer, and a write is one system call unless the socket is full.
 *
 * What goes wrong ends in hl_conn_end(): the reason is noted, the handle closes, the owner hears on_end, and
 * on_closed when libuv is done with the handle. Inside hl_conn_open and hl_conn_write the owner must not be called
 * back, so there end_later() leaves on_end to the close callback. Time limits are conn_hub.c, writing is
 * conn_write.c. */
#include "net/conn_impl.h"
#include "net/send.h"

#include "base/check.h"
#include "base/err.h"
#include "base/str.h"
#include <stdlib.h>

enum { KEEPALIVE_S = 60 };

/* The edges of the diagram in conn.h. */
static const unsigned edges[HL_CONN_STATE_N] = {
	[HL_CONN_IDLE] = 1 << HL_CONN_CONNECTING,
	[HL_CONN_CONNECTING] = 1 << HL_CONN_QUEUED | 1 << HL_CONN_OPEN | 1 << HL_CONN_CLOSING,
	[HL_CONN_QUEUED] = 1 << HL_CONN_HANDSHAKING | 1 << HL_CONN_CLOSING,
	[HL_CONN_HANDSHAKING] = 1 << HL_CONN_OPEN | 1 << HL_CONN_CLOSING,
	[HL_CONN_OPEN] = 1 << HL_CONN_CLOSING,
	[HL_CONN_CLOSING] = 1 << HL_CONN_CLOSED,
	[HL_CONN_CLOSED] = 1 << HL_CONN_CONNECTING,
};

static void move(struct hl_conn *c, enum hl_conn_state to)
{
	HL_CHECK(edges[c->state] & (1u << to));
	c->state = to;
}

/* ---- closing ---------------------------------------------------------------------------------------------------- */

static void on_tcp_closed(uv_handle_t *h)
{
	struct hl_conn *c = h->data;
	hl_tls_destroy(c->tls);
	c->tls = NULL;
	free(c->tls_host);
	c->tls_host = NULL;
	hl_buf_fini(&c->sending);
	hl_buf_fini(&c->unsent);
	c->hub->n_conns--;
	if (c->end_pending) {
		c->end_pending = false;
		c->ops->on_end(c, &c->err); /* who may hand it to another owner still, as from every other on_end */
	}
	move(c, HL_CONN_CLOSED);
	c->ops->on_closed(c);
}

/* The only way out. Nobody is called back from here. */
static void begin_close(struct hl_conn *c)
{
	hl_conn_hub_leave_slot(c);
	hl_list_remove(&c->deadline_node);
	move(c, HL_CONN_CLOSING);
	uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

static void note(struct hl_conn *c, int status, const char *text)
{
	hl_err_set(&c->err, status, "%s", text);
}

/* For code the owner called: on_end follows from the close callback. */
static void end_later(struct hl_conn *c, int status, const char *text)
{
	note(c, status, text);
	c->end_pending = true;
	begin_close(c);
}

void hl_conn_end(struct hl_conn *c, int status, const char *text)
{
	note(c, status, text);
	begin_close(c);
	hl_conn_hub_run_queue(c->hub);
	c->ops->on_end(c, &c->err);
}

void hl_conn_close(struct hl_conn *c)
{
	c->end_pending = false;
	if (c->state == HL_CONN_IDLE || c->state == HL_CONN_CLOSING || c->state == HL_CONN_CLOSED)
		return;
	if (c->state == HL_CONN_OPEN && c->tls && !c->write_broken && hl_conn_unsent(c) == 0) {
		struct hl_buf *cipher = &c->hub->cipher;
		hl_tls_shutdown(c->tls, cipher);
		uv_buf_t b = uv_buf_init(cipher->data, (unsigned)cipher->len);
		int rc = cipher->len ? hl_send_now((uv_stream_t *)&c->tcp, &b, 1) : 0;
		(void)rc; /* a courtesy: lost if the socket is full */
		hl_buf_reset(cipher);
	}
	begin_close(c);
	hl_conn_hub_run_queue(c->hub);
}

/* ---- handshake -------------------------------------------------------------------------------------------------- */

void hl_conn_handshake_start(struct hl_conn *c)
{
	struct hl_conn_hub *hub = c->hub;
	move(c, HL_CONN_HANDSHAKING);
	hl_conn_hub_take_slot(c);
	hl_conn_hub_limit(c, &hub->handshaking, hub->handshake_timeout_ms);
	int rc = hl_tls_create(&c->tls, hub->tls, hl_str_from(c->tls_host), &c->addr);
	free(c->tls_host);
	c->tls_host = NULL;
	if (rc) {
		end_later(c, rc, "no memory for a TLS session");
		return;
	}
	rc = hl_tls_handshake(c->tls, &hub->cipher);
	if (rc != HL_EAGAIN) /* nothing was received: it cannot be done */
		end_later(c, HL_ETLS, hl_tls_error(c->tls));
	else if (hl_conn_send_cipher(c))
		end_later(c, HL_ENOMEM, "out of memory");
	hl_buf_reset(&hub->cipher);
}

/* Hands the owner what the last input decrypts to, and the end if that is what it says. */
static void drain_tls(struct hl_conn *c)
{
	struct hl_conn_hub *hub = c->hub;
	int rc = HL_OK;
	while (rc == HL_OK && c->state == HL_CONN_OPEN) {
		size_t total = 0, n;
		while (total < HL_CONN_PLAIN_CAP) {
			rc = hl_tls_read(c->tls, &hub->cipher, hub->plain_buf + total, HL_CONN_PLAIN_CAP - total, &n);
			if (rc)
				break;
			total += n;
		}
		if (hl_conn_send_cipher(c))
			rc = HL_ENOMEM;
		if (total > 0)
			c->ops->on_read(c, hl_str_make(hub->plain_buf, total));
	}
	if (c->state != HL_CONN_OPEN || rc == HL_EAGAIN)
		return;
	if (rc == HL_ECLOSED)
		hl_conn_end(c, HL_OK, "");
	else
		hl_conn_end(c, rc, rc == HL_ENOMEM ? "out of memory" : hl_tls_error(c->tls));
}

static void handshake_step(struct hl_conn *c)
{
	struct hl_conn_hub *hub = c->hub;
	int rc = hl_tls_handshake(c->tls, &hub->cipher);
	if (hl_conn_send_cipher(c))
		rc = HL_ENOMEM;
	if (rc == HL_EAGAIN)
		return;
	if (rc) {
		hl_conn_end(c, rc, rc == HL_ENOMEM ? "out of memory" : hl_tls_error(c->tls));
		return;
	}
	hl_conn_hub_leave_slot(c);
	hl_list_remove(&c->deadline_node);
	c->tls_ms = hl_conn_phase_ms(c);
	c->tls_version = hl_tls_version(c->tls);
	c->resumed = hl_tls_resumed(c->tls);
	if (c->resumed)
		hub->n_handshakes_resumed++;
	else
		hub->n_handshakes_full++;
	move(c, HL_CONN_OPEN);
	hl_conn_hub_run_queue(hub);
	c->ops->on_open(c);
	drain_tls(c); /* whatever came in the same packet as the end of the handshake */
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct hl_conn *c = h->data;
	(void)suggested;
	/* One buffer for all connections: whatever is read is used up before the callback returns. */
	*out = uv_buf_init(c->hub->read_buf, HL_CONN_READ_CAP);
}

/* The peer sent FIN, or the socket failed. */
static void read_ended(struct hl_conn *c, int uv_code)
{
	bool fin = uv_code == UV_EOF;
	if (c->state != HL_CONN_OPEN)
		hl_conn_end(c, HL_ETLS, fin ? "the peer closed the connection during the handshake" : uv_strerror(uv_code));
	else if (c->write_broken)
		hl_conn_end(c, HL_ERESET, c->write_error);
	else if (!fin)
		hl_conn_end(c, HL_ERESET, uv_strerror(uv_code));
	else if (c->tls)
		hl_conn_end(c, HL_ECLOSED, "the peer closed the connection without ending TLS");
	else
		hl_conn_end(c, HL_OK, "");
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct hl_conn *c = stream->data;
	if (n == 0)
		return;
	if (n < 0) {
		read_ended(c, (int)n);
		return;
	}
	struct hl_str bytes = hl_str_make(buf->base, (size_t)n);
	switch (c->state) {
	case HL_CONN_OPEN:
		if (!c->tls) {
			c->ops->on_read(c, bytes);
			return;
		}
		hl_tls_feed(c->tls, bytes);
		drain_tls(c);
		return;
	case HL_CONN_HANDSHAKING:
		hl_tls_feed(c->tls, bytes);
		handshake_step(c);
		return;
	case HL_CONN_QUEUED:
		hl_conn_end(c, HL_ETLS, "the peer does not speak TLS on this port");
		return;
	default:
		HL_NEVER("bytes from a connection that does not read");
	}
}

/* ---- connecting ------------------------------------------------------------------------------------------------- */

/* Is the other end who we judged? Belt and braces: connect was given that very address. */
static bool peer_allowed(const struct hl_conn *c)
{
	struct sockaddr_storage ss;
	int len = sizeof ss;
	struct hl_addr peer;
	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len)
			|| !hl_addr_from_sockaddr((struct sockaddr *)&ss, (socklen_t)len, &peer)
			|| hl_addr_cmp(&peer, &c->addr) != 0)
		return false;
	if (!c->hub->egress)
		return true;
	if (c->trusted)
		return !hl_egress_is_own(c->hub->egress, &peer);
	return hl_egress_judge_addr(c->hub->egress, &peer, NULL) == HL_OK;
}

static int connect_status(int uv_code)
{
	switch (uv_code) {
	case UV_ETIMEDOUT:
		return HL_ETIMEDOUT;
	case UV_EMFILE:
	case UV_ENFILE:
	case UV_EADDRNOTAVAIL:
		return HL_EBUSY;
	case UV_ENOMEM:
	case UV_ENOBUFS:
		return HL_ENOMEM;
	default:
		return HL_ECONNECT;
	}
}

static void on_connect(uv_connect_t *req, int status)
{
	struct hl_conn *c = req->data;
	if (c->state == HL_CONN_CLOSING)
		return;
	hl_list_remove(&c->deadline_node);
	if (status) {
		hl_conn_end(c, connect_status(status), uv_strerror(status));
		return;
	}
	if (!peer_allowed(c)) {
		hl_conn_end(c, HL_EBLOCKED, hl_strerror(HL_EBLOCKED));
		return;
	}
	c->connect_ms = hl_conn_phase_ms(c);
	c->hub->n_opened++;
	(void)uv_tcp_nodelay(&c->tcp, 1);
	(void)uv_tcp_keepalive(&c->tcp, 1, KEEPALIVE_S);
	int rc = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	if (rc) {
		hl_conn_end(c, connect_status(rc), uv_strerror(rc));
	} else if (c->tls_host) {
		move(c, HL_CONN_QUEUED);
		hl_list_push_back(&c->hub->queue, &c->slot_node);
		hl_conn_hub_run_queue(c->hub);
	} else {
		move(c, HL_CONN_OPEN);
		c->ops->on_open(c);
	}
}

int hl_conn_open(struct hl_conn *c, struct hl_conn_hub *hub, const struct hl_conn_target *t,
		const struct hl_conn_ops *ops, void *data, struct hl_err *err)
{
	char *host = NULL;
	HL_CHECK((c->state == HL_CONN_IDLE || c->state == HL_CONN_CLOSED) && !hub->closing);
	if (!hl_addr_is_v4(&t->addr) && !hl_addr_is_v6(&t->addr))
		return hl_err_set(err, HL_EINVAL, "not an internet address");
	if (t->tls && (!hub->tls || t->host.len == 0))
		return hl_err_set(err, HL_EINVAL, "TLS without a context or a host name");
	if (t->tls && !(host = strndup(t->host.ptr, t->host.len)))
		return hl_err_set(err, HL_ENOMEM, "out of memory");
	enum hl_conn_state state = c->state;
	*c = (struct hl_conn){ .state = state, .hub = hub, .ops = ops, .data = data, .addr = t->addr, .tls_version = "",
		.connect_ms = -1, .tls_ms = -1, .trusted = t->trusted, .tls_host = host };
	hl_addr_format(&c->addr, c->address);
	uv_tcp_init(hub->loop, &c->tcp);
	c->tcp.data = c->connect_req.data = c->write_req.data = c;
	hub->n_conns++;
	move(c, HL_CONN_CONNECTING);
	hl_conn_hub_limit(c, &hub->connecting, hub->connect_timeout_ms);
	int rc = uv_tcp_connect(&c->connect_req, &c->tcp, &c->addr.sa, on_connect);
	if (rc)
		end_later(c, connect_status(rc), uv_strerror(rc));
	return HL_OK;
}

void hl_conn_set_owner(struct hl_conn *c, const struct hl_conn_ops *ops, void *data)
{
	HL_CHECK(c->state != HL_CONN_IDLE && c->state != HL_CONN_CLOSED);
	c->ops = ops;
	c->data = data;
}

enum hl_class hl_conn_class(int status)
{
	switch (status) {
	case HL_EDNS:
		return HL_CLASS_DNS;
	case HL_ECONNECT:
		return HL_CLASS_CONNECT;
	case HL_ETLS:
		return HL_CLASS_TLS;
	case HL_ETIMEDOUT:
		return HL_CLASS_TIMEOUT;
	case HL_EBLOCKED:
		return HL_CLASS_BLOCKED_ADDRESS;
	case HL_EPROTO:
		return HL_CLASS_PROTOCOL;
	case HL_OK:
	case HL_ECLOSED:
	case HL_ERESET:
		return HL_CLASS_RESET;
	default:
		return HL_CLASS_INTERNAL;
	}
}

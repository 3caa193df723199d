/* A server for connection tests, on the test's own loop: TCP on a port of the kernel's choice, with or without TLS,
 * well or badly behaved as its fields say.
 *
 *   struct peer p;
 *   peer_open(&p, &loop, ctx_or_NULL);
 *   p.echo = true;
 *   … connect to p.addr …
 *   peer_close(&p);                // closes its connections too; then run the loop */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net_test.h"

#include "base/list.h"
#include "tls_kit.h"
#include <uv.h>

struct peer {
	uv_tcp_t tcp;
	struct hl_addr addr;
	SSL_CTX *ctx;               /* NULL = plain */
	struct hl_list conns;
	/* behaviour */
	bool echo;                  /* send back what comes */
	bool mute;                  /* reads nothing, says nothing */
	bool slam;                  /* closes as soon as it has accepted */
	bool notify;                /* ends TLS properly when it closes */
	const char *greeting;       /* sent at once: raw bytes, before TLS */
	const char *close_after;    /* close when a message has come, after sending this */
	/* what it saw */
	unsigned accepted, shaken, resumed, ended;
	size_t received;
};

struct peer_conn {
	struct hl_list node;
	struct peer *peer;
	uv_tcp_t tcp;
	SSL *ssl;
	bool closing, shaken;
};

struct peer_write {
	uv_write_t req;
	char bytes[];
};

static inline void peer_on_conn_closed(uv_handle_t *h)
{
	struct peer_conn *c = h->data;
	SSL_free(c->ssl);
	free(c);
}

static inline void peer_conn_close(struct peer_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	hl_list_remove(&c->node);
	uv_close((uv_handle_t *)&c->tcp, peer_on_conn_closed);
}

static inline void peer_on_written(uv_write_t *req, int status)
{
	(void)status;
	free(req);
}

static inline void peer_send_raw(struct peer_conn *c, const void *p, size_t n)
{
	struct peer_write *w = malloc(sizeof *w + n);
	uv_buf_t b = uv_buf_init(w->bytes, (unsigned)n);
	memcpy(w->bytes, p, n);
	if (c->closing || uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, peer_on_written))
		free(w);
}

static inline void peer_flush(struct peer_conn *c)
{
	char bytes[20000];
	int n;
	while (c->ssl && (n = BIO_read(SSL_get_wbio(c->ssl), bytes, sizeof bytes)) > 0)
		peer_send_raw(c, bytes, (size_t)n);
}

static inline void peer_send(struct peer_conn *c, const void *p, size_t n)
{
	if (!c->ssl) {
		peer_send_raw(c, p, n);
	} else if (n) {
		SSL_write(c->ssl, p, (int)n);
		peer_flush(c);
	}
}

static inline void peer_heard(struct peer_conn *c, const char *p, size_t n)
{
	struct peer *peer = c->peer;
	peer->received += n;
	if (peer->echo)
		peer_send(c, p, n);
	if (peer->close_after) {
		peer_send(c, peer->close_after, strlen(peer->close_after));
		if (c->ssl && peer->notify) {
			SSL_shutdown(c->ssl);
			peer_flush(c);
		}
		peer_conn_close(c);
	}
}

static inline void peer_on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	static char bytes[65536];
	(void)h, (void)suggested;
	*out = uv_buf_init(bytes, sizeof bytes);
}

static inline void peer_tls(struct peer_conn *c)
{
	char plain[20000];
	size_t n;
	if (!c->shaken && SSL_do_handshake(c->ssl) == 1) {
		c->shaken = true;
		c->peer->shaken++;
		c->peer->resumed += (unsigned)SSL_session_reused(c->ssl);
	}
	peer_flush(c);
	while (c->shaken && !c->closing && SSL_read_ex(c->ssl, plain, sizeof plain, &n))
		peer_heard(c, plain, n);
	ERR_clear_error();
	if (!c->closing)
		peer_flush(c);
}

static inline void peer_on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct peer_conn *c = s->data;
	if (n == 0)
		return;
	if (n < 0) {
		c->peer->ended++;
		peer_conn_close(c);
	} else if (c->ssl) {
		BIO_write(SSL_get_rbio(c->ssl), b->base, (int)n);
		peer_tls(c);
	} else {
		peer_heard(c, b->base, (size_t)n);
	}
}

static inline void peer_on_connection(uv_stream_t *server, int status)
{
	struct peer *p = server->data;
	struct peer_conn *c = calloc(1, sizeof *c);
	assert_int_equal(status, 0);
	uv_tcp_init(server->loop, &c->tcp);
	c->tcp.data = c;
	c->peer = p;
	hl_list_push_back(&p->conns, &c->node);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&c->tcp), 0);
	p->accepted++;
	if (p->greeting)
		peer_send_raw(c, p->greeting, strlen(p->greeting));
	if (p->slam) {
		peer_conn_close(c);
		return;
	}
	if (p->mute)
		return;
	if (p->ctx) {
		c->ssl = SSL_new(p->ctx);
		SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		SSL_set_accept_state(c->ssl);
	}
	uv_read_start((uv_stream_t *)&c->tcp, peer_on_alloc, peer_on_read);
}

static inline void peer_open(struct peer *p, uv_loop_t *loop, SSL_CTX *ctx)
{
	struct sockaddr_storage ss;
	int len = sizeof ss;
	memset(p, 0, sizeof *p);
	hl_list_init(&p->conns);
	p->ctx = ctx;
	p->addr = ip("127.0.0.1", 0);
	uv_tcp_init(loop, &p->tcp);
	p->tcp.data = p;
	assert_int_equal(uv_tcp_bind(&p->tcp, &p->addr.sa, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&p->tcp, 1024, peer_on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&p->tcp, (struct sockaddr *)&ss, &len), 0);
	assert_true(hl_addr_from_sockaddr((struct sockaddr *)&ss, (socklen_t)len, &p->addr));
}

static inline void peer_close_conns(struct peer *p)
{
	while (!hl_list_empty(&p->conns))
		peer_conn_close(HL_LIST_ENTRY(p->conns.next, struct peer_conn, node));
}

/* All its connections end with a reset. */
static inline void peer_reset_conns(struct peer *p)
{
	while (!hl_list_empty(&p->conns)) {
		struct peer_conn *c = HL_LIST_ENTRY(p->conns.next, struct peer_conn, node);
		hl_list_remove(&c->node);
		c->closing = true;
		uv_tcp_close_reset(&c->tcp, peer_on_conn_closed);
	}
}

static inline void peer_close(struct peer *p)
{
	peer_close_conns(p);
	uv_close((uv_handle_t *)&p->tcp, NULL);
}

#endif

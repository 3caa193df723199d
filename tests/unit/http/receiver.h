/* A receiver that answers by script, on the test's own loop, plain or TLS.
 *
 *   struct receiver r;
 *   receiver_open(&r, &loop, "127.0.0.1", ctx_or_NULL);
 *   r.script[0] = (struct answer){ .say = "HTTP/1.1 200 OK\r\n…" };      // to the first request
 *   r.script[1] = (struct answer){ .say = "HTTP/1.1 200", .then = RESET }; // to the second and all after it
 *   receiver_close(&r);                                                   // then run the loop */
#ifndef HL_TEST_RECEIVER_H
#define HL_TEST_RECEIVER_H

#include "http_test.h"
#include "../net/tls_kit.h"
#include "base/buf.h"
#include "base/list.h"
#include <uv.h>

enum { RECEIVER_SCRIPT_MAX = 8 };
enum then { KEEP, CLOSE, CLOSE_RUDELY /* TLS: FIN without close_notify */, RESET, FOREVER /* say it again and again */ };

struct answer {
	const char *say;       /* NULL = nothing, and the connection hangs */
	enum then then;
	const char *push;      /* said once the answer has been read: an idle connection speaking up */
};

struct receiver {
	uv_tcp_t tcp;
	struct hl_addr addr;
	uint16_t port;
	SSL_CTX *ctx;
	struct hl_list conns;
	struct answer script[RECEIVER_SCRIPT_MAX];
	unsigned n_script;        /* the last one stands for all after it */
	bool deaf;                /* accepts and reads nothing */
	bool slam;                /* closes on the first byte */
	unsigned accepted, requests, resumed, ended;
	struct hl_buf last;       /* the newest request */
};

struct receiver_conn {
	struct hl_list node;
	struct receiver *r;
	uv_tcp_t tcp;
	SSL *ssl;
	struct hl_buf in;
	bool closing;
	const char *forever;
};

struct receiver_write {
	uv_write_t req;
	struct receiver_conn *c;
	char bytes[];
};

static inline void receiver_say(struct receiver_conn *c, const char *text);

static inline void receiver_gone(uv_handle_t *h)
{
	struct receiver_conn *c = h->data;
	SSL_free(c->ssl);
	hl_buf_fini(&c->in);
	free(c);
}

static inline void receiver_end(struct receiver_conn *c, bool reset)
{
	if (c->closing)
		return;
	c->closing = true;
	hl_list_remove(&c->node);
	if (reset)
		uv_tcp_close_reset(&c->tcp, receiver_gone);
	else
		uv_close((uv_handle_t *)&c->tcp, receiver_gone);
}

static inline void receiver_written(uv_write_t *req, int status)
{
	struct receiver_write *w = (struct receiver_write *)req;
	struct receiver_conn *c = w->c;
	free(w);
	if (status == 0 && !c->closing && c->forever)
		receiver_say(c, c->forever);
}

static inline void receiver_put(struct receiver_conn *c, const void *p, size_t n)
{
	struct receiver_write *w = malloc(sizeof(*w) + n);
	uv_buf_t b = uv_buf_init(w->bytes, (unsigned)n);
	w->c = c;
	memcpy(w->bytes, p, n);
	if (c->closing || uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, receiver_written))
		free(w);
}

static inline void receiver_flush(struct receiver_conn *c)
{
	char bytes[20000];
	int n;
	while (c->ssl && (n = BIO_read(SSL_get_wbio(c->ssl), bytes, sizeof(bytes))) > 0)
		receiver_put(c, bytes, (size_t)n);
}

static inline void receiver_say(struct receiver_conn *c, const char *text)
{
	if (!c->ssl) {
		receiver_put(c, text, strlen(text));
		return;
	}
	SSL_write(c->ssl, text, (int)strlen(text));
	receiver_flush(c);
}

/* Length of a complete request at the front of b, 0 while it is not. */
static inline size_t receiver_request_len(const struct hl_buf *b)
{
	const char *end = b->len ? memmem(b->data, b->len, "\r\n\r\n", 4) : NULL, *cl;
	if (!end)
		return 0;
	size_t head = (size_t)(end - b->data) + 4;
	cl = memmem(b->data, head, "Content-Length: ", 16);
	size_t want = head + (cl ? strtoul(cl + 16, NULL, 10) : 0);
	return b->len >= want ? want : 0;
}

static inline void receiver_answer(struct receiver_conn *c)
{
	struct receiver *r = c->r;
	unsigned i = r->requests++;
	const struct answer *a = &r->script[i < r->n_script ? i : r->n_script ? r->n_script - 1 : 0];
	if (a->say)
		receiver_say(c, a->say);
	if (a->push)
		receiver_say(c, a->push);
	if (a->then == FOREVER)
		c->forever = a->say;
	if (a->then == CLOSE && c->ssl) {
		SSL_shutdown(c->ssl);
		receiver_flush(c);
	}
	if (a->then == CLOSE || a->then == CLOSE_RUDELY)
		receiver_end(c, false);
	else if (a->then == RESET)
		receiver_end(c, true);
}

static inline void receiver_heard(struct receiver_conn *c, const char *p, size_t n)
{
	size_t len;
	hl_buf_add(&c->in, p, n);
	if (c->r->slam) {
		receiver_end(c, false);
		return;
	}
	while (!c->closing && (len = receiver_request_len(&c->in)) > 0) {
		hl_buf_reset(&c->r->last);
		hl_buf_add(&c->r->last, c->in.data, len);
		memmove(c->in.data, c->in.data + len, c->in.len - len);
		c->in.len -= len;
		receiver_answer(c);
	}
}

static inline void receiver_tls(struct receiver_conn *c)
{
	char plain[20000];
	size_t n;
	bool before = SSL_is_init_finished(c->ssl);
	if (!before && SSL_do_handshake(c->ssl) == 1)
		c->r->resumed += (unsigned)SSL_session_reused(c->ssl);
	receiver_flush(c);
	while (!c->closing && SSL_is_init_finished(c->ssl) && SSL_read_ex(c->ssl, plain, sizeof(plain), &n))
		receiver_heard(c, plain, n);
	ERR_clear_error();
	if (!c->closing)
		receiver_flush(c);
}

static inline void receiver_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
	static char bytes[65536];
	(void)h, (void)hint;
	*out = uv_buf_init(bytes, sizeof(bytes));
}

static inline void receiver_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct receiver_conn *c = s->data;
	if (n == 0)
		return;
	if (n < 0) {
		c->r->ended++;
		receiver_end(c, false);
	} else if (c->ssl) {
		BIO_write(SSL_get_rbio(c->ssl), b->base, (int)n);
		receiver_tls(c);
	} else {
		receiver_heard(c, b->base, (size_t)n);
	}
}

static inline void receiver_connection(uv_stream_t *server, int status)
{
	struct receiver *r = server->data;
	struct receiver_conn *c = calloc(1, sizeof(*c));
	assert_int_equal(status, 0);
	uv_tcp_init(server->loop, &c->tcp);
	c->tcp.data = c;
	c->r = r;
	hl_list_push_back(&r->conns, &c->node);
	assert_int_equal(uv_accept(server, (uv_stream_t *)&c->tcp), 0);
	uv_tcp_nodelay(&c->tcp, 1);
	r->accepted++;
	if (r->deaf)
		return;
	if (r->ctx) {
		c->ssl = SSL_new(r->ctx);
		SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		SSL_set_accept_state(c->ssl);
	}
	uv_read_start((uv_stream_t *)&c->tcp, receiver_alloc, receiver_read);
}

static inline void receiver_open(struct receiver *r, uv_loop_t *loop, const char *ip_text, SSL_CTX *ctx)
{
	struct sockaddr_storage ss;
	int len = sizeof(ss);
	memset(r, 0, sizeof(*r));
	hl_list_init(&r->conns);
	r->ctx = ctx;
	assert_true(hl_addr_parse_ip(hl_str_from(ip_text), 0, &r->addr));
	uv_tcp_init(loop, &r->tcp);
	r->tcp.data = r;
	assert_int_equal(uv_tcp_bind(&r->tcp, &r->addr.sa, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&r->tcp, 256, receiver_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&r->tcp, (struct sockaddr *)&ss, &len), 0);
	assert_true(hl_addr_from_sockaddr((struct sockaddr *)&ss, (socklen_t)len, &r->addr));
	r->port = hl_addr_port(&r->addr);
}

/* One answer for every request. */
static inline void receiver_says(struct receiver *r, const char *say, enum then then)
{
	r->script[0] = (struct answer){ .say = say, .then = then };
	r->n_script = 1;
}

static inline void receiver_end_all(struct receiver *r, bool reset)
{
	while (!hl_list_empty(&r->conns))
		receiver_end(HL_LIST_ENTRY(r->conns.next, struct receiver_conn, node), reset);
}

static inline void receiver_close(struct receiver *r)
{
	receiver_end_all(r, false);
	hl_buf_fini(&r->last);
	uv_close((uv_handle_t *)&r->tcp, NULL);
}

#endif

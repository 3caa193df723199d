/* A client made of bytes, on the loop of the test: it says exactly what it is told and keeps all that comes back. */
#ifndef HL_TEST_RAW_CLIENT_H
#define HL_TEST_RAW_CLIENT_H

#include "http_test.h"
#include "base/buf.h"
#include "loop.h"
#include "net/addr.h"

struct raw_client {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	uv_connect_t connect;
	struct hl_buf got;
	const char *wanted;     /* raw_until */
	size_t wanted_n;
	bool connected, ended, reset, closed;
};

static inline void raw_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	(void)h;
	(void)n;
	static char buf[65536];
	*b = uv_buf_init(buf, sizeof(buf));
}

static inline void raw_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
	struct raw_client *c = s->data;
	if (n > 0)
		hl_buf_add(&c->got, b->base, (size_t)n);
	if (n < 0) {
		c->ended = true;
		c->reset = n != UV_EOF;
	}
}

static inline void raw_connected(uv_connect_t *req, int status)
{
	struct raw_client *c = req->handle->data;
	assert_int_equal(status, 0);
	c->connected = true;
	assert_int_equal(uv_read_start(&c->stream, raw_alloc, raw_read), 0);
}

static inline void raw_open(struct raw_client *c, uv_loop_t *loop, const struct hl_addr *addr)
{
	memset(c, 0, sizeof(*c));
	if (hl_addr_is_unix(addr)) {
		uv_pipe_init(loop, &c->pipe, 0);
		c->stream.data = c;
		uv_pipe_connect(&c->connect, &c->pipe, addr->un.sun_path, raw_connected);
	} else {
		uv_tcp_init(loop, &c->tcp);
		c->stream.data = c;
		assert_int_equal(uv_tcp_connect(&c->connect, &c->tcp, &addr->sa, raw_connected), 0);
	}
	assert_true(loop_until(loop, &c->connected, 2000));
}

static inline void raw_sent(uv_write_t *req, int status)
{
	(void)status;
	free(req);
}

static inline void raw_send_n(struct raw_client *c, const char *bytes, size_t n)
{
	struct {
		uv_write_t req;
		char copy[];
	} *w = malloc(sizeof(*w) + n);
	memcpy(w->copy, bytes, n);
	uv_buf_t b = uv_buf_init(w->copy, (unsigned)n);
	if (uv_write(&w->req, &c->stream, &b, 1, raw_sent))
		free(w);
}

static inline void raw_send(struct raw_client *c, const char *text)
{
	raw_send_n(c, text, strlen(text));
}

static inline size_t raw_count(const struct raw_client *c, const char *text)
{
	size_t n = 0, len = strlen(text);
	for (const char *p = c->got.data; p && (p = memmem(p, c->got.len - (size_t)(p - c->got.data), text, len)); p += len)
		n++;
	return n;
}

static inline bool raw_has_wanted(void *data)
{
	struct raw_client *c = data;
	return raw_count(c, c->wanted) >= c->wanted_n || c->ended;
}

/* Until `text` has come n times; fails the test when it does not. */
static inline void raw_until_n(struct raw_client *c, const char *text, size_t n)
{
	c->wanted = text;
	c->wanted_n = n;
	(void)loop_run_until(c->stream.loop, raw_has_wanted, c, 3000);
	if (raw_count(c, text) < n)
		fail_msg("\"%s\" came %zu times, not %zu; got: %.*s", text, raw_count(c, text), n, (int)c->got.len,
				c->got.data ? c->got.data : "");
}

static inline void raw_until(struct raw_client *c, const char *text)
{
	raw_until_n(c, text, 1);
}

static inline void raw_until_end(struct raw_client *c)
{
	assert_true(loop_until(c->stream.loop, &c->ended, 3000));
}

static inline void raw_on_closed(uv_handle_t *h)
{
	((struct raw_client *)h->data)->closed = true;
}

static inline void raw_close(struct raw_client *c)
{
	uv_close((uv_handle_t *)&c->stream, raw_on_closed);
	assert_true(loop_until(c->stream.loop, &c->closed, 2000));
	hl_buf_fini(&c->got);
}

static inline void raw_on_reset(uv_handle_t *h)
{
	raw_on_closed(h);
}

/* Closes with a reset instead of a FIN. */
static inline void raw_reset(struct raw_client *c)
{
	assert_int_equal(uv_tcp_close_reset(&c->tcp, raw_on_reset), 0);
	assert_true(loop_until(c->stream.loop, &c->closed, 2000));
	hl_buf_fini(&c->got);
}

#endif

/* The inbound server over loopback, talked to by raw bytes on the same loop. */
#include "http_test.h"
#include "base/str.h"
#include "fakeenv.h"
#include "http/server.h"
#include "raw_client.h"
#include "tmpdir.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

struct fixture {
	uv_loop_t loop;
	struct fakeenv env;
	struct hl_server *server;
	struct hl_addr addr;
	struct hl_request *held;       /* of /later and /stream */
	struct hl_buf streamed;        /* bytes of a streamed body */
	unsigned n_heads, n_requests, n_aborts, n_writable, n_refused;
	unsigned refused_status;
	bool pause_at_once;            /* pause after the first piece */
	bool answer_refusal;
	bool has_held, has_aborted, body_done, writable, closed, drained;
};

static const struct hl_header text_plain = { HL_STR("Content-Type"), HL_STR("text/plain") };

static enum hl_body_mode on_head(void *data, struct hl_request *r)
{
	struct fixture *f = data;
	f->n_heads++;
	if (hl_str_eq(r->path, HL_STR("/refuse"))) {
		hl_response_send(r, 401, NULL, 0, HL_STR("who are you"));
		return HL_BODY_NONE;
	}
	if (hl_str_eq(r->path, HL_STR("/none")))
		return HL_BODY_NONE;
	if (hl_str_eq(r->path, HL_STR("/drop"))) {
		hl_request_drop(r);
		return HL_BODY_NONE;
	}
	if (hl_str_eq(r->path, HL_STR("/stream")) || hl_str_eq(r->path, HL_STR("/stream-now"))) {
		f->held = r;
		f->has_held = true;
		if (hl_str_eq(r->path, HL_STR("/stream-now")))
			hl_response_begin(r, 202, &text_plain, 1);
		return HL_BODY_STREAM;
	}
	return HL_BODY_WHOLE;
}

static void on_body(void *data, struct hl_request *r, struct hl_str piece)
{
	struct fixture *f = data;
	hl_buf_str(&f->streamed, piece);
	if (f->pause_at_once)
		hl_request_pause(r);
	if (hl_str_eq(r->path, HL_STR("/stream-now")))
		hl_response_write(r, piece);
}

static void on_request(void *data, struct hl_request *r)
{
	struct fixture *f = data;
	f->n_requests++;
	if (hl_str_eq(r->path, HL_STR("/later"))) {
		f->held = r;
		f->has_held = true;
	} else if (hl_str_eq(r->path, HL_STR("/stream"))) {
		f->body_done = true;
	} else if (hl_str_eq(r->path, HL_STR("/stream-now"))) {
		f->body_done = true;
		hl_response_end(r);
	} else if (hl_str_eq(r->path, HL_STR("/echo"))) {
		hl_response_send(r, 200, &text_plain, 1, r->body);
	} else if (hl_str_eq(r->path, HL_STR("/204"))) {
		hl_response_send(r, 204, NULL, 0, HL_STR_NONE);
	} else if (hl_str_eq(r->path, HL_STR("/chunks"))) {
		hl_response_begin(r, 200, &text_plain, 1);
		hl_response_write(r, HL_STR("one"));
		hl_response_write(r, HL_STR(""));
		hl_response_write(r, HL_STR("twenty"));
		hl_response_end(r);
	} else {
		struct hl_str copy = hl_arena_dup(r->arena, r->target);
		hl_response_send(r, 200, &text_plain, 1, copy);
	}
}

static void on_writable(void *data, struct hl_request *r)
{
	struct fixture *f = data;
	(void)r;
	f->n_writable++;
	f->writable = true;
}

static void on_refused(void *data, struct hl_request *r, unsigned status, const char *reason)
{
	struct fixture *f = data;
	f->n_refused++;
	f->refused_status = status;
	assert_non_null(reason);
	if (f->answer_refusal)
		hl_response_send(r, status, &text_plain, 1, HL_STR("in my own words"));
}

static void on_abort(void *data, struct hl_request *r)
{
	struct fixture *f = data;
	if (r == f->held)
		f->held = NULL;
	f->n_aborts++;
	f->has_aborted = true;
}

static void set_up_with(struct fixture *f, void (*tune)(struct hl_server_options *))
{
	struct hl_server_options o;
	struct hl_request_handler h = { f, on_head, on_body, on_request, on_writable, on_refused, on_abort };
	struct hl_err err;
	memset(f, 0, sizeof(*f));
	loop_init(&f->loop);
	fakeenv_init(&f->env, 1);
	hl_server_options_init(&o);
	o.env = &f->env.env;
	o.linger_timeout_ms = 200;
	if (tune)
		tune(&o);
	assert_int_equal(hl_server_open(&f->server, &f->loop, &o, &h, &err), 0);
	assert_int_equal(hl_addr_parse(HL_STR("127.0.0.1:0"), &f->addr, &err), 0);
	assert_int_equal(hl_server_listen(f->server, &f->addr, 0, &err), 0);
	f->addr = *hl_server_listener_addr(f->server, 0);
}

static void set_up(struct fixture *f)
{
	set_up_with(f, NULL);
}

static void on_flag(void *data)
{
	*(bool *)data = true;
}

static void tear_down(struct fixture *f)
{
	hl_server_close(f->server, on_flag, &f->closed);
	assert_true(loop_until(&f->loop, &f->closed, 2000));
	hl_buf_fini(&f->streamed);
	loop_fini(&f->loop);
}

/* ---- plain requests ---- */

static void answers(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/a?b=c"));
	raw_until(&c, "/a?b=c");
	assert_string_equal(c.got.data, "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n"
			"Content-Length: 6\r\n\r\n/a?b=c");
	fakeenv_advance(&f.env, 1000);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
	raw_until(&c, "\r\n\r\nhello");
	assert_int_equal(raw_count(&c, "00:00:01 GMT"), 1);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
	raw_until(&c, "\r\n\r\nabc");
	raw_send(&c, GET("/204"));
	raw_until(&c, "HTTP/1.1 204 No Content");
	assert_int_equal(raw_count(&c, "Content-Length"), 3);
	raw_send(&c, GET("/none"));
	raw_until(&c, "\r\n\r\n/none");
	assert_false(c.ended);
	assert_int_equal(hl_server_stats(f.server)->connections, 1);
	assert_int_equal(hl_server_stats(f.server)->requests, 5);
	raw_close(&c);
	tear_down(&f);
	assert_int_equal(f.n_aborts, 0);
}

static void byte_by_byte(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static const char text[] = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" GET("/next");
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		raw_send_n(&c, text + i, 1);
		uv_run(&f.loop, UV_RUN_NOWAIT);
	}
	raw_until(&c, "/next");
	assert_int_equal(raw_count(&c, "\r\n\r\nabc"), 1);
	raw_close(&c);
	tear_down(&f);
}

static void head_has_a_length_and_no_body(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n" GET("/x"));
	raw_until(&c, "\r\n\r\n/x");
	assert_int_equal(raw_count(&c, "Content-Length: 4\r\n\r\nHTTP/1.1 200"), 1);
	raw_send(&c, "HEAD /chunks HTTP/1.1\r\nHost: h\r\n\r\n" GET("/y"));
	raw_until(&c, "\r\n\r\n/y");
	assert_int_equal(raw_count(&c, "Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 200"), 1);
	raw_close(&c);
	tear_down(&f);
}

static void chunks(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/chunks") GET("/after"));
	raw_until(&c, "\r\n\r\n/after");
	assert_int_equal(raw_count(&c, "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n6\r\ntwenty\r\n0\r\n\r\nHTTP/1.1 200"), 1);
	raw_close(&c);
	/* 1.0: until the connection closes */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "\r\n\r\nonetwenty"), 1);
	assert_int_equal(raw_count(&c, "chunked"), 0);
	assert_int_equal(raw_count(&c, "Connection: close"), 1);
	raw_close(&c);
	tear_down(&f);
}

static void keep_alive_rules(void **state)
{
	(void)state;
	static const struct {
		const char *request;
		bool keeps;
	} t[] = {
		{ "GET / HTTP/1.1\r\nHost: h\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true },
	};
	struct fixture f;
	set_up(&f);
	for (size_t i = 0; i < 4; i++) {
		struct raw_client c;
		raw_open(&c, &f.loop, &f.addr);
		raw_send(&c, t[i].request);
		raw_until(&c, "\r\n\r\n/");
		if (t[i].keeps) {
			raw_send(&c, t[i].request);
			raw_until_n(&c, "\r\n\r\n/", 2);
			assert_int_equal(raw_count(&c, "Connection: close"), 0);
		} else {
			raw_until_end(&c);
			assert_false(c.reset);
			assert_int_equal(raw_count(&c, "Connection: close"), 1);
		}
		assert_int_equal(raw_count(&c, "Connection: keep-alive"), i == 3 ? 2 : 0);
		raw_close(&c);
	}
	tear_down(&f);
}

/* ---- order and patience ---- */

static void pipelined_in_order(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/1") GET("/later") GET("/2") "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nz");
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	raw_until(&c, "\r\n\r\n/1");
	loop_run_for(&f.loop, 20);
	assert_int_equal(f.n_requests, 2); /* the rest waits */
	hl_response_send(f.held, 200, NULL, 0, HL_STR("late"));
	assert_int_equal(f.n_requests, 2); /* …and does not start inside the answer */
	raw_until(&c, "\r\n\r\nz");
	assert_int_equal(raw_count(&c, "late"), 1);
	assert_true(strstr(c.got.data, "\r\n\r\n/1") < strstr(c.got.data, "late"));
	assert_true(strstr(c.got.data, "late") < strstr(c.got.data, "\r\n\r\n/2"));
	raw_close(&c);
	tear_down(&f);
}

static void many_pipelined(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	struct hl_buf b = { 0 };
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	for (int i = 0; i < 5000; i++)
		hl_buf_fmt(&b, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n<%05d>", i);
	raw_send_n(&c, b.data, b.len);
	raw_until(&c, "<04999>");
	assert_int_equal(f.n_requests, 5000);
	assert_int_equal(raw_count(&c, "HTTP/1.1 200"), 5000);
	hl_buf_fini(&b);
	raw_close(&c);
	tear_down(&f);
}

static void one_does_not_block_another(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client a, b;
	set_up(&f);
	raw_open(&a, &f.loop, &f.addr);
	raw_open(&b, &f.loop, &f.addr);
	raw_send(&a, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	raw_send(&b, GET("/b"));
	raw_until(&b, "\r\n\r\n/b");
	hl_response_send(f.held, 200, NULL, 0, HL_STR("a"));
	raw_until(&a, "\r\n\r\na");
	raw_close(&a);
	raw_close(&b);
	tear_down(&f);
}

static void half_closed_client_gets_its_answer(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	uv_shutdown_t req;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	uv_shutdown(&req, &c.stream, NULL);
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	loop_run_for(&f.loop, 20);
	assert_int_equal(f.n_aborts, 0);
	hl_response_send(f.held, 200, NULL, 0, HL_STR("still here"));
	raw_until(&c, "still here");
	raw_until_end(&c);
	assert_false(c.reset);
	raw_close(&c);
	tear_down(&f);
}

/* ---- refusals ---- */

static void malformed_heads(void **state)
{
	(void)state;
	static const struct {
		const char *request, *status, *code;
	} t[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "bad_request" },
		{ "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/smuggled"),
			"400 Bad Request", "bad_request" },
		{ "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "501 Not Implemented", "method_not_supported" },
		{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505 HTTP Version", "version_not_supported" },
		{ "\x16\x03\x01\x02", "400 Bad Request", "bad_request" },
	};
	struct fixture f;
	set_up(&f);
	for (size_t i = 0; i < 5; i++) {
		struct raw_client c;
		raw_open(&c, &f.loop, &f.addr);
		raw_send(&c, GET("/ok"));
		raw_until(&c, "\r\n\r\n/ok");
		raw_send(&c, t[i].request);
		raw_until_end(&c);
		assert_false(c.reset);
		assert_int_equal(raw_count(&c, t[i].status), 1);
		assert_int_equal(raw_count(&c, t[i].code), 1);
		assert_int_equal(raw_count(&c, "Connection: close"), 1);
		assert_int_equal(raw_count(&c, "application/problem+json"), 1);
		raw_close(&c);
	}
	assert_int_equal(f.n_heads, 5); /* only the good ones */
	assert_int_equal(hl_server_stats(f.server)->refused, 5);
	tear_down(&f);
}

static void small_body(struct hl_server_options *o)
{
	o->body_max = 10;
}

static void bodies_too_large(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up_with(&f, small_body);
	/* announced: refused before a byte of it is read */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n");
	raw_until(&c, "413 Content Too Large");
	raw_until_end(&c);
	raw_close(&c);
	/* not announced: refused when it is; in the handler's words */
	f.answer_refusal = true;
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n");
	raw_until(&c, "in my own words");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1 413"), 1);
	assert_int_equal(raw_count(&c, "Connection: close"), 1);
	raw_close(&c);
	/* exactly enough */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789");
	raw_until(&c, "0123456789");
	raw_close(&c);
	assert_int_equal(f.n_refused, 2);
	assert_int_equal(f.refused_status, 413);
	assert_int_equal(f.n_requests, 1);
	tear_down(&f);
}

/* The answer is read although the client goes on sending for a while. */
static void refused_client_reads_its_answer(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static char junk[300000];
	memset(junk, 'j', sizeof(junk));
	set_up_with(&f, small_body);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n");
	raw_send_n(&c, junk, sizeof(junk));
	raw_until(&c, "413 Content Too Large");
	raw_until_end(&c);
	assert_false(c.reset);
	raw_close(&c);
	tear_down(&f);
}

static void long_linger(struct hl_server_options *o)
{
	o->linger_timeout_ms = 60000;
}

static bool nobody_there(void *data)
{
	return hl_server_stats(((struct fixture *)data)->server)->connections == 0;
}

/* An answer ends the connection although bytes of its paused body were never taken: they are read and thrown away. */
static void answer_to_a_paused_body(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up_with(&f, long_linger);
	f.pause_at_once = true;
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 8\r\n\r\nab");
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	while (f.streamed.len < 2)
		uv_run(&f.loop, UV_RUN_ONCE);
	raw_send(&c, "cd"); /* kept, because nobody wants it now */
	loop_run_for(&f.loop, 20);
	hl_response_send(f.held, 200, NULL, 0, HL_STR("enough"));
	raw_until(&c, "enough");
	raw_send(&c, "efgh");
	raw_until_end(&c);
	assert_false(c.reset);
	raw_close(&c);
	assert_true(loop_run_until(&f.loop, nobody_there, &f, 2000));
	tear_down(&f);
}

/* What is said of a request that was never read has its body, whatever the one before it was. */
static void refusal_after_head(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "HEAD /ok HTTP/1.1\r\nHost: h\r\n\r\nPOST /echo HTTP/1.1\r\nHost: h\r\nno field\r\n\r\n");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1 200"), 1);
	assert_int_equal(raw_count(&c, "HTTP/1.1 400"), 1);
	assert_int_equal(raw_count(&c, "\"code\":\"bad_request\""), 1);
	raw_close(&c);
	tear_down(&f);
}

static void malformed_chunks(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1 400"), 1);
	assert_int_equal(f.n_refused, 1);
	raw_close(&c);
	/* with an answer under way there is nothing to say any more */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream-now HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n");
	raw_until_end(&c);
	assert_int_equal(f.n_aborts, 1);
	assert_int_equal(raw_count(&c, "HTTP/1.1 400"), 0);
	raw_close(&c);
	tear_down(&f);
}

static void answered_before_the_body(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	/* near its end: the rest is read and the connection kept */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
	raw_until(&c, "who are you");
	raw_send(&c, "def" GET("/next"));
	raw_until(&c, "\r\n\r\n/next");
	assert_int_equal(raw_count(&c, "Connection: close"), 0);
	raw_close(&c);
	/* far from it: closed */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\nabc");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "who are you"), 1);
	assert_int_equal(raw_count(&c, "Connection: close"), 1);
	raw_close(&c);
	assert_int_equal(f.n_aborts, 0);
	tear_down(&f);
}

static void dropped_by_the_handler(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/drop") GET("/x"));
	raw_until_end(&c);
	assert_int_equal(c.got.len, 0);
	assert_int_equal(f.n_aborts, 0);
	assert_int_equal(f.n_requests, 0);
	raw_close(&c);
	tear_down(&f);
}

/* ---- Expect ---- */

static void expect_continue(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	raw_until(&c, "HTTP/1.1 100 Continue\r\n\r\n");
	raw_send(&c, "abc");
	raw_until(&c, "\r\n\r\nabc");
	/* it did not wait: no 100 */
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nxyz");
	raw_until(&c, "\r\n\r\nxyz");
	assert_int_equal(raw_count(&c, "100 Continue"), 1);
	/* a streamed body, with the answer begun at once: the 100 comes first */
	raw_send(&c, "POST /stream-now HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
	raw_until(&c, "HTTP/1.1 202");
	assert_int_equal(raw_count(&c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202"), 1);
	raw_send(&c, "2\r\nhi\r\n0\r\n\r\n");
	raw_until(&c, "2\r\nhi\r\n0\r\n\r\n");
	/* not wanted: the final status instead, and nobody knows whether the body follows */
	raw_send(&c, "POST /refuse HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "who are you"), 1);
	assert_int_equal(raw_count(&c, "100 Continue"), 2);
	raw_close(&c);
	tear_down(&f);
}

/* ---- slow and vanishing clients ---- */

static void impatient(struct hl_server_options *o)
{
	o->head_timeout_ms = 60;
	o->body_timeout_ms = 80;
	o->idle_timeout_ms = 100;
	o->write_timeout_ms = 100;
	o->linger_timeout_ms = 50;
}

static void slow_clients(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up_with(&f, impatient);
	/* says nothing: closed without a word */
	raw_open(&c, &f.loop, &f.addr);
	raw_until_end(&c);
	assert_int_equal(c.got.len, 0);
	raw_close(&c);
	/* half a head */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "GET / HT");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1 408 Request Timeout"), 1);
	raw_close(&c);
	/* half a body */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1 408 Request Timeout"), 1);
	assert_int_equal(f.refused_status, 408);
	raw_close(&c);
	/* idle between requests: closed without a word */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/x"));
	raw_until(&c, "\r\n\r\n/x");
	raw_until_end(&c);
	assert_int_equal(raw_count(&c, "HTTP/1.1"), 1);
	assert_false(c.reset);
	raw_close(&c);
	tear_down(&f);
}

/* A head that drips one byte at a time does not buy time with each byte. */
static void dripping_head(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up_with(&f, impatient);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "GET / HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 100 && !c.ended; i++) {
		raw_send(&c, "x");
		loop_run_for(&f.loop, 10);
	}
	assert_true(c.ended);
	assert_int_equal(raw_count(&c, "408"), 2); /* status line and problem */
	raw_close(&c);
	tear_down(&f);
}

static void too_slow_a_stream(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up_with(&f, impatient);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
	raw_until(&c, "HTTP/1.1 408");
	assert_int_equal(f.n_refused, 1);
	raw_close(&c);
	/* paused by the handler, the clock stands */
	f.pause_at_once = true;
	f.n_refused = 0;
	f.has_held = f.body_done = false;
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	loop_run_for(&f.loop, 200);
	assert_int_equal(f.n_refused, 0);
	f.pause_at_once = false;
	hl_request_resume(f.held);
	raw_send(&c, "0\r\n\r\n");
	assert_true(loop_until(&f.loop, &f.body_done, 2000));
	hl_response_send(f.held, 200, NULL, 0, HL_STR("done"));
	raw_until(&c, "done");
	raw_close(&c);
	tear_down(&f);
}

static void vanishing_clients(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	set_up(&f);
	/* in the middle of a body, by FIN */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na");
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	raw_close(&c);
	assert_true(loop_until(&f.loop, &f.has_aborted, 2000));
	assert_null(f.held);
	/* while the answer is being made, by reset */
	f.has_held = f.has_aborted = false;
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	raw_reset(&c);
	assert_true(loop_until(&f.loop, &f.has_aborted, 2000));
	assert_null(f.held);
	/* in the middle of a head: nobody to tell */
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "GET / HT");
	loop_run_for(&f.loop, 10);
	raw_close(&c);
	loop_run_for(&f.loop, 20);
	assert_int_equal(hl_server_stats(f.server)->connections, 0);
	assert_int_equal(f.n_aborts, 2);
	tear_down(&f);
}

/* ---- streams ---- */

static void streamed_body_with_back_pressure(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	size_t total = 8 << 20;
	char *big = malloc(total);
	for (size_t i = 0; i < total; i++)
		big[i] = (char)('a' + i % 26);
	set_up(&f);
	f.pause_at_once = true;
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
	raw_send_n(&c, big, total);
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	loop_run_for(&f.loop, 50);
	size_t held_back = f.streamed.len;
	assert_true(held_back > 0 && held_back <= 65536); /* the rest is in the kernel */
	loop_run_for(&f.loop, 50);
	assert_int_equal(f.streamed.len, held_back);
	for (int i = 0; i < 2000 && !f.body_done; i++) {
		hl_request_resume(f.held);
		uv_run(&f.loop, UV_RUN_NOWAIT);
		uv_run(&f.loop, UV_RUN_NOWAIT);
	}
	f.pause_at_once = false;
	if (!f.body_done)
		hl_request_resume(f.held);
	assert_true(loop_until(&f.loop, &f.body_done, 5000));
	assert_int_equal(f.streamed.len, total);
	assert_memory_equal(f.streamed.data, big, total);
	hl_response_send(f.held, 200, NULL, 0, HL_STR("all"));
	raw_until(&c, "\r\n\r\nall");
	raw_close(&c);
	free(big);
	tear_down(&f);
}

static void small_mark(struct hl_server_options *o)
{
	o->writable_mark = 100000;
	o->answer_max = 16 << 20;
}

static void streamed_answer_with_back_pressure(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static char line[10000];
	memset(line, 'l', sizeof(line));
	set_up_with(&f, small_mark);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	uv_read_stop(&c.stream);
	hl_response_begin(f.held, 200, NULL, 0);
	for (int i = 0; i < 1000; i++)
		hl_response_write(f.held, hl_str_make(line, sizeof(line)));
	loop_run_for(&f.loop, 50);
	assert_true(hl_response_unwritten(f.held) > 100000);
	assert_false(f.writable);
	uv_read_start(&c.stream, raw_alloc, raw_read);
	assert_true(loop_until(&f.loop, &f.writable, 5000));
	assert_true(hl_response_unwritten(f.held) < 100000);
	hl_response_write(f.held, HL_STR("the end"));
	hl_response_end(f.held);
	raw_until(&c, "the end\r\n0\r\n\r\n");
	assert_int_equal(f.n_writable, 1);
	raw_send(&c, GET("/after"));
	raw_until(&c, "\r\n\r\n/after");
	raw_close(&c);
	tear_down(&f);
}

static void client_that_does_not_read(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static char line[1 << 20];
	set_up_with(&f, impatient);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	uv_read_stop(&c.stream);
	hl_response_begin(f.held, 200, NULL, 0);
	for (int i = 0; i < 20; i++)
		hl_response_write(f.held, hl_str_make(line, sizeof(line)));
	assert_true(loop_until(&f.loop, &f.has_aborted, 3000));
	raw_close(&c);
	tear_down(&f);
}

static void answer_past_its_maximum(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static char line[1 << 20];
	set_up_with(&f, small_mark);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	uv_read_stop(&c.stream);
	hl_response_begin(f.held, 200, NULL, 0);
	for (int i = 0; i < 20; i++)
		hl_response_write(f.held, hl_str_make(line, sizeof(line)));
	assert_false(f.has_aborted); /* not from inside */
	assert_true(loop_until(&f.loop, &f.has_aborted, 3000));
	raw_close(&c);
	tear_down(&f);
}

static void big_whole_answer(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	static char big[20 << 20];
	memset(big, 'b', sizeof(big));
	set_up(&f);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later") GET("/after"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	hl_response_send(f.held, 200, NULL, 0, hl_str_make(big, sizeof(big)));
	raw_until(&c, "\r\n\r\n/after");
	assert_true(c.got.len > sizeof(big));
	raw_close(&c);
	tear_down(&f);
}

/* ---- capacity and the end ---- */

#define HALF "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na"

static void eight(struct hl_server_options *o)
{
	o->connections_max = 8;
	o->connections_soft = 2;
}

/* Two requests under way are enough here: others wait, but not those for health. */
static void soft_mark(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c[5];
	set_up_with(&f, eight);
	for (int i = 0; i < 5; i++)
		raw_open(&c[i], &f.loop, &f.addr);
	raw_send(&c[0], HALF);
	raw_send(&c[1], HALF);
	loop_run_for(&f.loop, 10);
	raw_send(&c[2], GET("/x"));
	raw_until_end(&c[2]);
	assert_int_equal(raw_count(&c[2], "HTTP/1.1 503 Service Unavailable"), 1);
	assert_int_equal(raw_count(&c[2], "Retry-After: 1"), 1);
	raw_send(&c[3], GET("/livez"));
	raw_until_end(&c[3]); /* answered, but not kept */
	assert_int_equal(raw_count(&c[3], "HTTP/1.1 200"), 1);
	assert_int_equal(hl_server_stats(f.server)->overloaded, 1);
	raw_send(&c[0], "bc");
	raw_until(&c[0], "\r\n\r\nabc");
	raw_send(&c[4], GET("/y"));
	raw_until(&c[4], "\r\n\r\n/y");
	for (int i = 0; i < 5; i++)
		raw_close(&c[i]);
	tear_down(&f);
}

/* A crowd that is silent, slow with its head or at rest makes room; a request under way is kept. */
static void crowd(void **state)
{
	(void)state;
	static const char *const silent[] = { "", "GET / HT", GET("/x"), HALF "bc" };
	struct fixture f;
	struct raw_client live, c[24];
	set_up_with(&f, eight);
	raw_open(&live, &f.loop, &f.addr);
	raw_send(&live, HALF);
	loop_run_for(&f.loop, 10);
	for (int i = 0; i < 24; i++) {
		raw_open(&c[i], &f.loop, &f.addr);
		raw_send(&c[i], silent[i % 4]);
		loop_run_for(&f.loop, 5);
		assert_true(hl_server_stats(f.server)->connections <= 8);
	}
	loop_run_for(&f.loop, 20);
	for (int i = 0; i < 24; i++)
		assert_int_equal(c[i].ended, i < 18);
	assert_true(hl_server_stats(f.server)->dropped >= 18);
	raw_send(&live, "bc");
	raw_until(&live, "\r\n\r\nabc");
	raw_send(&c[23], GET("/still"));
	raw_until(&c[23], "\r\n\r\n/still");
	raw_close(&live);
	for (int i = 0; i < 24; i++)
		raw_close(&c[i]);
	tear_down(&f);
}

/* All that rest owe an answer: the longest resting one goes all the same. */
static void crowd_of_debtors(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c[7], late;
	static char big[8 << 20];
	set_up_with(&f, eight);
	memset(big, 'b', sizeof(big));
	for (int i = 0; i < 7; i++) {
		raw_open(&c[i], &f.loop, &f.addr);
		uv_read_stop(&c[i].stream);
		f.has_held = false;
		raw_send(&c[i], GET("/later"));
		assert_true(loop_until(&f.loop, &f.has_held, 2000));
		hl_response_send(f.held, 200, NULL, 0, hl_str_make(big, sizeof(big)));
	}
	raw_open(&late, &f.loop, &f.addr);
	raw_send(&late, GET("/late"));
	raw_until(&late, "\r\n\r\n/late");
	assert_int_equal(hl_server_stats(f.server)->dropped, 1);
	for (int i = 0; i < 7; i++) {
		uv_read_start(&c[i].stream, raw_alloc, raw_read);
		c[i].wanted = "bb";
	}
	assert_true(loop_until(&f.loop, &c[0].ended, 3000));
	assert_true(c[0].got.len < sizeof(big));
	for (int i = 1; i < 7; i++)
		while (c[i].got.len < sizeof(big) && !c[i].ended)
			loop_run_for(&f.loop, 5);
	for (int i = 1; i < 7; i++)
		assert_true(c[i].got.len > sizeof(big));
	for (int i = 0; i < 7; i++)
		raw_close(&c[i]);
	raw_close(&late);
	tear_down(&f);
}

static void drains(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client idle, busy, half;
	set_up(&f);
	raw_open(&idle, &f.loop, &f.addr);
	raw_open(&busy, &f.loop, &f.addr);
	raw_open(&half, &f.loop, &f.addr);
	raw_send(&idle, GET("/x"));
	raw_until(&idle, "\r\n\r\n/x");
	raw_send(&half, "GET /half HTTP/1.1\r\nHo");
	raw_send(&busy, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	hl_server_drain(f.server, on_flag, &f.drained);
	assert_false(f.drained);
	raw_until_end(&idle);
	assert_false(idle.reset);
	loop_run_for(&f.loop, 10);
	assert_false(f.drained);
	raw_send(&half, "st: h\r\n\r\n");
	raw_until(&half, "\r\n\r\n/half");
	assert_int_equal(raw_count(&half, "Connection: close"), 1);
	raw_close(&half);
	hl_response_send(f.held, 200, NULL, 0, HL_STR("last words"));
	raw_until(&busy, "last words");
	assert_int_equal(raw_count(&busy, "Connection: close"), 1);
	raw_close(&busy);
	assert_true(loop_until(&f.loop, &f.drained, 2000));
	raw_close(&idle);
	tear_down(&f);
	assert_int_equal(f.n_aborts, 0);
}

/* Closing in every state of a connection: whatever was live is aborted exactly once. */
static void closes_in_every_state(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		unsigned aborts;
	} t[] = {
		{ "", 0 },
		{ "GET / HT", 0 },
		{ GET("/x"), 0 },
		{ GET("/later"), 1 },
		{ "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", 1 },
		{ "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", 1 },
		{ "POST /stream-now HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", 1 },
		{ "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", 0 },
		{ "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\na", 0 },
		{ GET("/later") GET("/later"), 1 },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		for (int paused = 0; paused < 2; paused++) {
			struct fixture f;
			struct raw_client c;
			set_up(&f);
			f.pause_at_once = paused;
			raw_open(&c, &f.loop, &f.addr);
			raw_send(&c, t[i].bytes);
			loop_run_for(&f.loop, 20);
			unsigned want = t[i].aborts;
			hl_server_close(f.server, on_flag, &f.closed);
			assert_int_equal(f.n_aborts, want); /* before close returned */
			assert_true(loop_until(&f.loop, &f.closed, 2000));
			raw_close(&c);
			hl_buf_fini(&f.streamed);
			loop_fini(&f.loop);
		}
	}
}

static void unix_socket(void **state)
{
	(void)state;
	struct fixture f;
	struct raw_client c;
	struct tmpdir dir;
	struct hl_err err;
	char path[TMPDIR_PATH_CAP], text[TMPDIR_PATH_CAP + 8];
	set_up(&f);
	tmpdir_make(&dir);
	tmpdir_path(&dir, "s", path);
	(void)snprintf(text, sizeof(text), "unix:%s", path);
	assert_int_equal(hl_addr_parse(hl_str_from(text), &f.addr, &err), 0);
	assert_int_equal(hl_server_listen(f.server, &f.addr, 0600, &err), 0);
	assert_int_equal(hl_server_listeners(f.server), 2);
	raw_open(&c, &f.loop, &f.addr);
	raw_send(&c, GET("/later"));
	assert_true(loop_until(&f.loop, &f.has_held, 2000));
	assert_true(f.held->peer_is_unix);
	assert_true(hl_str_eq(f.held->peer, HL_STR("unix:")));
	hl_response_send(f.held, 200, NULL, 0, HL_STR("by pipe"));
	raw_until(&c, "by pipe");
	raw_close(&c);
	tear_down(&f);
	tmpdir_remove(&dir);
}

static void options_are_judged(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct hl_server *s;
	struct hl_server_options o;
	struct hl_err err;
	struct hl_request_handler h = { .on_request = on_request };
	loop_init(&loop);
	hl_server_options_init(&o);
	assert_int_equal(hl_server_open(&s, &loop, &o, &h, &err), HL_EINVAL);
	h.on_abort = on_abort;
	o.connections_max = 0;
	assert_int_equal(hl_server_open(&s, &loop, &o, &h, &err), HL_EINVAL);
	loop_fini(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(head_has_a_length_and_no_body),
		cmocka_unit_test(chunks),
		cmocka_unit_test(keep_alive_rules),
		cmocka_unit_test(pipelined_in_order),
		cmocka_unit_test(many_pipelined),
		cmocka_unit_test(one_does_not_block_another),
		cmocka_unit_test(half_closed_client_gets_its_answer),
		cmocka_unit_test(malformed_heads),
		cmocka_unit_test(bodies_too_large),
		cmocka_unit_test(refused_client_reads_its_answer),
		cmocka_unit_test(malformed_chunks),
		cmocka_unit_test(answer_to_a_paused_body),
		cmocka_unit_test(refusal_after_head),
		cmocka_unit_test(answered_before_the_body),
		cmocka_unit_test(dropped_by_the_handler),
		cmocka_unit_test(expect_continue),
		cmocka_unit_test(slow_clients),
		cmocka_unit_test(dripping_head),
		cmocka_unit_test(too_slow_a_stream),
		cmocka_unit_test(vanishing_clients),
		cmocka_unit_test(streamed_body_with_back_pressure),
		cmocka_unit_test(streamed_answer_with_back_pressure),
		cmocka_unit_test(client_that_does_not_read),
		cmocka_unit_test(answer_past_its_maximum),
		cmocka_unit_test(big_whole_answer),
		cmocka_unit_test(soft_mark), cmocka_unit_test(crowd), cmocka_unit_test(crowd_of_debtors),
		cmocka_unit_test(drains),
		cmocka_unit_test(closes_in_every_state),
		cmocka_unit_test(unix_socket),
		cmocka_unit_test(options_are_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

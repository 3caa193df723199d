/* Exchanges against receivers that answer by script: every outcome, every phase, every way to be cancelled. */
#include "receiver.h"
#include "../net/dns_server.h"
#include "base/str.h"
#include "http/exchange.h"
#include "loop.h"
#include "port.h"

#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct fixture {
	uv_loop_t loop;
	struct tls_kit kit;
	struct hl_client_options o;
	struct hl_client *client;
	struct receiver r;
	struct dns_server dns;
	struct hl_arena arena;
	bool closed;
};

/* One exchange and what became of it. */
struct call {
	struct hl_exchange x;
	struct hl_exchange_result result;
	char body[256];
	char retry_after[64];
	unsigned n;          /* callbacks */
	bool done;
	bool in_start;
};

static void on_flag(void *data)
{
	*(bool *)data = true;
}

static void set_up_parts(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	loop_init(&f->loop);
	tls_kit_make(&f->kit);
	dns_server_open(&f->dns, &f->loop);
	f->dns.zone[0] = (struct dns_name){ .name = "rcv.example", .a = { "127.0.0.1" }, .ttl = 60 };
	f->dns.zone[1] = (struct dns_name){ .name = "alias.example", .a = { "127.0.0.1" }, .ttl = 60 };
	f->dns.zone[2] = (struct dns_name){ .name = "multi.example", .a = { "127.0.0.2", "127.0.0.1" }, .ttl = 60 };
	f->dns.zone[3] = (struct dns_name){ .name = "private.example", .a = { "10.1.2.3" }, .ttl = 60 };
	f->dns.zone[4] = (struct dns_name){ .name = "mixed.example", .a = { "127.0.0.1", "10.1.2.3" }, .ttl = 60 };
	f->o = (struct hl_client_options){
		.egress = { .allow_networks = "127.0.0.0/8", .allow_http = true },
		.resolver = { .servers = f->dns.address, .budget_ms = 2000 },
		.ca_file = f->kit.ca_file,
		.connect_timeout_ms = 400,
		.handshake_timeout_ms = 300,
	};
	hl_arena_init(&f->arena, 0);
}

static void open_client(struct fixture *f)
{
	struct hl_err err;
	if (hl_client_open(&f->client, &f->loop, &f->o, &err))
		fail_msg("client: %s", err.text);
}

static void set_up(struct fixture *f)
{
	set_up_parts(f);
	open_client(f);
	receiver_open(&f->r, &f->loop, "127.0.0.1", NULL);
	receiver_says(&f->r, OK2, KEEP);
}

static void tear_down(struct fixture *f)
{
	hl_client_close(f->client, on_flag, &f->closed);
	assert_true(loop_until(&f->loop, &f->closed, 3000));
	receiver_close(&f->r);
	if (f->r.ctx)
		SSL_CTX_free(f->r.ctx);
	dns_server_close(&f->dns);
	loop_fini(&f->loop);
	hl_arena_fini(&f->arena);
	tls_kit_drop(&f->kit);
}

static void on_done(void *data, struct hl_exchange *x, const struct hl_exchange_result *r)
{
	struct call *c = data;
	assert_false(c->in_start);
	assert_ptr_equal(x, &c->x);
	assert_int_equal(x->state, HL_EXCHANGE_IDLE);
	c->result = *r;
	(void)snprintf(c->body, sizeof(c->body), "%.*s", (int)HL_MIN(r->body.len, 255u), r->body.len ? r->body.ptr : "");
	(void)snprintf(c->retry_after, sizeof(c->retry_after), "%.*s", HL_FMT(r->retry_after));
	c->n++;
	c->done = true;
}

static struct hl_exchange_request request_to(struct fixture *f, const char *scheme, const char *host, uint16_t port)
{
	static const struct hl_str body[2] = { { "{\"a\":", 5 }, { "1}", 2 } };
	char text[300];
	struct hl_url *url = HL_ARENA_NEW(&f->arena, struct hl_url);
	struct hl_err err;
	(void)snprintf(text, sizeof(text), "%s://%s:%u/hook?t=1", scheme, host, port);
	if (hl_url_parse(hl_str_from(text), &f->arena, url, &err))
		fail_msg("%s: %s", text, err.text);
	return (struct hl_exchange_request){
		.url = url,
		.method = HL_STR("POST"),
		.fields = HL_STR("webhook-id: msg_1\r\n"),
		.body = body,
		.n_body = 2,
		.timeout_ms = 2000,
	};
}

static void start(struct fixture *f, struct call *c, const struct hl_exchange_request *rq)
{
	c->done = false;
	c->in_start = true;
	uv_update_time(&f->loop); /* limits count from the time of the turn, which may have been long */
	assert_int_equal(hl_exchange_start(&c->x, f->client, rq, on_done, c), 0);
	c->in_start = false;
}

static void finish(struct fixture *f, struct call *c)
{
	assert_true(loop_until(&f->loop, &c->done, 4000));
	assert_int_equal(c->x.state, HL_EXCHANGE_IDLE);
}

static void call(struct fixture *f, struct call *c, const struct hl_exchange_request *rq)
{
	start(f, c, rq);
	finish(f, c);
}

/* One call to the fixture's receiver. */
static void call_receiver(struct fixture *f, struct call *c)
{
	struct hl_exchange_request rq = request_to(f, f->r.ctx ? "https" : "http", "rcv.example", f->r.port);
	call(f, c, &rq);
}

static void call_init(struct call *c)
{
	memset(c, 0, sizeof(*c));
	hl_exchange_init(&c->x);
}

#define assert_class(c, class) assert_string_equal(class_text(&(c)->result), #class)

static const char *class_text(const struct hl_exchange_result *r)
{
#define HL_X(number, name, text, sentence) [number] = #name,
	static const char *const names[] = { HL_CLASS_TABLE(HL_X) };
#undef HL_X
	return names[r->error_class];
}

/* ---- good answers ---- */

static void answers(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	char want[256];
	set_up(&f);
	call_init(&c);
	receiver_says(&f.r, "HTTP/1.1 429 Slow Down\r\nRetry-After:  120 \r\nContent-Type: text/plain\r\nLocation: /x\r\n"
			"Content-Length: 4\r\n\r\nbusy", KEEP);
	struct hl_header extra = { HL_STR("X-Extra"), HL_STR("yes") };
	struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", f.r.port);
	rq.headers = &extra;
	rq.n_headers = 1;
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	assert_int_equal(c.result.status, 429);
	assert_string_equal(c.body, "busy");
	assert_string_equal(c.retry_after, "120");
	assert_true(hl_str_eq(c.result.location, HL_STR("/x")));
	assert_true(hl_str_eq(c.result.content_type, HL_STR("text/plain")));
	assert_string_equal(c.result.text, "");
	assert_string_equal(c.result.tls, "");
	(void)snprintf(want, sizeof(want), "127.0.0.1:%u", f.r.port);
	assert_string_equal(c.result.address, want);
	assert_false(c.result.reused);
	assert_true(c.result.dns_ms >= 0 && c.result.connect_ms >= 0 && c.result.first_byte_ms >= 0);
	assert_true(c.result.total_ms >= c.result.first_byte_ms);
	assert_int_equal(c.result.tls_ms, -1);
	(void)snprintf(want, sizeof(want), "POST /hook?t=1 HTTP/1.1\r\nHost: rcv.example:%u\r\nwebhook-id: msg_1\r\nX-Extra: yes\r\n"
			"Content-Length: 7\r\n\r\n{\"a\":1}", f.r.port);
	assert_string_equal(f.r.last.data, want);
	/* again, on the kept connection */
	call(&f, &c, &rq);
	assert_true(c.result.reused);
	assert_int_equal(c.result.connect_ms, -1);
	assert_int_equal(f.r.accepted, 1);
	assert_int_equal(f.r.requests, 2);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void shapes_of_answers(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		enum then then;
		unsigned status;
		const char *body;
		bool keeps;
	} t[] = {
		{ OK2, KEEP, 200, "ok", true },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", KEEP, 200, "ok", true },
		{ "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", KEEP, 200, "ok", false },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", KEEP, 200, "ok", false },
		{ "HTTP/1.1 204 No Content\r\n\r\n", KEEP, 204, "", true },
		{ "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", KEEP, 204, "", false },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KEEP, 304, "", true },
		{ "HTTP/1.1 200 OK\r\n\r\nto the end", CLOSE, 200, "to the end", false },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </>\r\n\r\n" OK2, KEEP, 200, "ok", true },
		{ "HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n", KEEP, 301, "", true },
		{ "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok", KEEP, 200, "ok", true },
		{ OK2 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP, 200, "ok", false }, /* more than was asked for */
		{ OK2, CLOSE, 200, "ok", false },
	};
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		unsigned accepted = f.r.accepted, idle = f.client->pool.n_idle;
		receiver_says(&f.r, t[i].say, t[i].then);
		call_receiver(&f, &c);
		assert_class(&c, NONE);
		assert_int_equal(c.result.status, t[i].status);
		assert_string_equal(c.body, t[i].body);
		loop_run_for(&f.loop, 5);
		if (f.client->pool.n_idle != t[i].keeps)
			fail_msg("%zu: %s kept", i, t[i].keeps ? "not" : "");
		assert_int_equal(f.r.accepted - accepted, idle ? 0 : 1);
	}
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void long_body_is_cut(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	struct hl_buf b = { 0 };
	set_up(&f);
	call_init(&c);
	for (int over = 0; over < 2; over++) {
		hl_buf_reset(&b);
		hl_buf_fmt(&b, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", HL_EXCHANGE_ANSWER_MAX + over);
		for (int i = 0; i < HL_EXCHANGE_ANSWER_MAX + over; i++)
			hl_buf_char(&b, 'x');
		receiver_says(&f.r, b.data, KEEP);
		call_receiver(&f, &c);
		assert_class(&c, NONE);
		assert_int_equal(c.result.status, 200);
		assert_int_equal(c.result.body.len, HL_EXCHANGE_ANSWER_MAX);
		assert_int_equal(c.result.body_cut, over);
		loop_run_for(&f.loop, 5);
		assert_int_equal(f.client->pool.n_idle, !over);
	}
	/* endless, with and without length */
	static const char *const endless[] = {
		"HTTP/1.1 200 OK\r\n\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
	};
	receiver_says(&f.r, endless[0], FOREVER);
	call_receiver(&f, &c);
	assert_class(&c, NONE);
	assert_true(c.result.body_cut);
	hl_buf_fini(&b);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* ---- bad answers ---- */

static void bad_answers(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		enum then then;
		const char *class;
		const char *text;
		unsigned status;
	} t[] = {
		{ NULL, CLOSE, "RESET", "closed without an answer", 0 },
		{ NULL, RESET, "RESET", "reset without an answer", 0 },
		{ "HTTP/1.1 20", CLOSE, "RESET", "answer's head", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Le", CLOSE, "RESET", "answer's head", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", CLOSE, "RESET", "answer's body", 200 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", CLOSE, "RESET", "answer's body", 200 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", CLOSE, "RESET", "answer's body", 200 },
		{ "HTTP/1.1 100 Continue\r\n\r\n", CLOSE, "RESET", "answer's head", 0 },
		{ "SSH-2.0-OpenSSH_9.2\r\n", KEEP, "PROTOCOL", "not acceptable HTTP", 0 },
		{ "\x15\x03\x01", KEEP, "PROTOCOL", "not acceptable HTTP", 0 },
		{ "<!doctype html>", KEEP, "PROTOCOL", "not acceptable HTTP", 0 },
		{ "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP, "PROTOCOL", "version", 0 },
		{ "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", KEEP, "PROTOCOL", "switch", 0 },
		{ "HTTP/1.1 102 Processing\r\n\r\n", FOREVER, "PROTOCOL", "interim", 0 },
		{ "HTTP/1.1 200 OK\r\nX: y\r\nx", FOREVER, "PROTOCOL", "not acceptable HTTP", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", KEEP, "PROTOCOL", "not acceptable HTTP", 0 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", KEEP, "PROTOCOL", "chunk", 200 },
	};
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		receiver_says(&f.r, t[i].say, t[i].then);
		call_receiver(&f, &c);
		assert_string_equal(class_text(&c.result), t[i].class);
		if (!strstr(c.result.text, t[i].text))
			fail_msg("%zu: \"%s\", want \"%s\"", i, c.result.text, t[i].text);
		assert_int_equal(c.result.status, t[i].status);
		assert_false(c.result.resent); /* the connection was fresh */
		assert_int_equal(f.r.requests, i + 1);
		assert_int_equal(f.client->pool.n_idle, 0);
	}
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void endless_header_names(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	/* never an end of line, and never an end of lines */
	receiver_says(&f.r, "HTTP/1.1 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy",
			FOREVER);
	call_receiver(&f, &c);
	assert_class(&c, PROTOCOL);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void hanging_receivers(void **state)
{
	(void)state;
	static const struct {
		const char *say, *text;
		unsigned status;
	} t[] = {
		{ NULL, "waiting for the answer", 0 },
		{ "HTTP/1.1 200 OK\r\nContent", "waiting for the answer", 0 },
		{ "HTTP/1.1 100 Continue\r\n\r\n", "waiting for the answer", 0 },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "reading the answer", 200 },
	};
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	for (size_t i = 0; i < 4; i++) {
		receiver_says(&f.r, t[i].say, KEEP);
		struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", f.r.port);
		rq.timeout_ms = 60;
		call(&f, &c, &rq);
		assert_class(&c, TIMEOUT);
		assert_non_null(strstr(c.result.text, t[i].text));
		assert_non_null(strstr(c.result.text, "60 ms"));
		assert_int_equal(c.result.status, t[i].status);
		assert_true(c.result.total_ms >= 55);
		assert_true(c.result.address[0]);
	}
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* ---- getting there ---- */

static void refused(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	uint16_t port;
	int fd = port_refusing(&port);
	set_up(&f);
	call_init(&c);
	struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", port);
	call(&f, &c, &rq);
	assert_class(&c, CONNECT);
	assert_true(c.result.text[0]);
	assert_int_equal(c.result.connect_ms, -1);
	assert_int_equal(c.result.first_byte_ms, -1);
	close(fd);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void next_address(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	char want[64];
	set_up(&f);
	call_init(&c);
	/* nobody listens on 127.0.0.2 */
	struct hl_exchange_request rq = request_to(&f, "http", "multi.example", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	assert_int_equal(c.result.status, 200);
	assert_string_equal(c.result.text, "");
	(void)snprintf(want, sizeof(want), "127.0.0.1:%u", f.r.port);
	assert_string_equal(c.result.address, want);
	/* the kept connection is found although it is the second address's */
	call(&f, &c, &rq);
	assert_true(c.result.reused);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* A listening socket whose queue is full drops SYNs: connecting to it hangs. */
struct black_hole {
	int fd, fill[8];
	uint16_t port;
};

static void black_hole_open(struct black_hole *b, const char *ip_text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	inet_pton(AF_INET, ip_text, &in.sin_addr);
	b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(b->fd, 0), 0);
	assert_int_equal(getsockname(b->fd, (struct sockaddr *)&in, &len), 0);
	b->port = ntohs(in.sin_port);
	for (int i = 0; i < 8; i++) {
		b->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(b->fill[i], (struct sockaddr *)&in, sizeof(in));
	}
}

static void black_hole_close(struct black_hole *b)
{
	for (int i = 0; i < 8; i++)
		close(b->fill[i]);
	close(b->fd);
}

static void connect_timeout(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	struct black_hole hole;
	set_up(&f);
	call_init(&c);
	black_hole_open(&hole, "127.0.0.1");
	struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", hole.port);
	call(&f, &c, &rq);
	assert_class(&c, TIMEOUT);
	assert_true(c.result.total_ms >= 390 && c.result.total_ms < 1900);
	black_hole_close(&hole);
	/* the first address hangs: the second gets its share of the time */
	f.r.port = 0;
	for (int i = 0; i < 20 && f.r.port != hole.port; i++) {
		black_hole_open(&hole, "127.0.0.2");
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(hole.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		uv_close((uv_handle_t *)&f.r.tcp, NULL);
		uv_run(&f.loop, UV_RUN_NOWAIT);
		uv_tcp_init(&f.loop, &f.r.tcp);
		f.r.tcp.data = &f.r;
		if (uv_tcp_bind(&f.r.tcp, (struct sockaddr *)&in, 0) == 0
				&& uv_listen((uv_stream_t *)&f.r.tcp, 16, receiver_connection) == 0)
			f.r.port = hole.port;
		else
			black_hole_close(&hole);
	}
	assert_int_equal(f.r.port, hole.port);
	rq = request_to(&f, "http", "multi.example", hole.port);
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	assert_int_equal(c.result.status, 200);
	assert_true(c.result.total_ms >= 190);
	black_hole_close(&hole);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void names(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	f.dns.zone[8] = (struct dns_name){ .name = "dns.example", .a = { "127.0.0.1" }, .ttl = 30 };
	f.dns.zone[9] = (struct dns_name){ .name = "silent.example", .silent = true };
	struct hl_exchange_request rq = request_to(&f, "http", "dns.example", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	assert_true(c.result.dns_ms >= 0);
	rq = request_to(&f, "http", "nowhere.example", f.r.port);
	for (int i = 0; i < 2; i++) { /* asked, then remembered */
		call(&f, &c, &rq);
		assert_class(&c, DNS);
		assert_true(c.result.text[0]);
		assert_true(c.result.dns_ms >= 0);
		assert_int_equal(c.result.connect_ms, -1);
		assert_string_equal(c.result.address, "");
	}
	rq = request_to(&f, "http", "silent.example", f.r.port);
	rq.timeout_ms = 60;
	call(&f, &c, &rq);
	assert_class(&c, TIMEOUT);
	assert_non_null(strstr(c.result.text, "looking up"));
	/* a literal needs no name server */
	rq = request_to(&f, "http", "127.0.0.1", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	assert_int_equal(c.result.dns_ms, -1);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void blocked_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *host, *detail;
	} t[] = {
		{ "private.example", "10.1.2.3" },
		{ "mixed.example", "10.1.2.3: private" }, /* one bad address spoils all, and operators learn which */
		{ "10.0.0.1", "private" },
		{ "169.254.169.254", "link" },
		{ "[::1]", "" },
		{ "localhost", "host" },
		{ "single", "" },
	};
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct hl_exchange_request rq = request_to(&f, "http", t[i].host, f.r.port);
		call(&f, &c, &rq);
		assert_class(&c, BLOCKED_ADDRESS);
		assert_string_equal(c.result.text, "the address is not allowed");
		assert_string_equal(c.result.address, "");
		if (!c.result.detail[0] || !strcasestr(c.result.detail, t[i].detail))
			fail_msg("%s: \"%s\"", t[i].host, c.result.detail);
	}
	struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", 25); /* a bad port */
	call(&f, &c, &rq);
	assert_class(&c, BLOCKED_ADDRESS);
	assert_int_equal(f.r.accepted, 0);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void trusted_hosts_and_own_listeners(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	struct hl_err err;
	set_up_parts(&f);
	f.o.egress = (struct hl_egress_options){ .allow_hosts = "rcv.example", .allow_http = true };
	open_client(&f);
	receiver_open(&f.r, &f.loop, "127.0.0.1", NULL);
	receiver_says(&f.r, OK2, KEEP);
	call_init(&c);
	call_receiver(&f, &c);
	assert_class(&c, NONE);
	struct hl_exchange_request rq = request_to(&f, "http", "alias.example", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, BLOCKED_ADDRESS);
	rq.allow_any_address = true;
	call(&f, &c, &rq);
	assert_class(&c, NONE);
	/* our own listener stays refused, whoever is trusted */
	assert_int_equal(hl_egress_add_own(&f.client->egress, &f.r.addr), 0);
	call(&f, &c, &rq);
	assert_class(&c, BLOCKED_ADDRESS);
	rq = request_to(&f, "http", "rcv.example", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, BLOCKED_ADDRESS);
	(void)err;
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* ---- kept connections ---- */

static void stale_connection_is_resent_once(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	for (int how = 0; how < 2; how++) {
		enum then then = how ? RESET : CLOSE;
		f.r.requests = 0;
		unsigned accepted = f.r.accepted;
		f.r.script[0] = (struct answer){ .say = OK2 };
		f.r.script[1] = (struct answer){ .say = NULL, .then = then }; /* the kept one dies on the second request */
		f.r.script[2] = (struct answer){ .say = "HTTP/1.1 202 Fine\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" };
		f.r.n_script = 3;
		call_receiver(&f, &c);
		assert_int_equal(c.result.status, 200);
		call_receiver(&f, &c);
		assert_class(&c, NONE);
		assert_int_equal(c.result.status, 202);
		assert_true(c.result.resent);
		assert_false(c.result.reused);
		assert_true(c.result.connect_ms >= 0);
		assert_int_equal(f.r.requests, 3);
		assert_int_equal(f.r.accepted - accepted, 2);
	}
	/* the fresh one dies as well: that is an outcome */
	f.r.requests = 0;
	f.r.script[0] = (struct answer){ .say = OK2 };
	f.r.script[1] = (struct answer){ .say = NULL, .then = CLOSE };
	f.r.n_script = 2;
	call_receiver(&f, &c);
	call_receiver(&f, &c);
	assert_class(&c, RESET);
	assert_true(c.result.resent);
	assert_int_equal(f.r.requests, 3);
	/* a byte of the answer was seen: not sent again */
	f.r.requests = 0;
	f.r.script[1] = (struct answer){ .say = "H", .then = CLOSE };
	call_receiver(&f, &c);
	call_receiver(&f, &c);
	assert_class(&c, RESET);
	assert_false(c.result.resent);
	assert_int_equal(f.r.requests, 2);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void idle_connections_that_speak_or_end(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	call_receiver(&f, &c);
	assert_int_equal(f.client->pool.n_idle, 1);
	struct receiver_conn *rc = HL_LIST_ENTRY(f.r.conns.next, struct receiver_conn, node);
	receiver_say(rc, "HTTP/1.1 408 Timeout\r\n\r\n");
	loop_run_for(&f.loop, 20);
	assert_int_equal(f.client->pool.n_conns, 0);
	call_receiver(&f, &c);
	assert_false(c.result.reused);
	receiver_end_all(&f.r, false);
	loop_run_for(&f.loop, 20);
	assert_int_equal(f.client->pool.n_conns, 0);
	call_receiver(&f, &c);
	assert_false(c.result.reused);
	assert_int_equal(f.r.accepted, 3);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static bool nothing_kept(void *data)
{
	struct fixture *f = data;
	return f->client->pool.n_conns == 0;
}

static void learns_the_idle_limit(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		hl_ms_t least_ms, most_ms;
	} t[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 100, 150 },                                 /* the option */
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n", 3900, 4000 },
		{ "HTTP/1.1 200 OK\r\nkeep-alive: max=3,Timeout=1\r\nContent-Length: 0\r\n\r\n", 400, 500 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3600\r\nContent-Length: 0\r\n\r\n", 54000, 55000 },
		{ "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=x\r\nContent-Length: 0\r\n\r\n", 100, 150 },
	};
	struct fixture f;
	struct call c;
	set_up_parts(&f);
	f.o.idle_timeout_ms = 150;
	open_client(&f);
	receiver_open(&f.r, &f.loop, "127.0.0.1", NULL);
	call_init(&c);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		receiver_says(&f.r, t[i].say, KEEP);
		call_receiver(&f, &c);
		assert_class(&c, NONE);
		assert_int_equal(f.client->pool.n_idle, 1);
		struct hl_pool_conn *pc = HL_LIST_ENTRY(f.client->pool.idle.next, struct hl_pool_conn, idle_node);
		hl_ms_t left_ms = pc->idle_until.at_ms - (hl_ms_t)uv_now(&f.loop);
		if (left_ms < t[i].least_ms || left_ms > t[i].most_ms)
			fail_msg("%zu: %lld ms", i, (long long)left_ms);
	}
	assert_int_equal(f.r.accepted, 1);
	/* timeout=0: not kept at all */
	receiver_says(&f.r, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n", KEEP);
	call_receiver(&f, &c);
	assert_true(loop_run_until(&f.loop, nothing_kept, &f, 1000));
	/* and the limit is kept */
	receiver_says(&f.r, OK2, KEEP);
	call_receiver(&f, &c);
	assert_int_equal(f.client->pool.n_idle, 1);
	assert_true(loop_run_until(&f.loop, nothing_kept, &f, 1000));
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* ---- the pool's limit ---- */

static void waits_in_line(void **state)
{
	(void)state;
	struct fixture f;
	struct call c[6];
	set_up_parts(&f);
	f.o.connections_max = 2;
	open_client(&f);
	receiver_open(&f.r, &f.loop, "127.0.0.1", NULL);
	receiver_says(&f.r, OK2, KEEP);
	struct hl_exchange_request rq[2] = {
		request_to(&f, "http", "rcv.example", f.r.port),
		request_to(&f, "http", "alias.example", f.r.port), /* another origin: needs the place of an idle one */
	};
	for (int i = 0; i < 6; i++) {
		call_init(&c[i]);
		start(&f, &c[i], &rq[i % 2]);
	}
	bool waited = false;
	for (int i = 0; i < 1000 && !waited; i++) {
		uv_run(&f.loop, UV_RUN_NOWAIT);
		for (int k = 0; k < 6; k++)
			waited |= c[k].x.state == HL_EXCHANGE_WAITING;
	}
	assert_true(waited);
	for (int i = 0; i < 6; i++) {
		finish(&f, &c[i]);
		assert_class(&c[i], NONE);
		assert_true(f.client->pool.n_conns <= 2);
	}
	assert_int_equal(f.r.requests, 6);
	/* the deadline passes in the line: not the receiver's fault */
	receiver_says(&f.r, NULL, KEEP);
	rq[0].timeout_ms = 300;
	start(&f, &c[0], &rq[0]);
	start(&f, &c[1], &rq[0]);
	rq[1].timeout_ms = 50;
	start(&f, &c[2], &rq[1]);
	finish(&f, &c[2]);
	assert_class(&c[2], INTERNAL);
	finish(&f, &c[0]);
	finish(&f, &c[1]);
	for (int i = 0; i < 6; i++)
		hl_exchange_fini(&c[i].x);
	tear_down(&f);
}

/* ---- TLS ---- */

static void set_up_tls(struct fixture *f, const struct tls_leaf *leaf)
{
	set_up_parts(f);
	open_client(f);
	receiver_open(&f->r, &f->loop, "127.0.0.1", tls_kit_server(&f->kit, leaf));
	receiver_says(&f->r, OK2, KEEP);
}

static void over_tls(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	set_up_tls(&f, &(struct tls_leaf){ .san = "DNS:rcv.example" });
	call_init(&c);
	call_receiver(&f, &c);
	assert_class(&c, NONE);
	assert_int_equal(c.result.status, 200);
	assert_string_equal(c.result.tls, "TLSv1.3");
	assert_true(c.result.tls_ms >= 0);
	assert_false(c.result.resumed);
	call_receiver(&f, &c);
	assert_true(c.result.reused);
	assert_string_equal(c.result.tls, "TLSv1.3");
	/* a new connection resumes the session */
	receiver_end_all(&f.r, false);
	loop_run_for(&f.loop, 10);
	call_receiver(&f, &c);
	assert_class(&c, NONE);
	assert_false(c.result.reused);
	assert_true(c.result.resumed);
	/* an answer without length must end with close_notify */
	receiver_says(&f.r, "HTTP/1.1 200 OK\r\n\r\nall", CLOSE);
	call_receiver(&f, &c);
	assert_class(&c, NONE);
	assert_string_equal(c.body, "all");
	receiver_says(&f.r, "HTTP/1.1 200 OK\r\n\r\nal", CLOSE_RUDELY);
	call_receiver(&f, &c);
	assert_class(&c, RESET);
	assert_int_equal(c.result.status, 200);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void tls_troubles(void **state)
{
	(void)state;
	static const struct tls_leaf leaves[] = {
		{ .san = "DNS:other.example" },
		{ .san = "DNS:rcv.example", .self_signed = true },
		{ .san = "DNS:rcv.example", .from_s = -7200, .until_s = -3600 },
	};
	for (size_t i = 0; i < 3; i++) {
		struct fixture f;
		struct call c;
		set_up_tls(&f, &leaves[i]);
		call_init(&c);
		call_receiver(&f, &c);
		assert_class(&c, TLS);
		assert_true(c.result.text[0]);
		assert_true(c.result.connect_ms >= 0);
		assert_true(c.result.address[0]);
		assert_int_equal(f.r.requests, 0);
		assert_int_equal(f.r.accepted, 1);
		hl_exchange_fini(&c.x);
		tear_down(&f);
	}
	/* a receiver that stalls, and one that does not speak TLS */
	struct fixture f;
	struct call c;
	set_up(&f);
	call_init(&c);
	struct hl_exchange_request rq = request_to(&f, "https", "rcv.example", f.r.port);
	call(&f, &c, &rq);
	assert_class(&c, TIMEOUT);
	f.r.slam = true;
	call(&f, &c, &rq);
	assert_int_not_equal(c.result.error_class, HL_CLASS_NONE);
	assert_int_equal(c.result.status, 0);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

/* ---- cancel and close ---- */

/* An exchange brought into each state, then cancelled, or the client closed under it. */
static void bring(struct fixture *f, struct call *c, struct black_hole *hole, enum hl_exchange_state want)
{
	struct hl_exchange_request rq = request_to(f, "http", "rcv.example", f->r.port);
	rq.timeout_ms = 10000;
	switch (want) {
	case HL_EXCHANGE_RESOLVING:
		f->dns.zone[9] = (struct dns_name){ .name = "silent.example", .silent = true };
		rq = request_to(f, "http", "silent.example", f->r.port);
		break;
	case HL_EXCHANGE_CONNECTING:
	case HL_EXCHANGE_WAITING:
		rq = request_to(f, "http", "rcv.example", hole->port);
		break;
	case HL_EXCHANGE_BODY:
		receiver_says(&f->r, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", KEEP);
		break;
	case HL_EXCHANGE_ENDED:
		rq = request_to(f, "http", "10.0.0.1", 80);
		break;
	default:
		receiver_says(&f->r, NULL, KEEP);
		break;
	}
	start(f, c, &rq);
	for (int i = 0; i < 100 && c->x.state != want; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	for (int i = 0; i < 20 && c->x.state != want; i++)
		loop_run_for(&f->loop, 5);
	assert_int_equal(c->x.state, want);
}

static void cancelled_in_every_state(void **state)
{
	(void)state;
	static const enum hl_exchange_state states[] = {
		HL_EXCHANGE_RESOLVING, HL_EXCHANGE_CONNECTING, HL_EXCHANGE_WAITING, HL_EXCHANGE_ANSWER, HL_EXCHANGE_BODY, HL_EXCHANGE_ENDED,
	};
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (int by_close = 0; by_close < 2; by_close++) {
			struct fixture f;
			struct call c, first;
			struct black_hole hole;
			set_up_parts(&f);
			f.o.connections_max = states[i] == HL_EXCHANGE_WAITING ? 1 : 16;
			f.o.connect_timeout_ms = 5000;
			open_client(&f);
			receiver_open(&f.r, &f.loop, "127.0.0.1", NULL);
			receiver_says(&f.r, OK2, KEEP);
			black_hole_open(&hole, "127.0.0.1");
			call_init(&c);
			call_init(&first);
			if (states[i] == HL_EXCHANGE_WAITING)
				bring(&f, &first, &hole, HL_EXCHANGE_CONNECTING);
			bring(&f, &c, &hole, states[i]);
			if (by_close)
				hl_client_close(f.client, on_flag, &f.closed);
			else
				hl_exchange_cancel(&c.x);
			assert_int_equal(c.n, 0); /* never from inside */
			if (by_close)
				assert_true(loop_until(&f.loop, &f.closed, 3000));
			else
				finish(&f, &c);
			assert_int_equal(c.n, 1);
			assert_int_equal(c.result.error, states[i] == HL_EXCHANGE_ENDED ? HL_OK : HL_ECANCELED);
			hl_exchange_cancel(&c.x); /* nothing under way: nothing */
			if (!by_close) {
				hl_exchange_cancel(&first.x);
				if (first.x.state != HL_EXCHANGE_IDLE)
					finish(&f, &first);
				/* and it can be used again */
				f.r.n_script = 0;
				receiver_says(&f.r, OK2, KEEP);
				call_receiver(&f, &c);
				assert_class(&c, NONE);
				assert_int_equal(c.result.error, HL_OK);
				hl_client_close(f.client, on_flag, &f.closed);
				assert_true(loop_until(&f.loop, &f.closed, 3000));
			}
			black_hole_close(&hole);
			receiver_close(&f.r);
			dns_server_close(&f.dns);
			loop_fini(&f.loop);
			hl_arena_fini(&f.arena);
			hl_exchange_fini(&c.x);
			hl_exchange_fini(&first.x);
			tls_kit_drop(&f.kit);
		}
	}
}

struct chain {
	struct fixture *f;
	struct hl_exchange x;
	struct hl_exchange_request rq;
	int left;
	bool done;
};

static void on_link(void *data, struct hl_exchange *x, const struct hl_exchange_result *r)
{
	struct chain *c = data;
	assert_int_equal(r->status, 200);
	if (--c->left == 0)
		c->done = true;
	else
		assert_int_equal(hl_exchange_start(x, c->f->client, &c->rq, on_link, c), 0);
}

/* The next one started from the callback of the one before, on the connection it has just given back. */
static void started_from_the_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct chain c[3];
	set_up(&f);
	for (int i = 0; i < 3; i++) {
		c[i] = (struct chain){ .f = &f, .rq = request_to(&f, "http", "rcv.example", f.r.port), .left = 500 };
		hl_exchange_init(&c[i].x);
		assert_int_equal(hl_exchange_start(&c[i].x, f.client, &c[i].rq, on_link, &c[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_true(loop_until(&f.loop, &c[i].done, 5000));
	assert_int_equal(f.r.requests, 1500);
	assert_int_equal(f.r.accepted, 3 + 0); /* 1000 requests are the limit of one connection */
	for (int i = 0; i < 3; i++)
		hl_exchange_fini(&c[i].x);
	tear_down(&f);
}

static void worn_out_connections(void **state)
{
	(void)state;
	struct fixture f;
	struct chain c;
	set_up(&f);
	c = (struct chain){ .f = &f, .rq = request_to(&f, "http", "rcv.example", f.r.port), .left = 1001 };
	hl_exchange_init(&c.x);
	assert_int_equal(hl_exchange_start(&c.x, f.client, &c.rq, on_link, &c), 0);
	assert_true(loop_until(&f.loop, &c.done, 5000));
	assert_int_equal(f.r.accepted, 2);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

static void refuses_nonsense(void **state)
{
	(void)state;
	struct fixture f;
	struct call c;
	struct hl_err err;
	set_up(&f);
	call_init(&c);
	struct hl_exchange_request rq = request_to(&f, "http", "rcv.example", f.r.port);
	rq.n_body = HL_EXCHANGE_BODY_PARTS_MAX + 1;
	assert_int_equal(hl_exchange_start(&c.x, f.client, &rq, on_done, &c), HL_EINVAL);
	rq.n_body = 0;
	rq.url = NULL;
	assert_int_equal(hl_exchange_start(&c.x, f.client, &rq, on_done, &c), HL_EINVAL);
	assert_int_equal(c.n, 0);
	/* a client that cannot be made leaves nothing behind */
	struct hl_client *none = NULL;
	struct hl_client_options o = f.o;
	o.ca_file = "/nonexistent/ca.pem";
	assert_int_equal(hl_client_open(&none, &f.loop, &o, &err), HL_ENOTFOUND);
	o = f.o;
	o.egress.allow_networks = "nonsense";
	assert_int_equal(hl_client_open(&none, &f.loop, &o, &err), HL_EINVAL);
	o = f.o;
	o.resolver.servers = "nonsense";
	assert_int_equal(hl_client_open(&none, &f.loop, &o, &err), HL_EINVAL);
	assert_null(none);
	assert_int_equal(hl_client_reload(f.client, &err), 0);
	hl_exchange_fini(&c.x);
	tear_down(&f);
}

int main(void)
{
	setenv("CARES_HOSTS", "/dev/null", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(shapes_of_answers),
		cmocka_unit_test(long_body_is_cut),
		cmocka_unit_test(bad_answers),
		cmocka_unit_test(endless_header_names),
		cmocka_unit_test(hanging_receivers),
		cmocka_unit_test(refused),
		cmocka_unit_test(next_address),
		cmocka_unit_test(connect_timeout),
		cmocka_unit_test(names),
		cmocka_unit_test(blocked_addresses),
		cmocka_unit_test(trusted_hosts_and_own_listeners),
		cmocka_unit_test(stale_connection_is_resent_once),
		cmocka_unit_test(idle_connections_that_speak_or_end),
		cmocka_unit_test(learns_the_idle_limit),
		cmocka_unit_test(waits_in_line),
		cmocka_unit_test(over_tls),
		cmocka_unit_test(tls_troubles),
		cmocka_unit_test(cancelled_in_every_state),
		cmocka_unit_test(started_from_the_callback),
		cmocka_unit_test(worn_out_connections),
		cmocka_unit_test(refuses_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Each allocation of the http floor, and of those below it, failed once: every callback still comes exactly once, the
 * server answers or breaks off, everything closes, nothing leaks (under the address sanitizer). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);

static long fail_at; /* the n-th allocation from now fails; 0 = none */
static long made;

/* The test's own peers are not to fail. */
#define malloc __real_malloc
#define calloc __real_calloc
#include "raw_client.h"
#include "receiver.h"
#undef malloc
#undef calloc

#include "base/str.h"
#include "http/exchange.h"
#include "http/server.h"
#include "loop.h"

static bool fails(void)
{
	return ++made == fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t k, size_t n)
{
	return fails() ? NULL : __real_calloc(k, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

static void on_flag(void *data)
{
	*(bool *)data = true;
}

static void fail_each(void (*scenario)(long n))
{
	long n = 0;
	do {
		fail_at = 0;
		scenario(++n);
		fail_at = 0;
	} while (made >= n && n < 1000);
	assert_true(n > 8 && n < 1000); /* it did allocate, and came to an end */
	print_message("%ld allocations\n", n - 1);
}

/* ---- an exchange, twice: on a new connection and on a kept one ---- */

struct call {
	bool done;
	unsigned n;
	uint16_t status;
};

static void on_done(void *data, struct hl_exchange *x, const struct hl_exchange_result *r)
{
	struct call *c = data;
	(void)x;
	c->n++;
	c->status = r->status;
	c->done = true;
	if (r->status == 0)
		assert_true(r->error_class != HL_CLASS_NONE && r->text[0]);
}

static struct tls_kit kit;

static void exchange_scenario(long n)
{
	uv_loop_t loop;
	struct receiver r;
	struct hl_client *client = NULL;
	struct hl_arena arena;
	struct hl_url url;
	struct hl_err err;
	char text[64];
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\nok";
	loop_init(&loop);
	receiver_open(&r, &loop, "127.0.0.1", NULL);
	receiver_says(&r, answer, KEEP);
	hl_arena_init(&arena, 0);
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%u/hook", r.port);
	assert_int_equal(hl_url_parse(hl_str_from(text), &arena, &url, NULL), 0);
	struct hl_client_options o = { .egress = { .allow_networks = "127.0.0.0/8", .allow_http = true }, .ca_file = kit.ca_file };
	assert_int_equal(hl_client_open(&client, &loop, &o, &err), 0);
	struct hl_exchange x;
	hl_exchange_init(&x);
	struct hl_exchange_request rq = { .url = &url, .method = HL_STR("POST"), .timeout_ms = 2000 };
	made = 0;
	fail_at = n;
	for (int i = 0; i < 2; i++) {
		struct call c = { 0 };
		int rc = hl_exchange_start(&x, client, &rq, on_done, &c);
		if (rc) {
			assert_int_equal(rc, HL_ENOMEM);
			continue;
		}
		assert_true(loop_until(&loop, &c.done, 3000));
		assert_int_equal(c.n, 1);
		assert_true(c.status == 200 || c.status == 0);
	}
	fail_at = 0;
	bool closed = false;
	hl_exchange_fini(&x);
	hl_client_close(client, on_flag, &closed);
	assert_true(loop_until(&loop, &closed, 2000));
	receiver_close(&r);
	loop_fini(&loop);
	hl_arena_fini(&arena);
}

static void exchanges(void **state)
{
	(void)state;
	fail_each(exchange_scenario);
}

/* ---- a server: a whole body, a streamed answer, a pipelined request ---- */

static void server_on_request(void *data, struct hl_request *r)
{
	unsigned *n = data;
	++*n;
	if (hl_str_eq(r->path, HL_STR("/stream"))) {
		hl_response_begin(r, 200, NULL, 0);
		hl_response_write(r, HL_STR("piece"));
		hl_response_end(r);
		return;
	}
	hl_response_send(r, 200, NULL, 0, r->body);
}

static void server_on_abort(void *data, struct hl_request *r)
{
	(void)data;
	(void)r;
}

static void server_scenario(long n)
{
	uv_loop_t loop;
	struct hl_server *s = NULL;
	struct hl_server_options o;
	struct hl_err err;
	struct hl_addr addr;
	struct raw_client c;
	unsigned requests = 0;
	struct hl_request_handler h = { .data = &requests, .on_request = server_on_request, .on_abort = server_on_abort };
	loop_init(&loop);
	hl_server_options_init(&o);
	o.linger_timeout_ms = 50;
	o.idle_timeout_ms = o.head_timeout_ms = 200;
	made = 0;
	fail_at = n;
	int rc = hl_server_open(&s, &loop, &o, &h, &err);
	if (rc) {
		assert_int_equal(rc, HL_ENOMEM);
		fail_at = 0;
		loop_fini(&loop);
		return;
	}
	assert_int_equal(hl_addr_parse(HL_STR("127.0.0.1:0"), &addr, &err), 0);
	assert_int_equal(hl_server_listen(s, &addr, 0, &err), 0);
	raw_open(&c, &loop, hl_server_listener_addr(s, 0));
	raw_send(&c, "POST /stream HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	raw_until_end(&c); /* after the last answer, a refusal, or in the middle */
	fail_at = 0;
	raw_close(&c);
	bool closed = false;
	hl_server_close(s, on_flag, &closed);
	assert_true(loop_until(&loop, &closed, 2000));
	loop_fini(&loop);
}

static void servers(void **state)
{
	(void)state;
	fail_each(server_scenario);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges),
		cmocka_unit_test(servers),
	};
	setenv("CARES_HOSTS", "/dev/null", 1);
	tls_kit_make(&kit);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	tls_kit_drop(&kit);
	return rc;
}

/* A library that is busy, slow or full while market records stream in. The linker sends every hl_market_apply through here. */
#include "api_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static struct {
	unsigned calls, busy_of_8;   /* so many of every eight calls are refused */
	int now, later;              /* an error at once, from the callback */
	unsigned hold_ms;            /* what a callback is late */
	unsigned in_flight, most;
	size_t quotes;               /* handed over */
	uv_loop_t *loop;
} lib;

struct held {
	uv_timer_t timer;
	hl_done_cb cb;
	void *data;
	int status;
};

int __real_hl_market_apply(struct hl_alerts *a, bool bids, const struct hl_market_quote *q, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err);
int __wrap_hl_market_apply(struct hl_alerts *a, bool bids, const struct hl_market_quote *q, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err);

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_timer(uv_timer_t *t)
{
	struct held *h = t->data;
	lib.in_flight--;
	uv_close((uv_handle_t *)t, on_closed);
	h->cb(h->data, h->status, NULL);
}

static void applied(void *data, int status, const struct hl_err *err)
{
	struct held *h = data;
	(void)err;
	h->status = lib.later ? lib.later : status;
	h->timer.data = h;
	uv_timer_init(lib.loop, &h->timer);
	uv_timer_start(&h->timer, on_timer, lib.hold_ms, 0);
}

int __wrap_hl_market_apply(struct hl_alerts *a, bool bids, const struct hl_market_quote *q, size_t n, hl_done_cb cb, void *data,
		struct hl_err *err)
{
	if (lib.now)
		return lib.now;
	if (lib.calls++ % 8 < lib.busy_of_8)
		return HL_EBUSY;
	assert_true(n > 0 && n <= HL_MARKET_BLOCK_MAX);
	struct held *h = calloc(1, sizeof(*h));
	h->cb = cb;
	h->data = data;
	int rc = __real_hl_market_apply(a, bids, q, n, applied, h, err);
	assert_int_equal(rc, 0);
	lib.quotes += n;
	if (++lib.in_flight > lib.most)
		lib.most = lib.in_flight;
	return rc;
}

static int with_item(void **state)
{
	setup(state);
	struct fixture *f = *state;
	memset(&lib, 0, sizeof(lib));
	lib.loop = &f->loop;
	assert_int_equal(admin(f, "PUT", "/v1/market/items", "[{\"item_id\":1,\"market_hash_name\":\"x\"}]"), 200);
	assert_int_equal(number_of(f, "accepted"), 1);
	return 0;
}

/* n asks of 1, 2, 3, … cents. */
static int send_asks(struct fixture *f, unsigned n, size_t piece)
{
	size_t cap = n * 64 + 1024, len = 0;
	char *body = malloc(cap), *text = malloc(cap + 1024);
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(body + len, cap - len, "{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":%u}\n", i + 1);
	int head = snprintf(text, 1024, "POST /v1/market/asks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n", f->admin, len);
	memcpy(text + head, body, len);
	int status = raw(f, f->port, text, (size_t)head + len, piece);
	free(body);
	free(text);
	return status;
}

static json_int_t best_ask(struct fixture *f)
{
	assert_int_equal(admin(f, "GET", "/v1/market/items/1", NULL), 200);
	return json_integer_value(json_object_get(f->last.json, "best_ask"));
}

static void test_in_order(void **state)
{
	struct fixture *f = *state;
	for (lib.busy_of_8 = 0; lib.busy_of_8 <= 6; lib.busy_of_8 += 3)
		for (size_t piece = 0; piece <= 60000; piece += 60000) {
			lib.quotes = lib.calls = 0;
			assert_int_equal(send_asks(f, 20000, piece), 200);
			assert_int_equal(number_of(f, "accepted"), 20000);
			assert_int_equal(lib.quotes, 20000);
			assert_int_equal(best_ask(f), 20000);
		}
}

/* A library that is slow is given four blocks, large ones, and the rest is not read before. */
static void test_slow(void **state)
{
	struct fixture *f = *state;
	lib.hold_ms = 20;
	assert_int_equal(send_asks(f, 60000, 0), 200);
	assert_int_equal(number_of(f, "accepted"), 60000);
	assert_int_equal(lib.quotes, 60000);
	assert_int_equal(lib.most, 4);
	assert_true(lib.calls <= 60000 / HL_MARKET_BLOCK_MAX + 4);
	assert_int_equal(best_ask(f), 60000);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	static const struct { int code, status; const char *word; } cases[] = {
		{ HL_EFULL, 507, "store_full" }, { HL_EFATAL, 503, "store_failed" }, { HL_ENOMEM, 503, "busy" },
		{ HL_ECLOSED, 503, "shutting_down" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int late = 0; late < 2; late++) {
			lib.now = late ? 0 : cases[i].code;
			lib.later = late ? cases[i].code : 0;
			for (unsigned n = 1; n <= 30000; n += 29999) {
				assert_int_equal(send_asks(f, n, 0), cases[i].status);
				assert_string_equal(text_of(f, "code"), cases[i].word);
				assert_non_null(strstr(text_of(f, "detail"), "send it again"));
				assert_true(has_field(f, "Retry-After: "));
			}
		}
	lib.now = lib.later = 0;
	assert_int_equal(send_asks(f, 10, 0), 200);
}

/* A client that goes away while its records wait for a busy library, or for their commit. */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	char text[1024];
	int n = snprintf(text, sizeof(text), "POST /v1/market/asks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n"
			"{\"item_id\":1,\"provider\":\"p\",\"lowest_ask\":7}\n{\"half", f->admin);
	for (int busy = 0; busy < 2; busy++) {
		struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		lib.busy_of_8 = busy ? 8 : 0;
		lib.hold_ms = 50;
		lib.calls = 0;
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(send(fd, text, (size_t)n, 0), n);
		for (int i = 0; i < 500 && !lib.calls; i++)
			loop_run_for(&f->loop, 2);
		assert_true(lib.calls > 0);
		close(fd);
		loop_run_for(&f->loop, 100);
		assert_int_equal(lib.in_flight, 0);
	}
	lib.busy_of_8 = 0;
	assert_int_equal(best_ask(f), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, with_item, teardown)
		T(test_in_order), T(test_slow), T(test_errors), T(test_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Batches over a socket: order, bad entries, both forms, byte by byte, more than fits in flight. */
#include "api_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static int send_batch(struct fixture *f, const char *type, const char *body, size_t len, size_t piece, const char *more)
{
	size_t cap = len + 1024;
	char *text = malloc(cap);
	int n = snprintf(text, cap, "POST /v1/events/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", f->admin, type, len, more ? more : "");
	memcpy(text + n, body, len);
	int status = raw(f, f->port, text, (size_t)n + len, piece);
	free(text);
	return status;
}

/* The i-th result line (from 0); NULL when there are fewer. The caller frees it. */
static json_t *line(struct fixture *f, size_t i)
{
	const char *p = f->last.body;
	for (; i && p; i--)
		p = (p = strchr(p, '\n')) ? p + 1 : NULL;
	return p && *p ? json_loads(p, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}

static void expect_line(struct fixture *f, size_t i, int status)
{
	json_t *j = line(f, i);
	if (!j || json_integer_value(json_object_get(j, "line")) != (json_int_t)i + 1 ||
			json_integer_value(json_object_get(j, "status")) != status)
		fail_msg("line %zu, wanted %d: %s", i, status, f->last.body);
	assert_int_equal(status == 202, json_is_string(json_object_get(j, "id")));
	json_decref(j);
}

static const char mixed_lines[] =
	"{\"type\":\"a\",\"data\":1}\n{\"type\":\"a\"}\n\n{nonsense\n{\"type\":\"b\",\"data\":{\"x\":[1,2]},\"id\":\"i\"}\r\n"
	"{\"type\":\"b\",\"data\":{\"x\":[1,2]},\"id\":\"i\"}";
static const char mixed_array[] =
	"[{\"type\":\"a\",\"data\":1},{\"type\":\"a\"} , {nonsense},\n{\"type\":\"b\",\"data\":{\"x\":[1,2]},\"id\":\"i\"},"
	"{\"type\":\"b\",\"data\":{\"x\":[1,2]},\"id\":\"i\"}]";

static void test_mixed(void **state)
{
	struct fixture *f = *state;
	for (int form = 0; form < 2; form++)
		for (size_t piece = 0; piece < 3; piece++) {
			int status = form ? send_batch(f, "application/json", mixed_array, sizeof(mixed_array) - 1, piece, NULL) :
					send_batch(f, "application/x-ndjson", mixed_lines, sizeof(mixed_lines) - 1, piece, NULL);
			assert_int_equal(status, 202);
			assert_true(has_field(f, "Content-Type: application/x-ndjson"));
			expect_line(f, 0, 202);
			expect_line(f, 1, 422);
			expect_line(f, 2, 400);
			expect_line(f, 3, 202);
			expect_line(f, 4, 202);
			assert_null(line(f, 5));
			json_t *a = line(f, 3), *b = line(f, 4);
			assert_string_equal(json_string_value(json_object_get(a, "id")), json_string_value(json_object_get(b, "id")));
			assert_true(json_is_true(json_object_get(b, "replayed")));
			json_decref(a);
			json_decref(b);
		}
}

static void test_many(void **state)
{
	struct fixture *f = *state;
	enum { N = 5000 };
	char *body = malloc(N * 64);
	size_t len = 0;
	for (int i = 0; i < N; i++)
		len += (size_t)sprintf(body + len, "{\"type\":\"a\",\"data\":%d}\n", i);
	assert_int_equal(send_batch(f, "application/x-ndjson", body, len, 0, NULL), 202);
	free(body);
	size_t n = 0;
	for (const char *p = f->last.body; *p; n++) {
		json_t *j = json_loads(p, JSON_DISABLE_EOF_CHECK, NULL);
		assert_int_equal(json_integer_value(json_object_get(j, "line")), n + 1);
		assert_int_equal(json_integer_value(json_object_get(j, "status")), 202);
		json_decref(j);
		p = strchr(p, '\n') + 1;
	}
	assert_int_equal(n, N);
	assert_int_equal(admin(f, "GET", "/v1/accounts/default", NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(f->last.json, "totals"), "events")), N);
}

static void test_broken(void **state)
{
	struct fixture *f = *state;
	static const char open[] = "[{\"type\":\"a\",\"data\":1},{\"type\":\"a\",\"data\":2},";
	static const char not_array[] = "{\"type\":\"a\",\"data\":1}";
	assert_int_equal(send_batch(f, "application/json", open, sizeof(open) - 1, 0, NULL), 202);
	expect_line(f, 0, 202);
	expect_line(f, 1, 202);
	expect_line(f, 2, 400);
	assert_null(line(f, 3));
	assert_int_equal(send_batch(f, "application/json", not_array, sizeof(not_array) - 1, 0, NULL), 202);
	expect_line(f, 0, 400);
	assert_int_equal(send_batch(f, "application/json", "[]", 2, 0, NULL), 202);
	assert_null(line(f, 0));
	assert_int_equal(send_batch(f, "application/x-ndjson", "", 0, 0, NULL), 202);
	assert_int_equal(send_batch(f, "text/csv", "a,b", 3, 0, NULL), 415);
	assert_string_equal(text_of(f, "code"), "unsupported_media_type");
}

/* An entry over the limit is refused alone; what is around it passes. */
static void test_too_large(void **state)
{
	struct fixture *f = *state;
	size_t big = (1 << 20) + 100;
	char *body = malloc(big + 200);
	size_t len = (size_t)sprintf(body, "{\"type\":\"a\",\"data\":1}\n{\"type\":\"a\",\"data\":\"");
	memset(body + len, 'x', big);
	len += big;
	len += (size_t)sprintf(body + len, "\"}\n{\"type\":\"a\",\"data\":3}\n");
	assert_int_equal(send_batch(f, "application/x-ndjson", body, len, 0, NULL), 202);
	expect_line(f, 0, 202);
	expect_line(f, 1, 413);
	expect_line(f, 2, 202);
	free(body);
}

static void test_expect(void **state)
{
	struct fixture *f = *state;
	static const char body[] = "{\"type\":\"a\",\"data\":1}\n";
	assert_int_equal(send_batch(f, "application/x-ndjson", body, sizeof(body) - 1, 0, "Expect: 100-continue\r\n"), 202);
	expect_line(f, 0, 202);
}

/* Clients that leave at every point of a request: what was handed over is stored, the rest is forgotten, nothing leaks
 * (teardown insists that no call is open). */
static void test_gone(void **state)
{
	struct fixture *f = *state;
	char text[2048];
	int n = snprintf(text, sizeof(text), "POST /v1/events/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n", f->admin);
	for (int i = 0; i < 20; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "{\"type\":\"a\",\"data\":%d}\n", i);
	for (int cut = 10; cut <= n; cut += (n - 10) / 10) {
		struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(f->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
		assert_int_equal(send(fd, text, (size_t)cut, 0), cut);
		uv_run(&f->loop, UV_RUN_NOWAIT);
		close(fd);
		loop_run_for(&f->loop, 5);
	}
	assert_int_equal(admin(f, "GET", "/v1/accounts/default", NULL), 200);
	json_int_t events = json_integer_value(json_object_get(json_object_get(f->last.json, "totals"), "events"));
	assert_true(events >= 20 && events <= 10 * 20);
}

/* A body that turns out malformed before the answer has begun: told so, and what was handed over still comes back. */
static void test_refused_midway(void **state)
{
	struct fixture *f = *state;
	char text[2048];
	for (size_t piece = 0; piece <= 300; piece += 300) {
		int n = snprintf(text, sizeof(text), "POST /v1/events/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				"Content-Type: application/x-ndjson\r\nHookline-Results: at-end\r\nTransfer-Encoding: chunked\r\n\r\n"
				"16\r\n{\"type\":\"a\",\"data\":1}\n\r\nZZ\r\n", f->admin);
		assert_int_equal(raw(f, f->port, text, (size_t)n, piece), 400);
		assert_non_null(f->last.json);
		loop_run_for(&f->loop, 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_mixed), T(test_many), T(test_broken), T(test_too_large), T(test_expect), T(test_gone),
		T(test_refused_midway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

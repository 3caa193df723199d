/* A library that is busy now and then: a batch waits for its own and tries again, in order, losing nothing.
 * The linker sends every hl_publish through here. */
#include "api_test.h"

static unsigned calls, busy_of_8; /* so many of every eight calls are refused */

int __real_hl_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *p, hl_publish_cb cb, void *data,
		struct hl_err *err);
int __wrap_hl_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *p, hl_publish_cb cb, void *data,
		struct hl_err *err);

int __wrap_hl_publish(struct hl_dispatcher *d, uint32_t account, const struct hl_publish *p, hl_publish_cb cb, void *data,
		struct hl_err *err)
{
	if (calls++ % 8 < busy_of_8)
		return HL_EBUSY;
	return __real_hl_publish(d, account, p, cb, data, err);
}

static int publish_many(struct fixture *f, bool array, unsigned n, size_t piece)
{
	size_t cap = n * 64 + 1024, len = 0;
	char *body = malloc(cap), *text = malloc(cap + 1024);
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(body + len, cap - len, "%s{\"type\":\"a\",\"data\":%u}%s", array ? i ? "," : "[" : "", i,
				array ? i + 1 == n ? "]" : "" : "\n");
	int head = snprintf(text, 1024, "POST /v1/events/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
			"Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", f->admin, array ? "application/json" : "application/x-ndjson",
			len);
	memcpy(text + head, body, len);
	int status = raw(f, f->port, text, (size_t)head + len, piece);
	free(body);
	free(text);
	return status;
}

/* Lines 1 … n in order; returns how many were accepted. */
static unsigned accepted(struct fixture *f, unsigned n)
{
	unsigned line = 0, good = 0;
	for (const char *p = f->last.body; *p; p = strchr(p, '\n') + 1) {
		json_t *j = json_loads(p, JSON_DISABLE_EOF_CHECK, NULL);
		assert_int_equal(json_integer_value(json_object_get(j, "line")), ++line);
		json_int_t status = json_integer_value(json_object_get(j, "status"));
		assert_true(status == 202 || status == 503);
		good += status == 202;
		json_decref(j);
	}
	assert_int_equal(line, n);
	return good;
}

static void test_waits(void **state)
{
	struct fixture *f = *state;
	busy_of_8 = 3;
	for (int array = 0; array < 2; array++)
		for (size_t piece = 0; piece < 200; piece += 97) {
			/* refused only when nothing of its own was under way: at most a few */
			assert_int_equal(publish_many(f, array, 700, piece), 202);
			unsigned good = accepted(f, 700);
			assert_true(good > (piece ? 300 : 690));
		}
}

static void test_always_busy(void **state)
{
	struct fixture *f = *state;
	busy_of_8 = 8;
	assert_int_equal(publish_many(f, false, 300, 0), 202);
	assert_int_equal(accepted(f, 300), 0);
	assert_int_equal(admin(f, "POST", "/v1/events", "{\"type\":\"a\",\"data\":1}"), 503);
	assert_string_equal(text_of(f, "code"), "busy");
	assert_true(has_field(f, "Retry-After: "));
	busy_of_8 = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_waits), T(test_always_busy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

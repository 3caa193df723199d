/* Header fields: looked up, judged, written. */
#include "http_test.h"
#include "base/str.h"
#include "http/headers.h"

static void add(struct hl_headers *h, const char *name, const char *value)
{
	struct hl_header_entry *e = &h->v[h->n++];
	e->name_at = (uint16_t)h->bytes.len;
	e->name_len = (uint16_t)strlen(name);
	hl_buf_cstr(&h->bytes, name);
	e->value_at = (uint16_t)h->bytes.len;
	e->value_len = (uint16_t)strlen(value);
	hl_buf_cstr(&h->bytes, value);
}

static void looks_up(void **state)
{
	(void)state;
	struct hl_headers *h = calloc(1, sizeof(*h));
	struct hl_str v;
	add(h, "Content-Type", "text/plain");
	add(h, "connection", "Upgrade, Keep-Alive");
	add(h, "CONNECTION", "close");
	add(h, "Empty", "");
	assert_true(hl_headers_get(h, HL_STR("content-type"), &v));
	assert_true(hl_str_eq(v, HL_STR("text/plain")));
	assert_true(hl_headers_get(h, HL_STR("Empty"), &v));
	assert_int_equal(v.len, 0);
	assert_false(hl_headers_get(h, HL_STR("content-typ"), &v));
	assert_int_equal(hl_headers_count(h, HL_STR("Connection")), 2);
	assert_true(hl_headers_has_token(h, HL_STR("Connection"), HL_STR("keep-alive")));
	assert_true(hl_headers_has_token(h, HL_STR("Connection"), HL_STR("Close")));
	assert_false(hl_headers_has_token(h, HL_STR("Connection"), HL_STR("keep")));
	hl_buf_fini(&h->bytes);
	free(h);
}

static void custom_headers(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *rule; /* rule NULL = allowed */
	} t[] = {
		{ "X-Token", "abc", NULL },
		{ "Authorization", "Bearer abc def", NULL },
		{ "x!#$%&'*+-.^_`|~9", "", NULL },
		{ "Webhooks", "fine", NULL },
		{ "", "x", "token" },
		{ "a b", "x", "token" },
		{ "a:b", "x", "token" },
		{ "a\r\nb", "x", "token" },
		{ "\xc3\xa4", "x", "token" },
		{ "hOST", "x", "host" },
		{ "Content-Length", "3", "content-length" },
		{ "Transfer-Encoding", "chunked", "transfer-encoding" },
		{ "Connection", "close", "connection" },
		{ "Keep-Alive", "1", "keep-alive" },
		{ "TE", "x", "te" },
		{ "Trailer", "x", "trailer" },
		{ "Upgrade", "h2c", "upgrade" },
		{ "Expect", "100-continue", "expect" },
		{ "Proxy-Authorization", "x", "proxy-authorization" },
		{ "Proxy-Foo", "x", "proxy-" },
		{ "webhook-id", "x", "webhook-" },
		{ "WEBHOOK-Signature", "x", "webhook-" },
		{ "hookline-attempt", "x", "hookline-" },
		{ "X-A", "a\nb", "visible" },
		{ "X-A", "a\rb", "visible" },
		{ "X-A", "a\tb", "visible" },
		{ "X-A", "\x7f", "visible" },
		{ "X-A", "\xc3\xa4", "visible" },
		{ "X-A", " a", "visible" },
		{ "X-A", "a ", "visible" },
	};
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct hl_err err = { 0 };
		int rc = hl_header_check_custom(hl_str_from(t[i].name), hl_str_from(t[i].value), &err);
		if (rc != (t[i].rule ? HL_EINVAL : 0) || (t[i].rule && !strstr(err.text, t[i].rule)))
			fail_msg("%s: %s → %d \"%s\"", t[i].name, t[i].value, rc, err.text);
	}
	assert_int_equal(hl_header_check_custom(HL_STR("X-A"), HL_STR("a\0b"), NULL), HL_EINVAL);
	char name[300];
	memset(name, 'x', sizeof(name));
	assert_int_equal(hl_header_check_custom(hl_str_make(name, 256), HL_STR("v"), NULL), 0);
	assert_int_equal(hl_header_check_custom(hl_str_make(name, 257), HL_STR("v"), NULL), HL_EINVAL);
}

static void no_value_adds_a_field(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	hl_head_status(&b, 404);
	hl_head_field(&b, HL_STR("Location"), HL_STR("/x\r\nSet-Cookie: a=b"));
	hl_head_field_u64(&b, HL_STR("Content-Length"), 12);
	hl_head_end(&b);
	assert_string_equal(b.data, "HTTP/1.1 404 Not Found\r\nLocation: /x  Set-Cookie: a=b\r\nContent-Length: 12\r\n\r\n");
	hl_buf_fini(&b);
	assert_string_equal(hl_status_phrase(299), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_up),
		cmocka_unit_test(custom_headers),
		cmocka_unit_test(no_value_adds_a_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The limits of what callers hand in: every row is one wrong thing and the member it is blamed on. */
#include "dispatch/validate.h"
#include "base/defs.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const hl_ms_t now = 1767225600000;

static struct hl_webhook good(void)
{
	return (struct hl_webhook){ .dialect = HL_DIALECT_HOOKLINE, .url = HL_STR("https://example.org/hook"),
		.name = HL_STR("orders") };
}

/* Judges all members; NULL = must pass, else the field that must be blamed. */
static void expect(const struct hl_webhook *w, uint32_t fields, const char *field)
{
	struct hl_err err = { 0 };
	int rc = hl_validate_webhook(w, fields, &err);
	if (!field) {
		if (rc)
			fail_msg("%s: %s", err.field, err.text);
		return;
	}
	assert_int_equal(rc, HL_EINVAL);
	assert_string_equal(err.field, field);
	assert_true(err.text[0]);
	assert_int_equal(err.code, rc);
	assert_int_equal(hl_validate_webhook(w, fields, NULL), rc);
}

static const char *repeat(char *out, const char *s, size_t n)
{
	out[0] = '\0';
	for (char *p = out; n; n--)
		p = stpcpy(p, s);
	return out;
}

/* ---- webhooks ---- */

static void texts(void **state)
{
	(void)state;
	static char text[8192];
	struct hl_webhook w = good();
	expect(&w, UINT32_MAX, NULL);
	w.name = hl_str_from(repeat(text, "\xC3\xA4", 120));
	expect(&w, UINT32_MAX, NULL);
	w.name = hl_str_from(repeat(text, "\xC3\xA4", 121));
	expect(&w, UINT32_MAX, "/name");
	w.name = HL_STR("a\nb");
	expect(&w, UINT32_MAX, "/name");
	w.name = HL_STR("\xFF");
	expect(&w, UINT32_MAX, "/name");
	expect(&w, UINT32_MAX & ~(uint32_t)HL_WF_NAME, NULL); /* not judged: not blamed */
	w = good();
	w.description = hl_str_from(repeat(text, "x\n", 500));
	expect(&w, UINT32_MAX, NULL);
	w.description = hl_str_from(repeat(text, "x", 1001));
	expect(&w, UINT32_MAX, "/description");
	w.description = HL_STR("a\0b");
	expect(&w, UINT32_MAX, "/description");
	w = good();
	w.dialect = HL_DIALECT_N;
	expect(&w, 0, "/dialect");
}

static void urls(void **state)
{
	(void)state;
	static char text[4096];
	struct hl_webhook w = good();
	w.url = HL_STR_NONE;
	expect(&w, UINT32_MAX, "/url");
	memset(text, 'x', sizeof text);
	memcpy(text, "https://a/", 10);
	w.url = hl_str_make(text, HL_URL_MAX);
	expect(&w, UINT32_MAX, NULL);
	w.url.len++;
	expect(&w, UINT32_MAX, "/url");
	w.https_only = true;
	w.url = HL_STR("http://example.org/");
	expect(&w, UINT32_MAX, "/url");
	w.url = HL_STR("HTTPS://example.org/");
	expect(&w, UINT32_MAX, NULL);
}

static void telegram(void **state)
{
	(void)state;
	static const char *const ok[] = {
		"https://api.telegram.org/bot1:x/sendMessage?chat_id=-100", "https://t/?a=b&chat_id=@name&c",
				"https://t/?chat_id=1#x",
	};
	static const char *const bad[] = {
		"https://t/sendMessage", "https://t/?chat_id=", "https://t/?chat_id", "https://t/?xchat_id=1",
				"https://t/#?chat_id=1",
		"https://t/chat_id=1", "https://t/&chat_id=1", "https://t/?a=b#&chat_id=1",
	};
	struct hl_webhook w = good();
	w.format = HL_FORMAT_TELEGRAM;
	for (size_t i = 0; i < HL_ARRAY_LEN(ok); i++) {
		w.url = hl_str_from(ok[i]);
		expect(&w, UINT32_MAX, NULL);
	}
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		w.url = hl_str_from(bad[i]);
		expect(&w, HL_WF_URL, "/url");
		expect(&w, HL_WF_FORMAT, "/url");
		expect(&w, HL_WF_NAME, NULL);
	}
	w = good();
	w.format = HL_FORMAT_N;
	expect(&w, UINT32_MAX, "/format");
}

static void event_types(void **state)
{
	(void)state;
	static struct hl_str many[257];
	static char names[257][8], long_name[200];
	struct hl_webhook w = good();
	w.event_types = many;
	for (size_t i = 0; i < 257; i++) {
		snprintf(names[i], sizeof names[i], "t.%zu", i);
		many[i] = hl_str_from(names[i]);
	}
	w.n_event_types = 256;
	expect(&w, UINT32_MAX, NULL);
	w.n_event_types = 257;
	expect(&w, UINT32_MAX, "/event_types");
	w.n_event_types = 4;
	static const char *const bad[] = { "", "a b", "a/b", "\xC3\xA4", "a\n", "a*" };
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		many[3] = hl_str_from(bad[i]);
		expect(&w, UINT32_MAX, "/event_types/3");
	}
	many[3] = hl_str_from(repeat(long_name, "x", 129));
	expect(&w, UINT32_MAX, "/event_types/3");
	many[3].len = 128;
	expect(&w, UINT32_MAX, NULL);
	many[3] = many[1];
	expect(&w, UINT32_MAX, "/event_types/3");
}

static void states(void **state)
{
	(void)state;
	static char text[300];
	struct hl_webhook w = good();
	w.state = HL_WEBHOOK_PAUSED;
	expect(&w, UINT32_MAX, NULL);
	w.state = HL_WEBHOOK_DELETED;
	expect(&w, UINT32_MAX, "/state");
	w.state = HL_WEBHOOK_DISABLED;
	expect(&w, UINT32_MAX, "/reason");
	w.reason = hl_str_from(repeat(text, "x", 200));
	expect(&w, UINT32_MAX, NULL);
	w.reason = hl_str_from(repeat(text, "x", 201));
	expect(&w, UINT32_MAX, "/reason");
	w.reason = HL_STR("a\nb");
	expect(&w, UINT32_MAX, "/reason");
}

static void headers(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *field;
	} rows[] = {
		{ "X-Tenant", "a b", NULL },
		{ "Authorization", "Bearer x", NULL },
		{ "X-Empty", "", NULL },
		{ "X-Signature", "v", NULL },
		{ "!#$%&'*+-.^_`|~09az", "v", NULL },
		{ "", "v", "/headers" },
		{ "a b", "v", "/headers" },
		{ "a:", "v", "/headers" },
		{ "a/b", "v", "/headers" },
		{ "a\r\nb", "v", "/headers" },
		{ "\xC3\xA4", "v", "/headers" },
		{ "a\x7F", "v", "/headers" },
		{ "X-V", "a\r\nb", "/headers/X-V" },
		{ "X-V", "a\tb", "/headers/X-V" },
		{ "X-V", " a", "/headers/X-V" },
		{ "X-V", "a ", "/headers/X-V" },
		{ "X-V", "\xC3\xA4", "/headers/X-V" },
		{ "X~V", "\x7F", "/headers/X~0V" },
		{ "Host", "v", "/headers/Host" },
		{ "CONTENT-LENGTH", "1", "/headers/CONTENT-LENGTH" },
		{ "content-type", "v", "/headers/content-type" },
		{ "Content-Encoding", "v", "/headers/Content-Encoding" },
		{ "Transfer-Encoding", "v", "/headers/Transfer-Encoding" },
		{ "User-Agent", "v", "/headers/User-Agent" },
		{ "Expect", "v", "/headers/Expect" },
		{ "Connection", "v", "/headers/Connection" },
		{ "Keep-Alive", "v", "/headers/Keep-Alive" },
		{ "TE", "v", "/headers/TE" },
		{ "Trailer", "v", "/headers/Trailer" },
		{ "Upgrade", "v", "/headers/Upgrade" },
		{ "Proxy-Authorization", "v", "/headers/Proxy-Authorization" },
		{ "Proxy-Connection", "v", "/headers/Proxy-Connection" },
		{ "Webhook-Id", "v", "/headers/Webhook-Id" },
		{ "webhook-", "v", "/headers/webhook-" },
		{ "Hookline-Attempt", "v", "/headers/Hookline-Attempt" },
	};
	struct hl_header h;
	struct hl_webhook w = good();
	w.headers = &h;
	w.n_headers = 1;
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
		h = (struct hl_header){ hl_str_from(rows[i].name), hl_str_from(rows[i].value) };
		expect(&w, UINT32_MAX, rows[i].field);
	}
	/* a dialect's own */
	h = (struct hl_header){ HL_STR("x-signature"), HL_STR("v") };
	w.dialect = HL_DIALECT_ABOUTYOU;
	expect(&w, UINT32_MAX, "/headers/x-signature");
	/* a name too long for a pointer */
	static char text[5000];
	h.name = hl_str_from(repeat(text, "n", 100));
	h.value = HL_STR("\x01");
	expect(&w, UINT32_MAX, "/headers");
}

static void header_limits(void **state)
{
	(void)state;
	static char names[17][8], text[5000];
	struct hl_header h[17];
	struct hl_webhook w = good();
	for (size_t i = 0; i < 17; i++) {
		snprintf(names[i], sizeof names[i], "X-%zu", i);
		h[i] = (struct hl_header){ hl_str_from(names[i]), HL_STR("v") };
	}
	w.headers = h;
	w.n_headers = 16;
	expect(&w, UINT32_MAX, NULL);
	w.n_headers = 17;
	expect(&w, UINT32_MAX, "/headers");
	w.n_headers = 2;
	h[1].name = HL_STR("x-0");
	expect(&w, UINT32_MAX, "/headers/x-0");
	w.n_headers = 1;
	h[0].value = hl_str_from(repeat(text, "v", 4093));
	expect(&w, UINT32_MAX, NULL);
	h[0].value = hl_str_from(repeat(text, "v", 4094));
	expect(&w, UINT32_MAX, "/headers");
}

static void numbers(void **state)
{
	(void)state;
	struct hl_webhook w = good();
	w.timeout_ms = HL_TIMEOUT_MAX_MS;
	w.rate_limit = HL_RATE_MAX;
	w.max_in_flight = HL_IN_FLIGHT_MAX;
	w.window_s = HL_WINDOW_MAX_S;
	expect(&w, UINT32_MAX, NULL);
	w.timeout_ms++;
	expect(&w, UINT32_MAX, "/timeout");
	w = good();
	w.rate_limit = HL_RATE_MAX + 1;
	expect(&w, UINT32_MAX, "/rate_limit");
	w = good();
	w.max_in_flight = HL_IN_FLIGHT_MAX + 1;
	expect(&w, UINT32_MAX, "/max_in_flight");
	w = good();
	w.window_s = HL_WINDOW_MAX_S + 1;
	expect(&w, UINT32_MAX, "/window");
	w.window_s = 3600;
	w.strict = true;
	expect(&w, UINT32_MAX, "/window");
	w.window_s = 172800;
	expect(&w, UINT32_MAX, NULL);
}

static void retry(void **state)
{
	(void)state;
	struct hl_webhook w = good();
	w.retry.kind = HL_RETRY_DELAYS;
	expect(&w, UINT32_MAX, "/retry/delays");
	w.retry.n_delays = HL_DELAYS_MAX;
	for (int i = 0; i < HL_DELAYS_MAX; i++)
		w.retry.delays_s[i] = 172800;
	expect(&w, UINT32_MAX, NULL);
	w.retry.delays_s[59] = 172801;
	expect(&w, UINT32_MAX, "/retry/delays/59");
	w.retry.delays_s[2] = 0;
	expect(&w, UINT32_MAX, "/retry/delays/2");
	w.retry.n_delays = HL_DELAYS_MAX + 1;
	expect(&w, UINT32_MAX, "/retry/delays");
	w.retry.kind = HL_RETRY_N;
	expect(&w, UINT32_MAX, "/retry");
	w.retry.kind = HL_RETRY_EXPONENTIAL;
	expect(&w, UINT32_MAX, NULL);
	w.strict = true;
	expect(&w, UINT32_MAX, "/retry");
	w.retry.kind = HL_RETRY_HOURLY;
	expect(&w, UINT32_MAX, NULL);
	struct hl_err err = { 0 };
	struct hl_retry r = { .kind = HL_RETRY_DELAYS };
	assert_int_equal(hl_validate_retry(&r, "delivery.retry", &err), HL_EINVAL);
	assert_string_equal(err.field, "delivery.retry/delays");
}

/* What the clients of a dialect have no word for. */
static void of_a_dialect(void **state)
{
	(void)state;
	static const struct {
		enum hl_dialect dialect;
		unsigned formats;  /* 1 << enum hl_format */
	} rows[] = {
		{ HL_DIALECT_HOOKLINE, 0xf }, { HL_DIALECT_CS2CAP, 0xf }, { HL_DIALECT_ABOUTYOU, 1 << HL_FORMAT_STANDARD },
		{ HL_DIALECT_STELLARSTACK, 1 << HL_FORMAT_DISCORD }, { HL_DIALECT_BITNOB, 1 << HL_FORMAT_STANDARD },
	};
	struct hl_str type = HL_STR("server.started");
	struct hl_webhook w = good();
	w.url = HL_STR("https://example.org/?chat_id=1");
	w.event_types = &type;
	w.n_event_types = 1;
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++)
		for (unsigned f = 0; f < HL_FORMAT_N; f++) {
			w.dialect = rows[i].dialect;
			w.format = (enum hl_format)f;
			expect(&w, UINT32_MAX, rows[i].formats >> f & 1 ? NULL : "/format");
			expect(&w, HL_WF_URL, rows[i].formats >> f & 1 ? NULL : "/format");
			expect(&w, HL_WF_NAME, NULL);
		}
	w.n_event_types = 0;
	for (size_t i = 0; i < HL_ARRAY_LEN(rows); i++) {
		w.dialect = rows[i].dialect;
		w.format = w.dialect == HL_DIALECT_STELLARSTACK ? HL_FORMAT_DISCORD : HL_FORMAT_STANDARD;
		expect(&w, UINT32_MAX, w.dialect == HL_DIALECT_STELLARSTACK ? "/event_types" : NULL);
	}
}

static void metadata(void **state)
{
	(void)state;
	static const char *const bad[] = { "[]", "1", "\"x\"", "null", "{", "{} x", "{\"a\":01}", " " };
	static char text[5000];
	struct hl_webhook w = good();
	w.metadata = HL_STR("{\"a\":[1,{\"b\":null}]}");
	expect(&w, UINT32_MAX, NULL);
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		w.metadata = hl_str_from(bad[i]);
		expect(&w, UINT32_MAX, "/metadata");
	}
	for (size_t len = 4096; len <= 4097; len++) {
		memset(text, 'x', len);
		memcpy(text, "{\"a\":\"", 6);
		memcpy(text + len - 2, "\"}", 2);
		w.metadata = hl_str_make(text, len);
		expect(&w, UINT32_MAX, len == 4096 ? NULL : "/metadata");
	}
}

/* ---- publishing ---- */

static void publish_row(const struct hl_publish *p, int want, const char *field)
{
	struct hl_err err = { 0 };
	int rc = hl_validate_publish(p, 100, now, &err);
	if (rc != want)
		fail_msg("%s: %s (%d)", err.field, err.text, rc);
	if (want)
		assert_string_equal(err.field, field);
}

static void publish(void **state)
{
	(void)state;
	const hl_ms_t day = 86400000;
	static char text[300];
	const struct hl_publish ok = { .type = HL_STR("order.created"), .data = HL_STR("{\"n\":1.0}") };
	struct hl_publish p = ok;
	publish_row(&p, 0, NULL);
	p.type = HL_STR("order created");
	publish_row(&p, HL_EINVAL, "/type");
	p.type = HL_STR_NONE;
	publish_row(&p, HL_EINVAL, "/type");
	p = ok;
	p.external_id = hl_str_from(repeat(text, "~", 255));
	publish_row(&p, 0, NULL);
	p.external_id = hl_str_from(repeat(text, "~", 256));
	publish_row(&p, HL_EINVAL, "/id");
	p.external_id = HL_STR("a b");
	publish_row(&p, HL_EINVAL, "/id");
	p = ok;
	static const char *const bad[] = { "", " ", "{", "{'a':1}", "01", "nul", "1 2", "\"\xFF\"" };
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		p.data = hl_str_from(bad[i]);
		publish_row(&p, HL_ESYNTAX, "/data");
	}
	p.data = hl_str_from(repeat(text, "1", 100));
	publish_row(&p, 0, NULL);
	p.data = hl_str_from(repeat(text, "1", 101));
	publish_row(&p, HL_ETOOBIG, "/data");
	repeat(text, "[", 65);
	p.data = hl_str_make(text, 65);
	publish_row(&p, HL_ETOOBIG, "/data");
	const struct {
		hl_ms_t occurred, after, expires;
		const char *field;
	} times[] = {
		{ 1, 0, 0, NULL },
		{ -1, 0, 0, "/occurred_at" },
		{ 253402300799999, 0, 0, NULL },
		{ 253402300800000, 0, 0, "/occurred_at" },
		{ 0, now - day, 0, NULL },
		{ 0, now + 30 * day, 0, NULL },
		{ 0, now + 30 * day + 1, 0, "/deliver_after" },
		{ 0, -1, 0, "/deliver_after" },
		{ 0, 0, now + 1, NULL },
		{ 0, 0, now, "/expires_at" },
		{ 0, 0, -1, "/expires_at" },
		{ 0, now + day, now + day, "/expires_at" },
		{ 0, now + day, now + day + 1, NULL },
		{ 0, 0, INT64_MAX, "/expires_at" },
	};
	for (size_t i = 0; i < HL_ARRAY_LEN(times); i++) {
		p = ok;
		p.occurred_at_ms = times[i].occurred;
		p.deliver_after_ms = times[i].after;
		p.expires_at_ms = times[i].expires;
		publish_row(&p, times[i].field ? HL_EINVAL : 0, times[i].field);
	}
}

static void idempotency(void **state)
{
	(void)state;
	static char text[300];
	struct hl_idempotency i = { .scope = HL_STR("POST /v1/events"), .key = HL_STR("a key") };
	struct hl_publish p = { .type = HL_STR("t"), .data = HL_STR("1"), .idempotency = &i };
	publish_row(&p, 0, NULL);
	i.key = hl_str_from(repeat(text, "k", 255));
	publish_row(&p, 0, NULL);
	i.key = hl_str_from(repeat(text, "k", 256));
	publish_row(&p, HL_EINVAL, "Idempotency-Key");
	i.key = HL_STR_NONE;
	publish_row(&p, HL_EINVAL, "Idempotency-Key");
	i.key = HL_STR("a\tb");
	publish_row(&p, HL_EINVAL, "Idempotency-Key");
}

static void catalogue(void **state)
{
	(void)state;
	static char text[2000];
	struct hl_err err = { 0 };
	const struct hl_event_type ok = { .name = HL_STR("order.created"), .title = HL_STR("Order created"),
		.dialect_categories = { [HL_DIALECT_BITNOB] = HL_STR("wallet") } };
	struct hl_event_type t = ok;
	assert_int_equal(hl_validate_event_type(&t, NULL), 0);
	t.name = HL_STR("a b");
	assert_int_equal(hl_validate_event_type(&t, &err), HL_EINVAL);
	assert_string_equal(err.field, "/name");
	t = ok;
	t.title = hl_str_from(repeat(text, "x", 201));
	assert_int_equal(hl_validate_event_type(&t, &err), HL_EINVAL);
	assert_string_equal(err.field, "/title");
	t = ok;
	t.description = hl_str_from(repeat(text, "x", 1001));
	assert_int_equal(hl_validate_event_type(&t, &err), HL_EINVAL);
	assert_string_equal(err.field, "/description");
	t = ok;
	t.dialect_categories[HL_DIALECT_BITNOB] = HL_STR("a\nb");
	assert_int_equal(hl_validate_event_type(&t, &err), HL_EINVAL);
	assert_string_equal(err.field, "/dialects/bitnob");
}

/* The texts of the public enums, both ways. */
static void names(void **state)
{
	(void)state;
	for (unsigned d = 0; d < HL_DIALECT_N; d++)
		assert_int_equal(hl_dialect_parse(hl_str_from(hl_dialect_name((enum hl_dialect)d))), d);
	for (unsigned f = 0; f < HL_FORMAT_N; f++)
		assert_int_equal(hl_format_parse(hl_str_from(hl_format_name((enum hl_format)f))), f);
	for (unsigned k = 0; k < HL_RETRY_N; k++)
		assert_int_equal(hl_retry_parse(hl_str_from(hl_retry_name((enum hl_retry_kind)k))), k);
	for (unsigned s = 0; s < HL_DELIVERY_STATE_N; s++) {
		const char *name = hl_delivery_state_name((enum hl_delivery_state)s);
		assert_int_equal(hl_delivery_state_parse(hl_str_from(name)), s);
	}
	assert_string_equal(hl_class_name(HL_CLASS_TIMEOUT), "timeout");
	assert_string_equal(hl_class_sentence(HL_CLASS_EXPIRED), "expires_at passed");
	assert_string_equal(hl_trigger_name(HL_TRIGGER_PROBE), "probe");
	assert_string_equal(hl_webhook_state_name(HL_WEBHOOK_PAUSED), "paused");
	assert_string_equal(hl_dialect_name((enum hl_dialect)99), "?");
	assert_int_equal(hl_dialect_parse(HL_STR("Hookline")), -1);
	assert_int_equal(hl_format_parse(HL_STR_NONE), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts), cmocka_unit_test(urls), cmocka_unit_test(telegram),
		cmocka_unit_test(event_types),
		cmocka_unit_test(states), cmocka_unit_test(headers), cmocka_unit_test(header_limits),
		cmocka_unit_test(numbers),
		cmocka_unit_test(retry), cmocka_unit_test(of_a_dialect), cmocka_unit_test(metadata), cmocka_unit_test(publish),
		cmocka_unit_test(idempotency),
		cmocka_unit_test(catalogue), cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

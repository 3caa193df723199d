/* Webhooks from JSON and to JSON: what is written can be read, null means default, everything else is refused by name. */
#include "api/webhook_json.h"

#include "base/str.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct hl_arena arena;
static struct hl_err err;
static const struct hl_webhook_scope scope = { .api = NULL, .account = 1 };

static int read_one(const char *text, bool create, struct hl_webhook_input *out)
{
	struct hl_reader r = { .arena = &arena, .err = &err };
	memset(&err, 0, sizeof(err));
	return hl_webhook_read(&r, &scope, hl_str_from(text), create, out);
}

static void test_all_members(void **state)
{
	struct hl_webhook_input in;
	(void)state;
	assert_int_equal(read_one("{\"name\":\"n\",\"description\":\"d\",\"url\":\"https://x/\",\"format\":\"discord\","
			"\"event_types\":[\"a.b\",\"c\"],\"server\":null,\"enabled\":false,\"headers\":{\"X-A\":\"1\",\"X-B\":\"2\"},"
			"\"timeout\":2.5,\"rate_limit\":10,\"max_in_flight\":3,\"retry\":[5,60],\"window\":3600,"
			"\"metadata\":{\"k\": [1.0]},\"secret\":\"whsec_abc\"}", true, &in), 0);
	assert_int_equal(in.fields, (HL_WF_METADATA << 1) - 1);
	assert_true(hl_str_eq(in.w.url, HL_STR("https://x/")));
	assert_int_equal(in.w.format, HL_FORMAT_DISCORD);
	assert_int_equal(in.w.n_event_types, 2);
	assert_true(hl_str_eq(in.w.event_types[1], HL_STR("c")));
	assert_int_equal(in.w.state, HL_WEBHOOK_PAUSED);
	assert_int_equal(in.w.n_headers, 2);
	assert_true(hl_str_eq(in.w.headers[1].name, HL_STR("X-B")) && hl_str_eq(in.w.headers[1].value, HL_STR("2")));
	assert_int_equal(in.w.timeout_ms, 2500);
	assert_int_equal(in.w.rate_limit, 10);
	assert_int_equal(in.w.max_in_flight, 3);
	assert_int_equal(in.w.retry.kind, HL_RETRY_DELAYS);
	assert_int_equal(in.w.retry.n_delays, 2);
	assert_int_equal(in.w.retry.delays_s[1], 60);
	assert_int_equal(in.w.window_s, 3600);
	assert_true(hl_str_eq(in.w.metadata, HL_STR("{\"k\": [1.0]}")));
	assert_true(hl_str_eq(in.secret, HL_STR("whsec_abc")));
}

static void test_defaults(void **state)
{
	struct hl_webhook_input in;
	(void)state;
	assert_int_equal(read_one("{\"url\":\"https://x/\"}", true, &in), 0);
	assert_int_equal(in.fields, HL_WF_URL);
	assert_int_equal(in.w.state, HL_WEBHOOK_ENABLED);
	assert_int_equal(in.w.account, 1);
	assert_int_equal(read_one("{}", false, &in), 0);
	assert_int_equal(in.fields, 0);
	assert_int_equal(read_one("{\"name\":null,\"description\":null,\"event_types\":null,\"server\":null,\"headers\":null,"
			"\"timeout\":null,\"rate_limit\":null,\"max_in_flight\":null,\"retry\":null,\"window\":null,\"metadata\":null}",
			false, &in), 0);
	assert_int_equal(in.w.n_event_types, 0);
	assert_int_equal(in.w.timeout_ms, 0);
	assert_int_equal(in.w.retry.kind, HL_RETRY_DEFAULT);
	assert_int_equal(in.w.metadata.len, 0);
	assert_int_equal(in.fields & (HL_WF_URL | HL_WF_FORMAT | HL_WF_STATE), 0);
}

static void test_refused(void **state)
{
	static const struct { const char *json, *pointer; } cases[] = {
		{ "{}", "/url" },
		{ "{\"url\":null}", "/url" },
		{ "{\"url\":1}", "/url" },
		{ "{\"url\":\"x\",\"id\":\"1\"}", "/id" },
		{ "{\"url\":\"x\",\"state\":\"paused\"}", "/state" },
		{ "{\"url\":\"x\",\"nonsense\":1}", "/nonsense" },
		{ "{\"url\":\"x\",\"format\":\"xml\"}", "/format" },
		{ "{\"url\":\"x\",\"format\":null}", "/format" },
		{ "{\"url\":\"x\",\"enabled\":null}", "/enabled" },
		{ "{\"url\":\"x\",\"enabled\":1}", "/enabled" },
		{ "{\"url\":\"x\",\"event_types\":[1]}", "/event_types" },
		{ "{\"url\":\"x\",\"event_types\":[\"a b\"]}", "/event_types" },
		{ "{\"url\":\"x\",\"event_types\":\"a\"}", "/event_types" },
		{ "{\"url\":\"x\",\"headers\":[]}", "/headers" },
		{ "{\"url\":\"x\",\"headers\":{\"a\":1}}", "/headers" },
		{ "{\"url\":\"x\",\"headers\":{\"a\":\"1\",\"A\":\"2\"}}", "/headers" },
		{ "{\"url\":\"x\",\"timeout\":0}", "/timeout" },
		{ "{\"url\":\"x\",\"timeout\":60.001}", "/timeout" },
		{ "{\"url\":\"x\",\"timeout\":\"5\"}", "/timeout" },
		{ "{\"url\":\"x\",\"rate_limit\":0}", "/rate_limit" },
		{ "{\"url\":\"x\",\"rate_limit\":1.5}", "/rate_limit" },
		{ "{\"url\":\"x\",\"max_in_flight\":1001}", "/max_in_flight" },
		{ "{\"url\":\"x\",\"retry\":\"never\"}", "/retry" },
		{ "{\"url\":\"x\",\"retry\":\"delays\"}", "/retry" },
		{ "{\"url\":\"x\",\"retry\":[]}", "/retry" },
		{ "{\"url\":\"x\",\"retry\":[0]}", "/retry" },
		{ "{\"url\":\"x\",\"retry\":[172801]}", "/retry" },
		{ "{\"url\":\"x\",\"retry\":[\"5\"]}", "/retry" },
		{ "{\"url\":\"x\",\"window\":604801}", "/window" },
		{ "{\"url\":\"x\",\"metadata\":[]}", "/metadata" },
	};
	struct hl_webhook_input in = { .fields = 12345 };
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = read_one(cases[i].json, true, &in);
		if (rc != HL_EINVAL || strcmp(err.field, cases[i].pointer))
			fail_msg("%s: %d at \"%s\": %s", cases[i].json, rc, err.field, err.text);
	}
	assert_int_equal(read_one("{\"url\":\"x\",\"url\":\"y\"}", true, &in), HL_EDUPLICATE);
	assert_int_equal(read_one("{\"url\":\"x\"", true, &in), HL_ESYNTAX);
	/* a secret is given at creation only */
	assert_int_equal(read_one("{\"secret\":\"whsec_x\"}", false, &in), HL_EINVAL);
	assert_string_equal(err.field, "/secret");
	assert_int_equal(in.fields, 12345);
}

static void test_written(void **state)
{
	static const struct hl_str types[] = { HL_STR("a"), HL_STR("b") };
	static const struct hl_header headers[] = { { HL_STR("X-\"q\""), HL_STR("v") } };
	struct hl_webhook w = {
		.number = 7, .account = 1, .id = "0199d2c4-0000-7000-8000-000000000007", .format = HL_FORMAT_TELEGRAM,
		.state = HL_WEBHOOK_DISABLED, .name = HL_STR("n\n"), .url = HL_STR("https://x/"), .reason = HL_STR("410"),
		.event_types = types, .n_event_types = 2, .headers = headers, .n_headers = 1, .timeout_ms = 2500,
		.retry = { .kind = HL_RETRY_HOURLY }, .secret_last4 = "wxyz", .created_at_ms = 1776018011123,
	};
	struct hl_buf out = { .data = NULL };
	struct hl_jsonw jw;
	(void)state;
	hl_jsonw_init(&jw, &out);
	hl_webhook_write(&jw, &scope, &w, HL_STR("whsec_s"));
	json_t *j = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "id")), w.id);
	assert_string_equal(json_string_value(json_object_get(j, "state")), "disabled");
	assert_false(json_boolean_value(json_object_get(j, "enabled")));
	assert_string_equal(json_string_value(json_object_get(j, "retry")), "hourly");
	assert_true(json_number_value(json_object_get(j, "timeout")) == 2.5);
	assert_true(json_is_null(json_object_get(j, "window")));
	assert_true(json_is_null(json_object_get(j, "last_attempt_at")));
	assert_true(json_is_null(json_object_get(j, "server")));
	assert_int_equal(json_array_size(json_object_get(j, "event_types")), 2);
	assert_int_equal(json_object_size(json_object_get(j, "metadata")), 0);
	assert_string_equal(json_string_value(json_object_get(json_object_get(j, "headers"), "X-\"q\"")), "v");
	assert_string_equal(json_string_value(json_object_get(j, "created_at")), "2026-04-12T18:20:11.123Z");
	assert_string_equal(json_string_value(json_object_get(j, "secret")), "whsec_s");
	json_decref(j);
	hl_buf_reset(&out);
	hl_jsonw_init(&jw, &out);
	w.timeout_ms = 10000;
	hl_webhook_write(&jw, &scope, &w, HL_STR(""));
	assert_non_null(strstr(out.data, "\"timeout\":10,"));
	assert_null(strstr(out.data, "\"secret\":"));
	hl_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_members), cmocka_unit_test(test_defaults), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_written),
	};
	hl_arena_init(&arena, 0);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	hl_arena_fini(&arena);
	return rc;
}

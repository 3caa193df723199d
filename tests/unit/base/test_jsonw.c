/* The writer: commas, escapes, and that the reader accepts whatever it writes. */
#include "base_test.h"
#include "base/json.h"
#include "base/utf8.h"

static void commas(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	struct hl_jsonw w;
	hl_jsonw_init(&w, &b);
	hl_jsonw_object(&w);
	hl_jsonw_key(&w, "a");
	hl_jsonw_u64(&w, UINT64_MAX);
	hl_jsonw_key(&w, "b");
	hl_jsonw_array(&w);
	hl_jsonw_i64(&w, -1);
	hl_jsonw_bool(&w, true);
	hl_jsonw_bool(&w, false);
	hl_jsonw_null(&w);
	hl_jsonw_array(&w);
	hl_jsonw_array_end(&w);
	hl_jsonw_object(&w);
	hl_jsonw_object_end(&w);
	hl_jsonw_cstr(&w, "x");
	hl_jsonw_raw(&w, HL_STR("{\"raw\": 1.50}"));
	hl_jsonw_array_end(&w);
	hl_jsonw_key_str(&w, HL_STR("k\"\n"));
	hl_jsonw_str(&w, HL_STR_NONE);
	hl_jsonw_key(&w, "t");
	hl_jsonw_time(&w, 1776018011123);
	hl_jsonw_key(&w, "never");
	hl_jsonw_time(&w, 0);
	hl_jsonw_object_end(&w);
	assert_str(hl_buf_all(&b), "{\"a\":18446744073709551615,\"b\":[-1,true,false,null,[],{},\"x\",{\"raw\": 1.50}],"
				   "\"k\\\"\\n\":\"\",\"t\":\"2026-04-12T18:20:11.123Z\",\"never\":null}");
	assert_int_equal(w.depth, 0);
	hl_buf_fini(&b);
}

static void quoting(void **state)
{
	(void)state;
	struct hl_buf b = { 0 };
	hl_json_quote(&b, HL_STR("a\"\\/\b\f\n\r\t\0\x01\x1f\x7f\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80"));
	assert_str(hl_buf_all(&b),
			"\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u001f\x7f\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80\"");
	hl_buf_reset(&b);
	hl_json_quote(&b, HL_STR("\xff" "a\xc3\"\xe2\x82"));
	assert_str(hl_buf_all(&b), "\"\xef\xbf\xbd" "a\xef\xbf\xbd\\\"\xef\xbf\xbd\"");
	hl_buf_reset(&b);
	hl_json_quote(&b, HL_STR_NONE);
	assert_str(hl_buf_all(&b), "\"\"");
	hl_buf_fini(&b);
}

/* Random bytes: what is written is JSON, and reading it back gives the repaired text. */
static void round_trips(void **state)
{
	(void)state;
	struct rnd r = { 31 };
	struct hl_arena a;
	hl_arena_init(&a, 0);
	for (int turn = 0; turn < 20000; turn++) {
		char s[50];
		size_t n = rnd_below(&r, sizeof s);
		struct hl_buf b = { 0 }, want = { 0 };
		struct hl_json v;
		struct hl_str back;
		uint32_t range = turn % 2 ? 256 : 128;
		for (size_t i = 0; i < n; i++)
			s[i] = (char)rnd_below(&r, range);
		hl_json_quote(&b, (struct hl_str){ s, n });
		assert_int_equal(hl_json_check(hl_buf_all(&b), 0, &v, NULL), 0);
		assert_int_equal(hl_json_string(&a, v, true, &back), 0);
		hl_utf8_repair(&want, (struct hl_str){ s, n }, SIZE_MAX);
		assert_true(hl_str_eq(back, hl_buf_all(&want)));
		hl_buf_fini(&b);
		hl_buf_fini(&want);
		hl_arena_reset(&a);
	}
	hl_arena_fini(&a);
}

static void full_buffer(void **state)
{
	(void)state;
	struct hl_buf b = { .max = 5 };
	struct hl_jsonw w;
	hl_jsonw_init(&w, &b);
	hl_jsonw_array(&w);
	hl_jsonw_cstr(&w, "too long");
	hl_jsonw_array_end(&w);
	assert_false(hl_buf_ok(&b));
	hl_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commas),
		cmocka_unit_test(quoting),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(full_buffer),
	};
	return RUN(tests);
}

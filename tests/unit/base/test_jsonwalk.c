/* Walking checked texts: members, elements, strings, numbers, objects against a table. */
#include "base_test.h"
#include "base/json.h"
#include "json_corpus.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct hl_json parse(const char *text)
{
	struct hl_json v;
	struct hl_err err;
	if (hl_json_check(hl_str_from(text), 64, &v, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return v;
}

static void each(void **state)
{
	(void)state;
	struct hl_json_iter it;
	hl_json_each(&it, parse(" { \"a\" : 1 , \"b\\\"]\":[ 1,\"]}\" ],\"\":{ } , \"d\":\"\\\\\" } "));
	assert_true(hl_json_next(&it));
	assert_str(it.key, "a");
	assert_str(it.value.raw, "1");
	assert_int_equal(it.value.type, HL_JSON_NUMBER);
	assert_true(hl_json_next(&it));
	assert_str(it.key, "b\\\"]");
	assert_str(it.value.raw, "[ 1,\"]}\" ]");
	assert_true(hl_json_next(&it));
	assert_str(it.key, "");
	assert_str(it.value.raw, "{ }");
	assert_int_equal(it.value.type, HL_JSON_OBJECT);
	assert_true(hl_json_next(&it));
	assert_str(it.value.raw, "\"\\\\\"");
	assert_false(hl_json_next(&it));
	assert_false(hl_json_next(&it));

	static const char *const elements[] = { "null", "-1.5e3", "\"a,b\"", "[[],[2]]", "{\"x\":[1,2]}", "false" };
	hl_json_each(&it, parse("[null , -1.5e3,\"a,b\"\n,[[],[2]],{\"x\":[1,2]},false]"));
	for (size_t i = 0; i < COUNT(elements); i++) {
		assert_true(hl_json_next(&it));
		assert_str(it.value.raw, elements[i]);
		assert_int_equal(it.key.len, 0);
	}
	assert_false(hl_json_next(&it));

	static const char *const none[] = { "[]", "{}", " [ ] ", "{\n}", "1", "\"[1]\"", "null" };
	for (size_t i = 0; i < COUNT(none); i++) {
		hl_json_each(&it, parse(none[i]));
		assert_false(hl_json_next(&it));
	}
}

/* Walks everything below v; the slices must be texts of their own, of the type they say. */
static size_t walk(struct hl_json v)
{
	struct hl_json again;
	struct hl_json_iter it;
	size_t n = 1;
	assert_int_equal(hl_json_check(v.raw, 64, &again, NULL), 0);
	assert_int_equal(again.type, v.type);
	assert_int_equal(again.raw.len, v.raw.len);
	for (hl_json_each(&it, v); hl_json_next(&it);)
		n += walk(it.value);
	return n;
}

static void slices_are_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(json_good); i++)
		assert_true(walk(parse(json_good[i])) >= 1);
	assert_int_equal(walk(parse("{\"a\":[1,2,{\"b\":[]}],\"c\":\"\\\"\"}")), 7);
}

/* The walkers promise no sense on unchecked bytes, but no read outside them either, and an end. */
static void garbage_stays_inside(void **state)
{
	(void)state;
	struct guard g;
	struct hl_arena a;
	struct rnd r = { 21 };
	static const char alphabet[] = "[]{}:,\"\\ 01etun\xc3";
	guard_open(&g, 4096);
	hl_arena_init(&a, 0);
	for (int turn = 0; turn < 50000; turn++) {
		char s[30];
		size_t n = rnd_below(&r, sizeof s), steps = 0;
		struct hl_json_field f = { .name = "n" };
		struct hl_json_iter it;
		struct hl_json got;
		struct hl_str text;
		struct hl_err err;
		for (size_t i = 0; i < n; i++)
			s[i] = alphabet[rnd_below(&r, sizeof alphabet - 1)];
		struct hl_json v = { rnd_below(&r, 2) ? HL_JSON_OBJECT : HL_JSON_ARRAY, guard_put(&g,
				(struct hl_str){ s, n }) };
		for (hl_json_each(&it, v); hl_json_next(&it); steps++)
			assert_true(steps <= n);
		(void)hl_json_get(v, HL_STR("n"), &got);
		(void)!hl_json_object(v, &f, 1, true, "", &err);
		v.type = HL_JSON_STRING;
		(void)!hl_json_string(&a, v, true, &text);
		hl_arena_reset(&a);
	}
	hl_arena_fini(&a);
	guard_close(&g);
}

static void get(void **state)
{
	(void)state;
	struct hl_json o = parse("{\"a\":1,\"\\u0062\\n\":2,\"a\":3,\"\xc3\xa4\":4,\"\\ud83d\\ude00\":5,"
				 "\"\\ud800\":6,\"x\\u0000\":7,\"n\":null}");
	struct hl_json v = { 0 };
	assert_true(hl_json_get(o, HL_STR("a"), &v));
	assert_str(v.raw, "3"); /* the last one */
	assert_true(hl_json_get(o, HL_STR("b\n"), &v));
	assert_str(v.raw, "2");
	assert_true(hl_json_get(o, HL_STR("\xc3\xa4"), &v));
	assert_true(hl_json_get(o, HL_STR("\xf0\x9f\x98\x80"), &v));
	assert_str(v.raw, "5");
	assert_true(hl_json_get(o, HL_STR("x\0"), &v));
	assert_true(hl_json_get(o, HL_STR("n"), &v));
	assert_int_equal(v.type, HL_JSON_NULL);
	assert_false(hl_json_get(o, HL_STR("b"), &v));
	assert_false(hl_json_get(o, HL_STR(""), &v));
	assert_false(hl_json_get(o, HL_STR("x"), &v));
	assert_false(hl_json_get(parse("[1]"), HL_STR("a"), &v));
}

static void strings(void **state)
{
	(void)state;
	struct hl_arena a;
	struct hl_str s;
	hl_arena_init(&a, 0);
	struct hl_json v = parse("\"plain\"");
	assert_int_equal(hl_json_string(&a, v, false, &s), 0);
	assert_ptr_equal(s.ptr, v.raw.ptr + 1); /* no copy */
	assert_str(s, "plain");
	assert_int_equal(hl_json_string(&a, parse("\"\""), false, &s), 0);
	assert_int_equal(s.len, 0);
	assert_int_equal(hl_json_string(&a,
			parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20AC\\ud83d\\uDE00z\""), false, &s), 0);
	assert_str(s, "\"\\/\b\f\n\r\tA\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
	assert_int_equal(hl_json_string(&a, (struct hl_json){ HL_JSON_STRING, HL_STR("raw\\tkey") }, false, &s), 0);
	assert_str(s, "raw\tkey");
	assert_int_equal(hl_json_string(&a, (struct hl_json){ HL_JSON_STRING, HL_STR("\\\"") }, false, &s), 0);
	assert_str(s, "\"");
	assert_int_equal(hl_json_string(&a, (struct hl_json){ HL_JSON_STRING, HL_STR("") }, false, &s), 0);
	assert_int_equal(hl_json_string(&a, parse("\"a\\u0000b\""), false, &s), HL_ESYNTAX);
	assert_int_equal(hl_json_string(&a, parse("\"a\\u0000b\""), true, &s), 0);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.ptr, "a\0b", 4);
	static const char *const lone[] = { "\"\\ud800\"", "\"\\udfff\"", "\"\\ud800x\"", "\"\\ud800\\n\"",
			"\"\\ud800\\u0041\"",
		"\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude00\\ude00\"", "\"\\ud800\\ue000\"" };
	for (size_t i = 0; i < COUNT(lone); i++)
		assert_int_equal(hl_json_string(&a, parse(lone[i]), true, &s), HL_ESYNTAX);
	assert_int_equal(hl_json_string(&a, parse("1"), true, &s), HL_EINVAL);
	hl_arena_fini(&a);
	hl_arena_init(&a, 16);
	assert_int_equal(hl_json_string(&a, parse("\"0123456789abcdef\\n\""), true, &s), HL_ENOMEM);
	assert_int_equal(hl_json_string(&a, parse("\"0123456789abcdef\""), true, &s), 0);
	hl_arena_fini(&a);
}

static void scalars(void **state)
{
	(void)state;
	int64_t n = 99;
	bool b = false;
	assert_true(hl_json_i64(parse("-9223372036854775808"), &n) && n == INT64_MIN);
	assert_true(hl_json_i64(parse("-0"), &n) && n == 0);
	assert_true(hl_json_i64(parse("12"), &n) && n == 12);
	static const char *const no[] = { "9223372036854775808", "1.0", "1e2", "\"1\"", "null", "true", "[1]" };
	for (size_t i = 0; i < COUNT(no); i++)
		assert_false(hl_json_i64(parse(no[i]), &n));
	assert_true(n == 12);
	assert_true(hl_json_bool(parse("true"), &b) && b);
	assert_true(hl_json_bool(parse("false"), &b) && !b);
	assert_false(hl_json_bool(parse("1"), &b));
	assert_false(hl_json_bool(parse("\"true\""), &b));
}

enum { F_URL, F_MAX, F_TAGS, F_COUNT };

static int read_table(const char *text, bool refuse_unknown, struct hl_json_field *f, struct hl_err *err)
{
	f[F_URL] = (struct hl_json_field){ "url", 1u << HL_JSON_STRING, true, true, { 0 } };
	f[F_MAX] = (struct hl_json_field){ "max", 1u << HL_JSON_NUMBER | 1u << HL_JSON_NULL, false, true, { 0 } };
	f[F_TAGS] = (struct hl_json_field){ "tags", 1u << HL_JSON_ARRAY, false, true, { 0 } };
	return hl_json_object(parse(text), f, F_COUNT, refuse_unknown, "/webhook", err);
}

static void object_good(void **state)
{
	(void)state;
	struct hl_json_field f[F_COUNT];
	struct hl_err err;
	assert_int_equal(read_table("{\"tags\":[],\"\\u0075rl\":\"x\"}", true, f, &err), 0);
	assert_true(f[F_URL].seen && f[F_TAGS].seen && !f[F_MAX].seen);
	assert_str(f[F_URL].value.raw, "\"x\"");
	assert_int_equal(read_table("{\"max\":null,\"url\":\"x\"}", true, f, &err), 0);
	assert_true(f[F_MAX].seen && f[F_MAX].value.type == HL_JSON_NULL);
	assert_int_equal(read_table("{\"x\":1,\"url\":\"x\",\"x\":{\"url\":1}}", false, f, &err), 0);
}

static void object_bad(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int code;
		const char *field, *says;
	} cases[] = {
		{ "{}", HL_EINVAL, "/webhook/url", "is missing" },
		{ "[]", HL_EINVAL, "/webhook", "must be an object" },
		{ "{\"url\":1}", HL_EINVAL, "/webhook/url", "must be a string" },
		{ "{\"url\":null}", HL_EINVAL, "/webhook/url", "must be a string" },
		{ "{\"url\":\"x\",\"max\":\"1\"}", HL_EINVAL, "/webhook/max", "must be a number or null" },
		{ "{\"url\":\"x\",\"u\\u0072l\":\"y\"}", HL_EDUPLICATE, "/webhook/url", "is given twice" },
		{ "{\"url\":\"x\",\"URL\":\"y\"}", HL_EINVAL, "/webhook/URL", "is not a known member" },
		{ "{\"a~/b\\n\\u0000\\u00e4\xc3\xa4\\ud800\\u007e\":1}", HL_EINVAL,
				"/webhook/a~0~1b??\xc3\xa4\xc3\xa4?~0",
			"is not a known member" },
		{ "{\"\":1}", HL_EINVAL, "/webhook/", "is not a known member" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct hl_json_field f[F_COUNT];
		struct hl_err err;
		assert_int_equal(read_table(cases[i].text, true, f, &err), cases[i].code);
		assert_string_equal(err.field, cases[i].field);
		assert_string_equal(err.text, cases[i].says);
		assert_int_equal(read_table(cases[i].text, true, f, NULL), cases[i].code);
	}
}

/* A name of any length and content fits the error, on a character boundary. */
static void long_names(void **state)
{
	(void)state;
	static const char *const pieces[] = { "a", "\xe2\x82\xac", "\\u20ac", "~", "\\ud83d\\ude00",
			"\xf0\x9f\x98\x80" };
	for (size_t k = 0; k < COUNT(pieces); k++)
		for (int shift = 0; shift < 4; shift++) {
			struct hl_buf b = { 0 };
			struct hl_json_field f[F_COUNT];
			struct hl_err err;
			struct hl_json v;
			hl_buf_fmt(&b, "{\"%.*s", shift, "xxxx");
			for (int i = 0; i < 100; i++)
				hl_buf_cstr(&b, pieces[k]);
			hl_buf_cstr(&b, "\":1}");
			assert_int_equal(read_table(b.data, true, f, &err), HL_EINVAL);
			assert_true(strlen(err.field) > 55 && strlen(err.field) < sizeof err.field);
			hl_buf_reset(&b);
			hl_json_quote(&b, hl_str_from(err.field));
			assert_null(strstr(b.data, "\xef\xbf\xbd"));
			assert_int_equal(hl_json_check(hl_buf_all(&b), 1, &v, NULL), 0);
			hl_buf_fini(&b);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each),
		cmocka_unit_test(slices_are_texts),
		cmocka_unit_test(garbage_stays_inside),
		cmocka_unit_test(get),
		cmocka_unit_test(strings),
		cmocka_unit_test(scalars),
		cmocka_unit_test(object_good),
		cmocka_unit_test(object_bad),
		cmocka_unit_test(long_names),
	};
	return RUN(tests);
}

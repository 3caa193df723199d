/* Readers of members: ranges, forms, null, and the pointer of what is wrong. */
#include "api/reader.h"

#include "base/str.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct hl_arena arena;
static struct hl_err err;
static struct hl_json_field f;

/* Reads {"m": <json>} into f. */
static int with(unsigned types, const char *json)
{
	static char text[512];
	struct hl_reader r = { .arena = &arena, .err = &err };
	snprintf(text, sizeof(text), "{\"m\": %s}", json);
	f = (struct hl_json_field){ .name = "m", .types = types };
	memset(&err, 0, sizeof(err));
	return hl_read_object(&r, hl_str_from(text), false, &f, 1);
}

static struct hl_reader r(void)
{
	return (struct hl_reader){ .arena = &arena, .err = &err };
}

#define REFUSED(call) \
	do { assert_int_equal(call, HL_EINVAL); assert_string_equal(err.field, "/m"); assert_true(err.text[0] != 0); } while (0)

static void test_object(void **state)
{
	struct hl_reader reader = r();
	char deep[300];
	(void)state;
	assert_int_equal(hl_read_object(&reader, HL_STR(""), true, NULL, 0), 0);
	assert_int_equal(hl_read_object(&reader, HL_STR(""), false, NULL, 0), HL_ESYNTAX);
	assert_int_equal(hl_read_object(&reader, HL_STR("{"), false, NULL, 0), HL_ESYNTAX);
	assert_int_equal(hl_read_object(&reader, HL_STR("[]"), false, NULL, 0), HL_EINVAL);
	assert_int_equal(hl_read_object(&reader, HL_STR("{\"a\":1}"), false, NULL, 0), HL_EINVAL);
	assert_string_equal(err.field, "/a");
	assert_int_equal(with(HL_T_NUMBER, "1, \"m\": 2"), HL_EDUPLICATE);
	REFUSED(with(HL_T_NUMBER, "\"x\""));
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	deep[200] = '\0';
	assert_int_equal(with(HL_T_ANY, deep), HL_ESYNTAX);
	assert_int_equal(with(HL_T_ANY, "\"\xff\""), HL_ESYNTAX);
}

static void test_text(void **state)
{
	struct hl_reader reader = r();
	struct hl_str s = HL_STR("before");
	(void)state;
	f = (struct hl_json_field){ .name = "m" };
	assert_int_equal(hl_read_text(&reader, &f, 5, &s), 0);
	assert_true(hl_str_eq(s, HL_STR("before"))); /* absent leaves it alone */
	assert_int_equal(with(HL_T_STRING, "\"\xc3\xa4\xc3\xa4\\u00e4\\n\""), 0);
	assert_int_equal(hl_read_text(&reader, &f, 4, &s), 0);
	assert_true(hl_str_eq(s, HL_STR("\xc3\xa4\xc3\xa4\xc3\xa4\n")));
	REFUSED(hl_read_text(&reader, &f, 3, &s));
	assert_int_equal(with(HL_T_STRING | HL_T_NULL, "null"), 0);
	assert_int_equal(hl_read_text(&reader, &f, 3, &s), 0);
	assert_int_equal(s.len, 0);
	assert_int_equal(with(HL_T_STRING, "\"\\u0000\""), 0);
	assert_int_equal(hl_read_text(&reader, &f, 3, &s), HL_ESYNTAX);
}

static void test_numbers(void **state)
{
	struct hl_reader reader = r();
	uint32_t v = 77;
	static const char *const bad[] = { "0", "11", "-1", "1.0", "1e1", "4294967297", "99999999999999999999" };
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(with(HL_T_NUMBER, bad[i]), 0);
		REFUSED(hl_read_u32(&reader, &f, 1, 10, &v));
	}
	assert_int_equal(v, 77);
	assert_int_equal(with(HL_T_NUMBER, "10"), 0);
	assert_int_equal(hl_read_u32(&reader, &f, 1, 10, &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(with(HL_T_NUMBER | HL_T_NULL, "null"), 0);
	assert_int_equal(hl_read_u32(&reader, &f, 1, 10, &v), 0);
	assert_int_equal(v, 0);
}

static void test_seconds(void **state)
{
	static const struct { const char *text; uint32_t ms; } good[] = {
		{ "1", 1000 }, { "0.001", 1 }, { "12.5", 12500 }, { "0.25", 250 }, { "60", 60000 }, { "60.000", 60000 },
	};
	static const char *const bad[] = { "0", "0.0001", "60.001", "1e1", "-1", "61", "99999999999999999999" };
	struct hl_reader reader = r();
	uint32_t ms = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(with(HL_T_NUMBER, good[i].text), 0);
		assert_int_equal(hl_read_seconds(&reader, &f, 1, 60000, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(with(HL_T_NUMBER, bad[i]), 0);
		REFUSED(hl_read_seconds(&reader, &f, 1, 60000, &ms));
	}
}

static int fruit(struct hl_str s)
{
	return hl_str_eq(s, HL_STR("apple")) ? 3 : -1;
}

static void test_forms(void **state)
{
	struct hl_reader reader = r();
	hl_ms_t at = 1;
	int v = -5;
	(void)state;
	assert_int_equal(with(HL_T_STRING, "\"2026-04-12T20:20:11.1239+02:00\""), 0);
	assert_int_equal(hl_read_time(&reader, &f, &at), 0);
	assert_true(at == 1776018011123);
	assert_int_equal(with(HL_T_STRING, "\"yesterday\""), 0);
	REFUSED(hl_read_time(&reader, &f, &at));
	assert_int_equal(with(HL_T_STRING, "\"apple\""), 0);
	assert_int_equal(hl_read_name(&reader, &f, fruit, "apple", &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(with(HL_T_STRING, "\"pear\""), 0);
	REFUSED(hl_read_name(&reader, &f, fruit, "apple", &v));
	assert_true(hl_word_valid(HL_STR("order.created-2_x"), 128));
	assert_false(hl_word_valid(HL_STR(""), 128));
	assert_false(hl_word_valid(HL_STR("a b"), 128));
	assert_false(hl_word_valid(HL_STR("abc"), 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object), cmocka_unit_test(test_text), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_seconds), cmocka_unit_test(test_forms),
	};
	hl_arena_init(&arena, 0);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	hl_arena_fini(&arena);
	return rc;
}

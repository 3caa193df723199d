/* Slices. */
#include "base_test.h"

static void compare(void **state)
{
	(void)state;
	assert_int_equal(hl_str_cmp(HL_STR("a"), HL_STR("b")), -1);
	assert_int_equal(hl_str_cmp(HL_STR("b"), HL_STR("a")), 1);
	assert_int_equal(hl_str_cmp(HL_STR("ab"), HL_STR("a")), 1);
	assert_int_equal(hl_str_cmp(HL_STR("a"), HL_STR("ab")), -1);
	assert_int_equal(hl_str_cmp(HL_STR_NONE, HL_STR("")), 0);
	assert_int_equal(hl_str_cmp(HL_STR("\x80"), HL_STR("\x7f")), 1);
	assert_int_equal(hl_str_cmp(HL_STR("a\0b"), HL_STR("a\0c")), -1);
	assert_true(hl_str_eq(HL_STR_NONE, HL_STR("")));
	assert_false(hl_str_eq(HL_STR("a\0b"), HL_STR("a\0c")));
	assert_true(hl_str_ieq(HL_STR("Content-TYPE"), HL_STR("cONTENT-type")));
	assert_false(hl_str_ieq(HL_STR("@"), HL_STR("`")));
	assert_false(hl_str_ieq(HL_STR("["), HL_STR("{")));
	assert_false(hl_str_ieq(HL_STR("\xC3\x84"), HL_STR("\xC3\xA4")));
	assert_false(hl_str_ieq(HL_STR("ab"), HL_STR("a")));
}

static void search(void **state)
{
	(void)state;
	assert_true(hl_str_starts(HL_STR("abc"), HL_STR("ab")));
	assert_false(hl_str_starts(HL_STR("a"), HL_STR("ab")));
	assert_true(hl_str_starts(HL_STR_NONE, HL_STR_NONE));
	assert_true(hl_str_ends(HL_STR("abc"), HL_STR("bc")));
	assert_false(hl_str_ends(HL_STR("abc"), HL_STR("b")));
	assert_true(hl_str_ends(HL_STR("abc"), HL_STR("")));
	assert_true(hl_str_contains(HL_STR("xabcx"), HL_STR("abc")));
	assert_false(hl_str_contains(HL_STR("xabx"), HL_STR("abc")));
	assert_true(hl_str_contains(HL_STR_NONE, HL_STR("")));
	assert_false(hl_str_contains(HL_STR_NONE, HL_STR("a")));
	assert_true(hl_str_all_between(HL_STR("abc"), 'a', 'c'));
	assert_false(hl_str_all_between(HL_STR("abd"), 'a', 'c'));
	assert_false(hl_str_all_between(HL_STR("a\xff"), ' ', '~'));
	assert_true(hl_str_all_between(HL_STR_NONE, 'a', 'c'));
}

static void trim_and_split(void **state)
{
	(void)state;
	assert_str(hl_str_trim(HL_STR(" \t\r\n a b \n")), "a b");
	assert_str(hl_str_trim(HL_STR(" \t")), "");
	assert_str(hl_str_trim(HL_STR_NONE), "");
	struct hl_str rest = HL_STR("a,,b,");
	assert_str(hl_str_split(&rest, ','), "a");
	assert_str(hl_str_split(&rest, ','), "");
	assert_str(hl_str_split(&rest, ','), "b");
	assert_non_null(rest.ptr);
	assert_str(hl_str_split(&rest, ','), "");
	assert_null(rest.ptr);
	assert_str(hl_str_split(&rest, ','), "");
	assert_null(rest.ptr);
}

static void unsigned_numbers(void **state)
{
	(void)state;
	uint64_t v = 99;
	assert_true(hl_str_u64(HL_STR("0"), &v) && v == 0);
	assert_true(hl_str_u64(HL_STR("007"), &v) && v == 7);
	assert_true(hl_str_u64(HL_STR("18446744073709551615"), &v) && v == UINT64_MAX);
	v = 99;
	static const char *const bad[] = { "", "18446744073709551616", "99999999999999999999",
			"184467440737095516150", "+1",
		"-1", " 1", "1 ", "1a", "0x1", "1.0", "\xd9\xa1" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(hl_str_u64(hl_str_from(bad[i]), &v));
	assert_false(hl_str_u64(HL_STR("1\0"), &v));
	assert_true(v == 99);
}

static void signed_numbers(void **state)
{
	(void)state;
	int64_t v = 99;
	assert_true(hl_str_i64(HL_STR("-9223372036854775808"), &v) && v == INT64_MIN);
	assert_true(hl_str_i64(HL_STR("9223372036854775807"), &v) && v == INT64_MAX);
	assert_true(hl_str_i64(HL_STR("-0"), &v) && v == 0);
	assert_true(hl_str_i64(HL_STR("-17"), &v) && v == -17);
	v = 99;
	static const char *const bad[] = { "", "-", "--1", "-9223372036854775809", "9223372036854775808", "- 1", "+1" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(hl_str_i64(hl_str_from(bad[i]), &v));
	assert_true(v == 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compare),
		cmocka_unit_test(search),
		cmocka_unit_test(trim_and_split),
		cmocka_unit_test(unsigned_numbers),
		cmocka_unit_test(signed_numbers),
	};
	return RUN(tests);
}

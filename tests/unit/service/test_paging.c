/* Cursors: there and back; every changed bit, other filters and other keys are refused. */
#include "service/paging.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const uint8_t key[16] = "0123456789abcde";

static void test_round_trip(void **state)
{
	static const uint64_t numbers[] = { 1, 255, 1ull << 32, UINT64_MAX };
	(void)state;
	for (size_t i = 0; i < 4; i++)
		for (int newer = 0; newer < 2; newer++) {
			struct hl_page_cursor in = { .newer = newer, .number = numbers[i], .filter = 77 }, out;
			char text[HL_PAGE_CURSOR_CAP];
			hl_page_cursor_format(key, &in, text);
			assert_int_equal(strlen(text), HL_PAGE_CURSOR_LEN);
			assert_int_equal(hl_page_cursor_parse(key, hl_str_from(text), 77, &out), 0);
			assert_int_equal(out.newer, newer);
			assert_true(out.number == numbers[i]);
		}
}

static void test_tampered(void **state)
{
	struct hl_page_cursor in = { .number = 123456, .filter = 42 }, out = { .number = 9 };
	char text[HL_PAGE_CURSOR_CAP];
	(void)state;
	hl_page_cursor_format(key, &in, text);
	for (size_t i = 0; i < HL_PAGE_CURSOR_LEN; i++) {
		char old = text[i];
		text[i] = old == 'A' ? 'B' : 'A';
		assert_int_equal(hl_page_cursor_parse(key, hl_str_from(text), 42, &out), HL_ESYNTAX);
		text[i] = old;
	}
	assert_int_equal(hl_page_cursor_parse(key, hl_str_make(text, 27), 42, &out), HL_ESYNTAX);
	assert_int_equal(hl_page_cursor_parse(key, HL_STR(""), 42, &out), HL_ESYNTAX);
	assert_int_equal(hl_page_cursor_parse(key, HL_STR("!!!!!!!!!!!!!!!!!!!!!!!!!!!!"), 42, &out), HL_ESYNTAX);
	assert_int_equal(out.number, 9);
}

static void test_bound(void **state)
{
	static const uint8_t other[16] = "fedcba987654321";
	struct hl_page_cursor in = { .number = 5, .filter = hl_page_cursor_filter(key, HL_STR("/v1/events 1")) }, out;
	char text[HL_PAGE_CURSOR_CAP];
	(void)state;
	hl_page_cursor_format(key, &in, text);
	assert_int_equal(hl_page_cursor_parse(key, hl_str_from(text), hl_page_cursor_filter(key, HL_STR("/v1/events 2")), &out),
			HL_EMISMATCH);
	assert_int_equal(hl_page_cursor_parse(other, hl_str_from(text), in.filter, &out), HL_ESYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_tampered), cmocka_unit_test(test_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

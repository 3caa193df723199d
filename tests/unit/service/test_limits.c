/* The window begins with the first request, lasts 60 s, and never lets more than the limit through. */
#include "service/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_window(void **state)
{
	struct hl_limits l;
	struct hl_limit_state s;
	(void)state;
	hl_limits_init(&l, 0);
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(hl_limits_take(&l, 7, 1, 50, 1000 + i, &s));
		assert_int_equal(s.limit, 50);
		assert_int_equal(s.remaining, 49 - i);
	}
	assert_false(hl_limits_take(&l, 7, 1, 50, 30000, &s));
	assert_int_equal(s.remaining, 0);
	assert_int_equal(s.reset_s, 31);
	/* just before the end and at the end: fixed from the first request, not sliding */
	assert_false(hl_limits_take(&l, 7, 1, 50, 60999, &s));
	assert_int_equal(s.reset_s, 1);
	assert_true(hl_limits_take(&l, 7, 1, 50, 61000, &s));
	assert_int_equal(s.remaining, 49);
	assert_int_equal(s.reset_s, 60);
	hl_limits_fini(&l);
}

static void test_apart(void **state)
{
	struct hl_limits l;
	struct hl_limit_state s;
	(void)state;
	hl_limits_init(&l, 0);
	assert_true(hl_limits_take(&l, 1, 1, 1, 5, &s));
	assert_false(hl_limits_take(&l, 1, 1, 1, 5, &s));
	assert_true(hl_limits_take(&l, 1, 2, 1, 5, &s));
	assert_true(hl_limits_take(&l, 2, 1, 1, 5, &s));
	/* a limit that was lowered meanwhile */
	assert_true(hl_limits_take(&l, 3, 1, 10, 5, &s));
	assert_true(hl_limits_take(&l, 3, 1, 10, 5, &s));
	assert_false(hl_limits_take(&l, 3, 1, 1, 5, &s));
	assert_int_equal(s.remaining, 0);
	hl_limits_fini(&l);
}

static void test_bounded(void **state)
{
	struct hl_limits l;
	struct hl_limit_state s;
	(void)state;
	hl_limits_init(&l, 100);
	for (uint32_t i = 1; i <= 1000; i++) {
		assert_true(hl_limits_take(&l, i, 0, 1, i, &s));
		assert_true(l.windows.count <= 100);
	}
	/* the newest are still known */
	assert_false(hl_limits_take(&l, 1000, 0, 1, 1000, &s));
	/* ended windows go by themselves */
	for (uint32_t i = 0; i < 60; i++)
		assert_true(hl_limits_take(&l, 5000 + i, 0, 1, 100000, &s));
	assert_true(l.windows.count <= 60);
	hl_limits_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window), cmocka_unit_test(test_apart), cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

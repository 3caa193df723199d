/* The text form of tiers: what is read, and that everything else is refused naming the entry. */
#include "service/tiers.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_default(void **state)
{
	struct hl_tiers t;
	(void)state;
	hl_tiers_init(&t);
	const struct hl_tier *q = hl_tiers_find(&t, HL_STR(""));
	assert_string_equal(q->name, "quant");
	assert_true(q->webhooks && q->batch);
	assert_int_equal(q->rpm, 0);
	assert_ptr_equal(q, hl_tiers_find(&t, HL_STR("quant")));
	assert_null(hl_tiers_find(&t, HL_STR("free")));
}

static void test_parse(void **state)
{
	struct hl_tiers t;
	(void)state;
	assert_int_equal(hl_tiers_parse(HL_STR("pro: webhooks, batch, rpm = 100, max_webhooks=5 ; free: rpm=20,max_enabled_alerts=25; none;"),
			&t, NULL), 0);
	assert_int_equal(t.n, 3);
	assert_string_equal(hl_tiers_find(&t, HL_STR(""))->name, "pro");
	const struct hl_tier *pro = hl_tiers_find(&t, HL_STR("pro")), *free_tier = hl_tiers_find(&t, HL_STR("free"));
	assert_true(pro->webhooks && pro->batch);
	assert_int_equal(pro->rpm, 100);
	assert_int_equal(pro->max_webhooks, 5);
	assert_false(free_tier->webhooks || free_tier->batch);
	assert_int_equal(free_tier->max_enabled_alerts, 25);
	assert_non_null(hl_tiers_find(&t, HL_STR("none")));
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"", ";;", "a b: webhooks", ": webhooks", "a: nothing", "a: rpm", "a: rpm=", "a: rpm=-1", "a: rpm=4294967296", "a: rpm=1x",
		"a: webhooks; a: batch", "a: webhooks=1", "abcdefghijklmnopqrstuvwxyz0123456789",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hl_tiers t = { .n = 99 };
		struct hl_err err = { .code = 0 };
		if (hl_tiers_parse(hl_str_from(bad[i]), &t, &err) != HL_EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(t.n, 99);
		assert_true(err.text[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default), cmocka_unit_test(test_parse), cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The form of a key, its check digits, and the names of scopes. */
#include "service/key_text.h"

#include "base/codec.h"
#include "base/str.h"
#include "fakeenv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_form(void **state)
{
	struct fakeenv f;
	char a[HL_KEY_TEXT_CAP], b[HL_KEY_TEXT_CAP];
	static const uint32_t numbers[] = { 1, 61, 62, 1000000, UINT32_MAX };
	(void)state;
	fakeenv_init(&f, 1);
	for (size_t i = 0; i < 5; i++) {
		uint32_t n;
		hl_key_text_make(&f.env, numbers[i], a);
		hl_key_text_make(&f.env, numbers[i], b);
		assert_int_equal(strlen(a), HL_KEY_TEXT_LEN);
		assert_memory_equal(a, "hlk_", 4);
		assert_memory_equal(a, b, HL_KEY_PREFIX_LEN);
		assert_string_not_equal(a, b);
		for (size_t k = 4; k < HL_KEY_TEXT_LEN; k++)
			assert_true((a[k] >= '0' && a[k] <= '9') || (a[k] >= 'a' && a[k] <= 'z') || (a[k] >= 'A' && a[k] <= 'Z'));
		assert_int_equal(hl_key_text_parse(hl_str_from(a), &n), 0);
		assert_int_equal(n, numbers[i]);
		assert_int_equal(hl_key_prefix_parse(hl_str_make(a, HL_KEY_PREFIX_LEN), &n), 0);
		assert_int_equal(n, numbers[i]);
	}
}

static void test_mistyped(void **state)
{
	struct fakeenv f;
	char text[HL_KEY_TEXT_CAP + 1];
	uint32_t n = 4711;
	(void)state;
	fakeenv_init(&f, 2);
	hl_key_text_make(&f.env, 17, text);
	for (size_t i = 0; i < HL_KEY_TEXT_LEN; i++) {
		char old = text[i];
		text[i] = old == 'x' ? 'y' : 'x';
		assert_int_equal(hl_key_text_parse(hl_str_from(text), &n), HL_ESYNTAX);
		text[i] = old;
	}
	assert_int_equal(hl_key_text_parse(hl_str_make(text, HL_KEY_TEXT_LEN - 1), &n), HL_ESYNTAX);
	assert_int_equal(hl_key_text_parse(HL_STR(""), &n), HL_ESYNTAX);
	/* more than 32 bits in the number */
	assert_int_equal(hl_key_prefix_parse(HL_STR("hlk_zzzzzz"), &n), HL_ESYNTAX);
	assert_int_equal(hl_key_prefix_parse(HL_STR("hlk_00000-"), &n), HL_ESYNTAX);
	assert_int_equal(n, 4711);
}

static void test_scopes(void **state)
{
	unsigned set = 0;
	(void)state;
	assert_true(hl_scopes_parse(HL_STR("publish, read"), &set));
	assert_int_equal(set, HL_SCOPE_PUBLISH | HL_SCOPE_READ);
	assert_false(hl_scopes_parse(HL_STR(""), &set));
	assert_false(hl_scopes_parse(HL_STR("publish,"), &set));
	assert_false(hl_scopes_parse(HL_STR("publish,publish"), &set));
	assert_false(hl_scopes_parse(HL_STR("root"), &set));
	assert_string_equal(hl_scope_name(HL_SCOPE_MANAGE), "manage");
	assert_null(hl_scope_name(HL_SCOPE_ALL));
	assert_int_equal(hl_scope_parse(HL_STR("admin")), HL_SCOPE_ADMIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form), cmocka_unit_test(test_mistyped), cmocka_unit_test(test_scopes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

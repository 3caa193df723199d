/* Error texts and the filling of struct hl_err. */
#include "base_test.h"
#include "base/err.h"

#include <errno.h>

static void names(void **state)
{
	(void)state;
	assert_string_equal(hl_errname(HL_EINVAL), "EINVAL");
	assert_string_equal(hl_errname(HL_EDUPLICATE), "EDUPLICATE");
	assert_string_equal(hl_errname(0), "OK");
	assert_string_equal(hl_errname(1), "E?");
	assert_string_equal(hl_errname(-9999), "E?");
	assert_string_equal(hl_errname(INT32_MIN), "E?");
	assert_string_equal(hl_strerror(HL_EFULL), "the store is full");
	assert_string_equal(hl_strerror(77), "unknown error");
	for (int code = -30; code < 0; code++) {
		assert_string_not_equal(hl_errname(code), "E?");
		assert_true(strlen(hl_strerror(code)) > 0);
	}
}

static void set_and_prefix(void **state)
{
	(void)state;
	struct hl_err e = { 0 };
	assert_int_equal(hl_err_field(&e, HL_EINVAL, "/url", "must be %s", "https"), HL_EINVAL);
	assert_string_equal(e.field, "/url");
	assert_string_equal(e.text, "must be https");
	assert_int_equal(hl_err_prefix(&e, "webhook %d", 7), HL_EINVAL);
	assert_string_equal(e.text, "webhook 7: must be https");
	assert_string_equal(e.field, "/url");
	assert_int_equal(hl_err_set(&e, HL_EIO, "again: %s", e.text), HL_EIO);
	assert_string_equal(e.text, "again: webhook 7: must be https");
	assert_string_equal(e.field, "");
	assert_int_equal(e.code, HL_EIO);
}

static void null_is_allowed(void **state)
{
	(void)state;
	assert_int_equal(hl_err_set(NULL, HL_EKEY, "x"), HL_EKEY);
	assert_int_equal(hl_err_field(NULL, HL_EKEY, "f", "x"), HL_EKEY);
	assert_int_equal(hl_err_prefix(NULL, "x"), HL_EIO);
	assert_int_equal(hl_err_errno(NULL, ENOMEM, "x"), HL_ENOMEM);
}

static void errno_codes(void **state)
{
	(void)state;
	static const int map[][2] = { { ENOMEM, HL_ENOMEM }, { EACCES, HL_EPERM }, { EPERM, HL_EPERM },
		{ EROFS, HL_EPERM }, { ENOENT, HL_ENOTFOUND }, { ENOSPC, HL_EFULL }, { EDQUOT, HL_EFULL },
		{ EIO, HL_EIO }, { EBADF, HL_EIO } };
	struct hl_err e = { .field = "old" };
	for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
		assert_int_equal(hl_err_errno(&e, map[i][0], "open"), map[i][1]);
	assert_int_equal(hl_err_errno(&e, ENOENT, "open %s", "a/b"), HL_ENOTFOUND);
	assert_string_equal(e.text, "open a/b: No such file or directory");
	assert_string_equal(e.field, "");
}

/* Too long is cut, never in the middle of a character. */
static void long_texts(void **state)
{
	(void)state;
	char big[1000];
	for (size_t shift = 0; shift < 3; shift++) {
		struct hl_err e;
		memset(big, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof big; i += 3)
			memcpy(big + i, "\xE2\x82\xAC", 4);
		hl_err_field(&e, HL_EINVAL, big, "%s", big);
		assert_true(strlen(e.text) >= sizeof e.text - 4);
		assert_int_equal((strlen(e.text) - shift) % 3, 0);
		assert_int_equal((strlen(e.field) - shift) % 3, 0);
		assert_true(strlen(e.field) >= sizeof e.field - 4);
		hl_err_prefix(&e, "x");
		assert_int_equal((strlen(e.text) - shift - 3) % 3, 0);
		hl_err_prefix(&e, "%s", big);
		hl_err_errno(&e, EIO, "%s", big);
		assert_int_equal((strlen(e.text) - shift) % 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(set_and_prefix),
		cmocka_unit_test(null_is_allowed),
		cmocka_unit_test(errno_codes),
		cmocka_unit_test(long_texts),
	};
	return RUN(tests);
}

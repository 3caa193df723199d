/* The key file (made once, whole, private; refused when it is not) and what it seals. */
#include "store_test.h"
#include "store/seal.h"
#include <sys/stat.h>

static struct fakeenv env;

static void test_key_file(void **state)
{
	struct tmpdir t;
	char file[TMPDIR_PATH_CAP];
	struct hl_seal_key made, loaded;
	struct hl_err err = { 0 };
	struct stat st;
	(void)state;
	tmpdir_make(&t);
	tmpdir_path(&t, "key", file);
	assert_int_equal(hl_seal_key_load(file, &loaded, &err), HL_EKEY);
	assert_non_null(strstr(err.text, "missing"));
	tmpdir_write(&t, "key.new", "left by a crash");
	assert_int_equal(hl_seal_key_make(file, &env.env, &made, &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(hl_seal_key_load(file, &loaded, &err), 0);
	assert_memory_equal(&made, &loaded, sizeof(made));
	assert_int_equal(hl_seal_key_make(file, &env.env, &made, &err), HL_EEXIST);
	assert_int_equal(chmod(file, 0640), 0);
	assert_int_equal(hl_seal_key_load(file, &loaded, &err), HL_EKEY);
	assert_non_null(strstr(err.text, "read by others"));
	assert_int_equal(chmod(file, 0600), 0);
	const char *const bad[] = { "", "abc\n", "zz00000000000000000000000000000000000000000000000000000000000000\n",
		"000000000000000000000000000000000000000000000000000000000000000000\n" };
	for (size_t i = 0; i < HL_ARRAY_LEN(bad); i++) {
		tmpdir_write(&t, "key", bad[i]);
		assert_int_equal(hl_seal_key_load(file, &loaded, &err), HL_EKEY);
	}
	assert_int_equal(hl_seal_key_load(t.path, &loaded, &err), HL_EKEY);
	tmpdir_remove(&t);
}

static struct hl_seal_key a_key(uint8_t fill)
{
	struct hl_seal_key k;
	memset(&k, fill, sizeof(k));
	return k;
}

static void test_seal_and_open(void **state)
{
	struct hl_seal_key key = a_key(1), other = a_key(2);
	struct hl_buf sealed = { 0 }, again = { 0 }, plain = { 0 };
	struct hl_str secret = HL_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
	(void)state;
	hl_buf_cstr(&sealed, "before:");
	assert_int_equal(hl_seal(&key, &env.env, HL_SEAL_SECRET, 7, secret, &sealed), 0);
	assert_int_equal(sealed.len, 7 + secret.len + HL_SEAL_OVERHEAD);
	assert_memory_equal(sealed.data, "before:", 7);
	struct hl_str value = { sealed.data + 7, sealed.len - 7 };
	assert_false(hl_str_contains(value, HL_STR("whsec_")));
	assert_int_equal(hl_unseal(&key, HL_SEAL_SECRET, 7, value, &plain), 0);
	assert_true(hl_str_eq(hl_buf_all(&plain), secret));
	/* A fresh nonce each time. */
	assert_int_equal(hl_seal(&key, &env.env, HL_SEAL_SECRET, 7, secret, &again), 0);
	assert_false(hl_str_eq(hl_buf_all(&again), value));
	hl_buf_reset(&plain);
	assert_int_equal(hl_unseal(&key, HL_SEAL_SECRET, 8, value, &plain), HL_EKEY);
	assert_int_equal(hl_unseal(&key, HL_SEAL_ANSWER, 7, value, &plain), HL_EKEY);
	assert_int_equal(hl_unseal(&other, HL_SEAL_SECRET, 7, value, &plain), HL_EKEY);
	assert_int_equal(plain.len, 0);
	for (size_t i = 0; i < value.len; i++) {
		sealed.data[7 + i] ^= 1;
		assert_int_equal(hl_unseal(&key, HL_SEAL_SECRET, 7, value, &plain), HL_EKEY);
		sealed.data[7 + i] ^= 1;
		assert_int_equal(hl_unseal(&key, HL_SEAL_SECRET, 7, hl_str_make(value.ptr, i), &plain), HL_EKEY);
	}
	hl_buf_fini(&sealed);
	hl_buf_fini(&again);
	hl_buf_fini(&plain);
}

static void test_seal_nothing(void **state)
{
	struct hl_seal_key key = a_key(1);
	struct hl_buf sealed = { 0 }, plain = { 0 };
	(void)state;
	assert_int_equal(hl_seal(&key, &env.env, HL_SEAL_CHECK, 0, HL_STR_NONE, &sealed), 0);
	assert_int_equal(sealed.len, HL_SEAL_OVERHEAD);
	assert_int_equal(hl_unseal(&key, HL_SEAL_CHECK, 0, hl_buf_all(&sealed), &plain), 0);
	assert_int_equal(plain.len, 0);
	hl_buf_fini(&sealed);
	hl_buf_fini(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_file), cmocka_unit_test(test_seal_and_open), cmocka_unit_test(test_seal_nothing),
	};
	fakeenv_init(&env, 3);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

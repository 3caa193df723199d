/* The receiver's check, against the example of the Standard Webhooks text and everything that must not pass. */
#include "main/verify.h"

#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT "1614265330"
#define GOOD "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define BODY "{\"test\": 2432232314}"
enum { NOW = 1614265330 };

static struct hl_verifier verifier;

static int check(const char *id, const char *at, const char *signatures, const char *body, int64_t now_s)
{
	return hl_verifier_check(&verifier, hl_str_from(id), hl_str_from(at), hl_str_from(signatures), hl_str_from(body), now_s, NULL);
}

static int set_up(void **state)
{
	(void)state;
	verifier.n = 0;
	return hl_verifier_add(&verifier, HL_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), NULL);
}

static void the_example(void **state)
{
	(void)state;
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW), HL_OK);
	assert_int_equal(check(ID, AT, "v1,AAAA v2,x " GOOD, BODY, NOW), HL_OK);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW + 300), HL_OK);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW - 300), HL_OK);
}

static void what_must_not_pass(void **state)
{
	(void)state;
	assert_int_equal(check(ID, AT, GOOD, BODY " ", NOW), HL_EPERM);
	assert_int_equal(check("msg_x", AT, GOOD, BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, "1614265331", GOOD, BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, AT, "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, AT, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, AT, "v1,", BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, AT, "v1,g0hM9SsE+OTPJTGt", BODY, NOW), HL_EPERM);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW + 301), HL_ETIMEDOUT);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW - 301), HL_ETIMEDOUT);
	assert_int_equal(check("", AT, GOOD, BODY, NOW), HL_EINVAL);
	assert_int_equal(check(ID, "", GOOD, BODY, NOW), HL_EINVAL);
	assert_int_equal(check(ID, "16142x", GOOD, BODY, NOW), HL_EINVAL);
	assert_int_equal(check(ID, AT, "", BODY, NOW), HL_EINVAL);
}

static void several_secrets(void **state)
{
	(void)state;
	verifier.n = 0;
	assert_int_equal(hl_verifier_add(&verifier, HL_STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NULL), HL_OK);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW), HL_EPERM);
	assert_int_equal(hl_verifier_add(&verifier, HL_STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), NULL), HL_OK);
	assert_int_equal(check(ID, AT, GOOD, BODY, NOW), HL_OK);
	assert_int_equal(hl_verifier_add(&verifier, HL_STR("whsec_short"), NULL), HL_EINVAL);
	while (verifier.n < HL_VERIFY_SECRETS_MAX)
		assert_int_equal(hl_verifier_add(&verifier, HL_STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NULL), HL_OK);
	assert_int_equal(hl_verifier_add(&verifier, HL_STR("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), NULL), HL_ELIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_example, set_up), cmocka_unit_test_setup(what_must_not_pass, set_up),
		cmocka_unit_test_setup(several_secrets, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Keys without a server: made on a store of the command line's own, good for the service afterwards. */
#include "service/offline.h"
#include "service_test.h"

#include "base/str.h"

static bool count(void *data, const struct hl_key *k, struct hl_str account_id)
{
	assert_true(k->number > 0 && account_id.len > 0);
	(*(int *)data)++;
	return true;
}

static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct hl_key spec = { .scopes = HL_SCOPE_ADMIN, .name = HL_STR("first") }, k;
	char text[HL_KEY_TEXT_CAP], second[HL_KEY_TEXT_CAP];
	struct hl_err err;
	int n = 0;
	assert_int_equal(hl_offline_prepare(f->store, &f->env.env, &err), 0);
	assert_int_equal(hl_offline_key_create(f->store, &f->env.env, HL_STR(""), &spec, text, &err), 0);
	assert_int_equal(hl_offline_key_create(f->store, &f->env.env, HL_STR("default"), &spec, second, &err), 0);
	assert_int_equal(hl_offline_key_create(f->store, &f->env.env, HL_STR("nobody"), &spec, text + 0, &err), HL_ENOTFOUND);
	spec.scopes = 0;
	assert_int_equal(hl_offline_key_create(f->store, &f->env.env, HL_STR(""), &spec, second + 0, &err), HL_EINVAL);
	assert_int_equal(hl_offline_key_each(f->store, HL_STR(""), count, &n, &err), 0);
	assert_int_equal(n, 2);
	reopen(f);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
	assert_int_equal(k.account, 1);
	assert_int_equal(k.scopes, HL_SCOPE_ADMIN);
	step(f);
	/* by prefix, and by the whole text */
	assert_int_equal(hl_offline_key_revoke(f->store, &f->env.env, hl_str_make(text, HL_KEY_PREFIX_LEN), &err), 0);
	assert_int_equal(hl_offline_key_revoke(f->store, &f->env.env, hl_str_from(second), &err), 0);
	assert_int_equal(hl_offline_key_revoke(f->store, &f->env.env, HL_STR("hlk_000zzz"), &err), HL_ENOTFOUND);
	assert_int_equal(hl_offline_key_revoke(f->store, &f->env.env, HL_STR("nonsense"), &err), HL_ENOTFOUND);
	reopen(f);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), HL_EPERM);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(second), &k), HL_EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(test_keys, setup, teardown) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

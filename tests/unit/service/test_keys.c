/* Keys on a real store: who gets in, who does not, and what is kept of a key. */
#include "service_test.h"

#include "base/str.h"
#include "store/accounts.h"

static int create(struct fixture *f, struct hl_key k, const struct hl_idempotency *idem)
{
	int rc = hl_key_create(f->service, &k, idem, on_key, f, &f->err);
	if (rc)
		return rc;
	step(f);
	return f->status;
}

static struct hl_key plain(void)
{
	return (struct hl_key){ .account = 1, .scopes = HL_SCOPE_PUBLISH | HL_SCOPE_READ, .name = HL_STR("ci") };
}

static void test_lets_in(void **state)
{
	struct fixture *f = *state;
	struct hl_key k;
	char text[HL_KEY_TEXT_CAP];
	assert_int_equal(create(f, plain(), NULL), 0);
	strcpy(text, f->secret);
	assert_int_equal(strlen(text), HL_KEY_TEXT_LEN);
	assert_memory_equal(f->key.prefix, text, HL_KEY_PREFIX_LEN);
	assert_string_equal(f->key.last4, text + HL_KEY_TEXT_LEN - 4);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
		assert_int_equal(k.scopes, HL_SCOPE_PUBLISH | HL_SCOPE_READ);
		assert_int_equal(k.account, 1);
		assert_true(hl_str_eq(k.name, HL_STR("ci")));
		reopen(f);
	}
}

static void test_keeps_out(void **state)
{
	struct fixture *f = *state;
	struct hl_key k;
	char forged[HL_KEY_TEXT_CAP];
	struct fakeenv other;
	assert_int_equal(create(f, plain(), NULL), 0);
	/* right number, right check digits, another secret */
	fakeenv_init(&other, 99);
	hl_key_text_make(&other.env, f->key.number, forged);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(forged), &k), HL_ENOTFOUND);
	hl_key_text_make(&other.env, 12345, forged);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(forged), &k), HL_ENOTFOUND);
	assert_int_equal(hl_key_authenticate(f->service, HL_STR("hlk_"), &k), HL_ENOTFOUND);
	assert_int_equal(hl_key_authenticate(f->service, HL_STR(""), &k), HL_ENOTFOUND);
}

static void test_revoked_and_expired(void **state)
{
	struct fixture *f = *state;
	struct hl_key k, v = plain();
	char text[HL_KEY_TEXT_CAP];
	v.expires_at_ms = fakeenv_epoch_ms + 10000;
	assert_int_equal(create(f, v, NULL), 0);
	strcpy(text, f->secret);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
	fakeenv_advance(&f->env, 10000);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), HL_ETIMEDOUT);
	v.expires_at_ms = fakeenv_epoch_ms;
	assert_int_equal(create(f, v, NULL), HL_EINVAL);
	assert_string_equal(f->err.field, "/expires_at");

	assert_int_equal(create(f, plain(), NULL), 0);
	strcpy(text, f->secret);
	uint32_t number = f->key.number;
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
	assert_int_equal(hl_key_revoke(f->service, number, on_key, f, NULL), 0);
	step(f);
	assert_int_equal(f->status, 0);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), HL_EPERM);
	hl_ms_t at = f->key.revoked_at_ms;
	fakeenv_advance(&f->env, 1000);
	assert_int_equal(hl_key_revoke(f->service, number, on_key, f, NULL), 0);
	step(f);
	assert_true(f->key.revoked_at_ms == at); /* the first time counts */
	assert_int_equal(hl_key_get(f->service, number, &k), 0); /* still listed */
	assert_int_equal(hl_key_revoke(f->service, 4711, on_key, f, NULL), HL_ENOTFOUND);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct hl_key v = plain();
	v.scopes = 0;
	assert_int_equal(create(f, v, NULL), HL_EINVAL);
	v.scopes = 1 << 20;
	assert_int_equal(create(f, v, NULL), HL_EINVAL);
	v = plain();
	v.account = 77;
	assert_int_equal(create(f, v, NULL), HL_ENOTFOUND);
	assert_string_equal(f->err.field, "/account");
}

/* Nothing in the row leads back to the key. */
static void test_stored_hash_only(void **state)
{
	struct fixture *f = *state;
	struct hl_key_row row;
	struct hl_buf raw = { .data = NULL };
	assert_int_equal(create(f, plain(), NULL), 0);
	assert_true(hl_key_row_get(hl_store_read(f->store), f->key.number, &row));
	hl_key_row_encode(&raw, &row);
	struct hl_str secret = { f->secret + HL_KEY_PREFIX_LEN, 16 };
	assert_false(hl_str_contains(hl_buf_all(&raw), secret));
	hl_buf_fini(&raw);
}

static void test_used(void **state)
{
	struct fixture *f = *state;
	struct hl_key k;
	char text[HL_KEY_TEXT_CAP];
	assert_int_equal(create(f, plain(), NULL), 0);
	strcpy(text, f->secret);
	uint32_t number = f->key.number;
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
	assert_int_equal(hl_commit_backlog(f->commit), 1);
	step(f);
	for (int i = 0; i < 59; i++) {
		fakeenv_advance(&f->env, 1000);
		assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
		assert_int_equal(hl_commit_backlog(f->commit), 0); /* once a minute */
	}
	fakeenv_advance(&f->env, 1000);
	assert_int_equal(hl_key_authenticate(f->service, hl_str_from(text), &k), 0);
	assert_int_equal(hl_commit_backlog(f->commit), 1);
	reopen(f);
	assert_int_equal(hl_key_get(f->service, number, &k), 0);
	assert_true(k.last_used_at_ms == fakeenv_epoch_ms + 60000);
}

static void test_once_seals(void **state)
{
	struct fixture *f = *state;
	struct hl_idempotency idem = once("key-1", 7);
	char text[HL_KEY_TEXT_CAP], expected[128];
	assert_int_equal(create(f, plain(), &idem), 0);
	strcpy(text, f->secret);
	assert_int_equal(create(f, plain(), &idem), 0);
	assert_true(f->replayed);
	snprintf(expected, sizeof(expected), "answer:%s", text);
	assert_string_equal(f->answer, expected);
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct hl_account a = { .id = HL_STR("b"), .name = HL_STR(""), .tier = HL_STR(""), .email = HL_STR(""),
		.preferred_currency = HL_STR("") };
	struct hl_key v[10], k = plain();
	struct hl_page page = { .limit = 3 };
	struct hl_page_info info;
	size_t n;
	assert_int_equal(hl_account_create(f->service, &a, NULL, on_account, f, NULL), 0);
	step(f);
	uint32_t b = f->account.number;
	for (int i = 0; i < 8; i++) {
		k.account = i % 2 ? b : 1;
		assert_int_equal(create(f, k, NULL), 0);
	}
	assert_int_equal(hl_key_list(f->service, b, &page, v, &n, &info), 0);
	assert_int_equal(n, 3);
	assert_true(info.has_older && !info.has_newer);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(v[i].account, b);
	page.before = v[2].number;
	assert_int_equal(hl_key_list(f->service, b, &page, v, &n, &info), 0);
	assert_int_equal(n, 1);
	assert_false(info.has_older);
	page = (struct hl_page){ .limit = 10 };
	assert_int_equal(hl_key_list(f->service, 0, &page, v, &n, &info), 0);
	assert_int_equal(n, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_lets_in), T(test_keeps_out), T(test_revoked_and_expired), T(test_refused), T(test_stored_hash_only),
		T(test_used), T(test_once_seals), T(test_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

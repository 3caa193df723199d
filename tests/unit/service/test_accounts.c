/* Accounts on a real store: creation, ids, changes, caches, once per idempotency key, pages. */
#include "service_test.h"

#include "base/str.h"

static struct hl_account named(const char *id)
{
	return (struct hl_account){ .id = hl_str_from(id), .name = HL_STR("N"), .tier = HL_STR(""), .email = HL_STR(""),
		.preferred_currency = HL_STR("") };
}

static int create(struct fixture *f, const char *id, const struct hl_idempotency *idem)
{
	struct hl_account a = named(id);
	int before = f->n_done;
	int rc = hl_account_create(f->service, &a, idem, on_account, f, &f->err);
	if (rc)
		return rc;
	assert_int_equal(f->n_done, before); /* never before the call returned */
	step(f);
	assert_int_equal(f->n_done, before + 1);
	return f->status;
}

static void test_default(void **state)
{
	struct fixture *f = *state;
	struct hl_account a;
	assert_int_equal(hl_account_get(f->service, HL_ACCOUNT_DEFAULT, &a), 0);
	assert_true(hl_str_eq(a.id, HL_STR("default")));
	assert_false(a.disabled);
	assert_string_equal(hl_service_tier(f->service, &a)->name, "quant");
	assert_int_equal(hl_account_find(f->service, HL_STR("default"), &a), 0);
	assert_int_equal(a.number, 1);
	reopen(f);
	assert_int_equal(hl_account_find(f->service, HL_STR("default"), &a), 0);
	assert_int_equal(a.number, 1);
}

static void test_create(void **state)
{
	struct fixture *f = *state;
	struct hl_account a;
	assert_int_equal(create(f, "acme", NULL), 0);
	uint32_t number = f->account.number;
	assert_true(number > 1);
	assert_int_equal(create(f, "acme", NULL), HL_EEXIST);
	assert_string_equal(f->err.field, "/id");
	assert_int_equal(create(f, "default", NULL), HL_EEXIST);
	/* two at once: the second finds the first although both were handed over before */
	struct hl_account twin = named("twin");
	assert_int_equal(hl_account_create(f->service, &twin, NULL, on_account, f, NULL), 0);
	assert_int_equal(hl_account_create(f->service, &twin, NULL, on_account, f, NULL), 0);
	step(f);
	assert_int_equal(f->status, HL_EEXIST);
	/* made ids */
	assert_int_equal(create(f, "", NULL), 0);
	assert_int_equal(f->account.id.len, HL_ID_LEN);
	reopen(f);
	assert_int_equal(hl_account_find(f->service, HL_STR("acme"), &a), 0);
	assert_int_equal(a.number, number);
	assert_int_equal(hl_account_find(f->service, HL_STR("nobody"), &a), HL_ENOTFOUND);
	assert_int_equal(hl_account_find(f->service, HL_STR(""), &a), HL_ENOTFOUND);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct hl_account a;
	char long_id[66];
	memset(long_id, 'a', 65);
	long_id[65] = '\0';
	assert_int_equal(create(f, "a b", NULL), HL_EINVAL);
	assert_int_equal(create(f, long_id, NULL), HL_EINVAL);
	assert_int_equal(create(f, "ä", NULL), HL_EINVAL);
#define REFUSED(member, text, pointer) \
	a = named("x"); a.member = HL_STR(text); \
	assert_int_equal(hl_account_create(f->service, &a, NULL, on_account, f, &f->err), HL_EINVAL); \
	assert_string_equal(f->err.field, pointer)
	REFUSED(tier, "gold", "/tier");
	REFUSED(email, "no-at-sign", "/email");
	REFUSED(email, "@x", "/email");
	REFUSED(email, "a@b@c", "/email");
	REFUSED(email, "a b@c", "/email");
	REFUSED(preferred_currency, "usd", "/preferred_currency");
	REFUSED(preferred_currency, "EURO", "/preferred_currency");
	assert_int_equal(hl_account_find(f->service, HL_STR("x"), &a), HL_ENOTFOUND);
}

static void test_update(void **state)
{
	struct fixture *f = *state;
	struct hl_account a, v = named("ignored");
	assert_int_equal(create(f, "acme", NULL), 0);
	uint32_t number = f->account.number;
	hl_ms_t created = f->account.created_at_ms;
	assert_int_equal(hl_account_get(f->service, number, &a), 0); /* cached now */
	fakeenv_advance(&f->env, 5000);
	v.email = HL_STR("ops@example.com");
	v.disabled = true;
	assert_int_equal(hl_account_update(f->service, number, HL_AF_EMAIL | HL_AF_DISABLED, &v, on_account, f, NULL), 0);
	step(f);
	assert_int_equal(f->status, 0);
	assert_int_equal(hl_account_get(f->service, number, &a), 0);
	assert_true(a.disabled);
	assert_true(hl_str_eq(a.email, HL_STR("ops@example.com")));
	assert_true(hl_str_eq(a.id, HL_STR("acme")));
	assert_true(hl_str_eq(a.name, HL_STR("N")));
	assert_true(a.created_at_ms == created && a.updated_at_ms == created + 5000);
	assert_int_equal(hl_account_update(f->service, 999, HL_AF_NAME, &v, on_account, f, NULL), HL_ENOTFOUND);
}

static void test_once(void **state)
{
	struct fixture *f = *state;
	struct hl_idempotency a = once("k1", 1), other = once("k1", 2), b = once("k2", 1);
	struct hl_account found;
	assert_int_equal(create(f, "one", &a), 0);
	assert_false(f->replayed);
	/* the same again changes nothing, although the id is taken */
	assert_int_equal(create(f, "one", &a), 0);
	assert_true(f->replayed);
	assert_string_equal(f->answer, "answer:");
	assert_int_equal(create(f, "two", &other), HL_EMISMATCH);
	assert_int_equal(hl_account_find(f->service, HL_STR("two"), &found), HL_ENOTFOUND);
	/* a failure keeps nothing: the key is free */
	assert_int_equal(create(f, "one", &b), HL_EEXIST);
	assert_int_equal(create(f, "three", &b), 0);
	assert_false(f->replayed);
	/* kept over a restart, forgotten after 48 h */
	reopen(f);
	assert_int_equal(create(f, "one", &a), 0);
	assert_true(f->replayed);
	fakeenv_advance(&f->env, 48 * 3600 * 1000 + 1);
	assert_int_equal(create(f, "four", &a), 0);
	assert_false(f->replayed);
}

static void test_pages(void **state)
{
	struct fixture *f = *state;
	struct hl_account v[10];
	struct hl_page_info info;
	struct hl_page page = { .limit = 4 };
	size_t n;
	for (int i = 0; i < 9; i++) {
		char id[8];
		snprintf(id, sizeof(id), "a%d", i);
		assert_int_equal(create(f, id, NULL), 0);
	}
	/* ten with the default one: 4, 4, 2 and back */
	uint64_t seen = UINT64_MAX, ends[3][2];
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hl_account_list(f->service, &page, v, &n, &info), 0);
		assert_int_equal(n, i < 2 ? 4 : 2);
		assert_int_equal(info.has_older, i < 2);
		assert_int_equal(info.has_newer, i > 0);
		for (size_t k = 0; k < n; k++) {
			assert_true(v[k].number < seen);
			seen = v[k].number;
		}
		ends[i][0] = v[0].number;
		ends[i][1] = v[n - 1].number;
		page.before = v[n - 1].number;
	}
	assert_true(seen == HL_ACCOUNT_DEFAULT);
	page = (struct hl_page){ .limit = 4, .after = ends[2][0] };
	for (int i = 1; i >= 0; i--) {
		assert_int_equal(hl_account_list(f->service, &page, v, &n, &info), 0);
		assert_int_equal(n, 4);
		assert_true(v[0].number == ends[i][0] && v[3].number == ends[i][1]);
		assert_true(info.has_older);
		assert_int_equal(info.has_newer, i > 0);
		page.after = v[0].number;
	}
	assert_int_equal(hl_account_list(f->service, &page, v, &n, &info), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_default), T(test_create), T(test_refused), T(test_update), T(test_once), T(test_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

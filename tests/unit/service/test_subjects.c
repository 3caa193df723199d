/* Servers: create, change, delete; another account's answer like none. */
#include "service_test.h"

#include "base/str.h"

static uint64_t create(struct fixture *f, uint32_t account, const char *name)
{
	struct hl_subject v = { .account = account, .name = hl_str_from(name), .status = HL_STR("") };
	assert_int_equal(hl_subject_create(f->service, &v, NULL, on_subject, f, &f->err), 0);
	step(f);
	assert_int_equal(f->status, 0);
	return f->subject.number;
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	struct hl_subject v, change = { .name = HL_STR("ignored"), .status = HL_STR("online") };
	uint64_t n = create(f, 1, "eu-1");
	fakeenv_advance(&f->env, 1000);
	assert_int_equal(hl_subject_update(f->service, 1, n, HL_SF_STATUS, &change, on_subject, f, NULL), 0);
	step(f);
	assert_true(hl_str_eq(f->subject.name, HL_STR("eu-1")));
	assert_true(hl_str_eq(f->subject.status, HL_STR("online")));
	assert_true(f->subject.updated_at_ms == f->subject.created_at_ms + 1000);
	reopen(f);
	assert_int_equal(hl_subject_get(f->service, 1, n, &v), 0);
	assert_int_equal(hl_subject_delete(f->service, 1, n, on_other, f, NULL), 0);
	step(f);
	assert_int_equal(f->status, 0);
	assert_int_equal(hl_subject_get(f->service, 1, n, &v), HL_ENOTFOUND);
	assert_int_equal(hl_subject_delete(f->service, 1, n, on_other, f, NULL), HL_ENOTFOUND);
	assert_true(create(f, 1, "eu-2") > n); /* numbers are never used again */
}

static void test_foreign(void **state)
{
	struct fixture *f = *state;
	struct hl_subject v, change = { .name = HL_STR("x"), .status = HL_STR("") };
	uint64_t n = create(f, 1, "mine");
	assert_int_equal(hl_subject_get(f->service, 2, n, &v), HL_ENOTFOUND);
	assert_int_equal(hl_subject_update(f->service, 2, n, HL_SF_NAME, &change, on_subject, f, NULL), HL_ENOTFOUND);
	assert_int_equal(hl_subject_delete(f->service, 2, n, on_other, f, NULL), HL_ENOTFOUND);
}

static void test_list(void **state)
{
	struct fixture *f = *state;
	struct hl_subject v[4];
	struct hl_page page = { .limit = 2 };
	struct hl_page_info info;
	size_t n;
	uint64_t a = create(f, 1, "a"), b = create(f, 2, "other"), c = create(f, 1, "c"), d = create(f, 1, "d");
	(void)b;
	assert_int_equal(hl_subject_list(f->service, 1, &page, v, &n, &info), 0);
	assert_int_equal(n, 2);
	assert_true(v[0].number == d && v[1].number == c && info.has_older);
	page.before = c;
	assert_int_equal(hl_subject_list(f->service, 1, &page, v, &n, &info), 0);
	assert_true(n == 1 && v[0].number == a && !info.has_older && info.has_newer);
	page = (struct hl_page){ .limit = 2, .after = a };
	assert_int_equal(hl_subject_list(f->service, 1, &page, v, &n, &info), 0);
	assert_true(n == 2 && v[0].number == d && v[1].number == c && !info.has_newer);
	page = (struct hl_page){ .limit = 2 };
	assert_int_equal(hl_subject_list(f->service, 3, &page, v, &n, &info), 0);
	assert_int_equal(n, 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct hl_subject v = { .account = 1, .name = HL_STR(""), .status = HL_STR("") };
	assert_int_equal(hl_subject_create(f->service, &v, NULL, on_subject, f, &f->err), HL_EINVAL);
	assert_string_equal(f->err.field, "/name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_life), T(test_foreign), T(test_list), T(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

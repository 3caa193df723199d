/* Errors of the library as problems, and problems as JSON. */
#include "api/problem.h"

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static json_t *written(const struct hl_problem *p)
{
	struct hl_buf out = { .data = NULL };
	assert_string_equal(hl_problem_write(&out, p), "application/problem+json");
	json_t *j = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	if (!j)
		fail_msg("not JSON: %s", out.data);
	hl_buf_fini(&out);
	return j;
}

static const char *text(json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static void test_every_kind(void **state)
{
	(void)state;
	for (int k = 0; k < HL_PROBLEM_N; k++) {
		struct hl_problem p = { .kind = (enum hl_problem_kind)k };
		json_t *j = written(&p);
		assert_string_equal(text(j, "code"), hl_problem_code(&p));
		assert_int_equal(json_integer_value(json_object_get(j, "status")), hl_problem_status(&p));
		assert_true(strlen(text(j, "title")) > 0);
		assert_true(strlen(text(j, "detail")) > 0);
		assert_string_equal(text(j, "type"), "about:blank");
		assert_null(json_object_get(j, "errors"));
		json_decref(j);
		for (int other = 0; other < k; other++) {
			struct hl_problem o = { .kind = (enum hl_problem_kind)other };
			assert_string_not_equal(hl_problem_code(&p), hl_problem_code(&o));
		}
	}
}

static void test_members(void **state)
{
	struct hl_err err = { .code = 0 };
	(void)state;
	int rc = hl_err_field(&err, HL_EINVAL, "/time\"out", "must be \"small\"");
	struct hl_problem p = hl_problem_from(rc, &err);
	json_t *j = written(&p);
	assert_int_equal(json_integer_value(json_object_get(j, "status")), 422);
	json_t *e = json_array_get(json_object_get(j, "errors"), 0);
	assert_string_equal(text(e, "pointer"), "/time\"out");
	assert_string_equal(text(e, "detail"), "must be \"small\"");
	assert_string_equal(text(j, "detail"), "/time\"out: must be \"small\"");
	json_decref(j);
	struct hl_problem scope = { .kind = HL_PROBLEM_MISSING_SCOPE, .extra_name = "scope", .extra = HL_STR("read") };
	j = written(&scope);
	assert_string_equal(text(j, "scope"), "read");
	json_decref(j);
}

static void test_from(void **state)
{
	static const struct { int code; unsigned status; const char *name; } cases[] = {
		{ HL_EINVAL, 422, "invalid" }, { HL_EDUPLICATE, 422, "invalid" }, { HL_ESYNTAX, 400, "bad_json" },
		{ HL_ENOTFOUND, 404, "not_found" }, { HL_EEXIST, 409, "already_exists" }, { HL_ECONFLICT, 409, "conflict" },
		{ HL_EMISMATCH, 409, "idempotency_mismatch" }, { HL_ELIMIT, 409, "limit_reached" },
		{ HL_EURL, 422, "url_not_allowed" }, { HL_EBLOCKED, 422, "address_blocked" }, { HL_ETOOBIG, 413, "too_large" },
		{ HL_EBUSY, 503, "busy" }, { HL_EFATAL, 503, "store_failed" }, { HL_ECANCELED, 503, "shutting_down" },
		{ HL_EFULL, 507, "store_full" }, { HL_ECORRUPT, 500, "internal" }, { -9999, 500, "internal" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hl_problem p = hl_problem_from(cases[i].code, NULL);
		assert_int_equal(hl_problem_status(&p), cases[i].status);
		assert_string_equal(hl_problem_code(&p), cases[i].name);
		if (cases[i].status >= 503)
			assert_true(hl_problem_retry_s(p.kind) > 0);
	}
}

/* What broke inside is not the caller's business. */
static void test_internal_says_nothing(void **state)
{
	struct hl_err err = { .code = 0 };
	(void)state;
	struct hl_problem p = hl_problem_from(hl_err_set(&err, HL_ECORRUPT, "row 17 of secrets is damaged"), &err);
	json_t *j = written(&p);
	assert_null(strstr(text(j, "detail"), "row 17"));
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_kind), cmocka_unit_test(test_members), cmocka_unit_test(test_from),
		cmocka_unit_test(test_internal_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

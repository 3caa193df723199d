/* Answers kept for work that ends later: one at a time per key, kept, abandoned, open at the end. */
#include "service_test.h"

#include "base/buf.h"
#include "base/str.h"

static void test_kept(void **state)
{
	struct fixture *f = *state;
	struct hl_idempotency idem = once("k", 1), other = once("k", 2);
	struct hl_answer *a, *b;
	struct hl_buf out = { .data = NULL };
	assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &a), 0);
	assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &b), HL_EBUSY);
	assert_int_equal(hl_answer_begin(f->service, 2, &idem, &out, &b), 0); /* another account's key is another key */
	hl_answer_abandon(b);
	assert_int_equal(hl_answer_keep(a, HL_STR("{\"done\":1}"), on_other, f), 0);
	assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &b), HL_EBUSY); /* until it is durable */
	step(f);
	assert_int_equal(f->status, 0);
	assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &b), HL_EEXIST);
	assert_true(hl_str_eq(hl_buf_all(&out), HL_STR("{\"done\":1}")));
	assert_int_equal(hl_answer_begin(f->service, 1, &other, &out, &b), HL_EMISMATCH);
	hl_buf_fini(&out);
}

static void test_abandoned(void **state)
{
	struct fixture *f = *state;
	struct hl_idempotency idem = once("k", 1);
	struct hl_answer *a;
	struct hl_buf out = { .data = NULL };
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &a), 0);
		hl_answer_abandon(a);
	}
	assert_int_equal(hl_answer_begin(f->service, 1, &idem, &out, &a), 0);
	/* open at the end: the service forgets it without leaking (teardown) */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_kept), T(test_abandoned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

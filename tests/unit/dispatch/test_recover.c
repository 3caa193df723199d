/* Recovery of many failed deliveries. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define A HL_ACCOUNT_DEFAULT
#define URL "https://a.example/hook"

static int setup(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));
	fx_init(f);
	fx_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fx *f = *state;
	fx_fini(f);
	free(f);
	return 0;
}

static uint64_t recover(struct fx *f, const struct hl_recover *r, int status)
{
	struct fx_result out = { 0 };
	assert_int_equal(hl_webhook_recover(f->d, A, r, fx_on_count, &out, NULL), 0);
	assert_false(out.called);
	fx_pump(f);
	assert_true(out.called);
	assert_int_equal(out.status, status);
	return out.number;
}

static uint64_t in_state(struct fx *f, uint32_t webhook, enum hl_delivery_state state)
{
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, A, webhook, &s), 0);
	return s.by_state[state];
}

/* n failed deliveries of alternating type. */
static uint32_t failed(struct fx *f, int n)
{
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 400 });
	for (int i = 0; i < n; i++)
		fx_publish(f, i % 2 ? "odd" : "even", "{}");
	fx_advance(f, 1000);
	assert_int_equal(in_state(f, w, HL_DELIVERY_FAILED), n);
	fx_unscript(f);
	fx_forget(f);
	return w;
}

static void dry_run_counts_only(void **state)
{
	struct fx *f = *state;
	uint32_t w = failed(f, 30);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = -1, .dry_run = true }, 0), 30);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = -1, .type = HL_STR("odd"),
						 .dry_run = true }, 0), 15);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = HL_CLASS_TIMEOUT, .dry_run = true }, 0),
			0);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = HL_CLASS_HTTP_STATUS,
						 .dry_run = true }, 0), 30);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = -1, .since_ms = fx_now(f),
						 .dry_run = true }, 0), 0);
	fx_advance(f, 60000);
	assert_int_equal(f->n_requests, 0);
	assert_int_equal(in_state(f, w, HL_DELIVERY_FAILED), 30);
}

static void matching_ones_are_sent_again(void **state)
{
	struct fx *f = *state;
	uint32_t w = failed(f, 700); /* more than one slice of the job */
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = -1, .type = HL_STR("even") }, 0), 350);
	fx_advance(f, 60000);
	assert_int_equal(f->n_requests, 350);
	assert_int_equal(in_state(f, w, HL_DELIVERY_SUCCEEDED), 350);
	assert_int_equal(in_state(f, w, HL_DELIVERY_FAILED), 350);
	assert_int_equal(recover(f, &(struct hl_recover){ .webhook = w, .error_class = -1 }, 0), 350);
	fx_advance(f, 60000);
	assert_int_equal(in_state(f, w, HL_DELIVERY_FAILED), 0);
}

static void a_recovery_survives_a_crash(void **state)
{
	struct fx *f = *state;
	uint32_t w = failed(f, 700);
	struct fx_result out = { 0 };
	struct hl_recover r = { .webhook = w, .error_class = -1 };
	assert_int_equal(hl_webhook_recover(f->d, A, &r, fx_on_count, &out, NULL), 0);
	while (!out.called)
		assert_true(fx_turn(f));
	assert_int_equal(out.number, 700);
	fx_turn(f); /* a slice perhaps */
	fx_crash(f);
	fx_advance(f, 120000);
	assert_int_equal(in_state(f, w, HL_DELIVERY_FAILED), 0);
	assert_int_equal(in_state(f, w, HL_DELIVERY_PENDING), 0);
}

static void refusals(void **state)
{
	struct fx *f = *state;
	struct hl_err err = { 0 };
	struct fx_result out = { 0 }, del = { 0 };
	uint32_t w = failed(f, 2);
	struct hl_recover r = { .webhook = w, .error_class = -1 };
	assert_int_equal(hl_webhook_recover(f->d, 2, &r, fx_on_count, &out, &err), HL_ENOTFOUND);
	r.type = HL_STR("a b");
	assert_int_equal(hl_webhook_recover(f->d, A, &r, fx_on_count, &out, &err), HL_EINVAL);
	assert_string_equal(err.field, "/type");
	r = (struct hl_recover){ .webhook = w, .error_class = -1, .since_ms = 10, .until_ms = 5 };
	assert_int_equal(hl_webhook_recover(f->d, A, &r, fx_on_count, &out, &err), HL_EINVAL);
	r = (struct hl_recover){ .webhook = w, .error_class = -1 };
	assert_int_equal(hl_webhook_recover(f->d, A, &r, fx_on_count, &out, &err), 0);
	assert_int_equal(hl_webhook_delete(f->d, A, w, false, fx_on_webhook, &del, NULL), 0);
	fx_pump(f);
	assert_true(out.called); /* deleted meanwhile: either order is right, no delivery is sent */
	fx_advance(f, 60000);
	assert_int_equal(f->n_requests, 0);
	assert_int_equal(hl_webhook_recover(f->d, A, &r, fx_on_count, &out, &err), HL_ENOTFOUND);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(dry_run_counts_only), T(matching_ones_are_sent_again),
		T(a_recovery_survives_a_crash), T(refusals) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

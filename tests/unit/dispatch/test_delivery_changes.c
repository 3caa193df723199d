/* Retrying, cancelling, trying anew, testing and verifying. */
#include "fixture.h"

#include "dispatch/queues.h"

#include "dispatch/engine.h"

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

/* Publishes one event to a webhook that answers with `status` so often (0 = always); the first attempt has ended. */
static uint64_t one(struct fx *f, uint32_t *webhook, unsigned status, unsigned times)
{
	struct hl_event e;
	*webhook = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = status, .times = times });
	uint64_t event = fx_publish(f, "a", "{\"n\":1}");
	fx_advance(f, 100);
	assert_int_equal(hl_event_get(f->d, A, event, &e), 0);
	return e.first_delivery;
}

static struct fx_result retry(struct fx *f, uint64_t number)
{
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry(f->d, A, number, fx_on_delivery, &r, NULL), 0);
	assert_false(r.called);
	fx_pump(f);
	assert_true(r.called);
	return r;
}

static struct fx_result cancel(struct fx *f, uint64_t number)
{
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_cancel(f->d, A, number, fx_on_delivery, &r, NULL), 0);
	fx_pump(f);
	assert_true(r.called);
	return r;
}

/* ---- retry ---- */

static void retry_of_a_waiting_one_is_due_now(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 500, 1);
	hl_ms_t window = fx_delivery(f, number).window_until_ms;
	assert_int_equal(retry(f, number).status, 0);
	fx_advance(f, 10);
	struct hl_delivery v = fx_delivery(f, number);
	assert_int_equal(v.state, HL_DELIVERY_SUCCEEDED);
	assert_int_equal(v.n_attempts, 2);
	assert_int_equal(v.window_until_ms, window);
	assert_int_equal(f->n_requests, 2);
	fx_advance(f, 60000);
	assert_int_equal(f->n_requests, 2);
	const struct hl_attempt *a;
	size_t n;
	assert_int_equal(hl_delivery_attempts(f->d, A, number, &a, &n), 0);
	assert_int_equal(a[1].trigger, HL_TRIGGER_MANUAL);
}

static void retry_of_a_failed_one_starts_over(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_FAILED);
	fx_advance(f, 3 * 86400 * 1000ll);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 3 });
	hl_ms_t again = fx_now(f);
	assert_int_equal(retry(f, number).status, 0);
	fx_advance(f, 60 * 1000);
	struct hl_delivery v = fx_delivery(f, number);
	assert_int_equal(v.state, HL_DELIVERY_PENDING);
	assert_int_equal(v.window_from_ms, again);
	assert_int_equal(v.n_attempts, 1 + 3);
	fx_advance(f, 3600 * 1000);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_SUCCEEDED);
	/* one that succeeded may be sent again too */
	size_t before = f->n_requests;
	assert_int_equal(retry(f, number).status, 0);
	fx_advance(f, 10);
	assert_int_equal(f->n_requests, before + 1);
}

static void retry_finds_its_way_without_a_queue(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	fx_close(f);
	fx_open(f); /* nothing pending: no queue is made */
	assert_null(hl_queues_get(f->d, w));
	assert_int_equal(retry(f, number).status, 0);
	fx_advance(f, 100);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_SUCCEEDED);
}

static void retry_waits_for_a_paused_webhook(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	assert_int_equal(retry(f, number).status, 0);
	fx_advance(f, 60000);
	assert_int_equal(f->n_requests, 1);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_PENDING);
	fx_webhook_state(f, w, HL_WEBHOOK_ENABLED);
	fx_advance(f, 100);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_SUCCEEDED);
}

static void retry_while_being_attempted_sends_no_second_request(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .latency_ms = 3000 });
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_int_equal(f->n_flights, 1);
	assert_int_equal(retry(f, 1).status, 0);
	fx_advance(f, 20000);
	assert_int_equal(f->n_requests, 1);
	assert_int_equal(fx_delivery(f, 1).state, HL_DELIVERY_SUCCEEDED);
	(void)w;
}

static void retry_refuses(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	struct fx_result r = { 0 }, del = { 0 };
	uint64_t number = one(f, &w, 400, 1);
	assert_int_equal(hl_delivery_retry(f->d, 2, number, fx_on_delivery, &r, NULL), HL_ENOTFOUND);
	assert_int_equal(hl_delivery_retry(f->d, A, 77, fx_on_delivery, &r, NULL), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_delete(f->d, A, w, false, fx_on_webhook, &del, NULL), 0);
	fx_pump(f);
	struct fx_result late = retry(f, number);
	assert_int_equal(late.status, HL_ECONFLICT);
	assert_int_equal(late.err.code, HL_ECONFLICT);
}

/* Nothing is lost by a crash right after the answer. */
static void retry_survives_a_crash(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry(f->d, A, number, fx_on_delivery, &r, NULL), 0);
	while (!r.called)
		assert_true(hl_engine_step(f->d));
	hl_engine_turn_end(f->d);
	fx_crash(f);
	fx_advance(f, 1000);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_SUCCEEDED);
}

/* ---- cancel ---- */

static void cancel_ends_a_pending_one(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 500, 0);
	assert_int_equal(cancel(f, number).status, 0);
	struct hl_delivery v = fx_delivery(f, number);
	assert_int_equal(v.state, HL_DELIVERY_CANCELLED);
	assert_int_equal(v.last_class, HL_CLASS_CANCELLED);
	assert_int_equal(v.completed_at_ms, fx_now(f));
	assert_int_equal(f->d->stats.deliveries_cancelled, 1);
	fx_advance(f, 86400 * 1000);
	assert_int_equal(f->n_requests, 1);
	struct fx_result r = cancel(f, number);
	assert_int_equal(r.status, HL_ECONFLICT);
	assert_int_equal(r.err.code, HL_ECONFLICT);
}

static void cancel_of_one_never_attempted(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook_make(f, &(struct hl_webhook){ .url = HL_STR(URL), .max_in_flight = 1 });
	fx_script(f, URL, &(struct fx_answer){ .latency_ms = 1000 });
	for (int i = 0; i < 3; i++)
		fx_publish(f, "a", "{}");
	assert_int_equal(cancel(f, 2).status, 0);
	fx_advance(f, 10000);
	assert_int_equal(f->n_requests, 2);
	assert_int_equal(fx_delivery(f, 2).state, HL_DELIVERY_CANCELLED);
	assert_int_equal(fx_delivery(f, 3).state, HL_DELIVERY_SUCCEEDED);
	(void)w;
}

/* The outcome of the attempt that was under way still counts when it is a success. */
static void cancel_while_being_attempted(void **state)
{
	struct fx *f = *state;
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .latency_ms = 1000 });
	fx_publish(f, "a", "{}");
	fx_advance(f, 100);
	assert_int_equal(cancel(f, 1).status, 0);
	fx_advance(f, 100000);
	struct hl_delivery v = fx_delivery(f, 1);
	assert_int_equal(v.state, HL_DELIVERY_CANCELLED);
	assert_int_equal(v.n_attempts, 1);
	assert_int_equal(f->n_requests, 1);
}

/* ---- a new try ---- */

static void retry_new_is_answered_when_its_attempt_ended(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 500, 1);
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED); /* passes pause */
	fx_script(f, URL, &(struct fx_answer){ .status = 202, .latency_ms = 500 });
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r, NULL), 0);
	fx_advance(f, 400);
	assert_false(r.called);
	assert_int_equal(f->d->n_direct, 1);
	fx_advance(f, 200);
	assert_true(r.called);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.attempt.http_status, 202);
	assert_int_equal(r.attempt.trigger, HL_TRIGGER_MANUAL);
	assert_int_equal(r.attempt.number, 1);
	assert_int_equal(f->d->n_direct, 0);
	struct hl_delivery v = fx_delivery(f, r.number);
	assert_int_equal(v.retry_of, number);
	assert_true(v.single_shot);
	assert_int_equal(v.state, HL_DELIVERY_SUCCEEDED);
	assert_int_equal(fx_delivery(f, number).state, HL_DELIVERY_PENDING); /* the old one is as it was */
	assert_string_equal(fx_header(&f->requests[1], "webhook-id"), fx_header(&f->requests[0], "webhook-id"));
}

static void retry_new_fails_once_and_for_all(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 0);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r, NULL), 0);
	fx_advance(f, 100);
	assert_int_equal(r.status, 0);
	assert_false(r.attempt.succeeded);
	assert_int_equal(fx_delivery(f, r.number).state, HL_DELIVERY_FAILED);
	fx_advance(f, 86400 * 1000);
	assert_int_equal(f->n_requests, 2);
	/* a manual retry of it is not single-shot any more */
	assert_int_equal(retry(f, r.number).status, 0);
	fx_advance(f, 60000);
	assert_true(f->n_requests > 3);
	assert_false(fx_delivery(f, r.number).single_shot);
}

static void retry_new_survives_a_crash(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	fx_script(f, URL, &(struct fx_answer){ .hang = true, .times = 1 });
	struct fx_result r = { 0 };
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(f->n_flights, 1);
	for (int i = 0; i < 3; i++) { /* later ones end: what was never attempted begins behind them now */
		fx_publish(f, "a", "{}");
		fx_advance(f, 100);
	}
	fx_crash(f);
	assert_true(r.called);
	assert_int_equal(r.status, HL_ECANCELED);
	fx_advance(f, 1000);
	assert_int_equal(fx_delivery(f, number + 1).state, HL_DELIVERY_SUCCEEDED);
}

static void no_more_than_64_at_once(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	uint64_t number = one(f, &w, 400, 1);
	fx_script(f, URL, &(struct fx_answer){ .latency_ms = 100 });
	struct fx_result r[HL_DIRECT_MAX + 1] = { 0 };
	for (int i = 0; i < HL_DIRECT_MAX; i++) {
		int rc = i % 2 ? hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r[i], NULL)
			       : hl_webhook_test(f->d, A, w, HL_STR_NONE, HL_STR_NONE, fx_on_attempt, &r[i], NULL);
		assert_int_equal(rc, 0);
	}
	struct hl_err err = { 0 };
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r[64], &err), HL_EBUSY);
	assert_int_equal(err.code, HL_EBUSY);
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR_NONE, HL_STR_NONE, fx_on_attempt, &r[64], NULL), HL_EBUSY);
	fx_pump(f);
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR_NONE, HL_STR_NONE, fx_on_attempt, &r[64], NULL), HL_EBUSY);
	fx_advance(f, 1000);
	for (int i = 0; i < HL_DIRECT_MAX; i++) {
		assert_true(r[i].called);
		assert_int_equal(r[i].status, 0);
	}
	assert_int_equal(f->d->n_direct, 0);
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r[64], NULL), 0);
	fx_advance(f, 1000);
	assert_int_equal(r[64].status, 0);
}

static void retry_new_refuses(void **state)
{
	struct fx *f = *state;
	uint32_t w;
	struct fx_result r = { 0 }, del = { 0 };
	uint64_t number = one(f, &w, 400, 1);
	assert_int_equal(hl_delivery_retry_new(f->d, 2, number, fx_on_attempt, &r, NULL), HL_ENOTFOUND);
	assert_int_equal(hl_webhook_delete(f->d, A, w, false, fx_on_webhook, &del, NULL), 0);
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r, NULL), 0); /* deleted meanwhile */
	fx_pump(f);
	assert_int_equal(r.status, HL_ECONFLICT);
	assert_int_equal(hl_delivery_retry_new(f->d, A, number, fx_on_attempt, &r, NULL), HL_ECONFLICT);
	assert_int_equal(f->d->n_direct, 0);
}

/* ---- test, verify ---- */

static void a_test_is_signed_and_not_stored(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	struct fx_result r[2] = { 0 };
	uint64_t number;
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR_NONE, HL_STR_NONE, fx_on_attempt, &r[0], NULL), 0);
	assert_false(r[0].called);
	fx_advance(f, 10);
	assert_int_equal(r[0].status, 0);
	assert_true(r[0].attempt.succeeded);
	assert_int_equal(r[0].attempt.trigger, HL_TRIGGER_TEST);
	assert_non_null(strstr(f->requests[0].body, "hookline.test"));
	assert_true(fx_header(&f->requests[0], "webhook-signature")[0] != '\0');
	const char *id = fx_header(&f->requests[0], "webhook-id");
	assert_int_equal(strlen(id), HL_ID_LEN);
	assert_int_equal(hl_id_parse(f->d, HL_ID_EVENT, hl_str_from(id), &number), HL_ENOTFOUND);
	assert_int_equal(id[14], '7');
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR("my.type"), HL_STR("{\"x\":1}"), fx_on_attempt, &r[1], NULL), 0);
	fx_advance(f, 10);
	assert_non_null(strstr(f->requests[1].body, "{\"x\":1}"));
	struct hl_account_stats s;
	assert_int_equal(hl_account_stats(f->d, A, &s), 0);
	assert_int_equal(s.events, 0);
	assert_int_equal(s.deliveries[HL_DIALECT_HOOKLINE], 0);
	struct hl_err err = { 0 };
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR("a b"), HL_STR("{}"), fx_on_attempt, &r[1], &err), HL_EINVAL);
	assert_int_equal(hl_webhook_test(f->d, A, w, HL_STR("a"), HL_STR("{"), fx_on_attempt, &r[1], &err), HL_ESYNTAX);
	assert_int_equal(hl_webhook_test(f->d, 2, w, HL_STR_NONE, HL_STR_NONE, fx_on_attempt, &r[1], &err), HL_ENOTFOUND);
}

struct verification {
	bool called;
	int status;
	bool url_allowed;
	char address[64];
	enum hl_class error_class;
};

static void on_verify(void *data, int status, const struct hl_verify *v)
{
	struct verification *out = data;
	assert_false(out->called);
	out->called = true;
	out->status = status;
	if (!v)
		return;
	out->url_allowed = v->url_allowed;
	out->error_class = v->attempt->error_class;
	snprintf(out->address, sizeof(out->address), "%.*s", HL_FMT(v->address));
}

static void verify_says_how_far_it_came(void **state)
{
	struct fx *f = *state;
	uint32_t w = fx_webhook(f, URL);
	struct verification v[3] = { 0 };
	assert_int_equal(hl_webhook_verify(f->d, A, w, on_verify, &v[0], NULL), 0);
	fx_advance(f, 10);
	assert_true(v[0].called && v[0].url_allowed);
	assert_string_equal(v[0].address, "192.0.2.1:443");
	assert_non_null(strstr(f->requests[0].body, "hookline.ping"));
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_BLOCKED_ADDRESS });
	assert_int_equal(hl_webhook_verify(f->d, A, w, on_verify, &v[1], NULL), 0);
	fx_advance(f, 10);
	assert_true(v[1].called);
	assert_false(v[1].url_allowed);
	assert_int_equal(v[1].error_class, HL_CLASS_BLOCKED_ADDRESS);
	assert_int_equal(hl_webhook_verify(f->d, A, 99, on_verify, &v[2], NULL), HL_ENOTFOUND);
	fx_script(f, URL, &(struct fx_answer){ .hang = true });
	assert_int_equal(hl_webhook_verify(f->d, A, w, on_verify, &v[2], NULL), 0);
	fx_close(f); /* dropped after the grace */
	assert_true(v[2].called);
	assert_int_equal(v[2].status, HL_ECANCELED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(retry_of_a_waiting_one_is_due_now), T(retry_of_a_failed_one_starts_over),
		T(retry_finds_its_way_without_a_queue), T(retry_waits_for_a_paused_webhook),
		T(retry_while_being_attempted_sends_no_second_request), T(retry_refuses), T(retry_survives_a_crash),
		T(cancel_ends_a_pending_one), T(cancel_of_one_never_attempted), T(cancel_while_being_attempted),
		T(retry_new_is_answered_when_its_attempt_ended), T(retry_new_fails_once_and_for_all),
		T(retry_new_survives_a_crash), T(no_more_than_64_at_once), T(retry_new_refuses),
		T(a_test_is_signed_and_not_stored), T(verify_says_how_far_it_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

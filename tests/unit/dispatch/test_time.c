/* Whole days of the engine on virtual time: schedules to the millisecond, parking, pausing, clock jumps, crashes. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"

#define URL "https://a.example/hook"
enum { SECOND = 1000, MINUTE = 60 * 1000, HOUR = 3600 * 1000, DAY = 24 * HOUR };

static int setup(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));
	fx_init(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fx *f = *state;
	if (f->d)
		fx_close(f);
	fx_fini(f);
	free(f);
	return 0;
}

static uint32_t strict_webhook(struct fx *f)
{
	struct hl_webhook w = { .dialect = HL_DIALECT_ABOUTYOU, .strict = true, .url = HL_STR(URL), .name = HL_STR("strict") };
	return fx_webhook_make(f, &w);
}

static uint32_t delays_webhook(struct fx *f, uint32_t delay_s, uint32_t window_s)
{
	struct hl_webhook w = { .url = HL_STR(URL), .name = HL_STR("delays"), .window_s = window_s,
		.retry = { .kind = HL_RETRY_DELAYS, .n_delays = 1, .delays_s = { delay_s } } };
	return fx_webhook_make(f, &w);
}

/* The catalogue entry that lets a type reach webhooks of that dialect. */
static void list_type(struct fx *f, const char *name, enum hl_dialect d)
{
	struct fx_result r = { 0 };
	struct hl_event_type t = { .name = hl_str_from(name), .title = HL_STR("t") };
	t.dialect_categories[d] = HL_STR("x");
	assert_int_equal(hl_event_type_put(f->d, &t, fx_on_done, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
}

static uint64_t first_delivery(struct fx *f, uint64_t event)
{
	struct hl_event e;
	assert_int_equal(hl_event_get(f->d, HL_ACCOUNT_DEFAULT, event, &e), 0);
	assert_int_equal(e.n_deliveries, 1);
	return e.first_delivery;
}

static void test_strict_makes_49_hourly_attempts(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	list_type(f, "order.created", HL_DIALECT_ABOUTYOU);
	strict_webhook(f);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	hl_ms_t start = fx_now(f);
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, 3 * DAY);
	assert_int_equal(f->n_requests, 49);
	for (size_t i = 0; i < 49; i++) {
		hl_ms_t late = f->requests[i].at_ms - start - (hl_ms_t)i * HOUR;
		assert_in_range(late, 0, 5);
	}
	struct hl_delivery d = fx_delivery(f, delivery);
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
	assert_int_equal(d.n_attempts, 49);
	assert_int_equal(d.last_class, HL_CLASS_CONNECT);
}

static void test_strict_succeeds_at_its_own_time_after_thirty_hours(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	list_type(f, "order.created", HL_DIALECT_ABOUTYOU);
	strict_webhook(f);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	hl_ms_t start = fx_now(f);
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, 30 * HOUR + 10 * MINUTE);
	fx_unscript(f);
	fx_advance(f, DAY);
	struct hl_delivery d = fx_delivery(f, delivery);
	assert_int_equal(d.state, HL_DELIVERY_SUCCEEDED);
	assert_int_equal(d.n_attempts, 32);
	assert_in_range(d.completed_at_ms - start, 31 * HOUR, 31 * HOUR + 10);
}

static void test_exponential_schedule(void **state)
{
	static const hl_ms_t delay_s[] = { 5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200 };
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	hl_ms_t start = fx_now(f);
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, 3 * DAY);
	assert_true(f->n_requests >= 12);
	for (size_t i = 0; i < HL_ARRAY_LEN(delay_s); i++) {
		hl_ms_t waited = f->requests[i + 1].at_ms - f->requests[i].at_ms;
		assert_in_range(waited, delay_s[i] * SECOND, delay_s[i] * SECOND * 11 / 10 + 10);
	}
	hl_ms_t last = f->requests[f->n_requests - 1].at_ms - start;
	assert_in_range(last, 2 * DAY - 10, 2 * DAY + 10); /* the last slot moved to the end of the window */
	assert_int_equal(fx_delivery(f, delivery).state, HL_DELIVERY_FAILED);
}

static void test_hint_moves_the_next_attempt(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 429, .retry_after = "90", .times = 1 });
	fx_publish(f, "order.created", "{}");
	fx_advance(f, 89 * SECOND);
	assert_int_equal(f->n_requests, 1);
	fx_advance(f, 2 * SECOND);
	assert_int_equal(f->n_requests, 2);
	assert_in_range(f->requests[1].at_ms - f->requests[0].at_ms, 90 * SECOND, 90 * SECOND + 10);
}

/* A probe comes before the delivery's own time; the pause it is answered with counts all the same, also when the queue opens. */
static void test_hint_to_a_probe_is_kept(void **state)
{
	struct fx *f = *state;
	char id[64];
	unsigned n = 0;
	fx_open(f);
	delays_webhook(f, 7200, 0);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT, .times = 5 });
	for (int i = 0; i < 5; i++)
		fx_publish(f, "order.created", "{}");
	assert_int_equal(f->n_requests, 5);
	fx_script(f, URL, &(struct fx_answer){ .status = 503, .retry_after = "900", .times = 1 });
	fx_advance(f, 8 * SECOND); /* one probe, hours before its time */
	assert_int_equal(f->n_requests, 6);
	snprintf(id, sizeof(id), "%s", fx_header(&f->requests[5], "hookline-delivery-id"));
	fx_advance(f, 890 * SECOND);
	assert_int_equal(f->n_requests, 10); /* another one opened the queue, and the others followed */
	for (size_t i = 6; i < f->n_requests; i++)
		n += strcmp(fx_header(&f->requests[i], "hookline-delivery-id"), id) == 0;
	assert_int_equal(n, 0);
	fx_advance(f, 15 * SECOND);
	assert_int_equal(f->n_requests, 11);
	assert_string_equal(fx_header(&f->requests[10], "hookline-delivery-id"), id);
	assert_in_range(f->requests[10].at_ms - f->requests[5].at_ms, 900 * SECOND, 900 * SECOND + 10);
}

static void test_clock_back_a_day_delays_by_one_interval_at_most(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	delays_webhook(f, 1000, 0);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 1 });
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, 100 * SECOND);
	fakeenv_jump(&f->world, -DAY);
	hl_ms_t jumped = f->world.mono_ms;
	fx_advance(f, 2000 * SECOND);
	assert_int_equal(f->n_requests, 2);
	assert_in_range(f->requests[1].mono_ms - jumped, 0, 1000 * SECOND + 10);
	assert_int_equal(fx_delivery(f, delivery).state, HL_DELIVERY_SUCCEEDED);
}

static void test_clock_back_while_the_process_was_down(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	delays_webhook(f, 1000, 0);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 1 });
	fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	fx_close(f);
	fakeenv_jump(&f->world, -DAY);
	fx_open(f);
	hl_ms_t opened = f->world.mono_ms;
	fx_advance(f, 2000 * SECOND);
	assert_int_equal(f->n_requests, 2);
	assert_in_range(f->requests[1].mono_ms - opened, 0, 1000 * SECOND + 2 * SECOND);
}

static void test_clock_forward_three_days_means_one_late_attempt(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, HOUR);
	size_t before = f->n_requests;
	fakeenv_jump(&f->world, 3 * DAY);
	fx_advance(f, 3 * DAY);
	assert_int_equal(f->n_requests, before + 1);
	struct hl_delivery d = fx_delivery(f, delivery);
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
	const struct hl_attempt *a;
	size_t n;
	assert_int_equal(hl_delivery_attempts(f->d, HL_ACCOUNT_DEFAULT, delivery, &a, &n), 0);
	assert_int_equal(a[n - 1].trigger, HL_TRIGGER_LATE);
}

static void test_down_past_the_window_means_one_late_attempt(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500, .times = 1 });
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, SECOND);
	fx_crash(f);
	fakeenv_advance(&f->world, 5 * DAY);
	fx_advance(f, HOUR);
	assert_int_equal(f->n_requests, 2);
	assert_int_equal(fx_delivery(f, delivery).state, HL_DELIVERY_SUCCEEDED);
}

static void test_outage_ends_within_one_probe_interval(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	for (int i = 0; i < 300; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, HOUR);
	size_t during = f->n_requests;
	assert_true(during < 80); /* a dead receiver costs probes, not one attempt per delivery */
	fx_unscript(f);
	fx_advance(f, HL_QUEUE_PROBE_MAX_MS * 12 / 10 + 5 * SECOND);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, 1, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_PENDING], 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], 300);
	assert_int_equal(f->n_requests, during + 300);
}

static void test_new_url_of_a_parked_webhook_is_tried_at_once(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	for (int i = 0; i < 30; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, HOUR);
	struct fx_result r = { 0 };
	struct hl_webhook change = { .url = HL_STR("https://b.example/hook") };
	assert_int_equal(hl_webhook_update(f->d, HL_ACCOUNT_DEFAULT, w, HL_WF_URL, &change, fx_on_webhook, &r, NULL), 0);
	fx_advance(f, 2 * SECOND);
	assert_int_equal(r.status, 0);
	assert_int_equal(fx_count(f, "https://b.example/"), 30);
}

static void test_parked_survives_a_crash_and_still_drains(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	for (int i = 0; i < 20; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, 6 * HOUR); /* all of them wait for backoffs of hours */
	fx_crash(f);
	fx_unscript(f);
	fx_advance(f, HL_QUEUE_PROBE_MAX_MS * 12 / 10 + 5 * SECOND);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, 1, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], 20);
}

static void outage(struct fx *f, int n)
{
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_CONNECT });
	for (int i = 0; i < n; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, 10 * SECOND);
	fx_unscript(f);
	fx_advance(f, HL_QUEUE_PROBE_MAX_MS * 12 / 10 + 5 * SECOND);
}

static void test_a_forgotten_queue_still_drains(void **state)
{
	struct fx *f = *state;
	struct hl_webhook_stats s;
	fx_open(f);
	f->d->shared.n_due_max = 0; /* most of what waits is only in the store */
	delays_webhook(f, 7200, 0);
	outage(f, 6);
	assert_int_equal(f->d->queues.count, 1);
	fx_advance(f, 15 * MINUTE);
	assert_int_equal(f->d->queues.count, 0);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	for (int i = 0; i < 200; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, MINUTE); /* all of them wait for two hours */
	outage(f, 6);
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, 1, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], 212);
}

static void test_parked_to_the_end_fails_with_the_probes_reason(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .error_class = HL_CLASS_DNS });
	for (int i = 0; i < 50; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, 2 * DAY + HOUR);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, 1, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_PENDING], 0);
	assert_int_equal(s.by_state[HL_DELIVERY_FAILED], 50);
	assert_int_equal(fx_delivery(f, 50).last_class, HL_CLASS_DNS);
}

static void test_paused_to_the_end_fails_as_paused(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	uint64_t delivery = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	size_t before = f->n_requests;
	fx_advance(f, 2 * DAY - MINUTE);
	assert_int_equal(fx_delivery(f, delivery).state, HL_DELIVERY_PENDING);
	fx_advance(f, HOUR);
	assert_int_equal(f->n_requests, before);
	struct hl_delivery d = fx_delivery(f, delivery);
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
	assert_int_equal(d.last_class, HL_CLASS_PAUSED);
}

static void test_pause_holds_and_resume_makes_due(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	uint64_t held = first_delivery(f, fx_publish(f, "order.created", "{}"));
	fx_advance(f, 20 * MINUTE); /* waits for a backoff of half an hour */
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	fx_publish(f, "order.created", "{}"); /* reaches nobody */
	size_t before = f->n_requests;
	fx_advance(f, 10 * SECOND);
	fx_unscript(f);
	fx_webhook_state(f, w, HL_WEBHOOK_ENABLED);
	fx_advance(f, SECOND);
	assert_int_equal(f->n_requests, before + 1);
	assert_int_equal(fx_delivery(f, held).state, HL_DELIVERY_SUCCEEDED);
}

static void test_deliver_after_and_expires_at(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	hl_ms_t start = fx_now(f);
	struct hl_publish later = { .type = HL_STR("a"), .data = HL_STR("1"), .deliver_after_ms = start + HOUR };
	assert_int_equal(fx_publish_as(f, HL_ACCOUNT_DEFAULT, &later).status, 0);
	fx_advance(f, HOUR - SECOND);
	assert_int_equal(f->n_requests, 0);
	fx_crash(f);
	fx_advance(f, 2 * SECOND);
	assert_int_equal(f->n_requests, 1);
	assert_in_range(f->requests[0].at_ms - start, HOUR, HOUR + SECOND);

	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	struct hl_publish stale = { .type = HL_STR("a"), .data = HL_STR("1"), .expires_at_ms = fx_now(f) + 10 * MINUTE };
	struct fx_result r = fx_publish_as(f, HL_ACCOUNT_DEFAULT, &stale);
	assert_int_equal(r.status, 0);
	uint64_t delivery = first_delivery(f, r.number);
	fx_advance(f, HOUR);
	assert_int_equal(fx_delivery(f, delivery).state, HL_DELIVERY_FAILED);
	for (size_t i = 1; i < f->n_requests; i++)
		assert_true(f->requests[i].at_ms < stale.expires_at_ms);
}

static void test_crash_repeats_only_what_was_not_recorded(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	fx_webhook(f, URL);
	for (int i = 0; i < 10; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	assert_int_equal(f->n_requests, 10);
	f->disk_stalled = true; /* answers come, outcomes are not durable */
	struct fx_result r = { 0 };
	struct hl_publish p = { .type = HL_STR("late"), .data = HL_STR("1") };
	f->disk_stalled = false;
	fx_publish_begin(f, HL_ACCOUNT_DEFAULT, &p, &r);
	while (!r.called)
		fx_turn(f);
	f->disk_stalled = true;
	fx_advance(f, SECOND);
	assert_int_equal(f->n_requests, 11);
	f->disk_stalled = false;
	fx_crash(f);
	fx_advance(f, 10 * SECOND);
	assert_int_equal(f->n_requests, 12); /* only the last one once more */
	char id[HL_ID_CAP];
	snprintf(id, sizeof(id), "%s", fx_header(&f->requests[10], "webhook-id"));
	assert_int_equal(strlen(id), HL_ID_LEN);
	assert_string_equal(fx_header(&f->requests[11], "webhook-id"), id);
}

/* Many webhooks have something due when the process starts: they begin over some time, not all in the first moment. */
static void test_backlog_is_spread_after_a_restart(void **state)
{
	enum { N = 400, EACH = 20 };
	struct fx *f = *state;
	char url[64];
	fx_open(f);
	for (int i = 0; i < N; i++) {
		snprintf(url, sizeof(url), "https://a.example/hook/%d", i);
		fx_webhook(f, url);
	}
	fx_script(f, "https://a.example/", &(struct fx_answer){ .status = 500 });
	for (int i = 0; i < EACH; i++)
		fx_publish(f, "order.created", "{}");
	fx_advance(f, 3 * SECOND);
	assert_int_equal(f->n_requests, N * EACH);
	fx_unscript(f);
	fakeenv_advance(&f->world, MINUTE); /* everything is due */
	fx_crash(f);
	fx_forget(f);
	fx_advance(f, 10);
	assert_true(f->n_requests < N * EACH / 2);
	fx_advance(f, MINUTE);
	assert_int_equal(f->n_requests, N * EACH);
}

static void test_webhooks_of_dialects_have_defaults_of_their_own(void **state)
{
	struct fx *f = *state;
	f->options.retry_dialects = (struct hl_retry){ .kind = HL_RETRY_DELAYS, .n_delays = 1, .delays_s = { 7 } };
	f->options.timeout_dialects_ms = 1234;
	fx_open(f);
	list_type(f, "order.created", HL_DIALECT_BITNOB);
	struct hl_webhook w = { .dialect = HL_DIALECT_BITNOB, .url = HL_STR("https://b.example/"), .name = HL_STR("b") };
	fx_webhook_make(f, &w);
	fx_webhook(f, URL);
	fx_script(f, "https://", &(struct fx_answer){ .status = 500 });
	fx_publish(f, "order.created", "{}");
	fx_advance(f, 20 * SECOND);
	assert_int_equal(fx_count(f, "https://b.example/"), 3);
	assert_int_equal(fx_last(f, "https://b.example/")->timeout_ms, 1234);
	assert_int_equal(fx_count(f, URL), 2);
	assert_int_equal(fx_last(f, URL)->timeout_ms, 15000);
}

/* Far more waits than delivery.window_bytes holds: what does not fit is read again from the store when it is its turn. */
static void test_a_backlog_larger_than_its_window(void **state)
{
	enum { N = 1500, LEN = 4000 };
	struct fx *f = *state;
	f->options.window_bytes = 1 << 20;
	fx_open(f);
	fx_webhook(f, URL);
	char data[LEN + 1];
	memset(data, '7', LEN);
	data[LEN] = '\0';
	fx_script(f, URL, &(struct fx_answer){ .latency_ms = 50 });
	for (int i = 0; i < N; i++)
		fx_publish(f, "order.created", data);
	fx_advance(f, 5 * MINUTE);
	assert_int_equal(f->n_requests, N);
	for (size_t i = 0; i < f->n_requests; i++)
		assert_true(f->requests[i].body_len > LEN);
	assert_true(f->d->events.bytes <= 1 << 20);
	struct hl_webhook_stats s;
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, 1, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], N);
}

static void test_receiver_gone_disables_the_webhook(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 410 });
	fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	struct hl_webhook view;
	assert_int_equal(hl_webhook_get(f->d, HL_ACCOUNT_DEFAULT, w, false, &view), 0);
	assert_int_equal(view.state, HL_WEBHOOK_DISABLED);
	assert_true(view.reason.len > 0);
	fx_publish(f, "order.created", "{}");
	fx_advance(f, HOUR);
	assert_int_equal(f->n_requests, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_strict_makes_49_hourly_attempts), T(test_strict_succeeds_at_its_own_time_after_thirty_hours),
		T(test_exponential_schedule), T(test_hint_moves_the_next_attempt),
		T(test_hint_to_a_probe_is_kept),
		T(test_clock_back_a_day_delays_by_one_interval_at_most), T(test_clock_back_while_the_process_was_down),
		T(test_clock_forward_three_days_means_one_late_attempt), T(test_down_past_the_window_means_one_late_attempt),
		T(test_outage_ends_within_one_probe_interval),
		T(test_new_url_of_a_parked_webhook_is_tried_at_once), T(test_parked_survives_a_crash_and_still_drains),
		T(test_parked_to_the_end_fails_with_the_probes_reason), T(test_paused_to_the_end_fails_as_paused),
		T(test_pause_holds_and_resume_makes_due), T(test_deliver_after_and_expires_at),
		T(test_crash_repeats_only_what_was_not_recorded), T(test_receiver_gone_disables_the_webhook),
		T(test_backlog_is_spread_after_a_restart), T(test_webhooks_of_dialects_have_defaults_of_their_own),
		T(test_a_backlog_larger_than_its_window), T(test_a_forgotten_queue_still_drains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What goes with time, on virtual time: history past its age or beyond its share of the quota, idempotency records after
 * two days, deliveries held past their window by a process that was restarted. After each the whole store is audited. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/str.h"
#include "store/audit.h"

#define URL "https://a.example/hook"
enum { SECOND = 1000, MINUTE = 60 * 1000, HOUR = 3600 * 1000 };
static const hl_ms_t DAY = 24 * HOUR;

static int setup(void **state)
{
	struct fx *f = calloc(1, sizeof(*f));
	fx_init(f);
	*state = f;
	return 0;
}

static void on_damage(void *data, enum hl_audit_severity severity, const char *text)
{
	(void)data;
	if (severity == HL_AUDIT_DAMAGE)
		print_error("%s\n", text);
}

/* Closes, and reads what is on disk. */
static struct hl_audit_summary audit(struct fx *f)
{
	struct hl_audit_summary sum;
	struct hl_audit_options how = { .report = on_damage };
	struct hl_store_options o = { .dir = f->dir.path, .max_bytes = f->options.store_max_bytes, .read_only = true };
	struct hl_store *s;
	fx_close(f);
	assert_int_equal(hl_store_open(&s, &o, NULL), 0);
	assert_int_equal(hl_audit(s, &how, &sum, NULL), 0);
	hl_store_close(s);
	assert_int_equal(sum.damages, 0);
	return sum;
}

static int teardown(void **state)
{
	struct fx *f = *state;
	if (f->d)
		audit(f);
	fx_fini(f);
	free(f);
	return 0;
}

static bool event_there(struct fx *f, uint64_t event)
{
	struct hl_event e;
	int rc = hl_event_get(f->d, HL_ACCOUNT_DEFAULT, event, &e);
	assert_true(rc == 0 || rc == HL_ENOTFOUND);
	return rc == 0;
}

static void test_history_goes_by_age(void **state)
{
	struct fx *f = *state;
	struct hl_webhook_stats s;
	f->options.retention_s = 30 * 86400;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_webhook(f, "https://b.example/hook");
	fx_script(f, "https://b.example/", &(struct fx_answer){ .status = 400 });
	uint64_t old[20];
	for (size_t i = 0; i < HL_ARRAY_LEN(old); i++)
		old[i] = fx_publish(f, "order.created", "{}");
	fx_advance(f, 15 * DAY);
	uint64_t young = fx_publish(f, "order.created", "{}");
	fx_advance(f, 15 * DAY - MINUTE);
	assert_true(event_there(f, old[0]));
	fx_advance(f, HOUR);
	for (size_t i = 0; i < HL_ARRAY_LEN(old); i++)
		assert_false(event_there(f, old[i]));
	assert_true(event_there(f, young));
	assert_int_equal(hl_webhook_stats(f->d, HL_ACCOUNT_DEFAULT, w, &s), 0);
	assert_int_equal(s.by_state[HL_DELIVERY_SUCCEEDED], 1);
	struct hl_delivery d;
	assert_int_equal(hl_delivery_get(f->d, HL_ACCOUNT_DEFAULT, 1, &d), HL_ENOTFOUND);
	struct hl_audit_summary sum = audit(f);
	assert_int_equal(sum.events, 1);
	assert_int_equal(sum.deliveries, 2);
	assert_int_equal(sum.jobs, 0);
	fx_open(f); /* and numbers go on after the last one, although it is gone */
	assert_true(fx_publish(f, "order.created", "{}") > young);
}

/* The queue's cursor, the due entries and the newest page must not mind that what lies before them has gone. */
static void test_pending_ones_stay_until_they_end(void **state)
{
	struct fx *f = *state;
	f->options.retention_s = 86400;
	fx_open(f);
	struct hl_webhook slow = { .url = HL_STR(URL), .name = HL_STR("slow"), .window_s = 7 * 86400,
		.retry = { .kind = HL_RETRY_HOURLY } };
	fx_webhook_make(f, &slow);
	fx_webhook(f, "https://b.example/hook");
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	uint64_t e = fx_publish(f, "order.created", "{}");
	fx_advance(f, 6 * DAY);
	assert_true(event_there(f, e));
	struct hl_event view;
	assert_int_equal(hl_event_get(f->d, HL_ACCOUNT_DEFAULT, e, &view), 0);
	struct hl_delivery d;
	int rc = hl_delivery_get(f->d, HL_ACCOUNT_DEFAULT, view.first_delivery, &d);
	int other = hl_delivery_get(f->d, HL_ACCOUNT_DEFAULT, view.first_delivery + 1, &d);
	assert_true((rc == 0) != (other == 0)); /* the ended one went, the pending one stays */
	fx_unscript(f);
	size_t before = fx_count(f, URL);
	fx_advance(f, 2 * HOUR);
	assert_int_equal(fx_count(f, URL), before + 1);
	fx_advance(f, HOUR);
	assert_false(event_there(f, e));
}

/* Who asks for a replay saw the event; retention is faster. A delivery of nothing could never be sent, and would hold up its
 * queue. */
static void test_replay_of_what_goes(void **state)
{
	struct fx *f = *state;
	struct fx_result r = { 0 };
	struct hl_txn *txn;
	struct hl_event_row e;
	struct hl_delivery_row row;
	fx_open(f);
	fx_webhook(f, URL);
	uint64_t event = fx_publish(f, "order.created", "{}");
	fx_advance(f, MINUTE);
	assert_true(hl_event_row_get(hl_core_read(f->d), event, &e)); /* the loop's view, until the end of its turn */
	assert_int_equal(hl_store_begin_write(f->d->store, &txn), 0);
	assert_true(hl_delivery_row_get(txn, e.first_delivery, &row) && hl_event_row_get(txn, event, &e));
	hl_delivery_del(txn, e.first_delivery, &row);
	hl_event_del(txn, event, &e);
	assert_int_equal(hl_store_commit(txn), 0);
	struct hl_replay replay = { .event = event };
	assert_int_equal(hl_event_replay(f->d, HL_ACCOUNT_DEFAULT, &replay, fx_on_publish, &r, NULL), 0);
	fx_pump(f);
	assert_true(r.called);
	assert_int_equal(r.status, HL_ENOTFOUND);
	fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	assert_int_equal(fx_count(f, URL), 2);
}

static void test_history_goes_by_size(void **state)
{
	enum { N = 300, PAIR = 64 << 10 };
	struct fx *f = *state;
	f->options.store_max_bytes = 64 << 20;
	f->options.retention_percent = 10;
	fx_open(f);
	fx_webhook(f, URL);
	char *data = malloc(PAIR + 1);
	memset(data, '1', PAIR);
	data[PAIR] = '\0';
	uint64_t first = 0, last = 0;
	for (int i = 0; i < N; i++) {
		last = fx_publish(f, "order.created", data);
		first = first ? first : last;
		fx_advance(f, SECOND);
	}
	fx_advance(f, 2 * HOUR);
	assert_false(event_there(f, first));
	assert_true(event_there(f, last));
	struct hl_stats s;
	hl_dispatcher_stats(f->d, &s);
	assert_in_range(s.store_used_bytes, (64 << 20) / 100 * 7, (64 << 20) / 100 * 12);
	free(data);
}

static void test_ids_are_forgotten_after_two_days(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	struct hl_publish p = { .type = HL_STR("a"), .data = HL_STR("1"), .external_id = HL_STR("order-1") };
	struct fx_result first = fx_publish_as(f, HL_ACCOUNT_DEFAULT, &p);
	assert_int_equal(first.status, 0);
	fx_advance(f, 2 * DAY - MINUTE);
	struct fx_result again = fx_publish_as(f, HL_ACCOUNT_DEFAULT, &p);
	assert_true(again.replayed);
	assert_int_equal(again.number, first.number);
	fx_advance(f, 2 * MINUTE);
	struct fx_result fresh = fx_publish_as(f, HL_ACCOUNT_DEFAULT, &p);
	assert_int_equal(fresh.status, 0);
	assert_false(fresh.replayed);
	assert_true(fresh.number > first.number);
	fx_advance(f, 4 * DAY);
	assert_int_equal(audit(f).idem, 0); /* nor is anything left of it on disk */
}

/* A held delivery's window runs on although the process that paused it is gone. */
static void test_paused_ends_after_a_restart(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	fx_script(f, URL, &(struct fx_answer){ .status = 500 });
	fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	fx_crash(f);
	fx_advance(f, 3 * DAY);
	assert_int_equal(f->n_requests, 1);
	struct hl_delivery d = fx_delivery(f, 1);
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
	assert_int_equal(d.last_class, HL_CLASS_PAUSED);
}

/* The same for a replay to a webhook that was paused, with nothing pending, before the process began. */
static void test_replayed_to_a_paused_one_ends(void **state)
{
	struct fx *f = *state;
	fx_open(f);
	uint32_t w = fx_webhook(f, URL);
	uint64_t e = fx_publish(f, "order.created", "{}");
	fx_advance(f, SECOND);
	fx_webhook_state(f, w, HL_WEBHOOK_PAUSED);
	fx_crash(f);
	fx_advance(f, HOUR);
	struct fx_result r = { 0 };
	struct hl_replay what = { .event = e, .webhook = w };
	assert_int_equal(hl_event_replay(f->d, HL_ACCOUNT_DEFAULT, &what, fx_on_publish, &r, NULL), 0);
	fx_pump(f);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.n_deliveries, 1);
	fx_advance(f, 3 * DAY);
	assert_int_equal(f->n_requests, 1);
	struct hl_delivery d = fx_delivery(f, 2);
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
	assert_int_equal(d.last_class, HL_CLASS_PAUSED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_history_goes_by_age), T(test_pending_ones_stay_until_they_end), T(test_replay_of_what_goes), T(test_history_goes_by_size),
		T(test_ids_are_forgotten_after_two_days), T(test_paused_ends_after_a_restart),
		T(test_replayed_to_a_paused_one_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

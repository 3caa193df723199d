/* Jobs, where the model (test_model.c) does not look: retention by bytes, what retention leaves alone, recovery's
 * filters by time, slices that end within their budget, the list of jobs. */
#include "store_test.h"
#include "store/index.h"
#include "store/jobs.h"

static struct fixture f;
static uint64_t next_delivery;

static int setup(void **state)
{
	(void)state;
	fixture_init(&f);
	next_delivery = 1;
	struct hl_txn *txn = begin(&f);
	put_webhook(txn, 1, 1, 1, HL_WEBHOOK_ENABLED);
	commit(&f, txn);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	audit_clean(&f);
	fixture_fini(&f);
	return 0;
}

static void publish(uint64_t event, uint32_t n, hl_ms_t at_ms, enum hl_delivery_state end, size_t data_len)
{
	static char data[64 << 10];
	struct hl_txn *txn = begin(&f);
	struct hl_event_row e = an_event(1, next_delivery, n);
	memset(data, '1', sizeof(data)); /* a long number */
	e.created_at_ms = at_ms;
	e.data = hl_str_make(data, data_len);
	hl_event_append(txn, event, &e);
	while (n--) {
		struct hl_delivery_row d = a_delivery(event, 1, 1);
		d.created_at_ms = at_ms;
		d.state = (uint8_t)end;
		d.completed_at_ms = end == HL_DELIVERY_PENDING ? 0 : at_ms;
		hl_delivery_append(txn, next_delivery++, &d);
	}
	commit(&f, txn);
}

static void index_all(void)
{
	struct hl_index_run run = { .phase = HL_INDEX_IDLE };
	for (bool done = false; !done;) {
		struct hl_txn *txn = begin(&f);
		assert_int_equal(hl_index_step(txn, &run, 1, 2000, &done), 0);
		commit(&f, txn);
	}
	assert_int_equal(hl_index_pending(reader(&f)), 0);
}

/* Runs the job to its end; rows changed, and the most in one slice. */
static uint64_t run(struct hl_job_row job, uint32_t budget_us, uint64_t *out_most)
{
	struct hl_job_result r = { 0 };
	uint64_t changed = 0;
	job.number = 1;
	struct hl_txn *txn = begin(&f);
	hl_job_put(txn, &job);
	commit(&f, txn);
	*out_most = 0;
	while (!r.done) {
		txn = begin(&f);
		assert_true(hl_job_get(txn, 1, &job));
		assert_int_equal(hl_job_step(txn, &job, fakeenv_epoch_ms + 99, budget_us, &r), 0);
		commit(&f, txn);
		changed += r.changed;
		*out_most = HL_MAX(*out_most, r.changed);
	}
	return changed;
}

static void test_retention_by_bytes(void **state)
{
	struct hl_store_usage before, after;
	uint64_t most;
	struct hl_event_row e;
	(void)state;
	for (uint64_t n = 1; n <= 200; n++)
		publish(n, 2, fakeenv_epoch_ms, HL_DELIVERY_SUCCEEDED, 20 << 10);
	index_all();
	assert_int_equal(hl_store_measure(f.store), 0);
	hl_store_usage(f.store, &before);
	assert_true(before.used_bytes > 4 << 20);
	run((struct hl_job_row){ .kind = HL_JOB_RETENTION, .used_max = 2 << 20 }, 2000, &most);
	hl_store_usage(f.store, &after);
	assert_true(after.used_bytes <= 2 << 20); /* the store knows already: publishers are let in by its own count */
	assert_int_equal(hl_store_measure(f.store), 0);
	hl_store_usage(f.store, &after);
	assert_in_range(after.used_bytes, 1 << 20, (2 << 20) + (128 << 10));
	assert_false(hl_event_row_get(reader(&f), 1, &e)); /* the oldest went, the newest stays */
	assert_true(hl_event_row_get(reader(&f), 200, &e));
	assert_true(most <= 2000 / 8 + 1);
}

static void test_retention_leaves(void **state)
{
	uint64_t most;
	struct hl_event_row e;
	struct hl_delivery_row d;
	(void)state;
	publish(1, 3, fakeenv_epoch_ms, HL_DELIVERY_SUCCEEDED, 10);
	publish(2, 3, fakeenv_epoch_ms, HL_DELIVERY_PENDING, 10);
	publish(3, 0, fakeenv_epoch_ms, HL_DELIVERY_PENDING, 10);    /* reached nobody */
	publish(4, 3, fakeenv_epoch_ms + 50, HL_DELIVERY_FAILED, 10); /* young */
	publish(5, 3, fakeenv_epoch_ms, HL_DELIVERY_FAILED, 10);      /* behind a young one */
	struct hl_job_row job = { .kind = HL_JOB_RETENTION, .before_ms = fakeenv_epoch_ms + 10 };
	assert_int_equal(run(job, 2000, &most), 0); /* nothing is indexed yet */
	index_all();
	assert_int_equal(run(job, 2000, &most), 3 + 1 + 1);
	assert_false(hl_event_row_get(reader(&f), 1, &e));
	assert_true(hl_event_row_get(reader(&f), 2, &e));
	assert_false(hl_event_row_get(reader(&f), 3, &e));
	assert_true(hl_event_row_get(reader(&f), 4, &e));
	assert_true(hl_event_row_get(reader(&f), 5, &e));
	assert_true(hl_delivery_row_get(reader(&f), 4, &d));
	assert_false(hl_delivery_row_get(reader(&f), 3, &d));
}

/* Deliveries dropped before they were indexed keep their events from nothing. */
static void test_retention_after_drop(void **state)
{
	uint64_t most;
	struct hl_event_row e;
	(void)state;
	for (uint64_t n = 1; n <= 5; n++)
		publish(n, 2, fakeenv_epoch_ms, HL_DELIVERY_PENDING, 10);
	struct hl_txn *txn = begin(&f);
	struct hl_webhook_row w;
	assert_true(hl_webhook_row_get(txn, 1, &w));
	w.w.state = HL_WEBHOOK_DELETED;
	hl_webhook_row_put(txn, &w);
	commit(&f, txn);
	assert_int_equal(run((struct hl_job_row){ .kind = HL_JOB_DROP_WEBHOOK, .webhook = 1, .error_class = -1 }, 2000, &most), 10);
	index_all();
	assert_int_equal(run((struct hl_job_row){ .kind = HL_JOB_RETENTION, .before_ms = fakeenv_epoch_ms + 10 }, 2000, &most), 5);
	assert_false(hl_event_row_get(reader(&f), 5, &e));
}

static void test_recover_by_time(void **state)
{
	uint64_t most, cursor = 0, count = 0;
	bool done;
	struct hl_delivery_row d;
	(void)state;
	for (uint64_t n = 1; n <= 10; n++)
		publish(n, 1, fakeenv_epoch_ms + (hl_ms_t)n, HL_DELIVERY_FAILED, 10);
	struct hl_job_row job = { .kind = HL_JOB_RECOVER, .webhook = 1, .error_class = -1, .since_ms = fakeenv_epoch_ms + 3,
		.until_ms = fakeenv_epoch_ms + 7, .type = HL_STR("order.created") };
	assert_int_equal(hl_job_count_recover(reader(&f), &job, 0, &cursor, &count, &done), 0);
	assert_true(done && count == 4);
	assert_int_equal(run(job, 1, &most), 4);
	assert_int_equal(most, 1);
	for (uint64_t n = 1; n <= 10; n++) {
		assert_true(hl_delivery_row_get(reader(&f), n, &d));
		assert_int_equal(d.state, n >= 3 && n < 7 ? HL_DELIVERY_PENDING : HL_DELIVERY_FAILED);
		if (n >= 3 && n < 7)
			assert_true(d.next_at_ms == fakeenv_epoch_ms + 99 && d.window_from_ms == fakeenv_epoch_ms + 99 &&
					d.wait == HL_WAIT_MANUAL && d.completed_at_ms == 0);
	}
	job.type = HL_STR("order.paid");
	count = cursor = 0;
	assert_int_equal(hl_job_count_recover(reader(&f), &job, 0, &cursor, &count, &done), 0);
	assert_int_equal(count, 0);
}

static void test_recover_ends_with_its_webhook(void **state)
{
	uint64_t most;
	struct hl_delivery_row d;
	(void)state;
	for (uint64_t n = 1; n <= 10; n++)
		publish(n, 1, fakeenv_epoch_ms + (hl_ms_t)n, HL_DELIVERY_FAILED, 10);
	struct hl_txn *txn = begin(&f);
	put_webhook(txn, 1, 1, 2, HL_WEBHOOK_DELETED);
	commit(&f, txn);
	assert_int_equal(run((struct hl_job_row){ .kind = HL_JOB_RECOVER, .webhook = 1, .error_class = -1 }, 100, &most), 0);
	assert_true(hl_delivery_row_get(reader(&f), 1, &d));
	assert_int_equal(d.state, HL_DELIVERY_FAILED);
}

static void test_list(void **state)
{
	struct hl_job_row job, got;
	(void)state;
	struct hl_txn *txn = begin(&f);
	for (uint64_t n = 3; n <= 9; n += 3) {
		job = (struct hl_job_row){ .number = n, .kind = HL_JOB_RETENTION };
		hl_job_put(txn, &job);
	}
	commit(&f, txn);
	assert_true(hl_job_next(reader(&f), 0, &got) && got.number == 3);
	assert_true(hl_job_next(reader(&f), 3, &got) && got.number == 6);
	assert_false(hl_job_next(reader(&f), 9, &got));
	txn = begin(&f);
	struct hl_job_result r;
	assert_true(hl_job_get(txn, 6, &job));
	assert_int_equal(hl_job_step(txn, &job, fakeenv_epoch_ms, 100, &r), 0);
	assert_true(r.done && r.changed == 0);
	commit(&f, txn);
	assert_false(hl_job_get(reader(&f), 6, &got));
	assert_true(hl_job_next(reader(&f), 3, &got) && got.number == 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_retention_by_bytes), T(test_retention_leaves), T(test_retention_after_drop), T(test_recover_by_time),
		T(test_recover_ends_with_its_webhook), T(test_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

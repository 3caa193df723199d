/* The store and publish paths, driven once for each allocation they make, with that allocation failing: the failure is
 * reported, nothing of the command is stored, nothing leaks, and the next command works. The linker sends every
 * allocation of our code through this file; LMDB's and OpenSSL's own are left alone. */
#include "store_test.h"
#include "store/commit.h"
#include "store/idem.h"
#include "store/index.h"
#include "store/jobs.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t k, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t k, size_t n);
void *__wrap_realloc(void *p, size_t n);

static long fail_at; /* the n-th allocation from now fails; 0 = none */
static long made;

static bool fails(void)
{
	return fail_at && ++made == fail_at;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t k, size_t n) { return fails() ? NULL : __real_calloc(k, n); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }

enum { EVENTS = 3, FAN_OUT = 30 };

struct publish {
	struct hl_command command;
	uint64_t event, delivery;
	int status;
};

static int apply_publish(struct hl_command *cmd, struct hl_txn *txn)
{
	struct publish *p = HL_CONTAINER_OF(cmd, struct publish, command);
	struct hl_event_row e = an_event(1, p->delivery, FAN_OUT);
	struct hl_idem_row i = { .created_at_ms = fakeenv_epoch_ms, .number = p->event };
	int rc = hl_idem_find(txn, 1, HL_IDEM_SCOPE_ID, hl_str_make(&p->event, 8), fakeenv_epoch_ms, &i);
	if (rc)
		return rc < 0 ? rc : HL_EEXIST;
	hl_idem_put(txn, 1, HL_IDEM_SCOPE_ID, hl_str_make(&p->event, 8), &i);
	hl_event_append(txn, p->event, &e);
	for (uint32_t k = 0; k < FAN_OUT; k++) {
		struct hl_delivery_row d = a_delivery(p->event, 1, 1 + k);
		d.next_at_ms = k % 3 ? 0 : 5;
		hl_delivery_append(txn, p->delivery + k, &d);
	}
	return hl_txn_status(txn);
}

static int apply_outcome(struct hl_command *cmd, struct hl_txn *txn)
{
	struct publish *p = HL_CONTAINER_OF(cmd, struct publish, command);
	struct hl_delivery_row old, r;
	if (!hl_delivery_row_get(txn, p->delivery, &old))
		return hl_txn_status(txn) ? hl_txn_status(txn) : HL_ENOTFOUND;
	r = old;
	r.n_attempts++;
	struct hl_attempt a = an_attempt(r.n_attempts, true);
	r.state = HL_DELIVERY_SUCCEEDED;
	r.completed_at_ms = fakeenv_epoch_ms;
	r.next_at_ms = 0;
	hl_attempt_add(txn, p->delivery, &r, &a);
	hl_delivery_change(txn, p->delivery, &old, &r);
	return hl_txn_status(txn);
}

static void done(struct hl_command *cmd, int status)
{
	HL_CONTAINER_OF(cmd, struct publish, command)->status = status;
}

static void nothing(void *data)
{
	(void)data;
}

static void run_one(struct hl_commit *c, struct publish *p, int (*apply)(struct hl_command *, struct hl_txn *))
{
	p->command = (struct hl_command){ .priority = HL_PRIO_PUBLISH, .bytes = 3000, .apply = apply, .done = done };
	hl_commit_submit(c, &p->command);
}

/* Opens, publishes, records an outcome, builds the index, lists; with the fail_at-th allocation failing. */
static void scenario(struct fixture *f)
{
	struct publish p[EVENTS], outcome = { .delivery = 2 };
	struct hl_commit_options co = { .threaded = false };
	struct hl_commit *c;
	struct hl_event_row e;
	struct hl_delivery_row d;
	uint64_t stored = 0;
	made = 0;
	if (hl_store_open(&f->store, &f->o, NULL))
		return;
	if (hl_commit_open(&c, NULL, f->store, &co, NULL)) {
		hl_store_close(f->store);
		return;
	}
	for (uint64_t i = 0; i < EVENTS; i++) {
		p[i] = (struct publish){ .event = 1 + i, .delivery = 1 + i * FAN_OUT };
		run_one(c, &p[i], apply_publish);
	}
	while (hl_commit_step(c))
		;
	run_one(c, &outcome, apply_outcome);
	while (hl_commit_step(c))
		;
	long at = fail_at;
	fail_at = 0;
	for (uint64_t i = 0; i < EVENTS; i++) {
		bool whole = p[i].status == 0;
		assert_true(whole || p[i].status == HL_ENOMEM || p[i].status == HL_EFATAL);
		assert_int_equal(hl_event_row_get(reader(f), 1 + i, &e), whole);
		for (uint32_t k = 0; k < FAN_OUT; k++)
			assert_int_equal(hl_delivery_row_get(hl_store_read(f->store), 1 + i * FAN_OUT + k, &d), whole);
		stored += whole;
	}
	assert_true(stored >= EVENTS - 1 || at < 20 || p[0].status == p[1].status);
	assert_true(hl_delivery_row_get(reader(f), 2, &d) == (p[0].status == 0));
	if (p[0].status == 0)
		assert_int_equal(d.state == HL_DELIVERY_SUCCEEDED, outcome.status == 0);
	hl_commit_close(c, nothing, NULL);
	hl_store_close(f->store);
}

static void test_each_allocation(void **state)
{
	long n = 0;
	(void)state;
	do {
		struct fixture f;
		fixture_init(&f);
		struct hl_txn *txn = begin(&f);
		for (uint32_t w = 1; w <= FAN_OUT; w++)
			put_webhook(txn, w, 1, 1, HL_WEBHOOK_ENABLED);
		commit(&f, txn);
		hl_store_close(f.store);
		f.store = NULL;
		fail_at = ++n;
		scenario(&f);
		fail_at = 0;
		fixture_open(&f);
		audit_clean(&f);
		fixture_fini(&f);
	} while (made >= n);
	print_message("%ld allocations\n", n - 1);
	assert_true(n > 10);
}

/* An index run and a job under the same torture: they are repeated until they end. */
static void test_background(void **state)
{
	struct fixture f;
	struct hl_index_run run = { .phase = HL_INDEX_IDLE };
	(void)state;
	fixture_init(&f);
	struct hl_txn *txn = begin(&f);
	for (uint32_t w = 1; w <= FAN_OUT; w++)
		put_webhook(txn, w, 1, 1, HL_WEBHOOK_ENABLED);
	struct hl_event_row e = an_event(1, 1, 300);
	hl_event_append(txn, 1, &e);
	for (uint64_t n = 1; n <= 300; n++) {
		struct hl_delivery_row d = a_delivery(1, 1, 1 + (uint32_t)n % FAN_OUT);
		hl_delivery_append(txn, n, &d);
	}
	struct hl_job_row job = { .number = 1, .kind = HL_JOB_CANCEL_WEBHOOK, .webhook = 3 };
	hl_job_put(txn, &job);
	commit(&f, txn);
	bool indexed = false;
	struct hl_job_result r = { 0 };
	for (long n = 1; !indexed || !r.done; n++) {
		txn = begin(&f);
		made = 0;
		fail_at = n % 11 == 3 && n < 600 ? 1 + n % 3 : n % 61 == 7 ? 1 : 0; /* often, then seldom */
		bool now = false;
		if (!indexed)
			(void)!hl_index_step(txn, &run, 1, 20, &now);
		else if (hl_job_get(txn, 1, &job))
			(void)!hl_job_step(txn, &job, fakeenv_epoch_ms, 16, &r);
		int rc = hl_store_commit(txn);
		fail_at = 0;
		assert_true(rc == 0 || rc == HL_ENOMEM);
		indexed |= rc == 0 && now;
		r.done = r.done && rc == 0;
		hl_store_read_reset(f.store);
		assert_true(n < 5000);
	}
	struct hl_counts c;
	hl_counts_get(reader(&f), 3, &c);
	assert_int_equal(c.by_state[HL_DELIVERY_CANCELLED], 10);
	hl_index_run_fini(&run);
	audit_clean(&f);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_allocation), cmocka_unit_test(test_background) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

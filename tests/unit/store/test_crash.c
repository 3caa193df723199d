/* kill -9. A child publishes, records outcomes, builds the index and runs a job through the group commit; it
 * tells each event it was told is durable. It is killed at a random moment; every event told must be there, and the
 * store whole. Then the next child goes on with the same store. HL_KILLS lengthens it. */
#include "store_test.h"
#include "store/commit.h"
#include "store/index.h"
#include "store/jobs.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { PUBLISHERS = 12, FAN_OUT = 5 };

/* ---- the child --------------------------------------------------------------------------------------------------- */

struct child {
	struct fixture f;
	struct hl_commit *commit;
	struct hl_numbers next;
	struct hl_index_run run;
	struct rnd rnd;
	int tell;
	uint64_t acked_delivery;      /* newest one durable */
};

struct work {
	struct hl_command command;
	struct child *c;
	uint64_t event, delivery;
};

static int apply_publish(struct hl_command *cmd, struct hl_txn *txn)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	struct hl_event_row e = an_event(1, w->delivery, FAN_OUT);
	hl_event_append(txn, w->event, &e);
	for (uint32_t i = 0; i < FAN_OUT; i++) {
		struct hl_delivery_row d = a_delivery(w->event, 1, 1 + i);
		hl_delivery_append(txn, w->delivery + i, &d);
	}
	return hl_txn_status(txn);
}

static void publish(struct work *w)
{
	w->event = w->c->next.event++;
	w->delivery = w->c->next.delivery;
	w->c->next.delivery += FAN_OUT;
	hl_commit_submit(w->c->commit, &w->command);
}

static void done_publish(struct hl_command *cmd, int status)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	if (status || write(w->c->tell, &w->event, sizeof(w->event)) != sizeof(w->event))
		_exit(1);
	w->c->acked_delivery = w->delivery + FAN_OUT - 1;
	publish(w);
}

static int apply_outcome(struct hl_command *cmd, struct hl_txn *txn)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	struct hl_delivery_row old, r;
	if (!hl_delivery_row_get(txn, w->delivery, &old) || old.state != HL_DELIVERY_PENDING)
		return hl_txn_status(txn);
	r = old;
	r.n_attempts++;
	bool ok = w->delivery % 3;
	struct hl_attempt a = an_attempt(r.n_attempts, ok);
	r.last_class = (uint8_t)a.error_class;
	r.state = ok ? HL_DELIVERY_SUCCEEDED : HL_DELIVERY_PENDING;
	r.completed_at_ms = ok ? fakeenv_epoch_ms : 0;
	r.next_at_ms = ok ? 0 : fakeenv_epoch_ms + r.n_attempts;
	hl_attempt_add(txn, w->delivery, &r, &a);
	hl_delivery_change(txn, w->delivery, &old, &r);
	return hl_txn_status(txn);
}

static void done_outcome(struct hl_command *cmd, int status)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	if (status)
		_exit(1);
	uint64_t newest = w->c->acked_delivery;
	w->delivery = newest > 300 ? newest - rnd_below(&w->c->rnd, 300) : newest;
	hl_commit_submit(w->c->commit, cmd);
}

static int apply_janitor(struct hl_command *cmd, struct hl_txn *txn)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	struct hl_job_row job;
	struct hl_job_result r;
	bool done;
	int rc = hl_index_step(txn, &w->c->run, 200, 100, &done);
	if (rc)
		return rc;
	if (hl_job_next(txn, 0, &job))
		return hl_job_step(txn, &job, fakeenv_epoch_ms, 500, &r);
	struct hl_numbers n;
	hl_store_next_numbers(txn, &n);
	job = (struct hl_job_row){ .number = n.job, .kind = HL_JOB_CANCEL_WEBHOOK, .webhook = FAN_OUT };
	hl_job_put(txn, &job);
	return hl_txn_status(txn);
}

static void done_janitor(struct hl_command *cmd, int status)
{
	struct work *w = HL_CONTAINER_OF(cmd, struct work, command);
	if (status)
		_exit(1);
	hl_commit_submit(w->c->commit, cmd);
}

static void child_main(struct fixture *f, int tell, uint64_t seed)
{
	static struct child c;
	static struct work work[PUBLISHERS + 3];
	uv_loop_t loop;
	c = (struct child){ .f = *f, .tell = tell, .rnd = { seed } };
	struct hl_commit_options o = { .threaded = true };
	if (hl_store_open(&c.f.store, &c.f.o, NULL) || uv_loop_init(&loop) ||
			hl_commit_open(&c.commit, &loop, c.f.store, &o, NULL))
		_exit(1);
	hl_store_next_numbers(hl_store_read(c.f.store), &c.next);
	for (size_t i = 0; i < HL_ARRAY_LEN(work); i++) {
		struct work *w = &work[i];
		bool outcome = i >= PUBLISHERS && i < PUBLISHERS + 2;
		w->c = &c;
		w->delivery = 1;
		w->command = (struct hl_command){ .priority = i < PUBLISHERS ? HL_PRIO_PUBLISH : outcome ? HL_PRIO_OUTCOME :
			HL_PRIO_JOB, .bytes = 1000, .apply = i < PUBLISHERS ? apply_publish : outcome ? apply_outcome :
			apply_janitor, .done = i < PUBLISHERS ? done_publish : outcome ? done_outcome : done_janitor };
		if (i < PUBLISHERS)
			publish(w);
		else
			hl_commit_submit(c.commit, &w->command);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(1);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

/* Reads what the child tells until `ms` after the first word; newest event told. */
static uint64_t listen_to(int fd, int ms)
{
	uint64_t event, newest = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct timespec start = { 0 }, now;
	while (poll(&p, 1, newest ? 1 : 10000) >= 0) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (newest && (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 >= ms)
			break;
		if (!(p.revents & (POLLIN | POLLHUP)))
			continue;
		if (read(fd, &event, sizeof(event)) != sizeof(event))
			break;
		if (!newest)
			start = now;
		newest = event;
	}
	return newest;
}

static uint64_t round_of(struct fixture *f, struct rnd *rnd)
{
	int tell[2];
	uint64_t event, newest, seed = rnd_u64(rnd);
	assert_int_equal(pipe(tell), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(tell[0]);
		child_main(f, tell[1], seed);
	}
	close(tell[1]);
	newest = listen_to(tell[0], (int)rnd_below(rnd, 40));
	assert_true(newest > 0);
	kill(pid, SIGKILL);
	while (read(tell[0], &event, sizeof(event)) == sizeof(event))
		newest = event; /* told before the end */
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(tell[0]);
	return newest;
}

static void test_kill(void **state)
{
	const char *kills = getenv("HL_KILLS");
	struct fixture f;
	struct rnd rnd = { 5 };
	uint64_t newest = 0;
	(void)state;
	fixture_init(&f);
	struct hl_txn *txn = begin(&f);
	for (uint32_t n = 1; n <= FAN_OUT; n++)
		put_webhook(txn, n, 1, 1, HL_WEBHOOK_ENABLED);
	commit(&f, txn);
	for (int k = kills ? atoi(kills) : 15; k; k--) {
		hl_store_close(f.store);
		f.store = NULL;
		newest = round_of(&f, &rnd);
		fixture_open(&f);
		for (uint64_t n = 1; n <= newest; n++) {
			struct hl_event_row e;
			struct hl_delivery_row d;
			assert_true(hl_event_row_get(reader(&f), n, &e));
			for (uint32_t i = 0; i < e.n_deliveries; i++)
				assert_true(hl_delivery_row_get(hl_store_read(f.store), e.first_delivery + i, &d) && d.event == n);
		}
		audit_clean(&f);
	}
	print_message("%llu events told and there\n", (unsigned long long)newest);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

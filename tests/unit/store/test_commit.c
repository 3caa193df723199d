/* Group commit: order and priority, batch limits, refusals, a batch run again without the command that failed, the end
 * after a failed commit; with and without the thread. */
#include "store_test.h"
#include "loop.h"
#include "store/commit.h"

enum { COMMANDS = 64 };

struct world {
	struct fixture f;
	struct hl_commit *commit;
	uv_loop_t loop;
	/* faults */
	enum hl_fault fault_at;
	int fault_in, fault_code;
	/* what happened */
	unsigned applied[1000];       /* ids in the order of apply */
	size_t n_applied;
	unsigned done[1000];          /* ids in the order of done */
	int status[1000];             /* by id; 1 = not done */
	size_t n_done;
	unsigned batches, fatal;
	bool closed;
	unsigned more;                /* commands that done submits again */
};

struct cmd {
	struct hl_command command;
	struct world *w;
	unsigned id;
	uint32_t webhook;             /* whose counter it raises; 0 = writes nothing */
	int result;                   /* of apply */
	bool write_first;             /* writes, then fails with result */
	int fail_txn;                 /* makes the transaction fail with it */
	unsigned n_applied;
};

static int hook(void *data, enum hl_fault at)
{
	struct world *w = data;
	return at == w->fault_at && w->fault_in && --w->fault_in == 0 ? w->fault_code : 0;
}

static int apply(struct hl_command *c, struct hl_txn *txn)
{
	struct cmd *x = HL_CONTAINER_OF(c, struct cmd, command);
	x->w->applied[x->w->n_applied++] = x->id;
	x->n_applied++;
	if (x->result && !x->write_first)
		return x->result;
	if (x->webhook) {
		hl_counts_edit(txn, x->webhook)->by_state[0]++;
		hl_txn_put(txn, HL_TABLE_EVENT_TYPE, hl_str_make(&x->id, sizeof(x->id)), HL_STR("x"));
	}
	if (x->fail_txn)
		return hl_txn_fail(txn, x->fail_txn);
	return x->result ? x->result : hl_txn_status(txn);
}

static void done(struct hl_command *c, int status)
{
	struct cmd *x = HL_CONTAINER_OF(c, struct cmd, command);
	struct world *w = x->w;
	w->done[w->n_done++] = x->id;
	w->status[x->id] = status;
	assert_int_equal(w->fatal, status == HL_EFATAL); /* told before the commands it took */
	if (w->more) {
		w->more--;
		hl_commit_submit(w->commit, c);
	}
}

static void on_batch(void *data) { ((struct world *)data)->batches++; }
static void on_closed(void *data) { ((struct world *)data)->closed = true; }
static void on_fatal(void *data, const struct hl_err *err)
{
	assert_int_equal(err->code, HL_EFATAL);
	((struct world *)data)->fatal++;
}

static void world_init(struct world *w, bool threaded, struct hl_commit_options o)
{
	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < HL_ARRAY_LEN(w->status); i++)
		w->status[i] = 1;
	fixture_init(&w->f);
	w->f.o.fault = hook;
	w->f.o.fault_data = w;
	fixture_reopen(&w->f);
	loop_init(&w->loop);
	o.threaded = threaded;
	o.on_batch = on_batch;
	o.on_fatal = on_fatal;
	o.data = w;
	assert_int_equal(hl_commit_open(&w->commit, &w->loop, w->f.store, &o, NULL), 0);
}

static void world_close(struct world *w)
{
	hl_commit_close(w->commit, on_closed, w);
	assert_true(loop_until(&w->loop, &w->closed, 2000));
}

static void world_fini(struct world *w)
{
	if (!w->closed)
		world_close(w);
	loop_fini(&w->loop);
	fixture_fini(&w->f);
}

static void cmd_init(struct cmd *x, struct world *w, unsigned id, enum hl_priority priority)
{
	*x = (struct cmd){ .w = w, .id = id, .webhook = 1, .command = { .priority = priority, .bytes = 100, .apply = apply,
		.done = done, .grows = priority == HL_PRIO_PUBLISH } };
}

static uint64_t counted(struct world *w)
{
	struct hl_counts c;
	hl_counts_get(reader(&w->f), 1, &c);
	return c.by_state[0];
}

/* One command of each priority, in the wrong order, and a second publish. */
static void test_order(void **state)
{
	struct world w;
	struct cmd x[5];
	(void)state;
	world_init(&w, false, (struct hl_commit_options){ 0 });
	const enum hl_priority p[5] = { HL_PRIO_JOB, HL_PRIO_PUBLISH, HL_PRIO_API, HL_PRIO_OUTCOME, HL_PRIO_PUBLISH };
	const unsigned want[5] = { 3, 2, 1, 4, 0 };
	assert_false(hl_commit_step(w.commit));
	for (unsigned i = 0; i < 5; i++) {
		cmd_init(&x[i], &w, i, p[i]);
		hl_commit_submit(w.commit, &x[i].command);
	}
	assert_int_equal(w.n_applied, 0);
	assert_int_equal(hl_commit_backlog(w.commit), 5);
	assert_int_equal(hl_commit_backlog_bytes(w.commit), 500);
	assert_true(hl_commit_step(w.commit));
	assert_int_equal(hl_commit_backlog(w.commit), 0);
	assert_int_equal(hl_commit_backlog_bytes(w.commit), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(w.applied[i], want[i]);
		assert_int_equal(w.done[i], want[i]);
		assert_int_equal(w.status[i], 0);
	}
	assert_int_equal(w.batches, 1);
	assert_int_equal(counted(&w), 5);
	assert_int_equal(hl_commit_stats(w.commit)->commits, 1);
	assert_int_equal(hl_commit_stats(w.commit)->commands, 5);
	assert_int_equal(hl_commit_stats(w.commit)->duration.count, 1);
	world_fini(&w);
}

static void test_limits(void **state)
{
	struct world w;
	struct cmd x[10];
	(void)state;
	world_init(&w, false, (struct hl_commit_options){ .max_commands = 4, .max_bytes = 1000 });
	for (unsigned i = 0; i < 10; i++) {
		cmd_init(&x[i], &w, i, HL_PRIO_PUBLISH);
		x[i].command.bytes = i == 8 ? 5000 : 100;
		hl_commit_submit(w.commit, &x[i].command);
	}
	const size_t want[] = { 4, 8, 9, 10 }; /* the large one goes alone */
	for (size_t i = 0; i < 4; i++) {
		assert_true(hl_commit_step(w.commit));
		assert_int_equal(w.n_done, want[i]);
	}
	assert_false(hl_commit_step(w.commit));
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(w.done[i], i);
	world_fini(&w);
}

static void test_refusals(void **state)
{
	struct world w;
	struct cmd x[4];
	(void)state;
	world_init(&w, false, (struct hl_commit_options){ 0 });
	for (unsigned i = 0; i < 4; i++)
		cmd_init(&x[i], &w, i, HL_PRIO_API);
	x[1].result = HL_ECONFLICT;
	x[2].result = HL_ENOTFOUND;
	x[2].write_first = true; /* against the rules: it is undone all the same */
	for (unsigned i = 0; i < 4; i++)
		hl_commit_submit(w.commit, &x[i].command);
	assert_true(hl_commit_step(w.commit));
	assert_int_equal(w.status[0], 0);
	assert_int_equal(w.status[1], HL_ECONFLICT);
	assert_int_equal(w.status[2], HL_ENOTFOUND);
	assert_int_equal(w.status[3], 0);
	assert_int_equal(counted(&w), 2);
	assert_int_equal(x[2].n_applied, 1);
	assert_int_equal(x[0].n_applied, 2);
	assert_int_equal(hl_commit_stats(w.commit)->reruns, 1);
	world_fini(&w);
}

/* The n-th write of a batch fails, for every n. */
static void test_failing_write(void **state)
{
	(void)state;
	for (int n = 1; n <= 8; n++) {
		struct world w;
		struct cmd x[4];
		unsigned bad = 0;
		world_init(&w, false, (struct hl_commit_options){ 0 });
		w.fault_at = HL_FAULT_WRITE;
		w.fault_in = n;
		w.fault_code = HL_EIO;
		for (unsigned i = 0; i < 4; i++) {
			cmd_init(&x[i], &w, i, HL_PRIO_API);
			hl_commit_submit(w.commit, &x[i].command);
		}
		assert_true(hl_commit_step(w.commit));
		for (unsigned i = 0; i < 4; i++)
			bad += w.status[i] == HL_EIO;
		/* A command's write fails that command; a counter's write at the end fails all, and nothing is stored. */
		assert_int_equal(bad, n <= 4 ? 1 : n == 5 ? 4 : 0);
		assert_int_equal(counted(&w), 4 - bad);
		world_fini(&w);
	}
}

static void test_full_in_the_middle(void **state)
{
	struct world w;
	struct cmd x[6];
	(void)state;
	world_init(&w, false, (struct hl_commit_options){ 0 });
	for (unsigned i = 0; i < 6; i++) {
		cmd_init(&x[i], &w, i, i % 2 ? HL_PRIO_PUBLISH : HL_PRIO_OUTCOME);
		hl_commit_submit(w.commit, &x[i].command);
	}
	w.fault_at = HL_FAULT_WRITE;
	w.fault_in = 5; /* the second publish */
	w.fault_code = HL_EFULL;
	assert_true(hl_commit_step(w.commit));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(w.status[i], i % 2 ? HL_EFULL : 0);
	assert_int_equal(counted(&w), 3);
	/* Full before the batch: publishes are not even applied. */
	w.n_applied = 0;
	w.fault_at = HL_FAULT_RESERVE;
	w.fault_in = 1;
	for (unsigned i = 0; i < 6; i++)
		hl_commit_submit(w.commit, &x[i].command);
	assert_true(hl_commit_step(w.commit));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(w.status[i], i % 2 ? HL_EFULL : 0);
	assert_int_equal(w.n_applied, 3);
	assert_int_equal(hl_commit_stats(w.commit)->refused_full, 3);
	world_fini(&w);
}

/* A transaction too large for LMDB is cut where it became so; a command too large by itself is refused. */
static void test_too_large(void **state)
{
	struct world w;
	struct cmd x[4];
	(void)state;
	world_init(&w, false, (struct hl_commit_options){ 0 });
	for (unsigned i = 0; i < 4; i++) {
		cmd_init(&x[i], &w, i, HL_PRIO_PUBLISH);
		hl_commit_submit(w.commit, &x[i].command);
	}
	x[2].fail_txn = HL_ETOOBIG;
	assert_true(hl_commit_step(w.commit));
	assert_int_equal(w.n_done, 2);
	assert_int_equal(hl_commit_backlog(w.commit), 2);
	assert_true(hl_commit_step(w.commit));
	assert_int_equal(w.status[2], HL_ETOOBIG);
	assert_int_equal(w.status[3], 0);
	assert_int_equal(w.done[0], 0);
	assert_int_equal(w.done[1], 1);
	assert_int_equal(counted(&w), 3);
	world_fini(&w);
}

static void fatal(bool threaded)
{
	struct world w;
	struct cmd x[5];
	world_init(&w, threaded, (struct hl_commit_options){ .max_commands = 2 });
	w.fault_at = HL_FAULT_COMMIT;
	w.fault_in = 1;
	w.fault_code = HL_EIO;
	for (unsigned i = 0; i < 4; i++) {
		cmd_init(&x[i], &w, i, HL_PRIO_API);
		hl_commit_submit(w.commit, &x[i].command);
	}
	x[1].result = HL_ECONFLICT; /* also told the end: its check was made against something that never was */
	world_close(&w);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(w.status[i], HL_EFATAL);
	assert_int_equal(w.fatal, 1);
	assert_int_equal(counted(&w), 0);
	world_fini(&w);
}

static void test_fatal(void **state)
{
	(void)state;
	fatal(false);
	fatal(true);
}

static bool all_done(void *data)
{
	struct world *w = data;
	return hl_commit_backlog(w->commit) == 0;
}

static void test_thread(void **state)
{
	struct world w;
	static struct cmd x[COMMANDS];
	(void)state;
	world_init(&w, true, (struct hl_commit_options){ 0 });
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < COMMANDS; i++) {
			cmd_init(&x[i], &w, i, (enum hl_priority)(i % HL_PRIO_N));
			w.status[i] = 1;
			hl_commit_submit(w.commit, &x[i].command);
		}
		assert_int_equal(w.n_done, 0); /* never before submit returned, nor before the loop ran */
		assert_true(loop_run_until(&w.loop, all_done, &w, 2000));
		for (unsigned i = 0; i < COMMANDS; i++)
			assert_int_equal(w.status[i], 0);
		assert_int_equal(counted(&w), (round + 1) * COMMANDS);
		w.n_done = w.n_applied = 0;
	}
	assert_true(w.batches <= 10 * 2); /* one turn's commands travel together */
	world_fini(&w);
}

/* Commands submitted by done; closing while much waits commits all of it. */
static void test_close_with_work(void **state)
{
	struct world w;
	static struct cmd x[COMMANDS];
	(void)state;
	world_init(&w, true, (struct hl_commit_options){ .max_commands = 5 });
	w.more = 100;
	for (unsigned i = 0; i < COMMANDS; i++) {
		cmd_init(&x[i], &w, i, HL_PRIO_OUTCOME);
		hl_commit_submit(w.commit, &x[i].command);
	}
	world_close(&w);
	assert_int_equal(w.n_done, COMMANDS + 100);
	assert_int_equal(counted(&w), COMMANDS + 100);
	world_fini(&w);
}

static void test_close_idle(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, true, (struct hl_commit_options){ 0 });
	assert_int_equal(uv_loop_alive(&w.loop), 0); /* nothing to do: it does not keep a program running */
	hl_commit_close(w.commit, on_closed, &w);
	assert_false(w.closed);
	assert_true(loop_until(&w.loop, &w.closed, 2000));
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order), cmocka_unit_test(test_limits), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_failing_write), cmocka_unit_test(test_full_in_the_middle), cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_fatal), cmocka_unit_test(test_thread), cmocka_unit_test(test_close_with_work),
		cmocka_unit_test(test_close_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

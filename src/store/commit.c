/* Group commit.
 *
 * Happy path: commands submitted in a loop turn are collected; before the loop polls they are handed to the storage
 * thread in one piece. The thread takes what waits, by priority and in order, up to the batch limits; applies each
 * command in one transaction; commits; hands the whole batch back and wakes the loop, which gives up its old snapshot
 * and tells every command.
 *
 * What goes wrong:
 * - The disk or the quota is full before the batch: commands that grow the store get HL_EFULL and are not applied.
 * - apply refuses, having written nothing: only its status.
 * - An error after writing: there is no way to undo one command, so the transaction is aborted and the batch runs again
 *   without it. When the store is full in the middle, all growing commands leave the batch at once.
 * - The transaction is too large for LMDB: the commands from that one on wait for the next batch; alone it is refused.
 * - The commit fails: the end. Nobody of this batch, or after it, is told success; on_fatal runs once. */
#include "store/commit.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/err.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_COMMANDS = 4096 };
#define MAX_BYTES ((uint64_t)16 << 20)

struct queues {
	struct hl_list by_priority[HL_PRIO_N];
	size_t n;
};

struct hl_commit {
	struct hl_store *store;
	struct hl_commit_options o;
	uv_loop_t *loop;
	/* loop thread */
	struct queues collected;      /* this turn's */
	size_t backlog;
	uint64_t backlog_bytes;
	bool fatal_told;
	void (*close_cb)(void *data); /* NULL = not closing */
	void *close_data;
	bool finishing;
	unsigned n_handles;           /* still open */
	uv_prepare_t prepare;         /* active while something is collected */
	uv_async_t wakeup;
	uv_thread_t thread;
	struct hl_commit_stats stats; /* as of the last batch told */
	/* shared, under the mutex */
	uv_mutex_t mutex;
	uv_cond_t work;
	struct queues waiting;
	struct hl_list finished;
	struct hl_commit_stats counted;
	bool stop;
	/* storage thread */
	atomic_bool fatal;
};

static void queues_init(struct queues *q)
{
	for (int i = 0; i < HL_PRIO_N; i++)
		hl_list_init(&q->by_priority[i]);
	q->n = 0;
}

static void queues_push(struct queues *q, struct hl_command *cmd, bool front)
{
	struct hl_list *list = &q->by_priority[cmd->priority];
	if (front)
		hl_list_push_front(list, &cmd->link);
	else
		hl_list_push_back(list, &cmd->link);
	q->n++;
}

/* Moves all of `from` behind what `to` holds. */
static void list_splice(struct hl_list *to, struct hl_list *from)
{
	if (hl_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	hl_list_init(from);
}

static void queues_splice(struct queues *to, struct queues *from)
{
	for (int i = 0; i < HL_PRIO_N; i++)
		list_splice(&to->by_priority[i], &from->by_priority[i]);
	to->n += from->n;
	from->n = 0;
}

static struct hl_command *command_of(struct hl_list *link)
{
	return HL_LIST_ENTRY(link, struct hl_command, link);
}

/* ---- one batch, on the storage thread ---------------------------------------------------------------------------- */

struct batch {
	struct hl_list commands;      /* to be applied */
	struct hl_list finished;      /* with their status */
	uint64_t bytes;
	size_t n;
};

static void batch_take(struct hl_commit *c, struct batch *b)
{
	hl_list_init(&b->commands);
	hl_list_init(&b->finished);
	b->bytes = 0;
	b->n = 0;
	for (int i = 0; i < HL_PRIO_N; i++) {
		HL_LIST_EACH(link, &c->waiting.by_priority[i]) {
			struct hl_command *cmd = command_of(link);
			if (b->n && (b->n >= c->o.max_commands || b->bytes + cmd->bytes > c->o.max_bytes))
				return;
			hl_list_remove(link);
			hl_list_push_back(&b->commands, link);
			c->waiting.n--;
			b->n++;
			b->bytes += cmd->bytes;
		}
	}
}

static void batch_finish_one(struct batch *b, struct hl_command *cmd, int status)
{
	cmd->status = status;
	hl_list_remove(&cmd->link);
	hl_list_push_back(&b->finished, &cmd->link);
}

static void batch_finish_all(struct batch *b, int status)
{
	HL_LIST_EACH(link, &b->commands)
		batch_finish_one(b, command_of(link), status);
}

/* Growing commands leave with HL_EFULL; tells how many did. */
static size_t batch_refuse_growth(struct batch *b)
{
	size_t n = 0;
	HL_LIST_EACH(link, &b->commands) {
		if (!command_of(link)->grows)
			continue;
		batch_finish_one(b, command_of(link), HL_EFULL);
		n++;
	}
	return n;
}

/* Puts cmd and all behind it back to the front of what waits. */
static void batch_cut(struct hl_commit *c, struct batch *b, struct hl_command *cmd)
{
	struct hl_list *stop = cmd->link.prev;
	uv_mutex_lock(&c->mutex);
	while (b->commands.prev != stop) {
		struct hl_list *last = b->commands.prev;
		hl_list_remove(last);
		queues_push(&c->waiting, command_of(last), true);
	}
	uv_mutex_unlock(&c->mutex);
}

/* Applies all; 0 when the transaction may commit, else the command at fault in *out_failed and its status. */
static int batch_apply(struct hl_txn *txn, struct batch *b, struct hl_command **out_failed, bool *out_alone)
{
	HL_LIST_EACH(link, &b->commands) {
		struct hl_command *cmd = command_of(link);
		uint64_t before = txn->n_writes;
		if (link != b->commands.next)
			HL_CRASH_POINT(COMMIT_HALF);
		hl_txn_next_command(txn);
		int rc = cmd->apply(cmd, txn);
		int failed = hl_txn_status(txn);
		if (!failed && rc && txn->n_writes != before)
			failed = rc;
		if (failed) {
			*out_failed = cmd;
			*out_alone = before == 0;
			return failed;
		}
		cmd->status = rc;
	}
	return 0;
}

/* Decides what happens to a batch one of whose commands failed. */
static void batch_repair(struct hl_commit *c, struct batch *b, struct hl_command *cmd, int status, bool alone)
{
	if (status == HL_ETOOBIG && !alone)
		batch_cut(c, b, cmd);
	else if (status == HL_EFULL && cmd->grows)
		batch_refuse_growth(b);
	else
		batch_finish_one(b, cmd, status);
}

static void batch_fatal(struct hl_commit *c, struct batch *b)
{
	atomic_store(&c->fatal, true);
	batch_finish_all(b, HL_EFATAL);
}

/* One try; false: something left the batch, the rest must run again. */
static bool batch_try(struct hl_commit *c, struct batch *b)
{
	struct hl_txn *txn;
	struct hl_command *failed;
	bool alone;
	if (hl_list_empty(&b->commands))
		return true;
	if (hl_store_begin_write(c->store, &txn)) {
		batch_fatal(c, b);
		return true;
	}
	int rc = batch_apply(txn, b, &failed, &alone);
	if (rc == HL_EFATAL) {
		hl_store_abort(txn);
		batch_fatal(c, b);
		return true;
	}
	if (rc) {
		hl_store_abort(txn);
		batch_repair(c, b, failed, rc, alone);
		return false;
	}
	HL_CRASH_POINT(COMMIT_APPLIED);
	rc = hl_store_commit(txn);
	HL_CRASH_POINT(COMMIT_DURABLE);
	if (rc == HL_EFATAL)
		batch_fatal(c, b);
	else if (rc == HL_EFULL && batch_refuse_growth(b))
		return false;
	else if (rc)
		batch_finish_all(b, rc); /* the counters could not be written; nothing was */
	return true;
}

static void histogram_add(struct hl_histogram *h, double seconds)
{
	double bound = 0.0005;
	size_t i = 0;
	while (i < HL_HISTOGRAM_BUCKETS - 1 && seconds > bound) {
		bound *= 2;
		i++;
	}
	h->buckets[i]++;
	h->count++;
	h->sum_s += seconds;
}

static void batch_run(struct hl_commit *c, struct batch *b)
{
	uint64_t start = uv_hrtime(), refused = 0, reruns = 0;
	HL_CRASH_POINT(COMMIT_TAKEN);
	if (atomic_load(&c->fatal))
		batch_finish_all(b, HL_EFATAL);
	else if (hl_store_reserve(c->store, b->bytes) || hl_store_full(c->store))
		refused = batch_refuse_growth(b);
	while (!batch_try(c, b))
		reruns++;
	size_t n = 0;
	HL_LIST_EACH(link, &b->commands)
		n++;
	list_splice(&b->finished, &b->commands); /* with the status apply gave them */
	uv_mutex_lock(&c->mutex);
	list_splice(&c->finished, &b->finished);
	c->counted.commits += n > 0;
	c->counted.commands += n;
	c->counted.reruns += reruns;
	c->counted.refused_full += refused;
	if (n)
		histogram_add(&c->counted.duration, (double)(uv_hrtime() - start) / 1e9);
	uv_mutex_unlock(&c->mutex);
}

static void storage_thread(void *arg)
{
	struct hl_commit *c = arg;
	struct batch b;
	for (;;) {
		uv_mutex_lock(&c->mutex);
		while (c->waiting.n == 0 && !c->stop)
			uv_cond_wait(&c->work, &c->mutex);
		bool end = c->waiting.n == 0;
		batch_take(c, &b);
		uv_mutex_unlock(&c->mutex);
		if (end)
			return;
		batch_run(c, &b);
		uv_async_send(&c->wakeup);
	}
}

/* ---- the loop's side --------------------------------------------------------------------------------------------- */

static void hand_over(struct hl_commit *c)
{
	uv_mutex_lock(&c->mutex);
	queues_splice(&c->waiting, &c->collected);
	uv_cond_signal(&c->work);
	uv_mutex_unlock(&c->mutex);
}

static void on_prepare(uv_prepare_t *p)
{
	uv_prepare_stop(p);
	hand_over(p->data);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct hl_commit *c = h->data;
	if (--c->n_handles)
		return;
	void (*cb)(void *) = c->close_cb;
	void *data = c->close_data;
	uv_mutex_destroy(&c->mutex);
	uv_cond_destroy(&c->work);
	free(c);
	cb(data);
}

/* All is told: ends thread and handles. */
static void finish(struct hl_commit *c)
{
	HL_CHECK(!c->finishing);
	c->finishing = true;
	uv_mutex_lock(&c->mutex);
	c->stop = true;
	uv_cond_signal(&c->work);
	uv_mutex_unlock(&c->mutex);
	uv_thread_join(&c->thread); /* it has nothing to do any more */
	uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&c->wakeup, on_handle_closed);
}

bool hl_commit_tell(struct hl_commit *c)
{
	struct hl_list finished;
	struct hl_err err = { 0 };
	hl_list_init(&finished);
	uv_mutex_lock(&c->mutex);
	list_splice(&finished, &c->finished);
	c->stats = c->counted;
	uv_mutex_unlock(&c->mutex);
	if (hl_list_empty(&finished))
		return false;
	hl_store_read_reset(c->store);
	if (c->o.on_batch)
		c->o.on_batch(c->o.data);
	if (atomic_load(&c->fatal) && !c->fatal_told) {
		c->fatal_told = true;
		hl_err_set(&err, HL_EFATAL, "a commit failed (%s): restart the process", hl_store_death(c->store));
		if (c->o.on_fatal)
			c->o.on_fatal(c->o.data, &err);
	}
	struct hl_list *link;
	while ((link = hl_list_pop_front(&finished)) != NULL) {
		struct hl_command *cmd = command_of(link);
		c->backlog--;
		c->backlog_bytes -= cmd->bytes;
		cmd->done(cmd, cmd->status);
		HL_CRASH_POINT(COMMIT_TOLD);
	}
	return true;
}

static void on_wakeup(uv_async_t *a)
{
	struct hl_commit *c = a->data;
	(void)hl_commit_tell(c);
	if (c->backlog == 0 && !c->finishing) {
		uv_unref((uv_handle_t *)a);
		if (c->close_cb)
			finish(c);
	}
}

void hl_commit_submit(struct hl_commit *c, struct hl_command *cmd)
{
	HL_CHECK(!hl_list_linked(&cmd->link) && cmd->priority < HL_PRIO_N && !c->finishing);
	queues_push(&c->collected, cmd, false);
	c->backlog_bytes += cmd->bytes;
	c->backlog++;
	if (!c->o.threaded)
		return;
	uv_ref((uv_handle_t *)&c->wakeup); /* the loop lives until everything is told */
	uv_prepare_start(&c->prepare, on_prepare);
}

void hl_commit_flush(struct hl_commit *c)
{
	if (!c->o.threaded || c->collected.n == 0)
		return;
	uv_prepare_stop(&c->prepare);
	hand_over(c);
}

bool hl_commit_run(struct hl_commit *c)
{
	struct batch b;
	HL_CHECK(!c->o.threaded);
	queues_splice(&c->waiting, &c->collected);
	if (c->waiting.n == 0)
		return false;
	batch_take(c, &b);
	batch_run(c, &b);
	return true;
}

bool hl_commit_step(struct hl_commit *c)
{
	bool ran = hl_commit_run(c);
	return hl_commit_tell(c) || ran;
}

void hl_commit_close(struct hl_commit *c, void (*cb)(void *data), void *data)
{
	HL_CHECK(!c->close_cb);
	c->close_cb = cb;
	c->close_data = data;
	if (c->o.threaded) {
		if (c->backlog == 0)
			finish(c);
		return;
	}
	while (hl_commit_step(c))
		;
	uv_mutex_destroy(&c->mutex);
	uv_cond_destroy(&c->work);
	free(c);
	cb(data);
}

size_t hl_commit_backlog(const struct hl_commit *c) { return c->backlog; }
uint64_t hl_commit_backlog_bytes(const struct hl_commit *c) { return c->backlog_bytes; }
const struct hl_commit_stats *hl_commit_stats(const struct hl_commit *c) { return &c->stats; }

static int start_thread(struct hl_commit *c, struct hl_err *err)
{
	int rc = uv_async_init(c->loop, &c->wakeup, on_wakeup);
	if (rc)
		return hl_err_set(err, HL_EIO, "storage thread: %s", uv_strerror(rc));
	uv_prepare_init(c->loop, &c->prepare);
	c->wakeup.data = c->prepare.data = c;
	c->n_handles = 2;
	uv_unref((uv_handle_t *)&c->wakeup);
	rc = uv_thread_create(&c->thread, storage_thread, c);
	return rc ? hl_err_set(err, HL_EIO, "storage thread: %s", uv_strerror(rc)) : 0;
}

static void close_nothing(void *data)
{
	(void)data;
}

int hl_commit_open(struct hl_commit **out, uv_loop_t *loop, struct hl_store *s, const struct hl_commit_options *o,
		struct hl_err *err)
{
	struct hl_commit *c = calloc(1, sizeof(*c));
	if (!c)
		return hl_err_set(err, HL_ENOMEM, "commit");
	c->store = s;
	c->loop = loop;
	c->o = *o;
	c->o.max_commands = o->max_commands ? o->max_commands : MAX_COMMANDS;
	c->o.max_bytes = o->max_bytes ? o->max_bytes : MAX_BYTES;
	queues_init(&c->collected);
	queues_init(&c->waiting);
	hl_list_init(&c->finished);
	if (uv_mutex_init(&c->mutex) || uv_cond_init(&c->work)) {
		free(c);
		return hl_err_set(err, HL_ENOMEM, "commit");
	}
	int rc = o->threaded ? start_thread(c, err) : 0;
	if (!rc) {
		*out = c;
		return 0;
	}
	if (!c->n_handles) {
		uv_mutex_destroy(&c->mutex);
		uv_cond_destroy(&c->work);
		free(c);
		return rc;
	}
	c->close_cb = close_nothing; /* the handles must be closed by the loop before the memory may go */
	uv_close((uv_handle_t *)&c->prepare, on_handle_closed);
	uv_close((uv_handle_t *)&c->wakeup, on_handle_closed);
	return rc;
}

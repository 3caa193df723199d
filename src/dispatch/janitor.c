/* Upkeep.
 *
 *   index   when 16,384 rows wait, or when nothing was published for a second
 *   jobs    one slice after the other while the store holds any (cancel, drop, recover)
 *   upkeep  every minute while there are queues, else every ten, every three seconds while the store is full: old
 *           idempotency records, a retention job when there is something to delete, a sweep over each parked or held
 *           queue; queues idle for ten minutes are forgotten
 *
 * Each kind has at most one command under way, so upkeep never crowds out anything. A crash in the middle of any of it
 * costs nothing: jobs keep their cursor in the store, index runs are repeated, sweeps start again. An idle process with
 * nothing pending asks for no wake-up but a slow one. */
#include "dispatch/janitor.h"

#include "dispatch/sweep.h"
#include "dispatch/webhook_state.h"
#include "dispatch/queues.h"
#include "base/crash.h"

#include <stdlib.h>

enum {
	INDEX_ROWS = 16384, INDEX_QUIET_MS = 1000, SLICE_US = 2000, UPKEEP_MS = 60000, IDLE_UPKEEP_MS = 600000,
	FULL_UPKEEP_MS = 3000,
	QUEUE_IDLE_MS = 600000, IDEM_SLICE = 1000,
};

struct hl_janitor {
	struct hl_dispatcher *d;
	/* index */
	struct hl_command index_command;
	struct hl_index_run run;
	bool indexing;
	bool index_done;
	uint64_t index_min;
	uint64_t rows_noted;           /* deliveries made since the last run began */
	hl_ms_t index_mono_ms;         /* run then; INT64_MAX = nothing to index */
	/* jobs */
	struct hl_command job_command;
	bool working;
	bool more_jobs;
	bool jobs_failed;              /* go on with the next upkeep */
	uint64_t job_after;            /* the job looked at last; they take turns */
	struct hl_job_result job_result;
	enum hl_job_kind job_kind;
	bool job_found;
	/* sweep */
	struct hl_command sweep_command;
	struct hl_sweep sweep;
	struct hl_sweep sweep_next;    /* after the slice under way */
	bool sweeping;
	size_t sweep_pos;              /* in d->queues */
	bool sweep_wanted;
	/* upkeep */
	struct hl_command upkeep_command;
	bool upkeep_running;
	bool idem_left;                /* old idempotency records remain */
	bool jobs_made;                /* there is a new retention job */
	hl_ms_t upkeep_mono_ms;
	uint64_t seen_events;
};

int hl_janitor_create(struct hl_dispatcher *d)
{
	struct hl_janitor *j = calloc(1, sizeof(*j));
	if (!j)
		return HL_ENOMEM;
	j->d = d;
	hl_ms_t now = hl_core_mono(d);
	j->index_mono_ms = now + INDEX_QUIET_MS; /* what the last process left unindexed */
	j->upkeep_mono_ms = now + UPKEEP_MS;
	j->more_jobs = true;
	d->janitor = j;
	return 0;
}

void hl_janitor_destroy(struct hl_dispatcher *d)
{
	if (!d->janitor)
		return;
	hl_index_run_fini(&d->janitor->run);
	free(d->janitor);
	d->janitor = NULL;
}

static bool may_work(const struct hl_dispatcher *d)
{
	return d->state == HL_CORE_OPEN && !d->failed;
}

/* ---- index ---- */

static int index_apply(struct hl_command *c, struct hl_txn *txn)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, index_command);
	int rc = hl_index_step(txn, &j->run, j->index_min, SLICE_US, &j->index_done);
	HL_CRASH_POINT(INDEX_SLICE);
	return rc;
}

static void index_begin(struct hl_janitor *j);

static void index_done(struct hl_command *c, int status)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, index_command);
	struct hl_dispatcher *d = j->d;
	hl_core_command_done(d);
	j->indexing = false;
	if (status != 0) {
		hl_index_run_fini(&j->run);
		hl_log(&d->log, HL_LOG_ERROR, "index.failed", "code=%s", hl_errname(status));
		return;
	}
	if (!j->index_done && may_work(d))
		index_begin(j);
	hl_core_soon(d);
}

static void index_begin(struct hl_janitor *j)
{
	j->indexing = true;
	j->index_command = (struct hl_command){ .priority = HL_PRIO_JOB, .apply = index_apply, .done = index_done,
		.bytes = 64 * 1024 };
	hl_core_submit(j->d, &j->index_command);
}

void hl_janitor_note(struct hl_dispatcher *d)
{
	d->janitor->rows_noted++;
	d->janitor->index_mono_ms = hl_core_mono(d) + INDEX_QUIET_MS;
}

static void tick_index(struct hl_janitor *j, hl_ms_t now)
{
	uint64_t rows = j->d->stats.deliveries_created + j->d->stats.events_accepted - j->seen_events;
	bool quiet = now >= j->index_mono_ms;
	if (j->indexing || (!quiet && rows < INDEX_ROWS))
		return;
	j->seen_events += rows;
	j->index_min = quiet ? 1 : INDEX_ROWS / 2;
	if (quiet)
		j->index_mono_ms = INT64_MAX;
	index_begin(j);
}

/* ---- jobs ---- */

static int job_apply(struct hl_command *c, struct hl_txn *txn)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, job_command);
	struct hl_job_row job;
	j->job_found = hl_job_next(txn, j->job_after, &job) || hl_job_next(txn, 0, &job);
	if (!j->job_found)
		return hl_txn_status(txn);
	j->job_kind = job.kind;
	int rc = hl_job_step(txn, &job, hl_core_store_wall(j->d), SLICE_US, &j->job_result);
	HL_CRASH_POINT(JOB_SLICE);
	if (rc == 0)
		j->job_after = job.number;
	return rc;
}

static void job_begin(struct hl_janitor *j);

static void note_slice(struct hl_janitor *j)
{
	static const char *const names[] = {
#define HL_X(NAME, name) name,
		HL_JOB_TABLE(HL_X)
#undef HL_X
	};
	const struct hl_job_result *r = &j->job_result;
	if (j->job_kind == HL_JOB_CANCEL_WEBHOOK)
		j->d->stats.deliveries_cancelled += r->changed;
	hl_log(&j->d->log, r->done ? HL_LOG_INFO : HL_LOG_DEBUG, r->done ? "job.done" : "job.slice",
			"job=%llu kind=%s webhook=%u rows=%llu", (unsigned long long)j->job_after, names[j->job_kind], r->webhook,
			(unsigned long long)r->changed);
}

static void job_done(struct hl_command *c, int status)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, job_command);
	struct hl_dispatcher *d = j->d;
	hl_core_command_done(d);
	j->working = false;
	j->more_jobs = status == 0 && j->job_found;
	if (j->more_jobs)
		HL_CRASH_POINT(JOB_DURABLE);
	j->jobs_failed = status != 0;
	if (status != 0)
		hl_log(&d->log, HL_LOG_ERROR, "job.failed", "code=%s", hl_errname(status));
	if (j->more_jobs)
		note_slice(j);
	struct hl_queue *q = j->more_jobs && j->job_result.due_changed ? hl_queues_get(d, j->job_result.webhook) : NULL;
	if (q) {
		hl_queue_reload_due(q);
		hl_scheduler_touch(&d->scheduler, q);
	} else if (j->more_jobs && j->job_result.due_changed) {
		hl_webhook_state_changed(d, j->job_result.account, j->job_result.webhook);
	}
	if (j->more_jobs && may_work(d))
		job_begin(j);
	hl_core_soon(d);
}

static void job_begin(struct hl_janitor *j)
{
	j->working = true;
	j->more_jobs = false;
	j->job_command = (struct hl_command){ .priority = HL_PRIO_JOB, .apply = job_apply, .done = job_done,
		.bytes = 64 * 1024 };
	hl_core_submit(j->d, &j->job_command);
}

void hl_janitor_wake(struct hl_dispatcher *d)
{
	d->janitor->more_jobs = true;
	hl_core_soon(d);
}

/* ---- sweep ---- */

static int sweep_apply(struct hl_command *c, struct hl_txn *txn)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, sweep_command);
	j->sweep_next = j->sweep; /* a batch may be run again */
	int rc = hl_sweep_step(&j->sweep_next, txn, hl_core_store_wall(j->d));
	if (j->sweep_next.ended)
		HL_CRASH_POINT(SWEEP_SLICE);
	return rc;
}

static void sweep_submit(struct hl_janitor *j);

static void sweep_done(struct hl_command *c, int status)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, sweep_command);
	struct hl_dispatcher *d = j->d;
	hl_core_command_done(d);
	j->sweeping = false;
	if (status == 0)
		j->sweep = j->sweep_next;
	if (status == 0 && !j->sweep.done && may_work(d)) {
		sweep_submit(j);
		return;
	}
	d->stats.deliveries_failed += j->sweep.ended;
	struct hl_queue *q = hl_queues_get(d, j->sweep.webhook);
	if (q && j->sweep.ended > 0) {
		hl_queue_drop_windows(q);
		hl_scheduler_touch(&d->scheduler, q);
	}
	hl_core_soon(d);
}

static void sweep_submit(struct hl_janitor *j)
{
	j->sweeping = true;
	j->sweep_command = (struct hl_command){ .priority = HL_PRIO_JOB, .apply = sweep_apply, .done = sweep_done,
		.bytes = 64 * 1024 };
	hl_core_submit(j->d, &j->sweep_command);
}

static bool sweep_begin(struct hl_janitor *j, struct hl_queue *q)
{
	struct hl_webhook_row row;
	if (!hl_webhook_row_peek(hl_core_read(j->d), q->webhook, &row))
		return false;
	j->sweep = (struct hl_sweep){ .d = j->d, .webhook = q->webhook, .parked = q->state == HL_QUEUE_PARKED };
	hl_policy_init(&j->sweep.policy, &row.w, &j->d->set.policy);
	struct hl_counts counts;
	hl_counts_get(hl_core_read(j->d), q->webhook, &counts);
	j->sweep.fresh_from = counts.fresh_from;
	sweep_submit(j);
	return true;
}

/* The next queue that does not send; one at a time. Queues idle for long are forgotten on the way. */
static void tick_queues(struct hl_janitor *j, hl_ms_t now)
{
	struct hl_dispatcher *d = j->d;
	void *v;
	while (!j->sweeping && j->sweep_wanted) {
		if (!hl_map_u64_next(&d->queues, &j->sweep_pos, NULL, &v)) {
			j->sweep_wanted = false;
			return;
		}
		struct hl_queue *q = v;
		if (q->state == HL_QUEUE_PARKED || q->state == HL_QUEUE_HELD) {
			if (q->busy == 0)
				sweep_begin(j, q);
		} else if (!hl_queue_idle(q)) {
			q->idle_mono_ms = now;
		} else if (now - q->idle_mono_ms >= QUEUE_IDLE_MS) {
			hl_scheduler_forget(&d->scheduler, q);
			hl_queue_move(q, HL_QUEUE_GONE);
			hl_queues_drop(d, q);
		}
	}
}

/* ---- upkeep ---- */

static bool see_first(void *data, uint64_t number, const struct hl_event_row *row)
{
	(void)number;
	*(hl_ms_t *)data = row->created_at_ms;
	return false;
}

/* Whether retention has anything to delete: the oldest event tells. */
static bool retention_wanted(struct hl_dispatcher *d, struct hl_txn *txn, hl_ms_t before_ms)
{
	struct hl_event_walk walk = { .oldest_first = true };
	struct hl_store_usage usage;
	hl_ms_t oldest = 0;
	if (hl_event_walk_step(txn, &walk, 1, see_first, &oldest) != 0 || oldest == 0)
		return false;
	hl_store_usage(d->store, &usage);
	return oldest < before_ms || usage.used_bytes > d->set.retention_bytes;
}

static int upkeep_apply(struct hl_command *c, struct hl_txn *txn)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, upkeep_command);
	struct hl_dispatcher *d = j->d;
	struct hl_job_row job;
	hl_ms_t now = hl_core_store_wall(d), before = now - (hl_ms_t)d->set.retention_s * 1000;
	uint64_t dropped = 0;
	j->idem_left = !hl_idem_drop_old(txn, now, IDEM_SLICE, &dropped);
	for (uint64_t after = 0; hl_job_next(txn, after, &job); after = job.number)
		if (job.kind == HL_JOB_RETENTION)
			return hl_txn_status(txn); /* the last one is not through yet */
	if (!retention_wanted(d, txn, before))
		return hl_txn_status(txn);
	struct hl_numbers numbers;
	hl_store_next_numbers(txn, &numbers);
	job = (struct hl_job_row){ .number = numbers.job, .kind = HL_JOB_RETENTION, .created_at_ms = now, .error_class = -1,
		.before_ms = before, .used_max = d->set.retention_bytes };
	hl_job_put(txn, &job);
	j->jobs_made = true;
	HL_CRASH_POINT(UPKEEP_APPLIED);
	return hl_txn_status(txn);
}

static void upkeep_done(struct hl_command *c, int status)
{
	struct hl_janitor *j = HL_CONTAINER_OF(c, struct hl_janitor, upkeep_command);
	hl_core_command_done(j->d);
	j->upkeep_running = false;
	if (status == 0 && j->idem_left)
		j->upkeep_mono_ms = 0; /* go on at once */
	if (status == 0 && j->jobs_made)
		hl_janitor_wake(j->d);
	hl_core_soon(j->d);
}

static void tick_upkeep(struct hl_janitor *j, hl_ms_t now)
{
	if (now < j->upkeep_mono_ms || j->upkeep_running)
		return;
	bool busy = j->d->queues.count > 0;
	j->upkeep_mono_ms = now + (busy ? UPKEEP_MS : IDLE_UPKEEP_MS);
	j->upkeep_running = true;
	j->more_jobs |= j->jobs_failed;
	j->jobs_made = false;
	j->sweep_wanted = true;
	j->sweep_pos = 0;
	j->upkeep_command = (struct hl_command){ .priority = HL_PRIO_JOB, .apply = upkeep_apply, .done = upkeep_done,
		.bytes = 512 };
	hl_core_submit(j->d, &j->upkeep_command);
}

hl_ms_t hl_janitor_tick(struct hl_dispatcher *d)
{
	struct hl_janitor *j = d->janitor;
	hl_ms_t now = hl_core_mono(d);
	if (!may_work(d))
		return INT64_MAX;
	if (hl_store_full(d->store)) /* publishers wait: what may go now goes soon */
		j->upkeep_mono_ms = HL_MIN(j->upkeep_mono_ms, now + FULL_UPKEEP_MS);
	else if (d->queues.count > 0) /* it was put off when there were none */
		j->upkeep_mono_ms = HL_MIN(j->upkeep_mono_ms, now + UPKEEP_MS);
	tick_index(j, now);
	if (j->more_jobs && !j->working)
		job_begin(j);
	tick_upkeep(j, now);
	tick_queues(j, now);
	/* what is under way calls for a tick itself when it is through */
	hl_ms_t index = j->indexing ? INT64_MAX : j->index_mono_ms, upkeep = j->upkeep_running ? INT64_MAX : j->upkeep_mono_ms;
	return HL_MIN(index, upkeep);
}

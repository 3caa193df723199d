/* Background work in slices. The job's row holds the cursor: the last number handled, so that a slice begins where
 * the one before ended, also after a crash, and no row is handled twice or left out. Cursors only go up.
 *
 *   cancel_webhook  pending deliveries of the webhook → cancelled
 *   drop_webhook    all deliveries of the webhook, with all that belongs to them; then the webhook itself
 *   recover         failed deliveries of the webhook that match → pending, due now, with the whole policy before them
 *   retention       events from the oldest on: ended deliveries go, and the event when none is left
 *
 * The size of a slice is counted in rows, so that a simulated run repeats itself. Retention touches only what the
 * index holds: a row of the tail is young by definition, and an index run never meets a row that vanished under it
 * for that. */
#include "store/jobs.h"
#include "base/check.h"
#include "base/crash.h"
#include "base/defs.h"
#include "store/index.h"

enum {
	BUDGET_MAX_US = 2000, CHANGE_US = 8, BATCH_MAX = 512,
	LOOK_MAX = 1000,              /* rows retention looks at in a slice, a whole event's at least */
	ROW_BYTES = 128,              /* a row without its texts, about */
};

static struct hl_dbkey job_key(uint64_t number)
{
	return hl_dbkey_u64(HL_DBKEY_NONE, number);
}

static bool decoded(struct hl_txn *txn, struct hl_str bytes, struct hl_job_row *out)
{
	int rc = hl_job_row_decode(bytes, out);
	if (rc)
		hl_txn_fail(txn, rc);
	return rc == 0;
}

bool hl_job_get(struct hl_txn *txn, uint64_t number, struct hl_job_row *out)
{
	struct hl_str bytes;
	return hl_txn_get_kept(txn, HL_TABLE_JOB, HL_DBKEY(job_key(number)), &bytes) && decoded(txn, bytes, out);
}

void hl_job_put(struct hl_txn *txn, const struct hl_job_row *row)
{
	hl_buf_reset(&txn->scratch);
	hl_job_row_encode(&txn->scratch, row);
	hl_txn_put_scratch(txn, HL_TABLE_JOB, HL_DBKEY(job_key(row->number)), false);
}

void hl_job_del(struct hl_txn *txn, uint64_t number)
{
	hl_meta_numbers_keep(txn, HL_TABLE_JOB, number);
	(void)hl_txn_del(txn, HL_TABLE_JOB, HL_DBKEY(job_key(number)));
}

bool hl_job_next(struct hl_txn *txn, uint64_t after, struct hl_job_row *out)
{
	struct hl_cursor c;
	uint64_t number = 0;
	hl_cursor_open(&c, txn, HL_TABLE_JOB);
	if (after < UINT64_MAX && hl_cursor_seek(&c, HL_DBKEY(job_key(after + 1))) && c.key.len == 8)
		number = hl_be64_get((const uint8_t *)c.key.ptr);
	hl_cursor_close(&c);
	return number && hl_job_get(txn, number, out);
}

/* ---- jobs over one webhook's deliveries -------------------------------------------------------------------------- */

/* Numbers of the deliveries to change, collected first: a walk must not be written under. */
struct found {
	struct hl_txn *txn;
	const struct hl_job_row *job;
	uint64_t numbers[BATCH_MAX];
	size_t n, max;
};

static bool recover_matches(struct hl_txn *txn, const struct hl_job_row *job, const struct hl_delivery_row *r)
{
	struct hl_event_row e;
	if ((job->since_ms && r->created_at_ms < job->since_ms) || (job->until_ms && r->created_at_ms >= job->until_ms))
		return false;
	if (job->error_class >= 0 && r->last_class != job->error_class)
		return false;
	return !job->type.len || (hl_event_row_get(txn, r->event, &e) && hl_str_eq(e.type, job->type));
}

static bool find_one(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct found *f = data;
	if (f->job->kind == HL_JOB_RECOVER && !recover_matches(f->txn, f->job, row))
		return true;
	f->numbers[f->n++] = number;
	return f->n < f->max;
}

static struct hl_walk walk_of(const struct hl_job_row *job)
{
	struct hl_walk w = { .webhook = job->webhook, .dialect = -1, .oldest_first = true, .after = job->cursor };
	if (job->kind == HL_JOB_CANCEL_WEBHOOK)
		w.states = 1u << HL_DELIVERY_PENDING;
	if (job->kind == HL_JOB_RECOVER) {
		w.states = 1u << HL_DELIVERY_FAILED;
		w.before = job->upto;
	}
	return w;
}

static void cancel_one(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *old, hl_ms_t now_ms)
{
	struct hl_delivery_row row = *old;
	row.state = HL_DELIVERY_CANCELLED;
	row.last_class = HL_CLASS_DELETED;
	row.next_at_ms = 0;
	row.completed_at_ms = HL_MAX(now_ms, 1);
	row.last_error = HL_STR("the webhook was deleted");
	hl_delivery_change(txn, number, old, &row);
}

static void recover_one(struct hl_txn *txn, uint64_t number, const struct hl_delivery_row *old, hl_ms_t now_ms)
{
	struct hl_delivery_row row = *old;
	row.state = HL_DELIVERY_PENDING;
	row.completed_at_ms = 0;
	row.next_at_ms = row.window_from_ms = row.set_at_ms = HL_MAX(now_ms, 1);
	row.wait = HL_WAIT_MANUAL;
	row.n_scheduled = 0;
	row.n_hints = 0;
	row.flags &= (uint8_t)~HL_DF_SINGLE_SHOT;
	if (row.expires_at_ms && row.expires_at_ms <= now_ms)
		row.expires_at_ms = 0; /* who asks for it now wants it although it is late */
	hl_delivery_change(txn, number, old, &row);
}

static void change_one(struct hl_txn *txn, const struct hl_job_row *job, uint64_t number, hl_ms_t now_ms)
{
	struct hl_delivery_row row;
	if (!hl_delivery_row_get(txn, number, &row))
		return;
	if (job->kind == HL_JOB_CANCEL_WEBHOOK)
		cancel_one(txn, number, &row, now_ms);
	else if (job->kind == HL_JOB_RECOVER)
		recover_one(txn, number, &row, now_ms);
	else
		hl_delivery_del(txn, number, &row);
}

static bool deleted(struct hl_txn *txn, uint32_t webhook)
{
	struct hl_webhook_row w;
	return !hl_webhook_row_peek(txn, webhook, &w) || w.w.state == HL_WEBHOOK_DELETED;
}

/* One slice of a job over a webhook's deliveries; true when none is left. */
static bool webhook_slice(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, size_t rows, uint64_t *changed)
{
	if (job->kind == HL_JOB_RECOVER && deleted(txn, job->webhook))
		return true; /* the job that cancels may be past what would come back */
	struct hl_walk w = walk_of(job);
	struct found f = { .txn = txn, .job = job, .max = HL_MIN(rows, (size_t)BATCH_MAX) };
	if (hl_walk_step(txn, &w, 0, find_one, &f))
		return false;
	for (size_t i = 0; i < f.n; i++) {
		change_one(txn, job, f.numbers[i], now_ms);
		if (i == f.n / 2)
			HL_CRASH_POINT(JOB_HALF);
	}
	*changed += f.n;
	job->cursor = w.after;
	return w.done;
}

/* ---- retention --------------------------------------------------------------------------------------------------- */

/* What one slice has done and may still do. */
struct purge {
	size_t rows;         /* rows it may still delete */
	size_t looked;       /* rows it looked at */
	uint64_t changed;    /* rows deleted */
	uint64_t freed;      /* bytes of them, about: the store's own count knows of them after the commit only */
	bool kept;           /* something of the event at hand stays */
};

/* Deletes the ended deliveries in [from, upto). False: ran out of rows. */
static bool drop_range(struct hl_txn *txn, uint64_t from, uint64_t upto, struct purge *p)
{
	struct hl_delivery_row row;
	for (uint64_t n = from; n < upto; n++) {
		p->looked++;
		if (!hl_delivery_row_get(txn, n, &row))
			continue;
		if (row.state == HL_DELIVERY_PENDING) {
			p->kept = true;
			continue;
		}
		if (p->rows == 0)
			return false;
		p->rows--;
		p->freed += ROW_BYTES + row.first_attempt.len;
		hl_delivery_del(txn, n, &row);
		p->changed++;
	}
	return true;
}

/* The later deliveries of an event (replays, new tries). */
static bool drop_later(struct hl_txn *txn, uint64_t event, uint64_t bound, struct purge *p)
{
	struct hl_dbkey prefix = hl_dbkey_u64(HL_DBKEY_NONE, event);
	uint64_t after = 0;
	for (;;) {
		struct hl_cursor c;
		uint64_t number = 0;
		hl_cursor_open(&c, txn, HL_TABLE_BY_EVENT);
		if (hl_cursor_seek(&c, HL_DBKEY(hl_dbkey_u64(prefix, after + 1))) && hl_cursor_under(&c, HL_DBKEY(prefix)) &&
				c.key.len == 16)
			number = hl_be64_get((const uint8_t *)c.key.ptr + 8);
		hl_cursor_close(&c);
		if (!number)
			return true;
		if (number >= bound)
			p->kept = true;
		else if (!drop_range(txn, number, number + 1, p))
			return false;
		after = number;
	}
}

static bool too_old(struct hl_txn *txn, const struct hl_job_row *job, const struct hl_event_row *e)
{
	struct hl_store_usage usage;
	if (job->before_ms && e->created_at_ms < job->before_ms)
		return true;
	if (!job->used_max)
		return false;
	hl_store_usage(txn->store, &usage);
	return usage.used_bytes > job->used_max;
}

/* This slice has made about as much room as is wanted; the next one will know. */
static bool enough_freed(struct hl_txn *txn, const struct hl_job_row *job, const struct hl_event_row *e, uint64_t freed)
{
	struct hl_store_usage usage;
	if (!freed || (job->before_ms && e->created_at_ms < job->before_ms))
		return false;
	hl_store_usage(txn->store, &usage);
	return usage.used_bytes <= job->used_max + freed;
}

/* The first event after a number that the index holds; its row without slices. */
static bool event_after(struct hl_txn *txn, uint64_t after, uint64_t *out_number, struct hl_event_row *out)
{
	struct hl_cursor c;
	bool found = false;
	hl_cursor_open(&c, txn, HL_TABLE_EVENT);
	if (hl_cursor_seek(&c, HL_DBKEY(hl_dbkey_u64(HL_DBKEY_NONE, after + 1))) && c.key.len == 8) {
		*out_number = hl_be64_get((const uint8_t *)c.key.ptr);
		int rc = hl_event_row_decode(c.value, out);
		if (rc)
			hl_txn_fail(txn, rc);
		found = !rc && *out_number < hl_txn_bounds(txn)->events_upto;
	}
	hl_cursor_close(&c);
	return found;
}

/* One slice; true when the next event is too young, or there is none. What was looked at is bounded too: a backlog that is
 * old but pending must not hold the storage thread up. */
static bool retention_slice(struct hl_txn *txn, struct hl_job_row *job, size_t rows, uint64_t *changed)
{
	uint64_t number, bound = hl_index_deliveries_bound(txn);
	struct hl_event_row e;
	struct purge p = { .rows = rows };
	bool done = false;
	if (job->used_max)
		(void)hl_store_measure(txn->store); /* a failure leaves an older count */
	while (p.rows && p.looked < LOOK_MAX) {
		done = !event_after(txn, job->cursor, &number, &e) || !too_old(txn, job, &e) ||
				e.first_delivery + e.n_deliveries > bound; /* its deliveries are not all indexed yet */
		if (done || enough_freed(txn, job, &e, p.freed))
			break;
		p.looked++;
		p.kept = false;
		if (!drop_range(txn, e.first_delivery, e.first_delivery + e.n_deliveries, &p) ||
				!drop_later(txn, number, bound, &p))
			break;
		job->cursor = number;
		if (p.kept)
			continue;
		p.freed += ROW_BYTES + e.data.len;
		hl_event_del(txn, number, &e);
		p.changed++;
		p.rows -= p.rows > 0;
		HL_CRASH_POINT(RETENTION_HALF);
	}
	*changed += p.changed;
	return done;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

int hl_job_step(struct hl_txn *txn, struct hl_job_row *job, hl_ms_t now_ms, uint32_t budget_us,
		struct hl_job_result *out)
{
	struct hl_job_result r = { .account = job->account, .webhook = job->webhook };
	size_t rows = HL_MAX(HL_MIN(budget_us, (uint32_t)BUDGET_MAX_US) / CHANGE_US, 1u);
	switch ((enum hl_job_kind)job->kind) {
	case HL_JOB_CANCEL_WEBHOOK:
	case HL_JOB_RECOVER:
	case HL_JOB_DROP_WEBHOOK:
		r.done = webhook_slice(txn, job, now_ms, rows, &r.changed);
		r.due_changed = job->kind == HL_JOB_RECOVER && r.changed;
		if (r.done && job->kind == HL_JOB_DROP_WEBHOOK)
			hl_webhook_row_del(txn, job->webhook);
		break;
	case HL_JOB_RETENTION:
		r.done = retention_slice(txn, job, rows, &r.changed);
		break;
	case HL_JOB_N:
		HL_NEVER("the decoder let an unknown kind of job pass");
	}
	if (r.done)
		hl_job_del(txn, job->number);
	else
		hl_job_put(txn, job);
	*out = r;
	return hl_txn_status(txn);
}

struct counter {
	struct hl_txn *txn;
	const struct hl_job_row *job;
	uint64_t n;
};

static bool count_one(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct counter *c = data;
	(void)number;
	c->n += recover_matches(c->txn, c->job, row);
	return true;
}

int hl_job_count_recover(struct hl_txn *txn, const struct hl_job_row *job, size_t max_rows, uint64_t *cursor,
		uint64_t *count, bool *out_done)
{
	struct hl_job_row at = *job;
	struct counter c = { .txn = txn, .job = job };
	at.cursor = *cursor;
	struct hl_walk w = walk_of(&at);
	int rc = hl_walk_step(txn, &w, max_rows, count_one, &c);
	if (rc)
		return rc;
	*cursor = w.after;
	*count += c.n;
	*out_done = w.done;
	return 0;
}

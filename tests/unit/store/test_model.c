/* The store against a naive model in memory: random publishes, outcomes, cancels, retries, replays, index slices and
 * jobs, some in transactions that are aborted; after every few batches the listings, the queues' work and the
 * counters must be what a loop over plain arrays says, and the audit must be clean. HL_SEED and HL_STEPS repeat or
 * lengthen it. */
#include "store_test.h"
#include "store/index.h"
#include "store/jobs.h"

enum { ACCOUNTS = 3, WEBHOOKS_MAX = 64, LIVE_WEBHOOKS = 10, ROWS_MAX = 40000, TYPES = 3 };

static const char *const types[TYPES] = { "order.created", "order.paid", "stock.low" };

struct m_event {
	bool there;
	uint32_t account;
	unsigned type;
	hl_ms_t created_at_ms;
	uint64_t first;
	uint32_t n;
};

struct m_delivery {
	bool there;
	struct hl_delivery_row row; /* without slices */
};

struct m_webhook {
	uint32_t account;           /* 0 = not there */
	enum hl_dialect dialect;
	bool deleted;
};

struct model {
	struct fixture f;
	struct rnd rnd;
	struct m_event *events;         /* by number */
	struct m_delivery *deliveries;
	uint64_t next_event, next_delivery, next_job;
	struct m_webhook webhooks[WEBHOOKS_MAX];
	uint32_t next_webhook;
	struct hl_index_run run;
	struct hl_txn *txn;
	bool aborting;                  /* this transaction will be aborted: the model must not follow */
};

static uint32_t below(struct model *m, uint32_t n)
{
	return rnd_below(&m->rnd, n);
}

static bool one_in(struct model *m, uint32_t n)
{
	return below(m, n) == 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void m_webhook_add(struct model *m)
{
	uint32_t n = m->next_webhook++;
	struct m_webhook w = { .account = 1 + below(m, ACCOUNTS), .dialect = (enum hl_dialect)below(m, HL_DIALECT_N) };
	struct hl_webhook_row row = { .w = { .number = n, .account = w.account, .revision = 1, .dialect = w.dialect,
		.url = HL_STR("http://x.example/") } };
	assert_true(n < WEBHOOKS_MAX);
	hl_webhook_row_put(m->txn, &row);
	if (!m->aborting)
		m->webhooks[n] = w;
}

static struct hl_delivery_row m_row(struct model *m, uint64_t event, uint32_t webhook)
{
	struct hl_delivery_row r = { .event = event, .account = m->webhooks[webhook].account, .webhook = webhook,
		.dialect = (uint8_t)m->webhooks[webhook].dialect, .revision = 1, .created_at_ms = m->f.env.wall_ms };
	if (one_in(m, 8)) {
		r.next_at_ms = r.created_at_ms + 1 + below(m, 1000);
		r.set_at_ms = r.created_at_ms;
		r.wait = HL_WAIT_DELIVER_AFTER;
		r.expires_at_ms = one_in(m, 2) ? r.next_at_ms + 5000 : 0;
	}
	return r;
}

static void m_store(struct model *m, uint64_t number, const struct hl_delivery_row *r)
{
	if (m->aborting)
		return;
	m->deliveries[number] = (struct m_delivery){ .there = true, .row = *r };
	m->deliveries[number].row.first_attempt = m->deliveries[number].row.last_error = HL_STR_NONE;
	m->deliveries[number].row.set_at_ms = 0;
}

static void m_publish(struct model *m)
{
	uint32_t account = 1 + below(m, ACCOUNTS), keep = 1 + below(m, 3);
	uint64_t number = m->next_event++, first = m->next_delivery;
	unsigned type = below(m, TYPES);
	assert_true(m->next_delivery + WEBHOOKS_MAX < ROWS_MAX);
	for (uint32_t w = 1; w < m->next_webhook; w++) {
		if (m->webhooks[w].account != account || m->webhooks[w].deleted || below(m, 3) >= keep)
			continue;
		struct hl_delivery_row r = m_row(m, number, w);
		hl_delivery_append(m->txn, m->next_delivery, &r);
		m_store(m, m->next_delivery++, &r);
	}
	struct hl_event_row e = an_event(account, first, (uint32_t)(m->next_delivery - first));
	e.created_at_ms = m->f.env.wall_ms;
	e.type = hl_str_from(types[type]);
	hl_event_append(m->txn, number, &e);
	if (!m->aborting)
		m->events[number] = (struct m_event){ .there = true, .account = account, .type = type,
			.created_at_ms = e.created_at_ms, .first = first, .n = e.n_deliveries };
}

/* A delivery that is there, in a state of the mask, whose webhook is not deleted; 0 = not found quickly. */
static uint64_t m_pick(struct model *m, unsigned states)
{
	for (unsigned i = 0; i < 50 && m->next_delivery > 1; i++) {
		/* mostly near the tail */
		uint64_t back = one_in(m, 2) ? 50 : m->next_delivery - 1;
		uint64_t span = HL_MIN(back, m->next_delivery - 1);
		uint64_t n = m->next_delivery - 1 - below(m, (uint32_t)span);
		const struct m_delivery *d = &m->deliveries[n];
		if (d->there && (states >> d->row.state & 1) && !m->webhooks[d->row.webhook].deleted)
			return n;
	}
	return 0;
}

static void m_outcome(struct model *m)
{
	uint64_t n = m_pick(m, 1u << HL_DELIVERY_PENDING);
	struct hl_delivery_row old, r;
	if (!n || !hl_delivery_row_get(m->txn, n, &old))
		return;
	r = old;
	bool ok = one_in(m, 2), final = ok || one_in(m, 4);
	r.n_attempts++;
	r.n_scheduled++;
	struct hl_attempt a = an_attempt(r.n_attempts, ok);
	static char big[2000];
	memset(big, 'x', sizeof(big));
	if (one_in(m, 5))
		a.response_body = hl_str_make(big, sizeof(big));
	r.last_class = (uint8_t)(ok ? HL_CLASS_NONE : 1 + below(m, HL_CLASS_N - 1));
	r.last_status = a.http_status;
	r.last_error = a.error;
	r.state = ok ? HL_DELIVERY_SUCCEEDED : final ? HL_DELIVERY_FAILED : HL_DELIVERY_PENDING;
	r.completed_at_ms = final ? m->f.env.wall_ms : 0;
	r.next_at_ms = final ? 0 : one_in(m, 6) && old.next_at_ms ? old.next_at_ms : m->f.env.wall_ms + 1 + below(m, 5000);
	r.wait = final ? 0 : HL_WAIT_BACKOFF;
	r.set_at_ms = final || r.next_at_ms == old.next_at_ms ? 0 : m->f.env.wall_ms;
	hl_attempt_add(m->txn, n, &r, &a);
	hl_counts_note_attempt(hl_counts_edit(m->txn, r.webhook), &a);
	hl_delivery_change(m->txn, n, &old, &r);
	m_store(m, n, &r);
}

static void m_cancel(struct model *m)
{
	uint64_t n = m_pick(m, 1u << HL_DELIVERY_PENDING);
	struct hl_delivery_row old, r;
	if (!n || !hl_delivery_row_get(m->txn, n, &old))
		return;
	r = old;
	r.state = HL_DELIVERY_CANCELLED;
	r.next_at_ms = 0;
	r.completed_at_ms = m->f.env.wall_ms;
	hl_delivery_change(m->txn, n, &old, &r);
	m_store(m, n, &r);
}

static void m_retry(struct model *m)
{
	uint64_t n = m_pick(m, ~0u);
	struct hl_delivery_row old, r;
	if (!n || !hl_delivery_row_get(m->txn, n, &old))
		return;
	r = old;
	r.state = HL_DELIVERY_PENDING;
	r.completed_at_ms = 0;
	bool fresh = one_in(m, 10) && old.state != HL_DELIVERY_PENDING;
	r.next_at_ms = fresh ? 0 : m->f.env.wall_ms;
	r.window_from_ms = r.set_at_ms = m->f.env.wall_ms;
	r.wait = fresh ? 0 : HL_WAIT_MANUAL;
	hl_delivery_change(m->txn, n, &old, &r);
	m_store(m, n, &r);
}

static void m_replay(struct model *m)
{
	uint64_t n = m_pick(m, ~0u);
	if (!n || m->next_delivery + 1 >= ROWS_MAX)
		return;
	const struct hl_delivery_row *of = &m->deliveries[n].row;
	struct hl_delivery_row r = m_row(m, of->event, of->webhook);
	if (!m->events[of->event].there)
		return;
	r.flags = HL_DF_LATER | (one_in(m, 2) ? HL_DF_SINGLE_SHOT : 0);
	r.retry_of = n;
	hl_delivery_append(m->txn, m->next_delivery, &r);
	m_store(m, m->next_delivery++, &r);
}

static bool fresh(const struct m_delivery *d, uint32_t webhook)
{
	return d->there && d->row.webhook == webhook && d->row.state == HL_DELIVERY_PENDING && !d->row.next_at_ms;
}

static void m_cursor(struct model *m)
{
	uint32_t w = 1 + below(m, m->next_webhook - 1);
	uint64_t n = 1;
	if (m->aborting || !m->webhooks[w].account)
		return;
	while (n < m->next_delivery && !fresh(&m->deliveries[n], w))
		n++;
	hl_counts_edit(m->txn, w)->fresh_from = n;
}

static void m_index(struct model *m)
{
	bool done = false;
	unsigned slices = one_in(m, 3) ? 20 : 1 + below(m, 4);
	while (slices-- && !done)
		assert_int_equal(hl_index_step(m->txn, &m->run, 1 + below(m, 200), 5 + below(m, one_in(m, 2) ? 20 : 300),
				&done), 0);
}

static void m_batch(struct model *m)
{
	uint64_t delivery = m->next_delivery, event = m->next_event;
	uint32_t webhook = m->next_webhook;
	uint64_t jobs = m->next_job;
	m->txn = begin(&m->f);
	m->aborting = one_in(m, 6);
	/* An aborted transaction must not be followed by steps that trust its rows: it publishes and indexes only. */
	for (unsigned i = 1 + below(m, 12); i--; hl_txn_next_command(m->txn)) {
		unsigned what = below(m, m->aborting ? 5 : 30);
		fakeenv_advance(&m->f.env, below(m, 20));
		if (what < 4)
			m_publish(m);
		else if (what == 4)
			m_index(m);
		else if (what < 20)
			m_outcome(m);
		else if (what == 20)
			m_cancel(m);
		else if (what < 23)
			m_retry(m);
		else if (what < 25)
			m_replay(m);
		else
			m_cursor(m);
	}
	if (!m->aborting) {
		commit(&m->f, m->txn);
		return;
	}
	hl_store_abort(m->txn);
	m->next_delivery = delivery;
	m->next_event = event;
	m->next_webhook = webhook;
	m->next_job = jobs;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

static void run_job(struct model *m, struct hl_job_row *job)
{
	struct hl_job_result r = { 0 };
	job->number = m->next_job++;
	job->created_at_ms = m->f.env.wall_ms;
	m->txn = begin(&m->f);
	hl_job_put(m->txn, job);
	commit(&m->f, m->txn);
	while (!r.done) {
		bool abort = one_in(m, 4);
		m->txn = begin(&m->f);
		struct hl_job_row at;
		assert_true(hl_job_get(m->txn, job->number, &at));
		assert_int_equal(hl_job_step(m->txn, &at, m->f.env.wall_ms, 8 + below(m, 300), &r), 0);
		if (abort) {
			hl_store_abort(m->txn);
			r.done = false;
		} else {
			commit(&m->f, m->txn);
		}
		if (one_in(m, 10))
			fixture_reopen(&m->f);
	}
	m->txn = begin(&m->f);
	assert_false(hl_job_get(m->txn, job->number, job));
	hl_store_abort(m->txn);
}

static void job_recover(struct model *m)
{
	uint32_t w = 1 + below(m, m->next_webhook - 1);
	if (!m->webhooks[w].account || m->webhooks[w].deleted)
		return;
	struct hl_job_row job = { .kind = HL_JOB_RECOVER, .account = m->webhooks[w].account, .webhook = w, .error_class = -1,
		.upto = one_in(m, 2) ? m->next_delivery : 1 + below(m, (uint32_t)m->next_delivery) };
	int type = one_in(m, 2) ? (int)below(m, TYPES) : -1;
	if (type >= 0)
		job.type = hl_str_from(types[type]);
	if (one_in(m, 3))
		job.error_class = (int)below(m, HL_CLASS_N);
	uint64_t want = 0, got = 0, cursor = 0;
	for (uint64_t n = 1; n < job.upto; n++) {
		struct m_delivery *d = &m->deliveries[n];
		if (!d->there || d->row.webhook != w || d->row.state != HL_DELIVERY_FAILED ||
				(job.error_class >= 0 && d->row.last_class != job.error_class) ||
				(type >= 0 && m->events[d->row.event].type != (unsigned)type))
			continue;
		want++;
		d->row.state = HL_DELIVERY_PENDING;
		d->row.completed_at_ms = 0;
		d->row.next_at_ms = d->row.window_from_ms = m->f.env.wall_ms;
		d->row.wait = HL_WAIT_MANUAL;
		d->row.n_scheduled = d->row.n_hints = 0;
		d->row.flags &= (uint8_t)~HL_DF_SINGLE_SHOT;
	}
	for (bool done = false; !done;)
		assert_int_equal(hl_job_count_recover(reader(&m->f), &job, 1 + below(m, 100), &cursor, &got, &done), 0);
	assert_int_equal(got, want);
	run_job(m, &job);
}

static void job_webhook_gone(struct model *m)
{
	uint32_t w = 1 + below(m, m->next_webhook - 1);
	bool drop = one_in(m, 2);
	if (!m->webhooks[w].account || m->webhooks[w].deleted || m->next_webhook >= WEBHOOKS_MAX)
		return;
	m->txn = begin(&m->f);
	struct hl_webhook_row row;
	assert_true(hl_webhook_row_get(m->txn, w, &row));
	row.w.state = HL_WEBHOOK_DELETED;
	row.w.revision++;
	hl_webhook_row_put(m->txn, &row);
	m->aborting = false;
	m_webhook_add(m);
	commit(&m->f, m->txn);
	m->webhooks[w].deleted = true;
	struct hl_job_row job = { .kind = drop ? HL_JOB_DROP_WEBHOOK : HL_JOB_CANCEL_WEBHOOK, .webhook = w,
		.account = m->webhooks[w].account };
	run_job(m, &job);
	for (uint64_t n = 1; n < m->next_delivery; n++) {
		struct m_delivery *d = &m->deliveries[n];
		if (!d->there || d->row.webhook != w)
			continue;
		if (drop) {
			d->there = false;
		} else if (d->row.state == HL_DELIVERY_PENDING) {
			d->row.state = HL_DELIVERY_CANCELLED;
			d->row.last_class = HL_CLASS_DELETED;
			d->row.next_at_ms = 0;
			d->row.completed_at_ms = m->f.env.wall_ms;
		}
	}
	if (drop)
		m->webhooks[w].account = 0;
}

static void job_retention(struct model *m)
{
	struct hl_index_bounds b = *hl_txn_bounds(reader(&m->f));
	uint64_t at = 1 + below(m, (uint32_t)m->next_event);
	if (at >= m->next_event || !m->events[at].there)
		return;
	struct hl_job_row job = { .kind = HL_JOB_RETENTION, .before_ms = m->events[at].created_at_ms };
	run_job(m, &job);
	for (uint64_t e = 1; e < m->next_event; e++) {
		struct m_event *ev = &m->events[e];
		bool kept = false;
		if (!ev->there)
			continue;
		if (e >= b.events_upto || ev->created_at_ms >= job.before_ms || ev->first + ev->n > b.deliveries_upto)
			break;
		for (uint64_t n = ev->first; n < m->next_delivery; n++) {
			struct m_delivery *d = &m->deliveries[n];
			if (!d->there || d->row.event != e)
				continue;
			if (d->row.state == HL_DELIVERY_PENDING || n >= b.deliveries_upto)
				kept = true;
			else
				d->there = false;
		}
		ev->there = kept;
	}
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

struct seen {
	uint64_t numbers[ROWS_MAX];
	size_t n, stop_at;
};

static bool see(void *data, uint64_t number, const struct hl_delivery_row *row)
{
	struct seen *s = data;
	(void)row;
	s->numbers[s->n++] = number;
	return s->n != s->stop_at;
}

static bool m_matches(const struct hl_walk *w, uint64_t n, const struct m_delivery *d)
{
	return d->there && n > w->after && (!w->before || n < w->before) && (!w->account || d->row.account == w->account) &&
			(!w->webhook || d->row.webhook == w->webhook) && (!w->event || d->row.event == w->event) &&
			(w->dialect < 0 || d->row.dialect == w->dialect) && (!w->states || (w->states >> d->row.state & 1));
}

static void check_walk(struct model *m)
{
	static struct seen got;
	static uint64_t want[ROWS_MAX];
	size_t n_want = 0;
	struct hl_walk w = { .dialect = one_in(m, 3) ? (int)below(m, HL_DIALECT_N) : -1, .oldest_first = one_in(m, 2) };
	if (one_in(m, 2))
		w.webhook = 1 + below(m, m->next_webhook - 1);
	if (one_in(m, 2))
		w.account = 1 + below(m, ACCOUNTS);
	if (one_in(m, 4))
		w.event = 1 + below(m, (uint32_t)m->next_event);
	if (one_in(m, 2))
		w.states = one_in(m, 2) ? 1u << below(m, HL_DELIVERY_STATE_N) : 1 + below(m, 15);
	if (one_in(m, 4))
		w.after = below(m, (uint32_t)m->next_delivery);
	if (one_in(m, 4))
		w.before = 1 + below(m, (uint32_t)m->next_delivery);
	for (uint64_t n = 1; n < m->next_delivery; n++)
		if (m_matches(&w, n, &m->deliveries[n]))
			want[n_want++] = n;
	got.n = 0;
	while (!w.done) {
		got.stop_at = one_in(m, 3) ? got.n + 1 + below(m, 10) : SIZE_MAX;
		assert_int_equal(hl_walk_step(one_in(m, 2) ? reader(&m->f) : hl_store_read(m->f.store), &w,
				one_in(m, 2) ? 0 : 1 + below(m, 60), see, &got), 0);
	}
	assert_int_equal(got.n, n_want);
	for (size_t i = 0; i < n_want; i++)
		assert_int_equal(got.numbers[i], want[w.oldest_first ? i : n_want - 1 - i]);
}

static bool see_event(void *data, uint64_t number, const struct hl_event_row *row)
{
	struct seen *s = data;
	(void)row;
	s->numbers[s->n++] = number;
	return s->n != s->stop_at;
}

static void check_event_walk(struct model *m)
{
	static struct seen got;
	struct hl_event_walk w = { .account = below(m, ACCOUNTS + 1), .oldest_first = one_in(m, 2) };
	size_t i = 0;
	got.n = 0;
	while (!w.done) {
		got.stop_at = one_in(m, 3) ? got.n + 1 + below(m, 10) : SIZE_MAX;
		assert_int_equal(hl_event_walk_step(reader(&m->f), &w, 1 + below(m, 60), see_event, &got), 0);
	}
	for (uint64_t k = 1; k < m->next_event; k++) {
		uint64_t n = w.oldest_first ? k : m->next_event - k;
		if (!m->events[n].there || (w.account && m->events[n].account != w.account))
			continue;
		assert_true(i < got.n);
		assert_int_equal(got.numbers[i++], n);
	}
	assert_int_equal(i, got.n);
}

static void check_fresh(struct model *m, uint32_t w)
{
	struct hl_counts c;
	struct hl_fresh some[7];
	uint64_t next, at, n_seen;
	bool more = true;
	hl_counts_get(reader(&m->f), w, &c);
	at = next = c.fresh_from;
	for (uint64_t n = 1; n < at && n < m->next_delivery; n++)
		assert_false(fresh(&m->deliveries[n], w));
	while (more) {
		size_t n;
		n_seen = 0;
		assert_int_equal(hl_scan_fresh(reader(&m->f), w, next, 1 + below(m, 7), some, &n, &next, &more), 0);
		for (; at < next && at < m->next_delivery; at++) {
			if (!fresh(&m->deliveries[at], w))
				continue;
			assert_true(n_seen < n);
			assert_int_equal(some[n_seen].delivery, at);
			assert_int_equal(some[n_seen++].event, m->deliveries[at].row.event);
		}
		assert_int_equal(n_seen, n);
	}
	for (; at < m->next_delivery; at++)
		assert_false(fresh(&m->deliveries[at], w));
}

static void check_due(struct model *m, uint32_t w)
{
	struct hl_due some[9];
	bool more = true;
	hl_ms_t due = 0;
	uint64_t delivery = 0;
	size_t total = 0, want = 0;
	while (more) {
		size_t n;
		assert_int_equal(hl_scan_due(reader(&m->f), w, due, delivery, 1 + below(m, 9), some, &n, &more), 0);
		for (size_t i = 0; i < n; i++) {
			const struct m_delivery *d = &m->deliveries[some[i].delivery];
			assert_true(some[i].due_at_ms > due || (some[i].due_at_ms == due && some[i].delivery > delivery));
			assert_true(d->there && d->row.webhook == w && d->row.next_at_ms == some[i].due_at_ms);
			assert_true(some[i].attempts == d->row.n_attempts && some[i].event == d->row.event);
			assert_true(some[i].why == d->row.wait && some[i].set_at_ms > 0);
			due = some[i].due_at_ms;
			delivery = some[i].delivery;
		}
		total += n;
	}
	for (uint64_t n = 1; n < m->next_delivery; n++)
		want += m->deliveries[n].there && m->deliveries[n].row.webhook == w && m->deliveries[n].row.next_at_ms;
	assert_int_equal(total, want);
}

static void check_oldest(struct model *m, uint32_t w)
{
	uint64_t want = 0, got;
	for (uint64_t n = 1; !want && n < m->next_delivery; n++) {
		const struct m_delivery *d = &m->deliveries[n];
		if (d->there && (!w || d->row.webhook == w) && d->row.state == HL_DELIVERY_PENDING)
			want = n;
	}
	assert_int_equal(hl_scan_oldest_pending(reader(&m->f), w, &got), want != 0);
	if (want)
		assert_int_equal(got, want);
}

static void check_rows(struct model *m)
{
	struct hl_txn *txn = reader(&m->f);
	for (uint64_t n = 1; n < m->next_delivery; n++) {
		struct hl_delivery_row r;
		const struct m_delivery *d = &m->deliveries[n];
		assert_int_equal(hl_delivery_row_get(txn, n, &r), d->there);
		if (!d->there)
			continue;
		const struct hl_attempt *list;
		size_t n_list;
		assert_int_equal(hl_attempt_list(txn, n, &r, &list, &n_list), 0);
		assert_int_equal(n_list, HL_MIN(r.n_attempts, 50u));
		assert_true(r.state == d->row.state && r.next_at_ms == d->row.next_at_ms && r.webhook == d->row.webhook &&
				r.n_attempts == d->row.n_attempts && r.last_class == d->row.last_class &&
				r.completed_at_ms == d->row.completed_at_ms && r.flags == d->row.flags);
	}
	struct hl_numbers numbers;
	hl_store_next_numbers(txn, &numbers);
	assert_true(numbers.delivery == m->next_delivery && numbers.event == m->next_event);
	assert_true(numbers.webhook == m->next_webhook && numbers.job == m->next_job);
}

static void check_all(struct model *m, bool deep)
{
	for (unsigned i = 0; i < 4; i++)
		check_walk(m);
	check_event_walk(m);
	uint32_t w = 1 + below(m, m->next_webhook - 1);
	check_fresh(m, w);
	check_due(m, w);
	check_oldest(m, one_in(m, 2) ? w : 0);
	if (!deep)
		return;
	check_rows(m);
	audit_clean(&m->f);
}

static void run(uint64_t seed, unsigned steps)
{
	static struct model m;
	memset(&m, 0, sizeof(m));
	m.rnd.state = seed;
	m.events = calloc(ROWS_MAX, sizeof(*m.events));
	m.deliveries = calloc(ROWS_MAX, sizeof(*m.deliveries));
	m.next_event = m.next_delivery = m.next_job = 1;
	m.next_webhook = 1;
	fixture_init(&m.f);
	m.txn = begin(&m.f);
	for (unsigned i = 0; i < LIVE_WEBHOOKS; i++)
		m_webhook_add(&m);
	commit(&m.f, m.txn);
	for (unsigned i = 0; i < steps; i++) {
		m_batch(&m);
		if (one_in(&m, 40))
			job_recover(&m);
		if (one_in(&m, 80))
			job_webhook_gone(&m);
		if (one_in(&m, 60))
			job_retention(&m);
		if (one_in(&m, 50)) {
			fixture_reopen(&m.f);
			if (one_in(&m, 2))
				hl_index_run_fini(&m.run);
		}
		if (one_in(&m, 4))
			check_all(&m, one_in(&m, 8));
	}
	check_all(&m, true);
	hl_index_run_fini(&m.run);
	fixture_fini(&m.f);
	free(m.events);
	free(m.deliveries);
}

static void test_model(void **state)
{
	(void)state;
	const char *seed = getenv("HL_SEED"), *steps = getenv("HL_STEPS");
	unsigned n = steps ? (unsigned)atoi(steps) : 400;
	if (seed) {
		run((uint64_t)atoll(seed), n);
		return;
	}
	for (uint64_t s = 1; s <= 4; s++) {
		print_message("seed %llu\n", (unsigned long long)s);
		run(s, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_model) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}

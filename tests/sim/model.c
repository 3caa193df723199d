/* What is known, and what must be so after a start. */
#include "sim.h"

#include "dispatch/queues.h"

#include <stdlib.h>

struct sim_delivery *sim_delivery(struct sim *m, uint64_t number)
{
	if (number >= m->cap) {
		size_t cap = (number + 1) * 2;
		m->deliveries = realloc(m->deliveries, cap * sizeof(*m->deliveries));
		if (!m->deliveries)
			abort();
		memset(m->deliveries + m->cap, 0, (cap - m->cap) * sizeof(*m->deliveries));
		m->cap = cap;
	}
	return &m->deliveries[number];
}

struct sim_webhook *sim_webhook(struct sim *m, uint32_t number)
{
	if (number && number <= m->n_webhooks && m->webhooks[number - 1].number == number) /* nearly always */
		return &m->webhooks[number - 1];
	for (unsigned i = m->n_webhooks; i > 0; i--)
		if (m->webhooks[i - 1].number == number)
			return &m->webhooks[i - 1];
	sim_fail(m, "webhook %u is nobody's", number);
}

bool sim_learn_delivery(struct sim *m, uint64_t number, uint32_t account)
{
	struct sim_delivery *d = sim_delivery(m, number);
	struct hl_delivery v;
	struct hl_delivery_row row;
	struct hl_event e;
	if (d->known)
		return true;
	if (hl_delivery_get(m->f.d, account, number, &v) != 0)
		return false;
	struct sim_webhook *w = sim_webhook(m, v.webhook);
	SIM_CHECK(m, w->account == account, "delivery %llu: webhook of another account", (sim_ull)number);
	d->known = true;
	d->webhook = (uint16_t)(w - m->webhooks);
	d->event = v.event;
	d->since_mono_ms = m->f.world.mono_ms;
	d->state = HL_DELIVERY_PENDING;
	d->until_ms = v.window_until_ms;
	d->single = hl_delivery_row_get(hl_core_read(m->f.d), number, &row) && row.flags & HL_DF_SINGLE_SHOT;
	if (hl_event_get(m->f.d, account, v.event, &e) == 0 && number - e.first_delivery < e.n_deliveries) {
		d->due_at_ms = e.deliver_after_ms;
		bool back = w->recovering || v.last_class == HL_CLASS_EXPIRED; /* what expired may come back, or has */
		d->expires_at_ms = back ? 0 : e.expires_at_ms;
	}
	return true;
}

struct sim_event *sim_event(struct sim *m, uint64_t number)
{
	size_t low = 0, high = m->n_events;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (m->events[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->n_events && m->events[low].number == number ? &m->events[low] : NULL;
}

/* Kept in the order of their numbers, which is nearly the order in which they come. */
static struct sim_event *add_event(struct sim *m, const struct sim_event *e)
{
	if ((m->n_events & (m->n_events - 1)) == 0)
		m->events = realloc(m->events, (m->n_events ? m->n_events * 2 : 1) * sizeof(*m->events));
	if (!m->events)
		abort();
	size_t i = m->n_events++;
	for (; i > 0 && m->events[i - 1].number > e->number; i--)
		m->events[i] = m->events[i - 1];
	m->events[i] = *e;
	return &m->events[i];
}

bool sim_may_be_gone(const struct sim *m, uint64_t number)
{
	const struct sim_delivery *d = &m->deliveries[number];
	hl_ms_t now = HL_MAX(m->wall_max_ms, fx_now(&m->f));
	bool deleted = m->webhooks[d->webhook].state == HL_WEBHOOK_DELETED;
	/* nothing is told of those that end with their webhook or their window, nor of a cancel that was durable when the process
	 * ended and not answered yet: such a delivery has ended, and retention may take it although it was never told */
	bool ended = d->state != HL_DELIVERY_PENDING || d->hand || d->cancelling || deleted || now >= d->until_ms;
	return m->dropped_history || (m->retention && ended);
}

struct sim_event *sim_learn_event(struct sim *m, uint32_t account, uint64_t number, uint32_t n)
{
	struct sim_event *known = sim_event(m, number);
	struct hl_event e;
	if (m->f.fatal) /* nothing can be read any more: after the next start */
		return known ? known : add_event(m, &(struct sim_event){ .number = number, .account = account, .n = n });
	int rc = hl_event_get(m->f.d, account, number, &e);
	if (rc && m->retention && known) { /* it may go when all its deliveries have ended */
		for (uint64_t i = known->first; i < known->first + known->n; i++)
			SIM_CHECK(m, sim_may_be_gone(m, i), "event %llu is gone before delivery %llu ended", (sim_ull)number, (sim_ull)i);
		return known;
	}
	SIM_CHECK(m, rc == 0, "acknowledged event %llu is not there: %s", (sim_ull)number, hl_errname(rc));
	SIM_CHECK(m, e.n_deliveries == n, "event %llu: %u deliveries stored, %u told", (sim_ull)number, e.n_deliveries, n);
	for (uint64_t i = e.first_delivery; i < e.first_delivery + n; i++) {
		bool there = sim_learn_delivery(m, i, account);
		SIM_CHECK(m, there || sim_may_be_gone(m, i), "delivery %llu of event %llu is not there", (sim_ull)i, (sim_ull)number);
	}
	if (known) {
		known->first = e.first_delivery;
		return known;
	}
	return add_event(m, &(struct sim_event){ .number = number, .first = e.first_delivery, .account = account, .n = n });
}

/* With its history, a deleted webhook may be gone altogether. */
static enum hl_webhook_state stored_state(struct sim *m, const struct sim_webhook *w)
{
	struct hl_webhook v;
	return hl_webhook_get(m->f.d, w->account, w->number, true, &v) == 0 ? v.state : HL_WEBHOOK_DELETED;
}

void sim_learn_states(struct sim *m)
{
	for (unsigned i = 0; i < m->n_webhooks; i++) {
		struct sim_webhook *w = &m->webhooks[i];
		if (!w->number || !w->made)
			continue;
		if (m->f.fatal) { /* nothing can be read any more */
			w->n_unsure++;
			continue;
		}
		enum hl_webhook_state state = stored_state(m, w);
		if (state != w->state) {
			m->disturbed_mono_ms = m->f.world.mono_ms;
			w->parking_mono_ms = 0;
			w->parked = false;
		}
		if (state != w->state && state == HL_WEBHOOK_ENABLED)
			w->opened_mono_ms = m->f.world.mono_ms;
		w->state = state;
	}
}

/* ---- after a start ---- */

/* What was told of a webhook is stored; what was not told may be. */
static void compare_webhook(struct sim *m, struct sim_webhook *w)
{
	struct hl_webhook v;
	if (!w->number)
		return;
	bool there = hl_webhook_get(m->f.d, w->account, w->number, true, &v) == 0;
	if (!w->made) {
		w->made = there;
		if (!there)
			w->number = 0;
	}
	if (!w->number)
		return;
	enum hl_webhook_state state = there ? v.state : HL_WEBHOOK_DELETED;
	SIM_CHECK(m, state == w->state || w->n_unsure, "webhook %u was told to be %s and is %s", w->number,
			hl_webhook_state_name(w->state), hl_webhook_state_name(state));
	const struct hl_queue *q = hl_queues_get(m->f.d, w->number);
	SIM_CHECK(m, !w->parked || w->n_unsure || !q || q->state == HL_QUEUE_PARKED, "webhook %u was parked and is not any more",
			w->number);
	if (w->n_unsure)
		w->secret[0] = '\0';
	w->parked = w->parked && !w->n_unsure;
	w->parking_mono_ms = w->parked ? m->f.world.mono_ms : 0;
	w->n_unsure = 0;
	w->state = state;
	w->tokens = w->rate;
	w->tokens_mono_ms = m->f.world.mono_ms;
	w->opened_mono_ms = 0;
}

/* Attempts that were sent and are not stored: only such whose outcome was not told, so at most one of each delivery. */
static void compare_attempts(struct sim *m)
{
	struct hl_txn *txn = hl_core_read(m->f.d);
	uint64_t sum = 0;
	const struct hl_options *o = &m->f.options;
	for (uint64_t n = 1; n < m->cap; n++) {
		struct sim_delivery *d = &m->deliveries[n];
		struct hl_delivery_row row;
		bool there = hl_delivery_row_get(txn, n, &row);
		if (!d->known || !there)
			continue;
		bool final = d->state == HL_DELIVERY_SUCCEEDED || d->state == HL_DELIVERY_CANCELLED;
		SIM_CHECK(m, !final || d->hand || row.state == d->state || row.state == HL_DELIVERY_SUCCEEDED,
				"delivery %llu was told to be %s and is %s", (sim_ull)n,
				hl_delivery_state_name((enum hl_delivery_state)d->state),
				hl_delivery_state_name((enum hl_delivery_state)row.state));
		if (d->hand)
			d->state = HL_DELIVERY_PENDING; /* the retry may be stored although nobody heard of it */
		uint32_t lost = d->n_requests - d->n_lost - row.n_attempts;
		SIM_CHECK(m, row.n_attempts >= d->n_told, "delivery %llu: %u attempts stored, %u told", (sim_ull)n, row.n_attempts,
				d->n_told);
		SIM_CHECK(m, lost <= 1, "delivery %llu: %u requests, %u stored, %u lost before", (sim_ull)n, d->n_requests,
				row.n_attempts, d->n_lost);
		if (row.n_attempts > d->n_told)
			d->state = row.state; /* stored, and nobody heard of it */
		d->n_lost += lost;
		d->n_told = row.n_attempts;
		sum += lost;
	}
	SIM_CHECK(m, sum <= (uint64_t)o->max_connections + o->max_uncommitted + HL_DIRECT_MAX,
			"%llu attempts are not stored", (sim_ull)sum);
	sim_note(m, "caught up, attempts lost:", sum, 0, 0);
}

void sim_catch_up(struct sim *m)
{
	if (!m->unsynced || !m->f.d || m->f.d->failed) /* a store that failed cannot be read */
		return;
	m->unsynced = m->crashing = false;
	m->n_flights = 0;
	m->disturbed_mono_ms = m->f.world.mono_ms;
	for (unsigned i = 0; i < m->n_webhooks; i++)
		compare_webhook(m, &m->webhooks[i]);
	compare_attempts(m);
}

void sim_reopened(struct sim *m)
{
	sim_catch_up(m);
	for (size_t i = 0; i < m->n_events; i++)
		sim_learn_event(m, m->events[i].account, m->events[i].number, m->events[i].n);
}
